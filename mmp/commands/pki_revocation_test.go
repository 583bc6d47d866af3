package commands

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"rotunda/mmp/pki"
	"rotunda/mmp/pki/revocation"
	"rotunda/mmp/pki/revocation/ocsptest"
)

// near asks in this process.
type near struct{}

func (near) Chain(ctx context.Context, chain []*x509.Certificate) ([]revocation.Finding, error) {
	return revocation.Chain(ctx, chain, time.Now()), nil
}

// told answers what a test says.
type told struct {
	list []revocation.Finding
	err  error
}

func (a told) Chain(context.Context, []*x509.Certificate) ([]revocation.Finding, error) {
	return a.list, a.err
}

// named is a certificate that names a responder.
func named(t *testing.T, serial int64, name, responder string, issuer *x509.Certificate, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	key, err := pki.MakeKey("ecdsa256")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name}}
	if responder != "" {
		template.OCSPServer = []string{responder}
	}
	return sign(t, template, issuer, key, issuerKey)
}

func TestAResponderIsAskedWhetherACertificateWasRevoked(t *testing.T) {
	d, r := newCryptoDesk(t)
	d.deps.Revocation = near{}
	root, rootKey := authority(t, "Root", nil, nil)
	between, betweenKey := authority(t, "Between", root, rootKey)
	at := ocsptest.Responder{CA: between, Key: betweenKey, Good: []*big.Int{big.NewInt(101)}, Revoked: []*big.Int{big.NewInt(102)}}.Start(t)
	r.add("bundle.crt", pki.EncodeCertificates(between, root))
	r.add("good.crt", pki.EncodeCertificates(named(t, 101, "good.example.com", at, between, betweenKey)))
	r.add("revoked.crt", pki.EncodeCertificates(named(t, 102, "revoked.example.com", at, between, betweenKey)))
	r.add("unknown.crt", pki.EncodeCertificates(named(t, 103, "unknown.example.com", at, between, betweenKey)))
	r.add("nobody.crt", pki.EncodeCertificates(named(t, 104, "nobody.example.com", "", between, betweenKey)))
	r.add("dead.crt", pki.EncodeCertificates(named(t, 105, "dead.example.com", "http://127.0.0.1:1", between, betweenKey)))
	r.add("root.crt", pki.EncodeCertificates(root))
	chain := func(name string) string {
		return "Chain:\n0  CN=" + name + ", expires T\n1  CN=Between, expires T\n2  CN=Root, expires T\n"
	}
	const above = "1  not asked: it names no responder\n"
	d.says(chain("good.example.com")+"OCSP:\n0  good since T, next answer T, by "+at+"\n"+above+
		"SUCCESS: good.crt verified by bundle.crt, and not revoked\n", "pki verify good.crt bundle.crt ocsp")
	d.says(chain("revoked.example.com")+"OCSP:\n0  revoked on T (key compromise), by "+at+"\n"+above+
		"FAILURE: CN=revoked.example.com was revoked on T (key compromise)\n", "pki verify revoked.crt bundle.crt ocsp")
	d.says(chain("unknown.example.com")+"OCSP:\n0  unknown to "+at+"\n"+above+
		"FAILURE: the OCSP responder does not know CN=unknown.example.com: it may be one of another authority\n", "pki verify unknown.crt bundle.crt root.crt ocsp")
	d.says(chain("nobody.example.com")+"OCSP:\n0  no answer: the certificate names no OCSP responder\n"+above+
		"FAILURE: nobody says whether CN=nobody.example.com was revoked: neither it nor its issuer names an OCSP responder\n", "pki verify nobody.crt bundle.crt ocsp")
	const refused = "the OCSP responder http://127.0.0.1:1 is unreachable: dial tcp 127.0.0.1:1: connect: connection refused\n"
	d.says(chain("dead.example.com")+"OCSP:\n0  no answer: "+refused+above+
		"FAILURE: nobody says whether CN=dead.example.com was revoked: "+refused, "pki verify dead.crt bundle.crt for server ocsp")
	// Without the word nobody is asked, and where the chain is wrong nobody could be believed.
	d.says(chain("revoked.example.com")+"SUCCESS: revoked.crt verified by bundle.crt\n", "pki verify revoked.crt bundle.crt")
	d.says("Chain:\n0  CN=good.example.com, expires T\nFAILURE: a certificate is missing: CN=Between, which issued CN=good.example.com\n", "pki verify good.crt root.crt ocsp")
	d.fails("FAILURE: the certificate is self-signed", "pki verify root.crt root.crt ocsp")
}

func TestAllThatWasFoundIsToldAndNothingThatATerminalWouldObey(t *testing.T) {
	d, r := newCryptoDesk(t)
	root, rootKey := authority(t, "Root", nil, nil)
	between, betweenKey := authority(t, "Between", root, rootKey)
	r.add("bundle.crt", pki.EncodeCertificates(between, root))
	r.add("a.crt", pki.EncodeCertificates(named(t, 101, "a.example.com", "", between, betweenKey)))
	d.fails("FAILURE: there is nobody who could ask", "pki verify a.crt bundle.crt ocsp")
	d.deps.Revocation = told{err: errors.New("the process that asks ended: signal: killed\x1b[2J")}
	d.fails("FAILURE: the process that asks ended: signal: killed?[2J", "pki verify a.crt bundle.crt ocsp")
	d.deps.Revocation = told{list: []revocation.Finding{
		{Status: revocation.Unanswered, Responder: "http://a\x1b[2J", Trouble: "the OCSP responder http://a\x1b[2J is unreachable"},
		{Status: revocation.Revoked, Responder: "http://b", At: time.Now()},
	}}
	got, err := d.run("pki verify a.crt bundle.crt ocsp")
	if err == nil || strings.Contains(got+err.Error(), "\x1b") || !strings.Contains(got, "FAILURE: CN=Between was revoked on ") ||
		!strings.Contains(err.Error(), "FAILURE: nobody says whether CN=a.example.com was revoked: the OCSP responder http://a?[2J is unreachable") {
		t.Errorf("got %q, %v", got, err)
	}
}
