package turn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// errForbidden is for data to a peer that nobody may reach.
var errForbidden = errors.New("forbidden peer")

// plain is one listening UDP socket without the fast path: pion reads every packet (turn highcapacity-mode disable).
type plain struct {
	net.PacketConn
	front
	roster roster
	ended  chan struct{} // closed when pion reads no more
}

// roster knows the allocations of a plain socket or of a TCP connection by their clients: pion's timers end them on any
// thread.
type roster struct {
	mu      sync.Mutex
	clients map[address]*allocation
}

func (r *roster) find(client address) *allocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clients[client]
}

func (r *roster) put(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		r.clients = map[address]*allocation{}
	}
	r.clients[a.client] = a
}

func (r *roster) remove(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients[a.client] == a {
		delete(r.clients, a.client)
	}
}

func newPlain(s *Server, v *site, local netip.AddrPort) (*plain, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(listenerBuffer)
	p := &plain{PacketConn: conn, ended: make(chan struct{})}
	p.front = front{server: s, site: v, counters: s.tally.open(), limiter: newLimiter(), find: p.roster.find, relay: relayFor(s, &p.roster)}
	p.send = func(m []byte, to address) { _, _ = conn.WriteToUDPAddrPort(m, to.addrPort()) }
	return p, nil
}

// ReadFrom passes media on to pion as it is and STUN through the front.
func (p *plain) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err != nil {
			close(p.ended) // pion asks no more after an error
			return 0, nil, err
		}
		if n == 0 {
			continue
		}
		switch b[0] >> 6 {
		case 1:
			p.counters.count(fromClients)
			return n, from, nil
		case 0:
			if admitted := p.admit(b[:n], netAddress(from)); admitted != nil {
				return len(admitted), from, nil
			}
		default:
			p.counters.count(dropMalformed)
		}
	}
}

// WriteTo sends pion's answers and media.
func (p *plain) WriteTo(b []byte, to net.Addr) (int, error) {
	if b[0]>>6 == 0 {
		b = p.outgoing(b)
	}
	return p.PacketConn.WriteTo(b, to)
}

// plainRelay is the relay port of an allocation that pion carries: of a TCP client, or without the fast path.
type plainRelay struct {
	*net.UDPConn
	server     *Server
	counters   *counters
	roster     *roster
	allocation *allocation
	once       sync.Once
}

// relayFor makes the function by which a front opens plain relays.
func relayFor(s *Server, r *roster) func(*allocation, netip.Addr, uint16) (net.PacketConn, error) {
	return func(a *allocation, local netip.Addr, port uint16) (net.PacketConn, error) {
		network := "udp4"
		if local.Is6() {
			network = "udp6"
		}
		conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, port)))
		if err != nil {
			return nil, err
		}
		r.put(a)
		return &plainRelay{UDPConn: conn, server: s, counters: s.shared, roster: r, allocation: a}, nil
	}
}

// ReadFrom gives what peers send, each under the name that the client knows it by.
func (r *plainRelay) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := r.ReadFromUDPAddrPort(b)
		if err != nil {
			if errors.Is(err, unix.ECONNREFUSED) {
				continue // what an earlier packet met is the peer's matter
			}
			return 0, nil, err
		}
		r.counters.count(fromPeers)
		peer := r.server.advertised(addressOf(from))
		if !r.allocation.routes.Load().permits(peer.ip) {
			r.counters.count(dropNoPermission)
			continue
		}
		r.counters.count(toClients)
		r.counters.add(bytesToClients, uint64(n))
		return n, peer.udp(), nil
	}
}

// WriteTo sends to a peer what a client has sent in a channel or a Send indication. What goes to another relay of ours takes
// the way through the kernel of this machine, which no firewall sees either.
func (r *plainRelay) WriteTo(b []byte, to net.Addr) (int, error) {
	peer, o := netAddress(to), r.server.own.Load()
	if !o.mayBePeer(peer, true) {
		r.counters.count(dropPeer)
		return 0, errForbidden
	}
	if r.server.relayAt(peer) != nil {
		r.counters.count(between)
	}
	n, err := r.WriteToUDPAddrPort(b, o.resolve(peer).addrPort())
	if err != nil {
		r.counters.count(dropSend)
		return n, fmt.Errorf("relay: %w", err)
	}
	r.counters.count(toPeers)
	r.counters.add(bytesToPeers, uint64(n))
	return n, nil
}

// Close is called by pion once the allocation has ended.
func (r *plainRelay) Close() error {
	r.once.Do(func() {
		r.roster.remove(r.allocation)
		_ = r.UDPConn.Close() // an error would keep pion from ending the others
		r.server.end(r.allocation)
	})
	return nil
}
