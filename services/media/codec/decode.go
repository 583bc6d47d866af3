package codec

/*
#cgo CFLAGS: -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -I${SRCDIR}/../../../build/codecs/include
#cgo LDFLAGS: -L${SRCDIR}/../../../build/codecs/lib -lavcodec -lavutil -lx264 -lopenh264 -lvpx -lopus -lstdc++ -lm -lpthread -ldl
#include "avcodec.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"rotunda/services/media/control"
	"rotunda/services/media/picture"
)

// Errors of a video decoder.
var (
	// ErrBroken is an access unit that cannot be decoded, because of its own bytes or of what went missing before. A size
	// above MaxPixels counts as such: libavcodec treats it like any other value that makes no sense.
	ErrBroken = errors.New("broken access unit")
	// ErrRefused is a stream in a form that is not served.
	ErrRefused = errors.New("stream is not 8-bit 4:2:0 of a size that is served")
	errClosed  = errors.New("decoder is closed")
	errMemory  = errors.New("out of memory")
)

var decoderIDs = map[string]C.enum_AVCodecID{
	control.H264: C.AV_CODEC_ID_H264,
	control.VP8:  C.AV_CODEC_ID_VP8,
	control.VP9:  C.AV_CODEC_ID_VP9,
}

// decoder decodes by libavcodec. The pictures that it hands out are references into libavcodec's own pools, which live
// as long as anybody holds one of them, even beyond Close.
type decoder struct {
	codec string
	c     *C.struct_video_decoder

	mu sync.Mutex
	// free are holders that nobody uses: as many as were ever out at one time.
	free   []*holder
	closed bool
}

// holder ties a frame of ours to one of libavcodec's. It is used again and again, so that a picture costs no garbage.
type holder struct {
	frame *picture.Frame
	av    *C.AVFrame
}

func newDecoder(codec string) (*decoder, error) {
	c := C.video_decoder_open(decoderIDs[codec], MaxPixels)
	if c == nil {
		return nil, fmt.Errorf("open %s decoder: %w", codec, errMemory)
	}
	return &decoder{codec: codec, c: c}, nil
}

func (d *decoder) Decode(data []byte, timestamp uint32) (*picture.Frame, error) {
	if d.c == nil {
		return nil, errClosed
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("decode %s: %w", d.codec, errEmpty)
	}
	if len(data) > MaxAccessUnit {
		return nil, fmt.Errorf("decode %s: %w: %d bytes", d.codec, errLarge, len(data))
	}
	h, err := d.hold()
	if err != nil {
		return nil, err
	}
	result := C.video_decode(d.c, (*C.uint8_t)(unsafe.SliceData(data)), C.int(len(data)), C.int64_t(timestamp), h.av)
	switch result {
	case C.DECODE_FRAME:
		return d.show(h)
	case C.DECODE_NONE:
		d.giveBack(h)
		return nil, nil
	case C.DECODE_REFUSED:
		d.giveBack(h)
		return nil, fmt.Errorf("decode %s: %w", d.codec, ErrRefused)
	}
	d.giveBack(h)
	return nil, fmt.Errorf("decode %s: %w", d.codec, ErrBroken)
}

// show describes the picture in h. Sides that are odd, which VP8 and VP9 allow, lose their last row or column: all that
// works on pictures halves them.
func (d *decoder) show(h *holder) (*picture.Frame, error) {
	width, height := int(h.av.width)&^1, int(h.av.height)&^1
	strideY, strideC := int(h.av.linesize[0]), int(h.av.linesize[1])
	if width < 2 || height < 2 || width > MaxSide || height > MaxSide || strideY < width || strideC < width/2 || int(h.av.linesize[2]) != strideC {
		d.giveBack(h)
		return nil, fmt.Errorf("decode %s: %w: %d × %d", d.codec, ErrRefused, width, height)
	}
	plane := func(i, stride, width, rows int) []byte {
		return unsafe.Slice((*byte)(h.av.data[i]), stride*(rows-1)+width)
	}
	f := h.frame
	f.Width, f.Height, f.StrideY, f.StrideC = width, height, strideY, strideC
	f.Y, f.U, f.V = plane(0, strideY, width, height), plane(1, strideC, width/2, height/2), plane(2, strideC, width/2, height/2)
	f.Timestamp = uint32(h.av.pts)
	// The holder count is zero here: this is the caller's hold.
	return f.Retain(), nil
}

// hold returns a holder that nobody uses.
func (d *decoder) hold() (*holder, error) {
	d.mu.Lock()
	if n := len(d.free); n > 0 {
		h := d.free[n-1]
		d.free = d.free[:n-1]
		d.mu.Unlock()
		return h, nil
	}
	d.mu.Unlock()
	h := &holder{av: C.av_frame_alloc()}
	if h.av == nil {
		return nil, fmt.Errorf("decode %s: %w", d.codec, errMemory)
	}
	h.frame = picture.Wrap(0, 0, nil, nil, nil, 0, 0, func(*picture.Frame) { d.giveBack(h) })
	// Wrap counts a holder, which the frame has not got until it is shown; releasing it puts it into the list, from
	// which it is taken at once.
	h.frame.Release()
	return d.hold()
}

// giveBack returns the picture's memory to libavcodec's pool. It is called by whoever releases the frame last.
func (d *decoder) giveBack(h *holder) {
	C.av_frame_unref(h.av)
	h.frame.Y, h.frame.U, h.frame.V = nil, nil, nil
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		C.av_frame_free(&h.av)
		return
	}
	d.free = append(d.free, h)
}

// Close ends the decoder; frames that are still held stay valid until they are released.
func (d *decoder) Close() {
	d.mu.Lock()
	free := d.free
	d.free, d.closed = nil, true
	d.mu.Unlock()
	for _, h := range free {
		C.av_frame_free(&h.av)
	}
	if d.c != nil {
		C.video_decoder_close(d.c)
		d.c = nil
	}
}
