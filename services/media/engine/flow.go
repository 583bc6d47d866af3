package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
	"rotunda/services/media/transport"
)

// flow is one transport of a leg. Its [transport.Handler] methods run on the network thread and never wait for a control
// thread: what they need of the wanted state is in routes, replaced as a whole by each put.
type flow struct {
	leg      *leg
	index    int
	endpoint *transport.Endpoint
	routes   atomic.Pointer[routes]
	// heard is when the last packet came, in ns since 1970; silent whether that was reported.
	heard  atomic.Int64
	silent atomic.Bool
	// voice is the SSRC whose sound came last.
	voice atomic.Pointer[incoming]

	// The network thread's own.
	header   rtp.Header
	recent   *incoming
	incoming []*incoming
	places   []*place
	excess   [pictures]excess
	arrivals *rtp.Arrivals // for transport-wide congestion feedback, once a packet has its number
	told     time.Time     // when it was last sent
	feedback []byte
	lost     []uint16
	pushed   []*layer // that packets of this batch went to
	control  *rtp.Flood

	mu   sync.Mutex
	list []*incoming // a copy of incoming, for the reporter
	link link
}

// routes say to which stream of the leg a packet belongs.
type routes struct {
	payload [128]route
	// The extensions that may tell more; 0 is none.
	level, mid, rid, repairedRID, transportSequence uint8
	mids                                            [kinds]string
	rids                                            []string
	// limits of the pictures in bits a second.
	limits [pictures]int
	want   *control.Leg
}

// route is one payload type.
type route struct {
	kind  kind
	codec string
	// retransmission: of a picture.
	retransmission bool
}

// kind is a stream of a leg.
type kind uint8

const (
	nothing kind = iota
	soundKind
	mainKind
	presentationKind
	keysKind
	kinds
)

// incoming is one SSRC that came.
type incoming struct {
	flow *flow
	ssrc uint32
	kind kind
	rid  string
	// layer of a picture, which counts for itself; nil for sound.
	layer atomic.Pointer[layer]
	// The network thread's: when the last packet came, and what the layer knows of the wanted state.
	last   time.Time
	routes *routes

	mu        sync.Mutex
	reception rtp.Reception
	rate      rateMeter
	clock     rtp.SourceClock // the sender's
}

// maxIncoming bounds the SSRCs of a flow: sound, three layers with retransmissions, a presentation with one, and some that
// a far end used before it changed its mind. Whoever was not heard for longest gives way, but none that holds a
// place: a far end that makes up SSRCs does not lose its picture.
const maxIncoming = 16

func openFlow(l *leg, index int, t control.Transport) (*flow, error) {
	f := &flow{leg: l, index: index, link: newLink(),
		control: rtp.NewFlood(maxControl, maxControl*1500, time.Second)}
	f.routes.Store(&routes{})
	f.heard.Store(time.Now().UnixNano())
	var err error
	f.endpoint, err = l.engine.loop.Open(t, f)
	return f, err
}

func (f *flow) close() { f.endpoint.Close() }

// setRoutes takes the wanted state.
func (f *flow) setRoutes(want *control.Leg, index int) {
	r := &routes{want: want}
	if a := want.Audio; a != nil && a.Transport == index {
		r.level, r.mid, r.transportSequence = a.LevelExtension, a.MIDExtension, a.TransportSequence
		r.mids[soundKind] = a.MID
		for _, p := range a.Receive {
			r.payload[p.PayloadType&127] = route{kind: soundKind, codec: p.Codec}
		}
		if a.DTMF != 0 {
			r.payload[a.DTMF&127] = route{kind: keysKind}
		}
	}
	for which, v := range [pictures]*control.Video{want.Video, want.Presentation} {
		if v == nil || v.Transport != index {
			continue
		}
		k := mainKind + kind(which)
		r.mids[k], r.limits[which] = v.MID, receiveLimit(v)
		r.mid = max(r.mid, v.MIDExtension)
		r.transportSequence = max(r.transportSequence, v.TransportSequence)
		if len(v.RIDs) > 0 {
			r.rid, r.repairedRID, r.rids = v.RIDExtension, v.RepairedRIDExtension, v.RIDs
		}
		for _, p := range v.Receive {
			// Two pictures of one transport may share payload types; then the MID tells them apart.
			if was := r.payload[p.PayloadType&127]; was.kind == nothing {
				r.payload[p.PayloadType&127] = route{kind: k, codec: p.Codec}
				if p.RTX != 0 {
					r.payload[p.RTX&127] = route{kind: k, codec: p.Codec, retransmission: true}
				}
			}
		}
	}
	f.mu.Lock()
	f.link.expect(want, index)
	f.mu.Unlock()
	f.routes.Store(r)
}

// RTP takes a packet (see [transport.Handler]).
func (f *flow) RTP(packet []byte, arrival time.Time) {
	f.hear(arrival)
	payload, err := f.header.Parse(packet)
	if err != nil {
		return
	}
	r := f.routes.Load()
	if r.transportSequence != 0 {
		f.arrived(r, arrival)
	}
	to := r.payload[f.header.PayloadType&127]
	if to.kind == nothing {
		return
	}
	in := f.recent
	if in == nil || in.ssrc != f.header.SSRC {
		if in = f.find(r, to, arrival); in == nil {
			return
		}
		f.recent = in
	}
	in.last = arrival
	if to.sounds() != (in.kind == soundKind) {
		return // one SSRC is one medium
	}
	if in.kind == soundKind {
		f.sound(r, to, in, payload, len(packet), arrival)
		return
	}
	y := in.layer.Load()
	if foreign := !to.retransmission && (y.ssrc != in.ssrc || y.codec != to.codec); (foreign || y.closed.Load()) && !f.attach(r, in, to, arrival) {
		return
	}
	if in.routes != r {
		f.renew(r, in)
	}
	f.picture(r, in, packet, arrival)
}

func (f *flow) hear(arrival time.Time) {
	f.heard.Store(arrival.UnixNano())
	if f.silent.Load() && f.silent.CompareAndSwap(true, false) {
		f.leg.emit(control.Event{Event: control.EventHeard, Transport: f.index})
	}
}

// sounds tells sound and keys from pictures.
func (r route) sounds() bool { return r.kind == soundKind || r.kind == keysKind }

// find returns the state of an SSRC, made when it is new.
func (f *flow) find(r *routes, to route, arrival time.Time) *incoming {
	for _, in := range f.incoming {
		if in.ssrc == f.header.SSRC {
			return in
		}
	}
	in := &incoming{flow: f, ssrc: f.header.SSRC, kind: soundKind}
	if !to.sounds() {
		in.kind, in.clock.Clock = to.kind, pictureClock
		if mid := f.header.Extension(r.mid); len(mid) > 0 {
			for k := mainKind; k <= presentationKind; k++ {
				if r.mids[k] != "" && string(mid) == r.mids[k] {
					in.kind = k
				}
			}
		}
		if rid := f.header.Extension(r.rid); len(rid) > 0 {
			in.rid = string(rid)
		} else if rid := f.header.Extension(r.repairedRID); len(rid) > 0 {
			in.rid = string(rid)
		}
		if in.rid != "" && !slices.Contains(r.rids, in.rid) || !f.attach(r, in, to, arrival) {
			return nil
		}
	}
	if len(f.incoming) == maxIncoming {
		i := f.leastHeard()
		f.incoming = slices.Delete(f.incoming, i, i+1)
	}
	f.incoming = append(f.incoming, in)
	f.mu.Lock()
	f.list = append(f.list[:0:0], f.incoming...)
	f.mu.Unlock()
	return in
}

// leastHeard is the place in the list of the SSRC that gives way.
func (f *flow) leastHeard() int {
	least := 0
	for i, in := range f.incoming {
		o := f.incoming[least]
		if in.holds() != o.holds() {
			if o.holds() {
				least = i
			}
		} else if in.last.Before(o.last) {
			least = i
		}
	}
	return least
}

func (f *flow) sound(r *routes, to route, in *incoming, payload []byte, size int, arrival time.Time) {
	h := &f.header
	s := f.leg.sound.Load()
	if s == nil {
		return
	}
	in.mu.Lock()
	if clock := clockOf(to.codec); to.kind == soundKind && clock != in.reception.Clock {
		in.reception.SetClock(clock)
		in.clock = rtp.SourceClock{Clock: clock}
	}
	_, ok := in.reception.Packet(h.Sequence, h.Timestamp, size, arrival)
	in.rate.add(size, arrival)
	in.mu.Unlock()
	if !ok {
		return
	}
	if f.voice.Load() != in {
		f.voice.Store(in)
	}
	if to.kind == keysKind {
		s.key(payload, h.Timestamp, h.Marker, arrival)
		// Its number counts, or the jitter buffer would take it for lost.
		s.push("", h, rtp.UnknownLevel, nil, arrival)
		return
	}
	level := int8(rtp.UnknownLevel)
	if r.level != 0 {
		level, _ = h.Level(r.level)
	}
	s.push(to.codec, h, level, payload, arrival)
}

// clockOf is the clock of a codec of sound in Hz.
func clockOf(codec string) int {
	if codec == control.Opus {
		return 48000
	}
	return 8000 // G.722 too, by RFC 3551's mistake
}

func (f *flow) picture(r *routes, in *incoming, packet []byte, arrival time.Time) {
	in.mu.Lock()
	in.rate.add(len(packet), arrival)
	in.mu.Unlock()
	if f.exceeds(r, in, len(packet), arrival) {
		return
	}
	y := in.layer.Load()
	y.push(packet, arrival)
	if n := len(f.pushed); n == 0 || f.pushed[n-1] != y {
		f.pushed = append(f.pushed, y)
	}
}

// Batch forwards what came at once in one burst for each who is sent it.
func (f *flow) Batch(now time.Time) {
	for i, y := range f.pushed {
		y.receiver.Flush(now)
		f.pushed[i] = nil
	}
	f.pushed = f.pushed[:0]
}

// State takes what becomes of the connection.
func (f *flow) State(state, cipher, text string) {
	f.leg.emit(control.Event{Event: control.EventTransport, Transport: f.index, State: state, Cipher: cipher, Text: text})
	if state == "connected" {
		// Whoever was sent pictures before there was a way needs a key frame.
		for which := range pictures {
			if d := f.leg.display[which].Load(); d != nil {
				d.requestKey()
			}
		}
	}
}

// Candidates takes more local candidates.
func (f *flow) Candidates(local control.TransportState) {
	f.leg.emit(control.Event{Event: control.EventCandidates, Transport: f.index, Candidates: &local})
}

// Flood takes how much was dropped.
func (f *flow) Flood(dropped uint64) {
	f.leg.emit(control.Event{Event: control.EventFlood, Transport: f.index})
}

// rateMeter measures bits per second over whole seconds.
type rateMeter struct {
	since time.Time
	bytes int
	bps   int
}

func (m *rateMeter) add(n int, at time.Time) {
	if d := at.Sub(m.since); d >= time.Second {
		if m.since.IsZero() || d > 3*time.Second {
			m.bps = 0
		} else {
			m.bps = int(int64(m.bytes) * 8 * int64(time.Second) / int64(d))
		}
		m.since, m.bytes = at, 0
	}
	m.bytes += n
}

// rate is 0 for a stream that has stopped. In its first second it is a guess from what has come so far.
func (m *rateMeter) rate(now time.Time) int {
	d := now.Sub(m.since)
	switch {
	case d > 3*time.Second:
		return 0
	case m.bps == 0 && d >= time.Second/10:
		return int(int64(m.bytes) * 8 * int64(time.Second) / int64(d))
	}
	return m.bps
}
