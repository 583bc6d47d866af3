package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"rotunda/mmp/identity"
	"rotunda/mmp/shell"
)

func TestTheCommandLineOfPID1(t *testing.T) {
	got, err := parse([]string{"-accounts", "/data/sets/000001/mmp", "-files", "/data/sets/000001/files", "-transfer", "/data/transfer",
		"-logs", "/data/log", "-control", "/run/rotunda/control.sock", "-listen", ":22", "-console", "/dev/ttyS0", "-console", "/dev/tty1"})
	want := options{
		accounts: "/data/sets/000001/mmp", files: "/data/sets/000001/files", transfer: "/data/transfer", logs: "/data/log",
		control: "/run/rotunda/control.sock", api: "/run/rotunda/callbridge/api.sock", listen: ":22", identity: identity.SocketPath, consoles: []string{"/dev/ttyS0", "/dev/tty1"}, idle: shell.DefaultIdleTimeout,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("wanted %+v, got %+v, %v", want, got, err)
	}
	if got, err = parse([]string{"-data", "/tmp/x", "-idle", "0"}); err != nil || got.accounts != "/tmp/x/mmp" || got.logs != "/tmp/x/log" || got.idle >= 0 {
		t.Errorf("one folder and no idle limit: got %+v, %v", got, err)
	}
	if _, err := parse([]string{"serve"}); err == nil {
		t.Error("an argument that is no flag: wanted an error")
	}
}

// lockedBuffer takes the log.
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

// TestTheShellAlone runs the whole program without PID 1, as on a developer's machine, from the first login on.
func TestTheShellAlone(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notified.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()

	o, err := parse([]string{"-data", dir, "-listen", "127.0.0.1:0", "-control", filepath.Join(dir, "none"), "-console", slave.Name()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	addresses := make(chan net.Addr, 1)
	var log lockedBuffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, o, &log, func(a net.Addr) { addresses <- a }) }()
	if got := state(t, notified); got != "READY=1" {
		t.Errorf("first word to PID 1: wanted READY=1, got %q", got)
	}
	if got := state(t, notified); got != "WATCHDOG=1" {
		t.Errorf("second word to PID 1: wanted WATCHDOG=1, got %q", got)
	}

	var prompts []string
	answers := []string{"admin", "Correct-Horse7", "Correct-Horse7"}
	client, err := ssh.Dial("tcp", (<-addresses).String(), &ssh.ClientConfig{
		User: "admin", HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Auth: []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
			prompts = append(append(prompts, instruction), questions...)
			a := answers[:len(questions)]
			answers = answers[len(questions):]
			return a, nil
		})},
	})
	if err != nil {
		t.Fatalf("first login: %v, after %q", err, prompts)
	}
	defer client.Close()
	if _, err := ssh.Dial("tcp", client.RemoteAddr().String(), &ssh.ClientConfig{
		User: "admin", HostKeyCallback: ssh.InsecureIgnoreHostKey(), Auth: []ssh.AuthMethod{ssh.Password("a guess")},
	}); err == nil {
		t.Error("login with a wrong password: wanted it refused")
	}

	for _, c := range []struct{ command, want string }{
		{"user list", "USERNAME  ROLE   PASSWORD EXPIRY  LOGGED IN\nadmin     admin  "},
		{"ipv4 a", "the system does not answer"},
		{"help upgrade", "upgrade"},
		{"nonsense", "Unknown command"},
		{"ssh server_key list", "ssh_host_ed25519_key.pub"},
		{"pki csr web CN:web.example.com", "Created key file web.key and CSR web.csr\nCSR file web.csr ready for download via SFTP\n"},
		{"pki list", "User supplied certificates and keys:\nweb.key\nweb.csr\n"},
		{"pki match web.key web.csr", "SUCCESS: "},
	} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, _ := session.Output(c.command)
		if !strings.HasPrefix(string(out), c.want) && !strings.Contains(string(out), "\n"+c.want) {
			t.Errorf("%s: wanted %q in it, got\n%s", c.command, c.want, out)
		}
	}

	transfer, err := sftp.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	put(t, transfer, "motd", "Maintenance on Friday\n")
	if got := talk(t, client); !strings.Contains(got, "Maintenance on Friday\r\n") {
		t.Errorf("session after putting motd: wanted its text, got %q", got)
	}
	if got := get(t, transfer, "web.csr"); !strings.HasPrefix(got, "-----BEGIN CERTIFICATE REQUEST-----\n") {
		t.Errorf("web.csr: wanted a request at SFTP, got %q", got)
	}
	put(t, transfer, "sent.key", lockedKey(t, "Open-Sesame8"))
	// A script gives the pass phrase on standard input, as a person does at the terminal.
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	session.Stdin = strings.NewReader("Open-Sesame8\n")
	if out, err := session.Output("pki unlock sent.key"); err != nil || !strings.Contains(string(out), "Key file sent.key has no pass phrase any more\n") {
		t.Errorf("pki unlock: wanted the key opened, got %q, %v", out, err)
	}
	if got := get(t, transfer, "sent.key"); !strings.HasPrefix(got, "-----BEGIN PRIVATE KEY-----\n") {
		t.Error("sent.key: wanted it without a pass phrase")
	}
	transfer.Close()

	buf := make([]byte, 4096)
	n, err := master.Read(buf)
	if err != nil || !strings.Contains(string(buf[:n]), "Welcome to Rotunda\r\nThe system does not answer.\r\n") {
		t.Errorf("console: wanted the welcome text, got %q, %v", buf[:n], err)
	}

	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("end: wanted no error, got %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("wanted the program to end")
	}
	if !strings.Contains(log.String(), "issued command < user list>: permission granted\n") {
		t.Errorf("log: wanted an audit line, got\n%s", &log)
	}
	for _, secret := range []string{"Correct-Horse7", "Open-Sesame8", "PRIVATE KEY"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("log: wanted no %s in it", secret)
		}
	}
	stored, err := os.ReadFile(filepath.Join(dir, "mmp", "accounts.json"))
	if err != nil || !strings.Contains(string(stored), `"failedLogins": 1`) {
		t.Errorf("accounts after the end: wanted the failed login to be counted, got %v\n%s", err, stored)
	}
}

// state reads one word to PID 1.
func state(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 128)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func put(t *testing.T, client *sftp.Client, name, text string) {
	t.Helper()
	f, err := client.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	if err := f.Close(); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(t *testing.T, client *sftp.Client, name string) string {
	t.Helper()
	f, err := client.Open(name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	return string(text)
}

// lockedKey is a private key behind a pass phrase, as old programs write it.
func lockedKey(t *testing.T, passphrase string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 old programs write it
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(passphrase), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// talk runs a session on a terminal and returns all that it shows.
func talk(t *testing.T, client *ssh.Client) string {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	session.Stdin = strings.NewReader("exit\r")
	if err := session.RequestPty("vt100", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(out)
	return string(text)
}

func TestATextForTerminalsHoldsNothingThatSteersThem(t *testing.T) {
	if got, want := printable("a\tb\x1b[2J\r\nü\x07\n"), "a b?[2J\nü?\n"; got != want {
		t.Errorf("wanted %q, got %q", want, got)
	}
}
