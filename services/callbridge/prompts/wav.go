package prompts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Bounds of a recording. What is known of such files is that they have at most 1,000 kB, which is 62 seconds at 8 kHz; at 48 kHz 64
// seconds have 6 MB.
const (
	maxWAV     = 8 << 20
	maxSeconds = 64
	minRate    = 8000
	maxRate    = 48000
)

// The formats of WAVE.
const (
	wavePCM        = 1
	waveFloat      = 3
	waveALaw       = 6
	waveMuLaw      = 7
	waveExtensible = 0xfffe
)

// normalize reads a RIFF WAVE file and returns it as mono PCM of 16 bits at the same rate, with nothing else in it. It takes PCM of 8, 16,
// 24 and 32 bits, floating point of 32, A-law and µ-law, mono and stereo.
func normalize(b []byte) ([]byte, error) {
	if len(b) > maxWAV {
		return nil, tooLarge("the file has %d bytes: at most %d are taken", len(b), maxWAV)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("this is no WAV file: save the recording as WAV (Microsoft), signed 16-bit PCM, mono")
	}
	var f format
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		if id == "data" {
			// Programs that were stopped while they recorded leave a size that is not true.
			return f.convert(b[:min(size, uint64(len(b)))])
		}
		if size > uint64(len(b)) {
			return nil, errors.New("the file ends before its sound begins: it was not copied completely")
		}
		if id == "fmt " {
			if err := f.read(b[:size]); err != nil {
				return nil, err
			}
		}
		b = b[min(size+size&1, uint64(len(b))):] // chunks have even sizes
	}
	return nil, errors.New("there is no sound in the file")
}

// format is how samples are written.
type format struct{ tag, channels, rate, bits int }

func (f *format) read(c []byte) error {
	if len(c) < 16 {
		return errors.New("the description of the format is too short")
	}
	f.tag, f.channels = int(binary.LittleEndian.Uint16(c)), int(binary.LittleEndian.Uint16(c[2:]))
	f.bits = int(binary.LittleEndian.Uint16(c[14:]))
	rate := binary.LittleEndian.Uint32(c[4:])
	if f.tag == waveExtensible && len(c) >= 26 {
		f.tag = int(binary.LittleEndian.Uint16(c[24:]))
	}
	if f.channels < 1 || f.channels > 2 {
		return fmt.Errorf("the recording has %d channels: use mono", f.channels)
	}
	if rate < minRate || rate > maxRate {
		return fmt.Errorf("the recording has %d samples a second: use 8000 to 48000, such as 16000", rate)
	}
	f.rate = int(rate)
	return nil
}

// sample returns how many bytes a sample takes and how it is read.
func (f *format) sample() (width int, read func(b []byte) int32, err error) {
	switch {
	case f.tag == wavePCM && f.bits == 8:
		return 1, func(b []byte) int32 { return (int32(b[0]) - 128) << 8 }, nil
	case f.tag == wavePCM && f.bits == 16:
		return 2, func(b []byte) int32 { return int32(int16(binary.LittleEndian.Uint16(b))) }, nil
	case f.tag == wavePCM && f.bits == 24:
		return 3, func(b []byte) int32 { return int32(int16(binary.LittleEndian.Uint16(b[1:]))) }, nil
	case f.tag == wavePCM && f.bits == 32:
		return 4, func(b []byte) int32 { return int32(int16(binary.LittleEndian.Uint16(b[2:]))) }, nil
	case f.tag == waveFloat && f.bits == 32:
		return 4, func(b []byte) int32 { return fromFloat(math.Float32frombits(binary.LittleEndian.Uint32(b))) }, nil
	case f.tag == waveMuLaw && f.bits == 8:
		return 1, func(b []byte) int32 { return muLaw(b[0]) }, nil
	case f.tag == waveALaw && f.bits == 8:
		return 1, func(b []byte) int32 { return aLaw(b[0]) }, nil
	}
	return 0, nil, fmt.Errorf("the recording has format %d with %d bits: save it as signed 16-bit PCM", f.tag, f.bits)
}

// convert writes a new file.
func (f *format) convert(data []byte) ([]byte, error) {
	if f.rate == 0 {
		return nil, errors.New("the sound comes before the description of its format")
	}
	width, read, err := f.sample()
	if err != nil {
		return nil, err
	}
	n := len(data) / (width * f.channels)
	if n == 0 {
		return nil, errors.New("there is no sound in the file")
	}
	if n > maxSeconds*f.rate {
		return nil, fmt.Errorf("the recording lasts %d seconds: at most %d are taken", n/f.rate, maxSeconds)
	}
	out := header(f.rate, n)
	for i := range n {
		var sum int32
		for c := range f.channels {
			sum += read(data[(i*f.channels+c)*width:])
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(int16(sum/int32(f.channels))))
	}
	return out, nil
}

// header begins a file of so many samples.
func header(rate, samples int) []byte {
	out := make([]byte, 0, 44+2*samples)
	le := binary.LittleEndian
	out = le.AppendUint32(append(out, "RIFF"...), uint32(36+2*samples))
	out = le.AppendUint32(append(out, "WAVEfmt "...), 16)
	out = le.AppendUint16(le.AppendUint16(out, wavePCM), 1)
	out = le.AppendUint32(le.AppendUint32(out, uint32(rate)), uint32(2*rate))
	out = le.AppendUint16(le.AppendUint16(out, 2), 16)
	return le.AppendUint32(append(out, "data"...), uint32(2*samples))
}

func fromFloat(v float32) int32 {
	x := float64(v) * math.MaxInt16
	if math.IsNaN(x) {
		return 0
	}
	return int32(math.Round(max(math.MinInt16, min(x, math.MaxInt16))))
}

// muLaw and aLaw are ITU-T G.711.
func muLaw(b byte) int32 {
	b = ^b
	v := (int32(b&0x0f)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -v
	}
	return v
}

func aLaw(b byte) int32 {
	b ^= 0x55
	v, exponent := int32(b&0x0f)<<4+8, b>>4&7
	if exponent > 0 {
		v = (v + 0x100) << (exponent - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}
