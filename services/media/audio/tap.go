package audio

import "time"

// Tap hands PCM to a recorder, 20 ms a tick.
type Tap struct {
	bus *Bus
	// source is the one to be heard; all of them when one is false.
	one    bool
	source uint32
	// inner: without links and prompts.
	inner bool
	chain *chain
	give  func(pcm []int16, at time.Time)
}

// Tap gives the mix of everybody at 8, 16 or 48 kHz, 20 ms a call, in the audio thread. The samples are valid until the
// function returns, which must be soon: it holds up the tick.
func (b *Bus) Tap(sampleRate int, give func(pcm []int16, at time.Time)) *Tap {
	return b.addTap(&Tap{bus: b, chain: newChain(sampleRate), give: give})
}

// TapSource gives one source alone, whether it is in the mix or not, and silence while it is not there.
func (b *Bus) TapSource(id uint32, sampleRate int, give func(pcm []int16, at time.Time)) *Tap {
	return b.addTap(&Tap{bus: b, one: true, source: id, chain: newChain(sampleRate), give: give})
}

// TapInner gives what the bus's own sources say, without links and prompts, at 48 kHz: what another worker hears of this
// one. The samples are nil for silence.
func (b *Bus) TapInner(give func(pcm []int16, at time.Time)) *Tap {
	return b.addTap(&Tap{bus: b, inner: true, chain: newChain(rate), give: give})
}

func (b *Bus) addTap(t *Tap) *Tap {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taps = append(b.taps, t)
	b.bind()
	return t
}

// Remove ends it. After it has returned the function is not called any more.
func (t *Tap) Remove() {
	b := t.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taps = without(b.taps, t)
	b.bind()
}

// run gives the tick.
func (t *Tap) run(tick int64, due time.Time) {
	b := t.bus
	mix := b.total()
	if t.inner {
		mix = b.inner
	}
	if t.one {
		mix = nil
		if s := b.byID[t.source]; s != nil && s.rendered && s.sounding {
			mix = s.alone
		}
	}
	t.chain.run(tick, mix, nil, nil)
	if !t.chain.sounding {
		if t.inner {
			t.give(nil, due)
			return
		}
		clear(t.chain.pcm)
	}
	t.give(t.chain.pcm, due)
}
