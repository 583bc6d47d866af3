package webadmin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/html"

	"rotunda/services/callbridge"
	"rotunda/services/database/databasetest"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// callBridge tells the test binary that it is to be a Call Bridge; the value are its arguments.
const callBridge = "ROTUNDA_WEBADMIN_TEST_CALLBRIDGE"

func TestMain(m *testing.M) {
	if args := os.Getenv(callBridge); args != "" {
		if err := callbridge.Main(strings.Split(args, "\n")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// patience with what comes by itself, on a laden machine.
const patience = 30 * time.Second

// await waits for something that comes by itself.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// startEngine starts a media engine that holds what it is told and mixes nothing, and returns its address. Without one the Call Bridge
// waits for it before it tells the load, which every look at Status asks for.
func startEngine(t testing.TB) string {
	t.Helper()
	l, err := control.Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	d := control.NewDispatcher(controltest.New(control.WorkerStatus{Name: "0.0", Capacity: 1000}), control.DispatcherOptions{Role: control.RoleManager})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Listen(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		d.Close()
		if err := <-done; err != nil {
			t.Errorf("media engine: %v", err)
		}
	})
	return l.Addr().String()
}

// startBridge starts a real database and a real Call Bridge, which is a process of its own, and returns the socket of its API. Tests that
// have one of their own run side by side: most of their time is that of programs that start and end.
func startBridge(t testing.TB) string {
	t.Helper()
	db := databasetest.New(t)
	// t.TempDir may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "wa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "api.sock")
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), callBridge+"="+strings.Join([]string{"-settings", filepath.Join(dir, "settings.json"), "-database", db.Socket(), "-listen", "",
		"-socket", socket, "-folder", filepath.Join(dir, "own"), "-front", fmt.Sprint(os.Getuid()), "-developer", "script:Script-4711",
		"-media", startEngine(t),
		// Ports that the kernel chooses: others may have those of SIP.
		"-sip", "0", "-sips", "0"}, "\n"),
		// A program with the race detector waits a second before it ends, for reports of others.
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	said := &said{}
	c.Stdout, c.Stderr = said, said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("the Call Bridge says\n%s", said)
		}
	})
	b := newBridge(newTransport(socket))
	await(t, "the Call Bridge serves", func() bool {
		_, err := b.get(t.Context(), caller{"test", "127.0.0.1"}, "coSpaces", nil)
		return err == nil
	})
	return socket
}

// said collects lines.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// people are the accounts of these tests: each has its role as its name, and one password for all.
type people struct {
	mu      sync.Mutex
	sources []string
}

const password = "Meeting-4711"

func (p *people) Check(_ context.Context, _ Door, user, given, source string) ([]string, error) {
	p.mu.Lock()
	p.sources = append(p.sources, source)
	p.mu.Unlock()
	if given != password || !slices.Contains([]string{"admin", "appadmin", "audit", "api", "crypto"}, user) {
		return nil, errors.New("wrong user name or password")
	}
	return []string{user}, nil
}

// site is a Web Admin in tests.
type site struct {
	*testing.T
	server *Server
	web    *httptest.Server
	audit  *said
	logs   string
	mu     sync.Mutex
	ahead  time.Duration
}

// pass lets time pass for sessions.
func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	s.ahead += d
	s.mu.Unlock()
}

func newSite(t *testing.T, socket string) *site {
	t.Helper()
	s := &site{T: t, audit: &said{}, logs: t.TempDir()}
	s.server = New(Options{Accounts: &people{}, Socket: socket, Logs: s.logs, Hostname: "cms.example.com", Audit: func(text string) { fmt.Fprintln(s.audit, text) },
		Now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return time.Now().Add(s.ahead)
		}})
	s.web = httptest.NewTLSServer(s.server.Handler())
	s.web.Config.ErrorLog = nil
	t.Cleanup(s.web.Close)
	return s
}

// visitor is a browser without script.
type visitor struct {
	*site
	client *http.Client
	token  string
}

func (s *site) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.Fatal(err)
	}
	client := *s.web.Client()
	client.Jar = jar
	return &visitor{site: s, client: &client}
}

// signedIn is a visitor with a session.
func (s *site) signedIn(user string) *visitor {
	s.Helper()
	v := s.visitor()
	p := v.post("/login", "user", user, "password", password)
	if p.status != http.StatusOK || p.path == "/login" {
		s.Fatalf("sign in as %s: want a page, got %d at %s\n%s", user, p.status, p.path, p.text)
	}
	return v
}

// seen is a page as it came.
type seen struct {
	status int
	path   string // with its query, after redirections
	header http.Header
	text   string
	root   *html.Node
}

func (v *visitor) do(r *http.Request) *seen {
	v.Helper()
	answer, err := v.client.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	p := &seen{status: answer.StatusCode, path: answer.Request.URL.RequestURI(), header: answer.Header, text: string(b)}
	if p.root, err = html.Parse(strings.NewReader(p.text)); err != nil {
		v.Fatal(err)
	}
	if inputs := p.find("input", "name", "token"); len(inputs) > 0 {
		v.token = attribute(inputs[0], "value")
	}
	return p
}

func (v *visitor) get(path string) *seen {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), http.MethodGet, v.web.URL+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	return v.do(r)
}

// post sends a form with the session's token.
func (v *visitor) post(path string, pairs ...string) *seen {
	v.Helper()
	values := url.Values{"token": {v.token}}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return v.send(path, values, nil)
}

func (v *visitor) send(path string, values url.Values, header http.Header) *seen {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), http.MethodPost, v.web.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	for name, value := range header {
		r.Header[name] = value
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

// submit sends a form of a page as a browser does: with all that stands in it, changed by pairs, by the button do.
func (v *visitor) submit(p *seen, do string, pairs ...string) *seen {
	v.Helper()
	buttons := p.find("button", "value", do)
	if len(buttons) == 0 {
		v.Fatalf("no button %q on %s\n%s", do, p.path, p.text)
	}
	form := buttons[0].Parent
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if id := attribute(buttons[0], "form"); id != "" {
		form = p.find("form", "id", id)[0]
	}
	values := url.Values{"do": {do}}
	for n := range p.root.Descendants() {
		owner := n
		for owner != nil && owner != form {
			owner = owner.Parent
		}
		if attribute(n, "form") != "" {
			owner = nil
			if attribute(n, "form") == attribute(form, "id") {
				owner = form
			}
		}
		name := attribute(n, "name")
		if n.Type != html.ElementNode || owner == nil || name == "" {
			continue
		}
		switch n.Data {
		case "input":
			if attribute(n, "type") != "checkbox" || has(n, "checked") {
				values.Add(name, attribute(n, "value"))
			}
		case "select":
			for o := range n.Descendants() {
				if o.Data == "option" && has(o, "selected") {
					values.Add(name, attribute(o, "value"))
				}
			}
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	action := attribute(form, "action")
	if action == "" {
		action = p.path
	}
	return v.send(action, values, nil)
}

// find are the elements with an attribute of a value; without an attribute all of that name.
func (p *seen) find(element, name, value string) (list []*html.Node) {
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == element && (name == "" || attribute(n, name) == value) {
			list = append(list, n)
		}
	}
	return list
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// words are the text of an element.
func wordsOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (p *seen) main() string {
	for _, n := range p.find("main", "", "") {
		return wordsOf(n)
	}
	return ""
}

func wants(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: want %q in\n%s", what, part, text)
		}
	}
}
