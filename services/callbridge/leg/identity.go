package leg

import (
	"strings"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sip"
)

// identify is who the far end of a call is: what a network asserts (RFC 3325, or the older Remote-Party-ID) before what it says itself.
func identify(c Dialog) meeting.Identity {
	far := c.From()
	if !c.Incoming() {
		far = c.To()
	}
	for _, header := range []string{"P-Asserted-Identity", "Remote-Party-ID"} {
		if p, ok := firstSIP(c.Header(header)); ok {
			if p.Name == "" {
				p.Name = far.Name
			}
			far = p
			break
		}
	}
	return meeting.Identity{Name: far.Name, Address: bare(far.URI), From: c.Source(), SIPID: c.ID()}
}

// original is the address that was called before somebody rewrote it: the oldest entry of History-Info (RFC 7044), the first diversion
// (RFC 5806, the last one in the header), or whom the caller meant to call.
func original(c Dialog) string {
	if p, ok := firstSIP(c.Header("History-Info")); ok {
		return bare(p.URI)
	}
	all := c.Header("Diversion")
	for i := len(all) - 1; i >= 0; i-- {
		list := split(all[i])
		for k := len(list) - 1; k >= 0; k-- {
			if p, ok := parseParty(list[k]); ok {
				return bare(p.URI)
			}
		}
	}
	return bare(c.To().URI)
}

// firstSIP is the first value of a header that names a SIP address.
func firstSIP(values []string) (sip.Party, bool) {
	for _, v := range values {
		for _, one := range split(v) {
			if p, ok := parseParty(one); ok {
				return p, true
			}
		}
	}
	return sip.Party{}, false
}

// maxParty bounds what is looked at of an address in a header.
const maxParty = 1024

// parseParty reads `"Name" <sip:user@host;p=q>;parameters` or an address without brackets, whose parameters are the header's.
func parseParty(s string) (p sip.Party, ok bool) {
	if s = strings.TrimSpace(s); len(s) > maxParty {
		return p, false
	}
	if strings.HasPrefix(s, `"`) {
		end := closingQuote(s)
		if end < 0 {
			return p, false
		}
		p.Name, s = unquote(s[1:end]), strings.TrimSpace(s[end+1:])
		if !strings.HasPrefix(s, "<") {
			return sip.Party{}, false
		}
	}
	if at := strings.IndexByte(s, '<'); at >= 0 {
		end := strings.IndexByte(s[at:], '>')
		if end < 0 {
			return sip.Party{}, false
		}
		if p.Name == "" {
			p.Name = strings.TrimSpace(s[:at])
		}
		p.URI = strings.TrimSpace(s[at+1 : at+end])
	} else {
		p.URI, _, _ = strings.Cut(s, ";")
	}
	scheme, rest, _ := strings.Cut(p.URI, ":")
	switch strings.ToLower(scheme) {
	case "sip", "sips", "tel":
		return p, rest != "" && !strings.ContainsAny(p.URI, " \t\r\n<>\"")
	}
	return sip.Party{}, false
}

// closingQuote is where a quoted string that s begins with ends, -1 for nowhere.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// split cuts a header at the commas between its values.
func split(s string) (list []string) {
	begin, quoted, bracket := 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			bracket = true
		case c == '>':
			bracket = false
		case c == ',' && !bracket:
			list = append(list, s[begin:i])
			begin = i + 1
		}
	}
	return append(list, s[begin:])
}

// bare is an address without scheme, headers and parameters, as the API shows it.
func bare(uri string) string {
	if scheme, rest, ok := strings.Cut(uri, ":"); ok {
		switch strings.ToLower(scheme) {
		case "sip", "sips", "tel":
			uri = rest
		}
	}
	uri, _, _ = strings.Cut(uri, "?")
	// Parameters of the user part stay: they are before the @.
	at := strings.LastIndexByte(uri, '@')
	if semicolon := strings.IndexByte(uri[at+1:], ';'); semicolon >= 0 {
		uri = uri[:at+1+semicolon]
	}
	return uri
}
