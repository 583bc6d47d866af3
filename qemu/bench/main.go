// Command bench measures the booted image (make bench-boot) and writes its figures to build/bench.jsonl, see package figures.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"rotunda/qemu"
	"rotunda/qemu/figures"
)

// areas are what can be measured.
var areas = map[string]func(context.Context, qemu.Tree) ([]figures.Figure, error){
	"boot":   measureBoot,
	"system": measureSystem,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 || areas[args[0]] == nil {
		return fmt.Errorf("want one area of: boot, system")
	}
	tree, err := qemu.FindTree()
	if err != nil {
		return err
	}
	list, err := areas[args[0]](ctx, tree)
	if err != nil {
		return err
	}
	if err := figures.Store(filepath.Join(tree.Root, "build", "bench.jsonl"), list); err != nil {
		return err
	}
	figures.Print(list)
	return nil
}
