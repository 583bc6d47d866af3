// Package usm is the cryptography of SNMPv3's user-based security model: keys of passwords, signatures and encryption (RFC 3414, AES
// by RFC 3826, SHA-2 by RFC 7860).
//
// A password is made a key that is good for one engine (it is localised), and only that is kept: who reads the
// configuration learns nothing that opens another machine. The management shell makes keys, the agent uses them.
package usm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// Auth is how messages are signed.
type Auth struct {
	// Name is as commands have it.
	Name string
	new  func() hash.Hash
	// Signature is the length of what is sent of a digest.
	Signature int
	// Approved says that FIPS 140-3 allows it.
	Approved bool
}

// Auths are all there are.
var Auths = []Auth{
	{"MD5", md5.New, 12, false},
	{"SHA", sha1.New, 12, true},
	{"SHA224", sha256.New224, 16, true},
	{"SHA256", sha256.New, 24, true},
	{"SHA384", sha512.New384, 32, true},
	{"SHA512", sha512.New, 48, true},
}

// Privacy is how messages are encrypted.
type Privacy struct {
	Name     string
	Approved bool
}

// Privacies are all there are.
var Privacies = []Privacy{{"DES", false}, {"AES", true}}

// MinPassword is the shortest password (RFC 3414 section 11.2), MaxPassword the longest that is taken.
const (
	MinPassword = 8
	MaxPassword = 128
)

// AuthByName finds one.
func AuthByName(name string) (Auth, bool) {
	for _, a := range Auths {
		if a.Name == name {
			return a, true
		}
	}
	return Auth{}, false
}

// PrivacyByName finds one.
func PrivacyByName(name string) (Privacy, bool) {
	for _, p := range Privacies {
		if p.Name == name {
			return p, true
		}
	}
	return Privacy{}, false
}

// Size is how long a key is.
func (a Auth) Size() int { return a.new().Size() }

// Localize makes the key of a password for an engine (RFC 3414 appendix A.2): a megabyte of the password is hashed, so
// that guessing takes its time.
func (a Auth) Localize(password string, engine []byte) ([]byte, error) {
	if len(password) < MinPassword || len(password) > MaxPassword {
		return nil, fmt.Errorf("a password of SNMP has %d to %d characters", MinPassword, MaxPassword)
	}
	const expanded = 1 << 20
	h := a.new()
	// The password again and again, cut at the end; whole blocks of it at a time.
	block := make([]byte, 0, 64*len(password))
	for range 64 {
		block = append(block, password...)
	}
	for left := expanded; left > 0; {
		n := min(left, len(block))
		h.Write(block[:n])
		left -= n
	}
	key := h.Sum(nil)
	h = a.new()
	h.Write(key)
	h.Write(engine)
	h.Write(key)
	return h.Sum(nil), nil
}

// Sign returns the signature of a whole message whose place for it is zero.
func (a Auth) Sign(key, message []byte) []byte {
	h := hmac.New(a.new, key)
	h.Write(message)
	return h.Sum(nil)[:a.Signature]
}

// SaltSize of both ciphers: it goes beside the message.
const SaltSize = 8

// keySize is what both ciphers take of a localised key; even MD5's has as much.
const keySize = 16

var (
	errKey    = errors.New("key is too short")
	errCipher = errors.New("encrypted part does not have a fitting length")
)

// Encrypt encrypts a scoped PDU. The salt must never come again with a key.
func (p Privacy) Encrypt(key []byte, boots, seconds int32, salt [SaltSize]byte, plain []byte) ([]byte, error) {
	if len(key) < keySize {
		return nil, errKey
	}
	if p.Name == "DES" {
		block, iv, err := desBlock(key, salt[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, (len(plain)+7)&^7)
		copy(out, plain)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
		return out, nil
	}
	block, err := aes.NewCipher(key[:keySize])
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(plain))
	feedback(block, aesVector(boots, seconds, salt[:]), out, plain, out)
	return out, nil
}

// Decrypt is the other way. Of DES, padding comes after the PDU.
func (p Privacy) Decrypt(key []byte, boots, seconds int32, salt, encrypted []byte) ([]byte, error) {
	if len(key) < keySize {
		return nil, errKey
	}
	if len(salt) != SaltSize {
		return nil, errCipher
	}
	out := make([]byte, len(encrypted))
	if p.Name == "DES" {
		if len(encrypted)%8 != 0 {
			return nil, errCipher
		}
		block, iv, err := desBlock(key, salt)
		if err != nil {
			return nil, err
		}
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, encrypted)
		return out, nil
	}
	block, err := aes.NewCipher(key[:keySize])
	if err != nil {
		return nil, err
	}
	feedback(block, aesVector(boots, seconds, salt), out, encrypted, encrypted)
	return out, nil
}

// desBlock: the first half of the key is DES's, the second goes into the vector (RFC 3414 section 8.1.1.1).
func desBlock(key, salt []byte) (cipher.Block, []byte, error) {
	block, err := des.NewCipher(key[:8])
	if err != nil {
		return nil, nil, err
	}
	iv := make([]byte, 8)
	for i := range iv {
		iv[i] = key[8+i] ^ salt[i]
	}
	return block, iv, nil
}

// aesVector is RFC 3826 section 3.1.2.1.
func aesVector(boots, seconds int32, salt []byte) []byte {
	iv := make([]byte, aes.BlockSize)
	binary.BigEndian.PutUint32(iv, uint32(boots))
	binary.BigEndian.PutUint32(iv[4:], uint32(seconds))
	copy(iv[8:], salt)
	return iv
}

// feedback is CFB128 (RFC 3826 section 3.1.3): what is encrypted, in or out, feeds the next block. The standard library has
// given its own up, since it signs nothing; here the signature of the message does.
func feedback(block cipher.Block, iv, out, in, encrypted []byte) {
	var mask [aes.BlockSize]byte
	for at := 0; at < len(in); at += aes.BlockSize {
		block.Encrypt(mask[:], iv)
		end := min(at+aes.BlockSize, len(in))
		for i := at; i < end; i++ {
			out[i] = in[i] ^ mask[i-at]
		}
		if end-at == aes.BlockSize {
			iv = encrypted[at:end]
		}
	}
}
