package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
	"rotunda/services/media/stream"
	"rotunda/services/media/transport"
)

// contribution is a picture that comes from a participant: the main one or the presentation, in one layer or in several that
// show the same in different sizes. It is decoded only while a composition shows it, and then from one layer.
type contribution struct {
	engine *Engine
	from   contributor
	which  int
	source uint32
	// latest is the newest decoded frame that is to be seen; whoever takes it retains it under mu. Those in queue wait for
	// their sound.
	mu     sync.Mutex
	latest *picture.Frame
	queue  []*picture.Frame
	layers []*layer
	// decoded is the layer that is decoded, nil while nobody needs pixels; height is what the largest pane needs.
	decoded *layer
	// kept is whether sinks take the access units, decoded or not, and recorded the layer that they get.
	kept     bool
	recorded *layer
	closed   bool

	// known is what came at the last look, the director's; seen is scratch for the next one.
	known, seen []sight

	errors atomic.Uint64
	pace   pace
}

// sight is a layer as the director saw it.
type sight struct {
	number uint32
	offered
}

// contributor is whose picture it is: a [leg], or a [guest] whose leg is at another worker.
type contributor interface {
	// changed has the director look at the conference again.
	changed()
	// received is shown each access unit that comes, of one layer, with the time of its sound; wait is how long that takes
	// if it is known.
	received(u *stream.AccessUnit, wait time.Duration, known bool)
	// muted tells that nobody is to see a picture.
	muted(which int) bool
}

// feed is where the packets of a layer come from, and the way back: an [incoming] stream of a leg, or one that a worker
// [offers].
type feed interface {
	// reporter is the SSRC that feedback comes from, and feedBack sends it.
	reporter() uint32
	feedBack(packet []byte)
	// offered is what the layer sends now; alive is false when that is nothing, and was for some time.
	offered(y *layer, now time.Time) offered
	alive(y *layer, now time.Time) bool
	// wait is how long a picture with a time stamp that came at a moment is ahead of the sender's sound; false when that is
	// not known.
	wait(timestamp uint32, at time.Time) (time.Duration, bool)
	// left is told that nothing of the layer is taken any more.
	left(y *layer)
}

func (in *incoming) reporter() uint32       { return in.flow.reporter() }
func (in *incoming) left(*layer)            {}
func (in *incoming) feedBack(packet []byte) { in.flow.endpoint.SendRTCP(packet, transport.Video) }

func (in *incoming) offered(y *layer, now time.Time) offered {
	counts := y.receiver.Counts()
	in.mu.Lock()
	defer in.mu.Unlock()
	return offered{codec: y.codec, width: counts.Width, height: counts.Height, profile: counts.Profile, bitrate: in.rate.rate(now)}
}

// A picture that has stopped without a word is taken away: a face after goneAfter, which lets a camera of one
// picture a second be. Slides stand still for longer, and their end is told by whoever has the floor.
const (
	goneAfter       = 2 * time.Second
	slidesGoneAfter = 10 * time.Second
)

func (in *incoming) alive(y *layer, now time.Time) bool {
	if y.contribution.which == presentation {
		return !y.silent(slidesGoneAfter, now)
	}
	return !y.silent(goneAfter, now)
}

func newContribution(e *Engine, from contributor, which int, source uint32) *contribution {
	return &contribution{engine: e, from: from, which: which, source: source}
}

// layer is one incoming SSRC of a contribution.
type layer struct {
	contribution *contribution
	feed         feed
	layerNames
	codec    string
	receiver *stream.Receiver
	// stream is what goes on to those who are sent the packets as they are.
	stream *stream.Stream
	// heard is when the last packet came, in ns since 1970; 0 after the far end said that it was the last.
	heard atomic.Int64
	// closed is set when the contribution is over or another stream has taken its place.
	closed atomic.Bool

	askMu sync.Mutex
	asked []byte // scratch for feedback
	fir   bool   // the far end takes FIR and no PLI
}

// layerNames are what a layer is called: its SSRC where it comes from, its number among workers, which is unique on the
// machine, and its place in a simulcast.
type layerNames struct {
	ssrc, number uint32
	rid          string
}

// newLayer begins to receive what a feed sends from an SSRC.
func newLayer(c *contribution, f feed, names layerNames, formats []control.Format, v *control.Video) (*layer, error) {
	y := &layer{contribution: c, feed: f, layerNames: names, codec: formats[0].Codec, fir: v.FIR && !v.PLI}
	y.heard.Store(time.Now().UnixNano())
	y.stream = stream.New(stream.Options{Codec: y.codec, AskKey: func() { y.receiver.RequestKey(time.Now()) }})
	var err error
	y.receiver, err = stream.NewReceiver(stream.ReceiverOptions{SSRC: y.ssrc, Formats: formats, NACK: v.NACK, Feedback: y,
		Stream: y.stream, Batch: true, Unit: y.unit, Pool: c.engine.units})
	if err != nil {
		return nil, err
	}
	c.engine.receive(y, true)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		y.close()
		return nil, errGone
	}
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
		y.receiver.Succeed(old.receiver)
		old.close()
	}
	if needed {
		y.receiver.SetDecode(true, time.Now())
	}
	c.from.changed()
	return y, nil
}

// push takes a packet on the network thread.
func (y *layer) push(packet []byte, arrival time.Time) {
	y.heard.Store(arrival.UnixNano())
	// What is malformed is counted there.
	_ = y.receiver.Push(packet, arrival)
}

// unit takes a complete access unit on the network thread and hands it on.
func (y *layer) unit(u *stream.AccessUnit) {
	c := y.contribution
	if c.keeps(y, u) {
		wait, known := y.feed.wait(u.Timestamp, u.Arrival)
		c.from.received(u, wait, known)
	}
	if c.decodes(y) {
		c.engine.decoding.put(y, u)
	} else {
		u.Release()
	}
}

// keep has access units put together for sinks.
func (c *contribution) keep(on bool) {
	c.mu.Lock()
	changed := c.kept != on
	c.kept, c.recorded = on, nil
	layers, decoded := slices.Clone(c.layers), c.decoded
	c.mu.Unlock()
	if !changed {
		return
	}
	for _, y := range layers {
		y.receiver.SetDecode(on || y == decoded, time.Now())
	}
}

// keeps tells whether sinks get a unit. They get one layer, the best; they change to another at its key frame.
func (c *contribution) keeps(y *layer, u *stream.AccessUnit) bool {
	c.mu.Lock()
	if !c.kept {
		c.mu.Unlock()
		return false
	}
	change := false
	if c.recorded != y {
		best, _ := c.largest(u.Arrival)
		if change = best == y; change && u.Key {
			c.recorded = y
		}
	}
	keeps := c.recorded == y
	c.mu.Unlock()
	if change && !keeps {
		y.receiver.RequestKey(u.Arrival)
	}
	return keeps
}

// AskAgain asks the far end for packets ([stream.Feedback]).
func (y *layer) AskAgain(ssrc uint32, lost []uint16) {
	y.askMu.Lock()
	defer y.askMu.Unlock()
	y.asked = rtp.AppendNACK(y.asked[:0], y.feed.reporter(), ssrc, lost)
	y.feed.feedBack(y.asked)
}

// AskKey asks the far end for a key frame, in the form that it understands; a PLI where it said nothing, for that is what
// most endpoints take.
func (y *layer) AskKey(ssrc uint32, number uint8) {
	y.askMu.Lock()
	defer y.askMu.Unlock()
	if y.fir {
		y.asked = rtp.AppendFIR(y.asked[:0], y.feed.reporter(), ssrc, number)
	} else {
		y.asked = rtp.AppendPLI(y.asked[:0], y.feed.reporter(), ssrc)
	}
	y.feed.feedBack(y.asked)
}

// update takes what a put has changed, on the network thread.
func (y *layer) update(formats []control.Format, v *control.Video) {
	y.askMu.Lock()
	y.fir = v.FIR && !v.PLI
	y.askMu.Unlock()
	y.receiver.Update(formats, v.NACK)
}

// silent tells whether nothing has come for so long.
func (y *layer) silent(since time.Duration, now time.Time) bool {
	return now.UnixNano()-y.heard.Load() >= int64(since)
}

func (y *layer) close() {
	y.closed.Store(true)
	y.feed.left(y)
	y.contribution.engine.receive(y, false)
	y.receiver.SetDecode(false, time.Now())
	y.stream.Close()
	y.contribution.engine.decoding.drop(y)
}

// offered is what a layer sends now, and alive whether that is anything.
func (y *layer) offered(now time.Time) offered { return y.feed.offered(y, now) }
func (y *layer) alive(now time.Time) bool      { return y.feed.alive(y, now) }

// off is true while there is nothing to be seen.
func (c *contribution) off(now time.Time) bool {
	if c.from.muted(c.which) {
		return true
	}
	y, _ := c.best(now)
	return y == nil
}

// best returns the largest layer that sends something; nil for none.
func (c *contribution) best(now time.Time) (*layer, offered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	y, o := c.largest(now)
	if y == nil || !y.alive(now) {
		return nil, offered{}
	}
	return y, o
}

// last is the best layer, or when none sends any more the largest that did.
func (c *contribution) last(now time.Time) (*layer, offered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.largest(now)
}

// largest prefers what is alive. The caller holds mu.
func (c *contribution) largest(now time.Time) (best *layer, most offered) {
	lives := false
	for _, y := range c.layers {
		o, alive := y.offered(now), y.alive(now)
		if best == nil || alive && !lives || alive == lives && o.height > most.height {
			best, most, lives = y, o, alive
		}
	}
	return best, most
}

// list returns the layers that send something with what they send, from small to large.
func (c *contribution) list(now time.Time) ([]*layer, []stream.Layer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	layers := slices.DeleteFunc(slices.Clone(c.layers), func(y *layer) bool { return !y.alive(now) })
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
			if sizes[i].Height >= height {
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
	if pick == nil {
		c.blank()
	}
	c.mu.Unlock()
	if pick != nil {
		pick.receiver.SetDecode(true, now)
	}
	if was != nil {
		was.receiver.SetDecode(kept, now)
		c.engine.decoding.drop(was)
	}
}

// decodes tells whether a layer is the one that is to be decoded.
func (c *contribution) decodes(y *layer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.decoded == y
}

// ssrcs are those of all layers.
func (c *contribution) ssrcs() []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]uint32, 0, len(c.layers))
	for _, y := range c.layers {
		list = append(list, y.ssrc)
	}
	return list
}

// altered tells whether what comes has changed so that it may be shown in another way: layers, sizes, codecs.
func (c *contribution) altered(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = c.seen[:0]
	for _, y := range c.layers {
		if y.alive(now) {
			o := y.offered(now)
			o.bitrate = 0
			c.seen = append(c.seen, sight{y.number, o})
		}
	}
	if slices.Equal(c.seen, c.known) {
		return false
	}
	c.seen, c.known = c.known, c.seen
	return true
}

func (c *contribution) close() {
	c.mu.Lock()
	c.closed = true
	layers := c.layers
	c.layers, c.decoded = nil, nil
	c.blank()
	c.mu.Unlock()
	for _, y := range layers {
		y.close()
	}
}
