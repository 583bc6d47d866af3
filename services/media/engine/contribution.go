package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
	"rotunda/services/media/transport"
)

// contribution is a picture that comes from a leg: the main one or the presentation, in one layer or in several that show
// the same in different sizes. It is decoded only while a composition shows it, and then from one layer.
type contribution struct {
	leg    *leg
	which  int
	source uint32
	// latest is the newest decoded frame; whoever takes it retains it under mu.
	mu     sync.Mutex
	latest *picture.Frame
	layers []*layer
	// decoded is the layer that is decoded, nil while nobody needs pixels; height is what the largest pane needs.
	decoded *layer
	// kept is whether sinks take the access units, decoded or not.
	kept   bool
	closed bool

	// known is what came at the last look, the director's.
	known offered

	errors atomic.Uint64
	pace   pace
}

func newContribution(l *leg, which int) *contribution {
	source := l.source
	if which == presentation {
		source = l.screen
	}
	return &contribution{leg: l, which: which, source: source}
}

// layer is one incoming SSRC of a contribution.
type layer struct {
	contribution *contribution
	flow         *flow
	in           *incoming
	rid          string
	codec        string
	receiver     *stream.Receiver
	// stream is what goes on to those who are sent the packets as they are.
	stream *stream.Stream
	want   control.Video
	// closed is set when the contribution is over or another stream has taken its place.
	closed atomic.Bool

	decoder codec.VideoDecoder // of the decoding thread
	asked   []byte             // scratch for feedback, guarded by askMu
	askMu   sync.Mutex
}

func newLayer(c *contribution, f *flow, in *incoming, formats []control.Format, v *control.Video) (*layer, error) {
	y := &layer{contribution: c, flow: f, in: in, rid: in.rid, codec: formats[0].Codec, want: *v}
	y.stream = stream.New(stream.Options{Codec: y.codec, AskKey: func() { y.receiver.RequestKey(time.Now()) }})
	var err error
	y.receiver, err = stream.NewReceiver(stream.ReceiverOptions{SSRC: in.ssrc, Formats: formats, NACK: v.NACK, Feedback: y,
		Stream: y.stream, Batch: true, Unit: y.unit, Pool: f.leg.engine.units})
	if err != nil {
		return nil, err
	}
	f.leg.engine.receive(y, true)
	c.mu.Lock()
	// A far end that begins anew has another SSRC; what was there before in this layer is over.
	var old *layer
	if i := slices.IndexFunc(c.layers, func(o *layer) bool { return o.rid == y.rid }); i >= 0 {
		old, c.layers[i] = c.layers[i], y
	} else {
		c.layers = append(c.layers, y)
	}
	needed := c.kept
	if old != nil && c.decoded == old {
		c.decoded, needed = y, true
	}
	c.mu.Unlock()
	if old != nil {
		old.close()
	}
	if needed {
		y.receiver.SetDecode(true, time.Now())
	}
	c.leg.changed()
	return y, nil
}

// push takes a packet on the network thread.
func (y *layer) push(packet []byte, arrival time.Time) {
	// What is malformed is counted there.
	_ = y.receiver.Push(packet, arrival)
}

// unit takes a complete access unit on the network thread and hands it on.
func (y *layer) unit(u *stream.AccessUnit) {
	c := y.contribution
	c.leg.received(u)
	c.mu.Lock()
	decoded := c.decoded == y
	c.mu.Unlock()
	if decoded {
		c.leg.engine.decoding.put(y, u)
	} else {
		u.Release()
	}
}

// keep has access units put together for sinks.
func (c *contribution) keep(on bool) {
	c.mu.Lock()
	changed := c.kept != on
	c.kept = on
	layers, decoded := slices.Clone(c.layers), c.decoded
	c.mu.Unlock()
	if !changed {
		return
	}
	for _, y := range layers {
		y.receiver.SetDecode(on || y == decoded, time.Now())
	}
}

// AskAgain asks the far end for packets ([stream.Feedback]).
func (y *layer) AskAgain(ssrc uint32, lost []uint16) {
	y.askMu.Lock()
	defer y.askMu.Unlock()
	y.asked = rtp.AppendNACK(y.asked[:0], y.flow.reporter(), ssrc, lost)
	y.flow.endpoint.SendRTCP(y.asked, transport.Video)
}

// AskKey asks the far end for a key frame, in the form that it understands; a PLI where it said nothing, for that is what
// most endpoints take.
func (y *layer) AskKey(ssrc uint32, number uint8) {
	y.askMu.Lock()
	defer y.askMu.Unlock()
	if y.want.FIR && !y.want.PLI {
		y.asked = rtp.AppendFIR(y.asked[:0], y.flow.reporter(), ssrc, number)
	} else {
		y.asked = rtp.AppendPLI(y.asked[:0], y.flow.reporter(), ssrc)
	}
	y.flow.endpoint.SendRTCP(y.asked, transport.Video)
}

func (y *layer) close() {
	y.closed.Store(true)
	y.flow.leg.engine.receive(y, false)
	y.receiver.SetDecode(false, time.Now())
	y.stream.Close()
	y.flow.leg.engine.decoding.drop(y)
}

// offered is what a layer sends now.
func (y *layer) offered(now time.Time) offered {
	counts := y.receiver.Counts()
	y.in.mu.Lock()
	defer y.in.mu.Unlock()
	return offered{codec: y.codec, width: counts.Width, height: counts.Height, profile: counts.Profile, bitrate: y.in.rate.rate(now)}
}

// off is true while there is nothing to be seen.
func (c *contribution) off() bool {
	v := pictureOf(c.leg.want.Load(), c.which)
	if v == nil || v.Muted {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.layers) == 0
}

// best returns the largest layer that sends something.
func (c *contribution) best(now time.Time) (*layer, offered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var best *layer
	var most offered
	for _, y := range c.layers {
		if o := y.offered(now); best == nil || o.height > most.height {
			best, most = y, o
		}
	}
	return best, most
}

// list returns the layers with what they send, from small to large.
func (c *contribution) list(now time.Time) ([]*layer, []stream.Layer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	layers := slices.Clone(c.layers)
	sizes := make([]stream.Layer, len(layers))
	heights := map[*layer]offered{}
	for _, y := range layers {
		heights[y] = y.offered(now)
	}
	slices.SortStableFunc(layers, func(a, b *layer) int { return heights[a].height - heights[b].height })
	for i, y := range layers {
		o := heights[y]
		sizes[i] = stream.Layer{Width: o.width, Height: o.height, Bitrate: o.bitrate}
	}
	return layers, sizes
}

// decode begins, changes or ends decoding; height is that of the largest pane in pixels, 0 for none.
func (c *contribution) decode(height int, now time.Time) {
	layers, sizes := c.list(now)
	var pick *layer
	if height > 0 && len(layers) > 0 {
		// The smallest layer that fills the pane; a layer of unknown size is as good as none.
		pick = layers[len(layers)-1]
		for i := range layers {
			if sizes[i].Bitrate > 0 && sizes[i].Height >= height {
				pick = layers[i]
				break
			}
		}
	}
	c.mu.Lock()
	was := c.decoded
	if c.closed || was == pick {
		c.mu.Unlock()
		return
	}
	kept := c.kept
	c.decoded = pick
	if pick == nil && c.latest != nil {
		c.latest.Release()
		c.latest = nil
	}
	c.mu.Unlock()
	if pick != nil {
		pick.receiver.SetDecode(true, now)
	}
	if was != nil {
		was.receiver.SetDecode(kept, now)
		c.leg.engine.decoding.drop(was)
	}
}

// show takes a decoded frame, which it owns.
func (c *contribution) show(y *layer, f *picture.Frame) {
	c.mu.Lock()
	old := f
	if c.decoded == y {
		old, c.latest = c.latest, f
	}
	c.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

// ssrcs are those of all layers.
func (c *contribution) ssrcs() []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]uint32, 0, len(c.layers))
	for _, y := range c.layers {
		list = append(list, y.in.ssrc)
	}
	return list
}

// altered tells whether what comes has changed so that it may be shown in another way: another size or codec.
func (c *contribution) altered(now time.Time) bool {
	y, o := c.best(now)
	if y == nil {
		return false
	}
	o.bitrate = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.known != o
	c.known = o
	return changed
}

// frame returns the newest frame, retained, or nil.
func (c *contribution) frame() *picture.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.latest == nil {
		return nil
	}
	return c.latest.Retain()
}

func (c *contribution) close() {
	c.mu.Lock()
	c.closed = true
	layers := c.layers
	c.layers, c.decoded = nil, nil
	old := c.latest
	c.latest = nil
	c.mu.Unlock()
	for _, y := range layers {
		y.close()
	}
	if old != nil {
		old.Release()
	}
}
