package audio

import (
	"context"
	"time"
)

// Ticker calls a function every 20 ms from one OS thread.
type Ticker struct{}

// NewTicker makes a ticker for a function, which gets the moment it was due.
func NewTicker(f func(due time.Time)) *Ticker { return &Ticker{} }

// Run ticks on the calling goroutine, which it locks to its thread, until the context ends.
func (t *Ticker) Run(ctx context.Context) error { return nil }

// Late returns how late ticks were: the given quantile (0.999) since the last Reset.
func (t *Ticker) Late(quantile float64) time.Duration { return 0 }
