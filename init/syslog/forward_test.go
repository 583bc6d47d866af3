package syslog

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
)

// site is a folder with a log, and a forwarder that can be restarted.
type site struct {
	t       *testing.T
	options options
	cancel  context.CancelFunc
	ended   chan error
	hangup  chan os.Signal
	said    chan string
	written int
}

func newSite(t *testing.T) *site {
	dir := t.TempDir()
	t.Setenv("NOTIFY_SOCKET", "")
	s := &site{t: t, said: make(chan string, 1000), options: options{
		settings: filepath.Join(dir, "settings.json"), status: filepath.Join(dir, "status.json"),
		logs: filepath.Join(dir, "log"), places: filepath.Join(dir, "places")}}
	for _, d := range []string{s.options.logs, s.options.places} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write("messages", 1)
	s.write("audit", 1)
	return s
}

// write adds so many numbered lines to the log.
func (s *site) write(file string, count int) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.options.logs, file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for range count {
		fmt.Fprintf(w, "Feb 23 09:02:21.588 user.info cms01 a: line %d\n", s.written)
		s.written++
	}
	if err := w.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// rotate moves the log on as the journal does.
func (s *site) rotate() {
	s.t.Helper()
	for n := 11; n > 0; n-- {
		older, newer := fmt.Sprintf("messages.%d", n), fmt.Sprintf("messages.%d", n-1)
		if n == 1 {
			newer = "messages"
		}
		if err := os.Rename(filepath.Join(s.options.logs, newer), filepath.Join(s.options.logs, older)); err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
	}
}

func (s *site) set(c config.SyslogService) {
	s.t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.options.settings, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if s.cancel != nil {
		s.hangup <- os.Interrupt
	}
}

func (s *site) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended, s.hangup = cancel, make(chan error, 1), make(chan os.Signal)
	go func() { s.ended <- run(ctx, s.options, s.hangup, func(l string) { s.said <- l }) }()
	s.t.Cleanup(s.stop)
}

func (s *site) stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	if err := <-s.ended; err != nil {
		s.t.Errorf("the forwarder ended: %v", err)
	}
	s.cancel = nil
}

// until waits for what the forwarder says of a server.
func (s *site) until(part string) string {
	s.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case l := <-s.said:
			if strings.Contains(l, part) {
				return l
			}
		case <-limit:
			s.t.Fatalf("nothing with %q was said", part)
		}
	}
}

// collector is a log server.
type collector struct {
	t        *testing.T
	listener net.Listener
	address  string
	conns    chan net.Conn
}

func listen(t *testing.T, address string) *collector {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return collect(t, l)
}

func collect(t *testing.T, l net.Listener) *collector {
	c := &collector{t: t, listener: l, address: l.Addr().String(), conns: make(chan net.Conn, 100)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.conns <- conn
		}
	}()
	return c
}

func (c *collector) accept() (net.Conn, *bufio.Reader) {
	c.t.Helper()
	select {
	case conn := <-c.conns:
		c.t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
		return conn, bufio.NewReader(conn)
	case <-time.After(time.Minute):
		c.t.Fatal("nobody connects")
		return nil, nil
	}
}

func (c *collector) server() config.SyslogServer {
	host, port, _ := net.SplitHostPort(c.address)
	n, _ := strconv.Atoi(port)
	return config.SyslogServer{Host: host, Port: n}
}

// next reads one message by its length.
func next(r *bufio.Reader) (string, error) {
	length, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
	if err != nil {
		return "", fmt.Errorf("length %q: %w", length, err)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

// number is that of a line, -1 for others.
func number(message string) int {
	_, rest, ok := strings.Cut(message, " - - - line ")
	n, err := strconv.Atoi(rest)
	if !ok || err != nil {
		return -1
	}
	return n
}

// want reads the lines from and up to, in order; what came before from may be there once more.
func want(t *testing.T, r *bufio.Reader, from, to int) {
	t.Helper()
	for expect := from; expect <= to; {
		m, err := next(r)
		if err != nil {
			t.Fatalf("want line %d, got %v", expect, err)
		}
		n := number(m)
		if n < expect {
			continue
		}
		if n != expect {
			t.Fatalf("want line %d, got %q", expect, m)
		}
		expect++
	}
}

func (s *site) status() (out control.SyslogStatus) {
	s.t.Helper()
	// The status is written before each look for a signal.
	for range 3 {
		s.hangup <- os.Interrupt
	}
	b, err := os.ReadFile(s.options.status)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestAnOutageLosesNothingAcrossRotationsAndRestarts(t *testing.T) {
	s := newSite(t)
	server := listen(t, "127.0.0.1:0")
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	s.start()
	conn, r := server.accept()
	// What was there before the server was added is not sent; the audit log is not sent either.
	s.write("audit", 1)
	s.write("messages", 1)
	if m, err := next(r); err != nil || number(m) != 3 {
		t.Fatalf("want line 3 first, got %q, %v", m, err)
	}
	// The server dies, with lines in its memory.
	s.write("messages", 10)
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	server.listener.Close()
	for range 5 {
		s.write("messages", 1000)
		s.rotate()
	}
	s.stop()
	s.write("messages", 5000)
	s.start()
	s.rotate()
	again := listen(t, server.address)
	_, r = again.accept()
	want(t, r, 4, 10013)
	s.write("messages", 1)
	want(t, r, 10014, 10014)
	if got := s.status().Servers; len(got) != 1 || got[0].State != stateConnected {
		t.Errorf("want one connected server, got %+v", got)
	}
}

func TestAServerThatSaysGoodbyeGetsNothingTwice(t *testing.T) {
	s := newSite(t)
	server := listen(t, "127.0.0.1:0")
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	s.start()
	conn, r := server.accept()
	s.write("messages", 100)
	want(t, r, 2, 101)
	conn.Close()
	_, r = server.accept()
	s.write("messages", 1)
	m, err := next(r)
	if err != nil || number(m) != 102 {
		t.Errorf("want line 102, got %q, %v", m, err)
	}
}

func TestARestartOfTheForwarderRepeatsNothingToAServerThatListens(t *testing.T) {
	s := newSite(t)
	server := listen(t, "127.0.0.1:0")
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	s.start()
	conn, r := server.accept()
	s.write("messages", 100)
	want(t, r, 2, 101)
	closed := make(chan error, 1)
	go func() {
		_, err := next(r)
		conn.Close()
		closed <- err
	}()
	s.stop()
	if err := <-closed; err != io.EOF {
		t.Errorf("want a good-bye, got %v", err)
	}
	s.write("messages", 1)
	s.start()
	_, r = server.accept()
	if m, err := next(r); err != nil || number(m) != 102 {
		t.Errorf("want line 102, got %q, %v", m, err)
	}
}

func TestAServerThatWasAwayForTooLongIsToldSo(t *testing.T) {
	s := newSite(t)
	server := listen(t, "127.0.0.1:0")
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	s.start()
	_, r := server.accept()
	s.write("messages", 1)
	want(t, r, 2, 2)
	s.stop()
	for range 14 {
		s.write("messages", 10)
		s.rotate()
	}
	s.start()
	_, r = server.accept()
	m, err := next(r)
	if err != nil || !strings.HasSuffix(m, "lines are missing here: the log was overwritten before this server could be reached") {
		t.Fatalf("want to be told that lines are missing, got %q, %v", m, err)
	}
	// 11 of 14 files are there.
	want(t, r, 33, 142)
}

func TestEightServersOfWhichOneDoesNotReadAndAnAuditServer(t *testing.T) {
	s := newSite(t)
	var servers []*collector
	c := config.SyslogService{Enabled: true}
	for range 8 {
		one := listen(t, "127.0.0.1:0")
		servers = append(servers, one)
		c.Servers = append(c.Servers, one.server())
	}
	audit := listen(t, "127.0.0.1:0")
	c.Audit = []config.SyslogServer{audit.server()}
	s.set(c)
	s.start()
	var readers []*bufio.Reader
	for _, one := range servers {
		_, r := one.accept()
		readers = append(readers, r)
	}
	_, r := audit.accept()
	// 12 MB do not fit into the buffers of a connection.
	s.write("messages", 50000)
	last := s.written - 1
	for _, r := range readers[1:] {
		want(t, r, 2, last)
	}
	s.write("audit", 3)
	want(t, r, last+1, last+3)
	// It reads at last.
	want(t, readers[0], 2, last)
	// Who switches the log off does not switch the audit log off.
	c.Enabled = false
	s.set(c)
	s.write("audit", 1)
	want(t, r, last+4, last+4)
	if m, err := next(readers[1]); err != io.EOF {
		t.Errorf("want the connection closed, got %q, %v", m, err)
	}
	places, err := os.ReadDir(s.options.places)
	if err != nil || len(places) != 9 {
		t.Errorf("want the places of 9 servers kept, got %v, %v", places, err)
	}
}

// authority makes a certificate for 127.0.0.1 that is its own authority.
func authority(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "logs"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTLSServersAreVerified(t *testing.T) {
	s := newSite(t)
	certificate, trust := authority(t)
	_, other := authority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	server := collect(t, l)
	one := server.server()
	one.TLS = true
	c := config.SyslogService{Enabled: true, Servers: []config.SyslogServer{one}, TLS: config.TLSKindService{Trust: other}}
	s.set(c)
	s.start()
	conn, _ := server.accept()
	if err := conn.(*tls.Conn).Handshake(); err == nil {
		t.Fatal("want a refusal of a certificate that is not trusted, got none")
	}
	if l := s.until("unreachable"); !strings.Contains(l, "certificate signed by unknown authority") {
		t.Errorf("want why, got %q", l)
	}
	s.write("messages", 20)
	c.TLS.Trust = trust
	s.set(c)
	for {
		conn, r := server.accept()
		if conn.(*tls.Conn).Handshake() != nil {
			// It tried once more before it knew.
			continue
		}
		want(t, r, 2, 21)
		break
	}
}

func TestLinesAboutOneselfDoNotFeedThemselves(t *testing.T) {
	s := newSite(t)
	server := listen(t, "127.0.0.1:0")
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	s.start()
	_, r := server.accept()
	s.until("is connected")
	s.write("messages", 5000)
	want(t, r, 2, 5001)
	s.stop()
	if n := len(s.said); n != 0 {
		t.Errorf("want nothing said about lines that are sent, got %d lines, first %q", n, <-s.said)
	}
}

func TestARemovedServerBeginsAnew(t *testing.T) {
	s := newSite(t)
	server := listen(t, "127.0.0.1:0")
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	s.start()
	_, r := server.accept()
	s.set(config.SyslogService{})
	if _, err := next(r); err != io.EOF {
		t.Fatalf("want the connection closed, got %v", err)
	}
	// The settings have been taken once the next ones are asked for.
	s.set(config.SyslogService{})
	s.set(config.SyslogService{})
	s.write("messages", 5)
	s.set(config.SyslogService{Enabled: true, Servers: []config.SyslogServer{server.server()}})
	_, r = server.accept()
	s.write("messages", 1)
	if m, err := next(r); err != nil || number(m) != 7 {
		t.Errorf("want line 7, got %q, %v", m, err)
	}
	if list, err := os.ReadDir(s.options.places); err != nil || slices.ContainsFunc(list, func(d os.DirEntry) bool { return strings.HasSuffix(d.Name(), ".new") }) {
		t.Errorf("want nothing half written left, got %v, %v", list, err)
	}
}
