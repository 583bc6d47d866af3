package main

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"
)

// frameLength is how many packets of 1,000 bytes a frame of 4 Mbit/s at 30 Hz has.
const frameLength = 17

// shape is a load.
type shape struct {
	allocations int
	size        int
	// burst packets leave together.
	burst int
	// rate is packets a second and direction of each allocation.
	rate float64
	// voiced adds a packet of G.711 every 20 ms.
	voiced bool
}

var (
	sound    = shape{allocations: 100, size: 200, burst: 1, rate: soundRate}
	pictures = shape{allocations: 40, size: 1000, burst: frameLength, rate: pictureRate}
	// Calls as the deployment guide counts them (note 5 of table 24): G.711, and 720p30 at 2.5 Mbit/s with it, which leaves 30
	// frames of 9 packets of 1,128 bytes a second, each way.
	audioCall = shape{size: g711Size, burst: 1, rate: g711Rate}
	hdCall    = shape{size: 1128, burst: 9, rate: 30 * 9, voiced: true}
)

// A packet of G.711 has 20 ms and the header of RTP.
const (
	g711Size = 160 + 12
	g711Rate = 50
)

// total is what a run did.
type total struct {
	sent, received int
	// late is true if the load could not keep to its times.
	late bool
}

func (t total) loss() float64 { return 1 - float64(t.received)/float64(t.sent) }

// load is clients with an allocation each, and a peer for each. One thread does everything: it sends what is due, and
// takes in what has come without looking at more than how much it is.
type load struct {
	shape
	epoll   int
	sockets []int
	streams []*stream
	// delays of the last packet of each batch that came, from send to receive.
	delays []time.Duration

	headers [64]unix.Mmsghdr
	vectors [64]unix.Iovec
	waste   [64]byte
	events  [128]unix.EpollEvent
}

// stream is what one end of an allocation sends.
type stream struct {
	fd int
	// headers send one burst.
	headers  [frameLength]unix.Mmsghdr
	burst    int
	vector   unix.Iovec
	packet   []byte
	stamp    []byte // where in the packet its time is
	interval time.Duration
	due      time.Time
}

// epoch is what the times in packets count from: an hour of them begins with zeros, and not as a channel's frame does.
var epoch = time.Now()

const channelNumber = 0x4000

// freshPort counts up from beyond those of [hold].
var freshPort = 20000

func newLoad(s shape) (*load, error) {
	l := &load{shape: s}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i := range l.headers {
		l.vectors[i].Base = &l.waste[0]
		l.vectors[i].SetLen(len(l.waste))
		l.headers[i].Hdr.Iov = &l.vectors[i]
		l.headers[i].Hdr.SetIovlen(1)
	}
	for i := range s.allocations {
		// A port that had an allocation before still has it.
		freshPort++
		c, err := newClient(clientAddresses[0], freshPort)
		if err != nil {
			return nil, fmt.Errorf("allocation %d: %w", i, err)
		}
		relay, err := c.allocate()
		if err != nil {
			return nil, fmt.Errorf("allocation %d: %w", i, err)
		}
		peer, err := openUDP(peerAddress, 0)
		if err != nil {
			return nil, err
		}
		name, err := unix.Getsockname(peer)
		if err != nil {
			return nil, err
		}
		if err := c.bind(channelNumber, name.(*unix.SockaddrInet4)); err != nil {
			return nil, fmt.Errorf("allocation %d: %w", i, err)
		}
		if err := unix.Connect(peer, relay); err != nil {
			return nil, err
		}
		l.listen(c.fd)
		l.listen(peer)
		l.add(c.fd, peer, s.size, s.burst, s.rate)
		if s.voiced {
			l.add(c.fd, peer, g711Size, 1, g711Rate)
		}
	}
	return l, nil
}

func (l *load) listen(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event)
	l.sockets = append(l.sockets, fd)
}

// add has a client and its peer send packets of a size to each other.
func (l *load) add(client, peer, size, burst int, rate float64) {
	packet := make([]byte, 4+size)
	binary.BigEndian.PutUint16(packet, channelNumber)
	binary.BigEndian.PutUint16(packet[2:], uint16(size))
	interval := time.Duration(float64(time.Second) * float64(burst) / rate)
	l.send(&stream{fd: client, packet: packet, stamp: packet[4:], burst: burst, interval: interval})
	l.send(&stream{fd: peer, packet: packet[4:], stamp: packet[4:], burst: burst, interval: interval})
}

func (l *load) send(e *stream) {
	packet := e.packet
	e.vector.Base = &packet[0]
	e.vector.SetLen(len(packet))
	for i := range e.headers {
		e.headers[i].Hdr.Iov = &e.vector
		e.headers[i].Hdr.SetIovlen(1)
	}
	l.streams = append(l.streams, e)
}

func (l *load) close() {
	for _, fd := range l.sockets {
		unix.Close(fd)
	}
	unix.Close(l.epoll)
}

// run sends for a time and waits for what is still on its way.
func (l *load) run(window time.Duration) (total, error) {
	t, err := l.push(window)
	for err == nil {
		n := l.take(200)
		if n == 0 {
			break
		}
		t.received += n
	}
	return t, err
}

// push sends for a time.
func (l *load) push(window time.Duration) (total, error) {
	var t total
	begin := time.Now()
	for i, e := range l.streams {
		// Nobody begins together with another.
		e.due = begin.Add(e.interval * time.Duration(i) / time.Duration(len(l.streams)))
	}
	for {
		now := time.Now()
		if now.Sub(begin) > window {
			break
		}
		for _, e := range l.streams {
			if now.Before(e.due) {
				continue
			}
			binary.BigEndian.PutUint64(e.stamp, uint64(time.Since(epoch)))
			n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(e.fd), uintptr(unsafe.Pointer(&e.headers)), uintptr(e.burst), unix.MSG_DONTWAIT, 0, 0)
			if errno != 0 && errno != unix.EAGAIN {
				return t, fmt.Errorf("send: %w", errno)
			}
			if errno == 0 {
				t.sent += int(n)
			}
			if now.Sub(e.due) > e.interval+50*time.Millisecond {
				t.late = true
			}
			e.due = e.due.Add(e.interval)
		}
		t.received += l.take(0)
	}
	return t, nil
}

// take counts what has come.
func (l *load) take(wait int) (count int) {
	n, err := unix.EpollWait(l.epoll, l.events[:], wait)
	if err != nil {
		return 0
	}
	for _, e := range l.events[:n] {
		got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(e.Fd), uintptr(unsafe.Pointer(&l.headers)), uintptr(len(l.headers)), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		if errno == 0 {
			count += int(got)
			stamp := l.waste[:]
			if binary.BigEndian.Uint16(stamp) == channelNumber {
				stamp = stamp[4:]
			}
			l.delays = append(l.delays, time.Since(epoch)-time.Duration(binary.BigEndian.Uint64(stamp)))
		}
	}
	return count
}

func openUDP(address string, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, inet4(address, port)); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind %s:%d: %w", address, port, err)
	}
	// An answer that does not come is an error, not an end of everything.
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 300_000})
	return fd, nil
}

// client speaks TURN on one socket.
type client struct {
	fd int
}

// nonce is what the server gave last: it is good for all clients of that server.
var nonce stun.Nonce

var key = func() stun.MessageIntegrity {
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password))
	return sum[:]
}()

func newClient(address string, port int) (*client, error) {
	fd, err := openUDP(address, port)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, inet4(serverAddress, turnPort)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &client{fd}, nil
}

var udpTransport = stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{unix.IPPROTO_UDP, 0, 0, 0}}

func (c *client) allocate() (*unix.SockaddrInet4, error) {
	m, err := c.ask(stun.MethodAllocate, udpTransport)
	if err != nil {
		return nil, err
	}
	var relay stun.XORMappedAddress
	if err := relay.GetFromAs(m, stun.AttrXORRelayedAddress); err != nil {
		return nil, err
	}
	return inet4(relay.IP.String(), relay.Port), nil
}

func (c *client) bind(number uint16, peer *unix.SockaddrInet4) error {
	value := binary.BigEndian.AppendUint16(nil, number)
	_, err := c.ask(stun.MethodChannelBind, stun.RawAttribute{Type: stun.AttrChannelNumber, Value: append(value, 0, 0)}, xorPeer{peer})
	return err
}

type xorPeer struct{ to *unix.SockaddrInet4 }

func (x xorPeer) AddTo(m *stun.Message) error {
	a := stun.XORMappedAddress{IP: x.to.Addr[:], Port: x.to.Port}
	return a.AddToAs(m, stun.AttrXORPeerAddress)
}

// ask sends a request until it is answered, with a nonce that is good.
func (c *client) ask(method stun.Method, attributes ...stun.Setter) (*stun.Message, error) {
	var problem error
	for range 10 {
		setters := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
		if len(nonce) > 0 {
			setters = append(setters, stun.NewUsername(user), stun.NewRealm(realm), nonce, key)
		}
		request, err := stun.Build(setters...)
		if err != nil {
			return nil, err
		}
		answer, err := c.exchange(request)
		if err != nil {
			return nil, err
		}
		if answer.Type.Class == stun.ClassSuccessResponse {
			return answer, nil
		}
		var code stun.ErrorCodeAttribute
		if err := code.GetFrom(answer); err != nil {
			return nil, err
		}
		problem = fmt.Errorf("%s is answered by %d %s", method, code.Code, code.Reason)
		if code.Code != stun.CodeUnauthorized && code.Code != stun.CodeStaleNonce {
			return nil, problem
		}
		if err := nonce.GetFrom(answer); err != nil {
			return nil, err
		}
	}
	return nil, problem
}

// exchange sends a request, the same one again when nothing comes, and returns its answer.
func (c *client) exchange(request *stun.Message) (*stun.Message, error) {
	b := make([]byte, 2048)
	var err error
	for range 10 {
		if _, err = unix.Write(c.fd, request.Raw); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			return nil, err
		}
		for {
			var n int
			if n, err = unix.Read(c.fd, b); err != nil {
				break
			}
			answer := &stun.Message{Raw: b[:n]}
			if answer.Decode() == nil && answer.TransactionID == request.TransactionID {
				return answer, nil
			}
		}
	}
	return nil, fmt.Errorf("no answer: %w", err)
}

func bindingRequest() []byte { return stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw }

// hold makes allocations, each from a port of its own, and leaves them alone.
func hold(count int, bound bool) (int, error) { return holdFrom(0, count, bound) }

func holdFrom(first, count int, bound bool) (int, error) {
	peer := inet4(peerAddress, 40000)
	for n := range count {
		i := first + n
		c, err := newClient(clientAddresses[i/4001], 10000+i%4001)
		if err != nil {
			return n, err
		}
		_, err = c.allocate()
		if err == nil && bound {
			err = c.bind(channelNumber, peer)
		}
		unix.Close(c.fd)
		if err != nil {
			return n, err
		}
	}
	return count, nil
}

// wrong sends requests with a wrong password while the load goes on, and returns what became of the load. There are 20,000 a
// second, so that it is the server's memory that is tried and not a socket's.
func wrong(count int, l *load) (t total, err error) {
	freshPort++
	c, err := newClient(clientAddresses[2], freshPort)
	if err != nil {
		return t, err
	}
	defer unix.Close(c.fd)
	request := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), udpTransport,
		stun.NewUsername(user), stun.NewRealm(realm), nonce, stun.MessageIntegrity("not the key")).Raw
	const together = 100
	b := make([]byte, 2048)
	for sent := 0; sent < count; sent += together {
		for range together {
			_, _ = unix.Write(c.fd, request)
		}
		step, err := l.push(5 * time.Millisecond)
		if err != nil {
			return t, err
		}
		t.sent += step.sent
		t.received += step.received
		for err == nil {
			_, _, err = unix.Recvfrom(c.fd, b, unix.MSG_DONTWAIT)
		}
	}
	last, err := l.run(10 * time.Millisecond)
	t.sent += last.sent
	t.received += last.received
	return t, err
}

func inet4(address string, port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: netip.MustParseAddr(address).As4(), Port: port}
}
