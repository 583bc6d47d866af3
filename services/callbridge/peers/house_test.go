// Package peers tests the Call Bridge from outside: the programs of this repository are started — database, media manager, media worker,
// Call Bridge — and spoken to by telephones that others wrote. What is checked is what people hear and see, tones and colours, and what
// the API says of it.
//
// There is nothing here but tests. They skip, and say why, where a program is not installed; its Debian package is named in
// image/install-packages.
package peers

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rotunda/services/callbridge/api/apitest"
	"rotunda/services/database/databasetest"

	// What the programs are made of, so that go test runs again when it has changed.
	_ "rotunda/services/callbridge"
	_ "rotunda/services/media/engine"
	_ "rotunda/services/media/manager"
)

// programs are those of this repository, built for these tests.
var programs struct{ worker, services, prompts string }

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "callbridge-peers")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		programs.worker, programs.services = filepath.Join(folder, "mediaworker"), filepath.Join(folder, "services")
		// make prompts has put them there. Without them nothing is said.
		if programs.prompts, err = filepath.Abs("../../../build/prompts"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for program, source := range map[string]string{programs.worker: "rotunda/services/media/worker", programs.services: "rotunda/services"} {
			if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n%s", source, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// house is a Call Bridge with everything that it needs.
type house struct {
	*testing.T
	api    string
	sip    map[string]netip.AddrPort
	bridge *process
	worker *process
	// ports are the options that say where SIP listens.
	ports []string
	// startBridge and startWorker start what was killed anew.
	startBridge, startWorker func()
}

// process is a program of this repository that runs, with what it says.
type process struct {
	t       *testing.T
	command *exec.Cmd
	said    *lines
	ended   chan error
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts a program, which has to end well when it is told to at the end of the test.
func run(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, command: exec.Command(program, args...), said: &lines{}, ended: make(chan error, 1)}
	p.command.Stdout, p.command.Stderr = p.said, p.said
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	command := p.command
	go func() { p.ended <- command.Wait() }()
	t.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("%s: %v\n%s", filepath.Base(p.command.Path), err, p.said)
		}
	case <-time.After(20 * time.Second):
		_ = p.command.Process.Kill()
		p.t.Errorf("%s did not end within 20 s\n%s", filepath.Base(p.command.Path), p.said)
	}
	p.command = nil
	if p.t.Failed() {
		p.t.Logf("%s said:\n%s", filepath.Base(programs.services), p.said)
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.t.Helper()
	if err := p.command.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
	p.command = nil
}

// has waits until the program has said something that matches, and returns the groups of the last time.
func (p *process) has(pattern string) []string {
	p.t.Helper()
	r := regexp.MustCompile(pattern)
	var found []string
	until(p.t, pattern, func() bool {
		if all := r.FindAllStringSubmatch(p.said.String(), -1); all != nil {
			found = all[len(all)-1]
		}
		return found != nil
	})
	return found
}

// until waits for something to be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !so(); {
		if time.Now().After(limit) {
			t.Fatalf("%s: it did not come to it", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

const login = "tester:secret"

// open starts everything.
func open(t *testing.T) *house {
	t.Helper()
	db := databasetest.New(t)
	workers, clients := freeTCP(t), freeTCP(t)
	manager := run(t, programs.services, "media", "-workers", workers, "-clients", clients, "-modules", "1")
	h := &house{T: t, api: freeTCP(t), ports: []string{"-sip", "0", "-sips", "0"}}
	h.startWorker = func() {
		seen := strings.Count(manager.said.String(), "0.0 is registered")
		h.worker = run(t, programs.worker, "-manager", workers, "-ports", "40000-42000")
		until(t, "a worker", func() bool { return strings.Count(manager.said.String(), "0.0 is registered") > seen })
	}
	h.startWorker()
	folder := t.TempDir()
	h.startBridge = func() {
		h.bridge = run(t, programs.services, append([]string{"callbridge", "-settings", filepath.Join(folder, "none.json"), "-database", db.Socket(), "-listen", h.api,
			"-socket", filepath.Join(folder, "api.sock"), "-folder", filepath.Join(folder, "bridge"), "-developer", login, "-media", clients,
			"-prompts", programs.prompts}, h.ports...)...)
		h.sip = map[string]netip.AddrPort{}
		for _, transport := range []string{"udp", "tcp"} {
			h.sip[transport] = netip.MustParseAddrPort(h.bridge.has(`SIP listens transport=` + transport + ` address=(127\.0\.0\.1:\d+)`)[1])
		}
		until(t, "the API", func() bool {
			a, err := http.Get("http://" + login + "@" + h.api + "/api/v1/coSpaces")
			if err != nil {
				return false
			}
			a.Body.Close()
			return a.StatusCode == http.StatusOK
		})
	}
	h.startBridge()
	return h
}

// freeTCP finds a port that is free at this moment.
func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// address is a SIP URI at the Call Bridge.
func (h *house) address(user, transport string) string {
	return fmt.Sprintf("sip:%s@%s;transport=%s", user, h.sip[transport], transport)
}

// ask sends a request to the API, which must succeed.
func (h *house) ask(method, path string, values url.Values) (body, location string) {
	h.Helper()
	var sent io.Reader
	if values != nil {
		sent = strings.NewReader(values.Encode())
	}
	r, err := http.NewRequestWithContext(h.Context(), method, "http://"+h.api+"/api/v1/"+path, sent)
	if err != nil {
		h.Fatal(err)
	}
	user, password, _ := strings.Cut(login, ":")
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		h.Fatalf("%s %s %v: got %d, %v\n%s", method, path, values, a.StatusCode, err, b)
	}
	return string(b), a.Header.Get("Location")
}

// creates makes an object and returns its ID.
func (h *house) creates(path string, pairs ...string) string {
	h.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	_, location := h.ask("POST", path, values)
	return location[strings.LastIndex(location, "/")+1:]
}

// sets changes an object.
func (h *house) sets(path string, pairs ...string) {
	h.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	h.ask("PUT", path, values)
}

// reads returns an object, or a list.
func (h *house) reads(path string) apitest.Element {
	h.Helper()
	body, _ := h.ask("GET", path, nil)
	e, err := apitest.Parse([]byte(body))
	if err != nil {
		h.Fatalf("%s: %v in %s", path, err, body)
	}
	return e
}

// totals waits until a list has so many.
func (h *house) totals(path, want string) apitest.Element {
	h.Helper()
	var e apitest.Element
	until(h.T, path+" to be "+want, func() bool { e = h.reads(path); return e.Attr("total") == want })
	return e
}

func itoa(n uint16) string { return strconv.Itoa(int(n)) }
