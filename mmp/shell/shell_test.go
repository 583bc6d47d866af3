package shell

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/grammar"
	"rotunda/mmp/line"
)

// syncBuffer is a strings.Builder that several goroutines may use.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// fakeAccounts lets everybody in and refuses short passwords.
type fakeAccounts struct {
	mu       sync.Mutex
	open     int
	full     error
	evict    func()
	password string
}

func (a *fakeAccounts) CheckPassword(context.Context, string, string, Source) (*Login, error) {
	return nil, ErrRefused
}

func (a *fakeAccounts) CheckKey(context.Context, string, ssh.PublicKey, Source) (*Login, error) {
	return nil, ErrRefused
}

func (a *fakeAccounts) CheckCard(context.Context, [][]byte, Source) (*Login, error) {
	return nil, ErrRefused
}

func (a *fakeAccounts) LoggedIn(*Login) {}

func (a *fakeAccounts) Begin(_ *Login, _ SessionKind, evict func()) (func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full != nil {
		return nil, a.full
	}
	a.open++
	a.evict = evict
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
	}, nil
}

func (a *fakeAccounts) SetPassword(_ context.Context, _, password string) error {
	if len(password) < 8 {
		return errors.New("the password has 3 characters; user rule min_length wants 8")
	}
	a.password = password
	return nil
}

// testShell is a shell with a few commands, and what it logs.
func testShell(t *testing.T, accounts *fakeAccounts) (*Shell, *syncBuffer) {
	t.Helper()
	started := make(chan struct{}, 1)
	commands := append(Builtins(),
		grammar.Command{Syntax: "version", Help: "Show the version", Run: func(c *grammar.Call) error {
			c.Printf("0.1.0\n")
			return nil
		}},
		grammar.Command{Syntax: "crash", Help: "Crash", Run: func(*grammar.Call) error { panic("boom") }},
		grammar.Command{Syntax: "fail", Help: "Fail", Run: func(*grammar.Call) error { return errors.New("no room\nat \u009b1mall") }},
		grammar.Command{Syntax: "secret <value:secret>", Help: "Take a secret", Run: func(*grammar.Call) error { return nil }},
		grammar.Command{Syntax: "upgrade", Help: "Ask", Run: func(c *grammar.Call) error {
			if err := c.Confirm("Sure?"); err != nil {
				return err
			}
			c.Printf("upgraded\n")
			return nil
		}},
		grammar.Command{Syntax: "wait", Help: "Wait for Ctrl-C", Run: func(c *grammar.Call) error {
			started <- struct{}{}
			<-c.Context.Done()
			return c.Context.Err()
		}},
		grammar.Command{Syntax: "admins", Roles: []grammar.Role{grammar.Admin}, Help: "For admins", Run: func(*grammar.Call) error { return nil }},
	)
	tree, err := grammar.NewTree(nil, commands)
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	return &Shell{
		Tree: tree, Accounts: accounts, Log: NewLog(log), Hostname: func() string { return "cms1" }, IdleTimeout: -1,
	}, log
}

func testLogin() *Login {
	return &Login{User: "admin", Role: grammar.Admin, Source: Source{Addr: netip.MustParseAddrPort("10.1.1.1:63290")}}
}

// typeInto runs an interactive session that types the keys, and returns what the terminal shows.
func typeInto(t *testing.T, sh *Shell, login *Login, keys string) string {
	t.Helper()
	var screen syncBuffer
	term := line.NewTerminal(strings.NewReader(keys), &screen, line.Size{}, sh.Hooks(login))
	term.Wait()
	_ = sh.Interactive(context.Background(), login, SSHSession, term)
	return screen.String()
}

func exec(sh *Shell, login *Login, command, input string) (status int, out, errOut string) {
	var o, e strings.Builder
	pipe := line.NewPipe(strings.NewReader(input), &o)
	defer pipe.Close()
	status, _ = sh.Exec(context.Background(), login, command, pipe, &o, &e)
	return status, o.String(), e.String()
}

func TestAOneShotCommandAnswersWithAnExitStatus(t *testing.T) {
	sh, _ := testShell(t, &fakeAccounts{})
	for _, c := range []struct {
		command, input string
		status         int
		out            string
	}{
		{"version", "", 0, "0.1.0\n"},
		{"version\n", "", 0, "0.1.0\n"},
		{"", "", 0, ""},
		{"exit", "", 0, ""},
		{"bogus", "", 1, "Unknown command \"bogus\"; \"help\" lists the commands\n"},
		{"fail", "", 1, "no room; at ?1mall\n"},
		{"crash", "", 1, "the command crashed; the log says where\n"},
		{"upgrade", "Y\n", 0, "Sure? (Y/n) \nupgraded\n"},
		{"upgrade", "y\n", 1, "Sure? (Y/n) \naborted, nothing was changed\n"},
		{"upgrade", "", 1, "Sure? (Y/n) \naborted, nothing was changed\n"},
		{"secret ?", "", 0, "<value>  a secret, which is not written to the log\n"},
		{"whoami", "", 0, "User   : admin\nRole   : admin\nSource : 10.1.1.1:63290\n"},
	} {
		status, out, errOut := exec(sh, testLogin(), c.command, c.input)
		if status != c.status || out != c.out || errOut != "" {
			t.Errorf("%q with input %q: wanted status %d and %q, got %d and %q, on standard error %q",
				c.command, c.input, c.status, c.out, status, out, errOut)
		}
	}
}

func TestEveryCommandLeavesAnAuditLine(t *testing.T) {
	for _, c := range []struct {
		role          grammar.Role
		command, want string
	}{
		{grammar.Admin, "version", "< version>: permission granted"},
		{grammar.Crypto, "admins", "< admins>: permission denied"},
		{grammar.Admin, "version now", "< version …>: syntax error"},
		{grammar.Admin, "secret hunter2", "< secret ********>: permission granted"},
		{grammar.Admin, "hunter2", "< …>: syntax error"},
	} {
		sh, log := testShell(t, &fakeAccounts{})
		login := testLogin()
		login.Role = c.role
		exec(sh, login, c.command, "")
		if want := "<134>cli: User admin from 10.1.1.1:63290 issued command " + c.want + "\n"; log.String() != want {
			t.Errorf("%q: wanted\n%sgot\n%s", c.command, want, log)
		}
	}
}

func TestACrashIsLoggedWithItsPlace(t *testing.T) {
	sh, log := testShell(t, &fakeAccounts{})
	exec(sh, testLogin(), "crash", "")
	for _, want := range []string{"<27>cli: command < crash> crashed: boom\n", "shell_test.go:"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log: wanted %q in it, got\n%s", want, log)
		}
	}
	for l := range strings.SplitSeq(strings.TrimSpace(log.String()), "\n") {
		// The audit log has what was typed and nothing of the crash.
		want := "<27>cli: "
		if strings.Contains(l, "issued command") {
			want = "<134>cli: "
		}
		if !strings.HasPrefix(l, want) {
			t.Errorf("log: wanted %q before the line, got %q", want, l)
		}
	}
}

func TestAPersonTypesCommandsUntilTheyLeave(t *testing.T) {
	accounts := &fakeAccounts{}
	sh, _ := testShell(t, accounts)
	sh.Notice = func() string { return "Maintenance on Friday\n" }
	login := testLogin()
	login.FailedLogins = 3
	got := typeInto(t, sh, login, "version\r\x10\rcrash\rlogout\rversion\r")
	want := "Failed logins since last successful login 3\r\nMaintenance on Friday\r\n" +
		"cms1> version\r\n0.1.0\r\ncms1> version\r\n0.1.0\r\n" +
		"cms1> crash\r\nthe command crashed; the log says where\r\ncms1> logout\r\n"
	if got != want {
		t.Errorf("wanted\n%q\ngot\n%q", want, got)
	}
	if accounts.open != 0 {
		t.Errorf("sessions still counted: wanted 0, got %d", accounts.open)
	}
}

func TestASecretIsNotInTheHistory(t *testing.T) {
	sh, _ := testShell(t, &fakeAccounts{})
	got := typeInto(t, sh, testLogin(), "version\rsecret hunter2\r\x10\rexit\r")
	if n := strings.Count(got, "0.1.0"); n != 2 {
		t.Errorf("the line above the secret: wanted version to run twice, it ran %d times:\n%s", n, got)
	}
}

func TestALineWithAMistakeCanBeCorrected(t *testing.T) {
	sh, _ := testShell(t, &fakeAccounts{})
	got := typeInto(t, sh, testLogin(), "version x\r\x10\x7f\x7f\rexit\r")
	if !strings.Contains(got, "0.1.0") {
		t.Errorf("the line above, without its last word: wanted version to run, got\n%q", got)
	}
}

func TestQuestionMarkAndTabWorkInASession(t *testing.T) {
	sh, _ := testShell(t, &fakeAccounts{})
	got := typeInto(t, sh, testLogin(), "secret ?x\rver\t\rexit\r")
	for _, want := range []string{"<value>  a secret, which is not written to the log\r\ncms1> secret x", "cms1> version \r\n0.1.0"} {
		if !strings.Contains(got, want) {
			t.Errorf("wanted %q in the session, got\n%q", want, got)
		}
	}
}

func TestADuePasswordIsSetBeforeAnythingElse(t *testing.T) {
	accounts := &fakeAccounts{}
	sh, log := testShell(t, accounts)
	login := testLogin()
	login.MustChange = "Password has expired"
	if status, out, errOut := exec(sh, login, "version", ""); status != 1 || out != "" ||
		errOut != "Password has expired: log in with a terminal and set a new password first\n" {
		t.Errorf("one-shot command: wanted a refusal, got %d %q %q", status, out, errOut)
	}
	got := typeInto(t, sh, login, "one\rtwo\rabc\rabc\rnew-secret\rnew-secret\rversion\rexit\r")
	want := "Password has expired\r\n" +
		"Please enter new password: \r\nPlease enter new password again: \r\nthe two passwords are not the same\r\n" +
		"Please enter new password: \r\nPlease enter new password again: \r\nthe password has 3 characters; user rule min_length wants 8\r\n" +
		"Please enter new password: \r\nPlease enter new password again: \r\nSuccess\r\n" +
		"cms1> version\r\n0.1.0\r\ncms1> exit\r\n"
	if got != want {
		t.Errorf("wanted\n%q\ngot\n%q", want, got)
	}
	if accounts.password != "new-secret" {
		t.Errorf("stored password: wanted new-secret, got %q", accounts.password)
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("log: wanted no password in it, got %s", log)
	}
	if status, _, _ := exec(sh, login, "version", ""); status != 0 {
		t.Errorf("one-shot command afterwards on the same connection: wanted status 0, got %d", status)
	}
}

func TestWhoSetsNoPasswordGetsNoPrompt(t *testing.T) {
	for _, keys := range []string{strings.Repeat("abc\r", 2*passwordTries) + "version\r", "\x03version\r", "abc\rabc\r\x04version\r"} {
		sh, _ := testShell(t, &fakeAccounts{})
		login := testLogin()
		login.MustChange = "Password has expired"
		if got := typeInto(t, sh, login, keys); strings.Contains(got, "cms1>") || strings.Contains(got, "0.1.0") {
			t.Errorf("keys %q: wanted no prompt, got\n%s", keys, got)
		}
	}
}

func TestCtrlCStopsACommandAndNotTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh, _ := testShell(t, &fakeAccounts{})
		in, keyboard := io.Pipe()
		var screen syncBuffer
		term := line.NewTerminal(in, &screen, line.Size{}, sh.Hooks(testLogin()))
		done := make(chan error)
		go func() { done <- sh.Interactive(context.Background(), testLogin(), SSHSession, term) }()
		for _, command := range []string{"wait\r", "upgrade\r"} {
			_, _ = io.WriteString(keyboard, command)
			synctest.Wait()
			_, _ = io.WriteString(keyboard, "\x03")
			synctest.Wait()
		}
		_, _ = io.WriteString(keyboard, "version\rexit\r")
		if err := <-done; err != nil {
			t.Errorf("end of the session: wanted none, got %v", err)
		}
		keyboard.Close()
		term.Wait()
		if want := "cms1> wait\r\n^C\r\ncms1> upgrade\r\nSure? (Y/n) ^C\r\ncms1> version\r\n0.1.0\r\ncms1> exit\r\n"; screen.String() != want {
			t.Errorf("wanted %q, got %q", want, screen.String())
		}
	})
}

func TestAnIdleSessionEndsAndAWorkingOneDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh, log := testShell(t, &fakeAccounts{})
		sh.IdleTimeout = 10 * time.Minute
		in, keyboard := io.Pipe()
		var screen syncBuffer
		term := line.NewTerminal(in, &screen, line.Size{}, sh.Hooks(testLogin()))
		done := make(chan error)
		go func() { done <- sh.Interactive(context.Background(), testLogin(), SSHSession, term) }()
		begin := time.Now()
		time.Sleep(9 * time.Minute)
		_, _ = io.WriteString(keyboard, "wait\r")
		time.Sleep(time.Hour)
		_, _ = io.WriteString(keyboard, "\x03")
		if err := <-done; !errors.Is(err, ErrIdle) {
			t.Errorf("wanted %v, got %v", ErrIdle, err)
		}
		if got, want := time.Since(begin), 79*time.Minute; got != want {
			t.Errorf("end of the session: wanted after %v, got %v", want, got)
		}
		if !strings.HasSuffix(screen.String(), "nothing came for too long\r\n") {
			t.Errorf("wanted the reason on the screen, got %q", screen.String())
		}
		if !strings.Contains(log.String(), "User admin from 10.1.1.1:63290 timed out") {
			t.Errorf("wanted the time-out in the log, got %q", log.String())
		}
		keyboard.Close()
		term.Wait()
	})
}

func TestAScriptThatSendsNothingEndsAndOneThatWaitsForItsCommandDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh, log := testShell(t, &fakeAccounts{})
		sh.IdleTimeout = 10 * time.Minute
		in, script := io.Pipe()
		var out, errOut syncBuffer
		pipe := line.NewPipe(in, &out)
		status := make(chan int)
		begin := time.Now()
		go func() {
			s, err := sh.Script(context.Background(), testLogin(), pipe, &out, &errOut)
			if err != nil {
				t.Error(err)
			}
			status <- s
		}()
		time.Sleep(9 * time.Minute)
		_, _ = io.WriteString(script, "version\n")
		if s := <-status; s != statusFailed || errOut.String() != ErrIdle.Error()+"\n" {
			t.Errorf("wanted status %d and %v, got %d and %q", statusFailed, ErrIdle, s, errOut.String())
		}
		if got, want := time.Since(begin), 19*time.Minute; got != want {
			t.Errorf("end of the script: wanted after %v, got %v", want, got)
		}
		if !strings.Contains(log.String(), "<134>cli: User admin from 10.1.1.1:63290 timed out\n") {
			t.Errorf("wanted the time-out in the audit log, got %q", log)
		}
		script.Close()
		pipe.Close()
	})
}

func TestAnEvictedSessionEndsWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &fakeAccounts{}
		sh, _ := testShell(t, accounts)
		in, keyboard := io.Pipe()
		var screen syncBuffer
		term := line.NewTerminal(in, &screen, line.Size{}, sh.Hooks(testLogin()))
		done := make(chan error)
		go func() { done <- sh.Interactive(context.Background(), testLogin(), SSHSession, term) }()
		_, _ = io.WriteString(keyboard, "wait\r")
		synctest.Wait()
		accounts.evict()
		if err := <-done; !errors.Is(err, ErrEvicted) {
			t.Errorf("wanted %v, got %v", ErrEvicted, err)
		}
		if !strings.HasSuffix(screen.String(), ErrEvicted.Error()+"\r\n") {
			t.Errorf("wanted the reason on the screen, got %q", screen.String())
		}
		keyboard.Close()
		term.Wait()
	})
}

func TestAnEvictedScriptSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &fakeAccounts{}
		sh, log := testShell(t, accounts)
		in, script := io.Pipe()
		var out, errOut syncBuffer
		pipe := line.NewPipe(in, &out)
		done := make(chan error)
		go func() {
			_, err := sh.Script(context.Background(), testLogin(), pipe, &out, &errOut)
			done <- err
		}()
		synctest.Wait()
		accounts.evict()
		if err := <-done; !errors.Is(err, ErrEvicted) || errOut.String() != ErrEvicted.Error()+"\n" {
			t.Errorf("wanted %v, got %v and %q", ErrEvicted, err, errOut.String())
		}
		if want := "<134>cli: User admin from 10.1.1.1:63290 was logged out by an administrator\n"; log.String() != want {
			t.Errorf("wanted %q in the audit log, got %q", want, log)
		}
		script.Close()
		pipe.Close()
	})
}

func TestASessionTooManyIsRefused(t *testing.T) {
	sh, log := testShell(t, &fakeAccounts{full: errors.New("2 sessions of this user are open and no more are allowed")})
	if got := typeInto(t, sh, testLogin(), "version\r"); got != "2 sessions of this user are open and no more are allowed\r\n" {
		t.Errorf("wanted the reason alone, got %q", got)
	}
	if status, out, errOut := exec(sh, testLogin(), "version", ""); status != 1 || out != "" || errOut == "" {
		t.Errorf("one-shot command: wanted a refusal, got %d %q %q", status, out, errOut)
	}
	want := "<134>cli: User admin from 10.1.1.1:63290 was refused a session: 2 sessions of this user are open and no more are allowed\n"
	if log.String() != want+want {
		t.Errorf("wanted both in the audit log, got %q", log)
	}
}

func TestAScriptRunsLineByLineAndMayAnswerQuestions(t *testing.T) {
	sh, _ := testShell(t, &fakeAccounts{})
	var out, errOut strings.Builder
	pipe := line.NewPipe(strings.NewReader("version\n\nupgrade\nY\nbogus\n"), &out)
	defer pipe.Close()
	status, _ := sh.Script(context.Background(), testLogin(), pipe, &out, &errOut)
	want := "0.1.0\nSure? (Y/n) \nupgraded\nUnknown command \"bogus\"; \"help\" lists the commands\n"
	if status != 1 || out.String() != want || errOut.String() != "" {
		t.Errorf("wanted status 1 and\n%s\ngot %d and\n%s\n%s", want, status, &out, &errOut)
	}
}
