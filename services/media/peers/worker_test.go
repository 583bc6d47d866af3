// Package peers tests the media engine from outside: the worker program is started, driven over its control port as a call
// controller does it, and spoken to by programs that others wrote — ffmpeg, GStreamer, Chromium, nginx. What is checked is
// what is seen and heard, colours and tones, and not how many packets came.
//
// There is nothing here but tests. They skip, and say why, where a program is not installed; its Debian package is named
// in image/install-packages.
package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"

	// What the programs are made of, so that go test runs again when it has changed.
	_ "rotunda/services/media/engine"
	_ "rotunda/services/media/manager"
)

// programs are those of this repository, built for these tests.
var programs struct{ worker, services string }

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "peers")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		programs.worker, programs.services = filepath.Join(folder, "mediaworker"), filepath.Join(folder, "services")
		for program, source := range map[string]string{programs.worker: "rotunda/services/media/worker", programs.services: "rotunda/services"} {
			build := exec.Command("go", "build", "-o", program, source)
			if raced {
				// The race detector watches the worker as well: nothing else makes its threads meet as real peers do.
				build.Args = append(build.Args[:2], append([]string{"-race"}, build.Args[2:]...)...)
			}
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n%s", source, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// process is a program of this repository that runs, with what it says.
type process struct {
	*testing.T
	command *exec.Cmd
	said    *lines
	ended   chan error
}

// lines keeps what is written to it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts a program, which has to end well when it is told to at the end of the test.
func run(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{T: t, command: exec.Command(program, args...), said: &lines{}, ended: make(chan error, 1)}
	p.command.Stdout, p.command.Stderr = p.said, p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.command.Wait() }()
	t.Cleanup(p.stop)
	return p
}

// stop tells the program to end and looks at how it does.
func (p *process) stop() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		if err != nil {
			p.Errorf("%s: %v\n%s", filepath.Base(p.command.Path), err, p.said)
		}
	case <-time.After(20 * time.Second):
		_ = p.command.Process.Kill()
		p.Errorf("%s did not end within 20 s\n%s", filepath.Base(p.command.Path), p.said)
	}
	p.command = nil
	if said := p.said.String(); strings.Contains(said, "DATA RACE") {
		p.Error(said)
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.Helper()
	if err := p.command.Process.Kill(); err != nil {
		p.Fatal(err)
	}
	<-p.ended
	p.command = nil
}

// worker starts a media worker of its own and returns the address of its control port.
func worker(t *testing.T) (p *process, address string) {
	t.Helper()
	address = freeTCP(t)
	return run(t, programs.worker, "-listen", address, "-ports", portSlice()), address
}

// portSlices are slices of UDP ports, so that workers that run at one time do not meet.
var portSlices struct {
	sync.Mutex
	next int
}

func portSlice() string {
	portSlices.Lock()
	defer portSlices.Unlock()
	const size, first, places = 1000, 10000, 20
	at := first + portSlices.next%places*size
	portSlices.next++
	return fmt.Sprintf("%d-%d", at, at+size-1)
}

func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// resident is the memory of the process in bytes.
func (p *process) resident() int {
	p.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.command.Process.Pid))
	if err != nil {
		p.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		p.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// controller is a client of a worker or a manager, with the events that came.
type controller struct {
	*testing.T
	*control.Client

	mu     sync.Mutex
	events []control.Event
	// onLost is called with the legs that are gone.
	onLost func(legs []string)
}

func dial(t *testing.T, address string) *controller {
	t.Helper()
	c := &controller{T: t}
	c.Client = control.NewClient(control.ClientOptions{Address: address, Name: rtp.NewCNAME(), Events: c.happened})
	t.Cleanup(c.Client.Close)
	return c
}

func (c *controller) happened(e control.Event) {
	c.mu.Lock()
	c.events = append(c.events, e)
	lost := c.onLost
	c.mu.Unlock()
	if e.Event == control.EventLost && lost != nil {
		lost(e.Legs)
	}
}

// put puts a leg.
func (c *controller) put(l control.Leg) control.LegState {
	c.Helper()
	s, err := c.PutLeg(c.Context(), l)
	if err != nil {
		c.Fatalf("put leg %s: %v", l.ID, err)
	}
	return s
}

// conference puts a conference.
func (c *controller) conference(q control.Conference) {
	c.Helper()
	if err := c.PutConference(c.Context(), q); err != nil {
		c.Fatalf("put conference %s: %v", q.ID, err)
	}
}

// event waits for one that fits, of those that came since the beginning of the test.
func (c *controller) event(what string, fits func(control.Event) bool) (found control.Event) {
	c.Helper()
	until(c.T, what, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range c.events {
			if fits(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// stats are the figures of one leg.
func (c *controller) stats(id string) control.LegStats {
	c.Helper()
	all, err := c.Stats(c.Context(), []string{id})
	if err != nil {
		c.Fatal(err)
	}
	if len(all) != 1 {
		c.Fatalf("figures of %s: got %d legs, want 1", id, len(all))
	}
	return all[0]
}

// patience is how long things may take at most that take a second on a machine with nothing else to do.
const patience = 30 * time.Second

// until asks again every 20 ms until something is true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// throughout asks for a while whether something stays true.
func throughout(t *testing.T, d time.Duration, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if !is() {
			t.Fatalf("not all the time: %s", what)
		}
	}
}

// need skips a test without a program.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// tool starts a program of others and gives its standard output to read. It is killed at the end of the test, or when the
// returned function is called.
func tool(t *testing.T, read func(io.Reader), name string, args ...string) (stop func()) {
	t.Helper()
	c := exec.Command(name, args...)
	said := &lines{}
	c.Stderr = said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out io.ReadCloser
	if read != nil {
		var err error
		if out, err = c.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	if read != nil {
		wait.Go(func() { read(out) })
	}
	stop = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		wait.Wait()
		var exit *exec.ExitError
		if err := c.Wait(); err != nil && !errors.As(err, &exit) {
			t.Errorf("%s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("%s %s\n%s", name, strings.Join(args, " "), said)
		}
	})
	t.Cleanup(stop)
	return stop
}
