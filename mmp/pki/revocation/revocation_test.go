package revocation

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"rotunda/mmp/pki/revocation/ocsptest"
)

// TestMain lets this test's own file be the process that asks, and one that is confined and tries to read a file.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == Verb:
		err = Main(nil)
	case len(os.Args) > 2 && os.Args[1] == "confined":
		if err = confine(); err == nil {
			_, err = os.ReadFile(os.Args[2])
		}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// holder has a certificate and its key.
type holder struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a key and a certificate by an authority, by itself if there is none. What a template does not say is made up.
func issue(t testing.TB, by *holder, template x509.Certificate) holder {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, key, by, template)
}

func issueFor(t testing.TB, key *ecdsa.PrivateKey, by *holder, template x509.Certificate) holder {
	t.Helper()
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
	}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := &template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return holder{c, key}
}

func authority(name string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
}

func person(name string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// answer signs one about a certificate; by is in it if it is not nil.
func answer(t testing.TB, issuer *x509.Certificate, by *x509.Certificate, key *ecdsa.PrivateKey, r ocsp.Response) []byte {
	t.Helper()
	r.Certificate = by
	responder := by
	if by == nil {
		responder = issuer
	}
	b, err := ocsp.CreateResponse(issuer, responder, r, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnAnswerCountsByWhoHasSignedItAndWhen(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	root := issue(t, nil, authority("root"))
	middle := issue(t, &root, authority("middle"))
	jane := issue(t, &middle, person("jane"))
	joe := issue(t, &middle, person("joe"))
	forOCSP := x509.Certificate{Subject: pkix.Name{CommonName: "responder"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}}
	named := issue(t, &middle, forOCSP)
	fromAbove := issue(t, &root, forOCSP)
	old := forOCSP
	old.NotBefore, old.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
	expired := issue(t, &middle, old)
	stranger := issue(t, nil, authority("middle"))
	about := func(edit func(*ocsp.Response)) ocsp.Response {
		r := ocsp.Response{Status: ocsp.Good, SerialNumber: jane.cert.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}
		if edit != nil {
			edit(&r)
		}
		return r
	}
	good := about(nil)
	for _, c := range []struct {
		what string
		by   *x509.Certificate
		key  *ecdsa.PrivateKey
		says ocsp.Response
		want Status
		text string
	}{
		{"the issuer", nil, middle.key, good, Good, ""},
		{"the issuer, which is no root, with its certificate", middle.cert, middle.key, good, Good, ""},
		{"whom the issuer has named", named.cert, named.key, good, Good, ""},
		{"whom another authority has named", fromAbove.cert, fromAbove.key, good, Unanswered, "by a stranger"},
		{"whom the issuer had named once", expired.cert, expired.key, good, Unanswered, "not valid now"},
		{"the certificate itself", jane.cert, jane.key, good, Unanswered, "not for OCSP"},
		{"another of the same issuer", joe.cert, joe.key, good, Unanswered, "not for OCSP"},
		{"a stranger of the same name", stranger.cert, stranger.key, good, Unanswered, "by a stranger"},
		{"a stranger who shows no certificate", nil, stranger.key, good, Unanswered, "does not count"},
		{"a stranger who shows the issuer's", middle.cert, stranger.key, good, Unanswered, "does not count"},
		{"about another", nil, middle.key, about(func(r *ocsp.Response) { r.SerialNumber = joe.cert.SerialNumber }), Unanswered, "no response matching"},
		{"revoked", nil, middle.key, about(func(r *ocsp.Response) {
			r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), ocsp.Superseded
		}), Revoked, "was revoked on 2026-05-04 (superseded)"},
		{"revoked without a reason", nil, middle.key, about(func(r *ocsp.Response) {
			r.Status, r.RevokedAt = ocsp.Revoked, time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
		}), Revoked, "was revoked on 2026-05-04"},
		{"unknown", nil, middle.key, about(func(r *ocsp.Response) { r.Status = ocsp.Unknown }), Unknown, "does not know"},
		{"out of date", nil, middle.key, about(func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Second) }), Unanswered, "out of date"},
		{"of today, without an end", nil, middle.key, about(func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), Good, ""},
		{"of last week, without an end", nil, middle.key, about(func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = now.Add(-7*24*time.Hour), time.Time{}
		}), Unanswered, "out of date"},
		{"of tomorrow", nil, middle.key, about(func(r *ocsp.Response) { r.ThisUpdate = now.Add(24 * time.Hour) }), Unanswered, "of the future"},
	} {
		f := Judge(answer(t, middle.cert, c.by, c.key, c.says), jane.cert, middle.cert, now)
		if f.Status != c.want || (f.Err() == nil) != (c.want == Good) || c.text != "" && !strings.Contains(f.Err().Error(), c.text) {
			t.Errorf("%s: wanted %s with %q, got %+v", c.what, c.want, c.text, f)
		}
		if f.Nobody() != (c.want == Unanswered) {
			t.Errorf("%s: nobody was asked: %v", c.what, f.Nobody())
		}
	}
	if f := Judge([]byte("no answer"), jane.cert, middle.cert, now); f.Status != Unanswered {
		t.Errorf("nonsense: got %+v", f)
	}
}

func TestARealResponderIsAsked(t *testing.T) {
	root := issue(t, nil, authority("root"))
	address := ocsptest.Responder{CA: root.cert, Key: root.key, Good: []*big.Int{big.NewInt(101)}, Revoked: []*big.Int{big.NewInt(102)}}.Start(t)
	named := func(serial int64) holder {
		template := person("jane")
		template.SerialNumber, template.OCSPServer = big.NewInt(serial), []string{address}
		return issue(t, &root, template)
	}
	for serial, want := range map[int64]Status{101: Good, 102: Revoked, 103: Unknown} {
		leaf := named(serial)
		f := Asker{}.Ask(t.Context(), leaf.cert, root.cert, time.Now())
		if f.Status != want || f.Responder != address || f.Since.IsZero() || f.Until.IsZero() {
			t.Errorf("%d: wanted %s, got %+v", serial, want, f)
		}
		if want == Revoked && (f.Reason != ocsptest.Reason || time.Since(f.At) > time.Hour) {
			t.Errorf("revoked: got %+v", f)
		}
		list, err := Process{}.Chain(t.Context(), []*x509.Certificate{leaf.cert, root.cert})
		if err != nil || len(list) != 1 || list[0].Status != want || list[0].Responder != address {
			t.Errorf("%d, by a process of its own: wanted %s, got %+v, %v", serial, want, list, err)
		}
		state := tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf.cert, root.cert}}}
		if err := (Asker{}).Connection(state); (err == nil) != (want == Good) {
			t.Errorf("%d, for a connection: wanted %s, got %v", serial, want, err)
		}
	}
	// Neither names anybody; then the issuer does.
	plain := person("jane")
	plain.SerialNumber = big.NewInt(101)
	leaf := issue(t, &root, plain)
	if f := (Asker{}).Ask(t.Context(), leaf.cert, root.cert, time.Now()); !f.Nobody() || !strings.Contains(f.Trouble, "names no OCSP responder") {
		t.Errorf("without a responder: got %+v", f)
	}
	issuer := *root.cert
	issuer.OCSPServer = []string{address}
	if f := (Asker{}).Ask(t.Context(), leaf.cert, &issuer, time.Now()); f.Status != Good {
		t.Errorf("by the responder that the issuer names: got %+v", f)
	}
	if f := (Asker{Responder: address}).Ask(t.Context(), leaf.cert, root.cert, time.Now()); f.Status != Good {
		t.Errorf("by the one that is set: got %+v", f)
	}
}

func TestAnAnswerThatCameAlongIsEnough(t *testing.T) {
	root := issue(t, nil, authority("root"))
	leaf := issue(t, &root, person("jane"))
	state := tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf.cert, root.cert}}}
	for status, want := range map[int]string{ocsp.Good: "", ocsp.Revoked: "was revoked"} {
		state.OCSPResponse = answer(t, root.cert, nil, root.key, ocsp.Response{Status: status, SerialNumber: leaf.cert.SerialNumber,
			ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), RevokedAt: time.Now()})
		err := Asker{}.Connection(state)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
	state.OCSPResponse = nil
	if err := (Asker{}).Connection(state); err == nil || !strings.Contains(err.Error(), "tls ldap verify enable") {
		t.Errorf("nobody to ask: got %v", err)
	}
	state.VerifiedChains[0] = state.VerifiedChains[0][:1]
	if err := (Asker{}).Connection(state); err == nil || !strings.Contains(err.Error(), "no issuer") {
		t.Errorf("no issuer: got %v", err)
	}
}

func TestARespondersTroubleIsToldWithinItsTime(t *testing.T) {
	root := issue(t, nil, authority("root"))
	leaf := issue(t, &root, person("jane"))
	// One that takes the connection and never says a word.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/long", http.StatusFound)
		case "/long":
			_, _ = w.Write(make([]byte, mostAnswer+1))
		case "/page":
			_, _ = w.Write([]byte("<html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer web.Close()
	secure := httptest.NewTLSServer(web.Config.Handler)
	defer secure.Close()
	for address, want := range map[string]string{
		"http://" + silent.Addr().String(): "is unreachable: no answer within 50ms",
		"http://127.0.0.1:1":               "is unreachable: dial tcp 127.0.0.1:1: connect: connection refused",
		"ldap://127.0.0.1:1":               "unsupported protocol scheme",
		"http://127.0.0.1:port":            "invalid port",
		web.URL + "/none":                  "it answers 404 Not Found",
		web.URL + "/moved":                 "it answers 302 Found",
		web.URL + "/long":                  "longer than",
		web.URL + "/page":                  "does not count",
		secure.URL:                         "certificate",
	} {
		a := Asker{Responder: address, TLS: &tls.Config{RootCAs: x509.NewCertPool()}, Within: time.Minute}
		if strings.Contains(want, "50ms") {
			a.Within = 50 * time.Millisecond
		}
		f := a.Ask(t.Context(), leaf.cert, root.cert, time.Now())
		if f.Status != Unanswered || f.Nobody() || f.Responder != address || !strings.Contains(f.Err().Error(), want) {
			t.Errorf("%s: wanted %q, got %+v", address, want, f)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if f := (Asker{Responder: web.URL}).Ask(gone, leaf.cert, root.cert, time.Now()); f.Status != Unanswered {
		t.Errorf("whoever gives up: got %+v", f)
	}
	if _, err := (Process{}).Chain(gone, []*x509.Certificate{leaf.cert, root.cert}); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever gives up, by a process of its own: got %v", err)
	}
}

func TestAllOfAChainAreAskedAboutAtOnce(t *testing.T) {
	root := issue(t, nil, authority("root"))
	asked := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Neither is answered before both have asked.
		select {
		case asked <- struct{}{}:
		case <-asked:
		case <-r.Context().Done():
		}
		http.NotFound(w, r)
	}))
	defer web.Close()
	template := authority("middle")
	template.OCSPServer = []string{web.URL}
	middle := issue(t, &root, template)
	template = person("jane")
	template.OCSPServer = []string{web.URL}
	leaf := issue(t, &middle, template)
	list := Chain(t.Context(), []*x509.Certificate{leaf.cert, middle.cert, root.cert}, time.Now())
	if len(list) != 2 || !strings.Contains(list[0].Trouble, "404") || !strings.Contains(list[1].Trouble, "404") {
		t.Errorf("got %+v", list)
	}
	if list := Chain(t.Context(), []*x509.Certificate{root.cert}, time.Now()); list != nil {
		t.Errorf("a root alone: got %+v", list)
	}
	if list, err := (Process{}).Chain(t.Context(), []*x509.Certificate{root.cert}); err != nil || len(list) != 0 {
		t.Errorf("a root alone, by a process of its own: got %+v, %v", list, err)
	}
	if _, err := (Process{}).Chain(t.Context(), make([]*x509.Certificate, maxChain+1)); err == nil {
		t.Error("a chain of any length was taken")
	}
}

func TestTheProcessMayNotReadWhatTheShellMay(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "w.key")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/sys/kernel/security/landlock"); err != nil {
		// Not every kernel shows it, so the attempt counts where there is no other sign.
		if text, err := os.ReadFile("/sys/kernel/security/lsm"); err == nil && !strings.Contains(string(text), "landlock") {
			t.Skip("this kernel has no Landlock")
		}
	}
	out, err := exec.Command("/proc/self/exe", "confined", secret).CombinedOutput()
	if err == nil {
		t.Skip("this kernel has no Landlock")
	}
	if !strings.Contains(string(out), "permission denied") {
		t.Errorf("wanted permission denied, got %v: %s", err, out)
	}
	if out, err := exec.Command("/proc/self/exe", "confined", "/etc/passwd").CombinedOutput(); err != nil {
		t.Errorf("/etc: %v: %s", err, out)
	}
}

// FuzzJudge: no answer but one that is signed makes a certificate good.
func FuzzJudge(f *testing.F) {
	// Each process of a fuzz run has the same keys, or the answers of one would be nothing to another.
	fixed := func(n byte, by *holder, template x509.Certificate) holder {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{n}, 32))
		if err != nil {
			f.Fatal(err)
		}
		template.SerialNumber = big.NewInt(int64(n))
		return issueFor(f, key, by, template)
	}
	root := fixed(1, nil, authority("root"))
	named := fixed(2, &root, x509.Certificate{Subject: pkix.Name{CommonName: "responder"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}})
	leaf := fixed(3, &root, person("jane"))
	now := time.Now()
	for _, status := range []int{ocsp.Good, ocsp.Revoked, ocsp.Unknown} {
		r := ocsp.Response{Status: status, SerialNumber: leaf.cert.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour), RevokedAt: now}
		f.Add(answer(f, root.cert, nil, root.key, r))
		f.Add(answer(f, root.cert, named.cert, named.key, r))
	}
	f.Add(ocsp.UnauthorizedErrorResponse)
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Judge(b, leaf.cert, root.cert, now)
		if got.Status == Unanswered {
			if got.Trouble == "" || got.Err() == nil {
				t.Fatalf("no reason: %+v", got)
			}
			return
		}
		// What counts is an answer that the library takes for one of this issuer, too.
		r, err := ocsp.ParseResponseForCert(b, leaf.cert, root.cert)
		if err != nil || got.Status == Good != (r.Status == ocsp.Good) {
			t.Fatalf("%+v by an answer that is %+v, %v", got, r, err)
		}
	})
}
