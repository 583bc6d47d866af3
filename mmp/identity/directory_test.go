package identity

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"rotunda/init/config"
	"rotunda/mmp/identity/slapdtest"
)

// staff are jane, who is an operator, joe, who is not, and two entries of the name twin.
func staff(t *testing.T) *slapdtest.Directory {
	t.Helper()
	return slapdtest.Start(t, slapdtest.Options{}, func(w io.Writer) {
		for _, p := range []struct{ cn, uid, title string }{{"Jane", "jane", "operator"}, {"Joe", "joe", "guest"}, {"Twin 1", "twin", "x"}, {"Twin 2", "twin", "x"}} {
			fmt.Fprintf(w, "dn: cn=%[1]s,%[2]s\nobjectClass: inetOrgPerson\nobjectClass: user\ncn: %[1]s\nsn: %[1]s\nuid: %[3]s\nsAMAccountName: win-%[3]s\ntitle: %[4]s\nuserPassword: %[3]s's secret\n\n",
				p.cn, slapdtest.People, p.uid, p.title)
		}
	})
}

func by(d *slapdtest.Directory, security string) directory {
	port := d.Port
	if security == config.LDAPS {
		port = d.TLSPort
	}
	return directory{
		ldap: config.LDAP{Enabled: true, Host: "127.0.0.1", Port: port, Security: security, BindDN: slapdtest.Reader, BindPassword: slapdtest.Password,
			Base: slapdtest.People, Attribute: "uid"},
		tls: config.TLSKindService{Trust: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.CA.Raw})), Verify: config.VerifyOn},
	}
}

func TestADirectoryVouchesForItsPeople(t *testing.T) {
	d := staff(t)
	for _, security := range config.LDAPSecurities {
		t.Run(security, func(t *testing.T) {
			x := by(d, security)
			for _, c := range []struct {
				user, password string
				want           error
			}{
				{"jane", "jane's secret", nil},
				{"JANE", "jane's secret", nil},
				{"jane", "joe's secret", ErrWrong},
				{"jane", "", ErrWrong},
				{"nobody", "x", ErrWrong},
				{"twin", "twin's secret", ErrWrong},
				{"*", "jane's secret", ErrWrong},
				{"jane)(uid=*", "jane's secret", ErrWrong},
				{"", "jane's secret", ErrWrong},
			} {
				if err := x.check(t.Context(), c.user, c.password); !errors.Is(err, c.want) {
					t.Errorf("%s with %q: want %v, got %v", c.user, c.password, c.want, err)
				}
			}
		})
	}
}

func TestAttributeAndFilterChooseWhoIsMeant(t *testing.T) {
	d := staff(t)
	x := by(d, config.LDAPS)
	x.ldap.Attribute = ""
	if err := x.check(t.Context(), "win-jane", "jane's secret"); err != nil {
		t.Errorf("by sAMAccountName: %v", err)
	}
	x.ldap.Attribute, x.ldap.Filter = "uid", "(title=operator)"
	if err := x.check(t.Context(), "jane", "jane's secret"); err != nil {
		t.Errorf("one that the filter lets through: %v", err)
	}
	if err := x.check(t.Context(), "joe", "joe's secret"); !errors.Is(err, ErrWrong) {
		t.Errorf("one that it does not: %v", err)
	}
	x.ldap.Filter = ""
	x.ldap.BindDN, x.ldap.BindPassword = "", ""
	if err := x.check(t.Context(), "joe", "joe's secret"); err != nil {
		t.Errorf("looked for anonymously: %v", err)
	}
}

func TestWhatIsWrongWithTheDirectoryIsNoWrongPassword(t *testing.T) {
	d := staff(t)
	for what, edit := range map[string]func(*directory){
		"connection refused":                func(x *directory) { x.ldap.Port = 1 },
		"the name or the password is wrong": func(x *directory) { x.ldap.BindPassword = "wrong" },
		"the base does not exist":           func(x *directory) { x.ldap.Base = "ou=nowhere," + slapdtest.Suffix },
		"no trust bundle":                   func(x *directory) { x.tls.Trust = "" },
		"certificate":                       func(x *directory) { x.tls.Trust = strange },
		"no place where people are":         func(x *directory) { x.ldap.Base = "" },
		"not one of RFC 4515":               func(x *directory) { x.ldap.Filter = "(a=b" },
		"names no OCSP responder":           func(x *directory) { x.tls.Verify = config.VerifyOCSP },
	} {
		x := by(d, config.LDAPS)
		edit(&x)
		err := x.check(t.Context(), "jane", "jane's secret")
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), what) {
			t.Errorf("want %v with %q, got %v", ErrUnavailable, what, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is told: %v", err)
		}
	}
	x := by(d, config.LDAPPlain)
	x.ldap.Port, x.ldap.Security = d.Port, config.LDAPS
	if err := x.check(t.Context(), "jane", "jane's secret"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("TLS to a plain port: %v", err)
	}
}

// strange is an authority that issued nothing here.
const strange = `-----BEGIN CERTIFICATE-----
MIIBTTCB9KADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMTAXgwHhcNMjQw
-----END CERTIFICATE-----
`

func TestATestGoesStepByStep(t *testing.T) {
	d := staff(t)
	x := by(d, config.LDAPStartTLS)
	steps := x.test(t.Context(), "jane", "jane's secret")
	text := fmt.Sprint(steps)
	if len(steps) != 4 || steps[3].Error != "" || !strings.Contains(text, "by StartTLS") || !strings.Contains(text, "cn=Jane,"+slapdtest.People) {
		t.Errorf("a right password: %v", steps)
	}
	if steps := x.test(t.Context(), "jane", ""); len(steps) != 3 || steps[2].Error != "" {
		t.Errorf("without a password: %v", steps)
	}
	if steps := x.test(t.Context(), "jane", "wrong"); len(steps) != 4 || steps[3].Error != "the name or the password is wrong" {
		t.Errorf("a wrong password: %v", steps)
	}
	if steps := x.test(t.Context(), "nobody", ""); len(steps) != 3 || steps[2].Error != "there is no such person" {
		t.Errorf("nobody: %v", steps)
	}
}

// TestTheProcessAnswersTheShell runs the whole program with its settings and its socket.
func TestTheProcessAnswersTheShell(t *testing.T) {
	d := staff(t)
	x := by(d, config.LDAPS)
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "settings.json"), filepath.Join(dir, "s")
	put := func(s config.IdentityService) {
		b, err := json.Marshal(s)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := config.IdentityService{LDAP: x.ldap, TLS: x.tls}
	put(s)
	ctx, cancel := context.WithCancel(t.Context())
	hangup, done := make(chan os.Signal), make(chan error, 1)
	go func() { done <- run(ctx, file, socket, uint32(os.Getuid()), hangup, func(string) {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c := NewClient(socket)
	hangup <- os.Interrupt // taken once it serves
	if err := c.CheckPassword(t.Context(), "jane", "jane's secret"); err != nil {
		t.Errorf("right: %v", err)
	}
	if err := c.CheckPassword(t.Context(), "jane", "x"); !errors.Is(err, ErrWrong) {
		t.Errorf("wrong: %v", err)
	}
	if steps, err := c.Test(t.Context(), "jane", ""); err != nil || len(steps) != 3 {
		t.Errorf("test: %v, %v", steps, err)
	}
	if _, err := c.CheckCertificate(t.Context(), [][]byte{{1}}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a card without cac: %v", err)
	}
	s.LDAP.Port = 1
	put(s)
	hangup <- os.Interrupt
	hangup <- os.Interrupt // the second is taken once the first is done
	if err := c.CheckPassword(t.Context(), "jane", "jane's secret"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after other settings: %v", err)
	}
	if err := NewClient(filepath.Join(dir, "none")).CheckPassword(t.Context(), "a", "b"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no process: %v", err)
	}
}

// FuzzFilter: a name is never more than a value, whatever it holds, and a filter that is taken is one.
func FuzzFilter(f *testing.F) {
	f.Add("jane", "(title=operator)")
	f.Add("*)(uid=*", "title=operator")
	f.Add("a\x00b\\2a", "(&(a=b)(!(c=*)))")
	f.Add("", "(a=b))(|(c=d")
	f.Fuzz(func(t *testing.T, user, further string) {
		d := directory{ldap: config.LDAP{Attribute: "uid"}}
		text, err := d.filterFor(user)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ldap.CompileFilter(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if p.Tag != ldap.FilterEqualityMatch || len(p.Children) != 2 {
			t.Fatalf("%q is no comparison for equality", text)
		}
		if got := p.Children[1].Data.String(); got != user {
			t.Errorf("the value became %q from %q", got, user)
		}
		normal, err := NormalFilter(further)
		if err != nil {
			return
		}
		d.ldap.Filter = further
		if text, err = d.filterFor(user); err != nil {
			t.Fatal(err)
		}
		if p, err = ldap.CompileFilter(text); err != nil || p.Tag != ldap.FilterAnd || len(p.Children) != 2 {
			t.Errorf("%q, of %q: %v", text, normal, err)
		}
	})
}
