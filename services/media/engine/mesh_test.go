package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/layout"
	"rotunda/services/media/rtp"
)

// meeting is a conference "room" on several workers. It tells them of each other as the manager does.
type meeting struct {
	*testing.T
	workers []*bench
	want    control.Conference
	mixes   []uint32
	guests  [][]control.Guest
}

func meet(t *testing.T, workers int) *meeting {
	m := &meeting{T: t, want: control.Conference{ID: "room"}, guests: make([][]control.Guest, workers)}
	for i := range workers {
		m.workers = append(m.workers, startWorker(t, i))
		m.mixes = append(m.mixes, rtp.NewSSRC())
	}
	m.put()
	return m
}

func (m *meeting) put() {
	m.Helper()
	for i, w := range m.workers {
		c := m.want
		c.Mix = m.mixes[i]
		for j, o := range m.workers {
			if j != i {
				c.Others = append(c.Others, control.Other{Worker: o.engine.c.Name, Exchange: o.engine.Status().Exchange, Mix: m.mixes[j]})
				c.Guests = append(c.Guests, m.guests[j]...)
			}
		}
		if err := w.client.PutConference(context.Background(), c); err != nil {
			m.Fatal(err)
		}
	}
}

// dial puts a leg at a worker and tells the others of it.
func (m *meeting) dial(worker int, id string, tone float64, colour *[3]byte, change func(*control.Leg)) *phone {
	m.Helper()
	p := m.workers[worker].dial(id, "room", tone, colour, change)
	m.note(worker, id, p.state.Guest)
	return p
}

// again puts a leg with a changed picture.
func (m *meeting) again(worker int, p *phone, change func(*control.Video)) {
	m.Helper()
	v := *p.leg.Video // the engine reads the one before
	change(&v)
	p.leg.Video = &v
	state, err := p.bench.client.PutLeg(context.Background(), p.leg)
	if err != nil {
		m.Fatal(err)
	}
	m.note(worker, p.id, state.Guest)
}

func (m *meeting) note(worker int, id string, g *control.Guest) {
	m.Helper()
	list := slices.DeleteFunc(m.guests[worker], func(g control.Guest) bool { return g.ID == id })
	if g != nil {
		list = append(list, *g)
	}
	m.guests[worker] = list
	m.put()
}

// sees tells that a phone sees all these colours and none of the others.
func (p *phone) seesAll(colours ...[3]byte) func() bool {
	return func() bool {
		seen := 0
		for _, c := range [][3]byte{red, green, blue} {
			found := false
			for _, x := range []float64{0.25, 0.5, 0.75} {
				for _, y := range []float64{0.25, 0.5, 0.75} {
					found = found || p.seesAt(x, y, c)()
				}
			}
			if found != slices.Contains(colours, c) {
				return false
			}
			if found {
				seen++
			}
		}
		return seen == len(colours)
	}
}

func TestLegsOfTwoWorkersHearEachOtherOnceAndNotThemselves(t *testing.T) {
	m := meet(t, 3)
	tones := map[string]float64{"ann": 400, "bob": 700, "cid": 1100, "dot": 1500}
	phones := map[string]*phone{"ann": m.dial(0, "ann", 400, nil, nil), "bob": m.dial(0, "bob", 700, nil, nil),
		"cid": m.dial(1, "cid", 1100, nil, nil), "dot": m.dial(2, "dot", 1500, nil, nil)}
	for id, p := range phones {
		for other, tone := range tones {
			if other != id {
				// At its own level: not twice as loud, which would be 2, and not with an echo, which would beat.
				m.workers[0].until(id+" hears "+other+" once", func() bool { return p.heard(tone) > 0.85 && p.heard(tone) < 1.15 })
			}
		}
	}
	for id, p := range phones {
		if own := p.heard(tones[id]); own > 0.05 {
			t.Errorf("%s hears itself at %.2f", id, own)
		}
	}
}

func TestLegsOfTwoWorkersSeeEachOther(t *testing.T) {
	m := meet(t, 2)
	ann := m.dial(0, "ann", 400, &red, nil)
	bob := m.dial(0, "bob", 0, &green, nil)
	cid := m.dial(1, "cid", 0, &blue, nil)
	b := m.workers[0]
	b.until("ann sees green and blue", ann.seesAll(green, blue))
	b.until("bob sees red and blue", bob.seesAll(red, blue))
	b.until("cid sees red and green", cid.seesAll(red, green))

	// What nobody looks at is not sent.
	sent := func() int {
		n := 0
		for _, p := range *m.workers[0].engine.owner("test").conference("room").mesh.Load().peers.Load() {
			p.mu.Lock()
			n += len(p.outlets)
			p.mu.Unlock()
		}
		return n
	}
	if got := sent(); got != 2 {
		t.Errorf("pictures that go to the other worker: want 2, got %d", got)
	}
	m.again(1, cid, func(v *control.Video) { v.Blind = true })
	b.until("no picture goes to the other worker", func() bool { return sent() == 0 })
}

func TestAPictureOfAnotherWorkerIsForwarded(t *testing.T) {
	m := meet(t, 2)
	only := func(l *control.Leg) { l.View.Layout = "speakerOnly" }
	_ = m.dial(0, "ann", 400, &red, only)
	bob := m.dial(1, "bob", 0, &green, only)
	b := m.workers[1]
	b.until("bob sees ann as she sends herself", func() bool {
		stats, err := b.client.Stats(context.Background(), []string{"bob"})
		return err == nil && len(stats) == 1 && len(stats[0].Video) == 1 && stats[0].Video[0].Class == "forward" && bob.seesAt(0.5, 0.5, red)()
	})
	b.until("the figures say at what rates bob is sent sound and pictures", func() bool {
		stats, err := b.client.Stats(context.Background(), []string{"bob"})
		return err == nil && len(stats) == 1 && len(stats[0].Video) == 1 && stats[0].Video[0].Send.Bitrate > 10_000 && stats[0].Audio != nil &&
			stats[0].Audio.Send.Bitrate > 10_000
	})
}

func TestASpeakerOfAnotherWorkerIsShown(t *testing.T) {
	m := meet(t, 2)
	_ = m.dial(0, "ann", 0, &red, nil)
	bob := m.dial(0, "bob", 0, &green, nil)
	cid := m.dial(1, "cid", 0, &blue, func(l *control.Leg) { l.View.Layout = "speakerOnly" })
	b := m.workers[1]
	speaker := func() string {
		at := m.workers[1].engine.owner("test").conference("room").bus.Speakers()
		for _, g := range m.guests[0] {
			if len(at) > 0 && at[0] == g.Source {
				return g.ID
			}
		}
		return ""
	}
	b.until("cid sees somebody", func() bool { return cid.seesAt(0.5, 0.5, red)() || cid.seesAt(0.5, 0.5, green)() })
	bob.say(700)
	b.until("bob is who speaks at the other worker", func() bool { return speaker() == "bob" })
	b.until("cid sees bob", cid.seesAt(0.5, 0.5, green))
	if e := m.workers[0].wait("bob speaks", func(e control.Event) bool { return e.Event == control.EventSpeaker }); e.Leg != "bob" {
		t.Errorf("speaker at bob's worker: want bob, got %q", e.Leg)
	}
	for len(b.events) > 0 {
		if e := <-b.events; e.Event == control.EventSpeaker {
			t.Errorf("the worker of others told of the speaker %q as well", e.Leg)
		}
	}
}

func TestGuestsThatAreGoneAreNotShown(t *testing.T) {
	m := meet(t, 2)
	ann := m.dial(0, "ann", 400, &red, nil)
	bob := m.dial(1, "bob", 0, &green, func(l *control.Leg) { l.View.Counter = "always" })
	cid := m.dial(1, "cid", 0, &blue, nil)
	b := m.workers[1]
	b.until("bob sees red and blue", bob.seesAll(red, blue))
	b.until("cid hears ann", func() bool { return cid.heard(400) > 0.2 })

	// The camera of a guest goes off and on.
	m.again(0, ann, func(v *control.Video) { v.Muted = true })
	b.until("bob sees blue alone", bob.seesAll(blue))
	m.again(0, ann, func(v *control.Video) { v.Muted = false })
	b.until("bob sees red and blue again", bob.seesAll(red, blue))

	// The worker dies: the manager takes its legs out of the others' conferences.
	if err := b.client.PutConference(context.Background(), control.Conference{ID: "room"}); err != nil {
		t.Fatal(err)
	}
	b.until("bob sees blue alone", bob.seesAll(blue))
	b.until("cid does not hear ann", func() bool { return cid.heard(400) < 0.02 })
	x := b.engine.exchange
	if peers, layers := len(*x.peers.Load()), len(*x.layers.Load()); peers != 0 || layers != 0 {
		t.Errorf("the exchange still knows %d peers and %d layers", peers, layers)
	}
}

func TestAPresentationOfAnotherWorkerIsShown(t *testing.T) {
	m := meet(t, 2)
	screen := func(l *control.Leg) {
		// What this phone sends is its presentation; a camera it has none.
		v := *l.Video
		l.Presentation, l.Video.Direction = &v, control.SendOnly
		l.Video.Receive = []control.Format{{Codec: control.H264, PayloadType: 98, PacketizationMode: 1}}
	}
	_ = m.dial(0, "ann", 0, &red, screen)
	bob := m.dial(1, "bob", 0, &green, func(l *control.Leg) { l.View.PresentationIn = true })
	cid := m.dial(1, "cid", 0, &blue, nil)
	b := m.workers[1]
	b.until("cid sees green", cid.seesAll(green))
	m.want.Presenter = "ann"
	m.put()
	b.until("bob sees the presentation of ann in his picture", func() bool {
		for _, x := range []float64{0.25, 0.5, 0.75} {
			if c, ok := bob.sees(x, 0.5); ok && alike(c, red) {
				return true
			}
		}
		return false
	})
	m.want.Presenter = ""
	m.put()
	b.until("bob sees no presentation", bob.seesAll(blue))
}

func TestJoinAndLeaveTonesOfGuests(t *testing.T) {
	m := meet(t, 2)
	m.want.JoinTone, m.want.LeaveTone = true, true
	m.put()
	ann := m.dial(0, "ann", 0, nil, nil)
	b := m.workers[0]
	b.until("ann gets packets", func() bool {
		ann.mu.Lock()
		defer ann.mu.Unlock()
		return ann.packets > 30
	})
	if got := ann.heard(880); got > 0.02 {
		t.Errorf("the first one hears a tone at %.2f", got)
	}
	_ = m.dial(1, "bob", 0, nil, nil)
	b.until("ann hears that bob comes", func() bool { return ann.heard(880) > 0.05 })
	b.until("the tone ends", func() bool { return ann.heard(880) < 0.01 })
	m.guests[1] = nil
	m.put()
	b.until("ann hears that bob goes", func() bool { return ann.heard(660) > 0.05 })
}

func TestWhatIsNotRepeatedIsForgotten(t *testing.T) {
	m := meet(t, 2)
	_ = m.dial(0, "ann", 0, &red, nil)
	bob := m.dial(1, "bob", 0, &green, nil)
	b := m.workers[1]
	b.until("bob sees ann", bob.seesAll(red))
	room := b.engine.owner("test").conference("room")
	var guest *contribution
	for _, g := range room.guests.Load().list {
		guest = g.contribution[mainPicture]
	}
	later := time.Now().Add(forgetAfter + sayEvery)
	guest.expire(later)
	if !guest.off(time.Now()) || len(*b.engine.exchange.layers.Load()) != 0 {
		t.Error("a layer that was not offered for three seconds is still there")
	}
	// The next offer brings it back.
	b.until("it is offered again", func() bool { return !guest.off(time.Now()) })

	home := m.workers[0].engine.owner("test").conference("room")
	p := (*home.mesh.Load().peers.Load())[0]
	p.serve(nil, later)
	p.mu.Lock()
	wanted, outlets := len(p.wanted), len(p.outlets)
	p.mu.Unlock()
	if wanted+outlets != 0 {
		t.Errorf("of a worker that has asked for nothing in three seconds: %d layers wanted, %d sent; want none", wanted, outlets)
	}
}

func TestAPinnedGuestIsSeatedFirst(t *testing.T) {
	g := control.Guest{ID: "ann", Source: 1, Screen: 2, Video: true}
	b := start(t)
	c := b.engine.owner("test").conference("room")
	c.put(control.Conference{ID: "room", Guests: []control.Guest{{ID: "zoe", Source: 3, Screen: 4, Video: true}, g}})
	s := newStage(b.engine.director, c)
	s.enter(nil, time.Now())
	s.welcome(time.Now())
	seats, _ := layout.Seat(&control.View{Layout: "speakerOnly", Pinned: "ann"}, &s.room, nil, time.Now())
	if len(seats.Seats) != 1 || seats.Seats[0] != g.Source {
		t.Errorf("seats with ann pinned: want [%d], got %v", g.Source, seats.Seats)
	}
	if len(s.room.Participants) != 2 {
		t.Errorf("participants: want 2, got %d", len(s.room.Participants))
	}
}
