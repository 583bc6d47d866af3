package sshd

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"rotunda/init/durable"
	"rotunda/mmp/shell"
)

func TestOpenSSHRunsACommandWithItsExitStatus(t *testing.T) {
	f := serve(t, nil)
	for _, c := range []struct {
		command, input, out string
		status              int
	}{
		{"version", "", "0.1.0\n", 0},
		{"bogus", "", "Unknown command \"bogus\"; \"help\" lists the commands\n", 1},
		{"crash", "", "the command crashed; the log says where\n", 1},
		{"upgrade", "Y\n", "Sure? (Y/n) \nupgraded\n", 0},
		{"upgrade", "", "Sure? (Y/n) \naborted, nothing was changed\n", 1},
	} {
		cmd := f.openSSH(t, "admin@HOST", c.command)
		cmd.Stdin = strings.NewReader(c.input)
		out, err := cmd.Output()
		if string(out) != c.out || exitCode(err) != c.status {
			t.Errorf("ssh %q with input %q: wanted status %d and %q, got %v and %q", c.command, c.input, c.status, c.out, err, out)
		}
	}
	if !strings.Contains(f.log.String(), "<134>cli: User admin from 127.0.0.1:") ||
		!strings.Contains(f.log.String(), "issued command < version>: permission granted\n") {
		t.Errorf("log: wanted audit lines, got\n%s", f.log)
	}
	// The server sees the end of the last connection when it stops, at the latest.
	f.stop()
	if !regexp.MustCompile(`(?m)^<134>cli: User admin from 127\.0\.0\.1:\d+ logged out$`).MatchString(f.log.String()) {
		t.Errorf("log: wanted the end of the login, got\n%s", f.log)
	}
}

func TestOpenSSHPipesAScriptIntoTheShell(t *testing.T) {
	f := serve(t, nil)
	cmd := f.openSSH(t, "admin@HOST")
	cmd.Stdin = strings.NewReader("version\nupgrade\nY\nlogout\nversion\n")
	out, err := cmd.Output()
	if want := "0.1.0\nSure? (Y/n) \nupgraded\n"; string(out) != want || err != nil {
		t.Errorf("wanted %q, got %q, %v", want, out, err)
	}
}

// conversation is a client in a pseudo terminal.
type conversation struct {
	t    *testing.T
	file *os.File
	// output is what the client prints, closed when it has ended.
	output chan string
	seen   string
	cmd    *exec.Cmd
}

func talk(t *testing.T, cmd *exec.Cmd) *conversation {
	t.Helper()
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	c := &conversation{t: t, file: file, output: make(chan string, 1024), cmd: cmd}
	go func() {
		defer close(c.output)
		buf := make([]byte, 4096)
		for {
			n, err := file.Read(buf)
			if err != nil {
				return
			}
			c.output <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for range c.output {
		}
		file.Close()
	})
	return c
}

// expect reads until the text has come.
func (c *conversation) expect(text string) {
	c.t.Helper()
	limit := time.After(30 * time.Second)
	for !strings.Contains(c.seen, text) {
		select {
		case s, ok := <-c.output:
			if !ok {
				c.t.Fatalf("wanted %q on the terminal, got %q and the end", text, c.seen)
			}
			c.seen += s
		case <-limit:
			c.t.Fatalf("wanted %q on the terminal, got %q", text, c.seen)
		}
	}
	_, c.seen, _ = strings.Cut(c.seen, text)
}

func (c *conversation) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.file, text); err != nil {
		c.t.Fatal(err)
	}
}

// end waits for the client to end by itself.
func (c *conversation) end() error {
	for range c.output {
	}
	return c.cmd.Wait()
}

func TestOpenSSHOnATerminal(t *testing.T) {
	f := serve(t, nil)
	c := talk(t, f.openSSH(t, "-t", "admin@HOST"))
	c.expect("cms1> ")
	c.send("ver\t\r")
	c.expect("version \r\n0.1.0\r\n")
	c.expect("cms1> ")
	c.send("\x10\r")
	c.expect("0.1.0\r\n")
	c.expect("cms1> ")
	c.send("wait\r")
	<-f.waiting
	c.send("\x03")
	c.expect("^C\r\n")
	c.expect("cms1> ")
	c.send("upgrade ?\x15upgrade\r")
	c.expect("<return>")
	c.expect("Sure? (Y/n) ")
	c.send("Y\r")
	c.expect("upgraded")
	c.send("exit\r")
	if err := c.end(); err != nil {
		t.Errorf("end of ssh: wanted status 0, got %v", err)
	}
}

func TestOpenSSHAsksForADuePasswordDuringTheLogin(t *testing.T) {
	f := serve(t, func(f *fixture) { f.accounts.due = "Password has expired" })
	c := talk(t, f.openSSH(t, "-o", "PubkeyAuthentication=no", "admin@HOST", "version"))
	c.expect("Please enter password: ")
	c.send("admin-secret\r")
	c.expect("Password has expired")
	c.expect("Please enter new password: ")
	c.send("short\r")
	c.expect("Please enter new password again: ")
	c.send("short\r")
	c.expect("shorter than 8")
	c.expect("Please enter new password: ")
	c.send("long-enough\r")
	c.expect("Please enter new password again: ")
	c.send("long-enough\r")
	c.expect("0.1.0")
	if err := c.end(); err != nil {
		t.Errorf("end of ssh: wanted status 0, got %v", err)
	}
	if got := f.accounts.changed["admin"]; got != "long-enough" {
		t.Errorf("stored password: wanted long-enough, got %q", got)
	}
}

func TestOpenSSHWithThePasswordMethodChangesADuePasswordInTheShell(t *testing.T) {
	f := serve(t, func(f *fixture) { f.accounts.due = "Password has expired" })
	c := talk(t, f.openSSH(t, "-o", "PreferredAuthentications=password", "admin@HOST"))
	c.expect("password: ")
	c.send("admin-secret\r")
	c.expect("Password has expired")
	c.expect("Please enter new password: ")
	c.send("long-enough\r")
	c.expect("Please enter new password again: ")
	c.send("long-enough\r")
	c.expect("Success")
	c.expect("cms1> ")
	c.send("exit\r")
	if err := c.end(); err != nil {
		t.Errorf("end of ssh: wanted status 0, got %v", err)
	}
}

func TestADuePasswordBlocksCommandsAndFileTransfers(t *testing.T) {
	f := serve(t, func(f *fixture) { f.accounts.due = "Password has expired" })
	client := f.mustDial(t)
	out, err := output(t, client, "version", "")
	if want := "Password has expired: log in with a terminal and set a new password first\n"; out != want || exitCode(err) != 1 {
		t.Errorf("command: wanted status 1 and %q, got %v and %q", want, err, out)
	}
	status, stdout, stderr := subsystem(t, client, "sftp")
	if status != 1 || !strings.Contains(stderr, "set a new password first") || stdout != "" {
		t.Errorf("sftp: wanted status 1 and the reason, got %d, %q and %q", status, stdout, stderr)
	}
}

func TestFileTransfersAreHandedOn(t *testing.T) {
	f := serve(t, func(f *fixture) {
		f.SFTP = func(_ context.Context, login *shell.Login, channel io.ReadWriteCloser) error {
			_, err := io.WriteString(channel, "files of "+login.User)
			return err
		}
	})
	if status, stdout, stderr := subsystem(t, f.mustDial(t), "sftp"); status != 0 || stdout != "files of admin" || stderr != "" {
		t.Errorf("wanted status 0 and the server's output, got %d, %q and %q", status, stdout, stderr)
	}
}

func TestAFileTransferThatSendsNothingTimesOut(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Shell.IdleTimeout = time.Second })
	session, err := f.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestSubsystem("sftp"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "packet"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(out); string(got) != "packet" || err != nil {
		t.Errorf("wanted the packet back and then the end, got %q, %v", got, err)
	}
	f.stop()
	if !regexp.MustCompile(`(?m)^<134>cli: User admin from 127\.0\.0\.1:\d+ timed out$`).MatchString(f.log.String()) {
		t.Errorf("wanted the time-out in the audit log, got %s", f.log)
	}
}

func TestAUserNameThatChangesBetweenAttemptsGainsNothing(t *testing.T) {
	f := serve(t, nil)
	for _, c := range []struct {
		name     string
		attempts [][2]string
		want     string
	}{
		{"fails as admin, succeeds as audit", [][2]string{{"admin", "wrong"}, {"audit", "audit-secret"}}, "audit"},
		{"the auditor's password for admin", [][2]string{{"audit", "wrong"}, {"admin", "audit-secret"}}, ""},
		{"succeeds as admin", [][2]string{{"audit", "wrong"}, {"admin", "admin-secret"}}, "admin"},
	} {
		got, denied := rawLogin(t, f.addr, c.attempts)
		if got != c.want {
			t.Errorf("%s: wanted to be %q, got %q", c.name, c.want, got)
		}
		if c.want == "audit" && !denied {
			t.Errorf("%s: wanted the command for admins to be denied", c.name)
		}
	}
	f.stop()
	if got, want := f.accounts.logins, []string{"audit", "admin"}; !slices.Equal(got, want) {
		t.Errorf("recorded logins: wanted %q, got %q", want, got)
	}
}

func TestAStolenQueryDoesNotLogIn(t *testing.T) {
	// A client that knows admin's public key but not the private one.
	f := serve(t, nil)
	stolen := f.accounts.keys["admin"]
	_, err := f.dial(t, "admin", ssh.PublicKeys(impostor{stolen}))
	if err == nil {
		t.Fatal("wanted no login with somebody else's public key")
	}
	if len(f.accounts.logins) != 0 {
		t.Errorf("recorded logins: wanted none, got %q", f.accounts.logins)
	}
}

// impostor signs with a key that it does not have.
type impostor struct{ key ssh.PublicKey }

func (i impostor) PublicKey() ssh.PublicKey { return i.key }

func (i impostor) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	return &ssh.Signature{Format: i.key.Type(), Blob: make([]byte, 64)}, nil
}

func TestTenSessionsAtATime(t *testing.T) {
	f := serve(t, nil)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			client, err := f.dial(t, "admin", ssh.Password("admin-secret"))
			if err != nil {
				t.Error(err)
				return
			}
			for range 3 {
				if out, err := output(t, client, "version", ""); out != "0.1.0\n" || err != nil {
					t.Errorf("wanted the version, got %q, %v", out, err)
				}
			}
		})
	}
	wg.Wait()
}

// A second session of a connection proves nothing about whether a new one can be made.
func TestSessionsAreAsOldAsTheirConnection(t *testing.T) {
	f := serve(t, nil)
	early := time.Now()
	client := f.mustDial(t)
	late := time.Now()
	for range 2 {
		out, err := output(t, client, "since", "")
		if since, bad := time.Parse(time.RFC3339Nano, strings.TrimSpace(out)); err != nil || bad != nil || since.Before(early) || since.After(late) {
			t.Errorf("wanted a time from %v to %v, got %q, %v", early, late, out, err)
		}
	}
}

func TestManyChannelsOfOneConnectionAtATime(t *testing.T) {
	f := serve(t, nil)
	client := f.mustDial(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if out, err := output(t, client, "version", ""); out != "0.1.0\n" || err != nil {
				t.Errorf("wanted the version, got %q, %v", out, err)
			}
		})
	}
	wg.Wait()
}

func TestTheChannelsOfAllConnectionsAreBounded(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Limits.AllChannels = 3 })
	clients := []*ssh.Client{f.mustDial(t), f.mustDial(t)}
	var open []*ssh.Session
	for i := range 4 {
		session, err := clients[i%2].NewSession()
		if (err != nil) != (i == 3) {
			t.Fatalf("channel %d: wanted the fourth refused, got %v", i, err)
		}
		open = append(open, session)
	}
	if err := open[0].Close(); err != nil {
		t.Fatal(err)
	}
	// The server learns of the end by its own goroutine, so the place is free soon, not at once.
	for {
		session, err := clients[1].NewSession()
		if err == nil {
			session.Close()
			return
		}
		if !strings.Contains(err.Error(), "too many sessions") {
			t.Fatalf("after one has gone: wanted a place, got %v", err)
		}
	}
}

func TestACrashInOneSessionLeavesTheOthers(t *testing.T) {
	f := serve(t, func(f *fixture) {
		f.SFTP = func(context.Context, *shell.Login, io.ReadWriteCloser) error { panic("sftp boom") }
	})
	other := f.mustDial(t)
	session, err := other.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := session.StdinPipe()
	out, _ := session.StdoutPipe()
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	crasher := f.mustDial(t)
	if out, err := output(t, crasher, "crash", ""); exitCode(err) != 1 || out != "the command crashed; the log says where\n" {
		t.Errorf("crash: wanted status 1 and one line, got %v and %q", err, out)
	}
	if status, _, _ := subsystem(t, crasher, "sftp"); status != -1 {
		t.Errorf("crash of sftp: wanted no exit status, got %d", status)
	}
	if out, err := output(t, crasher, "version", ""); out != "0.1.0\n" || err != nil {
		t.Errorf("the same connection afterwards: wanted the version, got %q, %v", out, err)
	}
	_, _ = io.WriteString(in, "version\n")
	buf := make([]byte, 6)
	if _, err := io.ReadFull(out, buf); err != nil || string(buf) != "0.1.0\n" {
		t.Errorf("the other session afterwards: wanted the version, got %q, %v", buf, err)
	}
	if !strings.Contains(f.log.String(), "sftp boom") {
		t.Errorf("log: wanted the crash in it, got %s", f.log)
	}
}

func TestAHandshakeThatNeverEndsIsCutOff(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Limits.Exchange = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("wanted the server to close the connection, got %v", err)
	}
}

// watched is a connection that tells when its far end has hung up.
type watched struct {
	net.Conn
	gone func()
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.gone()
	}
	return n, err
}

func TestALoginThatNeverComesIsCutOff(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Limits.Login = 50 * time.Millisecond })
	raw, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	gone := make(chan struct{})
	conn := watched{raw, sync.OnceFunc(func() { close(gone) })}
	_, _, _, err = ssh.NewClientConn(conn, f.addr, &ssh.ClientConfig{
		User: "admin", HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Auth: []ssh.AuthMethod{ssh.PasswordCallback(func() (string, error) {
			<-gone
			return "admin-secret", nil
		})},
	})
	if err == nil {
		t.Error("wanted the login to fail, its time was over")
	}
}

func TestGarbageDoesNotStopTheServer(t *testing.T) {
	f := serve(t, nil)
	random := make([]byte, 4096)
	_, _ = rand.Read(random)
	for _, garbage := range []string{
		"", "\r\n", "GET / HTTP/1.1\r\n\r\n", string(random),
		"SSH-1.5-old\r\n", "SSH-2.0-x\r\n" + strings.Repeat("\x00", 64), "SSH-2.0-x\r\n\xff\xff\xff\xff" + string(random),
		"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14" + string(random), strings.Repeat("x", 1<<16),
	} {
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, garbage)
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("garbage %.20q: wanted the connection to end", garbage)
		}
		conn.Close()
	}
	if out, err := output(t, f.mustDial(t), "version", ""); out != "0.1.0\n" || err != nil {
		t.Errorf("afterwards: wanted the version, got %q, %v", out, err)
	}
	for l := range strings.Lines(f.log.String()) {
		if !strings.HasPrefix(l, "<") || strings.ContainsFunc(strings.TrimSuffix(l, "\n"), func(r rune) bool { return r < ' ' }) {
			t.Errorf("log: wanted lines that print, got %q", l)
		}
	}
}

func TestAConnectionHasABoundedNumberOfTries(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Limits.Tries = 3 })
	tries := 0
	_, err := f.dial(t, "admin", ssh.RetryableAuthMethod(ssh.PasswordCallback(func() (string, error) {
		tries++
		return "wrong", nil
	}), 10))
	if err == nil || tries > 3 || f.accounts.checks != 3 {
		t.Errorf("wanted 3 tries and no login, got %d, %d checked, %v", tries, f.accounts.checks, err)
	}
}

func TestASourceThatFailsTooOftenIsNotHeardAnyMore(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Limits.Failures = Rate{Burst: 4, Every: time.Hour} })
	for range 5 {
		_, _ = f.dial(t, "admin", ssh.RetryableAuthMethod(ssh.Password("wrong"), 2))
	}
	if f.accounts.checks != 4 {
		t.Errorf("checked passwords: wanted 4, got %d", f.accounts.checks)
	}
	if _, err := f.dial(t, "admin", ssh.Password("admin-secret")); err == nil {
		t.Error("wanted even the right password to be refused")
	}
}

func TestNothingIsForwarded(t *testing.T) {
	f := serve(t, nil)
	client := f.mustDial(t)
	if _, err := client.Dial("tcp", "127.0.0.1:22"); err == nil {
		t.Error("direct-tcpip: wanted it to be refused")
	}
	if _, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("tcpip-forward: wanted it to be refused")
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, request := range []string{"auth-agent-req@openssh.com", "x11-req", "env"} {
		if ok, _ := session.SendRequest(request, true, nil); ok {
			t.Errorf("%s: wanted it to be refused", request)
		}
	}
	if err := session.RequestSubsystem("netconf"); err == nil {
		t.Error("subsystem netconf: wanted it to be refused")
	}
}

func TestTheEndOfAConnectionEndsItsCommands(t *testing.T) {
	f := serve(t, nil)
	ended := make(chan struct{})
	client := f.mustDial(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-f.waiting
	client.Close()
	go func() {
		f.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("wanted the command to be told")
	}
}

func TestASignalEndsACommand(t *testing.T) {
	f := serve(t, nil)
	session, err := f.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-f.waiting
	if err := session.Signal(ssh.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := session.Wait(); exitCode(err) != 130 {
		t.Errorf("wanted status 130, got %v", err)
	}
}

func TestEvictingASessionEndsItsConnection(t *testing.T) {
	f := serve(t, nil)
	client := f.mustDial(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	session.Stderr = &stderr
	if err := session.Start("wait"); err != nil {
		t.Fatal(err)
	}
	<-f.waiting
	f.accounts.evict[0]()
	var signal *ssh.ExitError
	if err := session.Wait(); !errors.As(err, &signal) || signal.Signal() != "TERM" {
		t.Errorf("wanted the signal TERM, got %v", err)
	}
	if want := shell.ErrEvicted.Error() + "\n"; stderr.String() != want {
		t.Errorf("standard error: wanted %q, got %q", want, &stderr)
	}
	if err := client.Wait(); err == nil {
		t.Error("wanted the connection to end")
	}
}

func TestEvictingASessionWhoseClientDoesNotReadEndsItsConnection(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Limits.Grace = time.Millisecond })
	client := f.mustDial(t)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := session.Start("flood"); err != nil {
		t.Fatal(err)
	}
	<-f.waiting
	f.accounts.evict[0]()
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("wanted the connection to end, it was still there after 10 seconds")
	}
}

func TestTheServerStopsWithAWordToItsSessions(t *testing.T) {
	f := serve(t, nil)
	session, err := f.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var stdout syncBuffer
	session.Stdout = &stdout
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := session.RequestPty("xterm", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(in, "wait\r")
	<-f.waiting
	f.stop()
	_ = session.Wait()
	if want := shell.ErrStopping.Error() + "\r\n"; !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("wanted the last line %q, got %q", want, stdout.String())
	}
}

func TestTheBannerComesBeforeTheLogin(t *testing.T) {
	f := serve(t, func(f *fixture) { f.Banner = func() string { return "Authorised use only" } })
	var banner string
	client, err := ssh.Dial("tcp", f.addr, &ssh.ClientConfig{
		User: "admin", Auth: []ssh.AuthMethod{ssh.Password("admin-secret")}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		BannerCallback: func(m string) error { banner = m; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if banner != "Authorised use only\n" {
		t.Errorf("wanted the banner, got %q", banner)
	}
}

func TestHostKeysAreMadeOnceAndKept(t *testing.T) {
	disk := memoryDisk(t)
	log := shell.NewLog(io.Discard)
	first, err := OpenHostKeys(disk, log)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(first.Public()); got != 2 {
		t.Errorf("keys at once: wanted ed25519 and ecdsa, got %d", got)
	}
	if err := first.Complete(context.Background()); err != nil {
		t.Fatal(err)
	}
	second, err := OpenHostKeys(disk, log)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for i, k := range second.Public() {
		types = append(types, k.Type())
		if !bytes.Equal(k.Marshal(), first.Public()[i].Marshal()) {
			t.Errorf("%s: wanted the same key at the second start", k.Type())
		}
	}
	if want := []string{"ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"}; !slices.Equal(types, want) {
		t.Errorf("wanted %q, got %q", want, types)
	}
	for _, name := range []string{"ed25519", "ecdsa", "rsa"} {
		info, err := disk.Lstat(fileName(name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: wanted mode 0600, got %v, %v", fileName(name), info, err)
		}
		if _, err := disk.Lstat(fileName(name) + ".pub"); err != nil {
			t.Error(err)
		}
	}
}

func TestAClientThatTakesOnlyRSAHasTheKeyMade(t *testing.T) {
	keys, err := OpenHostKeys(memoryDisk(t), shell.NewLog(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, algorithm := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512} {
		served := make(chan error, 1)
		go func() {
			near, err := listener.Accept()
			if err != nil {
				served <- err
				return
			}
			defer near.Close()
			config := &ssh.ServerConfig{NoClientAuth: true}
			for _, key := range keys.signers() {
				config.AddHostKey(key)
			}
			_, _, _, err = ssh.NewServerConn(near, config)
			served <- err
		}()
		far, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		var shown ssh.PublicKey
		_, _, _, err = ssh.NewClientConn(far, "far", &ssh.ClientConfig{HostKeyAlgorithms: []string{algorithm},
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error { shown = key; return nil }})
		if err := errors.Join(err, <-served); err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		public := keys.Public()
		want := 3
		if algorithm == ssh.KeyAlgoED25519 {
			want = 2
		}
		if len(public) != want {
			t.Errorf("after a client with %s there are %d keys, want %d", algorithm, len(public), want)
		} else if want == 3 && !bytes.Equal(shown.Marshal(), public[2].Marshal()) {
			t.Errorf("%s: the key that was shown is not the one that is kept", algorithm)
		}
		far.Close()
	}
}

func TestADamagedHostKeyIsReplaced(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, fileName("ed25519")), []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := durable.OpenDisk(folder)
	if err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	keys, err := OpenHostKeys(disk, shell.NewLog(&out))
	if err != nil || len(keys.Public()) != 2 {
		t.Fatalf("wanted two keys, got %v", err)
	}
	if !strings.Contains(out.String(), "<28>cli: the SSH host key is made anew") {
		t.Errorf("log: wanted a warning, got %q", out.String())
	}
}

// rawLogin makes the attempts over one connection, each with its own user name, and returns who whoami says it is,
// and whether a command for administrators was denied.
func rawLogin(t *testing.T, addr string, attempts [][2]string) (user string, denied bool) {
	t.Helper()
	client, err := dialSwitching(addr, attempts)
	if err != nil {
		return "", false
	}
	defer client.Close()
	out, err := output(t, client, "whoami", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(out, "User   : %s", &user); err != nil {
		t.Fatalf("whoami: got %q", out)
	}
	out, _ = output(t, client, "admins", "")
	return user, strings.Contains(out, "permission denied")
}

// dialSwitching logs in with another user name in every attempt. The client library sends one name, so its bytes are
// changed under its feet: all names have the same length.
func dialSwitching(addr string, attempts [][2]string) (*ssh.Client, error) {
	name := []byte(attempts[0][0])
	next := 0
	password := func() (string, error) {
		if next == len(attempts) {
			return "", errors.New("no more attempts")
		}
		copy(name, attempts[next][0])
		next++
		return attempts[next-1][1], nil
	}
	return ssh.Dial("tcp", addr, &ssh.ClientConfig{
		User: unsafe.String(&name[0], len(name)),
		Auth: []ssh.AuthMethod{ssh.RetryableAuthMethod(ssh.PasswordCallback(password), len(attempts))},

		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
}
