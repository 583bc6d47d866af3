package audio

import "time"

// wants says whether the listener needs a mix of its own in this tick: it is in the mix itself, has prompts, is deaf, or
// its volume is on the way. With packets of 40 ms it can only come back to the common ones between two packets; the way
// out of them is open at any time, since the first half is known.
func (l *Listener) wants(tick int64) bool {
	if l.options.Hold {
		return false
	}
	if l.self != nil && l.self.mixed || len(l.prompts.list) > 0 || l.options.Deaf || l.volume != 1 {
		return true
	}
	return l.personal && l.group.key.packetMs == 40 && tick&1 == 1
}

// advance moves the time stamp on; ticks that were left out or on hold are a pause.
func (l *Listener) advance(tick, skipped int64, now time.Time) {
	units := l.units.Load()
	l.timestamp += uint32((1 + skipped) * units * tickMs / 1000)
	if skipped > 0 || l.options.Hold {
		l.paused = true
	}
	l.clock.Store(uint64(tick)<<32 | uint64(l.timestamp))
	phase := int64(now.Sub(epoch)) - tick*int64(tickMs*time.Millisecond)
	if l.phase.Load() != phase {
		l.phase.Store(phase)
	}
}

// emit sends the packets of a voice.
func (l *Listener) emit(v *voice) {
	units := uint32(l.units.Load())
	at := l.timestamp
	if v.key.packetMs == 40 {
		at -= units * tickMs / 1000
	}
	for i := range v.count {
		p := &v.packets[i]
		if p.skip {
			l.paused = true
		} else {
			l.send(p.payload, at, l.paused)
			l.paused = false
		}
		at += units * uint32(v.key.packetMs) / 1000
	}
}

// take returns a spare encoder, or makes one.
func (g *group) take(b *Bus) *voice {
	if n := len(g.spare); n > 0 {
		v := g.spare[n-1]
		g.spare = g.spare[:n-1]
		return v
	}
	v, err := newVoice(g.key, b.config.Encoder)
	if err != nil {
		// The first of this kind could be made; out of memory is all that is left.
		return nil
	}
	return v
}

// speakAlone serves the listeners of the group that need a mix of their own. All groups do this before any does the
// common part, so that what the common chains and encoders remember is the tick before.
func (g *group) speakAlone(b *Bus, tick, skipped int64, now time.Time) {
	sharing := 0
	for _, l := range g.members {
		l.advance(tick, skipped, now)
		l.personal = l.wants(tick)
		if !l.personal && !l.options.Hold {
			sharing++
		}
	}
	before := g.shared
	if sharing == 0 && g.shared != nil {
		g.spare = append(g.spare, g.shared)
		g.shared = nil
	}
	for _, l := range g.members {
		if !l.personal {
			continue
		}
		if l.voice == nil {
			if l.voice = g.take(b); l.voice == nil {
				continue
			}
			if before != nil {
				l.voice.chain.copyFrom(b.chainAt(l.rate))
				if l.voice != before {
					l.voice.follow(before)
				}
			}
		}
		b.done = l.voice.chain.run(tick, l.mix(b), &l.prompts, b.done)
		l.voice.add(tick, l.voice.chain.pcm, l.voice.chain.sounding)
		l.emit(l.voice)
	}
}

// mix makes what the listener hears of the conference: everybody but itself, quieter under prompts.
func (l *Listener) mix(b *Bus) *[tickLength]float32 {
	want := float32(1)
	switch {
	case l.options.Deaf || l.prompts.instead():
		want = 0
	case len(l.prompts.list) > 0:
		want = duck
	}
	from := l.volume
	l.volume = want
	mix := b.total()
	if mix == nil || from == 0 && want == 0 {
		return nil
	}
	if s := l.self; s != nil && s.mixed && s.sounding {
		if b.voices == 1 {
			return nil
		}
		for i, v := range s.out {
			b.own[i] = mix[i] - v
		}
		mix = &b.own
	}
	if from == 1 && want == 1 {
		return mix
	}
	step := (want - from) / tickLength
	for i, v := range mix {
		from += step
		b.own[i] = v * from
	}
	return &b.own
}

// speakTogether serves all the others with one encode.
func (g *group) speakTogether(b *Bus, tick int64) {
	var before *chain
	sharing := false
	for _, l := range g.members {
		if l.personal {
			continue
		}
		if l.voice != nil {
			if before = l.voice.chain; g.shared == nil && !l.options.Hold {
				// The first one who comes back brings its encoder along.
				g.shared, l.voice = l.voice, nil
			} else {
				g.put(l)
			}
		}
		sharing = sharing || !l.options.Hold
	}
	if !sharing {
		return
	}
	if g.shared == nil {
		if g.shared = g.take(b); g.shared == nil {
			return
		}
	}
	c := b.shared(g.shared.enc.Rate(), before)
	g.shared.add(tick, c.pcm, c.sounding)
	for _, l := range g.members {
		if !l.personal && !l.options.Hold {
			l.emit(g.shared)
		}
	}
}
