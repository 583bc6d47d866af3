package admission

import (
	"context"
	"errors"
	"fmt"
	"log/syslog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/init/callers"
	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

// book stands in for the accounts, whose rules have tests of their own.
type book struct {
	mu    sync.Mutex
	from  []shell.Source
	notes int
	// failed is what logins have behind them.
	failed int
	// open counts sessions.
	open int
}

func (b *book) CheckPassword(_ context.Context, user, password string, from shell.Source) (*shell.Login, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = append(b.from, from)
	switch {
	case user == "broken":
		return nil, errors.New("disk")
	case user != "scripts" && user != "fresh" || password != "right":
		return nil, fmt.Errorf("%w: because", shell.ErrRefused)
	}
	l := &shell.Login{User: user, Role: grammar.API, Source: from, FailedLogins: b.failed}
	if user == "fresh" {
		l.MustChange = "Password has expired"
	}
	return l, nil
}

// CheckCard takes one certificate, "card" of scripts.
func (b *book) CheckCard(_ context.Context, chain [][]byte, from shell.Source) (*shell.Login, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = append(b.from, from)
	if len(chain) != 1 || string(chain[0]) != "card" {
		return nil, fmt.Errorf("%w: because", shell.ErrRefused)
	}
	return &shell.Login{User: "scripts", Role: grammar.API, Source: from, Means: "certificate 1 of CN=scripts"}, nil
}

func (b *book) Standing(user string, _ time.Time) (*shell.Login, error) {
	return &shell.Login{User: user}, nil
}

func (b *book) Begin(*shell.Login, shell.SessionKind, func()) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open++
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.open--
	}), nil
}

func (b *book) LoggedIn(*shell.Login) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes++
}

// journal keeps what the server logs.
type journal struct {
	path string
	mu   sync.Mutex
	strings.Builder
}

func (j *journal) line(p syslog.Priority, tag, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Fprintf(j, "<%d>%s: %s\n", p, tag, text)
}

// String waits for a line that is being written.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Builder.String()
}

func serve(t *testing.T, services map[uint32]bool) (*Client, *book, *journal) {
	t.Helper()
	log := &journal{path: filepath.Join(t.TempDir(), "s")}
	path := log.path
	l, err := callers.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{}
	s := &Server{Accounts: b, Services: services, Log: log.line}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "right") {
			t.Errorf("the log has a password: %s", log)
		}
	})
	return NewClient(path), b, log
}

var me = map[uint32]bool{uint32(os.Getuid()): true}

func TestAServiceLearnsWhoSomebodyIs(t *testing.T) {
	c, b, _ := serve(t, me)
	from := netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711")
	for user, want := range map[string]error{"scripts": nil, "nobody": ErrRefused, "fresh": ErrPassword, "broken": ErrUnavailable} {
		a, err := c.Check(t.Context(), Question{User: user, Password: "right", Source: from, Service: "API"})
		if !errors.Is(err, want) {
			t.Errorf("%s: want %v, got %v", user, want, err)
		}
		if want == nil && a != (Account{"scripts", "api"}) {
			t.Errorf("%s: got %v", user, a)
		}
	}
	if got := b.from[0].Addr.String(); got != "192.0.2.7:4711" {
		t.Errorf("source: want it as IPv4, got %s", got)
	}
}

func TestACertificateIsAskedAboutWithoutANameAndAPassword(t *testing.T) {
	c, b, _ := serve(t, me)
	from := netip.MustParseAddrPort("192.0.2.7:4711")
	a, err := c.Check(t.Context(), Question{Certificates: [][]byte{[]byte("card")}, Source: from, Service: "Web Admin"})
	if err != nil || a != (Account{"scripts", "api"}) {
		t.Errorf("a card: got %v, %v", a, err)
	}
	if b.from[0].Service != "Web Admin" {
		t.Errorf("the accounts were told the service %q", b.from[0].Service)
	}
	if _, err := c.Check(t.Context(), Question{Certificates: [][]byte{[]byte("other")}, Source: from, Service: "Web Admin"}); !errors.Is(err, ErrCertificate) {
		t.Errorf("another card: want %v, got %v", ErrCertificate, err)
	}
}

func TestALoginIsNotedOnceInAWhile(t *testing.T) {
	c, b, _ := serve(t, me)
	for _, q := range []Question{
		{Source: netip.MustParseAddrPort("192.0.2.7:1"), Service: "API", Scripts: true},
		{Source: netip.MustParseAddrPort("192.0.2.7:2"), Service: "API", Scripts: true},
		{Source: netip.MustParseAddrPort("192.0.2.8:1"), Service: "API", Scripts: true},
		{Source: netip.MustParseAddrPort("192.0.2.7:1"), Service: "Web Admin"},
		{Source: netip.MustParseAddrPort("192.0.2.7:1"), Service: "Web Admin", Certificates: [][]byte{[]byte("card")}},
		{Source: netip.MustParseAddrPort("192.0.2.7:2"), Service: "Web Admin", Certificates: [][]byte{[]byte("card")}},
	} {
		if q.Certificates == nil {
			q.User, q.Password = "scripts", "right"
		}
		if _, err := c.Check(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if b.notes != 5 {
		t.Errorf("want one note for each place and means of a script, and one for each person at the pages, 5, got %d", b.notes)
	}
	// What the lock-out counts ends with a login.
	b.failed = 9
	if _, err := c.Check(t.Context(), Question{User: "scripts", Password: "right", Source: netip.MustParseAddrPort("192.0.2.7:1"), Service: "API", Scripts: true}); err != nil || b.notes != 6 {
		t.Errorf("a login after some that failed: want it noted, got %d notes, %v", b.notes, err)
	}
}

func TestWhoseRoleDoesNotOpenAServiceHasNotLoggedIn(t *testing.T) {
	c, b, log := serve(t, me)
	q := Question{User: "scripts", Password: "right", Source: netip.MustParseAddrPort("192.0.2.7:4711"), Service: "Web Admin", Roles: []string{"admin", "audit"}}
	if a, err := c.Check(t.Context(), q); err != nil || a.Role != "api" {
		t.Errorf("wanted the service told the role, got %v, %v", a, err)
	}
	const want = "Failed login from 192.0.2.7:4711: the role api does not open the Web Admin"
	if said := log.String(); b.notes != 0 || strings.Count(said, want) != 2 || !strings.Contains(said, "<132>login: "+want) {
		t.Errorf("wanted no login and %q in both logs, got %d logins and\n%s", want, b.notes, said)
	}
	q.Roles = append(q.Roles, "api")
	if _, err := c.Check(t.Context(), q); err != nil || b.notes != 1 {
		t.Errorf("with its role: wanted a login, got %d, %v", b.notes, err)
	}
}

func TestSessionsOfAServiceAreBounded(t *testing.T) {
	c, b, _ := serve(t, me)
	from := netip.MustParseAddrPort("192.0.2.7:1")
	for i := range maxKept {
		if _, err := c.Keep(t.Context(), Session{ID: fmt.Sprint(i), User: "scripts", Source: from}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Keep(t.Context(), Session{ID: "one more", User: "scripts", Source: from}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("one more: want %v, got %v", ErrUnavailable, err)
	}
	if _, err := c.Keep(t.Context(), Session{ID: "7", User: "fresh", Source: from}); !errors.Is(err, ErrEnded) {
		t.Errorf("somebody else's session: want %v, got %v", ErrEnded, err)
	}
	if err := c.Leave(t.Context(), "7"); err != nil || b.open != maxKept-1 {
		t.Errorf("after one has left: want %d sessions, got %d, %v", maxKept-1, b.open, err)
	}
	for _, s := range []Session{{User: "scripts", Source: from}, {ID: "x", User: "scripts"}} {
		if _, err := c.Keep(t.Context(), s); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v: want %v, got %v", s, ErrUnavailable, err)
		}
	}
}

func TestOthersMayNotAsk(t *testing.T) {
	c, b, _ := serve(t, map[uint32]bool{uint32(os.Getuid()) + 1: true})
	_, err := c.Check(t.Context(), Question{User: "scripts", Password: "right", Source: netip.MustParseAddrPort("192.0.2.7:1")})
	if !errors.Is(err, ErrUnavailable) || len(b.from) != 0 {
		t.Errorf("want no answer and no look at the accounts, got %v and %d", err, len(b.from))
	}
}

func TestBadQuestionsAreRefused(t *testing.T) {
	_, b, log := serve(t, me)
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return net.Dial("unix", log.path)
	}}}
	for body, want := range map[string]string{
		"": "unexpected end", "{}": "no source", `{"user":1}`: "cannot unmarshal", strings.Repeat(" ", maxBody+1): "too large",
	} {
		r, err := c.Post("http://mmp/check", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 200)
		n, _ := r.Body.Read(text)
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(string(text[:n]), want) {
			t.Errorf("%.20q: want 400 with %q, got %d %s", body, want, r.StatusCode, text[:n])
		}
	}
	if len(b.from) != 0 {
		t.Errorf("want no look at the accounts, got %d", len(b.from))
	}
}

func TestWithoutAShellNobodyIsAdmitted(t *testing.T) {
	if _, err := NewClient(filepath.Join(t.TempDir(), "s")).Check(t.Context(), Question{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody listens: want %v, got %v", ErrUnavailable, err)
	}
}
