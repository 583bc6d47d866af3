package audio

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// epoch makes times into numbers.
var epoch = time.Now()

// samplesAt is a moment in samples of 48 kHz.
func samplesAt(t time.Time) int64 {
	const perMs = rate / 1000
	return int64(t.Sub(epoch)) / 1000 * perMs / 1000
}

// SourceOptions are what can change while a source lives.
type SourceOptions struct {
	// Muted: nobody hears it, and it is no speaker.
	Muted bool
	// Gain evens out its loudness.
	Gain bool
	// Link is the mix of another worker: it is heard whenever it is not silent, takes nobody's place, and speaks for whoever
	// [Source.Speak] says.
	Link bool
}

// Source is the sound that comes from a leg.
type Source struct {
	id  uint32
	bus atomic.Pointer[Bus]

	mu     sync.Mutex
	jitter jitter
	judge  judge
	codec  string

	options atomic.Pointer[SourceOptions]
	// fresh is the loudest level since the last tick, noLevel when no packet has come.
	fresh atomic.Int32
	// blind is set while the level is only known after decoding.
	blind atomic.Bool
	// voice is the source whose voice a link is, 0 while nobody has said.
	voice atomic.Uint32

	// What follows belongs to the tick.
	candidate
	talk    talk
	level   int // dBov of the last tick
	empty   int // ticks without a packet
	render  *renderer
	control gainControl
	gain    float32 // applied at the end of the last tick, 0 when not in the mix
	out     [tickLength]float32
	// sounding is set when out is not silence; mixed when out is in the mix of this tick.
	rendered, sounding, mixed bool
	// decoding is set while the jitter buffer is played.
	decoding bool
	// alone is a copy of out before the gain, for taps; nil when nobody taps.
	alone *[tickLength]float32

	shown sourceFigures
}

// sourceFigures are what the tick shows to Stats.
type sourceFigures struct {
	level                                   atomic.Int32
	heard                                   atomic.Bool
	concealed, recovered, stretched, shrunk atomic.Uint64
	gain                                    atomic.Uint32
	delay                                   atomic.Int64
	faults                                  atomic.Uint64
}

// SourceStats are figures since the source began.
type SourceStats struct {
	Codec string
	// Level is the last one in dBov, -127 for silence.
	Level int
	// Delay of the jitter buffer now (0 while the source is not decoded), its Target, and Jitter of the packets by RFC 3550.
	Delay, Target, Jitter time.Duration
	// Packets came; Lost never came, Late came after their time and Duplicates twice.
	Packets, Lost, Late, Duplicates uint64
	// Concealed are 20 ms of sound that were guessed, Recovered are packets that came out of FEC.
	Concealed, Recovered uint64
	// Stretched and Shrunk are how often the sound was made longer or shorter to follow the target.
	Stretched, Shrunk uint64
	// Resets of the time line: jumps of time stamps, changes of SSRC. Faults are packets that no decoder took.
	Resets, Faults uint64
	// Gain in dB.
	Gain float64
	// Heard is true while it is in the mix.
	Heard bool
}

const noLevel = -128

func newSource(id uint32, o SourceOptions) *Source {
	s := &Source{id: id, level: silent, candidate: candidate{loudness: silent}}
	s.options.Store(&o)
	s.fresh.Store(noLevel)
	s.shown.level.Store(silent)
	return s
}

// Push takes a packet from the network thread. A packet without payload only accounts for its sequence number, so that key
// tones are no loss.
func (s *Source) Push(p Packet) {
	if len(p.Payload) > maxPayload {
		return
	}
	s.mu.Lock()
	s.codec = p.Codec
	known := true
	level := int(p.Level)
	if p.Level == LevelUnknown || p.Level > 0 {
		level, known = s.judge.level(p.Codec, p.Payload)
	}
	s.jitter.push(&p, samplesAt(p.Arrival))
	s.mu.Unlock()
	if len(p.Payload) == 0 {
		return
	}
	if s.blind.Load() == known {
		s.blind.Store(!known)
	}
	for {
		old := s.fresh.Load()
		if int32(level) <= old || s.fresh.CompareAndSwap(old, int32(level)) {
			return
		}
	}
}

// Speak says whose voice comes over a link: the one who leads there. It never waits.
func (s *Source) Speak(id uint32) {
	if s.voice.Load() != id {
		s.voice.Store(id)
	}
}

// speaker is who speaks when the source does, 0 while that is not known.
func (s *Source) speaker() uint32 {
	if s.options.Load().Link {
		return s.voice.Load()
	}
	return s.id
}

// Update changes the options.
func (s *Source) Update(o SourceOptions) { s.options.Store(&o) }

// Stats returns the figures.
func (s *Source) Stats() SourceStats {
	s.mu.Lock()
	j := &s.jitter
	st := SourceStats{
		Codec: s.codec, Packets: j.packets, Lost: j.lost(), Late: j.late, Duplicates: j.duplicates, Resets: j.resets,
		Target: span(float64(j.delay.target)), Jitter: span(j.delay.jitter),
	}
	s.mu.Unlock()
	f := &s.shown
	st.Level, st.Heard, st.Gain = int(f.level.Load()), f.heard.Load(), decibels(math.Float32frombits(f.gain.Load()))
	st.Concealed, st.Recovered = f.concealed.Load()/tickLength, f.recovered.Load()
	st.Stretched, st.Shrunk, st.Faults = f.stretched.Load(), f.shrunk.Load(), f.faults.Load()
	st.Delay = span(float64(f.delay.Load()))
	return st
}

// Playout is the RTP time stamp that is heard at a moment, or would be if the source were in the mix: pictures of the same
// sender are shown by it. It is false before the first packet.
func (s *Source) Playout(at time.Time) (timestamp uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := &s.jitter
	if !j.started {
		return 0, false
	}
	delay := s.shown.delay.Load()
	if delay == 0 {
		delay = j.delay.target
	}
	position := samplesAt(at) - j.delay.base - delay
	return j.timestamp + uint32(int32((position-j.position)/scaleOf(j.clock))), true
}

func decibels(gain float32) float64 {
	if gain == 0 {
		return 0
	}
	return 20 * math.Log10(float64(gain))
}

func span(samples float64) time.Duration { return time.Duration(samples * float64(time.Second) / rate) }

// listen updates the level at the beginning of a tick and says whether the source may be in the mix.
func (s *Source) listen(o *SourceOptions) bool {
	fresh := s.fresh.Load()
	if fresh != noLevel {
		fresh = s.fresh.Swap(noLevel)
		s.empty = 0
		if !s.blind.Load() {
			s.level = int(fresh)
		}
	} else if s.empty++; s.empty > 3 && !s.rendered {
		// Packets of 60 ms are the longest that are usual: nothing for longer is silence.
		s.level = silent
	}
	s.rendered = false
	if o.Muted {
		s.level = silent
	}
	return s.level > audible || s.chosen || s.loudness > audible
}

// sound renders the tick, once. Gain control listens here: to what is heard, at its true level.
func (s *Source) sound(now int64) {
	if s.rendered {
		return
	}
	s.rendered, s.decoding = true, true
	if s.render == nil {
		s.render = newRenderer()
	}
	s.sounding = s.render.run(s, now, &s.out)
	if s.alone != nil {
		*s.alone = s.out
	}
	s.show(now)
}

// rest stops decoding until the source is heard again.
func (s *Source) rest() {
	s.decoding = false
	s.mu.Lock()
	s.jitter.leave()
	s.mu.Unlock()
	s.render.forget()
	s.shown.delay.Store(0)
}

// fadeIn is how fast a source comes into the mix; it leaves within a tick.
const fadeIn = rate * 5 / 1000

// apply multiplies out by the gain: what is wanted if the source is in the mix, else nothing, without a step.
func (s *Source) apply(o *SourceOptions) {
	want := float32(0)
	if s.chosen && !o.Muted {
		want = 1
		if o.Gain {
			want = factor(s.control.next(s.render.recent))
		} else if s.control.heard {
			s.control.reset()
		}
	}
	if s.gain == want {
		if want != 1 {
			for i := range s.out {
				s.out[i] *= want
			}
		}
		return
	}
	n := tickLength
	if s.gain == 0 {
		n = fadeIn
	}
	step := (want - s.gain) / float32(n)
	for i := range n {
		s.out[i] *= s.gain + step*float32(i+1)
	}
	for i := n; i < tickLength; i++ {
		s.out[i] *= want
	}
	s.gain = want
	s.shown.gain.Store(math.Float32bits(want))
}

// show publishes the figures of the tick.
func (s *Source) show(now int64) {
	f := &s.shown
	r := s.render
	f.concealed.Store(r.concealed)
	f.recovered.Store(r.recovered)
	f.stretched.Store(r.stretched)
	f.shrunk.Store(r.shrunk)
	f.faults.Store(r.faults)
	s.mu.Lock()
	d := int64(0)
	if s.jitter.state == playing {
		// What is ready begins with the next tick.
		d = s.jitter.current(now+tickLength, int64(r.have))
	}
	s.mu.Unlock()
	f.delay.Store(d)
}

// Move takes the source to another bus; its jitter buffer and decoder go on.
func (s *Source) Move(to *Bus) {
	from := s.bus.Load()
	if from == to {
		return
	}
	defer lockBoth(from, to)()
	if from.byID[s.id] != s {
		return
	}
	from.detach(s)
	to.attach(s)
}

// Remove takes the source away.
func (s *Source) Remove() {
	b := s.bus.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID[s.id] != s {
		return
	}
	b.detach(s)
	if s.render != nil {
		s.render.close()
		s.render = nil
		s.decoding = false
	}
}
