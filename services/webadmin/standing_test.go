package webadmin

import (
	"context"
	"log/syslog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/init/callers"
	"rotunda/init/durable"
	"rotunda/mmp/accounts"
	"rotunda/mmp/admission"
	"rotunda/mmp/grammar"
)

// realPeople are the accounts of a management shell, asked over its socket.
type realPeople struct {
	*testing.T
	*accounts.Store
	socket string
	log    *said
	stop   func()
}

func newRealPeople(t *testing.T) *realPeople {
	t.Helper()
	disk, err := durable.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &realPeople{T: t, socket: filepath.Join(dir, "s"), log: &said{}}
	if p.Store, err = accounts.Open(accounts.Config{Disk: disk, Log: p.line, Cost: accounts.Cost{MemoryKiB: 8, Passes: 1, Lanes: 1}}); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]grammar.Role{"anna": grammar.Admin, "bert": grammar.AppAdmin} {
		p.add(name, role)
	}
	p.serve()
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *realPeople) line(_ syslog.Priority, tag, text string) {
	_, _ = p.log.Write([]byte(tag + ": " + text + "\n"))
}

func (p *realPeople) add(name string, role grammar.Role) {
	p.Helper()
	if err := p.Add(p.Context(), name, role, "Another-4711"); err != nil {
		p.Fatal(err)
	}
	if err := p.SetPassword(p.Context(), name, password); err != nil {
		p.Fatal(err)
	}
}

// serve answers until stop, as a shell does until it is started anew.
func (p *realPeople) serve() {
	p.Helper()
	l, err := callers.Listen(p.socket)
	if err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	server := &admission.Server{Accounts: p.Store, Services: map[uint32]bool{uint32(os.Getuid()): true}, Log: p.line}
	go func() { done <- server.Serve(ctx, l) }()
	p.stop = func() {
		cancel()
		if err := <-done; err != nil {
			p.Error(err)
		}
	}
}

func (p *realPeople) site(t *testing.T) *site {
	client := admission.NewClient(p.socket)
	s := newSite(t, silent(t))
	s.server.options.Accounts = shell{client}
	s.server.sessions.keeper = client
	return s
}

func (p *realPeople) loggedIn(name string) bool {
	p.Helper()
	info, err := p.Info(name)
	if err != nil {
		p.Fatal(err)
	}
	return info.LoggedIn
}

func (v *visitor) staysOut(what string) {
	v.Helper()
	r, _ := http.NewRequestWithContext(v.Context(), http.MethodGet, v.web.URL+"/user", nil)
	r.Header.Set("Rotunda-Background", "1")
	if p := v.do(r); p.status != http.StatusUnauthorized {
		v.Errorf("%s, progress: want 401, got %d", what, p.status)
	}
	if p := v.get("/user"); !strings.HasPrefix(p.path, "/login") {
		v.Errorf("%s: want the form to sign in, got %s", what, p.path)
	}
}

func (v *visitor) staysIn(what string) {
	v.Helper()
	if p := v.get("/user"); p.path != "/user" {
		v.Errorf("%s: want the page, got %s", what, p.path)
	}
}

func TestSessionsEndWithTheirAccount(t *testing.T) {
	people := newRealPeople(t)
	s := people.site(t)
	anna, bert := s.signedIn("anna"), s.signedIn("bert")
	for _, name := range []string{"anna", "bert"} {
		if !people.loggedIn(name) {
			t.Errorf("user list: want %s logged in", name)
		}
	}
	if n, err := people.Evict("bert"); n != 1 || err != nil {
		t.Errorf("user evict: want 1 session ended, got %d, %v", n, err)
	}
	bert.staysOut("evicted")
	anna.staysIn("the other one")
	wants(t, "the audit log", s.audit.String(), `session of user "bert" from 127.0.0.1:`, "ended: an administrator ended it, or deleted its account")
	if people.loggedIn("bert") {
		t.Error("user list: want bert not logged in")
	}

	bert = s.signedIn("bert")
	if err := people.Delete("bert"); err != nil {
		t.Fatal(err)
	}
	// Somebody else of the same name must not become who is signed in, nor the other way round.
	people.add("bert", grammar.Admin)
	bert.staysOut("deleted")
	anna.staysIn("the other one")

	bert = s.signedIn("bert")
	if p := bert.post("/logout"); !strings.HasPrefix(p.path, "/login") || people.loggedIn("bert") {
		t.Error("signed out: want bert not logged in")
	}
}

func TestSessionsOutliveARestartOfTheShell(t *testing.T) {
	people := newRealPeople(t)
	s := people.site(t)
	anna, bert := s.signedIn("anna"), s.signedIn("bert")
	people.stop()
	anna.staysIn("while the shell is away")
	if people.loggedIn("anna") {
		t.Error("user list: want nobody logged in whom nobody keeps")
	}
	if err := people.Delete("bert"); err != nil {
		t.Fatal(err)
	}
	people.add("bert", grammar.AppAdmin)
	people.serve()
	s.server.sessions.keepAll(t.Context())
	anna.staysIn("after the restart")
	if !people.loggedIn("anna") {
		t.Error("user list after the restart: want anna logged in")
	}
	bert.staysOut("another account of the name, after the restart")
}

func TestEachLoginAtThePagesIsAudited(t *testing.T) {
	people := newRealPeople(t)
	s := people.site(t)
	for range 3 {
		s.signedIn("anna")
	}
	if n := strings.Count(people.log.String(), "User anna logged in from 127.0.0.1:"); n != 6 {
		t.Errorf("want each of 3 logins in the log and in the audit log, 6 lines, got %d\n%s", n, people.log)
	}
	// A monitoring system logs in every few seconds, for ever.
	for user, want := range map[string]int{"anna": 8, "bert": 0} {
		for range 3 {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.web.URL+"/metrics", nil)
			r.SetBasicAuth(user, password)
			if p := s.visitor().do(r); (p.status == http.StatusForbidden) != (user == "bert") {
				t.Errorf("metrics as %s: got %d", user, p.status)
			}
		}
		if n := strings.Count(people.log.String(), "User "+user+" logged in"); n != want {
			t.Errorf("metrics three times as %s: want %d lines, got %d\n%s", user, want, n, people.log)
		}
	}
	wants(t, "the log", people.log.String(), "the role appadmin does not open the metrics")
}
