package rtp

import "time"

// departureWindow is how many packets sent are remembered, a power of two: over a second of 8 Mbit/s.
const departureWindow = 1024

// Departures numbers the packets that one transport sends and remembers when, until feedback tells what became of them. The
// zero value is ready.
type Departures struct {
	next      int64
	sent      [departureWindow]departure
	origin    time.Time
	reference int64 // the far end's clock in 64 ms, extended
	started   bool
}

type departure struct {
	at    int64 // nanoseconds since origin
	size  int32
	state int32
}

// States of a departure.
const (
	inFlight = iota + 1
	toldLost
	toldReceived
)

// Outcome is what became of one packet.
type Outcome struct {
	// Sent is on our clock, Arrived on the far end's; both count from somewhere.
	Sent, Arrived time.Duration
	// Size in bytes as it was sent.
	Size     int
	Received bool
	// Late is true for a packet that was told to be lost before.
	Late bool
}

// Packet notes a packet of so many bytes that leaves now, and returns the number that it must carry.
func (d *Departures) Packet(size int, now time.Time) uint16 {
	if d.origin.IsZero() {
		d.origin = now
	}
	number := d.next
	d.next++
	d.sent[number&(departureWindow-1)] = departure{at: int64(now.Sub(d.origin)), size: int32(size), state: inFlight}
	return uint16(number)
}

// Outcomes appends what a Transport packet newly tells of our packets, in the order in which they were sent. Feedback about
// packets that never were, or were told of before, is passed over.
func (d *Departures) Outcomes(dst []Outcome, c *Compound) []Outcome {
	f := c.Transport()
	reference := int64(f.Reference / referenceUnit)
	if d.started {
		// Nearest to the last one modulo 2^24.
		reference = d.reference + int64(int32(uint32(reference-d.reference)<<8)>>8)
	}
	d.started, d.reference = true, reference
	base := time.Duration(reference) * referenceUnit
	for f.Next() {
		// The newest number with these 16 bits that was sent.
		n := d.next - 1 - int64(uint16(d.next-1)-f.Number)
		if n < 0 || n <= d.next-1-departureWindow {
			continue
		}
		p := &d.sent[n&(departureWindow-1)]
		o := Outcome{Sent: time.Duration(p.at), Size: int(p.size), Received: f.Received, Late: p.state == toldLost}
		switch {
		case f.Received && p.state != toldReceived:
			o.Arrived = base + f.Arrived
			p.state = toldReceived
		case !f.Received && p.state == inFlight:
			p.state = toldLost
		default:
			continue
		}
		dst = append(dst, o)
	}
	return dst
}
