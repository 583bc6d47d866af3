package store

import (
	"bytes"
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold is how text is compared without regard to case.
func fold(s string) string { return strings.ToLower(s) }

// compareFold is strings.Compare of what fold makes of both, without making it.
func compareFold(a, b string) int {
	for a != "" && b != "" {
		if a[0] < utf8.RuneSelf && b[0] < utf8.RuneSelf {
			x, y := lower(a[0]), lower(b[0])
			if x != y {
				return cmp.Compare(x, y)
			}
			a, b = a[1:], b[1:]
			continue
		}
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		x, y = unicode.ToLower(x), unicode.ToLower(y)
		if x != y {
			return cmp.Compare(x, y)
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}

// startsFold is strings.HasPrefix of what fold makes of both.
func startsFold(s, start string) bool {
	for start != "" {
		if s == "" {
			return false
		}
		x, n := utf8.DecodeRuneInString(s)
		y, m := utf8.DecodeRuneInString(start)
		if unicode.ToLower(x) != unicode.ToLower(y) {
			return false
		}
		s, start = s[n:], start[m:]
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// appendFold appends what fold makes of s.
func appendFold(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return append(b, fold(s[i:])...)
		}
		b = append(b, lower(s[i]))
	}
	return b
}

// compare is the order of lists.
func (k *kind) compare(a, b *Record) int {
	if k.order >= 0 {
		if c := compareFold(a.at(k.order), b.at(k.order)); c != 0 {
			return c
		}
	}
	return bytes.Compare(a.id[:], b.id[:])
}

// compareAny orders records of several types.
func (m *model) compareAny(a, b *Record) int {
	x, y := m.of[a.object], m.of[b.object]
	if x != y {
		return cmp.Compare(x.at, y.at)
	}
	return x.compare(a, b)
}
