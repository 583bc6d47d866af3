package transport

import (
	"context"
	"testing"
	"time"
)

func TestTheLoopTicksThoughNoPacketComes(t *testing.T) {
	ticks := make(chan time.Time, 1)
	l, err := NewLoop(Config{FirstPort: 30000, LastPort: 30001, Tick: func(now time.Time) {
		select {
		case ticks <- now:
		default:
		}
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
