package engine

import (
	"fmt"
	"time"

	"rotunda/services/media/control"
)

// excess notices a picture that sends far more than it was asked to: it costs everybody's core and link, so nobody is sent
// or shown it until it behaves. It belongs to the network thread.
type excess struct {
	meter   rateMeter
	seconds int // one after the other that were too much
}

const (
	// excessive is how many times its limit a picture sends when it is cut off: key frames and retransmissions are not to
	// be taken for it. It is let in again below behaved times.
	excessive = 3
	behaved   = 2
	// excessSeconds are what it takes.
	excessSeconds = 2
)

// add takes a packet. second is true when a second of them was judged.
func (x *excess) add(size, limit int, at time.Time) (second bool) {
	before := x.meter.since
	if x.meter.add(size, at); x.meter.since.Equal(before) {
		return false
	}
	switch bps := x.meter.bps; {
	case bps > excessive*limit:
		x.seconds++
	case !x.over() || bps <= behaved*limit:
		x.seconds = 0
	}
	return true
}

// over tells whether the picture is cut off.
func (x *excess) over() bool { return x.seconds >= excessSeconds }

// exceeds tells whether a packet is to be dropped, and says so once a second.
func (f *flow) exceeds(r *routes, in *incoming, size int, arrival time.Time) bool {
	which := int(in.kind - mainKind)
	x, limit := &f.excess[which], r.limits[which]
	was := x.over()
	if x.add(size, limit, arrival) {
		switch {
		case x.over():
			f.leg.emit(control.Event{Event: control.EventFlood, Transport: f.index,
				Text: fmt.Sprintf("the %s picture sends %d kbit/s, its limit is %d", pictureNames[which], x.meter.bps/1000, limit/1000)})
		case was:
			// What was dropped is behind it; it begins anew.
			if c := f.leg.contribution[which].Load(); c != nil {
				c.requestKeys(arrival)
			}
		}
	}
	return x.over()
}

// requestKeys asks for a key frame of every layer.
func (c *contribution) requestKeys(now time.Time) {
	c.mu.Lock()
	layers := append([]*layer(nil), c.layers...)
	c.mu.Unlock()
	for _, y := range layers {
		y.receiver.RequestKey(now)
	}
}
