package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// KeyKinds are the keys that [MakeKey] makes.
var KeyKinds = []string{"rsa2048", "rsa3072", "rsa4096", "ecdsa256", "ecdsa384"}

// DefaultDays is how long a certificate made here is valid if nobody says otherwise.
const DefaultDays = 365

// backdate is how much earlier than now certificates begin, for clocks of others that are behind.
const backdate = 5 * time.Minute

// MakeKey makes a private key. RSA of 4096 bits takes some seconds on a slow machine.
func MakeKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ecdsa256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("there is no kind of keys %q", kind)
}

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidServerAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	oidClientAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

// MakeRequest makes a certificate signing request in DER. It asks for the usages of servers and of clients, as the Call Bridge needs
// both (guide 4.6.1); an authority decides for itself.
func MakeRequest(key crypto.Signer, a Attributes) ([]byte, error) {
	if err := a.Check(true); err != nil {
		return nil, err
	}
	usage := []byte{0xa0} // digital signature and key encipherment, from the left
	bits := 3
	if _, ec := key.Public().(*ecdsa.PublicKey); ec {
		usage, bits = []byte{0x80}, 1
	}
	keyUsage, err := asn1.Marshal(asn1.BitString{Bytes: usage, BitLength: bits})
	if err != nil {
		return nil, err
	}
	extended, err := asn1.Marshal([]asn1.ObjectIdentifier{oidServerAuth, oidClientAuth})
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: a.subject(), DNSNames: a.DNS, IPAddresses: a.IPs, EmailAddresses: a.Mails,
		ExtraExtensions: []pkix.Extension{{Id: oidKeyUsage, Critical: true, Value: keyUsage}, {Id: oidExtendedKeyUsage, Value: extended}},
	}, key)
}

// SelfSign makes a certificate in DER that nobody vouches for; with CA set one that signs others.
func SelfSign(key crypto.Signer, a Attributes, now time.Time) ([]byte, error) {
	if err := a.Check(false); err != nil {
		return nil, err
	}
	t, err := template(key.Public(), a.Days, now)
	if err != nil {
		return nil, err
	}
	t.Subject, t.DNSNames, t.IPAddresses, t.EmailAddresses = a.subject(), a.DNS, a.IPs, a.Mails
	if a.CA {
		t.IsCA, t.ExtKeyUsage = true, nil
		t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	}
	return x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
}

// Sign makes the certificate that a request asks for, by an authority of one's own. It does not outlive the authority.
func Sign(request *x509.CertificateRequest, authority *x509.Certificate, key crypto.Signer, days int, now time.Time) ([]byte, error) {
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request is damaged: its signature is wrong: %w", reason(err))
	}
	if err := Usable(request.PublicKey); err != nil {
		return nil, fmt.Errorf("the request is for %w", err)
	}
	switch {
	case !Same(key.Public(), authority.PublicKey):
		return nil, errors.New("the key and the certificate of the authority are not a pair")
	case !authority.BasicConstraintsValid || !authority.IsCA:
		return nil, fmt.Errorf("%s is no authority: its certificate does not allow it to issue others; pki selfsigned … CA:true makes one", Title(authority))
	case authority.KeyUsage != 0 && authority.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("%s may not sign certificates, by its key usage", Title(authority))
	case now.After(authority.NotAfter):
		return nil, fmt.Errorf("%s has expired on %s", Title(authority), TimeText(authority.NotAfter))
	}
	t, err := template(request.PublicKey, days, now)
	if err != nil {
		return nil, err
	}
	if t.NotAfter.After(authority.NotAfter) {
		t.NotAfter = authority.NotAfter
	}
	if t.NotBefore.Before(authority.NotBefore) {
		t.NotBefore = authority.NotBefore
	}
	t.RawSubject = request.RawSubject
	t.DNSNames, t.IPAddresses, t.EmailAddresses, t.URIs = request.DNSNames, request.IPAddresses, request.EmailAddresses, request.URIs
	return x509.CreateCertificate(rand.Reader, t, authority, request.PublicKey, key)
}

// template is a certificate for a service.
func template(public crypto.PublicKey, days int, now time.Time) (*x509.Certificate, error) {
	if days == 0 {
		days = DefaultDays
	}
	// RFC 5280 section 4.1.2.2: up to 20 bytes, positive; nobody can guess this one.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	usage := x509.KeyUsageDigitalSignature
	if _, isRSA := public.(*rsa.PublicKey); isRSA {
		usage |= x509.KeyUsageKeyEncipherment
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), NotBefore: now.Add(-backdate), NotAfter: now.AddDate(0, 0, days),
		KeyUsage: usage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}, nil
}

// EncodeKey writes a private key as PKCS#8 in PEM.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// EncodeRequest writes a request in PEM.
func EncodeRequest(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// EncodeCertificates writes certificates in PEM one after the other.
func EncodeCertificates(list ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range list {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
