package dialplan

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxAddress is the longest address in bytes that is looked at; a call to a longer one is refused.
const MaxAddress = 1024

// Address is a SIP address in the parts that dial plans know.
type Address struct {
	// Secure is set for sips:.
	Secure bool
	// User is what comes before the @, as it was written.
	User string
	// Domain is in lower case, without a dot at its end; an IP address is in its usual form, without brackets. A number alone has none.
	Domain string
	// Port is 0 where none is given.
	Port uint16
	// Parameters begin with a semicolon.
	Parameters string
}

// ParseAddress reads a SIP URI, an address without its scheme, or a number alone. Headers of a URI are dropped: nobody who is called may
// choose ours.
func ParseAddress(s string) (Address, error) {
	if len(s) > MaxAddress {
		return Address{}, fmt.Errorf("the address has %d bytes: at most %d are taken", len(s), MaxAddress)
	}
	if at := badRune(s); at >= 0 {
		return Address{}, &SyntaxError{At: position(s, at), Why: "an address has no white space, control characters, quotes or angle brackets"}
	}
	var a Address
	scheme, rest := splitScheme(s)
	a.Secure = scheme == "sips"
	at := strings.LastIndexByte(rest, '@')
	host := rest[at+1:]
	switch {
	case at >= 0:
		a.User = rest[:at]
	case scheme == "sip" || scheme == "sips":
		// RFC 3261 section 19.1.1: without an @ it is a host.
	default:
		a.User, a.Parameters = cutAt(host, ";")
		return a, nil
	}
	host, _ = cutAt(host, "?")
	host, a.Parameters = cutAt(host, ";")
	h, err := ParseHost(host)
	if err != nil {
		return Address{}, err
	}
	a.Domain, a.Port = h.Name, h.Port
	return a, nil
}

// String is the address without its scheme, as dial plans and pages show it.
func (a Address) String() string {
	h := Host{a.Domain, a.Port}.String()
	switch {
	case a.User == "":
		return h + a.Parameters
	case a.Domain == "":
		return a.User + a.Parameters
	}
	return a.User + "@" + h + a.Parameters
}

// URI is the address with its scheme.
func (a Address) URI() string {
	if a.Secure {
		return "sips:" + a.String()
	}
	return "sip:" + a.String()
}

// Host is a name or an IP address with a port, 0 for the usual one.
type Host struct {
	Name string
	Port uint16
}

// ParseHost reads host, host:port, an IP address, or an IPv6 address in brackets with a port.
func ParseHost(s string) (Host, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return Host{Name: ip.String()}, nil
	}
	if inner, rest, ok := bracketed(s); ok {
		ip, err := netip.ParseAddr(inner)
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return Host{}, &SyntaxError{At: 2, Why: "what stands in brackets is an IPv6 address, for example [2001:db8::1]"}
		}
		port, err := parsePort(s, len(s)-len(rest))
		return Host{ip.String(), port}, err
	}
	name, _ := cutAt(s, ":")
	port, err := parsePort(s, len(name))
	if err != nil {
		return Host{}, err
	}
	if err := checkDomain(name, false); err != nil {
		return Host{}, err
	}
	return Host{fold(name), port}, nil
}

func (h Host) String() string {
	name := h.Name
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if h.Port == 0 {
		return name
	}
	return name + ":" + strconv.Itoa(int(h.Port))
}

// parsePort reads what stands in s from at on: nothing, or a colon and a number.
func parsePort(s string, at int) (uint16, error) {
	if s[at:] == "" {
		return 0, nil
	}
	if s[at] == ':' {
		if n, err := strconv.ParseUint(s[at+1:], 10, 16); err == nil && n > 0 {
			return uint16(n), nil
		}
	}
	return 0, &SyntaxError{At: position(s, at) + 1, Why: "what follows the colon is a port from 1 to 65535"}
}

func bracketed(s string) (inner, rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", "", false
	}
	return strings.Cut(s[1:], "]")
}

// cutAt splits before the first of the characters, which stays with the second part.
func cutAt(s, chars string) (before, after string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// splitScheme takes sip:, sips: and tel: away.
func splitScheme(s string) (scheme, rest string) {
	for _, scheme := range []string{"sip", "sips", "tel"} {
		if n := len(scheme); len(s) > n && s[n] == ':' && strings.EqualFold(s[:n], scheme) {
			return scheme, s[n+1:]
		}
	}
	return "", s
}

// fold brings a domain into the form that is compared.
func fold(domain string) string { return strings.ToLower(strings.TrimSuffix(domain, ".")) }

// badRune returns where a character stands that no address has, or -1.
func badRune(s string) int {
	if !utf8.ValidString(s) {
		for i, r := range s {
			if r == utf8.RuneError {
				return i
			}
		}
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`<>"`, r)
	})
}

// SyntaxError says what is wrong at which character of what an administrator wrote.
type SyntaxError struct {
	// At counts characters from 1.
	At  int
	Why string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("character %d: %s", e.At, e.Why) }

// position turns a byte offset into a count of characters from 1.
func position(s string, offset int) int { return utf8.RuneCountInString(s[:offset]) + 1 }

var errNoDomain = errors.New("give a domain, for example example.com")
