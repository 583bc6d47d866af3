package line

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// screen draws one prompt with its line, which may take several rows, and redraws no more than what changed: on a
// serial line at 9600 baud a full row takes 80 ms.
type screen struct {
	out   io.Writer
	width int
	shown []cell
	// row and col are where the cursor is, counted from where the prompt begins.
	row, col int
	pending  strings.Builder
}

// advance moves a position over one cell on a screen of that width. A cell that does not fit begins the next row, and
// a full row ends at the start of the next one.
func advance(row, col, width int, c cell) (int, int) {
	if col+c.width > width {
		row, col = row+1, 0
	}
	col += c.width
	if col >= width {
		row, col = row+1, 0
	}
	return row, col
}

// place returns where the cursor is after the cells.
func place(list []cell, width int) (row, col int) {
	for _, c := range list {
		row, col = advance(row, col, width, c)
	}
	return row, col
}

// put writes a cell at the cursor. Rows are broken by CR LF, so that it does not matter whether and when the
// terminal wraps by itself.
func (s *screen) put(c cell) {
	row := s.row
	if s.col+c.width > s.width {
		// The column left over may hold an older character.
		s.pending.WriteString("\x1b[K\r\n")
		row++
	}
	s.pending.WriteString(c.text)
	s.row, s.col = advance(s.row, s.col, s.width, c)
	if s.row > row {
		s.pending.WriteString("\r\n")
	}
}

func (s *screen) moveTo(row, col int) {
	if n := s.row - row; n > 0 {
		fmt.Fprintf(&s.pending, "\x1b[%dA", n)
	} else if n < 0 {
		fmt.Fprintf(&s.pending, "\x1b[%dB", -n)
	}
	switch n := col - s.col; {
	case n == 0:
	case col == 0:
		s.pending.WriteByte('\r')
	case n < 0 && n >= -3:
		s.pending.WriteString(strings.Repeat("\b", -n))
	case n < 0:
		fmt.Fprintf(&s.pending, "\x1b[%dD", -n)
	default:
		fmt.Fprintf(&s.pending, "\x1b[%dC", n)
	}
	s.row, s.col = row, col
}

// show makes the screen hold the cells, with the cursor before cells[cursor].
func (s *screen) show(list []cell, cursor int) {
	same := 0
	for same < len(list) && same < len(s.shown) && list[same] == s.shown[same] {
		same++
	}
	if same < len(list) || same < len(s.shown) {
		oldRow, oldCol := place(s.shown, s.width)
		s.moveTo(place(list[:same], s.width))
		for _, c := range list[same:] {
			s.put(c)
		}
		if s.row < oldRow || s.row == oldRow && s.col < oldCol {
			if s.row == oldRow {
				s.pending.WriteString("\x1b[K")
			} else {
				s.pending.WriteString("\x1b[J")
			}
		}
		s.shown = slices.Clone(list)
	}
	s.moveTo(place(list[:cursor], s.width))
	s.flush()
}

// leave moves behind the line and to a new row.
func (s *screen) leave() {
	s.moveTo(place(s.shown, s.width))
	if s.col > 0 || len(s.shown) == 0 {
		s.pending.WriteString("\r\n")
	}
	s.flush()
	s.forget()
}

// forget is for a screen on which the cursor stands at the start of an empty row.
func (s *screen) forget() { s.shown, s.row, s.col = nil, 0, 0 }

// clear empties the whole screen.
func (s *screen) clear() {
	s.pending.WriteString("\x1b[H\x1b[2J")
	s.forget()
}

// resize redraws for another width. Terminals move the text of long rows as they see fit when their size changes;
// this assumes what most do, that rows are broken anew.
func (s *screen) resize(width, cursor int) {
	list := s.shown
	s.width = width
	s.row, s.col = place(list[:min(cursor, len(list))], width)
	s.moveTo(0, 0)
	s.pending.WriteString("\x1b[J")
	s.forget()
	s.show(list, min(cursor, len(list)))
}

func (s *screen) bell() {
	s.pending.WriteByte('\a')
	s.flush()
}

// flush writes all that is pending at once. A terminal that is gone shows by its input ending, so the error of a
// write says nothing more.
func (s *screen) flush() {
	if s.pending.Len() > 0 {
		_, _ = io.WriteString(s.out, s.pending.String())
		s.pending.Reset()
	}
}
