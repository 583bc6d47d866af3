//go:build qemu

package qemu

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rotunda/mmp/identity/slapdtest"
)

// TestPeopleLogInByDirectoryAndByCard: somebody of a directory (slapd) and the holder of a card (an authority of openssl, with its OCSP
// responder) at every door of the machine, in FIPS mode as well; and names below a trust anchor (BIND).
func TestPeopleLogInByDirectoryAndByCard(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"named", "dnssec-signzone", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: image/install-packages test", program)
		}
	}
	network := newLAN(t, "10.79.0.1/24")
	anchor := serveSigned(t, network)
	people := slapdtest.Start(t, slapdtest.Options{Names: []string{directoryName}}, func(w io.Writer) {
		fmt.Fprintf(w, "dn: cn=Jane,%s\nobjectClass: inetOrgPerson\ncn: Jane\nsn: Jane\nuid: jane\nuserPassword: %s\n\n", slapdtest.People, janePassword)
	})
	cards := newCards(t)
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 443}}}, {Segment: network.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	admin := m.connected()
	defer func() { admin.end() }()

	m.in("names below a trust anchor are believed when they are signed", func(m *trial) {
		admin.does(m, "ipv4 b add 10.79.0.2/24", "ipv4 b enable", "dns add forwardzone signed.example 10.79.0.1", `dns add trustanchor "`+anchor+`"`)
		wantContains(m.t, "a signed name", m.await("dns lookup a www.signed.example", "IN A"), "www.signed.example. 300 IN A 192.0.2.1")
		admin.fails(m, "dns lookup a none.signed.example", "there is no name none.signed.example")
		admin.fails(m, "dns lookup a forged.signed.example", "SERVFAIL")
		wantContains(m.t, "the log", admin.does(m, `syslog search "trust anchor of"`),
			"forged.signed.example. A is not signed as the trust anchor of signed.example. wants: a signature of forged.signed.example. A is wrong")
		admin.does(m, `dns del trustanchor "`+anchor+`"`)
		wantContains(m.t, "the forged name without the anchor", admin.does(m, "dns lookup a forged.signed.example"), "IN A 192.0.2.66")
	})

	certificate, key := selfSigned(t)
	authority := file(t, "directory.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: people.CA.Raw}))
	m.in("the directory is set up and tried", func(m *trial) {
		admin.puts(m, "put "+certificate, "put "+key, "put "+authority, "put "+cards.authority+" cards.crt")
		admin.does(m, "webadmin listen a 443", "webadmin certs web.key web.crt", "webadmin enable",
			`dns app add rr "`+directoryName+`. IN A 10.0.2.2"`,
			fmt.Sprintf("ldap server %s %d", directoryName, people.TLSPort), "ldap base "+slapdtest.People, "ldap attribute uid",
			"tls ldap trust cards.crt", "tls ldap verify enable")
		admin.answers(m, `ldap bind "`+slapdtest.Reader+`"`, slapdtest.Password)
		// Its certificate is not of those who issue cards.
		admin.fails(m, "ldap test jane", "certificate signed by unknown authority")
		admin.answers(m, "user add scripts api", scriptsPassword+"\n"+scriptsPassword)
		admin.does(m, "tls ldap trust directory.crt", "user add jane admin ldap", "ldap enable")
		wantContains(m.t, "ldap test", admin.answers(m, "ldap test jane password", janePassword), "by TLS", "SUCCESS: log in as cn=Jane,"+slapdtest.People)
		wantContains(m.t, "ldap", admin.does(m, "ldap"), "Enabled                 : true", "Server                  : "+directoryName, "Certificate verification: enabled")
		wantContains(m.t, "user info", admin.does(m, "user info jane"), "Authentication         : LDAP")
	})

	jane := m.SSH("jane", janePassword)
	m.in("somebody of the directory comes in by SSH, SFTP, console and Web Admin, and not by the API", func(m *trial) {
		m.entersBySSH(jane)
		m.refusedBySSH(m.SSH("jane", wrongPassword))
		back := filepath.Join(m.t.TempDir(), "web.crt")
		if r, err := jane.SFTP(m.within(commandLimit), "get web.crt "+back); err != nil || r.Status != 0 {
			m.t.Errorf("sftp as jane: got status %d, %v, %q", r.Status, err, r.Stderr)
		}
		m.typed("exit\r")
		if err := m.Serial.Login(m.within(commandLimit), "jane", janePassword); err != nil {
			m.t.Fatal(err)
		}
		wantContains(m.t, "whoami on the console", m.serial("whoami"), "User   : jane", "Source : serial console")
		m.typed("exit\r")
		m.refusedOnConsole("jane", wrongPassword)
		m.awaitAPI("coSpaces")
		m.entersPages(url.Values{"user": {"jane"}, "password": {janePassword}})
		m.refusedPages(http.StatusUnauthorized, url.Values{"user": {"jane"}, "password": {wrongPassword}})
		if r, body := m.apiAs("jane", janePassword, "GET", "coSpaces", nil); r.StatusCode != http.StatusUnauthorized {
			m.t.Errorf("the API as jane: got %d, %q, want 401", r.StatusCode, body)
		}
		m.login()
	})

	first := cards.issue("jane-first", "jane")
	m.in("the holder of a card comes in by its key and by its certificate", func(m *trial) {
		admin.puts(m, "put "+first.certificate+" jane.crt")
		admin.does(m, "cac issuer cards.crt", fmt.Sprintf("cac ocsp responder http://10.0.2.2:%d", cards.port), "cac ocsp enable", "cac enable")
		m.entersBySSH(first.client(m))
		m.entersPages(nil, first.pair(m.t))
	})

	m.in("strict takes passwords everywhere but on the console", func(m *trial) {
		admin.does(m, "cac enable strict")
		m.refusedBySSH(m.admin())
		m.refusedBySSH(jane)
		m.entersBySSH(first.client(m))
		m.refusedPages(http.StatusForbidden, url.Values{"user": {"admin"}, "password": {password}})
		m.entersPages(nil, first.pair(m.t))
		// Nobody is locked out: a local administrator comes in on the console, and nobody else does.
		m.typed("exit\r")
		m.refusedOnConsole("jane", janePassword)
		m.login()
		// Somebody whom the API has not seen: it remembers a login that was right for 30 seconds.
		if r, body := m.apiAs("scripts", scriptsPassword, "GET", "coSpaces", nil); r.StatusCode != http.StatusUnauthorized {
			m.t.Errorf("the API while cac is strict: got %d, %q, want 401", r.StatusCode, body)
		}
		wantContains(m.t, "cac enable", m.serial("cac enable"), "SUCCESS: cac enabled")
		if r, body := m.apiAs("scripts", scriptsPassword, "GET", "coSpaces", nil); r.StatusCode != http.StatusOK {
			m.t.Errorf("the API after cac was strict: got %d, %q, want 200", r.StatusCode, body)
		}
		wantContains(m.t, "cac", admin.does(m, "cac"), "Strict                  : false", "OCSP                    : enabled")
	})

	second := cards.issue("jane-second", "jane")
	m.in("a lost card is revoked, and the next one opens", func(m *trial) {
		cards.revoke(first)
		// Both are there.
		admin.puts(m, "put "+second.certificate+" jane.pem")
		m.refusedBySSH(first.client(m))
		m.refusedPages(http.StatusUnauthorized, nil, first.pair(m.t))
		m.entersBySSH(second.client(m))
		m.entersPages(nil, second.pair(m.t))
	})

	m.in("pki verify asks the responder that a certificate names", func(m *trial) {
		named := cards.issue("named", "named.example", "-extensions", "named")
		by := fmt.Sprintf("by http://10.0.2.2:%d", cards.port)
		admin.puts(m, "put "+named.certificate+" named.crt")
		wantContains(m.t, "a good certificate", admin.does(m, "pki verify named.crt cards.crt ocsp"), "OCSP:\n0  good since ", by,
			"SUCCESS: named.crt verified by cards.crt, and not revoked")
		cards.revoke(named)
		admin.fails(m, "pki verify named.crt cards.crt ocsp", "FAILURE: CN=named.example was revoked on ")
	})

	m.in("FIPS mode takes what is approved alone", func(m *trial) {
		// What is refused later is taken now.
		m.entersBySSH(m.admin().with(unapprovedSSH...))
		for _, arguments := range unapprovedTLS {
			if said, err := m.handshake(arguments...); err != nil {
				m.t.Errorf("openssl %q before FIPS mode: %v\n%s", arguments, err, said)
			}
		}
		wantContains(m.t, "fips", admin.does(m, "fips"), "FIPS mode               : Disabled")
		admin.does(m, "fips enable")
		wantContains(m.t, "fips after fips enable", admin.does(m, "fips"), "FIPS mode               : Disabled", "a reboot is required")
		admin.runs(m, settingsOfAll)
		before := admin.runs(m, looksAtAll)
		m.Serial.Drain()
		m.typed("reboot\r")
		m.login()
		admin.end()
		m.await("fips", "FIPS mode")
		admin = m.connected()
		if after := admin.runs(m, looksAtAll); after != before {
			m.t.Errorf("settings after the restart: got\n%s\nwant\n%s", after, before)
		}
		wantContains(m.t, "fips after the restart", admin.does(m, "fips"), "FIPS mode               : Enabled")
		wantContains(m.t, "fips test", admin.does(m, "fips test"), "SUCCESS: integrity of the module", "FIPS self-test passed: ")
		for _, option := range unapprovedSSH {
			m.refusesToNegotiate(option)
		}
		m.entersBySSH(m.admin().with("Ciphers=aes256-gcm@openssh.com", "KexAlgorithms=ecdh-sha2-nistp384"))
		m.entersBySSH(jane)
		m.entersBySSH(second.client(m))
		m.awaitAPI("coSpaces")
		for _, arguments := range unapprovedTLS {
			if said, err := m.handshake(arguments...); err == nil {
				m.t.Errorf("openssl %q in FIPS mode: a connection\n%s", arguments, said)
			}
		}
		for _, arguments := range [][]string{{"-tls1_3", "-groups", "P-256", "-ciphersuites", "TLS_AES_256_GCM_SHA384"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}} {
			if said, err := m.handshake(arguments...); err != nil {
				m.t.Errorf("openssl %q in FIPS mode: %v\n%s", arguments, err, said)
			}
		}
		m.entersPages(url.Values{"user": {"jane"}, "password": {janePassword}})
		m.entersPages(nil, second.pair(m.t))
	})

	m.in("without the directory its people stay out, and local administrators do not", func(m *trial) {
		people.Stop()
		m.refusedBySSH(jane)
		m.entersBySSH(m.admin())
		wantContains(m.t, "the log", admin.does(m, `syslog search "nobody can be asked"`),
			fmt.Sprintf("nobody can be asked: connect to %s:%d by TLS", directoryName, people.TLSPort), "connection refused")
	})

	m.in("the audit log tells of each login, and names nobody who failed", func(m *trial) {
		audit := admin.does(m, "syslog audit tail 2000")
		for _, want := range []string{
			`User jane logged in from 10\.0\.2\.2:\d+, role admin, by LDAP`,
			`User jane logged in from serial console, role admin, by LDAP`,
			`User jane logged in from 10\.0\.2\.2:\d+, role admin, by certificate [0-9A-F]+ of CN=jane`,
			`login of user "jane", source 10\.0\.2\.2`,
			`Failed login from 10\.0\.2\.2:\d+: the directory does not know the user or the password`,
			`Failed login from serial console: the directory does not know the user or the password`,
			`Failed login from 10\.0\.2\.2:\d+: the API does not take users of the directory`,
			`Failed login from 10\.0\.2\.2:\d+: passwords are not taken here, since cac is strict`,
			`Failed login from serial console: passwords are not taken here, since cac is strict`,
			`login by a password refused, source 10\.0\.2\.2:\d+: cac is strict`,
			`Failed login from 10\.0\.2\.2:\d+: not vouched for: the certificate was revoked on [0-9-]+ \(key compromise\) \(certificate [0-9A-F]+ of CN=jane\)`,
			`login by a certificate refused, source 10\.0\.2\.2`,
			`Failed login from 10\.0\.2\.2:\d+: nobody can be asked: connect to `,
		} {
			if !regexp.MustCompile(want).MatchString(audit) {
				m.t.Errorf("the audit log has no %s", want)
			}
		}
		logs := audit + admin.does(m, "syslog tail 5000")
		failed := regexp.MustCompile(`Failed login|login refused|refused, source`)
		for line := range strings.Lines(logs) {
			// A certificate is no name that was typed, which might be a password in the wrong place.
			if failed.MatchString(line) && strings.Contains(strings.ReplaceAll(line, "of CN=jane", ""), "jane") {
				m.t.Errorf("a name in the line of a login that failed: %s", line)
			}
		}
		for _, secret := range []string{janePassword, wrongPassword, scriptsPassword, password, slapdtest.Password} {
			if strings.Contains(logs, secret) {
				m.t.Errorf("%q is in the logs", secret)
			}
		}
		if m.t.Failed() {
			m.t.Log(audit)
		}
	})
}

const (
	// directoryName is what the machine calls the directory, which is on this host.
	directoryName   = "directory.lab.example"
	janePassword    = "of-the-Directory-5"
	wrongPassword   = "a-Guess-of-Hers-5"
	scriptsPassword = "for-the-API-4711"
)

// What FIPS 140-3 does not have.
var (
	unapprovedSSH = []string{"Ciphers=chacha20-poly1305@openssh.com", "KexAlgorithms=curve25519-sha256"}
	unapprovedTLS = [][]string{
		{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, {"-tls1_3", "-groups", "X25519"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"},
	}
)

// with returns the client with further options.
func (c Client) with(options ...string) Client {
	c.Options = append(append([]string(nil), c.Options...), options...)
	return c
}

// connection is one login of the administrator for many commands: a login takes seconds in emulation.
type connection struct {
	client Client
	end    func()
}

func (m *trial) connected() connection {
	m.t.Helper()
	dir, err := os.MkdirTemp("", "ssh") // the name of a socket is short
	if err != nil {
		m.t.Fatal(err)
	}
	c, end, err := m.admin().Share(m.within(bootLimit), filepath.Join(dir, "s"))
	if err != nil {
		m.t.Fatal(errors.Join(err, os.RemoveAll(dir)))
	}
	return connection{c, func() { _ = errors.Join(end(), os.RemoveAll(dir)) }}
}

// does runs commands, which must succeed, and returns what the last of them printed.
func (c connection) does(m *trial, lines ...string) (said string) {
	m.t.Helper()
	for _, line := range lines {
		said = c.answers(m, line, "")
	}
	return said
}

// answers runs a command that asks for a secret.
func (c connection) answers(m *trial, line, secret string) string {
	m.t.Helper()
	r, err := c.client.Run(m.within(commandLimit), line, strings.NewReader(secret+"\n"))
	if err != nil || r.Status != 0 {
		m.t.Fatalf("ssh %q: got status %d, %v; it printed %q and %q", line, r.Status, err, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// settingsOfAll are settings that this story does not need, and looksAtAll show what has been set.
const (
	settingsOfAll = `user rule max_history 5
user rule max_sessions 20
user host scripts add 192.0.2.7
user duty scripts Wk0900-1700
login_warning add "Authorised users only"
motd add "Maintenance on Friday"
dscp 4 oa&m 0x22
dscp assured true
firewall b default allow
firewall b deny 8080/tcp from 192.0.2.0/24
firewall b enable
ntp server add 192.0.2.9
snmp community add public 192.0.2.0/24
syslog server add 192.0.2.9 6514
tls sip min-tls-version 1.3
tls min-dtls-version 1.2
callbridge listen a
callbridge wc3jwt expiry 5
turn listen b
turn credentials calls secret example.com
webadmin http-redirect enable
`
	looksAtAll = `user rule
user info scripts
login_warning
motd
dscp
firewall b
ipv4 b
dns
ntp server list
snmp
tls sip
tls ldap
tls webadmin
callbridge
turn
webadmin
ldap
cac
hostname
timezone
pki list
`
)

// runs writes the lines of a script into one session.
func (c connection) runs(m *trial, script string) string {
	m.t.Helper()
	r, err := c.client.with("RequestTTY=no").Run(m.within(commandLimit), "", strings.NewReader(script))
	if err != nil || r.Status != 0 || r.Stderr != "" {
		m.t.Fatalf("a script: got status %d, %v; it printed %q and %q", r.Status, err, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// fails runs a command, which must fail with a text.
func (c connection) fails(m *trial, line, text string) {
	m.t.Helper()
	r, err := c.client.Run(m.within(time.Minute), line, nil)
	if err != nil || r.Status != 1 || !strings.Contains(r.Stdout+r.Stderr, text) {
		m.t.Errorf("ssh %q: got status %d, %v, %q and %q, want status 1 and %q", line, r.Status, err, r.Stdout, r.Stderr, text)
	}
}

// puts stores files.
func (c connection) puts(m *trial, batch ...string) {
	m.t.Helper()
	if r, err := c.client.SFTP(m.within(time.Minute), batch...); err != nil || r.Status != 0 {
		m.t.Fatalf("sftp %q: got status %d, %v; it printed %q and %q", batch, r.Status, err, r.Stdout, r.Stderr)
	}
}

// entersBySSH sees that whoami answers with the client's user.
func (m *trial) entersBySSH(c Client) {
	m.t.Helper()
	r, err := c.Run(m.within(commandLimit), "whoami", nil)
	if err != nil || r.Status != 0 || !strings.Contains(r.Stdout, "User   : "+c.User+"\n") {
		m.t.Errorf("ssh as %s: got status %d, %v, %q and %q, want a login; the log has\n%s", c.User, r.Status, err, r.Stdout, r.Stderr, m.serial("syslog tail 20"))
	}
}

func (m *trial) refusedBySSH(c Client) {
	m.t.Helper()
	r, err := c.Run(m.within(time.Minute), "whoami", nil)
	if err != nil || r.Status != 255 || !strings.Contains(r.Stderr, "Permission denied") {
		m.t.Errorf("ssh as %s: got status %d, %v, %q and %q, want it refused", c.User, r.Status, err, r.Stdout, r.Stderr)
	}
}

// refusesToNegotiate sees that the server has nothing of what an option says; OpenSSH tells of that before anybody logs in.
func (m *trial) refusesToNegotiate(option string) {
	m.t.Helper()
	out, err := exec.CommandContext(m.within(commandLimit), "ssh", "-F", "none", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
		"-o", option, "-p", strconv.Itoa(m.Port(22)), "admin@127.0.0.1", "whoami").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no matching") {
		m.t.Errorf("ssh with %s: got %v, %q, want no algorithm in common", option, err, out)
	}
}

// refusedOnConsole tries a password and leaves a login prompt.
func (m *trial) refusedOnConsole(user, secret string) {
	m.t.Helper()
	if err := m.Serial.enter(m.within(commandLimit), user, secret); err != nil {
		m.t.Fatal(err)
	}
	m.expect(commandLimit, `Login incorrect\n`)
}

// signsIn sends the form of the Web Admin, or presses the button of the certificate, and follows to the page of the user.
func (m *trial) signsIn(form url.Values, shown ...tls.Certificate) (status int, path, body string) {
	m.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	client := insecure()
	client.Jar = jar
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = shown
	place, values := "/login", url.Values{"next": {"/user"}}
	if shown != nil {
		place = "/login/card"
	}
	for name, value := range form {
		values[name] = value
	}
	request, err := http.NewRequestWithContext(m.within(time.Minute), "POST", fmt.Sprintf("https://127.0.0.1:%d%s", m.Port(443), place), strings.NewReader(values.Encode()))
	if err != nil {
		m.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r, err := client.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		m.t.Fatal(err)
	}
	return r.StatusCode, r.Request.URL.Path, string(b)
}

// entersPages signs jane in.
func (m *trial) entersPages(form url.Values, shown ...tls.Certificate) {
	m.t.Helper()
	if status, path, body := m.signsIn(form, shown...); status != http.StatusOK || path != "/user" || !strings.Contains(body, "jane") {
		m.t.Errorf("Web Admin: got %d at %s, want the page of jane:\n%s", status, path, body)
	}
}

func (m *trial) refusedPages(want int, form url.Values, shown ...tls.Certificate) {
	m.t.Helper()
	if status, path, body := m.signsIn(form, shown...); status != want || !strings.HasPrefix(path, "/login") {
		m.t.Errorf("Web Admin: got %d at %s, want %d:\n%s", status, path, want, body)
	}
}

// handshake connects to the Web Admin as openssl s_client does by some arguments.
func (m *trial) handshake(arguments ...string) (string, error) {
	m.t.Helper()
	out, err := exec.CommandContext(m.within(commandLimit), "openssl", append([]string{"s_client", "-brief", "-connect",
		net.JoinHostPort("127.0.0.1", strconv.Itoa(m.Port(443)))}, arguments...)...).CombinedOutput()
	return string(out), err
}

// cardMaker is an authority of cards: openssl ca, and openssl ocsp on this host's loopback.
type cardMaker struct {
	t         *testing.T
	dir       string
	authority string
	port      int
}

// card is a certificate with its key, which a reader would keep in the card.
type card struct{ certificate, key string }

// newCards makes the authority and starts its responder.
func newCards(t *testing.T) *cardMaker {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cardMaker{t: t, dir: t.TempDir(), port: free.Addr().(*net.TCPAddr).Port}
	free.Close()
	c.authority = filepath.Join(c.dir, "authority.crt")
	for name, text := range map[string]string{"index.txt": "", "serial": "1001\n", "ca.conf": `[ca]
default_ca = cards
[cards]
dir = ` + c.dir + `
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/authority.crt
private_key = $dir/authority.key
default_md = sha256
default_days = 2
unique_subject = no
policy = any
x509_extensions = person
[any]
commonName = supplied
[person]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[named]
basicConstraints = critical,CA:FALSE
authorityInfoAccess = OCSP;URI:http://10.0.2.2:` + strconv.Itoa(c.port) + `
`} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=Cards", "-addext",
		"keyUsage=critical,keyCertSign,digitalSignature", "-keyout", "authority.key", "-out", "authority.crt")
	responder := exec.Command("openssl", "ocsp", "-port", strconv.Itoa(c.port), "-index", "index.txt", "-CA", "authority.crt", "-rsigner", "authority.crt",
		"-rkey", "authority.key", "-nmin", "5")
	responder.Dir = c.dir
	started(t, responder, "ACCEPT")
	return c
}

func (c *cardMaker) openssl(arguments ...string) string {
	c.t.Helper()
	command := exec.Command("openssl", arguments...)
	command.Dir = c.dir
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("openssl %q: %v: %s", arguments, err, out)
	}
	return string(out)
}

// issue makes a card for a user, as of a day ago. more are options of openssl ca.
func (c *cardMaker) issue(name, user string, more ...string) card {
	c.t.Helper()
	c.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN="+user, "-keyout", name+".key", "-out", name+".csr")
	c.openssl(append([]string{"ca", "-batch", "-notext", "-config", "ca.conf", "-startdate", time.Now().Add(-24 * time.Hour).UTC().Format("060102150405Z"),
		"-in", name + ".csr", "-out", name + ".crt"}, more...)...)
	made := card{filepath.Join(c.dir, name+".crt"), filepath.Join(c.dir, name+".key")}
	// OpenSSH wants that nobody else may read it.
	if err := os.Chmod(made.key, 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.await(made, "good")
	return made
}

// revoke takes a card back.
func (c *cardMaker) revoke(lost card) {
	c.t.Helper()
	c.openssl("ca", "-config", "ca.conf", "-revoke", lost.certificate, "-crl_reason", "keyCompromise")
	c.await(lost, "revoked")
}

// await returns once the responder says a word of a card: it looks at the list between two questions, so that the first answer may be an
// old one.
func (c *cardMaker) await(k card, word string) {
	c.t.Helper()
	said := ""
	for range 10 {
		said = c.openssl("ocsp", "-issuer", "authority.crt", "-cert", k.certificate, "-CAfile", "authority.crt", "-url", fmt.Sprintf("http://127.0.0.1:%d", c.port))
		if strings.Contains(said, k.certificate+": "+word) {
			return
		}
	}
	c.t.Fatalf("%s should be %s, and the responder says %s", k.certificate, word, said)
}

// client logs in as jane by the key of the card and by nothing else.
func (k card) client(m *trial) Client {
	c := m.SSH("jane", "")
	c.Identity = k.key
	return c.with("PreferredAuthentications=publickey")
}

func (k card) pair(t *testing.T) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(k.certificate, k.key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// started runs a program until the test ends, and returns once it has said a word.
func started(t *testing.T, command *exec.Cmd, word string) {
	t.Helper()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), word) {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	t.Fatalf("%s ended early: %s", command.Path, said)
}

// serveSigned has BIND serve signed.example on a network, in which the address of forged.signed.example was changed after it was signed. It
// returns the trust anchor.
func serveSigned(t *testing.T, l *lan) string {
	t.Helper()
	const zone = "signed.example"
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	put(zone, "$TTL 300\n@ IN SOA ns admin 1 3600 600 86400 300\n@ IN NS ns\nns IN A 10.79.0.1\nwww IN A 192.0.2.1\nforged IN A 192.0.2.2\n")
	for _, line := range [][]string{
		{"dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone}, {"dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", zone},
		{"dnssec-signzone", "-q", "-S", "-o", zone, "-f", zone, zone},
	} {
		command := exec.Command(line[0], line[1:]...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", line, err, out)
		}
	}
	put(zone, strings.Replace(read(zone), "192.0.2.2", "192.0.2.66", 1))
	put("named.conf", fmt.Sprintf("options { directory %q; listen-on { 10.79.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; };\n"+
		"controls { };\nzone %q { type primary; file %[2]q; };\n", dir, zone))
	l.inside(func() {
		started(t, exec.Command("named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf")), "running")
	})
	return strings.Join(strings.Fields(read("dsset-"+zone+".")), " ")
}
