package floor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"rotunda/services/callbridge/codepoint"
)

// Config is what a [Connection] begins with, before a session description was exchanged.
type Config struct {
	// Transport is udp or tcp.
	Transport string
	// Local is the address to listen at; FirstPort and LastPort bound the port, both 0 for 64512 to 65535.
	Local               netip.Addr
	FirstPort, LastPort uint16
	// DSCP marks what is sent (RFC 2474).
	DSCP uint8
	Log  *slog.Logger
	// Trace hears of every message, in and out; it must not wait and must not keep b. May be nil.
	Trace func(in bool, remote netip.AddrPort, b []byte)
}

// Agreement is what both ends agreed on.
type Agreement struct {
	// Server: we are the floor control server; otherwise the client.
	Server bool
	// Active: we open the connection. Fresh: a new one is wanted. Both for tcp only.
	Active, Fresh bool
	Remote        netip.AddrPort
	ConferenceID  uint32
	// UserID is the client's, whoever that is.
	UserID, FloorID uint16
}

// Handler hears what the far end does. Its methods are called one at a time, under no lock, and may call the connection.
type Handler interface {
	// Requested: the far end asks for the floor; [Connection.Grant] or Deny follows. Released: it gave the floor back or gave up asking, or nobody is
	// there any more.
	Requested()
	Released()
	// Granted: our request succeeded. Denied: it did not. Revoked: what we had was taken, or the server is gone.
	Granted()
	Denied()
	Revoked()
	// StatusOther tells, while we are the client, whether somebody else has the floor: a presentation comes from the far end.
	StatusOther(presenting bool)
}

// Connection is the floor of one leg.
type Connection struct {
	c      Config
	h      Handler
	local  netip.AddrPort
	udp    *net.UDPConn
	listen *net.TCPListener
	ctx    context.Context
	stop   context.CancelFunc
	done   chan struct{}
	// early came in before we knew from whom to expect one: the far end may be faster than its answer. Of the goroutine alone, like m.
	early *net.TCPConn
	// stranger: the connection comes from another address than agreed, and nothing came over it yet.
	stranger bool

	mu       sync.Mutex
	m        *machine
	agreed   Agreement
	commands []func(now time.Time)
	// wake is what the goroutine waits at: its deadline ends the wait.
	wake waiter
	// changed ends a connection that is being opened or used, because another one was agreed on.
	changed context.CancelFunc
	closing bool
	latched netip.AddrPort
}

// waiter sets until when to wait for something to come in; a time that is over ends the wait. Of connections it must not be SetDeadline: that would end
// writes too.
type waiter func(time.Time) error

const (
	maxCommands = 64
	udpSize     = 1200 // longest datagram sent
	writeWithin = 2 * time.Second
	// strangerWithin is how long one from another address may keep the true far end waiting.
	strangerWithin = 2 * time.Second
)

// Open takes a port. Nothing is sent or heard before [Connection.Agree].
func Open(c Config, h Handler) (*Connection, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.FirstPort == 0 && c.LastPort == 0 {
		c.FirstPort, c.LastPort = 64512, 65535
	}
	if c.LastPort < c.FirstPort {
		return nil, fmt.Errorf("floor: ports %d to %d: want the first to be the lower", c.FirstPort, c.LastPort)
	}
	f := &Connection{c: c, h: h, done: make(chan struct{})}
	if err := f.bind(); err != nil {
		return nil, err
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.m = newMachine(c.Transport == "udp", uint16(rand.Uint32()))
	if f.udp != nil {
		f.wake = f.udp.SetReadDeadline
		go f.serveUDP()
	} else {
		f.wake = f.listen.SetDeadline
		go f.serveTCP()
	}
	return f, nil
}

// bind takes a free port, beginning anywhere in the range so that a port just left is not taken at once.
func (f *Connection) bind() error {
	n := int(f.c.LastPort) - int(f.c.FirstPort) + 1
	start := rand.IntN(n)
	var last error
	for i := range n {
		at := netip.AddrPortFrom(f.c.Local, f.c.FirstPort+uint16((start+i)%n))
		switch f.c.Transport {
		case "udp":
			if f.udp, last = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); last == nil {
				f.local = f.udp.LocalAddr().(*net.UDPAddr).AddrPort()
				f.mark(f.udp)
				return nil
			}
		case "tcp":
			if f.listen, last = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); last == nil {
				f.local = f.listen.Addr().(*net.TCPAddr).AddrPort()
				f.mark(f.listen)
				return nil
			}
		default:
			return fmt.Errorf("floor: transport %.20q: want udp or tcp", f.c.Transport)
		}
		if !inUse(last) {
			break
		}
	}
	return fmt.Errorf("floor: no port from %d to %d at %v: %w", f.c.FirstPort, f.c.LastPort, f.c.Local, last)
}

// mark does without the mark where there cannot be one.
func (f *Connection) mark(c syscall.Conn) {
	if err := codepoint.Set(c, f.c.DSCP); err != nil {
		f.c.Log.Warn("the floor is not marked", "error", err)
	}
}

// Local is the address and the port for the session description.
func (f *Connection) Local() netip.AddrPort { return f.local }

// Agree says whom we talk to, and as what. It is called after every exchange of session descriptions; the same again changes nothing.
func (f *Connection) Agree(a Agreement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.Remote.IsValid() {
		a.Remote = netip.AddrPortFrom(a.Remote.Addr().Unmap(), a.Remote.Port())
	}
	fresh := a.Fresh
	a.Fresh = false
	if a == f.agreed && !fresh {
		return
	}
	moved := a.Remote != f.agreed.Remote || a.Active != f.agreed.Active || fresh
	f.agreed = a
	if moved {
		f.latched = netip.AddrPort{}
		if f.changed != nil {
			f.changed()
		}
	}
	f.commands = append(f.commands, func(now time.Time) { f.m.agree(a, now) })
	f.wake(time.Unix(1, 0))
}

// do runs a change of the machine in the connection's goroutine. More than a far end could ever have caused are dropped.
func (f *Connection) do(change func(now time.Time)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.commands) < maxCommands && !f.closing {
		f.commands = append(f.commands, change)
		f.wake(time.Unix(1, 0))
	}
}

// Grant gives the far end the floor that it asked for, Deny refuses it, Revoke takes it. Without effect when there is nothing to decide.
func (f *Connection) Grant() { f.do(func(now time.Time) { f.m.decide(Granted, now) }) }

// Deny refuses what the far end asked for.
func (f *Connection) Deny() { f.do(func(now time.Time) { f.m.decide(Denied, now) }) }

// Revoke takes the floor from the far end, or refuses it when it only asks yet.
func (f *Connection) Revoke() { f.do(func(now time.Time) { f.m.decide(Revoked, now) }) }

// Request asks the far end for the floor, Release gives it back. Both say what is wanted: a client that lost its server asks anew.
func (f *Connection) Request() { f.do(func(now time.Time) { f.m.want(true, now) }) }

// Release gives the floor back, or gives up asking for it.
func (f *Connection) Release() { f.do(func(now time.Time) { f.m.want(false, now) }) }

// ShowOther tells the far end, while we are the server, whether somebody else presents.
func (f *Connection) ShowOther(on bool) { f.do(func(now time.Time) { f.m.showOther(on, now) }) }

// Close says goodbye once and ends the connection. The handler may still be in a call when it returns, and hears nothing after that one; Close may be
// called from a handler.
func (f *Connection) Close() {
	f.mu.Lock()
	if f.closing {
		f.mu.Unlock()
		return
	}
	f.closing = true
	f.commands = append(f.commands, func(time.Time) { f.m.goodbye() })
	f.wake(time.Unix(1, 0))
	f.stop()
	f.mu.Unlock()
}

// Done is closed when the connection's socket is, after [Connection.Close].
func (f *Connection) Done() <-chan struct{} { return f.done }

// step runs what was asked for, tells the handler what came of it, and says when to wake up. It gives over when the connection is to end.
func (f *Connection) step(wait waiter, send func([]byte)) (over bool) {
	for {
		f.run(send)
		f.mu.Lock()
		if len(f.commands) == 0 {
			f.wake = wait
			if !f.closing {
				wait(f.m.due)
			}
			over = f.closing
			f.mu.Unlock()
			return over
		}
		f.mu.Unlock()
	}
}

// run does what was asked for, and sends and tells what came of it.
func (f *Connection) run(send func([]byte)) {
	f.mu.Lock()
	commands := f.commands
	f.commands = nil
	f.mu.Unlock()
	now := time.Now()
	for _, change := range commands {
		change(now)
	}
	for _, b := range f.m.take() {
		send(b)
	}
	for _, e := range f.m.events() {
		if f.ctx.Err() == nil {
			e.tell(f.h)
		}
	}
}

func (f *Connection) serveUDP() {
	defer close(f.done)
	defer f.udp.Close()
	// Longer than what is sent, since others may not cut their messages.
	buf := make([]byte, maxMessage+headSize+4)
	f.m.connected(time.Now())
	for !f.step(f.udp.SetReadDeadline, f.sendUDP) {
		n, from, err := f.udp.ReadFromUDPAddrPort(buf)
		now := time.Now()
		switch {
		case err == nil:
			f.run(f.sendUDP) // what was agreed on before this came
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if f.belongs(from, buf[:n]) {
				f.trace(true, from, buf[:n])
				f.m.input(buf[:n], now)
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			f.m.tick(now)
		case errors.Is(err, net.ErrClosed):
			f.c.Log.Error("the floor's socket is gone", "error", err)
			return
		}
	}
}

// belongs says whether a datagram is from the far end: from the negotiated address, or, as long as nothing came from there, from the first that knows
// conference and user. That one then is the far end, until another address is negotiated.
func (f *Connection) belongs(from netip.AddrPort, b []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.agreed == (Agreement{}) {
		return false
	}
	if f.latched.IsValid() {
		return from == f.latched
	}
	if from != f.agreed.Remote {
		h, err := parseHead(b)
		if err != nil || h.ConferenceID != f.agreed.ConferenceID || h.UserID != f.agreed.UserID {
			return false
		}
		f.c.Log.Info("BFCP comes from another address than agreed", "agreed", f.agreed.Remote, "remote", from)
	}
	f.latched = from
	return true
}

func (f *Connection) sendUDP(b []byte) {
	f.mu.Lock()
	to := f.latched
	if !to.IsValid() {
		to = f.agreed.Remote
	}
	f.mu.Unlock()
	if !to.IsValid() || to.Port() == 0 {
		return
	}
	for _, piece := range fragments(b, udpSize) {
		f.trace(false, to, piece)
		// What is lost here is repeated like what is lost on the way.
		f.udp.WriteToUDPAddrPort(piece, to)
	}
}

func (f *Connection) trace(in bool, remote netip.AddrPort, b []byte) {
	if f.c.Trace != nil {
		f.c.Trace(in, remote, b)
	}
}

// serveTCP has one connection after the other. Who is to open it is agreed on (a=setup); a passive end takes it from the far end's address, or from who knows
// conference and user.
func (f *Connection) serveTCP() {
	defer close(f.done)
	defer f.listen.Close()
	defer func() {
		if f.early != nil {
			f.early.Close()
		}
	}()
	pause := time.Second
	for {
		c, over := f.connect(&pause)
		if over {
			return
		}
		if c == nil {
			continue
		}
		began := time.Now()
		over = f.use(c)
		c.Close()
		f.m.disconnected(time.Now())
		if over {
			return
		}
		if time.Since(began) > time.Minute {
			pause = time.Second
		}
	}
}

// connect opens or takes a connection; nil when something else is to be done first.
func (f *Connection) connect(pause *time.Duration) (c *net.TCPConn, over bool) {
	if f.step(f.listen.SetDeadline, func([]byte) {}) {
		return nil, true
	}
	f.mu.Lock()
	a := f.agreed
	ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	f.changed = cancel
	f.mu.Unlock()
	defer cancel()
	if a != (Agreement{}) && a.Active {
		var d net.Dialer
		got, err := d.DialContext(ctx, "tcp", a.Remote.String())
		if err == nil {
			f.mark(got.(*net.TCPConn))
			return got.(*net.TCPConn), false
		}
		if ctx.Err() == context.Canceled {
			return nil, false
		}
		f.c.Log.Info("no BFCP connection", "remote", a.Remote, "error", err)
		f.listenUntil(time.Now().Add(*pause))
		*pause = min(2**pause, 30*time.Second)
	}
	got := f.early
	f.early = nil
	if got == nil || a == (Agreement{}) {
		next, err := f.listen.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return nil, true
		}
		if err != nil {
			f.early = got
			return nil, false
		}
		if got != nil {
			got.Close()
		}
		got = next
	}
	from := got.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	switch {
	case a == (Agreement{}):
		f.early = got
		return nil, false
	case a.Active:
		got.Close()
		return nil, false
	}
	// Behind a translator its address is another one; then it has to show soon that it knows the conference.
	f.stranger = from != a.Remote.Addr()
	return got, false
}

// listenUntil bounds the wait for another try, unless something woke us already.
func (f *Connection) listenUntil(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.commands) == 0 && !f.closing {
		f.listen.SetDeadline(t)
	}
}

// introduced waits for the head of a first message, and says whether it is of our conference and user. The head stays to be read.
func (f *Connection) introduced(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	limit := time.Now().Add(strangerWithin)
	for {
		// What is asked for meanwhile changes only what we know: there is nobody to send to.
		f.run(func([]byte) {})
		f.mu.Lock()
		f.wake = c.SetReadDeadline
		a := f.agreed
		over := f.closing || time.Now().After(limit)
		c.SetReadDeadline(limit)
		if len(f.commands) > 0 {
			c.SetReadDeadline(time.Unix(1, 0))
		}
		f.mu.Unlock()
		if over {
			return false
		}
		var b [headSize]byte
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var wait error
			n, _, wait = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			return wait != syscall.EAGAIN
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		h, bad := parseHead(b[:max(n, 0)])
		return err == nil && bad == nil && h.ConferenceID == a.ConferenceID && h.UserID == a.UserID
	}
}

// use talks over a connection until it ends.
func (f *Connection) use(c *net.TCPConn) (over bool) {
	remote := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	f.mu.Lock()
	f.changed = cancel
	f.mu.Unlock()
	// A far end that vanished and comes back waits in the listener's queue until its old connection is found dead: within half a minute.
	c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
	failed := false
	send := func(b []byte) {
		f.trace(false, remote, b)
		c.SetWriteDeadline(time.Now().Add(writeWithin))
		if _, err := c.Write(b); err != nil {
			failed = true
		}
	}
	if f.stranger {
		if !f.introduced(c) {
			return false
		}
		f.stranger = false
		f.c.Log.Info("BFCP comes from another address than agreed", "remote", remote)
	}
	f.m.connected(time.Now())
	var got []byte
	buf := make([]byte, 1024)
	for {
		if f.step(c.SetReadDeadline, send) {
			return true
		}
		// Another connection was agreed on, or this one is dead.
		if ctx.Err() != nil || failed || f.m.lost {
			return false
		}
		n, err := c.Read(buf)
		now := time.Now()
		got = append(got, buf[:n]...)
		for len(got) >= headSize {
			h, err := parseHead(got)
			if err != nil || h.length > maxMessage {
				f.c.Log.Warn("BFCP that is too long", "remote", remote, "length", h.length)
				return false
			}
			if len(got) < headSize+h.length {
				break
			}
			f.run(send)
			f.trace(true, remote, got[:headSize+h.length])
			f.m.input(got[:headSize+h.length], now)
			got = got[headSize+h.length:]
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			f.m.tick(now)
		case err != nil:
			if !errors.Is(err, io.EOF) {
				f.c.Log.Info("the BFCP connection is lost", "remote", remote, "error", err)
			}
			return false
		}
	}
}
