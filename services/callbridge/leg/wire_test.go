package leg

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// quiet is a bridge without media.
func quiet(t *testing.T, change ...func(*bridge)) (*bridge, *controltest.Engine) {
	t.Helper()
	e := controltest.New(control.WorkerStatus{Name: "0.0"})
	return newBridge(t, e.Owner("bridge"), change...), e
}

// call makes a call from one bridge to another, by TLS or TCP.
func (b *bridge) call(to *bridge, by sip.Transport) *came {
	b.Helper()
	c := &came{told: newTold(b)}
	address := strings.TrimPrefix(to.uri("room", by), "sip:")
	address = address[:strings.Index(address, ";")]
	if by == sip.TLS {
		address = strings.Replace(address, "127.0.0.1", "localhost", 1)
	}
	line, _ := b.legs.Dial(b.Context(), meeting.Dial{Leg: id(), To: address, FromName: "Room", From: "room@rotunda.example"}, c.told)
	c.line = line.(*Line)
	return c
}

func TestTwoBridgesAgreeOverSIP(t *testing.T) {
	t.Parallel()
	for _, by := range []sip.Transport{sip.TCP, sip.TLS} {
		t.Run(string(by), func(t *testing.T) {
			a, _ := quiet(t)
			b, engine := quiet(t)
			out := a.call(b, by)
			in := wait(t, "the call", b.came)
			out.await("answered", 1)
			in.await("answered", 1)
			if in.Secure != (by == sip.TLS) || in.Name != "Room" || in.Address != "room@rotunda.example" || !strings.HasPrefix(in.Called, "room@") {
				t.Errorf("want a call of the room, got %+v", in.Arrival)
			}
			if m, _ := in.info(); !m.Audio || !m.Video || !m.Presentation || !m.Encrypted || m.Unencrypted {
				t.Errorf("want encrypted sound and pictures, got %+v", m)
			}
			out.line.Hold(true)
			in.await("held true", 1)
			in.line.Hold(true)
			out.await("held true", 1)
			out.line.Hold(false)
			in.line.Hold(false)
			in.await("held false", 1)
			out.await("held false", 1)
			if d := engine.Leg("bridge", in.line.ID().String()).Audio.Direction; d != control.SendReceive {
				t.Errorf("want sound both ways, got %q", d)
			}
			out.line.SendKeys("5")
			in.line.Hangup(meeting.ParticipantLimit)
			out.await("ended remoteTeardown true", 1)
			in.await("ended participantLimitReached false", 1)
		})
	}
}

// Both sides change what they want at the same time, again and again; in the end both have what was wanted last.
func TestOffersThatCrossOverSIP(t *testing.T) {
	t.Parallel()
	a, engineA := quiet(t)
	b, engineB := quiet(t)
	out := a.call(b, sip.TCP)
	in := wait(t, "the call", b.came)
	out.await("answered", 1)
	in.await("answered", 1)
	for range 3 {
		out.line.Hold(true)
		in.line.Hold(true)
		if rand.IntN(2) == 0 {
			out.line.Hold(false)
		}
	}
	out.line.Hold(false)
	in.line.Hold(false)
	both := func() bool {
		x, y := engineA.Leg("bridge", out.line.ID().String()).Audio, engineB.Leg("bridge", in.line.ID().String()).Audio
		return x != nil && y != nil && x.Direction == control.SendReceive && y.Direction == control.SendReceive
	}
	in.until("sound both ways in the end", both)
	// It stays so: nothing is under way any more.
	in.until("nothing under way", func() bool {
		var list [2]exchange
		done := make(chan struct{})
		out.line.q.add(func() { list[0] = out.line.exchange; in.line.q.add(func() { list[1] = in.line.exchange; close(done) }) })
		<-done
		return list == [2]exchange{}
	})
	if !both() {
		t.Error("sound does not go both ways in the end")
	}
	if out.heard("ended error false") || in.heard("ended error false") {
		t.Error("the call ended")
	}
}

func TestRefusalsOverSIP(t *testing.T) {
	t.Parallel()
	a, _ := quiet(t, func(b *bridge) { b.settings.Encryption = sdp.Required })
	b, _ := quiet(t, func(b *bridge) { b.settings.Encryption = sdp.Prohibited })
	a.call(b, sip.TCP).await("ended encryptionRequired true", 1)
	for why, want := range map[meeting.Reason]string{meeting.UnknownDestination: "unknownDestination", meeting.TenantLimit: "remoteBusy", meeting.RemoteRejected: "remoteRejected",
		meeting.CallDeactivated: "timeout", meeting.Failed: "error", meeting.IncorrectPasscode: "remoteRejected"} {
		c, _ := quiet(t, func(b *bridge) { b.arrive = func(_ *bridge, c *came) { c.line.Hangup(why) } })
		a.settings.Encryption = sdp.Optional
		a.call(c, sip.TCP).await(fmt.Sprintf("ended %s true", want), 1)
	}
	silent, _ := quiet(t, func(b *bridge) { b.arrive = func(_ *bridge, c *came) { c.line.Ring() } })
	a.settings.RingFor = 50 * time.Millisecond
	a.call(silent, sip.TCP).await("ended ringingTimeout false", 1)
	wait(t, "the call", silent.came).await("ended remoteTeardown true", 1)
}

func TestTransferOverSIP(t *testing.T) {
	t.Parallel()
	a, _ := quiet(t)
	b, _ := quiet(t)
	c, _ := quiet(t)
	out := a.call(b, sip.TCP)
	in := wait(t, "the call", b.came)
	out.await("answered", 1)
	in.await("answered", 1)
	to := c.uri("carol", sip.TCP)
	out.line.Refer(to[:strings.Index(to, ";")])
	in.await("retargeted", 1)
	out.await("ended callMoved false", 1)
	carol := wait(t, "the second call", c.came)
	carol.await("answered", 1)
	if _, who := in.info(); !strings.HasPrefix(who.Address, "carol@") {
		t.Errorf("want carol, got %+v", who)
	}
	in.line.Hold(true)
	carol.await("held true", 1)
	carol.line.Hangup(meeting.ClientTeardown)
	in.await("ended remoteTeardown true", 1)
}

func TestACallTakesThePlaceOfAnotherOverSIP(t *testing.T) {
	t.Parallel()
	a, _ := quiet(t)
	b, _ := quiet(t)
	out := a.call(b, sip.TCP)
	in := wait(t, "the call", b.came)
	out.await("answered", 1)
	in.await("answered", 1)
	id, local, remote := in.line.call.(*sip.Call).Dialog()
	other := newTold(t)
	far := a.legs.line(uuid.New(), false)
	far.Tell(other)
	far.q.add(func() {
		far.settings = a.settings
		far.own = func(*Settings) {}
		offer, err := far.firstOffer([]sip.Target{{Transport: sip.TCP, Address: in.line.call.Local()}})
		if err != nil {
			t.Error(err)
			return
		}
		e := &ear{l: far}
		far.ear.Store(e)
		far.exchange = offering
		to := b.uri("room", sip.TCP)
		far.call = a.agent.Dial(sip.Dial{To: to, From: "sip:dave@example.com", Transports: []sip.Transport{sip.TCP}, Offer: offer,
			Replaces: fmt.Sprintf("%s;to-tag=%s;from-tag=%s", id, local, remote)}, e)
	})
	in.await("retargeted", 1)
	other.await("answered", 1)
	out.await("ended remoteTeardown true", 1)
	if _, who := in.info(); who.Address != "dave@example.com" {
		t.Errorf("want dave, got %+v", who)
	}
	far.Hangup(meeting.ClientTeardown)
	in.await("ended remoteTeardown true", 1)
}
