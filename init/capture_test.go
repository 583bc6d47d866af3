package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rotunda/init/capture"
	"rotunda/init/control"
	"rotunda/init/network"
)

// captureStandIn runs a shell in the place of the child. It says what it was told, waits for the end of its input, and answers.
func captureStandIn(t *testing.T, script string) *machine {
	t.Helper()
	before := captureShim
	t.Cleanup(func() { captureShim = before })
	captureShim = func(order string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script, "sh", order) }
	return newMachine()
}

// captured runs a capture of interface a, whose device is eth7, and returns what the child has written into its file, "gone" if there is no
// file, and how often the child was heard to listen.
func captured(t *testing.T, m *machine, ctx context.Context, stop bool) (result control.Capture, wrote string, listened int, err error) {
	t.Helper()
	m.ports = map[string]network.NIC{"a": {Kernel: "eth7"}}
	folder := t.TempDir()
	result, err = m.captureInto(ctx, folder, control.CaptureOrder{Interface: "a", File: "x.pcap", Limit: 5}, func() {
		listened++
		if stop {
			if err := m.StopCapture(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		}
	})
	b, missing := os.ReadFile(filepath.Join(folder, "x.pcap"))
	if missing != nil {
		return result, "gone", listened, err
	}
	return result, string(b), listened, err
}

const answering = `printf %s "$1" >&3; echo '{"listening":true}'; cat; echo '{"result":{"packets":3,"dropped":1,"bytes":99,"ended":"stopped"}}'`

func TestACaptureEndsByAWordAndWithWhoAsksForIt(t *testing.T) {
	m := captureStandIn(t, answering)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, by := range map[string]struct {
		ctx  context.Context
		stop bool
	}{"a word": {t.Context(), true}, "the end of the connection": {gone, false}} {
		result, told, listened, err := captured(t, m, by.ctx, by.stop)
		if err != nil || listened != 1 || result != (control.Capture{Packets: 3, Dropped: 1, Bytes: 99, Ended: "stopped"}) {
			t.Errorf("%s: got %+v, %v, and was told %d times that it listens", name, result, err, listened)
		}
		var o capture.Order
		if err := json.Unmarshal([]byte(told), &o); err != nil || o.Device != "eth7" || o.Limit != 5 {
			t.Errorf("%s: the child was told %q", name, told)
		}
	}
}

func TestACaptureThatEndsBeforeItListenedLeavesNoFile(t *testing.T) {
	for script, want := range map[string]string{
		`echo '{"error":"no such device"}'`: "the capture did not begin: no such device",
		`echo "panic: alas" >&2; exit 2`:    "the capture did not begin: its program ended (exit status 2): panic: alas",
		`kill -9 $$`:                        "signal: killed",
		`:`:                                 "its program ended",
		`echo nonsense; cat`:                "read what its program says",
		`echo '{"listening":false}'; printf '{"error'`: "unexpected EOF",
	} {
		_, wrote, listened, err := captured(t, captureStandIn(t, script), t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), want) || listened != 0 {
			t.Errorf("%s: wanted %q, got %v, and was told %d times that it listens", script, want, err, listened)
		}
		if wrote != "gone" {
			t.Errorf("%s: a file of %d bytes is left", script, len(wrote))
		}
	}
}

func TestACaptureThatBreaksOffSaysWhyAndLeavesWhatItHas(t *testing.T) {
	const begins = `printf half >&3; echo '{"listening":true}'; `
	for script, want := range map[string]string{
		begins + `echo '{"error":"write the capture: input/output error"}'`: "the capture broke off: write the capture: input/output error",
		begins + `echo "panic: alas" >&2; exit 2`:                           "the capture broke off: its program ended (exit status 2): panic: alas",
		begins + `echo nonsense; cat`:                                       "read what its program says",
	} {
		_, wrote, listened, err := captured(t, captureStandIn(t, script), t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), want) || listened != 1 || wrote != "half" {
			t.Errorf("%s: wanted %q, got %v, %q in the file, and was told %d times that it listens", script, want, err, wrote, listened)
		}
	}
}

func TestWhatCannotBeCapturedIsRefusedBeforeAnythingIsMade(t *testing.T) {
	m := captureStandIn(t, `echo begun >&2; exit 1`)
	folder := t.TempDir()
	order := control.CaptureOrder{Interface: "a", File: "x.pcap", Limit: 5}
	refused := func(o control.CaptureOrder, status int, want string) {
		t.Helper()
		_, err := m.captureInto(t.Context(), folder, o, func() { t.Error("it listens") })
		var e *control.Error
		if !errors.As(err, &e) || e.Status != status || !strings.Contains(e.Text, want) {
			t.Errorf("wanted %d with %q, got %v", status, want, err)
		}
	}
	refused(order, http.StatusServiceUnavailable, "the interfaces did not start")
	m.ports = map[string]network.NIC{"a": {Kernel: "eth7"}}
	other := order
	other.Interface = "c"
	refused(other, http.StatusNotFound, `no interface "c"`)
	full := order
	full.Reserve = 1 << 62
	refused(full, http.StatusInsufficientStorage, "the disk is too full")
	if _, err := m.beginCapture("a"); err != nil {
		t.Fatal(err)
	}
	refused(order, http.StatusConflict, "there already is a capture on interface a")
	m.endCapture("a")
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "x.pcap"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(order, http.StatusConflict, "there already is a file x.pcap")
	if b, err := os.ReadFile(filepath.Join(folder, "x.pcap")); err != nil || string(b) != "kept" {
		t.Errorf("the file that was there: %q, %v", b, err)
	}
}

func TestThereIsOneCaptureAtATimeOnAnInterface(t *testing.T) {
	m := newMachine()
	stop, err := m.beginCapture("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.beginCapture("a"); !control.IsConflict(err) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := m.beginCapture("b"); err != nil {
		t.Errorf("on another interface: %v", err)
	}
	if err := errors.Join(m.StopCapture(t.Context(), "a"), m.StopCapture(t.Context(), "a")); err != nil {
		t.Error(err)
	}
	<-stop
	m.endCapture("a")
	if err := m.StopCapture(t.Context(), "a"); err == nil {
		t.Error("one that has ended was stopped")
	}
	if _, err := m.beginCapture("a"); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

func TestNamesOfCapturesLeadNowhereElse(t *testing.T) {
	m := newMachine()
	for _, name := range []string{"", "x", ".pcap", "../x.pcap", "a/b.pcap", "-x.pcap", "x.pcap\n", strings.Repeat("x", 200) + ".pcap"} {
		_, err := m.captureInto(t.Context(), t.TempDir(), control.CaptureOrder{Interface: "a", File: name, Limit: 1}, func() {})
		if err == nil || !strings.Contains(err.Error(), "cannot be the name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The shell that asked has died.
func TestWhoHangsUpEndsWhatItAskedFor(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	path := filepath.Join(t.TempDir(), "s")
	server := &control.Server{Machine: waiting{begun: begun, ended: ended}, Writers: map[uint32]bool{uint32(os.Getuid()): true}, Log: func(string) {}}
	go func() { _ = server.Serve(t.Context(), path) }()
	var conn net.Conn
	for conn == nil {
		conn, _ = net.Dial("unix", path)
	}
	body := `{"interface":"a","file":"x.pcap","limit":1}`
	if _, err := conn.Write([]byte("POST /capture HTTP/1.1\r\nHost: init\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)); err != nil {
		t.Fatal(err)
	}
	<-begun
	conn.Close()
	<-ended
}

type waiting struct {
	control.Machine
	begun, ended chan struct{}
}

func (w waiting) Capture(ctx context.Context, _ control.CaptureOrder, _ func()) (control.Capture, error) {
	close(w.begun)
	<-ctx.Done()
	close(w.ended)
	return control.Capture{}, ctx.Err()
}
