package cdr

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"rotunda/services/callbridge/meeting"
)

// FuzzText gives far ends any name: the document stays one that can be read, with the name in it.
func FuzzText(f *testing.F) {
	for _, s := range []string{"Anna", `<a b="c">&amp;]]>`, "\x00\x01\x1f", "\xff\xfe\xed\xa0\x80", "ü\u2028\U0001f600\ufffe"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, address string) {
		l := meeting.LegInfo{ID: leg(1), Name: name, Remote: address, Kind: "sip"}
		r := encode(legStart, &entry{at: newClock().now(), leg: &l, use: &usage{}}, 7)
		var b bytes.Buffer
		envelope(&b, "s", name)
		r.put(&b, 1, 2)
		b.WriteString(closing)
		got := parse(b.String())
		if len(got) != 1 || got[0].Type != "callLegStart" || got[0].Index != 1 || got[0].Correlator != 7 || got[0].Missing != 2 {
			t.Fatalf("%q: want one record, got %+v", name, got)
		}
		if plain := !strings.ContainsAny(name, "<>&\"'\t\r\n") && utf8.ValidString(name) && !strings.ContainsFunc(name, func(c rune) bool {
			return c < ' ' || c > 0xd7ff
		}); plain && name != "" && !strings.Contains(got[0].Inner, "<displayName>"+name+"</displayName>") {
			t.Errorf("want %q in it, got %s", name, got[0].Inner)
		}
	})
}
