package api

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextSurvivesXML(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		"a & b <c> \"d\" 'e'": "a & b <c> \"d\" 'e'",
		"two\nlines\tand\r":   "two\nlines\tand\r",
		"bell\a \xff":         "bell\uFFFD \uFFFD",
		"Ü 会议 🎥":              "Ü 会议 🎥",
		"]]>":                 "]]>",
	} {
		got := roundTrip(t, text)
		if got.Text != want || got.attr("a") != want {
			t.Errorf("%q: want %q, got %q and %q", text, want, got.Text, got.attr("a"))
		}
	}
}

func roundTrip(t *testing.T, text string) tree {
	t.Helper()
	return parse(t, string(document(Element{Name: "x", Text: text, Attributes: []Attribute{{"a", text}}})))
}

func FuzzText(f *testing.F) {
	f.Add("a & b <c> \"d\" \r\n\t")
	f.Add("\x00\xff\ufffe]]>")
	f.Fuzz(func(t *testing.T, text string) {
		got := roundTrip(t, text)
		if got.Text != got.attr("a") || utf8.RuneCountInString(got.Text) != utf8.RuneCountInString(text) {
			t.Errorf("%q came back as %q and %q", text, got.Text, got.attr("a"))
		}
	})
}

func TestParametersAreReadAsBrowsersWriteThem(t *testing.T) {
	p, err := parseParams("a=1&A=2&b=x%3Dy+z&c&&=x&%64=%zz%4", "\ufeffe=5\r\n&f =6")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "2", "B": "x=y z", "c": "", "d": "%zz%4", "e": "5\r\n", "f": "6"} {
		if got, sent := p.Lookup(name); !sent || got != want {
			t.Errorf("%s: want %q, got %q %v", name, want, got, sent)
		}
	}
	if _, sent := p.Lookup("g"); sent {
		t.Error("g was not sent")
	}
	if _, err := parseParams(strings.Repeat("a=1&", maxParams+1)); err == nil {
		t.Errorf("want an error for more than %d parameters", maxParams)
	}
}

func FuzzParams(f *testing.F) {
	f.Add("a=1&b=%zz&+=%00")
	f.Fuzz(func(t *testing.T, form string) {
		p, err := parseParams(form)
		if err != nil {
			return
		}
		for _, one := range p.list {
			if len(one.name)+len(one.value) > len(form) {
				t.Errorf("%q has grown to %q", form, one)
			}
		}
	})
}

func TestElementsOfGroupsAreTogether(t *testing.T) {
	e := Element{Name: "callLeg"}
	for _, path := range []string{"", "status", "status/rxVideo role=main", "status/rxVideo role=presentation", "status/rxVideo role=main", "status"} {
		e.group(path).add(Text("x", path))
	}
	want := `<callLeg><x></x><status><x>status</x><rxVideo role="main"><x>status/rxVideo role=main</x><x>status/rxVideo role=main</x></rxVideo>` +
		`<rxVideo role="presentation"><x>status/rxVideo role=presentation</x></rxVideo><x>status</x></status></callLeg>`
	if got := strings.ReplaceAll(strings.TrimPrefix(string(document(e)), declaration), "<x/>", "<x></x>"); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}
