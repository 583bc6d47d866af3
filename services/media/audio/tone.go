package audio

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// tones are the names. Ringback and busy are those of North America and, being E.180's, understood everywhere.
var tones = map[string]string{
	"join":     "660/90,880/140",
	"leave":    "880/90,660/140",
	"ringback": "440+480/2000,0/4000",
	"busy":     "480+620/500,0/500",
}

// segment is a part of a tone: frequencies in hertz that sound together, none for silence.
type segment struct {
	frequencies []int
	ms          int
}

// Bounds of a tone. A segment lasts 10 s at most, all of them 30 s.
const (
	maxSegments    = 16
	maxFrequencies = 4
	maxSegmentMs   = 10_000
	maxToneMs      = 30_000
	leastFrequency = 20
	mostFrequency  = 3800 // a telephone carries it
)

// parseTone reads a name or a cadence: segments "440+480/2000" of frequencies and milliseconds, with commas between.
func parseTone(s string) ([]segment, error) {
	if t, ok := tones[s]; ok {
		s = t
	}
	var out []segment
	total := 0
	for part := range strings.SplitSeq(s, ",") {
		if len(out) == maxSegments {
			return nil, fmt.Errorf("tone of more than %d segments", maxSegments)
		}
		list, length, ok := strings.Cut(part, "/")
		ms, err := strconv.Atoi(length)
		if !ok || err != nil || ms < 1 || ms > maxSegmentMs {
			return nil, fmt.Errorf("tone segment %q: want frequencies/milliseconds, at most %d ms", part, maxSegmentMs)
		}
		g := segment{ms: ms}
		if list != "0" {
			for f := range strings.SplitSeq(list, "+") {
				hz, err := strconv.Atoi(f)
				if err != nil || hz < leastFrequency || hz > mostFrequency || len(g.frequencies) == maxFrequencies {
					return nil, fmt.Errorf("tone segment %q: want up to %d frequencies of %d to %d Hz", part, maxFrequencies, leastFrequency, mostFrequency)
				}
				g.frequencies = append(g.frequencies, hz)
			}
		}
		if total += ms; total > maxToneMs {
			return nil, fmt.Errorf("tone longer than %d ms", maxToneMs)
		}
		out = append(out, g)
	}
	return out, nil
}

// makeTone makes one cycle: −16 dBov for each segment, whatever the number of frequencies, with slopes of 4 ms so that
// nothing clicks. A tone of one segment that ends on a whole cycle has none: it is continuous when looped.
func makeTone(segments []segment, sampleRate int) []int16 {
	var out []int16
	slope := sampleRate * 4 / 1000
	for _, g := range segments {
		n := sampleRate * g.ms / 1000
		at := len(out)
		out = append(out, make([]int16, n)...)
		if len(g.frequencies) == 0 {
			continue
		}
		amplitude := 32768 * math.Pow(10, -16.0/20) * math.Sqrt2 / math.Sqrt(float64(len(g.frequencies)))
		whole := len(segments) == 1
		for _, f := range g.frequencies {
			whole = whole && f*g.ms%1000 == 0
		}
		for i := range n {
			v := 0.0
			for _, f := range g.frequencies {
				v += math.Sin(2 * math.Pi * float64(f) * float64(i) / float64(sampleRate))
			}
			if edge := min(i, n-1-i); !whole && edge < slope {
				v *= 0.5 - 0.5*math.Cos(math.Pi*float64(edge)/float64(slope))
			}
			out[at+i] = int16(v * amplitude)
		}
	}
	return out
}
