package audio

import (
	"rotunda/services/media/control"
)

// renderer makes the sound of a source out of its jitter buffer, 20 ms a tick. It belongs to the tick (Bus.mu).
type renderer struct {
	decoders []decoding
	// ready is decoded sound at 48 kHz that has not been heard; ready[:have].
	ready []float32
	have  int
	// last is the last sample that went into ready; smooth is what a seam still has to be corrected by.
	last, smooth float32
	seam         bool
	payload      []byte
	pcm          []int16

	concealed, recovered, stretched, shrunk, faults uint64
	// guessed is how long guesses have gone on; they fade.
	guessed int64
	// rest is how many ticks to wait before the next stretch.
	rest int
	// recent is the level of the last tick, for cheap stretches in silence.
	recent int
}

// decoding is a decoder and its way to 48 kHz. A source keeps one for each codec that it has used.
type decoding struct {
	codec string
	Decoder
	up *resampler
}

const (
	readyRoom = 2*maxPacket + 2*stretchRoom
	// fadeAfter and fadeOver: a guess sounds like speech for 60 ms, and is gone at 160.
	fadeAfter = rate * 60 / 1000
	fadeOver  = rate * 100 / 1000
	// seamLength is how long a step at a seam is smoothed.
	seamLength = rate * 5 / 1000
	// A delay is changed when it is so far from the target; further off it is cut. A change is up to maxLag, and the
	// target moves by 4 ms: with less than 16 between the two bounds the delay would swing.
	tooLong  = rate * 16 / 1000
	tooShort = rate * 2 / 1000
	farOff   = rate * 150 / 1000
	// stretchEvery ticks at most, unless the delay is far too long.
	stretchEvery = 5
	// periodic is how well sound must repeat itself to be stretched (squared correlation).
	periodic = 0.5
	// hushed is a level in which nobody hears a seam.
	hushed = -55
)

func newRenderer() *renderer {
	return &renderer{
		ready:   make([]float32, readyRoom),
		payload: make([]byte, 0, maxPayload),
		pcm:     make([]int16, maxPacket),
		seam:    true,
	}
}

// forget drops what was decoded and not heard.
func (r *renderer) forget() {
	r.have, r.seam, r.last, r.guessed = 0, true, 0, 0
}

func (r *renderer) close() {
	for _, d := range r.decoders {
		d.Close()
	}
	r.decoders = nil
}

// decoder returns the source's decoder for a codec, or nil.
func (r *renderer) decoder(codec string, open func(string) (Decoder, error)) *decoding {
	for i := range r.decoders {
		if r.decoders[i].codec == codec {
			return &r.decoders[i]
		}
	}
	d := decoding{codec: codec}
	var err error
	if d.Decoder, err = open(codec); err != nil {
		return nil
	}
	if f := filterFor(d.Rate()); f != nil {
		d.up = newUp(f, maxPacket/f.factor)
	}
	// The newest is found first: a source uses one codec.
	r.decoders = append([]decoding{d}, r.decoders...)
	return &r.decoders[0]
}

// run writes the next 20 ms to out and returns false if they are silence. The source's mutex is held only while the
// buffer decides.
func (r *renderer) run(s *Source, now int64, out *[tickLength]float32) bool {
	open := s.bus.Load().config.Decoder
	s.mu.Lock()
	if s.jitter.state == playing && s.jitter.stalled == 0 {
		excess := s.jitter.current(now, int64(r.have)) - s.jitter.target(r.mends())
		s.mu.Unlock()
		r.follow(s, now, excess, open)
	} else {
		s.mu.Unlock()
	}
	r.fill(s, now, tickLength, false, open)
	copy(out[:], r.ready[:tickLength])
	r.consume(tickLength)
	r.recent = levelOfSamples(out[:])
	return r.recent > silent
}

// mends says whether the codec in use can make a lost packet out of the next.
func (r *renderer) mends() bool { return len(r.decoders) > 0 && r.decoders[0].codec == control.Opus }

func (r *renderer) consume(n int) {
	copy(r.ready, r.ready[n:r.have])
	r.have -= n
}

// follow brings the delay towards its target.
func (r *renderer) follow(s *Source, now, excess int64, open func(string) (Decoder, error)) {
	if r.rest > 0 {
		r.rest--
	}
	switch {
	case excess > farOff:
		// The network stood still and then gave all at once: nobody wants to hear that in full.
		s.mu.Lock()
		s.jitter.state = seeking
		s.mu.Unlock()
		r.have, r.seam = 0, true
	case excess > tooLong && (r.rest == 0 || excess > 5*tooLong):
		r.fill(s, now, tickLength+stretchRoom, true, open)
		if r.have < stretchRoom {
			return
		}
		lag, quality := maxLag, float32(1)
		if r.recent > hushed || levelOfSamples(r.ready[:stretchRoom]) > hushed {
			lag, quality = fit(r.ready[:stretchRoom])
		}
		if quality < periodic && excess < 5*tooLong {
			return
		}
		copy(r.ready, shrink(r.ready[:r.have], lag))
		r.have -= lag
		r.shrunk++
		r.rest = stretchEvery
	case excess < -tooShort && r.rest == 0:
		r.fill(s, now, stretchRoom, true, open)
		if r.have < stretchRoom {
			return
		}
		lag, quality := min(maxLag, int(-excess)), float32(1)
		if r.recent > hushed || levelOfSamples(r.ready[:stretchRoom]) > hushed {
			lag, quality = fit(r.ready[:stretchRoom])
		}
		if quality < periodic {
			return
		}
		grow(r.ready, r.have, lag)
		r.have += lag
		r.stretched++
		r.rest = stretchEvery
	}
}

// fill decodes until need samples are ready; with ahead it stops when there is no packet.
func (r *renderer) fill(s *Source, now int64, need int, ahead bool, open func(string) (Decoder, error)) {
	for r.have < need {
		s.mu.Lock()
		do, payload := s.jitter.decide(now, int64(r.have), int64(need), ahead, r.mends(), r.payload[:0])
		s.mu.Unlock()
		switch do.verb {
		case nothing:
			return
		case pause:
			r.silence(int(do.samples))
		case warm:
			if d := r.decoder(do.codec, open); d != nil {
				if n, err := d.Decode(r.pcm, payload); err == nil {
					r.raise(d, n, nil)
				}
			}
			r.seam = true
		case play:
			n := r.play(do, payload, open)
			s.mu.Lock()
			s.jitter.played(int64(n), r.guessed == 0 && levelOfSamples(r.ready[max(0, r.have-240):max(1, r.have)]) <= hushed-10)
			s.mu.Unlock()
		case mend:
			n := int(do.samples) * r.decoders[0].Rate() / rate
			if got, err := r.decoders[0].DecodeFEC(r.pcm[:n], payload); err != nil || got != n {
				r.conceal(int(do.samples))
				break
			}
			r.put(&r.decoders[0], n)
			r.recovered++
		case conceal:
			r.conceal(int(do.samples))
		}
	}
}

// play decodes a packet and returns how long it is.
func (r *renderer) play(do step, payload []byte, open func(string) (Decoder, error)) int {
	d := r.decoder(do.codec, open)
	if d == nil {
		r.faults++
		r.silence(tickLength)
		return tickLength
	}
	if d != &r.decoders[0] {
		// The codec changed: what comes now has nothing to do with what was.
		r.decoders[0], *d = *d, r.decoders[0]
		d = &r.decoders[0]
		r.seam = true
	}
	n, err := d.Decode(r.pcm, payload)
	if err != nil || n <= 0 || n > maxPacket*d.Rate()/rate {
		r.faults++
		r.conceal(tickLength)
		return tickLength
	}
	if r.guessed > 0 {
		r.guessed, r.seam = 0, true
	}
	before := r.have
	n48 := n * rate / d.Rate()
	r.put(d, n)
	if t := int(min(do.trim, int64(n48))); t > 0 {
		copy(r.ready[before:], r.ready[before+t:r.have])
		r.have -= t
	}
	return n48
}

// conceal guesses n samples of 48 kHz. A guess fades out: nobody hums for a quarter of a second.
func (r *renderer) conceal(n int) {
	if len(r.decoders) == 0 || r.guessed >= fadeAfter+fadeOver {
		r.silence(n)
		return
	}
	d := &r.decoders[0]
	m := n * d.Rate() / rate
	if got, err := d.Conceal(r.pcm[:m]); err != nil || got != m {
		clear(r.pcm[:m])
	}
	at := r.have
	r.put(d, m)
	for i := range r.ready[at:r.have] {
		if over := r.guessed + int64(i) - fadeAfter; over > 0 {
			r.ready[at+i] *= max(0, 1-float32(over)/fadeOver)
		}
	}
	r.last = r.ready[r.have-1]
	r.guessed += int64(n)
	r.concealed += uint64(n)
}

func (r *renderer) silence(n int) {
	at := r.have
	clear(r.ready[at : at+n])
	r.have += n
	r.seam = true
	r.join(at)
	r.seam = true
}

// put adds n samples of pcm to what is ready.
func (r *renderer) put(d *decoding, n int) {
	at := r.have
	r.have += r.raise(d, n, r.ready[at:])
	r.join(at)
}

// raise converts n samples of pcm to 48 kHz; without dst it only moves the filter on.
func (r *renderer) raise(d *decoding, n int, dst []float32) int {
	if d.up == nil {
		for i, v := range r.pcm[:min(n, len(dst))] {
			dst[i] = float32(v)
		}
		return n
	}
	in := d.up.room(n)
	for i, v := range r.pcm[:n] {
		in[i] = float32(v)
	}
	if dst == nil {
		d.up.shift(n)
		return 0
	}
	d.up.up(dst, n)
	return n * d.up.f.factor
}

// join smooths the step at a seam: the difference is added to the new sound and fades within 5 ms.
func (r *renderer) join(at int) {
	if r.have == at {
		return
	}
	if r.seam {
		r.smooth = r.last - r.ready[at]
		r.seam = false
		n := min(seamLength, r.have-at)
		for i := range n {
			r.ready[at+i] += r.smooth * (1 - float32(i)/float32(n))
		}
	}
	r.last = r.ready[r.have-1]
}
