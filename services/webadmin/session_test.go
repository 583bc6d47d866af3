package webadmin

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// silent is a socket at which nobody answers: pages need no Call Bridge to ask who one is.
func silent(t *testing.T) string { return filepath.Join(t.TempDir(), "api.sock") }

func TestNoPageWithoutASession(t *testing.T) {
	s := newSite(t, silent(t))
	v := s.visitor()
	for _, path := range []string{"/status", "/configuration/api/coSpaces?new", "/logs/download?log=audit", "/user", "/nothing"} {
		p := v.get(path)
		if !strings.HasPrefix(p.path, "/login") || len(p.find("input", "type", "password")) != 1 {
			t.Errorf("%s: want the form to sign in, got %s", path, p.path)
		}
	}
	if p := v.post("/configuration/spaces", "do", "add", "v.name", "x"); len(p.find("input", "type", "password")) != 1 {
		t.Errorf("a form without a session: want the form to sign in, got %s", p.path)
	}
	p := v.get("/logs/events?level=err")
	p = v.submitFirst(p, "user", "admin", "password", password)
	if p.path != "/logs/events?level=err" {
		t.Errorf("after signing in: want the page that was asked for, got %s", p.path)
	}
}

// submitFirst sends the only form of a page.
func (v *visitor) submitFirst(p *seen, pairs ...string) *seen {
	v.Helper()
	values := url.Values{}
	for _, n := range p.find("input", "", "") {
		values.Set(attribute(n, "name"), attribute(n, "value"))
	}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return v.send(attribute(p.find("form", "", "")[0], "action"), values, nil)
}

func TestARefusedLoginSaysLittleAndIsAudited(t *testing.T) {
	s := newSite(t, silent(t))
	v := s.visitor()
	p := v.post("/login", "user", "admin", "password", "wrong")
	if p.status != http.StatusUnauthorized {
		t.Errorf("a wrong password: want 401, got %d", p.status)
	}
	wants(t, "a wrong password", p.main(), "Wrong user name or password.")
	if got := attribute(p.find("input", "id", "user")[0], "value"); got != "admin" {
		t.Errorf("the name: want it kept, got %q", got)
	}
	if strings.Contains(p.text, `value="wrong"`) {
		t.Error("the page holds the password")
	}
	if p.header.Get("Set-Cookie") != "" {
		t.Error("a refused login sets a cookie")
	}
	wants(t, "the audit log", s.audit.String(), "login refused, source 127.0.0.1")
	if strings.Contains(s.audit.String(), "admin") {
		t.Errorf("the audit log has a user name, which may be a password:\n%s", s.audit)
	}
	if p := v.post("/login", "user", "", "password", ""); p.status != http.StatusBadRequest {
		t.Errorf("nothing filled in: want 400, got %d", p.status)
	}
}

func TestTheCookieIsForThisHostAndItsPagesAlone(t *testing.T) {
	s := newSite(t, silent(t))
	client := *s.web.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.PostForm(s.web.URL+"/login", url.Values{"user": {"admin"}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	cookies := answer.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("want one cookie, got %v", cookies)
	}
	c := cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || len(c.Value) < 40 {
		t.Errorf("the cookie: got %+v", c)
	}
	if !c.Expires.IsZero() || c.MaxAge != 0 {
		t.Error("the cookie outlives the browser")
	}
}

func TestASessionEndsByItsLimitsAndByHand(t *testing.T) {
	s := newSite(t, silent(t))
	idle := s.signedIn("admin")
	s.pass(idleLimit - time.Minute)
	if p := idle.get("/user"); p.path != "/user" {
		t.Fatalf("before the limit: got %s", p.path)
	}
	// Progress that a page looks at by itself is no use.
	s.pass(idleLimit - time.Minute)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.web.URL+"/user", nil)
	r.Header.Set("Rotunda-Background", "1")
	if p := idle.do(r); p.status != http.StatusOK {
		t.Fatalf("progress before the limit: got %d", p.status)
	}
	s.pass(2 * time.Minute)
	r, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, s.web.URL+"/user", nil)
	r.Header.Set("Rotunda-Background", "1")
	if p := idle.do(r); p.status != http.StatusUnauthorized {
		t.Errorf("progress after the limit: want 401, got %d", p.status)
	}
	p := idle.get("/user")
	wants(t, "after the limit", p.main(), "You were signed out because the page was not used")
	wants(t, "the audit log", s.audit.String(), `session of user "admin" from 127.0.0.1:`, "ended: nobody used it")

	busy := s.signedIn("admin")
	for range int(absoluteLimit/(idleLimit/2)) - 1 {
		s.pass(idleLimit / 2)
		if p := busy.get("/user"); p.path != "/user" {
			t.Fatalf("a session in use ended before its absolute limit")
		}
	}
	s.pass(idleLimit / 2)
	if p := busy.get("/user"); !strings.HasPrefix(p.path, "/login") {
		t.Error("a session outlives its absolute limit")
	}
	wants(t, "the audit log", s.audit.String(), "ended: its time was over")

	out := s.signedIn("audit")
	out.get("/user")
	before, _ := url.Parse(s.web.URL)
	cookie := out.client.Jar.Cookies(before)
	if p := out.post("/logout"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("after signing out: got %s", p.path)
	}
	out.client.Jar.SetCookies(before, cookie)
	if p := out.get("/user"); !strings.HasPrefix(p.path, "/login") {
		t.Error("the cookie of a session that was signed out still counts")
	}
	wants(t, "the audit log", s.audit.String(), `logout of user "audit"`)
}

func TestWhatWasTypedOutlivesTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	form := v.get("/configuration/spaces?add=1")
	s.pass(absoluteLimit)
	p := v.submit(form, "add", "v.name", "Typed for long", "v.uri", "typed")
	if p.status != http.StatusUnauthorized {
		t.Errorf("after the limit: want 401, got %d at %s", p.status, p.path)
	}
	wants(t, "the form to sign in", p.main(), "What you typed is kept")
	p = v.submitFirst(p, "user", "admin", "password", "wrong")
	p = v.submitFirst(p, "user", "admin", "password", password)
	wants(t, "after signing in", p.main(), "Send what you typed?", "Nothing was changed yet.")
	sent := url.Values{}
	for n := range p.find("form", "action", "/configuration/spaces")[0].Descendants() {
		if n.Data == "input" {
			sent.Add(attribute(n, "name"), attribute(n, "value"))
		}
	}
	p = v.send("/configuration/spaces", sent, nil)
	wants(t, "after sending it", p.main(), "Space “Typed for long” added.")
}

func TestAFormNeedsTheTokenAndTheSameOrigin(t *testing.T) {
	s := newSite(t, silent(t))
	v := s.signedIn("admin")
	v.get("/user")
	for name, token := range map[string]string{"no token": "", "another token": secret(), "a cut token": v.token[:20]} {
		if p := v.send("/configuration/spaces", url.Values{"token": {token}, "do": {"add"}}, nil); p.status != http.StatusForbidden {
			t.Errorf("%s: want 403, got %d", name, p.status)
		}
	}
	other := s.signedIn("admin")
	other.get("/user")
	if p := v.send("/configuration/spaces", url.Values{"token": {other.token}, "do": {"add"}}, nil); p.status != http.StatusForbidden {
		t.Errorf("the token of another session: want 403, got %d", p.status)
	}
	for name, header := range map[string]http.Header{
		"another site":     {"Sec-Fetch-Site": {"cross-site"}},
		"another origin":   {"Origin": {"https://evil.example.com"}},
		"a sister machine": {"Sec-Fetch-Site": {"same-site"}},
	} {
		for _, path := range []string{"/configuration/spaces", "/login", "/logout", "/api/v1/coSpaces"} {
			if p := v.send(path, url.Values{"token": {v.token}}, header); p.status != http.StatusForbidden {
				t.Errorf("%s, %s: want 403, got %d", name, path, p.status)
			}
		}
	}
	if p := v.send("/logout", url.Values{"token": {"wrong"}}, nil); p.path != "/user" {
		t.Errorf("signing out by a forged form: want the session kept, got %s", p.path)
	}
}

func TestEachRoleSeesItsPages(t *testing.T) {
	s := newSite(t, silent(t))
	for _, role := range []string{"api", "crypto"} {
		if p := s.visitor().post("/login", "user", role, "password", password); p.status != http.StatusForbidden {
			t.Errorf("%s: want 403, got %d at %s", role, p.status, p.path)
		}
	}
	auditor := s.signedIn("audit")
	if p := auditor.get("/"); p.path != "/logs/events" {
		t.Errorf("an auditor begins at %s", p.path)
	}
	for _, path := range []string{"/status", "/configuration/spaces", "/configuration/api/coSpaces", "/logs/tracing"} {
		if p := auditor.get(path); p.status != http.StatusForbidden {
			t.Errorf("an auditor at %s: want 403, got %d", path, p.status)
		}
	}
	if err := os.WriteFile(filepath.Join(s.logs, "audit"), []byte("Nov 22 09:02:21.588 local0.info rotunda cli: who did what\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]int{"audit": 200, "admin": 200, "appadmin": 404} {
		if p := s.signedIn(role).get("/logs/download?log=audit"); p.status != want {
			t.Errorf("%s, the audit log: want %d, got %d", role, want, p.status)
		}
	}
}

func TestEveryAnswerTellsBrowsersToBeStrict(t *testing.T) {
	s := newSite(t, silent(t))
	v := s.signedIn("admin")
	for _, path := range []string{"/login", "/user", "/nothing", "/configuration/spaces", s.server.style} {
		h := v.get(path).header
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy has no %s: %s", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is loose: %s", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s: want %s, got %q", path, name, want, got)
			}
		}
		if path != s.server.style && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be stored: %s", path, h.Get("Cache-Control"))
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := newSite(t, silent(t))
	v := s.signedIn("admin")
	v.get("/user")
	if p := v.post("/configuration/spaces", "do", "add", "v.name", strings.Repeat("x", maxForm)); p.status != http.StatusBadRequest {
		t.Errorf("a form of more than %d bytes: want 400, got %d", maxForm, p.status)
	}
	if p := v.post("/login", "user", strings.Repeat("x", 32<<10), "password", "x"); p.status != http.StatusBadRequest {
		t.Errorf("a long name: want 400, got %d", p.status)
	}
	for range maxAccountSessions + 5 {
		s.signedIn("audit")
	}
	n := 0
	s.server.sessions.mu.Lock()
	for _, in := range s.server.sessions.list {
		if in.user == "audit" {
			n++
		}
	}
	s.server.sessions.mu.Unlock()
	if n != maxAccountSessions {
		t.Errorf("sessions of one account: want %d, got %d", maxAccountSessions, n)
	}
	if p := v.get("/user"); p.path != "/user" {
		t.Error("another account's sessions ended this one")
	}
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	for next, want := range map[string]string{"/status": "/status", "/a?b=c": "/a?b=c", "//evil.example.com": "", "https://evil.example.com": "", `/\evil.example.com`: "",
		"javascript:alert(1)": "", "": "", "status": "", "/%2f/evil": "/%2f/evil", "/\r\nx: y": ""} {
		if got := within(next); got != want {
			t.Errorf("within(%q): want %q, got %q", next, want, got)
		}
	}
}

func TestWithoutTheCallBridgeAPageSaysSo(t *testing.T) {
	s := newSite(t, silent(t))
	v := s.signedIn("admin")
	for _, path := range []string{"/configuration/spaces", "/configuration/general", "/configuration/api/coSpaces", "/status/users"} {
		p := v.get(path)
		if p.status != http.StatusBadGateway {
			t.Errorf("%s: want 502, got %d", path, p.status)
		}
		wants(t, path, p.main(), "does not answer")
		if strings.Contains(p.text, "api.sock") {
			t.Errorf("%s: the page holds a path of the machine", path)
		}
	}
	if p := v.get("/status"); p.status != http.StatusOK {
		t.Errorf("Status without the Call Bridge: want 200, got %d", p.status)
	}
}

// record is a Call Bridge that notes what comes to it.
func record(t *testing.T) (socket string, requests chan *http.Request) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "api.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	requests = make(chan *http.Request, 16)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Clone(context.Background())
		w.Header().Set("Location", "/api/v1/coSpaces/x")
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return socket, requests
}

func TestTheAPIGetsRequestsAsTheyCameAndTheSourceFromUs(t *testing.T) {
	socket, requests := record(t)
	s := newSite(t, socket)
	// An auditor's first page asks nothing of the API.
	v := s.signedIn("audit")
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.web.URL+"/API/v1/cospaces/?offset=0&filter=a%20b", strings.NewReader("name=x"))
	r.Header = http.Header{"Authorization": {"Basic c2NyaXB0OnNlY3JldA=="}, "Content-Type": {"x-www-form-urlencoded"}, "Rotunda-User": {"admin"}, "Rotunda-Source": {"10.9.9.9"},
		"X-Forwarded-For": {"10.9.9.9"}, "Forwarded": {"for=10.9.9.9"}}
	p := v.do(r)
	if p.header.Get("Location") != "/api/v1/coSpaces/x" {
		t.Errorf("Location: want it as the API gave it, got %q", p.header.Get("Location"))
	}
	got := <-requests
	if got.URL.RequestURI() != "/API/v1/cospaces/?offset=0&filter=a%20b" || got.Header.Get("Content-Type") != "x-www-form-urlencoded" || got.Header.Get("Authorization") == "" {
		t.Errorf("the request: got %s %v", got.URL.RequestURI(), got.Header)
	}
	if u := got.Header.Values("Rotunda-User"); len(u) > 0 {
		t.Errorf("a client says that it is %v, and the API would believe it", u)
	}
	if from := got.Header.Values("Rotunda-Source"); len(from) != 1 || !strings.HasPrefix(from[0], "127.0.0.1:") {
		t.Errorf("the source: want 127.0.0.1 and its port, got %v", from)
	}
	for _, name := range []string{"Cookie", "X-Forwarded-For", "Forwarded"} {
		if got.Header.Get(name) != "" {
			t.Errorf("%s went to the API: %s", name, got.Header.Get(name))
		}
	}
	// A hop-by-hop header must not be a way to take the source off again.
	r, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, s.web.URL+"/api/v1/coSpaces", nil)
	r.Header = http.Header{"Connection": {"Rotunda-Source"}}
	v.do(r)
	if from := (<-requests).Header.Get("Rotunda-Source"); !strings.HasPrefix(from, "127.0.0.1:") {
		t.Errorf("the source: want 127.0.0.1 and its port, got %q", from)
	}
}

func TestPagesCallTheAPIInTheNameOfWhoIsSignedIn(t *testing.T) {
	socket, requests := record(t)
	s := newSite(t, socket)
	v := s.signedIn("appadmin")
	v.get("/status/users")
	for range 20 {
		got := <-requests
		if got.URL.Path != "/api/v1/users" {
			continue
		}
		if got.Header.Get("Rotunda-User") != "appadmin" || !strings.HasPrefix(got.Header.Get("Rotunda-Source"), "127.0.0.1:") || got.Header.Get("Authorization") != "" {
			t.Errorf("the request: got %v", got.Header)
		}
		return
	}
}
