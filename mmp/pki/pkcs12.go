package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// Archive is what a PKCS#12 file holds.
type Archive struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
	// Chain are the other certificates.
	Chain []*x509.Certificate
}

// OpenPKCS12 opens a PKCS#12 file, also known as PFX.
func OpenPKCS12(data []byte, passphrase string) (a *Archive, err error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("larger than %d bytes", MaxFile)
	}
	if !looksPKCS12(data) {
		return nil, errors.New("not a PKCS#12 file")
	}
	if err := boundHashing(data, 0); err != nil {
		return nil, err
	}
	// The decoder is not ours, and what it reads comes from outside.
	defer func() {
		if recover() != nil {
			a, err = nil, errors.New("the PKCS#12 file is damaged")
		}
	}()
	key, certificate, chain, err := pkcs12.DecodeChain(data, passphrase)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, ErrPassphrase
	case err != nil:
		return nil, fmt.Errorf("the PKCS#12 file cannot be read: %s", Printable(err.Error()))
	case len(chain) > MaxObjects:
		return nil, fmt.Errorf("more than %d certificates", MaxObjects)
	}
	for _, c := range append([]*x509.Certificate{certificate}, chain...) {
		if err := boundPublic(c.PublicKey); err != nil {
			return nil, err
		}
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the PKCS#12 file holds a key that cannot sign")
	}
	return &Archive{Key: signer, Certificate: certificate, Chain: chain}, nil
}

// looksPKCS12 reports whether the data begins as RFC 7292 section 4 says: version 3, then content of PKCS#7.
func looksPKCS12(data []byte) bool {
	var outer struct {
		Version int
		Content struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
		}
		MAC asn1.RawValue `asn1:"optional"`
	}
	rest, err := asn1.Unmarshal(data, &outer)
	return err == nil && len(rest) == 0 && outer.Version == 3 && len(outer.Content.Type) > 6 &&
		outer.Content.Type[:6].Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7})
}

// maxNesting of a PKCS#12 file: the parameters of the key's encryption are at 14.
const maxNesting = 32

// boundHashing refuses a file that asks for more hashing of the pass phrase than [maxIterations], which the decoder would do.
// All such parameters are a sequence that begins with an octet string and a number (RFC 8018 appendix A, RFC 7292 appendix C), or
// the MAC's, where another sequence is before them. What is inside of an encrypted part is not seen.
func boundHashing(data []byte, depth int) error {
	if depth > maxNesting {
		return errors.New("the PKCS#12 file is nested too deeply")
	}
	salt, numbers := false, 0
	for len(data) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(data, &v)
		if err != nil {
			// An octet string that holds no DER.
			return nil
		}
		data = rest
		universal := v.Class == asn1.ClassUniversal
		switch {
		case universal && v.Tag == asn1.TagInteger:
			if salt {
				if err := boundNumber(v, numbers); err != nil {
					return err
				}
				numbers++
			}
			continue
		case universal && v.Tag == asn1.TagOctetString && !v.IsCompound:
			salt, numbers = true, 0
		default:
			salt = false
		}
		if v.IsCompound || universal && v.Tag == asn1.TagOctetString {
			if err := boundHashing(v.Bytes, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// boundNumber takes the number of iterations, and behind it the length of the key.
func boundNumber(v asn1.RawValue, which int) error {
	var n int64
	if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil || which == 0 && n > maxIterations {
		return fmt.Errorf("the pass phrase is hashed too often; up to %d times are taken", maxIterations)
	}
	if which > 0 && n > 64 {
		return errors.New("the PKCS#12 file asks for a key that is too long")
	}
	return nil
}

// firstElement is the first value of DER, all of it if there is none.
func firstElement(der []byte) []byte {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return der
	}
	return v.FullBytes
}
