package prompts

import (
	"encoding/binary"
	"errors"
	"math"
)

// Rate is that of the files: wideband telephony. The media engine makes of it what a call needs.
const Rate = 16000

// readWAV reads what espeak-ng writes: PCM of 16 bits, mono.
func readWAV(b []byte) (pcm []float64, rate int, err error) {
	if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || string(b[36:40]) != "data" {
		return nil, 0, errors.New("not a plain WAV file")
	}
	le := binary.LittleEndian
	if le.Uint16(b[20:]) != 1 || le.Uint16(b[22:]) != 1 || le.Uint16(b[34:]) != 16 {
		return nil, 0, errors.New("not 16-bit mono PCM")
	}
	for b, rate = b[44:], int(le.Uint32(b[24:])); len(b) >= 2; b = b[2:] {
		pcm = append(pcm, float64(int16(le.Uint16(b)))/(1<<15))
	}
	if rate < Rate || rate > 4*Rate {
		return nil, 0, errors.New("a rate that is not expected")
	}
	return pcm, rate, nil
}

// step between two values of a sample: 13 bits are what G.711 is made of, and the rest is noise that cannot be compressed.
const step = 8

func writeWAV(pcm []float64) []byte {
	le := binary.LittleEndian
	n := 2 * len(pcm)
	b := append(make([]byte, 0, 44+n), "RIFF"...)
	b = append(le.AppendUint32(b, uint32(36+n)), "WAVEfmt "...)
	b = le.AppendUint16(le.AppendUint16(le.AppendUint32(b, 16), 1), 1)
	b = le.AppendUint16(le.AppendUint16(le.AppendUint32(le.AppendUint32(b, Rate), 2*Rate), 2), 16)
	b = le.AppendUint32(append(b, "data"...), uint32(n))
	for _, v := range pcm {
		b = le.AppendUint16(b, uint16(int16(math.Round(max(-0.99, min(v, 0.99))*math.MaxInt16/step)*step)))
	}
	return b
}

// reach is how many samples on each side make one: the filter is 80 dB down above the new half rate.
const reach = 40

// resample brings sound to Rate by a windowed sinc.
func resample(pcm []float64, rate int) []float64 {
	if rate == Rate {
		return pcm
	}
	// The place of a new sample among the old ones is a whole number and a part, kept in integers: long sounds drift otherwise. There
	// are a few hundred different parts, each with its filter.
	filters := map[int][]float64{}
	out := make([]float64, len(pcm)*Rate/rate)
	for i := range out {
		whole, part := i*rate/Rate, i*rate%Rate
		f := filters[part]
		if f == nil {
			f = filter(float64(part)/Rate, 0.94*float64(Rate)/float64(rate))
			filters[part] = f
		}
		var sum float64
		for k := max(whole-reach+1, 0); k <= min(whole+reach, len(pcm)-1); k++ {
			// The conversion keeps compilers from fusing the multiplication and the addition, which rounds otherwise.
			sum += float64(pcm[k] * f[k-whole+reach-1])
		}
		out[i] = sum
	}
	return out
}

// filter is what the samples around a place count, from reach-1 before its whole number on.
func filter(part, cut float64) []float64 {
	f := make([]float64, 2*reach)
	for i := range f {
		x := float64(i-reach+1) - part
		f[i] = cut * sinc(cut*x) * window(x)
	}
	return f
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// window is Blackman's.
func window(x float64) float64 {
	if math.Abs(x) >= reach {
		return 0
	}
	return 0.42 + float64(0.5*math.Cos(math.Pi*x/reach)) + float64(0.08*math.Cos(2*math.Pi*x/reach))
}

// quiet is the level below which there is nothing to hear, −50 dB.
const quiet = 0.00316

// trim leaves 30 ms of silence before the first sound and after milliseconds behind the last.
func trim(pcm []float64, after int) []float64 {
	first, last := len(pcm), 0
	for i, v := range pcm {
		if math.Abs(v) > quiet {
			first, last = min(first, i), i
		}
	}
	if first > last {
		return nil
	}
	out := append([]float64(nil), pcm[max(first-30*Rate/1000, 0):last+1]...)
	return append(out, make([]float64, after*Rate/1000)...)
}

// Levels: the mean of what is spoken, −22 dBov, and the highest peak, −2 dBov.
const (
	loudness = 0.0794
	peak     = 0.79
)

// level makes prompts equally loud. Pauses do not count.
func level(pcm []float64) []float64 {
	var sum, highest float64
	n := 0
	for _, v := range pcm {
		highest = max(highest, math.Abs(v))
		if math.Abs(v) > quiet {
			sum += float64(v * v)
			n++
		}
	}
	if n == 0 {
		return pcm
	}
	gain := min(loudness/math.Sqrt(sum/float64(n)), peak/highest)
	for i := range pcm {
		pcm[i] *= gain
	}
	return pcm
}
