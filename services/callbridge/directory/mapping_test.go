package directory

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// fred is the user of the guide's examples.
var fred = map[string]string{
	"mail":            "fred.blogs@test.example.com",
	"cn":              "Fred Anna Blogs",
	"sAMAccountName":  "fred",
	"telephoneNumber": "7655",
	"ipPhone":         "881234",
	"displayName":     "O'Neil / Blogs\\Fred $5",
	"ou":              "line\nbreak",
}

func expand(t *testing.T, expression string) (string, bool) {
	t.Helper()
	m, err := ParseMapping(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return m.Expand(func(a string) string { return fred[a] })
}

func TestMappingsGiveWhatTheGuideSays(t *testing.T) {
	for _, c := range []struct{ expression, want string }{
		// 5.2
		{`$sAMAccountName$@example.com`, "fred@example.com"},
		{`$sAMAccountName$@company.com`, "fred@company.com"},
		// 5.3: 88 before the telephone number.
		{`88$telephoneNumber$`, "887655"},
		{`$sAMAccountName$.space`, "fred.space"},
		// Appendix F
		{`$mail|'/@test/@xmpp/'$`, "fred.blogs@xmpp.example.com"},
		{`$cn|'/a//g'$`, "Fred Ann Blogs"},
		{`$cn$`, "Fred Anna Blogs"},
		{`$mail|'/@test/'$`, "fred.blogs.example.com"},
		{`$mail|'/@test./@/'$`, "fred.blogs@example.com"},
		{`$mail|'/@.*//'$.space`, "fred.blogs.space"},
		{`$ipPhone$`, "881234"},
	} {
		if got, complete := expand(t, c.expression); got != c.want || !complete {
			t.Errorf("%s: wanted %q, got %q, complete %v", c.expression, c.want, got, complete)
		}
	}
}

func TestMappingsFollowEachRuleOfAppendixF(t *testing.T) {
	for _, c := range []struct{ rule, expression, want string }{
		{"no option replaces the first alone", `$cn|'/n/N/'$`, "Fred ANna Blogs"},
		{"g replaces every match", `$cn|'/n/N/g'$`, "Fred ANNa Blogs"},
		{"groups in the replacement", `$cn|'/^(\w+) (\w+) (\w+)$/\3, \1 \2/'$`, "Blogs, Fred Anna"},
		{"group 0 is the match", `$ipPhone|'/^88/[\0]/'$`, "[88]1234"},
		{"groups 1 to 9", `$mail|'/^(.)(.)(.)(.)(.)(.)(.)(.)(.).*$/\9\8\7\6\5\4\3\2\1/'$`, "golb.derf"},
		{"a group that did not match is empty", `$cn|'/^(X)?Fred/<\1>/'$`, "<> Anna Blogs"},
		{"two digits are a group and a digit", `$ipPhone|'/^(8)8/\10/'$`, "801234"},
		{"a backslash doubled as the guide says", `$ipPhone|'/^\\d\\d(\\d+)$/\\1/'$`, "1234"},
		{"and not doubled", `$ipPhone|'/^\d\d(\d+)$/\1/'$`, "1234"},
		{"a literal backslash in the regex", `$displayName|'/\\\\/-/'$`, "O'Neil / Blogs-Fred $5"},
		{"a literal backslash in the replacement", `$sAMAccountName|'/r/\\\\1/'$`, `f\1ed`},
		{"a quote in the regex", `$displayName|'/O\'Neil/X/'$`, `X / Blogs\Fred $5`},
		{"a quote in the replacement", `$sAMAccountName|'/r/\'/'$`, `f'ed`},
		{"the separator as a literal in the regex", `$displayName|'/ \/ /+/'$`, `O'Neil+Blogs\Fred $5`},
		{"the separator as a literal in the replacement", `$sAMAccountName|'/r/\//'$`, `f/ed`},
		{"another separator", `$displayName|'# / #+#'$`, `O'Neil+Blogs\Fred $5`},
		{"a letter as separator", `$sAMAccountName|'xfxFxg'$`, "Fred"},
		{"a letter beyond ASCII as separator", `$sAMAccountName|'éfréFRé'$`, "FRed"},
		{"a separator that has a meaning in regular expressions is literal when escaped", `$mail|'.\...g'$`, "fredblogs@testexamplecom"},
		{"and | too", `$sAMAccountName|'|f\|r|x|'$`, "fred"},
		{"g as separator", `$sAMAccountName|'gfgbg'$`, "bred"},
		{"a dollar in the substitution closes nothing", `$mail|'/com$/org/'$`, "fred.blogs@test.example.org"},
		{"a dollar in a replacement is no group", `$sAMAccountName|'/(f)/$1/'$`, "$1red"},
		{"an ampersand is an ampersand", `$sAMAccountName|'/f/&/'$`, "&red"},
		{"literal text keeps backslashes, quotes and bars", `\a'b|c$sAMAccountName$`, `\a'b|cfred`},
		{"several attributes side by side", `$sAMAccountName$$ipPhone$`, "fred881234"},
		{"what does not match stays", `$cn|'/zz/y/g'$`, "Fred Anna Blogs"},
		{"empty matches, as sed does", `$telephoneNumber|'/x*/-/g'$`, "-7-6-5-5-"},
		{"a dot matches a line break", `$ou|'/e.b/_/'$`, "lin_reak"},
		{"brackets with a bracket", `$displayName|'/[]\\[ ]//g'$`, `O'Neil/Blogs\Fred$5`},
		{"named sets", `$mail|'/[[:punct:]]//g'$`, "fredblogstestexamplecom"},
		{"upper and lower case by a flag", `$cn|'/(?i)FRED/F./'$`, "F. Anna Blogs"},
		{"between \\Q and \\E all is literal", `$mail|'/\Q.b\E/(?=/'$`, "fred(?=logs@test.example.com"},
		{"options and numbers as attributes", `$sAMAccountName$`, "fred"},
		{"nothing", ``, ""},
		{"literal text alone", `employees`, "employees"},
	} {
		if got, complete := expand(t, c.expression); got != c.want || !complete {
			t.Errorf("%s: %s: wanted %q, got %q, complete %v", c.rule, c.expression, c.want, got, complete)
		}
	}
}

func TestMappingErrorsSayWhereAndWhatWouldBeRight(t *testing.T) {
	for _, c := range []struct {
		expression string
		at         int
		why        string
	}{
		{`$mail`, 1, "not closed"},
		{`a$`, 2, "name of an attribute"},
		{`a$$b`, 2, "name of an attribute"},
		{`ü$ma il$`, 5, "does not belong into the name"},
		{`$-mail$`, 2, "not the name of an attribute"},
		{`$1.$`, 2, "not the name of an attribute"},
		{`$mail|/a/b/$`, 7, "single quotes"},
		{`$mail|'`, 7, "not closed"},
		{`$mail|'/a/b/`, 7, "not closed"},
		{`$mail|'/a/b\'`, 7, "not closed"},
		{`$mail|'/a/b/'`, 1, "not closed"},
		{`$mail|'/a/b/'x$`, 14, "behind the closing quote"},
		{`$mail|'1a1b1'$`, 8, "cannot separate"},
		{`$mail|'\a\b\'$`, 8, "cannot separate"},
		{`$mail|''$`, 8, "cannot separate"},
		{`$mail|'/a'$`, 10, "missing behind the regular expression"},
		{`$mail|'/a/b'$`, 12, "missing behind the replacement"},
		{`$mail|'//b/'$`, 9, "empty"},
		{`$mail|'/a/b/i'$`, 13, `the option is "i"`},
		{`$mail|'/a/b/g/'$`, 14, "too many"},
		{`$mail|'/a/\1/'$`, 11, `\1 has no group`},
		{`$mail|'/(a)/\2/'$`, 13, `\2 has no group`},
		{`$mail|'/a(b/c/'$`, 9, "missing closing"},
		{`$mail|'/ab[c/d/'$`, 11, "missing closing ]"},
		{`$mail|'/ab**/d/'$`, 11, "nested repetition"},
		{`$mail|'/(a)\1/d/'$`, 12, "refer back"},
		{`$mail|'/a(?=b)/d/'$`, 10, "look ahead"},
		{`$mail|'/a(?<!b)/d/'$`, 10, "look ahead or back"},
		{`$mail|'/(?>b)/d/'$`, 9, "(?:…)"},
		{`$mail|'/(?#x)/d/'$`, 9, "not known"},
		{`$mail|'/a++/d/'$`, 11, "do not go back"},
		{`$mail|'/a{,3}/d/'$`, 10, "{0,n}"},
		{`$mail|'/\<b/d/'$`, 9, `\b`},
		{`$mail|'/[[.a.]]/d/'$`, 10, "collating"},
		{`$mail|'/x\Kb/d/'$`, 10, "invalid escape"},
		{`$mail|'/\'\Kb/d/'$`, 11, "invalid escape"},
		{"\xff", 1, "UTF-8"},
	} {
		_, err := ParseMapping(c.expression)
		var wrong *MappingError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: wanted an error, got %v", c.expression, err)
			continue
		}
		if wrong.At != c.at || !strings.Contains(wrong.Why, c.why) {
			t.Errorf("%s: wanted character %d: …%s…, got %v", c.expression, c.at, c.why, err)
		}
	}
}

func TestAMissingAttributeMakesAMappingIncomplete(t *testing.T) {
	if got, complete := expand(t, `$employeeID$@example.com`); got != "@example.com" || complete {
		t.Errorf("wanted an incomplete mapping, got %q, complete %v", got, complete)
	}
}

func TestAttributesAreNamedInTheirOrder(t *testing.T) {
	m, err := ParseMapping(`$givenName$ $sn;lang-de$ $2.5.4.3$ $sn|'/a/b/'$`)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Attributes(), " "); got != "givenName sn;lang-de 2.5.4.3 sn" {
		t.Errorf("got %s", got)
	}
}

func TestAReplacementCannotMakeATextOfAnyLength(t *testing.T) {
	m, err := ParseMapping(`$a|'/(.)/` + strings.Repeat(`\1`, 500) + `/g'$`)
	if err != nil {
		t.Fatal(err)
	}
	got, complete := m.Expand(func(string) string { return strings.Repeat("x", 1000) })
	if complete || len(got) > mostMapped {
		t.Errorf("wanted at most %d bytes and incomplete, got %d, complete %v", mostMapped, len(got), complete)
	}
}

func FuzzMapping(f *testing.F) {
	for _, s := range []string{`$mail|'/@.*//'$.space`, `$cn|'/a//g'$`, `$a|'#(b)\#\'\\#\1\\#g'$`, `$a|'/[^]\Q[\E]+(?i:x)/\0/'$`, `$a|'|\||\|\1|'$`, "$", `$a;b$`} {
		f.Add(s, "fred@test.example.com")
	}
	f.Fuzz(func(t *testing.T, expression, value string) {
		m, err := ParseMapping(expression)
		if err != nil {
			var wrong *MappingError
			if !errors.As(err, &wrong) {
				t.Fatalf("an error of another type: %v", err)
			}
			if n := utf8.RuneCountInString(expression); wrong.At < 1 || wrong.At > n+1 || wrong.Why == "" {
				t.Fatalf("%q has %d characters, the error is %v", expression, n, err)
			}
			return
		}
		got, complete := m.Expand(func(string) string { return value })
		if len(got) > mostMapped {
			t.Fatalf("%d bytes", len(got))
		}
		if value != "" && !strings.Contains(expression, "$") && (got != expression || !complete) && len(expression) <= mostMapped {
			t.Fatalf("literal text %q became %q", expression, got)
		}
		if _, complete := m.Expand(func(string) string { return "" }); complete && len(m.Attributes()) > 0 {
			t.Fatalf("%q is complete without attributes", expression)
		}
	})
}
