package audio

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"rotunda/services/media/control"
)

// ListenerOptions are what can change while a listener lives.
type ListenerOptions struct {
	Codec string
	// PacketMs is 10, 20 or 40; 0 means 20.
	PacketMs int
	// Bitrate in bits per second and Complexity, 0 for the codec's default.
	Bitrate, Complexity int
	FEC, DTX            bool
	// Deaf: it hears its own prompts only.
	Deaf bool
	// Hold sends nothing at all, as on a stream that is not sendrecv; time stamps go on.
	Hold bool
}

// Listener is the sound that goes to a leg.
type Listener struct {
	id   uint32
	send func(payload []byte, timestamp uint32, marker bool)
	bus  atomic.Pointer[Bus]

	// What follows is guarded by the bus.
	options ListenerOptions
	group   *group
	// self is its own source when that is on the same bus.
	self    *Source
	prompts players
	// voice is its own encoder, while it hears something else than the others.
	voice    *voice
	personal bool
	// volume is that of the conference at the end of the last tick.
	volume float32

	// rate is that of its encoder.
	rate int
	// timestamp is that of the last tick; paused, that nothing was sent before the next packet.
	timestamp uint32
	paused    bool
	// clock is tick number << 32 | timestamp, for sender reports; phase where ticks lie between multiples of 20 ms.
	clock atomic.Uint64
	phase atomic.Int64
	units atomic.Int64 // of the RTP clock, a second
	// reported is the loss in hundredths of a per cent, loss its class.
	reported atomic.Int32
	loss     int
}

// group are the listeners who get the same bytes while they hear the same.
type group struct {
	key     key
	members []*Listener
	// shared is the encoder for all who hear the common mix; nil while there is nobody.
	shared *voice
	// spare encoders, the last used one last.
	spare []*voice
}

// AddListener adds a listener that does not hear source id (0 for none). Send gets each payload in the audio thread, with
// the bus locked; the bytes are valid until it returns and are shared with other listeners.
func (b *Bus) AddListener(id uint32, o ListenerOptions, send func(payload []byte, timestamp uint32, marker bool)) (*Listener, error) {
	l := &Listener{id: id, send: send, options: o, volume: 1, timestamp: rand.Uint32(), paused: true}
	if err := check(o); err != nil {
		return nil, err
	}
	// The first encoder of a kind is made here, so that what cannot be encoded is known at once.
	v, err := newVoice(keyOf(o, l.loss), b.config.Encoder)
	if err != nil {
		return nil, fmt.Errorf("encoder for %s: %w", o.Codec, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seat(l, v)
	return l, nil
}

func check(o ListenerOptions) error {
	switch o.PacketMs {
	case 0, 10, 20, 40:
		return nil
	}
	return fmt.Errorf("packets of %d ms: want 10, 20 or 40", o.PacketMs)
}

// seat puts a listener into its group. The voice, made for it, is kept if the group has none, else closed.
func (b *Bus) seat(l *Listener, v *voice) {
	k := keyOf(l.options, l.loss)
	g := b.group(k)
	l.rate = v.enc.Rate()
	if g.shared == nil && len(g.spare) == 0 && v.key == k {
		g.spare = append(g.spare, v)
	} else {
		v.enc.Close()
	}
	b.join(l, g)
	l.units.Store(int64(clockOf(k.codec)))
	l.bus.Store(b)
}

// group returns the group of a key.
func (b *Bus) group(k key) *group {
	i := slices.IndexFunc(b.groups, func(g *group) bool { return g.key == k })
	if i < 0 {
		i = len(b.groups)
		b.groups = append(b.groups, &group{key: k})
	}
	return b.groups[i]
}

func (b *Bus) join(l *Listener, g *group) {
	g.members = append(g.members, l)
	l.group = g
	l.self = b.byID[l.id]
}

// regroup moves listeners whose losses changed their class. It is done once a second.
func (b *Bus) regroup() {
	for i := 0; i < len(b.groups); i++ {
		g := b.groups[i]
		for j := 0; g.key.codec == control.Opus && j < len(g.members); j++ {
			l := g.members[j]
			if l.loss = lossClass(l.loss, float64(l.reported.Load())/100); keyOf(l.options, l.loss) == g.key {
				continue
			}
			to := b.group(keyOf(l.options, l.loss))
			last := len(g.members) == 1
			b.unseat(l)
			b.join(l, to)
			if j--; last {
				i--
				break
			}
		}
	}
}

// Report tells what part of the packets the far end has lost lately, in per cent, as its receiver reports say. It never
// waits. With FEC, loss makes the encoder add redundancy.
func (l *Listener) Report(lossPercent float64) { l.reported.Store(int32(lossPercent * 100)) }

// unseat takes it out again. The last one closes the group.
func (b *Bus) unseat(l *Listener) {
	g := l.group
	if g == nil {
		return
	}
	g.put(l)
	g.members = without(g.members, l)
	l.group, l.self = nil, nil
	if len(g.members) == 0 {
		g.close()
		b.groups = without(b.groups, g)
	}
}

// put gives a listener's own encoder back.
func (g *group) put(l *Listener) {
	if l.voice != nil {
		g.spare = append(g.spare, l.voice)
		l.voice = nil
	}
	l.personal = false
}

func (g *group) close() {
	if g.shared != nil {
		g.shared.enc.Close()
	}
	for _, v := range g.spare {
		v.enc.Close()
	}
	g.shared, g.spare = nil, nil
}

// lock locks the bus that the listener is on.
func (l *Listener) lock() *Bus {
	for {
		b := l.bus.Load()
		b.mu.Lock()
		if l.bus.Load() == b {
			return b
		}
		b.mu.Unlock()
	}
}

// Update changes the options; with another codec the next packet is in it.
func (l *Listener) Update(o ListenerOptions) error {
	if err := check(o); err != nil {
		return err
	}
	b := l.lock()
	k := keyOf(o, l.loss)
	b.mu.Unlock()
	v, err := newVoice(k, b.config.Encoder)
	if err != nil {
		return fmt.Errorf("encoder for %s: %w", o.Codec, err)
	}
	b = l.lock()
	defer b.mu.Unlock()
	if l.group == nil || k == l.group.key {
		l.options = o
		v.enc.Close()
		return nil
	}
	for _, p := range l.prompts.list {
		p.retune(v.enc.Rate())
	}
	b.unseat(l)
	l.options = o
	b.seat(l, v)
	return nil
}

// Play plays a prompt to this listener.
func (l *Listener) Play(p Play) error {
	for {
		b := l.lock()
		sampleRate, prompts := l.rate, b.config.Prompts
		b.mu.Unlock()
		// Files are read with no lock held.
		r, err := newPlayer(p, prompts, sampleRate)
		if err != nil {
			return err
		}
		b = l.lock()
		if l.rate != sampleRate { // the codec changed meanwhile
			b.mu.Unlock()
			continue
		}
		err = l.prompts.start(r)
		b.mu.Unlock()
		return err
	}
}

// Stop ends a prompt; an empty id ends all.
func (l *Listener) Stop(id string) {
	b := l.lock()
	defer b.mu.Unlock()
	l.prompts.stop(id)
}

// Timestamp is the RTP time that belongs to a moment, for sender reports. It never waits.
func (l *Listener) Timestamp(at time.Time) uint32 {
	c := l.clock.Load()
	ticked := epoch.Add(time.Duration(c>>32)*tickMs*time.Millisecond + time.Duration(l.phase.Load()))
	return uint32(c) + uint32(int64(at.Sub(ticked))*l.units.Load()/int64(time.Second))
}

// Move takes the listener and its prompts to another bus; time stamps go on.
func (l *Listener) Move(to *Bus) error {
	from := l.lock()
	k, seated := keyOf(l.options, l.loss), l.group != nil
	from.mu.Unlock()
	if from == to || !seated {
		return nil
	}
	v, err := newVoice(k, to.config.Encoder)
	if err != nil {
		return fmt.Errorf("encoder for %s: %w", k.codec, err)
	}
	defer lockBoth(from, to)()
	if l.bus.Load() != from || l.group == nil || keyOf(l.options, l.loss) != v.key {
		v.enc.Close()
		return errors.New("listener changed while it was moved")
	}
	from.unseat(l)
	to.seat(l, v)
	return nil
}

// lockBoth locks two buses in the order of their numbers.
func lockBoth(a, b *Bus) (unlock func()) {
	if a.number > b.number {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// Remove takes the listener away; its prompts are done.
func (l *Listener) Remove() {
	b := l.lock()
	b.unseat(l)
	done := l.prompts.drain(nil)
	b.mu.Unlock()
	call(done)
}
