package engine

import (
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// place is where a picture comes in, or one simulcast layer of it. One SSRC with one codec holds it at a time. It belongs to
// the network thread.
type place struct {
	kind kind
	rid  string
	// layer is what the holder sends, and taken when it took the place from another.
	layer    *layer
	taken    time.Time
	newcomer newcomer
}

const (
	// rivalry is how long the holder of a place is silent before another may have it: the gap between two pictures at 5
	// frames a second, twice.
	rivalry = 400 * time.Millisecond
	// takeovers of a place are so far apart at least: each of them costs a key frame, and all who watch a freeze.
	takeovers = time.Second
)

// place finds the one of a stream. There are as many as pictures and RIDs; validated legs have three of each at most.
func (f *flow) place(in *incoming) *place {
	for _, p := range f.places {
		if p.kind == in.kind && p.rid == in.rid {
			return p
		}
	}
	p := &place{kind: in.kind, rid: in.rid}
	f.places = append(f.places, p)
	return p
}

// attach gives an SSRC its layer: at first, after a hold, when the far end has changed the codec. False leaves what it had.
func (f *flow) attach(r *routes, in *incoming, to route, arrival time.Time) bool {
	var y *layer
	if to.retransmission {
		y = f.repaired(in)
	} else {
		y = f.claim(r, in, to, arrival)
	}
	if y == nil {
		return false
	}
	in.layer.Store(y)
	in.routes = r
	return true
}

// claim gives a place to an SSRC that sends a codec. One that nobody holds is free. Otherwise a stray packet must not take
// it, and two that send at once must not take it from each other in turn: the holder has to be silent, or to be who changes
// the codec, and the newcomer to have come in sequence.
func (f *flow) claim(r *routes, in *incoming, to route, arrival time.Time) *layer {
	p := f.place(in)
	holder := p.layer
	if holder != nil && holder.closed.Load() {
		holder = nil
	}
	if holder != nil {
		if holder.ssrc == in.ssrc && holder.codec == to.codec {
			return holder
		}
		proven := p.newcomer.proven(&f.header, to.codec)
		if !proven || holder.ssrc != in.ssrc && !holder.silent(rivalry, arrival) || arrival.Sub(p.taken) < takeovers {
			return nil
		}
	}
	y := f.newLayer(r, in, to.codec)
	if y == nil {
		return nil
	}
	if holder != nil {
		p.taken = arrival
	}
	p.layer, p.newcomer = y, newcomer{}
	return y
}

// leaves takes what the far end says that it has stopped. A packet that comes after it begins anew.
func (f *flow) leaves(c *rtp.Compound) {
	for i := range c.Entries {
		for _, in := range f.incoming {
			if in.ssrc == c.Leaving(i) && in.holds() {
				in.layer.Load().heard.Store(0)
				f.leg.changed()
			}
		}
	}
}

// holds tells whether an SSRC has a place of its own that is alive.
func (in *incoming) holds() bool {
	y := in.layer.Load()
	return y != nil && y.ssrc == in.ssrc && !y.closed.Load()
}

// newcomer is a stream on probation: it is taken for one when two packets come in sequence (RFC 3550, A.1).
type newcomer struct {
	ssrc  uint32
	codec string
	next  uint16
	known bool
}

// proven takes a packet and says whether its stream has proven itself.
func (n *newcomer) proven(h *rtp.Header, codec string) bool {
	ok := n.known && n.ssrc == h.SSRC && n.codec == codec && n.next == h.Sequence
	*n = newcomer{ssrc: h.SSRC, codec: codec, next: h.Sequence + 1, known: true}
	return ok
}

// repaired finds the layer that a stream of retransmissions belongs to: by its RID, or the only one.
func (f *flow) repaired(again *incoming) (found *layer) {
	for _, p := range f.places {
		if p.kind != again.kind || p.layer == nil || p.layer.closed.Load() || again.rid != "" && p.rid != again.rid {
			continue
		}
		if found != nil {
			return nil
		}
		found = p.layer
	}
	return found
}

// newLayer begins to receive a picture, or one simulcast layer of it.
func (f *flow) newLayer(r *routes, in *incoming, codec string) *layer {
	which := int(in.kind - mainKind)
	c := f.leg.contribution[which].Load()
	v := pictureOf(r.want, which)
	if c == nil || v == nil {
		return nil
	}
	formats := formatsOf(v, codec)
	if len(formats) == 0 {
		return nil
	}
	y, err := newLayer(c, in, layerNames{in.ssrc, rtp.NewSSRC(), in.rid}, formats, v)
	if err != nil {
		f.leg.engine.c.Log.Warn("a picture cannot be received", "leg", f.leg.id, "error", err)
		return nil
	}
	return y
}

// renew has the layer of an SSRC know what a later put says of its formats and of feedback.
func (f *flow) renew(r *routes, in *incoming) {
	in.routes = r
	v := pictureOf(r.want, int(in.kind-mainKind))
	if v == nil {
		return
	}
	y := in.layer.Load()
	if formats := formatsOf(v, y.codec); len(formats) > 0 {
		y.update(formats, v)
	}
}

// formatsOf are those of a codec that may come.
func formatsOf(v *control.Video, codec string) (formats []control.Format) {
	for _, p := range v.Receive {
		if p.Codec == codec {
			formats = append(formats, p)
		}
	}
	return formats
}
