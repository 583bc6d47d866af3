package schema

import (
	"errors"
	"strings"
	"unicode"
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
