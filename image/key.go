package main

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
)

// developmentSeed makes the development key. It is public on purpose: ANYONE CAN SIGN UPGRADES FOR AN IMAGE THAT IS
// BUILT WITHOUT A KEY OF ITS OWN. Such an image calls its key "development", which the version command shows.
const developmentSeed = "Rotunda development signing key. Everyone has it. Never trust it on a machine in service."

// signingKey signs upgrades.
type signingKey struct {
	// Name is "release" or "development".
	Name string
	ed25519.PrivateKey
}

// loadKey reads the key from a file: PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it, or the 32
// bytes of the seed in base64. No file means the development key.
func loadKey(file string) (signingKey, error) {
	if file == "" {
		seed := sha256.Sum256([]byte(developmentSeed))
		return signingKey{"development", ed25519.NewKeyFromSeed(seed[:])}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return signingKey{}, fmt.Errorf("read signing key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return signingKey{}, fmt.Errorf("read signing key %s: %w", file, err)
	}
	return signingKey{"release", key}, nil
}

func parseKey(text []byte) (ed25519.PrivateKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, errors.New("not an Ed25519 key")
		}
		return key, nil
	}
	seed, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("neither PEM nor a seed of 32 bytes in base64")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// public returns the public key as the image keeps it: base64 on one line.
func (k signingKey) public() []byte {
	raw := k.Public().(ed25519.PublicKey)
	return append(base64.StdEncoding.AppendEncode(nil, raw), '\n')
}
