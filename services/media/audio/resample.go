package audio

import "math"

// filter is a low-pass for a conversion between 48 kHz and a factor-th of it.
type filter struct {
	factor int
	// taps are at 48 kHz, for going down; phases are the same ones taken apart and scaled, for going up.
	taps   []float32
	phases [][]float32
}

// The filters: 60 dB in the stop band, which begins at half the lower rate. 8 kHz: −6 dB at 3,650 Hz, past the telephone
// band, 2.5 ms delay; 16 kHz: −6 dB at 7,450 Hz, 1.6 ms.
var (
	filter8  = design(6, 240, 3650)
	filter16 = design(3, 156, 7450)
)

func design(factor, n int, cutoff float64) *filter {
	const beta = 5.65 // Kaiser's window for 60 dB
	f := &filter{factor: factor, taps: make([]float32, n)}
	sum := 0.0
	h := make([]float64, n)
	for i := range h {
		t := float64(i) - float64(n-1)/2
		x := 2 * cutoff / rate * t
		w := bessel(beta*math.Sqrt(1-math.Pow(2*t/float64(n-1), 2))) / bessel(beta)
		h[i] = sinc(x) * w
		sum += h[i]
	}
	for i := range h {
		f.taps[i] = float32(h[i] / sum)
	}
	for p := range factor {
		// Output sample p after an input sample: tap p meets the newest input, so that taps are stored newest last.
		phase := make([]float32, n/factor)
		for k := range phase {
			phase[len(phase)-1-k] = float32(h[p+k*factor] / sum * float64(factor))
		}
		f.phases = append(f.phases, phase)
	}
	return f
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel is the modified Bessel function I0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// filterFor returns the filter between 48 kHz and another rate, nil for 48 kHz itself.
func filterFor(r int) *filter {
	switch r {
	case 8000:
		return filter8
	case 16000:
		return filter16
	}
	return nil
}

// resampler converts a stream in one direction. It keeps what it needs of the past.
type resampler struct {
	f *filter
	// past is the history, followed by room for the largest block.
	past []float32
	// zeros is how many silent samples have come in a row.
	zeros int
	keep  int
}

// newUp converts from a factor-th to 48 kHz, newDown the other way; block is the most input at a time.
func newUp(f *filter, block int) *resampler   { return newResampler(f, len(f.taps)/f.factor-1, block) }
func newDown(f *filter, block int) *resampler { return newResampler(f, len(f.taps)-1, block) }

func newResampler(f *filter, keep, block int) *resampler {
	return &resampler{f: f, keep: keep, past: make([]float32, keep+block), zeros: keep}
}

func (r *resampler) reset() {
	clear(r.past[:r.keep])
	r.zeros = r.keep
}

func (r *resampler) copyFrom(o *resampler) {
	copy(r.past[:r.keep], o.past[:o.keep])
	r.zeros = o.zeros
}

// room is where the caller writes n input samples before it calls up or down.
func (r *resampler) room(n int) []float32 { return r.past[r.keep : r.keep+n] }

// up writes n × factor samples to dst.
func (r *resampler) up(dst []float32, n int) {
	for i := range n {
		for p, taps := range r.f.phases {
			dst[i*r.f.factor+p] = dot(taps, r.past[i:])
		}
	}
	r.shift(n)
}

// down makes n/factor samples out of n, a multiple of factor. The taps are symmetric: their order does not matter.
func (r *resampler) down(dst []float32, n int) {
	for i := 0; i < n; i += r.f.factor {
		dst[i/r.f.factor] = dot(r.f.taps, r.past[i:])
	}
	r.shift(n)
}

func (r *resampler) shift(n int) {
	copy(r.past[:r.keep], r.past[n:n+r.keep])
	r.zeros = 0
}

// quiet takes n silent samples and says whether all that comes out of them is silent too, so that nothing needs to be
// computed. When it is false, room holds the silence.
func (r *resampler) quiet(n int) bool {
	if r.zeros >= r.keep {
		return true
	}
	clear(r.room(n))
	return false
}

// dot is the inner product of a and the beginning of b. Four sums at once keep the adders busy.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+8 <= len(a); i += 8 {
		x, y := (*[8]float32)(a[i:]), (*[8]float32)(b[i:])
		s0 += x[0]*y[0] + x[4]*y[4]
		s1 += x[1]*y[1] + x[5]*y[5]
		s2 += x[2]*y[2] + x[6]*y[6]
		s3 += x[3]*y[3] + x[7]*y[7]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
