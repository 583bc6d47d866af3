package codec

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <x264.h>

struct x264 {
	x264_t *encoder;
	x264_param_t param;
	x264_picture_t in, out;
	x264_nal_t *nals;
	int count;
};

// The rate control may spend a third of a second's bits on one picture. Ten pictures' worth is enough for a key frame that
// can be looked at, and passes through the narrowest path within that third of a second.
static void rate(x264_param_t *p, int bitrate) {
	p->rc.i_rc_method = X264_RC_ABR;
	p->rc.i_bitrate = p->rc.i_vbv_max_bitrate = bitrate / 1000;
	p->rc.i_vbv_buffer_size = bitrate / 3000;
}

static struct x264 *x264_new(const char *preset, int width, int height, int fps, int bitrate, int level, int slice) {
	struct x264 *x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	x264_param_t *p = &x->param;
	if (x264_param_default_preset(p, preset, "zerolatency") < 0) {
		free(x);
		return NULL;
	}
	p->i_log_level = X264_LOG_NONE;
	p->i_threads = 1;
	p->b_sliced_threads = 0;
	p->i_csp = X264_CSP_I420;
	p->i_width = width;
	p->i_height = height;
	p->i_fps_num = fps;
	p->i_fps_den = 1;
	p->b_vfr_input = 0;
	p->i_keyint_max = X264_KEYINT_MAX_INFINITE;
	p->i_scenecut_threshold = 0;
	p->b_annexb = 1;
	p->b_repeat_headers = 1;
	p->i_slice_max_size = slice;
	if (level)
		p->i_level_idc = level;
	rate(p, bitrate);
	if (x264_param_apply_profile(p, "baseline") < 0 || !(x->encoder = x264_encoder_open(p))) {
		free(x);
		return NULL;
	}
	x264_picture_init(&x->in);
	x->in.img.i_csp = X264_CSP_I420;
	x->in.img.i_plane = 3;
	return x;
}

static void x264_free(struct x264 *x) {
	x264_encoder_close(x->encoder);
	free(x);
}

// x264_one encodes a picture and returns the size of its access unit. The lasting pictures are copied by x264.
static int x264_one(struct x264 *x, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y, int stride_c, int key) {
	x->in.img.plane[0] = (uint8_t *)y;
	x->in.img.plane[1] = (uint8_t *)u;
	x->in.img.plane[2] = (uint8_t *)v;
	x->in.img.i_stride[0] = stride_y;
	x->in.img.i_stride[1] = x->in.img.i_stride[2] = stride_c;
	x->in.i_type = key ? X264_TYPE_IDR : X264_TYPE_AUTO;
	int size = x264_encoder_encode(x->encoder, &x->nals, &x->count, &x->in, &x->out);
	x->in.i_pts++;
	memset(x->in.img.plane, 0, sizeof x->in.img.plane);
	return size;
}

// x264_take copies the access unit and returns its size, without the message that names encoder and settings: 600 bytes
// that every watcher would be sent.
static int x264_take(struct x264 *x, uint8_t *to) {
	int size = 0;
	for (int i = 0; i < x->count; i++) {
		x264_nal_t *n = &x->nals[i];
		if (n->i_type == NAL_SEI)
			continue;
		memcpy(to + size, n->p_payload, n->i_payload);
		size += n->i_payload;
	}
	return size;
}

static int x264_rate(struct x264 *x, int bitrate) {
	rate(&x->param, bitrate);
	return x264_encoder_reconfig(x->encoder, &x->param);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"rotunda/services/media/picture"
)

// DefaultPreset of x264; see the package comment for why.
const DefaultPreset = "superfast"

// presets that are fast enough to be of use here.
var presets = []string{"ultrafast", "superfast", "veryfast"}

var errEncoder = errors.New("encoder refused")

type x264Encoder struct {
	c             *C.struct_x264
	width, height int
}

func newX264(o VideoOptions) (*x264Encoder, error) {
	if o.Preset == "" {
		o.Preset = DefaultPreset
	}
	// x264 itself would complain about another one on standard error.
	if !slices.Contains(presets, o.Preset) {
		return nil, fmt.Errorf("preset %q of x264: want one of %q", o.Preset, presets)
	}
	preset := C.CString(o.Preset)
	defer C.free(unsafe.Pointer(preset))
	c := C.x264_new(preset, C.int(o.Width), C.int(o.Height), C.int(o.Rate), C.int(o.Bitrate), C.int(o.Level), C.int(o.MaxSlice))
	if c == nil {
		return nil, fmt.Errorf("open x264, preset %q, level %d: %w", o.Preset, o.Level, errEncoder)
	}
	return &x264Encoder{c, o.Width, o.Height}, nil
}

func (e *x264Encoder) Encode(dst []byte, f *picture.Frame, key bool) ([]byte, bool, error) {
	if e.c == nil {
		return dst, false, errClosed
	}
	if f.Width != e.width || f.Height != e.height {
		return dst, false, fmt.Errorf("encode %d × %d: %w", f.Width, f.Height, errSize)
	}
	n := C.x264_one(e.c, plane(f.Y), plane(f.U), plane(f.V), C.int(f.StrideY), C.int(f.StrideC), flag(key))
	if n < 0 {
		return dst, false, fmt.Errorf("encode by x264: %w", errEncoder)
	}
	if n == 0 {
		return dst, false, nil
	}
	dst = slices.Grow(dst, int(n))
	taken := C.x264_take(e.c, plane(dst[len(dst):cap(dst)]))
	return dst[:len(dst)+int(taken)], e.c.out.b_keyframe != 0, nil
}

func (e *x264Encoder) SetBitrate(bps int) error {
	if err := checkBitrate(bps); err != nil {
		return err
	}
	if e.c == nil {
		return errClosed
	}
	if C.x264_rate(e.c, C.int(bps)) < 0 {
		return fmt.Errorf("set x264 to %d bit/s: %w", bps, errEncoder)
	}
	return nil
}

func (e *x264Encoder) Close() {
	if e.c != nil {
		C.x264_free(e.c)
		e.c = nil
	}
}

func plane(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
