package meeting

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/store"
)

// Calls are all calls of this Call Bridge.
type Calls struct {
	o     Options
	log   *slog.Logger
	clock Clock
	// lines tells lines and the dialer, tells the observers.
	lines, tells *pump

	mu           sync.Mutex
	calls        map[ID]*call
	spaces       map[ID]*call // by the space that they are in
	participants map[ID]*participant
	legs         map[ID]*Leg
	goodbyes     map[*goodbye]bool // of legs that are over and hear one
	media        map[string]*Leg   // by the ID of their mixer.Leg
	tenants      map[ID]int        // participants of each tenant's calls
	// recordings and streams that run, in all calls.
	recordings, streams int
	begun               uint64 // counts what began, which is the order of lists
	seen                store.View
	closing             bool
	empty               chan struct{} // closed when closing and no leg is left

	pending   pending
	number    uint64
	observers []*observer
}

var _ Control = (*Calls)(nil)

// New makes a Call Bridge's calls; there are none yet.
func New(o Options) *Calls {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if o.Licence == nil {
		o.Licence = func() LicenceEffects { return LicenceEffects{} }
	}
	if o.Limiter == nil {
		o.Limiter = attendant.NewGuesses(attendant.GuessOptions{Now: o.Clock.Now})
	}
	return &Calls{o: o, log: o.Log, clock: o.Clock, lines: newPump(), tells: newPump(),
		calls: map[ID]*call{}, spaces: map[ID]*call{}, participants: map[ID]*participant{}, legs: map[ID]*Leg{},
		goodbyes: map[*goodbye]bool{}, media: map[string]*Leg{}, tenants: map[ID]int{}, empty: make(chan struct{})}
}

// Close ends all legs in an orderly way, and lets nobody in any more.
func (c *Calls) Close(ctx context.Context) {
	c.lock()
	if !c.closing {
		c.closing = true
		for _, l := range c.legsInOrder() {
			l.end(LocalTeardown, false)
		}
		for _, k := range maps.Clone(c.calls) {
			k.end(LocalTeardown) // those that stay when they are empty
		}
		c.emptied()
	}
	goodbyes := slices.Collect(maps.Keys(c.goodbyes))
	c.unlock()
	for _, g := range goodbyes {
		g.end() // there is no time for them any more
	}
	select {
	case <-c.empty:
		c.lines.settle()
		c.tells.settle()
	case <-ctx.Done():
	}
}

// emptied tells Close when it may return. The caller holds the lock.
func (c *Calls) emptied() {
	if !c.closing || len(c.legs) > 0 {
		return
	}
	select {
	case <-c.empty:
	default:
		close(c.empty)
	}
}

func (c *Calls) lock() { c.mu.Lock() }

// unlock makes what was done known, and lets others go on.
func (c *Calls) unlock() {
	c.flush()
	c.mu.Unlock()
}

// view is the objects now, or those that were seen last; nil when there never were any.
func (c *Calls) view() store.View {
	if c.o.View != nil {
		if v := c.o.View(); v != nil {
			c.seen = v
		}
	}
	return c.seen
}

// order counts what begins.
func (c *Calls) order() uint64 {
	c.begun++
	return c.begun
}

// after runs f under the lock, unless it is stopped before; stop is safe under the lock.
func (c *Calls) after(d time.Duration, f func()) (stop func()) {
	stopped := false // guarded by the lock: a timer that fires while it is stopped does nothing
	cancel := c.clock.AfterFunc(d, func() {
		c.lock()
		defer c.unlock()
		if !stopped {
			f()
		}
	})
	return func() {
		stopped = true
		cancel()
	}
}

// stop ends a timer that may not run.
func stop(timer *func()) {
	if *timer != nil {
		(*timer)()
		*timer = nil
	}
}

func fresh() ID { return uuid.New() }
