package commands

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

var roleLetters = map[grammar.Role]string{grammar.Admin: "A", grammar.Crypto: "C", grammar.Audit: "U", grammar.AppAdmin: "P", grammar.API: "I"}

func wholeTree(t *testing.T, d Deps) (*grammar.Tree, []grammar.Command) {
	t.Helper()
	kinds, list := All(d)
	list = append(shell.Builtins(), list...)
	tree, err := grammar.NewTree(kinds, list)
	if err != nil {
		t.Fatal(err)
	}
	return tree, list
}

func TestEveryCommandOfTheReferenceIsThereForTheRightRoles(t *testing.T) {
	text, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := wholeTree(t, newDesk(t).deps)
	lines := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		lines++
		letters, command, _ := strings.Cut(line, " ")
		for _, role := range grammar.Roles {
			m, err := tree.Parse(role, command)
			switch may := strings.Contains(letters, roleLetters[role]); {
			case may && (err != nil || m.Command == nil):
				t.Errorf("%s as %s: %v", command, role, err)
			case !may && !errors.Is(err, grammar.ErrDenied):
				t.Errorf("%s as %s: wanted it denied, got %v", command, role, err)
			}
		}
	}
	if lines < 200 {
		t.Errorf("%d lines were tried", lines)
	}
}

// The page of the shell has a table of all commands between two remarks.
func TestTheHelpOfTLSSpeaksOfAllKinds(t *testing.T) {
	tree, _ := wholeTree(t, newDesk(t).deps)
	var help strings.Builder
	if err := tree.Help(&help, grammar.Admin, nil); err != nil {
		t.Fatal(err)
	}
	// The list has the first form of a command: that of log servers alone would be misleading.
	if want := regexp.MustCompile(`(?m)^tls +Show how connections of a kind are secured$`); !want.MatchString(help.String()) {
		t.Errorf("wanted %s in\n%s", want, &help)
	}
}

func TestReferencePageOfTheShellHasTheTableOfCommands(t *testing.T) {
	const file, begins, ends = "../../docs/mmp.md", "<!-- commands -->\n", "<!-- end of commands -->\n"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begins)
	_, after, also := strings.Cut(rest, ends)
	if !ok || !also {
		t.Fatalf("%s has no place for the table", file)
	}
	tree, list := wholeTree(t, Deps{})
	var table bytes.Buffer
	if err := tree.Table(&table); err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(table.String(), "\n| `"); rows != len(list) {
		t.Errorf("%d commands are declared, and the table has %d", len(list), rows)
	}
	generated(t, file, before+begins+table.String()+ends+after)
}

// What every role may do is about itself, appadmin and api have no other commands, and who only looks changes nothing.
func TestRolesHaveTheCommandsThatTheyAreFor(t *testing.T) {
	_, list := wholeTree(t, Deps{})
	own := []string{"help", "?", "whoami", "exit", "logout", "passwd"}
	for _, c := range list {
		verb, _, _ := strings.Cut(c.Syntax, " ")
		admin, audit := c.Allows(grammar.Admin), c.Allows(grammar.Audit)
		if c.Allows(grammar.AppAdmin) != slices.Contains(own, verb) || c.Allows(grammar.API) != slices.Contains(own, verb) {
			t.Errorf("%s: appadmin and api may %v, %v", c.Syntax, c.Allows(grammar.AppAdmin), c.Allows(grammar.API))
		}
		for _, hard := range []struct {
			begins string
			roles  []grammar.Role
		}{
			{"syslog audit add", []grammar.Role{grammar.Audit}},
			{"syslog audit del", []grammar.Role{grammar.Audit}},
			{"user ", []grammar.Role{grammar.Admin}},
			{"factory_reset", []grammar.Role{grammar.Admin}},
			{"backup", []grammar.Role{grammar.Admin}},
			{"upgrade [", []grammar.Role{grammar.Admin}},
			{"upgrade delete", []grammar.Role{grammar.Admin}},
			{"firewall confirm", []grammar.Role{grammar.Admin}},
			{"pcap", []grammar.Role{grammar.Admin}},
			{"generate_logbundle", []grammar.Role{grammar.Admin}},
			{"pki csr", []grammar.Role{grammar.Admin, grammar.Crypto}},
			{"pki sign", []grammar.Role{grammar.Admin, grammar.Crypto}},
			{"pki unlock", []grammar.Role{grammar.Admin, grammar.Crypto}},
			{"pki pkcs12-to-ssh", []grammar.Role{grammar.Admin}},
			{"callbridge certs", []grammar.Role{grammar.Admin, grammar.Crypto}},
			{"webadmin certs", []grammar.Role{grammar.Admin, grammar.Crypto}},
			{"turn certs", []grammar.Role{grammar.Admin, grammar.Crypto}},
			{"turn credentials", []grammar.Role{grammar.Admin}},
		} {
			if strings.HasPrefix(c.Syntax, hard.begins) && !slices.Equal(c.Roles, hard.roles) {
				t.Errorf("%s: roles %v, want %v", c.Syntax, c.Roles, hard.roles)
			}
		}
		if audit && !admin && !strings.HasPrefix(c.Syntax, "syslog audit ") && !strings.HasPrefix(c.Syntax, "tls syslog") {
			t.Errorf("%s: an administrator may not, and the audit role may", c.Syntax)
		}
		if c.Help == "" || strings.HasSuffix(c.Help, ".") {
			t.Errorf("%s: its help is %q", c.Syntax, c.Help)
		}
	}
}
