package rtp

import "time"

// RFC 3550 appendix A.1: a gap of more than 3000 is another stream or an attack until two packets in a row say so, and so is
// a step back. The appendix takes 100 for that; answers to NACK come with their first number, up to a second late, and two
// of them in a row would turn the stream back. 1024 is what the replay window of SRTP lets through.
const (
	maxDropout  = 3000
	maxMisorder = 1024
)

// Reception counts what is received of one source, for reports (RFC 3550 appendix A.1, A.3, A.8). The zero value with Clock
// set is ready.
type Reception struct {
	// Clock of the stream in Hz, for jitter.
	Clock int
	// Packets and Bytes received, those out of range not counted.
	Packets, Bytes uint64

	started   bool
	base      int64 // first number since the start, or since the last jump
	newest    int64 // extended, and growing even over a jump
	suspect   int   // the number that would confirm a jump, -1 for none
	received  int64 // since base
	lostThere int64 // lost up to the last jump

	expectedPrior, receivedPrior int64
	fraction                     uint8

	origin      time.Time // arrival of the first packet
	transit     int64
	timestamp   uint32
	jitter      int64 // times 16, as in appendix A.8
	anew        bool  // the clock has changed
	senderStamp uint32
	senderAt    time.Time
}

// Packet counts a packet of so many bytes and returns its sequence number extended to 64 bits. ok is false for a packet
// that is so far off that it is not taken for one of this stream; the second of two such in a row starts over there.
func (r *Reception) Packet(sequence uint16, timestamp uint32, size int, arrival time.Time) (extended int64, ok bool) {
	if !r.started {
		*r = Reception{Clock: r.Clock, started: true, base: int64(sequence), newest: int64(sequence) - 1, suspect: -1, origin: arrival, senderStamp: r.senderStamp, senderAt: r.senderAt}
	}
	delta := sequence - uint16(r.newest)
	fresh := false
	switch {
	case delta == 0 || delta > 65535-maxMisorder:
		extended = r.newest - int64(-delta)
	case delta <= maxDropout:
		fresh = true
		extended = r.newest + int64(delta)
		r.newest = extended
	case int(sequence) == r.suspect:
		fresh = true
		r.lostThere += r.newest + 1 - r.base - r.received
		// The packet before this one was dropped; it belongs to the new run and counts as lost.
		r.base = (r.newest | 0xFFFF + 1) + int64(sequence)
		r.newest, extended = r.base, r.base
		r.received, r.expectedPrior, r.receivedPrior = 0, 0, 0
		r.timestamp = timestamp
	default:
		r.suspect = int(sequence + 1)
		return 0, false
	}
	r.suspect = -1
	r.received++
	r.Packets++
	r.Bytes += uint64(size)
	if fresh {
		r.measure(timestamp, arrival)
	}
	return extended, true
}

// SetClock changes the clock in the middle of a stream, when a payload type with another one comes.
func (r *Reception) SetClock(clock int) {
	if clock == r.Clock {
		return
	}
	if r.Clock > 0 {
		r.jitter = r.jitter * int64(clock) / int64(r.Clock)
	}
	// Timestamps of two clocks have no distance: the next packet begins the measurement anew.
	r.Clock, r.anew = clock, true
}

// measure updates the jitter. Appendix A.8 does it for every packet; here only the first of a timestamp counts, since the
// others of a video frame would show how the sender spreads them and not what the network does.
func (r *Reception) measure(timestamp uint32, arrival time.Time) {
	if r.Clock == 0 || r.received > 1 && timestamp == r.timestamp && !r.anew {
		return
	}
	r.timestamp = timestamp
	// The difference of two transits is meant modulo 2^32, as in appendix A.8: the timestamp wraps.
	transit := int64(uint32(ticks(arrival.Sub(r.origin), r.Clock)) - timestamp)
	d := int64(int32(uint32(transit) - uint32(r.transit)))
	r.transit = transit
	if r.received == 1 || r.anew {
		r.anew = false
		return
	}
	if d < 0 {
		d = -d
	}
	// A clock that stood still (a muted sender that keeps its timestamp) is no jitter of the network.
	d = min(d, int64(r.Clock))
	r.jitter += d - (r.jitter+8)>>4
}

// ticks converts a span of time to units of a clock, without overflow for long spans.
func ticks(d time.Duration, clock int) int64 {
	return int64(d/time.Second)*int64(clock) + int64(d%time.Second)*int64(clock)/int64(time.Second)
}

// Jitter returns the mean deviation of packet spacing.
func (r *Reception) Jitter() time.Duration {
	if r.Clock == 0 {
		return 0
	}
	return time.Duration(r.jitter>>4) * time.Second / time.Duration(r.Clock)
}

// Lost returns how many packets were lost since the start; less than 0 is duplicates.
func (r *Reception) Lost() int64 {
	if !r.started {
		return 0
	}
	return r.lostThere + r.newest + 1 - r.base - r.received
}

// Fraction returns the part of packets that was lost between the last two reports, 0 to 1.
func (r *Reception) Fraction() float64 { return float64(r.fraction) / 256 }

// SenderReport notes a sender report, which the next report then answers.
func (r *Reception) SenderReport(info SenderInfo, now time.Time) {
	r.senderStamp, r.senderAt = compactNTP(info.NTP), now
}

// Report makes the report block for the time since the last one. ok is false as long as nothing was received.
func (r *Reception) Report(ssrc uint32, now time.Time) (report Report, ok bool) {
	if !r.started {
		return Report{}, false
	}
	expected := r.newest + 1 - r.base
	expectedNow, receivedNow := expected-r.expectedPrior, r.received-r.receivedPrior
	r.expectedPrior, r.receivedPrior = expected, r.received
	r.fraction = 0
	if lost := expectedNow - receivedNow; expectedNow > 0 && lost > 0 {
		r.fraction = uint8(min(lost*256/expectedNow, 255))
	}
	report = Report{
		SSRC:     ssrc,
		Fraction: r.fraction,
		Lost:     int32(min(max(r.Lost(), -1<<23), 1<<23-1)),
		Highest:  uint32(r.newest),
		Jitter:   uint32(r.jitter >> 4),
	}
	if !r.senderAt.IsZero() {
		report.LastSR = r.senderStamp
		report.Delay = uint32(ticks(max(now.Sub(r.senderAt), 0), 65536))
	}
	return report, true
}

// RoundTrip returns the time to the far end and back from a report about our own stream. ok is false if it answers no sender
// report, or claims something impossible.
func RoundTrip(r Report, now time.Time) (d time.Duration, ok bool) {
	if r.LastSR == 0 {
		return 0, false
	}
	units := int32(compactNTP(NTP(now)) - r.LastSR - r.Delay)
	// Both sides round, so a round trip of nothing may come out as a little less.
	if units < -65536/100 {
		return 0, false
	}
	return time.Duration(max(units, 0)) * time.Second / 65536, true
}
