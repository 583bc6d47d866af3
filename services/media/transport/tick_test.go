package transport

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheLoopTicksThoughNoPacketComes(t *testing.T) {
	ticks := make(chan time.Time, 1)
	l, err := NewLoop(Config{FirstPort: 30000, LastPort: 30001, Tick: func(now time.Time) bool {
		select {
		case ticks <- now:
		default:
		}
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	first := <-ticks
	if second := <-ticks; second.Sub(first) < TickEvery {
		t.Errorf("two ticks are %v apart, want at least %v", second.Sub(first), TickEvery)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestALoopWithNothingToDoSleepsUntilAPacketComes(t *testing.T) {
	var busy atomic.Bool
	ticks := make(chan time.Time, 1000)
	l, err := NewLoop(Config{FirstPort: 30000, LastPort: 30001, Tick: func(now time.Time) bool {
		ticks <- now
		return busy.Load()
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	first := <-ticks
	if second := <-ticks; second.Sub(first) < 50*TickEvery {
		t.Errorf("idle, it ticked %v after the tick before", second.Sub(first))
	}
	// What wakes it makes it look again, and go on while there is something to do.
	busy.Store(true)
	l.wake()
	at := <-ticks
	for range 5 {
		next := <-ticks
		if next.Sub(at) < TickEvery {
			t.Errorf("two ticks are %v apart, want at least %v", next.Sub(at), TickEvery)
		}
		at = next
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
