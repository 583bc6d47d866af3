package plain

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestALineIsALineAndSteersNothing(t *testing.T) {
	for s, want := range map[string]string{
		"":                  "",
		"plain text, 100 %": "plain text, 100 %",
		"Zoë\u00a0Ünal, 会议, नमस्ते": "Zoë\u00a0Ünal, 会议, नमस्ते",
		"क्\u200dष می\u200cخواهم":   "क्\u200dष می\u200cخواهم",
		"a\tb\nc\r\x00d\x7f":        "a b?c??d?",
		"\x1b[2J \u009b31m \u0085x": "?[2J ?31m ?x",
		"a\u2028b\u2029c":           "a?b?c",
		"\u202egnp.exe\u2066\u200f": "?gnp.exe??",
		"\xff\xc3(":                 "??(",
		"\ufeffx\u00ad\ue000":       "?x??",
	} {
		if got := Line(s, '?'); got != want {
			t.Errorf("%q: want %q, got %q", s, want, got)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\u009b31m\u202e\n\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s, ' ')
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
		}) {
			t.Errorf("%q became %q", s, got)
		}
		if Line(got, ' ') != got {
			t.Errorf("%q is not left alone", got)
		}
	})
}
