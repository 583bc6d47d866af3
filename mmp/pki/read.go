package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Form is how a file is written.
type Form string

// The forms.
const (
	PEM    Form = "PEM"
	DER    Form = "DER"
	PKCS12 Form = "PKCS#12"
)

// Contents is what a file holds.
type Contents struct {
	Form Form
	// Certificates in the order of the file.
	Certificates []*x509.Certificate
	Requests     []*x509.CertificateRequest
	Keys         []crypto.Signer
	// Locked are keys that need a pass phrase.
	Locked []Locked
	// Ignored says what else there was, in a few words each.
	Ignored []string
}

// ErrNothing is what [Read] returns for a file that holds none of what this package knows.
var ErrNothing = errors.New("neither certificate, key nor request, in PEM, DER or PKCS#12")

// Read finds what is in a file. A PKCS#12 file is only recognised: [OpenPKCS12] opens it. An error names the object that cannot be
// read, counted from 1.
func Read(data []byte) (*Contents, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("larger than %d bytes", MaxFile)
	}
	// Editors of one family begin a text with a byte order mark.
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return readPEM(data)
	}
	return readDER(data)
}

func readPEM(data []byte) (*Contents, error) {
	c := &Contents{Form: PEM}
	n := 0
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if n++; n > MaxObjects {
			return nil, fmt.Errorf("more than %d objects", MaxObjects)
		}
		if err := c.add(block); err != nil {
			return nil, fmt.Errorf("object %d, %s: %w", n, kindOf(block.Type), err)
		}
	}
	// What comes behind the last block that can be read may be another that cannot, such as one cut off in a copy.
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("object %d is damaged or cut off: PEM begins and does not end as it has to", n+1)
	}
	if n == 0 {
		return nil, ErrNothing
	}
	return c, nil
}

func kindOf(pemType string) string {
	if t := strings.ToLower(Printable(pemType)); t != "" {
		return t
	}
	return "without a type"
}

func (c *Contents) add(block *pem.Block) error {
	switch {
	case block.Type == "CERTIFICATE", block.Type == "X509 CERTIFICATE", block.Type == "TRUSTED CERTIFICATE":
		der := block.Bytes
		if block.Type == "TRUSTED CERTIFICATE" {
			// OpenSSL writes what it trusts the certificate for behind it.
			der = firstElement(der)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return reason(err)
		}
		if err := boundPublic(certificate.PublicKey); err != nil {
			return err
		}
		c.Certificates = append(c.Certificates, certificate)
	case block.Type == "CERTIFICATE REQUEST", block.Type == "NEW CERTIFICATE REQUEST":
		request, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return reason(err)
		}
		if err := boundPublic(request.PublicKey); err != nil {
			return err
		}
		c.Requests = append(c.Requests, request)
	case block.Type == "ENCRYPTED PRIVATE KEY":
		c.Locked = append(c.Locked, Locked{der: block.Bytes})
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			c.Locked = append(c.Locked, Locked{block: block})
			return nil
		}
		if len(c.Keys) == maxKeys {
			return fmt.Errorf("more than %d keys", maxKeys)
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return err
		}
		c.Keys = append(c.Keys, key)
	case block.Type == "PKCS7":
		return errors.New("PKCS#7 is not read: ask for the chain in PEM, or convert it by openssl pkcs7 -print_certs")
	case block.Type == "EC PARAMETERS", block.Type == "DH PARAMETERS":
		// They stand before a key that repeats them, and say nothing themselves.
	default:
		c.Ignored = append(c.Ignored, kindOf(block.Type))
	}
	return nil
}

func readDER(data []byte) (*Contents, error) {
	c := &Contents{Form: DER}
	if len(data) == 0 {
		return nil, errors.New("empty")
	}
	if certificates, err := x509.ParseCertificates(data); err == nil && len(certificates) > 0 {
		if len(certificates) > MaxObjects {
			return nil, fmt.Errorf("more than %d objects", MaxObjects)
		}
		for _, certificate := range certificates {
			if err := boundPublic(certificate.PublicKey); err != nil {
				return nil, err
			}
		}
		c.Certificates = certificates
		return c, nil
	}
	if request, err := x509.ParseCertificateRequest(data); err == nil {
		if err := boundPublic(request.PublicKey); err != nil {
			return nil, err
		}
		c.Requests = append(c.Requests, request)
		return c, nil
	}
	if key, err := parseKey(data); err == nil {
		c.Keys = append(c.Keys, key)
		return c, nil
	}
	if looksEncrypted(data) {
		c.Locked = append(c.Locked, Locked{der: data})
		return c, nil
	}
	if looksPKCS12(data) {
		c.Form = PKCS12
		return c, nil
	}
	return nil, ErrNothing
}

// boundPublic refuses public keys whose signatures would take minutes to check: a key may be as large as the file.
func boundPublic(public crypto.PublicKey) error {
	if k, ok := public.(*rsa.PublicKey); ok && k.N.BitLen() > maxModulus {
		return fmt.Errorf("an RSA key of %d bits; at most %d are looked at", k.N.BitLen(), maxModulus)
	}
	return nil
}

// parseKey reads a private key in any of its three forms.
func parseKey(der []byte) (crypto.Signer, error) {
	if len(der) > MaxKey {
		return nil, fmt.Errorf("a key of %d bytes; at most %d are read", len(der), MaxKey)
	}
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, errors.New("not a private key of a kind that is known, or damaged")
			}
		}
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("a key that cannot sign, such as X25519")
	}
	return signer, nil
}

// Usable says why services cannot use a key, by its public half; nil if they can. RSA below 2048 bits is broken or soon will be,
// and above 4096 a handshake takes so long that a few clients keep a core busy. Browsers and SIP equipment know of the curves P-256
// and P-384 alone; none takes Ed25519.
func Usable(public crypto.PublicKey) error {
	const want = "services take RSA of 2048 to 4096 bits and ECDSA on P-256 and P-384"
	switch k := public.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 4096 {
			return fmt.Errorf("an RSA key of %d bits: %s", n, want)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return fmt.Errorf("an ECDSA key on %s: %s", k.Curve.Params().Name, want)
		}
		return nil
	case ed25519.PublicKey:
		return fmt.Errorf("an Ed25519 key, which browsers and SIP equipment do not take: %s", want)
	}
	return fmt.Errorf("a key of a kind that is not known: %s", want)
}

// Same reports whether two public keys are the same.
func Same(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// reason takes the package's name off an error of crypto/x509.
func reason(err error) error {
	text := strings.TrimPrefix(err.Error(), "x509: ")
	return errors.New(Printable(text))
}
