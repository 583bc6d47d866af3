package leg

import (
	"net/netip"
	"testing"

	"rotunda/init/config"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/media/control"
)

func TestMarksAreThoseOfTheClass(t *testing.T) {
	d := config.DSCP{IPv4: map[string]int{"voice": 46, "assured-voice": 44, "multimedia": 34, "multimedia-streaming": 26, "signaling": 24},
		IPv6: map[string]int{"voice": 46, "multimedia": 34, "multimedia-streaming": 26, "low-latency": 18}}
	if got, want := marks(d, false), (control.DSCP{Audio: 46, Video: 34, Presentation: 34}); got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}
	if got, want := marks(d, true), (control.DSCP{Audio: 26, Video: 26, Presentation: 26}); got != want {
		t.Errorf("of a streamer: want %+v, got %+v", want, got)
	}
	d.Assured = true
	if got, want := marks(d, false), (control.DSCP{Audio: 44, Apart: true}); got != want {
		t.Errorf("assured, of which IPv6 and pictures have none: want %+v, got %+v", want, got)
	}
	if got := marks(config.DSCP{}, false); got != (control.DSCP{}) {
		t.Errorf("want no marks, got %+v", got)
	}
	s := New(Options{Marks: func() config.DSCP { return d }})
	for local, want := range map[string][2]uint8{"192.0.2.1": {24, 0}, "::ffff:192.0.2.1": {24, 0}, "2001:db8::1": {0, 18}} {
		a := netip.MustParseAddr(local)
		if got := [2]uint8{s.mark(a, "signaling"), s.mark(a, "low-latency")}; got != want {
			t.Errorf("%s: want %d, got %d", local, want, got)
		}
	}
}

func TestMarksChangeWithoutAnOffer(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	before := near.wire.callee.all()
	w.set(&w.settings, func(*Settings) { w.marks.IPv4 = map[string]int{"voice": 46, "multimedia": 34} })
	w.legs.Remark()
	near.until("the marks", func() bool {
		list := w.media(near).Transports
		return len(list) > 0 && list[0].DSCP == control.DSCP{Audio: 46, Video: 34, Presentation: 34, Apart: true}
	})
	if now := near.wire.callee.all(); now != before {
		t.Errorf("want no offer, got %s after %s", now, before)
	}
	near.line.Hold(true)
	far.await("held true", 1)
	if d := w.media(near).Transports[0].DSCP.Audio; d != 46 {
		t.Errorf("after an offer: want 46, got %d", d)
	}
	// A recorder's, from the beginning.
	w.set(&w.settings, func(*Settings) { w.marks.IPv4["multimedia-streaming"] = 26 })
	w.mu.Lock()
	w.arrive = func(wire *wire) { w.take(w.peers, wire).line.Accept() }
	w.mu.Unlock()
	to := newTold(t)
	line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "recorder@127.0.0.1", Streaming: true}, to)
	to.await("answered", 1)
	if d := w.engine.Leg("bridge", line.(*Line).ID().String()).Transports[0].DSCP; d.Audio != 26 || d.Video != 26 {
		t.Errorf("of a recorder: want 26, got %+v", d)
	}
}
