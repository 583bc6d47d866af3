package turn

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strconv"
	"time"
)

// clockSkew is how long after its end a time-limited user name is still taken: the clocks of the Call Bridge that made it
// and of this server need not agree better than that.
const clockSkew = 5 * time.Minute

// credentials are who may ask for an allocation. They never change; others take their place.
type credentials struct {
	realm string
	// secret is set with time-limited user names ("<unix time of the end>:<anything>"), whose password is the secret's HMAC of
	// the name in base64; user and password are used without.
	secret         []byte
	user, password string
}

// outcome says why somebody is refused.
type outcome int

const (
	granted outcome = iota
	unknownUser
	expiredUser
	wrongKey
)

// check tells whether a request was signed by somebody with credentials, and gives the key. It takes as long for a user
// that does not exist as for one with another password.
func (c *credentials) check(m *message, now time.Time) (key []byte, result outcome) {
	if c.secret == nil {
		key := longTermKey(m.username, c.realm, c.password)
		known := subtle.ConstantTimeCompare(m.username, []byte(c.user)) == 1 && c.user != ""
		signed := m.authentic(key)
		switch {
		case !known:
			return nil, unknownUser
		case !signed:
			return nil, wrongKey
		}
		return key, granted
	}
	end, ok := endOf(m.username)
	if !ok {
		return nil, unknownUser
	}
	// HMAC-SHA1 is what Call Bridges and coturn's clients use, and comes first.
	for _, h := range []func() hash.Hash{sha1.New, sha256.New} {
		key := longTermKey(m.username, c.realm, timeLimitedPassword(h, c.secret, m.username))
		if m.authentic(key) {
			if now.After(end.Add(clockSkew)) {
				return nil, expiredUser
			}
			return key, granted
		}
	}
	return nil, wrongKey
}

// endOf reads when a time-limited user name ends.
func endOf(username []byte) (time.Time, bool) {
	digits, _, _ := bytes.Cut(username, []byte(":"))
	seconds, err := strconv.ParseInt(string(digits), 10, 64)
	// The year 9999 keeps what is added to it in range.
	if err != nil || seconds <= 0 || seconds > 253402300799 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

func timeLimitedPassword(h func() hash.Hash, secret, username []byte) string {
	mac := hmac.New(h, secret)
	mac.Write(username)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// longTermKey is the key of RFC 8489 section 9.2.2 for the password algorithm MD5, the one that every client knows.
func longTermKey(username []byte, realm, password string) []byte {
	h := md5.New()
	h.Write(username)
	h.Write([]byte(":" + realm + ":" + password))
	return h.Sum(nil)
}
