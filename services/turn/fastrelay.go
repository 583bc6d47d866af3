package turn

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// fastRelay is the relay port of an allocation of the fast path, read by its lane. pion takes it for a net.PacketConn and
// uses it only for what comes in Send indications.
type fastRelay struct {
	lane       *lane
	allocation *allocation
	fd         int
	local      netip.AddrPort
	// client is where the allocation's client is, for the kernel.
	client sockaddr
	// The latest message of a round that this relay sends, see [lane.run].
	round  uint32
	latest int

	once sync.Once
}

// open makes the relay of a client. It is called on the lane's thread.
func (l *lane) open(a *allocation, ip netip.Addr, port uint16) (net.PacketConn, error) {
	local := netip.AddrPortFrom(ip, port)
	fd, err := openSocket(local, 0, false)
	if err != nil {
		return nil, err
	}
	f := &fastRelay{lane: l, allocation: a, fd: fd, local: local, client: newSockaddr(a.client, l.family), latest: batchSize}
	if fd >= len(l.relays) {
		grown := make([]*fastRelay, fd+fd/4+64)
		copy(grown, l.relays)
		l.relays = grown
	}
	if err := l.watch(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l.relays[fd] = f
	a.fast = f
	l.clients[a.client] = a
	return f, nil
}

// drop ends a relay, on the lane's thread or after its end: the descriptor's number must not come back for another socket
// while the thread still knows it.
func (l *lane) drop(f *fastRelay) {
	l.relays[f.fd] = nil
	if l.clients[f.allocation.client] == f.allocation {
		delete(l.clients, f.allocation.client)
	}
	if l.sender == f.allocation {
		l.sender = nil
	}
	unix.Close(f.fd)
	l.server.end(f.allocation)
}

// Close is called by pion once the allocation has ended: by the client on the lane's thread, by a timer on any other.
func (f *fastRelay) Close() error {
	f.once.Do(func() { f.lane.do(func() { f.lane.drop(f) }) })
	return nil
}

// ReadFrom ends the goroutine that pion has for each relay: the lane reads the socket, and a thousand idle allocations need no
// thousand stacks with a buffer each. pion's function has nothing deferred and its end means nothing to anybody else.
func (f *fastRelay) ReadFrom([]byte) (int, net.Addr, error) {
	runtime.Goexit()
	return 0, nil, net.ErrClosed
}

// WriteTo sends what came in a Send indication.
func (f *fastRelay) WriteTo(p []byte, to net.Addr) (int, error) {
	l, peer := f.lane, netAddress(to)
	o := l.server.own.Load()
	if !o.mayBePeer(peer, true) {
		l.counters.count(dropPeer)
		return 0, errForbidden
	}
	l.counters.count(fromClients)
	if b := l.server.relayAt(peer); b != nil {
		l.counters.count(between)
		if b.fast != nil {
			l.toClient(f, b, f.allocation.advertised, p)
			l.flush()
			return len(p), nil
		}
	}
	name := newSockaddr(o.resolve(peer), familyOf(f.local.Addr()))
	if !sendTo(f.fd, p, &name) {
		l.counters.count(dropSend)
		return 0, os.NewSyscallError("sendto", unix.EAGAIN)
	}
	l.counters.count(toPeers)
	l.counters.add(bytesToPeers, uint64(len(p)))
	return len(p), nil
}

func (f *fastRelay) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(f.local) }
func (f *fastRelay) SetDeadline(time.Time) error      { return nil }
func (f *fastRelay) SetReadDeadline(time.Time) error  { return nil }
func (f *fastRelay) SetWriteDeadline(time.Time) error { return nil }
