package picture

/*
#cgo CFLAGS: -O3 -I${SRCDIR}/../../../build/codecs/include
#cgo LDFLAGS: -L${SRCDIR}/../../../build/codecs/lib -lyuv -lstdc++ -lm

#include <stdint.h>
#include <libyuv/planar_functions.h>
#include <libyuv/scale.h>

// One call scales all planes: a call from Go costs 29 ns and three of them would be more than a small pane's fill.
static int scale(const uint8_t *sy, int ssy, const uint8_t *su, const uint8_t *sv, int ssc, int sw, int sh, uint8_t *dy,
		int dsy, uint8_t *du, uint8_t *dv, int dsc, int dw, int dh) {
	return I420Scale(sy, ssy, su, ssc, sv, ssc, sw, sh, dy, dsy, du, dsc, dv, dsc, dw, dh, kFilterBox);
}

static void fill(uint8_t *y, int sy, uint8_t *u, uint8_t *v, int sc, int w, int h, int ly, int lu, int lv) {
	SetPlane(y, sy, w, h, ly);
	SetPlane(u, sc, w / 2, h / 2, lu);
	SetPlane(v, sc, w / 2, h / 2, lv);
}

static void copy(const uint8_t *sy, int ssy, const uint8_t *su, const uint8_t *sv, int ssc, uint8_t *dy, int dsy, uint8_t *du,
		uint8_t *dv, int dsc, int w, int h) {
	CopyPlane(sy, ssy, dy, dsy, w, h);
	CopyPlane(su, ssc, du, dsc, w / 2, h / 2);
	CopyPlane(sv, ssc, dv, dsc, w / 2, h / 2);
}

// Lays a plane, already multiplied by its coverage, over another one: d = s + d * (255 - a) / 255, rounded. The division is
// the exact one by shifts, in 16 bits, so that the compiler makes vector code of it.
static void over(uint8_t *restrict d, int ds, const uint8_t *restrict s, const uint8_t *restrict a, int ss, int w, int h) {
	for (; h > 0; h--, d += ds, s += ss, a += ss) {
		for (int i = 0; i < w; i++) {
			uint16_t t = (uint16_t)(d[i] * (255 - a[i]) + 128);
			d[i] = (uint8_t)(s[i] + (uint8_t)((uint16_t)(t + (t >> 8)) >> 8));
		}
	}
}

static void blend(uint8_t *dy, int dsy, uint8_t *du, uint8_t *dv, int dsc, const uint8_t *sy, const uint8_t *ay, int ssy,
		const uint8_t *su, const uint8_t *sv, const uint8_t *ac, int ssc, int w, int h) {
	over(dy, dsy, sy, ay, ssy, w, h);
	over(du, dsc, su, ac, ssc, w / 2, h / 2);
	over(dv, dsc, sv, ac, ssc, w / 2, h / 2);
}
*/
import "C"

import (
	"unsafe"

	"rotunda/services/media/layout"
)

// yuv is a colour in limited range.
type yuv struct{ y, u, v uint8 }

// inside cuts a rectangle to the frame, so that no arithmetic of a caller reaches foreign memory.
func (f *Frame) inside(r layout.Rect) layout.Rect {
	return cut(r, layout.Rect{W: f.Width &^ 1, H: f.Height &^ 1})
}

// cut is the common part of two rectangles, without area if there is none.
func cut(a, b layout.Rect) layout.Rect {
	x, y := max(a.X, b.X)&^1, max(a.Y, b.Y)&^1
	return layout.Rect{X: x, Y: y, W: max(min(a.X+a.W, b.X+b.W)-x, 0) &^ 1, H: max(min(a.Y+a.H, b.Y+b.H)-y, 0) &^ 1}
}

func (f *Frame) luma(x, y int) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(&f.Y[y*f.StrideY+x])) }

func (f *Frame) chroma(x, y int) (u, v *C.uint8_t) {
	at := y/2*f.StrideC + x/2
	return (*C.uint8_t)(unsafe.Pointer(&f.U[at])), (*C.uint8_t)(unsafe.Pointer(&f.V[at]))
}

// stretch draws a part of src into a place of dst at the place's size.
func stretch(dst *Frame, place layout.Rect, src *Frame, part layout.Rect) {
	place, part = dst.inside(place), src.inside(part)
	switch {
	case place.W < 2 || place.H < 2 || part.W < 2 || part.H < 2:
	case place.W == part.W && place.H == part.H:
		su, sv := src.chroma(part.X, part.Y)
		du, dv := dst.chroma(place.X, place.Y)
		C.copy(src.luma(part.X, part.Y), C.int(src.StrideY), su, sv, C.int(src.StrideC), dst.luma(place.X, place.Y),
			C.int(dst.StrideY), du, dv, C.int(dst.StrideC), C.int(place.W), C.int(place.H))
	case resamples(place, part):
		resample(dst, place, src, part, vectors)
	default:
		scale(dst, place, src, part)
	}
}

// scale leaves it to libyuv: an average over all pixels where the picture becomes much smaller, otherwise between two.
func scale(dst *Frame, place layout.Rect, src *Frame, part layout.Rect) {
	su, sv := src.chroma(part.X, part.Y)
	du, dv := dst.chroma(place.X, place.Y)
	C.scale(src.luma(part.X, part.Y), C.int(src.StrideY), su, sv, C.int(src.StrideC), C.int(part.W), C.int(part.H),
		dst.luma(place.X, place.Y), C.int(dst.StrideY), du, dv, C.int(dst.StrideC), C.int(place.W), C.int(place.H))
}

// halve fills a frame of half the size.
func halve(dst, src *Frame) {
	scale(dst, dst.all(), src, layout.Rect{W: 2 * dst.Width, H: 2 * dst.Height})
}

// paint fills a rectangle with a colour.
func (f *Frame) paint(r layout.Rect, c yuv) {
	r = f.inside(r)
	if r.W < 2 || r.H < 2 {
		return
	}
	u, v := f.chroma(r.X, r.Y)
	C.fill(f.luma(r.X, r.Y), C.int(f.StrideY), u, v, C.int(f.StrideC), C.int(r.W), C.int(r.H), C.int(c.y), C.int(c.u), C.int(c.v))
}

// sprite is a small picture with coverage, its colours already multiplied by it. Chroma has a coverage of its own, at
// half the size.
type sprite struct {
	w, h         int
	y, alpha     []byte
	u, v, alphaC []byte
}

// lay blends a sprite whose upper left corner is at x, y, as far as it lies within a rectangle.
func (f *Frame) lay(s *sprite, x, y int, within layout.Rect) {
	r := cut(f.inside(within), layout.Rect{X: x, Y: y, W: s.w, H: s.h})
	if r.W < 2 || r.H < 2 {
		return
	}
	at := (r.Y-y)*s.w + r.X - x
	atC := (r.Y-y)/2*(s.w/2) + (r.X-x)/2
	u, v := f.chroma(r.X, r.Y)
	C.blend(f.luma(r.X, r.Y), C.int(f.StrideY), u, v, C.int(f.StrideC), pointer(s.y, at), pointer(s.alpha, at), C.int(s.w),
		pointer(s.u, atC), pointer(s.v, atC), pointer(s.alphaC, atC), C.int(s.w/2), C.int(r.W), C.int(r.H))
}

func pointer(b []byte, at int) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(&b[at])) }
