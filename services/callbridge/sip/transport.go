package sip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// udpSocket is one UDP socket; requests go out by it as well.
type udpSocket struct {
	a     *Agent
	c     *net.UDPConn
	local netip.AddrPort
}

func (s *udpSocket) read() {
	hearErrors(s.c)
	buf := make([]byte, 65536)
	for {
		n, remote, err := s.c.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// An ICMP error of something sent before, or an interface that is going away.
			s.drain()
			select {
			case <-s.a.done:
				return
			case <-time.After(time.Millisecond):
			}
			continue
		}
		remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		b := buf[:n]
		if keepAlive(b) {
			// RFC 5626 keeps UDP flows up by STUN; bare line ends are common and want no answer.
			continue
		}
		s.a.receive(b, path{transport: UDP, local: s.local, remote: remote, sock: s})
	}
}

// keepAlive says whether b is line ends and zeros only.
func keepAlive(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// conn is a stream connection, TCP or TLS, whoever opened it.
type conn struct {
	a             *Agent
	c             net.Conn
	transport     Transport
	local, remote netip.AddrPort
	host          string // name that was verified, of connections that we opened
	outgoing      bool

	mu      sync.Mutex
	out     []byte
	wake    chan struct{}
	closed  bool
	ending  bool // nothing is sent after what waits
	calls   int  // dialogs that use it
	waiting map[*clientTx]struct{}
}

// maxUnsent is how much may wait for a peer that does not read.
const maxUnsent = 1 << 20

var errGone = errors.New("the connection is closed")

func (c *conn) alive() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed
}

// send hands bytes to the writer. It does not wait; a peer that lets more than 1 MiB wait loses the connection.
func (c *conn) send(b []byte) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errGone
	}
	if len(c.out)+len(b) > maxUnsent {
		c.mu.Unlock()
		go c.close() // its transactions may be locked by our caller
		return fmt.Errorf("%s does not read what it is sent", c.remote)
	}
	c.out = append(c.out, b...)
	select { // under the lock, as close closes the channel
	case c.wake <- struct{}{}:
	default:
	}
	c.mu.Unlock()
	return nil
}

func (c *conn) write() {
	defer c.a.running.Done()
	var spare []byte
	for range c.wake {
		for {
			c.mu.Lock()
			b, closed, ending := c.out, c.closed, c.ending
			c.out, spare = spare[:0], nil
			c.mu.Unlock()
			if closed {
				return
			}
			if len(b) == 0 {
				if half, ok := c.c.(interface{ CloseWrite() error }); ok && ending {
					half.CloseWrite()
				}
				spare = b
				break
			}
			c.c.SetWriteDeadline(time.Now().Add(c.a.limits.Arrival))
			if _, err := c.c.Write(b); err != nil {
				c.close()
				return
			}
			if cap(b) <= 64<<10 {
				spare = b
			}
		}
	}
}

// close ends the connection and tells the transactions that wait for answers over it.
func (c *conn) close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	waiting := c.waiting
	c.waiting, c.out = nil, nil
	close(c.wake)
	c.mu.Unlock()
	c.c.Close()
	c.a.forget(c)
	for tx := range waiting {
		tx.lost(errGone)
	}
}

func (c *conn) use(n int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.calls += n
	c.mu.Unlock()
}

func (c *conn) await(tx *clientTx) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.waiting == nil {
		c.waiting = make(map[*clientTx]struct{})
	}
	c.waiting[tx] = struct{}{}
	return true
}

func (c *conn) done(tx *clientTx) {
	c.mu.Lock()
	delete(c.waiting, tx)
	c.mu.Unlock()
}

// read takes messages off the stream (RFC 3261 18.3). A message has to be there as a whole within Limits.Arrival of its first byte.
func (c *conn) read() {
	defer c.a.running.Done()
	defer c.close()
	l := c.a.limits
	buf := make([]byte, 0, 4096)
	first := !c.outgoing
	var since time.Time
	var pings int
	for {
		switch {
		case len(buf) > 0 && !since.IsZero():
			c.c.SetReadDeadline(since.Add(l.Arrival))
		case first:
			c.c.SetReadDeadline(time.Now().Add(l.Arrival))
		default:
			c.c.SetReadDeadline(time.Now().Add(l.Idle))
		}
		n, err := c.c.Read(buf[len(buf):cap(buf)])
		if n == 0 && err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() && len(buf) == 0 && !first && c.busy() {
				continue // calls keep it open
			}
			return
		}
		buf = buf[:len(buf)+n]
		for len(buf) > 0 {
			if buf[0] == '\r' || buf[0] == '\n' {
				if len(buf) < 4 && bytes.Equal(buf, []byte("\r\n\r\n")[:len(buf)]) {
					break // maybe a keep-alive that is still coming in
				}
				if bytes.HasPrefix(buf, []byte("\r\n\r\n")) {
					// RFC 5626 3.5.1: answered by a single line end.
					if pings++; pings > 10000 {
						return
					}
					c.send([]byte("\r\n"))
					buf = buf[4:]
				} else {
					buf = buf[1:]
				}
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			end := headEnd(buf)
			if end == 0 {
				if len(buf) > l.Header {
					c.refuse(buf, &fault{513, "the head of the message is too long"})
					return
				}
				break
			}
			size := contentLength(buf[:end])
			switch {
			case size == -1:
				c.refuse(buf[:end], bad("Content-Length is missing"))
				return
			case size == -2:
				c.refuse(buf[:end], bad("Content-Length is not a number"))
				return
			case end > l.Header || size > l.Body:
				c.refuse(buf[:end], &fault{513, "the message is too long"})
				return
			}
			if len(buf) < end+size {
				break
			}
			first, since, pings = false, time.Time{}, 0
			if !c.a.receive(buf[:end+size], path{transport: c.transport, local: c.local, remote: c.remote, conn: c}) {
				c.linger()
				return
			}
			buf = buf[end+size:]
		}
		switch {
		case len(buf) == 0 && cap(buf) > 16<<10:
			buf = make([]byte, 0, 4096)
		case cap(buf)-len(buf) < 512:
			// What was read moves to the front of a block of its own.
			moved := make([]byte, len(buf), max(4096, 2*len(buf)))
			copy(moved, buf)
			buf = moved
		}
	}
}

func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls > 0
}

// refuse answers a message after which the stream cannot be read any further.
func (c *conn) refuse(b []byte, f *fault) {
	p := path{transport: c.transport, local: c.local, remote: c.remote, conn: c}
	c.a.trace(true, p, b)
	m, _ := parse(b[:min(len(b), c.a.limits.Header)])
	if m.answerable() {
		m.path = p
		c.a.answer(m, f.code, f.why)
	}
	c.linger()
}

// linger has the last answer sent and the sending side closed, and reads a little of what still comes: a connection that is closed over unread bytes
// is reset, and the answer with it.
func (c *conn) linger() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.ending = true
	select {
	case c.wake <- struct{}{}:
	default:
	}
	c.mu.Unlock()
	c.c.SetReadDeadline(time.Now().Add(time.Second))
	var sink [4096]byte
	for range 64 {
		if _, err := c.c.Read(sink[:]); err != nil {
			return
		}
	}
}

// accept takes connections of a listener.
func (a *Agent) accept(l net.Listener, t Transport) {
	defer a.running.Done()
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // no more file descriptors: they come back
			case <-a.done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		remote := addrPort(nc.RemoteAddr())
		now := time.Now()
		if a.connections.Add(1) > int64(a.limits.Connections) || !a.sources.hold(remote.Addr(), 1, 0, now) {
			a.connections.Add(-1)
			a.refused.Add(1)
			a.complain("sip: too many connections", "from", remote)
			nc.Close()
			continue
		}
		a.running.Add(1)
		go func() {
			defer a.running.Done()
			if t == TLS {
				var cfg *tls.Config
				if a.o.TLS != nil {
					cfg = a.o.TLS()
				}
				if cfg == nil {
					a.dropped(nc, remote)
					return
				}
				tc := tls.Server(nc, cfg)
				tc.SetDeadline(now.Add(a.limits.Arrival))
				if err := tc.Handshake(); err != nil {
					a.complain("sip: TLS handshake", "from", remote, "error", err)
					a.dropped(nc, remote)
					return
				}
				tc.SetDeadline(time.Time{})
				nc = tc
			}
			a.adopt(nc, t, "", false)
		}()
	}
}

func (a *Agent) dropped(nc net.Conn, remote netip.AddrPort) {
	nc.Close()
	a.connections.Add(-1)
	a.sources.release(remote.Addr(), 1, 0)
}

// adopt makes a conn of a connection that is counted already; nil when the agent is closing.
func (a *Agent) adopt(nc net.Conn, t Transport, host string, outgoing bool) *conn {
	c := &conn{a: a, c: nc, transport: t, local: addrPort(nc.LocalAddr()), remote: addrPort(nc.RemoteAddr()), host: host, outgoing: outgoing,
		wake: make(chan struct{}, 1)}
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		a.dropped(nc, c.remote)
		return nil
	}
	a.conns[c] = struct{}{}
	if outgoing {
		a.reuse[connKey{t, c.remote, host}] = c
	}
	a.running.Add(2)
	a.mu.Unlock()
	go c.write()
	go c.read()
	return c
}

func (a *Agent) forget(c *conn) {
	a.mu.Lock()
	_, there := a.conns[c]
	delete(a.conns, c)
	if k := (connKey{c.transport, c.remote, c.host}); a.reuse[k] == c {
		delete(a.reuse, k)
	}
	a.mu.Unlock()
	if there {
		a.connections.Add(-1)
		a.sources.release(c.remote.Addr(), 1, 0)
	}
}

type connKey struct {
	transport Transport
	remote    netip.AddrPort
	host      string
}

// reach returns the way to a target: a socket, a connection that is open, or a new one.
func (a *Agent) reach(ctx context.Context, t Target) (path, error) {
	addr := netip.AddrPortFrom(t.Address.Addr().Unmap(), t.Address.Port())
	if !addr.IsValid() || addr.Port() == 0 {
		return path{}, localf("%s is no address to send to", t.Address)
	}
	if t.Transport == UDP {
		s := a.socketFor(addr.Addr())
		if s == nil {
			return path{}, localf("no UDP socket from which %s can be reached", addr)
		}
		return path{transport: UDP, local: s.local, remote: addr, sock: s}, nil
	}
	host := ""
	if t.Transport == TLS {
		host = t.Host
	}
	a.mu.Lock()
	c := a.reuse[connKey{t.Transport, addr, host}]
	a.mu.Unlock()
	if c.alive() {
		return path{transport: t.Transport, local: c.local, remote: c.remote, conn: c}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.limits.Connect)
	defer cancel()
	if n := a.connections.Add(1); n > int64(a.limits.Connections)+256 {
		// Calls of ours may open a few more connections than others may.
		a.connections.Add(-1)
		return path{}, localf("%d connections are open already", n-1)
	}
	a.sources.mu.Lock()
	a.sources.find(addr.Addr(), time.Now()).connections++
	a.sources.mu.Unlock()
	fail := func(err error) (path, error) {
		a.connections.Add(-1)
		a.sources.release(addr.Addr(), 1, 0)
		return path{}, err
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return fail(err)
	}
	if t.Transport == TLS {
		cfg := a.dialTLS(t)
		if cfg == nil {
			nc.Close()
			return fail(localError{"TLS is not set up"})
		}
		tc := tls.Client(nc, cfg)
		if err := tc.HandshakeContext(ctx); err != nil {
			nc.Close()
			return fail(fmt.Errorf("TLS to %s: %w", addr, err))
		}
		nc = tc
	}
	c = a.adopt(nc, t.Transport, host, true)
	if c == nil {
		return path{}, errClosing
	}
	return path{transport: t.Transport, local: c.local, remote: c.remote, conn: c}, nil
}

var errClosing error = localError{"the agent is closing"}

func (a *Agent) dialTLS(t Target) *tls.Config {
	if a.o.DialTLS != nil {
		return a.o.DialTLS(t)
	}
	if a.o.TLS == nil {
		return nil
	}
	cfg := a.o.TLS()
	if cfg == nil {
		return nil
	}
	cfg = cfg.Clone()
	if cfg.ServerName = t.Host; t.Host == "" {
		cfg.ServerName = t.Address.Addr().String()
	}
	return cfg
}

// socketFor is the UDP socket for an address: one whose own address the kernel would send from, or one of the same family.
func (a *Agent) socketFor(to netip.Addr) *udpSocket {
	a.mu.Lock()
	socks := a.socks
	a.mu.Unlock()
	var fit []*udpSocket
	for _, s := range socks {
		if s.local.Addr().Is4() == to.Is4() && (s.local.Addr().IsLoopback() == to.IsLoopback() || s.local.Addr().IsUnspecified()) {
			fit = append(fit, s)
		}
	}
	if len(fit) > 1 {
		from := routeFrom(to)
		for _, s := range fit {
			if s.local.Addr() == from {
				return s
			}
		}
	}
	if len(fit) > 0 {
		return fit[0]
	}
	return nil
}

// routeFrom asks the kernel which address it sends from. Nothing is sent.
func routeFrom(to netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return addrPort(c.LocalAddr()).Addr()
}

// send writes bytes to the wire.
func (a *Agent) send(p path, b []byte) error {
	a.trace(false, p, b)
	if p.conn != nil {
		return p.conn.send(b)
	}
	if p.sock == nil {
		return errGone
	}
	return p.sock.send(b, p.remote)
}

// maxPending is how many errors of other datagrams may come before one that is sent: each takes its place once.
const maxPending = 8

func (s *udpSocket) send(b []byte, to netip.AddrPort) error {
	for n := 0; ; n++ {
		_, err := s.c.WriteToUDPAddrPort(b, to)
		if err == nil || !pending(err) || n == maxPending {
			return err
		}
		if !s.drain() && n > 1 {
			return err // it is about this one
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	case *net.UDPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
