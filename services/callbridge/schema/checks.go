package schema

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// URIUser is the user part of an address: no domain, no white space.
var URIUser = Check{Name: "user part of a URI", Look: func(s string) error {
	if strings.ContainsRune(s, '@') {
		return errors.New("give the user part alone, without @ and domain")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return errors.New("a URI has no white space")
	}
	return nil
}}

// Digits are 0 to 9 alone.
var Digits = Check{Name: "digits", Look: func(s string) error {
	if strings.Trim(s, "0123456789") != "" {
		return errors.New("use the digits 0 to 9 alone")
	}
	return nil
}}

// Tones are what DTMF can carry.
var Tones = Check{Name: "DTMF tones", Look: func(s string) error {
	if strings.Trim(s, "0123456789*#ABCD") != "" {
		return errors.New("use the tones 0 to 9, * and #, such as *9")
	}
	return nil
}}

// ToneSequence are tones with pauses.
var ToneSequence = Check{Name: "DTMF tones with a comma for a pause", Look: func(s string) error {
	if strings.Trim(s, "0123456789*#ABCD,") != "" {
		return errors.New("use the tones 0 to 9, * and #, and a comma for a pause")
	}
	return nil
}}

// Line is a text that stands on one line.
var Line = Check{Name: "one line", Look: func(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("a line break or a tab cannot stand here")
	}
	return nil
}}

// Domain is the domain of an address, or the address of a host that stands in its place.
var Domain = Check{Name: "domain", Look: func(s string) error { return domain(s, false, "domain") }}

// DomainPattern is a domain, or one with wildcards such as *.com.
var DomainPattern = Check{Name: "domain, * for any part", Look: func(s string) error { return domain(s, true, "domain") }}

// ForwardPattern is a domain with wildcards anywhere. One that matches every domain would forward calls to ourselves for ever
// (guide 6.2.3).
var ForwardPattern = Check{Name: "domain, * for any part, not * alone", Look: func(s string) error {
	if strings.Trim(s, "*") == "" {
		return errors.New("a pattern that matches every domain makes calls go round in circles: name a part of the domain, such as exa*.com")
	}
	return domain(s, true, "domain")
}}

// domain looks at what stands for a host or many; what is the word for it in messages.
func domain(s string, wild bool, what string) error {
	if strings.ContainsAny(s, "@/?;<>\"\\,") {
		return errors.New("give the " + what + " alone, without user part and scheme")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return errors.New("a " + what + " has no white space")
	}
	if !wild && strings.Contains(s, "*") {
		return errors.New("a wildcard cannot stand here: give the whole " + what)
	}
	return nil
}

// HostPort is a host with an optional port: a name, an IPv4 address, or an IPv6 address, which has brackets where a port follows.
var HostPort = Check{Name: "host, or host:port", Look: func(s string) error {
	if err := domain(s, false, "host"); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return nil
	}
	host, port, found := s, "", false
	if at := strings.LastIndexByte(s, ':'); at >= 0 {
		host, port, found = s[:at], s[at+1:], true
	}
	if n, err := strconv.ParseUint(port, 10, 16); found && (err != nil || n == 0) {
		return errors.New("the port after the colon is a number from 1 to 65535")
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		if a, err := netip.ParseAddr(host[1 : len(host)-1]); err == nil && a.Is6() {
			return nil
		}
	}
	if host == "" || strings.ContainsAny(host, ":[]") {
		return errors.New("give a host, or a host, a colon and a port; an IPv6 address before a port stands in brackets")
	}
	return nil
}}

// Host is a name or an address without a port.
var Host = Check{Name: "host", Look: func(s string) error {
	if err := domain(s, false, "host"); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(s); err != nil && strings.Contains(s, ":") {
		return errors.New("give the host alone, without a port")
	}
	return nil
}}

// IndexMapping makes a text of an index (reference section 2.1, bulk): at most one $index$, with \\ and \$ for the characters
// themselves.
var IndexMapping = Check{Name: "text with at most one $index$", Look: func(s string) error { return indexMapping(s) }}

// IndexURI is an IndexMapping for the user part of a URI.
var IndexURI = Check{Name: "user part of a URI with at most one $index$", Look: func(s string) error {
	if err := indexMapping(s); err != nil {
		return err
	}
	return URIUser.Look(s)
}}

func indexMapping(s string) error {
	const index = "$index$"
	seen := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			if i++; i == len(s) || s[i] != '\\' && s[i] != '$' {
				return errors.New(`after a backslash stands $ or another backslash`)
			}
		case strings.HasPrefix(s[i:], index):
			if seen {
				return errors.New("$index$ may stand once")
			}
			seen = true
			i += len(index) - 1
		case s[i] == '$':
			return errors.New(`a $ begins $index$; one that stands for itself is written \$`)
		}
	}
	return nil
}

// URIGenerator makes the URI of an access method: the $ in it becomes what is generated.
var URIGenerator = Check{Name: "a-z A-Z 0-9 . - _ with one $", Look: func(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_$", r)
	}) {
		return errors.New("use letters a to z, digits, dots, dashes, underscores and one $")
	}
	if strings.Count(s, "$") != 1 {
		return errors.New("exactly one $ stands for what is generated")
	}
	return nil
}}

// IDList are up to 20 IDs with commas between them.
var IDList = Check{Name: "up to 20 IDs, separated by commas", Look: func(s string) error {
	ids := strings.Split(s, ",")
	if len(ids) > 20 {
		return errors.New("give 20 IDs at most")
	}
	for _, id := range ids {
		if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
			return errors.New("give IDs with commas between them and no spaces")
		}
	}
	return nil
}}

// Seconds are a number of seconds, or the word permanent.
var Seconds = Check{Name: "seconds, or permanent", Look: func(s string) error {
	if s == "permanent" {
		return nil
	}
	if n, err := strconv.ParseUint(s, 10, 31); err != nil || strconv.FormatUint(n, 10) != s {
		return errors.New("use a number of seconds, or permanent")
	}
	return nil
}}

// ResourcePriority is a namespace and a value of RFC 4412 section 3.1, such as q735.3.
var ResourcePriority = Check{Name: "namespace.value", Look: func(s string) error {
	namespace, value, found := strings.Cut(s, ".")
	token := func(s string) bool {
		return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-!%*_+`'~") == ""
	}
	if !found || !token(namespace) || !token(value) {
		return errors.New("use a namespace, a dot and a value, such as q735.3")
	}
	return nil
}}

// Time is a moment in UTC.
var Time = Check{Name: "RFC 3339 time", Look: func(s string) error {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return errors.New("use a time such as 2026-01-31T12:00:00Z")
	}
	return nil
}}
