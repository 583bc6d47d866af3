// Command mediaworker carries the sound and the pictures of calls on one core. It is the only program with code in C: the
// codecs, linked statically. One process runs for each core that the board gives to media; it registers with the media
// manager and then does what that asks (package control). With -listen it serves a client itself, so that the media
// engine can be used alone: a control client and RTP are all it needs.
//
// It runs as a user of its own without any capability and reads no file but prompts, pictures and fonts. When it dies its
// calls stand still until they are put elsewhere, or here again after its restart, which takes less than 200 ms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/notify"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/engine"
)

const (
	// threads that run Go at one time: the five of the engine, and two for control. A thread inside of a codec keeps its
	// place for a while, so fewer would make sound wait for pictures.
	threads = 7
	// gcPercent: the heap of a worker is a few megabytes, nearly all frames and packets lie outside of it or are used again.
	gcPercent = 400
	// watchdogEvery is well within the limit that PID 1 sets.
	watchdogEvery = time.Second
)

type settings struct {
	name            string
	module, cpu     int
	first, last     int
	manager, listen string
	fonts, encoder  string
}

// leastCapacity is what any worker takes: four calls with small pictures, or 36 with sound alone. A processor that is emulated measures less than
// one of them, because it encodes a hundred times slower, and yet carries sound.
const leastCapacity = 2000

func main() {
	s, err := parse(os.Args[1:])
	if err == nil {
		err = run(s)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "<27>mediaworker: %v\n", err)
		os.Exit(1)
	}
}

func parse(args []string) (s settings, err error) {
	flags := flag.NewFlagSet("mediaworker", flag.ContinueOnError)
	flags.StringVar(&s.name, "worker", "0.0", "`module.index` of this worker")
	flags.IntVar(&s.cpu, "cpu", -1, "`core` to run on; -1 for any")
	ports := flags.String("ports", "32768-65535", "UDP `ports` of this worker, first-last")
	flags.StringVar(&s.manager, "manager", "", "`address` of the media manager to register with")
	flags.StringVar(&s.listen, "listen", "", "loopback `address` to serve a client at, without a manager")
	flags.StringVar(&s.fonts, "fonts", "/usr/share/fonts", "`folder` of fonts")
	flags.StringVar(&s.encoder, "encoder", "", "encoder of H.264: x264 or openh264; empty for the better one")
	if err = flags.Parse(args); err != nil {
		return s, err
	}
	if module, _, ok := strings.Cut(s.name, "."); ok {
		s.module, err = strconv.Atoi(module)
	} else {
		err = errors.New("no dot")
	}
	if err != nil {
		return s, fmt.Errorf("-worker %q: want module.index, such as 0.1", s.name)
	}
	if n, e := fmt.Sscanf(*ports, "%d-%d", &s.first, &s.last); n != 2 || e != nil {
		return s, fmt.Errorf("-ports %q: want first-last, such as 32768-65535", *ports)
	}
	if (s.manager == "") == (s.listen == "") {
		return s, errors.New("want exactly one of -manager and -listen")
	}
	return s, nil
}

func run(s settings) error {
	codec.HoldHeap()
	runtime.GOMAXPROCS(threads)
	debug.SetGCPercent(gcPercent)
	if s.cpu >= 0 {
		if err := pin(s.cpu); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // the journal has its own
		}
		return a
	}}))
	capacity, err := engine.Calibrate(s.encoder)
	if err != nil {
		return err
	}
	if capacity < leastCapacity {
		log.Warn(fmt.Sprintf("this processor encodes as if it could carry %d load units; calls up to %d are admitted", capacity, leastCapacity))
		capacity = leastCapacity
	}
	var dispatcher *control.Dispatcher
	e, err := engine.New(engine.Config{
		Name: s.name, Module: s.module, CPU: max(s.cpu, 0), FirstPort: s.first, LastPort: s.last, Fonts: s.fonts,
		Encoder: s.encoder, Capacity: capacity, Log: log,
		Emit: func(owner string, e control.Event) { dispatcher.Emit(owner, e) },
	})
	if err != nil {
		return err
	}
	dispatcher = control.NewDispatcher(e, control.DispatcherOptions{Role: control.RoleWorker, Name: s.name, Log: func(text string) { log.Info(text) }})

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	var wait sync.WaitGroup
	start := func(run func() error) {
		wait.Go(func() {
			if err := run(); err != nil {
				cancel(err)
			}
		})
	}
	start(func() error { return e.Run(ctx) })
	if s.manager != "" {
		start(func() error {
			return dispatcher.Register(ctx, control.Registration{Address: s.manager, Status: e.Status})
		})
	} else {
		l, err := net.Listen("tcp", s.listen)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		start(func() error { return dispatcher.Listen(ctx, l) })
	}
	if err := notify.Ready(); err != nil {
		return err
	}
	start(func() error { return notify.Watchdog(ctx, watchdogEvery, e.Alive) })
	<-ctx.Done()
	dispatcher.Close()
	wait.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// pin keeps every thread of the process, and all that they start, on one core.
func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	for _, t := range entries {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			return fmt.Errorf("run on core %d: %w", cpu, err)
		}
	}
	return nil
}
