package stream

import "time"

// SenderCounts are the figures of a Sender since it began.
type SenderCounts struct {
	Packets, Bytes uint64 // bytes of payload; without retransmissions
	Frames         uint64
	KeyFrames      uint64
	KeysWanted     uint64 // by the far end
	Resent         uint64
	ResentBytes    uint64
	NotResent      uint64 // asked for, but gone or too often
	Switches       uint64
}

// Counts returns the figures.
func (s *Sender) Counts() SenderCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Report is what a sender report says (RFC 3550, 6.4.1).
type Report struct {
	SSRC uint32
	// Time is the moment of the report, RTP the timestamp that a frame sent at this moment would have.
	Time    time.Time
	RTP     uint32
	Packets uint32
	Octets  uint32
}

// Report returns a sender report's data; false while nothing has been sent.
func (s *Sender) Report(now time.Time) (Report, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		return Report{}, false
	}
	return Report{SSRC: s.o.SSRC, Time: now, RTP: s.reference.timestamp(clock(now)),
		Packets: uint32(s.counts.Packets), Octets: uint32(s.counts.Bytes)}, true
}

// mapping relates timestamps to the time of sending. Frames come with jitter, but never early: it follows the earliest ones
// at once and the others slowly, so that lip sync does not move with the jitter.
type mapping struct {
	at  int64
	rtp uint32
	ok  bool
}

// follow is the part of a frame's lateness that the mapping takes over: 1/256 follows a clock that is 100 ppm off within 1 ms
// at 30 frames a second.
const follow = 256

func (m *mapping) note(timestamp uint32, at int64) {
	if !m.ok {
		*m = mapping{at, timestamp, true}
		return
	}
	expected := m.at + int64(int32(timestamp-m.rtp))*1e5/9
	if late := at - expected; late > 0 {
		at = expected + late/follow
	}
	m.at, m.rtp = at, timestamp
}

func (m *mapping) timestamp(at int64) uint32 {
	return m.rtp + uint32((at-m.at)*9/1e5)
}
