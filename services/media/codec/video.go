package codec

import (
	"errors"
	"fmt"

	"rotunda/services/media/control"
	"rotunda/services/media/picture"
)

// Limits of pictures, in and out.
const (
	// MaxPixels is 1920 × 1088: 1080p in whole macroblocks, in either orientation. A stream that says that it is larger
	// is refused before any memory is taken for it.
	MaxPixels = 1920 * 1088
	// MaxSide of a picture, as for [picture.Pool].
	MaxSide = 4096
	// MaxAccessUnit is the largest access unit: 1080p in 24 bits without any compression would be twice that.
	MaxAccessUnit = 3 << 20
)

// VideoDecoder turns access units into pictures. It serves one stream, and one thread at a time; its frames may be
// released on any.
type VideoDecoder interface {
	// Decode takes one access unit (H.264 as Annex B, one VP8 or VP9 frame) and returns the newest picture that is ready,
	// or nil. An error is of this access unit alone: the decoder is good for more, and shows nothing before
	// the next key frame, since all until then would build on what is broken. The frame's planes belong to the decoder:
	// a holder must not write to them.
	Decode(data []byte, timestamp uint32) (*picture.Frame, error)
	Close()
}

// VideoEncoder turns pictures into access units. It serves one thread at a time.
type VideoEncoder interface {
	// Encode appends the access unit of f to dst. key asks for a key frame, without which there is only the first one.
	// H.264 is Annex B with SPS and PPS before each key frame.
	Encode(dst []byte, f *picture.Frame, key bool) (data []byte, isKey bool, err error)
	// SetBitrate changes the rate from the next picture on; it needs no key frame.
	SetBitrate(bps int) error
	Close()
}

// Encoders of H.264; see the package comment for how they compare.
const (
	OpenH264 = "openh264"
	X264     = "x264"
)

// VideoOptions of an encoder.
type VideoOptions struct {
	// Codec is control.H264 (always Constrained Baseline) or control.VP8.
	Codec string
	// Width and Height are even; Rate is in frames a second, Bitrate in bits a second.
	Width, Height, Rate, Bitrate int
	// Level of H.264 times ten, as in level_idc: 31 for 720p30; 0 is the lowest one that fits.
	Level int
	// MaxSlice limits each NAL unit to so many bytes, for packetization mode 0 (RFC 6184, section 6.2); 0 is one slice.
	MaxSlice int
	// Encoder is OpenH264 or X264; empty means [OpenH264].
	Encoder string
	// Preset of x264; empty means [DefaultPreset].
	Preset string
}

var errSize = errors.New("frame is not of the encoder's size")

func (o VideoOptions) check() error {
	if o.Width < 16 || o.Height < 16 || o.Width > MaxSide || o.Height > MaxSide || o.Width%2 != 0 || o.Height%2 != 0 || o.Width*o.Height > MaxPixels {
		return fmt.Errorf("picture of %d × %d: want even sides of 16 to %d, and at most %d pixels", o.Width, o.Height, MaxSide, MaxPixels)
	}
	if o.Rate < 1 || o.Rate > 60 {
		return fmt.Errorf("%d frames a second: want 1 to 60", o.Rate)
	}
	if err := checkBitrate(o.Bitrate); err != nil {
		return err
	}
	if o.MaxSlice != 0 && o.MaxSlice < minSlice {
		return fmt.Errorf("slices of at most %d bytes: want %d or more", o.MaxSlice, minSlice)
	}
	return nil
}

// minSlice leaves room for a macroblock that does not compress: 384 bytes of samples and its header.
const minSlice = 500

func checkBitrate(bps int) error {
	if bps < 16_000 || bps > 50_000_000 {
		return fmt.Errorf("%d bit/s of video: want 16,000 to 50,000,000", bps)
	}
	return nil
}

// NewVideoDecoder returns a decoder for one of the codecs of package control.
func NewVideoDecoder(codec string) (VideoDecoder, error) {
	switch codec {
	case control.H264, control.VP8, control.VP9:
		return newDecoder(codec)
	}
	return nil, fmt.Errorf("video codec %q: want %s, %s or %s", codec, control.H264, control.VP8, control.VP9)
}

// NewVideoEncoder returns an encoder.
func NewVideoEncoder(o VideoOptions) (VideoEncoder, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	switch {
	case o.Codec == control.H264 && (o.Encoder == "" || o.Encoder == OpenH264):
		return newOpenH264(o)
	case o.Codec == control.H264 && o.Encoder == X264:
		return newX264(o)
	case o.Codec == control.VP8:
		return newVP8(o)
	}
	return nil, fmt.Errorf("video codec %q by encoder %q: want %s by %s or %s, or %s", o.Codec, o.Encoder, control.H264, OpenH264, X264, control.VP8)
}
