package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Attributes say what a request or a certificate is for.
type Attributes struct {
	CN, L, ST, C, O string
	OU              []string
	Email           string
	DNS             []string
	IPs             []net.IP
	Mails           []string
	// Kind of the key to make, one of [KeyKinds].
	Kind string
	// Days that a certificate is valid for, 0 if not said.
	Days int
	// CA is set for the certificate of an authority.
	CA bool
}

const (
	// DefaultKind is what equipment of every age takes.
	DefaultKind = "rsa2048"
	// MaxDays of a certificate made here: an authority of ten years.
	MaxDays = 3653
	// maxNames of a request.
	maxNames = 100
)

// AttributeNames lists what may be given, as it is typed before the colon.
var AttributeNames = []string{"CN", "OU", "O", "L", "ST", "C", "emailAddress", "subjectAltName", "key", "days", "CA"}

// maxLengths of the subject's parts, in characters (RFC 5280 appendix A.1).
var maxLengths = map[string]int{"CN": 64, "OU": 64, "O": 64, "L": 128, "ST": 128, "emailAddress": 255}

// CheckAttribute returns nil for a word that [ParseAttributes] takes by itself.
func CheckAttribute(word string) error {
	var a Attributes
	return a.set(word)
}

// ParseAttributes reads words of the form name:value. A common name that is a host name also becomes an alternative name, since
// clients look at those alone (RFC 9525 section 2).
func ParseAttributes(words []string) (Attributes, error) {
	var a Attributes
	seen := map[string]bool{}
	for _, w := range words {
		name, _, _ := cutAttribute(w)
		if seen[name] && name != "OU" && name != "subjectAltName" {
			return a, fmt.Errorf("%s is given twice", Printable(name))
		}
		seen[name] = true
		if err := a.set(w); err != nil {
			return a, fmt.Errorf("%s: %w", Printable(w), err)
		}
	}
	if a.Kind == "" {
		a.Kind = DefaultKind
	}
	if !a.CA {
		if ip, err := netip.ParseAddr(a.CN); err == nil {
			a.addIP(ip)
		} else if checkDNS(a.CN) == nil && !slices.Contains(a.DNS, a.CN) {
			a.DNS = append([]string{a.CN}, a.DNS...)
		}
	}
	if n := len(a.DNS) + len(a.IPs) + len(a.Mails); n > maxNames {
		return a, fmt.Errorf("%d alternative names; at most %d are taken", n, maxNames)
	}
	return a, nil
}

// cutAttribute reads name:value. The name may be typed in any case, and comes back as [AttributeNames] has it.
func cutAttribute(word string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(word, ":")
	i := slices.IndexFunc(AttributeNames, func(n string) bool { return strings.EqualFold(n, name) })
	if !ok || i < 0 {
		return name, value, false
	}
	return AttributeNames[i], value, true
}

func (a *Attributes) set(word string) error {
	name, value, ok := cutAttribute(word)
	if !ok {
		return errors.New("an attribute is a name that certificates have, a colon and a value")
	}
	if value == "" {
		return errors.New("there is no value after the colon")
	}
	if limit := maxLengths[name]; limit > 0 && utf8.RuneCountInString(value) > limit {
		hint := ""
		if name == "CN" {
			hint = "; put a longer host name in subjectAltName"
		}
		return fmt.Errorf("%d characters; at most %d fit in a certificate%s", utf8.RuneCountInString(value), limit, hint)
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("a character that cannot be printed")
	}
	switch name {
	case "CN":
		a.CN = value
	case "OU":
		a.OU = append(a.OU, value)
	case "O":
		a.O = value
	case "L":
		a.L = value
	case "ST":
		a.ST = value
	case "C":
		if len(value) != 2 || strings.ContainsFunc(value, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			return errors.New("a country is two capital letters, for example GB")
		}
		a.C = value
	case "emailAddress":
		if err := checkMail(value); err != nil {
			return err
		}
		a.Email = value
	case "subjectAltName":
		return a.addNames(value)
	case "key":
		if value = strings.ToLower(value); !slices.Contains(KeyKinds, value) {
			return fmt.Errorf("the kinds of keys are %s", strings.Join(KeyKinds, ", "))
		}
		a.Kind = value
	case "days":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > MaxDays {
			return fmt.Errorf("a number of days from 1 to %d", MaxDays)
		}
		a.Days = n
	case "CA":
		if value = strings.ToLower(value); value != "true" && value != "false" {
			return errors.New("true or false")
		}
		a.CA = value == "true"
	}
	return nil
}

// addNames takes a list with commas. What each is shows in how it looks, and may be said before it as OpenSSL has it: DNS:, IP:
// and email:.
func (a *Attributes) addNames(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		kind, rest, said := strings.Cut(name, ":")
		switch kind = strings.ToLower(kind); {
		case said && (kind == "dns" || kind == "ip" || kind == "email"):
			name = rest
		default:
			kind = ""
		}
		address, err := netip.ParseAddr(name)
		isIP := err == nil && address.Zone() == ""
		switch {
		case name == "":
			return errors.New("a name is empty: names have a comma between them")
		case kind == "ip" || kind == "" && isIP:
			if !isIP {
				return fmt.Errorf("%s is no address", Printable(name))
			}
			a.addIP(address)
		case kind == "email" || kind == "" && strings.Contains(name, "@"):
			if err := checkMail(name); err != nil {
				return err
			}
			if !slices.Contains(a.Mails, name) {
				a.Mails = append(a.Mails, name)
			}
		default:
			if err := checkDNS(name); err != nil {
				return err
			}
			if !slices.Contains(a.DNS, name) {
				a.DNS = append(a.DNS, name)
			}
		}
	}
	return nil
}

func (a *Attributes) addIP(address netip.Addr) {
	ip := net.IP(address.Unmap().AsSlice())
	if !slices.ContainsFunc(a.IPs, ip.Equal) {
		a.IPs = append(a.IPs, ip)
	}
}

func checkMail(s string) error {
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Address != s || strings.ContainsFunc(s, func(r rune) bool { return r > 126 }) {
		return fmt.Errorf("%s is no e-mail address", Printable(s))
	}
	return nil
}

// checkDNS takes host names, and a * alone as the first label. Names in other scripts are written in their ASCII form.
func checkDNS(s string) error {
	wrong := func(why string) error { return fmt.Errorf("%s is no host name: %s", Printable(s), why) }
	if s == "" || len(s) > 253 {
		return wrong("1 to 253 characters are")
	}
	name := strings.TrimPrefix(s, "*.")
	if strings.Trim(name, "0123456789.") == "" {
		return wrong("digits and dots alone are an address")
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return wrong("there is nothing between two dots or at an end")
		case len(label) > 63:
			return wrong("a part has more than 63 characters")
		case label[0] == '-' || label[len(label)-1] == '-':
			return wrong("a part begins or ends with a hyphen")
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
				return wrong("letters, digits, hyphens and dots are taken, and a * as the whole first part")
			}
		}
	}
	return nil
}

// subject makes the name.
func (a Attributes) subject() pkix.Name {
	n := pkix.Name{CommonName: a.CN, OrganizationalUnit: a.OU}
	for _, p := range []struct {
		to   *[]string
		from string
	}{{&n.Country, a.C}, {&n.Province, a.ST}, {&n.Locality, a.L}, {&n.Organization, a.O}} {
		if p.from != "" {
			*p.to = []string{p.from}
		}
	}
	if a.Email != "" {
		n.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidEmail, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(a.Email)}}}
	}
	return n
}

// Check says what is missing for a request, or else for a certificate. It is here so that nobody waits for a key that is of no use.
func (a Attributes) Check(request bool) error {
	switch {
	case !a.named():
		return errors.New("there is nothing that the certificate would be for: give CN:<host name>, or subjectAltName:<host name>")
	case request && (a.CA || a.Days != 0):
		return errors.New("CA and days are for pki selfsigned: who signs a request decides about them")
	}
	return nil
}

// named reports whether there is anything that a certificate could be for.
func (a Attributes) named() bool {
	return a.CN != "" || a.O != "" || len(a.OU) > 0 || len(a.DNS)+len(a.IPs)+len(a.Mails) > 0
}
