// Command codecs puts the codec libraries where cgo finds them:
//
//	go run ./firmware/codecs [-out build/codecs]
//
// The output is a link to a folder with include and lib in the cache: ROTUNDA_CACHE, or "cache" beside the output. With
// a full cache it takes as long as asking apt for the current versions.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"rotunda/firmware"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := flag.String("out", "build/codecs", "where to link the libraries")
	flag.Parse()
	if err := codecs(ctx, *out, os.Getenv("ROTUNDA_CACHE")); err != nil {
		fmt.Fprintln(os.Stderr, "codecs:", err)
		os.Exit(1)
	}
}

func codecs(ctx context.Context, out, cache string) error {
	if cache == "" {
		cache = filepath.Join(filepath.Dir(out), "cache")
	}
	c, err := firmware.FetchCodecs(ctx, filepath.Join(cache, "firmware"), func(format string, args ...any) {
		fmt.Printf("codecs: "+format+"\n", args...)
	})
	if err != nil {
		return err
	}
	return c.Publish(out)
}
