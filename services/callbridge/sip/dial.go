package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func fill(b []byte) { rand.Read(b) }

// dialing is what an outgoing INVITE has until it is answered.
type dialing struct {
	uri         string // request URI: who is called, or who that was redirected to
	now         Target // where the INVITE went
	rest        []Target
	tx          *clientTx
	heard       bool // of that target
	provisional bool
	canceled    bool
	cancelCause string
	early       map[string]*early // by the far end's tag
	done        map[string]*fork  // dialogs of 2xx, by tag; the call's own and those that were too many
	answered    bool              // by a reliable 18x
	answeredBy  string            // whose it was
	tried       tries
	raised      bool   // the session interval, after 422
	ackSeq      uint32 // of the INVITE whose 2xx waits for its ACK
	lastErr     error
	lastCode    int
	lastReason  string
	redirects   redirects
}

// early is one branch of a forked INVITE that rings.
type early struct {
	target string
	routes []string
	rseq   uint32
	seq    uint32 // of its last request: each branch counts by itself
	body   []byte // what it said without being reliable, for a 2xx that says nothing
}

// fork is a 2xx that was acknowledged.
type fork struct {
	ack  []byte
	path path
	by   *path // of an INVITE that was given up, over a connection that is not the call's
}

// maxForks bounds the branches of one INVITE that are remembered.
const maxForks = 32

// Dial makes a call. It returns at once; h hears what comes of it.
func (a *Agent) Dial(d Dial, h Handler) *Call {
	c := &Call{a: a, callID: random(32), localTag: random(16), dial: d, handler: h, uri: d.To, to: Party{URI: d.To}, forwards: d.MaxForwards,
		from: Party{Name: d.FromName, URI: d.From}, target: d.To, auth: credentials{user: d.User, password: d.Password}, lastSDP: d.Offer,
		dialing: dialing{uri: d.To, redirects: redirects{left: d.Redirects}}}
	if d.MaxForwards == 0 {
		c.forwards = 70
	}
	c.localValue = "<" + clean(d.From) + ">"
	if d.FromName != "" {
		c.localValue = quote(clean(d.FromName)) + " " + c.localValue
	}
	c.remoteValue = "<" + clean(d.To) + ">"
	c.session.want = a.o.SessionExpires
	to, f := parseURI(d.To)
	if f == nil && !to.sip() {
		f = bad("only sip and sips URIs can be called")
	}
	if f == nil {
		_, f = parseURI(d.From)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f != nil {
		c.finish(End{Code: 400, Reason: f.why, Err: f})
		return c
	}
	if c.forwards < 0 {
		c.finish(End{Code: 483, Reason: "too many servers passed this call on: it runs in a loop"})
		return c
	}
	a.callMu.Lock()
	full := len(a.calls) >= a.limits.Dialogs
	if !full {
		a.calls[c.localTag] = c
	}
	a.callMu.Unlock()
	if full {
		c.finish(End{Code: 503, Reason: "too many calls", Unreachable: true})
		return c
	}
	ring := d.RingFor
	if ring == 0 {
		ring = 3 * time.Minute
	}
	c.ringTimer = time.AfterFunc(ring, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state < stateAccepted {
			c.hangup("SIP;cause=487;text=\"ring time is over\"", End{RingTimeout: true, Timeout: true, Reason: "no answer in time"})
		}
	})
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		c.place(to, d)
	}()
	return c
}

// place looks up where to call.
func (c *Call) place(to uri, d Dial) {
	targets := d.Next
	if to.scheme == "sips" && len(targets) > 0 {
		// Nothing but TLS is right for it, whoever chose the targets (RFC 3261 26.2.2).
		if targets = slices.DeleteFunc(slices.Clone(targets), func(t Target) bool { return t.Transport != TLS }); len(targets) == 0 {
			c.mu.Lock()
			c.finish(End{Unreachable: true, Reason: "a sips URI can be called by TLS only"})
			c.mu.Unlock()
			return
		}
	}
	if len(targets) == 0 {
		host, port := d.Host, d.Port
		if host == "" {
			host, port = to.host, to.port
		}
		ts := d.Transports
		if len(ts) == 0 {
			if t, ok := to.transport(); ok {
				ts = []Transport{t}
			}
		} else if to.scheme == "sips" {
			ts = []Transport{TLS}
		}
		var err error
		if targets, err = c.look(host, port, ts); err != nil {
			c.mu.Lock()
			c.failed(End{Unreachable: true, Lookup: true, Reason: err.Error(), Err: err})
			c.mu.Unlock()
			return
		}
	}
	c.try(targets)
}

// look finds the targets of a host, unless the agent closes.
func (c *Call) look(host string, port uint16, ts []Transport) ([]Target, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*c.a.limits.Connect)
	defer c.a.whenDone(cancel)()
	return c.a.targets(ctx, host, port, ts)
}

// whenDone calls f when the agent closes; the function it returns ends that, and calls f itself.
func (a *Agent) whenDone(f func()) func() {
	stop := make(chan struct{})
	go func() {
		select {
		case <-a.done:
		case <-stop:
		}
		f()
	}()
	return func() { close(stop) }
}

// try sends the INVITE to the first target that can be reached.
func (c *Call) try(targets []Target) {
	ctx, cancel := context.WithCancel(context.Background())
	defer c.a.whenDone(cancel)()
	for i, t := range targets {
		c.mu.Lock()
		over := c.state == stateEnded
		size := c.inviteSize()
		c.mu.Unlock()
		if over {
			return
		}
		p, err := c.a.reachSized(ctx, t, size)
		c.mu.Lock()
		if c.state == stateEnded {
			c.mu.Unlock()
			return
		}
		if err != nil {
			c.dialing.lastErr = err
			c.a.reached(t, err)
			c.mu.Unlock()
			c.a.log.Info("sip: target not reached", "call", c.callID, "target", t.Address, "transport", t.Transport, "error", err)
			continue
		}
		c.dialing.now, c.dialing.heard = t, false
		c.dialing.rest = targets[i+1:]
		c.on(p)
		c.sendInvite()
		c.mu.Unlock()
		return
	}
	c.mu.Lock()
	d := &c.dialing
	reason := d.lastReason
	if reason == "" && d.lastErr != nil {
		reason = d.lastErr.Error()
	}
	c.failed(End{Unreachable: true, Timeout: errors.Is(d.lastErr, errTimeout), Code: d.lastCode, Remote: d.lastCode != 0, Reason: reason, Err: d.lastErr})
	c.mu.Unlock()
}

func (c *Call) inviteSize() int {
	n := len(c.dial.Offer) + 600 + len(c.dialing.uri)
	for _, h := range c.dial.Headers {
		n += len(h.Name) + len(h.Value) + 4
	}
	return n
}

// sendInvite sends the first INVITE by c.path; c.mu is held.
func (c *Call) sendInvite() {
	d := &c.dialing
	d.provisional = false
	u, _ := parseURI(c.dial.From)
	c.contact = c.a.contact(u.user, c.dial.Contact, c.path, strings.HasPrefix(strings.ToLower(d.uri), "sips:"))
	c.seq++
	m := c.buildAt("INVITE", c.seq, "", d.uri, nil)
	for i := range m.headers {
		if m.headers[i].Name == "Max-Forwards" {
			m.headers[i].Value = strconv.Itoa(c.forwards)
		}
	}
	m.add("Allow", allowed)
	m.add("Supported", supported)
	m.add("Accept", "application/sdp")
	c.session.offer(m)
	if c.dial.Replaces != "" {
		m.add("Require", "replaces")
		m.add("Replaces", clean(c.dial.Replaces))
	}
	for _, h := range c.dial.Headers {
		if isToken(h.Name) && !ours[canonicalName(h.Name)] {
			m.add(h.Name, clean(h.Value))
		}
	}
	m.setSDP(c.dial.Offer)
	value, v := c.a.viaValue(c.path)
	m.headers[0].Value, m.via = value, v
	var tx *clientTx
	ready := make(chan struct{}) // the answer may be quicker than the assignment
	tx = c.a.request(m, c.path, func(r *message) { <-ready; c.inviteAnswered(tx, r) }, func(err error) { <-ready; c.inviteFailed(tx, err) })
	d.tx = tx
	close(ready)
	if len(d.rest) > 0 {
		time.AfterFunc(silent*c.a.timers.t1, func() { c.silence(tx) })
	}
}

// silent is how long a target may say nothing at all, in T1, when there are others: 8 s, in which a request by UDP is sent five times. Waiting for 64*T1
// (RFC 3263 4.3) would be longer than callers do.
const silent = 16

// silence gives up a target that says nothing. Should it still answer, it is told that nobody wants that any more.
func (c *Call) silence(tx *clientTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &c.dialing
	if c.state != stateCalling || tx != d.tx || d.provisional || len(d.rest) == 0 {
		return
	}
	c.a.log.Info("sip: target says nothing", "call", c.callID, "target", d.now.Address, "transport", d.now.Transport)
	c.a.reached(d.now, errTimeout)
	d.tx, d.lastErr = nil, errTimeout
	c.next()
}

// reached tells how a target did: nil for an answer.
func (a *Agent) reached(t Target, err error) {
	var here localError
	if f := a.o.Reached; f != nil && !errors.As(err, &here) {
		f(t, err)
	}
}

// localError is a reason of our own, which is nothing against a target.
type localError struct{ text string }

func (e localError) Error() string { return e.text }

func localf(format string, args ...any) error { return localError{fmt.Sprintf(format, args...)} }

// ours are headers that no caller of Dial sets.
var ours = map[string]bool{"Via": true, "From": true, "To": true, "Call-ID": true, "CSeq": true, "Contact": true, "Content-Length": true,
	"Content-Type": true, "Max-Forwards": true, "Route": true, "Record-Route": true, "Session-Expires": true, "Min-SE": true, "Authorization": true,
	"Proxy-Authorization": true}

// inviteFailed: nobody answered the INVITE, or its connection broke.
func (c *Call) inviteFailed(tx *clientTx, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &c.dialing
	if c.state >= stateAccepted || tx != d.tx {
		return
	}
	d.lastErr = err
	if !d.heard {
		c.a.reached(d.now, err)
	}
	if d.provisional {
		c.finish(End{Timeout: errors.Is(err, errTimeout), Unreachable: true, Reason: err.Error(), Err: err})
		return
	}
	c.next()
}

// next tries what targets are left; c.mu is held.
func (c *Call) next() {
	rest := c.dialing.rest
	c.dialing.rest = nil
	c.a.running.Add(1)
	go func() {
		defer c.a.running.Done()
		c.try(rest)
	}()
}

// inviteAnswered takes an answer to the first INVITE.
func (c *Call) inviteAnswered(tx *clientTx, r *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &c.dialing
	if tx == d.tx && !d.heard && r.code != 503 {
		d.heard = true
		c.a.reached(d.now, nil)
	}
	switch {
	case r.code >= 200 && r.code < 300:
		c.inviteAccepted(tx, r)
	case tx != d.tx:
		if r.code < 200 && !tx.canceled {
			tx.canceled = true
			tx.cancel("")
		}
	case r.code < 200:
		d.provisional = true
		if c.state == stateEnded {
			if !d.canceled {
				d.canceled = true
				tx.cancel(d.cancelCause)
			}
			return
		}
		if r.code > 100 {
			c.ringing(r)
		}
	case c.state >= stateAccepted:
	default:
		c.inviteRefused(r)
	}
}

// routeSet is that of a dialog that we began: Record-Route from the last to the first (RFC 3261 12.1.2).
func routeSet(r *message) []string {
	l := r.list("Record-Route")
	slices.Reverse(l)
	return l[:min(len(l), 32)]
}

// contactOf is the URI of the Contact header; "" for none.
func contactOf(m *message) string {
	v := m.get("Contact")
	if v == "" {
		return ""
	}
	first, _ := cutElement(v)
	a, f := parseAddress(first)
	if f != nil || !a.uri.sip() {
		return ""
	}
	return a.uri.text
}

// ringing takes 101 to 199; c.mu is held.
func (c *Call) ringing(r *message) {
	d := &c.dialing
	if r.to.tag == "" {
		if r.code == 180 || r.code == 181 || r.code == 182 {
			c.tellRinging(r.code)
		}
		return
	}
	e := d.early[r.to.tag]
	if e == nil {
		if len(d.early) >= maxForks {
			return
		}
		if d.early == nil {
			d.early = make(map[string]*early)
		}
		e = &early{}
		d.early[r.to.tag] = e
	}
	if t := contactOf(r); t != "" {
		e.target = t
	}
	if e.target == "" {
		e.target = d.uri
	}
	e.routes = routeSet(r)
	if c.state == stateCalling {
		c.become(stateEarly)
	}
	body := sdpOf(r)
	if r.lists("Require", "100rel") {
		rseq, ok := number(r.get("RSeq"), 1<<32-1)
		if !ok || rseq == 0 || e.rseq != 0 && uint32(rseq) != e.rseq+1 {
			return // again, or out of order (RFC 3262 4)
		}
		e.rseq = uint32(rseq)
		if c.dial.Offer == nil && body != nil && !d.answered {
			d.answered, d.answeredBy = true, r.to.tag
			c.remoteTag, c.target, c.routes = r.to.tag, e.target, e.routes
			c.rel.rack = r.get("RSeq") + " " + itoa(r.cseq) + " INVITE"
			c.offering.theirs = offerLateRel
			c.theirSDP = body
			c.tell(func(h Handler) { h.Offered(body) })
			return
		}
		c.prack(r, e, nil)
		if body != nil && !d.answered && c.dial.Offer != nil {
			d.answered, d.answeredBy = true, r.to.tag
			c.theirSDP = body
			c.tell(func(h Handler) { h.Answered(body) })
			return
		}
	} else if body != nil && !d.answered && c.dial.Offer != nil {
		e.body = body
		if !c.behind() {
			c.tell(func(h Handler) { h.Early(body) })
		}
		return
	}
	c.tellRinging(r.code)
}

func (c *Call) tellRinging(code int) {
	if !c.behind() {
		c.tell(func(h Handler) { h.Ringing(code) })
	}
}

// prack acknowledges a reliable 18x; c.mu is held.
func (c *Call) prack(r *message, e *early, body []byte) {
	c.seq++
	m := c.buildAt("PRACK", c.seq, r.to.tag, e.target, e.routes)
	m.add("RAck", r.get("RSeq")+" "+itoa(r.cseq)+" INVITE")
	m.setSDP(body)
	c.submit(&outgoing{m: m})
}

// inviteAccepted takes a 2xx: the first one makes the call; others are of forks, or come again (RFC 3261 13.2.2.4).
func (c *Call) inviteAccepted(tx *clientTx, r *message) {
	d := &c.dialing
	if f := d.done[r.to.tag]; f != nil {
		if f.ack != nil {
			c.a.send(f.path, f.ack)
		}
		return
	}
	if len(d.done) >= maxForks {
		return
	}
	if d.done == nil {
		d.done = make(map[string]*fork)
	}
	f := &fork{}
	d.done[r.to.tag] = f
	target := contactOf(r)
	if target == "" {
		target = d.uri
	}
	routes := routeSet(r)
	if c.state >= stateAccepted || tx != d.tx {
		// Too many, or too late: acknowledged and ended.
		if tx.path.conn != nil {
			f.by = &tx.path
		}
		c.acknowledge(f, r.cseq, r.to.tag, target, routes, nil)
		c.seq++
		m := c.buildAt("BYE", c.seq, r.to.tag, target, routes)
		c.submit(&outgoing{m: m, by: f.by})
		return
	}
	if c.ringTimer != nil {
		c.ringTimer.Stop()
	}
	c.become(stateConfirmed)
	c.remoteTag, c.target, c.routes = r.to.tag, target, routes
	c.keep()
	c.allow = strings.Join(r.values("Allow"), ", ")
	body := sdpOf(r)
	if e := d.early[r.to.tag]; e != nil {
		c.remoteSeq = e.seq
		if body == nil && c.dial.Offer != nil {
			// It should have been said again (RFC 3261 13.2.1), which gateways forget that did so in a 183.
			body = e.body
		}
	}
	c.head = &message{headers: r.headers}
	d.early, d.rest = nil, nil
	c.path.remote = r.path.remote
	c.session.agreed(c, r, true)
	switch {
	case c.dial.Offer != nil:
		c.acknowledge(f, r.cseq, c.remoteTag, target, routes, nil)
		if !d.answered || d.answeredBy != r.to.tag {
			// Of a fork, it is the answer of who takes the call that counts.
			c.theirSDP = body
			c.tell(func(h Handler) { h.Answered(body) })
		}
		c.confirmed()
	case d.answered && d.answeredBy == r.to.tag:
		c.acknowledge(f, r.cseq, c.remoteTag, target, routes, nil)
		c.confirmed()
	default:
		// The far end's offer: the ACK has our answer.
		d.ackSeq = r.cseq
		c.offering.theirs = offerLate
		c.offering.ours = true
		c.theirSDP = body
		c.tell(func(h Handler) { h.Offered(body) })
	}
}

// acknowledge sends the ACK of a 2xx, and keeps it for 2xx that come again; c.mu is held.
func (c *Call) acknowledge(f *fork, seq uint32, tag, target string, routes []string, body []byte) {
	m := c.buildAt("ACK", seq, tag, target, routes)
	m.headers = append(m.headers, c.auth.invite...)
	m.setSDP(body)
	c.submit(&outgoing{m: m, by: f.by, sent: func(p path, b []byte) { f.ack, f.path = b, p }})
}

func (c *Call) confirmed() {
	c.tell(func(h Handler) { h.Confirmed() })
	c.turn()
}

// inviteRefused takes 300 and above; c.mu is held.
func (c *Call) inviteRefused(r *message) {
	d := &c.dialing
	switch {
	case c.state == stateEnded:
		return
	case r.code == 401 || r.code == 407:
		if c.auth.challenged(r, &d.tried) {
			d.early = nil
			c.sendInvite()
			return
		}
	case r.code == 422 && !d.raised:
		if min, ok := seconds(r.get("Min-SE")); ok && min > c.session.want && min < 24*time.Hour {
			d.raised = true
			c.session.want, c.session.min = min, min
			c.sendInvite()
			return
		}
	case r.code == 503:
		c.a.reached(d.now, fmt.Errorf("%s answers 503 %s", d.now.Address, r.reason))
		if len(d.rest) > 0 {
			d.lastCode, d.lastReason = r.code, r.reason
			d.early = nil
			c.next()
			return
		}
	case c.redirected(r):
		return
	}
	text, cause := reasonOf(r)
	if text == "" {
		text = r.reason
	}
	c.head = &message{headers: r.headers}
	c.failed(End{Remote: true, Code: r.code, Reason: text, Cause: cause, Busy: r.code == 486 || r.code == 600, Timeout: r.code == 408})
}

// giveUp ends an INVITE of ours that has no final answer; c.mu is held.
func (c *Call) giveUp(cause string) {
	d := &c.dialing
	d.cancelCause = cause
	d.rest = nil
	if d.tx != nil && d.provisional && !d.canceled {
		d.canceled = true
		d.tx.cancel(cause)
	}
}
