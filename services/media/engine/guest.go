package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/stream"
)

// guest is a participant whose leg is at another worker. It is seen here as if it had a leg, and heard in the mix of its
// worker.
type guest struct {
	conference   *conference
	want         atomic.Pointer[control.Guest]
	contribution [pictures]*contribution
}

// guests are those of a conference, in the manager's order, and their pictures by source; replaced as a whole.
type guests struct {
	list    []*guest
	sources map[uint32]*contribution
}

func newGuest(c *conference, want control.Guest) *guest {
	g := &guest{conference: c}
	g.want.Store(&want)
	for which, source := range [pictures]uint32{want.Source, want.Screen} {
		g.contribution[which] = newContribution(c.owner.engine, g, which, source)
	}
	return g
}

// is tells that this is the same participant at the same worker, whatever else may have changed.
func (g *guest) is(want *control.Guest) bool {
	w := g.want.Load()
	return w.ID == want.ID && w.Worker == want.Worker && w.Source == want.Source && w.Screen == want.Screen
}

func (g *guest) close() {
	for _, c := range g.contribution {
		c.close()
	}
}

func (g *guest) changed() { g.conference.changed.Store(true) }

func (g *guest) received(*stream.AccessUnit, time.Duration, bool) {}

func (g *guest) muted(which int) bool {
	w := g.want.Load()
	if which == presentation {
		return !w.Presentation
	}
	return !w.Video || w.VideoMuted
}

// invite brings the guests of a conference to the wanted state and says whether any came or went.
func (c *conference) invite(want []control.Guest) (came, went bool) {
	before := c.guests.Load()
	next := &guests{sources: make(map[uint32]*contribution, pictures*len(want))}
	for i := range want {
		w := &want[i]
		at := slices.IndexFunc(before.list, func(g *guest) bool { return g.is(w) })
		var g *guest
		if at < 0 {
			came = came || !slices.ContainsFunc(before.list, func(g *guest) bool { return g.want.Load().ID == w.ID })
			g = newGuest(c, *w)
		} else {
			g = before.list[at]
			g.want.Store(w)
		}
		next.list = append(next.list, g)
		for _, p := range g.contribution {
			next.sources[p.source] = p
		}
	}
	c.guests.Store(next)
	for _, g := range before.list {
		if slices.Contains(next.list, g) {
			continue
		}
		g.close()
		id := g.want.Load().ID
		went = went || !slices.ContainsFunc(want, func(w control.Guest) bool { return w.ID == id })
	}
	return came, went
}

// remote is a layer as another worker offers it ([feed]).
type remote struct {
	peer *peer

	mu   sync.Mutex
	last offered
	at   time.Time
}

func (r *remote) reporter() uint32       { return r.peer.mesh.number }
func (r *remote) feedBack(packet []byte) { r.peer.send(packet) }

func (r *remote) left(y *layer) { r.peer.mesh.exchange().drop(y) }

func (r *remote) offered(*layer, time.Time) offered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// wait is not known: the sound of guests comes in the mix of their worker.
func (r *remote) wait(uint32, time.Time) (time.Duration, bool) { return 0, false }

// alive is true: what is not offered any more expires.
func (r *remote) alive(*layer, time.Time) bool { return true }

func (r *remote) note(o offered, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.at = o, now
}

func (r *remote) over(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Sub(r.at) > forgetAfter
}

// offer takes what a worker offers of a guest's picture, on the network thread.
func (c *conference) offer(p *peer, o offer, now time.Time) {
	picture := c.guests.Load().sources[o.source]
	if picture == nil {
		return
	}
	if g, ok := picture.from.(*guest); !ok || g.want.Load().Worker != p.other.Worker {
		return
	}
	picture.mu.Lock()
	at := slices.IndexFunc(picture.layers, func(y *layer) bool { return y.number == o.number })
	if at >= 0 {
		picture.layers[at].feed.(*remote).note(o.offered, now)
	}
	picture.mu.Unlock()
	if at >= 0 {
		return
	}
	r := &remote{peer: p, last: o.offered, at: now}
	// Numbers of places stand for the RIDs: a layer with another number in the same place takes it over.
	names := layerNames{ssrc: o.number, number: o.number, rid: string('0' + rune(o.place))}
	y, err := newLayer(picture, r, names, []control.Format{{Codec: o.codec, PayloadType: uint8(picturesFrom + numberOf(o.codec))}},
		&control.Video{NACK: true, PLI: true})
	if err != nil {
		return // the guest has just gone
	}
	x := p.mesh.exchange()
	if x.carry(y); y.closed.Load() {
		x.drop(y)
	}
}

// expire ends the layers that are not offered any more.
func (c *contribution) expire(now time.Time) {
	var over []*layer
	c.mu.Lock()
	c.layers = slices.DeleteFunc(c.layers, func(y *layer) bool {
		r, ok := y.feed.(*remote)
		if !ok || !r.over(now) {
			return false
		}
		over = append(over, y)
		return true
	})
	if slices.Contains(over, c.decoded) {
		c.decoded = nil
	}
	c.mu.Unlock()
	for _, y := range over {
		y.close()
	}
	if len(over) > 0 {
		c.from.changed()
	}
}
