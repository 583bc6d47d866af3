package audio

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Ticker calls a function every 20 ms from one OS thread, by absolute deadlines of the monotonic clock, so that nothing adds
// up. After a stall it catches up with at most maxBehind calls in a row and leaves out the rest: a burst of sound that is
// too late helps nobody, and a bus makes a gap in the time stamps of it.
type Ticker struct {
	f       func(due time.Time)
	idle    func() bool
	woken   chan struct{}
	late    histogram
	skipped atomic.Uint64
}

// maxBehind is how many ticks are made up for.
const maxBehind = 3

// NewTicker makes a ticker for a function, which gets the moment it was due.
func NewTicker(f func(due time.Time)) *Ticker { return &Ticker{f: f, woken: make(chan struct{}, 1)} }

// Rest has the ticker wait for [Ticker.Wake] after a call while idle says that nobody needs the next one. It is set before Run.
func (t *Ticker) Rest(idle func() bool) { t.idle = idle }

// Wake has a ticker that rests call at the next of its moments. Any thread may call it, after the change that idle looks at.
func (t *Ticker) Wake() {
	select {
	case t.woken <- struct{}{}:
	default:
	}
}

// Run ticks on the calling goroutine, which it locks to its thread, until the context ends. Priority and affinity of
// the thread are the caller's matter.
func (t *Ticker) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const period = tickMs * time.Millisecond
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read the monotonic clock: %w", err)
	}
	began, start := time.Now(), now.Nano()
	next := time.Duration(0) // since start
	for ctx.Err() == nil {
		at := unix.NsecToTimespec(start + int64(next))
		if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil); err == unix.EINTR {
			continue
		} else if err != nil {
			return fmt.Errorf("sleep until the next tick: %w", err)
		}
		late := time.Since(began) - next
		t.late.add(late)
		t.f(began.Add(next))
		if t.idle != nil && t.idle() {
			select {
			case <-t.woken:
			case <-ctx.Done():
				return nil
			}
			// Moments that passed in a rest were not left out: nobody waited for them.
			next = max(next, time.Since(began)/period*period) + period
			continue
		}
		var skip int64
		if next, skip = following(next, time.Since(began), period); skip > 0 {
			t.skipped.Add(uint64(skip))
		}
	}
	return nil
}

// following is the tick after one that was due at last, when it is now: the next, or, too far behind, one not more than
// maxBehind periods ago.
func following(last, now, period time.Duration) (next time.Duration, skipped int64) {
	next = last + period
	if behind := int64((now - next) / period); behind > maxBehind {
		skipped = behind - maxBehind
		next += time.Duration(skipped) * period
	}
	return next, skipped
}

// Late returns how late ticks began: a quantile (0.999) since the last Reset. It is up to a sixteenth too high.
func (t *Ticker) Late(quantile float64) time.Duration { return t.late.quantile(quantile) }

// Reset forgets how late ticks were.
func (t *Ticker) Reset() { t.late.reset() }

// Skipped is how many ticks were left out.
func (t *Ticker) Skipped() uint64 { return t.skipped.Load() }

// histogram counts durations in buckets that grow by a sixteenth, from 1 µs to over an hour. Any thread may read.
type histogram struct{ counts [32 * 16]atomic.Uint32 }

func bucketOf(d time.Duration) int {
	us := max(0, d.Microseconds())
	if us < 16 {
		return int(us)
	}
	e := 0
	for v := us; v >= 32; v >>= 1 {
		e++
	}
	return min(32*16-1, (e+1)*16+int(us>>e)-16)
}

// topOf is the end of a bucket.
func topOf(b int) time.Duration {
	if b < 16 {
		return time.Duration(b+1) * time.Microsecond
	}
	e := b/16 - 1
	return time.Duration(int64(b%16+17)<<e) * time.Microsecond
}

func (h *histogram) add(d time.Duration) { h.counts[bucketOf(d)].Add(1) }

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

func (h *histogram) quantile(q float64) time.Duration {
	var total uint64
	for i := range h.counts {
		total += uint64(h.counts[i].Load())
	}
	rest := float64(total) * q
	for i := range h.counts {
		n := float64(h.counts[i].Load())
		if n > 0 && n >= rest {
			return topOf(i)
		}
		rest -= n
	}
	return 0
}
