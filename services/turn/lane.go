package turn

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lane is one listening socket of one core with all allocations of the clients that the kernel sends its way, and the one
// thread that moves their packets; the package comment says how. pion takes it for a plain net.PacketConn.
type lane struct {
	front
	local     netip.AddrPort
	family    uint16
	processor int // to stay on, or -1
	fd        int
	epoll     int
	wake      int // eventfd

	// The thread's own. relays are by descriptor.
	running bool
	relays  []*fastRelay
	clients map[address]*allocation
	in      *inbox
	out     outbox
	slot    int // of the inbox, from here on free
	events  [batchSize]unix.EpollEvent
	pace    pace
	ids     *rand.ChaCha8
	tally   laneTally

	// Where the round stands: message next of count, and the rest of the train before it.
	next, count int
	rest        []byte
	size        int
	from        address
	sender      *allocation

	mu      sync.Mutex
	thread  int // id of the thread
	tasks   []func()
	closing bool
	ended   chan struct{} // closed when the thread reads no more
}

// laneTally counts a round, so that the counters are touched once for it.
type laneTally struct{ values [counterCount]uint64 }

// listenerBuffer holds a tenth of a second of 200 Mbit/s, as far as the kernel grants it.
const listenerBuffer = 4 << 20

func newLane(s *Server, v *site, local netip.AddrPort, processor int) (*lane, error) {
	l := &lane{local: local, family: familyOf(local.Addr()), processor: processor, clients: map[address]*allocation{}, in: newInbox(),
		ended: make(chan struct{})}
	l.front = front{server: s, site: v, limiter: newLimiter(), find: func(a address) *allocation { return l.clients[a] }, send: l.answer, relay: l.open}
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		binary.NativeEndian.PutUint64(seed[i:], rand.Uint64())
	}
	l.ids = rand.NewChaCha8(seed)
	var err error
	if l.fd, err = openSocket(local, listenerBuffer, true); err != nil {
		return nil, err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		unix.Close(l.fd)
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.fd)
		unix.Close(l.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	for _, fd := range []int{l.fd, l.wake} {
		if err := l.watch(fd); err != nil {
			l.free()
			return nil, err
		}
	}
	l.counters = s.tally.open()
	return l, nil
}

func (l *lane) free() {
	unix.Close(l.fd)
	unix.Close(l.epoll)
	unix.Close(l.wake)
}

func (l *lane) watch(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// ReadFrom gives pion its next message. Until there is one, this is the loop of the lane.
func (l *lane) ReadFrom(p []byte) (int, net.Addr, error) {
	if !l.running {
		l.settle()
	}
	for {
		if n := l.fromClients(p); n > 0 {
			return n, l.source.udp(), nil
		}
		if !l.poll() {
			return 0, nil, net.ErrClosed
		}
	}
}

// settle makes pion's goroutine the thread of the lane. It ends with the goroutine, since it is never unlocked.
func (l *lane) settle() {
	runtime.LockOSThread()
	if l.processor >= 0 {
		var set unix.CPUSet
		set.Set(l.processor)
		_ = unix.SchedSetaffinity(0, &set) // without it the lane runs where the kernel likes
	}
	// The kernel otherwise adds 50 µs to each nap.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	l.running = true
	l.mu.Lock()
	l.thread = unix.Gettid()
	l.mu.Unlock()
}

// fromClients goes on with what the listening socket gave: media goes on its way, and the first message that pion has to see
// is copied into p. 0 means that there is nothing more.
func (l *lane) fromClients(p []byte) int {
	// What pion has seen may have made the allocation of what follows it.
	l.sender = l.clients[l.from]
	for {
		if len(l.rest) == 0 {
			if l.next == l.count {
				l.flush()
				return 0
			}
			l.rest, l.size = l.in.train(l.next)
			l.from = l.in.names[l.next].address()
			l.sender = l.clients[l.from]
			l.next++
			continue
		}
		packet := l.rest[:min(l.size, len(l.rest))]
		l.rest = l.rest[len(packet):]
		switch packet[0] >> 6 {
		case 1:
			l.toPeer(packet)
		case 0:
			admitted := l.admit(packet, l.from)
			if admitted == nil {
				continue
			}
			l.flush()
			return copy(p, admitted)
		default:
			l.tally.values[dropMalformed]++
		}
	}
}

// toPeer sends what a client has put into a channel to the peer (RFC 8656 section 12.5).
func (l *lane) toPeer(packet []byte) {
	t := &l.tally.values
	t[fromClients]++
	if len(packet) < 4 {
		t[dropMalformed]++
		return
	}
	number, size := binary.BigEndian.Uint16(packet), int(binary.BigEndian.Uint16(packet[2:]))
	if 4+size > len(packet) {
		t[dropMalformed]++
		return
	}
	a := l.sender
	if a == nil {
		t[dropNoAllocation]++
		return
	}
	c := a.routes.Load().byNumber(number)
	if c == nil {
		t[dropNoChannel]++
		return
	}
	payload := packet[4 : 4+size]
	if c.relayed {
		if b := l.server.relayAt(c.peer); b != nil {
			t[between]++
			if b.fast != nil {
				l.toClient(a.fast, b, a.advertised, payload)
				return
			}
		}
	}
	f := a.fast
	r := l.run(f, f.fd, &c.to, size)
	r.piece(payload)
	r.added(size)
	t[toPeers]++
	t[bytesToPeers] += uint64(size)
}

// run finds the message that a datagram for a receiver joins, or begins another. f is the relay on whose account it goes; its
// latest message is the only one that may grow, so that order is kept.
func (l *lane) run(f *fastRelay, fd int, to *sockaddr, size int) *run {
	if f.round == l.out.round && f.latest < l.out.count && size > 4 {
		if r := &l.out.runs[f.latest]; r.takes(fd, to, size) {
			return r
		}
	}
	if l.out.full() {
		l.flush()
	}
	f.round, f.latest = l.out.round, l.out.count
	return l.out.begin(fd, to)
}

// toClient sends to the client of an allocation what came from a peer, in a channel or as a Data indication. account is the
// relay of this lane that the packet came in by. The peer may be another relay of ours, whose client the packet came from: then
// it has passed no socket between the two, so no firewall has to send it back to us (guide appendix G.3), and it costs
// one system call instead of three. The allocation may be of another lane; what is needed of it never changes but by a new copy.
func (l *lane) toClient(account *fastRelay, b *allocation, from address, payload []byte) {
	t := &l.tally.values
	routes := b.routes.Load()
	if !routes.permits(from.ip) {
		// A channel lives longer than its permission, which alone lets packets in (RFC 8656 section 12.7).
		t[dropNoPermission]++
		return
	}
	fd, to := b.fast.lane.fd, &b.fast.client
	if c := routes.byPeer(from); c != nil {
		size := len(payload)
		r := l.run(account, fd, to, 4+size)
		head := &r.heads[r.count]
		binary.BigEndian.PutUint16(head[:], c.number)
		binary.BigEndian.PutUint16(head[2:], uint16(size))
		r.piece(head[:])
		r.piece(payload)
		r.added(4 + size)
	} else {
		if l.out.full() {
			l.flush()
		}
		r := l.out.begin(fd, to)
		var id [12]byte
		binary.NativeEndian.PutUint64(id[:], l.ids.Uint64())
		binary.NativeEndian.PutUint32(id[8:], uint32(l.ids.Uint64()))
		n := dataIndication(r.note[:], from, id, len(payload))
		r.piece(r.note[:n])
		r.piece(payload)
		if pad := -len(payload) & 3; pad > 0 {
			clear(r.note[maxDataHead:])
			r.piece(r.note[maxDataHead : maxDataHead+pad])
		}
		r.added(n + len(payload))
		r.open = false
	}
	t[toClients]++
	t[bytesToClients] += uint64(len(payload))
}

// poll waits for packets and takes them in. It returns false when the lane is closed.
func (l *lane) poll() bool {
	n, looks := 0, 1
	busy := l.pace.busy(l.out.sent, time.Now())
	if busy {
		looks = napLooks
	}
	for ; n == 0 && looks > 0; looks-- {
		// After a full batch there is more, which must not wait.
		if busy && l.count < batchSize {
			nap()
		}
		n = pollNow(l.epoll, &l.events)
	}
	if n == 0 {
		var err error
		if n, err = unix.EpollWait(l.epoll, l.events[:], -1); err != nil {
			return errors.Is(err, unix.EINTR)
		}
	}
	return l.carry(n)
}

// carry sends on what peers have sent, by the first n events, and takes in what clients have, for fromClients. It returns
// false when the lane is closed.
func (l *lane) carry(n int) bool {
	listen := false
	for _, e := range l.events[:n] {
		switch fd := int(e.Fd); {
		case fd == l.fd:
			listen = true
		case fd == l.wake:
			if !l.work() {
				return false
			}
		case fd < len(l.relays) && l.relays[fd] != nil:
			l.fromPeers(l.relays[fd])
		}
	}
	l.flush()
	l.slot, l.next, l.count = 0, 0, 0
	if listen {
		l.count = l.in.receive(l.fd, 0, batchSize)
		l.slot = l.count
	}
	return true
}

// relayShare is how many messages one relay may give in a round before the others have their turn: a frame of 4 Mbit/s is 17.
const relayShare = 32

// fromPeers takes what came to one relay.
func (l *lane) fromPeers(f *fastRelay) {
	if l.slot+relayShare > batchSize {
		l.flush()
	}
	t := &l.tally.values
	first := l.slot
	n := l.in.receive(f.fd, first, relayShare)
	l.slot += n
	a := f.allocation
	for i := first; i < first+n; i++ {
		train, size := l.in.train(i)
		from := l.server.advertised(l.in.names[i].address())
		for {
			packet := train[:min(size, len(train))]
			train = train[len(packet):]
			t[fromPeers]++
			l.toClient(f, a, from, packet)
			if len(train) == 0 {
				break // at the end: a datagram may be empty
			}
		}
	}
}

// flush sends what the round has collected; after it the inbox may be used anew.
func (l *lane) flush() {
	if l.out.count > 0 {
		l.tally.values[dropSend] += uint64(l.out.flush())
	}
	if l.next == l.count {
		l.slot = 0
	}
	for n, v := range l.tally.values {
		if v > 0 {
			l.counters.add(counter(n), v)
			l.tally.values[n] = 0
		}
	}
}

// answer sends a message of ours or of pion's to a client.
func (l *lane) answer(message []byte, to address) {
	name := newSockaddr(to, l.family)
	if !sendTo(l.fd, message, &name) {
		l.counters.count(dropSend)
	}
}

// WriteTo sends pion's answers.
func (l *lane) WriteTo(p []byte, to net.Addr) (int, error) {
	l.answer(l.outgoing(p), netAddress(to))
	return len(p), nil
}

// work does what other threads have posted. It is between two rounds: nothing is on its way any more.
func (l *lane) work() bool {
	l.flush()
	var count [8]byte
	_, _ = unix.Read(l.wake, count[:])
	l.mu.Lock()
	tasks := l.tasks
	l.tasks = nil
	if !l.closing {
		l.mu.Unlock()
		for _, task := range tasks {
			task()
		}
		return true
	}
	defer l.mu.Unlock()
	for _, task := range tasks {
		task()
	}
	l.thread = noThread
	close(l.ended)
	return false
}

// noThread is the thread of a lane that has ended: whoever has a task for it does it himself.
const noThread = -1

// do has a task done on the lane's thread, at once if this is it. The caller must not hold mu.
func (l *lane) do(task func()) {
	l.mu.Lock()
	switch l.thread {
	case unix.Gettid():
		l.mu.Unlock()
		task()
	case noThread:
		defer l.mu.Unlock()
		task()
	default:
		defer l.mu.Unlock()
		l.tasks = append(l.tasks, task)
		l.nudge()
	}
}

// barrier waits until the lane is between two rounds, so that it uses nothing of before.
func (l *lane) barrier() {
	done := make(chan struct{})
	l.do(func() { close(done) })
	<-done
}

// Close ends the loop; the lane's descriptors stay until [lane.release].
func (l *lane) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.closing = true
		l.nudge()
	}
	return nil
}

func (l *lane) nudge() {
	one := [8]byte{1}
	_, _ = unix.Write(l.wake, one[:])
}

// release frees the descriptors when no allocation is left.
func (l *lane) release() {
	l.free()
	l.server.tally.close(l.counters)
}

func (l *lane) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(l.local) }
func (l *lane) SetDeadline(time.Time) error      { return nil }
func (l *lane) SetReadDeadline(time.Time) error  { return nil }
func (l *lane) SetWriteDeadline(time.Time) error { return nil }
