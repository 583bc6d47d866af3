package mixer

import (
	"context"
	"sync"

	"rotunda/services/media/control"
)

// Conference is the media of one meeting.
type Conference struct {
	m     *Mixer
	id    string
	q     *queue
	event func(control.Event)

	// want is touched only by the task that runs.
	want control.Conference

	mu      sync.Mutex
	changes []func(*control.Conference)
	closed  bool
}

// Conference makes a conference; the engine hears of it with the first [Conference.Set]. event takes speaker, played and sink events, one at a
// time; it must not wait and may be nil.
func (m *Mixer) Conference(id string, event func(control.Event)) *Conference {
	c := &Conference{m: m, id: id, q: newQueue(), event: event, want: control.Conference{ID: id}}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conferences[id] = c
	return c
}

// ID is what it was made with.
func (c *Conference) ID() string { return c.id }

// Set changes what the conference should be, as [Leg.Set] does.
func (c *Conference) Set(to func(*control.Conference)) {
	c.mu.Lock()
	c.changes = append(c.changes, to)
	c.mu.Unlock()
	c.q.add(task{put: true, do: c.put})
}

func (c *Conference) again() { c.q.add(task{put: true, do: c.put}) }

func (c *Conference) put(ctx context.Context) {
	c.mu.Lock()
	changes := c.changes
	c.changes = nil
	c.mu.Unlock()
	before := c.want
	for _, to := range changes {
		to(&c.want)
	}
	c.want.ID = c.id
	if err := insist(ctx, func(ctx context.Context) error { return c.m.service.PutConference(ctx, c.want) }); err != nil && ctx.Err() == nil {
		c.want = before
		c.m.log.Error("a conference cannot be what it should", "conference", c.id, "error", err)
	}
}

// Play begins a prompt for everybody and returns its name. control.EventPlayed tells that it is over, also when it could not begin.
func (c *Conference) Play(p control.Play) (id string) {
	p = c.m.named(p)
	p.Conference, p.Leg = c.id, ""
	c.q.add(task{do: func(ctx context.Context) {
		if err := insist(ctx, func(ctx context.Context) error { return c.m.service.Play(ctx, p) }); err != nil && ctx.Err() == nil {
			c.m.log.Warn("a prompt cannot be played", "conference", c.id, "files", p.Files, "error", err)
			c.happened(control.Event{Event: control.EventPlayed, Conference: c.id, ID: p.ID, Text: err.Error()})
		}
	}})
	return p.ID
}

// StopPlay ends a prompt. control.EventPlayed follows.
func (c *Conference) StopPlay(id string) {
	c.q.add(task{do: func(ctx context.Context) {
		if err := insist(ctx, func(ctx context.Context) error { return c.m.service.StopPlay(ctx, id) }); err != nil && ctx.Err() == nil {
			c.m.log.Warn("a prompt cannot be stopped", "conference", c.id, "error", err)
		}
	}})
}

// Close deletes the conference. Its legs stay, each alone.
func (c *Conference) Close() {
	c.m.mu.Lock()
	if c.m.conferences[c.id] == c {
		delete(c.m.conferences, c.id)
	}
	c.m.mu.Unlock()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.q.close(func(context.Context) { c.m.remove("conference", c.id, c.m.service.DeleteConference) })
}

func (c *Conference) happened(e control.Event) {
	c.mu.Lock()
	tell := c.event
	if c.closed {
		tell = nil
	}
	c.mu.Unlock()
	if tell != nil {
		tell(e)
	}
}
