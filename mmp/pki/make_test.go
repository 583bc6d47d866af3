package pki

import (
	"crypto/x509"
	"strings"
	"testing"
)

func TestARequestHoldsEveryAttribute(t *testing.T) {
	a, err := ParseAttributes([]string{"CN:www.example.com", "O:Example, Ltd", "OU:one", "OU:two", "L:Zürich", "ST:ZH", "C:CH", "emailAddress:pki@example.com",
		"subjectAltName:*.example.com,192.0.2.1,DNS:b.example.com,email:ops@example.com", "subjectAltName:2001:db8::1,IP:192.0.2.2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"rsa2048", "rsa3072", "ecdsa256", "ecdsa384"} {
		key := mustKey(t, kind)
		der, err := MakeRequest(key, a)
		if err != nil {
			t.Fatal(err)
		}
		found, err := Read(EncodeRequest(der))
		if err != nil || len(found.Requests) != 1 {
			t.Fatalf("%s: wanted a request, got %+v, %v", kind, found, err)
		}
		rows := DescribeRequest(found.Requests[0])
		for i, want := range []string{
			"C=CH, ST=ZH, L=Zürich, O=Example, Ltd, OU=one, OU=two, CN=www.example.com, emailAddress=pki@example.com",
			"DNS:www.example.com, DNS:*.example.com, DNS:b.example.com, IP:192.0.2.1, IP:2001:db8::1, IP:192.0.2.2, email:ops@example.com",
		} {
			if rows[i].Value != want {
				t.Errorf("%s: wanted %s %q, got %q", kind, rows[i].Name, want, rows[i].Value)
			}
		}
		if rows[4].Value != "good" {
			t.Errorf("%s: wanted a good signature, got %s", kind, rows[4].Value)
		}
		dir := t.TempDir()
		write(t, dir, "a.csr", EncodeRequest(der))
		text := string(openssl(t, dir, "req", "-in", "a.csr", "-noout", "-text", "-verify"))
		for _, want := range []string{"DNS:www.example.com, DNS:*.example.com", "IP Address:192.0.2.1", "email:ops@example.com", "TLS Web Server Authentication, TLS Web Client Authentication",
			"Digital Signature", "emailAddress = pki@example.com"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: wanted openssl to say %q, got\n%s", kind, want, text)
			}
		}
	}
}

func TestWhatIsSignedHereIsGoodForOthers(t *testing.T) {
	root := mustKey(t, "ecdsa384")
	der, err := SelfSign(root, Attributes{CN: "My authority", CA: true, Days: 3650}, now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	key := mustKey(t, "rsa2048")
	a, err := ParseAttributes([]string{"CN:10.1.1.1", "subjectAltName:www.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	requestDER, err := MakeRequest(key, a)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(requestDER)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = Sign(request, ca, root, 20_000, now); err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.NotAfter.Equal(ca.NotAfter) {
		t.Errorf("wanted the certificate to end with its authority on %v, got %v", ca.NotAfter, leaf.NotAfter)
	}
	for _, host := range []string{"www.example.com", "10.1.1.1"} {
		f := Verify(Question{Certificates: []*x509.Certificate{leaf}, Bundle: []*x509.Certificate{ca}, Host: host, Now: now,
			Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
		if len(f.Wrong) > 0 {
			t.Errorf("%s: wanted it good, got %q", host, f.Wrong)
		}
	}
	dir := t.TempDir()
	write(t, dir, "ca.crt", EncodeCertificates(ca))
	write(t, dir, "w.crt", EncodeCertificates(leaf))
	openssl(t, dir, "verify", "-attime", "1795370400", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "www.example.com", "-CAfile", "ca.crt", "w.crt")

	if _, err := Sign(request, leaf, key, 1, now); err == nil || !strings.Contains(err.Error(), "is no authority") {
		t.Errorf("signed by a server: wanted it refused, got %v", err)
	}
	if _, err := Sign(request, ca, key, 1, now); err == nil || !strings.Contains(err.Error(), "are not a pair") {
		t.Errorf("signed by another key: wanted it refused, got %v", err)
	}
	if _, err := Sign(request, ca, root, 1, ca.NotAfter.Add(1)); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("signed by an expired authority: wanted it refused, got %v", err)
	}
	request.Signature[0] ^= 1
	if _, err := Sign(request, ca, root, 1, now); err == nil || !strings.Contains(err.Error(), "the request is damaged") {
		t.Errorf("a request that was changed: wanted it refused, got %v", err)
	}
}
