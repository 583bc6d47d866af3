package webadmin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
)

// issued are cards by their common name; the shell has tests of its own for who they are.
type issued struct{ asked int }

func (i *issued) CheckCard(_ context.Context, chain [][]byte, _ string) (string, []string, error) {
	i.asked++
	c, err := x509.ParseCertificate(chain[0])
	if err != nil || c.Subject.CommonName == "revoked" {
		return "", nil, errors.New("this certificate does not open an account here")
	}
	return "jane", []string{c.Subject.CommonName}, nil
}

// card is a certificate whose common name is the role that it opens.
func card(t *testing.T, role string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: role}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// cardSite is a site that asks for certificates.
func cardSite(t *testing.T, policy config.Cards) (*site, *issued) {
	t.Helper()
	s := newSite(t, silent(t))
	who := &issued{}
	s.server.options.Cards, s.server.options.CardPolicy = who, func() config.Cards { return policy }
	s.web.Close()
	s.web = httptest.NewUnstartedServer(s.server.Handler())
	s.web.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.web.StartTLS()
	t.Cleanup(s.web.Close)
	return s, who
}

// holding is a visitor who shows a certificate.
func (s *site) holding(c tls.Certificate) *visitor {
	s.Helper()
	v := s.visitor()
	transport := s.web.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{c}
	v.client.Transport = transport
	return v
}

func TestACardSignsInWithoutAName(t *testing.T) {
	s, who := cardSite(t, config.Cards{Enabled: true})
	v := s.holding(card(t, "admin"))
	wants(t, "the form", v.get("/login").text, "Sign in with this certificate", "CN=admin", `name="password"`)
	if who.asked != 0 {
		t.Error("somebody was asked before the button")
	}
	p := v.post("/login/card", "next", "/user")
	if p.status != 200 || p.path != "/user" {
		t.Fatalf("sign in: got %d at %s\n%s", p.status, p.path, p.text)
	}
	wants(t, "the page of the user", p.main(), "jane", "admin")
	wants(t, "the audit log", s.audit.String(), `login of user "jane"`)
}

func TestASessionOfACardEndsWithTheCard(t *testing.T) {
	s, _ := cardSite(t, config.Cards{Enabled: true})
	v := s.holding(card(t, "admin"))
	if p := v.post("/login/card"); p.status != 200 && p.path == "/login" {
		t.Fatalf("sign in: %d at %s", p.status, p.path)
	}
	other := s.holding(card(t, "admin"))
	other.client.Jar = v.client.Jar
	if p := other.get("/user"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("the cookie with another card: got %s", p.path)
	}
	none := s.visitor()
	none.client.Jar = v.client.Jar
	if p := none.get("/user"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("the cookie without a card: got %s", p.path)
	}
	if p := v.get("/user"); p.path != "/user" {
		t.Errorf("the cookie with its card: got %s", p.path)
	}
}

func TestStrictTakesNoPassword(t *testing.T) {
	s, _ := cardSite(t, config.Cards{Enabled: true, Strict: true})
	v := s.visitor()
	p := v.get("/login")
	if strings.Contains(p.text, `name="password"`) {
		t.Error("the form asks for a password")
	}
	wants(t, "the form", p.text, "only certificates are taken here")
	if p := v.post("/login", "user", "admin", "password", password); p.status != 403 {
		t.Errorf("a right password: got %d at %s", p.status, p.path)
	}
	if p := v.get("/user"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("after the password: got %s", p.path)
	}
	if p := s.holding(card(t, "appadmin")).post("/login/card", "next", "/user"); p.path != "/user" {
		t.Errorf("a card: got %d at %s", p.status, p.path)
	}
}

func TestACardThatIsRefusedOpensNothing(t *testing.T) {
	s, who := cardSite(t, config.Cards{Enabled: true})
	p := s.holding(card(t, "revoked")).post("/login/card")
	wants(t, "a revoked card", p.text, "This certificate does not open an account here.")
	if p.status != 401 {
		t.Errorf("a revoked card: got %d", p.status)
	}
	if p := s.holding(card(t, "crypto")).post("/login/card"); p.status != 403 {
		t.Errorf("a role without pages: got %d", p.status)
	}
	if p := s.visitor().post("/login/card"); p.status != 401 {
		t.Errorf("no certificate: got %d", p.status)
	}
	asked := who.asked
	off, none := cardSite(t, config.Cards{})
	if p := off.holding(card(t, "admin")).post("/login/card"); p.status != 403 || none.asked != 0 {
		t.Errorf("without cac: got %d, asked %d", p.status, none.asked)
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}
