package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
)

// Names of the suites, as SDP (RFC 4568, RFC 7714) and the control protocol spell them.
const (
	AEAD256 = "AEAD_AES_256_GCM"
	AEAD128 = "AEAD_AES_128_GCM"
	AESCM80 = "AES_CM_128_HMAC_SHA1_80"
	AESCM32 = "AES_CM_128_HMAC_SHA1_32"
)

// suite is one row of the table of suites; lengths in bytes.
type suite struct {
	name         string
	profile      uint16 // of DTLS-SRTP, IANA registry
	key, salt    int
	aead         bool
	tag, tagRTCP int
}

// RFC 4568 section 6.2 and RFC 7714 section 12. With the short tag SRTCP still has the long one (RFC 4568 section 6.2.2).
var suites = []suite{
	{name: AEAD256, profile: 0x0008, key: 32, salt: 12, aead: true, tag: 16, tagRTCP: 16},
	{name: AEAD128, profile: 0x0007, key: 16, salt: 12, aead: true, tag: 16, tagRTCP: 16},
	{name: AESCM80, profile: 0x0001, key: 16, salt: 14, tag: 10, tagRTCP: 10},
	{name: AESCM32, profile: 0x0002, key: 16, salt: 14, tag: 4, tagRTCP: 10},
}

func suiteOf(name string) *suite {
	for i := range suites {
		if suites[i].name == name {
			return &suites[i]
		}
	}
	return nil
}

// Suites returns the names of all suites, in the order in which they are best offered.
func Suites() []string {
	names := make([]string, len(suites))
	for i := range suites {
		names[i] = suites[i].name
	}
	return names
}

// ByProfile returns the suite of a DTLS-SRTP protection profile (use_srtp, RFC 5764 section 4.1.2).
func ByProfile(profile uint16) (name string, ok bool) {
	for i := range suites {
		if suites[i].profile == profile {
			return suites[i].name, true
		}
	}
	return "", false
}

// Lengths returns how long key and salt of a suite are, in bytes.
func Lengths(name string) (key, salt int, err error) {
	s := suiteOf(name)
	if s == nil {
		return 0, 0, fmt.Errorf("unknown SRTP suite %q", name)
	}
	return s.key, s.salt, nil
}

// NewInline returns the context for keying material as SDES carries it after "inline:", decoded: the key, then the salt
// (RFC 4568 section 6.1).
func NewInline(name string, material []byte) (*Context, error) {
	key, salt, err := Lengths(name)
	if err != nil {
		return nil, err
	}
	if len(material) != key+salt {
		return nil, fmt.Errorf("%s with %d bytes of key and salt: want %d", name, len(material), key+salt)
	}
	return New(name, material[:key], material[key:])
}

// ExporterLabel is the label of the DTLS exporter for SRTP (RFC 5764 section 4.2), ExporterLength how much to export.
const ExporterLabel = "EXTRACTOR-dtls_srtp"

// ExporterLength returns how many bytes to export for a suite.
func ExporterLength(name string) (int, error) {
	key, salt, err := Lengths(name)
	return 2 * (key + salt), err
}

// NewExported returns the contexts for what the DTLS exporter gave: client key, server key, client salt, server salt
// (RFC 5764 section 4.2). The DTLS client is the active side.
func NewExported(name string, material []byte, client bool) (send, receive *Context, err error) {
	key, salt, err := Lengths(name)
	if err != nil {
		return nil, nil, err
	}
	if len(material) != 2*(key+salt) {
		return nil, nil, fmt.Errorf("%s with %d exported bytes: want %d", name, len(material), 2*(key+salt))
	}
	keys, salts := material[:2*key], material[2*key:]
	send, err = New(name, keys[:key], salts[:salt])
	if err != nil {
		return nil, nil, err
	}
	receive, err = New(name, keys[key:], salts[salt:])
	if err != nil {
		return nil, nil, err
	}
	if !client {
		send, receive = receive, send
	}
	return send, receive, nil
}

// Labels of key derivation, RFC 3711 section 4.3.2: each kind has its encryption key, authentication key and salt in a row.
const (
	labelRTP  = 0
	labelRTCP = 3
)

// init derives the session keys.
func (s *session) init(u *suite, key, salt []byte, label byte, tag int) error {
	master, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	encryption := derive(master, salt, label, u.key)
	block, err := aes.NewCipher(encryption)
	if err != nil {
		return err
	}
	copy(s.salt[:], derive(master, salt, label+2, u.salt))
	if u.aead {
		s.aead, err = cipher.NewGCM(block)
		return err
	}
	s.ctr.init(block, encryption)
	s.mac = hmac.New(sha1.New, derive(master, salt, label+1, sha1.Size))
	s.size = tag
	return nil
}

// derive is the pseudo-random function of RFC 3711 section 4.3.3 with a key derivation rate of 0: AES in counter mode over
// the salt with the label in its eighth byte. A salt of 12 bytes is padded on the right (RFC 7714 section 11).
func derive(master cipher.Block, salt []byte, label byte, n int) []byte {
	var in, out [aes.BlockSize]byte
	copy(in[:14], salt)
	in[7] ^= label
	var key []byte
	for i := 0; len(key) < n; i++ {
		binary.BigEndian.PutUint16(in[14:], uint16(i))
		master.Encrypt(out[:], in[:])
		key = append(key, out[:]...)
	}
	return key[:n]
}
