package sip

import (
	"strings"
	"time"
)

// unacked is a 2xx to an INVITE that waits for its ACK (RFC 3261 13.3.1.4).
type unacked struct {
	tx       *serverTx
	cseq     uint32
	offered  bool // it has our offer: the ACK has the answer
	again    bool // of a re-INVITE
	sent     int  // how often it was sent again
	timer    *time.Timer
	interval time.Duration
	deadline time.Time
}

func (u *unacked) waiting() bool { return u.tx != nil }

func (u *unacked) end() {
	u.tx = nil
	if u.timer != nil {
		u.timer.Stop()
	}
}

// invited takes an INVITE outside of calls.
func (a *Agent) invited(m *message, guarded bool) {
	a.txMu.Lock()
	_, merged := a.merged[mergeKey(m)]
	a.txMu.Unlock()
	if merged {
		a.answer(m, 482, "")
		return
	}
	if code, why, more := unacceptable(m); code != 0 {
		r := a.responseTo(m, code, why, a.statelessTag(m))
		r.headers = append(r.headers, more...)
		a.sendAnswer(m.path, r, r.write(nil))
		return
	}
	c := &Call{a: a, incoming: true, callID: m.callID, localTag: random(16), uri: m.called(), state: stateCalling, forwards: m.maxForwards,
		from: Party{clean(m.from.name), m.from.uri.text}, to: Party{clean(m.to.name), m.to.uri.text},
		remoteTag: m.from.tag, localValue: withoutTag(m.get("To")), remoteValue: withoutTag(m.get("From")), target: contactOf(m),
		remoteSeq: m.cseq, head: m, offer: sdpOf(m), invite: m, path: m.path, theirSDP: sdpOf(m),
		allow: strings.Join(m.values("Allow"), ", ")}
	if c.forwards < 0 {
		c.forwards = 70
	}
	c.forwards = max(c.forwards, 1)
	if c.target == "" {
		// RFC 2543 allows an INVITE without Contact.
		c.target = m.from.uri.text
	}
	c.routes = m.list("Record-Route")
	c.routes = c.routes[:min(len(c.routes), 32)]
	u, _ := parseURI(c.uri)
	c.contact = a.contact(u.user, "", m.path, u.scheme == "sips")
	if h, short := c.tooShort(m); short {
		r := a.responseTo(m, 422, "", a.statelessTag(m))
		r.add(h.Name, h.Value)
		a.sendAnswer(m.path, r, r.write(nil))
		return
	}
	if v := m.get("Replaces"); v != "" {
		old, code, why := a.replaced(m, v)
		if code != 0 {
			a.answer(m, code, why)
			return
		}
		c.expected = old
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !a.sources.hold(m.path.remote.Addr(), 0, 1, time.Now()) {
		a.refused.Add(1)
		a.complain("sip: too many calls of one source wait for an answer", "from", m.path.remote.Addr())
		a.overloaded(m)
		return
	}
	c.heldFor = m.path.remote.Addr()
	a.callMu.Lock()
	full := len(a.calls) >= a.limits.Dialogs
	if !full {
		a.calls[c.localTag] = c
	}
	a.callMu.Unlock()
	var tx *serverTx
	if !full {
		tx = a.serve(m, guarded, c)
	}
	if tx == nil {
		a.refused.Add(1)
		a.complain("sip: too many calls", "from", m.path.remote.Addr())
		c.become(stateEnded)
		c.stop()
		a.overloaded(m)
		return
	}
	c.inviteTx = tx
	c.on(m.path)
	c.expire(m)
	trying := func() {
		r := a.responseTo(m, 100, "", "")
		tx.mu.Lock()
		quiet := tx.state == txTrying
		tx.mu.Unlock()
		if quiet {
			tx.respond(r)
		}
	}
	if guarded {
		// Who only asks to see what comes back gets one answer, not two.
		time.AfterFunc(200*time.Millisecond, trying)
	} else {
		trying()
	}
	if c.expected != nil {
		old := c.expected
		old.mu.Lock()
		if old.state != stateEnded {
			old.tell(func(h Handler) {
				h.Replaced(c)
				c.unused()
			})
			old.mu.Unlock()
			return
		}
		old.mu.Unlock()
		c.expected = nil
		c.reject(481, "")
		c.finish(End{})
		return
	}
	c.tell(func(Handler) {
		// Should it be canceled already, its user is told that next.
		if a.o.Incoming != nil {
			a.o.Incoming(c)
		}
		c.unused()
	})
}

// longestRing is how long an incoming call may go unanswered: longer than a proxy waits, so that it is only met by callers that are not there.
const longestRing = 4 * time.Minute

// expire ends a call that nobody answers in the time that its INVITE gives (Expires), or in any; c.mu is held.
func (c *Call) expire(m *message) {
	left := longestRing
	if d, ok := seconds(m.get("Expires")); ok && d > 0 {
		left = min(left, d)
	}
	end := time.Now().Add(left)
	c.ringTimer = time.AfterFunc(min(left, time.Minute), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state >= stateAccepted || c.inviteTx == nil {
			return
		}
		if left := time.Until(end); left > 0 {
			// Proxies give up on INVITEs of which they hear nothing for three minutes (RFC 3261 13.3.1.1).
			c.inviteTx.again()
			c.ringTimer.Reset(min(left, time.Minute))
			return
		}
		c.reject(487, "not answered in time")
		c.finish(End{Timeout: true, Code: 487, Reason: "not answered in time"})
	})
}

// unused refuses a call that nobody took.
func (c *Call) unused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handler == nil && c.state != stateEnded {
		c.reject(480, "")
		c.finish(End{})
	}
}

// withoutTag is a From or To value as it is repeated in requests of the dialog.
func withoutTag(v string) string {
	a, f := parseAddress(v)
	if f != nil || a.tag == "" {
		return v
	}
	out := "<" + a.uri.text + ">"
	if a.name != "" {
		out = quote(clean(a.name)) + " " + out
	}
	for params := a.params; params != ""; {
		var name, value string
		var has bool
		name, value, has, params = cutParam(params)
		if equalFold(name, "tag") {
			continue
		}
		out += ";" + name
		if has {
			if !isToken(value) {
				value = quote(value)
			}
			out += "=" + value
		}
	}
	return out
}

// unacceptable says what is wrong with an INVITE's body and what it accepts (RFC 3261 8.2.3, 13.3.1).
func unacceptable(m *message) (code int, why string, more []Header) {
	if v := m.get("Content-Encoding"); v != "" && !equalFold(v, "identity") && len(m.body) > 0 {
		return 415, "", []Header{{"Accept-Encoding", "identity"}}
	}
	if len(m.body) > 0 {
		kind, _ := mediaType(m.get("Content-Type"))
		switch {
		case kind == "":
			return 400, "there is a body and no Content-Type", nil
		case kind != "application/sdp" && sdpOf(m) == nil:
			if strings.HasPrefix(kind, "multipart/") || optional(m) {
				break // nothing in it for us: a late offer
			}
			return 415, "", []Header{{"Accept", "application/sdp"}}
		}
	}
	if !takes(m, "application/sdp") {
		return 406, "", []Header{{"Accept", "application/sdp"}}
	}
	return 0, "", nil
}

// optional says whether a body may be passed over (RFC 3261 20.11).
func optional(m *message) bool {
	_, params, _ := strings.Cut(m.get("Content-Disposition"), ";")
	v, _ := param(params, "handling")
	return equalFold(v, "optional")
}

// Ring says that somebody or something is being waited for (180).
func (c *Call) Ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.incoming && c.state < stateAccepted {
		c.provisional(180, nil)
	}
}

// Progress sends 183 with an answer before the call is accepted.
func (c *Call) Progress(answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.incoming && c.state < stateAccepted {
		c.lastSDP = answer
		c.provisional(183, answer)
	}
}

// Accept answers an incoming call: with an answer to its offer, or with an offer of ours when it had none.
func (c *Call) Accept(body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rel.waiting && c.rel.sdp {
		// The 2xx waits for the PRACK of what it builds on (RFC 3262 3).
		c.rel.accept = func() { c.accept(nil) }
		return
	}
	c.accept(body)
}

func (c *Call) accept(body []byte) {
	if !c.incoming || c.state >= stateAccepted || c.inviteTx == nil || c.inviteTx.answered() {
		return
	}
	if c.rel.waiting {
		c.rel.waiting = false
		c.rel.timer.Stop()
	}
	tx, m := c.inviteTx, c.invite
	c.invite, c.inviteTx = nil, nil
	c.ringTimer.Stop()
	c.become(stateAccepted)
	c.unhold()
	if len(body) > 0 {
		c.lastSDP = body
	}
	c.await(tx, m.cseq, c.offer == nil && len(body) > 0 && !c.dialing.answered, false)
	c.replyBody(tx, m, 200, body, c.grant(m)...)
	if old := c.expected; old != nil {
		c.expected = nil
		go old.replaced()
	}
}

// await sends a 2xx again until its ACK is there; c.mu is held.
func (c *Call) await(tx *serverTx, cseq uint32, offered, again bool) {
	u := &c.ok
	u.tx, u.cseq, u.offered, u.again, u.sent = tx, cseq, offered, again, 0
	u.interval = c.a.timers.t1
	u.deadline = time.Now().Add(64 * c.a.timers.t1)
	if u.timer == nil {
		u.timer = time.AfterFunc(u.interval, c.ackTime)
	} else {
		u.timer.Reset(u.interval)
	}
}

// guardedRepeats is how often a 2xx is sent again to a source that has not shown that it gets our answers: over 7 s, which is enough for a caller who is
// there.
const guardedRepeats = 4

func (c *Call) ackTime() {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &c.ok
	if !u.waiting() {
		return
	}
	if time.Now().Before(u.deadline) {
		if u.sent++; !u.tx.guarded || u.sent <= guardedRepeats {
			u.tx.again()
		}
		u.interval = min(2*u.interval, c.a.timers.t2)
		u.timer.Reset(u.interval)
		return
	}
	u.end()
	c.bye("SIP;cause=408;text=\"no ACK came\"")
	if c.byeLater {
		c.byeLater = false
		c.stop()
		return
	}
	c.finish(End{Timeout: true, Reason: "no ACK came"})
}

// acknowledged takes the ACK of a 2xx.
func (c *Call) acknowledged(m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &c.ok
	if c.callID != m.callID || m.from.tag != c.remoteTag || !u.waiting() || m.cseq != u.cseq {
		return
	}
	offered, again := u.offered, u.again
	u.end()
	if m.path.conn != nil && c.state != stateEnded {
		c.on(m.path)
	}
	if c.byeLater {
		c.byeLater = false
		c.bye(c.byeCause)
		c.stop()
		return
	}
	if c.state == stateEnded {
		return
	}
	if c.become(stateConfirmed); !again {
		c.keep()
	}
	c.invite = nil
	if offered {
		body := sdpOf(m)
		c.theirSDP = body
		c.tell(func(h Handler) { h.Answered(body) })
	}
	if !again {
		c.arm()
		c.confirmed()
		return
	}
	c.turn()
}

// Reject refuses an incoming call. reason takes the place of the usual phrase; extra are header fields of the answer (Contact of a redirection,
// Retry-After, Warning, Reason).
func (c *Call) Reject(code int, reason string, extra ...Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.incoming || c.state >= stateAccepted {
		return
	}
	if code < 300 || code > 699 {
		code = 500
	}
	var more []Header
	for _, h := range extra {
		if isToken(h.Name) && canonicalName(h.Name) != "Content-Length" {
			more = append(more, Header{h.Name, clean(h.Value)})
		}
	}
	c.reject(code, clean(reason), more...)
	c.finish(End{Code: code, Reason: reason})
}

// reject answers the INVITE; c.mu is held.
func (c *Call) reject(code int, why string, extra ...Header) {
	if c.inviteTx == nil {
		return
	}
	if code == 503 {
		given := false
		for _, h := range extra {
			given = given || canonicalName(h.Name) == "Retry-After"
		}
		if !given {
			extra = append(extra, Header{"Retry-After", "5"})
		}
	}
	c.rel.waiting = false
	c.reply(c.inviteTx, c.invite, code, why, extra...)
	c.invite, c.inviteTx = nil, nil
}

// canceled takes a CANCEL of an INVITE: the first, or a re-INVITE.
func (c *Call) canceled(tx *serverTx, m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inviteTx != tx || tx.answered() {
		return
	}
	late := sdpOf(c.invite) == nil
	c.reject(487, "")
	if c.state < stateAccepted {
		text, cause := reasonOf(m)
		c.finish(End{Remote: true, Canceled: true, Code: 487, Reason: text, Cause: cause})
		return
	}
	if c.offering.theirs == offerReinvite {
		c.offering.theirs = offerNone
		c.offering.withdrawn = append(c.offering.withdrawn, late)
		c.theirSDP = nil // what the next refresh is answered with has to be told, the handler may have taken up what was withdrawn
	}
	c.turn()
}
