package console

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"rotunda/mmp/grammar"
	"rotunda/mmp/line"
	"rotunda/mmp/shell"
)

// fakeAccounts know admin with the password admin, which has to be changed.
type fakeAccounts struct {
	mu       sync.Mutex
	password string
	due      string
	failed   int
	from     []shell.Source
}

func (a *fakeAccounts) CheckPassword(_ context.Context, user, password string, from shell.Source) (*shell.Login, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from = append(a.from, from)
	if user != "admin" || password != a.password {
		a.failed++
		return nil, shell.ErrRefused
	}
	return &shell.Login{User: user, Role: grammar.Admin, Source: from, MustChange: a.due, FailedLogins: a.failed}, nil
}

func (a *fakeAccounts) CheckKey(context.Context, string, ssh.PublicKey, shell.Source) (*shell.Login, error) {
	return nil, shell.ErrRefused
}

func (a *fakeAccounts) CheckCard(context.Context, [][]byte, shell.Source) (*shell.Login, error) {
	return nil, shell.ErrRefused
}

func (a *fakeAccounts) LoggedIn(*shell.Login) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = 0
}

func (a *fakeAccounts) Begin(*shell.Login, shell.SessionKind, func()) (func(), error) {
	return func() {}, nil
}

func (a *fakeAccounts) SetPassword(_ context.Context, _, password string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password, a.due = password, ""
	return nil
}

func newConsole(t *testing.T, path string) (*Console, *fakeAccounts, *lockedBuffer) {
	t.Helper()
	commands := append(shell.Builtins(), grammar.Command{Syntax: "crash", Help: "Crash", Run: func(*grammar.Call) error { panic("boom") }})
	tree, err := grammar.NewTree(nil, commands)
	if err != nil {
		t.Fatal(err)
	}
	accounts := &fakeAccounts{password: "admin", due: "Password has expired"}
	log := &lockedBuffer{}
	return &Console{
		Path:    path,
		Shell:   &shell.Shell{Tree: tree, Accounts: accounts, Log: shell.NewLog(log), Hostname: func() string { return "rotunda" }},
		Welcome: func(context.Context) string { return "Welcome to Rotunda\n" },
		pause:   func(context.Context, time.Duration) {},
	}, accounts, log
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// cable is the far end of a serial line.
type cable struct {
	t    *testing.T
	end  *os.File
	out  chan string
	seen string
}

// plug makes a line; its near end is the path.
func plug(t *testing.T) (c *cable, path string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	path = slave.Name()
	// A file that polls can be closed while it is read, which is how the line hangs up.
	fd, err := unix.Dup(int(master.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	master.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "master")
	// Kept open until the test ends, so that the line does not hang up between two openings.
	t.Cleanup(func() { slave.Close() })
	c = &cable{t: t, end: master, out: make(chan string, 1024)}
	go func() {
		defer close(c.out)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			c.out <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { master.Close() })
	return c, path
}

func (c *cable) expect(text string) {
	c.t.Helper()
	limit := time.After(30 * time.Second)
	for !strings.Contains(c.seen, text) {
		select {
		case s, ok := <-c.out:
			if !ok {
				c.t.Fatalf("wanted %q on the console, got %q and the end", text, c.seen)
			}
			c.seen += s
		case <-limit:
			c.t.Fatalf("wanted %q on the console, got %q", text, c.seen)
		}
	}
	_, c.seen, _ = strings.Cut(c.seen, text)
}

func (c *cable) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.end, text); err != nil {
		c.t.Fatal(err)
	}
}

// run serves the console until the test ends.
func run(t *testing.T, c *Console) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done, tried := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx, func() { close(tried) })
	}()
	<-tried
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

func TestAFirstLoginAtTheConsole(t *testing.T) {
	far, path := plug(t)
	c, accounts, _ := newConsole(t, path)
	stop := run(t, c)
	far.expect("Welcome to Rotunda\r\nrotunda login: ")
	far.send("admin\r")
	far.expect("admin\r\nPlease enter password: ")
	far.send("wrong\r")
	far.expect("\r\nLogin incorrect\r\nrotunda login: ")
	far.send("admin\r")
	far.expect("Please enter password: ")
	far.send("admin\r")
	far.expect("\r\nFailed logins since last successful login 1\r\nPassword has expired\r\nPlease enter new password: ")
	far.send("chosen\r")
	far.expect("Please enter new password again: ")
	far.send("chosen\r")
	far.expect("Success\r\nrotunda> ")
	far.send("whoami\r")
	far.expect("Source : serial console\r\nrotunda> ")
	far.send("crash\r")
	far.expect("the command crashed; the log says where\r\nrotunda> ")
	far.send("logout\r")
	far.expect("Welcome to Rotunda\r\nrotunda login: ")
	far.send("admin\r")
	far.expect("Please enter password: ")
	far.send("chosen\r")
	far.expect("rotunda> ")
	// The bell: the history of the session before is gone.
	far.send("\x10exit\r")
	far.expect("\aexit\r\n")
	far.expect("rotunda login: ")
	stop()
	if accounts.from[0].Console != path[len("/dev/pts/"):] {
		t.Errorf("source: wanted the console's name, got %+v", accounts.from[0])
	}
}

func TestAnEmptyOrGivenUpLoginBeginsAnew(t *testing.T) {
	far, path := plug(t)
	c, accounts, _ := newConsole(t, path)
	stop := run(t, c)
	far.expect("rotunda login: ")
	far.send("\r")
	far.expect("Welcome to Rotunda\r\nrotunda login: ")
	far.send("adm\x03")
	far.expect("^C\r\nrotunda login: ")
	far.send("\x04")
	far.expect("rotunda login: ")
	far.send("admin\r")
	far.expect("Please enter password: ")
	far.send("\x03")
	far.expect("rotunda login: ")
	stop()
	if len(accounts.from) != 0 {
		t.Errorf("passwords checked: wanted none, got %d", len(accounts.from))
	}
}

func TestTheEndOfTheProcessIsSaidOnTheConsole(t *testing.T) {
	far, path := plug(t)
	c, accounts, _ := newConsole(t, path)
	accounts.due = ""
	stop := run(t, c)
	far.expect("login: ")
	far.send("admin\r")
	far.expect("password: ")
	far.send("admin\r")
	far.expect("rotunda> ")
	stop()
	far.expect(shell.ErrStopping.Error())
}

func TestALineThatHangsUpIsServedAgain(t *testing.T) {
	far, path := plug(t)
	c, accounts, log := newConsole(t, path)
	accounts.due = ""
	var pauses []time.Duration
	again := make(chan struct{})
	c.pause = func(ctx context.Context, d time.Duration) {
		pauses = append(pauses, d)
		if len(pauses) == 8 {
			close(again)
			<-ctx.Done()
		}
	}
	stop := run(t, c)
	far.expect("login: ")
	far.send("admin\r")
	far.expect("password: ")
	far.send("admin\r")
	far.expect("rotunda> ")
	far.end.Close()
	<-again
	stop()
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}
	if !slices.Equal(pauses, want) {
		t.Errorf("pauses: wanted %v, got %v", want, pauses)
	}
	if n := strings.Count(log.String(), "console "+path); n < 1 || n > 2 {
		t.Errorf("log: wanted a line for each kind of failure, got %d:\n%s", n, log)
	}
}

func TestADeviceThatIsNotThereCostsOneLogLine(t *testing.T) {
	c, _, log := newConsole(t, "/dev/nonexistent-console")
	tries := 0
	done := make(chan struct{})
	c.pause = func(ctx context.Context, d time.Duration) {
		if tries++; tries == 5 {
			close(done)
			<-ctx.Done()
		}
	}
	stop := run(t, c)
	<-done
	stop()
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "no such file") {
		t.Errorf("log: wanted one line, got\n%s", log)
	}
}

func TestACrashOfTheConsoleIsServedAgain(t *testing.T) {
	c, _, log := newConsole(t, "/dev/fake")
	opened := 0
	ctx, cancel := context.WithCancel(context.Background())
	c.open = func(string) (io.ReadWriteCloser, line.Size, error) {
		if opened++; opened == 1 {
			panic("boom")
		}
		cancel()
		return nil, line.Size{}, errors.New("enough")
	}
	c.Run(ctx, func() {})
	if opened != 2 || !strings.Contains(log.String(), "console /dev/fake crashed: boom") {
		t.Errorf("wanted a second opening and a log line, got %d and\n%s", opened, log)
	}
}

func TestTheTerminalIsRaw(t *testing.T) {
	_, path := plug(t)
	device, size, err := openTTY(path)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	raw, err := device.(*os.File).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var settings *unix.Termios
	if err := raw.Control(func(fd uintptr) { settings, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }); err != nil {
		t.Fatal(err)
	}
	if settings.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 || settings.Iflag&unix.ICRNL != 0 || settings.Oflag&unix.OPOST != 0 {
		t.Errorf("wanted no processing of characters, got %+v", settings)
	}
	if size != (line.Size{}) {
		t.Errorf("size of a line that has none: wanted zero, got %+v", size)
	}
	if _, _, err := openTTY("/dev/null"); err == nil {
		t.Error("open /dev/null: wanted an error, it is no terminal")
	}
}
