package sip

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// credentials answer challenges of a trunk (RFC 7616, RFC 8760).
type credentials struct {
	user, password string
	nonce          string
	count          uint32
	header         Header // of the last authorised INVITE, for its ACK
}

// challenge is a WWW-Authenticate or Proxy-Authenticate value.
type challenge struct {
	realm, nonce, opaque, algorithm string
	auth                            bool // qop has auth
	anyQop                          bool
	stale                           bool
}

// parseChallenge reads one; false for schemes and algorithms that we do not have.
func parseChallenge(s string) (challenge, bool) {
	var c challenge
	scheme, rest, ok := strings.Cut(strings.TrimLeft(s, " \t"), " ")
	if !ok || !equalFold(scheme, "Digest") {
		return c, false
	}
	for rest != "" {
		var e string
		e, rest = cutElement(rest)
		name, v, _, _ := cutParam(e)
		switch strings.ToLower(name) {
		case "realm":
			c.realm = v
		case "nonce":
			c.nonce = v
		case "opaque":
			c.opaque = v
		case "algorithm":
			c.algorithm = strings.ToUpper(v)
		case "stale":
			c.stale = equalFold(v, "true")
		case "qop":
			c.anyQop = true
			for _, q := range strings.Split(v, ",") {
				if equalFold(strings.TrimSpace(q), "auth") {
					c.auth = true
				}
			}
		}
	}
	switch c.algorithm {
	case "", "MD5", "SHA-256":
	default:
		return c, false
	}
	return c, c.nonce != "" && (c.auth || !c.anyQop) && !hasControl(c.realm+c.nonce+c.opaque)
}

// authorization answers the challenge in r. tried is set; a second challenge is answered only when the nonce was stale.
func (c *Call) authorization(method, uri string, r *message, tried *bool) (Header, bool) {
	a := &c.auth
	if a.user == "" {
		return Header{}, false
	}
	from, to := "WWW-Authenticate", "Authorization"
	if r.code == 407 {
		from, to = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var best challenge
	found := false
	for _, v := range r.values(from) {
		ch, ok := parseChallenge(v)
		// The strongest that both have (RFC 8760 2.4).
		if ok && (!found || ch.algorithm == "SHA-256" && best.algorithm != "SHA-256") {
			best, found = ch, true
		}
	}
	if !found || *tried && !best.stale {
		return Header{}, false
	}
	*tried = true
	if best.nonce != a.nonce {
		a.nonce, a.count = best.nonce, 0
	}
	a.count++
	h := Header{to, best.answer(a.user, a.password, method, uri, random(16), a.count)}
	if method == "INVITE" {
		a.header = h
	}
	return h, true
}

// answer writes the credentials.
func (ch challenge) answer(user, password, method, uri, cnonce string, count uint32) string {
	hash := func(s string) string {
		if ch.algorithm == "SHA-256" {
			b := sha256.Sum256([]byte(s))
			return hex.EncodeToString(b[:])
		}
		b := md5.Sum([]byte(s))
		return hex.EncodeToString(b[:])
	}
	a1, a2 := hash(user+":"+ch.realm+":"+password), hash(method+":"+uri)
	nc := fmt.Sprintf("%08x", count)
	response := ""
	if ch.auth {
		response = hash(a1 + ":" + ch.nonce + ":" + nc + ":" + cnonce + ":auth:" + a2)
	} else {
		response = hash(a1 + ":" + ch.nonce + ":" + a2)
	}
	var b strings.Builder
	b.WriteString("Digest username=" + quote(user) + ", realm=" + quote(ch.realm) + ", nonce=" + quote(ch.nonce) + ", uri=" + quote(uri) +
		", response=\"" + response + "\"")
	if ch.algorithm != "" {
		b.WriteString(", algorithm=" + ch.algorithm)
	}
	if ch.auth {
		b.WriteString(", qop=auth, nc=" + nc + ", cnonce=\"" + cnonce + "\"")
	}
	if ch.opaque != "" {
		b.WriteString(", opaque=" + quote(ch.opaque))
	}
	return b.String()
}

// authorize puts credentials into a request that was challenged.
func (c *Call) authorize(m, r *message, tried *bool) bool {
	h, ok := c.authorization(m.method, m.uri, r, tried)
	if !ok {
		return false
	}
	kept := m.headers[:0]
	for _, o := range m.headers {
		if o.Name != h.Name {
			kept = append(kept, o)
		}
	}
	m.headers = append(kept, h)
	return true
}
