package picture

import (
	"image/color"
	"math"

	"golang.org/x/image/vector"
)

// The colours of what is drawn over pictures, multiplied by their coverage.
var (
	backdropColour = color.RGBA{20, 23, 30, 255}
	paneColour     = color.RGBA{36, 41, 52, 255}
	barColour      = color.RGBA{0, 0, 0, 150}
	textColour     = color.RGBA{255, 255, 255, 255}
	dimColour      = color.RGBA{158, 166, 180, 255}
	redColour      = color.RGBA{229, 57, 53, 255}
	speakingColour = color.RGBA{64, 169, 255, 255}
	outlineColour  = color.RGBA{12, 14, 18, 255}
)

// The icons are drawn into a square of a given size whose upper left corner is at x, y.
type icon func(d drawing, x, y, size float32)

// mutedIcon is a microphone with a stroke through it.
func mutedIcon(d drawing, x, y, size float32) {
	u := size / 16
	d.shape(redColour, func(z *vector.Rasterizer) {
		roundBox(z, x+5.5*u, y+1*u, 5*u, 8.5*u, 2.5*u)
	})
	d.shape(redColour, func(z *vector.Rasterizer) {
		arc(z, x+8*u, y+7.2*u, 4.4*u, 1.3*u, 0, math.Pi)
	})
	d.shape(redColour, func(z *vector.Rasterizer) {
		line(z, x+8*u, y+11.5*u, x+8*u, y+14.2*u, 1.4*u)
		line(z, x+5.2*u, y+14.5*u, x+10.8*u, y+14.5*u, 1.4*u)
	})
	d.shape(textColour, func(z *vector.Rasterizer) {
		line(z, x+2.6*u, y+1.8*u, x+13.4*u, y+14*u, 1.5*u)
	})
}

// recordingIcon is the red disc.
func recordingIcon(d drawing, x, y, size float32) {
	d.shape(textColour, func(z *vector.Rasterizer) { disc(z, x+size/2, y+size/2, size*0.44) })
	d.shape(redColour, func(z *vector.Rasterizer) { disc(z, x+size/2, y+size/2, size*0.36) })
}

// streamingIcon is a source with waves to both sides.
func streamingIcon(d drawing, x, y, size float32) {
	u := size / 16
	d.shape(redColour, func(z *vector.Rasterizer) { disc(z, x+8*u, y+8*u, 2*u) })
	for _, radius := range []float32{4.4, 7.2} {
		for _, middle := range []float64{0, math.Pi} {
			d.shape(textColour, func(z *vector.Rasterizer) {
				arc(z, x+8*u, y+8*u, radius*u, 1.4*u, middle-math.Pi/4, middle+math.Pi/4)
			})
		}
	}
}

// peopleIcon is a person, and another one behind.
func peopleIcon(d drawing, x, y, size float32) {
	u := size / 16
	person := func(x, y float32, c color.RGBA) {
		d.shape(c, func(z *vector.Rasterizer) { disc(z, x, y+4.6*u, 2.7*u) })
		d.shape(c, func(z *vector.Rasterizer) { pie(z, x, y+14*u, 5*u) })
	}
	person(x+11*u, y-0.8*u, dimColour)
	person(x+6*u, y+0.6*u, textColour)
}

// rotundaIcon is a dome on columns: the welcome screen.
func rotundaIcon(d drawing, x, y, size float32) {
	u := size / 16
	d.shape(dimColour, func(z *vector.Rasterizer) { pie(z, x+8*u, y+6.6*u, 5.2*u) })
	d.shape(dimColour, func(z *vector.Rasterizer) {
		roundBox(z, x+7.5*u, y+0.2*u, 1*u, 2*u, 0.4*u)
		roundBox(z, x+2*u, y+7.2*u, 12*u, 1.1*u, 0.3*u)
		for i := range 4 {
			roundBox(z, x+(2.9+2.95*float32(i))*u, y+8.9*u, 1.35*u, 4.5*u, 0.2*u)
		}
		roundBox(z, x+1.4*u, y+14*u, 13.2*u, 1.2*u, 0.3*u)
	})
}

// waitingIcon is three dots: the lobby.
func waitingIcon(d drawing, x, y, size float32) {
	for i := range 3 {
		d.shape(dimColour, func(z *vector.Rasterizer) { disc(z, x+size*(0.2+0.3*float32(i)), y+size/2, size*0.1) })
	}
}

// A quarter circle as a cubic curve has its control points at this part of the radius.
const quarter = 0.5522848

func disc(z *vector.Rasterizer, x, y, r float32) {
	k := r * quarter
	z.MoveTo(x+r, y)
	z.CubeTo(x+r, y+k, x+k, y+r, x, y+r)
	z.CubeTo(x-k, y+r, x-r, y+k, x-r, y)
	z.CubeTo(x-r, y-k, x-k, y-r, x, y-r)
	z.CubeTo(x+k, y-r, x+r, y-k, x+r, y)
	z.ClosePath()
}

// pie is the upper half of a disc.
func pie(z *vector.Rasterizer, x, y, r float32) {
	k := r * quarter
	z.MoveTo(x+r, y)
	z.LineTo(x-r, y)
	z.CubeTo(x-r, y-k, x-k, y-r, x, y-r)
	z.CubeTo(x+k, y-r, x+r, y-k, x+r, y)
	z.ClosePath()
}

func roundBox(z *vector.Rasterizer, x, y, w, h, r float32) {
	r = min(r, w/2, h/2)
	k := r * (1 - quarter)
	z.MoveTo(x+r, y)
	z.LineTo(x+w-r, y)
	z.CubeTo(x+w-k, y, x+w, y+k, x+w, y+r)
	z.LineTo(x+w, y+h-r)
	z.CubeTo(x+w, y+h-k, x+w-k, y+h, x+w-r, y+h)
	z.LineTo(x+r, y+h)
	z.CubeTo(x+k, y+h, x, y+h-k, x, y+h-r)
	z.LineTo(x, y+r)
	z.CubeTo(x, y+k, x+k, y, x+r, y)
	z.ClosePath()
}

// line is a stroke with square ends.
func line(z *vector.Rasterizer, x0, y0, x1, y1, width float32) {
	dx, dy := x1-x0, y1-y0
	n := width / 2 / float32(math.Hypot(float64(dx), float64(dy)))
	px, py := -dy*n, dx*n
	z.MoveTo(x0+px, y0+py)
	z.LineTo(x1+px, y1+py)
	z.LineTo(x1-px, y1-py)
	z.LineTo(x0-px, y0-py)
	z.ClosePath()
}

// arc is a curved stroke from one angle to another, clockwise from the right.
func arc(z *vector.Rasterizer, x, y, r, width float32, from, to float64) {
	const steps = 24
	at := func(angle float64, r float32) (float32, float32) {
		sin, cos := math.Sincos(angle)
		return x + r*float32(cos), y + r*float32(sin)
	}
	px, py := at(from, r-width/2)
	z.MoveTo(px, py)
	for i := 1; i <= steps; i++ {
		px, py = at(from+(to-from)*float64(i)/steps, r-width/2)
		z.LineTo(px, py)
	}
	for i := steps; i >= 0; i-- {
		px, py = at(from+(to-from)*float64(i)/steps, r+width/2)
		z.LineTo(px, py)
	}
	z.ClosePath()
}
