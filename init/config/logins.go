package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// LDAP is the directory that those users of the shell log in by who were added with ldap (guide 4.8). It is none of the Call
// Bridge's, which imports people; TLS of both is [TLS].LDAP.
type LDAP struct {
	Enabled bool `json:"enabled"`
	// Host is a name or an address, Port 0 for the one that Security has.
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
	// Security is one of [LDAPSecurities]; empty for the first.
	Security string `json:"security,omitempty"`
	// BindDN and BindPassword are who looks for people; without them it is done anonymously.
	BindDN       string `json:"bindDN,omitempty"`
	BindPassword string `json:"bindPassword,omitempty"`
	// Base is the distinguished name below which people are.
	Base string `json:"base,omitempty"`
	// Attribute holds the name that people log in by; empty for [DefaultLDAPAttribute].
	Attribute string `json:"attribute,omitempty"`
	// Filter is one more that an entry has to match, in the form of RFC 4515; empty for none.
	Filter string `json:"filter,omitempty"`
}

// DefaultLDAPAttribute is that of Active Directory.
const DefaultLDAPAttribute = "sAMAccountName"

// How connections are secured: by TLS from the first byte, by StartTLS, not at all.
const (
	LDAPS        = "ldaps"
	LDAPStartTLS = "starttls"
	LDAPPlain    = "plain"
)

// LDAPSecurities are all of them, the default first.
var LDAPSecurities = []string{LDAPS, LDAPStartTLS, LDAPPlain}

// maxLDAPText bounds names, filters and the password.
const maxLDAPText = 1024

// Secured is Security with its default.
func (l LDAP) Secured() string {
	if l.Security == "" {
		return LDAPSecurities[0]
	}
	return l.Security
}

// ServerPort is the port that counts.
func (l LDAP) ServerPort() int {
	switch {
	case l.Port != 0:
		return l.Port
	case l.Secured() == LDAPS:
		return 636
	}
	return 389
}

// LoginAttribute is Attribute with its default.
func (l LDAP) LoginAttribute() string {
	if l.Attribute == "" {
		return DefaultLDAPAttribute
	}
	return l.Attribute
}

// Missing says what is still needed before it can be enabled; empty if nothing.
func (l LDAP) Missing() string {
	switch {
	case l.Host == "":
		return "no server, use ldap server <host> [<port>]"
	case l.Base == "":
		return "no place where people are, use ldap base <dn>"
	}
	return ""
}

func (l LDAP) validate() error {
	if l.Host != "" {
		if a, err := netip.ParseAddr(l.Host); err != nil || a.Zone() != "" {
			if ValidateHostname(l.Host) != nil {
				return fmt.Errorf("LDAP server %q is neither an address nor a host name", clip(l.Host))
			}
		}
	}
	if l.Port < 0 || l.Port > 65535 {
		return fmt.Errorf("LDAP port %d is out of range: use 1 to 65535", l.Port)
	}
	if l.Security != "" && !slices.Contains(LDAPSecurities, l.Security) {
		return fmt.Errorf("LDAP by %q is unknown: use %s", clip(l.Security), strings.Join(LDAPSecurities, ", "))
	}
	for _, text := range []string{l.BindDN, l.BindPassword, l.Base, l.Filter} {
		if len(text) > maxLDAPText || strings.ContainsAny(text, "\x00\n\r") {
			return fmt.Errorf("LDAP settings are one line of up to %d bytes each", maxLDAPText)
		}
	}
	if (l.BindDN == "") != (l.BindPassword == "") {
		// A name without a password is an anonymous bind to most directories (RFC 4513 section 5.1.2).
		return errors.New("LDAP needs a name and its password to bind by, or neither: use ldap bind <dn> or ldap bind none")
	}
	if err := ValidateLDAPAttribute(l.LoginAttribute()); err != nil {
		return err
	}
	if missing := l.Missing(); l.Enabled && missing != "" {
		return fmt.Errorf("LDAP cannot be enabled: %s", missing)
	}
	return nil
}

// ValidateLDAPAttribute takes the names of RFC 4512 section 1.4: a letter, then letters, digits and hyphens.
func ValidateLDAPAttribute(name string) error {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return fmt.Errorf("%q is not the name of an attribute: use for example sAMAccountName, userPrincipalName or uid", clip(name))
		}
	}
	if name == "" || len(name) > 64 {
		return errors.New("an attribute's name has 1 to 64 letters, digits and hyphens")
	}
	return nil
}

// CAC is logging in by smart cards (guide 15.1, table 13): certificates that an issuer vouches for.
type CAC struct {
	Enabled bool `json:"enabled"`
	// Strict refuses passwords; the serial console goes on taking those of local administrators.
	Strict bool `json:"strict,omitempty"`
	// Issuer is the name of the file with the certificates that issue cards.
	Issuer string  `json:"issuer,omitempty"`
	OCSP   CACOCSP `json:"ocsp,omitzero"`
}

// CACOCSP is asking whether a card was revoked.
type CACOCSP struct {
	Enabled bool `json:"enabled"`
	// Responder is its URL; empty for the one that a card's certificate names.
	Responder string `json:"responder,omitempty"`
	// Certificates are what this machine shows to a responder that is reached by TLS.
	Certificates Certificates `json:"certificates,omitzero"`
}

func (c CAC) validate() error {
	if err := validateFile(c.Issuer); err != nil {
		return fmt.Errorf("cac issuer bundle %w", err)
	}
	if err := c.OCSP.Certificates.validate("cac ocsp", "cac ocsp certs"); err != nil {
		return err
	}
	if c.Enabled && c.Issuer == "" {
		return errors.New("cac cannot be enabled: there are no certificates that issue cards, use cac issuer <bundle>")
	}
	if c.Strict && !c.Enabled {
		return errors.New("cac is strict and disabled: use cac enable strict")
	}
	return ValidateResponder(c.OCSP.Responder)
}

// ValidateResponder takes the URL of an OCSP responder, and "" for none.
func ValidateResponder(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > 1024 || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is not the address of an OCSP responder: use for example http://ocsp.example.com", clip(text))
	}
	return nil
}

// IdentityService is what PID 1 gives to what asks directories and OCSP responders about people (mmp/identity).
type IdentityService struct {
	LDAP LDAP `json:"ldap"`
	// TLS is that of connections to the directory.
	TLS TLSKindService `json:"tls,omitzero"`
	CAC CAC            `json:"cac"`
	// Issuer, Key and Chain are the contents of the files that CAC names.
	Issuer string `json:"issuer,omitempty"`
	Key    string `json:"key,omitempty"`
	Chain  string `json:"chain,omitempty"`
}
