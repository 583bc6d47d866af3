package picture

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"

	"rotunda/services/media/layout"
)

// film returns a 720p frame that ffmpeg draws.
func film(t *testing.T, pool *Pool, source string) (*Frame, []byte) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: nothing to compare with")
	}
	b, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source+"=size=1280x720", "-ss", "1", "-frames:v", "1", "-pix_fmt", "yuv420p",
		"-f", "rawvideo", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return planes(t, pool, b, 1280, 720), b
}

// planes makes a frame of raw 4:2:0 pixels.
func planes(t *testing.T, pool *Pool, b []byte, width, height int) *Frame {
	t.Helper()
	if want := width * height * 3 / 2; len(b) != want {
		t.Fatalf("want %d bytes of a frame of %d × %d, got %d", want, width, height, len(b))
	}
	f, err := pool.Get(width, height)
	if err != nil {
		t.Fatal(err)
	}
	take := func(dst []byte, stride, w, h int) {
		for y := range h {
			copy(dst[y*stride:], b[:w])
			b = b[w:]
		}
	}
	take(f.Y, f.StrideY, width, height)
	take(f.U, f.StrideC, width/2, height/2)
	take(f.V, f.StrideC, width/2, height/2)
	return f
}

// byFFmpeg scales a raw 720p frame.
func byFFmpeg(t *testing.T, pool *Pool, raw []byte, width, height int, flags string) *Frame {
	t.Helper()
	c := exec.Command("ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "1280x720", "-i", "-", "-vf",
		fmt.Sprintf("scale=%d:%d:flags=%s", width, height, flags), "-f", "rawvideo", "-")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		in.Write(raw) // what goes wrong shows in the size of the output
		in.Close()
	}()
	b, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return planes(t, pool, b, width, height)
}

// The measure is a Lanczos filter with full precision: how near does ffmpeg's default, bicubic, come to it, and how near
// do we?
func TestTilesAreAsGoodAsFFmpegs(t *testing.T) {
	_, pool := newComposer(t)
	for _, source := range []string{"testsrc2", "mandelbrot"} {
		f, raw := film(t, pool, source)
		for _, size := range [][2]int{{1024, 576}, {960, 540}, {854, 480}, {640, 360}, {426, 240}, {320, 180}, {256, 144}, {192, 108}, {160, 90}} {
			best := byFFmpeg(t, pool, raw, size[0], size[1], "lanczos+accurate_rnd+full_chroma_int")
			theirs := byFFmpeg(t, pool, raw, size[0], size[1], "bicubic")
			ours := plain(t, pool, size[0], size[1], yuv{})
			f.into(ours, ours.all(), f.all(), pool)
			a, b := SSIM(ours, best), SSIM(theirs, best)
			t.Logf("%s at %d × %d: ours %.4f, ffmpeg's %.4f, ratio %.4f", source, size[0], size[1], a, b, a/b)
			if a < 0.99*b {
				t.Errorf("%s at %d × %d: want a similarity of 0.99 times ffmpeg's %.4f, got %.4f", source, size[0], size[1], b, a)
			}
		}
	}
}

func TestVectorsComputeWhatPlainCodeComputes(t *testing.T) {
	if vectors == 0 {
		t.Skip("this processor has no AVX2")
	}
	_, pool := newComposer(t)
	random := rand.New(rand.NewPCG(7, 8))
	src := plain(t, pool, 320, 200, yuv{})
	for i := range src.Y {
		src.Y[i] = uint8(random.IntN(2) * 255) // the sharpest edges make the largest sums
	}
	for i := range src.U {
		src.U[i], src.V[i] = uint8(random.Uint32()), uint8(random.Uint32())
	}
	for range 300 {
		part := layout.Rect{X: random.IntN(50) * 2, Y: random.IntN(40) * 2, W: 16 + random.IntN(52)*2, H: 16 + random.IntN(40)*2}
		place := layout.Rect{X: random.IntN(20) * 2, Y: random.IntN(20) * 2}
		place.W, place.H = part.W/3/2*2+2+random.IntN(part.W/6)*2, part.H/3/2*2+2+random.IntN(part.H/6)*2
		if !resamples(place, part) {
			continue
		}
		a, b := plain(t, pool, 320, 200, yuv{9, 9, 9}), plain(t, pool, 320, 200, yuv{9, 9, 9})
		resample(a, place, src, part, 0)
		resample(b, place, src, part, 1)
		if err := same(a, b); err != nil {
			t.Fatalf("%v into %v: plain code and vectors differ: %v", part, place, err)
		}
		a.Release()
		b.Release()
	}
}

func TestAxes(t *testing.T) {
	for _, from := range []int{8, 9, 16, 17, 240, 426, 639, 640, 1280, 1920, 4096} {
		for _, ratio := range []float64{1, 1.01, 1.25, 1.5, 1.6, 1.7, 2, 2.5, 3} {
			to := max(int(float64(from)/ratio), 1)
			for _, across := range []bool{true, false} {
				a := newAxis(from, to, across)
				reads := 2 * a.pairs
				if across {
					reads = taps
				}
				for i, start := range a.start {
					sum, positive := 0, 0
					for j, w := range a.weights[i*taps : (i+1)*taps] {
						sum += int(w)
						positive += max(int(w), 0)
						if j >= reads && w != 0 {
							t.Fatalf("%d to %d, pixel %d: a weight where nothing is read", from, to, i)
						}
					}
					// 255 × 128 is what fits 16 bits.
					if start < 0 || int(start)+reads > from || sum != 64 || positive >= 128 {
						t.Fatalf("%d to %d, pixel %d: reads from %d, weights %v with the sum %d", from, to, i, start, a.weights[i*taps:(i+1)*taps], sum)
					}
					if i > 0 && start < a.start[i-1] {
						t.Fatalf("%d to %d: pixel %d begins before the one before", from, to, i)
					}
				}
			}
		}
	}
	for i := range 2 * maxAxes {
		axisFor(100+i, 90, true)
	}
	if n := len(axes.known); n > maxAxes {
		t.Errorf("want at most %d tables, got %d", maxAxes, n)
	}
}

func TestSSIM(t *testing.T) {
	_, pool := newComposer(t)
	a, b := textured(t, pool, 320, 180, 1), textured(t, pool, 320, 180, 1)
	if s := SSIM(a, b); s != 1 {
		t.Errorf("want 1 for equal frames, got %v", s)
	}
	last := 1.0
	for _, noise := range []uint8{1, 3, 7, 31} {
		b := textured(t, pool, 320, 180, 1)
		for i := range b.Y {
			b.Y[i] ^= uint8(i*7) & noise
		}
		got := SSIM(a, b)
		if got >= last {
			t.Errorf("want more noise to be less like it: %.4f after %.4f", got, last)
		}
		last = got
	}
	if last > 0.6 {
		t.Errorf("want strong noise to be unlike it, got %.3f", last)
	}
}

func BenchmarkResampleNinth(b *testing.B) { benchmarkScale(b, 426, 240, true) }
func BenchmarkLibyuvNinth(b *testing.B)   { benchmarkScale(b, 426, 240, false) }
func BenchmarkResampleMain(b *testing.B)  { benchmarkScale(b, 854, 480, true) }
func BenchmarkLibyuvMain(b *testing.B)    { benchmarkScale(b, 854, 480, false) }

// benchmarkScale draws a 720p frame at another size, halving included, as a pane does it.
func benchmarkScale(b *testing.B, width, height int, ours bool) {
	_, pool := newComposer(b)
	f, dst := textured(b, pool, 1280, 720, 1), plain(b, pool, width, height, yuv{})
	before := busy(b)
	n := 0
	for ; b.Loop(); n++ {
		f.smaller.drop()
		if ours {
			f.into(dst, dst.all(), f.all(), pool)
		} else {
			from := f
			if width <= 640 {
				from, _ = f.Smaller(1, pool)
			}
			scale(dst, dst.all(), from, from.all())
		}
	}
	b.ReportMetric(float64((busy(b)-before).Microseconds())/float64(n), "cpu-µs/op")
}
