package sip

import (
	"strings"
	"time"
)

// requested takes a request within the dialog, but ACK and CANCEL.
func (c *Call) requested(m *message, tx *serverTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateEnded {
		c.reply(tx, m, 481, "")
		return
	}
	last, target := &c.remoteSeq, &c.target
	if e := c.dialing.early[m.from.tag]; e != nil {
		last, target = &e.seq, &e.target
	}
	if *last != 0 && m.cseq <= *last {
		// RFC 3261 12.2.2. Equal numbers are another request of the same number, or one that came by two ways.
		c.reply(tx, m, 500, "CSeq is lower than that of an earlier request")
		return
	}
	*last = m.cseq
	if m.path.conn != nil || m.path.transport == UDP && c.path.transport == UDP {
		if c.path.remote != m.path.remote || c.path.conn != m.path.conn {
			c.on(m.path)
		}
	}
	if v := m.values("Allow"); v != nil {
		c.allow = strings.Join(v, ", ")
	}
	if c.behind() && (m.method == "INFO" || m.method == "REFER") {
		c.reply(tx, m, 503, "", Header{"Retry-After", "5"})
		return
	}
	switch m.method {
	case "INVITE":
		c.reinvited(m, tx)
	case "BYE":
		c.reply(tx, m, 200, "")
		text, cause := reasonOf(m)
		c.abandonInvite()
		c.byeLater = false
		if c.state < stateAccepted && !c.incoming {
			c.giveUp("")
		}
		c.finish(End{Remote: true, Reason: text, Cause: cause})
	case "INFO":
		kind := m.get("Content-Type")
		if kind == "" && len(m.body) > 0 {
			c.reply(tx, m, 415, "", Header{"Accept", "application/dtmf-relay, application/media_control+xml"})
			return
		}
		c.tell(func(h Handler) {
			code := 481
			if h != nil {
				code = h.Info(kind, m.body)
			}
			c.reply(tx, m, code, "")
		})
	case "OPTIONS":
		c.reply(tx, m, 200, "", Header{"Allow", allowed}, Header{"Accept", "application/sdp"}, Header{"Supported", supported})
	case "UPDATE":
		c.updateAsked(m, tx, target)
	case "PRACK":
		c.pracked(m, tx)
	case "REFER":
		c.referred(m, tx)
	case "NOTIFY":
		c.notified(m, tx)
	default:
		c.reply(tx, m, 501, "", Header{"Allow", allowed})
	}
}

// reinvited takes a re-INVITE; c.mu is held.
func (c *Call) reinvited(m *message, tx *serverTx) {
	o := &c.offering
	switch {
	case c.inviteTx != nil || c.state < stateConfirmed || c.ok.waiting() || o.theirs != offerNone || len(o.withdrawn) >= maxUntold:
		// An earlier one is not through (RFC 3261 14.2, RFC 6337 for the ACK).
		c.reply(tx, m, 500, "an earlier offer is not through", Header{"Retry-After", itoa(1 + uint32(wait(0, 9*time.Second)/time.Second))})
		return
	case o.ours || o.updates:
		c.reply(tx, m, 491, "")
		return
	}
	if code, why, more := unacceptable(m); code != 0 {
		c.reply(tx, m, code, why, more...)
		return
	}
	if h, short := c.tooShort(m); short {
		c.reply(tx, m, 422, "", h)
		return
	}
	if t := contactOf(m); t != "" {
		c.retarget(t)
	}
	c.reply(tx, m, 100, "")
	c.invite, c.inviteTx = m, tx
	o.theirs = offerReinvite
	body := sdpOf(m)
	if body != nil {
		c.theirSDP = body
	}
	c.tell(func(h Handler) { h.Offered(body) })
}

// updateAsked takes an UPDATE (RFC 3311), which may say anew where its far end is; c.mu is held.
func (c *Call) updateAsked(m *message, tx *serverTx, target *string) {
	o := &c.offering
	body := sdpOf(m)
	if h, short := c.tooShort(m); short {
		c.reply(tx, m, 422, "", h)
		return
	}
	if body == nil {
		if t := contactOf(m); t != "" {
			*target = t
		}
		var more []Header
		if c.state >= stateAccepted {
			more = c.grant(m)
		}
		c.reply(tx, m, 200, "", append(more, Header{"Allow", allowed}, Header{"Supported", supported})...)
		return
	}
	switch {
	case o.theirs != offerNone || c.inviteTx != nil && c.state >= stateAccepted:
		c.reply(tx, m, 500, "an earlier offer is not through", Header{"Retry-After", "1"})
		return
	case o.ours || o.updates || c.ok.waiting() && c.ok.offered || c.rel.waiting && c.rel.sdp:
		c.reply(tx, m, 491, "")
		return
	case c.state < stateAccepted && !c.dialing.answered && !(c.incoming && c.lastSDP != nil):
		// No answer went before this offer (RFC 3311 5.1).
		c.reply(tx, m, 491, "")
		return
	}
	if t := contactOf(m); t != "" {
		*target = t
	}
	o.theirs, o.update, o.updateTx = offerUpdate, m, tx
	c.theirSDP = body
	c.tell(func(h Handler) { h.Offered(body) })
}

// AnswerOffer answers what [Handler.Offered] told: with an answer, or with an offer when there was none.
func (c *Call) AnswerOffer(body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.offering
	if len(o.withdrawn) > 0 {
		if o.withdrawn[0] && c.state != stateEnded {
			c.tell(func(h Handler) { h.OfferRefused(487) })
		}
		o.withdrawn = o.withdrawn[1:]
		return
	}
	kind := o.theirs
	o.theirs = offerNone
	if c.state == stateEnded || kind == offerNone {
		return
	}
	if len(body) > 0 {
		c.lastSDP = body
	}
	switch kind {
	case offerReinvite:
		m, tx := c.invite, c.inviteTx
		c.invite, c.inviteTx = nil, nil
		if tx == nil {
			return
		}
		c.await(tx, m.cseq, sdpOf(m) == nil, true)
		c.replyBody(tx, m, 200, body, c.grant(m)...)
	case offerUpdate, offerPrack:
		m, tx := o.update, o.updateTx
		o.update, o.updateTx = nil, nil
		var more []Header
		if kind == offerUpdate && c.state >= stateAccepted {
			more = c.grant(m)
		}
		c.replyBody(tx, m, 200, body, more...)
		if f := c.rel.accept; f != nil {
			c.rel.accept = nil
			f()
		}
		c.turn()
	case offerLate:
		o.ours = false
		c.acknowledge(c.dialing.done[c.remoteTag], c.inviteSeq(), c.remoteTag, c.target, c.routes, body)
		if o.refresh {
			o.refresh = false
			c.turn()
			return
		}
		c.confirmed()
	case offerLateRel:
		c.seq++
		m := c.buildAt("PRACK", c.seq, c.remoteTag, c.target, c.routes)
		m.add("RAck", c.rel.rack)
		m.setSDP(body)
		c.submit(&outgoing{m: m})
		// It belongs to one branch of a fork only; which one answers is seen by the 2xx.
		c.remoteTag = ""
	}
}

// inviteSeq is the number of the INVITE whose 2xx is to be acknowledged.
func (c *Call) inviteSeq() uint32 { return c.dialing.ackSeq }

// RefuseOffer refuses what [Handler.Offered] told; what was agreed before goes on. 488 is usual.
func (c *Call) RefuseOffer(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.offering
	if len(o.withdrawn) > 0 {
		o.withdrawn = o.withdrawn[1:]
		return
	}
	kind := o.theirs
	o.theirs = offerNone
	if c.state == stateEnded {
		return
	}
	if code < 400 || code > 699 {
		code = 488
	}
	switch kind {
	case offerReinvite:
		c.reject(code, "")
		c.turn()
	case offerUpdate, offerPrack:
		c.reply(o.updateTx, o.update, code, "")
		o.update, o.updateTx = nil, nil
		c.turn()
	case offerLate:
		// The 2xx has to be acknowledged all the same, and the call is over.
		o.ours = false
		c.acknowledge(c.dialing.done[c.remoteTag], c.inviteSeq(), c.remoteTag, c.target, c.routes, nil)
		c.hangup("SIP;cause="+itoa(uint32(code))+";text=\"offer refused\"", End{Code: code, Reason: "offer refused"})
	case offerLateRel:
		c.hangup("SIP;cause="+itoa(uint32(code))+";text=\"offer refused\"", End{Code: code, Reason: "offer refused"})
	}
}

// Reoffer offers something new (re-INVITE); nil asks the far end for an offer. It waits for its turn; of several that wait, the last is sent.
// [Handler.Answered], Offered or OfferRefused follows.
func (c *Call) Reoffer(body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateEnded {
		return
	}
	c.offering.want, c.offering.body = true, body
	c.turn()
}

// turn sends a Reoffer that waits, if nothing is in its way; c.mu is held.
func (c *Call) turn() {
	o := &c.offering
	if !o.want || c.state != stateConfirmed || o.ours || o.updates || c.inviteTx != nil || c.ok.waiting() ||
		o.theirs != offerNone || o.backOff != nil {
		return
	}
	o.want, o.refresh = false, false
	c.reinvite(o.body)
}

// maxCrossed is how often an offer is made again to a far end that always has something else under way.
const maxCrossed = 8

// reinvite sends a re-INVITE; c.mu is held.
func (c *Call) reinvite(body []byte) {
	o := &c.offering
	o.ours, o.body = true, body
	m := c.build("INVITE")
	m.add("Allow", allowed)
	m.add("Supported", supported)
	m.add("Accept", "application/sdp")
	c.session.offer(m)
	m.setSDP(body)
	f := &fork{}
	out := &outgoing{m: m}
	out.answer = func(r *message) { c.reinviteAnswered(out, f, r, body) }
	c.submit(out)
}

func (c *Call) reinviteAnswered(out *outgoing, f *fork, r *message, body []byte) {
	o := &c.offering
	if r.code < 300 {
		if f.ack != nil {
			c.a.send(f.path, f.ack)
			return
		}
		if c.state == stateEnded {
			c.acknowledge(f, out.m.cseq, c.remoteTag, c.target, c.routes, nil)
			return
		}
		if o.theirs == offerLate {
			return // again, and not answered yet
		}
		if t := contactOf(r); t != "" {
			c.retarget(t)
		}
		c.head = &message{headers: r.headers}
		c.session.agreed(c, r, false)
		got := sdpOf(r)
		if body == nil {
			c.dialing.done = map[string]*fork{c.remoteTag: f}
			c.dialing.ackSeq = out.m.cseq
			o.theirs, o.refresh = offerLate, true
			c.theirSDP = got
			c.tell(func(h Handler) { h.Offered(got) })
			return
		}
		c.acknowledge(f, out.m.cseq, c.remoteTag, c.target, c.routes, nil)
		o.ours, o.crossed = false, 0
		same := o.refresh && string(got) == string(c.theirSDP)
		o.refresh = false
		if got != nil {
			c.theirSDP = got
		}
		c.lastSDP = body
		if !same {
			c.tell(func(h Handler) { h.Answered(got) })
		}
		c.turn()
		return
	}
	if f.ack != nil || !o.ours {
		return
	}
	o.ours = false
	refresh := o.refresh
	o.refresh = false
	if c.state != stateConfirmed {
		return
	}
	later, told := seconds(r.get("Retry-After"))
	glare := !refresh && (r.code == 491 || r.code == 500 && told && !r.local())
	if !glare {
		o.crossed = 0
	}
	switch {
	case glare && o.crossed < maxCrossed:
		o.crossed++
		if !o.want { // a newer one has its turn instead
			o.want, o.body = true, body
		}
		// Who made the call waits longer (RFC 3261 14.1); after 500 the far end says how long (14.2).
		d := wait(0, 2*time.Second)
		if !c.incoming {
			d = wait(2100*time.Millisecond, 4*time.Second)
		}
		if r.code == 500 {
			d = min(later, 10*time.Second)
		}
		o.backOff = time.AfterFunc(d, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			o.backOff = nil
			c.turn()
		})
		return
	case r.code == 491 && refresh:
		c.session.timer.Reset(wait(2100*time.Millisecond, 4*time.Second))
	case r.code == 422:
		if min, ok := seconds(r.get("Min-SE")); ok && min > c.session.interval && min < 24*time.Hour {
			c.session.interval, c.session.min = min, min
			o.refresh = refresh
			c.reinvite(body)
			return
		}
	}
	if refresh && !r.local() && r.code != 491 {
		c.arm() // refused, but by somebody who is there
	}
	if !refresh {
		code := r.code
		c.tell(func(h Handler) { h.OfferRefused(code) })
	}
	c.turn()
}

// Info sends INFO.
func (c *Call) Info(contentType string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConfirmed && c.state != stateEarly || c.remoteTag == "" {
		return
	}
	m := c.build("INFO")
	if contentType != "" {
		m.add("Content-Type", clean(contentType))
		m.body = body
	}
	c.submit(&outgoing{m: m})
}
