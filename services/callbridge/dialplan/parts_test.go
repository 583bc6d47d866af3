package dialplan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rotunda/services/callbridge/failure"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ pattern, yes, no string }{
		{"example.com", "example.com", "a.example.com example.co xexample.com"},
		{"*.com", "example.com a.b.com .com", "com example.org"},
		{"exa*.com", "example.com exa.com exa.b.com", "xexa.com exa.org"},
		{"vc.exa*.com", "vc.example.com", "example.com vc.exacom"},
		{"*", "anything a.b", ""},
		{"a*b*c", "abc axbyc abbcc", "ab acb bc"},
		{"*x*x*", "xx axbxc xxx", "x axb"},
		{"Ex*.COM.", "example.com", "example.org"},
		{"10.*", "10.0.0.1", "110.0.0.1"},
		{"[2001:DB8::1]", "2001:db8::1", "2001:db8::2"},
		{"a**b", "ab axb", "a b"},
	} {
		p := compilePattern(c.pattern)
		for _, s := range strings.Fields(c.yes) {
			if !p.match(s) {
				t.Errorf("%s does not match %s", c.pattern, s)
			}
		}
		for _, s := range strings.Fields(c.no) {
			if p.match(s) {
				t.Errorf("%s matches %s", c.pattern, s)
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Address
	}{
		{"88001@meetings.example.com", Address{User: "88001", Domain: "meetings.example.com"}},
		{"SIP:a.b@Example.COM.:5061;transport=tls?Subject=x", Address{User: "a.b", Domain: "example.com", Port: 5061, Parameters: ";transport=tls"}},
		{"sips:a@[2001:DB8::1]:5061", Address{Secure: true, User: "a", Domain: "2001:db8::1", Port: 5061}},
		{"a@[2001:db8::1]", Address{User: "a", Domain: "2001:db8::1"}},
		{"+442079460123", Address{User: "+442079460123"}},
		{"tel:+1202;phone-context=x", Address{User: "+1202", Parameters: ";phone-context=x"}},
		{"sip:example.com", Address{Domain: "example.com"}},
		{"a;b@x.com", Address{User: "a;b", Domain: "x.com"}},
		{"", Address{}},
	} {
		got, err := ParseAddress(c.in)
		if err != nil || got != c.want {
			t.Errorf("%q is %+v, %v; want %+v", c.in, got, err, c.want)
		}
	}
	for in, at := range map[string]int{"a b@x.com": 2, "a@": 0, "é\x00@x": 2, "a@x:0": 3, "a@x:70000": 3, "a@x*.com": 2, "a@x..y": 3, "<sip:a@b>": 1, "a@[x]:1": 2, "a\xff@b": 2,
		strings.Repeat("a", MaxAddress+1): 0} {
		if got, err := ParseAddress(in); err == nil || At(err) != at {
			t.Errorf("%q is %+v, %v at %d; want an error at %d", in, got, err, At(err), at)
		}
	}
}

func TestPhoneNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"+442079460123": "44 2079460123", "442079460123": "44 2079460123", "12025550123": "1 2025550123", "+4915112345678": "49 15112345678",
		"+35312345678": "353 12345678", "+6799990000": "679 9990000", "+80012345678": "800 12345678",
		// Too short, too long, no country code, not digits alone.
		"+4420": "", "+1202555012": "", "+120255501234": "", "+999123456789": "", "+44 2079460123": "", "++442079460123": "",
		"0044207946012": "", "": "", "+": "", "44": "", "٤٤٢٠٧٩٤٦٠١٢٣": "", "+44207946012345678901234": "",
	} {
		code, number, ok := phone(in)
		got := ""
		if ok {
			got = code + " " + number
		}
		if got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	for code := range nationalLengths {
		for n := 1; n < len(code); n++ {
			if _, clash := nationalLengths[code[:n]]; clash {
				t.Errorf("country code %s begins with country code %s", code, code[:n])
			}
		}
	}
	if n := len(nationalLengths); n != 215 {
		t.Errorf("%d country codes, want 215", n)
	}
}

// What is wrong is said at the character where it is.
func TestErrorsOfExpressions(t *testing.T) {
	match := func(kind TransformType) func(string) error {
		return func(s string) error { return CheckMatch(kind, s) }
	}
	replace := func(kind TransformType) func(string) error {
		return func(s string) error { return CheckTransform(kind, s) }
	}
	for _, c := range []struct {
		check func(string) error
		in    string
		at    int
		word  string
	}{
		{match(Raw), "44", 1, "($"},
		{match(Raw), "($x/44/)", 2, "number of a component"},
		{match(Raw), "($2/44/)", 3, "types raw and strip"},
		{match(Phone), "($3/44/)", 3, "type phone"},
		{match(Phone), "($0/44/)", 3, "no component $0"},
		{match(Raw), "($1 44/)", 4, "/"},
		{match(Raw), "($1/44)", 5, "/ at its end"},
		{match(Raw), "($1/[44/)", 5, "never closed by ]"},
		{match(Raw), "($1/44/", 8, ")"},
		{match(Raw), "($1/a/b/)", 7, `\/`},
		{match(Raw), "($1/44/)x", 9, "($"},
		{match(Raw), "é", 1, "($"},
		{match(Phone), "($1/^44$/)($2/(7/)", 15, ")"},
		{match(Raw), "($1/é*+/)", 6, "twice"},
		{match(Raw), "($1/a(?=b)/)", 6, "looking ahead"},
		{match(Raw), "($1/a(?<!b)/)", 6, "looking back"},
		{match(Raw), `($1/(a)\1/)`, 8, "reference back"},
		{match(Raw), `($1/[z-a]/)`, 6, "range"},
		{match(Raw), `($1/ab\G/)`, 7, `\G`},
		{match(Raw), `($1/a{2000}/)`, 6, "1000"},
		{match(Raw), `($1/*a/)`, 5, "nothing before"},
		{match(Raw), `($1/(abcdefgh){500}/)`, 5, "repeats too much"},
		{match(Raw), strings.Repeat("x", MaxExpression+1), 0, "bytes"},
		{match(Raw), "($1/\xff/)", 0, "UTF-8"},
		{replace(Raw), "a$", 2, "number of a component"},
		{replace(Raw), "$2", 2, "types raw and strip"},
		{replace(Phone), "90044$2123@x", 7, "$2{}123"},
		{replace(Raw), "a{b", 2, "right after a component"},
		{replace(Raw), "$1{x}", 4, "/regular expression/replacement/"},
		{replace(Raw), "$1{/a/b}", 7, "/ at its end"},
		{replace(Raw), "$1{/a/b/", 9, "}"},
		{replace(Raw), `$1{/(a)/\2/}`, 9, "no group 2"},
		{replace(Raw), `$1{/a/\n/}`, 7, `\n`},
		{replace(Raw), "$1{/a/$x/}", 7, `\$`},
		{replace(Raw), "é $1", 2, "white space"},
		{replace(Raw), "$1{/a/ /}", 7, "white space"},
		{replace(Raw), `a\b`, 2, "backslash"},
		{replace(Raw), `$1{/(/x/}`, 5, "never closed"},
	} {
		err := c.check(c.in)
		if err == nil {
			t.Errorf("%s is taken", c.in)
		} else if At(err) != c.at || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v; want character %d and %q", c.in, err, c.at, c.word)
		}
	}
}

// What Perl and Go write differently is translated.
func TestRegularExpressionsOfOtherDialects(t *testing.T) {
	for _, c := range []struct{ re, yes, no string }{
		{`^\+?\d+\Z`, "+44", "44x"},
		{`a\/b`, "a/b", "ab"},
		{`^[\/\h]x`, "/x", "x"},
		{`\u0041`, "A", "a"},
		{`^[[:digit:]]+$`, "12", "a"},
		{`^[]a]+$`, "]a", "b"},
		{`^[^]]+$`, "ab", "]"},
		{`(?i)KATE`, "kate", "anna"},
		{`\é`, "é", "e"},
		{`a\.b`, "a.b", "axb"},
		{`(?:x|y)z{2,3}`, "xzz", "xz"},
	} {
		re, err := compileRegexp(c.re)
		if err != nil {
			t.Errorf("%s: %v", c.re, err)
			continue
		}
		if !re.MatchString(c.yes) || re.MatchString(c.no) {
			t.Errorf("%s: matches %q %v, %q %v; want true and false", c.re, c.yes, re.MatchString(c.yes), c.no, re.MatchString(c.no))
		}
	}
}

func TestSlashesWithinExpressions(t *testing.T) {
	for in, want := range map[string]string{"a/b": "a-b", "a": "a"} {
		if got := one(Raw, "", `$1{/[/]/-/}`).Transform(in, nil); got.Text != want {
			t.Errorf("%s becomes %s, want %s", in, got.Text, want)
		}
	}
	p := one(Raw, `($1/^[^/]+\/x$/) ($1/a/)`, `\$\{$1{}{/x/\/\$/}\}`)
	if got := p.Transform("a/x", nil); got.Text != "${a//$}" {
		t.Errorf("got %s from %+v", got.Text, p.Problems())
	}
}

func TestResultsAreBounded(t *testing.T) {
	long := strings.Repeat("x", MaxAddress)
	if got := one(Raw, "", "$1$1").Transform(long, nil); !got.Denied {
		t.Errorf("a result of %d bytes is not denied", len(got.Text))
	}
	if got := one(Raw, "", "$1"+strings.Repeat("{/x/xxxxxxxxxxxxxxxx/}", 20)).Transform("x", nil); !got.Denied {
		t.Errorf("a result that grows to 16^20 is not denied, %d bytes", len(got.Text))
	}
	if got := one(Raw, "", "$1").Transform(long+"x", nil); !got.Denied {
		t.Error("an address that is too long is left to the outbound rules")
	}
	if got := one(Raw, "", "").Transform("sip:kept@x.com", nil); got.Text != "kept@x.com" || got.Rule != id(1) {
		t.Errorf("a transform without an expression makes %+v", got)
	}
}

func TestPrepareSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		err         error
		name, fault string
	}{
		{checkInbound(InboundRule{}), "domain", failure.Missing},
		{checkInbound(InboundRule{Domain: "*.com"}), "domain", failure.Invalid},
		{checkInbound(InboundRule{Domain: "a@b.com"}), "domain", failure.Invalid},
		{checkInbound(InboundRule{Domain: "b.com:5060"}), "domain", failure.Invalid},
		{checkForwarding(ForwardingRule{}), "matchPattern", failure.Missing},
		{checkForwarding(ForwardingRule{Pattern: "*"}), "matchPattern", failure.Invalid},
		{checkForwarding(ForwardingRule{Pattern: "**"}), "matchPattern", failure.Invalid},
		{checkForwarding(ForwardingRule{Pattern: "*.*"}), "matchPattern", failure.Invalid},
		{checkForwarding(ForwardingRule{Pattern: "a.*", Domain: "x y"}), "destinationDomain", failure.Invalid},
		{checkOutboundRule(OutboundRule{Domain: "a b"}), "domain", failure.Invalid},
		{checkOutboundRule(OutboundRule{Domain: "a", Proxy: "h:99999"}), "sipProxy", failure.Invalid},
		{checkOutboundRule(OutboundRule{Domain: "a", FromDomain: "*"}), "localFromDomain", failure.Invalid},
		{checkTransform(TransformRule{Type: Raw, Match: "x"}), "match", failure.Invalid},
		{checkTransform(TransformRule{Type: Raw, Replace: "$2"}), "transform", failure.Invalid},
		{checkInbound(InboundRule{Domain: "Example.COM"}), "", ""},
		{checkInbound(InboundRule{Domain: "2001:db8::1"}), "", ""},
		{checkForwarding(ForwardingRule{Pattern: "exa*.com", Domain: "lync.example.com"}), "", ""},
		{checkOutboundRule(OutboundRule{Domain: "*", Proxy: "[::1]:5061"}), "", ""},
		{checkOutboundRule(OutboundRule{Domain: "a.com", Scope: OneCallBridge}), "", ""},
		{checkTransform(TransformRule{Type: Phone, Match: "($1/44/)", Replace: "$2"}), "", ""},
	} {
		var p *failure.Parameter
		if c.name == "" {
			if c.err != nil {
				t.Errorf("refused: %v", c.err)
			}
			continue
		}
		if !errors.As(c.err, &p) || p.Name != c.name || p.Fault != c.fault || p.Why == "" {
			t.Errorf("got %v, want %s %s with a reason", c.err, c.name, c.fault)
		}
	}
}

// full is a plan of a thousand rules in each table, of which the last ones match.
func full() Rules {
	var r Rules
	for n := range 1000 {
		name := fmt.Sprintf("-%d-", n)
		r.Inbound = append(r.Inbound, InboundRule{Domain: name + ".com", Spaces: true, Priority: int64(-n)})
		r.Forwarding = append(r.Forwarding, ForwardingRule{Pattern: "*" + name + "*.net", Priority: int64(-n)})
		r.Outbound = append(r.Outbound, OutboundRule{Domain: "*" + name + "*.net", Priority: int64(-n)})
		r.Transforms = append(r.Transforms, TransformRule{Type: Raw, Match: fmt.Sprintf(`($1/^\+?0*%d[a-z]+@/)`, n), Replace: `$1{/^\+/00/}`, Priority: int64(-n)})
	}
	return r
}

func BenchmarkThousandRules(b *testing.B) {
	p := Compile(full())
	in, _ := ParseAddress("x@a-999-b.net")
	out := Call{To: "+999abc@a-999-b.net"}
	b.Run("incoming", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if p.Incoming(in, nobody, nil).Verdict != Forwarded {
				b.Fatal("not forwarded")
			}
		}
	})
	b.Run("outgoing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got := p.Outgoing(out, nil); len(got.Attempts) != 1 {
				b.Fatalf("%+v", got)
			}
		}
	})
	b.Run("compile", func(b *testing.B) {
		rules := full()
		for b.Loop() {
			Compile(rules)
		}
	})
}

func FuzzMatchExpression(f *testing.F) {
	for _, s := range []string{"", "($1/01/)", "($1/44/)($2/^7/)", `($1/(\d){6,}/)`, `($1/\+(\d)+/)`, "($1/(.*)@example.com/)", "($1/[/]/)", `($1/\Qa/)`,
		"($1/[[:alpha:]]/)", `($1/(a{9}){9}{9}/)`, "($1/(?i)é/)"} {
		f.Add(s, "+442079460123")
	}
	f.Fuzz(func(t *testing.T, match, dialled string) {
		for _, kind := range []TransformType{Raw, Strip, Phone} {
			err := CheckMatch(kind, match)
			if at := At(err); at > len([]rune(match))+1 {
				t.Errorf("%q: the error is at %d: %v", match, at, err)
			}
			got := one(kind, match, "").Transform(dialled, nil)
			if err != nil && got.Rule == id(1) {
				t.Errorf("%q is refused, and matches %q", match, dialled)
			}
		}
	})
}

func FuzzTransformExpression(f *testing.F) {
	for _, s := range []string{"", "$2@vcs1", "90044$2{}123@mobilevcs", `$1{/\+/00/}`, "$1{/@example.com$/.endpoint@vc.example.com/}", `$1{/\D//}{/^9//}@example.com`,
		`$1{/(a)(b)?/\2\1\0/}`, `\$\\`, "$1{/x*/-/}", "$1{/()/$&$$/}"} {
		f.Add(s, "kate@example.com")
	}
	f.Fuzz(func(t *testing.T, replace, dialled string) {
		for _, kind := range []TransformType{Raw, Strip, Phone} {
			err := CheckTransform(kind, replace)
			if at := At(err); at > len([]rune(replace))+1 {
				t.Errorf("%q: the error is at %d: %v", replace, at, err)
			}
			got := one(kind, "", replace).Transform(dialled, nil)
			if !got.Denied && len(got.Text) > MaxAddress+len("sips:") {
				t.Errorf("%q makes %d bytes of %q", replace, len(got.Text), dialled)
			}
		}
	})
}

// The matcher agrees with the plainest one there is.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"exa*.com", "*", "a*b*c", "*x*x*", "**", ""} {
		f.Add(s, "example.com")
	}
	f.Fuzz(func(t *testing.T, text, domain string) {
		if len(text) > 12 || len(domain) > 24 {
			return
		}
		p := pattern{text: text, parts: strings.Split(text, "*")}
		if got, want := p.match(domain), plainly(text, domain); got != want {
			t.Errorf("%q matches %q: %v, want %v", text, domain, got, want)
		}
		_ = checkForwardingPattern(text)
	})
}

func plainly(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return plainly(pattern[1:], s) || s != "" && plainly(pattern, s[1:])
	}
	return s != "" && s[0] == pattern[0] && plainly(pattern[1:], s[1:])
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"sip:a@b.com:5061;x=y?h=v", "a@[::1]:1", "tel:+44", "sips:x", "a@b@c", "@A..", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		again, err := ParseAddress(a.URI())
		if a.Domain == "" {
			return // a number alone is no URI
		}
		if err != nil || again != a {
			t.Errorf("%q is %+v; written as %q it is %+v, %v", s, a, a.URI(), again, err)
		}
	})
}
