package invitation

import (
	"os"
	"strings"
	"testing"
	"time"
)

var full = Meeting{
	Name: "Weekly", URI: "weekly@example.com", NumericID: "123456789", Passcode: "4711",
	Hyperlink: "https://join.example.com/meeting/123456789?secret=s",
	WebBridges: []WebBridge{
		{Label: "Inside", Address: "https://join.example.com", Hyperlink: "https://join.example.com/meeting/123456789?secret=s"},
		{Label: "Outside", Address: "https://meet.example.com", Hyperlink: "https://meet.example.com/meeting/123456789?secret=s"},
	},
	Numbers: []Number{{Label: "Oslo", Number: "+47 123"}, {Number: "+44 456"}},
}

func TestTemplatesAreCarriedOut(t *testing.T) {
	for _, c := range []struct{ name, in, subject, body string }{
		{"variables", "Subject: Call %name%\nID %numeric_id% at %uri%, %passcode%", "Call Weekly", "ID 123456789 at weekly@example.com, 4711\n"},
		{"no subject", "\n\nHello %name%\n", "", "Hello Weekly\n"},
		{"subject in any case, and CRLF", "SUBJECT:  x \r\n\r\ny\r\n", "x", "y\n"},
		{"byte order mark", "\ufeffSubject: x\ny", "x", "y\n"},
		{"if", "#if passcode\nPIN %passcode%\n#else\nno PIN\n#endif\n", "", "PIN 4711\n"},
		{"else", "#if nothing\na\n#else\nb\n#endif", "", "b\n"},
		{"elseif", "#if nothing\na\n#elseif uri\nb\n#else\nc\n#endif", "", "b\n"},
		{"inline", "{% if uri %}by %uri%{% else %}no URI{% endif %}.", "", "by weekly@example.com.\n"},
		{"inline else", "a{% if nothing %}x{% else %}y{% endif %}b", "", "ayb\n"},
		{"inline loop", "{% for n in ivr_numbers %}[%n.number%]{% endfor %}", "", "[+47 123][+44 456]\n"},
		{"length with a space", "#if length (web_bridge_addresses) > 0\n%web_bridge_addresses.0.address%\n#endif", "", "https://join.example.com\n"},
		{"length compared", "#if length(ivr_numbers) == 3\na\n#else\nb\n#endif", "", "b\n"},
		{"a list is a condition", "#if ivr_numbers\na\n#endif", "", "a\n"},
		{"for", "#for wba in web_bridge_addresses\n%wba.label% %wba.address% %wba.hyperlink%\n#endfor\nend", "",
			"Inside https://join.example.com https://join.example.com/meeting/123456789?secret=s\nOutside https://meet.example.com https://meet.example.com/meeting/123456789?secret=s\nend\n"},
		{"if within for", "#for n in ivr_numbers\n#if n.label\n%n.label%: %n.number%\n#else\n%n.number%\n#endif\n#endfor", "", "Oslo: +47 123\n+44 456\n"},
		{"for within for", "{% for a in ivr_numbers %}{% for b in web_bridge_addresses %}%a.number%-%b.label%;{% endfor %}{% endfor %}", "",
			"+47 123-Inside;+47 123-Outside;+44 456-Inside;+44 456-Outside;\n"},
		{"indented directives", "  #if uri\n  x\n\t#endif\n", "", "  x\n"},
		{"and, or, not", "{% if uri and not nothing %}1{% endif %}{% if nothing or (uri && !passcode) %}2{% endif %}{% if nothing || uri %}3{% endif %}", "", "13\n"},
		{"text compared", `{% if name == "Weekly" %}1{% endif %}{% if name != 'Weekly' %}2{% endif %}`, "", "1\n"},
		{"percent signs", "100% sure, 50 % off, 5%", "", "100% sure, 50 % off, 5%\n"},
		{"an address with escapes", "https://x/%20a%20?q=%E2%82%AC", "", "https://x/%20a%20?q=%E2%82%AC\n"},
		{"an unknown name stays", "%nmae%", "", "%nmae%\n"},
		{"beyond the end of a list", "[%ivr_numbers.7.number%]", "", "[]\n"},
		{"a line that begins with #", "#1 choice\n# comment\n#iffy", "", "#1 choice\n# comment\n#iffy\n"},
		{"braces", "{ {x} {%", "", "{ {x} {%\n"},
	} {
		tpl, err := Parse(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		m, err := tpl.Render(full)
		if err != nil || m.Subject != c.subject || m.Body != c.body {
			t.Errorf("%s: subject %q, body %q, %v; want %q and %q", c.name, m.Subject, m.Body, err, c.subject, c.body)
		}
	}
}

func TestTemplatesThatAreNotWellFormedSayWhereAndWhy(t *testing.T) {
	for in, want := range map[string]string{
		"a\n#if uri\nb":                     "#if has no end",
		"#for x in ivr_numbers\n":           "#for has no end",
		"x\n#endif":                         "line 2: #endif without a beginning",
		"#if uri\n#endfor\n":                "line 2: #endfor within #if",
		"#for x in ivr_numbers\n#else\n":    "line 2: #else within #for",
		"#if uri\n#else\n#else\n#endif":     "line 3: #else after #else",
		"#for x ivr_numbers\n#endfor":       "use #for NAME in LIST",
		"#if\n#endif":                       "a name is missing",
		"#if (uri\n#endif":                  "parenthesis has no end",
		"#if uri passcode\n#endif":          "passcode is left over",
		"#if uri > \n#endif":                "a name is missing",
		"#if length(3)\n#endif":             "use the name of a list",
		"#if name == \"x\n#endif":           "a quote has no end",
		"#if $x\n#endif":                    "is no condition",
		"{% include x %}":                   "use if, elseif",
		strings.Repeat("#if uri\n", 17):     "more than 16 blocks",
		"#if " + strings.Repeat("(", 40):    "more than 16 parentheses",
		"#if " + strings.Repeat("not ", 40): "more than 16 parentheses",
		strings.Repeat("x", MaxTemplate+1):  "more than 65536 bytes",
	} {
		if _, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v; want an error with %q", in, err, want)
		}
	}
}

func TestLoopsWithinLoopsAreBounded(t *testing.T) {
	m := full
	m.Numbers = make([]Number, 32)
	for _, body := range []string{"", strings.Repeat("x", 1000)} {
		in := strings.Repeat("#for a in ivr_numbers\n", 8) + body + "\n" + strings.Repeat("#endfor\n", 8)
		tpl, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := tpl.Render(m); err == nil {
			t.Error("32^8 rounds were carried out; want an error")
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v to refuse", took)
		}
	}
}

func TestValuesCannotForgeLines(t *testing.T) {
	tpl, err := Parse("Subject: %name%\nName %name%\n#for n in ivr_numbers\n%n.label%\n#endfor")
	if err != nil {
		t.Fatal(err)
	}
	m, err := tpl.Render(Meeting{Name: "a\r\nBcc: b\u2028#if", Numbers: []Number{{Label: "x\ny"}}})
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "a  Bcc: b #if" || m.Body != "Name a  Bcc: b #if\nx y\n" {
		t.Errorf("subject %q, body %q", m.Subject, m.Body)
	}
	// A value is text, never a template.
	m, _ = tpl.Render(Meeting{Name: "%passcode% {% if uri %}", Passcode: "4711"})
	if strings.Contains(m.Body, "4711") {
		t.Errorf("the name was read as a template: %q", m.Body)
	}
}

// TestTheTemplateOfTheDocsIsCarriedOut takes the example of docs/spaces.md by its word.
func TestTheTemplateOfTheDocsIsCarriedOut(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/spaces.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "\n    Subject: ")
	if !ok {
		t.Fatal("there is no example in docs/spaces.md")
	}
	var example strings.Builder
	for line := range strings.Lines("    Subject: " + rest) {
		inside, ok := strings.CutPrefix(line, "    ")
		if !ok && line != "\n" {
			break
		}
		example.WriteString(inside)
	}
	tpl, err := Parse(example.String())
	if err != nil {
		t.Fatal(err)
	}
	m, err := tpl.Render(full)
	want := "You are invited to Weekly.\n\nJoin in a browser: " + full.Hyperlink + "\nBy telephone, meeting ID 123456789, passcode 4711:\nOslo +47 123\n +44 456\n"
	if err != nil || m.Subject != "Meeting Weekly" || m.Body != want {
		t.Errorf("subject %q, body %q, %v; want %q", m.Subject, m.Body, err, want)
	}
}

// FuzzTemplate looks for panics, for work without bounds, and for values that turn into markup.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"Subject: %name%\n#if uri\n%uri%\n#else\nx\n#endif\n", "#for wba in web_bridge_addresses\n%wba.label%\n#endfor",
		"{% if length (ivr_numbers) > 0 and not (passcode == '1') %}%ivr_numbers.0.number%{% endif %}", "{%%}", "%", "%%", "#if", "{% for a in b %}{% endfor %}",
		"#elseif x", "%a.b.c.d%", "#if length(a.b) >= -1\n#endif",
	} {
		f.Add(seed)
	}
	for _, l := range Languages() {
		b, err := files.ReadFile("defaults/" + l + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, s string) {
		tpl, err := Parse(s)
		if err != nil {
			return
		}
		for _, m := range []Meeting{full, {}} {
			one, err := tpl.Render(m)
			if err != nil {
				continue
			}
			if len(one.Body)+len(one.Subject) > maxOutput+1 {
				t.Errorf("%d bytes of text", len(one.Body))
			}
			if strings.ContainsAny(one.Subject, "\r\n") {
				t.Errorf("the subject %q has a line break", one.Subject)
			}
			if two, err := tpl.Render(m); err != nil || two != one {
				t.Errorf("the second time it is %q, %v; was %q", two, err, one)
			}
		}
	})
}
