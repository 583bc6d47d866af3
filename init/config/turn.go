package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Loopback is the name by which a service listens for the other services of this machine.
const Loopback = "lo"

// MaxSecret is the longest user name, password, shared secret or realm of the TURN server: what STUN has room for in a
// user name and a realm is 508 bytes and more (RFC 8489 section 14.3).
const MaxSecret = 128

// TURN is the TURN server.
type TURN struct {
	Enabled bool `json:"enabled"`
	// Listen are names of interfaces, and [Loopback]. The relay address is that of the first.
	Listen []string `json:"listen,omitempty"`
	// TLSPort takes TCP and TLS; without it there is no TCP at all.
	TLSPort int `json:"tlsPort,omitempty"`
	// Certificates are names of files that an administrator has put.
	Certificates Certificates `json:"certificates,omitzero"`
	// Username and Password are the static credentials, SharedSecret makes time-limited ones; ShortTerm chooses.
	Username     string `json:"username,omitempty"`
	Password     string `json:"password,omitempty"`
	SharedSecret string `json:"sharedSecret,omitempty"`
	Realm        string `json:"realm,omitempty"`
	ShortTerm    bool   `json:"shortTerm,omitempty"`
	// PublicIP is what a firewall maps to the relay address.
	PublicIP netip.Addr `json:"publicIP,omitzero"`
	// LowCapacity is on after "turn highcapacity-mode disable".
	LowCapacity bool `json:"lowCapacity,omitempty"`
}

// TURNService is what PID 1 gives the service: the settings, and what the service cannot find out by itself.
type TURNService struct {
	TURN TURN `json:"turn"`
	// Devices are the kernel's names of the interfaces, by their own.
	Devices map[string]string `json:"devices"`
	// Key and Chain are the contents of the files, Chain the certificate and the bundle behind it.
	Key   string `json:"key,omitempty"`
	Chain string `json:"chain,omitempty"`
}

// validate says what is wrong. What only an enabled server needs is asked of an enabled one.
func (t TURN) validate() error {
	for n, name := range t.Listen {
		if name != Loopback && !slices.Contains(InterfaceNames, name) {
			return fmt.Errorf("TURN cannot listen on %q: use %s or %s", clip(name), strings.Join(InterfaceNames, ", "), Loopback)
		}
		if slices.Contains(t.Listen[:n], name) {
			return fmt.Errorf("TURN listens on %s twice", name)
		}
	}
	if t.TLSPort < 0 || t.TLSPort > 65535 {
		return fmt.Errorf("TURN TLS port %d is out of range: use 1 to 65535", t.TLSPort)
	}
	if t.TLSPort == 22 {
		return errors.New("TURN TLS port 22 belongs to SSH: use 443 or 3478")
	}
	if err := t.Certificates.validate("TURN", "turn certs"); err != nil {
		return err
	}
	for _, v := range []struct{ name, value string }{
		{"user name", t.Username}, {"password", t.Password}, {"shared secret", t.SharedSecret}, {"realm", t.Realm},
	} {
		if len(v.value) > MaxSecret {
			return fmt.Errorf("TURN %s is longer than %d bytes", v.name, MaxSecret)
		}
		if strings.ContainsFunc(v.value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("TURN %s holds a character that cannot be printed", v.name)
		}
	}
	// RFC 8489 section 9.2.2 puts colons between user name, realm and password.
	if strings.Contains(t.Username, ":") {
		return errors.New("TURN user name holds a colon")
	}
	if a := t.PublicIP; a.IsValid() {
		if !a.Is4() {
			return fmt.Errorf("TURN public address %s is not an IPv4 address", a)
		}
		if err := validateIPv4Address(netip.PrefixFrom(a, 32)); err != nil {
			return fmt.Errorf("TURN public address: %w", err)
		}
	}
	if !t.Enabled {
		return nil
	}
	if missing := t.Missing(); missing != "" {
		return fmt.Errorf("TURN cannot be enabled: %s", missing)
	}
	return nil
}

// Missing says what the server still needs before it can be enabled; empty if nothing.
func (t TURN) Missing() string {
	switch {
	case len(t.Listen) == 0:
		return "no interface to listen on, use turn listen <interface>"
	case t.ShortTerm && (t.SharedSecret == "" || t.Realm == ""):
		return "no shared secret, use turn short_term_credentials <shared secret> <realm>"
	case !t.ShortTerm && (t.Username == "" || t.Password == "" || t.Realm == ""):
		return "no credentials, use turn credentials <user> <password> <realm>"
	}
	return ""
}
