package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"rotunda/init/config"
	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
	"rotunda/mmp/identity"
)

// tester answers ldap test.
type tester struct{ asked []string }

func (p *tester) Test(_ context.Context, user, password string) ([]identity.Step, error) {
	p.asked = append(p.asked, user+"/"+password)
	steps := []identity.Step{{Done: "connect to dc1.example.com:636 by TLS"}, {Done: "log in as cn=reader"}}
	if user == "nobody" {
		return append(steps, identity.Step{Done: "search below dc=example for (uid=nobody)", Error: "there is no such person"}), nil
	}
	return steps, nil
}

func TestTheDirectoryIsSetUpAsInTheGuide(t *testing.T) {
	d := newDesk(t)
	p := &tester{}
	d.deps.People = p
	d.prints(`Enabled                 : false
Server                  : none
Security                : ldaps
Certificate verification: disabled
Bind DN                 : none
Base DN                 : none
Login attribute         : sAMAccountName
Filter                  : none
`, "ldap")
	d.fails("FAILURE: no server", "ldap enable")
	d.fails("FAILURE: no server", "ldap test jane")
	d.prints("", "ldap server dc1.example.com")
	d.fails("FAILURE: no place where people are", "ldap enable")
	d.prints("", "ldap base ou=people,dc=example,dc=com")
	d.prints("", `ldap bind "cn=reader,dc=example,dc=com"`, "s3cret")
	d.fails("the password is empty", "ldap bind cn=x", "")
	d.prints("", "ldap attribute uid")
	d.fails("not the name of an attribute", "ldap attribute uid=*")
	d.prints("", `ldap filter title=operator`)
	d.fails("not one of RFC 4515", `ldap filter "(a=b"`)
	d.prints("Warning: passwords go to the directory without encryption: use ldap ldaps or ldap starttls\n", "ldap plain")
	d.prints("Warning: the directory's certificate is not verified, so somebody in between can read passwords: use tls ldap trust <bundle> and tls ldap verify enable\n", "ldap starttls")
	d.machine.config.Document.TLS.LDAP = config.TLSKind{Trust: "ca.crt", Verify: config.VerifyOn}
	d.prints("SUCCESS: ldap enabled\n", "ldap enable")
	d.prints(`Enabled                 : true
Server                  : dc1.example.com:389
Security                : starttls
Certificate verification: enabled
Bind DN                 : cn=reader,dc=example,dc=com
Base DN                 : ou=people,dc=example,dc=com
Login attribute         : uid
Filter                  : (title=operator)
`, "ldap")
	if got := d.machine.config.Document.LDAP.BindPassword; got != "s3cret" {
		t.Errorf("password %q", got)
	}
	d.prints("SUCCESS: connect to dc1.example.com:636 by TLS\nSUCCESS: log in as cn=reader\n", "ldap test jane password", "her word")
	d.fails("FAILURE: search below dc=example for (uid=nobody): there is no such person", "ldap test nobody")
	if fmt.Sprint(p.asked) != "[jane/her word nobody/]" {
		t.Errorf("asked %q", p.asked)
	}
	d.prints("", "ldap bind none")
	d.prints("", "ldap filter none")
	d.prints("", "ldap disable")
	if l := d.machine.config.Document.LDAP; l.Enabled || l.BindPassword != "" || l.Filter != "" {
		t.Errorf("left over: %+v", l)
	}
}

func TestCardsAreSetUpAsInTheGuide(t *testing.T) {
	d := newDesk(t)
	d.fails("there are no certificates that issue cards", "cac enable")
	d.machine.config.Document.CAC.Issuer = "cards.crt"
	d.prints("", "cac ocsp responder http://ocsp.example.com")
	d.fails("an OCSP responder", "cac ocsp responder ocsp.example.com")
	d.prints("", "cac ocsp enable")
	d.prints("SUCCESS: cac enabled\n", "cac enable")
	d.prints(`SUCCESS: cac enabled
Passwords are not taken any more, but from local administrators at the serial console. Log in anew by your card before you end this session.
`, "cac enable strict")
	d.prints(`Enabled                 : true
Strict                  : true
Issuer bundle           : cards.crt
OCSP                    : enabled
OCSP responder          : http://ocsp.example.com
OCSP key file           : none
OCSP certificate file   : none
`, "cac")
	d.fails("there are no certificates that issue cards", "cac issuer none")
	d.prints("", "cac disable")
	if k := d.machine.config.Document.CAC; k.Enabled || k.Strict {
		t.Errorf("after cac disable: %+v", k)
	}
	d.prints("", "cac issuer none")
}

func TestFIPSModeNeedsARestart(t *testing.T) {
	d := newDesk(t)
	d.prints("FIPS mode               : Disabled\nModule                  : Go Cryptographic Module of this release, not a certified version\n", "fips")
	d.machine.config.Document.TLS.SIP.MinVersion = "1.0"
	d.fails("FIPS mode does not allow TLS 1.0 of sip: use tls sip min-tls-version 1.2", "fips enable")
	d.machine.config.Document.TLS.SIP.MinVersion = ""
	d.prints("A reboot is required for the change to take effect\n", "fips enable")
	d.prints("FIPS mode               : Disabled\nModule                  : Go Cryptographic Module of this release, not a certified version\nFIPS mode is to be enabled: a reboot is required\n", "fips")
	d.fails("FIPS mode does not allow TLS 1.1", "tls sip min-tls-version 1.1")
	d.deps.Stored = shelf{"ntp.key": []byte("1 SHA1 abc\n2 SHA256 abc\n")}
	d.prints("", "ntp groupkey ntp.key")
	d.fails("FIPS mode does not allow SHA1", "ntp server add ntp1.example.com 1")
	d.prints("", "ntp server add ntp1.example.com 2")
	defer func(f func(context.Context) ([]string, error)) { selfTest = f }(selfTest)
	selfTest = func(context.Context) ([]string, error) { return []string{"SHA2-256"}, nil }
	d.prints("SUCCESS: SHA2-256\nFIPS self-test passed: 1 tests\n", "fips test")
	selfTest = func(context.Context) ([]string, error) {
		return nil, errors.New("FIPS 140-3 self-test failed: SHA2-256")
	}
	d.fails("FAILURE: FIPS 140-3 self-test failed: SHA2-256", "fips test")
}

// board keeps notices.
type board struct{ shelf }

func (b board) Put(_ files.Person, name string, data []byte, _ bool) error {
	if len(data) > 2048 {
		return &files.Error{Text: "the message has more than 2048 characters"}
	}
	b.shelf[name] = data
	return nil
}

func (b board) Remove(p files.Person, name string) error {
	if _, ok := b.shelf[name]; !ok || p.Role != grammar.Admin {
		return &files.Error{Text: "there is no file", Kind: fs.ErrNotExist}
	}
	delete(b.shelf, name)
	return nil
}

func TestTextsAtTheLogin(t *testing.T) {
	d := newDesk(t)
	b := board{shelf{}}
	d.deps.Notices, d.deps.Stored = b, b.shelf
	for _, name := range []string{"motd", "login_warning"} {
		d.prints("There is no "+name+"\n", name)
		d.prints("", name+` add "Keep out"`)
		if got := string(b.shelf[name]); got != "Keep out\n" {
			t.Errorf("%s holds %q", name, got)
		}
		d.prints("Keep out\n", name)
		d.fails("it is empty", name+` add " "`)
		d.prints("", name+" del")
		d.fails("there is no "+name, name+" del")
	}
}
