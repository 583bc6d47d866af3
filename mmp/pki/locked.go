package pki

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
)

// Locked is a private key behind a pass phrase.
type Locked struct {
	// block is set for the encryption of PEM itself, der for PKCS#8.
	block *pem.Block
	der   []byte
}

// ErrPassphrase means that the pass phrase does not open the key.
var ErrPassphrase = errors.New("the pass phrase is wrong, or the file is damaged")

// Unlock opens the key.
func (l Locked) Unlock(passphrase string) (crypto.Signer, error) {
	var der []byte
	var err error
	if l.block != nil {
		// The method is broken (RFC 1421: one round of MD5, and nothing that detects a change), which is why it is deprecated;
		// to get a key out of it, it is what has to be done.
		//lint:ignore SA1019 see above
		der, err = x509.DecryptPEMBlock(l.block, []byte(passphrase))
		if err != nil {
			if errors.Is(err, x509.IncorrectPasswordError) {
				return nil, ErrPassphrase
			}
			return nil, fmt.Errorf("the encryption of the key is not known: %w", reason(err))
		}
	} else if der, err = decryptPKCS8(l.der, []byte(passphrase)); err != nil {
		return nil, err
	}
	key, err := parseKey(der)
	if err != nil {
		// A wrong pass phrase leaves padding that looks right once in 256 times.
		return nil, ErrPassphrase
	}
	return key, nil
}

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	Derivation, Encryption pkix.AlgorithmIdentifier
}

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	Length     int                      `asn1:"optional"`
	Function   pkix.AlgorithmIdentifier `asn1:"optional"`
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oid3DES   = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}

	hashes = map[string]func() hash.Hash{
		"":                    sha1.New, // the default of RFC 8018
		"1.2.840.113549.2.7":  sha1.New,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
	// ciphers are AES in CBC, by the size of their keys in bytes.
	ciphers = map[string]int{
		"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32, oid3DES.String(): 24,
	}
)

// looksEncrypted reports whether the data is a PKCS#8 key behind a pass phrase.
func looksEncrypted(data []byte) bool {
	var e encryptedKey
	rest, err := asn1.Unmarshal(data, &e)
	return err == nil && len(rest) == 0 && len(e.Data) > 0
}

// decryptPKCS8 opens a key by RFC 8018 section 6.2 (PBES2 with PBKDF2), which is what programs have written for twenty years.
func decryptPKCS8(data, passphrase []byte) ([]byte, error) {
	if len(data) > MaxKey {
		return nil, fmt.Errorf("a key of %d bytes; at most %d are read", len(data), MaxKey)
	}
	var e encryptedKey
	if rest, err := asn1.Unmarshal(data, &e); err != nil || len(rest) > 0 {
		return nil, errors.New("the encrypted key is damaged")
	}
	if !e.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("the key is encrypted by a method that is not known (%s): write it anew by openssl pkcs8 -topk8 -v2 aes256", e.Algorithm.Algorithm)
	}
	var p pbes2
	if rest, err := asn1.Unmarshal(e.Algorithm.Parameters.FullBytes, &p); err != nil || len(rest) > 0 {
		return nil, errors.New("the encrypted key is damaged: its parameters cannot be read")
	}
	if !p.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("the pass phrase is hashed by a method that is not known (%s): write the key anew by openssl pkcs8 -topk8 -v2 aes256", p.Derivation.Algorithm)
	}
	var k pbkdf2Parameters
	if rest, err := asn1.Unmarshal(p.Derivation.Parameters.FullBytes, &k); err != nil || len(rest) > 0 {
		return nil, errors.New("the encrypted key is damaged: its salt cannot be read")
	}
	function := ""
	if k.Function.Algorithm != nil {
		function = k.Function.Algorithm.String()
	}
	newHash, size := hashes[function], ciphers[p.Encryption.Algorithm.String()]
	switch {
	case k.Iterations < 1 || k.Iterations > maxIterations:
		return nil, fmt.Errorf("the pass phrase is hashed %d times; 1 to %d are taken", k.Iterations, maxIterations)
	case newHash == nil:
		return nil, fmt.Errorf("the pass phrase is hashed by a function that is not known (%s)", function)
	case size == 0:
		return nil, fmt.Errorf("the key is encrypted by a cipher that is not known (%s); AES and 3DES in CBC are", p.Encryption.Algorithm)
	}
	var iv []byte
	if rest, err := asn1.Unmarshal(p.Encryption.Parameters.FullBytes, &iv); err != nil || len(rest) > 0 {
		return nil, errors.New("the encrypted key is damaged: its initialization vector cannot be read")
	}
	secret, err := pbkdf2.Key(newHash, string(passphrase), k.Salt, k.Iterations, size)
	if err != nil {
		return nil, fmt.Errorf("hash the pass phrase: %w", err)
	}
	var block cipher.Block
	if p.Encryption.Algorithm.Equal(oid3DES) {
		block, err = des.NewTripleDESCipher(secret)
	} else {
		block, err = aes.NewCipher(secret)
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt the key: %w", err)
	}
	n := block.BlockSize()
	if len(iv) != n || len(e.Data) == 0 || len(e.Data)%n != 0 {
		return nil, errors.New("the encrypted key is damaged: it is no whole number of blocks")
	}
	plain := make([]byte, len(e.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, e.Data)
	return unpad(plain, n)
}

// unpad takes the padding of RFC 5652 section 6.3 away.
func unpad(plain []byte, size int) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n < 1 || n > size || n > len(plain) {
		return nil, ErrPassphrase
	}
	good := 1
	for _, b := range plain[len(plain)-n:] {
		good &= subtle.ConstantTimeByteEq(b, byte(n))
	}
	if good == 0 {
		return nil, ErrPassphrase
	}
	return plain[:len(plain)-n], nil
}
