// Command bench measures the product and writes one JSON object a figure to build/bench.jsonl: make bench-boot.
//
//	{"name":"ssh_command_ms","value":12.1,"unit":"ms","peer":"…","peer_value":9.8,"ratio":1.23,"goal":"<= 50"}
//
// A peer is another program that does the same in the same run; "none" says that there is none that could be compared
// honestly. A ratio is value divided by the peer's. Figures are for reading, nothing fails because of them: they depend on
// the machine that measures. A new figure replaces the old one of the same name; a run that is interrupted replaces none.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"rotunda/qemu"
)

// figure is one line of bench.jsonl.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Peer says what PeerValue was measured on.
	Peer      string   `json:"peer"`
	PeerValue *float64 `json:"peer_value"`
	Ratio     *float64 `json:"ratio"`
	Goal      string   `json:"goal"`
}

// areas are what can be measured.
var areas = map[string]func(context.Context, qemu.Tree) ([]figure, error){
	"boot": measureBoot,
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
		return fmt.Errorf("want one area of: boot")
	}
	tree, err := qemu.FindTree()
	if err != nil {
		return err
	}
	figures, err := areas[args[0]](ctx, tree)
	if err != nil {
		return err
	}
	if err := store(filepath.Join(tree.Root, "build", "bench.jsonl"), figures); err != nil {
		return err
	}
	for _, f := range figures {
		peer := ""
		if f.PeerValue != nil {
			peer = fmt.Sprintf("  (%s: %.4g)", f.Peer, *f.PeerValue)
		}
		fmt.Printf("%-18s %8.4g %-5s goal %-8s%s\n", f.Name, f.Value, f.Unit, f.Goal, peer)
	}
	return nil
}

// against adds the peer's value.
func (f figure) against(peer string, value float64) figure {
	ratio := f.Value / value
	f.Peer, f.PeerValue, f.Ratio = peer, &value, &ratio
	return f
}

// rounded keeps two decimals; more would not come out the same twice.
func (f figure) rounded() figure {
	two := func(v float64) float64 { return math.Round(v*100) / 100 }
	f.Value = two(f.Value)
	if f.PeerValue != nil {
		peer, ratio := two(*f.PeerValue), two(*f.Ratio)
		f.PeerValue, f.Ratio = &peer, &ratio
	}
	return f
}

// store replaces the figures of the same names and keeps the others.
func store(path string, figures []figure) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read figures: %w", err)
	}
	merged, err := merge(old, figures)
	if err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, merged, 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func merge(old []byte, figures []figure) ([]byte, error) {
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(old))
	for lines.Scan() {
		var f figure
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			continue // a line that is no figure is not worth keeping
		}
		if !slices.ContainsFunc(figures, func(n figure) bool { return n.Name == f.Name }) {
			out.Write(append(lines.Bytes(), '\n'))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // goals have < and > in them
	for _, f := range figures {
		if err := encoder.Encode(f.rounded()); err != nil {
			return nil, fmt.Errorf("encode figure: %w", err)
		}
	}
	return out.Bytes(), nil
}
