package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/init/durable"
	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// syncBuffer is a buffer that several goroutines may use.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
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

// fakeAccounts are the users admin and audit, with the password "<user>-secret" and one key each.
type fakeAccounts struct {
	mu      sync.Mutex
	due     string
	changed map[string]string
	keys    map[string]ssh.PublicKey
	evict   []func()
	logins  []string
	checks  int
}

func (a *fakeAccounts) login(user string, from shell.Source) *shell.Login {
	role := grammar.Audit
	if user == "admin" {
		role = grammar.Admin
	}
	return &shell.Login{User: user, Role: role, Source: from, MustChange: a.due}
}

func (a *fakeAccounts) CheckPassword(_ context.Context, user, password string, from shell.Source) (*shell.Login, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checks++
	if user != "admin" && user != "audit" || password != user+"-secret" {
		return nil, shell.ErrRefused
	}
	return a.login(user, from), nil
}

func (a *fakeAccounts) CheckKey(_ context.Context, user string, key ssh.PublicKey, from shell.Source) (*shell.Login, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.keys[user]; k != nil && bytes.Equal(k.Marshal(), key.Marshal()) {
		return a.login(user, from), nil
	}
	return nil, shell.ErrRefused
}

func (a *fakeAccounts) CheckCard(context.Context, [][]byte, shell.Source) (*shell.Login, error) {
	return nil, shell.ErrRefused
}

func (a *fakeAccounts) LoggedIn(login *shell.Login) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.logins = append(a.logins, login.User)
}

func (a *fakeAccounts) Begin(_ *shell.Login, _ shell.SessionKind, evict func()) (func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.evict = append(a.evict, evict)
	return func() {}, nil
}

func (a *fakeAccounts) SetPassword(_ context.Context, user, password string) error {
	if len(password) < 8 {
		return errors.New("the password is shorter than 8 characters")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed == nil {
		a.changed = map[string]string{}
	}
	a.changed[user] = password
	return nil
}

// fixture is a server on a loopback port.
type fixture struct {
	*Server
	accounts *fakeAccounts
	addr     string
	log      *syncBuffer
	// key is admin's private key, in a file.
	key string
	// waiting gets a value when the command "wait" has begun.
	waiting chan struct{}
	stop    func()
}

// serve starts a server; adjust may change it before.
func serve(t *testing.T, adjust func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{accounts: &fakeAccounts{keys: map[string]ssh.PublicKey{}}, log: &syncBuffer{}, waiting: make(chan struct{}, 16)}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	f.accounts.keys["admin"] = signer.PublicKey()
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	f.key = filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(f.key, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}

	commands := append(shell.Builtins(),
		grammar.Command{Syntax: "version", Help: "Show the version", Run: func(c *grammar.Call) error {
			c.Printf("0.1.0\n")
			return nil
		}},
		grammar.Command{Syntax: "since", Help: "Show when the connection was made", Run: func(c *grammar.Call) error {
			c.Printf("%s\n", c.Caller.Since.Format(time.RFC3339Nano))
			return nil
		}},
		grammar.Command{Syntax: "crash", Help: "Crash", Run: func(*grammar.Call) error { panic("boom") }},
		grammar.Command{Syntax: "upgrade", Help: "Ask", Run: func(c *grammar.Call) error {
			if err := c.Confirm("Sure?"); err != nil {
				return err
			}
			c.Printf("upgraded\n")
			return nil
		}},
		grammar.Command{Syntax: "wait", Help: "Wait for the end", Run: func(c *grammar.Call) error {
			f.waiting <- struct{}{}
			<-c.Context.Done()
			return c.Context.Err()
		}},
		grammar.Command{Syntax: "flood", Help: "Print more than a client's window holds", Run: func(c *grammar.Call) error {
			f.waiting <- struct{}{}
			_, err := c.Out.Write(make([]byte, 8<<20))
			return err
		}},
		grammar.Command{Syntax: "admins", Roles: []grammar.Role{grammar.Admin}, Help: "For admins", Run: func(c *grammar.Call) error {
			c.Printf("admin work\n")
			return nil
		}},
	)
	tree, err := grammar.NewTree(nil, commands)
	if err != nil {
		t.Fatal(err)
	}
	log := shell.NewLog(f.log)
	keys, err := OpenHostKeys(nil, log)
	if err != nil {
		t.Fatal(err)
	}
	f.Server = &Server{
		Shell: &shell.Shell{Tree: tree, Accounts: f.accounts, Log: log, Hostname: func() string { return "cms1" }},
		Keys:  keys, Limits: DefaultLimits(),
		SFTP: func(_ context.Context, login *shell.Login, channel io.ReadWriteCloser) error {
			_, err := io.Copy(channel, channel)
			return err
		},
	}
	if adjust != nil {
		adjust(f)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, listener) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("end of the server: wanted no error, got %v", err)
		}
	})
	t.Cleanup(f.stop)
	return f
}

// dial logs in with the Go client.
func (f *fixture) dial(t *testing.T, user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	client, err := ssh.Dial("tcp", f.addr, &ssh.ClientConfig{
		User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 20 * time.Second,
	})
	if err == nil {
		t.Cleanup(func() { client.Close() })
	}
	return client, err
}

func (f *fixture) mustDial(t *testing.T) *ssh.Client {
	t.Helper()
	client, err := f.dial(t, "admin", ssh.Password("admin-secret"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// openSSH is the real client, logged in by key unless args say otherwise. HOST in args is the server's address.
func (f *fixture) openSSH(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("the OpenSSH client is not installed")
	}
	host, port, _ := net.SplitHostPort(f.addr)
	all := []string{
		"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", f.key, "-p", port,
	}
	for _, a := range args {
		all = append(all, strings.ReplaceAll(a, "HOST", host))
	}
	cmd := exec.Command(path, all...)
	cmd.Env = append(os.Environ(), "DISPLAY=", "SSH_AUTH_SOCK=")
	return cmd
}

// memoryDisk is a folder of the test.
func memoryDisk(t *testing.T) *durable.Disk {
	t.Helper()
	d, err := durable.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// output runs a client's command to its end.
func output(t *testing.T, client *ssh.Client, command, input string) (string, error) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	session.Stdin = strings.NewReader(input)
	out, err := session.CombinedOutput(command)
	return string(out), err
}

// subsystem runs one to its end. The status is -1 if the server told none.
func subsystem(t *testing.T, client *ssh.Client, name string) (status int, stdout, stderr string) {
	t.Helper()
	channel, requests, err := client.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	if ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(&textRequest{name})); !ok || err != nil {
		t.Fatalf("subsystem %s: wanted it to be accepted, got %v, %v", name, ok, err)
	}
	out, _ := io.ReadAll(channel)
	errOut, _ := io.ReadAll(channel.Stderr())
	status = -1
	for r := range requests {
		var s exitStatus
		if r.Type == "exit-status" && ssh.Unmarshal(r.Payload, &s) == nil {
			status = int(s.Status)
		}
	}
	return status, string(out), string(errOut)
}

// exitCode of the error of a finished process or session.
func exitCode(err error) int {
	var process *exec.ExitError
	var remote *ssh.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &process):
		return process.ExitCode()
	case errors.As(err, &remote):
		return remote.ExitStatus()
	}
	return -1
}
