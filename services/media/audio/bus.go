package audio

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config makes a bus.
type Config struct {
	Decoder func(codec string) (Decoder, error)
	Encoder func(codec string, o EncoderOptions) (Encoder, error)
	// Prompts caches sound files; one for all buses of a worker. Nil makes one.
	Prompts *Prompts
	// Loudest is how many sources are heard by rank; 0 means 3. Two more may be heard while they fade from the rank.
	Loudest int
	// Hold is how long a source stays in the mix after it was last loud; 0 means 400 ms.
	Hold time.Duration
	// OnSpeaker is called in the audio thread after a tick in which the dominant speaker changed.
	OnSpeaker func(id uint32)
}

// Bus is one room.
type Bus struct {
	config Config
	number uint64 // for the order of locks
	hold   int    // Config.Hold in ticks

	mu      sync.Mutex
	sources []*Source
	byID    map[uint32]*Source
	groups  []*group
	taps    []*Tap
	prompts players

	tick    int64 // number of the last one since epoch
	began   bool
	loud    []*Source    // scratch: who may be in the mix
	listing []*candidate // scratch: the same for choose
	mixed   []*Source    // who is in the mix of this tick
	mix     [tickLength]float32
	// sounding is false when mix is silence and was not written; voices is how many sources and prompts are in it.
	sounding bool
	voices   int
	// inner is the mix without links and prompts, made while other workers get it; nil for silence.
	inner    *[tickLength]float32
	innerMix [tickLength]float32
	crossing bool
	// chains take the mix to 8, 16 and 48 kHz for those who share it.
	chains [3]*chain
	own    [tickLength]float32 // scratch: the mix of one listener

	// dominant is the source that leads, a link among them; leader the one of the bus's own sources, while others get
	// their mix.
	dominant, leader *Source
	voice            atomic.Uint32 // the leader's id
	speaker          uint32        // who spoke last
	spoken           []uint32      // dominant speakers, the last one first
	speakers         atomic.Pointer[[]uint32]
	untilDecision    int

	done []func() // to be called when the tick is over
}

var busNumber atomic.Uint64

// NewBus makes an empty room.
func NewBus(c Config) *Bus {
	if c.Prompts == nil {
		c.Prompts = NewPrompts(0)
	}
	if c.Loudest == 0 {
		c.Loudest = 3
	}
	if c.Hold == 0 {
		c.Hold = 400 * time.Millisecond
	}
	b := &Bus{
		config: c, number: busNumber.Add(1), hold: int(c.Hold / (tickMs * time.Millisecond)), byID: map[uint32]*Source{},
		chains: [3]*chain{newChain(8000), newChain(16000), newChain(rate)},
	}
	b.speakers.Store(&[]uint32{})
	return b
}

// AddSource adds a source with an id that is unique in the worker.
func (b *Bus) AddSource(id uint32, o SourceOptions) *Source {
	s := newSource(id, o)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attach(s)
	return s
}

func (b *Bus) attach(s *Source) {
	s.bus.Store(b)
	b.sources = append(b.sources, s)
	b.byID[s.id] = s
	b.bind()
}

func (b *Bus) detach(s *Source) {
	b.sources = without(b.sources, s)
	b.mixed = without(b.mixed, s)
	if b.byID[s.id] == s {
		delete(b.byID, s.id)
	}
	if slices.Contains(b.spoken, s.id) {
		b.spoken = without(b.spoken, s.id)
		b.publish()
	}
	if b.dominant == s {
		b.dominant, b.speaker = nil, 0
	}
	if b.leader == s {
		b.leader = nil
		b.voice.Store(0)
	}
	s.mixed = false
	b.bind()
}

// bind connects listeners with their own sources, and sources with their taps.
func (b *Bus) bind() {
	for _, g := range b.groups {
		for _, l := range g.members {
			l.self = b.byID[l.id]
		}
	}
	for _, s := range b.sources {
		tapped := slices.ContainsFunc(b.taps, func(t *Tap) bool { return t.one && t.source == s.id })
		if tapped && s.alone == nil {
			s.alone = new([tickLength]float32)
		} else if !tapped {
			s.alone = nil
		}
	}
	b.crossing = slices.ContainsFunc(b.taps, func(t *Tap) bool { return t.inner })
}

// Play plays a prompt to everybody on the bus.
func (b *Bus) Play(p Play) error {
	r, err := newPlayer(p, b.config.Prompts, rate)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.prompts.start(r)
}

// Stop ends a prompt of the bus; an empty id ends all.
func (b *Bus) Stop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prompts.stop(id)
}

// Speakers returns the sources that have been dominant speakers, the last one first. It never waits; the slice is not
// to be changed.
func (b *Bus) Speakers() []uint32 { return *b.speakers.Load() }

// Voice returns who leads among the bus's own sources while [Bus.TapInner] is in use, 0 for nobody. It never waits.
func (b *Bus) Voice() uint32 { return b.voice.Load() }

func (b *Bus) publish() {
	ids := slices.Clone(b.spoken)
	b.speakers.Store(&ids)
}

// Close removes everything; prompts are done.
func (b *Bus) Close() {
	b.mu.Lock()
	done := b.prompts.drain(nil)
	for _, s := range b.sources {
		if s.render != nil {
			s.render.close()
		}
	}
	for _, g := range b.groups {
		for _, l := range g.members {
			done = l.prompts.drain(done)
			g.put(l)
		}
		g.close()
	}
	b.sources, b.groups, b.taps, b.mixed, b.spoken, b.dominant, b.leader = nil, nil, nil, nil, nil, nil, nil
	clear(b.byID)
	b.publish()
	b.mu.Unlock()
	call(done)
}

func call(done []func()) {
	for _, f := range done {
		f()
	}
}

func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// Tick makes 20 ms of sound. Now is when it was due: 20 ms after the last one, or more when ticks were left out. All buses
// of a worker get the same moments.
func (b *Bus) Tick(now time.Time) {
	b.mu.Lock()
	tick := (int64(now.Sub(epoch)) + int64(tickMs*time.Millisecond)/2) / int64(tickMs*time.Millisecond)
	if b.began {
		tick = max(tick, b.tick+1)
	}
	skipped := tick - b.tick - 1
	if !b.began {
		skipped, b.began = 0, true
	}
	b.tick = tick
	b.collect(samplesAt(now))
	b.add()
	if b.crossing {
		b.lead()
	}
	for _, t := range b.taps {
		t.run(tick, now)
	}
	if tick%50 == 0 {
		b.regroup()
	}
	for _, g := range b.groups {
		g.speakAlone(b, tick, skipped, now)
	}
	for _, g := range b.groups {
		g.speakTogether(b, tick)
	}
	changed := b.decide()
	done := b.done
	b.done = nil
	speaker := b.speaker
	b.mu.Unlock()
	call(done)
	if changed && b.config.OnSpeaker != nil {
		b.config.OnSpeaker(speaker)
	}
}

// collect finds out who is loud, chooses who is heard, and renders them.
func (b *Bus) collect(now int64) {
	b.loud, b.listing = b.loud[:0], b.listing[:0]
	for _, s := range b.sources {
		o := s.options.Load()
		may := s.listen(o)
		// Levels that nobody told are found by decoding, unless nothing comes.
		if s.alone != nil || s.blind.Load() && (s.empty < idleTicks || s.chosen) {
			s.sound(now)
			if s.blind.Load() && !o.Muted {
				s.level = s.render.recent
				may = may || s.level > audible
			}
		}
		s.hear(s.level)
		if s.level > silent || s.talk.loud > 0 {
			s.talk.hear(s.level)
		}
		s.shown.level.Store(int32(s.level))
		if !may {
			continue
		}
		b.loud = append(b.loud, s)
		switch {
		case o.Muted:
			s.candidate.chosen, s.candidate.kept = false, 0
		case o.Link:
			if s.kept--; s.level > audible {
				s.kept = b.hold
			}
			s.candidate.chosen = s.kept > 0
		default:
			b.listing = append(b.listing, &s.candidate)
		}
	}
	choose(b.listing, b.config.Loudest, b.hold)
	for _, s := range b.mixed {
		s.mixed = false
	}
	b.mixed = b.mixed[:0]
	for _, s := range b.loud {
		if s.chosen || s.gain > 0 {
			s.sound(now)
			s.apply(s.options.Load())
			s.mixed = true
			b.mixed = append(b.mixed, s)
			s.shown.heard.Store(s.chosen)
		}
		if s.decoding && !s.chosen && s.alone == nil && !s.blind.Load() {
			s.rest()
		}
	}
}

// idleTicks without a packet, a second, are enough to stop decoding for the level's sake.
const idleTicks = 50

// add makes the mix of all who are heard and of the bus's prompts.
func (b *Bus) add() {
	b.voices = 0
	b.sum(false)
	b.inner = nil
	if b.crossing && b.voices > 0 {
		b.innerMix = b.mix
		b.inner = &b.innerMix
	}
	b.sum(true)
	if len(b.prompts.list) > 0 {
		if b.voices++; b.voices == 1 {
			clear(b.mix[:])
		}
		b.done = b.prompts.add(b.mix[:], b.done)
	}
	b.sounding = b.voices > 0
}

// sum adds the links, or the bus's own sources, to the mix.
func (b *Bus) sum(links bool) {
	for _, s := range b.mixed {
		if !s.sounding || s.options.Load().Link != links {
			continue
		}
		if b.voices++; b.voices == 1 {
			b.mix = s.out
			continue
		}
		for i, v := range s.out {
			b.mix[i] += v
		}
	}
}

// total is the mix of all, nil for silence.
func (b *Bus) total() *[tickLength]float32 {
	if !b.sounding {
		return nil
	}
	return &b.mix
}

// shared is the chain of the mix of all at a rate; it runs at most once a tick. Before is one that was used instead of it
// in the tick before, or nil.
func (b *Bus) shared(sampleRate int, before *chain) *chain {
	c := b.chainAt(sampleRate)
	if c.tick == b.tick {
		return c
	}
	if c.tick != b.tick-1 && before != nil && before.tick == b.tick-1 {
		c.copyFrom(before)
	}
	c.run(b.tick, b.total(), nil, nil)
	return c
}

func (b *Bus) chainAt(sampleRate int) *chain {
	for _, c := range b.chains {
		if c.rate == sampleRate {
			return c
		}
	}
	return b.chains[len(b.chains)-1]
}

// decide finds the dominant speaker and says whether there is another one.
func (b *Bus) decide() bool {
	if b.untilDecision--; b.untilDecision > 0 {
		return false
	}
	b.untilDecision = decideEvery
	if b.dominant = b.challenge(); b.dominant == nil {
		return false
	}
	// Over a link speaks now one, now another.
	speaker := b.dominant.speaker()
	if speaker == 0 || speaker == b.speaker {
		return false
	}
	b.speaker = speaker
	b.spoken = append(without(b.spoken, speaker), 0)
	copy(b.spoken[1:], b.spoken)
	b.spoken[0] = speaker
	b.spoken = b.spoken[:min(len(b.spoken), mostSpoken)]
	b.publish()
	return true
}

// mostSpoken bounds the list of speakers, in which those of other workers stay when they have gone: more than there are
// panes in any layout.
const mostSpoken = 100

// challenge returns who takes over from the dominant source, or that source.
func (b *Bus) challenge() *Source {
	var defending *talk
	if b.dominant != nil {
		defending = &b.dominant.talk
	}
	best := b.dominant
	var most float64
	for _, s := range b.sources {
		if s == b.dominant || s.talk.loud == 0 {
			continue
		}
		if lead, ok := overtakes(&s.talk, defending); ok && (best == b.dominant || lead > most) {
			best, most = s, lead
		}
	}
	return best
}

// lead finds who leads among the bus's own sources. It is asked in every tick, for the answer must be at the other workers
// before they find out that somebody speaks here.
func (b *Bus) lead() {
	var leading *talk
	if b.leader != nil {
		leading = &b.leader.talk
	}
	for _, s := range b.sources {
		if s == b.leader || s.talk.loud == 0 || s.options.Load().Link || !leads(&s.talk, leading) {
			continue
		}
		b.leader, leading = s, &s.talk
	}
	if b.leader != nil {
		b.voice.Store(b.leader.id)
	}
}
