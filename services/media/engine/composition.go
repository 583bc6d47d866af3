package engine

import (
	"sync/atomic"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/layout"
	"rotunda/services/media/picture"
	"rotunda/services/media/stream"
)

// compositionKey tells pictures apart: those with one key look the same at any time.
type compositionKey struct {
	layout.Key
	// presentation is the source of a presentation that is scaled for those who cannot take it as it comes.
	presentation uint32
}

// composition is one drawn picture, with an encode for each way that somebody wants it in. It belongs to the director's
// thread; viewers hold the streams.
type composition struct {
	stage   *stage
	key     compositionKey
	scene   *layout.Scene
	canvas  *picture.Canvas
	encodes map[encodeKey]*encodes
	// arranged is whether the scene is of this arrangement; drawn when the canvas was drawn last, and rested since when
	// nobody watches.
	arranged bool
	drawn    time.Time
	rested   time.Time
	// captured is when the newest source in the canvas came in, and fresh that the last drawing brought it.
	captured time.Time
	fresh    bool
}

// encodeKey tells encodes of one picture apart.
type encodeKey struct {
	codec string
	mode  int // packetization mode
	rate  int // frames a second, a divisor of [beatsASecond]
	top   int // bits a second of the highest tier
	mtu   int
}

// restBefore is how long an encoder waits for somebody to watch again: active speakers come and go, and each encoder costs
// a key frame.
const restBefore = 3 * time.Second

// tops are the rates of the highest tier. Viewers with limits between two of them share the lower one: the fewer encodes, the
// more calls a core carries.
var tops = []int{128_000, 256_000, 384_000, 512_000, 768_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000, 6_000_000}

func encodeKeyOf(v *control.Video, rate int) encodeKey {
	k := encodeKey{codec: v.Send.Codec, mode: v.Send.PacketizationMode, rate: 1, top: tops[0], mtu: control.DefaultMTU}
	for _, r := range []int{1, 2, 3, 5, 6, 10, 15, 30} {
		if r <= rate {
			k.rate = r
		}
	}
	for _, t := range tops {
		if t <= sendLimit(v) {
			k.top = t
		}
	}
	return k
}

// encodes are the tiers of one encode.
type encodes struct {
	key   encodeKey
	tiers [stream.Tiers]*encode
	sinks []*sink
}

// encode is one encoder with its stream.
type encode struct {
	encoder    codec.VideoEncoder
	packetizer *stream.Packetizer
	stream     *stream.Stream
	// half of the canvas' width and height: the lowest tier looks better small than coarse.
	half    bool
	wantKey atomic.Bool
	unit    []byte
	sent    time.Time
	// rested is since when nobody watches.
	rested time.Time
	// failed is when the encoder could last not be made.
	failed time.Time
}

func newComposition(s *stage, key compositionKey) *composition {
	return &composition{stage: s, key: key, encodes: map[encodeKey]*encodes{}}
}

// begin and end enclose an arrangement. End is true for a composition that nobody has asked for and that has rested long
// enough.
func (c *composition) begin() {
	c.arranged = false
	for _, e := range c.encodes {
		e.sinks = e.sinks[:0]
	}
}

func (c *composition) end(now time.Time) bool {
	if c.arranged && c.seen() {
		c.rested = time.Time{}
		return false
	}
	if c.rested.IsZero() {
		c.rested = now
	}
	return now.Sub(c.rested) >= restBefore
}

// expired asks for an arrangement when the rest is over.
func (c *composition) expired(now time.Time) bool {
	return !c.rested.IsZero() && now.Sub(c.rested) >= restBefore
}

// seen is whether anybody watches or records.
func (c *composition) seen() bool {
	for _, e := range c.encodes {
		if e.seen() {
			return true
		}
	}
	return false
}

// seen is whether anybody watches or records the encode.
func (e *encodes) seen() bool {
	for tier := range e.tiers {
		if e.wanted(tier) {
			return true
		}
	}
	return false
}

// wanted is whether anybody watches or records a tier.
func (e *encodes) wanted(tier int) bool {
	t := e.tiers[tier]
	return t != nil && (t.stream.Subscribers() > 0 || tier == int(stream.TierHigh) && len(e.sinks) > 0)
}

// retire closes the encoders that nobody has watched for [restBefore]: those who watch come and go with limits, rates and
// codecs of their own while the composition stays.
func (c *composition) retire(now time.Time) {
	for key, e := range c.encodes {
		left := 0
		for tier, t := range e.tiers {
			switch {
			case t == nil:
				continue
			case e.wanted(tier):
				t.rested = time.Time{}
			case t.rested.IsZero():
				t.rested = now
			case now.Sub(t.rested) >= restBefore:
				t.close()
				e.tiers[tier] = nil
				continue
			}
			left++
		}
		if left == 0 {
			delete(c.encodes, key)
		}
	}
}

// encoded returns the encode with a key.
func (c *composition) encoded(key encodeKey) *encodes {
	e := c.encodes[key]
	if e == nil {
		e = &encodes{key: key}
		c.encodes[key] = e
	}
	return e
}

// stream returns the stream of a tier, made when it is first watched.
func (c *composition) stream(key encodeKey, tier stream.Tier) *stream.Stream {
	e := c.encoded(key)
	t := e.tiers[tier]
	if t == nil {
		t = &encode{half: tier == stream.TierLow && c.key.Width >= 640}
		t.stream = stream.New(stream.Options{Codec: key.codec, AskKey: func() { t.wantKey.Store(true) }})
		e.tiers[tier] = t
	}
	return t.stream
}

// record has a sink fed from the highest tier.
func (c *composition) record(k *sink, key encodeKey) {
	e := c.encoded(key)
	c.stream(key, stream.TierHigh)
	e.sinks = append(e.sinks, k)
	if k.needsKey.Swap(false) {
		e.tiers[stream.TierHigh].wantKey.Store(true)
	}
}

// render draws, and encodes for all who watch. A picture in which nothing has changed is sent once a second only: a far end
// must not take it for a dead one.
func (c *composition) render(n uint64, now time.Time) {
	due := false
	for _, e := range c.encodes {
		if e.due(n) {
			due = true
		}
	}
	if !due || c.scene == nil {
		return
	}
	if c.canvas == nil {
		var err error
		if c.canvas, err = c.stage.director.composer.NewCanvas(c.key.Width, c.key.Height); err != nil {
			c.stage.director.engine.c.Log.Error("no canvas", "error", err)
			return
		}
	}
	if c.canvas.Draw(c.scene, c.stage) {
		captured := c.canvas.Frame().Captured
		c.drawn, c.captured, c.fresh = now, captured, captured.After(c.captured)
	}
	for _, e := range c.encodes {
		if !e.due(n) {
			continue
		}
		for tier, t := range e.tiers {
			if !e.wanted(tier) || !t.wantKey.Load() && !t.sent.Before(c.drawn) && now.Sub(t.sent) < time.Second {
				continue
			}
			c.encode(e, t, stream.Tier(tier), now)
		}
	}
}

// due is whether this beat is one of the encode's, and anybody is there to see it.
func (e *encodes) due(n uint64) bool { return n%uint64(beatsASecond/e.key.rate) == 0 && e.seen() }

// encode makes one picture and sends it.
func (c *composition) encode(e *encodes, t *encode, tier stream.Tier, now time.Time) {
	d := c.stage.director
	frame := c.canvas.Frame()
	if t.half {
		small, level := frame.Smaller(1, d.engine.frames)
		if level == 1 {
			frame = small
		}
	}
	if t.encoder == nil {
		if now.Sub(t.failed) < time.Second {
			return
		}
		if err := c.open(e, t, tier, frame); err != nil {
			t.failed = now
			d.engine.c.Log.Error("no encoder", "codec", e.key.codec, "error", err)
			return
		}
	}
	unit, key, err := t.encoder.Encode(t.unit[:0], frame, t.wantKey.Swap(false))
	if err != nil {
		d.engine.c.Log.Error("encode", "error", err)
		t.encoder.Close()
		t.encoder, t.failed = nil, now
		return
	}
	t.unit, t.sent = unit, now
	if len(unit) == 0 {
		return
	}
	stamp := d.clock(now)
	if t.stream.Subscribers() > 0 {
		payloads, err := t.packetizer.Split(unit)
		if err == nil {
			err = t.stream.Publish(payloads, stamp, time.Now())
		}
		if err != nil {
			d.engine.c.Log.Error("publish a picture", "error", err)
		}
	}
	if c.fresh && c.drawn.Equal(now) {
		d.latency.add(time.Since(c.captured))
	}
	if tier == stream.TierHigh {
		for _, k := range e.sinks {
			k.video(unit, now, key)
		}
	}
}

// open makes the encoder of a tier.
func (c *composition) open(e *encodes, t *encode, tier stream.Tier, frame *picture.Frame) error {
	size := stream.PayloadSize(e.key.mtu, headerRoom)
	options := codec.VideoOptions{Codec: e.key.codec, Width: frame.Width, Height: frame.Height, Rate: e.key.rate,
		Bitrate: stream.TierRates(e.key.top)[tier], Encoder: c.stage.director.engine.c.Encoder}
	if e.key.codec == control.H264 && e.key.mode == 0 {
		options.MaxSlice = size
	}
	encoder, err := codec.NewVideoEncoder(options)
	if err != nil {
		return err
	}
	if t.packetizer == nil {
		if t.packetizer, err = stream.NewPacketizer(e.key.codec, size, e.key.mode); err != nil {
			encoder.Close()
			return err
		}
	}
	t.encoder = encoder
	t.wantKey.Store(true)
	return nil
}

// headerRoom is the largest header that any leg's sender writes: 12 bytes and extensions for MID, transport-wide number
// and time.
const headerRoom = 12 + 32

func (c *composition) close() {
	for _, e := range c.encodes {
		for _, t := range e.tiers {
			if t != nil {
				t.close()
			}
		}
	}
	if c.canvas != nil {
		c.canvas.Close()
	}
}

func (t *encode) close() {
	t.stream.Close()
	if t.encoder != nil {
		t.encoder.Close()
	}
}
