package line

import "unicode"

// wide are the characters that terminals draw two columns wide: East Asian Wide and Fullwidth of Unicode Standard
// Annex #11, and the emoji blocks, joined to ranges.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, // Hangul Jamo
		{Lo: 0x231a, Hi: 0x231b, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1}, // CJK radicals and punctuation
		{Lo: 0x3041, Hi: 0x33ff, Stride: 1}, // kana, CJK symbols
		{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, // CJK extension A
		{Lo: 0x4e00, Hi: 0xa4cf, Stride: 1}, // CJK ideographs, Yi
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, // Hangul syllables
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1}, // fullwidth forms
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1},
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1}, // CJK extensions B and later
	},
}

// runeWidth returns the columns that a character takes: 0 for one that is drawn onto the one before.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// cell is what one cursor movement passes: a character with those that are drawn onto it.
type cell struct {
	text  string
	width int
}

// maxMarks bounds the marks on one character, in bytes.
const maxMarks = 16

// cells cuts a text into cells.
func cells(text string) []cell {
	var list []cell
	for _, r := range text {
		list = appendRune(list, r)
	}
	return list
}

// appendRune adds a character at the end. A mark without a character before it is left out.
func appendRune(list []cell, r rune) []cell {
	w := runeWidth(r)
	if w > 0 {
		return append(list, cell{string(r), w})
	}
	if n := len(list); n > 0 && len(list[n-1].text) < maxMarks {
		list[n-1].text += string(r)
	}
	return list
}
