package leg

import (
	"bytes"
	"testing"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
)

// Far ends that refuse RTP/AVP with keys are offered RTP/SAVP, and those that refuse keys none.
func TestMediaThatAreRefusedAreOfferedInAnotherWay(t *testing.T) {
	for _, c := range []struct {
		ours   sdp.Encryption
		takes  func(offer []byte) bool
		offers int
		end    string
		sdp.Encryption
	}{
		{sdp.Optional, func(o []byte) bool { return bytes.Contains(o, []byte("RTP/SAVP")) }, 2, "answered", sdp.Required},
		{"", func(o []byte) bool { return bytes.Contains(o, []byte("RTP/SAVP")) }, 2, "answered", sdp.Required},
		{sdp.Optional, func(o []byte) bool { return !bytes.Contains(o, []byte("a=crypto")) }, 3, "answered", sdp.Prohibited},
		{sdp.Optional, func([]byte) bool { return false }, 3, "ended remoteRejected true", ""},
		{sdp.Required, func([]byte) bool { return false }, 1, "ended encryptionRequired true", ""},
		{sdp.Prohibited, func([]byte) bool { return false }, 1, "ended remoteRejected true", ""},
	} {
		w := newWorld(t)
		w.settings.Encryption = c.ours
		w.arrive = func(wire *wire) {
			if !c.takes(wire.offer) {
				wire.callee.Reject(488, "Not Acceptable Here")
				return
			}
			w.take(w.peers, wire).line.Accept()
		}
		near := newTold(t)
		line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
		near.await(c.end, 1)
		w.mu.Lock()
		offers := len(w.dialed)
		w.mu.Unlock()
		if offers != c.offers {
			t.Errorf("%q: want %d offers, got %d", c.ours, c.offers, offers)
		}
		if c.end != "answered" {
			continue
		}
		if m, _ := near.info(); m.Encrypted != (c.Encryption == sdp.Required) {
			t.Errorf("%q: want what the far end takes, got %+v", c.ours, m)
		}
		// Settings that are the same are no reason for another offer, and later ones are as the far end takes them.
		far := wait(t, "the far end", w.came)
		w.legs.Adjust()
		line.Hold(true)
		far.await("held true", 1)
		if said := far.wire.caller.all(); said != "reoffer" {
			t.Errorf("%q: want one offer, got %s", c.ours, said)
		}
	}
}

func TestProgressIsNotRinging(t *testing.T) {
	w := newWorld(t)
	w.plan = dialplan.Compile(dialplan.Rules{Outbound: []dialplan.OutboundRule{
		{Domain: "", Priority: 2, Encryption: dialplan.Unencrypted}, {Domain: "", Priority: 1, Encryption: dialplan.Unencrypted}}})
	n := 0
	w.arrive = func(wire *wire) {
		w.mu.Lock()
		n++
		first := n == 1
		w.mu.Unlock()
		if first {
			wire.caller.tell(func(h sip.Handler) { h.Ringing(183); h.Ringing(181); h.Ringing(182) })
			wire.callee.Reject(480, "Temporarily Unavailable")
			return
		}
		w.take(w.peers, wire).line.Accept()
	}
	near := newTold(t)
	w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
	near.await("answered", 1)
	if near.heard("ringing") {
		t.Errorf("nothing rang, and was told %q", near.said)
	}
}

// What the meeting says when it dials is in the first offer: being told the same again is no reason for another one.
func TestTheRightsOfADialAreInItsOffer(t *testing.T) {
	w := newWorld(t)
	var rights profiles.Effective
	asked := make(chan bool, 100)
	settings := w.legs.o.Settings
	w.legs.o.Settings = func(r *profiles.Effective) Settings {
		asked <- r != nil
		s := settings(r)
		s.Presentation = s.Presentation && r == nil
		return s
	}
	near := newTold(t)
	line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1", Rights: &rights}, near)
	near.await("answered", 1)
	far := wait(t, "the far end", w.came)
	if !wait(t, "the settings", asked) {
		t.Error("the first offer was made without the rights")
	}
	if m, _ := near.info(); m.Presentation {
		t.Errorf("want no presentation, got %+v", m)
	}
	line.(*Line).Adjust(rights)
	line.Hold(true)
	far.await("held true", 1)
	if said := far.wire.caller.all(); said != "reoffer" {
		t.Errorf("want one offer, got %s", said)
	}
}
