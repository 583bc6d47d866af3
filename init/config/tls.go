package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Certificates are names of files that an administrator has put: a key, its certificate, and a bundle of the certificates between
// it and the root, which may be missing.
type Certificates struct {
	Key         string `json:"key,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Bundle      string `json:"bundle,omitempty"`
}

// validate says what is wrong with the names; command is what sets them.
func (c Certificates) validate(service, command string) error {
	for _, name := range []string{c.Key, c.Certificate, c.Bundle} {
		if err := validateFile(name); err != nil {
			return fmt.Errorf("%s certificate %w", service, err)
		}
	}
	if (c.Key == "") != (c.Certificate == "") || c.Key == "" && c.Bundle != "" {
		return fmt.Errorf("%s needs a key and its certificate: use %s <key> <certificate>", service, command)
	}
	return nil
}

// validateFile takes a name that a file of the flat folder may have, and "" for none.
func validateFile(name string) error {
	if strings.ContainsAny(name, "/\x00") || name == "." || name == ".." || len(name) > 255 {
		return fmt.Errorf("%q is not the name of a file", clip(name))
	}
	return nil
}

// TLS is how connections are secured, by what they carry (guide 4.9, MMP commands "tls").
type TLS struct {
	SIP  TLSKind `json:"sip,omitzero"`
	LDAP TLSKind `json:"ldap,omitzero"`
	// RTMPS is what streams go out by (guide 11.9).
	RTMPS    TLSKind `json:"rtmps,omitzero"`
	WebAdmin TLSKind `json:"webAdmin,omitzero"`
	// MinDTLS is one of [DTLSVersions]; empty for [DefaultTLS].
	MinDTLS string `json:"minDTLS,omitempty"`
}

// TLSKind is TLS of one kind of connections.
type TLSKind struct {
	// Trust is the name of the file with the certificates that are trusted.
	Trust string `json:"trust,omitempty"`
	// Verify is one of [VerifyOff], [VerifyOn], [VerifyOCSP]. Where it is off, any certificate is taken.
	Verify string `json:"verify,omitempty"`
	// MinVersion is one of [TLSVersions]; empty for [DefaultTLS].
	MinVersion string `json:"minVersion,omitempty"`
	// Ciphers are names as in [CipherSuites] with colons between them; empty for those that are usual. They concern versions
	// before 1.3, whose ciphers cannot be chosen.
	Ciphers string `json:"ciphers,omitempty"`
}

// Whether certificates are verified; OCSP asks their issuer, too, whether they were revoked.
const (
	VerifyOff  = ""
	VerifyOn   = "enabled"
	VerifyOCSP = "ocsp"
)

// DefaultTLS is the oldest version of TLS and of DTLS where nothing else is set.
const DefaultTLS = "1.2"

// TLSVersions and DTLSVersions are those that may be set as the oldest.
var (
	TLSVersions  = []string{"1.0", "1.1", "1.2", "1.3"}
	DTLSVersions = []string{"1.0", "1.2"}
)

// TLSKindService is what a service gets of a [TLSKind]: the same, with the file's content.
type TLSKindService struct {
	// Trust are certificates in PEM; empty for none.
	Trust      string `json:"trust,omitempty"`
	Verify     string `json:"verify,omitempty"`
	MinVersion string `json:"minVersion,omitempty"`
	Ciphers    string `json:"ciphers,omitempty"`
}

// Version is the oldest version as crypto/tls numbers it.
func (k TLSKindService) Version() uint16 {
	if i := slices.Index(TLSVersions, k.MinVersion); i >= 0 {
		return 0x0301 + uint16(i)
	}
	return 0x0303
}

// Suites are the ciphers as crypto/tls takes them; nil for its own choice.
func (k TLSKindService) Suites() []uint16 {
	suites, _ := CipherSuites(k.Ciphers)
	return suites
}

func (k TLSKind) validate(name string) error {
	if err := validateFile(k.Trust); err != nil {
		return fmt.Errorf("tls %s trust bundle %w", name, err)
	}
	if !slices.Contains([]string{VerifyOff, VerifyOn, VerifyOCSP}, k.Verify) {
		return fmt.Errorf("tls %s verification %q is unknown: use %s or %s", name, clip(k.Verify), VerifyOn, VerifyOCSP)
	}
	if k.Verify != VerifyOff && k.Trust == "" {
		return fmt.Errorf("tls %s verification needs certificates to trust: use tls %s trust <bundle> first", name, name)
	}
	if k.MinVersion != "" && !slices.Contains(TLSVersions, k.MinVersion) {
		return fmt.Errorf("TLS version %q is unknown: use %s", clip(k.MinVersion), strings.Join(TLSVersions, ", "))
	}
	_, err := CipherSuites(k.Ciphers)
	return err
}

func (t TLS) validate() error {
	for _, k := range []struct {
		name string
		kind TLSKind
	}{{"sip", t.SIP}, {"ldap", t.LDAP}, {"rtmps", t.RTMPS}, {"webadmin", t.WebAdmin}} {
		if err := k.kind.validate(k.name); err != nil {
			return err
		}
	}
	if t.MinDTLS != "" && !slices.Contains(DTLSVersions, t.MinDTLS) {
		return fmt.Errorf("DTLS version %q is unknown: use %s", clip(t.MinDTLS), strings.Join(DTLSVersions, ", "))
	}
	return nil
}

// cipherNames are the names that OpenSSL has, with the numbers of the IANA registry "TLS Cipher Suites". crypto/tls offers these.
var cipherNames = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": 0xc02b,
	"ECDHE-RSA-AES128-GCM-SHA256":   0xc02f,
	"ECDHE-ECDSA-AES256-GCM-SHA384": 0xc02c,
	"ECDHE-RSA-AES256-GCM-SHA384":   0xc030,
	"ECDHE-ECDSA-CHACHA20-POLY1305": 0xcca9,
	"ECDHE-RSA-CHACHA20-POLY1305":   0xcca8,
	"ECDHE-ECDSA-AES128-SHA":        0xc009,
	"ECDHE-RSA-AES128-SHA":          0xc013,
	"ECDHE-ECDSA-AES256-SHA":        0xc00a,
	"ECDHE-RSA-AES256-SHA":          0xc014,
	"AES128-GCM-SHA256":             0x009c,
	"AES256-GCM-SHA384":             0x009d,
	"AES128-SHA":                    0x002f,
	"AES256-SHA":                    0x0035,
}

// CipherNames lists the names that [CipherSuites] takes.
func CipherNames() []string { return slices.Sorted(maps.Keys(cipherNames)) }

// CipherSuites reads a list of names with colons between them.
func CipherSuites(list string) ([]uint16, error) {
	if list == "" {
		return nil, nil
	}
	var suites []uint16
	for name := range strings.SplitSeq(list, ":") {
		id, ok := cipherNames[name]
		if !ok {
			return nil, fmt.Errorf("cipher %q is unknown: use %s, with colons between them", clip(name), strings.Join(CipherNames(), ", "))
		}
		if slices.Contains(suites, id) {
			return nil, fmt.Errorf("cipher %s is there twice", name)
		}
		suites = append(suites, id)
	}
	return suites, nil
}
