package sip

import (
	"net/netip"
	"strings"
)

// uri is a SIP URI (RFC 3261 19.1). Of other schemes only scheme and text are set.
type uri struct {
	text    string
	scheme  string // lower case
	user    string // as written, with escapes
	host    string // without brackets
	port    uint16 // 0: none
	params  string // after the first ;
	headers string // after ?
}

// param is a parameter of the URI; ok says whether it is there.
func (u *uri) param(name string) (string, bool) { return param(u.params, name) }

func (u *uri) sip() bool { return u.scheme == "sip" || u.scheme == "sips" }

// transport is the one that the URI asks for, if it does. sips is TLS whatever its parameter says: that is what TLS runs over then (RFC 3261 26.2.2, RFC
// 5630 3.1.4).
func (u *uri) transport() (Transport, bool) {
	if u.scheme == "sips" {
		return TLS, true
	}
	v, _ := u.param("transport")
	for _, t := range [...]Transport{UDP, TCP, TLS} {
		if equalFold(v, string(t)) {
			return t, true
		}
	}
	return "", false
}

// address is the host as an address.
func (u *uri) address() (netip.Addr, bool) {
	a, err := netip.ParseAddr(u.host)
	return a, err == nil
}

func parseURI(s string) (uri, *fault) {
	u := uri{text: s}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" {
		return u, bad("the URI has no scheme")
	}
	for i := 0; i < len(scheme); i++ {
		c := lower(scheme[i])
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return u, bad("the scheme of the URI is malformed")
		}
	}
	u.scheme = strings.ToLower(scheme)
	for i := 0; i < len(rest); i++ {
		if c := rest[i]; c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"' {
			return u, bad("the URI has characters that do not belong there")
		}
	}
	if !u.sip() {
		return u, nil
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		// An @ after ? belongs to the headers; one in the user part is escaped.
		if q := strings.IndexByte(rest, '?'); q >= 0 && q < at && strings.IndexByte(rest[:q], '@') >= 0 {
			at = strings.IndexByte(rest, '@')
		}
		u.user, rest = rest[:at], rest[at+1:]
		if u.user == "" {
			return u, bad("the URI has an @ and no user part")
		}
		if !escapesRight(u.user) {
			return u, bad("the URI has a % that is not followed by two hexadecimal digits")
		}
	}
	rest, u.headers, _ = strings.Cut(rest, "?")
	rest, u.params, _ = strings.Cut(rest, ";")
	port := ""
	if strings.HasPrefix(rest, "[") {
		host, after, closed := strings.Cut(rest[1:], "]")
		a, err := netip.ParseAddr(host)
		if !closed || err != nil || !a.Is6() || a.Zone() != "" {
			return u, bad("the URI has no IPv6 address between its brackets")
		}
		u.host = host
		if after != "" {
			if after[0] != ':' {
				return u, bad("the URI goes on after its IPv6 address without a colon")
			}
			port = after[1:]
			if port == "" {
				return u, bad("the URI has a colon and no port")
			}
		}
	} else {
		var colon bool
		u.host, port, colon = strings.Cut(rest, ":")
		if strings.Contains(port, ":") {
			return u, bad("the URI has an IPv6 address without brackets")
		}
		if colon && port == "" {
			return u, bad("the URI has a colon and no port")
		}
		if !isHost(u.host) {
			return u, bad("the URI has no host, or one with characters that do not belong there")
		}
	}
	if port != "" {
		n, ok := number(port, 65535)
		if !ok {
			return u, bad("the port of the URI is not a number up to 65535")
		}
		u.port = uint16(n)
	}
	return u, nil
}

func isHost(s string) bool {
	for i := 0; i < len(s); i++ {
		c := lower(s[i])
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

func escapesRight(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	c = lower(c)
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// address is a From, To, Contact, Route or Refer-To value.
type address struct {
	name   string // unquoted
	uri    uri
	params string // of the header, after the first ;
	tag    string
}

// parseAddress reads name-addr or addr-spec with the header's parameters (RFC 3261 20.10).
func parseAddress(s string) (address, *fault) {
	var a address
	text, rest := "", ""
	if s == "" {
		return a, bad("the value is empty")
	}
	if s[0] == '"' {
		name, after, ok := unquote(s)
		if !ok {
			return a, bad("the quotes of the display name do not end")
		}
		a.name, s = name, strings.TrimLeft(after, " \t")
		if !strings.HasPrefix(s, "<") {
			return a, bad("the display name is not followed by a URI in angle brackets")
		}
	}
	if open := strings.IndexByte(s, '<'); open >= 0 {
		if open > 0 {
			a.name = strings.TrimRight(s[:open], " \t")
			for i := 0; i < len(a.name); i++ {
				if c := a.name[i]; !tokenByte(c) && c != ' ' && c != '\t' && c < 0x80 {
					return a, bad("the display name has to be in quotes")
				}
			}
		}
		var ok bool
		if text, rest, ok = strings.Cut(s[open+1:], ">"); !ok {
			return a, bad("the angle bracket of the URI is not closed")
		}
	} else {
		// Without brackets, parameters are the header's, and a URI may have neither ; nor , nor ?.
		text = s
		if semi := strings.IndexByte(s, ';'); semi >= 0 {
			text, rest = strings.TrimRight(s[:semi], " \t"), s[semi:]
		}
		if strings.ContainsAny(text, "?,") {
			return a, bad("a URI with a question mark or a comma has to be in angle brackets")
		}
	}
	u, f := parseURI(text)
	if f != nil {
		return a, f
	}
	a.uri = u
	rest = strings.Trim(rest, " \t")
	if rest == "" {
		return a, nil
	}
	if rest[0] != ';' {
		return a, bad("something other than parameters follows the URI")
	}
	a.params = rest[1:]
	if f := checkParams(a.params); f != nil {
		return a, f
	}
	a.tag, _ = param(a.params, "tag")
	return a, nil
}

// unquote reads a quoted string at the beginning of s.
func unquote(s string) (text, rest string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			text = s[1:i]
			if strings.IndexByte(text, '\\') >= 0 {
				var b strings.Builder
				for j := 0; j < len(text); j++ {
					if text[j] == '\\' && j+1 < len(text) {
						j++
					}
					b.WriteByte(text[j])
				}
				text = b.String()
			}
			return text, s[i+1:], true
		}
	}
	return "", "", false
}

// quote writes a display name.
func quote(name string) string {
	if !strings.ContainsAny(name, "\"\\") {
		return `"` + name + `"`
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// cutParam cuts the first parameter off a list; the value is unquoted.
func cutParam(s string) (name, value string, hasValue bool, rest string) {
	end, quoted := len(s), false
	for i := 0; i < len(s); i++ {
		if quoted && s[i] == '\\' {
			i++
		} else if s[i] == '"' {
			quoted = !quoted
		} else if s[i] == ';' && !quoted {
			end = i
			break
		}
	}
	if end < len(s) {
		rest = s[end+1:]
	}
	name, value, hasValue = strings.Cut(s[:end], "=")
	name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
	if len(value) > 1 && value[0] == '"' {
		if v, _, ok := unquote(value); ok {
			value = v
		}
	}
	return name, value, hasValue, rest
}

func param(params, name string) (string, bool) {
	for params != "" {
		var n, v string
		n, v, _, params = cutParam(params)
		if equalFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// checkParams finds empty parameters and unclosed quotes.
func checkParams(s string) *fault {
	for {
		name, value, has, rest := cutParam(s)
		switch {
		case name == "":
			return bad("there is an empty parameter")
		case !isToken(name):
			return bad("the name of a parameter is not a token")
		case has && value == "" && !strings.Contains(s, `""`):
			return bad("parameter " + name + " has an equals sign and no value")
		case strings.HasPrefix(value, `"`):
			return bad("the quotes of a parameter do not end")
		}
		if rest == "" {
			if strings.HasSuffix(strings.TrimRight(s, " \t"), ";") {
				return bad("there is an empty parameter")
			}
			return nil
		}
		s = rest
	}
}

// via is a Via value.
type via struct {
	transport string // upper case
	host      string // without brackets
	port      uint16
	params    string
	branch    string
	rport     bool
}

func parseVia(s string) (via, *fault) {
	var v via
	protocol, rest, ok := strings.Cut(s, "/")
	version, rest, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return v, bad("there is no protocol")
	}
	var f *fault
	if !equalFold(strings.Trim(protocol, " \t"), "SIP") || strings.Trim(version, " \t") != "2.0" {
		f = bad("the protocol is not SIP/2.0") // read on: the answer has to go somewhere
	}
	rest = strings.TrimLeft(rest, " \t")
	at := strings.IndexAny(rest, " \t")
	if at < 0 || !isToken(rest[:at]) {
		return v, bad("there is no transport, or nothing after it")
	}
	v.transport = strings.ToUpper(rest[:at])
	sentBy, params, more := strings.Cut(rest[at:], ";")
	sentBy = strings.Trim(sentBy, " \t")
	port := ""
	switch {
	case strings.HasPrefix(sentBy, "["):
		host, after, closed := strings.Cut(sentBy[1:], "]")
		if a, err := netip.ParseAddr(host); !closed || err != nil || !a.Is6() || a.Zone() != "" {
			return v, bad("there is no IPv6 address between the brackets")
		}
		v.host, port = host, strings.Trim(after, " \t")
		if port != "" {
			if port[0] != ':' {
				return v, bad("something other than a port follows the address")
			}
			port = strings.Trim(port[1:], " \t")
		}
	default:
		host, p, _ := strings.Cut(sentBy, ":")
		if a, err := netip.ParseAddr(sentBy); err == nil && a.Is6() {
			// Not right, but often seen, and it can mean nothing else.
			host, p = sentBy, ""
		}
		v.host, port = strings.Trim(host, " \t"), strings.Trim(p, " \t")
		if _, err := netip.ParseAddr(v.host); err != nil && !isHost(v.host) {
			v.host = ""
			return v, bad("the address sent by is malformed")
		}
	}
	if port != "" {
		n, ok := number(port, 65535)
		if !ok {
			return v, bad("the port is not a number up to 65535")
		}
		v.port = uint16(n)
	}
	if more {
		v.params = params
		if f := checkViaParams(params); f != nil {
			return v, f
		}
		for params != "" {
			var name, value string
			name, value, _, params = cutParam(params)
			switch {
			case equalFold(name, "branch"):
				v.branch = value
			case equalFold(name, "rport"):
				v.rport = true
			}
		}
	}
	return v, f
}

// checkViaParams is checkParams, but for values that are empty: "rport=" is seen.
func checkViaParams(s string) *fault {
	for s != "" {
		var name string
		name, _, _, s = cutParam(s)
		if !isToken(name) {
			return bad("there is an empty parameter, or one whose name is not a token")
		}
	}
	return nil
}
