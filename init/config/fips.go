package config

import (
	"fmt"
	"slices"
	"strings"

	"rotunda/init/snmp/usm"
)

// FIPS is the mode in which cryptography of network traffic is that of FIPS 140-3 alone (guide 15.3, table 14). Programs are in it or
// not from their start on, so it changes with a restart of the machine; [FIPS.Environment] is how they get to know.
type FIPS struct {
	Enabled bool `json:"enabled"`
}

// Environment is what every program of the machine is started with: Go's cryptographic module checks itself and takes part of TLS and
// SSH over. It is "on" and not "only", where what is not approved panics: SHA-1 is in the handshake of a WebSocket, MD5 in the
// passwords of SIP, and neither keeps a secret there.
func (f FIPS) Environment() []string {
	if !f.Enabled {
		return nil
	}
	return []string{"GODEBUG=fips140=on"}
}

// notApproved are ciphers of [CipherNames] that FIPS 140-3 does not have: ChaCha20-Poly1305, AES with SHA-1, and keys that RSA carries.
func notApproved(cipher string) bool {
	return !strings.HasPrefix(cipher, "ECDHE-") || !strings.Contains(cipher, "-GCM-")
}

// validateFIPS says what of the document the mode does not allow. It is said before a setting counts, not after a restart by what no
// longer works.
func (d *Document) validateFIPS() error {
	if !d.FIPS.Enabled {
		return nil
	}
	bad := func(what, instead string) error {
		return fmt.Errorf("FIPS mode does not allow %s: %s, or fips disable", what, instead)
	}
	for _, k := range []struct {
		name string
		kind TLSKind
	}{{"sip", d.TLS.SIP}, {"ldap", d.TLS.LDAP}, {"rtmps", d.TLS.RTMPS}, {"webadmin", d.TLS.WebAdmin}} {
		if k.kind.MinVersion == "1.0" || k.kind.MinVersion == "1.1" {
			return bad("TLS "+k.kind.MinVersion+" of "+k.name, "use tls "+k.name+" min-tls-version 1.2")
		}
		if k.kind.Ciphers == "" {
			continue
		}
		list := strings.Split(k.kind.Ciphers, ":")
		if i := slices.IndexFunc(list, notApproved); i >= 0 {
			return bad("cipher "+list[i]+" of "+k.name, "use tls "+k.name+" ciphers with those that have ECDHE and GCM")
		}
	}
	if d.TLS.MinDTLS == "1.0" {
		return bad("DTLS 1.0", "use tls min-dtls-version 1.2")
	}
	if d.LDAP.Enabled && d.LDAP.Secured() == LDAPPlain {
		return bad("passwords without encryption", "use ldap ldaps")
	}
	for _, u := range d.SNMP.Users {
		auth, _ := usm.AuthByName(u.Auth)
		privacy, _ := usm.PrivacyByName(u.Privacy)
		if !auth.Approved || !privacy.Approved {
			return bad(fmt.Sprintf("%s and %s of SNMP user %s", u.Auth, u.Privacy, u.Name), "use snmp user del "+u.Name)
		}
	}
	return nil
}
