package sip

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// refers are a call's REFERs: those of the far end, of which it wants to hear, and ours, of which we wait to hear.
type refers struct {
	asked bool // theirs is under way, and NOTIFYs are wanted
	event string
	ours  bool
	timer *time.Timer
}

// referWait is how long the far end may say nothing of a REFER.
const referWait = 3 * time.Minute

// parseReferTo reads a Refer-To value: the address, and the Replaces header that its URI carries.
func parseReferTo(s string) (to, replaces string, f *fault) {
	a, f := parseAddress(s)
	if f != nil {
		return "", "", f
	}
	to = a.uri.text
	if !a.uri.sip() || a.uri.headers == "" {
		return to, "", nil
	}
	to, _, _ = strings.Cut(to, "?")
	for _, h := range strings.Split(a.uri.headers, "&") {
		name, v, _ := strings.Cut(h, "=")
		switch strings.ToLower(name) {
		case "replaces":
			if replaces, f = unescape(v); f != nil {
				return "", "", f
			}
			if _, f = parseReplaces(replaces); f != nil {
				return "", "", f
			}
		case "method":
			if !equalFold(v, "INVITE") {
				return "", "", bad("Refer-To asks for a method other than INVITE")
			}
		}
	}
	return to, replaces, nil
}

func unescape(s string) (string, *fault) {
	v, err := url.PathUnescape(s)
	if err != nil || hasControl(v) {
		return "", bad("the URI has a header with a % that is not followed by two hexadecimal digits, or with control characters")
	}
	return v, nil
}

// referred takes a REFER; c.mu is held.
func (c *Call) referred(m *message, tx *serverTx) {
	if l := m.list("Refer-To"); len(l) != 1 {
		c.reply(tx, m, 400, "there is not exactly one Refer-To")
		return
	}
	to, replaces, f := parseReferTo(m.get("Refer-To"))
	switch {
	case f != nil:
		c.reply(tx, m, 400, "Refer-To: "+f.why)
		return
	case c.refers.asked:
		c.reply(tx, m, 491, "an earlier REFER is under way")
		return
	}
	quiet := equalFold(m.get("Refer-Sub"), "false")
	event := "refer;id=" + itoa(m.cseq)
	c.tell(func(h Handler) {
		code := 481
		if h != nil {
			code = h.Referred(to, replaces)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if quiet && code < 300 {
			c.reply(tx, m, code, "", Header{"Refer-Sub", "false"})
			return
		}
		c.reply(tx, m, code, "")
		if code < 300 && c.state != stateEnded {
			c.refers.asked, c.refers.event = true, event
			c.notify(100, phrase(100))
		}
	})
}

// ReferProgress tells the far end how what it asked for by REFER goes on: a status of the new call; 200 and above is the last.
func (c *Call) ReferProgress(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.refers.asked || c.state == stateEnded || code < 100 || code > 699 {
		return
	}
	c.notify(code, phrase(code))
	if code >= 200 {
		c.refers.asked = false
	}
}

// notify sends what is known of a REFER (RFC 3515 2.4.4); c.mu is held.
func (c *Call) notify(code int, reason string) {
	m := c.build("NOTIFY")
	m.add("Event", c.refers.event)
	if code < 200 {
		m.add("Subscription-State", "active;expires=180")
	} else {
		m.add("Subscription-State", "terminated;reason=noresource")
	}
	m.add("Content-Type", "message/sipfrag;version=2.0")
	m.body = []byte("SIP/2.0 " + strconv.Itoa(code) + " " + reason + "\r\n")
	// A far end that does not want to hear it (481) has not lost the call.
	c.submit(&outgoing{m: m, answer: func(r *message) {
		if r.code == 481 {
			r.code = 489
		}
	}})
}

// Refer asks the far end to call another address. A [Handler] that is a [Referrer] hears what comes of it.
func (c *Call) Refer(to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConfirmed {
		return
	}
	m := c.build("REFER")
	m.add("Refer-To", "<"+clean(to)+">")
	m.add("Referred-By", c.localValue)
	m.add("Supported", supported)
	c.refers.ours = true
	c.submit(&outgoing{m: m, answer: func(r *message) {
		if r.code >= 300 || r.code >= 200 && equalFold(r.get("Refer-Sub"), "false") {
			c.referDone(r.code)
		}
	}})
	if c.refers.timer == nil {
		c.refers.timer = time.AfterFunc(referWait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.referDone(408)
		})
	} else {
		c.refers.timer.Reset(referWait)
	}
}

func (c *Call) referDone(code int) {
	if !c.refers.ours || c.state == stateEnded {
		return
	}
	c.refers.ours = false
	if c.refers.timer != nil {
		c.refers.timer.Stop()
	}
	c.tellRefer(code)
}

func (c *Call) tellRefer(code int) {
	c.tell(func(h Handler) {
		if r, ok := h.(Referrer); ok {
			r.ReferDone(code)
		}
	})
}

// notified takes a NOTIFY of our REFER; c.mu is held.
func (c *Call) notified(m *message, tx *serverTx) {
	event, _, _ := strings.Cut(m.get("Event"), ";")
	if !equalFold(strings.TrimSpace(event), "refer") {
		c.reply(tx, m, 489, "", Header{"Allow-Events", "refer"})
		return
	}
	if !c.refers.ours {
		c.reply(tx, m, 481, "")
		return
	}
	c.reply(tx, m, 200, "")
	code := sipfrag(m.body)
	state, _, _ := strings.Cut(m.get("Subscription-State"), ";")
	switch {
	case code >= 200:
		c.referDone(code)
	case equalFold(strings.TrimSpace(state), "terminated"):
		c.referDone(408)
	case code > 100:
		c.tellRefer(code)
	}
}

// sipfrag is the status of a message/sipfrag (RFC 3420); 0: none.
func sipfrag(b []byte) int {
	line, _ := cutLine(string(b[:min(len(b), 256)]))
	rest, ok := strings.CutPrefix(line, "SIP/2.0 ")
	if !ok {
		return 0
	}
	code, _, _ := strings.Cut(rest, " ")
	n, ok := number(code, 699)
	if !ok || n < 100 {
		return 0
	}
	return int(n)
}

// replaces is the value of a Replaces header (RFC 3891 6.1).
type replaces struct {
	callID, to, from string
	early            bool
}

func parseReplaces(s string) (replaces, *fault) {
	id, params, _ := strings.Cut(s, ";")
	r := replaces{callID: strings.TrimSpace(id)}
	if r.callID == "" || strings.ContainsAny(r.callID, " \t,") {
		return r, bad("Replaces has no Call-ID")
	}
	for params != "" {
		var name, v string
		var has bool
		name, v, has, params = cutParam(params)
		switch strings.ToLower(name) {
		case "to-tag":
			if r.to != "" {
				return r, bad("Replaces has more than one to-tag")
			}
			r.to = v
		case "from-tag":
			if r.from != "" {
				return r, bad("Replaces has more than one from-tag")
			}
			r.from = v
		case "early-only":
			if has {
				return r, bad("early-only of Replaces has no value")
			}
			r.early = true
		}
	}
	if r.to == "" || r.from == "" {
		return r, bad("Replaces has no to-tag or no from-tag")
	}
	return r, nil
}

// replaced finds the call whose place an INVITE asks for, or the answer that it gets instead (RFC 3891 3).
func (a *Agent) replaced(m *message, v string) (*Call, int, string) {
	if len(m.list("Replaces")) > 1 || len(m.values("Replaces")) > 1 {
		return nil, 400, "more than one Replaces"
	}
	r, f := parseReplaces(v)
	if f != nil {
		return nil, 400, f.why
	}
	c := a.callByTag(r.to)
	if c == nil || c.callID != r.callID {
		return nil, 481, ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	from := r.from
	if from == "0" && c.remoteTag == "" {
		from = "" // an RFC 2543 dialog
	}
	_, early := c.dialing.early[from]
	switch {
	case c.remoteTag != from && !(c.remoteTag == "" && early):
		return nil, 481, ""
	case c.state == stateEnded:
		return nil, 603, ""
	case c.state >= stateAccepted && r.early:
		return nil, 486, ""
	case c.state < stateAccepted && c.incoming:
		return nil, 481, "" // an early dialog that we did not begin
	}
	return c, 0, ""
}

// replaced ends a call whose place was taken: on the wire only, its user knows.
func (c *Call) replaced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	const cause = "SIP;cause=200;text=\"replaced\""
	switch c.state {
	case stateEnded:
		return
	case stateAccepted:
		c.byeLater, c.byeCause = true, cause
	case stateConfirmed:
		c.abandonInvite()
		c.bye(cause)
	default:
		c.giveUp(cause)
	}
	c.become(stateEnded)
	c.stop()
}
