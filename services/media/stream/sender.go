package stream

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// Output is where a Sender's packets go: a transport, which encrypts them into a buffer of its own. The packets, the
// slices and the slice of slices are valid until SendVideo returns. Packets of a frame have equal sizes, all but the
// last, so that one segmented send carries them.
type Output interface{ SendVideo(packets [][]byte) }

// Congestion numbers packets for transport-wide congestion feedback. All streams of a transport share one.
type Congestion interface {
	// Next returns the number of a packet of so many bytes that is sent at this moment.
	Next(bytes int, at time.Time) uint16
}

// SenderOptions are what the far end negotiated. Extension numbers are those of RFC 8285's one-byte form, 1 to 14; 0 is
// none.
type SenderOptions struct {
	Codec       string
	SSRC        uint32
	PayloadType uint8
	// RTX is the payload type of retransmissions with RTXSSRC (RFC 4588); 0 sends the packet itself again.
	RTX     uint8
	RTXSSRC uint32
	// MID is at most 16 bytes (RFC 8843).
	MID                   string
	MIDExtension          uint8
	SendTimeExtension     uint8 // abs-send-time
	TransportSequence     uint8
	Congestion            Congestion
	Sequence, RTXSequence uint16 // first numbers; take random ones
	Timestamp             uint32 // likewise
	// PaceBitrate spreads bursts: what exceeds it by more than 10 ms waits for Tick. 0 sends at once.
	PaceBitrate int
	Output      Output
}

// Sender is one outgoing SSRC of a leg. All methods may be called from any thread.
type Sender struct {
	o      SenderOptions
	header [room]byte // of a packet: what does not change
	size   int        // of it
	// Where the changing parts are in header, 0 for nowhere.
	transportAt, sendTimeAt int

	mu      sync.Mutex
	current *Stream // what is sent
	pending *Stream // what takes its place at its next key frame
	askedAt int64   // when pending was asked for a key frame last

	routes   routes
	top      int64 // highest group sequence of current that was seen
	nextOut  int64 // next sequence number, unwrapped
	rtxNext  uint16
	lastTime int64  // when a frame began last
	lastRTP  uint32 // and its timestamp
	lastKey  uint32 // that of the last key frame
	begun    bool   // anything was sent
	jumped   bool   // the current stream has to be joined anew at its next packet
	picture  uint16 // highest picture ID sent
	base     uint8  // and its TL0PICIDX
	left     uint16 // picture ID, as it came, of the frame that was left out last
	leaving  bool   // left is one

	layer, wantLayer uint8

	// stamps of the newest packets, only where a packet is sent again under its own number: SRTP would encrypt two different
	// packets with one key stream (RFC 3711, 9.1), so it has to be the same to the last byte.
	stamps []stamp
	// The parameter sets that were sent last, and when: they are in no cache.
	parameters          []byte
	parametersOut       int64
	parametersTimestamp uint32

	pacer     pacer
	resend    resender
	reference mapping
	counts    SenderCounts

	packets [burst][]byte
	one     [1]entry
	closed  bool
}

// AllLayers lets every temporal layer through.
const AllLayers = 254

// nothing is the layer of packets without payload, which nobody is sent.
const nothing = AllLayers + 1

// repeatable is how many packets with a moment of sending can be sent again under their own number: a second of 8 Mbit/s.
const repeatable = 1024

// maxMID is what a one-byte extension can hold.
const maxMID = 16

// NewSender returns a Sender that carries nothing yet.
func NewSender(o SenderOptions) (*Sender, error) {
	if len(o.MID) > maxMID {
		return nil, fmt.Errorf("MID of %d bytes: want at most %d", len(o.MID), maxMID)
	}
	for _, id := range [...]uint8{o.MIDExtension, o.SendTimeExtension, o.TransportSequence} {
		if id > 14 {
			return nil, fmt.Errorf("header extension %d: want 1 to 14", id)
		}
	}
	if o.TransportSequence != 0 && o.Congestion == nil {
		return nil, fmt.Errorf("transport sequence numbers without anybody who counts them")
	}
	s := &Sender{o: o, nextOut: 1<<16 + int64(o.Sequence), rtxNext: o.RTXSequence, lastRTP: o.Timestamp,
		layer: AllLayers, wantLayer: AllLayers}
	s.pacer.init(o.PaceBitrate)
	s.resend.init()
	s.writeHeader()
	if o.RTX == 0 && s.sendTimeAt|s.transportAt != 0 {
		s.stamps = make([]stamp, repeatable)
	}
	return s, nil
}

// writeHeader fills the header with all that stays the same.
func (s *Sender) writeHeader() {
	h := s.header[:12]
	h[0] = 0x80
	binary.BigEndian.PutUint32(h[8:], s.o.SSRC)
	extensions := s.header[12:12]
	if s.o.TransportSequence != 0 {
		s.transportAt = 16 + len(extensions) + 1
		extensions = append(extensions, s.o.TransportSequence<<4|1, 0, 0)
	}
	if s.o.SendTimeExtension != 0 {
		s.sendTimeAt = 16 + len(extensions) + 1
		extensions = append(extensions, s.o.SendTimeExtension<<4|2, 0, 0, 0)
	}
	if s.o.MIDExtension != 0 && s.o.MID != "" {
		extensions = append(extensions, s.o.MIDExtension<<4|byte(len(s.o.MID)-1))
		extensions = append(extensions, s.o.MID...)
	}
	s.size = 12
	if len(extensions) == 0 {
		return
	}
	for len(extensions)%4 != 0 {
		extensions = append(extensions, 0)
	}
	n := len(extensions)
	copy(s.header[16:], extensions)
	h[0] |= 0x10
	binary.BigEndian.PutUint16(s.header[12:], 0xbede)
	binary.BigEndian.PutUint16(s.header[14:], uint16(n/4))
	s.size = 16 + n
}

// HeaderSize returns the bytes that come before each payload, for [PayloadSize].
func (s *Sender) HeaderSize() int { return s.size }

// Switch makes the Sender carry another Stream from that one's next key frame on, for which it asks. Until then it goes on
// with what it carries. Nil stops at once.
func (s *Sender) Switch(to *Stream, now time.Time) error {
	if to != nil && to.codec != s.o.Codec {
		return fmt.Errorf("switch a sender of %s to a stream of %s: %w", s.o.Codec, to.codec, ErrCodec)
	}
	s.mu.Lock()
	if s.closed || to != nil && (to == s.pending || to == s.current && s.pending == nil) {
		s.mu.Unlock()
		return nil
	}
	if s.pending != nil {
		s.pending.unsubscribe(s)
		s.pending = nil
	}
	switch {
	case to == nil:
		if s.current != nil {
			s.drain(now)
			s.current.unsubscribe(s)
			s.current = nil
		}
	case to != s.current:
		s.pending, s.askedAt = to, clock(now)
		to.subscribe(s)
	}
	ask := s.pending
	s.mu.Unlock()
	if ask != nil {
		ask.RequestKey(now)
	}
	return nil
}

// Carries returns the Stream that is sent and the one that takes its place next; either may be nil.
func (s *Sender) Carries() (current, pending *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.pending
}

// RequestKey passes on that the far end needs a key frame.
func (s *Sender) RequestKey(now time.Time) {
	s.mu.Lock()
	s.counts.KeysWanted++
	from := s.pending
	if from == nil {
		from = s.current
	}
	s.mu.Unlock()
	if from != nil {
		from.RequestKey(now)
	}
}

// SetLayers leaves out frames of temporal layers above highest (for H.264, 0 leaves out what no other frame refers to).
// More layers begin where their frames allow it.
func (s *Sender) SetLayers(highest uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wantLayer = min(highest, AllLayers)
}

// Close ends the subscriptions.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, from := range [...]*Stream{s.current, s.pending} {
		if from != nil {
			from.unsubscribe(s)
		}
	}
	s.current, s.pending = nil, nil
	s.routes = routes{}
}

// deliver takes packets of a Stream, whose publisher holds them still: the room before each is this Sender's until it
// returns.
func (s *Sender) deliver(from *Stream, chunk []entry, now time.Time) {
	at := clock(now)
	ask, joined := false, false
	s.mu.Lock()
	if from == s.pending {
		for i := range chunk {
			if chunk[i].is(flagKey) && chunk[i].is(flagStart) {
				s.join(from, now)
				joined = true
				chunk = chunk[i:]
				break
			}
		}
		// The request or the key frame may have been lost on the way.
		if from == s.pending && at-s.askedAt >= int64(KeyInterval) {
			s.askedAt, ask = at, true
		}
	}
	if from == s.current {
		s.forward(from, chunk, now)
		// The beginning of a key frame may come late: what belongs behind it is in the cache then. The publisher, who alone
		// writes there, waits for this call.
		if joined {
			s.followUp(from, now)
		}
	}
	s.mu.Unlock()
	if ask {
		from.RequestKey(now)
	}
}

// join makes the pending Stream the current one.
func (s *Sender) join(to *Stream, now time.Time) {
	if s.current != nil {
		s.drain(now)
		s.current.unsubscribe(s)
	}
	s.current, s.pending, s.jumped = to, nil, true
	s.layer = s.wantLayer
	s.counts.Switches++
}

// followUp sends what the cache has behind the newest packet that was sent.
func (s *Sender) followUp(from *Stream, now time.Time) {
	for sequence := max(s.top+1, from.cache.newest-maxJump); sequence <= from.cache.newest; sequence++ {
		if e := from.cache.find(sequence, clock(now)); e != nil {
			s.one[0] = *e
			s.forward(from, s.one[:], now)
		}
	}
}

// maxJump is the gap in a group sequence that is no loss but a producer that began anew; RFC 3550's MAX_DROPOUT.
const maxJump = 3000

// forward sends packets of the current Stream.
func (s *Sender) forward(from *Stream, chunk []entry, now time.Time) {
	at := clock(now)
	n := 0
	for i := range chunk {
		e := &chunk[i]
		if s.jumped || e.sequence-s.top > maxJump || s.top-e.sequence > maxJump {
			if parameters := s.rebase(from, e, at); parameters != nil {
				n = s.flush(n)
				s.sendParameters(parameters, e.timestamp, now)
			}
		}
		out, r := int64(0), (*route)(nil)
		switch late := e.sequence <= s.top; {
		case late:
			if out, r = s.routes.late(from, e.sequence); r == nil {
				continue
			}
			if s.pacer.waiting && out >= s.pacer.cursor {
				continue
			}
			if e.layer > r.layer {
				// A gap that turns out to be of what is left out: fill it, or it is asked for again and again.
				n = s.flush(n)
				s.sendPadding(out, r, e, now)
				continue
			}
		case s.leaveOut(e):
			continue
		default:
			s.top = e.sequence
			r = s.routes.last()
			out = r.out + e.sequence - r.group
			s.nextOut = out + 1
			s.follow(e, r, at)
			if s.pacer.holds(out, int(e.length)+s.size, at) {
				continue
			}
		}
		s.packets[n] = s.write(from.cache.around(e, s.size+int(e.prefix.length)), e, r, out, now)
		if n++; n == len(s.packets) {
			n = s.flush(n)
		}
	}
	s.flush(n)
}

// flush hands n packets to the output.
func (s *Sender) flush(n int) int {
	if n > 0 {
		s.o.Output.SendVideo(s.packets[:n])
	}
	return 0
}

// rebase begins a new route at a packet: the next sequence number, a timestamp as much later as time has gone by. It
// returns parameter sets that have to go out first.
func (s *Sender) rebase(from *Stream, e *entry, at int64) []byte {
	timestamp := s.lastRTP
	if s.begun {
		timestamp += uint32(max((at-s.lastTime)*9/1e5, 1)) // 90 kHz
	}
	r := route{from: from, group: e.sequence, out: s.nextOut, timestamp: timestamp - e.timestamp, layer: s.layer}
	if e.prefix.picture != 0 {
		r.picture, r.base = s.picture+1-e.picture, s.base+1-e.base
	}
	var parameters []byte
	if s.jumped && e.is(flagKey) && !e.is(flagParameters) {
		if parameters = from.copyParameters(); parameters != nil {
			r.parameters = true
			r.out++
			s.nextOut++
		}
	}
	s.routes.add(r)
	s.top, s.jumped, s.leaving = e.sequence-1, false, false
	return parameters
}

// follow notes the frame that is sent.
func (s *Sender) follow(e *entry, r *route, at int64) {
	if timestamp := e.timestamp + r.timestamp; !s.begun || int32(timestamp-s.lastRTP) > 0 {
		s.lastRTP, s.lastTime, s.begun = timestamp, at, true
		s.reference.note(timestamp, at)
		s.counts.Frames++
	}
	if e.prefix.picture != 0 {
		s.picture, s.base = e.picture+r.picture, e.base+r.base
	}
	if e.is(flagKey) && e.is(flagStart) && (s.counts.KeyFrames == 0 || s.lastKey != s.lastRTP) {
		s.lastKey = s.lastRTP
		s.counts.KeyFrames++
	}
}

// leaveOut decides whether a packet belongs to a layer that is not sent, and closes the gap that it leaves.
func (s *Sender) leaveOut(e *entry) bool {
	if e.is(flagStart) && s.layer != s.wantLayer {
		switch {
		case s.wantLayer < s.layer:
			s.layer = s.wantLayer
		case e.is(flagKey), e.layer <= s.wantLayer && e.layer > s.layer && e.is(flagSync):
			s.layer = s.wantLayer
			s.branch(e.sequence).layer = s.layer
		}
	}
	if e.layer <= s.layer {
		return false
	}
	r := s.branch(e.sequence)
	r.group, r.layer = e.sequence+1, s.layer
	if e.prefix.picture != 0 && (!s.leaving || s.left != e.picture) {
		s.left, s.leaving = e.picture, true
		r.picture--
	}
	s.top = e.sequence
	return true
}

// branch returns a route that begins at a packet like the last one goes on. Packets before it that may still come keep their
// numbers by that one.
func (s *Sender) branch(sequence int64) *route {
	r := s.routes.last()
	if r.group == sequence {
		return r // nothing has been sent by it
	}
	next := *r
	next.group, next.out, next.parameters = sequence, r.out+sequence-r.group, false
	return s.routes.add(next)
}

// write puts header and descriptor before the body in b, which is to be sent now.
func (s *Sender) write(b []byte, e *entry, r *route, out int64, now time.Time) []byte {
	s.writeFixed(b, out, e.timestamp+r.timestamp, s.o.PayloadType, e.is(flagMarker), now)
	s.writePrefix(b[s.size:], e, r)
	s.counts.Packets++
	s.counts.Bytes += uint64(len(b) - s.size)
	return b
}

// writeFixed writes the header of a packet that has not been sent before.
func (s *Sender) writeFixed(b []byte, out int64, timestamp uint32, payloadType uint8, marker bool, now time.Time) {
	copy(b, s.header[:s.size])
	b[1] = payloadType
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], uint16(out))
	binary.BigEndian.PutUint32(b[4:], timestamp)
	if s.sendTimeAt|s.transportAt == 0 {
		return
	}
	var stamp stamp
	if s.sendTimeAt != 0 {
		stamp.time = sendTime(now)
	}
	if s.transportAt != 0 {
		stamp.number = s.o.Congestion.Next(len(b), now)
	}
	if s.stamps != nil {
		stamp.out = out
		s.stamps[out%int64(len(s.stamps))] = stamp
	}
	s.writeStamp(b, stamp)
}

// stamp is what the header says of the moment of sending.
type stamp struct {
	out    int64
	time   uint32
	number uint16
}

func (s *Sender) writeStamp(b []byte, t stamp) {
	if s.sendTimeAt != 0 {
		b[s.sendTimeAt], b[s.sendTimeAt+1], b[s.sendTimeAt+2] = byte(t.time>>16), byte(t.time>>8), byte(t.time)
	}
	if s.transportAt != 0 {
		binary.BigEndian.PutUint16(b[s.transportAt:], t.number)
	}
}

func (s *Sender) writePrefix(b []byte, e *entry, r *route) {
	p := &e.prefix
	if p.length == 0 {
		return
	}
	copy(b, p.data[:p.length])
	if p.picture != 0 {
		binary.BigEndian.PutUint16(b[p.picture:], (e.picture+r.picture)|0x8000)
		if p.base {
			b[baseAt] = e.base + r.base
		}
	}
}

// sendTime is the time of day modulo 64 s in 6.18 bits.
func sendTime(now time.Time) uint32 {
	ns := uint64(now.UnixNano())
	seconds, fraction := ns/1e9, ns%1e9
	return uint32(seconds%64)<<18 | uint32(fraction<<18/1e9)
}

// sendParameters sends parameter sets before the first packet of the newest route.
func (s *Sender) sendParameters(payload []byte, timestamp uint32, now time.Time) {
	r := s.routes.last()
	s.parameters, s.parametersOut, s.parametersTimestamp = payload, r.out-1, timestamp+r.timestamp
	c := scratches.Get().(*scratch)
	defer scratches.Put(c)
	b := c.buffers[0][:]
	packet := b[:s.size+copy(b[s.size:], payload)]
	s.writeFixed(packet, s.parametersOut, s.parametersTimestamp, s.o.PayloadType, false, now)
	s.counts.Packets++
	s.counts.Bytes += uint64(len(payload))
	s.packets[0] = packet
	s.flush(1)
}

// sendPadding sends an empty packet: padding of one byte that counts itself.
func (s *Sender) sendPadding(out int64, r *route, e *entry, now time.Time) {
	c := scratches.Get().(*scratch)
	defer scratches.Put(c)
	packet := c.buffers[0][:s.size+1]
	s.writeFixed(packet, out, e.timestamp+r.timestamp, s.o.PayloadType, false, now)
	packet[0] |= 0x20
	packet[s.size] = 1
	s.counts.Packets++
	s.packets[0] = packet
	s.flush(1)
}
