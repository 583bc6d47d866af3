//go:build qemu

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// bootLimit is many times what a start takes under emulation, beside other machines; it ends a test that would otherwise hang.
	bootLimit = 5 * time.Minute
	// commandLimit is for what answers at once, on a machine that has nothing else to do.
	commandLimit = time.Minute
	// password that the tests set at the first login.
	password = "Correct-Horse-7"
)

// trial is a machine under test.
type trial struct {
	*Machine
	t *testing.T
}

// boot starts a machine on an overlay of disk.img, or as the options say, and ends it with the test. A test that fails
// prints the end of the serial console; the whole of it is in build/test-logs.
func boot(t *testing.T, o Options) *trial {
	t.Helper()
	tree := checkout(t)
	o.Name = strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
	o.Transcript = filepath.Join(tree.Root, "build", "test-logs", o.Name+".serial")
	if o.Disk.Path == "" {
		o.Disk.Path = tree.Product("disk.img")
	}
	if o.NICs == nil {
		o.NICs = []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 443}}}}
	}
	m, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the serial console ended with (all of it is in %s):\n%s", o.Transcript, m.Serial.Tail())
		}
		m.Close()
	})
	return &trial{m, t}
}

func checkout(t *testing.T) Tree {
	t.Helper()
	tree, err := FindTree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tree.Product("disk.img")); err != nil {
		t.Fatalf("build/disk.img is missing; make image makes it: %v", err)
	}
	return tree
}

// in runs the steps of a test in order under their names; a step that fails ends the test, since the next ones build on it.
func (m *trial) in(name string, step func(m *trial)) {
	m.t.Helper()
	t := m.t
	ok := t.Run(name, func(t *testing.T) {
		start := time.Now()
		step(&trial{m.Machine, t})
		t.Logf("%.1f s", time.Since(start).Seconds())
	})
	if !ok {
		t.FailNow()
	}
}

// within bounds one wait.
func (m *trial) within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(m.t.Context(), limit)
	m.t.Cleanup(cancel)
	return ctx
}

// expect waits for text on the serial console.
func (m *trial) expect(limit time.Duration, pattern string) []string {
	m.t.Helper()
	got, err := m.Serial.Expect(m.within(limit), pattern)
	if err != nil {
		m.t.Fatal(err)
	}
	return got
}

// typed sends text to the serial console.
func (m *trial) typed(text string) {
	m.t.Helper()
	if err := m.Serial.Send(text); err != nil {
		m.t.Fatal(err)
	}
}

// serial runs a command on the console and returns its output.
func (m *trial) serial(line string) string {
	m.t.Helper()
	got, err := m.Serial.Command(m.within(commandLimit), line)
	if err != nil {
		m.t.Fatal(err)
	}
	return got
}

// firstLogin logs in on the console of a machine as delivered and sets the password.
func (m *trial) firstLogin() {
	m.t.Helper()
	if err := m.Serial.FirstLogin(m.within(bootLimit), "admin", "admin", password); err != nil {
		m.t.Fatal(err)
	}
}

// login logs in on the console of a machine that was started.
func (m *trial) login() {
	m.t.Helper()
	m.hangUp()
	if err := m.Serial.Login(m.within(bootLimit), "admin", password); err != nil {
		m.t.Fatal(err)
	}
}

// admin is a client that logs in anew for each thing that it does.
func (m *trial) admin() Client { return m.SSH("admin", password) }

// shared is a client that logs in once and does all over that connection, which ends with the machine: a login costs more than most commands,
// half a second of an emulated processor.
func (m *trial) shared() Client {
	return m.admin().with("ControlMaster=auto", "ControlPersist=yes", "ControlPath="+m.controlSocket())
}

func (m *trial) controlSocket() string { return filepath.Join(m.dir, "ssh") }

// hangUp makes the next use of the shared client log in anew. The machine restarted, or what lets people in was changed.
func (m *trial) hangUp() {
	m.t.Helper()
	if err := os.Remove(m.controlSocket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
}

// ssh runs a one-shot command, which must succeed, and returns what it printed.
func (m *trial) ssh(command string) string {
	m.t.Helper()
	r, err := m.shared().Run(m.within(commandLimit), command, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if r.Status != 0 {
		m.t.Fatalf("ssh %q: got status %d, want 0; it printed %q and %q", command, r.Status, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// sshFails runs a one-shot command that must fail with status 1 and one line that has a certain text.
func (m *trial) sshFails(command, text string) {
	m.t.Helper()
	r, err := m.shared().Run(m.within(time.Minute), command, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	said := strings.TrimSpace(r.Stdout + r.Stderr)
	if r.Status != 1 || !strings.Contains(said, text) || strings.Contains(said, "\n") {
		m.t.Errorf("ssh %q: got status %d and %q, want status 1 and one line with %q", command, r.Status, said, text)
	}
}

// sftp runs a batch, which must succeed.
func (m *trial) sftp(batch ...string) string {
	m.t.Helper()
	r, err := m.shared().SFTP(m.within(5*time.Minute), batch...)
	if err != nil {
		m.t.Fatal(err)
	}
	if r.Status != 0 {
		m.t.Fatalf("sftp %q: got status %d, want 0; it printed %q and %q", batch, r.Status, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// confirmed runs a command that asks for a capital Y and ends this boot; it returns what was said up to the
// next login prompt, which is left to be answered.
func (m *trial) confirmed(command string) string {
	m.t.Helper()
	m.Serial.Drain()
	m.typed(command + "\r")
	shown := m.expect(2*time.Minute, `(?s)\A.*\(Y/n\)[^\n]*\z`)
	m.typed("Y\r")
	said, err := m.Serial.Await(m.within(bootLimit), `(?s)\A.*`+LoginPrompt)
	if err != nil {
		m.t.Fatal(err)
	}
	m.hangUp()
	return shown[0] + said[0]
}

// await repeats a one-shot command over SSH until its output has a text. SSH may not answer yet after a start.
func (m *trial) await(command, text string) string {
	m.t.Helper()
	ctx := m.within(bootLimit)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := m.shared().Run(ctx, command, nil)
		if err == nil && strings.Contains(r.Stdout, text) {
			return r.Stdout
		}
		if r.Status == noConnection {
			m.hangUp()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("ssh %q did not print %q in time; the last answer was %q and %q (%v)", command, text, r.Stdout, r.Stderr, err)
		}
	}
}

// delivered is the version on disk.img.
func delivered(t *testing.T) string {
	t.Helper()
	version, err := checkout(t).Version()
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func wantContains(t *testing.T, what, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s: got %q, want %q in it", what, got, w)
		}
	}
}

// file writes a file for an upload.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// patched returns a copy of a file with some bytes changed, or cut off there if there are none.
func patched(t *testing.T, from, name string, offset int64, bytes []byte) string {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if offset < 0 {
		info, err := in.Stat()
		if err != nil {
			t.Fatal(err)
		}
		offset += info.Size()
	}
	path := filepath.Join(t.TempDir(), name)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if bytes == nil {
		err = out.Truncate(offset)
	} else {
		_, err = out.WriteAt(bytes, offset)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(fmt.Errorf("make %s: %w", name, err))
	}
	return path
}
