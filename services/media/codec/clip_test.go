package codec

import (
	"math"
	"testing"

	"rotunda/services/media/picture"
)

// Test pictures are drawn, not loaded: a scene whose content is known at every point, with motion like that of a
// meeting (a head that sways before a still wall) or of film (everything moves).

var testPool = picture.NewPool()

func newFrame(t testing.TB, width, height int) *picture.Frame {
	t.Helper()
	f, err := testPool.Get(width, height)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scene draws picture number n: a soft gradient with texture, a disc that moves in a circle, and colour.
func scene(f *picture.Frame, n int) {
	cx := float64(f.Width) * (0.5 + 0.2*math.Cos(float64(n)/9))
	cy := float64(f.Height) * (0.5 + 0.1*math.Sin(float64(n)/7))
	r2 := float64(f.Height*f.Height) / 16
	for y := range f.Height {
		row := f.Y[y*f.StrideY:][:f.Width]
		dy := float64(y) - cy
		for x := range row {
			v := 60 + x*60/f.Width + y*40/f.Height + (x*7^y*13)&7
			if dx := float64(x) - cx; dx*dx+dy*dy < r2 {
				v = 170 + int(dx)&15
			}
			row[x] = byte(v)
		}
	}
	for y := range f.Height / 2 {
		for x := range f.Width / 2 {
			f.U[y*f.StrideC+x] = byte(100 + x*50/f.Width)
			f.V[y*f.StrideC+x] = byte(150 - y*50/f.Height)
		}
	}
}

// blocks draws a chessboard of random shades, which nothing predicts.
func blocks(f *picture.Frame, seed uint32) {
	for y := range f.Height {
		for x := range f.Width {
			h := (seed<<16 ^ uint32(y/8)<<8 ^ uint32(x/8)) * 2654435761
			f.Y[y*f.StrideY+x] = byte(h >> 24)
		}
	}
}

// ssim is the mean structural similarity of the luminance in blocks of 8 × 8 (Wang et al., 2004).
func ssim(a, b *picture.Frame) float64 {
	const c1, c2 = 6.5025, 58.5225
	var sum float64
	blocks := 0
	for y := 0; y+8 <= a.Height; y += 8 {
		for x := 0; x+8 <= a.Width; x += 8 {
			var sa, sb, saa, sbb, sab float64
			for i := range 64 {
				p := float64(a.Y[(y+i/8)*a.StrideY+x+i%8])
				q := float64(b.Y[(y+i/8)*b.StrideY+x+i%8])
				sa, sb, saa, sbb, sab = sa+p, sb+q, saa+p*p, sbb+q*q, sab+p*q
			}
			ma, mb := sa/64, sb/64
			va, vb, cov := saa/64-ma*ma, sbb/64-mb*mb, sab/64-ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			blocks++
		}
	}
	return sum / float64(blocks)
}

// psnr of the luminance in dB.
func psnr(a, b *picture.Frame) float64 {
	var sum float64
	for y := range a.Height {
		ra, rb := a.Y[y*a.StrideY:][:a.Width], b.Y[y*b.StrideY:][:b.Width]
		for x := range ra {
			d := float64(ra[x]) - float64(rb[x])
			sum += d * d
		}
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*float64(a.Width*a.Height)/sum)
}
