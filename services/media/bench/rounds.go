package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rotunda/qemu/figures"
	"rotunda/services/media/bench/wire"
)

// bench is what a run was asked to do.
type bench struct {
	rounds  int
	window  time.Duration
	worker  string
	encoder string
	dir     string
	// prompts is the folder of built-in ones.
	prompts string
}

// side does something once and tells one number of it.
type side struct {
	name    string
	measure func(context.Context) (float64, error)
}

// repeats of a round that does not count, because something else had the core.
const repeats = 2

// alternate lets the sides take turns and returns the median of each.
func (b *bench) alternate(ctx context.Context, sides ...side) ([]float64, error) {
	all := make([][]float64, len(sides))
	for round := range max(b.rounds, 2) {
		var line strings.Builder
		for i, s := range sides {
			v, err := s.measure(ctx)
			for again := 0; err != nil && again < repeats && ctx.Err() == nil; again++ {
				fmt.Printf("  round %d of %s does not count: %v\n", round+1, s.name, err)
				v, err = s.measure(ctx)
			}
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name, round+1, err)
			}
			fmt.Fprintf(&line, "  %s %.4g", s.name, v)
			if round > 0 {
				all[i] = append(all[i], v)
			}
		}
		fmt.Printf("  round %d:%s\n", round+1, line.String())
	}
	medians := make([]float64, len(sides))
	for i, values := range all {
		medians[i] = figures.Median(values)
	}
	return medians, nil
}

// usage is what a process did in a window.
type usage struct {
	// cores is CPU time divided by time.
	cores float64
	wire.Totals
	// dropped datagrams that sockets of the measured process had no room for.
	dropped uint64
	seconds float64
	// served is the part of what should have come in this time that did: a process that is short of time leaves out ticks
	// and frames. Only that part counts.
	served float64
}

// minServed is how much a process must serve for a round to count: it has a core of its own, but other programs may be on it.
const minServed = 0.9

// serve compares what came with a rate for each stream.
func (u *usage) serve(rate float64, came uint64) error {
	want := rate * u.seconds * float64(u.Streams)
	if u.served = min(1, float64(came)/want); !(u.served >= minServed) {
		return fmt.Errorf("%d streams bring %d of %.0f (%.2f of a core used, load up to %v late)", u.Streams, came, want, u.cores, u.Late)
	}
	return nil
}

// maxLoss of packets in a round.
const maxLoss = 0.001

// lost is the worse of what did not come back and what did not go in.
func (u usage) lost() float64 {
	in := 0.0
	if u.Sent > 0 {
		in = float64(u.dropped) / float64(u.Sent)
	}
	return max(u.Lost(), in)
}

// subject is what is measured: one process, or several that do one's work.
type subject interface {
	used() (time.Duration, error)
	// dropped datagrams that its sockets had no room for.
	dropped() uint64
}

// watch measures a subject for a window, after the load has settled.
func (b *bench) watch(ctx context.Context, p subject, l *wire.Load, settle time.Duration) (u usage, err error) {
	if err := sleep(ctx, settle); err != nil {
		return u, err
	}
	l.Reset()
	before, err := p.used()
	if err != nil {
		return u, err
	}
	dropped, began := p.dropped(), time.Now()
	if err := sleep(ctx, b.window); err != nil {
		return u, err
	}
	u.seconds = time.Since(began).Seconds()
	after, err := p.used()
	if err != nil {
		return u, err
	}
	u.Totals, u.dropped = l.Totals(), p.dropped()-dropped
	u.cores = (after - before).Seconds() / u.seconds
	return u, nil
}

// complete is an error when too much was lost for the round to count.
func (u usage) complete() error {
	if u.lost() > maxLoss {
		return fmt.Errorf("%.2f %% lost (%d of %d packets came, %d dropped by sockets), %.2f of a core used: want at most %.1f %%",
			100*u.lost(), u.Received, u.Expected, u.dropped, u.cores, 100*maxLoss)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
