package audio

// Stretching makes sound a little longer or shorter without changing its pitch: a piece as long as the best-fitting lag is
// repeated or taken out, with a cross-fade over overlap samples (WSOLA). Lags are 2.5 to 12.5 ms, pitches of 80 to 400 Hz.
const (
	minLag  = rate * 25 / 10000
	maxLag  = rate * 125 / 10000
	overlap = rate * 5 / 1000
	// stretchRoom is what a stretch looks at.
	stretchRoom = maxLag + overlap
	coarse      = 6
)

// fit finds the lag at which x repeats itself best, and how well (1 is perfectly). It searches at 8 kHz and refines at 48.
func fit(x []float32) (lag int, quality float32) {
	var y [stretchRoom / coarse]float32
	for i := range y {
		var s float32
		for _, v := range x[i*coarse : (i+1)*coarse] {
			s += v
		}
		y[i] = s
	}
	const window = overlap / coarse
	best, bestAt := float32(-2), minLag/coarse
	own := dot(y[:window], y[:window])
	for l := minLag / coarse; l <= maxLag/coarse; l++ {
		if q := likeness(dot(y[:window], y[l:l+window]), own, dot(y[l:l+window], y[l:l+window])); q > best {
			best, bestAt = q, l
		}
	}
	lag, quality = bestAt*coarse, -2
	own = dot(x[:overlap], x[:overlap])
	for l := max(minLag, lag-coarse); l <= min(maxLag, lag+coarse); l++ {
		if q := likeness(dot(x[:overlap], x[l:l+overlap]), own, dot(x[l:l+overlap], x[l:l+overlap])); q > quality {
			quality, bestAt = q, l
		}
	}
	return bestAt, quality
}

// likeness is the squared normalised correlation with its sign, which needs no root.
func likeness(cross, a, b float32) float32 {
	if a == 0 || b == 0 {
		return 0
	}
	q := cross / a * (cross / b)
	if cross < 0 {
		return -q
	}
	return q
}

// shrink takes lag samples out of the front of x and returns the rest of it, in place.
func shrink(x []float32, lag int) []float32 {
	var first [overlap]float32 // the pieces overlap each other when the lag is short
	copy(first[:], x)
	out := x[lag:]
	for i, v := range first {
		w := float32(i) / overlap
		out[i] = v*(1-w) + out[i]*w
	}
	return out
}

// grow repeats the first lag samples of x[:n]; x has room for n+lag samples.
func grow(x []float32, n, lag int) {
	copy(x[lag:n+lag], x[:n])
	// x[:lag] is the first pass; where the second begins the old continuation fades out. It lies lag further up now.
	for i := range overlap {
		w := float32(i) / overlap
		x[lag+i] = x[2*lag+i]*(1-w) + x[lag+i]*w
	}
}
