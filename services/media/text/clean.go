package text

import (
	"unicode"
	"unicode/utf8"
)

// MaxRunes is how much of a text is looked at. The longest message of the API is shorter, and so is what fits a screen.
const MaxRunes = 1024

// Marks that may sit on one letter. Vietnamese has two, Hebrew with cantillation three, Tibetan stacks four.
const maxMarks = 4

// Clean returns at most limit runes of s, ready for shaping: white space of any kind as one blank, line ends kept if lines
// is true, nothing invisible that could change how other text reads, invalid bytes as U+FFFD. It reads no more of s than
// it needs, however long s is.
func clean(dst []rune, s string, limit int, lines bool) []rune {
	marks := 0
	// Dropped runes count as read, so that a text of nothing but invisible characters ends too.
	for read := 0; len(s) > 0 && len(dst) < limit && read < 4*limit; read++ {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == '\n' && lines:
			dst = append(dst, r)
			marks = 0
			continue
		case r == '\r' && lines:
			continue
		case unicode.IsSpace(r):
			if n := len(dst); n > 0 && dst[n-1] != ' ' && dst[n-1] != '\n' {
				dst = append(dst, ' ')
			}
			marks = 0
			continue
		case r == 0x200c || r == 0x200d: // joiners are spelling in Persian and in Indic scripts
			if marks++; marks > maxMarks {
				continue
			}
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
			if marks++; marks > maxMarks {
				continue
			}
		case unicode.Is(unicode.C, r) || !unicode.IsGraphic(r): // controls, overrides, surrogates, private use, unassigned
			continue
		default:
			marks = 0
		}
		dst = append(dst, r)
	}
	for n := len(dst); n > 0 && (dst[n-1] == ' ' || dst[n-1] == '\n'); n-- {
		dst = dst[:n-1]
	}
	return dst
}
