package audio

import "math"

// gainControl evens out how loud people are: speech is brought slowly to targetLevel, noise is left alone. Levels and gains
// are in dB. It decides once a tick and is a pure function of the levels it has seen.
type gainControl struct {
	gain  float64 // what speech gets
	noise float64 // floor of the room
	level float64 // of speech, slow
	since int     // ticks since speech
	heard bool    // there has been speech
}

const (
	targetLevel = -26.0 // dBov of running speech, as P.56 measures it in telephony
	mostGain    = 18.0
	leastGain   = -12.0
	// loudestNoise is how loud the floor of a room may become by the gain.
	loudestNoise = -52.0
	gainUp       = 0.06 // a tick: 3 dB a second
	gainDown     = 0.2  // 10 dB a second
	// gateAfter is how many ticks without speech close the gate: then nothing is made louder.
	gateAfter = 15
)

// next takes the level of a tick and returns the gain for it.
func (g *gainControl) next(level int) float64 {
	l := float64(level)
	if g.noise == 0 {
		g.noise = -60
	}
	// The floor falls fast and rises by a decibel a second. Digital silence is no room.
	if l < g.noise {
		g.noise = max(-75, g.noise+0.3*(l-g.noise))
	} else {
		g.noise = min(-30, g.noise+0.02)
	}
	if l > g.noise+12 && l > -55 {
		if !g.heard {
			g.level, g.heard = l, true
		}
		// 0.4 s up, 1 s down: the gaps between syllables count less than the syllables.
		k := 0.05
		if l < g.level {
			k = 0.02
		}
		g.level += k * (l - g.level)
		g.since = 0
		want := max(leastGain, min(mostGain, targetLevel-g.level))
		want = min(want, max(0, loudestNoise-g.noise))
		g.gain += max(-gainDown, min(gainUp, want-g.gain))
	} else {
		g.since++
	}
	if g.since > gateAfter {
		return min(0, g.gain)
	}
	return g.gain
}

func (g *gainControl) reset() { *g = gainControl{} }

// factor turns decibels into a factor.
func factor(db float64) float32 {
	if db == 0 {
		return 1
	}
	return float32(math.Pow(10, db/20))
}
