package commands

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"rotunda/mmp/grammar"
)

// anyLetters are the forms with an argument in which people write what they like, in any alphabet.
var anyLetters = []string{
	"syslog search <string:text>", "syslog audit search <string:text>",
	"syslog dump <filename:file> [<from:logtime> [<to:logtime>]]", "syslog audit dump <filename:file> [<from:logtime> [<to:logtime>]]",
	"syslog rotate <filename:file>", "syslog audit rotate <filename:file>",
	"ldap bind (<dn:word>|none)",
	"motd add <message:text>", "login_warning add <message:text>",
	"turn credentials <user:word> <password:secret> <realm:word>", "turn short_term_credentials <secret> <realm:word>",
	"snmp user add <name:snmpname> <password:secret> " + snmpWays,
}

// names is that an answer has the word that is wrong in it, or what it is too long for.
var names = regexp.MustCompile(`xxxxxxxx|cherei|surplus|empty|quote|UTF-8|U\+|unexpected|(wrong|unknown) word|\d (bytes|characters|letters|words)`)

// Whatever is wrong with a line, the answer is one line that says what, and nothing is changed. Each form of each command is tried as in its
// transcript, with each of its arguments spoilt in turn, and with a line that is spoilt as a whole.
func TestBadInputOfEveryCommandIsAnsweredClearlyAndChangesNothing(t *testing.T) {
	d := newFullDesk(t)
	_, list := All(d.deps)
	lines := forms(t, d)
	tried := 0
	refused := func(l typedLine, command, part string) {
		t.Helper()
		tried++
		before := ""
		_, err := d.tree.Parse(l.role, command)
		if err == nil {
			before = d.state()
			_, err = d.as(l.role, command, l.answers...)
		}
		if err == nil {
			t.Errorf("%.200q: want it refused", command)
		} else if text := err.Error(); !strings.Contains(text, part) || !names.MatchString(text) || strings.ContainsAny(text, "\n\r\x07") || !utf8.ValidString(text) || utf8.RuneCountInString(text) > 450 {
			t.Errorf("%.200q: want one short line with %q, got %q", command, part, text)
		}
		if before == "" {
			return
		}
		if after := d.state(); after != before {
			t.Fatalf("%.200q: want nothing changed, got\n%s\nbefore\n%s", command, after, before)
		}
	}
	for _, c := range list {
		l := lines[c.Syntax]
		for what, part := range map[string]string{
			l.command + ` "`:                            "a double quote is not closed",
			l.command + ` "half a word`:                 "a double quote is not closed",
			l.command + " \xff":                         "not valid UTF-8",
			l.command + " \x07":                         "character U+0007 at position",
			l.command + "\u202e":                        "character U+202E at position",
			l.command + strings.Repeat(" x", 300):       "",
			l.command + " " + strings.Repeat("x", 5000): "the limit is 4096",
		} {
			refused(l, what, part)
		}
		if !strings.Contains(c.Syntax, "…") {
			refused(l, l.command+strings.Repeat(" surplus", 5), `"surplus"`)
		}
		typed, err := grammar.Split(l.command)
		if err != nil {
			t.Fatal(err)
		}
		for i, word := range typed {
			if slices.Contains(keywords(c.Syntax), word) {
				continue
			}
			spoil := func(by string) string {
				words := quoted(typed)
				words[i] = by
				return strings.Join(words, " ")
			}
			refused(l, spoil(`""`), "it is empty")
			refused(l, spoil(`" "`), "it is empty")
			if !strings.Contains(c.Syntax, "search") {
				refused(l, spoil(strings.Repeat("x", 3000)), "")
			}
			command := spoil("Bücherei日本")
			if !slices.Contains(anyLetters, c.Syntax) {
				refused(l, command, "cherei")
			}
		}
	}
	if tried < 2000 {
		t.Errorf("%d lines were tried", tried)
	}
}
