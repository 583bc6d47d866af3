package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/srtp"
)

// Handler is told what happens on an endpoint, always on the loop's thread. It may send; it must not wait for anything.
type Handler interface {
	// RTP and RTCP take a plain packet, valid until they return. A packet of RTP has at least its fixed header of 12 bytes,
	// one of RTCP 8; nothing more is known about it.
	RTP(packet []byte, arrival time.Time)
	RTCP(packet []byte, arrival time.Time)
	// Batch is called after the packets that were read at once: what is made of them can leave together.
	Batch(now time.Time)
	// State is told of "checking", "connected", "failed" and "closed" with the SRTP suite in use and what went wrong.
	State(state, cipher, text string)
	// Candidates is told of more local candidates: the whole local half each time.
	Candidates(local control.TransportState)
	// Flood is told once a second how many packets were dropped since the last time, while there are any.
	Flood(dropped uint64)
}

// drop is why a packet is not delivered or not sent.
type drop int

const (
	dropAuth      drop = iota // does not authenticate
	dropReplay                // came before
	dropMalformed             // is none of the protocols, or too long
	dropFlood                 // more than the endpoint takes
	dropUnknown               // of a protocol or a source that is not expected
	dropKeys                  // before there were keys
	dropSend                  // to send, but there is nowhere to or no room in the kernel
	drops
)

var dropNames = [drops]string{"auth", "replay", "malformed", "flood", "unknown", "keys", "send"}

// silence is how long a plain source must be quiet before another may take its place: RFC 3550 leaves at most 5 s between
// reports, and voice activity detection sends comfort noise well within.
const silence = 5 * time.Second

// Endpoint is one transport of a leg.
type Endpoint struct {
	loop    *Loop
	handler Handler
	ports   int // number of ports taken: 1 or 2
	// secured says whether packets have to be protected; it follows [Endpoint.Update].
	secured atomic.Bool
	shared  bool // an [Exchange]: whoever sends is a peer

	sockets [2][]*socket // of RTP and RTCP, one a local address

	settings atomic.Pointer[settings]
	in       atomic.Pointer[srtp.Context] // used on the loop's thread alone
	closed   atomic.Bool

	// The loop's own.
	applied  *settings
	source   [2]source
	peer     bucket
	stranger bucket
	received struct{ packets, bytes uint64 }
	flooded  uint64 // since the last report
	reported bool   // in the loop's list

	out outgoing

	// change keeps Update and Close apart; mu guards what follows, and is never held while another goroutine is waited for.
	change sync.Mutex
	mu     sync.Mutex
	wanted control.Transport
	local  control.TransportState
	phase  phase
	text   string
	state  string
	cipher string

	ice  *agent
	dtls *association

	packetsReceived, bytesReceived, packetsSent, bytesSent atomic.Uint64
	dropped                                                [drops]atomic.Uint64
}

// settings are what the loop's thread has to know of the wanted state; replaced as a whole.
type settings struct {
	mux     bool
	latch   bool
	secured bool
	ice     bool
	remote  [2]sockaddr // as signalled
	dscp    marks
}

// source is where the packets of a component come from.
type source struct {
	from sockaddr
	at   *socket
	last time.Time
}

// Open makes an endpoint: it binds one port of the worker's slice, or a pair, on every local address, and begins to gather
// candidates and to answer what comes.
func (l *Loop) Open(t control.Transport, h Handler) (*Endpoint, error) {
	return l.openEndpoint(t, &Endpoint{handler: h, peer: newBucket(l.flood)})
}

func (l *Loop) openEndpoint(t control.Transport, e *Endpoint) (*Endpoint, error) {
	if err := check(t); err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	e.loop, e.ports, e.stranger, e.state = l, 2, newBucket(strangerFlood), "checking"
	e.secured.Store(t.Security != control.Plain)
	if t.RTCPMux {
		e.ports = 1
	}
	e.change.Lock() // Close, when the loop is closed meanwhile, comes after
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, fmt.Errorf("open transport: %w", ErrClosed)
	}
	rtp, rtcp, err := l.open(t.Local, t.RTCPMux)
	if err != nil {
		l.mu.Unlock()
		return nil, fmt.Errorf("open transport: %w", err)
	}
	l.endpoints[e] = struct{}{}
	l.mu.Unlock()

	e.sockets = [2][]*socket{rtp, rtcp}
	for component, sockets := range e.sockets {
		for _, s := range sockets {
			s.endpoint, s.component = e, component
		}
	}
	for _, s := range rtp {
		e.local.RTP = append(e.local.RTP, s.local)
	}
	for _, s := range rtcp {
		e.local.RTCP = append(e.local.RTCP, s.local)
	}
	e.local.Gathered = true
	err = e.begin(t)
	e.change.Unlock()
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("open transport: %w", err)
	}
	return e, nil
}

// begin starts what the transport is protected and connected by, then has its sockets read.
func (e *Endpoint) begin(t control.Transport) error {
	if t.Security == control.DTLS {
		e.local.Fingerprint = e.loop.certificate.fingerprint
		e.dtls = newAssociation(e)
	}
	if t.ICE != nil {
		a, err := newAgent(e, t.ICE)
		if err != nil {
			return err
		}
		e.ice = a
	}
	if err := e.apply(t); err != nil {
		return err
	}
	e.loop.mu.Lock()
	for _, sockets := range e.sockets {
		for _, s := range sockets {
			if err := e.loop.add(s); err != nil {
				e.loop.mu.Unlock()
				return err
			}
		}
	}
	e.loop.mu.Unlock()
	if e.ice != nil {
		return e.ice.gather()
	}
	return nil
}

// check refuses what cannot work.
func check(t control.Transport) error {
	switch {
	case len(t.Local) == 0:
		return errors.New("no local address")
	case len(t.Local) > maxLocal:
		return fmt.Errorf("%d local addresses: at most %d", len(t.Local), maxLocal)
	case !t.RTCPMux && (t.ICE != nil || t.Security == control.DTLS):
		return errors.New("ice and dtls need rtcp-mux")
	case t.Security != control.Plain && t.Security != control.SDES && t.Security != control.DTLS:
		return fmt.Errorf("unknown security %q", t.Security)
	}
	for i, addr := range t.Local {
		if !addr.IsValid() || t.ICE != nil && addr.IsUnspecified() {
			return fmt.Errorf("local address %q", addr)
		}
		if slices.Contains(t.Local[:i], addr) {
			return fmt.Errorf("local address %q twice", addr)
		}
	}
	return nil
}

// maxLocal bounds the local addresses of a transport: each is a socket, and with ICE a candidate.
const maxLocal = 8

// Update changes the remote half, keys, candidates or mux. Local addresses, whether there is DTLS, whether there is ICE and of which
// kind, and its servers stay as they were when the endpoint was opened. SDES comes and goes: an offer that leaves it to the far end is
// answered with or without keys, and the ports are known by then.
func (e *Endpoint) Update(t control.Transport) error {
	e.change.Lock()
	defer e.change.Unlock()
	if err := check(t); err != nil {
		return fmt.Errorf("update transport: %w", err)
	}
	if e.closed.Load() {
		return fmt.Errorf("update transport: %w", ErrClosed)
	}
	e.mu.Lock()
	was := e.wanted
	e.mu.Unlock()
	switch {
	case !slices.Equal(t.Local, was.Local):
		return errors.New("update transport: local addresses cannot change")
	case t.Security != was.Security && (t.Security == control.DTLS || was.Security == control.DTLS):
		return errors.New("update transport: dtls cannot come or go")
	case (t.ICE == nil) != (was.ICE == nil):
		return errors.New("update transport: ice cannot come or go")
	case !t.RTCPMux && e.ports == 1:
		return errors.New("update transport: no port for rtcp was opened")
	}
	if err := e.apply(t); err != nil {
		return fmt.Errorf("update transport: %w", err)
	}
	return nil
}

// apply makes a wanted state the one in force. Update and Open call it, never two at once.
func (e *Endpoint) apply(t control.Transport) error {
	if t.Security == control.SDES {
		if err := e.applyKeys(t.Keys); err != nil {
			return err
		}
	}
	s := &settings{mux: t.RTCPMux, latch: t.Latch, secured: t.Security != control.Plain, ice: t.ICE != nil, dscp: points(t.DSCP)}
	if t.ICE == nil {
		s.remote[0] = newSockaddr(t.Remote)
		s.remote[1] = newSockaddr(remoteRTCP(t))
	}
	e.secured.Store(s.secured)
	if !s.secured {
		e.unlock()
	}
	e.signalled(s)
	e.settings.Store(s)
	e.mu.Lock()
	e.wanted = t
	e.mu.Unlock()
	if e.ice != nil {
		if err := e.ice.update(t.ICE); err != nil {
			return err
		}
	}
	if e.dtls != nil {
		e.dtls.update(t)
	}
	e.evaluate()
	return nil
}

// remoteRTCP is where RTCP goes without mux: as signalled (RFC 3605), else the port above.
func remoteRTCP(t control.Transport) netip.AddrPort {
	if t.RemoteRTCP.IsValid() || !t.Remote.IsValid() || t.Remote.Port() == 65535 {
		return t.RemoteRTCP
	}
	return netip.AddrPortFrom(t.Remote.Addr(), t.Remote.Port()+1)
}

// Local is the local half: addresses, fingerprint, ICE credentials and the candidates so far.
func (e *Endpoint) Local() control.TransportState {
	e.mu.Lock()
	defer e.mu.Unlock()
	local := e.local
	local.RTP = slices.Clone(local.RTP)
	local.RTCP = slices.Clone(local.RTCP)
	local.Candidates = slices.Clone(local.Candidates)
	return local
}

// Traffic is how many packets came, went, and were dropped so far.
func (e *Endpoint) Traffic() (received, sent, dropped uint64) {
	for why := range e.dropped {
		dropped += e.dropped[why].Load()
	}
	return e.packetsReceived.Load(), e.packetsSent.Load(), dropped
}

// Stats are the counters so far.
func (e *Endpoint) Stats() control.TransportStats {
	s := control.TransportStats{
		PacketsReceived: e.packetsReceived.Load(),
		BytesReceived:   e.bytesReceived.Load(),
		PacketsSent:     e.packetsSent.Load(),
		BytesSent:       e.bytesSent.Load(),
	}
	for why, name := range dropNames {
		if n := e.dropped[why].Load(); n > 0 {
			if s.Dropped == nil {
				s.Dropped = make(map[string]uint64)
			}
			s.Dropped[name] = n
		}
	}
	e.mu.Lock()
	s.State, s.Cipher = e.state, e.cipher
	e.mu.Unlock()
	s.Local, s.Remote = e.where()
	return s
}

// RTPSize is how long a plain RTP packet may be so that, protected, it fits into the transport's MTU.
func (e *Endpoint) RTPSize() int {
	e.mu.Lock()
	mtu := e.wanted.MTU
	e.mu.Unlock()
	if mtu == 0 {
		mtu = control.DefaultMTU
	}
	if e.secured.Load() {
		mtu -= tagSize
	}
	return mtu
}

// tagSize is the longest tag of the suites, that of GCM: before the handshake it is not known which it will be.
const tagSize = 16

// AllowRepeats lets a packet be sent twice under SRTP, for answers to NACK without a retransmission stream. The caller
// vouches that a repeat equals the first packet in every byte (see [srtp.Context.AllowRepeats]).
func (e *Endpoint) AllowRepeats() {
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	e.out.repeats = true
	if e.out.ctx != nil {
		e.out.ctx.AllowRepeats()
	}
}

// Close ends the endpoint and waits for everything that it has started, save for questions of its ICE agent to servers. No Handler method is running or will be called when
// it returns, unless a Handler method called it; so its caller must not hold a lock that the handler takes.
func (e *Endpoint) Close() {
	if e.closed.Swap(true) {
		return
	}
	e.change.Lock() // an Update in progress comes to its end first
	defer e.change.Unlock()
	if e.dtls != nil {
		e.dtls.close()
	}
	if e.ice != nil {
		e.ice.close()
	}
	e.out.close()
	l := e.loop
	l.mu.Lock()
	for _, sockets := range e.sockets {
		for _, s := range sockets {
			l.drop(s)
		}
	}
	l.mu.Unlock()
	l.barrier()
	port := int(e.sockets[0][0].local.Port())
	for _, sockets := range e.sockets {
		closeSockets(sockets)
	}
	l.mu.Lock()
	l.ports.giveBack(port, e.ports, time.Now())
	delete(l.endpoints, e)
	l.mu.Unlock()
	e.mu.Lock()
	e.state = "closed"
	e.mu.Unlock()
}
