package sip

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
)

// credentials answer the challenges of a trunk and of the proxies before it (RFC 7616, RFC 8760). What was asked once is answered unasked in the
// requests that follow (RFC 3261 22.2, 22.3).
type credentials struct {
	user, password string
	asked          []realm
	invite         []Header // of the last INVITE, for its ACK (RFC 3261 22.1)
}

// realm is who asked, and how often it was answered with its nonce.
type realm struct {
	challenge
	proxy bool
	count uint32
	// cnonce is ours while the nonce is the same, for the algorithms whose key is made from the first one (RFC 7616 3.4.2); "" before.
	cnonce string
}

// maxRealms bounds who may ask within one call.
const maxRealms = 8

// tries are the challenges to one request that were answered: by realm, and in all.
type tries struct {
	realms []realm
	n      int
}

// maxTries is how often one request may be challenged: a proxy, the far end, and nonces that have run out.
const maxTries = 5

// challenge is a WWW-Authenticate or Proxy-Authenticate value.
type challenge struct {
	realm, nonce, opaque string
	algorithm            string // as it was spelled
	auth                 bool   // qop has auth
	anyQop               bool
	stale                bool
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
			c.algorithm = v
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
	hash, session := c.hash()
	if hash == nil || session && !c.auth {
		return c, false // the key of a session needs a cnonce, which there is none of without qop
	}
	return c, c.nonce != "" && (c.auth || !c.anyQop) && !hasControl(c.realm+c.nonce+c.opaque)
}

// digests are the hash functions that we have, from the weakest to the strongest (RFC 8760 2.1).
var digests = [...]struct {
	name string
	hash func(string) string
}{
	{"MD5", func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }},
	{"SHA-256", func(s string) string { b := sha256.Sum256([]byte(s)); return hex.EncodeToString(b[:]) }},
	{"SHA-512-256", func(s string) string { b := sha512.Sum512_256([]byte(s)); return hex.EncodeToString(b[:]) }},
}

// strength tells which of digests is asked for, -1 for none of them. session: its key is made once for a nonce.
func (ch challenge) strength() (strength int, session bool) {
	name := strings.ToUpper(ch.algorithm)
	name, session = strings.CutSuffix(name, "-SESS")
	if name == "" && !session {
		return 0, false // RFC 7616 3.3
	}
	for i := range digests {
		if digests[i].name == name {
			return i, session
		}
	}
	return -1, session
}

// hash is the function that is asked for, nil for one that we do not have.
func (ch challenge) hash() (hash func(string) string, session bool) {
	i, session := ch.strength()
	if i < 0 {
		return nil, session
	}
	return digests[i].hash, session
}

// stronger: RFC 8760 2.4 leaves the choice to us. The order of the headers is not taken, since a far end that lists MD5 first wins nothing by it.
func (ch challenge) stronger(than challenge) bool {
	a, _ := ch.strength()
	b, _ := than.strength()
	return a > b
}

// challenged remembers what an answer asks for. false: nothing that could be answered, or answered better than before. Both headers count, whatever
// the status: a proxy that has forked passes on what all branches asked (RFC 3261 16.7).
func (a *credentials) challenged(r *message, t *tries) bool {
	if a.user == "" || t.n >= maxTries {
		return false
	}
	t.n++
	var now []realm
	for _, from := range [...]string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, v := range r.values(from) {
			ch, ok := parseChallenge(v)
			if !ok {
				continue
			}
			one := realm{challenge: ch, proxy: from == "Proxy-Authenticate"}
			switch same := find(now, one); {
			case same == nil && len(now) < maxRealms:
				now = append(now, one)
			case same != nil && ch.stronger(same.challenge):
				*same = one
			}
		}
	}
	better := false
	for _, one := range now {
		// One that was answered already, and asks again, does not know us; but for a nonce that ran out.
		if find(t.realms, one) == nil {
			t.realms = append(t.realms, one)
			better = true
		} else if one.stale {
			better = true
		}
		if old := find(a.asked, one); old == nil {
			if len(a.asked) < maxRealms {
				a.asked = append(a.asked, one)
			}
		} else {
			if old.nonce == one.nonce {
				one.count = old.count
				if strings.EqualFold(old.algorithm, one.algorithm) {
					one.cnonce = old.cnonce
				}
			}
			*old = one
		}
	}
	return better
}

func find(l []realm, r realm) *realm {
	for i := range l {
		if l[i].proxy == r.proxy && l[i].realm == r.realm {
			return &l[i]
		}
	}
	return nil
}

// headers are the credentials of a request, for everybody who asked so far.
func (a *credentials) headers(method, uri string) []Header {
	if len(a.asked) == 0 {
		return nil
	}
	l := make([]Header, 0, len(a.asked))
	for i := range a.asked {
		r := &a.asked[i]
		r.count++
		name := "Authorization"
		if r.proxy {
			name = "Proxy-Authorization"
		}
		cnonce := r.cnonce
		if cnonce == "" {
			cnonce = random(16)
		}
		if _, session := r.hash(); session {
			r.cnonce = cnonce
		}
		l = append(l, Header{name, r.answer(a.user, a.password, method, uri, cnonce, r.count)})
	}
	if method == "INVITE" {
		a.invite = l
	}
	return l
}

// answer writes the credentials.
func (ch challenge) answer(user, password, method, uri, cnonce string, count uint32) string {
	hash, session := ch.hash()
	a1, a2 := hash(user+":"+ch.realm+":"+password), hash(method+":"+uri)
	if session {
		a1 = hash(a1 + ":" + ch.nonce + ":" + cnonce)
	}
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

// authorize puts credentials into a request that was challenged; c.mu is held. false: it was in vain, or would be.
func (c *Call) authorize(m, r *message, t *tries) bool {
	if !c.auth.challenged(r, t) {
		return false
	}
	kept := m.headers[:0]
	for _, o := range m.headers {
		if o.Name != "Authorization" && o.Name != "Proxy-Authorization" {
			kept = append(kept, o)
		}
	}
	m.headers = append(kept, c.auth.headers(m.method, m.uri)...)
	return true
}
