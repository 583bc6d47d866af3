package codec

// #include "avcodec.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// G.722 (ITU-T G.722): 16,000 samples a second in 64 kbit/s, two samples a byte. Its RTP clock says 8,000, by an old
// mistake that RFC 3551 section 4.5.2 keeps.

const (
	g722Rate = 16000
	// g722Frame is what one call of the encoder takes: 10 ms, which all packet times are multiples of.
	g722Frame = 160
)

var errCodec = errors.New("codec library refused")

type g722Decoder struct {
	c    *C.struct_audio_codec
	past past
}

func newG722Decoder() (*g722Decoder, error) {
	c := C.g722_decoder_open()
	if c == nil {
		return nil, fmt.Errorf("open G.722 decoder: %w", errMemory)
	}
	return &g722Decoder{c: c}, nil
}

func (d *g722Decoder) Decode(pcm []int16, packet []byte) (int, error) {
	switch {
	case d.c == nil:
		return 0, errClosed
	case len(packet) == 0:
		return 0, errEmpty
	case len(packet) > MaxAudioPacket:
		return 0, errLarge
	case 2*len(packet) > len(pcm):
		return 0, errShort
	}
	n := C.g722_decode(d.c, (*C.uint8_t)(unsafe.SliceData(packet)), C.int(len(packet)), (*C.int16_t)(unsafe.SliceData(pcm)), C.int(len(pcm)))
	if n < 0 {
		return 0, fmt.Errorf("decode G.722: %w", errCodec)
	}
	d.past.heard(pcm[:n], g722Rate)
	return int(n), nil
}

func (d *g722Decoder) DecodeFEC(pcm []int16, _ []byte) (int, error) { return d.Conceal(pcm) }

func (d *g722Decoder) Conceal(pcm []int16) (int, error) {
	d.past.conceal(pcm, g722Rate)
	return len(pcm), nil
}

func (d *g722Decoder) Rate() int { return g722Rate }

func (d *g722Decoder) Close() {
	if d.c != nil {
		C.audio_codec_close(d.c)
		d.c = nil
	}
}

type g722Encoder struct{ c *C.struct_audio_codec }

func newG722Encoder() (*g722Encoder, error) {
	c := C.g722_encoder_open(g722Frame)
	if c == nil {
		return nil, fmt.Errorf("open G.722 encoder: %w", errMemory)
	}
	return &g722Encoder{c: c}, nil
}

func (e *g722Encoder) Encode(packet []byte, pcm []int16) (int, error) {
	switch {
	case e.c == nil:
		return 0, errClosed
	case len(pcm) == 0 || len(pcm)%g722Frame != 0:
		return 0, fmt.Errorf("encode G.722: %d samples: want a multiple of %d", len(pcm), g722Frame)
	case len(pcm)/2 > len(packet):
		return 0, errShort
	}
	n := C.g722_encode(e.c, (*C.int16_t)(unsafe.SliceData(pcm)), C.int(len(pcm)), (*C.uint8_t)(unsafe.SliceData(packet)), C.int(len(packet)))
	if n < 0 {
		return 0, fmt.Errorf("encode G.722: %w", errCodec)
	}
	return int(n), nil
}

func (*g722Encoder) Rate() int            { return g722Rate }
func (*g722Encoder) SetBitrate(int) error { return nil }
func (*g722Encoder) SetLoss(int) error    { return nil }

func (e *g722Encoder) Close() {
	if e.c != nil {
		C.audio_codec_close(e.c)
		e.c = nil
	}
}
