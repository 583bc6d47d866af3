package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/mmp/pki/revocation/ocsptest"
)

// maker is an authority of cards.
type maker struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
}

func newMaker(t *testing.T, name string, parent *maker) *maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{t: t, key: key, serial: 100}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	by := parent
	if by == nil {
		m.cert, by = template, m
	}
	m.cert, _ = by.issue(template, &key.PublicKey)
	return m
}

// issue signs a certificate for a key, or for a new one.
func (m *maker) issue(template *x509.Certificate, public any) (*x509.Certificate, *ecdsa.PrivateKey) {
	m.t.Helper()
	var key *ecdsa.PrivateKey
	if public == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			m.t.Fatal(err)
		}
		public = &key.PublicKey
	}
	if template.SerialNumber == nil {
		m.serial++
		template.SerialNumber = big.NewInt(m.serial)
	}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, m.cert, public, m.key)
	if err != nil {
		m.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		m.t.Fatal(err)
	}
	return c, key
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func card(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

func settings(bundle string) *config.IdentityService {
	return &config.IdentityService{CAC: config.CAC{Enabled: true, Issuer: "cards.crt"}, Issuer: bundle}
}

func TestAnIssuerVouchesForItsCards(t *testing.T) {
	root := newMaker(t, "root", nil)
	middle := newMaker(t, "cards", root)
	stranger := newMaker(t, "root", nil)
	good, _ := middle.issue(card("jane"), nil)
	old := card("jane")
	old.NotBefore, old.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	expired, _ := middle.issue(old, nil)
	server := card("jane")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	wrongUse, _ := middle.issue(server, nil)
	forged, _ := stranger.issue(card("jane"), nil)
	for _, c := range []struct {
		what, bundle string
		chain        []*x509.Certificate
		want         string
	}{
		{"a card, with what issued it", pemOf(root.cert), []*x509.Certificate{good, middle.cert}, ""},
		{"a card, whose issuer is in the bundle", pemOf(root.cert) + pemOf(middle.cert), []*x509.Certificate{good}, ""},
		{"a bundle without a root", pemOf(middle.cert), []*x509.Certificate{good}, ""},
		{"a chain with a gap", pemOf(root.cert), []*x509.Certificate{good}, "unknown authority"},
		{"an expired card", pemOf(middle.cert), []*x509.Certificate{expired}, "expired"},
		{"a certificate of a server", pemOf(middle.cert), []*x509.Certificate{wrongUse}, "key usage"},
		{"one of a stranger of the same name", pemOf(root.cert), []*x509.Certificate{forged}, "unknown authority"},
		{"an authority", pemOf(root.cert), []*x509.Certificate{middle.cert}, "no person"},
		{"nothing", pemOf(root.cert), nil, "0 certificates"},
	} {
		var chain [][]byte
		for _, one := range c.chain {
			chain = append(chain, one.Raw)
		}
		h, err := newIssuer(settings(c.bundle)).check(t.Context(), chain, time.Now())
		if c.want == "" {
			if err != nil || len(h.Names) != 1 || h.Names[0] != "jane" {
				t.Errorf("%s: got %v, %v", c.what, h, err)
			}
		} else if !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %v with %q, got %v", c.what, ErrWrong, c.want, err)
		}
	}
	off := settings(pemOf(root.cert))
	off.CAC.Enabled = false
	if _, err := newIssuer(off).check(t.Context(), [][]byte{good.Raw, middle.cert.Raw}, time.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without cac: %v", err)
	}
	if _, err := newIssuer(settings("")).check(t.Context(), [][]byte{good.Raw}, time.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without an issuer: %v", err)
	}
	if _, err := newIssuer(settings(pemOf(root.cert))).check(t.Context(), [][]byte{{1, 2}}, time.Now()); !errors.Is(err, ErrWrong) {
		t.Errorf("garbage: %v", err)
	}
}

func TestARevokedCardIsFoundOutByOCSP(t *testing.T) {
	ca := newMaker(t, "cards", nil)
	good, _ := ca.issue(card("jane"), nil)
	revoked, _ := ca.issue(card("joe"), nil)
	unknown, _ := ca.issue(card("jim"), nil)
	responder := ocsptest.Responder{CA: ca.cert, Key: ca.key, Good: []*big.Int{good.SerialNumber}, Revoked: []*big.Int{revoked.SerialNumber}}.Start(t)
	s := settings(pemOf(ca.cert))
	s.CAC.OCSP = config.CACOCSP{Enabled: true, Responder: responder}
	check := func(s *config.IdentityService, c *x509.Certificate) error {
		_, err := newIssuer(s).check(t.Context(), [][]byte{c.Raw}, time.Now())
		return err
	}
	if err := check(s, good); err != nil {
		t.Errorf("a good card: %v", err)
	}
	if err := check(s, revoked); !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), "revoked on") {
		t.Errorf("a revoked card: %v", err)
	}
	if err := check(s, unknown); !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), "does not know") {
		t.Errorf("a card that the responder does not know: %v", err)
	}

	// https in front of it, which wants the machine's own certificate.
	near, nearKey := ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "ocsp"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, nil)
	own, ownKey := ca.issue(card("machine"), nil)
	behind, _ := url.Parse(s.CAC.OCSP.Responder)
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(behind))
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{near.Raw}, PrivateKey: nearKey}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
	front.StartTLS()
	defer front.Close()
	s.CAC.OCSP.Responder = front.URL
	if err := check(s, good); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without cac ocsp certs: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ownKey)
	if err != nil {
		t.Fatal(err)
	}
	s.Key, s.Chain = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), pemOf(own)
	if err := check(s, good); err != nil {
		t.Errorf("with cac ocsp certs: %v", err)
	}

	s.CAC.OCSP.Responder = "http://127.0.0.1:1"
	if err := check(s, good); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody answers: %v", err)
	}
	s.CAC.OCSP.Responder = ""
	if err := check(s, good); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "names no OCSP responder") {
		t.Errorf("no responder: %v", err)
	}
	named := card("jane")
	named.OCSPServer = []string{behind.String()}
	named.SerialNumber = good.SerialNumber
	byName, _ := ca.issue(named, nil)
	if err := check(s, byName); err != nil {
		t.Errorf("the responder that the card names: %v", err)
	}
}

func TestACertificateOfAnotherKeyLeavesTheOneBefore(t *testing.T) {
	ca := newMaker(t, "cards", nil)
	pair := func(name string) (key, chain string) {
		c, k := ca.issue(card(name), nil)
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), pemOf(c)
	}
	var before config.IdentityService
	before.Key, before.Chain = pair("first")
	second, chain := pair("second")
	next := config.IdentityService{Key: before.Key, Chain: chain}
	if err := keepPair(&next, &before); err == nil || next.Chain != before.Chain {
		t.Errorf("a certificate of another key: wanted the one before and an error, got %v", err)
	}
	for what, good := range map[string]config.IdentityService{"a pair": {Key: second, Chain: chain}, "none": {}} {
		next := good
		if err := keepPair(&next, &before); err != nil || next.Key != good.Key || next.Chain != good.Chain {
			t.Errorf("%s: wanted it taken, got %v", what, err)
		}
	}
}
