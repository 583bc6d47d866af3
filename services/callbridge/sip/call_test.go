package sip

import (
	"strings"
	"testing"
)

func TestACallGoesUpAndDown(t *testing.T) {
	t.Parallel()
	for _, by := range []Transport{UDP, TCP, TLS} {
		t.Run(string(by), func(t *testing.T) {
			a, b := newEnd(t, withTLS, unhurried), newEnd(t, withTLS, unhurried)
			from := a.call(b.at(by), func(d *Dial) { d.Headers = []Header{{"X-Test", "yes"}, {"Via", "no"}} })
			to := b.next()
			c := to.call
			if c.Request() != "sip:space@example.com" || c.From() != (Party{"Alice", "sip:alice@example.org"}) || c.To().URI != "sip:space@example.com" {
				t.Errorf("the call is from %+v to %+v, %s", c.From(), c.To(), c.Request())
			}
			if string(c.Offer()) != "offer" || c.Transport() != by || c.Secure() != (by == TLS) || !c.Incoming() || c.ID() != from.call.ID() {
				t.Errorf("offer %q by %s, secure %v", c.Offer(), c.Transport(), c.Secure())
			}
			if v := c.Header("x-test"); len(v) != 1 || v[0] != "yes" {
				t.Errorf("X-Test is %q", v)
			}
			if !c.Source().Addr().IsLoopback() || c.Local() != b.at(by).Address {
				t.Errorf("from %s to %s", c.Source(), c.Local())
			}
			c.Ring()
			from.wants("ringing 180")
			c.Accept([]byte("answer"))
			from.wants("answered answer", "confirmed")
			to.wants("confirmed")
			if n := len(a.wire.branches("INVITE")); n != 1 {
				t.Errorf("%d INVITEs were sent", n)
			}
			// From each end in turn.
			if by == TCP {
				from.call.Hangup("goodbye")
				if e := to.over(); !e.Remote || e.Reason != "goodbye" || e.Cause != 16 {
					t.Errorf("the far end is told %+v", e)
				}
				if e := from.over(); e.Remote {
					t.Errorf("the near end is told %+v", e)
				}
			} else {
				to.call.Hangup("SIP;cause=200;text=\"enough\"")
				if e := from.over(); !e.Remote || e.Reason != "enough" || e.Cause != 200 {
					t.Errorf("the far end is told %+v", e)
				}
			}
			a.empty()
			b.empty()
			if by != UDP {
				// Everything went over one connection.
				if n := b.Load().Connections; n != 1 {
					t.Errorf("%d connections", n)
				}
			}
		})
	}
}

func TestACallIsRefused(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from := a.call(b.at(UDP))
	b.next().call.Reject(486, "", Header{"Warning", "399 x \"y\""})
	if e := from.over(); !e.Busy || e.Code != 486 || !e.Remote || e.Reason != "Busy Here" {
		t.Errorf("told %+v", e)
	}
	a.wire.await(t, 1, true, "SIP/2.0 486", "Warning: 399")
	b.wire.await(t, 1, true, "ACK")
	a.empty()
	b.empty()
}

func TestACallIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, ring := range []bool{false, true} {
		a, b := newEnd(t), newEnd(t)
		from := a.call(b.at(UDP))
		to := b.next()
		if ring {
			to.call.Ring()
			from.wants("ringing 180")
		}
		from.call.Hangup("changed my mind")
		if e := to.over(); !e.Canceled || !e.Remote || e.Reason != "changed my mind" {
			t.Errorf("told %+v", e)
		}
		from.over()
		a.wire.await(t, 1, true, "SIP/2.0 487")
		b.wire.await(t, 1, true, "ACK")
		a.empty()
		b.empty()
		// The tag of the 487 is that of the 180 (RFC 3261 8.2.6.2).
		if ring && tagOf(a.wire.last(true, "SIP/2.0 487")) != tagOf(a.wire.last(true, "SIP/2.0 180")) {
			t.Error("180 and 487 have different tags")
		}
	}
}

func tagOf(message string) string {
	m, f := parse([]byte(message))
	if f != nil {
		return f.why
	}
	return m.to.tag
}

func TestLateOffer(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from := a.call(b.at(UDP), func(d *Dial) { d.Offer = nil })
	to := b.next()
	if to.call.Offer() != nil {
		t.Errorf("an offer: %q", to.call.Offer())
	}
	to.call.Accept([]byte("their offer"))
	from.wants("offered their offer")
	from.call.AnswerOffer([]byte("our answer"))
	from.wants("confirmed")
	to.wants("answered our answer", "confirmed")
	from.call.Hangup("")
	to.over()
}

func TestReofferBothWays(t *testing.T) {
	t.Parallel()
	for _, by := range []Transport{UDP, TCP} {
		a, b := newEnd(t), newEnd(t)
		from, to := up(t, a, b, by)
		from.call.Reoffer([]byte("two"))
		to.wants("offered two")
		to.call.AnswerOffer([]byte("two too"))
		from.wants("answered two too")
		to.call.Reoffer([]byte("three"))
		from.wants("offered three")
		from.call.RefuseOffer(488)
		to.wants("refused 488")
		// Without a body: the far end makes the offer.
		to.call.Reoffer(nil)
		from.wants("offered")
		from.call.AnswerOffer([]byte("four"))
		to.wants("offered four")
		to.call.AnswerOffer([]byte("four too"))
		from.wants("answered four too")
		to.call.Hangup("")
		from.wants("ended")
	}
}

func TestGlare(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from, to := up(t, a, b, UDP)
	from.call.Reoffer([]byte("from"))
	to.call.Reoffer([]byte("to"))
	// Each end hears of the other's offer once, and has its own answered, in whatever order.
	answers, offers := 0, 0
	for answers < 2 || offers < 2 {
		var p *party
		var got string
		select {
		case got = <-from.told:
			p = from
		case got = <-to.told:
			p = to
		}
		switch {
		case strings.HasPrefix(got, "offered"):
			offers++
			p.call.AnswerOffer([]byte("fine"))
		case got == "answered fine":
			answers++
		default:
			t.Fatalf("told %q", got)
		}
	}
	from.call.Hangup("")
	to.over()
}
