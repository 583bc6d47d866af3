package commands

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// everyRole is those of accounts, and that of a session which sets a lost password.
func everyRole() []grammar.Role {
	return append(slices.Clone(grammar.Roles), "recovery")
}

// Every form of every command is run by every role, as a line of its transcript: those that may not are told so, change nothing and are in the audit
// log as denied; of those that may the audit log says that, with no secret of the line.
func TestEveryCommandIsForItsRolesAloneAndInTheAuditLog(t *testing.T) {
	d := newFullDesk(t)
	lines := forms(t, d)
	kinds, list := All(d.deps)
	ran, hidden := 0, 0
	for i := range list {
		// What a command does is not what this is about.
		list[i].Run = func(*grammar.Call) error {
			ran++
			return nil
		}
	}
	tree, err := grammar.NewTree(kinds, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		line := lines[c.Syntax]
		for _, role := range everyRole() {
			var log, out bytes.Buffer
			sh := &shell.Shell{Tree: tree, Accounts: everybody{}, Log: shell.NewLog(&log), Hostname: func() string { return "cms" }, IdleTimeout: -1}
			login := &shell.Login{User: "x", Role: role, Source: shell.Source{Addr: netip.MustParseAddrPort("192.0.2.7:50022")}}
			before := ran
			status, err := sh.Exec(t.Context(), login, line.command, nil, &out, &out)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := tree.Parse(role, line.command)
			verdict, wanted := "permission granted", 0
			if !c.Allows(role) {
				verdict, wanted = "permission denied", 1
			}
			if audit := fmt.Sprintf("<134>cli: User x from 192.0.2.7:50022 issued command < %s>: %s\n", m.Audit, verdict); log.String() != audit {
				t.Errorf("%s as %s: want the audit log to say\n%sgot\n%s", line.command, role, audit, log.String())
			}
			if status != wanted || ran-before != 1-wanted {
				t.Errorf("%s as %s: want status %d, got %d, run %d times", line.command, role, wanted, status, ran-before)
			}
			if wanted == 1 {
				if said := out.String(); !strings.Contains(said, "permission denied; it takes role "+string(c.Roles[0])) || strings.Count(said, "\n") != 1 {
					t.Errorf("%s as %s: want one line that says which role it takes, got %q", line.command, role, said)
				}
			}
			for i, word := range secrets(c.Syntax, line.command) {
				hidden++
				if strings.Contains(log.String(), word) {
					t.Errorf("%s as %s: secret %d is in the audit log", line.command, role, i)
				}
			}
		}
	}
	if hidden < 40 {
		t.Errorf("%d secrets were looked for", hidden)
	}
}

// secretKinds are the kinds of arguments that no log may have.
var secretKinds = []string{"secret", "password:secret", "snmpsecret", "snmpcommunity"}

// secrets are the words of a line at the places of a secret, for forms without anything to leave out before one.
func secrets(syntax, command string) []string {
	words, err := grammar.Split(command)
	if err != nil {
		return nil
	}
	var found []string
	for i, part := range strings.Fields(syntax) {
		part = strings.Trim(part, "[]<>")
		_, kind, _ := strings.Cut(part, ":")
		if i < len(words) && (slices.Contains(secretKinds, kind) || slices.Contains(secretKinds, part)) {
			found = append(found, words[i])
		}
	}
	return found
}

var (
	argument = regexp.MustCompile(`<[^<>]*>`)
	choice   = regexp.MustCompile(`<\w+:(\([^()]*\))>`)
	keyword  = regexp.MustCompile(`[A-Za-z0-9_&.-]+`)
)

// keywords are the words of a form that are typed as they are.
func keywords(syntax string) []string {
	return keyword.FindAllString(argument.ReplaceAllString(choice.ReplaceAllString(syntax, "$1"), ""), -1)
}

// Help finds every form by its words, and Tab and ? show each of them where it comes.
func TestEveryWordOfEveryCommandIsHelpedAndCompleted(t *testing.T) {
	d := newFullDesk(t)
	lines := forms(t, d)
	_, list := All(d.deps)
	for _, c := range list {
		role := grammar.Admin
		if c.Roles != nil {
			role = c.Roles[0]
		}
		caller := &grammar.Caller{User: "x", Role: role}
		typed, err := grammar.Split(lines[c.Syntax].command)
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		ours := keywords(c.Syntax)
		for i, word := range typed {
			if !slices.Contains(ours, word) {
				continue
			}
			asked = append(asked, word)
			before := strings.Join(quoted(typed[:i]), " ") + " "
			if i == 0 {
				before = ""
			}
			if !slices.ContainsFunc(d.tree.Next(caller, before), func(h grammar.Hint) bool { return h.Text == word && h.Help != "" }) {
				t.Errorf("%s: ? after %q does not show %q", c.Syntax, before, word)
			}
			if text, _ := d.tree.Complete(caller, before+word); strings.TrimSpace(text) != before+word {
				t.Errorf("%s: Tab after %q makes it %q", c.Syntax, before+word, text)
			}
		}
		var help bytes.Buffer
		if err := d.tree.Help(&help, role, asked); err != nil || !strings.Contains(help.String(), c.Help) {
			t.Errorf("help %s does not show %q: %v\n%s", strings.Join(asked, " "), c.Help, err, help.String())
		}
	}
}

func quoted(words []string) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w
		if strings.Contains(w, " ") {
			list[i] = `"` + w + `"`
		}
	}
	return list
}
