package stream

import (
	"time"

	"rotunda/services/media/control"
)

// depacketizer makes one access unit of payloads in order. The assembler sees to the order and to where units end.
type depacketizer interface {
	// begins says whether a unit can begin with this payload.
	begins(payload []byte) bool
	// push adds a payload. After an error the rest of the unit is not pushed.
	push(u *AccessUnit, payload []byte) error
	// finish ends the unit and says whether it can be decoded. Whole is false when packets of it are missing.
	finish(u *AccessUnit, whole bool) bool
}

func newDepacketizer(codec string) depacketizer {
	switch codec {
	case control.H264:
		return &h264Depacketizer{}
	case control.VP8:
		return &vp8Depacketizer{}
	case control.VP9:
		return &vp9Depacketizer{}
	}
	return nil
}

// window is how many packets behind a gap are held: a key frame of 500 KB. They are held for a tenth of a second at most.
const window = 512

// overtaken is how many packets before the first one that came may still come.
const overtaken = 16

// frozen is how long pictures are dropped for want of a key frame. Some endpoints never send one but refresh the picture bit
// by bit; after this time a picture with flaws is better than none.
const frozen = int64(2 * time.Second)

// held is a packet behind a gap.
type held struct {
	sequence  int64 // 0 is none
	timestamp uint32
	marker    bool
	layer     uint8
	arrival   time.Time
	payload   []byte
}

// assembler puts the packets of one stream in order and makes access units of them. What is in order is written straight into
// the unit; only what lies behind a gap is held.
type assembler struct {
	codec string
	pool  *Pool
	depacketizer

	next    int64 // sequence that is to be taken next, 0 while nothing has been
	held    [window]held
	holding int

	unit    *AccessUnit
	layer   uint8 // highest of the unit's packets
	bad     bool  // the unit misses something
	sound   bool  // what the unit refers to could be decoded
	gap     bool  // packets before next are missing
	broken  bool  // later frames refer to one that could not be decoded: a key frame is needed
	since   int64 // when broken began
	ready   []*AccessUnit
	dropped uint64 // units
}

// start begins anew: nothing is delivered before a key frame.
func (a *assembler) start(now int64) {
	a.stop()
	a.next, a.broken, a.since, a.gap = 0, true, now, true
}

// stop gives all buffers back.
func (a *assembler) stop() {
	if a.unit != nil {
		a.finish(a.unit, false)
		a.unit.Release()
		a.unit = nil
	}
	for i := range a.held {
		a.forget(&a.held[i])
	}
	a.next = 0
}

func (a *assembler) forget(h *held) {
	if h.sequence != 0 {
		a.holding--
	}
	if h.payload != nil {
		a.pool.recycle(h.payload)
	}
	*h = held{}
}

// insert takes a packet that has not been seen before; one without payload only fills its place. Completed units are in ready.
func (a *assembler) insert(p *Packet, arrival time.Time) {
	if a.next == 0 {
		a.next = p.Sequence
		if !p.Start {
			// The beginning may have been overtaken: wait for it like for what is missing.
			a.next -= overtaken
		}
	}
	ahead := p.Sequence - a.next
	if ahead < 0 {
		return // too late
	}
	for ahead >= window {
		a.giveUp(p.Sequence, clock(arrival))
		ahead = p.Sequence - a.next
	}
	if ahead > 0 {
		h := &a.held[p.Sequence%window]
		if h.sequence != 0 {
			return
		}
		payload := append(a.pool.buffer(len(p.Payload)), p.Payload...)
		*h = held{p.Sequence, p.Timestamp, p.Marker, p.Layer, arrival, payload}
		a.holding++
		return
	}
	a.take(p.Timestamp, p.Marker, p.Layer, p.Payload, arrival)
	a.release()
}

// release takes what is held and in order now.
func (a *assembler) release() {
	for a.holding > 0 {
		h := &a.held[a.next%window]
		if h.sequence != a.next {
			return
		}
		a.take(h.timestamp, h.marker, h.layer, h.payload, h.arrival)
		a.forget(h)
	}
}

// first returns the first packet behind the gap, nil where there is no gap.
func (a *assembler) first() *held {
	if a.holding == 0 {
		return nil
	}
	for i := a.next; i < a.next+window; i++ {
		if h := &a.held[i%window]; h.sequence == i {
			return h
		}
	}
	return nil
}

// giveUp declares the packets before the first one that is held, or else before sequence, lost.
func (a *assembler) giveUp(sequence, now int64) {
	h := a.first()
	a.gap = true
	if a.unit != nil {
		a.bad = true
	}
	// A gap within a frame that no other one needs harms nothing else.
	if h == nil || a.unit == nil || a.unit.Timestamp != h.timestamp || a.layer == 0 {
		a.breakOff(now)
	}
	if h == nil {
		a.next = sequence
		return
	}
	a.next = h.sequence
	a.release()
}

func (a *assembler) breakOff(now int64) {
	if !a.broken {
		a.broken, a.since = true, now
	}
}

// expire gives up gaps that have been waited for since before deadline.
func (a *assembler) expire(deadline, now int64) {
	for a.holding > 0 {
		h := a.first()
		if clock(h.arrival) > deadline {
			return
		}
		a.giveUp(h.sequence, now)
	}
}

// take adds the next packet in order.
func (a *assembler) take(timestamp uint32, marker bool, layer uint8, payload []byte, arrival time.Time) {
	a.next++
	if len(payload) == 0 {
		return
	}
	if a.unit != nil && a.unit.Timestamp != timestamp {
		a.end() // the marker is not set by everybody
	}
	if a.unit == nil {
		a.unit = a.pool.Unit()
		a.unit.Codec, a.unit.Timestamp = a.codec, timestamp
		a.bad, a.layer, a.sound = a.gap && !a.begins(payload), 0, !a.broken
	}
	a.gap = false
	a.layer = max(a.layer, layer)
	a.unit.Arrival = arrival
	if !a.bad && a.push(a.unit, payload) != nil {
		a.bad = true
	}
	if marker {
		a.end()
	}
}

// end delivers or drops the unit.
func (a *assembler) end() {
	u, at := a.unit, clock(a.unit.Arrival)
	a.unit = nil
	good := a.finish(u, !a.bad)
	switch {
	case a.bad || !good:
		if a.layer == 0 {
			a.breakOff(at)
		}
	case u.Key, at-a.since >= frozen:
		a.broken = false
	}
	// A damaged unit that can be decoded is what is left of a VP9 picture: it is shown if the one before it was.
	if !good || a.broken && !a.sound && !u.Key {
		a.dropped++
		u.Release()
		return
	}
	a.ready = append(a.ready, u)
}
