package stream

import (
	"encoding/binary"
	"sync"
	"time"
)

// Retransmissions are bounded, since 4 bytes of a request bring up to 17 packets: twice the rate of a usual picture, with
// room for the loss of a whole key frame, and each packet at most once in a short round trip.
const (
	resendRate  = 4_000_000 / 8 // bytes a second
	resendBurst = 192 << 10
	resendAgain = int64(15 * time.Millisecond)
)

// resender decides whether a packet may be sent again.
type resender struct {
	tokens int64 // bytes
	at     int64
	recent [128]struct {
		out int64
		at  int64
	}
}

func (r *resender) init() { r.tokens = resendBurst }

func (r *resender) allow(out int64, size int, now int64) bool {
	if gone := now - r.at; gone > 0 {
		r.tokens = min(resendBurst, r.tokens+min(gone, int64(time.Second))*resendRate/int64(time.Second))
		r.at = now
	}
	slot := &r.recent[out%int64(len(r.recent))]
	if r.tokens < int64(size) || slot.out == out && now-slot.at < resendAgain {
		return false
	}
	r.tokens -= int64(size)
	slot.out, slot.at = out, now
	return true
}

// scratch holds packets that are copied out of a cache: for retransmission and for pacing, on threads that do not publish.
type scratch struct {
	entries [32]entry
	buffers [32][2*room + MaxPayload]byte
}

// osnSize is the original sequence number of RFC 4588, before the payload.
const osnSize = 2

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// copyPacket copies a packet that is still in the cache; its body comes to stand behind 2*room bytes of b.
func (s *Stream) copyPacket(sequence, now int64, e *entry, b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.cache.find(sequence, now)
	if found == nil {
		return false
	}
	*e = *found
	copy(b[2*room:], s.cache.body(found))
	return true
}

// copyParameters returns a copy of the parameter sets, nil where there are none.
func (s *Stream) copyParameters() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.parameters...)
}

// HandleNACK sends again what the far end asked for and the cache still has (RFC 4585, 6.2.1).
func (s *Sender) HandleNACK(sequences []uint16, now time.Time) {
	at := clock(now)
	c := scratches.Get().(*scratch)
	s.mu.Lock()
	n := 0
	for _, sequence := range sequences {
		// The newest packet with this number.
		out := s.nextOut - 1 - int64(uint16(s.nextOut-1)-sequence)
		if s.routes.count == 0 || s.pacer.waiting && out >= s.pacer.cursor {
			continue
		}
		packet := s.again(c, n, out, at, now)
		if packet == nil {
			s.counts.NotResent++
			continue
		}
		s.counts.Resent++
		s.counts.ResentBytes += uint64(len(packet) - s.size)
		s.packets[n] = packet
		if n++; n == len(c.entries) {
			n = s.flush(n)
		}
	}
	s.flush(n)
	s.mu.Unlock()
	scratches.Put(c)
}

// again makes the packet that went out with a number once more, in buffer n of c; nil where it is gone or not allowed.
func (s *Sender) again(c *scratch, n int, out, at int64, now time.Time) []byte {
	r, group, parameters := s.routes.sent(out)
	if r == nil {
		return nil
	}
	e, b := &c.entries[n], c.buffers[n][:]
	empty := false
	switch {
	case parameters:
		if out != s.parametersOut {
			return nil
		}
		*e = entry{timestamp: s.parametersTimestamp - r.timestamp, length: uint16(copy(b[2*room:], s.parameters))}
	case !r.from.copyPacket(group, at, e, b):
		return nil
	case e.layer > r.layer:
		// It was missing when its frame was left out; see forward.
		*e = entry{timestamp: e.timestamp, length: 1}
		b[2*room], empty = 1, true
	}
	if !s.resend.allow(out, int(e.length)+s.size, at) {
		return nil
	}
	start, end := 2*room-int(e.prefix.length)-s.size, 2*room+int(e.length)
	if s.o.RTX == 0 {
		packet := b[start:end]
		if !s.repeatFixed(packet, out, e.timestamp+r.timestamp, e.is(flagMarker)) {
			return nil
		}
		if empty {
			packet[0] |= 0x20
		}
		s.writePrefix(packet[s.size:], e, r)
		return packet
	}
	if empty {
		return nil // RFC 4588 has no form for padding
	}
	packet := b[start-osnSize : end]
	s.writeFixed(packet, int64(s.rtxNext), e.timestamp+r.timestamp, s.o.RTX, e.is(flagMarker), now)
	s.rtxNext++
	binary.BigEndian.PutUint32(packet[8:], s.o.RTXSSRC)
	binary.BigEndian.PutUint16(packet[s.size:], uint16(out))
	s.writePrefix(packet[s.size+osnSize:], e, r)
	return packet
}

// repeatFixed writes the header that a packet had when it was sent; false if that is not known any more.
func (s *Sender) repeatFixed(b []byte, out int64, timestamp uint32, marker bool) bool {
	copy(b, s.header[:s.size])
	b[1] = s.o.PayloadType
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], uint16(out))
	binary.BigEndian.PutUint32(b[4:], timestamp)
	if s.stamps == nil {
		return true
	}
	t := s.stamps[out%int64(len(s.stamps))]
	s.writeStamp(b, t)
	return t.out == out
}
