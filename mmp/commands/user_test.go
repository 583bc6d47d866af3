package commands

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/syslog"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/init/durable/powercut"
	"rotunda/mmp/accounts"
	"rotunda/mmp/grammar"
)

type fixedClock struct{ now time.Time }

func (c fixedClock) Now() time.Time      { return c.now }
func (fixedClock) Uptime() time.Duration { return time.Minute }

// script answers questions from a list and keeps the prompts.
type script struct{ answers, prompts []string }

func (s *script) Ask(ctx context.Context, prompt string) (string, error) {
	return s.AskSecret(ctx, prompt)
}

func (s *script) AskSecret(_ context.Context, prompt string) (string, error) {
	s.prompts = append(s.prompts, prompt)
	if len(s.answers) == 0 {
		return "", io.EOF
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return answer, nil
}

// stored are the files that administrators have put, all of them empty.
type stored []string

func (s stored) OpenStored(name string) (io.ReadCloser, error) {
	if !slices.Contains(s, name) {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader("")), nil
}

type userTest struct {
	t     *testing.T
	store *accounts.Store
	tree  *grammar.Tree
}

func newUserTest(t *testing.T) *userTest {
	store, err := accounts.Open(accounts.Config{
		Disk: powercut.New(), Log: func(syslog.Priority, string, string) {}, Cost: accounts.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1},
		Clock: fixedClock{time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)}, Zone: func() *time.Location { return time.UTC },
		Files: stored{"carol.pub"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := grammar.NewTree(userKinds(store), userCommands(store))
	if err != nil {
		t.Fatal(err)
	}
	return &userTest{t: t, store: store, tree: tree}
}

// run types a line as a user and returns what is printed and the error.
func (u *userTest) run(user string, role grammar.Role, line string, answers ...string) (string, error) {
	u.t.Helper()
	var out bytes.Buffer
	caller := &grammar.Caller{User: user, Role: role, Source: "192.0.2.7:50022", Terminal: &script{answers: answers}}
	match, err := u.tree.Parse(role, line)
	if err != nil {
		return "", err
	}
	err = match.Command.Run(match.Call(u.t.Context(), caller, &out))
	return out.String(), err
}

func (u *userTest) ok(line string, answers ...string) string {
	u.t.Helper()
	out, err := u.run("admin", grammar.Admin, line, answers...)
	if err != nil {
		u.t.Fatalf("%s: %v", line, err)
	}
	return out
}

func (u *userTest) fails(part, line string, answers ...string) {
	u.t.Helper()
	out, err := u.run("admin", grammar.Admin, line, answers...)
	if err == nil || !strings.Contains(err.Error(), part) {
		u.t.Errorf("%s: %v, %q, want an error with %q", line, err, out, part)
	}
}

func TestAQuestionWithoutAnAnswerChangesNothing(t *testing.T) {
	u := newUserTest(t)
	u.fails(grammar.ErrAborted.Error(), "passwd")
	u.fails(grammar.ErrAborted.Error(), "user add bob crypto", "a good pass word")
	u.fails("there is no user", "user info bob")
}

func TestKeysThatAreOlderThanTheUserAreNoted(t *testing.T) {
	u := newUserTest(t)
	for user, want := range map[string]bool{"bob": false, "carol": true} {
		out := u.ok("user add "+user+" crypto", "a good pass word", "a good pass word")
		if strings.Contains(out, user+".pub") != want {
			t.Errorf("user add %s: wanted a note about %[1]s.pub: %v, got %q", user, want, out)
		}
	}
}

func TestUserListIsLaidOutAsScriptsExpect(t *testing.T) {
	u := newUserTest(t)
	u.ok("user add yyoshina api", "a good pass word", "a good pass word")
	u.ok("user rule password_age none")
	got := u.ok("user list")
	want := "USERNAME  ROLE   PASSWORD EXPIRY  LOGGED IN\n" +
		"admin     admin  2026-Oct-01      no\n" +
		"yyoshina  api    10000-Dec-31     no\n"
	if got != want {
		t.Errorf("user list prints\n%s\nwant\n%s", got, want)
	}
	u.ok("user rule password_age 180")
	u.ok("user add somebody.with.a.long.name appadmin", "a good pass word", "a good pass word")
	got = u.ok("user list")
	want = "USERNAME                   ROLE      PASSWORD EXPIRY  LOGGED IN\n" +
		"admin                      admin     2026-Oct-01      no\n" +
		"somebody.with.a.long.name  appadmin  2026-Oct-01      no\n" +
		"yyoshina                   api       2027-Mar-30      no\n"
	if got != want {
		t.Errorf("user list prints\n%s\nwant\n%s", got, want)
	}
}

func TestUserInfo(t *testing.T) {
	u := newUserTest(t)
	u.ok("user add bob crypto", "a good pass word", "a good pass word")
	u.ok("user host bob add 192.168.1.3")
	u.ok("user host bob add jump.example.com")
	u.ok("user duty bob MoTu1200-1400|We1400-1500")
	got := u.ok("user info bob")
	want := `Username               : bob
Role                   : crypto
Logged in              : no
Last login             : never
Failed logins          : 0
Last password change   : 2026-Oct-01 12:00:00
Password expiry        : 2026-Oct-01
Must change password   : yes
Locked                 : no
Allowed hosts          : 192.168.1.3, jump.example.com
Duty hours             : MoTu1200-1400|We1400-1500
`
	if got != want {
		t.Errorf("user info prints\n%s\nwant\n%s", got, want)
	}
	u.ok("user host bob delete 192.168.1.3")
	u.ok("user duty bob none")
	if got := u.ok("user info bob"); !strings.Contains(got, "Allowed hosts          : jump.example.com\n") ||
		!strings.Contains(got, "Duty hours             : any\n") {
		t.Errorf("after delete and none user info prints\n%s", got)
	}
	u.fails("there is no user", "user info nobody")
}

func TestUserRules(t *testing.T) {
	u := newUserTest(t)
	for _, rule := range accounts.RuleTable {
		value := "3"
		if rule.Kind == accounts.Flag {
			value = "true"
		}
		u.ok("user rule " + rule.Name + " " + value)
		if got := u.ok("user rule"); !strings.Contains(got, "\n"+pad(rule.Name)+" : "+value+"\n") &&
			!strings.HasPrefix(got, pad(rule.Name)+" : "+value+"\n") {
			t.Errorf("after setting %s to %s user rule prints\n%s", rule.Name, value, got)
		}
		u.ok("user rule " + rule.Name + " none")
	}
	u.fails("none", "user rule min_length 65")
	u.fails("true", "user rule only_ascii 1")
}

func pad(name string) string { return name + strings.Repeat(" ", 22-len(name)) }

func TestPasswd(t *testing.T) {
	u := newUserTest(t)
	if got := u.ok("passwd", "admin", "a good pass word", "a good pass word"); got != "Success\n" {
		t.Errorf("passwd prints %q, want Success", got)
	}
	u.ok("passwd admin", "a good pass word", "another good one", "another good one")
	u.fails("present password is not right", "passwd", "wrong", "a good pass word", "a good pass word")
	u.fails("not the same", "passwd", "another good one", "a good pass word", "a good pass wordy")
	u.fails("min_length", "passwd", "another good one", "short", "short")
	u.ok("user add bob audit", "a good pass word", "a good pass word")
	u.ok("passwd bob", "set by the admin", "set by the admin")
	if _, err := u.run("bob", grammar.Audit, "passwd admin", "taken over now", "taken over now"); err == nil {
		t.Error("an audit user set the password of an administrator")
	}
	if _, err := u.run("bob", grammar.Audit, "passwd", "set by the admin", "chosen by myself", "chosen by myself"); err != nil {
		t.Errorf("own password: %v", err)
	}
	if _, err := u.run("recover", accounts.Recovery, "passwd", "x", "chosen by myself", "chosen by myself"); err == nil {
		t.Error("passwd worked in a recovery session")
	}
}

func TestUserAddRefusals(t *testing.T) {
	u := newUserTest(t)
	u.fails("already there", "user add ADMIN admin")
	u.fails("not the same", "user add bob admin", "a good pass word", "b good pass word")
	u.fails("last administrator", "user del admin")
	u.fails("there is no user", "user del bob")
	u.ok("user add script api", "a good pass word", "a good pass word")
	u.fails("role api", "user expire script")
}

func TestOnlyAdministratorsManageUsers(t *testing.T) {
	u := newUserTest(t)
	for _, role := range append(grammar.Roles[1:], accounts.Recovery) {
		for _, line := range []string{"user list", "user add eve admin", "user rule min_length none", "user unlock admin"} {
			if _, err := u.run("eve", role, line, "a good pass word", "a good pass word"); err == nil {
				t.Errorf("role %s may run %s", role, line)
			}
		}
	}
	if _, err := u.run("admin", grammar.Admin, "recover admin", "a good pass word", "a good pass word"); err == nil {
		t.Error("recover works outside a recovery session")
	}
	if _, err := u.run("recover", accounts.Recovery, "recover admin", "a good pass word", "a good pass word"); err != nil {
		t.Errorf("recover in a recovery session: %v", err)
	}
}

func TestAddingAHostThatIsNotOnesOwnIsNoted(t *testing.T) {
	u := newUserTest(t)
	if got := u.ok("user host admin add 198.51.100.0/24"); !strings.Contains(got, "192.0.2.7:50022") {
		t.Errorf("prints %q, want a note about the own source", got)
	}
	if got := u.ok("user host admin add 192.0.2.0/24"); got != "" {
		t.Errorf("prints %q, want nothing", got)
	}
}

func TestUsersOfADirectory(t *testing.T) {
	u := newUserTest(t)
	u.ok("user add carol admin ldap")
	u.ok("user add cron api ldap")
	u.fails("already there", "user add CAROL audit")
	u.fails("the directory's", "passwd carol", "a good pass word", "a good pass word")
	u.fails("the directory's", "user expire carol")
	u.fails("last administrator", "user del admin")
	info, err := u.run("admin", grammar.Admin, "user info carol")
	if err != nil || !strings.Contains(info, "Role                   : admin\nAuthentication         : LDAP\n") || strings.Contains(info, "assword") {
		t.Errorf("user info of an LDAP user: %v\n%s", err, info)
	}
	list, _ := u.run("admin", grammar.Admin, "user list")
	if !strings.Contains(list, "carol     admin  10000-Dec-31     no\n") {
		t.Errorf("user list:\n%s", list)
	}
	u.ok("user del carol")
}
