package picture

import (
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/vector"

	"rotunda/services/media/text"
)

// matrix converts from RGB. Pictures of 720 lines and more are taken for BT.709, smaller ones for BT.601, as decoders do
// that are told nothing.
type matrix struct{ yr, yg, yb, ur, ug, ub, vr, vg, vb int32 }

// Coefficients times 65536, with the ranges 16..235 and 16..240.
var (
	bt601 = coefficients(0.299, 0.114)
	bt709 = coefficients(0.2126, 0.0722)
)

func coefficients(kr, kb float64) matrix {
	kg := 1 - kr - kb
	const one = 65536.0 / 255
	y, c := 219*one, 112*one
	f := func(v float64) int32 {
		if v < 0 {
			return int32(v - 0.5)
		}
		return int32(v + 0.5)
	}
	return matrix{f(kr * y), f(kg * y), f(kb * y), f(-kr / (1 - kb) * c), f(-kg / (1 - kb) * c), f(c), f(c), f(-kg / (1 - kr) * c),
		f(-kb / (1 - kr) * c)}
}

func matrixFor(height int) *matrix {
	if height >= 720 {
		return &bt709
	}
	return &bt601
}

// Colours with their coverage: 16 and 128 are the zeros of luma and chroma, and count as much as there is coverage.
func (m *matrix) luma(r, g, b, a int32) uint8 {
	return uint8(min(max((m.yr*r+m.yg*g+m.yb*b+a*(16*65536/255)+32768)>>16, 0), 255))
}

func (m *matrix) chroma(r, g, b, a int32) (u, v uint8) {
	half := a*(128*65536/255) + 32768
	return uint8(min(max((m.ur*r+m.ug*g+m.ub*b+half)>>16, 0), 255)), uint8(min(max((m.vr*r+m.vg*g+m.vb*b+half)>>16, 0), 255))
}

func (m *matrix) of(c color.RGBA) yuv {
	u, v := m.chroma(int32(c.R), int32(c.G), int32(c.B), 255)
	return yuv{m.luma(int32(c.R), int32(c.G), int32(c.B), 255), u, v}
}

// newSprite converts a picture with even sides.
func newSprite(p *image.RGBA, m *matrix) *sprite {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	b := make([]byte, 2*w*h+3*(w/2)*(h/2))
	take := func(n int) []byte {
		part := b[:n:n]
		b = b[n:]
		return part
	}
	s := &sprite{w: w, h: h, y: take(w * h), alpha: take(w * h), u: take(w / 2 * h / 2), v: take(w / 2 * h / 2), alphaC: take(w / 2 * h / 2)}
	for y := range h {
		row := p.Pix[y*p.Stride:]
		for x := range w {
			px := row[4*x : 4*x+4]
			s.y[y*w+x] = m.luma(int32(px[0]), int32(px[1]), int32(px[2]), int32(px[3]))
			s.alpha[y*w+x] = px[3]
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			var sum [4]int32
			for _, at := range [4]int{2*y*p.Stride + 8*x, 2*y*p.Stride + 8*x + 4, (2*y+1)*p.Stride + 8*x, (2*y+1)*p.Stride + 8*x + 4} {
				for i := range sum {
					sum[i] += int32(p.Pix[at+i])
				}
			}
			at := y*(w/2) + x
			s.u[at], s.v[at] = m.chroma(sum[0]/4, sum[1]/4, sum[2]/4, sum[3]/4)
			s.alphaC[at] = uint8(sum[3] / 4)
		}
	}
	return s
}

// drawing is a picture in the making.
type drawing struct{ *image.RGBA }

// newDrawing is transparent; odd sides are rounded up.
func newDrawing(w, h int) drawing { return drawing{image.NewRGBA(image.Rect(0, 0, w+w&1, h+h&1))} }

// letters draws a text whose upper left corner is at x, y.
func (d drawing) letters(b *text.Bitmap, x, y int, c color.RGBA) {
	mask := &image.Alpha{Pix: b.Alpha, Stride: b.Width, Rect: image.Rect(0, 0, b.Width, b.Height)}
	draw.DrawMask(d, image.Rect(x, y, x+b.Width, y+b.Height), image.NewUniform(c), image.Point{}, mask, image.Point{}, draw.Over)
}

// shape draws what trace outlines, in units of pixels.
func (d drawing) shape(c color.RGBA, trace func(z *vector.Rasterizer)) {
	z := vector.NewRasterizer(d.Rect.Dx(), d.Rect.Dy())
	trace(z)
	z.Draw(d, d.Rect, image.NewUniform(c), image.Point{})
}

// box is a rectangle with round corners.
func (d drawing) box(x, y, w, h, radius float32, c color.RGBA) {
	d.shape(c, func(z *vector.Rasterizer) { roundBox(z, x, y, w, h, radius) })
}
