package sip

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// callState is how far a dialog is.
type callState uint8

const (
	stateCalling   callState = iota // an INVITE without an answer that makes a dialog
	stateEarly                      // 101 to 199 with a tag
	stateAccepted                   // incoming: 2xx was sent and not acknowledged yet
	stateConfirmed                  // up
	stateEnded
)

// Call is one INVITE dialog. Its methods return at once and in order; what comes of them is told to its [Handler]. They may be called by any goroutine,
// the Handler's too. After Ended they do nothing.
type Call struct {
	a        *Agent
	incoming bool
	callID   string
	localTag string
	dial     Dial
	from, to Party
	uri      string // request URI of the INVITE
	forwards int
	expected *Call // incoming with Replaces: whose place it is to take

	mu      sync.Mutex
	state   callState
	handler Handler
	events  []func(Handler)
	telling bool

	remoteTag   string
	localValue  string // From of our requests, without tag
	remoteValue string
	target      string   // remote target (RFC 3261 12)
	routes      []string // route set: URIs in angle brackets
	contact     string   // our Contact
	path        path     // where the far end is
	using       *conn    // that the dialog counts as a user of
	seq         uint32
	remoteSeq   uint32
	head        *message // INVITE, or the last 2xx to ours
	offer       []byte
	allow       string     // methods that the far end knows; "": it did not say
	heldFor     netip.Addr // source that it is counted against as not answered
	tokens      float64
	tokensAt    time.Time

	// Outgoing requests whose way is being looked for.
	outbox  []*outgoing
	pumping bool

	dialing   dialing
	ringTimer *time.Timer

	// The incoming INVITE that has no final answer yet: the first, or a re-INVITE.
	invite   *message
	inviteTx *serverTx
	rel      reliable
	ok       unacked

	offering offering
	session  session
	auth     credentials
	refers   refers
	byeLater bool   // Hangup came before the ACK
	byeCause string // Reason of that BYE
	forget   func() // takes back what [Options.Keep] noted; nil for nothing
	lastSDP  []byte // what we said last, for refreshes
	theirSDP []byte
}

// offering is who waits for whom with an offer (RFC 3264, RFC 6337).
type offering struct {
	// theirs is what AnswerOffer and RefuseOffer are about.
	theirs offerKind
	// withdrawn are offers that the handler was told, and has not answered, and that the far end does not want to be answered any more (CANCEL). What
	// AnswerOffer and RefuseOffer say next is about those. true: ours was asked for, of which nothing comes now.
	withdrawn []bool
	update    *message // the UPDATE or PRACK that has the offer
	updateTx  *serverTx

	ours    bool // our re-INVITE is under way, or waits for its ACK
	refresh bool // it only refreshes the session
	updates bool // an UPDATE of ours is under way
	want    bool // a Reoffer waits for its turn
	crossed int  // how often ours was refused for now
	body    []byte
	backOff *time.Timer
}

type offerKind uint8

const (
	offerNone     offerKind = iota
	offerReinvite           // re-INVITE, with or without a body
	offerUpdate
	offerPrack   // PRACK with an offer
	offerLate    // 2xx to our INVITE that had none: the ACK answers
	offerLateRel // reliable 18x to our INVITE that had none: the PRACK answers
)

var stateNames = [...]string{stateCalling: "calling", stateEarly: "early", stateAccepted: "accepted", stateConfirmed: "confirmed", stateEnded: "ended"}

// become changes the state; c.mu is held.
func (c *Call) become(s callState) {
	if c.a.log.Enabled(context.Background(), slog.LevelDebug) {
		c.a.log.Debug("sip: call", "call", c.callID, "was", stateNames[c.state], "is", stateNames[s])
	}
	c.state = s
}

// ID is the Call-ID.
func (c *Call) ID() string { return c.callID }

// Incoming says whether the far end made the call.
func (c *Call) Incoming() bool { return c.incoming }

// Transport is that of the last message of the far end, or of our INVITE.
func (c *Call) Transport() Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path.transport
}

// Secure says whether signalling is encrypted to the next hop.
func (c *Call) Secure() bool { return c.Transport() == TLS }

// From and To are those of the INVITE.
func (c *Call) From() Party { return c.from }

// To is who was called.
func (c *Call) To() Party { return c.to }

// Request is the request URI of the INVITE.
func (c *Call) Request() string { return c.uri }

// MaxForwards is what is left of the INVITE's hops, 1 at least. A call that is made for this one has one less ([Dial.MaxForwards]), and at 1 none is made,
// so that loops through other servers end (RFC 3261 16.3).
func (c *Call) MaxForwards() int { return c.forwards }

// Source is where the far end's messages come from, or the INVITE went.
func (c *Call) Source() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path.remote
}

// Local is our address towards the far end.
func (c *Call) Local() netip.AddrPort {
	c.mu.Lock()
	p := c.path
	c.mu.Unlock()
	if p.local.Addr().IsUnspecified() {
		return netip.AddrPortFrom(routeFrom(p.remote.Addr()), p.local.Port())
	}
	return p.local
}

// Header are the values of a header of the INVITE that came, or of the last 2xx to ours.
func (c *Call) Header(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == nil {
		return nil
	}
	name = canonicalName(name)
	var v []string
	for _, h := range c.head.headers {
		if equalFold(h.Name, name) {
			v = append(v, h.Value)
		}
	}
	return v
}

// Offer is the session description of the INVITE that came; nil: none (late offer).
func (c *Call) Offer() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offer
}

// Dialog is what a Replaces header of another call needs to name this one: Call-ID, our tag and the far end's.
func (c *Call) Dialog() (id, local, remote string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.callID, c.localTag, c.remoteTag
}

// Use says who hears of an incoming call.
func (c *Call) Use(h Handler) {
	c.mu.Lock()
	c.handler = h
	c.mu.Unlock()
}

// tell has the handler hear something, in its turn; c.mu is held. A goroutine lives only while there is something to tell.
func (c *Call) tell(f func(Handler)) {
	c.events = append(c.events, f)
	if !c.telling {
		c.telling = true
		c.a.running.Add(1)
		go c.deliver()
	}
}

// maxUntold is how much of what a far end can repeat at will waits for a handler that is slow.
const maxUntold = 64

// behind says that the handler does not keep up; c.mu is held.
func (c *Call) behind() bool { return len(c.events) >= maxUntold }

func (c *Call) deliver() {
	defer c.a.running.Done()
	for {
		c.mu.Lock()
		if len(c.events) == 0 {
			c.events, c.telling = nil, false
			c.mu.Unlock()
			return
		}
		f, h := c.events[0], c.handler
		c.events[0] = nil
		c.events = c.events[1:]
		c.mu.Unlock()
		f(h)
	}
}

// finish ends the call for its user; c.mu is held. What the wire still needs (ACK, BYE, CANCEL) goes on without it.
func (c *Call) finish(e End) {
	if c.state == stateEnded {
		return
	}
	c.become(stateEnded)
	c.stop()
	c.tell(func(h Handler) {
		if h != nil {
			h.Ended(e)
		}
		// A transaction may remember the call for half a minute more, but not what hangs on it.
		c.mu.Lock()
		c.handler, c.head, c.offer, c.dial = nil, nil, nil, Dial{}
		c.mu.Unlock()
	})
}

// stop takes the call off the agent's books; c.mu is held.
func (c *Call) stop() {
	c.unhold()
	c.unkeep()
	for _, t := range [...]*time.Timer{c.ringTimer, c.session.timer, c.offering.backOff, c.rel.timer, c.refers.timer} {
		if t != nil {
			t.Stop()
		}
	}
	if !c.byeLater {
		c.ok.end()
		c.a.callMu.Lock()
		if c.a.calls[c.localTag] == c {
			delete(c.a.calls, c.localTag)
		}
		c.a.callMu.Unlock()
	}
	c.using.use(-1)
	c.using = nil
	c.lastSDP, c.theirSDP = nil, nil
}

func (c *Call) unhold() {
	if c.heldFor.IsValid() {
		c.a.sources.release(c.heldFor, 0, 1)
		c.heldFor = netip.Addr{}
	}
}

// drop forgets the call: the agent closes.
func (c *Call) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byeLater = false
	c.finish(End{Err: errClosing})
}

// on makes p the way to the far end; c.mu is held.
func (c *Call) on(p path) {
	if p.conn != c.using {
		c.using.use(-1)
		if c.using = nil; c.state != stateEnded {
			p.conn.use(1)
			c.using = p.conn
		}
	}
	c.path = p
}

// matches says whether a request in a dialog is this call's.
func (c *Call) matches(m *message) bool {
	if c.callID != m.callID {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.from.tag == c.remoteTag {
		return c.remoteTag != "" || c.incoming
	}
	_, early := c.dialing.early[m.from.tag]
	return early && c.remoteTag == ""
}

// admit bounds what a far end may ask for within its call: 50 requests a second, 100 at once.
func (c *Call) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.tokensAt.IsZero() {
		c.tokens = 100
	} else {
		c.tokens = min(100, c.tokens+50*now.Sub(c.tokensAt).Seconds())
	}
	c.tokensAt = now
	if c.tokens < 1 {
		return false
	}
	c.tokens--
	return true
}

// knows says whether the far end takes a method, as far as it told.
func (c *Call) knows(method string) bool {
	for rest := c.allow; rest != ""; {
		var e string
		if e, rest = cutElement(rest); equalFold(e, method) {
			return true
		}
	}
	return false
}

// build makes a request within the dialog; c.mu is held. Via is written when its way is known.
func (c *Call) build(method string) *message {
	if method != "ACK" {
		c.seq++
	}
	return c.buildAt(method, c.seq, c.remoteTag, c.target, c.routes)
}

func (c *Call) buildAt(method string, seq uint32, remoteTag, target string, routes []string) *message {
	m := &message{method: method, uri: target, callID: c.callID, cseq: seq, headers: make([]Header, 0, 16)}
	m.add("Via", "")
	if len(routes) > 0 {
		first, _ := parseAddress(routes[0])
		if _, loose := first.uri.param("lr"); loose {
			for _, r := range routes {
				m.add("Route", r)
			}
		} else {
			// A strict router (RFC 3261 12.2.1.1).
			m.uri, m.strict = first.uri.text, true
			for _, r := range routes[1:] {
				m.add("Route", r)
			}
			m.add("Route", "<"+target+">")
		}
	}
	m.add("Max-Forwards", "70")
	m.add("From", c.localValue+";tag="+c.localTag)
	to := c.remoteValue
	if remoteTag != "" {
		to += ";tag=" + remoteTag
	}
	m.add("To", to)
	m.add("Call-ID", c.callID)
	m.add("CSeq", strconv.FormatUint(uint64(seq), 10)+" "+method)
	switch method {
	case "INVITE", "UPDATE", "REFER", "NOTIFY":
		m.add("Contact", c.contact)
	}
	if c.a.o.Advertise != "" && method != "ACK" {
		m.add("User-Agent", c.a.o.Advertise)
	}
	if method != "ACK" {
		m.headers = append(m.headers, c.auth.headers(method, m.uri)...)
	}
	return m
}

// reply answers a request of this dialog; c.mu is held or not needed.
func (c *Call) reply(tx *serverTx, req *message, code int, why string, more ...Header) {
	r := c.a.responseTo(req, code, why, c.localTag)
	if code > 100 && code < 300 {
		if req.method == "INVITE" {
			for _, v := range req.values("Record-Route") {
				r.add("Record-Route", v)
			}
		}
		switch req.method {
		case "INVITE", "UPDATE", "REFER":
			r.add("Contact", c.contact)
		}
	}
	for _, h := range more {
		r.add(h.Name, h.Value)
	}
	tx.respond(r)
}

// replyBody is reply with a session description.
func (c *Call) replyBody(tx *serverTx, req *message, code int, body []byte, more ...Header) *message {
	r := c.a.responseTo(req, code, "", c.localTag)
	if req.method == "INVITE" {
		for _, v := range req.values("Record-Route") {
			r.add("Record-Route", v)
		}
	}
	if req.method != "PRACK" {
		r.add("Contact", c.contact)
		r.add("Allow", allowed)
		r.add("Supported", supported)
	}
	for _, h := range more {
		r.add(h.Name, h.Value)
	}
	r.setSDP(body)
	tx.respond(r)
	return r
}

func (m *message) setSDP(body []byte) {
	if len(body) > 0 {
		m.add("Content-Type", "application/sdp")
		m.body = body
	}
}

// reasonHeader makes a Reason header (RFC 3326) of a text, which may be one already.
func reasonHeader(s string) string {
	if s == "" || strings.Contains(s, ";cause=") {
		return s
	}
	return "Q.850;cause=16;text=" + quote(clean(s))
}

// clean takes out what may not be in a header.
func clean(s string) string {
	if !hasControl(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// reasonOf reads a Reason header.
func reasonOf(m *message) (text string, cause int) {
	for _, v := range m.list("Reason") {
		_, params, _ := strings.Cut(v, ";")
		if s, ok := param(params, "cause"); ok {
			if n, ok := number(s, 999); ok && cause == 0 {
				cause = int(n)
			}
		}
		if s, ok := param(params, "text"); ok && text == "" {
			text = s
		}
	}
	return text, cause
}

// Hangup ends the call, or gives it up: BYE, CANCEL, or 480 to an INVITE that is not answered yet. reason becomes the Reason header: a whole value
// ("SIP;cause=200;text=…") or a text.
func (c *Call) Hangup(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangup(reason, End{Reason: reason})
}

// hangup does it; c.mu is held.
func (c *Call) hangup(reason string, e End) {
	cause := reasonHeader(reason)
	switch c.state {
	case stateEnded:
		return
	case stateAccepted:
		// A BYE before the ACK would cross it (RFC 3261 15).
		c.byeLater, c.byeCause = true, cause
	case stateConfirmed:
		c.abandonInvite()
		c.bye(cause)
	default:
		if c.incoming {
			c.reject(480, "")
		} else {
			c.giveUp(cause)
		}
	}
	c.finish(e)
}

// bye sends BYE; c.mu is held.
func (c *Call) bye(cause string) {
	m := c.build("BYE")
	if cause != "" {
		m.add("Reason", cause)
	}
	c.submit(&outgoing{m: m})
}

// abandonInvite answers what the far end still waits for when the call ends; c.mu is held.
func (c *Call) abandonInvite() {
	if c.inviteTx != nil {
		c.reply(c.inviteTx, c.invite, 487, "")
		c.invite, c.inviteTx = nil, nil
	}
	if c.offering.updateTx != nil {
		c.reply(c.offering.updateTx, c.offering.update, 487, "")
		c.offering.update, c.offering.updateTx = nil, nil
	}
	c.offering.theirs = offerNone
}
