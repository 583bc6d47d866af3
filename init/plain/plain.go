// Package plain is what a line of a log or of a terminal may have in it. What programs, certificates and far ends say is
// shown to administrators: it must not end their line, steer their terminal (C0 and C1, ECMA-48) or turn the direction of
// what stands beside it (Unicode Standard Annex 9). It keeps nothing and never fails.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Joiners that letters of several scripts need; they show nothing of their own.
const nonJoiner, joiner = '\u200c', '\u200d'

// Line replaces each character that is not to be shown as it is, and whatever is no UTF-8, by another one; a tab by a blank.
func Line(s string, instead rune) string {
	plain := true
	for i := 0; plain && i < len(s); i++ {
		plain = ' ' <= s[i] && s[i] < 0x7f
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == nonJoiner, r == joiner, unicode.IsGraphic(r) && r != utf8.RuneError:
			return r
		}
		return instead
	}, s)
}
