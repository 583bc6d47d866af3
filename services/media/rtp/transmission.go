package rtp

import "time"

// Transmission counts what is sent as one source, for sender reports. The zero value with Clock set is ready.
type Transmission struct {
	// Clock of the stream in Hz.
	Clock int
	// Packets and Bytes (of payload) sent.
	Packets, Bytes uint64

	timestamp uint32
	at        time.Time
}

// Packet counts a packet with so many bytes of payload. captured is the time that the timestamp stands for: when sound or
// picture was captured or mixed, not when the packet left. What the far end makes of it is the lip sync.
func (t *Transmission) Packet(timestamp uint32, payload int, captured time.Time) {
	t.Packets++
	t.Bytes += uint64(payload)
	if timestamp != t.timestamp || t.at.IsZero() {
		t.timestamp, t.at = timestamp, captured
	}
}

// Info returns the sender's part of a report. ok is false as long as nothing was sent.
func (t *Transmission) Info(now time.Time) (info SenderInfo, ok bool) {
	if t.at.IsZero() {
		return SenderInfo{}, false
	}
	return SenderInfo{
		NTP:     NTP(now),
		RTP:     t.timestamp + uint32(ticks(now.Sub(t.at), t.Clock)),
		Packets: uint32(t.Packets),
		Octets:  uint32(t.Bytes),
	}, true
}

// SourceClock tells when the sender captured a timestamp, on the sender's own clock: two streams with one CNAME are in lip
// sync when they are played by it. The zero value with Clock set is ready.
type SourceClock struct {
	// Clock of the stream in Hz.
	Clock int

	started bool
	rtp     uint32
	at      time.Time
}

// maxClockError is how far a sender report may be off before it is taken for a clock that was set, and believed at once.
const maxClockError = 200 * time.Millisecond

// Report takes the mapping of a sender report. Senders stamp reports some milliseconds wrong, which would be heard and seen
// as steps; so a quarter of the difference is taken each time.
func (s *SourceClock) Report(info SenderInfo) {
	at := FromNTP(info.NTP)
	if expected, ok := s.Time(info.RTP); ok {
		if wrong := at.Sub(expected); wrong.Abs() < maxClockError {
			at = expected.Add(wrong / 4)
		}
	}
	s.started, s.rtp, s.at = true, info.RTP, at
}

// Time returns the sender's time of a timestamp less than half a circle from the last report; ok is false before the first.
func (s *SourceClock) Time(timestamp uint32) (at time.Time, ok bool) {
	if !s.started || s.Clock == 0 {
		return time.Time{}, false
	}
	d := int64(int32(timestamp - s.rtp))
	clock := int64(s.Clock)
	return s.at.Add(time.Duration(d/clock)*time.Second + time.Duration(d%clock*int64(time.Second)/clock)), true
}
