package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// outgoing is a request within a dialog that looks for its way.
type outgoing struct {
	m *message
	// answer hears final answers, and 408 for none. It is called with the call locked. nil: nobody cares.
	answer func(*message)
	tried  tries
	anew   bool // over a second connection
	sent   func(p path, b []byte)
	by     *path // a connection that it goes by as long as it lives; nil: the call's
}

// mtu is how long a request may be before a datagram might be broken up on the way (RFC 3261 18.1.1).
const mtu = 1300

func (m *message) size() int {
	n := len(m.method) + len(m.uri) + len(m.body) + 128 // Via and Content-Length are still to come
	for i := range m.headers {
		n += len(m.headers[i].Name) + len(m.headers[i].Value) + 4
	}
	return n
}

// submit sends a request, in order with those before it; c.mu is held.
func (c *Call) submit(o *outgoing) {
	if o.by != nil && o.by.conn.alive() {
		c.launch(o, *o.by)
		return
	}
	if !c.pumping {
		if p, ok := c.way(o.m); ok {
			c.launch(o, p)
			return
		}
	}
	if len(c.outbox) >= maxUntold && o.m.method == "PRACK" {
		return // the far end sends faster than its proxy can be found
	}
	c.outbox = append(c.outbox, o)
	if !c.pumping {
		c.pumping = true
		c.a.running.Add(1)
		go c.pump()
	}
}

// hop is where a request is to go: the URI of its first route, or its own.
func (c *Call) hop(m *message) (uri, Transport, uint16) {
	text := m.uri
	if r := m.get("Route"); r != "" && !m.strict {
		if a, err := parseAddress(r); err == nil {
			if _, loose := a.uri.param("lr"); loose {
				text = a.uri.text
			}
		}
	}
	u, _ := parseURI(text)
	t, ok := u.transport()
	if !ok {
		t = c.path.transport
	}
	return u, t, u.port
}

func usualPort(t Transport, port uint16) uint16 {
	switch {
	case port != 0:
		return port
	case t == TLS:
		return 5061
	}
	return 5060
}

// way is where a request goes when nothing has to be waited for: the connection that the dialog lives on, or a datagram to an address.
func (c *Call) way(m *message) (path, bool) {
	if c.path.conn.alive() {
		return c.path, true
	}
	u, t, port := c.hop(m)
	ip, ok := u.address()
	if !ok || t != UDP || m.size() > mtu {
		return path{}, false
	}
	s := c.path.sock
	if s == nil || s.local.Addr().Is4() != ip.Unmap().Is4() {
		if s = c.a.socketFor(ip.Unmap()); s == nil {
			return path{}, false
		}
	}
	return path{transport: UDP, local: s.local, remote: netip.AddrPortFrom(ip.Unmap(), usualPort(t, port)), sock: s}, true
}

// pump finds the ways of requests that have to wait for a look-up or a connection, one after the other.
func (c *Call) pump() {
	defer c.a.running.Done()
	for {
		c.mu.Lock()
		if len(c.outbox) == 0 {
			c.outbox, c.pumping = nil, false
			c.mu.Unlock()
			return
		}
		o := c.outbox[0]
		p, ok := c.way(o.m)
		var u uri
		var t Transport
		var port uint16
		if !ok {
			u, t, port = c.hop(o.m)
		}
		size := o.m.size()
		c.mu.Unlock()
		var err error
		if !ok {
			p, err = c.a.find(u, t, port, size)
		}
		c.mu.Lock()
		c.outbox[0] = nil
		c.outbox = c.outbox[1:]
		if err != nil {
			c.a.log.Info("sip: send request", "call", c.callID, "method", o.m.method, "error", err)
			if o.answer != nil {
				o.answer(&message{code: 408, reason: err.Error()})
			}
		} else {
			if p.conn != nil {
				c.on(p)
			}
			c.launch(o, p)
		}
		c.mu.Unlock()
	}
}

// find looks a hop up and reaches it.
func (a *Agent) find(u uri, t Transport, port uint16, size int) (path, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*a.limits.Connect)
	defer cancel()
	targets, err := a.targets(ctx, u.host, port, []Transport{t})
	if err != nil {
		return path{}, err
	}
	err = errors.New("nowhere to send to")
	for _, target := range targets {
		var p path
		if p, err = a.reachSized(ctx, target, size); err == nil {
			return p, nil
		}
	}
	return path{}, err
}

// reachSized is reach, but goes by TCP instead of UDP for what is too long for a datagram, where the far end has TCP (RFC 3261 18.1.1).
func (a *Agent) reachSized(ctx context.Context, t Target, size int) (path, error) {
	if t.Transport == UDP && size > mtu {
		stream := t
		stream.Transport = TCP
		if p, err := a.reach(ctx, stream); err == nil {
			return p, nil
		}
	}
	return a.reach(ctx, t)
}

// targets are where a host is: itself if it is an address.
func (a *Agent) targets(ctx context.Context, host string, port uint16, ts []Transport) ([]Target, error) {
	if len(ts) == 0 {
		ts = []Transport{TLS, TCP, UDP}
	}
	var usable []Transport
	a.mu.Lock()
	udp := a.udp != UDPDisabled
	a.mu.Unlock()
	for _, t := range ts {
		if t == UDP && !udp || t == TLS && a.o.TLS == nil && a.o.DialTLS == nil {
			continue
		}
		usable = append(usable, t)
	}
	if len(usable) == 0 {
		return nil, localf("none of the transports %v is in use here", ts)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		var l []Target
		for _, t := range usable {
			l = append(l, Target{Transport: t, Address: netip.AddrPortFrom(ip.Unmap(), usualPort(t, port))})
		}
		return l, nil
	}
	if a.o.Targets == nil {
		return nil, fmt.Errorf("%s is a name, and there is nothing to look it up with", host)
	}
	l, err := a.o.Targets(ctx, host, port, usable)
	if err == nil && len(l) == 0 {
		err = fmt.Errorf("%s has no address", host)
	}
	return l, err
}

// launch sends a request by a way; c.mu is held.
func (c *Call) launch(o *outgoing, p path) {
	value, v := c.a.viaValue(p)
	o.m.headers[0].Value, o.m.via = value, v
	if o.m.method == "ACK" {
		b := o.m.write(make([]byte, 0, 1024))
		if o.sent != nil {
			o.sent(p, b)
		}
		if err := c.a.send(p, b); err != nil {
			c.a.log.Debug("sip: send ACK", "call", c.callID, "error", err)
		}
		return
	}
	c.a.request(o.m, p, func(r *message) { c.answered(o, r) }, func(err error) {
		code := 408
		if p.conn != nil && !o.anew && !errors.Is(err, errTimeout) && !errors.Is(err, errClosing) {
			// The connection was dead and nobody knew. Over a new one it is another request.
			c.mu.Lock()
			o.anew = true
			c.seq++
			o.m.renumber(c.seq)
			c.submit(o)
			c.mu.Unlock()
			return
		}
		if !errors.Is(err, errTimeout) {
			code = 503
		}
		c.answered(o, &message{code: code, reason: err.Error(), headers: []Header{{"Reason-Local", ""}}})
	})
}

// local says that an answer is our own, for none that came.
func (m *message) local() bool { return len(m.headers) == 0 || m.headers[0].Name == "Reason-Local" }

// answered takes the answer to a request within the dialog.
func (c *Call) answered(o *outgoing, r *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.code < 200 {
		return
	}
	if (r.code == 401 || r.code == 407) && !r.local() && c.state != stateEnded || (r.code == 401 || r.code == 407) && o.m.method == "BYE" {
		if c.authorize(o.m, r, &o.tried) {
			c.seq++
			o.m.renumber(c.seq)
			c.submit(o)
			return
		}
	}
	if o.answer != nil {
		o.answer(r)
	}
	if c.state != stateConfirmed || o.m.method == "BYE" {
		return
	}
	// RFC 5057 5.1: the far end does not know this dialog, or is not there any more.
	switch {
	case r.code == 481 || r.code == 408 && !r.local():
		c.finish(End{Remote: true, Code: r.code, Reason: r.reason})
	case r.code == 408:
		c.bye("")
		c.finish(End{Timeout: true, Reason: r.reason})
	}
}

func (m *message) renumber(seq uint32) {
	m.cseq = seq
	for i := range m.headers {
		if m.headers[i].Name == "CSeq" {
			m.headers[i].Value = itoa(seq) + " " + m.method
		}
	}
}

// wait is a random time up to d.
func wait(least, most time.Duration) time.Duration {
	var b [8]byte
	fill(b[:])
	n := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	// Units of 10 ms (RFC 3261 14.1).
	span := uint64((most-least)/(10*time.Millisecond)) + 1
	return least + time.Duration(n%span)*10*time.Millisecond
}
