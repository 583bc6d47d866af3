package rtp

import "time"

// Flood limits how much one sender may send: two token buckets, of packets and of bytes, which both must have enough.
type Flood struct {
	// Dropped counts the packets that were not allowed.
	Dropped uint64

	packets, bytes bucket
	last           time.Time

	reported   uint64
	reportedAt time.Time
}

// bucket counts in nanoseconds of its rate, so that no token is lost to rounding.
type bucket struct {
	rate, level, size int64
}

// NewFlood allows packets and bytes per second on the average, and burst times as much at once; the rates are at least 1.
func NewFlood(packets, bytes int, burst time.Duration) *Flood {
	f := &Flood{packets: bucket{rate: int64(max(packets, 1))}, bytes: bucket{rate: int64(max(bytes, 1))}}
	// The largest datagram must fit, or it would never pass.
	f.packets.size = max(f.packets.rate*int64(burst), int64(time.Second))
	f.bytes.size = max(f.bytes.rate*int64(burst), 65536*int64(time.Second))
	f.packets.level, f.bytes.level = f.packets.size, f.bytes.size
	return f
}

// fill adds what has come together in d.
func (b *bucket) fill(d time.Duration) {
	// Compared by division: a long silence times the rate does not fit.
	if int64(d) >= (b.size-b.level)/b.rate {
		b.level = b.size
		return
	}
	b.level += b.rate * int64(d)
}

// Allow takes a packet of so many bytes, or drops it.
func (f *Flood) Allow(size int, now time.Time) bool {
	if d := now.Sub(f.last); d > 0 {
		f.packets.fill(d)
		f.bytes.fill(d)
		f.last = now
	}
	cost := int64(size) * int64(time.Second)
	if f.packets.level < int64(time.Second) || f.bytes.level < cost {
		f.Dropped++
		return false
	}
	f.packets.level -= int64(time.Second)
	f.bytes.level -= cost
	return true
}

// Report returns how many packets were dropped since the last report; ok is true at most once a second, and only while
// packets are dropped.
func (f *Flood) Report(now time.Time) (dropped uint64, ok bool) {
	dropped = f.Dropped - f.reported
	if dropped == 0 || !f.reportedAt.IsZero() && now.Sub(f.reportedAt) < time.Second {
		return 0, false
	}
	f.reported, f.reportedAt = f.Dropped, now
	return dropped, true
}
