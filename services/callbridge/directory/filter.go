package directory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// everything is the filter where none is given.
const everything = "(objectClass=*)"

// normalFilter brings a filter as administrators write it into the form of RFC 4515: the outer parentheses may be left out, as the
// guide does, and white space between parentheses and line breaks come from pasting. Matching rules, such as
// memberOf:1.2.840.113556.1.4.1941:= of Active Directory, pass through. Empty text is every entry.
func normalFilter(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return everything, nil
	}
	if s[0] != '(' {
		s = "(" + s + ")"
	}
	var b strings.Builder
	// list is true where only another part, or its end, can follow: behind (& and behind ).
	list, opened := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if list || opened || strings.HasPrefix(strings.TrimLeft(s[i:], " \t\r\n"), "(") {
				continue
			}
			b.WriteByte(' ')
		case c == '(':
			b.WriteByte(c)
			opened, list = true, false
		case c == ')':
			b.WriteByte(c)
			opened, list = false, true
		case opened && (c == '&' || c == '|' || c == '!'):
			b.WriteByte(c)
			opened, list = false, true
		default:
			b.WriteByte(c)
			opened, list = false, false
		}
	}
	if _, err := ldap.CompileFilter(b.String()); err != nil {
		return "", fmt.Errorf("the filter is not one of RFC 4515, such as (&(mail=*)(objectClass=person)): %s", reason(err))
	}
	return b.String(), nil
}

// both joins two filters.
func both(a, b string) string {
	switch {
	case a == everything:
		return b
	case b == everything:
		return a
	}
	return "(&" + a + b + ")"
}

// reason takes the library's own words off an error.
func reason(err error) string {
	var e *ldap.Error
	if errors.As(err, &e) && e.Err != nil {
		return strings.TrimPrefix(e.Err.Error(), "ldap: ")
	}
	return err.Error()
}
