package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/media/control"
)

// suites with the bytes of key and salt together (RFC 4568 section 6.2, RFC 7714 section 12), in the order of preference.
var suites = []struct {
	name string
	size int
}{{control.SuiteAEAD256, 44}, {control.SuiteAEAD128, 28}, {control.SuiteAESCM80, 30}, {control.SuiteAESCM32, 30}}

func keySize(suite string) int {
	for _, s := range suites {
		if s.name == suite {
			return s.size
		}
	}
	return 0
}

// suites are those of the policy that there are, or all.
func (p *Policy) suites() []string {
	var names []string
	for _, name := range p.Suites {
		if keySize(name) > 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if names != nil {
		return names
	}
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// cryptoLine is an a=crypto that can be used.
type cryptoLine struct {
	tag   int
	suite string
	key   []byte
}

// maxCrypto bounds the crypto lines of an m-line that are looked at; Lync sends 3, CE endpoints 5.
const maxCrypto = 32

// cryptos are the usable keys in the order of the offer. What cannot be honoured is left out, as RFC 4568, 5.1.2 asks: unknown suites,
// master key identifiers (the media engine's packets have none), key derivation rates and session parameters that we must know.
func (m *media) cryptos() (list []cryptoLine, all int) {
	m.all("crypto", func(value string) {
		if all++; all > maxCrypto {
			return
		}
		if c, err := parseCrypto(value); err == nil {
			list = append(list, c)
		}
	})
	return list, all
}

// parseCrypto reads "tag suite inline:key|lifetime|mki:length;… parameters". Its errors do not show the key.
func parseCrypto(value string) (c cryptoLine, err error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return c, errors.New("crypto: want a tag, a suite and a key")
	}
	if c.tag, err = strconv.Atoi(f[0]); err != nil || len(f[0]) > 9 || c.tag < 0 {
		return c, fmt.Errorf("crypto: tag %.12q: want 1 to 9 digits", f[0])
	}
	c.suite = strings.ToUpper(f[1])
	size := keySize(c.suite)
	if size == 0 {
		return c, fmt.Errorf("crypto: suite %.40q is not known", f[1])
	}
	keys := strings.Split(f[2], ";")
	if len(keys) != 1 {
		return c, errors.New("crypto: several master keys need identifiers, which are not supported")
	}
	method, info, _ := strings.Cut(keys[0], ":")
	if !strings.EqualFold(method, "inline") {
		return c, fmt.Errorf("crypto: key method %.20q: want inline", method)
	}
	parts := strings.Split(info, "|")
	if c.key, err = base64.StdEncoding.DecodeString(pad(parts[0])); err != nil || len(c.key) != size {
		return c, fmt.Errorf("crypto: %s wants %d bytes of key and salt in base64", c.suite, size)
	}
	for _, p := range parts[1:] {
		if strings.Contains(p, ":") {
			return c, errors.New("crypto: master key identifiers are not supported")
		}
		if !validLifetime(p) {
			return c, fmt.Errorf("crypto: lifetime %.20q: want a number up to 2^48", p)
		}
	}
	for _, p := range f[3:] {
		switch name, value, _ := strings.Cut(strings.ToUpper(p), "="); {
		case name == "WSH", strings.HasPrefix(name, "-"):
			// Window size is a hint; parameters with a minus may be ignored.
		case name == "KDR" && value == "0":
		default:
			return c, fmt.Errorf("crypto: session parameter %.40q is not supported", p)
		}
	}
	return c, nil
}

// pad completes base64 that lost its equals signs on the way.
func pad(s string) string {
	s = strings.TrimRight(s, "=")
	return s + strings.Repeat("=", (4-len(s)%4)%4)
}

// validLifetime takes "2^31" or a decimal number. How long a key lasts is not watched: at 5,000 packets a second 2^31 are five days.
func validLifetime(s string) bool {
	if power, ok := strings.CutPrefix(s, "2^"); ok {
		n, err := strconv.Atoi(power)
		return err == nil && n > 0 && n <= 48
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && n > 0 && n <= 1<<48
}

func (c cryptoLine) String() string {
	return fmt.Sprintf("%d %s inline:%s", c.tag, c.suite, base64.StdEncoding.EncodeToString(c.key))
}

// key is our key of a stream in a suite: the same one for the life of the line, until the far end is another.
func (s *Session) key(l *line, suite string) []byte {
	for _, c := range l.keys {
		if c.suite == suite {
			return c.key
		}
	}
	key := make([]byte, keySize(suite))
	if _, err := io.ReadFull(s.random, key); err != nil {
		// A description without its key must not go out; see write.
		s.broken = fmt.Errorf("make an srtp key: %w", err)
	}
	l.keys = append(slices.Clip(l.keys), cryptoLine{suite: suite, key: key})
	return key
}

// fingerprints are those of DTLS-SRTP, "sha-256 AB:CD:…", at most as many as a transport may have.
func (m *media) fingerprints() (list []string) {
	take := func(value string) {
		hash, digest, ok := strings.Cut(value, " ")
		if hash, digest = strings.ToLower(hash), strings.ToUpper(strings.TrimSpace(digest)); ok && len(list) < 8 && len(digest) <= 64*3 && hexPairs(digest) {
			list = append(list, hash+" "+digest)
		}
	}
	m.all("fingerprint", take)
	if list == nil {
		m.session.all("fingerprint", take)
	}
	return list
}

func hexPairs(s string) bool {
	if len(s)%3 != 2 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i%3 == 2 {
			if c != ':' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
