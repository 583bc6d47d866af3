package codec

import "math"

// Concealment for codecs that have none of their own, after the idea of G.711 appendix I: speech is periodic for longer
// than a packet, so the last period goes on, softly fades, and is cross-faded into what comes next.

const (
	// pastMs of sound are kept: two of the longest periods.
	pastMs = 40
	// Periods between 2.5 ms (400 Hz) and 15 ms (66 Hz), the range of voices.
	shortestPeriod, longestPeriod = 2.5, 15.0
	// fadeAfterMs at full loudness, and silence after concealMs: longer guesses sound like a machine.
	fadeAfterMs, concealMs = 10, 60
	// overlapMs of cross-fade from the guess to what really comes.
	overlapMs   = 4
	highestRate = 16000
)

// past is the end of what was heard, with the state of a concealment in progress.
type past struct {
	samples [pastMs * highestRate / 1000]int16
	// filled samples are at the end of the array.
	filled int
	// period of the running concealment in samples, 0 for none; done is how long it goes on already.
	period, done int
}

// heard takes decoded sound, and blends its start if it follows a concealment.
func (p *past) heard(pcm []int16, rate int) {
	if p.period > 0 {
		n := min(overlapMs*rate/1000, len(pcm))
		for i := range n {
			guess := float64(p.guess(rate))
			w := float64(i+1) / float64(n+1)
			pcm[i] = int16(guess*(1-w) + float64(pcm[i])*w)
		}
		p.period, p.done = 0, 0
	}
	p.keep(pcm, rate)
}

func (p *past) keep(pcm []int16, rate int) {
	all := p.samples[:pastMs*rate/1000]
	if len(pcm) >= len(all) {
		copy(all, pcm[len(pcm)-len(all):])
		p.filled = len(all)
		return
	}
	copy(all, all[len(pcm):])
	copy(all[len(all)-len(pcm):], pcm)
	p.filled = min(p.filled+len(pcm), len(all))
}

// conceal fills pcm by a guess.
func (p *past) conceal(pcm []int16, rate int) {
	if p.period == 0 {
		p.period = p.findPeriod(rate)
	}
	for i := range pcm {
		pcm[i] = p.guess(rate)
	}
}

// guess returns the next sample of the concealment.
func (p *past) guess(rate int) int16 {
	all := p.samples[:pastMs*rate/1000]
	s := all[len(all)-p.period+p.done%p.period]
	ms := p.done * 1000 / rate
	p.done++
	switch {
	case ms >= concealMs:
		return 0
	case ms >= fadeAfterMs:
		return int16(int(s) * (concealMs - ms) / (concealMs - fadeAfterMs))
	}
	return s
}

// findPeriod returns the lag at which the end of the past is most like what came before.
func (p *past) findPeriod(rate int) int {
	all := p.samples[:pastMs*rate/1000]
	shortest, longest := int(shortestPeriod*float64(rate)/1000), int(longestPeriod*float64(rate)/1000)
	if p.filled < 2*longest {
		return longest
	}
	end := all[len(all)-longest:]
	best, period := math.Inf(-1), longest
	for lag := shortest; lag <= longest; lag++ {
		var product, energy float64
		before := all[len(all)-longest-lag : len(all)-lag]
		for i, s := range end {
			product += float64(s) * float64(before[i])
			energy += float64(before[i]) * float64(before[i])
		}
		if energy == 0 {
			continue
		}
		if score := product / math.Sqrt(energy); score > best {
			best, period = score, lag
		}
	}
	return period
}
