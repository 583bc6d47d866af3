package dialplan

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// pattern is a domain with * for any run of characters, dots too, and none.
type pattern struct {
	text  string
	parts []string // between the *; a single one has to be equal
}

// compilePattern takes a domain or a pattern that [checkDomain] takes; an empty one is *.
func compilePattern(s string) pattern {
	s = canonical(s)
	if s == "" {
		s = "*"
	}
	return pattern{text: s, parts: strings.Split(s, "*")}
}

// match expects a domain as [ParseAddress] gives it.
func (p pattern) match(domain string) bool {
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(p.parts) == 1 {
		return domain == first
	}
	if len(domain) < len(first)+len(last) || !strings.HasPrefix(domain, first) || !strings.HasSuffix(domain, last) {
		return false
	}
	domain = domain[len(first) : len(domain)-len(last)]
	// What stands between two * is taken where it is found first: a later place never leaves more for the rest.
	for _, part := range p.parts[1 : len(p.parts)-1] {
		i := strings.Index(domain, part)
		if i < 0 {
			return false
		}
		domain = domain[i+len(part):]
	}
	return true
}

// everything says whether a pattern matches every domain.
func (p pattern) everything() bool { return strings.Trim(p.text, "*") == "" }

// canonical is the form in which domains are compared: lower case, without a dot at the end, IP addresses without brackets.
func canonical(s string) string {
	s = fold(s)
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if ip, err := netip.ParseAddr(bare); err == nil && ip.Zone() == "" {
		return ip.String()
	}
	return s
}

// maxDomain is that of DNS, without the dot at the end.
const maxDomain = 253

// checkDomain looks at a whole domain or IP address, or, with stars, at a pattern of one.
func checkDomain(s string, stars bool) error {
	if s == "" {
		return errNoDomain
	}
	if len(s) > maxDomain {
		return fmt.Errorf("a domain has at most %d characters, this one %d", maxDomain, len(s))
	}
	c := canonical(s)
	if _, err := netip.ParseAddr(c); err == nil {
		return nil
	}
	label := 0
	for i, r := range s {
		at := position(s, i)
		switch {
		case r == '.':
			if i == 0 || label == 0 && s[i-1] == '.' {
				return &SyntaxError{at, "a domain neither begins with a dot nor has two in a row"}
			}
			label = -1
		case r == '*' && stars:
		case r == '*':
			return &SyntaxError{at, "give the domain as a whole, without *"}
		case r == '@':
			return &SyntaxError{at, "give the domain alone, what comes after the @"}
		case r == ':' && strings.HasPrefix(s, "sip"):
			return &SyntaxError{at, "give the domain alone, without sip:"}
		case r == ':' || r == '/':
			return &SyntaxError{at, "give the domain alone, without port or path"}
		case r >= 0x80:
			return &SyntaxError{at, "write an international domain in its xn-- form"}
		case !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'):
			return &SyntaxError{at, fmt.Sprintf("a domain has letters, digits, dots and hyphens, not %q", r)}
		}
		label++
	}
	return nil
}

var errLoop = errors.New("a * alone would forward every call, those that come back too: give at least a part of the domain, for example exa*.com")

// checkForwardingPattern also refuses what matches everything.
func checkForwardingPattern(s string) error {
	if s != "" && strings.Trim(s, "*.") == "" {
		return errLoop
	}
	return checkDomain(s, true)
}
