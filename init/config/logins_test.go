package config

import (
	"strings"
	"testing"
)

func refused(t *testing.T, part string, edit func(*Document)) {
	t.Helper()
	d := Factory()
	edit(d)
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("wanted an error with %q, got %v", part, err)
	}
}

func TestLDAPSettingsAreJudged(t *testing.T) {
	d := Factory()
	d.LDAP = LDAP{Enabled: true, Host: "dc.example.com", Base: "dc=example,dc=com"}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if d.LDAP.ServerPort() != 636 || d.LDAP.Secured() != LDAPS || d.LDAP.LoginAttribute() != "sAMAccountName" {
		t.Errorf("defaults: %d %s %s", d.LDAP.ServerPort(), d.LDAP.Secured(), d.LDAP.LoginAttribute())
	}
	d.LDAP.Security = LDAPStartTLS
	if d.LDAP.ServerPort() != 389 {
		t.Errorf("port of StartTLS: %d", d.LDAP.ServerPort())
	}
	for part, l := range map[string]LDAP{
		"no server":              {Enabled: true, Base: "dc=x"},
		"no place where people":  {Enabled: true, Host: "192.0.2.1"},
		"neither an address nor": {Host: "a b"},
		"its password to bind":   {BindDN: "cn=reader"},
		"out of range":           {Port: 70000},
		"name of an attribute":   {Attribute: "uid)(cn=*"},
		"is unknown":             {Security: "ssl"},
		"one line":               {Filter: "(a=\n)"},
	} {
		refused(t, part, func(d *Document) { d.LDAP = l })
	}
}

func TestCardsNeedAnIssuer(t *testing.T) {
	refused(t, "cac issuer <bundle>", func(d *Document) { d.CAC.Enabled = true })
	refused(t, "strict and disabled", func(d *Document) { d.CAC.Strict = true })
	for _, bad := range []string{"ocsp.example.com", "ftp://x", "http://", "http://u:p@x", "file:///etc/passwd"} {
		refused(t, "not the address of an OCSP responder", func(d *Document) { d.CAC.OCSP.Responder = bad })
	}
	d := Factory()
	d.CAC = CAC{Enabled: true, Strict: true, Issuer: "ca.crt", OCSP: CACOCSP{Enabled: true, Responder: "http://ocsp.example.com:8080/x"}}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

func TestFIPSRefusesWhatItDoesNotHaveAndSaysWhatIsRight(t *testing.T) {
	fips := func(edit func(*Document)) func(*Document) {
		return func(d *Document) { d.FIPS.Enabled = true; edit(d) }
	}
	refused(t, "use tls sip min-tls-version 1.2", fips(func(d *Document) { d.TLS.SIP.MinVersion = "1.0" }))
	refused(t, "cipher ECDHE-RSA-CHACHA20-POLY1305 of webadmin", fips(func(d *Document) {
		d.TLS.WebAdmin.Ciphers = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305"
	}))
	refused(t, "DTLS 1.0", fips(func(d *Document) { d.TLS.MinDTLS = "1.0" }))
	refused(t, "use ldap ldaps", fips(func(d *Document) { d.LDAP = LDAP{Enabled: true, Host: "x", Base: "dc=x", Security: LDAPPlain} }))
	d := Factory()
	d.FIPS.Enabled = true
	d.TLS.SIP.Ciphers = "ECDHE-RSA-AES256-GCM-SHA384"
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	if e := d.FIPS.Environment(); len(e) != 1 || e[0] != "GODEBUG=fips140=on" {
		t.Errorf("environment %q", e)
	}
}
