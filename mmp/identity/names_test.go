package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"

	"rotunda/mmp/grammar"
)

// altNames encodes a subjectAltName with principal names.
func altNames(t testing.TB, principals ...string) pkix.Extension {
	t.Helper()
	var all []byte
	for _, p := range principals {
		text, err := asn1.MarshalWithParams(p, "utf8,explicit,tag:0")
		if err != nil {
			t.Fatal(err)
		}
		id, err := asn1.Marshal(oidUPN)
		if err != nil {
			t.Fatal(err)
		}
		other, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(id, text...)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, other...)
	}
	value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: all})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oidAltName, Value: value}
}

func TestNamesOfACertificate(t *testing.T) {
	named := func(cn string, mails ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: cn}, EmailAddresses: mails}
	}
	principal := func(cn string, principals ...string) *x509.Certificate {
		c := named(cn, "admin@example.com")
		c.Extensions = []pkix.Extension{altNames(t, principals...)}
		return c
	}
	for _, c := range []struct {
		what string
		cert *x509.Certificate
		want []string
	}{
		{"a principal name with an EDIPI", principal("DOE.JANE.Q.1234567890", "1234567890@mil"), []string{"1234567890@mil", "1234567890"}},
		{"a principal name hides all others", principal("admin", "jane@example.com"), []string{"jane@example.com"}},
		{"a principal name that is none for a user", principal("admin", "jane doe@example.com"), nil},
		{"a common name", named("jane"), []string{"jane"}},
		{"a common name and an address", named("Jane Doe", "jane@example.com"), []string{"jane@example.com"}},
		{"a common name of a card", named("DOE.JANE.Q.1234567890"), []string{"DOE.JANE.Q.1234567890", "1234567890"}},
		{"a common name with blanks and an EDIPI", named("DOE.JANE MARY.1234567890"), []string{"1234567890"}},
		{"eleven digits are none", named("DOE JANE.12345678901"), nil},
		{"nothing", named(""), nil},
	} {
		if got := names(c.cert); !slices.Equal(got, c.want) {
			t.Errorf("%s: want %q, got %q", c.what, c.want, got)
		}
	}
}

// FuzzNames: whatever stands in a certificate, its names are such as users have, and a principal name leaves no other.
func FuzzNames(f *testing.F) {
	f.Add("jane", "jane@example.com", altNames(f, "1234567890@mil").Value)
	f.Add("DOE.JANE.1234567890", "", []byte{0x30, 0x80})
	f.Add("", "a", []byte{0x30, 0x02, 0xa0, 0x00})
	f.Fuzz(func(t *testing.T, cn, mail string, alt []byte) {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: cn}, EmailAddresses: []string{mail}, Extensions: []pkix.Extension{{Id: oidAltName, Value: alt}}}
		list := names(c)
		if len(list) > 2*maxPrincipals {
			t.Errorf("%d names", len(list))
		}
		principals := principalNames(c)
		for _, n := range list {
			if grammar.CheckUsername(n) != nil {
				t.Errorf("%q cannot be a user", n)
			}
			if len(principals) > 0 && !slices.ContainsFunc(principals, func(p string) bool { return len(p) >= len(n) && p[:len(n)] == n }) {
				t.Errorf("%q is of no principal name of %q", n, principals)
			}
		}
	})
}

// FuzzCertificates reads files that administrators put, and certificates that strangers show.
func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte{0x30, 0x82})
	f.Fuzz(func(t *testing.T, b []byte) {
		list := Certificates(b, 3)
		if len(list) > 3 {
			t.Errorf("%d certificates, want 3 at most", len(list))
		}
		for _, c := range list {
			_ = title(c)
			_ = names(c)
		}
	})
}
