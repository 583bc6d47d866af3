package stream

// route says how a run of a Stream's packets is renumbered: by constant offsets. A new one begins where a Sender changes
// the Stream and where it leaves a frame out.
type route struct {
	from       *Stream
	group      int64  // first group sequence
	out        int64  // and the sequence number it has for the receiver, unwrapped
	timestamp  uint32 // to add
	picture    uint16 // to add to the picture ID
	base       uint8  // to add to TL0PICIDX
	layer      uint8  // above which its frames are left out
	parameters bool   // out−1 was a packet of parameter sets
}

// routes are the newest routes of a Sender. 64 reach back two seconds when every second frame of 60 a second is left out,
// which is longer than a cache does.
type routes struct {
	ring  [64]route
	count int64
}

func (r *routes) at(i int64) *route { return &r.ring[i%int64(len(r.ring))] }

func (r *routes) oldest() int64 { return max(0, r.count-int64(len(r.ring))) }

// last returns the newest route; there is one.
func (r *routes) last() *route { return r.at(r.count - 1) }

func (r *routes) add(n route) *route {
	r.count++
	*r.last() = n
	return r.last()
}

// late returns the number of a packet that comes behind later ones, nil if it was left out or is too old.
func (r *routes) late(from *Stream, group int64) (int64, *route) {
	end := int64(1) << 62
	for i := r.count - 1; i >= r.oldest(); i-- {
		c := r.at(i)
		if c.from == from && group >= c.group {
			if out := c.out + group - c.group; out < end {
				return out, c
			}
			return 0, nil
		}
		end = c.out
		if c.parameters {
			end--
		}
	}
	return 0, nil
}

// sent returns the route by which the packet with this number went out.
func (r *routes) sent(out int64) (c *route, group int64, parameters bool) {
	for i := r.count - 1; i >= r.oldest(); i-- {
		c := r.at(i)
		if out >= c.out {
			return c, c.group + out - c.out, false
		}
		if c.parameters && out == c.out-1 {
			return c, 0, true
		}
	}
	return nil, 0, false
}
