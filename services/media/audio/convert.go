package audio

import "math"

// convertRate converts a whole sound between any two rates with a windowed sinc of 32 zero crossings. It is for files,
// once when they are loaded.
func convertRate(pcm []int16, from, to int) []int16 {
	if from == to || len(pcm) == 0 {
		return pcm
	}
	const (
		crossings = 16 // on each side
		steps     = 512
		beta      = 7.0
	)
	// Going down, the sinc is as wide as the lower rate wants it. 0.94 leaves room for the slope.
	narrow := 0.94 * min(1, float64(to)/float64(from))
	table := make([]float64, crossings*steps+2)
	for i := range table {
		x := float64(i) / steps
		if x < crossings {
			table[i] = sinc(x) * bessel(beta*math.Sqrt(1-x*x/crossings/crossings)) / bessel(beta)
		}
	}
	reach := crossings / narrow
	out := make([]int16, int(int64(len(pcm))*int64(to)/int64(from)))
	for i := range out {
		at := float64(i) * float64(from) / float64(to)
		sum := 0.0
		for k := max(0, int(math.Ceil(at-reach))); k <= min(len(pcm)-1, int(at+reach)); k++ {
			x := math.Abs(at-float64(k)) * narrow * steps
			j := int(x)
			w := table[j] + (table[j+1]-table[j])*(x-float64(j))
			sum += float64(pcm[k]) * w
		}
		out[i] = int16(math.Round(max(-32768, min(32767, sum*narrow))))
	}
	return out
}
