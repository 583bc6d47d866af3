package transport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha1" // fingerprints of old endpoints
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// certificate is the worker's own, self-signed: what makes it trusted is the fingerprint in the signalling (RFC 5763).
type certificate struct {
	tls         tls.Certificate
	fingerprint string
}

// lifetime is longer than a worker runs; nobody checks it (RFC 8122, section 7), but expired certificates look bad in logs.
const lifetime = 365 * 24 * time.Hour

func newCertificate() (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "rotunda"},
		NotBefore:    time.Now().Add(-24 * time.Hour), // clocks of peers differ
		NotAfter:     time.Now().Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	return certificate{
		tls:         tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		fingerprint: "sha-256 " + colons(sum[:]),
	}, nil
}

// colons writes a hash as in the fingerprint attribute: AB:CD:….
func colons(sum []byte) string {
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

// hashes of RFC 8122, section 5. MD2 and MD5 are not accepted.
var hashes = map[string]crypto.Hash{"sha-1": crypto.SHA1, "sha-224": crypto.SHA224, "sha-256": crypto.SHA256, "sha-384": crypto.SHA384, "sha-512": crypto.SHA512}

var errFingerprint = errors.New("certificate has none of the signalled fingerprints")

// verify checks that a certificate has one of the fingerprints "sha-256 AB:CD:…".
func verify(der []byte, fingerprints []string) error {
	for _, f := range fingerprints {
		name, want, _ := strings.Cut(strings.TrimSpace(f), " ")
		hash, ok := hashes[strings.ToLower(name)]
		if !ok {
			continue
		}
		h := hash.New()
		h.Write(der)
		if strings.EqualFold(colons(h.Sum(nil)), strings.TrimSpace(want)) {
			return nil
		}
	}
	return errFingerprint
}
