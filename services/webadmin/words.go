package webadmin

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// spelled are words of field names that are no plain English.
var spelled = map[string]string{"uri": "URI", "uris": "URIs", "url": "URL", "id": "ID", "jid": "JID", "ldap": "LDAP", "sip": "SIP", "cdr": "CDR",
	"ivr": "IVR", "ivrs": "IVRs", "dtmf": "DTMF", "dn": "DN", "bfcp": "BFCP", "tip": "TIP", "udp": "UDP", "tcp": "TCP", "tls": "TLS", "api": "API", "ms": "ms",
	"cospace": "space", "cospaces": "spaces", "turn": "TURN", "lync": "Lync", "guid": "GUID", "ice": "ICE", "dns": "DNS", "http": "HTTP", "vpn": "VPN", "rtmp": "RTMP"}

// spaced makes words of a name of the API: "callLegProfile" becomes "Call leg profile".
func spaced(name string) string {
	name = strings.NewReplacer("coSpace", "cospace", "CoSpace", "Cospace", "To"+"coSpaces", "ToCospaces").Replace(name)
	var parts []string
	start := 0
	runes := []rune(name)
	for i := 1; i <= len(runes); i++ {
		if i < len(runes) {
			// A word begins at an upper-case letter after a lower-case one, and at the last upper-case letter of several.
			begins := unicode.IsUpper(runes[i]) && (!unicode.IsUpper(runes[i-1]) || (i+1 < len(runes) && unicode.IsLower(runes[i+1])))
			if !begins {
				continue
			}
		}
		word := strings.ToLower(string(runes[start:i]))
		if s := spelled[word]; s != "" {
			word = s
		}
		parts = append(parts, word)
		start = i
	}
	return upper(strings.Join(parts, " "))
}

// upper begins a sentence.
func upper(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// lasted is a length of time as people say it, with its two largest units.
func lasted(seconds int64) string {
	d := time.Duration(max(seconds, 0)) * time.Second
	units := []struct {
		name string
		is   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}}
	var parts []string
	for i, u := range units {
		n := d / u.is
		d -= n * u.is
		if n > 0 || (i == len(units)-1 && len(parts) == 0) {
			s := "s"
			if n == 1 {
				s = ""
			}
			parts = append(parts, fmt.Sprintf("%d %s%s", n, u.name, s))
		} else if len(parts) > 0 {
			break
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, ", ")
}

// rate is bits per second as people say it.
func rate(bits int64) string {
	switch {
	case bits >= 1_000_000:
		return fmt.Sprintf("%.1f Mbit/s", float64(bits)/1e6)
	case bits >= 1000:
		return fmt.Sprintf("%d kbit/s", bits/1000)
	}
	return fmt.Sprintf("%d bit/s", bits)
}
