package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestKeysAndCertificatesOfOpenSSLAreReadAsItReadsThem: keys of each kind that services take, made by openssl, in every form that it
// writes, and what it says of them.
func TestKeysAndCertificatesOfOpenSSLAreReadAsItReadsThem(t *testing.T) {
	signerKey := mustKey(t, "ecdsa384")
	signer := sign(t, named("Root", authority), named("Root", authority), signerKey, signerKey)
	const names = "subjectAltName=DNS:www.example.com,DNS:*.example.org,IP:192.0.2.1,IP:2001:db8::1,email:ops@example.com,URI:sip:room@example.com"
	for kind, c := range map[string]struct {
		newkey []string
		text   string
	}{
		"rsa2048":  {[]string{"-newkey", "rsa:2048"}, "RSA, 2048 bits"},
		"rsa3072":  {[]string{"-newkey", "rsa:3072"}, "RSA, 3072 bits"},
		"rsa4096":  {[]string{"-newkey", "rsa:4096"}, "RSA, 4096 bits"},
		"ecdsa256": {[]string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, "ECDSA, P-256"},
		"ecdsa384": {[]string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, "ECDSA, P-384"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			openssl(t, dir, slices.Concat([]string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/C=CH/O=Example, Ltd/OU=one/OU=two/CN=www.example.com",
				"-addext", names, "-addext", "extendedKeyUsage=serverAuth,clientAuth", "-addext", "keyUsage=digitalSignature", "-keyout", "w.key", "-out", "w.crt"}, c.newkey)...)
			openssl(t, dir, "req", "-new", "-key", "w.key", "-subj", "/CN=www.example.com", "-addext", names, "-out", "w.csr")
			public := openssl(t, dir, "pkey", "-in", "w.key", "-pubout", "-outform", "DER")
			is := func(what string, key any) {
				t.Helper()
				if der, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(der, public) {
					t.Errorf("%s: wanted the key that openssl has, got %x, %v", what, der, err)
				}
			}
			for what, args := range map[string][]string{
				"PKCS#8": {"pkey"}, "PKCS#8 DER": {"pkey", "-outform", "DER"},
				"traditional": {"pkey", "-traditional"}, "traditional DER": {"pkey", "-traditional", "-outform", "DER"},
			} {
				found, err := Read(openssl(t, dir, append(args, "-in", "w.key")...))
				if err != nil || len(found.Keys) != 1 {
					t.Fatalf("%s: wanted a key, got %+v, %v", what, found, err)
				}
				is(what, found.Keys[0].Public())
				if err := Usable(found.Keys[0].Public()); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			for what, args := range map[string][]string{"PEM": {"x509"}, "DER": {"x509", "-outform", "DER"}, "with its text": {"x509", "-text"}, "trusted": {"x509", "-addtrust", "serverAuth", "-trustout"}} {
				found, err := Read(openssl(t, dir, append(args, "-in", "w.crt")...))
				if err != nil || len(found.Certificates) != 1 {
					t.Fatalf("%s: wanted a certificate, got %+v, %v", what, found, err)
				}
				is(what, found.Certificates[0].PublicKey)
				if what == "PEM" {
					compareDescription(t, dir, Describe(found.Certificates[0]), c.text)
				}
			}
			found, err := Read(openssl(t, dir, "req", "-in", "w.csr", "-outform", "DER"))
			if err != nil || len(found.Requests) != 1 {
				t.Fatalf("wanted a request, got %+v, %v", found, err)
			}
			is("the request", found.Requests[0].PublicKey)
			if got := row(DescribeRequest(found.Requests[0]), "Subject alternative name"); got != shownNames {
				t.Errorf("the request: wanted the names %s, got %s", shownNames, got)
			}
			der, err := Sign(found.Requests[0], signer, signerKey, 30, now)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			is("what was signed", signed.PublicKey)
			if got := row(Describe(signed), "Subject alternative name"); got != shownNames {
				t.Errorf("what was signed: wanted the names %s, got %s", shownNames, got)
			}
			a, err := OpenPKCS12(openssl(t, dir, "pkcs12", "-export", "-inkey", "w.key", "-in", "w.crt", "-passout", "pass:x"), "x")
			if err != nil {
				t.Fatal(err)
			}
			is("PKCS#12", a.Key.Public())
			is("PKCS#12, certificate", a.Certificate.PublicKey)
		})
	}
}

const shownNames = "DNS:www.example.com, DNS:*.example.org, IP:192.0.2.1, IP:2001:db8::1, email:ops@example.com, URI:sip:room@example.com"

func row(rows []Row, name string) string {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })
	return rows[i].Value
}

func compareDescription(t *testing.T, dir string, rows []Row, key string) {
	t.Helper()
	said := map[string]string{}
	for line := range strings.Lines(string(openssl(t, dir, "x509", "-in", "w.crt", "-noout", "-serial", "-dates", "-fingerprint", "-sha256",
		"-subject", "-nameopt", "sep_comma_plus_space,sname,utf8"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		said[name] = value
	}
	for name, want := range map[string]string{
		"Subject": said["subject"], "Not before": said["notBefore"], "Not after": said["notAfter"], "SHA-256 fingerprint": said["sha256 Fingerprint"],
		"Public key": key, "Subject alternative name": shownNames, "Key usage": "digital signature", "Extended key usage": "server authentication, client authentication",
		"Authority": "yes",
	} {
		if got := row(rows, name); got != want {
			t.Errorf("%s: wanted %s, got %s", name, want, got)
		}
	}
	if got := strings.ReplaceAll(row(rows, "Serial number"), ":", ""); got != said["serial"] {
		t.Errorf("serial number: wanted %s, got %s", said["serial"], got)
	}
}

// judgedByOpenSSL compares a finding about a chain with that of openssl verify.
func judgedByOpenSSL(t *testing.T, name string, q Question, good bool) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		return
	}
	own, _ := Sort(q.Certificates, nil)
	if len(own) == 0 {
		return
	}
	dir := t.TempDir()
	trusted := q.Roots
	if len(trusted) == 0 {
		for _, c := range q.Bundle {
			if selfSigned(c) {
				trusted = append(trusted, c)
			}
		}
	}
	write(t, dir, "leaf.crt", EncodeCertificates(own[0]))
	write(t, dir, "trusted.crt", EncodeCertificates(trusted...))
	args := []string{"verify", "-no-CApath", "-no-CAstore", "-attime", fmt.Sprint(q.Now.Unix()), "-CAfile", "trusted.crt"}
	if len(trusted) == 0 {
		args = args[:len(args)-2]
		args = append(args, "-no-CAfile")
	}
	if others := slices.Concat(q.Certificates, q.Bundle); len(others) > 0 {
		write(t, dir, "untrusted.crt", EncodeCertificates(others...))
		args = append(args, "-untrusted", "untrusted.crt")
	}
	switch {
	case strings.Trim(q.Host, "0123456789.") == "" && q.Host != "":
		args = append(args, "-verify_ip", q.Host)
	case q.Host != "":
		args = append(args, "-verify_hostname", q.Host)
	}
	for _, u := range q.Usages {
		args = append(args, "-purpose", map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "sslserver", x509.ExtKeyUsageClientAuth: "sslclient"}[u])
	}
	cmd := exec.CommandContext(t.Context(), program, append(args, "leaf.crt")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); (err == nil) != good {
		t.Errorf("%s: we say %t, and openssl %q says\n%s", name, good, args, out)
	}
}

// Files of certificates are put together by hand, so a chain may come in any order, with other things between.
func TestABundleInAnyOrderIsWhatOpenSSLTakes(t *testing.T) {
	c, other := newChain(t), newChain(t)
	key, err := EncodeKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"the leaf first":            EncodeCertificates(c.leaf, c.between, c.root),
		"the root first":            EncodeCertificates(c.root, c.between, c.leaf),
		"mixed, with doubles":       EncodeCertificates(c.between, c.leaf, c.between, c.root, c.leaf),
		"with another's":            EncodeCertificates(other.root, c.between, other.between, c.leaf, c.root),
		"the key before it":         slices.Concat(key, EncodeCertificates(c.root, c.leaf, c.between)),
		"parameters and words":      slices.Concat([]byte("subject=x\n"), pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{5, 0}}), EncodeCertificates(c.between, c.root, c.leaf)),
		"DER, one after the other":  slices.Concat(c.root.Raw, c.leaf.Raw, c.between.Raw),
		"carriage returns, no end":  bytes.TrimRight(bytes.ReplaceAll(EncodeCertificates(c.root, c.between, c.leaf), []byte("\n"), []byte("\r\n")), "\r\n"),
		"blanks at the ends of PEM": bytes.ReplaceAll(EncodeCertificates(c.leaf, c.root, c.between), []byte("-----\n"), []byte("-----  \n")),
	} {
		found, err := Read(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		chain, _ := Sort(found.Certificates, c.key.Public())
		if titles(chain) != "CN=www.example.com < CN=Between < CN=Root" {
			t.Errorf("%s: got %s", name, titles(chain))
			continue
		}
		judgedByOpenSSL(t, name, Question{Certificates: chain[:1], Bundle: chain[1:], Now: now}, true)
	}
}
