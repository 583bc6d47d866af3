package sip

import (
	"strconv"
	"strings"
	"time"
)

// session is the session timer of a dialog (RFC 4028).
type session struct {
	want, min time.Duration // what we ask for
	interval  time.Duration // what was agreed; 0: none
	ours      bool          // we refresh
	timer     *time.Timer
	until     time.Time
}

// offer puts what we want into a request.
func (s *session) offer(m *message) {
	v := strconv.Itoa(int(s.want / time.Second))
	if s.interval > 0 {
		v = strconv.Itoa(int(s.interval / time.Second))
		if s.ours {
			v += ";refresher=uac"
		} else {
			v += ";refresher=uas"
		}
	}
	m.add("Session-Expires", v)
	if s.min > 0 {
		m.add("Min-SE", strconv.Itoa(int(s.min/time.Second)))
	}
}

// seconds reads a delta-seconds with parameters.
func seconds(s string) (time.Duration, bool) {
	n, _, _ := strings.Cut(s, ";")
	v, ok := number(strings.TrimSpace(n), 1<<31-1)
	return time.Duration(v) * time.Second, ok
}

// sessionExpires reads a Session-Expires header.
func sessionExpires(s string) (interval time.Duration, refresher string, ok bool) {
	interval, ok = seconds(s)
	_, params, _ := strings.Cut(s, ";")
	refresher, _ = param(params, "refresher")
	refresher = strings.ToLower(refresher)
	if refresher != "uac" && refresher != "uas" {
		refresher = ""
	}
	return interval, refresher, ok
}

// tooShort answers 422 to a request whose session interval is below what we take.
func (c *Call) tooShort(m *message) (Header, bool) {
	d, _, ok := sessionExpires(m.get("Session-Expires"))
	if ok && d < c.a.o.MinSE && m.lists("Supported", "timer") {
		return Header{"Min-SE", strconv.Itoa(int(c.a.o.MinSE / time.Second))}, true
	}
	return Header{}, false
}

// grant decides on the session timer for a 2xx of ours and returns its headers (RFC 4028 9, table 2); c.mu is held.
func (c *Call) grant(m *message) []Header {
	s := &c.session
	interval, refresher, ok := sessionExpires(m.get("Session-Expires"))
	theirs := m.lists("Supported", "timer")
	if !ok || interval < c.a.o.MinSE {
		interval = c.a.o.SessionExpires
		if v, has := seconds(m.get("Min-SE")); has && v > interval {
			interval = v
		}
	}
	interval = min(interval, 24*time.Hour)
	var h []Header
	if refresher == "" || refresher == "uac" && !theirs {
		if refresher = "uas"; theirs {
			refresher = "uac"
		}
	}
	s.interval, s.ours = interval, refresher == "uas"
	h = append(h, Header{"Session-Expires", strconv.Itoa(int(interval/time.Second)) + ";refresher=" + refresher})
	if theirs && refresher == "uac" {
		h = append(h, Header{"Require", "timer"})
	}
	c.arm()
	return h
}

// agreed takes what the answer to a request of ours says; c.mu is held. first: of the INVITE that began the dialog.
func (s *session) agreed(c *Call, r *message, first bool) {
	interval, refresher, ok := sessionExpires(r.get("Session-Expires"))
	if !ok {
		// The far end has no session timers. We look after the dialog all the same, or a far end that died would never be found.
		s.interval, s.ours = s.want, true
		if s.interval == 0 {
			s.interval = c.a.o.SessionExpires
		}
	} else {
		s.interval = min(max(interval, time.Second), 24*time.Hour)
		s.ours = refresher != "uas"
	}
	c.arm()
}

// arm sets the timer: at half of the interval for who refreshes, near its end for who waits (RFC 4028 10); c.mu is held.
func (c *Call) arm() {
	s := &c.session
	if s.interval == 0 || c.state == stateEnded {
		return
	}
	d := s.interval / 2
	if !s.ours {
		d = s.interval - min(32*time.Second, s.interval/3)
	}
	s.until = time.Now().Add(s.interval)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, c.sessionTime)
	} else {
		s.timer.Reset(d)
	}
}

func (c *Call) sessionTime() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConfirmed {
		return
	}
	if !c.session.ours || !time.Now().Before(c.session.until) {
		c.hangup("SIP;cause=408;text=\"session timer expired\"", End{Timeout: true, Reason: "the session timer expired"})
		return
	}
	// Should the refresh not come through, the next half is the last.
	left := max(time.Until(c.session.until), time.Millisecond)
	c.session.timer.Reset(left)
	if !c.refresh() {
		c.session.timer.Reset(min(left, 10*time.Second)) // something is under way, and may come to nothing
	}
}

// refresh shows that we are there, by UPDATE without an offer where the far end takes it, or else by an INVITE that offers what is agreed already. false:
// not now.
func (c *Call) refresh() bool {
	o := &c.offering
	if o.ours || o.updates || o.theirs != offerNone || c.inviteTx != nil || c.ok.waiting() {
		return false // an exchange that is under way refreshes as well
	}
	if !c.knows("UPDATE") {
		if c.lastSDP == nil {
			return false
		}
		o.refresh = true
		c.reinvite(c.lastSDP)
		return true
	}
	m := c.build("UPDATE")
	m.add("Supported", supported)
	c.session.offer(m)
	o.updates = true
	c.submit(&outgoing{m: m, answer: c.updated(false)})
	return true
}

// updated hears the answer to an UPDATE of ours; c.mu is held.
func (c *Call) updated(again bool) func(*message) {
	return func(r *message) {
		o := &c.offering
		o.updates = false
		if c.state != stateConfirmed {
			return
		}
		switch {
		case r.code < 300:
			if t := contactOf(r); t != "" {
				c.retarget(t)
			}
			c.session.agreed(c, r, false)
		case r.code == 422 && !again:
			if min, ok := seconds(r.get("Min-SE")); ok && min > c.session.interval && min < 24*time.Hour {
				c.session.interval, c.session.min = min, min
				m := c.build("UPDATE")
				c.session.offer(m)
				o.updates = true
				c.submit(&outgoing{m: m, answer: c.updated(true)})
				return
			}
		case r.code == 491 || r.code == 500:
			// Something crossed it; that refreshes too, or the timer asks again.
			c.session.timer.Reset(wait(2100*time.Millisecond, 4*time.Second))
		case r.code == 405 || r.code == 501:
			c.allow = "" // whatever it said before
			c.refresh()
		case !r.local():
			c.arm() // refused, but by somebody who is there
		}
		c.turn()
	}
}
