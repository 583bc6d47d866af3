package files

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// material is a key with what is made of it, as DER.
type material struct {
	rsaKey, ecKey, certificate, request []byte
}

func newMaterial(t testing.TB, cn string) material {
	must := func(der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn},
		NotAfter: time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)}
	return material{
		rsaKey: x509.MarshalPKCS1PrivateKey(rsaKey), ecKey: must(x509.MarshalECPrivateKey(ecKey)),
		certificate: must(x509.CreateCertificate(rand.Reader, template, template, &ecKey.PublicKey, ecKey)),
		request:     must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"a.example.com"}}, ecKey)),
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestInspectPEM(t *testing.T) {
	m := newMaterial(t, "meet.example.com")
	const certificate = "certificate CN=meet.example.com, expires 2027-Jan-31"
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})
	for _, c := range []struct {
		what string
		data []byte
		want []string
	}{
		{"a certificate", block("CERTIFICATE", m.certificate), []string{certificate}},
		{"a chain with text around it", slices.Concat([]byte("Bag Attributes\n"), block("CERTIFICATE", m.certificate), []byte("\r\n# root\n"),
			block("CERTIFICATE", m.certificate), []byte("\n\n")), []string{certificate, certificate}},
		{"DER", m.certificate, []string{certificate}},
		{"a request", block("CERTIFICATE REQUEST", m.request), []string{"certificate signing request DNS:a.example.com"}},
		{"a request as DER", m.request, []string{"certificate signing request DNS:a.example.com"}},
		{"an RSA key", block("RSA PRIVATE KEY", m.rsaKey), []string{"RSA private key, 2048 bits"}},
		{"an EC key after its parameters", append(block("EC PARAMETERS", []byte{6, 0}), block("EC PRIVATE KEY", m.ecKey)...),
			[]string{"PEM block EC PARAMETERS", "EC private key, P-256"}},
		{"an encrypted key", encrypted, []string{"encrypted private key"}},
		{"an encrypted PKCS #8 key", block("ENCRYPTED PRIVATE KEY", []byte("x")), []string{"encrypted private key"}},
		{"a huge key", block("PRIVATE KEY", make([]byte, maxKeyBlock+1)), []string{"private key of unusual size"}},
		{"rubbish in a block", block("CERTIFICATE", []byte("x")), []string{"certificate that cannot be read"}},
		{"half a block", block("CERTIFICATE", m.certificate)[:200], []string{"PEM that cannot be read"}},
		{"text", []byte("hello"), nil},
		{"nothing", nil, nil},
	} {
		if got := InspectPEM(c.data); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestOnlyAFewPrivateKeysOfAFileAreLookedInto(t *testing.T) {
	key := block("EC PRIVATE KEY", newMaterial(t, "meet.example.com").ecKey)
	found := InspectPEM(bytes.Repeat(key, maxKeys+1))
	if len(found) != maxKeys+1 || found[maxKeys-1] != "EC private key, P-256" || found[maxKeys] != "private key, not looked into" {
		t.Errorf("a file of %d keys gave %q, want %d looked into", maxKeys+1, found, maxKeys)
	}
}

func TestWhatArrivedIsLogged(t *testing.T) {
	w := newWorld(t)
	m := newMaterial(t, "meet\x1b[2J\nexample")
	for name, data := range map[string][]byte{
		"server.crt": block("CERTIFICATE", m.certificate), "server.key": block("RSA PRIVATE KEY", m.rsaKey), "odd.pem": []byte("hello"),
		"bob.pub": []byte("not a key"),
	} {
		if err := w.put(admin, name, string(data)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, want := range []string{
		"User admin1 from 192.0.2.7:50022 stored certificate server.crt", "certificate CN=meet?[2J?example, expires 2027-Jan-31",
		"RSA private key, 2048 bits", "neither PEM nor DER of a certificate or key", "nobody can log in with it",
	} {
		if !w.logged(want) {
			t.Errorf("the log has no %q:\n%s", want, strings.Join(w.lines, "\n"))
		}
	}
}

func FuzzInspectPEM(f *testing.F) {
	m := newMaterial(f, "meet.example.com")
	for kind, der := range map[string][]byte{
		"CERTIFICATE": m.certificate, "CERTIFICATE REQUEST": m.request, "RSA PRIVATE KEY": m.rsaKey, "EC PRIVATE KEY": m.ecKey, "PRIVATE KEY": m.ecKey,
	} {
		f.Add(block(kind, der))
		f.Add(der)
	}
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		found := InspectPEM(data)
		if len(found) > maxBlocks {
			t.Errorf("%d findings", len(found))
		}
		for _, line := range append(found, describeCrypto(data), describePublicKeys(data)) {
			if len(line) > 4096 || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q is not fit for a log line", line)
			}
		}
	})
}
