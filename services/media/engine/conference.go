package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"rotunda/services/media/audio"
	"rotunda/services/media/control"
)

// conference is one meeting on this worker: a room for sound and a list of legs for pictures. The pictures themselves are the
// director's, which looks here when changed says so.
type conference struct {
	owner *owner
	id    string
	bus   *audio.Bus
	// changed is set by whatever may alter what somebody sees; the director takes it back.
	changed atomic.Bool
	// guests have their legs at other workers, to which mesh is the connection; nil while all legs are here.
	guests atomic.Pointer[guests]
	mesh   atomic.Pointer[mesh]
	// spanning is held while they change, before mu.
	spanning sync.Mutex

	mu sync.Mutex
	// voice is the mix as AAC while anybody records it.
	voice *voice
	want  control.Conference
	// stays is true once a client has put it; a conference that only a leg named goes with its last leg.
	stays bool
	legs  []*leg // in the order of joining
	// closed: nobody may join any more. over is once everything is given back.
	closed bool
	over   sync.Once
}

func newConference(o *owner, id string) *conference {
	c := &conference{owner: o, id: id, want: control.Conference{ID: id}}
	c.guests.Store(&guests{})
	c.bus = o.engine.newBus(c.speaks)
	o.engine.director.add(c)
	return c
}

// speaks is called in the audio thread when the dominant speaker changes. That a guest speaks, its own worker tells.
func (c *conference) speaks(source uint32) {
	c.changed.Store(true)
	c.mu.Lock()
	i := slices.IndexFunc(c.legs, func(l *leg) bool { return l.source == source })
	id := ""
	if i >= 0 {
		id = c.legs[i].id
	}
	c.mu.Unlock()
	if id != "" {
		c.owner.engine.c.Emit(c.owner.name, control.Event{Event: control.EventSpeaker, Conference: c.id, Leg: id})
	}
}

// put brings the conference to the wanted state; false if it was closed meanwhile.
func (c *conference) put(want control.Conference) bool {
	c.spanning.Lock()
	defer c.spanning.Unlock()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.want, c.stays = want, true
	here := len(c.legs)
	c.mu.Unlock()
	c.span(&want)
	came, went := c.invite(want.Guests)
	c.changed.Store(true)
	// A guest is announced to the legs here as one of them would be.
	if came && want.JoinTone && here > 0 {
		c.sound("join")
	}
	if went && want.LeaveTone && here > 0 {
		c.sound("leave")
	}
	return true
}

// span connects the conference with the other workers that have legs of it.
func (c *conference) span(want *control.Conference) {
	m := c.mesh.Load()
	if m != nil && m.number != want.Mix {
		c.mesh.Store(nil)
		m.close()
		m = nil
	}
	if m == nil && want.Mix != 0 {
		m = newMesh(c, want.Mix)
		c.mesh.Store(m)
	}
	if m != nil {
		m.meet(want.Others)
	}
}

func (c *conference) wanted() control.Conference {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.want
}

func (c *conference) members() []*leg {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.legs)
}

// join adds a leg; false if the conference was closed meanwhile.
func (c *conference) join(l *leg) bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	if !slices.Contains(c.legs, l) {
		c.legs = append(c.legs, l)
	}
	tone := c.want.JoinTone && len(c.legs)+len(c.want.Guests) > 1
	c.mu.Unlock()
	c.changed.Store(true)
	if tone {
		c.sound("join")
	}
	return true
}

// part takes a leg out.
func (c *conference) part(l *leg) {
	c.mu.Lock()
	c.legs = slices.DeleteFunc(c.legs, func(o *leg) bool { return o == l })
	empty := len(c.legs) == 0 && !c.stays
	c.closed = c.closed || empty
	tone := c.want.LeaveTone && len(c.legs) > 0
	c.mu.Unlock()
	c.changed.Store(true)
	if tone {
		c.sound("leave")
	}
	if empty {
		c.owner.mu.Lock()
		if c.owner.conferences[c.id] == c {
			delete(c.owner.conferences, c.id)
		}
		c.owner.mu.Unlock()
		c.close()
	}
}

// dissolve closes the conference to all who come from now on, and returns who is in it.
func (c *conference) dissolve() []*leg {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return slices.Clone(c.legs)
}

// open tells whether a leg may stay in it.
func (c *conference) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed
}

// sound plays a join or leave tone. A tone that still plays covers the next one: a class of thirty that comes at once is
// announced once.
func (c *conference) sound(tone string) {
	if err := c.bus.Play(audio.Play{ID: "engine." + tone, Tone: tone}); err != nil {
		c.owner.engine.c.Log.Warn("no tone", "tone", tone, "error", err)
	}
}

// close gives everything back; nobody is in it.
func (c *conference) close() {
	c.dissolve()
	c.over.Do(func() {
		c.spanning.Lock()
		defer c.spanning.Unlock()
		c.owner.engine.director.remove(c)
		c.invite(nil)
		c.span(&control.Conference{})
		c.owner.engine.dropBus(c.bus)
	})
}
