package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"rotunda/mmp/identity/slapdtest"
)

// some writes people u0 to u(n-1).
func some(n int) func(io.Writer) {
	return func(w io.Writer) {
		for i := range n {
			writePerson(w, fmt.Sprintf("u%d", i), fmt.Sprintf("mail: u%d@example.com\n", i))
		}
	}
}

// writePerson writes an entry with further lines.
func writePerson(w io.Writer, uid, further string) {
	fmt.Fprintf(w, "dn: uid=%s,%s\nobjectClass: inetOrgPerson\nobjectClass: user\nuid: %[1]s\ncn: Name %[1]s\nsn: Of %[1]s\nsAMAccountName: %[1]s\n%[3]s\n",
		uid, slapdtest.People, further)
}

func plain(d *slapdtest.Directory) server {
	return server{address: "127.0.0.1", port: int64(d.Port), username: slapdtest.Reader, password: slapdtest.Password, paged: true}
}

func secured(d *slapdtest.Directory, port int) server {
	s := plain(d)
	s.port, s.secure = int64(port), true
	return s
}

// found reads everybody by a server's settings.
func found(t *testing.T, s server, settings TLS, filter string) (int, error) {
	t.Helper()
	x, err := connect(t.Context(), s, settings)
	if err != nil {
		return 0, err
	}
	defer x.close()
	n := 0
	err = x.search(t.Context(), slapdtest.People, filter, []string{"cn", "entryUUID"}, s.paged, func(e entry) error {
		if e.text("CN") == "" || e.guid() == "" {
			t.Errorf("%s has no name or GUID: %v", e.dn, e.values)
		}
		n++
		return nil
	})
	return n, err
}

func TestDirectoriesAreReadPlainByTLSAndByStartTLS(t *testing.T) {
	d := slapdtest.Start(t, slapdtest.Options{}, some(2345))
	verified := TLS{Verify: true, Roots: d.Roots}
	whole := plain(d)
	whole.paged = false
	for _, c := range []struct {
		name   string
		server server
		tls    TLS
	}{
		{"plain, by pages", plain(d), TLS{}},
		{"plain, at once", whole, TLS{}},
		{"TLS, not verified", secured(d, d.TLSPort), TLS{}},
		{"TLS, verified", secured(d, d.TLSPort), verified},
		{"TLS 1.3", secured(d, d.TLSPort), TLS{Verify: true, Roots: d.Roots, Min: tls.VersionTLS13}},
		{"StartTLS where a port speaks no TLS", secured(d, d.Port), verified},
	} {
		if n, err := found(t, c.server, c.tls, "(uid=*)"); n != 2345 || err != nil {
			t.Errorf("%s: wanted 2345 entries, got %d, %v", c.name, n, err)
		}
	}
}

func TestCertificatesAreHeldAgainstTheTrustBundle(t *testing.T) {
	d := slapdtest.Start(t, slapdtest.Options{}, nil)
	other := secured(d, d.TLSPort)
	other.address = "localhost.localdomain"
	for _, c := range []struct {
		name string
		port int
		tls  TLS
		want string
	}{
		{"another authority", d.TLSPort, TLS{Verify: true, Roots: x509.NewCertPool()}, "unknown authority"},
		{"another authority, by StartTLS", d.Port, TLS{Verify: true, Roots: x509.NewCertPool()}, "unknown authority"},
		{"no bundle", d.TLSPort, TLS{Verify: true}, "tls ldap trust"},
		{"revocation that nobody answers for", d.TLSPort, TLS{Verify: true, OCSP: true, Roots: d.Roots}, "names no OCSP responder"},
	} {
		if _, err := found(t, secured(d, c.port), c.tls, everything); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: wanted an error with %q, got %v", c.name, c.want, err)
		}
	}
	// The name must be that of the certificate.
	wrong := secured(d, d.TLSPort)
	wrong.address = "127.0.0.2"
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("127.0.0.2: %v", err)
	}
	defer l.Close()
	go relay(l, fmt.Sprintf("127.0.0.1:%d", d.TLSPort))
	wrong.port = int64(l.Addr().(*net.TCPAddr).Port)
	if _, err := found(t, wrong, TLS{Verify: true, Roots: d.Roots}, everything); err == nil || !strings.Contains(err.Error(), "127.0.0.2") {
		t.Errorf("another name: wanted an error that names 127.0.0.2, got %v", err)
	}
}

func relay(l net.Listener, to string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			return
		}
		go func() { _, _ = io.Copy(out, in); out.Close() }()
		go func() { _, _ = io.Copy(in, out); in.Close() }()
	}
}

func TestARevokedCertificateIsRefused(t *testing.T) {
	var d *slapdtest.Directory
	status := ocsp.Good
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := ocsp.CreateResponse(d.CA, d.CA, ocsp.Response{Status: status, SerialNumber: d.Leaf.SerialNumber,
			ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), RevokedAt: time.Now().Add(-time.Hour)}, d.Key)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer)
	}))
	defer responder.Close()
	d = slapdtest.Start(t, slapdtest.Options{OCSP: responder.URL}, some(1))
	settings := TLS{Verify: true, OCSP: true, Roots: d.Roots}
	for _, c := range []struct {
		status int
		want   string
	}{{ocsp.Good, ""}, {ocsp.Revoked, "was revoked"}, {ocsp.Unknown, "does not know"}} {
		status = c.status
		_, err := found(t, secured(d, d.TLSPort), settings, "(uid=*)")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("status %d: wanted %q, got %v", c.status, c.want, err)
		}
	}
}

func TestErrorsOfADirectorySayWhatToDo(t *testing.T) {
	d := slapdtest.Start(t, slapdtest.Options{SizeLimit: 100, Referral: "ldap://127.0.0.1:1"}, some(150))
	change := func(f func(*server)) server {
		s := plain(d)
		f(&s)
		return s
	}
	for _, c := range []struct {
		name         string
		server       server
		base, filter string
		want         string
	}{
		{"a wrong password", change(func(s *server) { s.password = "wrong" }), slapdtest.People, everything, "user name or password is wrong"},
		{"no password", change(func(s *server) { s.password = "" }), slapdtest.People, everything, "no password"},
		{"a base that is not there", plain(d), "ou=nowhere," + slapdtest.Suffix, everything, "the base does not exist"},
		{"a base of another server", plain(d), "dc=elsewhere", everything, "refers to another server"},
		{"more entries than it gives", plain(d), slapdtest.People, everything, "sends only a part"},
		{"nobody there", change(func(s *server) { s.port = 1 }), slapdtest.People, everything, "connection refused"},
	} {
		x, err := connect(t.Context(), c.server, TLS{})
		if err == nil {
			err = x.search(t.Context(), c.base, c.filter, nil, c.server.paged, func(entry) error { return nil })
			x.close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: wanted an error with %q, got %v", c.name, c.want, err)
		}
	}
}

func TestAConnectionThatBreaksIsNoEndOfASearch(t *testing.T) {
	d := slapdtest.Start(t, slapdtest.Options{}, some(3000))
	x, err := connect(t.Context(), plain(d), TLS{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	n := 0
	err = x.search(t.Context(), slapdtest.People, "(uid=*)", []string{"cn"}, true, func(entry) error {
		if n++; n == 1500 {
			x.raw.Close()
		}
		return nil
	})
	if err == nil || n >= 3000 {
		t.Errorf("wanted an error before the end, got %v after %d entries", err, n)
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	d := slapdtest.Start(t, slapdtest.Options{}, some(3000))
	ctx, cancel := context.WithCancel(t.Context())
	x, err := connect(ctx, plain(d), TLS{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	n := 0
	err = x.search(ctx, slapdtest.People, "(uid=*)", []string{"cn"}, true, func(entry) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if err == nil || n >= 3000 {
		t.Errorf("wanted an error, got %v after %d entries", err, n)
	}
}

// A peer that says it sends 1 GiB must not make us take that much.
func TestAnAnswerOfAnyLengthIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 1000))
		_, _ = c.Write([]byte{0x30, 0x84, 0x40, 0, 0, 0, 2, 1, 1})
		_, _ = io.Copy(io.Discard, c)
	}()
	s := server{address: "127.0.0.1", port: int64(l.Addr().(*net.TCPAddr).Port), username: "cn=x", password: "y"}
	if _, err := connect(t.Context(), s, TLS{}); err == nil || !strings.Contains(err.Error(), "greater than maximum") {
		t.Errorf("wanted an error about the length, got %v", err)
	}
}

func TestFiltersAreTakenAsAdministratorsWriteThem(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{"", "(objectClass=*)"},
		{"mail=*", "(mail=*)"},
		{"(|(mail=fred.bloggs*)(mail=test*))", "(|(mail=fred.bloggs*)(mail=test*))"},
		{"(!(mail=fred.bloggs*))", "(!(mail=fred.bloggs*))"},
		{"memberOf=cn=apac,cn=Users,dc=Example,dc=com", "(memberOf=cn=apac,cn=Users,dc=Example,dc=com)"},
		{"(&(memberOf=cn=apac,cn=Users,dc=Example,dc=com)(objectClass=person))", "(&(memberOf=cn=apac,cn=Users,dc=Example,dc=com)(objectClass=person))"},
		{"(&(memberOf:1.2.840.113556.1.4.1941:=cn=apac,cn=Users,dc=Example,\ndc=com)(objectClass=person))",
			"(&(memberOf:1.2.840.113556.1.4.1941:=cn=apac,cn=Users,dc=Example, dc=com)(objectClass=person))"},
		{"(&(objectCategory=person)(objectClass=user)(!(cn=Administrator))(!\n(cn=Guest))(!(cn=krbtgt)))",
			"(&(objectCategory=person)(objectClass=user)(!(cn=Administrator))(!(cn=Guest))(!(cn=krbtgt)))"},
		{" ( & (a=b c) \r\n\t ( | (d=e)(f=g) ) ) ", "(&(a=b c)(|(d=e)(f=g)))"},
		{"(&(memberOf=cn=Sales,cn=Users,dc=company,dc=com)(sAMAccountName=*))", "(&(memberOf=cn=Sales,cn=Users,dc=company,dc=com)(sAMAccountName=*))"},
	} {
		if got, err := normalFilter(c.filter); got != c.want || err != nil {
			t.Errorf("%q: wanted %q, got %q, %v", c.filter, c.want, got, err)
		}
	}
	for _, filter := range []string{"(mail=*", "mail", "(&(mail=*)", "(a=\\zz)"} {
		if got, err := normalFilter(filter); err == nil {
			t.Errorf("%q: wanted an error, got %q", filter, got)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("(&(memberOf:1.2.840.113556.1.4.1941:=cn=a)(!( cn=b )))", "fred*)(uid=*")
	f.Add("mail=$1*", "(x)\\")
	f.Fuzz(func(t *testing.T, filter, text string) {
		normal, err := normalFilter(filter)
		if err != nil {
			return
		}
		if again, err := normalFilter(normal); err != nil || again != normal {
			t.Fatalf("%q became %q, and that %q, %v", filter, normal, again, err)
		}
		// What somebody types never makes a filter that has another form.
		if !strings.Contains(normal, typed) {
			return
		}
		a, errA := searchFilter(normal, "x")
		b, errB := searchFilter(normal, text)
		if errA == nil && errB != nil && !strings.ContainsRune(text, 0) {
			t.Fatalf("%q with %q: %v", normal, text, errB)
		}
		if errA == nil && errB == nil && strings.Count(a, "(") != strings.Count(b, "(") {
			t.Fatalf("%q with %q became %q", normal, text, b)
		}
	})
}

func TestGUIDsAreReadAsEachDirectoryWritesThem(t *testing.T) {
	for _, c := range []struct{ attribute, value, want string }{
		{"objectguid", "\x78\x56\x34\x12\xbc\x9a\xf0\xde\x01\x02\x03\x04\x05\x06\x07\x08", "12345678-9abc-def0-0102-030405060708"},
		{"entryuuid", "12345678-9ABC-DEF0-0102-030405060708", "12345678-9abc-def0-0102-030405060708"},
		{"nsuniqueid", "66446001-1dd211b2-66225011-2ee211db", "66446001-1dd2-11b2-6622-50112ee211db"},
		{"orclguid", "123456789ABCDEF00102030405060708", "12345678-9abc-def0-0102-030405060708"},
		{"entryuuid", "none", ""},
		{"objectguid", "short", ""},
	} {
		if got := (entry{values: map[string]string{c.attribute: c.value}}).guid(); got != c.want {
			t.Errorf("%s %q: wanted %q, got %q", c.attribute, c.value, c.want, got)
		}
	}
}
