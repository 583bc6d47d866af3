package identity

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"unicode/utf8"

	"rotunda/mmp/grammar"
)

var (
	// oidAltName is the extension subjectAltName (RFC 5280 section 4.2.1.6).
	oidAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	// oidUPN is the otherName in which cards have the user principal name, "1234567890@mil".
	oidUPN = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

// ediDigits is how many the number of a person has who holds a card of the US Department of Defense (EDIPI).
const ediDigits = 10

// names are those that the account of a certificate's holder may have, the best first:
//
//  1. The user principal name of the subject's alternative names, and then the EDIPI before its @. Where there is such a name, nothing
//     else counts: it is what the issuer keeps unique.
//  2. The common name, if it can be a user name as it stands.
//  3. The e-mail addresses of the alternative names.
//  4. The EDIPI at the end of a common name such as DOE.JANE.Q.1234567890.
//
// Whatever cannot be a user name is left out.
func names(c *x509.Certificate) (list []string) {
	add := func(name string) {
		if grammar.CheckUsername(name) == nil {
			list = append(list, name)
		}
	}
	if principals := principalNames(c); len(principals) > 0 {
		for _, p := range principals {
			add(p)
			if local, _, ok := strings.Cut(p, "@"); ok && isEDIPI(local) {
				add(local)
			}
		}
		return list
	}
	add(c.Subject.CommonName)
	for _, address := range c.EmailAddresses {
		add(address)
	}
	if i := strings.LastIndexByte(c.Subject.CommonName, '.'); i > 0 && isEDIPI(c.Subject.CommonName[i+1:]) {
		add(c.Subject.CommonName[i+1:])
	}
	return list
}

func isEDIPI(s string) bool {
	return len(s) == ediDigits && strings.Trim(s, "0123456789") == ""
}

// maxPrincipals bounds how many names a certificate may have.
const maxPrincipals = 8

// principalNames are the user principal names. crypto/x509 does not read otherName.
func principalNames(c *x509.Certificate) (list []string) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidAltName) {
			continue
		}
		var all asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &all); err != nil || len(rest) > 0 || all.Tag != asn1.TagSequence || !all.IsCompound {
			return nil
		}
		for rest := all.Bytes; len(rest) > 0 && len(list) < maxPrincipals; {
			var one asn1.RawValue
			var err error
			if rest, err = asn1.Unmarshal(rest, &one); err != nil {
				return list
			}
			if name, ok := principalName(one); ok {
				list = append(list, name)
			}
		}
	}
	return list
}

// principalName reads otherName: [0] IMPLICIT SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT UTF8String }.
func principalName(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassContextSpecific || v.Tag != 0 || !v.IsCompound {
		return "", false
	}
	var id asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(v.Bytes, &id)
	if err != nil || !id.Equal(oidUPN) {
		return "", false
	}
	var value, text asn1.RawValue
	if rest, err = asn1.Unmarshal(rest, &value); err != nil || len(rest) > 0 || value.Class != asn1.ClassContextSpecific || value.Tag != 0 || !value.IsCompound {
		return "", false
	}
	if rest, err = asn1.Unmarshal(value.Bytes, &text); err != nil || len(rest) > 0 || text.Class != asn1.ClassUniversal || !utf8.Valid(text.Bytes) {
		return "", false
	}
	if text.Tag != asn1.TagUTF8String && text.Tag != asn1.TagIA5String && text.Tag != asn1.TagPrintableString {
		return "", false
	}
	return string(text.Bytes), len(text.Bytes) > 0
}
