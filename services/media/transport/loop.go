package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v4/stdnet"
	"golang.org/x/sys/unix"
)

// ErrClosed is returned for what is asked of a closed loop or endpoint.
var ErrClosed = errors.New("closed")

const (
	// DefaultFlood is how many packets a second a leg may send. Three simulcast layers up to 1080p30 with a presentation and
	// retransmissions are about 1,500.
	DefaultFlood = 5000
	// strangerFlood is what all sources may send together that an endpoint is not locked to: handshakes and checks need
	// a few dozen.
	strangerFlood = 200
)

// Config is what a loop is made with.
type Config struct {
	// FirstPort and LastPort bound the worker's own slice of UDP ports, both included.
	FirstPort, LastPort int
	// Flood is how many packets a second one endpoint takes; 0 means DefaultFlood.
	Flood int
	// Tick is called on the loop's thread every [TickEvery], or later when packets keep it busy: for what must be done though
	// no packet comes. It says whether there may be such a thing: if not, it is called again after the next packet, or after a
	// second. Nil for nothing.
	Tick func(now time.Time) bool
}

// TickEvery is the time between two calls of Config.Tick.
const TickEvery = 10 * time.Millisecond

// Loop reads the sockets of all endpoints of a worker.
type Loop struct {
	flood       int
	tick        func(now time.Time) bool
	epoll       int
	eventfd     int
	certificate certificate
	net         *stdnet.Net // its list of interfaces, read once

	mu        sync.Mutex
	ports     *ports
	endpoints map[*Endpoint]struct{}
	tasks     []func()
	running   bool
	closed    bool
	ended     chan struct{} // closed when Run has returned; nil before it was called

	// sockets by descriptor. Written under mu, read by the loop's thread without.
	sockets atomic.Pointer[[]atomic.Pointer[socket]]

	bursts   bursts
	leaving  sync.WaitGroup // ICE agents of closed endpoints
	thread   atomic.Int64   // id of the loop's thread while it runs
	batch    *batch
	flooding []*Endpoint // endpoints with packets dropped since the last tick; the loop's own
}

// NewLoop makes the loop and the worker's certificate. Nothing is read before Run.
func NewLoop(c Config) (*Loop, error) {
	if c.FirstPort < 1 || c.LastPort > 65535 || c.FirstPort > c.LastPort {
		return nil, fmt.Errorf("ports %d to %d are no slice of 1 to 65535", c.FirstPort, c.LastPort)
	}
	if c.Flood <= 0 {
		c.Flood = DefaultFlood
	}
	l := &Loop{flood: c.Flood, tick: c.Tick, ports: newPorts(c.FirstPort, c.LastPort), endpoints: make(map[*Endpoint]struct{}), batch: newBatch()}
	table := make([]atomic.Pointer[socket], 64)
	l.sockets.Store(&table)
	var err error
	if l.certificate, err = newCertificate(); err != nil {
		return nil, err
	}
	if l.net, err = stdnet.NewNet(); err != nil {
		return nil, err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.eventfd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := l.watch(l.eventfd); err != nil {
		unix.Close(l.eventfd)
		unix.Close(l.epoll)
		return nil, err
	}
	return l, nil
}

func (l *Loop) watch(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event))
}

// Run reads until the context ends or the loop is closed. It locks itself to its thread.
func (l *Loop) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.closed || l.ended != nil {
		l.mu.Unlock()
		return fmt.Errorf("run loop: %w", ErrClosed)
	}
	l.running = true
	l.ended = make(chan struct{})
	l.mu.Unlock()

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.thread.Store(int64(unix.Gettid()))
	stop := context.AfterFunc(ctx, l.wake)
	defer stop()
	err := l.read(ctx)

	// What was posted and not yet done is done now: somebody may wait for it.
	l.mu.Lock()
	l.running = false
	l.thread.Store(0)
	tasks := l.tasks
	l.tasks = nil
	l.mu.Unlock()
	for _, task := range tasks {
		task()
	}
	close(l.ended)
	return err
}

func (l *Loop) read(ctx context.Context) error {
	var events [64]unix.EpollEvent
	second := time.Now()
	ticked, wait := second, time.Second
	if l.tick != nil {
		wait = TickEvery
	}
	for ctx.Err() == nil {
		n, err := unix.EpollWait(l.epoll, events[:], int(wait/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		now := time.Now()
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if fd == l.eventfd {
				if !l.work() {
					return nil
				}
				continue
			}
			if s := l.socket(fd); s != nil {
				l.receive(s, now)
			}
		}
		if l.tick != nil {
			wait = TickEvery
			if now.Sub(ticked) >= TickEvery {
				ticked = now
				if !l.tick(now) {
					// A worker without a call sleeps, instead of waking its processor a hundred times a second.
					wait = time.Second
				}
			}
		}
		if now.Sub(second) >= time.Second {
			second = now
			l.reportFloods()
		}
	}
	return nil
}

// work does what other threads have posted, and reports whether to go on.
func (l *Loop) work() bool {
	var count [8]byte
	_, _ = unix.Read(l.eventfd, count[:])
	l.mu.Lock()
	tasks := l.tasks
	l.tasks = nil
	closed := l.closed
	l.mu.Unlock()
	for _, task := range tasks {
		task()
	}
	return !closed
}

// post has a function called on the loop's thread, in the order of the calls. It never waits.
func (l *Loop) post(task func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks = append(l.tasks, task)
	l.wakeLocked()
}

func (l *Loop) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
}

func (l *Loop) wakeLocked() {
	if l.eventfd < 0 {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(l.eventfd, one[:]) // it only fails when the counter is full, and then the loop is awake
}

// barrier waits until the loop's thread is between two packets, so that it has seen everything that was written before. On
// that thread itself there is nothing to wait for.
func (l *Loop) barrier() {
	l.mu.Lock()
	if !l.running || l.thread.Load() == int64(unix.Gettid()) {
		l.mu.Unlock()
		return
	}
	done := make(chan struct{})
	l.tasks = append(l.tasks, func() { close(done) })
	l.wakeLocked()
	l.mu.Unlock()
	<-done
}

// socket gives the socket with a descriptor, or nil.
func (l *Loop) socket(fd int) *socket {
	table := *l.sockets.Load()
	if fd >= len(table) {
		return nil
	}
	return table[fd].Load()
}

// add has a socket read. The caller holds mu.
func (l *Loop) add(s *socket) error {
	table := *l.sockets.Load()
	if s.fd >= len(table) {
		grown := make([]atomic.Pointer[socket], 2*s.fd)
		for i := range table {
			grown[i].Store(table[i].Load())
		}
		l.sockets.Store(&grown)
		table = grown
	}
	table[s.fd].Store(s)
	return l.watch(s.fd)
}

// drop stops reading a socket; after the next barrier it may be closed. The caller holds mu.
func (l *Loop) drop(s *socket) {
	if table := *l.sockets.Load(); s.fd < len(table) && table[s.fd].Load() == s {
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
		table[s.fd].Store(nil)
	}
}

// open binds a port, or a pair of ports, on every address. A port that somebody else has is passed over: nobody is refused
// while one port of the slice is free.
func (l *Loop) open(addresses []netip.Addr, mux bool) (rtp, rtcp []*socket, err error) {
	var taken []int
	count := 2
	if mux {
		count = 1
	}
	defer func() {
		for _, port := range taken {
			l.ports.giveBack(port, count, time.Now())
		}
	}()
	for {
		var port int
		if mux {
			port, err = l.ports.takeOne(time.Now())
		} else {
			port, err = l.ports.takePair()
		}
		if err != nil {
			return nil, nil, err
		}
		if rtp, err = openSockets(addresses, port); err == nil {
			if mux {
				return rtp, nil, nil
			}
			if rtcp, err = openSockets(addresses, port+1); err == nil {
				return rtp, rtcp, nil
			}
			closeSockets(rtp)
		}
		taken = append(taken, port)
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			return nil, nil, err
		}
	}
}

// Close closes every endpoint, ends Run and waits for it. It must not be called by a Handler.
func (l *Loop) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	var endpoints []*Endpoint
	for e := range l.endpoints {
		endpoints = append(endpoints, e)
	}
	ended := l.ended
	l.mu.Unlock()
	for _, e := range endpoints {
		e.Close()
	}
	l.leaving.Wait()
	if ended != nil {
		l.wake()
		<-ended
	}
	l.mu.Lock()
	unix.Close(l.eventfd)
	l.eventfd = -1
	l.mu.Unlock()
	return os.NewSyscallError("close", unix.Close(l.epoll))
}

func zoneIndex(zone string) (uint32, error) {
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index), nil
	}
	n, err := strconv.ParseUint(zone, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("no interface %q", zone)
	}
	return uint32(n), nil
}
