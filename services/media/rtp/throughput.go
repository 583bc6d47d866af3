package rtp

import "time"

const (
	throughputSlot  = 50 * time.Millisecond
	throughputSlots = 10 // half a second
	// throughputRing is the next power of two: a mask finds the place of a negative number too, which a far end's clock may be.
	throughputRing = 16
)

// throughput measures what arrives, on the far end's clock.
type throughput struct {
	slots   [throughputRing]int
	newest  int64 // number of the newest slot
	first   int64
	started bool
}

// add counts a packet.
func (t *throughput) add(at time.Duration, size int) {
	slot := int64(at / throughputSlot)
	switch {
	case !t.started || slot-t.newest >= 10*throughputSlots || t.newest-slot >= 10*throughputSlots:
		*t = throughput{started: true, newest: slot, first: slot}
	case slot <= t.newest-throughputSlots:
		return
	}
	for ; t.newest < slot; t.newest++ {
		t.slots[(t.newest+1)&(throughputRing-1)] = 0
	}
	t.slots[slot&(throughputRing-1)] += size
}

// rate returns bits per second over the whole slots before the newest; ok is false before there are three of them.
func (t *throughput) rate() (float64, bool) {
	n := min(t.newest-t.first, throughputSlots-1)
	if !t.started || n < 3 {
		return 0, false
	}
	sum := 0
	for i := t.newest - n; i < t.newest; i++ {
		sum += t.slots[i&(throughputRing-1)]
	}
	return float64(sum*8) / (time.Duration(n) * throughputSlot).Seconds(), true
}
