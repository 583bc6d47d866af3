package sip

import (
	"strings"
	"time"
)

// reliable is a provisional answer of ours that waits for its PRACK (RFC 3262), and the number of one of theirs that waits for ours.
type reliable struct {
	rseq     uint32
	cseq     uint32
	waiting  bool
	sdp      bool // it has our answer: the 2xx waits for the PRACK
	bytes    []byte
	path     path
	timer    *time.Timer
	interval time.Duration
	deadline time.Time
	accept   func() // the 2xx that waits

	rack string // theirs
}

// provisional sends 101 to 199, reliably where the far end wants that, or can have it and there is something to lose; c.mu is held.
func (c *Call) provisional(code int, body []byte) {
	tx, m := c.inviteTx, c.invite
	if tx == nil || tx.answered() {
		return
	}
	r := c.a.responseTo(m, code, "", c.localTag)
	for _, v := range m.values("Record-Route") {
		r.add("Record-Route", v)
	}
	r.add("Contact", c.contact)
	r.add("Allow", allowed)
	must := m.lists("Require", "100rel")
	can := must || m.lists("Supported", "100rel")
	if can && !c.rel.waiting && (must || len(body) > 0) {
		rel := &c.rel
		if rel.rseq == 0 {
			var b [2]byte
			fill(b[:])
			rel.rseq = uint32(b[0])<<8 | uint32(b[1]) // RFC 3262 3: begins anywhere below 2^31
		}
		rel.rseq++
		r.add("Require", "100rel")
		r.add("RSeq", itoa(rel.rseq))
		r.setSDP(body)
		rel.cseq, rel.waiting, rel.sdp = m.cseq, true, len(body) > 0
		rel.bytes = r.write(make([]byte, 0, 1024+len(body)))
		rel.path = back(m.path, m)
		rel.interval = c.a.timers.t1
		rel.deadline = time.Now().Add(64 * c.a.timers.t1)
		if rel.timer == nil {
			rel.timer = time.AfterFunc(rel.interval, c.relTime)
		} else {
			rel.timer.Reset(rel.interval)
		}
	} else if must {
		return // one after the other (RFC 3262 3); the first says enough
	} else if c.offer != nil {
		r.setSDP(body) // an offer of ours has to be in something that is acknowledged (RFC 3261 13.2.1)
	}
	if c.state == stateCalling {
		c.become(stateEarly)
	}
	tx.respond(r)
}

func (c *Call) relTime() {
	c.mu.Lock()
	defer c.mu.Unlock()
	rel := &c.rel
	if !rel.waiting || c.state == stateEnded {
		return
	}
	if !time.Now().Before(rel.deadline) {
		c.reject(504, "no PRACK came")
		c.finish(End{Timeout: true, Reason: "no PRACK came"})
		return
	}
	c.a.send(rel.path, rel.bytes)
	rel.interval *= 2
	rel.timer.Reset(min(rel.interval, max(time.Until(rel.deadline), time.Millisecond)))
}

// rack is the value of an RAck header.
type rack struct {
	rseq, cseq uint32
	method     string
}

func parseRAck(s string) (rack, *fault) {
	f := strings.Fields(s)
	if len(f) != 3 {
		return rack{}, bad("RAck is not two numbers and a method")
	}
	rseq, ok := number(f[0], 1<<32-1)
	cseq, ok2 := number(f[1], 1<<31-1)
	if !ok || !ok2 || !isToken(f[2]) {
		return rack{}, bad("RAck is not two numbers and a method")
	}
	return rack{uint32(rseq), uint32(cseq), f[2]}, nil
}

// pracked takes a PRACK; c.mu is held.
func (c *Call) pracked(m *message, tx *serverTx) {
	v, f := parseRAck(m.get("RAck"))
	if f != nil {
		c.reply(tx, m, 400, f.why)
		return
	}
	rel := &c.rel
	if !rel.waiting || v.rseq != rel.rseq || v.cseq != rel.cseq || v.method != "INVITE" {
		c.reply(tx, m, 481, "")
		return
	}
	rel.waiting, rel.bytes = false, nil
	rel.timer.Stop()
	if body := sdpOf(m); body != nil {
		if c.offering.theirs != offerNone {
			c.reply(tx, m, 500, "", Header{"Retry-After", "1"})
		} else if c.offer == nil && !rel.sdp {
			c.reply(tx, m, 488, "")
		} else if c.offer == nil {
			// Our offer went out in the 18x; this is the answer.
			c.reply(tx, m, 200, "")
			c.theirSDP = body
			c.dialing.answered = true
			c.tell(func(h Handler) { h.Answered(body) })
		} else {
			c.offering.theirs, c.offering.update, c.offering.updateTx = offerPrack, m, tx
			c.theirSDP = body
			c.tell(func(h Handler) { h.Offered(body) })
		}
	} else {
		c.reply(tx, m, 200, "")
	}
	if f := rel.accept; f != nil && c.offering.theirs != offerPrack {
		rel.accept = nil
		f()
	}
}
