package pki

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"unicode/utf8"

	"software.sslmate.com/src/go-pkcs12"
)

// seeds are good files of each form.
func seeds(f *testing.F) testChain {
	f.Helper()
	c := newChain(f)
	key, err := EncodeKey(c.key)
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(key)
	request, err := MakeRequest(c.key, Attributes{CN: "www.example.com"})
	if err != nil {
		f.Fatal(err)
	}
	//lint:ignore SA1019 old programs write it
	sec1, err := x509.EncryptPEMBlock(fixed{}, "EC PRIVATE KEY", block.Bytes, []byte("x"), x509.PEMCipherAES128)
	if err != nil {
		f.Fatal(err)
	}
	for _, data := range [][]byte{key, block.Bytes, EncodeCertificates(c.root, c.leaf, c.between), c.leaf.Raw, EncodeRequest(request), request, pem.EncodeToMemory(sec1)} {
		f.Add(data)
	}
	return c
}

// fixed is no randomness at all, so that seeds are the same each time.
type fixed struct{}

func (fixed) Read(p []byte) (int, error) { return len(p), nil }

func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := Read(data)
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("wanted an error that can be printed, got %q", err)
			}
			return
		}
		for _, l := range found.Locked {
			if k, err := l.Unlock("x"); err == nil && k == nil {
				t.Error("wanted a key or an error")
			}
		}
		for _, c := range found.Certificates {
			for _, r := range Describe(c) {
				if !utf8.ValidString(r.Value) {
					t.Errorf("wanted %s printable, got %q", r.Name, r.Value)
				}
			}
		}
		for _, r := range found.Requests {
			DescribeRequest(r)
		}
		chain, extra := Sort(found.Certificates, nil)
		if len(found.Certificates) > 0 && len(chain) == 0 || len(chain)+len(extra) > len(found.Certificates) {
			t.Errorf("%d certificates became a chain of %d and %d more", len(found.Certificates), len(chain), len(extra))
		}
		// What is written is read again as the same.
		if len(chain) > 0 {
			again, err := Read(EncodeCertificates(chain...))
			if err != nil || len(again.Certificates) != len(chain) {
				t.Errorf("wanted %d certificates back, got %v", len(chain), err)
			}
			Verify(Question{Certificates: chain, Bundle: found.Certificates, Now: now})
		}
	})
}

func FuzzPKCS8(f *testing.F) {
	c := newChain(f)
	plain, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, err := (Locked{der: data}).Unlock("opensesame"); err == nil && key == nil {
			t.Error("wanted a key or an error")
		}
	})
}

func FuzzPKCS12(f *testing.F) {
	c := newChain(f)
	for _, enc := range []*pkcs12.Encoder{pkcs12.Modern, pkcs12.LegacyDES, pkcs12.Passwordless} {
		password := "x"
		if enc == pkcs12.Passwordless {
			password = ""
		}
		data, err := enc.Encode(c.key, c.leaf, []*x509.Certificate{c.between}, password)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := OpenPKCS12(data, "x")
		if err == nil && (a.Key == nil || a.Certificate == nil) {
			t.Error("wanted key and certificate, or an error")
		}
	})
}

func FuzzAttribute(f *testing.F) {
	for _, s := range []string{"CN:www.example.com", "subjectAltName:a.example.com,10.1.1.1,x@example.com,IP:::1", "C:GB", "key:rsa2048", "emailAddress:a@b", "OU:"} {
		f.Add(s)
	}
	key := mustKey(f, "ecdsa256")
	f.Fuzz(func(t *testing.T, word string) {
		a, err := ParseAttributes([]string{word})
		if (err == nil) != (CheckAttribute(word) == nil) && len(a.DNS)+len(a.IPs)+len(a.Mails) <= maxNames {
			t.Fatalf("%q: wanted one answer, got %v and %v", word, err, CheckAttribute(word))
		}
		if err != nil || a.Check(true) != nil {
			return
		}
		// What is taken makes a request that others read.
		der, err := MakeRequest(key, a)
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		if _, err := x509.ParseCertificateRequest(der); err != nil {
			t.Errorf("%q: the request cannot be read: %v", word, err)
		}
	})
}
