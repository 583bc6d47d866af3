package layout

import "rotunda/services/media/control"

// Small panes of telepresence and stacked.
const (
	overlaid = 6
	stripe   = 5
)

// Rectangles of n pictures in a layout. Layouts of a fixed size have all their panes whatever n is. The first one is the
// main pane where there is one. Panes touch: a pane of a half or a quarter of the canvas is then exactly one of the smaller
// copies of a frame, which costs a fifth of any other size; lines between panes are drawn over them.
func rectangles(name string, n, width, height int) []Rect {
	if n <= 0 && !fixed(name) {
		return nil
	}
	c := canvas{width, height}
	switch name {
	case AllEqual:
		return c.equal(n)
	case AllEqualQuarters:
		return c.cells(2)
	case AllEqualNinths:
		return c.cells(3)
	case AllEqualSixteenths:
		return c.cells(4)
	case AllEqualTwentyFifths:
		return c.cells(5)
	case OnePlusFive:
		return c.onePlus(3)
	case OnePlusSeven:
		return c.onePlus(4)
	case OnePlusNine:
		return c.onePlus(5)
	case OnePlusN:
		switch {
		case n == 1:
			return c.whole()
		case n <= 6:
			return c.onePlus(3)[:n]
		case n <= 8:
			return c.onePlus(4)[:n]
		}
		return c.onePlus(5)[:min(n, 10)]
	case Telepresence:
		return append(c.whole(), c.overlay(min(n-1, overlaid))...)
	case Stacked:
		if n == 1 {
			return c.whole()
		}
		return c.stacked(min(n-1, stripe))
	}
	return c.whole()
}

func fixed(name string) bool {
	switch name {
	case SpeakerOnly, AllEqualQuarters, AllEqualNinths, AllEqualSixteenths, AllEqualTwentyFifths, OnePlusFive, OnePlusSeven,
		OnePlusNine:
		return true
	}
	return false
}

type canvas struct{ w, h int }

func (c canvas) whole() []Rect { return []Rect{{0, 0, c.w, c.h}} }

// Part of the canvas in fractions of n: even edges, so that neighbours share theirs.
func (c canvas) part(x0, y0, x1, y1 float64, n int) Rect {
	left, right := even(x0*float64(c.w)/float64(n)), even(x1*float64(c.w)/float64(n))
	top, bottom := even(y0*float64(c.h)/float64(n)), even(y1*float64(c.h)/float64(n))
	return Rect{left, top, max(right-left, 2), max(bottom-top, 2)}
}

func (c canvas) cell(x, y float64, n int) Rect { return c.part(x, y, x+1, y+1, n) }

// A full grid of n × n.
func (c canvas) cells(n int) []Rect {
	list := make([]Rect, 0, n*n)
	for y := range n {
		for x := range n {
			list = append(list, c.cell(float64(x), float64(y), n))
		}
	}
	return list
}

// The smallest grid of 1, 4, 9, 16 or 25 cells for n pictures; unused rows are taken away and the last row is centred.
func (c canvas) equal(n int) []Rect {
	n = min(n, 25)
	side := 1
	for side*side < n {
		side++
	}
	rows := (n + side - 1) / side
	top := float64(side-rows) / 2
	list := make([]Rect, 0, n)
	for i := range n {
		x, y := i%side, i/side
		left := 0.0
		if y == rows-1 {
			left = float64(rows*side-n) / 2
		}
		list = append(list, c.cell(float64(x)+left, float64(y)+top, side))
	}
	return list
}

// A main pane of all but one column and row of a grid, and the others down the right side and along the bottom.
func (c canvas) onePlus(grid int) []Rect {
	last := float64(grid - 1)
	list := make([]Rect, 0, 2*grid)
	list = append(list, c.part(0, 0, last, last, grid))
	for y := range grid - 1 {
		list = append(list, c.cell(last, float64(y), grid))
	}
	for x := range grid {
		list = append(list, c.cell(float64(x), last, grid))
	}
	return list
}

// Four fifths of the canvas above a row of fifths.
func (c canvas) stacked(small int) []Rect {
	list := make([]Rect, 0, 1+small)
	list = append(list, c.part(0.5, 0, 4.5, 4, stripe))
	left := float64(stripe-small) / 2
	for i := range small {
		list = append(list, c.cell(left+float64(i), 4, stripe))
	}
	return list
}

// Small panes of 15 % over the lower edge of the picture, 1 % apart.
func (c canvas) overlay(small int) []Rect {
	const size, gap, bottom = 15, 1, 3
	list := make([]Rect, 0, max(small, 0))
	left := float64(100-small*size-(small-1)*gap) / 2
	for i := range small {
		x := left + float64(i*(size+gap))
		list = append(list, c.part(x, 100-bottom-size, x+size, 100-bottom, 100))
	}
	return list
}

// The panes of a template on a canvas.
func (c canvas) template(panes []control.Pane) []Rect {
	list := make([]Rect, 0, len(panes))
	for _, p := range panes {
		list = append(list, c.part(float64(p.X), float64(p.Y), float64(p.X+p.W), float64(p.Y+p.H), PaneUnit))
	}
	return list
}
