// Package trunk watches the proxies of the outbound rules by OPTIONS, so that a call does not wait for one that is known to be down: it goes to
// those that are up first.
//
// Invariants: each proxy is asked one question at a time, every minute while it is up and every 10 seconds while it is down, a little earlier or
// later each time, so that many do not come together; nothing is asked when there are no rules. A proxy counts as up until it did not answer. The
// number of proxies and of questions at once is bounded. What is known is only advice: when all are down, calls are tried all the same.
//
// Nothing is kept on a disk. Source: RFC 3261 section 11 (OPTIONS); deployment guide chapter 6.2.1 (outbound calls).
package trunk

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Target is a proxy as a rule names it. Port 0 leaves the port to the look-up.
type Target struct {
	Host      string
	Port      uint16
	Transport string // udp, tcp or tls
}

func (t Target) String() string {
	if t.Port == 0 {
		return t.Host + " (" + t.Transport + ")"
	}
	return fmt.Sprintf("%s:%d (%s)", t.Host, t.Port, t.Transport)
}

// State is what is known of a proxy.
type State struct {
	Target
	Up bool
	// Since is when that began; for one that was never down, when it was first watched.
	Since time.Time
	// Asked is when it was last asked; zero for not yet.
	Asked time.Time
	// Err is why it is down.
	Err error
}

// Options are a [Watch]'s. Zero times have defaults.
type Options struct {
	// Ping asks a proxy; any answer that shows that it takes requests is nil. It must heed the context.
	Ping func(ctx context.Context, t Target) error
	// Every is the interval while it is up, 60 s; Down while it is down, 10 s; Timeout for the answer, 10 s.
	Every, Down, Timeout time.Duration
	Log                  *slog.Logger
}

const (
	maxTargets = 256
	maxAsking  = 16
)

// Watch watches proxies.
type Watch struct {
	o      Options
	wake   chan struct{}
	mu     sync.Mutex
	states map[Target]*watched
	asking int
}

type watched struct {
	State
	next  time.Time
	busy  bool
	doubt bool // to be asked anew as soon as the question under way is over
}

// New makes a watch of nothing; [Watch.Serve] runs it.
func New(o Options) *Watch {
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	if o.Down <= 0 {
		o.Down = 10 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Watch{o: o, wake: make(chan struct{}, 1), states: map[Target]*watched{}}
}

// Set says which proxies there are. What is known of those that stay is kept; those that are new are asked within 2 s.
func (w *Watch) Set(targets []Target) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	keep := map[Target]bool{}
	left := 0
	for _, t := range targets {
		if keep[t] {
			continue
		}
		if len(keep) == maxTargets {
			left++
			continue
		}
		keep[t] = true
		if w.states[t] == nil {
			w.states[t] = &watched{State: State{Target: t, Up: true, Since: now}, next: now.Add(rand.N(2 * time.Second))}
		}
	}
	for t := range w.states {
		if !keep[t] {
			delete(w.states, t)
		}
	}
	if left > 0 {
		w.o.Log.Warn("not all trunks are watched", "watched", maxTargets, "left out", left)
	}
	w.poke()
}

// Up says whether calls to a proxy are likely to come through. Those that nobody watches are up.
func (w *Watch) Up(t Target) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.states[t]
	return s == nil || s.Up
}

// Doubt tells that a call did not get through to a proxy: it is asked at once, instead of when its time comes. One that is down is not asked more
// often for that.
func (w *Watch) Doubt(t Target) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.states[t]
	if s == nil || !s.Up {
		return
	}
	if s.busy {
		s.doubt = true
		return
	}
	// Not more often than one that is down, whatever calls say.
	if soon := s.Asked.Add(w.o.Down); soon.After(now) {
		now = soon
	}
	if now.Before(s.next) {
		s.next = now
		w.poke()
	}
}

// States are all proxies, by name.
func (w *Watch) States() []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]State, 0, len(w.states))
	for _, s := range w.states {
		list = append(list, s.State)
	}
	slices.SortFunc(list, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Transport, b.Transport))
	})
	return list
}

func (w *Watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Serve asks until the context ends, and waits for what it asked.
func (w *Watch) Serve(ctx context.Context) error {
	var asked sync.WaitGroup
	defer asked.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, next := w.due(time.Now())
		for _, t := range due {
			asked.Go(func() { w.ask(ctx, t) })
		}
		timer.Stop()
		var at <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			at = timer.C
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		case <-at:
		}
	}
}

// due are those whose time has come, those that waited longest first, and when the next one's comes. It is zero when there is nothing to wait
// for but an answer.
func (w *Watch) due(now time.Time) (list []Target, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, s := range w.states {
		if s.busy {
			continue
		}
		if !s.next.After(now) {
			list = append(list, t)
		} else if next.IsZero() || s.next.Before(next) {
			next = s.next
		}
	}
	slices.SortFunc(list, func(a, b Target) int { return w.states[a].next.Compare(w.states[b].next) })
	// Those that are too many wait until an answer wakes us.
	list = list[:min(len(list), maxAsking-w.asking)]
	for _, t := range list {
		w.states[t].busy = true
	}
	w.asking += len(list)
	return list, next
}

func (w *Watch) ask(ctx context.Context, t Target) {
	one, cancel := context.WithTimeout(ctx, w.o.Timeout)
	err := w.o.Ping(one, t)
	cancel()
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asking--
	defer w.poke()
	s := w.states[t]
	if s == nil || !s.busy { // not watched any more, or anew
		return
	}
	s.busy = false
	if ctx.Err() != nil {
		return
	}
	s.Asked, s.Err = now, err
	interval := w.o.Every
	if err != nil || s.doubt {
		interval = w.o.Down
	}
	s.doubt = false
	s.next = now.Add(interval - interval/10 + rand.N(interval/5)) // ±10 %
	if up := err == nil; up != s.Up {
		before := now.Sub(s.Since).Round(time.Second)
		s.Up, s.Since = up, now
		if up {
			w.o.Log.Info("trunk is up again", "trunk", t.String(), "down for", before)
		} else {
			w.o.Log.Warn("trunk is down: calls go to others first", "trunk", t.String(), "error", err)
		}
	}
}
