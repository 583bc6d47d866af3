package line

import (
	"slices"
	"strings"
)

// buffer is the line being edited. The cursor stands before cells[cursor].
type buffer struct {
	cells  []cell
	cursor int
	size   int
	// killed is what Ctrl-K, Ctrl-U and Ctrl-W took last.
	killed []cell
}

// String returns the line.
func (b *buffer) String() string { return text(b.cells) }

// before returns the line up to the cursor.
func (b *buffer) before() string { return text(b.cells[:b.cursor]) }

func text(list []cell) string {
	var s strings.Builder
	for _, c := range list {
		s.WriteString(c.text)
	}
	return s.String()
}

// set replaces the line; the cursor stands at its end.
func (b *buffer) set(s string) {
	b.cells = cells(s)
	b.cursor = len(b.cells)
	b.size = len(b.String())
}

// insert puts a character at the cursor. It reports false if the line is full.
func (b *buffer) insert(r rune) bool {
	n := len(string(r))
	if b.size+n > MaxLine {
		return false
	}
	if runeWidth(r) == 0 {
		if b.cursor == 0 || len(b.cells[b.cursor-1].text)+n > maxMarks {
			return false
		}
		b.cells[b.cursor-1].text += string(r)
		b.size += n
		return true
	}
	b.cells = slices.Insert(b.cells, b.cursor, cell{string(r), runeWidth(r)})
	b.cursor++
	b.size += n
	return true
}

// cut removes the cells from one index up to another and leaves the cursor where they were.
func (b *buffer) cut(from, to int) []cell {
	taken := slices.Clone(b.cells[from:to])
	b.cells = slices.Delete(b.cells, from, to)
	b.cursor = from
	b.size -= len(text(taken))
	return taken
}

// kill is cut into what yank puts back.
func (b *buffer) kill(from, to int) {
	if from < to {
		b.killed = b.cut(from, to)
	}
}

func (b *buffer) yank() bool {
	if b.size+len(text(b.killed)) > MaxLine {
		return false
	}
	b.cells = slices.Insert(b.cells, b.cursor, b.killed...)
	b.cursor += len(b.killed)
	b.size += len(text(b.killed))
	return true
}

// swap exchanges the two characters around the cursor and moves on, at the end of the line the last two.
func (b *buffer) swap() bool {
	i := b.cursor
	if i == len(b.cells) {
		i--
	}
	if i < 1 {
		return false
	}
	b.cells[i-1], b.cells[i] = b.cells[i], b.cells[i-1]
	b.cursor = i + 1
	return true
}

// wordLeft is where the word before the cursor begins, wordRight where the one after it ends.
func (b *buffer) wordLeft() int {
	i := b.cursor
	for i > 0 && b.cells[i-1].text == " " {
		i--
	}
	for i > 0 && b.cells[i-1].text != " " {
		i--
	}
	return i
}

func (b *buffer) wordRight() int {
	i := b.cursor
	for i < len(b.cells) && b.cells[i].text == " " {
		i++
	}
	for i < len(b.cells) && b.cells[i].text != " " {
		i++
	}
	return i
}

// edit does what a key that changes or moves within the line asks for. known is false for any other key, ok is false
// if there is nothing to do, which rings the bell.
func (b *buffer) edit(k key) (known, ok bool) {
	switch k {
	case keyStart:
		b.cursor = 0
	case keyEnd:
		b.cursor = len(b.cells)
	case keyLeft:
		if b.cursor == 0 {
			return true, false
		}
		b.cursor--
	case keyRight:
		if b.cursor == len(b.cells) {
			return true, false
		}
		b.cursor++
	case keyWordLeft:
		b.cursor = b.wordLeft()
	case keyWordRight:
		b.cursor = b.wordRight()
	case keyBackspace:
		if b.cursor == 0 {
			return true, false
		}
		b.cut(b.cursor-1, b.cursor)
	case keyDelete, keyDeleteOrLeave:
		if b.cursor == len(b.cells) {
			return true, false
		}
		b.cut(b.cursor, b.cursor+1)
	case keyKillEnd:
		b.kill(b.cursor, len(b.cells))
	case keyKillLine:
		b.kill(0, len(b.cells))
	case keyKillWord:
		b.kill(b.wordLeft(), b.cursor)
	case keyYank:
		return true, b.yank()
	case keySwap:
		return true, b.swap()
	default:
		if k >= ' ' {
			return true, b.insert(rune(k))
		}
		return false, false
	}
	return true, true
}
