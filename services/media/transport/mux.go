package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"
)

const (
	// checkSlots is how many STUN messages wait for the agent at one socket.
	checkSlots = 32
	// queryTime is until a STUN query is sent again; it doubles (RFC 8489, section 6.2.1).
	queryTime = 250 * time.Millisecond
)

// silentLogs keeps pion's messages off standard error: hostile packets could fill a disk with them. What matters is told by
// states and counters.
var silentLogs = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}

// mux lends an endpoint's sockets to its ICE agent (ice.UDPMux): one connection a socket, over which only STUN goes.
type mux struct {
	a       *agent
	sockets []*socket
	conns   []atomic.Pointer[checkConn] // of the present generation, by position of the socket

	mu      sync.Mutex
	queries map[[stun.TransactionIDSize]byte]*query
	asking  atomic.Int32
}

func newMux(a *agent, sockets []*socket) *mux {
	return &mux{a: a, sockets: sockets, conns: make([]atomic.Pointer[checkConn], len(sockets)), queries: make(map[[stun.TransactionIDSize]byte]*query)}
}

// GetListenAddresses gives the addresses of the host candidates.
func (m *mux) GetListenAddresses() []net.Addr {
	all := make([]net.Addr, len(m.sockets))
	for i, s := range m.sockets {
		all[i] = net.UDPAddrFromAddrPort(s.local)
	}
	return all
}

// GetConn gives the connection of one address. The agent asks once a generation.
func (m *mux) GetConn(_ string, addr net.Addr) (net.PacketConn, error) {
	for i, s := range m.sockets {
		if udp, ok := addr.(*net.UDPAddr); ok && udp.AddrPort() == s.local {
			c := &checkConn{s: s, in: newQueue(checkSlots)}
			m.conns[i].Store(c)
			return c, nil
		}
	}
	return nil, errNoSocket
}

// RemoveConnByUfrag has nothing to do: the agent closes what it got, and the next generation replaces it.
func (m *mux) RemoveConnByUfrag(string) {}

// Close has nothing to do: the sockets are the endpoint's.
func (m *mux) Close() error { return nil }

// socketOf is the socket of a local candidate.
func (m *mux) socketOf(c ice.Candidate) *socket {
	addr, err := netip.ParseAddr(c.Address())
	if err != nil {
		return nil
	}
	for _, s := range m.sockets {
		if s.local.Addr().WithZone("") == addr {
			return s
		}
	}
	return nil
}

// input takes a STUN message on the loop's thread.
func (a *agent) input(s *socket, message []byte, from *sockaddr) {
	m := a.mux
	if m.asking.Load() > 0 && m.answer(message, from) {
		return
	}
	for i := range m.sockets {
		if m.sockets[i] == s {
			if c := m.conns[i].Load(); c == nil || !c.in.push(message, from.addrPort()) {
				a.e.dropped[dropUnknown].Add(1)
			}
		}
	}
}

// checkConn is one of our sockets as the agent sees it.
type checkConn struct {
	s    *socket
	in   *queue
	mute bool
}

func (c *checkConn) ReadFromAddrPort(p []byte) (int, netip.AddrPort, error) { return c.in.read(p) }

func (c *checkConn) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	if c.mute {
		return len(p), nil
	}
	return len(p), c.s.sendTo(p, to)
}

func (c *checkConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.in.read(p)
	return n, net.UDPAddrFromAddrPort(from), err
}

func (c *checkConn) WriteTo(p []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("write to %v: %w", to, net.UnknownNetworkError(to.Network()))
	}
	return c.WriteToAddrPort(p, udp.AddrPort())
}

func (c *checkConn) Close() error {
	c.in.close()
	return nil
}

func (c *checkConn) LocalAddr() net.Addr               { return net.UDPAddrFromAddrPort(c.s.local) }
func (c *checkConn) SetDeadline(t time.Time) error     { return c.SetReadDeadline(t) }
func (c *checkConn) SetReadDeadline(t time.Time) error { c.in.limit.Set(t); return nil }

// SetWriteDeadline does nothing: writing never waits.
func (c *checkConn) SetWriteDeadline(time.Time) error { return nil }

// sendTo sends one datagram aside from media, as long as the endpoint is open. A full socket buffer is a lost packet, which
// STUN expects.
func (s *socket) sendTo(p []byte, to netip.AddrPort) error {
	name := newSockaddr(to)
	if name.family() != s.family || len(p) == 0 {
		return errNoSocket
	}
	o := &s.endpoint.out
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrClosed
	}
	o.flights.Add(1)
	o.mu.Unlock()
	defer o.flights.Done()
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name.raw)), uintptr(name.len))
	if errno != 0 && errno != unix.EAGAIN && errno != unix.ENOBUFS {
		return errno
	}
	return nil
}

// reflexiveMux finds the server-reflexive candidate of the default IPv4 address: with IPv6 there is no address translation
// to find out about, and a media server with two translated IPv4 addresses has yet to be seen.
type reflexiveMux struct{ *mux }

func (m reflexiveMux) base() *socket {
	for _, s := range m.sockets {
		if s.family == unix.AF_INET {
			return s
		}
	}
	return nil
}

// GetListenAddresses gives the address that is asked about.
func (m reflexiveMux) GetListenAddresses() []net.Addr {
	if s := m.base(); s != nil {
		return []net.Addr{net.UDPAddrFromAddrPort(s.local)}
	}
	return nil
}

// GetConnForURL gives a connection over which nothing goes: checks leave from the base, which is the host candidate, so
// the pairs of this one would be pruned (RFC 8445, section 6.1.2.4).
func (m reflexiveMux) GetConnForURL(string, string, net.Addr) (net.PacketConn, error) {
	s := m.base()
	if s == nil {
		return nil, errNoSocket
	}
	return &checkConn{s: s, in: newQueue(0), mute: true}, nil
}

// GetRelayedAddr is not called: the agent allocates relays over sockets of its own.
func (m reflexiveMux) GetRelayedAddr(net.Addr, time.Duration) (*net.Addr, error) {
	return nil, errNoSocket
}

// GetXORMappedAddr asks a STUN server how it sees the base.
func (m reflexiveMux) GetXORMappedAddr(server net.Addr, limit time.Duration) (*stun.XORMappedAddress, error) {
	return m.GetXORMappedAddrContext(context.Background(), server, limit)
}

// GetXORMappedAddrContext is GetXORMappedAddr until a context ends.
func (m reflexiveMux) GetXORMappedAddrContext(ctx context.Context, server net.Addr, limit time.Duration) (*stun.XORMappedAddress, error) {
	udp, ok := server.(*net.UDPAddr)
	s := m.base()
	if !ok || s == nil {
		return nil, errNoSocket
	}
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("build stun request: %w", err)
	}
	q := &query{server: newSockaddr(udp.AddrPort()), answer: make(chan *stun.XORMappedAddress, 1)}
	m.mu.Lock()
	m.queries[request.TransactionID] = q
	m.mu.Unlock()
	m.asking.Add(1)
	defer func() {
		m.asking.Add(-1)
		m.mu.Lock()
		delete(m.queries, request.TransactionID)
		m.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for wait := queryTime; ; wait *= 2 {
		if err := s.sendTo(request.Raw, udp.AddrPort()); err != nil {
			return nil, fmt.Errorf("ask stun server: %w", err)
		}
		again := time.NewTimer(wait)
		select {
		case mapped := <-q.answer:
			again.Stop()
			return mapped, nil
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, fmt.Errorf("ask stun server: %w", ctx.Err())
		}
	}
}

// query is a question to a STUN server that is not answered yet.
type query struct {
	server sockaddr
	answer chan *stun.XORMappedAddress
}

// answer takes a message that answers a query, and says whether it did.
func (m *mux) answer(message []byte, from *sockaddr) bool {
	m.mu.Lock()
	q := m.queries[[stun.TransactionIDSize]byte(message[8:stunHeader])]
	m.mu.Unlock()
	if q == nil || q.server != *from {
		return false
	}
	parsed := &stun.Message{Raw: append([]byte(nil), message...)}
	mapped := new(stun.XORMappedAddress)
	if parsed.Decode() != nil || parsed.Type != stun.BindingSuccess || mapped.GetFrom(parsed) != nil {
		return true
	}
	select {
	case q.answer <- mapped:
	default: // the answer to a retransmission
	}
	return true
}
