package sip

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// redirects are the contacts that a call was sent to (RFC 3261 8.1.3.4) and has not called yet.
type redirects struct {
	left   int // that may still be called
	called []string
	next   []contact
}

// contact is one of them.
type contact struct {
	uri        uri
	q          float64
	from       netip.AddrPort // whose answer it is in
	transports []Transport    // by which it may be called
}

// maxContacts is how many contacts of one answer are looked at.
const maxContacts = 16

// redirected takes an answer that names contacts; c.mu is held. false: it is not followed.
//
// 305 and 380 are failures. A 305 (RFC 3261 21.3.4) would have the call repeated by way of a proxy that the answer names, which then sees and may change
// all of it: which proxies a call passes is for the dial plan to say. What a 380 offers instead is in its body, in a format that no RFC
// defines (21.3.5).
func (c *Call) redirected(r *message) bool {
	d := &c.dialing
	if r.code != 300 && r.code != 301 && r.code != 302 || d.redirects.left <= 0 {
		return false
	}
	if len(d.redirects.called) == 0 {
		d.redirects.called = append(d.redirects.called, sameness(d.uri))
	}
	secure := strings.HasPrefix(strings.ToLower(d.uri), "sips:")
	all := c.redirectable()
	var list []contact
	for _, v := range r.list("Contact") {
		if len(list) == maxContacts {
			break
		}
		a, f := parseAddress(v)
		if f != nil || !a.uri.sip() || secure && a.uri.scheme != "sips" {
			continue // from sips to sip is not for us to decide (RFC 3261 8.1.3.4)
		}
		if m, ok := a.uri.param("method"); ok && !equalFold(m, "INVITE") {
			continue
		}
		one := contact{uri: a.uri, q: 1, from: r.path.remote, transports: all}
		if t, ok := a.uri.transport(); ok {
			if len(all) > 0 && !slices.Contains(all, t) {
				continue
			}
			one.transports = []Transport{t}
		}
		if q, ok := param(a.params, "q"); ok {
			if v, err := strconv.ParseFloat(q, 64); err == nil && v >= 0 && v <= 1 {
				one.q = v
			}
		}
		list = append(list, one)
	}
	// The dearest first; those of an earlier answer that were not called yet come after them.
	slices.SortStableFunc(list, func(a, b contact) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	d.redirects.next = append(list, d.redirects.next...)
	d.redirects.next = d.redirects.next[:min(len(d.redirects.next), 2*maxContacts)]
	return c.follow()
}

// redirectable are the transports that contacts may be called by; none: any. What was offered to a far end by TLS has keys in it and goes by nothing less.
func (c *Call) redirectable() []Transport {
	if c.path.transport == TLS {
		return []Transport{TLS}
	}
	if len(c.dial.Transports) > 0 {
		return c.dial.Transports
	}
	var l []Transport
	for _, t := range c.dial.Next {
		if !slices.Contains(l, t.Transport) {
			l = append(l, t.Transport)
		}
	}
	return l
}

// sameness is a URI as far as loops are concerned.
func sameness(uri string) string {
	u, f := parseURI(uri)
	if f != nil {
		return uri
	}
	t, _ := u.param("transport")
	return u.user + "@" + strings.ToLower(u.host) + ":" + strconv.Itoa(int(u.port)) + ";" + strings.ToLower(t)
}

// follow calls the next contact; c.mu is held. false: there is none.
func (c *Call) follow() bool {
	d := &c.dialing
	r := &d.redirects
	for len(r.next) > 0 && r.left > 0 {
		one := r.next[0]
		r.next = r.next[1:]
		// Headers in the URI of a contact are those of a request that we would not have made.
		one.uri.text = strings.TrimSuffix(one.uri.text, "?"+one.uri.headers)
		id := sameness(one.uri.text)
		if slices.Contains(r.called, id) {
			continue
		}
		r.called = append(r.called, id)
		r.left--
		first, _ := parseURI(c.dial.To)
		if !equalFold(first.host, one.uri.host) {
			c.auth = credentials{}
		}
		d.uri, d.rest, d.tx = one.uri.text, nil, nil
		d.early, d.answered, d.answeredBy, d.tried, d.raised = nil, false, "", tries{}, false
		c.remoteTag, c.target, c.routes = "", d.uri, nil
		if c.state == stateEarly {
			c.become(stateCalling)
		}
		c.a.log.Info("sip: a call is redirected", "call", c.callID, "to", d.uri, "by", one.from)
		c.a.running.Add(1)
		go func() {
			defer c.a.running.Done()
			c.replace(one)
		}()
		return true
	}
	r.next = nil
	return false
}

// replace is place for a contact.
func (c *Call) replace(to contact) {
	targets, err := c.look(to.uri.host, to.uri.port, to.transports)
	c.mu.Lock()
	allowed := c.dial.Follow
	c.mu.Unlock()
	targets = slices.DeleteFunc(targets, func(t Target) bool {
		ip := t.Address.Addr()
		return ip.IsMulticast() || ip.IsUnspecified() || ip.IsLoopback() && !to.from.Addr().IsLoopback() || allowed != nil && !allowed(to.from, t)
	})
	if len(targets) > 0 {
		c.try(targets)
		return
	}
	e := End{Unreachable: true, Lookup: err != nil, Reason: "redirected to where it may not go", Err: err}
	if err != nil {
		e.Reason = err.Error()
	}
	c.mu.Lock()
	c.failed(e)
	c.mu.Unlock()
}

// failed ends a call that did not come about, unless it was sent to somebody else who is still to be called; c.mu is held. What one says for everybody (6xx)
// is the end.
func (c *Call) failed(e End) {
	if c.state < stateAccepted && e.Code < 600 && c.follow() {
		return
	}
	c.finish(e)
}
