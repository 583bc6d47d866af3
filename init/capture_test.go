package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rotunda/init/capture"
	"rotunda/init/control"
)

// captureStandIn runs a shell in the place of the child. It says what it was told, waits for the end of its input, and answers.
func captureStandIn(t *testing.T, script string) *machine {
	t.Helper()
	before := captureShim
	t.Cleanup(func() { captureShim = before })
	captureShim = func(order string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script, "sh", order) }
	return newMachine()
}

func captured(t *testing.T, m *machine, ctx context.Context, stop <-chan struct{}) (control.Capture, string, error) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "x.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	result, err := m.runCapture(ctx, capture.Order{Device: "eth7", Limit: 5}, file, stop)
	b, _ := os.ReadFile(file.Name())
	return result, string(b), err
}

const answering = `printf %s "$1" >&3; cat; echo '{"packets":3,"dropped":1,"bytes":99,"ended":"stopped"}'`

func TestACaptureEndsByAWordAndWithWhoAsksForIt(t *testing.T) {
	m := captureStandIn(t, answering)
	stop := make(chan struct{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	close(stop)
	for name, by := range map[string]struct {
		ctx  context.Context
		stop chan struct{}
	}{"a word": {t.Context(), stop}, "the end of the connection": {gone, make(chan struct{})}} {
		result, told, err := captured(t, m, by.ctx, by.stop)
		if err != nil || result != (control.Capture{Packets: 3, Dropped: 1, Bytes: 99, Ended: "stopped"}) {
			t.Errorf("%s: got %+v, %v", name, result, err)
		}
		var o capture.Order
		if err := json.Unmarshal([]byte(told), &o); err != nil || o.Device != "eth7" || o.Limit != 5 {
			t.Errorf("%s: the child was told %q", name, told)
		}
	}
}

func TestACaptureThatBreaksOffSaysWhy(t *testing.T) {
	m := captureStandIn(t, `echo "no such device" >&2; exit 1`)
	if _, _, err := captured(t, m, t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no such device") {
		t.Errorf("got %v", err)
	}
	m = captureStandIn(t, `echo nonsense`)
	if _, _, err := captured(t, m, t.Context(), nil); err == nil || !strings.Contains(err.Error(), "read answer") {
		t.Errorf("got %v", err)
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
		_, err := m.Capture(t.Context(), control.CaptureOrder{Interface: "a", File: name, Limit: 1})
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

func (w waiting) Capture(ctx context.Context, _ control.CaptureOrder) (control.Capture, error) {
	close(w.begun)
	<-ctx.Done()
	close(w.ended)
	return control.Capture{}, ctx.Err()
}
