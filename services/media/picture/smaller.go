package picture

import (
	"sync"

	"rotunda/services/media/layout"
)

// smaller are the copies of a frame: at 1/2 and 1/4 of its size, and as they fit panes.
type smaller struct {
	mu     sync.Mutex
	copies [2]*Frame
	tiles  [maxTiles]tile
	count  int
}

// tile is a part of a frame at the size of a pane. In a meeting in which nobody is shown himself, eight compositions show
// the same tile: it is scaled for the first of them in place, once more for the second, and from then on copied, which takes a
// sixth of the time.
type tile struct {
	part          layout.Rect
	width, height int
	copy          *Frame // nil until it is wanted a second time
}

// maxTiles are the sizes of panes that one picture is shown in at one time: those of two layouts, large and small.
const maxTiles = 4

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
	part = layout.Rect{X: part.X >> level &^ 1, Y: part.Y >> level &^ 1, W: part.W >> level &^ 1, H: part.H >> level &^ 1}
	if part.W != place.W || part.H != place.H {
		if t := f.tile(from, part, place.W, place.H, pool); t != nil {
			from, part = t, t.all()
		}
	}
	stretch(dst, place, from, part)
}

// tile returns a part of a copy at the size of a pane, nil the first time that it is asked for and where there is no room.
func (f *Frame) tile(from *Frame, part layout.Rect, width, height int, pool *Pool) *Frame {
	f.smaller.mu.Lock()
	defer f.smaller.mu.Unlock()
	for i := range f.smaller.count {
		t := &f.smaller.tiles[i]
		if t.part != part || t.width != width || t.height != height {
			continue
		}
		if t.copy == nil {
			c, err := pool.Get(width, height)
			if err != nil {
				return nil
			}
			stretch(c, c.all(), from, part)
			t.copy = c
		}
		return t.copy
	}
	if f.smaller.count < maxTiles {
		f.smaller.tiles[f.smaller.count] = tile{part: part, width: width, height: height}
		f.smaller.count++
	}
	return nil
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
	for i := range s.count {
		if c := s.tiles[i].copy; c != nil {
			c.Release()
		}
		s.tiles[i] = tile{}
	}
	s.count = 0
}
