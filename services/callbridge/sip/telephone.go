package sip

import (
	"net/netip"
	"strings"
)

// maxNumber is how long a telephone number may be; E.164 has 15 digits, and some dial through others.
const maxNumber = 64

// telephone makes a SIP URI of the tel URI that a request is for (RFC 3966), so that it can be looked for in the dial plan (RFC 3261 19.1.6): at the domain
// that is its context, or that of To, or at the address that it came to. false: it is no number.
func telephone(m *message) (string, bool) {
	scheme, rest, _ := strings.Cut(m.uri, ":")
	if !equalFold(scheme, "tel") {
		return "", false
	}
	number, params, _ := strings.Cut(rest, ";")
	var b strings.Builder
	b.WriteString("sip:")
	digits := 0
	for i := 0; i < len(number); i++ {
		switch c := number[i]; {
		case '0' <= c && c <= '9', c == '*':
			b.WriteByte(c)
			digits++
		case c == '#':
			b.WriteString("%23")
			digits++
		case c == '+' && i == 0:
			b.WriteByte(c)
		case strings.IndexByte("-.()", c) >= 0: // for the eye
		default:
			return "", false
		}
	}
	if digits == 0 || digits > maxNumber {
		return "", false
	}
	host, _ := param(params, "phone-context")
	if host = strings.ToLower(host); !isHost(host) {
		if host = m.to.uri.host; host == "" {
			host = m.path.local.Addr().String()
		}
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	return b.String() + "@" + host + ";user=phone", true
}

// called is the URI that a request is for: its own, or what a telephone number means here. Characters of its user part that are escaped without need are
// not any more: it is the same URI (RFC 3261 19.1.4), and the dial plan has them as people write them.
func (m *message) called() string {
	if text, ok := telephone(m); ok {
		return text
	}
	u, f := parseURI(m.uri)
	if f != nil || strings.IndexByte(u.user, '%') < 0 {
		return m.uri
	}
	var b strings.Builder
	for i := 0; i < len(u.user); i++ {
		if u.user[i] == '%' {
			if c := unhex(u.user[i+1])<<4 | unhex(u.user[i+2]); isLetter(c) || strings.IndexByte("0123456789-_.!~*'()&=+$,/", c) >= 0 {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(u.user[i])
	}
	return strings.Replace(m.uri, u.user+"@", b.String()+"@", 1)
}

func isLetter(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }

func unhex(c byte) byte {
	if c = lower(c); c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
