package audio

import "rotunda/services/media/control"

// chain takes a mix from float32 at 48 kHz to 16 bits at a codec's rate: resampler, prompts, limiter. Silence passes for
// nothing.
type chain struct {
	rate int
	down *resampler // nil at 48 kHz
	lim  *limiter
	buf  [tickLength]float32
	pcm  []int16
	// tick is when it last ran: a chain that was left out has no memory of the tick before.
	tick int64
	// sounding is false when pcm would be silence; then it is not written.
	sounding bool
}

func newChain(sampleRate int) *chain {
	c := &chain{rate: sampleRate, lim: newLimiter(sampleRate), pcm: make([]int16, sampleRate*tickMs/1000)}
	if f := filterFor(sampleRate); f != nil {
		c.down = newDown(f, tickLength)
	}
	return c
}

func (c *chain) copyFrom(o *chain) {
	if c.down != nil {
		c.down.copyFrom(o.down)
	}
	c.lim.copyFrom(o.lim)
	c.tick = o.tick
}

// run makes 20 ms of a mix, nil for silence, and prompts; done collects what is to be told of them.
func (c *chain) run(tick int64, mix *[tickLength]float32, prompts *players, done []func()) []func() {
	if c.tick != tick-1 {
		if c.down != nil {
			c.down.reset()
		}
		c.lim.reset()
	}
	c.tick = tick
	var x []float32
	switch {
	case c.down == nil && mix != nil:
		x = mix[:]
	case c.down != nil && (mix != nil || !c.down.quiet(tickLength)):
		if mix != nil {
			copy(c.down.room(tickLength), mix[:])
		}
		x = c.buf[:len(c.pcm)]
		c.down.down(x, tickLength)
		if mix == nil {
			c.down.zeros = tickLength
		}
	}
	if prompts != nil && len(prompts.list) > 0 {
		b := c.buf[:len(c.pcm)]
		if x == nil {
			clear(b)
		} else if c.down == nil {
			copy(b, x)
		}
		x = b
		done = prompts.add(x, done)
	}
	if x == nil {
		c.sounding = !c.lim.silence(c.pcm)
	} else {
		c.lim.run(c.pcm, x)
		c.sounding = true
	}
	return done
}

// key is what listeners have in common that get the same bytes.
type key struct {
	codec    string
	packetMs int
	options  EncoderOptions
	// loss in per cent that the encoder is told, by lossClass.
	loss int
}

// lossClass says for which loss a listener's sound is to be encoded, of which there are few so that encodes are shared:
// none, some or much. A class is left only when the loss is well below where it began.
func lossClass(now int, percent float64) int {
	switch {
	case percent >= 10 || now == 15 && percent >= 6:
		return 15
	case percent >= 2 || now >= 5 && percent >= 0.7:
		return 5
	}
	return 0
}

func keyOf(o ListenerOptions, loss int) key {
	k := key{codec: o.Codec, packetMs: o.PacketMs}
	if k.packetMs == 0 {
		k.packetMs = 20
	}
	k.options.PacketMs = k.packetMs
	// Only Opus has anything to choose.
	if o.Codec == control.Opus {
		k.options = EncoderOptions{Bitrate: o.Bitrate, Complexity: o.Complexity, FEC: o.FEC, DTX: o.DTX, PacketMs: k.packetMs}
		if o.FEC {
			k.loss = loss
		}
	}
	return k
}

// voice is an encoder and what leads to it: one for all who share, one for each who does not.
type voice struct {
	key   key
	enc   Encoder
	chain *chain // of a personal voice; shared ones use the bus's
	// pcm is the packet in work; with 40 ms its first half is of the tick before.
	pcm  []int16
	tick int64
	// packets of this tick.
	packets [2]packet
	count   int
	bytes   [2][maxPayload]byte
	// quiet is how many silent packets there were in a row, silence what the encoder made of them in the end.
	quiet   int
	silence []byte
	// still counts silent ticks up to 2, when pcm is known to be zero.
	still int
}

type packet struct {
	payload []byte
	// skip: nothing needs to be sent (DTX).
	skip bool
}

const (
	// settleMs of silence are encoded; by then a codec's memory of sound is gone and its packet is the same each time.
	settleMs = 200
	// keepAliveMs: with DTX a packet of silence still goes out so often, as Opus does it.
	keepAliveMs = 400
)

func newVoice(k key, open func(string, EncoderOptions) (Encoder, error)) (*voice, error) {
	enc, err := open(k.codec, k.options)
	if err != nil {
		return nil, err
	}
	if e, ok := enc.(interface{ SetLoss(percent int) error }); ok && k.loss > 0 {
		if err := e.SetLoss(k.loss); err != nil {
			enc.Close()
			return nil, err
		}
	}
	return &voice{
		key: k, enc: enc, chain: newChain(enc.Rate()), tick: -1,
		pcm: make([]int16, enc.Rate()*max(k.packetMs, tickMs)/1000), silence: make([]byte, 0, 128),
	}, nil
}

// add takes 20 ms, encoding the packets that are full with them. Packets of 40 ms are full at odd ticks, for everybody.
func (v *voice) add(tick int64, pcm []int16, sounding bool) {
	n := v.enc.Rate() * tickMs / 1000
	fresh := v.tick != tick-1
	v.tick, v.count = tick, 0
	if sounding || fresh {
		v.still = 0
	}
	at := 0
	if v.key.packetMs == 40 {
		if fresh {
			clear(v.pcm)
		}
		at = int(tick&1) * n
	}
	switch {
	case sounding:
		copy(v.pcm[at:at+n], pcm)
	case v.still < 2:
		v.still++
		clear(v.pcm[at : at+n])
	}
	switch v.key.packetMs {
	case 40:
		if at > 0 {
			v.encode(v.pcm)
		}
	case 10:
		v.encode(v.pcm[:n/2])
		v.encode(v.pcm[n/2:])
	default:
		v.encode(v.pcm)
	}
}

func (v *voice) encode(pcm []int16) {
	dtx := v.key.options.DTX
	settled := settleMs / v.key.packetMs
	p := &v.packets[v.count]
	buf := v.bytes[v.count][:]
	v.count++
	if v.still == 2 || mute(pcm) {
		if v.quiet++; v.quiet > settled && len(v.silence) > 0 {
			*p = packet{payload: v.silence, skip: dtx && v.quiet%(keepAliveMs/v.key.packetMs) != 0}
			return
		}
	} else {
		v.quiet = 0
	}
	n, err := v.enc.Encode(buf, pcm)
	if err != nil || n <= 0 {
		*p = packet{skip: true}
		return
	}
	*p = packet{payload: buf[:n], skip: dtx && n <= 2}
	if v.quiet >= settled {
		v.silence = append(v.silence[:0], buf[:n]...)
	}
}

// mute says whether all samples are zero.
func mute(pcm []int16) bool {
	for _, v := range pcm {
		if v != 0 {
			return false
		}
	}
	return true
}

// follow prepares a voice to go on where another one was after the tick before. Its encoder's memory is of something else:
// encoding the other's last packet once more, for nobody, brings it near to what the far decoder has heard, so that the
// first packet predicts from the right sound.
func (v *voice) follow(o *voice) {
	if v.key.packetMs != 40 || o.tick&1 == 1 {
		if len(v.silence) == 0 {
			v.silence = append(v.silence, o.silence...)
		}
		if v.quiet = o.quiet; v.quiet <= settleMs/v.key.packetMs {
			v.enc.Encode(v.bytes[0][:], o.pcm[len(o.pcm)-v.enc.Rate()*v.key.packetMs/1000:])
		}
	}
	copy(v.pcm, o.pcm)
	v.tick, v.still = o.tick, o.still
}
