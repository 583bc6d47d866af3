package files

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"
)

const (
	// maxBlocks of a file are looked at: the largest public bundle of authorities has about 150.
	maxBlocks = 200
	// maxKeys of a file are looked into: one of 16384 bits takes 40 ms on a server, and others wait for the file view.
	maxKeys = 8
	// maxKeyBlock in bytes. Checking the numbers of an RSA key takes longer the larger they are; 16384 bits fit.
	maxKeyBlock = 16 * kib
	// maxNameShown of a subject, in characters.
	maxNameShown = 120
)

// InspectPEM says what a file of certificates or keys holds, one finding for each block: "certificate CN=example.com,
// expires 2027-Jan-31", "RSA private key, 2048 bits". It takes PEM, and DER of a single object. Nothing of a private
// key but its kind and size is ever part of a finding. A file that holds nothing it knows gives none.
func InspectPEM(data []byte) []string {
	var found []string
	rest := data
	keys := 0
	for len(found) < maxBlocks {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			keys++
		}
		if keys > maxKeys {
			found = append(found, "private key, not looked into")
			continue
		}
		found = append(found, inspectBlock(block))
	}
	if found != nil {
		return found
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return []string{"PEM that cannot be read"}
	}
	if certificates, err := x509.ParseCertificates(data); err == nil {
		for _, c := range certificates[:min(len(certificates), maxBlocks)] {
			found = append(found, describeCertificate(c))
		}
		return found
	}
	if r, err := x509.ParseCertificateRequest(data); err == nil {
		return []string{describeRequest(r)}
	}
	if len(data) <= maxKeyBlock {
		if key, err := parsePrivateKey(data); err == nil {
			return []string{describeKey(key)}
		}
	}
	return nil
}

func inspectBlock(b *pem.Block) string {
	switch b.Type {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return "certificate that cannot be read"
		}
		return describeCertificate(c)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		r, err := x509.ParseCertificateRequest(b.Bytes)
		if err != nil {
			return "certificate signing request that cannot be read"
		}
		return describeRequest(r)
	case "ENCRYPTED PRIVATE KEY":
		return "encrypted private key"
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		if b.Headers["DEK-Info"] != "" {
			return "encrypted private key"
		}
		if len(b.Bytes) > maxKeyBlock {
			return "private key of unusual size"
		}
		key, err := parsePrivateKey(b.Bytes)
		if err != nil {
			return "private key that cannot be read"
		}
		return describeKey(key)
	}
	return "PEM block " + shown(b.Type)
}

func parsePrivateKey(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("not a private key")
}

func describeKey(key any) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return fmt.Sprintf("RSA private key, %d bits", k.N.BitLen())
	case *ecdsa.PrivateKey:
		return "EC private key, " + k.Curve.Params().Name
	case ed25519.PrivateKey:
		return "Ed25519 private key"
	}
	return "private key"
}

func describeCertificate(c *x509.Certificate) string {
	return fmt.Sprintf("certificate %s, expires %s", subject(c.Subject, c.DNSNames), c.NotAfter.UTC().Format("2006-Jan-02"))
}

func describeRequest(r *x509.CertificateRequest) string {
	return "certificate signing request " + subject(r.Subject, r.DNSNames)
}

func subject(n pkix.Name, dns []string) string {
	switch {
	case n.CommonName != "":
		return "CN=" + shown(n.CommonName)
	case len(dns) > 0:
		return "DNS:" + shown(dns[0])
	}
	return "without a name"
}

// shown makes a text from outside fit for a log line.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxNameShown {
		return string(r[:maxNameShown]) + "…"
	}
	return s
}

// describeCrypto sums up for the log. Any content is taken, as administrators keep odd things under these names; what
// is not what its name says is seen here, and by "pki inspect".
func describeCrypto(data []byte) string {
	found := InspectPEM(data)
	switch {
	case len(found) == 0:
		return "neither PEM nor DER of a certificate or key"
	case len(found) > 4:
		return fmt.Sprintf("%s and %d more", strings.Join(found[:3], "; "), len(found)-3)
	}
	return strings.Join(found, "; ")
}

func describePublicKeys(data []byte) string {
	n := 0
	for n < maxBlocks {
		_, _, _, rest, err := ssh.ParseAuthorizedKey(data)
		if err != nil {
			break
		}
		n++
		data = rest
	}
	if n == 0 {
		return "no public key in OpenSSH's format, nobody can log in with it"
	}
	return fmt.Sprintf("public keys: %d", n)
}

// maxMessage in characters.
const maxMessage = 2048

// checkMessage takes text that is safe to show on a terminal: no escape sequences.
func checkMessage(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("the message is not UTF-8 text")
	}
	if n := utf8.RuneCount(data); n > maxMessage {
		return fmt.Errorf("the message has %d characters, at most %d are shown", n, maxMessage)
	}
	for _, r := range string(data) {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return fmt.Errorf("the message has a control character, %U", r)
		}
	}
	return nil
}
