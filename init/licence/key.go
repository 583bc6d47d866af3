package licence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// declaredKey verifies licences where the image has no key of its own. It is the public half of [DevelopmentKey], so that everybody can make
// licences to test with. What it protects is nobody's income: without a licence everything is allowed anyway.
const declaredKey = "/h3DCXqsUhBGl59xEV7cK5UgrrBdIT8oW6AHdBGiNdk="

// developmentSeed makes the development key. It is public on purpose.
const developmentSeed = "Rotunda development licence key. Everyone has it. It protects nothing."

// DevelopmentKey signs licences for images without a key of their own.
func DevelopmentKey() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(developmentSeed))
	return ed25519.NewKeyFromSeed(seed[:])
}

// KeyFolder holds the keys that whoever builds an image trusts for licences, each the 32 bytes of a public key in base64 on one line. It is
// part of the signed image, so an administrator cannot put one there.
const KeyFolder = "/etc/rotunda/licence-keys"

// Keys are those that verify licences on this machine: those of the folder, or the declared one when there are none. A key that cannot be
// read is an error: it must not open the door to the declared one.
func Keys(folder string) ([]ed25519.PublicKey, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.pub"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		k, err := parsePublic([]byte(declaredKey))
		return []ed25519.PublicKey{k}, err
	}
	var keys []ed25519.PublicKey
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read licence key: %w", err)
		}
		k, err := parsePublic(b)
		if err != nil {
			return nil, fmt.Errorf("read licence key %s: %w", f, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func parsePublic(b []byte) (ed25519.PublicKey, error) {
	k, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, errors.New("it is not 32 bytes in base64")
	}
	return k, nil
}

// ParsePrivate reads a key to sign with: PKCS #8 in PEM, as openssl genpkey -algorithm ed25519 writes it, or the 32 bytes of the seed in
// base64.
func ParsePrivate(text []byte) (ed25519.PrivateKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, errors.New("it is not an Ed25519 key")
		}
		return key, nil
	}
	seed, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("it is neither PEM nor a seed of 32 bytes in base64")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
