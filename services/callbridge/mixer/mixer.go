package mixer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
)

// Options are what a Mixer needs.
type Options struct {
	// Service is the media engine; its events go to [Mixer.Event].
	Service control.Service
	// BackWithin is how long a leg that lost its worker waits for room, 0 for ten seconds: a worker that died is back in a fifth of a
	// second, one that dies again and again in five.
	BackWithin time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// Mixer is the legs and conferences of this Call Bridge. Its methods, and those of what it makes, may be called by any goroutine.
type Mixer struct {
	service    control.Service
	backWithin time.Duration
	log        *slog.Logger
	plays      atomic.Uint64

	mu          sync.Mutex
	legs        map[string]*Leg
	conferences map[string]*Conference
}

// New makes a mixer without anything in it.
func New(o Options) *Mixer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Mixer{service: o.Service, backWithin: cmp.Or(o.BackWithin, 10*time.Second), log: o.Log, legs: map[string]*Leg{}, conferences: map[string]*Conference{}}
}

// Event takes what the engine tells. It does not wait.
func (m *Mixer) Event(e control.Event) {
	if e.Event == control.EventLost {
		m.lost(e)
		return
	}
	if e.Conference != "" && e.Leg == "" {
		if c := m.conference(e.Conference); c != nil {
			c.happened(e)
		}
		return
	}
	if l := m.leg(e.Leg); l != nil {
		l.happened(e)
	}
}

// lost puts everything again that a worker took with it.
func (m *Mixer) lost(e control.Event) {
	if e.Conference != "" {
		if c := m.conference(e.Conference); c != nil {
			m.log.Warn("a conference lost its media", "conference", e.Conference, "why", e.Text)
			c.again()
		}
	}
	for _, id := range e.Legs {
		if l := m.leg(id); l != nil {
			m.log.Warn("a leg lost its media", "leg", id, "worker", e.Worker, "why", e.Text)
			l.again()
		}
	}
}

func (m *Mixer) leg(id string) *Leg {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.legs[id]
}

func (m *Mixer) conference(id string) *Conference {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conferences[id]
}

// Stats returns the figures of these legs, of all without any; those that are not there are left out.
func (m *Mixer) Stats(ctx context.Context, legs ...string) (map[string]control.LegStats, error) {
	found := map[string]control.LegStats{}
	for {
		// The engine takes a bounded number at a time; none means all.
		part := legs[:min(len(legs), control.MaxStats)]
		list, err := m.service.Stats(ctx, part)
		if err != nil {
			return found, fmt.Errorf("ask for the figures of legs: %w", err)
		}
		for _, s := range list {
			found[s.ID] = s
		}
		if legs = legs[len(part):]; len(legs) == 0 {
			return found, nil
		}
	}
}

// named gives a prompt a name that was not used before.
func (m *Mixer) named(p control.Play) control.Play {
	if p.ID == "" {
		p.ID = "p" + strconv.FormatUint(m.plays.Add(1), 10)
	}
	return p
}
