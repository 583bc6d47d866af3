//go:build qemu

package qemu

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestFirewallsAndLogServers: a machine on four networks, of which each is let in as its own rules say; a change that keeps its
// administrator out takes itself back; and what is logged while servers are away reaches them later, over a restart.
func TestFirewallsAndLogServers(t *testing.T) {
	t.Parallel()
	b, c, d := newLAN(t, "10.78.1.1/24"), newLAN(t, "10.78.2.1/24"), newLAN(t, "10.78.3.1/24")
	b.run("ip", "address", "add", "10.78.1.9/24", "dev", "tap0")
	b.run("ip", "address", "add", "2001:db8:78::1/64", "dev", "tap0", "nodad")
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}}}, {Segment: b.cable}, {Segment: c.cable}, {Segment: d.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	for name, net := range map[string]string{"b": "10.78.1", "c": "10.78.2", "d": "10.78.3"} {
		m.ssh(fmt.Sprintf("ipv4 %s add %s.2/24 %[2]s.1", name, net))
		m.ssh("ipv4 " + name + " enable")
	}
	m.ssh("ipv6 b add 2001:db8:78::2/64")
	m.ssh("ipv6 b enable")
	m.await("ipv4 d", "10.78.3.2/24")
	m.await("ipv6 b", "2001:db8:78::2/64")

	m.in("each interface has rules of its own", func(m *trial) {
		for _, line := range []string{
			"firewall b default deny", "firewall b allow ssh from 10.78.1.1", "firewall b allow 22/tcp from 2001:db8:78::1", "firewall b enable",
			"firewall c default allow", "firewall c deny 22/tcp", "firewall c enable",
			"firewall d default deny",
		} {
			if said := m.ssh(line); said != "" {
				m.t.Errorf("%s: got %q, want nothing said", line, said)
			}
		}
		b.reaches(m.t, true, "10.78.1.1", "10.78.1.2:22")
		b.reaches(m.t, false, "10.78.1.9", "10.78.1.2:22")
		b.reaches(m.t, true, "2001:db8:78::1", "[2001:db8:78::2]:22")
		c.reaches(m.t, false, "10.78.2.1", "10.78.2.2:22")
		d.reaches(m.t, true, "10.78.3.1", "10.78.3.2:22")
		// What the machine asks for itself, and ping, pass.
		wantContains(m.t, "ping out", m.ssh("ping 10.78.1.9 1"), "1 received")
		b.pings(m.t, "10.78.1.9", "10.78.1.2")
		m.ssh("firewall c delete 0")
		c.reaches(m.t, true, "10.78.2.1", "10.78.2.2:22")
	})

	m.in("what the machine sends is marked", func(m *trial) {
		marks := d.marks()
		m.ssh("dscp 4 oa&m 0x22")
		d.reaches(m.t, true, "10.78.3.1", "10.78.3.2:22")
		if got := marks(22); !slices.Contains(got, 0x22) {
			m.t.Errorf("packets from port 22 had the marks %v, want 0x22", got)
		}
	})

	certificate, key := authority(t)
	m.sftp("put " + certificate)
	receivers := newReceivers(t, d, certificate, key)
	var first string
	m.in("servers get the log, by TCP and by TLS", func(m *trial) {
		receivers.up(m.t)
		m.ssh("tls syslog trust " + filepath.Base(certificate))
		m.ssh("syslog server add 10.78.3.1")
		m.ssh("syslog server add tls:10.78.3.1")
		m.ssh("syslog enable")
		m.await("syslog", "connected")
		first = m.stored("dns add forwardzone before.example 10.78.3.1")
		receivers.await(m, first)
	})

	m.in("a change that keeps its administrator out is confirmed from elsewhere", func(m *trial) {
		m.ssh("firewall a default deny")
		early := b.login(m.t, "10.78.1.2")
		defer early.Close()
		said := m.ssh("firewall a enable")
		wantContains(m.t, "the warning", said, "would not let in SSH from 10.0.2.2", "taken back in 2 minutes")
		// Over b, which lets it in.
		wantContains(m.t, "the alarm", b.ssh(m.t, "10.78.1.2", "health"), "unconfirmed")
		if out, err := run(early, "firewall confirm"); err == nil || !strings.Contains(out, "older than the change") {
			m.t.Errorf("firewall confirm over a connection from before the change: got %q, %v", out, err)
		}
		b.ssh(m.t, "10.78.1.2", "firewall confirm")
		b.ssh(m.t, "10.78.1.2", "firewall a disable")
	})

	m.in("and taken back when nobody does, over a restart, while the log's servers are away", func(m *trial) {
		receivers.down()
		wantContains(m.t, "the warning", m.ssh("firewall a enable"), "taken back in 2 minutes")
		since := time.Now()
		for i := range 20 {
			b.ssh(m.t, "10.78.1.2", fmt.Sprintf("dns add forwardzone away%d.example 10.78.3.1", i))
		}
		if err := m.Monitor.Reset(t.Context()); err != nil {
			m.t.Fatal(err)
		}
		m.login()
		if left := 2*time.Minute - time.Since(since); left > 10*time.Second {
			wantContains(m.t, "the firewall after the restart", m.serial("firewall a"), "Enabled : true")
			wantContains(m.t, "the alarm after the restart", m.serial("health"), "unconfirmed")
		}
		receivers.up(m.t)
		// SSH by interface a again.
		m.await("firewall a", "Enabled : false")
		if health := m.ssh("health"); strings.Contains(health, "unconfirmed") {
			m.t.Errorf("health after the change was taken back:\n%s", health)
		}
	})

	m.in("no line was lost on the way to either server", func(m *trial) {
		last := m.stored("dns add forwardzone after.example 10.78.3.1")
		receivers.await(m, last)
		log := filepath.Join(m.t.TempDir(), "log")
		m.sftp("get log " + log)
		text, err := os.ReadFile(log)
		if err != nil {
			m.t.Fatal(err)
		}
		receivers.gotAll(m.t, string(text), first, last)
	})

	m.in("certificates are requested, signed and checked", func(m *trial) {
		said := m.ssh("pki csr site CN:cms.example.com subjectAltName:cms.example.com,10.78.3.2")
		wantContains(m.t, "pki csr", said, "Created key file site.key and CSR site.csr", "CSR file site.csr ready for download via SFTP")
		dir := m.t.TempDir()
		m.sftp("get site.csr " + dir + "/site.csr")
		if out, err := exec.Command("openssl", "x509", "-req", "-in", dir+"/site.csr", "-CA", certificate, "-CAkey", key, "-copy_extensions", "copyall",
			"-days", "2", "-out", dir+"/site.crt").CombinedOutput(); err != nil {
			m.t.Fatalf("openssl: %v: %s", err, out)
		}
		m.sftp("put " + dir + "/site.crt")
		wantContains(m.t, "pki match", m.ssh("pki match site.key site.crt"), "SUCCESS: Key and certificate pair match")
		wantContains(m.t, "pki verify", m.ssh("pki verify site.crt "+filepath.Base(certificate)+" host cms.example.com for server"), "SUCCESS: site.crt verified by")
		wantContains(m.t, "pki inspect", m.ssh("pki inspect site.crt"), "cms.example.com", "10.78.3.2")
		wantContains(m.t, "pki list", m.ssh("pki list"), "site.key", "site.csr", "site.crt")
		m.sshFails("pki match site.key "+filepath.Base(certificate), "FAILURE")

		// The web server takes it, and keeps it when it is given a key of another.
		m.ssh("webadmin listen d 443")
		m.ssh("webadmin certs site.key site.crt " + filepath.Base(certificate))
		m.ssh("webadmin enable")
		m.await("webadmin", "webadmin running")
		d.serves(m.t, certificate, "10.78.3.2:443", "cms.example.com")
		m.ssh("pki selfsigned other CN:other.example.com")
		m.sshFails("webadmin certs other.key site.crt", "other.key")
		d.serves(m.t, certificate, "10.78.3.2:443", "cms.example.com")
	})
}

// stored runs a command that changes the configuration, and returns what the log says of that.
func (m *trial) stored(line string) string {
	m.t.Helper()
	m.ssh(line)
	said := regexp.MustCompile(`configuration generation \d+ stored`).FindAllString(m.ssh("syslog tail 30"), -1)
	if len(said) == 0 {
		m.t.Fatalf("the log does not say that %q was stored", line)
	}
	return said[len(said)-1]
}

// reaches tries a TCP connection from an address of this side.
func (l *lan) reaches(t *testing.T, want bool, from, to string) {
	t.Helper()
	limit := 3 * time.Second // what is dropped is given up soon, what is let in may take its time on a busy host
	if want {
		limit = 30 * time.Second
	}
	var err error
	l.inside(func() {
		d := net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		var conn net.Conn
		if conn, err = d.Dial("tcp", to); err == nil {
			conn.Close()
		}
	})
	if want && err != nil {
		t.Errorf("from %s: %v, want a connection", from, err)
	}
	if !want && err == nil {
		t.Errorf("from %s to %s: connected, want the firewall to drop it", from, to)
	}
}

// pings sends echo requests until one is answered.
func (l *lan) pings(t *testing.T, from, to string) {
	t.Helper()
	var err error
	l.inside(func() {
		var conn net.PacketConn
		if conn, err = net.ListenPacket("ip4:icmp", from); err != nil {
			return
		}
		defer conn.Close()
		for range 10 {
			request := []byte{8, 0, 0, 0, 0, 7, 0, 1}
			sum := internetChecksum(request)
			request[2], request[3] = byte(sum>>8), byte(sum)
			if _, err = conn.WriteTo(request, &net.IPAddr{IP: net.ParseIP(to)}); err != nil {
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
			var answer [64]byte
			var n int
			if n, _, err = conn.ReadFrom(answer[:]); err == nil && n >= 8 && answer[0] == 0 {
				return
			}
		}
	})
	if err != nil {
		t.Errorf("ping from %s to %s: %v", from, to, err)
	}
}

// login logs in by SSH.
func (l *lan) login(t *testing.T, host string) *ssh.Client {
	t.Helper()
	var client *ssh.Client
	var err error
	l.inside(func() {
		client, err = ssh.Dial("tcp", net.JoinHostPort(host, "22"), &ssh.ClientConfig{
			User: "admin", Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 30 * time.Second,
		})
	})
	if err != nil {
		t.Fatalf("log in at %s: %v", host, err)
	}
	return client
}

// run runs a command over a connection that is there.
func run(client *ssh.Client, command string) (string, error) {
	s, err := client.NewSession()
	if err != nil {
		return "", err
	}
	out, err := s.CombinedOutput(command)
	return string(out), err
}

// ssh logs in anew and runs a command.
func (l *lan) ssh(t *testing.T, host, command string) string {
	t.Helper()
	client := l.login(t, host)
	defer client.Close()
	out, err := run(client, command)
	if err != nil {
		t.Fatalf("ssh %s %q: %v: %s", host, command, err, out)
	}
	return out
}

// marks counts what comes from the machine from now on; the function that is returned gives the marks of packets from a TCP port.
func (l *lan) marks() func(port uint16) []byte {
	var mu sync.Mutex
	seen := map[uint16][]byte{}
	l.watch.Store(func(f []byte) {
		if len(f) < 38 || etherType(f) != 0x0800 || f[23] != 6 {
			return
		}
		header := 14 + int(f[14]&15)*4
		if len(f) < header+2 {
			return
		}
		port := uint16(f[header])<<8 | uint16(f[header+1])
		mu.Lock()
		defer mu.Unlock()
		if mark := f[15] >> 2; !slices.Contains(seen[port], mark) {
			seen[port] = append(seen[port], mark)
		}
	})
	return func(port uint16) []byte {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen[port])
	}
}

// serves looks who answers by TLS.
func (l *lan) serves(t *testing.T, ca, address, name string) {
	t.Helper()
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	l.inside(func() {
		var conn net.Conn
		conn, err = net.DialTimeout("tcp", address, 30*time.Second)
		if err != nil {
			return
		}
		defer conn.Close()
		err = tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name}).HandshakeContext(t.Context())
	})
	if err != nil {
		t.Errorf("TLS to %s as %s: %v", address, name, err)
	}
}

// authority writes a CA's certificate and key, which also serves as the certificate of the TLS log server.
func authority(t *testing.T) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "authority.crt"), filepath.Join(dir, "authority.key")
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
		"-subj", "/CN=Test authority", "-addext", "subjectAltName=IP:10.78.3.1", "-addext", "basicConstraints=critical,CA:TRUE",
		"-keyout", key, "-out", certificate).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	return certificate, key
}

// receivers are two log servers on a network: TCP 514 and TLS 6514.
type receivers struct {
	lan         *lan
	certificate tls.Certificate

	mu    sync.Mutex
	got   [2][]string
	conns map[net.Conn]struct{}
	open  []net.Listener
}

func newReceivers(t *testing.T, l *lan, certificate, key string) *receivers {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	r := &receivers{lan: l, certificate: pair, conns: map[net.Conn]struct{}{}}
	t.Cleanup(r.down)
	return r
}

func (r *receivers) up(t *testing.T) {
	t.Helper()
	for i, address := range []string{"10.78.3.1:514", "10.78.3.1:6514"} {
		var listener net.Listener
		var err error
		r.lan.inside(func() { listener, err = net.Listen("tcp", address) })
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{r.certificate}})
		}
		r.open = append(r.open, listener)
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				r.mu.Lock()
				r.conns[conn] = struct{}{}
				r.mu.Unlock()
				go r.take(i, conn)
			}
		}()
	}
}

// take reads messages with their octet counts (RFC 6587 section 3.4.1).
func (r *receivers) take(i int, conn net.Conn) {
	defer conn.Close()
	b := bufio.NewReader(conn)
	for {
		count, err := b.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || n > 8192 {
			return
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(b, message); err != nil {
			return
		}
		r.mu.Lock()
		r.got[i] = append(r.got[i], string(message))
		r.mu.Unlock()
	}
}

// down ends connections and listens no more.
func (r *receivers) down() {
	for _, l := range r.open {
		l.Close()
	}
	r.open = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
		delete(r.conns, c)
	}
}

// await waits until both have a message with a text.
func (r *receivers) await(m *trial, text string) {
	m.t.Helper()
	ctx := m.within(2 * time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	has := func(s string) bool { return strings.Contains(s, text) }
	for {
		r.mu.Lock()
		one, two := slices.ContainsFunc(r.got[0], has), slices.ContainsFunc(r.got[1], has)
		r.mu.Unlock()
		if one && two {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("a message with %q came to the TCP server: %t, to the TLS server: %t", text, one, two)
		}
	}
}

// gotAll compares what came with the machine's own log: every line between two texts, in order. Lines may come twice, when a connection
// broke before they were known to have come.
func (r *receivers) gotAll(t *testing.T, log, from, to string) {
	t.Helper()
	_, log, _ = strings.Cut(log, from)
	var lines []string
	for line := range strings.Lines(log) {
		// The text is what follows the tag.
		if _, text, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			lines = append(lines, text)
		}
		if strings.Contains(line, to) {
			break
		}
	}
	if len(lines) < 20 {
		t.Fatalf("the log has %d lines between %s and %s; there should be more to compare", len(lines), from, to)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, got := range r.got {
		at := 0
		for _, line := range lines {
			n := slices.IndexFunc(got[at:], func(message string) bool { return strings.HasSuffix(message, line) })
			if n < 0 {
				t.Errorf("server %d did not get, or not in order: %q", i, line)
				continue
			}
			at += n
		}
	}
}
