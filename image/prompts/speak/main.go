// Command speak writes the built-in prompts into a folder, for tests and for a Call Bridge on a developer's machine:
//
//	go run ./image/prompts/speak [-out build/prompts]
//
// With a full cache (ROTUNDA_CACHE, or "cache" beside the folder) it takes no time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"rotunda/image/cache"
	"rotunda/image/prompts"
	"rotunda/services/callbridge/prompts/prompt"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := flag.String("out", "build/prompts", "the folder")
	flag.Parse()
	if err := speak(ctx, *out, os.Getenv("ROTUNDA_CACHE")); err != nil {
		fmt.Fprintln(os.Stderr, "speak:", err)
		os.Exit(1)
	}
}

func speak(ctx context.Context, out, folder string) error {
	if folder == "" {
		folder = filepath.Join(filepath.Dir(out), "cache")
	}
	made, err := prompts.Make(ctx, cache.Cache{Dir: filepath.Join(folder, "made")}, prompt.All())
	if err != nil {
		return err
	}
	return made.Write(out)
}
