package qemu

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestTheCommandLineFollowsTheOptions(t *testing.T) {
	w := wiring{accelerator: []string{"-accel", "tcg"}, disk: "/d,1", diskFormat: "raw", serialFD: 3, monitorFD: 4, segmentFDs: []int{-1, 5}}
	o := Options{
		Disk: Disk{Bus: "pvscsi", WriteLog: "/log"},
		NICs: []NIC{{Forward: []Forward{{Host: 2222, Guest: 22}}}, {Model: "vmxnet3", MAC: "52:54:00:00:00:99"}},
	}.withDefaults()
	got := strings.Join(arguments(o, w), " ")
	for _, want := range []string{
		"-smp 2 -m 1024",
		"-chardev socket,id=serial0,fd=3 -serial chardev:serial0",
		"-chardev socket,id=qmp0,fd=4 -mon chardev=qmp0,mode=control",
		"driver=file,node-name=file0,filename=/d,,1",
		"driver=blklogwrites,node-name=disk0,file=raw0,log=log0,log-super-update-interval=1",
		"-device pvscsi,id=scsi0 -device scsi-hd,bus=scsi0.0,drive=disk0",
		"-netdev user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22 -device virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01,addr=0x10",
		"-netdev stream,id=net1,server=off,addr.type=fd,addr.str=5 -device vmxnet3,netdev=net1,mac=52:54:00:00:00:99,addr=0x11",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("command line has no %q:\n%s", want, got)
		}
	}
}

func TestAMachineThatQEMURefusesSaysWhy(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("QEMU is not installed (Debian package qemu-system-x86)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// A comma in the name must not end it.
	_, err := Start(ctx, Options{Name: "a,b", Disk: Disk{Path: "/nonexistent/disk", Private: true}})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/disk") {
		t.Errorf("got %v, want QEMU's words about /nonexistent/disk", err)
	}
}

func TestRecordingNeedsAPrivateRawDisk(t *testing.T) {
	if _, err := os.Stat(firmwareTemplate); err != nil {
		t.Skip("UEFI firmware is not installed (Debian package ovmf)")
	}
	m := &Machine{dir: t.TempDir(), ports: map[int]int{}}
	o := Options{Disk: Disk{Path: "disk.vmdk", Format: "vmdk", Private: true, WriteLog: filepath.Join(m.dir, "log")}}.withDefaults()
	if _, _, err := m.prepare(t.Context(), &o); err == nil {
		t.Error("a write log over a VMDK was accepted")
	}
}

func TestCopySparseKeepsHoles(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("first"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("middle"), 32<<20); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(64<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := CopySparse(from, to); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the copy differs")
	}
	var s unix.Stat_t
	if err := unix.Stat(to, &s); err != nil {
		t.Fatal(err)
	}
	if allocated := s.Blocks * 512; allocated > 1<<20 {
		t.Errorf("the copy takes %d bytes of disk, want at most 1 MiB", allocated)
	}
}

func TestControlSequencesAreDropped(t *testing.T) {
	for raw, want := range map[string]string{
		"plain\r\nline":                        "plain\nline",
		"\x1b[2J\x1b[01;01Hcleared":            "cleared",
		"\x1b]0;title\x07text":                 "text",
		"a\rb":                                 "a\rb",
		"a\r\r\nb":                             "a\nb",
		"bell\x07 and back\x08space":           "bell and backspace",
		"\x1b=keypad \x1b[?25hcursor \x1b[31m": "keypad cursor ",
	} {
		// One byte at a time: the state must survive the end of a read.
		var f terminalFilter
		var got []byte
		for i := range len(raw) {
			got = append(got, f.clean([]byte{raw[i]})...)
		}
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

// conversation returns a console and the other end of its line.
func conversation(t *testing.T) (*Console, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	c := newConsole("test", ours, nil)
	t.Cleanup(func() { c.close(); _ = theirs.Close() })
	return c, theirs
}

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Error(err)
	}
}

func TestExpectTakesUpToTheMatchAndKeepsTheRest(t *testing.T) {
	c, peer := conversation(t)
	go say(t, peer, "first 12 second 34 ")
	for _, want := range []string{"12", "34"} {
		got, err := c.Expect(t.Context(), `(\d+) `)
		if err != nil {
			t.Fatal(err)
		}
		if got[1] != want {
			t.Errorf("got %q, want %q", got[1], want)
		}
	}
}

func TestAwaitTakesNothing(t *testing.T) {
	c, peer := conversation(t)
	go say(t, peer, "login: ")
	for range 2 {
		if _, err := c.Await(t.Context(), LoginPrompt); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExpectEndsWithTheContextAndShowsTheTail(t *testing.T) {
	c, peer := conversation(t)
	say(t, peer, "something else")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := c.Expect(ctx, "login: ")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "something else") {
		t.Errorf("got %v, want the deadline and what was said", err)
	}
}

func TestExpectEndsWithTheStream(t *testing.T) {
	c, peer := conversation(t)
	say(t, peer, "last words")
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Expect(t.Context(), "login: "); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
}

func TestCommandReturnsWhatIsBetweenEchoAndPrompt(t *testing.T) {
	c, peer := conversation(t)
	go func() {
		line := make([]byte, 64)
		n, err := peer.Read(line)
		if err != nil || string(line[:n]) != "iface a\r" {
			t.Errorf("typed %q, %v, want %q", line[:n], err, "iface a\r")
		}
		// The line editor redraws the prompt with the line.
		say(t, peer, "i\rrotunda> \x1b[Kiface a\r\nMTU : 1500\r\na> b\r\nrotunda> ")
	}()
	got, err := c.Command(t.Context(), "iface a")
	if err != nil {
		t.Fatal(err)
	}
	if want := "MTU : 1500\na> b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMonitorTellsAnswersFromEvents(t *testing.T) {
	ours, theirs := net.Pipe()
	m := newMonitor(ours)
	t.Cleanup(m.close)
	go func() {
		say(t, theirs, `{"QMP": {"version": {}}}`+"\n")
		request := make([]byte, 256)
		for _, reply := range []string{
			`{"return": {}}`,
			`{"event": "RESET", "data": {"guest": true}}` + "\n" + `{"return": {"status": "running"}}`,
			`{"error": {"class": "CommandNotFound", "desc": "no such command"}}`,
		} {
			if _, err := theirs.Read(request); err != nil {
				t.Error(err)
			}
			say(t, theirs, reply+"\n")
		}
	}()
	if err := m.negotiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := m.Execute(t.Context(), "query-status", nil)
	if err != nil || string(got) != `{"status": "running"}` {
		t.Errorf("query-status: got %s, %v", got, err)
	}
	if err := m.AwaitEvents(t.Context(), "RESET", 1); err != nil {
		t.Error(err)
	}
	if _, err := m.Execute(t.Context(), "nonsense", nil); err == nil || !strings.Contains(err.Error(), "no such command") {
		t.Errorf("nonsense: got %v, want QEMU's own words", err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.AwaitEvents(t.Context(), "RESET", 2); err == nil {
		t.Error("waiting for an event outlived QEMU")
	}
}

func TestFramesTravelWithTheirLength(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	s := NewSegment(func(s *Segment, frame []byte) {
		if string(frame) == "ping" {
			if err := s.Send([]byte("pong")); err != nil {
				t.Error(err)
			}
		}
	})
	if err := s.Send([]byte("x")); err == nil {
		t.Error("a frame was sent over a cable that is not plugged in")
	}
	s.plug(ours)
	go say(t, theirs, "\x00\x00\x00\x04ping")
	got := make([]byte, 8)
	if _, err := io.ReadFull(theirs, got); err != nil {
		t.Fatal(err)
	}
	if want := "\x00\x00\x00\x04pong"; string(got) != want {
		t.Errorf("on the wire: got %q, want %q", got, want)
	}
	frame, err := s.Await(t.Context(), func([]byte) bool { return true })
	if err != nil || string(frame) != "ping" {
		t.Errorf("got frame %q, %v, want %q", frame, err, "ping")
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04ping"))
	f.Add([]byte("\xff\xff\xff\xffping"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		frame, err := readFrame(iotest.OneByteReader(bytes.NewReader(stream)))
		if err != nil {
			return
		}
		if want := stream[4 : 4+binary.BigEndian.Uint32(stream)]; !bytes.Equal(frame, want) {
			t.Errorf("got %q, want %q", frame, want)
		}
	})
}

func TestClientOptionsKeepTheUsersOwnSetupOut(t *testing.T) {
	got := Client{Options: []string{"ControlPath=/x"}}.options()
	want := []string{
		"-F", "none",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
		"-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=30", "-o", "IdentityAgent=none",
		"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4",
		"-o", "ControlPath=/x", "-o", "PubkeyAuthentication=no",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}
