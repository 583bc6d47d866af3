package transport

import "rotunda/services/media/srtp"

// signalled takes over the addresses of new settings. One that is as before does not undo what latching found out since.
func (e *Endpoint) signalled(s *settings) {
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mux = s.mux
	o.follow = s.latch
	for c, to := range s.remote {
		if to == o.signal[c] {
			continue
		}
		o.signal[c] = to
		o.paths[c] = path{}
		if via := e.socketFor(c, to.family()); to.known() && via != nil {
			o.paths[c] = path{to, via}
		}
	}
}

// socketFor is the first local address of a family: the default one.
func (e *Endpoint) socketFor(component int, family uint16) *socket {
	for _, s := range e.sockets[component] {
		if s.family == family {
			return s
		}
	}
	return nil
}

// latch sends to where packets come from (RFC 4961).
func (o *outgoing) latch(s *socket, from *sockaddr) {
	o.mu.Lock()
	o.paths[s.component] = path{*from, s}
	o.mu.Unlock()
}

// handshakeFrom remembers where DTLS records come from.
func (o *outgoing) handshakeFrom(s *socket, from *sockaddr) {
	o.mu.Lock()
	o.hello = path{*from, s}
	o.mu.Unlock()
}

// settle makes the peer of a finished handshake the one to send to, if it may choose or nothing else is known.
func (o *outgoing) settle() {
	o.mu.Lock()
	if o.hello.via != nil && (o.follow || o.paths[0].via == nil) {
		o.paths[0] = o.hello
	}
	o.mu.Unlock()
}

// choose takes the pair that ICE selected; with neither socket nor relay nothing may be sent any more.
func (o *outgoing) choose(via *socket, to sockaddr, r *relay) {
	o.mu.Lock()
	o.paths[0] = path{to, via}
	o.relay = r
	o.mu.Unlock()
}

// key protects what is sent from now on with a context.
func (o *outgoing) key(c *srtp.Context, inherit bool) {
	o.mu.Lock()
	if inherit && o.ctx != nil {
		c.Inherit(o.ctx)
	}
	if o.repeats {
		c.AllowRepeats()
	}
	o.ctx = c
	o.mu.Unlock()
}

// ready tells the suite in use, whether there are all keys that are wanted, and whether it is known where to send.
func (e *Endpoint) ready() (cipher string, keyed, remote bool) {
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ctx != nil {
		cipher = o.ctx.Suite()
	}
	return cipher, !e.secured.Load() || o.ctx != nil && e.in.Load() != nil, o.relay != nil || o.paths[0].via != nil
}

// where is the path in use, for statistics.
func (e *Endpoint) where() (local, remote string) {
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.relay != nil {
		return o.relay.names()
	}
	if p := o.paths[0]; p.via != nil {
		return p.via.local.String(), p.to.addrPort().String()
	}
	return e.sockets[0][0].local.String(), ""
}

// close refuses everything from now on, and waits for system calls that are under way.
func (o *outgoing) close() {
	o.mu.Lock()
	o.closed = true
	o.relay = nil
	o.mu.Unlock()
	o.flights.Wait()
}
