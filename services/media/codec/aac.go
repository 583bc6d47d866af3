package codec

// #include "avcodec.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// AACFrame is the number of samples a channel in one AAC frame; the sound of a frame comes out of a decoder one frame
// later, since each overlaps the one before (ISO/IEC 14496-3).
const AACFrame = 1024

// maxAACFrame is the largest frame that the bit reservoir of AAC-LC allows: 6,144 bits a channel.
const maxAACFrame = 6144 / 8

// AACEncoder makes AAC-LC for files and pushes. It uses libavcodec's "fast" coder: 0.5 % of a core for a stream.
type AACEncoder struct {
	c        *C.struct_audio_codec
	channels int
	config   []byte
}

// NewAACEncoder returns an encoder for one or two channels, interleaved.
func NewAACEncoder(rate, channels, bitrate int) (*AACEncoder, error) {
	if channels < 1 || channels > 2 || bitrate < 8000 || bitrate > 320_000*channels {
		return nil, fmt.Errorf("AAC of %d channels at %d bit/s: want 1 or 2, and 8,000 to 320,000 each", channels, bitrate)
	}
	c := C.aac_encoder_open(C.int(rate), C.int(channels), C.int(bitrate))
	if c == nil {
		return nil, fmt.Errorf("open AAC encoder at %d Hz: %w", rate, errCodec)
	}
	config := C.GoBytes(unsafe.Pointer(c.context.extradata), c.context.extradata_size)
	return &AACEncoder{c: c, channels: channels, config: config}, nil
}

// Config returns the AudioSpecificConfig for the container.
func (e *AACEncoder) Config() []byte { return e.config }

// MaxPacket is the size of a buffer that every frame fits into.
func (e *AACEncoder) MaxPacket() int { return maxAACFrame * e.channels }

// Encode takes [AACFrame] samples of each channel and writes one raw frame into packet, without a header. The first
// call gives none: a frame is complete when its successor is known.
func (e *AACEncoder) Encode(packet []byte, pcm []int16) (int, error) {
	switch {
	case e.c == nil:
		return 0, errClosed
	case len(pcm) != AACFrame*e.channels:
		return 0, fmt.Errorf("encode AAC: %d samples: want %d", len(pcm), AACFrame*e.channels)
	}
	n := C.aac_encode(e.c, (*C.int16_t)(unsafe.SliceData(pcm)), (*C.uint8_t)(unsafe.SliceData(packet)), C.int(len(packet)))
	if n < 0 {
		return 0, fmt.Errorf("encode AAC into %d bytes: %w", len(packet), errCodec)
	}
	return int(n), nil
}

// Close ends the encoder.
func (e *AACEncoder) Close() {
	if e.c != nil {
		C.audio_codec_close(e.c)
		e.c = nil
	}
}
