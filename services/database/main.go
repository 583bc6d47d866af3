package database

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"rotunda/init/metrics"
	"rotunda/init/notify"
)

const (
	// watchdogEvery is less than a sixth of the limit that PID 1 sets.
	watchdogEvery = 5 * time.Second
	// gcPercent trades processor time, of which this process uses little, for memory: the index of 600,000 keys is its largest part.
	gcPercent = 40
	// At the start that index is built, and nearly everything that is allocated stays: 40 % would look at it again and again. Below
	// startLimit, of which 300,000 users with a space each take half, there is no need to look at all.
	startPercent = 400
	startLimit   = 500 << 20
)

// Socket is where clients on this machine reach the database.
const Socket = "/run/rotunda/database/client.sock"

func parse(args []string) (o Options, err error) {
	flags := flag.NewFlagSet("database", flag.ContinueOnError)
	flags.StringVar(&o.Folder, "folder", "", "`folder` of the data; it is made when it is missing")
	flags.StringVar(&o.Socket, "socket", Socket, "unix `socket` for clients")
	flags.IntVar(&o.Group, "group", -1, "number of the `group` that may connect, besides this process's user")
	flags.StringVar(&o.Metrics, "metrics", "", "unix `socket` for figures, empty for none")
	quota := flags.Int64("quota", DefaultQuota>>20, "the most that the database file may take, in `MiB`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.Folder == "":
		return o, errors.New("-folder is missing: name the folder of the data")
	case *quota < 16 || *quota > 8192:
		return o, fmt.Errorf("-quota %d: want 16 to 8192 MiB", *quota)
	}
	o.Quota = *quota << 20
	return o, nil
}

// Main is the verb "database". It serves until SIGTERM.
func Main(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return run(ctx, o, &Lines{to: os.Stderr})
}

func run(ctx context.Context, o Options, lines *Lines) error {
	o.Log, o.Say = lines.etcd(), func(text string) { lines.info("%s", text) }
	debug.SetGCPercent(startPercent)
	limit := debug.SetMemoryLimit(startLimit)
	n, err := Open(ctx, o)
	debug.SetMemoryLimit(limit)
	debug.SetGCPercent(gcPercent)
	if err != nil {
		return err
	}
	defer n.Close()
	be := n.etcd.Server.Backend()
	lines.info("serving %d KiB, of which %d are used; at most %d MiB", be.Size()>>10, be.SizeInUse()>>10, o.Quota>>20)
	// What the start took goes back to the machine at once.
	debug.FreeOSMemory()
	if err := notify.Ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel(nil)
	group.Go(func() { newKeeper(n, lines).run(ctx) })
	group.Go(func() {
		if err := metrics.Serve(ctx, o.Metrics, "database", n.figures); err != nil {
			lines.info("%v", err)
		}
	})
	group.Go(func() {
		// A read that everybody agrees to goes through the log's machinery: whatever hangs there leaves it unanswered.
		if err := notify.Watchdog(ctx, watchdogEvery, func() { _, _ = n.local.Get(ctx, "\x00") }); err != nil {
			cancel(err)
		}
	})
	select {
	case <-ctx.Done():
	case err, open := <-n.Err():
		if open {
			return fmt.Errorf("etcd: %w", err)
		}
		return errors.New("etcd ended")
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
