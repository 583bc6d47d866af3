package leg

import (
	"errors"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
)

// Referred implements [sip.Handler]: the far end sends us to another address, which takes its place in the meeting (RFC 3515, 5589). It is the
// new far end that makes the offer, so that the leg talks on with the old one until then.
func (e *ear) Referred(to, replaces string) int {
	l := e.l
	if allowed := l.legs.o.Transfers; allowed == nil || !allowed(l, to) {
		return 403
	}
	if !l.q.offer(func() {
		if l.ear.Load() == e {
			l.transfer(to, replaces)
		}
	}) {
		return 503
	}
	return 202
}

// ReferDone implements [sip.Referrer]: the far end called who we sent it to.
func (e *ear) ReferDone(code int) {
	e.do(func(l *Line) {
		if l.stage != up || code < 200 {
			return
		}
		if code >= 300 {
			l.log.Info("the far end did not get where it was sent", "code", code)
			return
		}
		l.call.Hangup(partings[meeting.CallMoved])
		l.finish(meeting.CallMoved, false)
	})
}

// Replaced implements [sip.Handler]: another dialog takes the place of this one (RFC 3891).
func (e *ear) Replaced(by *sip.Call) { e.replaced(by) }

func (e *ear) replaced(by Dialog) {
	next := &ear{l: e.l}
	by.Use(next)
	e.l.q.add(func() {
		if e.l.ear.Load() != e || e.l.stage != up || e.l.ctx.Err() != nil {
			by.Reject(481, "Call/Transaction Does Not Exist")
			return
		}
		e.l.replace(by, next)
	})
}

// replace goes over to a dialog that came in.
func (l *Line) replace(by Dialog, next *ear) {
	l.insists = "" // that was another far end's
	session := sdp.New(l.wanted(), l.legs.o.Random)
	offer := by.Offer()
	how := session.WriteAnswer
	if offer == nil {
		session.Prepare()
		how = session.WriteOffer
	} else if err := session.ReadOffer(offer); err != nil {
		by.Reject(488, "Not Acceptable Here", warning(399, printable(err.Error())))
		return
	}
	body, err := l.take(session, by, how)
	if err != nil {
		by.Reject(503, "Service Unavailable")
		l.fail(err)
		return
	}
	by.Accept(body)
	l.call = by
	l.ear.Store(next)
	l.retargeted(offer)
	if offer == nil {
		l.exchange = offering
	}
}

// take opens ports for another far end.
func (l *Line) take(session *sdp.Session, from Dialog, how describe) ([]byte, error) {
	l.session, l.policy, l.exchange, l.again, l.more, l.cipher = session, l.wanted(), settled, false, false, ""
	l.local = l.legs.o.Addresses(from.Local().Addr(), from.Source().Addr())
	if err := l.close(); err != nil {
		return nil, err
	}
	return l.write(how)
}

// retargeted tells who is at the other end now.
func (l *Line) retargeted(description []byte) {
	l.who = identify(l.call)
	who := l.who
	l.tell(func() { l.caller.Retargeted(who) })
	l.settle(description)
}

// transfer is a call to whom the far end sent us.
type transfer struct {
	l        *Line
	from     Dialog // who sent us
	attempts []dialplan.Attempt
	call     Dialog
	ear      *ear // of call
	name     string
	replaces string
}

func (l *Line) transfer(to, replaces string) {
	if l.stage != up || l.sentTo != nil {
		l.call.ReferProgress(503)
		return
	}
	ours := l.call.To()
	if !l.call.Incoming() {
		ours = l.call.From()
	}
	t := &transfer{l: l, from: l.call, name: ours.Name, replaces: replaces}
	t.attempts = l.legs.ways(meeting.Dial{To: to, From: ours.URI, Tenant: l.plan.dial.Tenant}).Attempts
	l.sentTo = t
	t.next(404)
}

// next tries the next way, or tells the far end that there is none left.
func (t *transfer) next(code int) {
	l := t.l
	for len(t.attempts) > 0 {
		a := t.attempts[0]
		t.attempts = t.attempts[1:]
		targets, err := l.legs.targets(l.ctx, a)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			code = 404
			continue
		}
		r := l.legs.request(meeting.Dial{FromName: t.name}, a, targets, nil, l.settings)
		r.Replaces = t.replaces
		t.ear = &ear{l: l, transfer: t}
		t.call = l.legs.o.Dial(r, t.ear)
		return
	}
	t.end(code)
}

// end tells who sent us what came of it.
func (t *transfer) end(code int) {
	t.l.sentTo = nil
	if t.l.stage == up && t.l.call == t.from {
		t.from.ReferProgress(code)
	}
}

// offered: the new far end answered, and makes its offer.
func (t *transfer) offered(body []byte) {
	l := t.l
	if l.stage != up || l.call != t.from {
		t.call.Hangup("the call is over")
		l.sentTo = nil
		return
	}
	l.insists = ""
	session := sdp.New(l.wanted(), l.legs.o.Random)
	err := error(errNoOffer)
	if body != nil {
		err = session.ReadOffer(body)
	}
	if err != nil {
		l.log.Info("who we were sent to offers what cannot be taken", "error", err)
		t.call.RefuseOffer(488)
		t.call.Hangup("not acceptable")
		t.end(488)
		return
	}
	answer, err := l.take(session, t.call, session.WriteAnswer)
	if err != nil {
		t.call.Hangup("no media")
		t.end(503)
		l.fail(err)
		return
	}
	t.call.AnswerOffer(answer)
	t.end(200)
	t.from.Hangup("transferred")
	l.call = t.call
	l.ear.Store(t.ear)
	l.retargeted(body)
}

// ended: the new far end did not answer.
func (t *transfer) ended(e sip.End) {
	if final(e, false) {
		t.attempts = nil
	}
	code := e.Code
	if code < 300 {
		code = 480
	}
	t.next(code)
}

// drop ends a transfer that was not through when the leg ended.
func (t *transfer) drop() {
	if t.call != nil {
		t.call.Hangup("the call is over")
	}
}

var errNoOffer = errors.New("there is no offer")
