package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"rotunda/services/media/bench/wire"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
)

const (
	voiceRate   = 48000
	voiceFrame  = voiceRate / 50
	voiceFrames = 200 // 4 s before the loop begins again
	// opusBitrate is set on both sides. The worker encodes with the least complexity, as does the peer: its least is 1.
	opusBitrate     = 32000
	opusComplexity  = 0
	janusComplexity = 1
)

// voiceTone is the frequency that voice number n is recognised by: no multiple of another, all within 300 to 3,300 Hz.
func voiceTone(n int) float64 { return 317 + 131*float64(n) }

// newVoice makes somebody who speaks, in Opus: a tone with harmonics in syllables of a quarter of a second, over a little
// noise. Level −1 or lower makes one who is silent: noise of so many dB alone.
func newVoice(n, level int) (*wire.Clip, error) {
	e, err := codec.NewAudioEncoder(control.Opus, codec.AudioOptions{Bitrate: opusBitrate, Complexity: opusComplexity})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	clip := &wire.Clip{Every: 20 * time.Millisecond, Step: voiceFrame}
	random := rand.New(rand.NewPCG(uint64(n), 1))
	noise := math.Pow(10, -70.0/20)
	if level < 0 {
		noise = math.Pow(10, float64(level)/20)
	}
	pcm, packet := make([]int16, voiceFrame), make([]byte, codec.MaxAudioPacket)
	w := 2 * math.Pi * voiceTone(n) / voiceRate
	for frame := range voiceFrames {
		power := 0.0
		for i := range pcm {
			t := frame*voiceFrame + i
			v := noise * random.NormFloat64()
			if level == 0 {
				// Whole periods of the syllables fit into the loop; neighbours speak out of step.
				syllable := math.Sin(2*math.Pi*4*float64(t)/voiceRate + float64(n))
				v += max(syllable, 0.1) * (0.2*math.Sin(w*float64(t)) + 0.06*math.Sin(2*w*float64(t)) + 0.03*math.Sin(3*w*float64(t)))
			}
			power += v * v
			pcm[i] = int16(max(-1, min(1, v)) * 32767)
		}
		size, err := e.Encode(packet, pcm)
		if err != nil {
			return nil, fmt.Errorf("encode a voice: %w", err)
		}
		dB := 10 * math.Log10(power/voiceFrame+1e-13)
		clip.Units = append(clip.Units, wire.Unit{Payloads: [][]byte{append([]byte(nil), packet[:size]...)}, Level: int8(max(-127, min(0, dB)))})
	}
	return clip, nil
}

// ear decodes what one listener gets.
type ear struct {
	decoder codec.AudioDecoder // nil where pcm comes from a file
	rate    int
	pcm     []int16
	frame   []int16
}

func newEar() (*ear, error) {
	d, err := codec.NewAudioDecoder(control.Opus)
	if err != nil {
		return nil, err
	}
	return &ear{decoder: d, rate: d.Rate(), frame: make([]int16, 6*voiceFrame)}, nil
}

func (e *ear) hear(payload []byte) {
	if n, err := e.decoder.Decode(e.frame, payload); err == nil {
		e.pcm = append(e.pcm, e.frame[:n]...)
	}
}

// tone is the level of a frequency in parts of the whole signal's root mean square.
func (e *ear) tone(frequency float64) float64 {
	w := 2 * math.Pi * frequency / float64(e.rate)
	var s1, s2, power float64
	for _, v := range e.pcm {
		s1, s2 = float64(v)+2*math.Cos(w)*s1-s2, s1
		power += float64(v) * float64(v)
	}
	if power == 0 {
		return 0
	}
	n := float64(len(e.pcm))
	return math.Sqrt((s1*s1+s2*s2-2*math.Cos(w)*s1*s2)*2/n) / math.Sqrt(power)
}
