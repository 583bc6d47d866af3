package picture

import (
	"sync"

	"rotunda/services/media/layout"
)

// smaller are the copies of a frame at 1/2 and 1/4 of its size.
type smaller struct {
	mu     sync.Mutex
	copies [2]*Frame
}

// The least side of a copy.
const leastSide = 16

// Smaller returns the frame at 1/2 (level 1) or 1/4 (level 2) of its size, made at the first call, and the level that it
// is: less than what was asked for if the frame is too small for that, or memory is short. The copy belongs to the frame:
// it is valid as long as the caller holds that one, and whoever keeps it longer retains it.
func (f *Frame) Smaller(level int, pool *Pool) (*Frame, int) {
	if level <= 0 {
		return f, 0
	}
	f.smaller.mu.Lock()
	defer f.smaller.mu.Unlock()
	from := f
	for i := range min(level, len(f.smaller.copies)) {
		if f.smaller.copies[i] == nil {
			width, height := from.Width/2&^1, from.Height/2&^1
			if width < leastSide || height < leastSide {
				return from, i
			}
			c, err := pool.Get(width, height)
			if err != nil {
				return from, i
			}
			// An odd quarter loses its last column or row rather than being squeezed by a pixel, which is slow.
			halve(c, from)
			f.smaller.copies[i] = c
		}
		from = f.smaller.copies[i]
	}
	return from, min(level, len(f.smaller.copies))
}

// into draws a part of the frame into a place of another one, from the copy that serves best: one of exactly the size, which
// costs no more than copying, otherwise one that is left to be made 1.25 to 2.5 times smaller. A copy that is nearer to the
// size than that has lost detail which the picture could show.
func (f *Frame) into(dst *Frame, place, part layout.Rect, pool *Pool) {
	level := 0
	for w, h := part.W, part.H; w == 2*place.W && h == 2*place.H || 2*w > 5*place.W && 2*h > 5*place.H; w, h = w/2, h/2 {
		level++
	}
	from, level := f.Smaller(level, pool)
	stretch(dst, place, from, layout.Rect{X: part.X >> level &^ 1, Y: part.Y >> level &^ 1, W: part.W >> level &^ 1, H: part.H >> level &^ 1})
}

// drop gives the copies back with the frame.
func (s *smaller) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.copies {
		if c != nil {
			c.Release()
			s.copies[i] = nil
		}
	}
}
