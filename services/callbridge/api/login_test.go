package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// newBook is logins alone, with a clock that the test moves.
func newBook(t *testing.T) (*logins, *book, *time.Time) {
	t.Helper()
	b := &book{}
	l := newLogins(b, slog.New(slog.DiscardHandler))
	now := time.Unix(1_800_000_000, 0)
	l.now = func() time.Time { return now }
	return l, b, &now
}

func TestALoginIsRememberedForAShortTime(t *testing.T) {
	l, b, now := newBook(t)
	for range 100 {
		if err := l.check(t.Context(), "script", "right", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	if b.count() != 1 {
		t.Errorf("want one question for 100 requests, got %d", b.count())
	}
	// Another source, another name and another password are asked about.
	for _, c := range [][3]string{{"script", "right", "192.0.2.2"}, {"admin", "right", "192.0.2.1"}} {
		if err := l.check(t.Context(), c[0], c[1], c[2]); err != nil {
			t.Error(err)
		}
	}
	if err := l.check(t.Context(), "script", "wrong", "192.0.2.1"); !errors.Is(err, ErrRefused) {
		t.Errorf("want %v, got %v", ErrRefused, err)
	}
	if b.count() != 4 {
		t.Errorf("want 4 questions, got %d", b.count())
	}
	*now = now.Add(goodFor)
	if err := l.check(t.Context(), "script", "right", "192.0.2.1"); err != nil || b.count() != 5 {
		t.Errorf("after %v: want a question, got %v and %d", goodFor, err, b.count())
	}
	for sum := range l.good {
		if strings.Contains(string(sum[:]), "right") {
			t.Error("the table holds a password")
		}
	}
}

func TestWrongLoginsAreSlowedDown(t *testing.T) {
	l, b, now := newBook(t)
	if err := l.check(t.Context(), "script", "right", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	for n := range burst {
		if err := l.check(t.Context(), "script", fmt.Sprint(n), "192.0.2.1"); !errors.Is(err, ErrRefused) {
			t.Fatalf("try %d: want %v, got %v", n, ErrRefused, err)
		}
	}
	asked := b.count()
	var slow *slowDown
	// The right password does not pass either: it would tell which of many guesses it is.
	for _, password := range []string{"11", "right"} {
		if err := l.check(t.Context(), "script", password, "192.0.2.1"); !errors.As(err, &slow) {
			t.Errorf("%s: want to be slowed down, got %v", password, err)
		}
	}
	if b.count() != asked {
		t.Errorf("want no further question, got %d", b.count()-asked)
	}
	// Others are not slowed down.
	for _, c := range [][2]string{{"admin", "192.0.2.1"}, {"script", "192.0.2.2"}} {
		if err := l.check(t.Context(), c[0], "right", c[1]); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	*now = now.Add(refill)
	if err := l.check(t.Context(), "script", "right", "192.0.2.1"); err != nil {
		t.Errorf("after %v: want one try more, got %v", refill, err)
	}
}

func TestASourceWithManyNamesIsSlowedDown(t *testing.T) {
	l, b, _ := newBook(t)
	refused := 0
	for n := range 1000 {
		// One host of IPv6 has a whole network of addresses.
		if err := l.check(t.Context(), fmt.Sprint("user", n), "x", fmt.Sprintf("2001:db8::%x", n+1)); errors.Is(err, ErrRefused) {
			refused++
		}
	}
	if refused != 8*burst || b.count() != refused {
		t.Errorf("want %d tries looked at, got %d and %d questions", 8*burst, refused, b.count())
	}
}

func TestTablesOfLoginsStaySmall(t *testing.T) {
	l, _, _ := newBook(t)
	for n := range 3 * maxSources {
		_ = l.check(t.Context(), "nobody", "x", fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255))
		if n < 2*maxGood {
			_ = l.check(t.Context(), "script", "right", fmt.Sprintf("11.%d.%d.%d", n>>16, n>>8&255, n&255))
		}
	}
	if len(l.tries) > maxSources || len(l.good) > maxGood || len(l.under) != 0 {
		t.Errorf("want at most %d, %d and 0, got %d, %d, %d", maxSources, maxGood, len(l.tries), len(l.good), len(l.under))
	}
}

func TestManyWhoComeAtOnceAskOnce(t *testing.T) {
	l, b, _ := newBook(t)
	b.hold = make(chan struct{})
	var group sync.WaitGroup
	results := make(chan error, 16)
	for range 16 {
		group.Go(func() { results <- l.check(t.Context(), "script", "right", "192.0.2.1") })
	}
	// One that does not want to wait goes away, and the others get their answer.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.check(ctx, "script", "right", "192.0.2.1"); !errors.Is(err, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, err)
	}
	close(b.hold)
	group.Wait()
	for range 16 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if b.count() > 2 {
		t.Errorf("want one question, got %d", b.count())
	}
}

func TestOnlyTheRightRolesGetIn(t *testing.T) {
	d := newDesk(t, openStore(t))
	for user, want := range map[string]int{"admin": 200, "clerk": 200, "script": 200, "auditor": 403, "keeper": 403, "nobody": 401, "": 401, "a\nb": 401} {
		r, err := http.NewRequest(http.MethodGet, d.base+"/api/v1/coSpaces", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, "right")
		}
		// Nobody on the network says in whose name it is.
		r.Header.Set("Rotunda-User", "admin")
		r.Header.Set("Rotunda-Source", "192.0.2.99")
		a := d.send(r)
		if a.status != want {
			t.Errorf("%q: want %d, got %d %s", user, want, a.status, a.body)
		}
		if challenge := a.header.Get("WWW-Authenticate"); (challenge != "") != (want == 401) || want == 401 && !strings.HasPrefix(challenge, "Basic realm=") {
			t.Errorf("%q: WWW-Authenticate is %q", user, challenge)
		}
		if want != 200 {
			parse(t, a.body)
		}
	}
	// A name that was refused may be a password in the wrong place.
	if log := d.log.String(); strings.Contains(log, "right") || strings.Contains(log, "nobody") || !regexp.MustCompile(`127\.0\.0\.1:\d+: API login refused`).MatchString(log) {
		t.Errorf("log: %s", d.log)
	}
}

func TestSlowedDownClientsAreToldForHowLong(t *testing.T) {
	d := newDesk(t, nil)
	var a reply
	for range burst + 1 {
		r, err := http.NewRequest(http.MethodGet, d.base+"/api/v1/system/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("script", "wrong")
		a = d.send(r)
	}
	if wait := a.header.Get("Retry-After"); a.status != http.StatusTooManyRequests || wait == "" || wait == "0" {
		t.Errorf("want 429 with Retry-After, got %d %q", a.status, wait)
	}
	parse(t, a.body)
}

// onSocket moves a desk's client to a unix socket of its server.
func onSocket(t *testing.T, d *desk) {
	t.Helper()
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	d.serve(l)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	d.client = &http.Client{Transport: transport}
}

func TestTheFrontSpeaksForOthers(t *testing.T) {
	d := newDesk(t, openStore(t), func(o *Options) { o.Front = os.Getuid() })
	onSocket(t, d)
	send := func(method, path, body, user, source string, basic bool) reply {
		t.Helper()
		r, err := http.NewRequest(method, "http://callbridge"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.Header.Set("Rotunda-User", user)
		}
		r.Header.Set("Rotunda-Source", source)
		if basic {
			r.SetBasicAuth("script", "right")
		}
		return d.send(r)
	}
	a := send(http.MethodPost, "/api/v1/coSpaces", "name=Room&passcode=1234567", "anna", "192.0.2.7", false)
	space := strings.TrimPrefix(a.location, "/api/v1/coSpaces/")
	if a.status != http.StatusOK {
		t.Fatalf("want 200, got %d %s", a.status, a.body)
	}
	if a := send(http.MethodPut, a.location, "passcode=7654321", "", "[2001:db8::7]:4711", true); a.status != http.StatusOK {
		t.Fatalf("want 200, got %d %s", a.status, a.body)
	}
	if a := send(http.MethodDelete, a.location, "", "", "nonsense", true); a.status != http.StatusOK {
		t.Fatalf("want 200, got %d %s", a.status, a.body)
	}
	for _, want := range []string{
		`192.0.2.7: API user \"anna\" created coSpace ` + space + ` (name, passcode`,
		`[2001:db8::7]:4711: API user \"script\" modified coSpace ` + space + ` (passcode)`,
		`local: API user \"script\" deleted coSpace ` + space,
	} {
		if !strings.Contains(d.log.String(), want) {
			t.Errorf("want %s in %s", want, d.log)
		}
	}
	if log := d.log.String(); strings.Contains(log, "1234567") || strings.Contains(log, "7654321") {
		t.Errorf("the log has a passcode: %s", log)
	}
	if a := send(http.MethodGet, "/api/v1/coSpaces", "", "", "192.0.2.7", false); a.status != http.StatusUnauthorized {
		t.Errorf("without a name: want 401, got %d", a.status)
	}
	if a := send(http.MethodGet, "/api/v1/coSpaces", "", "a\"b", "192.0.2.7", false); a.status != http.StatusUnauthorized {
		t.Errorf("a name that would spoil the log: want 401, got %d", a.status)
	}
	// The pages' own objects are theirs alone: a client's request that they pass on does not reach them.
	if a := send(http.MethodPut, "/internal/callSettings", "lyncPresence=true", "anna", "192.0.2.7", false); a.status != http.StatusOK {
		t.Errorf("a page's object: want 200, got %d %s", a.status, a.body)
	}
	if a := send(http.MethodGet, "/internal/callSettings", "", "anna", "192.0.2.7", false); !strings.Contains(a.body, "<lyncPresence>true</lyncPresence>") {
		t.Errorf("a page's object: got %d %s", a.status, a.body)
	}
	if a := send(http.MethodGet, "/internal/callSettings", "", "", "192.0.2.7", true); a.status != http.StatusNotFound {
		t.Errorf("a client at a page's object: want 404, got %d %s", a.status, a.body)
	}
}

func TestOtherProgramsOfTheMachineNeedALogin(t *testing.T) {
	d := newDesk(t, nil, func(o *Options) { o.Front = os.Getuid() + 1 })
	onSocket(t, d)
	r, err := http.NewRequest(http.MethodGet, "http://callbridge/api/v1/system/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Rotunda-User", "admin")
	if a := d.send(r); a.status != http.StatusUnauthorized {
		t.Errorf("want 401, got %d", a.status)
	}
	r.SetBasicAuth("script", "right")
	if a := d.send(r); a.status != http.StatusOK {
		t.Errorf("want 200, got %d", a.status)
	}
}
