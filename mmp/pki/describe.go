package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxShown of a text from a file, in characters.
const maxShown = 200

// Printable makes text from a file fit for a terminal and a log line.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

// TimeText writes a time as certificates are shown everywhere: "Nov 22 18:00:00 2026 GMT".
func TimeText(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }

var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// NameText writes a distinguished name in the order of the certificate: "C=AT, O=Example, CN=www.example.com".
func NameText(n pkix.Name) string {
	short := map[string]string{
		"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street", "2.5.4.10": "O",
		"2.5.4.11": "OU", "2.5.4.17": "postalCode", oidEmail.String(): "emailAddress", "0.9.2342.19200300.100.1.25": "DC",
		"0.9.2342.19200300.100.1.1": "UID",
	}
	var parts []string
	for _, a := range n.Names {
		name := short[a.Type.String()]
		if name == "" {
			name = a.Type.String()
		}
		parts = append(parts, name+"="+fmt.Sprint(a.Value))
	}
	if parts == nil {
		return "none"
	}
	return Printable(strings.Join(parts, ", "))
}

// Title names a certificate in a few words: its common name, or the first of its other names.
func Title(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return "CN=" + Printable(c.Subject.CommonName)
	case len(c.DNSNames) > 0:
		return "DNS:" + Printable(c.DNSNames[0])
	}
	return NameText(c.Subject)
}

// KeyText names the kind and size of a public key.
func KeyText(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA, " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "of a kind that is not known"
}

// Names lists the alternative names: "DNS:www.example.com, IP:192.0.2.1, email:ops@example.com, URI:sip:ops@example.com".
func Names(dns []string, ips []net.IP, mails []string, uris []*url.URL) string {
	var list []string
	for _, n := range dns {
		list = append(list, "DNS:"+n)
	}
	for _, n := range ips {
		list = append(list, "IP:"+n.String())
	}
	for _, n := range mails {
		list = append(list, "email:"+n)
	}
	for _, n := range uris {
		list = append(list, "URI:"+n.String())
	}
	if list == nil {
		return "none"
	}
	// Not cut: a certificate of an edge may have a hundred names, and the one that is looked for may be the last.
	for i, n := range list {
		list[i] = Printable(n)
	}
	return strings.Join(list, ", ")
}

// Fingerprint is the SHA-256 of a certificate, as browsers show it.
func Fingerprint(c *x509.Certificate) string {
	return colons(sha256Sum(c.Raw))
}

func sha256Sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i, x := range b {
		parts[i] = fmt.Sprintf("%02X", x)
	}
	return strings.Join(parts, ":")
}

// Row is a line of a description.
type Row struct{ Name, Value string }

// Describe gives the lines that a person wants to know of a certificate.
func Describe(c *x509.Certificate) []Row {
	authority := "no"
	if c.BasicConstraintsValid && c.IsCA {
		authority = "yes"
		if c.MaxPathLen > 0 || c.MaxPathLenZero {
			authority = fmt.Sprintf("yes, with at most %d authorities below", c.MaxPathLen)
		}
	}
	return []Row{
		{"Subject", NameText(c.Subject)},
		{"Issuer", NameText(c.Issuer)},
		{"Serial number", colons(c.SerialNumber.Bytes())},
		{"Not before", TimeText(c.NotBefore)},
		{"Not after", TimeText(c.NotAfter)},
		{"Subject alternative name", Names(c.DNSNames, c.IPAddresses, c.EmailAddresses, c.URIs)},
		{"Public key", KeyText(c.PublicKey)},
		{"Signature algorithm", c.SignatureAlgorithm.String()},
		{"Authority", authority},
		{"Key usage", keyUsageText(c.KeyUsage)},
		{"Extended key usage", usageText(c)},
		{"SHA-256 fingerprint", Fingerprint(c)},
	}
}

// DescribeRequest does the same for a request.
func DescribeRequest(r *x509.CertificateRequest) []Row {
	signature := "good"
	if err := r.CheckSignature(); err != nil {
		signature = "wrong: " + reason(err).Error()
	}
	return []Row{
		{"Subject", NameText(r.Subject)},
		{"Subject alternative name", Names(r.DNSNames, r.IPAddresses, r.EmailAddresses, r.URIs)},
		{"Public key", KeyText(r.PublicKey)},
		{"Signature algorithm", r.SignatureAlgorithm.String()},
		{"Signature", signature},
	}
}

func keyUsageText(u x509.KeyUsage) string {
	names := []string{"digital signature", "content commitment", "key encipherment", "data encipherment", "key agreement", "certificate sign", "CRL sign",
		"encipher only", "decipher only"}
	var list []string
	for i, n := range names {
		if u&(1<<i) != 0 {
			list = append(list, n)
		}
	}
	if list == nil {
		return "any"
	}
	return strings.Join(list, ", ")
}

func usageText(c *x509.Certificate) string {
	names := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageAny: "any", x509.ExtKeyUsageServerAuth: "server authentication", x509.ExtKeyUsageClientAuth: "client authentication",
		x509.ExtKeyUsageCodeSigning: "code signing", x509.ExtKeyUsageEmailProtection: "e-mail protection",
		x509.ExtKeyUsageTimeStamping: "time stamping", x509.ExtKeyUsageOCSPSigning: "OCSP signing",
	}
	var list []string
	for _, u := range c.ExtKeyUsage {
		if n := names[u]; n != "" {
			list = append(list, n)
		} else {
			list = append(list, fmt.Sprintf("other (%d)", int(u)))
		}
	}
	for _, u := range c.UnknownExtKeyUsage {
		list = append(list, u.String())
	}
	if list == nil {
		return "any"
	}
	return strings.Join(list, ", ")
}
