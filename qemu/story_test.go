//go:build qemu

package qemu

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStoryOfAnAdministrator is the product's first promise, told on one machine from the box to the restored backup.
func TestStoryOfAnAdministrator(t *testing.T) {
	t.Parallel()
	tree := checkout(t)
	before, after := delivered(t), "100.0-test"
	upgrade, err := tree.BuildUpgrade(t.Context(), after, "")
	if err != nil {
		t.Fatal(err)
	}
	wire := neighbour(t, false)
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 443}}}, {Segment: wire}}})

	m.in("the console asks for a login and admin/admin must set a new password", func(m *trial) {
		m.expect(bootLimit, `(?s)Welcome.*login: \z`)
		m.typed("admin\r")
		m.expect(commandLimit, `(?i)password: *\z`)
		m.typed("admin\r")
		m.expect(commandLimit, `(?i)new password: *\z`)
		m.typed("short\r")
		m.expect(commandLimit, `(?i)again: *\z`)
		m.typed("different\r")
		m.expect(commandLimit, `not the same(?s:.*)new password: *\z`)
		for range 2 {
			m.typed(password + "\r")
			m.expect(commandLimit, `(?i)(again: *|> )\z`)
		}
	})
	m.in("help, completion and errors on the console", func(m *trial) {
		wantContains(m.t, "help", m.serial("help"), "ipv4", "upgrade", "backup")
		m.typed("help ti\t\r")
		m.expect(commandLimit, `help timezone(?s:.*)\n`+prompt+`\z`)
		wantContains(m.t, "an unknown command", m.serial("frobnicate now"), "Unknown command")
	})
	m.in("an address is set on interface a", func(m *trial) {
		m.serial("ipv4 a add 10.0.2.15/24 10.0.2.2")
		got := m.serial("ipv4 a")
		want := regexp.MustCompile(`(?s)^IPv4 configuration:\n` +
			`    address         10\.0\.2\.15\n    default         true\n    dhcp            false\n.*` +
			`    enabled         true\n    gateway         10\.0\.2\.2\n    macaddress      52:54:00:00:00:01\n.*` +
			`    prefixlen       24\n.*` +
			`IPv4 observed values\nAddresses:\n10\.0\.2\.15/24\nRoutes:\n    source          destination     gateway         global\n`)
		if !want.MatchString(got) {
			m.t.Errorf("ipv4 a: got\n%s\nwant a match of\n%s", got, want)
		}
	})
	m.in("one-shot commands over SSH have an exit status", func(m *trial) {
		wantContains(m.t, "version", m.await("version", before), before)
		wantContains(m.t, "whoami", m.ssh("whoami"), "admin")
		m.sshFails("frobnicate", "Unknown command")
		m.sshFails("ipv4 a add 10.0.2.300/24 10.0.2.2", "10.0.2.300/24")
		m.sshFails("iface q", "q")
		if got := m.ssh("ipv4 a"); !strings.Contains(got, "10.0.2.15") {
			t.Errorf("after refused commands: got %q, want the address as it was", got)
		}
	})
	m.in("a session on a terminal", func(m *trial) {
		s, err := m.admin().Open(m.within(commandLimit), "ssh session")
		if err != nil {
			m.t.Fatal(err)
		}
		defer s.Close()
		got, err := s.Command(m.within(commandLimit), "hostname")
		if err != nil || !strings.Contains(got, "rotunda") {
			m.t.Errorf("hostname: got %q, %v, want rotunda", got, err)
		}
		if err := s.Send("exit\r"); err != nil {
			m.t.Fatal(err)
		}
		if _, err := s.Expect(m.within(commandLimit), `(?s).\z`); err != nil {
			m.t.Fatal(err)
		}
		if got := s.Wait(); got != 0 {
			m.t.Errorf("exit: got status %d, want 0", got)
		}
	})
	certificate, key := selfSigned(t)
	m.in("certificate and key by SFTP, and back", func(m *trial) {
		back := filepath.Join(m.t.TempDir(), "back.crt")
		listing := m.sftp("put "+certificate, "put "+key, "ls -1", "get web.crt "+back)
		wantContains(m.t, "ls", listing, "web.crt", "web.key", "log")
		want, err := os.ReadFile(certificate)
		if err != nil {
			m.t.Fatal(err)
		}
		if got, err := os.ReadFile(back); err != nil || string(got) != string(want) {
			m.t.Errorf("certificate fetched back: got %d bytes, %v, want the %d that were put", len(got), err, len(want))
		}
		for _, refused := range []string{"put " + certificate + " folder/web.crt", "put " + certificate + " web.exe", "mkdir folder", "rm log"} {
			r, err := m.admin().SFTP(m.within(commandLimit), refused)
			if err != nil || r.Status == 0 {
				m.t.Errorf("sftp %q: got status %d, %v, want it refused", refused, r.Status, err)
			}
		}
	})
	m.in("changing the user name between two attempts gains nothing", func(m *trial) { userSwitch(m) })
	m.in("ten sessions at the same time", func(m *trial) { tenSessions(m) })
	m.in("an upload that breaks off leaves nothing", func(m *trial) { abortedUpload(m, upgrade) })
	m.in("images that are truncated or altered are refused", func(m *trial) { refusedImages(m, upgrade) })

	m.in("backup, changes, rollback", func(m *trial) {
		if got := m.ssh("backup snapshot before"); !strings.Contains(got, "before.bak ready for download") {
			m.t.Errorf("backup snapshot: got %q", got)
		}
		wantContains(m.t, "backup list", m.ssh("backup list"), "before")
		backup := filepath.Join(m.t.TempDir(), "before.bak")
		m.sftp("get before.bak "+backup, "rm web.crt", "put "+file(m.t, "other.crt", []byte("changed\n")))
		m.ssh("hostname changed")
		m.sshFails("backup rollback nothing", "nothing")
		m.sftp("put " + patched(m.t, backup, "altered.bak", -10, []byte("XXXX")))
		m.sftp("put " + patched(m.t, backup, "truncated.bak", -10, nil))
		m.sshFails("backup rollback altered", "altered")
		m.sshFails("backup rollback truncated", "short")
		m.confirmed("backup rollback before")
		m.login()
		if got := m.serial("hostname"); !strings.Contains(got, "rotunda") || strings.Contains(got, "changed") {
			m.t.Errorf("hostname after the rollback: got %q, want rotunda", got)
		}
		listing := m.sftp("ls -1")
		wantContains(m.t, "files after the rollback", listing, "web.crt", "web.key")
		if strings.Contains(listing, "other.crt") {
			m.t.Errorf("files after the rollback: got %q, want no other.crt", listing)
		}
	})
	m.in("upgrade", func(m *trial) {
		m.sftp("put " + upgrade + " upgrade.img")
		m.Serial.Drain()
		m.typed("upgrade\r")
		m.expect(2*time.Minute, `(?s)`+regexp.QuoteMeta(after)+`.*\(Y/n\)[^\n]*\z`)
		m.typed("y\r")
		m.expect(commandLimit, `(?m)^`+prompt+`\z`)
		m.confirmed("upgrade")
		wantContains(m.t, "version after the upgrade", m.await("version", after), after)
		list := m.awaitCommitted(after)
		wantContains(m.t, "upgrade list", list, before, after, "running")
		wantContains(m.t, "ipv4 a after the upgrade", m.ssh("ipv4 a"), "10.0.2.15")
		wantContains(m.t, "the automatic backup", m.ssh("backup list"), "before")
		m.login()
	})
	m.in("factory_reset app keeps accounts, addresses and certificates", func(m *trial) {
		m.confirmed("factory_reset app")
		m.login()
		wantContains(m.t, "ipv4 a", m.serial("ipv4 a"), "10.0.2.15")
		wantContains(m.t, "files", m.sftp("ls -1"), "web.crt", "before.bak")
	})
	m.in("a lost administrator's password is recovered on the console", func(m *trial) {
		m.typed("exit\r")
		m.expect(commandLimit, LoginPrompt)
		m.typed("recover\r")
		m.expect(commandLimit, `(?i)password: *\z`)
		m.typed("recoverme\r")
		m.expect(commandLimit, prompt+`\z`)
		m.typed("recover admin\r")
		for range 2 {
			m.expect(commandLimit, `(?i)password[^\n]*: *\z`)
			m.typed("Found-Again-88\r")
		}
		m.expect(commandLimit, `(?m)^`+prompt+`\z`)
		r, err := m.SSH("admin", "Found-Again-88").Run(m.within(commandLimit), "whoami", nil)
		if err != nil || r.Status != 0 {
			m.t.Errorf("login with the recovered password: got status %d, %v, %q", r.Status, err, r.Stderr)
		}
		r, err = m.SSH("recover", "recoverme").Run(m.within(commandLimit), "whoami", nil)
		if err != nil || r.Status != 255 {
			m.t.Errorf("recovery by SSH: got status %d, %v, want it refused", r.Status, err)
		}
	})
	m.in("shutdown powers off", func(m *trial) {
		m.typed("exit\r")
		if err := m.Serial.Login(m.within(commandLimit), "admin", "Found-Again-88"); err != nil {
			m.t.Fatal(err)
		}
		m.typed("shutdown\r")
		if err := m.Wait(m.within(time.Minute)); err != nil {
			m.t.Error(err)
		}
	})
}

// awaitCommitted waits until the running version has committed itself.
func (m *trial) awaitCommitted(version string) string {
	m.t.Helper()
	ctx := m.within(bootLimit)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := m.shared().Run(ctx, "upgrade list", nil)
		for line := range strings.Lines(r.Stdout) {
			if err == nil && strings.Contains(line, version) && strings.Contains(line, "running") && !strings.Contains(line, "trial") {
				return r.Stdout
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("version %s did not commit itself in time; upgrade list says:\n%s", version, r.Stdout)
		}
	}
}

// userSwitch tries the hole that an SSH server has when it remembers another name than the one that was authenticated.
func userSwitch(m *trial) {
	const auditor = "Listen-Only-55"
	m.typed("user add ears audit\r")
	for range 2 {
		m.expect(commandLimit, `(?i)password[^\n]*: *\z`)
		m.typed("Temporary-11\r")
	}
	m.expect(commandLimit, `(?m)^`+prompt+`\z`)
	// The first login sets the password.
	s, err := m.SSH("ears", "").Dial("first login of ears")
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Close()
	for _, answer := range []string{"Temporary-11", auditor, auditor} {
		if _, err := s.Expect(m.within(commandLimit), `(?i)password[^\n]*: *\z`); err != nil {
			m.t.Fatal(err)
		}
		if err := s.Send(answer + "\r"); err != nil {
			m.t.Fatal(err)
		}
	}
	if _, err := s.Expect(m.within(commandLimit), `(?m)^`+prompt+`\z`); err != nil {
		m.t.Fatal(err)
	}

	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(m.Port(22)))
	for _, order := range [][2]string{{"admin", "ears"}, {"nobody", "ears"}} {
		c, err := dialRawSSH(address, commandLimit)
		if err != nil {
			m.t.Fatal(err)
		}
		defer c.close()
		if ok, err := c.tryPassword(order[0], "wrong"); err != nil || ok {
			m.t.Fatalf("%s with a wrong password: got %v, %v, want a refusal", order[0], ok, err)
		}
		// A server may end the connection at the change of the name, as RFC 4252 section 5 allows.
		ok, err := c.tryPassword(order[1], auditor)
		if err == nil && ok {
			if got, err := c.run("whoami"); err == nil && !strings.Contains(got, "ears") {
				m.t.Errorf("logged in as ears after an attempt as %s: whoami says %q", order[0], got)
			}
		} else if err == nil {
			m.t.Errorf("ears after an attempt as %s: refused although the password is right", order[0])
		}
	}
	// The other way round: being in as ears opens nothing of admin's.
	r, err := m.SSH("ears", auditor).Run(m.within(commandLimit), "user list", nil)
	if err != nil || r.Status != 1 {
		m.t.Errorf("user list as ears: got status %d, %v, %q, want 1", r.Status, err, r.Stdout)
	}
}

// tenSessions holds ten sessions open and lets each of them work while the others are there.
func tenSessions(m *trial) {
	const sessions = 10
	var open [sessions]*Session
	for i := range open {
		s, err := m.admin().Open(m.within(time.Minute), fmt.Sprintf("session %d", i))
		if err != nil {
			m.t.Fatal(err)
		}
		defer s.Close()
		open[i] = s
	}
	var wait sync.WaitGroup
	for i, s := range open {
		wait.Go(func() {
			for range 3 {
				got, err := s.Command(m.within(time.Minute), "whoami")
				if err != nil || !strings.Contains(got, "admin") {
					m.t.Errorf("session %d of %d: whoami says %q, %v", i, sessions, got, err)
				}
			}
		})
	}
	wait.Wait()
}

// abortedUpload kills sftp in the middle, which its progress bar tells.
func abortedUpload(m *trial, image string) {
	s, err := m.admin().DialSFTP("aborted upload", "-l", "20000")
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Close()
	ctx := m.within(2 * time.Minute)
	for _, step := range []struct{ wait, send string }{
		{`(?i)password[^\n]*: *\z`, password},
		{`sftp> \z`, "put " + image + " broken.img"},
	} {
		if _, err := s.Expect(ctx, step.wait); err != nil {
			m.t.Fatal(err)
		}
		if err := s.Send(step.send + "\r"); err != nil {
			m.t.Fatal(err)
		}
	}
	if _, err := s.Expect(ctx, `\s[1-9]\d?%`); err != nil {
		m.t.Fatal(err)
	}
	s.Close()
	if got := m.sftp("ls -1"); strings.Contains(got, "broken") {
		m.t.Errorf("after the upload broke off: got %q, want no broken.img", got)
	}
	m.sshFails("upgrade broken.img", "broken.img")
}

// refusedImages puts images that must not be installed, and sees that nothing was.
func refusedImages(m *trial, image string) {
	before := m.ssh("upgrade list")
	for _, forged := range []struct{ name, path string }{
		{"empty", file(m.t, "empty.img", nil)},
		{"not an image", file(m.t, "text.img", []byte(strings.Repeat("not an image\n", 1000)))},
		{"altered manifest", patched(m.t, image, "manifest.img", 40, []byte{0xff, 0xff, 0xff, 0xff})},
		{"altered image", patched(m.t, image, "payload.img", -1000, []byte("XXXX"))},
		{"truncated", patched(m.t, image, "truncated.img", -1000, nil)},
	} {
		m.sftp("put " + forged.path + " upgrade.img")
		r, err := m.admin().Run(m.within(2*time.Minute), "upgrade", strings.NewReader("Y\n"))
		if err != nil {
			m.t.Fatal(err)
		}
		said := strings.TrimSpace(r.Stdout + r.Stderr)
		if r.Status != 1 || !strings.Contains(said, "upgrade.img") || strings.Contains(said, "\n") {
			m.t.Errorf("%s: got status %d and %q, want status 1 and one line about upgrade.img", forged.name, r.Status, said)
		}
	}
	m.sftp("rm upgrade.img")
	if after := m.ssh("upgrade list"); after != before {
		m.t.Errorf("upgrade list after refused images: got\n%s\nwant\n%s", after, before)
	}
}

// selfSigned writes web.crt and web.key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rotunda.example.com"}, DNSNames: []string{"rotunda.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "web.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		file(t, "web.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
