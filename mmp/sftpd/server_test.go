package sftpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// world is a server with its folders.
type world struct {
	t      testing.TB
	dir    string
	server *Server
	free   func(string) (uint64, error)
	mu     sync.Mutex
	lines  []string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), free: func(string) (uint64, error) { return 1 << 40, nil }}
	if err := os.MkdirAll(filepath.Join(w.dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	w.server, err = openServer(w.dir, w.log, func(folder string) (uint64, error) {
		w.mu.Lock()
		free := w.free
		w.mu.Unlock()
		return free(folder)
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func openServer(dir string, log files.Log, free func(string) (uint64, error)) (*Server, error) {
	store, err := files.Open(files.Config{
		Stored: filepath.Join(dir, "files"), Transfer: filepath.Join(dir, "transfer"), Logs: filepath.Join(dir, "log"), Log: log, Free: free,
	})
	if err != nil {
		return nil, err
	}
	return &Server{Files: store, Log: log}, nil
}

func (w *world) log(p syslog.Priority, tag, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("<%d>%s: %s", p, tag, text))
}

func (w *world) logged(part string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.lines, "\n"), part)
}

// channel is the server's end, with a standard error like that of an SSH channel.
type channel struct {
	net.Conn
	notes bytes.Buffer
}

func (c *channel) Stderr() io.ReadWriter { return &c.notes }

func login(role grammar.Role) *shell.Login {
	return &shell.Login{User: "bob", Role: role, Source: shell.Source{Addr: netip.MustParseAddrPort("192.0.2.7:50022")}}
}

// client is a session as a client has it. end closes the connection without closing any file and waits for the server.
type client struct {
	*sftp.Client
	conn    net.Conn
	channel *channel
	served  chan error
	t       testing.TB
}

func (w *world) dial(role grammar.Role) *client {
	w.t.Helper()
	near, far := socketPair(w.t)
	c := &client{conn: near, channel: &channel{Conn: far}, served: make(chan error, 1), t: w.t}
	go func() {
		defer far.Close()
		c.served <- w.server.Serve(context.Background(), login(role), c.channel)
	}()
	var err error
	if c.Client, err = sftp.NewClientPipe(near, near, sftp.MaxConcurrentRequestsPerFile(64)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { near.Close() })
	return c
}

// socketPair is two ends of one stream with the kernel's buffers between them, as a network has.
func socketPair(t testing.TB) (net.Conn, net.Conn) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func (c *client) end() {
	c.t.Helper()
	c.conn.Close()
	<-c.served
}

func (c *client) put(name, text string) error {
	f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(text)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (c *client) get(name string) string {
	c.t.Helper()
	f, err := c.Open(name)
	if err != nil {
		c.t.Fatalf("open %s: %v", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		c.t.Fatalf("read %s: %v", name, err)
	}
	return string(data)
}

func (c *client) names() []string {
	c.t.Helper()
	list, err := c.ReadDir("/")
	if err != nil {
		c.t.Fatalf("ls: %v", err)
	}
	var names []string
	for _, i := range list {
		names = append(names, i.Name())
	}
	return names
}

func (w *world) hidden() []string {
	w.t.Helper()
	list, err := os.ReadDir(filepath.Join(w.dir, "transfer"))
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, d := range list {
		if strings.HasPrefix(d.Name(), ".") {
			names = append(names, d.Name())
		}
	}
	return names
}

func TestAnUploadAppearsWhenItIsClosed(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	f, err := c.Create("server.crt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if names := w.dial(grammar.Admin).names(); len(names) != 0 {
		t.Errorf("before the close the folder shows %v", names)
	}
	if info, err := f.Stat(); err != nil || info.Size() != 4 {
		t.Errorf("the handle of the upload has %v, %v, want size 4", info, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := c.get("/server.crt"); got != "half" {
		t.Errorf("the file has %q, want half", got)
	}
	info, err := os.Stat(filepath.Join(w.dir, "files", "server.crt"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("on the disk: %v, %v, want mode 0600", info, err)
	}
	if !w.logged("User bob from 192.0.2.7:50022 stored certificate server.crt, 4 bytes") {
		t.Errorf("the log has no line about it:\n%s", strings.Join(w.lines, "\n"))
	}
}

func TestAnUploadThatBreaksOffLeavesTheOldFile(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	if err := c.put("ca.pem", "the old one"); err != nil {
		t.Fatal(err)
	}
	broken := w.dial(grammar.Admin)
	for _, name := range []string{"ca.pem", "upgrade.img"} {
		f, err := broken.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.hidden()); n != 2 {
		t.Fatalf("%d hidden files while two uploads are under way", n)
	}
	broken.end()
	if got := c.get("ca.pem"); got != "the old one" {
		t.Errorf("the old file has become %.20q", got)
	}
	if names := c.names(); !slices.Equal(names, []string{"ca.pem"}) {
		t.Errorf("the folder shows %v, want ca.pem only", names)
	}
	if left := w.hidden(); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if !w.logged("did not store upgrade image upgrade.img: the connection ended before the file was complete") {
		t.Errorf("the log does not say so:\n%s", strings.Join(w.lines, "\n"))
	}
}

func TestEndingTheContextEndsTheSession(t *testing.T) {
	w := newWorld(t)
	near, far := socketPair(t)
	defer near.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, login(grammar.Admin), far) }()
	c, err := sftp.NewClientPipe(near, near)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create("upgrade.img"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-served; err == nil {
		t.Error("want the reason why the session ended")
	}
	if left := w.hidden(); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFullDiskIsSaidClearlyAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	f, err := c.Create("upgrade.img")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 32<<10)); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.free = func(string) (uint64, error) { return 1000, nil }
	w.mu.Unlock()
	_, err = f.Write(make([]byte, 16<<20))
	const want = "no room: the disk is full, upgrade.img was not stored"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("write gave %v, want %q", err, want)
	}
	if err := f.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("close gave %v, want %q", err, want)
	}
	if _, err := c.Create("x.crt"); err == nil {
		t.Error("an upload began on a full disk")
	}
	if names, left := c.names(), w.hidden(); names != nil || left != nil {
		t.Errorf("the folder shows %v and hides %v, want nothing", names, left)
	}
	c.end()
	if notes := c.channel.notes.String(); strings.Count(notes, want) != 1 {
		t.Errorf("standard error has %q, want the reason once", notes)
	}
	if !w.logged(want) {
		t.Error("the log does not say so")
	}
}

// TestWinSCP does what WinSCP does for a file above 100 kB: another name first, then times and modes, then a rename.
func TestWinSCP(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	if err := c.put("upgrade.img", "old"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stat("upgrade.img.filepart"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat before the upload gave %v, want not there", err)
	}
	if err := c.put("upgrade.img.filepart", "new"); err != nil {
		t.Fatal(err)
	}
	if got := c.get("upgrade.img"); got != "old" {
		t.Errorf("before the rename the file has %q", got)
	}
	if err := c.Chtimes("upgrade.img.filepart", time.Now(), time.Now()); err != nil {
		t.Errorf("setting times: %v", err)
	}
	if err := c.Chmod("upgrade.img.filepart", 0o644); err != nil {
		t.Errorf("setting modes: %v", err)
	}
	if err := c.Rename("upgrade.img.filepart", "upgrade.img"); err == nil {
		t.Error("a plain rename replaced a file")
	}
	if err := c.PosixRename("upgrade.img.filepart", "upgrade.img"); err != nil {
		t.Fatal(err)
	}
	if got := c.get("upgrade.img"); got != "new" {
		t.Errorf("after the rename the file has %q", got)
	}
	// The same for a file whose own folder is another one.
	if err := c.put("server.key.filepart", "key"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rename("server.key.filepart", "server.key"); err != nil {
		t.Fatal(err)
	}
	if names := c.names(); !slices.Equal(names, []string{"server.key", "upgrade.img"}) {
		t.Errorf("the folder shows %v", names)
	}
}

func TestResumingIsRefusedClearly(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	if err := c.put("upgrade.img", "half"); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []int{os.O_WRONLY, os.O_WRONLY | os.O_CREATE, os.O_WRONLY | os.O_APPEND} {
		_, err := c.OpenFile("upgrade.img", flags)
		if err == nil || !strings.Contains(err.Error(), "cannot be resumed") {
			t.Errorf("flags %#x gave %v, want a refusal to resume", flags, err)
		}
	}
	if _, err := c.OpenFile("a\n<129>login: forged", os.O_WRONLY|os.O_APPEND); err == nil || w.logged("\n<129>login: forged") {
		t.Errorf("a name with a line break: wanted a refusal in one line of the log, got %v", err)
	}
	if err := c.Truncate("upgrade.img", 2); err == nil {
		t.Error("a file was cut")
	}
	if _, err := c.OpenFile("upgrade.img", os.O_WRONLY|os.O_CREATE|os.O_EXCL); err == nil {
		t.Error("an exclusive upload replaced a file")
	}
}

func TestReadsSeek(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(filepath.Join(w.dir, "log", "messages"), []byte("line one\nline two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := w.dial(grammar.Admin).Open("log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(9, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(f); err != nil || string(rest) != "line two\n" {
		t.Errorf("from byte 9 the log reads %q, %v", rest, err)
	}
}

func TestOtherNamesAndFoldersAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	for _, name := range []string{"notes.txt", ".part-x", ".hidden.crt", "sub/x.crt", "../x.crt.", "log", "live.json", "a b.crt", "x.pcap",
		"\xff.crt", strings.Repeat("x", 200) + ".crt", ".filepart", "x.filepart", "/", ""} {
		if err := c.put(name, "x"); err == nil {
			t.Errorf("%q was stored", name)
		}
	}
	for what, err := range map[string]error{
		"mkdir": c.Mkdir("x"), "symlink": c.Symlink("/etc/passwd", "x.crt"), "link": c.Link("log", "x.crt"), "rmdir": c.RemoveDirectory("/"),
		"remove": c.Remove("/"), "rename": c.Rename("/", "x.crt"), "remove log": c.Remove("log"), "rename log": c.Rename("log", "x.crt"),
	} {
		if err == nil {
			t.Errorf("%s worked", what)
		}
	}
	if names := c.names(); names != nil {
		t.Errorf("the folder shows %v", names)
	}
	if path, err := c.RealPath("."); err != nil || path != "/" {
		t.Errorf("the folder is %q, %v, want /", path, err)
	}
	c.end()
	if notes := c.channel.notes.String(); !strings.Contains(notes, `"notes.txt" cannot be stored; names that can be stored: upgrade.img`) {
		t.Errorf("standard error has %q, want the list of names", notes)
	}
}

func TestHandlesAreBounded(t *testing.T) {
	w := newWorld(t)
	c := w.dial(grammar.Admin)
	if err := c.put("x.crt", "x"); err != nil {
		t.Fatal(err)
	}
	var open []*sftp.File
	for {
		f, err := c.Open("x.crt")
		if err != nil {
			break
		}
		if open = append(open, f); len(open) > maxHandles {
			t.Fatalf("more than %d files are open", maxHandles)
		}
	}
	for _, f := range open {
		f.Close()
	}
	if got := c.get("x.crt"); got != "x" {
		t.Errorf("after closing them the file has %q", got)
	}
}

// FuzzNames drives the whole server with one name in every place that takes one, and looks that nothing is ever made
// outside the folders or under a name that is not in the view.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"upgrade.img", "../../etc/passwd", "x.crt/../../y", "/", ".", "a\x00b.crt", ".part-x", "x.key.filepart",
		strings.Repeat("a", 300), "//x.pem", "ä.crt", "%s%n.crt", "sso_.zip", "x\n.crt"} {
		f.Add(name)
	}
	w := newWorld(f)
	if err := os.WriteFile(filepath.Join(w.dir, "outside.crt"), []byte("untouched"), 0o600); err != nil {
		f.Fatal(err)
	}
	c := w.dial(grammar.Admin)
	f.Fuzz(func(t *testing.T, name string) {
		c.t = t
		stored := c.put(name, "fuzz") == nil
		c.Stat(name)
		if stored {
			if got, err := c.Open(name); err == nil {
				got.Close()
			}
		}
		c.Rename(name, "fuzzed.crt")
		c.Rename("fuzzed.crt", name)
		c.ReadDir(name)
		c.Remove(name)
		c.Remove("fuzzed.crt")
		if names := c.names(); names != nil {
			t.Errorf("after %q the folder shows %v", name, names)
		}
		err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if rel, _ := filepath.Rel(w.dir, path); !d.IsDir() && rel != "outside.crt" {
				return fmt.Errorf("%q left %s", name, rel)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// stream is a connection whose client has sent everything at once and reads nothing.
type stream struct {
	io.Reader
	io.Writer
}

func (stream) Close() error { return nil }

// FuzzServe feeds packets that no client sends: a panic in one of the library's goroutines would end every session.
func FuzzServe(f *testing.F) {
	packet := func(body ...byte) []byte { return append([]byte{0, 0, 0, byte(len(body))}, body...) }
	hello := packet(1, 0, 0, 0, 3)
	f.Add(append(slices.Clone(hello), packet(11, 0, 0, 0, 1, 0, 0, 0, 1, '/')...))
	f.Add(append(slices.Clone(hello), packet(3, 0, 0, 0, 1, 0, 0, 0, 5, 'x', '.', 'c', 'r', 't', 0, 0, 0, 0x1a, 0, 0, 0, 0)...))
	f.Add(append(slices.Clone(hello), packet(200, 0, 0, 0, 1, 0, 0, 0, 0)...))
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		w.t = t
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w.server.Serve(ctx, login(grammar.Admin), stream{bytes.NewReader(data), io.Discard})
		if left := w.hidden(); left != nil {
			t.Errorf("left behind: %v", left)
		}
	})
}

// BenchmarkUpload is an upload with packets as OpenSSH sends them, without encryption, synced to the disk.
func BenchmarkUpload(b *testing.B) {
	w := newWorld(b)
	c := w.dial(grammar.Admin)
	const size = 64 << 20
	data := make([]byte, size)
	b.SetBytes(size)
	for b.Loop() {
		f, err := c.Create("upgrade.img")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.ReadFromWithConcurrency(bytes.NewReader(data), 64); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDownload is the way back.
func BenchmarkDownload(b *testing.B) {
	w := newWorld(b)
	c := w.dial(grammar.Admin)
	const size = 64 << 20
	if err := c.put("upgrade.img", string(make([]byte, size))); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		f, err := c.Open("upgrade.img")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := f.WriteTo(io.Discard); err != nil || n != size {
			b.Fatalf("read %d bytes, %v", n, err)
		}
		f.Close()
	}
}
