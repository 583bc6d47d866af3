package audio

// candidate is what is known of a source when the loudest few are chosen.
type candidate struct {
	// loudness in dBov rises at once and falls by decay a tick, so that a syllable's gap is no silence.
	loudness float32
	chosen   bool
	// kept is how many ticks it stays without being among the loudest.
	kept   int
	ranked bool
}

const (
	decay = 1 // dB a tick, 50 dB a second
	// audible is what may be mixed at all.
	audible = -60
	// advantage in dB of who is in the mix over who wants to come in, so that two equally loud people do not take turns.
	advantage = 6
	// extraPlaces are for those who fade from the rank.
	extraPlaces = 2
)

// hear takes the level of a tick.
func (c *candidate) hear(level int) {
	c.loudness = max(float32(level), c.loudness-decay)
}

// choose marks who is in the mix: the loudest ones by rank, and those who were among them within the last hold ticks, as
// long as there is a place; of these the ones who fell from the rank first go first. The list holds everybody who is
// audible or chosen. Nobody who speaks on is cut within a word: to lose a place he must be quieter than all of the rank for
// the whole hold, or two others must have come since.
func choose(list []*candidate, places, hold int) {
	for _, c := range list {
		c.ranked = false
	}
	for range places {
		var best *candidate
		var most float32
		for _, c := range list {
			score := c.loudness
			if c.chosen {
				score += advantage
			}
			if !c.ranked && c.loudness > audible && (best == nil || score > most) {
				best, most = c, score
			}
		}
		if best == nil {
			break
		}
		best.ranked = true
	}
	n := 0
	for _, c := range list {
		switch {
		case c.ranked:
			c.chosen, c.kept = true, hold
		case c.chosen:
			c.kept--
			c.chosen = c.kept > 0
		}
		if c.chosen {
			n++
		}
	}
	for ; n > places+extraPlaces; n-- {
		var first *candidate
		for _, c := range list {
			if c.chosen && !c.ranked && (first == nil || c.kept < first.kept) {
				first = c
			}
		}
		first.chosen = false
	}
}
