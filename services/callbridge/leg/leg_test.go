package leg

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
	"rotunda/services/media/control"
)

func id() meeting.ID { return uuid.New() }

func TestAnIncomingCallIsAnsweredWhenTheMeetingSaysSo(t *testing.T) {
	w := newWorld(t)
	rung := make(chan struct{})
	w.arrive = func(wire *wire) {
		c := w.take(w.legs, wire)
		c.line.Ring()
		<-rung
		if wire.callee.did("accept") {
			t.Error("it was answered before the meeting said so")
		}
		c.line.Accept()
	}
	far := newTold(t)
	line, _ := w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1", FromName: "Alice", From: "alice@example.com"}, far)
	far.await("ringing", 1)
	close(rung)
	c := wait(t, "the call", w.came)
	if c.Called != "space@127.0.0.1" || c.Name != "Caller" || c.Address != "alice@example.com" || !c.Arrival.Offer.Audio || !c.Arrival.Offer.Video {
		t.Errorf("want a call of alice with sound and video, got %+v", c.Arrival)
	}
	c.await("answered", 1)
	far.await("answered", 1)
	m, who := c.info()
	if !m.Audio || !m.Video || who.Address != "alice@example.com" {
		t.Errorf("want sound and video of alice, got %+v of %+v", m, who)
	}
	put := w.media(c)
	if len(put.Transports) < 2 || !put.Transports[0].Remote.IsValid() || put.Audio == nil || put.Video == nil {
		t.Errorf("want media with a far end, got %+v", put)
	}
	line.Hangup(meeting.ClientTeardown)
	c.await("ended remoteTeardown true", 1)
	far.await("ended clientInitiatedTeardown false", 1)
	w.engine.Await(t, "deleteLeg "+c.line.ID().String())
	if w.legs.Len() != 0 || w.peers.Len() != 0 {
		t.Errorf("want no legs, got %d and %d", w.legs.Len(), w.peers.Len())
	}
}

func TestALateOfferIsMadeInTheAnswer(t *testing.T) {
	w := newWorld(t)
	wire := newWire("sip:alice@example.com", "sip:space@127.0.0.1", nil)
	far := &late{t: t, offer: make(chan []byte, 1)}
	wire.caller.h = far
	c := w.take(w.legs, wire)
	if !c.Arrival.Offer.Audio || !c.Arrival.Offer.Video {
		t.Errorf("want what we will offer, got %+v", c.Arrival.Offer)
	}
	c.line.Accept()
	offer := wait(t, "our offer", far.offer)
	far2 := sdp.New(sdp.Policy{}, rand.Reader)
	if err := far2.ReadOffer(offer); err != nil {
		t.Fatal(err)
	}
	var leg control.Leg
	far2.Apply(&leg, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	answer, err := far2.WriteAnswer(stateOf(leg), sdp.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	wire.caller.AnswerOffer(answer)
	c.await("answered", 1)
	if m, _ := c.info(); !m.Audio || m.Video {
		t.Errorf("want sound alone, got %+v", m)
	}
	if put := w.media(c); put.Transports[0].Remote.Port() != 40000 {
		t.Errorf("want the far end's port, got %v", put.Transports[0].Remote)
	}
}

// stateOf is what an engine would answer.
func stateOf(l control.Leg) (s control.LegState) {
	for i := range l.Transports {
		s.Transports = append(s.Transports, control.TransportState{RTP: []netip.AddrPort{netip.AddrPortFrom(l.Transports[i].Local[0], uint16(40000+2*i))},
			RTCP: []netip.AddrPort{netip.AddrPortFrom(l.Transports[i].Local[0], uint16(40001+2*i))}})
	}
	return s
}

// late is a far end that waits for an offer.
type late struct {
	sip.Handler
	t     *testing.T
	offer chan []byte
}

func (l *late) Offered(b []byte) { l.offer <- b }
func (l *late) Confirmed()       {}
func (l *late) Ringing(int)      {}
func (l *late) Ended(sip.End)    {}
func (l *late) Answered([]byte)  {}

func (l *late) Info(string, []byte) int { return 200 }

func TestRefusalsOfTheMeetingHaveTheirCodes(t *testing.T) {
	for why, want := range map[meeting.Reason]string{
		meeting.UnknownDestination: "reject 404", meeting.MenuUnknownCall: "reject 404", meeting.ParticipantLimit: "reject 486", meeting.TenantLimit: "reject 486",
		meeting.RemoteBusy: "reject 486", meeting.RemoteRejected: "reject 603", meeting.IncorrectPasscode: "reject 403", meeting.EncryptionRequired: "reject 488",
		meeting.CallDeactivated: "reject 480", meeting.Failed: "reject 503", meeting.APITeardown: "reject 480",
	} {
		w := newWorld(t)
		w.arrive = func(wire *wire) { w.take(w.legs, wire).line.Hangup(why) }
		far := newTold(t)
		w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, far)
		c := wait(t, "the call", w.came)
		c.await("ended "+string(why)+" false", 1)
		if !c.wire.callee.did(want) {
			t.Errorf("%s: want %s, got %s", why, want, c.wire.callee.all())
		}
		if len(c.wire.callee.headers) == 0 && why != meeting.RemoteBusy && why != meeting.RemoteRejected && why != meeting.APITeardown {
			t.Errorf("%s: no header says why", why)
		}
		if said := w.engine.Said(); slices.Contains(said, "putLeg "+c.line.ID().String()) {
			t.Errorf("%s: ports were opened for a call that was refused: %q", why, said)
		}
	}
}

func TestRefusalsOfFarEndsAreReasons(t *testing.T) {
	for code, want := range map[int]meeting.Reason{
		486: meeting.RemoteBusy, 600: meeting.RemoteBusy, 603: meeting.RemoteRejected, 403: meeting.RemoteRejected, 404: meeting.UnknownDestination, 604: meeting.UnknownDestination,
		480: meeting.TimedOut, 408: meeting.TimedOut, 500: meeting.Failed, 503: meeting.Failed, 488: meeting.RemoteRejected, 302: meeting.UnknownDestination,
	} {
		w := newWorld(t)
		w.arrive = func(wire *wire) { wire.callee.Reject(code, "no") }
		near := newTold(t)
		line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
		near.await(fmt.Sprintf("ended %s true", want), 1)
		w.engine.Await(t, "deleteLeg "+line.(*Line).ID().String())
	}
	for _, c := range []struct {
		end      sip.End
		required bool
		want     meeting.Reason
	}{
		{sip.End{Lookup: true, Unreachable: true}, false, meeting.DNSFailure},
		{sip.End{RingTimeout: true, Timeout: true}, false, meeting.RingingTimeout},
		{sip.End{Unreachable: true}, false, meeting.Failed},
		{sip.End{Code: 488}, true, meeting.EncryptionRequired},
		{sip.End{Timeout: true}, false, meeting.TimedOut},
	} {
		if got := reasonFor(c.end, c.required); got != c.want {
			t.Errorf("%+v: want %s, got %s", c.end, c.want, got)
		}
	}
}

func TestACallForWhichThereAreNoMediaIsRefused(t *testing.T) {
	w := newWorld(t)
	w.engine.Refuse(func(ask, _ string) error {
		if ask == "putLeg" {
			return &control.Error{Code: control.CodeCapacity, Text: "full"}
		}
		return nil
	})
	w.arrive = func(wire *wire) { w.take(w.legs, wire).line.Accept() }
	far := newTold(t)
	w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, far)
	c := wait(t, "the call", w.came)
	c.await("ended error false", 1)
	far.await("ended error true", 1)
	if !c.wire.callee.did("reject 503") || !slices.ContainsFunc(c.wire.callee.headers, func(h sip.Header) bool { return h.Name == "Retry-After" }) {
		t.Errorf("want 503 with a time, got %s %v", c.wire.callee.all(), c.wire.callee.headers)
	}
}

func TestMediaEncryptionIsWhatTheSettingsOfTheLegSay(t *testing.T) {
	for _, c := range []struct {
		ours, theirs sdp.Encryption
		encrypted    bool
		refused      bool
	}{
		{sdp.Optional, sdp.Optional, true, false},
		{sdp.Required, sdp.Optional, true, false},
		{sdp.Optional, sdp.Required, true, false},
		{sdp.Prohibited, sdp.Optional, false, false},
		{sdp.Optional, sdp.Prohibited, false, false},
		{sdp.Required, sdp.Prohibited, false, true},
		{sdp.Prohibited, sdp.Required, false, true},
	} {
		w := newWorld(t)
		w.settings.Encryption, w.farSettings.Encryption = c.ours, c.theirs
		w.arrive = func(wire *wire) { w.take(w.legs, wire).line.Accept() }
		far := newTold(t)
		w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, far)
		near := wait(t, "the call", w.came)
		if c.refused {
			why := meeting.Failed
			if c.ours == sdp.Required {
				why = meeting.EncryptionRequired
			}
			near.await(fmt.Sprintf("ended %s false", why), 1)
			if !near.wire.callee.did("reject 488") {
				t.Errorf("%+v: want 488, got %s", c, near.wire.callee.all())
			}
			continue
		}
		near.await("answered", 1)
		if c.encrypted {
			m, _ := near.info()
			if !m.Encrypted || m.Unencrypted || m.Cipher == "" {
				t.Errorf("%+v: want encrypted media, got %+v", c, m)
			}
			continue
		}
		if m, _ := near.info(); m.Encrypted || !m.Unencrypted || m.Cipher != "" {
			t.Errorf("%+v: want plain media, got %+v", c, m)
		}
		for _, tr := range w.media(near).Transports {
			if tr.Security != control.Plain {
				t.Errorf("%+v: want plain transports, got %s", c, tr.Security)
			}
		}
	}
}

func TestSettingsOfTheSpaceCountWhenTheCallIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.farSettings.Encryption = sdp.Prohibited
	w.arrive = func(wire *wire) {
		c := w.take(w.legs, wire)
		w.set(&w.settings, func(s *Settings) { s.Encryption = sdp.Required })
		c.line.Adjust(profiles.Effective{})
		c.line.Accept()
	}
	w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, newTold(t))
	near := wait(t, "the call", w.came)
	near.await("ended encryptionRequired false", 1)
}

func TestChangedSettingsAreAgreedOnAnew(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	w.set(&w.settings, func(s *Settings) { s.Video = false })
	w.legs.Adjust()
	near.await("changed", 1)
	far.await("changed", 1)
	if m, _ := far.info(); m.Video || !m.Audio {
		t.Errorf("want no video any more, got %+v", m)
	}
	if w.media(near).Video != nil {
		t.Error("the engine still has video")
	}
	w.set(&w.settings, func(s *Settings) { s.Video = true })
	w.legs.Adjust()
	near.await("changed", 2)
	if m, _ := near.info(); !m.Video {
		t.Errorf("want video again, got %+v", m)
	}
	w.legs.Adjust()
	near.line.Hangup(meeting.APITeardown)
	near.await("ended apiInitiatedTeardown false", 1)
	if n := strings.Count(near.wire.callee.all(), "reoffer"); n != 2 {
		t.Errorf("settings that did not change made an offer: %s", near.wire.callee.all())
	}
}

func TestHoldOfEitherSide(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	far.line.Hold(true)
	near.await("held true", 1)
	if d := w.media(near).Audio.Direction; d == control.SendReceive || d == control.SendOnly {
		t.Errorf("want nothing sent to a far end that holds, got %q", d)
	}
	far.line.Hold(false)
	near.await("held false", 1)
	if d := w.media(near).Audio.Direction; d != control.SendReceive {
		t.Errorf("want sound both ways again, got %q", d)
	}
	near.line.Hold(true)
	far.await("held true", 1)
	near.line.Hold(false)
	far.await("held false", 1)
}

func TestALegOfADeadWorkerIsOfferedAnew(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	w.on("0.1")
	w.mixer.Event(control.Event{Event: control.EventLost, Legs: []string{near.line.ID().String()}, Worker: "0.0"})
	far.awaitSaid(near.wire.caller, "answer", 1)
	// The far end refuses, as one whose own media are busy: it is asked again.
	w.on("0.2")
	refuse := true
	w.far.Refuse(func(ask, _ string) error {
		if ask == "putLeg" && refuse {
			refuse = false
			return &control.Error{Code: control.CodeCapacity, Text: "full"}
		}
		return nil
	})
	w.mixer.Event(control.Event{Event: control.EventLost, Legs: []string{near.line.ID().String()}, Worker: "0.1"})
	far.awaitSaid(near.wire.callee, "reoffer", 3)
	far.awaitSaid(near.wire.caller, "answer", 2)
	if near.heard("ended error false") {
		t.Error("the leg ended")
	}
}

// awaitSaid waits until the user of an end did something so often.
func (c *told) awaitSaid(e *end, what string, n int) {
	c.t.Helper()
	for limit := time.Now().Add(10 * time.Second); strings.Count(e.all(), what) < n; <-time.After(time.Millisecond) {
		if time.Now().After(limit) {
			c.t.Fatalf("want %d times %s, got %s", n, what, e.all())
		}
	}
}

func TestALegWhoseMediaCannotBeHadAnyMoreEnds(t *testing.T) {
	for _, code := range []control.Code{control.CodeInternal, control.CodeCapacity} {
		w := newWorld(t)
		near, far := w.up()
		mediaEar{near.line}.Refused(&control.Error{Code: control.CodeInvalid, Text: "a wish that contradicts itself"}) // what was there before goes on
		mediaEar{near.line}.Refused(&control.Error{Code: code, Text: "no"})
		near.await("ended error false", 1)
		far.await("ended remoteTeardown true", 1)
		if !near.wire.callee.did("hangup no media worker has room for the call") && code == control.CodeCapacity {
			t.Errorf("want the reason in the goodbye, got %s", near.wire.callee.all())
		}
	}
}

func TestWhenBothOfferTheFarEndsComesFirst(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	// Ours is on its way while theirs comes in.
	near.wire.callee.held = true
	near.line.Hold(true)
	far.awaitSaid(near.wire.callee, "reoffer", 1)
	w.set(&w.farSettings, func(s *Settings) { s.Video = false })
	far.line.q.add(func() {
		far.line.settings.Video = false
		far.line.session.SetPolicy(far.line.settings.Policy)
		far.line.offer(false)
	})
	near.await("changed", 1)
	far.await("held true", 1)
	if m, _ := near.info(); m.Video {
		t.Errorf("want no video, got %+v", m)
	}
}

func TestKeysAndPicturesByINFO(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	far.wire.caller.Info("application/dtmf-relay", []byte("Signal=5\r\nDuration=160\r\n"))
	far.wire.caller.Info("application/dtmf; x=y", []byte("#"))
	near.await("key 5", 1)
	near.await("key #", 1)
	far.wire.caller.Info("application/media_control+xml", fastUpdate)
	w.engine.Await(t, "keyFrame "+near.line.ID().String()+" main")
	e := &ear{l: near.line}
	for _, c := range []struct {
		kind, body string
		want       int
	}{
		{"application/dtmf-relay", "Signal=x\r\n", 400}, {"application/dtmf", "", 400}, {"text/plain", "hello", 415}, {"", "", 200},
		{"application/media_control+xml", "<media_control/>", 200}, {"APPLICATION/DTMF-RELAY", "signal = *", 200},
	} {
		if got := e.Info(c.kind, []byte(c.body)); got != c.want {
			t.Errorf("%s %q: want %d, got %d", c.kind, c.body, c.want, got)
		}
	}
	near.await("key *", 1)
}

func TestASilentFarEndIsAskedWhetherItIsThere(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	silent := control.Event{Event: control.EventSilent, Leg: near.line.ID().String()}
	w.mixer.Event(silent)
	far.awaitSaid(near.wire.callee, "reoffer", 1)
	w.mixer.Event(silent) // it is asked once
	w.mixer.Event(control.Event{Event: control.EventHeard, Leg: near.line.ID().String()})
	w.mixer.Event(silent)
	far.awaitSaid(near.wire.callee, "reoffer", 2)
	far.line.Hold(true)
	near.await("held true", 1)
	w.mixer.Event(control.Event{Event: control.EventHeard, Leg: near.line.ID().String()})
	w.mixer.Event(silent)
	near.line.Hangup(meeting.APITeardown)
	near.await("ended apiInitiatedTeardown false", 1)
	if n := strings.Count(near.wire.callee.all(), "reoffer"); n != 2 {
		t.Errorf("want two questions, got %s", near.wire.callee.all())
	}
}

func TestOtherWaysAreTriedUnlessTheCalledPersonSaidNo(t *testing.T) {
	for _, c := range []struct {
		code int
		ring bool
		want int // calls
		why  string
	}{
		{404, false, 3, "ended unknownDestination true"},
		{503, false, 3, "ended error true"},
		{486, false, 1, "ended remoteBusy true"},
		{603, false, 1, "ended remoteRejected true"},
		{480, true, 1, "ended timeout true"},
	} {
		w := newWorld(t)
		w.plan = dialplan.Compile(dialplan.Rules{Outbound: []dialplan.OutboundRule{
			{ID: id(), Domain: "example.com", Proxy: "127.0.0.2:5070", Priority: 30, Encryption: dialplan.Encrypted, ContactDomain: "bridge.example.com", FromDomain: "from.example.com"},
			{ID: id(), Domain: "example.com", Proxy: "nowhere.example.com", Priority: 25, Encryption: dialplan.Encrypted},
			{ID: id(), Domain: "example.com", Proxy: "127.0.0.3", Priority: 20, Encryption: dialplan.Auto},
			{ID: id(), Domain: "example.com", Proxy: "127.0.0.4", Priority: 10, Encryption: dialplan.Unencrypted, Stop: true},
			{ID: id(), Domain: "example.com", Proxy: "127.0.0.5", Priority: 1, Encryption: dialplan.Unencrypted},
		}})
		w.arrive = func(wire *wire) {
			if c.ring {
				wire.callee.Ring()
			}
			wire.callee.Reject(c.code, "no")
		}
		w.settings.ResourcePriority = "q735.3"
		near := newTold(t)
		w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@example.com", FromName: "Room", From: "room@rotunda.example", Headers: [][2]string{{"X-A", "b"}}}, near)
		near.await(c.why, 1)
		if len(w.dialed) != c.want {
			t.Errorf("%d: want %d calls, got %d", c.code, c.want, len(w.dialed))
			continue
		}
		d := w.dialed[0]
		if d.To != "sip:bob@example.com" || d.From != "sip:room@from.example.com" || d.FromName != "Room" || d.Contact != "bridge.example.com" ||
			!slices.Equal(d.Next, []sip.Target{{Transport: sip.TLS, Address: netip.MustParseAddrPort("127.0.0.2:5070")}}) ||
			!slices.Equal(d.Headers, []sip.Header{{Name: "Resource-Priority", Value: "q735.3"}, {Name: "X-A", Value: "b"}}) {
			t.Errorf("want the first rule's call, got %+v", d)
		}
		if c.want == 3 {
			if d := w.dialed[1]; d.From != "sip:room@rotunda.example" || len(d.Next) != 2 || d.Next[0].Transport != sip.TLS || d.Next[1].Transport != sip.TCP {
				t.Errorf("want TLS and then TCP, got %+v", d)
			}
			if bytes.Equal(w.dialed[0].Offer, w.dialed[1].Offer) {
				t.Error("two far ends were sent the same keys")
			}
		}
	}
}

func TestACallThatCannotBeMade(t *testing.T) {
	w := newWorld(t)
	near := newTold(t)
	w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@nowhere.example.com"}, near)
	near.await("ended dnsFailure false", 1)
	w.plan = dialplan.Compile(dialplan.Rules{})
	w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
	near.await("ended unknownDestination false", 1)
	if len(w.dialed) != 0 {
		t.Errorf("want no calls, got %+v", w.dialed)
	}
}

func TestWhatACallIsMadeWithCountsBeforeTheSettings(t *testing.T) {
	s := Settings{Policy: sdp.Policy{Encryption: sdp.Optional, Video: true, Presentation: true, SendBandwidth: 2_500_000, ReceiveBandwidth: 2_500_000}}
	d := meeting.Dial{Bandwidth: 512_000, Encryption: "required", NoVideo: true}
	got := s
	limit(&got, d)
	if got.Encryption != sdp.Required || got.Video || got.SendBandwidth != 512_000 || got.ReceiveBandwidth != 512_000 {
		t.Errorf("got %+v", got)
	}
	got = s
	got.Unencrypted, got.Encryption = true, sdp.Prohibited
	if limit(&got, d); got.Encryption != sdp.Prohibited {
		t.Errorf("the licence has no encrypted media, got %s", got.Encryption)
	}
}

func TestARingingCallIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.arrive = func(wire *wire) { w.take(w.peers, wire).line.Ring() }
	near := newTold(t)
	line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
	near.await("ringing", 1)
	line.Hangup(meeting.RingingTimeout)
	near.await("ended ringingTimeout false", 1)
	far := wait(t, "the call", w.came)
	far.await("ended remoteTeardown true", 1)
}

func TestACallTakesThePlaceOfAnother(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	other := newTold(t)
	w.mu.Lock()
	w.arrive = func(wire *wire) {
		wire.replaces = near.wire.callee
		near.line.ear.Load().replaced(wire.callee)
	}
	w.mu.Unlock()
	w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1", From: "carol@example.com"}, other)
	near.await("retargeted", 1)
	other.await("answered", 1)
	far.await("ended remoteTeardown true", 1)
	if _, who := near.info(); who.Address != "carol@example.com" {
		t.Errorf("want carol, got %+v", who)
	}
	near.line.Hangup(meeting.CallEnded)
	other.await("ended remoteTeardown true", 1)
	near.await("ended callEnded false", 1)
}

func TestTheFarEndSendsUsToAnother(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	w.mu.Lock()
	w.arrive = func(wire *wire) { w.take(w.peers, wire).line.Accept() }
	w.mu.Unlock()
	far.line.Refer("sip:carol@127.0.0.1")
	near.await("retargeted", 1)
	far.await("ended callMoved false", 1)
	carol := wait(t, "the call", w.came)
	carol.await("answered", 1)
	if m, _ := carol.info(); !m.Audio || !m.Video {
		t.Errorf("want sound and video with carol, got %+v", m)
	}
	carol.line.Hangup(meeting.ClientTeardown)
	near.await("ended remoteTeardown true", 1)
}

func TestASendingThatFailsLeavesTheCall(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	w.mu.Lock()
	w.arrive = func(wire *wire) { wire.callee.Reject(486, "Busy Here") }
	w.mu.Unlock()
	far.line.Refer("sip:carol@127.0.0.1")
	for limit := time.Now().Add(10 * time.Second); !near.wire.callee.did("progress 486"); <-time.After(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("want to be told of 486, got %s", near.wire.callee.all())
		}
	}
	far.line.Hold(true)
	near.await("held true", 1)
}

func TestMutesStayWhenPortsAreOpenedAnew(t *testing.T) {
	var keep mutes
	l := control.Leg{Audio: &control.Audio{Muted: true, Deaf: true, Gain: true}, Video: &control.Video{Muted: true}, Presentation: &control.Video{Blind: true}}
	keep.take(&l)
	l = control.Leg{Audio: &control.Audio{}, Video: &control.Video{}, Presentation: &control.Video{}}
	keep.give(&l)
	if !l.Audio.Muted || !l.Audio.Deaf || !l.Audio.Gain || !l.Video.Muted || l.Video.Blind || !l.Presentation.Blind || l.Presentation.Muted {
		t.Errorf("got %+v %+v %+v", l.Audio, l.Video, l.Presentation)
	}
}

func TestFarEndsWithoutFeedbackAreAskedForPicturesByINFO(t *testing.T) {
	w := newWorld(t)
	look := make(chan func(), 10)
	w.legs.o.After = func(_ time.Duration, f func()) func() {
		look <- f
		return func() {}
	}
	offer := []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n")
	wire := newWire("sip:old@example.com", "sip:space@127.0.0.1", offer)
	wire.caller.h = &late{t: t}
	c := w.take(w.legs, wire)
	c.line.Accept()
	c.await("answered", 1)
	id := c.line.ID().String()
	infos := func() int {
		wire.callee.mu.Lock()
		defer wire.callee.mu.Unlock()
		return len(wire.callee.infos)
	}
	w.stats = map[string]uint64{id: 2}
	wait(t, "the first look", look)()
	c.until("it is asked", func() bool { return infos() == 1 })
	wait(t, "the second look", look)() // nothing new
	w.stats = map[string]uint64{id: 3}
	wait(t, "the third look", look)()
	c.until("it is asked again", func() bool { return infos() == 2 })
	c.line.Hangup(meeting.CallEnded)
	c.await("ended callEnded false", 1)
	wait(t, "the last look", look)()
	if len(look) != 0 {
		t.Error("nobody is there any more, and it is looked on")
	}
}

func TestACallThatWasForwardedTooOften(t *testing.T) {
	w := newWorld(t)
	near := newTold(t)
	w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1", Headers: [][2]string{{"Max-Forwards", "12"}}}, near)
	near.await("answered", 1)
	if d := w.dialed[0]; d.MaxForwards != 12 || len(d.Headers) != 0 {
		t.Errorf("want 12 hops, got %+v", d)
	}
}

func TestTheFarEndTakesPlainMediaOfAnOfferThatLeavesThemOpen(t *testing.T) {
	w := newWorld(t)
	w.farSettings.Encryption = sdp.Prohibited
	near := newTold(t)
	line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
	near.await("answered", 1)
	far := wait(t, "the call", w.came)
	if m, _ := near.info(); m.Encrypted || !m.Unencrypted {
		t.Errorf("want plain media, got %+v", m)
	}
	for _, tr := range w.engine.Leg("bridge", line.(*Line).ID().String()).Transports {
		if tr.Security != control.Plain || !tr.Remote.IsValid() {
			t.Errorf("want plain transports with a far end, got %+v", tr)
		}
	}
	line.Hangup(meeting.CallEnded)
	near.await("ended callEnded false", 1)
	if n := strings.Count(far.wire.caller.all(), "reoffer"); n != 0 {
		t.Errorf("want the ports to stay, and no further offer, got %s", far.wire.caller.all())
	}
}

func TestSettingsThatChangeWhileItRingsCountWhenItIsAnswered(t *testing.T) {
	w := newWorld(t)
	ring := make(chan *came, 1)
	w.arrive = func(wire *wire) {
		c := w.take(w.peers, wire)
		c.line.Ring()
		ring <- c
	}
	near := newTold(t)
	line, _ := w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
	near.await("ringing", 1)
	w.set(&w.settings, func(s *Settings) { s.Video = false })
	line.(*Line).Adjust(profiles.Effective{})
	far := wait(t, "the ringing", ring)
	far.line.Accept()
	near.await("changed", 1)
	if m, _ := near.info(); m.Video || !m.Audio {
		t.Errorf("want no video, got %+v", m)
	}
}

func TestKeysGoByINFOToThoseThatKnowNoOtherWay(t *testing.T) {
	w := newWorld(t)
	near, far := w.up()
	near.line.SendKeys("12#")
	w.engine.Await(t, "sendKeys "+near.line.ID().String()+" 12#")
	wire := newWire("sip:old@example.com", "sip:space@127.0.0.1", []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"))
	wire.caller.h = &late{t: t}
	old := w.take(w.legs, wire)
	old.line.Accept()
	old.await("answered", 1)
	old.line.SendKeys("1,#")
	old.until("two keys", func() bool {
		wire.callee.mu.Lock()
		defer wire.callee.mu.Unlock()
		return slices.Equal(wire.callee.infos, []string{relayType, relayType})
	})
	_ = far
}

func TestAHangupWhileMediaAreWaitedForHasItsOwnCode(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{}, 1)
	w.engine.Refuse(func(ask, _ string) error {
		if ask == "putLeg" {
			select {
			case asked <- struct{}{}:
			default:
			}
			return &control.Error{Code: control.CodeLost, Text: "no worker"}
		}
		return nil
	})
	w.arrive = func(wire *wire) {
		c := w.take(w.legs, wire)
		c.line.Accept()
		<-asked
		c.line.Hangup(meeting.ParticipantLimit)
	}
	w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, newTold(t))
	c := wait(t, "the call", w.came)
	c.await("ended participantLimitReached false", 1)
	if !c.wire.callee.did("reject 486") {
		t.Errorf("want 486, got %s", c.wire.callee.all())
	}
}

func TestACallerWhoGivesUpWhileMediaAreWaitedFor(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{}, 1)
	w.engine.Refuse(func(ask, _ string) error {
		if ask == "putLeg" {
			select {
			case asked <- struct{}{}:
			default:
			}
			return &control.Error{Code: control.CodeLost, Text: "no worker"}
		}
		return nil
	})
	w.arrive = func(wire *wire) { w.take(w.legs, wire).line.Accept() }
	far := newTold(t)
	line, _ := w.peers.Dial(t.Context(), meeting.Dial{Leg: id(), To: "space@127.0.0.1"}, far)
	c := wait(t, "the call", w.came)
	<-asked
	began := time.Now()
	line.Hangup(meeting.ClientTeardown)
	c.await("ended remoteTeardown true", 1)
	if took := time.Since(began); took > mediaTime/2 {
		t.Errorf("the end was heard after %v", took)
	}
}

func TestAFarEndThatNeverTakesNewPortsIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.legs.o.After = func(_ time.Duration, f func()) func() { go f(); return func() {} }
	near, far := w.up()
	w.far.Refuse(func(ask, _ string) error {
		if ask == "putLeg" {
			return &control.Error{Code: control.CodeCapacity, Text: "full"}
		}
		return nil
	})
	w.on("0.1")
	w.mixer.Event(control.Event{Event: control.EventLost, Legs: []string{near.line.ID().String()}, Worker: "0.0"})
	near.await("ended error false", 1)
	far.await("ended remoteTeardown true", 1)
	if n := strings.Count(near.wire.callee.all(), "reoffer"); n != insistTimes {
		t.Errorf("want %d offers, got %s", insistTimes, near.wire.callee.all())
	}
}

func TestAFarEndSaysThatItRecords(t *testing.T) {
	w := newWorld(t)
	offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
	wire := newWire("sip:recorder@example.com", "sip:space@127.0.0.1", []byte(offer+"a=record:on\r\n"))
	wire.caller.h = &late{t: t}
	c := w.take(w.legs, wire)
	c.line.Accept()
	c.await("records true", 1)
	c.await("answered", 1)
	wire.caller.Reoffer([]byte(strings.Replace(offer, "1 1 IN", "1 2 IN", 1) + "a=record:off\r\n"))
	c.await("records false", 1)
}

func TestAHandshakeThatFailsEndsTheCall(t *testing.T) {
	w := newWorld(t)
	w.farSettings.OfferDTLS = true
	near, far := w.up()
	name := near.line.ID().String()
	w.mixer.Event(control.Event{Event: control.EventTransport, Leg: name, State: "connected", Cipher: control.SuiteAEAD128})
	near.until("the cipher", func() bool { m, _ := near.info(); return m.Cipher == control.SuiteAEAD128 && m.Encrypted })
	w.mixer.Event(control.Event{Event: control.EventTransport, Leg: name, State: "failed", Text: "the certificate is another one"})
	near.await("ended error false", 1)
	far.await("ended remoteTeardown true", 1)
}

func TestAFarEndThatAsksFasterThanItIsServed(t *testing.T) {
	w := newWorld(t)
	near, _ := w.up()
	goOn := make(chan struct{})
	near.line.q.add(func() { <-goOn })
	e := near.line.ear.Load()
	codes := map[int]int{}
	for range 3 * maxTasks {
		codes[e.Info(relayType, []byte("Signal=1"))]++
	}
	if codes[503] < maxTasks || codes[200] < maxTasks/2 {
		t.Errorf("want some to be served and others refused, got %v", codes)
	}
	if code := e.Referred("sip:x@127.0.0.1", ""); code != 503 {
		t.Errorf("want 503, got %d", code)
	}
	close(goOn)
	near.await("key 1", codes[200])
	if code := e.Info(relayType, []byte("Signal=2")); code != 200 {
		t.Errorf("want it served again, got %d", code)
	}
	near.line.legs.o.Transfers = nil
	if code := e.Referred("sip:x@127.0.0.1", ""); code != 403 {
		t.Errorf("want 403 where nobody may send us anywhere, got %d", code)
	}
}

func TestWhatIsNoDescriptionIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	wire := newWire("sip:alice@example.com", "sip:space@127.0.0.1", []byte("hello"))
	if _, _, err := w.legs.Arrive(wire.callee); err == nil || !wire.callee.did("reject 400") {
		t.Errorf("want 400, got %v and %s", err, wire.callee.all())
	}
	if w.legs.Len() != 0 {
		t.Error("there is a leg of it")
	}
}

func TestAMachineWithoutAnAddressHasNoMedia(t *testing.T) {
	w := newWorld(t)
	w.settings.Floor, w.settings.Camera = sdp.ServerOnly, true
	w.legs.o.Addresses = func(netip.Addr, netip.Addr) []netip.Addr { return nil }
	w.engine.Refuse(func(ask, _ string) error {
		if ask == "putLeg" {
			return control.Errorf(control.CodeInvalid, "transports[0]: 0 local addresses: want 1 to 8")
		}
		return nil
	})
	near := newTold(t)
	w.legs.Dial(t.Context(), meeting.Dial{Leg: id(), To: "bob@127.0.0.1"}, near)
	near.await("ended error false", 1)
}
