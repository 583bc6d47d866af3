package audio

// limiter turns a mix into 16-bit samples. Below −3 dB of full scale it changes nothing; above, a soft knee bends towards
// −0.2 dB. It looks one millisecond ahead, so that the gain is down before the peak comes, and lets go slowly: 20 ms
// after the last peak, in 300 ms. That keeps a 100 Hz tone a tone.
type limiter struct {
	piece int // samples in a millisecond
	gain  float32
	hold  int
	// want is the gain that the delayed piece needs; tail is that piece.
	want float32
	tail []float32
	// quiet is true when the tail holds nothing.
	quiet bool
}

const (
	kneeStart = 0.70 * 32767
	kneeEnd   = 0.98 * 32767
	// In milliseconds, the limiter's steps.
	limitHold = 20
	limitRise = 1.0 / 300
	pieces    = tickMs
)

func newLimiter(rate int) *limiter {
	l := &limiter{piece: rate / 1000, tail: make([]float32, rate/1000)}
	l.reset()
	return l
}

func (l *limiter) reset() {
	l.gain, l.want, l.hold, l.quiet = 1, 1, 0, true
	clear(l.tail)
}

func (l *limiter) copyFrom(o *limiter) {
	l.gain, l.want, l.hold, l.quiet = o.gain, o.want, o.hold, o.quiet
	copy(l.tail, o.tail)
}

// knee is the gain for a peak.
func knee(peak float32) float32 {
	if peak <= kneeStart {
		return 1
	}
	over := peak - kneeStart
	return (kneeStart + over/(1+over/(kneeEnd-kneeStart))) / peak
}

func peakOf(x []float32) float32 {
	var hi, lo float32
	for _, v := range x {
		hi, lo = max(hi, v), min(lo, v)
	}
	return max(hi, -lo)
}

// run takes 20 ms and gives the 20 ms that ended a millisecond before.
func (l *limiter) run(dst []int16, src []float32) {
	n := l.piece
	l.quiet = false
	if l.gain == 1 && l.want == 1 && peakOf(src) <= kneeStart {
		convert(dst[:n], l.tail)
		convert(dst[n:], src[:len(src)-n])
		copy(l.tail, src[len(src)-n:])
		return
	}
	delayed := l.tail
	for k := range pieces {
		ahead := src[k*n : (k+1)*n]
		want := knee(peakOf(ahead))
		end := min(l.want, want)
		if end < l.gain {
			l.hold = limitHold
		} else if l.hold > 0 {
			l.hold--
			end = l.gain
		} else {
			end = min(end, l.gain+limitRise)
		}
		step := (end - l.gain) / float32(n)
		g := l.gain
		out := dst[k*n : (k+1)*n]
		for i, v := range delayed {
			g += step
			out[i] = sample(v * g)
		}
		l.gain, l.want = end, want
		delayed = ahead
	}
	copy(l.tail, delayed)
}

// silence takes 20 ms of silence and says whether what comes out is silent; then nothing was written.
func (l *limiter) silence(dst []int16) bool {
	if l.quiet {
		l.gain, l.want, l.hold = 1, 1, 0
		return true
	}
	n := l.piece
	for i, v := range l.tail {
		dst[i] = sample(v * l.gain * min(1, l.want))
	}
	clear(dst[n:])
	l.reset()
	return false
}

func convert(dst []int16, src []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = sample(v)
	}
}

// sample rounds. Adding 32,768.5 makes the value positive, where cutting off is rounding.
func sample(v float32) int16 {
	return int16(int32(max(0, min(65535.5, v+32768.5))) - 32768)
}
