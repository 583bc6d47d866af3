package audio

import "math"

// Dominant speaker identification after Volfin and Cohen, "Dominant speaker identification for multipoint
// videoconferencing" (Computer Speech and Language 27, 2013): how much a source speaks is scored over an immediate, a
// medium (100 ms) and a long (1 s) window, each as the logarithm of how likely the counts are for speech rather than for
// silence. Another source takes over when it beats the dominant one in all three. The numbers are those of the paper, for
// ticks of 20 ms, with one rule more: a cough into the silence does not last long enough for leastLong.
const (
	bands       = 13 // of ten decibels: the immediate window counts the ones that are filled
	blockTicks  = 5  // a medium block
	longBlocks  = 10
	historySize = blockTicks * longBlocks
	// loudBand is what an immediate value must exceed to count in its block, -48 dBov; fullBlock what a block must to count.
	loudBand  = 8
	fullBlock = 4
	// The new speaker must beat the old by these, in natural logarithms of the scores.
	immediateLead, mediumLead, longLead = 3, 2, 0
	// leastLong is how many of the last ten blocks must be full before anybody takes over from somebody.
	leastLong = 4
	// decideEvery ticks: 300 ms.
	decideEvery = 15
	leastScore  = 1e-10
)

// score is the likelihood ratio of seeing v of n under speech (binomial, even odds) and silence (exponential).
func score(v, n int, lambda float64) float64 {
	s := logBinomial(n, v) - float64(n)*math.Ln2 - math.Log(lambda) + lambda*float64(v)
	return max(s, leastScore)
}

func logBinomial(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// The logarithms of the scores of all counts.
var immediateScores, mediumScores, longScores = scores(bands, 0.78), scores(blockTicks, 24), scores(longBlocks, 47)

func scores(n int, lambda float64) []float64 {
	out := make([]float64, n+1)
	for v := range out {
		out[v] = math.Log(score(v, n, lambda))
	}
	return out
}

// talk is what one source has said in the last second.
type talk struct {
	history [historySize]uint8 // filled bands, a ring
	at      int
	// loud is how many of the history are not zero: a source without any is not looked at.
	loud int
	// floor is the noise of the source's room in dBov: the least level of this second and the one before. Speech has a
	// gap in every second; what has none is a fan, or music, which loudestFloor tells apart.
	recent, before int
}

// loudestFloor in dBov: what is more than roomAbove louder than this is no noise.
const (
	loudestFloor = -45
	roomAbove    = 10
)

// hear takes the level of a tick.
func (t *talk) hear(level int) {
	if t.at == 0 {
		t.before, t.recent = t.recent, level
	}
	t.recent = min(t.recent, level)
	floor := min(t.recent, t.before, loudestFloor)
	band := 0
	if level > floor+roomAbove {
		band = min(bands, (level-silent)/10+1)
	}
	old := &t.history[t.at]
	if *old > 0 {
		t.loud--
	}
	if *old = uint8(band); band > 0 {
		t.loud++
	}
	if t.at++; t.at == historySize {
		t.at = 0
	}
}

// counts are the values of the three windows: the newest tick, the newest block, and the full blocks.
func (t *talk) counts() (immediate, medium, long int) {
	at := t.at
	for block := range longBlocks {
		n := 0
		for k := range blockTicks {
			if at--; at < 0 {
				at = historySize - 1
			}
			v := int(t.history[at])
			if block == 0 && k == 0 {
				immediate = v
			}
			if v > loudBand {
				n++
			}
		}
		if block == 0 {
			medium = n
		}
		if n > fullBlock {
			long++
		}
	}
	return immediate, medium, long
}

// leads says whether a source has said more in the last second than who led up to now, and enough for a word; a nil leader is
// silence.
func leads(t, leader *talk) bool {
	_, m, l := t.counts()
	if leader == nil {
		return m > 0
	}
	_, _, ll := leader.counts()
	return l >= leastLong && l > ll+1
}

// overtakes says whether a source takes over from the dominant one, and by how much; a nil dominant is silence.
func overtakes(t, dominant *talk) (lead float64, ok bool) {
	i, m, l := t.counts()
	if dominant == nil {
		return mediumScores[m], m > 0
	}
	di, dm, dl := dominant.counts()
	lead = mediumScores[m] - mediumScores[dm]
	return lead, l >= leastLong &&
		immediateScores[i]-immediateScores[di] > immediateLead &&
		lead > mediumLead &&
		longScores[l]-longScores[dl] > longLead
}
