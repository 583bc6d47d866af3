package picture

// #include "resample.h"
import "C"

import (
	"math"
	"sync"
	"unsafe"

	"rotunda/services/media/layout"
)

// Scaling between the copies of a frame, from one to three times smaller, is done here rather than by libyuv: its bilinear
// filter looks at two pixels of every three or four, and comes to 0.97 of the structural similarity that ffmpeg's bicubic
// one reaches; this one, with a cubic kernel stretched by the ratio, comes to 0.99 or more, in less time.

// taps is the width of the kernel in pixels of the source.
const taps = C.RESAMPLE_TAPS

// axis is where the pixels of one direction come from.
type axis struct {
	start   []int32 // the first of taps source pixels, all of them inside
	weights []int8  // taps for each pixel, in 1/64
	pairs   int     // half of how many of the weights are in use
}

type axisKey struct {
	from, to int
	across   bool
}

// axes are the tables made so far: one for each pair of lengths, 5 KB for a typical one. Lengths come from senders, so that
// their number is bounded: the table is begun anew when there are too many.
var axes struct {
	sync.Mutex
	known map[axisKey]*axis
}

const maxAxes = 512

func axisFor(from, to int, across bool) *axis {
	axes.Lock()
	defer axes.Unlock()
	k := axisKey{from, to, across}
	if a := axes.known[k]; a != nil {
		return a
	}
	if axes.known == nil || len(axes.known) >= maxAxes {
		axes.known = map[axisKey]*axis{}
	}
	a := newAxis(from, to, across)
	axes.known[k] = a
	return a
}

// newAxis places to pixels evenly over from pixels, of which there are at least taps. Across, all taps columns are read,
// whether they have weights or not; down, only rows that have.
func newAxis(from, to int, across bool) *axis {
	a := &axis{start: make([]int32, to), weights: make([]int8, to*taps), pairs: 3}
	ratio := float64(from) / float64(to)
	stretch := max(ratio, 1)
	if ratio > 1.6 {
		a.pairs = 4 // a sixth of the kernel would be cut off otherwise
	}
	reach := a.pairs // pixels at each side
	for i := range to {
		centre := (float64(i)+0.5)*ratio - 0.5
		first := int(math.Floor(centre)) - reach + 1
		// Near an edge the kernel is moved inside, and what would lie outside counts for the pixel at the edge.
		start := min(max(first, 0), from-2*reach)
		var w [taps]float64
		sum := 0.0
		for j := range 2 * reach {
			v := cubic((float64(first+j) - centre) / stretch)
			sum += v
			at := min(max(first+j, 0), from-1) - start
			w[min(max(at, 0), 2*reach-1)] += v
		}
		shift := 0
		if across {
			shift = max(start+taps-from, 0)
		}
		a.start[i] = int32(start - shift)
		quantise(a.weights[i*taps:(i+1)*taps], w[:2*reach], sum, shift)
	}
	return a
}

// quantise writes weights in 1/64 whose sum is exactly one, so that a plain colour stays as it is; the largest takes what
// rounding leaves.
func quantise(dst []int8, w []float64, sum float64, shift int) {
	total, largest := 0, 0
	for i, v := range w {
		q := int(math.Round(v / sum * 64))
		total += q
		at := min(i+shift, taps-1)
		dst[at] += int8(q)
		if dst[at] > dst[largest] {
			largest = at
		}
	}
	dst[largest] += int8(64 - total)
}

// cubic is the interpolation kernel of Keys with a = -1, the sharpest of the family: the copies of a frame have been made
// by averaging, which is soft.
func cubic(x float64) float64 {
	const a = -1
	switch x = math.Abs(x); {
	case x < 1:
		return (a+2)*x*x*x - (a+3)*x*x + 1
	case x < 2:
		return a*x*x*x - 5*a*x*x + 8*a*x - 4*a
	}
	return 0
}

var vectors = C.resample_vectors()

// Whether resample can do it: from one to three times smaller each way, and nothing tiny.
func resamples(place, part layout.Rect) bool {
	return place.W <= part.W && place.H <= part.H && part.W <= 3*place.W && part.H <= 3*place.H && part.W >= 2*taps && part.H >= 2*taps &&
		part.W <= C.RESAMPLE_WIDEST
}

// resample draws a part of src into a place of dst; both lie inside.
func resample(dst *Frame, place layout.Rect, src *Frame, part layout.Rect, vectors C.int) {
	x, y := axisFor(part.W, place.W, true), axisFor(part.H, place.H, false)
	plane(src.luma(part.X, part.Y), src.StrideY, part.W, dst.luma(place.X, place.Y), dst.StrideY, place.W, place.H, x, y, vectors)
	x, y = axisFor(part.W/2, place.W/2, true), axisFor(part.H/2, place.H/2, false)
	su, sv := src.chroma(part.X, part.Y)
	du, dv := dst.chroma(place.X, place.Y)
	plane(su, src.StrideC, part.W/2, du, dst.StrideC, place.W/2, place.H/2, x, y, vectors)
	plane(sv, src.StrideC, part.W/2, dv, dst.StrideC, place.W/2, place.H/2, x, y, vectors)
}

func plane(src *C.uint8_t, stride, width int, dst *C.uint8_t, dstStride, dstWidth, dstHeight int, x, y *axis, vectors C.int) {
	C.resample(src, C.int(stride), C.int(width), dst, C.int(dstStride), C.int(dstWidth), C.int(dstHeight),
		(*C.int32_t)(unsafe.Pointer(&x.start[0])), (*C.int8_t)(unsafe.Pointer(&x.weights[0])),
		(*C.int32_t)(unsafe.Pointer(&y.start[0])), (*C.int8_t)(unsafe.Pointer(&y.weights[0])), C.int(y.pairs), vectors)
}
