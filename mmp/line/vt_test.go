package line

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// vt is a terminal as far as the editor uses one: a grid of columns that scrolls without end. A character in the
// last column leaves the cursor there until the next one, as a VT100 does.
type vt struct {
	mu       sync.Mutex
	width    int
	rows     [][]string
	row, col int
	wrap     bool
	rest     []byte
	bells    int
	unknown  string
}

func newVT(width int) *vt { return &vt{width: width, rows: [][]string{make([]string, width)}} }

func (v *vt) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rest = append(v.rest, p...)
	for len(v.rest) > 0 {
		n := v.one(v.rest)
		if n == 0 {
			break
		}
		v.rest = v.rest[n:]
	}
	return len(p), nil
}

// one takes one character or control sequence and returns its length, 0 if it is not complete.
func (v *vt) one(p []byte) int {
	switch p[0] {
	case '\r':
		v.col, v.wrap = 0, false
		return 1
	case '\n':
		v.down(1)
		return 1
	case '\b':
		v.col, v.wrap = max(0, v.col-1), false
		return 1
	case '\a':
		v.bells++
		return 1
	case 0x1b:
		for i := 2; i < len(p); i++ {
			if p[i] >= '@' {
				v.sequence(string(p[2:i]), p[i])
				return i + 1
			}
		}
		return 0
	}
	if !utf8.FullRune(p) {
		return 0
	}
	r, n := utf8.DecodeRune(p)
	w := runeWidth(r)
	if w == 0 {
		if c := v.col - 1; v.wrap {
			v.rows[v.row][v.col] += string(r)
		} else if c >= 0 {
			if v.rows[v.row][c] == "" && c > 0 {
				c--
			}
			v.rows[v.row][c] += string(r)
		}
		return n
	}
	if v.wrap || v.col+w > v.width {
		v.col, v.wrap = 0, false
		v.down(1)
	}
	v.rows[v.row][v.col] = string(r)
	if w == 2 {
		v.rows[v.row][v.col+1] = ""
	}
	v.col += w
	if v.col >= v.width {
		v.col, v.wrap = v.width-1, true
	}
	return n
}

func (v *vt) down(n int) {
	v.wrap = false
	for range n {
		v.row++
		if v.row == len(v.rows) {
			v.rows = append(v.rows, make([]string, v.width))
		}
	}
}

func (v *vt) sequence(params string, final byte) {
	n := 0
	for _, c := range params {
		n = n*10 + int(c-'0')
	}
	if n == 0 {
		n = 1
	}
	wrap := v.wrap
	v.wrap = false
	switch final {
	case 'A':
		v.row = max(0, v.row-n)
	case 'B':
		// Cursor down does not scroll: a terminal stays on its last row.
		v.row = min(len(v.rows)-1, v.row+n)
	case 'C':
		v.col = min(v.width-1, v.col+n)
	case 'D':
		v.col = max(0, v.col-n)
	case 'H':
		v.row, v.col = 0, 0
	case 'K':
		v.wrap = wrap
		clear(v.rows[v.row][v.col:])
	case 'J':
		if params == "2" {
			for _, r := range v.rows {
				clear(r)
			}
			return
		}
		clear(v.rows[v.row][v.col:])
		for _, r := range v.rows[v.row+1:] {
			clear(r)
		}
	default:
		v.unknown += params + string(final)
	}
}

// text is the screen, without blanks at the ends of rows and without empty rows at its end.
func (v *vt) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var lines []string
	for _, r := range v.rows {
		var b strings.Builder
		for i, c := range r {
			// An empty cell is the second half of a wide character or a blank.
			if c == "" && (i == 0 || r[i-1] == "" || cells(r[i-1])[0].width == 1) {
				c = " "
			}
			b.WriteString(c)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// cursor is where the cursor is.
func (v *vt) cursor() (row, col int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.row, v.col
}
