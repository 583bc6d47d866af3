package camera

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"rotunda/services/callbridge/codepoint"
	"rotunda/services/media/control"
)

// Config is what an [Endpoint] begins with.
type Config struct {
	// Local is the address to listen at; FirstPort and LastPort bound the port, both 0 for 64512 to 65535.
	Local               netip.Addr
	FirstPort, LastPort uint16
	// DSCP marks what is sent (RFC 2474).
	DSCP uint8
	Log  *slog.Logger
}

// Agreement is what both ends agreed on.
type Agreement struct {
	Remote netip.AddrPort
	// SendPayloadType and ReceivePayloadType are those of H224/4800.
	SendPayloadType, ReceivePayloadType uint8
	// Keys are nil for plain RTP.
	Keys *control.Keys
	// Held: nothing is to be sent now.
	Held bool
}

// Handler hears what comes from the far end. Its methods are called one at a time, under no lock, and may call the endpoint.
type Handler interface {
	// Asked: the far end wants a camera of others to do something.
	Asked(Request)
	// Capable: what can be moved at the far end; Camera false for nothing.
	Capable(Capabilities)
}

// Endpoint is the camera control of one leg.
type Endpoint struct {
	c    Config
	h    Handler
	conn *net.UDPConn
	at   netip.AddrPort
	done chan struct{}

	// of the goroutine
	p protocol
	r *stream

	mu       sync.Mutex
	agreed   *Agreement
	latched  netip.AddrPort
	commands []func(now time.Time)
	closing  bool
}

const maxCommands = 64

// Open takes a port. Nothing is sent or heard before [Endpoint.Agree].
func Open(c Config, h Handler) (*Endpoint, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.FirstPort == 0 && c.LastPort == 0 {
		c.FirstPort, c.LastPort = 64512, 65535
	}
	if c.LastPort < c.FirstPort {
		return nil, fmt.Errorf("camera: ports %d to %d: want the first to be the lower", c.FirstPort, c.LastPort)
	}
	e := &Endpoint{c: c, h: h, done: make(chan struct{})}
	// RTP has even ports (RFC 3550, 11); there are far ends that count on it.
	first := (int(c.FirstPort) + 1) &^ 1
	n := (int(c.LastPort)-first)/2 + 1
	if first > int(c.LastPort) {
		return nil, fmt.Errorf("camera: ports %d to %d: want one that is even", c.FirstPort, c.LastPort)
	}
	start := rand.IntN(n)
	var err error
	for i := range n {
		at := netip.AddrPortFrom(c.Local, uint16(first+2*((start+i)%n)))
		if e.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err == nil {
			e.at = e.conn.LocalAddr().(*net.UDPAddr).AddrPort()
			if err := codepoint.Set(e.conn, c.DSCP); err != nil {
				c.Log.Warn("camera control is not marked", "error", err)
			}
			go e.serve()
			return e, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("camera: no port from %d to %d at %v: %w", c.FirstPort, c.LastPort, c.Local, err)
}

// Local is the address and the port for the session description.
func (e *Endpoint) Local() netip.AddrPort { return e.at }

// Agree says whom we talk to. It is called after every exchange of session descriptions; the same again changes nothing. It fails when the keys are
// not those of their suite.
func (e *Endpoint) Agree(a Agreement) error {
	if a.Remote.IsValid() {
		a.Remote = netip.AddrPortFrom(a.Remote.Addr().Unmap(), a.Remote.Port())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.agreed
	if before != nil && a.same(*before) {
		return nil
	}
	var r *stream
	// A stream goes on with its numbers while its keys stay: SRTP must not use one twice.
	if before == nil || !sameKeys(a.Keys, before.Keys) {
		var err error
		if r, err = newStream(a.Keys); err != nil {
			return err
		}
	}
	if before == nil || before.Remote != a.Remote {
		e.latched = netip.AddrPort{}
	}
	e.agreed = &a
	e.commands = append(e.commands, func(now time.Time) {
		if r != nil {
			e.r = r
		}
		e.r.send, e.r.receive = a.SendPayloadType, a.ReceivePayloadType
		if a.Held {
			e.p.quiet()
		} else {
			e.p.begin(now)
		}
	})
	e.conn.SetReadDeadline(time.Unix(1, 0))
	return nil
}

func (a Agreement) same(b Agreement) bool {
	return a.Remote == b.Remote && a.SendPayloadType == b.SendPayloadType && a.ReceivePayloadType == b.ReceivePayloadType && a.Held == b.Held && sameKeys(a.Keys, b.Keys)
}

func (e *Endpoint) do(change func(now time.Time)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.agreed == nil || e.agreed.Held || e.closing || len(e.commands) >= maxCommands {
		return
	}
	e.commands = append(e.commands, change)
	e.conn.SetReadDeadline(time.Unix(1, 0))
}

// Move moves the far end's camera one step, in the words of [ParseDirections]. Without effect before an agreement and while the call is held.
func (e *Endpoint) Move(pan, tilt, zoom, focus string) {
	d, err := ParseDirections(pan, tilt, zoom, focus)
	if err != nil {
		e.c.Log.Warn("a camera cannot be moved like that", "error", err)
		return
	}
	e.do(func(now time.Time) { e.p.step(d, now) })
}

// Send passes on what somebody else asked for.
func (e *Endpoint) Send(r Request) error {
	if err := r.check(); err != nil {
		return err
	}
	e.do(func(time.Time) { e.p.send(r) })
	return nil
}

// Close ends it. The handler hears nothing after the call that may be under way. It may be called from a handler.
func (e *Endpoint) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closing = true
	e.conn.SetReadDeadline(time.Unix(1, 0))
}

// Done is closed when the socket is, after [Endpoint.Close].
func (e *Endpoint) Done() <-chan struct{} { return e.done }

func (e *Endpoint) serve() {
	defer close(e.done)
	defer e.conn.Close()
	buf := make([]byte, 1500)
	for e.step() {
		n, from, err := e.conn.ReadFromUDPAddrPort(buf)
		now := time.Now()
		switch {
		case err == nil:
			e.run(now) // what was agreed on before this came
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if payload := e.open(from, buf[:n]); payload != nil {
				if err := e.p.input(payload, now); err != nil {
					e.c.Log.Debug("an H.224 frame that cannot be read", "remote", from, "error", err)
				}
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, net.ErrClosed):
			e.c.Log.Error("the socket of camera control is gone", "error", err)
			return
		}
	}
}

// step does what is to be done and says when to wake up; false at the end.
func (e *Endpoint) step() bool {
	for {
		e.run(time.Now())
		e.mu.Lock()
		if len(e.commands) == 0 || e.closing {
			if !e.closing {
				e.conn.SetReadDeadline(e.p.due())
			}
			defer e.mu.Unlock()
			return !e.closing
		}
		e.mu.Unlock()
	}
}

func (e *Endpoint) run(now time.Time) {
	e.mu.Lock()
	commands := e.commands
	e.commands = nil
	to := e.latched
	if !to.IsValid() && e.agreed != nil {
		to = e.agreed.Remote
	}
	held := e.agreed == nil || e.agreed.Held
	e.mu.Unlock()
	for _, change := range commands {
		change(now)
	}
	e.p.tick(now)
	for _, b := range e.p.out {
		if held || !to.IsValid() || to.Port() == 0 {
			break
		}
		packet, err := e.r.seal(b, now)
		if err != nil {
			e.c.Log.Error("camera control cannot be sent", "error", err)
			break
		}
		// What is lost here is repeated like what is lost on the way.
		e.conn.WriteToUDPAddrPort(packet, to)
	}
	e.p.out = nil
	requests, capable := e.p.asked, e.p.capable
	e.p.asked, e.p.capable = nil, nil
	for _, c := range capable {
		if e.alive() {
			e.h.Capable(c)
		}
	}
	for _, r := range requests {
		if e.alive() {
			e.h.Asked(r)
		}
	}
}

func (e *Endpoint) alive() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.closing
}

// open gives the payload of a packet of the far end. Who is not where it was agreed is the far end only when nothing came from there yet.
func (e *Endpoint) open(from netip.AddrPort, b []byte) []byte {
	e.mu.Lock()
	agreed, latched := e.agreed, e.latched
	e.mu.Unlock()
	if agreed == nil || e.r == nil || latched.IsValid() && from != latched {
		return nil
	}
	payload := e.r.open(b)
	if payload == nil || latched.IsValid() {
		return payload
	}
	if _, err := parseFrame(payload); err != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.agreed == agreed {
		e.latched = from
	}
	return payload
}
