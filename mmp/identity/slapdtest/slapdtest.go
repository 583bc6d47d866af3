// Package slapdtest is a real directory for tests: Debian's slapd, in a temporary folder and on loopback only, plain and with TLS.
//
//	d := slapdtest.Start(t, slapdtest.Options{}, func(w io.Writer) { fmt.Fprintf(w, "dn: …") })
//	d.Conn() // a connection as the administrator, to change entries
//
// Besides the usual person it knows attributes of Active Directory (sAMAccountName, objectGUID as 16 bytes), and memberOf,
// nested groups included. Tests are skipped where slapd is not installed.
package slapdtest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rotunda/services/freeport"
)

// Where and who.
const (
	Suffix   = "dc=example,dc=com"
	People   = "ou=people," + Suffix
	Groups   = "ou=groups," + Suffix
	Admin    = "cn=admin," + Suffix
	Reader   = "cn=reader," + Suffix
	Password = "correct horse"
)

// Options are what tests choose.
type Options struct {
	// SizeLimit is the most entries of one answer, for accounts but Admin; 0 for any number.
	SizeLimit int
	// Names are further names that the certificate is for.
	Names []string
	// OCSP is the responder that the certificate names.
	OCSP string
	// Referral is where the directory sends those who ask for what it does not hold.
	Referral string
}

// Directory is a slapd.
type Directory struct {
	t testing.TB
	// Port is the plain one, with StartTLS; TLSPort begins with TLS.
	Port, TLSPort int
	// Roots verify its certificate, which is for localhost and 127.0.0.1; Leaf, CA and Key make answers of OCSP.
	Roots    *x509.CertPool
	Leaf, CA *x509.Certificate
	Key      *ecdsa.PrivateKey

	end func()
}

// Stop ends the directory before the test does; whoever asks it then is refused a connection.
func (d *Directory) Stop() { d.end() }

// slapd is in sbin, which is not in everybody's path.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, n := range []string{name, "/usr/sbin/" + name} {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	t.Skipf("%s is not installed: image/install-packages test", name)
	return ""
}

// Start loads entries, written as LDIF behind the suffix, people, groups and the account that reads, and starts the directory until the test ends.
func Start(t testing.TB, o Options, entries func(w io.Writer)) *Directory {
	t.Helper()
	slapd, slapadd := program(t, "slapd"), program(t, "slapadd")
	dir := t.TempDir()
	d := &Directory{t: t}
	d.certificates(dir, o)
	config := filepath.Join(dir, "slapd.conf")
	write(t, config, d.config(dir, o))
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	ldif, err := os.Create(filepath.Join(dir, "entries.ldif"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(ldif)
	fmt.Fprintf(w, "dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n", Suffix)
	fmt.Fprintf(w, "dn: %s\nobjectClass: organizationalUnit\nou: people\n\ndn: %s\nobjectClass: organizationalUnit\nou: groups\n\n", People, Groups)
	fmt.Fprintf(w, "dn: %s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: %s\n\n", Reader, Password)
	if entries != nil {
		entries(w)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	ldif.Close()
	if out, err := exec.Command(slapadd, "-q", "-f", config, "-l", ldif.Name()).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	// Another process may take a port between the look and the start.
	for try := 1; ; try++ {
		d.Port, d.TLSPort = freeport.For(t), freeport.For(t)
		if err := d.run(slapd, config); err == nil {
			return d
		} else if try == 3 {
			t.Fatal(err)
		}
	}
}

func (d *Directory) config(dir string, o Options) string {
	limit := "unlimited"
	if o.SizeLimit > 0 {
		limit = fmt.Sprint(o.SizeLimit)
	}
	referral := ""
	if o.Referral != "" {
		referral = "referral " + o.Referral + "\n"
	}
	return `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/dyngroup.schema
attributetype ( 1.3.6.1.4.1.4203.666.1.1 NAME 'objectGUID' SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.1.2 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.1.3 NAME 'ipPhone' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.4203.666.1.4 NAME 'user' AUXILIARY MAY ( objectGUID $ sAMAccountName $ ipPhone ) )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload dynlist
pidfile ` + dir + `/slapd.pid
TLSCACertificateFile ` + dir + `/ca.pem
TLSCertificateFile ` + dir + `/cert.pem
TLSCertificateKeyFile ` + dir + `/key.pem
sizelimit ` + limit + `
` + referral + `database mdb
suffix ` + Suffix + `
rootdn ` + Admin + `
rootpw "` + Password + `"
directory ` + dir + `/db
maxsize 4294967296
dbnosync
index objectClass,uid,cn,sAMAccountName,member eq
index mail pres,eq
overlay dynlist
dynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames*
`
}

// run starts slapd and returns once it listens.
func (d *Directory) run(slapd, config string) error {
	// -d keeps it in the foreground, and "none" makes it say what concerns everybody.
	cmd := exec.Command(slapd, "-d", "none", "-f", config, "-h", fmt.Sprintf("ldap://127.0.0.1:%d ldaps://127.0.0.1:%d", d.Port, d.TLSPort))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "slapd starting") {
			go func() {
				for lines.Scan() {
				}
			}()
			d.end = sync.OnceFunc(func() {
				_ = cmd.Process.Signal(syscall.SIGINT)
				_ = cmd.Wait()
			})
			d.t.Cleanup(d.end)
			return d.listening()
		}
		said.WriteString(lines.Text() + "\n")
	}
	return fmt.Errorf("slapd: %w\n%s", cmd.Wait(), said.String())
}

// listening waits until connections are taken, which slapd does a moment after it says that it starts, and does not tell.
func (d *Directory) listening() error {
	var err error
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		var c net.Conn
		if c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.TLSPort)); err == nil {
			c.Close()
			return nil
		}
	}
	return err
}

// Conn returns a connection as the administrator.
func (d *Directory) Conn() *ldap.Conn {
	d.t.Helper()
	c, err := ldap.DialURL(fmt.Sprintf("ldap://127.0.0.1:%d", d.Port))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	if err := c.Bind(Admin, Password); err != nil {
		d.t.Fatal(err)
	}
	return c
}

// certificates makes an authority and the server's key.
func (d *Directory) certificates(dir string, o Options) {
	t := d.t
	t.Helper()
	var err error
	if d.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	d.CA = sign(t, ca, ca, &d.Key.PublicKey, d.Key)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), DNSNames: append([]string{"localhost"}, o.Names...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if o.OCSP != "" {
		leaf.OCSPServer = []string{o.OCSP}
	}
	d.Leaf = sign(t, leaf, d.CA, &serverKey.PublicKey, d.Key)
	d.Roots = x509.NewCertPool()
	d.Roots.AddCert(d.CA)
	key, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"ca.pem": {Type: "CERTIFICATE", Bytes: d.CA.Raw}, "cert.pem": {Type: "CERTIFICATE", Bytes: d.Leaf.Raw},
		"key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(block)))
	}
}

func sign(t testing.TB, c, by *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
