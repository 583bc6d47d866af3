package audio

import (
	"encoding/binary"
	"math"

	"rotunda/services/media/control"
)

// silent is the lowest level, in dBov as RFC 6464 counts: 0 is the loudest square wave, -127 digital silence.
const silent = -127

// levelOf turns a mean square of 16-bit samples into dBov.
func levelOf(meanSquare float64) int {
	if meanSquare < 1e-3 {
		return silent
	}
	return max(silent, min(0, int(math.Round(10*math.Log10(meanSquare/(32768*32768))))))
}

// levelOfSamples is levelOf of a block.
func levelOfSamples(x []float32) int {
	return levelOf(float64(dot(x, x)) / float64(len(x)))
}

// expand are the 16-bit samples of all G.711 codes, energy their squares: a payload's level costs one table look-up a byte.
var expand, energy = func() (x [2][256]int16, e [2][256]uint32) {
	for c := range 256 {
		x[0][c], x[1][c] = expandMu(byte(c)), expandA(byte(c))
		for law := range x {
			e[law][c] = uint32(int32(x[law][c]) * int32(x[law][c]))
		}
	}
	return x, e
}()

// The laws of G.711 in the tables.
const (
	muLaw = 0
	aLaw  = 1
)

func expandMu(c byte) int16 {
	c = ^c
	v := (int(c&15)<<3+132)<<(c>>4&7) - 132
	if c&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

func expandA(c byte) int16 {
	c ^= 0x55
	v := int(c&15)<<4 + 8
	if e := c >> 4 & 7; e > 0 {
		v = (v + 256) << (e - 1)
	}
	if c&0x80 == 0 {
		v = -v
	}
	return int16(v)
}

// judge finds the level of payloads without decoding them.
type judge struct {
	// scale is the logarithmic step size of G.722's lower band, 2048 an octave.
	scale int
}

// level returns the level of a payload, or false when only a decoder can tell.
func (j *judge) level(codec string, payload []byte) (int, bool) {
	switch codec {
	case control.PCMU:
		return levelG711(&energy[muLaw], payload), true
	case control.PCMA:
		return levelG711(&energy[aLaw], payload), true
	case control.G722:
		return j.levelG722(payload), true
	case control.L16:
		return levelL16(payload), true
	}
	return silent, false
}

func levelG711(table *[256]uint32, payload []byte) int {
	if len(payload) == 0 {
		return silent
	}
	var sum uint64
	for _, c := range payload {
		sum += uint64(table[c])
	}
	ms := float64(sum) / float64(len(payload))
	// The smallest steps of the laws are idle noise: µ-law's zero, A-law's ±8.
	if ms <= 64 {
		return silent
	}
	return levelOf(ms)
}

func levelL16(payload []byte) int {
	if len(payload) < 2 {
		return silent
	}
	var sum int64
	for at := 0; at+1 < len(payload); at += 2 {
		v := int64(int16(binary.BigEndian.Uint16(payload[at:])))
		sum += v * v
	}
	return levelOf(float64(sum) / float64(len(payload)/2))
}

// stepG722 is how a code of the lower band changes the logarithm of the step size (G.722, table 8: W of the 4-bit code).
var stepG722 = [16]int16{-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60}

// The step size of G.722 follows what is left after prediction, which is less of a voice than of noise. A line between
// the two, measured from −10 to −50 dBov, is right to ±6 dB: enough to rank by.
const (
	offsetG722  = -70
	octaveG722  = 6.7 // dB
	leastG722   = 1024
	mostScale   = 18432
	scaleOctave = 2048
)

func (j *judge) levelG722(payload []byte) int {
	if len(payload) == 0 {
		return silent
	}
	sum, scale := 0, j.scale
	for _, c := range payload {
		scale = scale*127>>7 + int(stepG722[c>>2&15])
		scale = max(0, min(mostScale, scale))
		sum += scale
	}
	j.scale = scale
	mean := sum / len(payload)
	if mean < leastG722 {
		return silent
	}
	return min(0, offsetG722+int(float64(mean)*octaveG722/scaleOctave))
}
