package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sound files are bounded: half an hour of music on hold at 48 kHz stereo is 330 MB, which no prompt needs.
const (
	maxFile   = 64 << 20
	maxFrames = 30 * 60 * rate
)

// Formats of WAVE.
const (
	wavePCM        = 1
	waveALaw       = 6
	waveMuLaw      = 7
	waveExtensible = 0xfffe
)

var errShort = errors.New("ends within a chunk")

// parseWAV reads a RIFF WAVE file: PCM of 8 or 16 bits, A-law or µ-law, mono or stereo, 8 to 48 kHz. Stereo becomes mono.
// A data chunk that ends early, as writers leave it that were killed, gives what is there.
func parseWAV(b []byte) (pcm []int16, sampleRate int, err error) {
	if len(b) > maxFile {
		return nil, 0, fmt.Errorf("wave file of %d bytes: more than %d", len(b), maxFile)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, errors.New("not a wave file")
	}
	var format, channels, bits int
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		if id == "data" {
			if sampleRate == 0 {
				return nil, 0, errors.New("wave file: data before format")
			}
			pcm, err := samplesOf(b[:min(size, int64(len(b)))], format, channels, bits)
			return pcm, sampleRate, err
		}
		if size > int64(len(b)) {
			return nil, 0, fmt.Errorf("wave file: chunk %q: %w", id, errShort)
		}
		if id == "fmt " {
			c := b[:size]
			if len(c) < 16 {
				return nil, 0, fmt.Errorf("wave file: format: %w", errShort)
			}
			format, channels = int(binary.LittleEndian.Uint16(c)), int(binary.LittleEndian.Uint16(c[2:]))
			sampleRate, bits = int(binary.LittleEndian.Uint32(c[4:])), int(binary.LittleEndian.Uint16(c[14:]))
			if format == waveExtensible && len(c) >= 26 {
				format = int(binary.LittleEndian.Uint16(c[24:]))
			}
			if channels < 1 || channels > 2 || sampleRate < 8000 || sampleRate > rate {
				return nil, 0, fmt.Errorf("wave file: %d channels at %d Hz: want 1 or 2 at 8000 to %d", channels, sampleRate, rate)
			}
		}
		// Chunks are padded to even sizes.
		b = b[min(size+size&1, int64(len(b))):]
	}
	return nil, 0, errors.New("wave file: no data")
}

func samplesOf(data []byte, format, channels, bits int) ([]int16, error) {
	var width int
	var at func(b []byte) int
	switch {
	case format == wavePCM && bits == 16:
		width, at = 2, func(b []byte) int { return int(int16(binary.LittleEndian.Uint16(b))) }
	case format == wavePCM && bits == 8:
		width, at = 1, func(b []byte) int { return (int(b[0]) - 128) << 8 }
	case format == waveMuLaw && bits == 8:
		width, at = 1, func(b []byte) int { return int(expand[muLaw][b[0]]) }
	case format == waveALaw && bits == 8:
		width, at = 1, func(b []byte) int { return int(expand[aLaw][b[0]]) }
	default:
		return nil, fmt.Errorf("wave file: format %d with %d bits: want PCM of 8 or 16, A-law or µ-law", format, bits)
	}
	frame := width * channels
	n := len(data) / frame
	if n > maxFrames {
		return nil, fmt.Errorf("wave file: %d samples: more than %d", n, maxFrames)
	}
	pcm := make([]int16, n)
	for i := range pcm {
		sum := 0
		for c := range channels {
			sum += at(data[i*frame+c*width:])
		}
		pcm[i] = int16(sum / channels)
	}
	return pcm, nil
}
