package webadmin

import (
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
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/services/freeport"
)

// certificate makes a key and a certificate of a name in PEM.
func certificate(t *testing.T, name string) (key, chain string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// running is the service on loopback with settings that change.
type running struct {
	*testing.T
	file   string
	hangup chan os.Signal
	opened chan []netip.AddrPort
	said   *said
	stop   func()
}

func start(t *testing.T, s config.WebAdminService, socket string, redirectPort int, loopback string) *running {
	t.Helper()
	r := &running{T: t, file: filepath.Join(t.TempDir(), "settings.json"), hangup: make(chan os.Signal), opened: make(chan []netip.AddrPort, 100), said: &said{}}
	r.write(s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, service{settings: r.file, loopback: loopback, redirectPort: redirectPort,
			options: Options{Socket: socket, Accounts: &people{}, Logs: t.TempDir(), Log: slog.New(slog.NewTextHandler(r.said, nil)),
				Audit: func(text string) { fmt.Fprintln(r.said, text) }},
			opened: func(a []netip.AddrPort) { r.opened <- a }}, r.hangup)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(r.stop)
	select {
	case <-r.opened:
	case err := <-done:
		done <- err
		t.Fatalf("serve: %v", err)
	}
	return r
}

func (r *running) write(s config.WebAdminService) {
	r.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(r.file, b, 0o600); err != nil {
		r.Fatal(err)
	}
}

// change writes other settings and waits until they are served.
func (r *running) change(s config.WebAdminService) {
	r.Helper()
	r.write(s)
	r.hangup <- os.Interrupt
	// A look that was under way may come first; the hangup is taken after it.
	for len(r.opened) > 0 {
		<-r.opened
	}
	<-r.opened
}

// shown is the name in the certificate at an address.
func shown(address string, c *tls.Config) (string, error) {
	c.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestSettingsTakeEffectWithoutARestart(t *testing.T) {
	key, chain := certificate(t, "first.example.com")
	port, plain := freeport.For(t), freeport.For(t)
	s := config.WebAdminService{Hostname: "cms", Interface: "a", Device: "lo", Port: port, Key: key, Chain: chain}
	r := start(t, s, silent(t), plain, "")
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)).String()
	if name, err := shown(address, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil || name != "first.example.com" {
		t.Errorf("at the start: want first.example.com, got %q, %v", name, err)
	}
	if _, err := shown(address, &tls.Config{MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is taken although the minimum is 1.2")
	}
	kept, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()

	s.Key, s.Chain = certificate(t, "second.example.com")
	s.TLS.MinVersion = "1.3"
	s.HTTPRedirect = true
	r.change(s)
	if name, err := shown(address, &tls.Config{}); err != nil || name != "second.example.com" {
		t.Errorf("after the change: want second.example.com, got %q, %v", name, err)
	}
	if _, err := shown(address, &tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is taken although the minimum is 1.3")
	}
	if _, err := io.WriteString(kept, "GET /login HTTP/1.1\r\nHost: cms\r\nConnection: close\r\n\r\n"); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(kept); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("a connection from before the change: want its answer, got %.40q, %v", b, err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	from := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(plain)).String()
	answer, err := client.Get("http://" + from + "/status?a=b")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if want := "https://" + address + "/status?a=b"; answer.StatusCode != http.StatusMovedPermanently || answer.Header.Get("Location") != want {
		t.Errorf("http-redirect: want %s, got %d %s", want, answer.StatusCode, answer.Header.Get("Location"))
	}
	if answer, err = client.Post("http://"+from+"/login", "application/x-www-form-urlencoded", strings.NewReader("password=x")); err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a form without TLS: want 403, got %d", answer.StatusCode)
	}

	if err := os.WriteFile(r.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.hangup <- os.Interrupt
	await(t, "bad settings are told", func() bool { return strings.Contains(r.said.String(), "settings stay as they are") })
	if name, err := shown(address, &tls.Config{}); err != nil || name != "second.example.com" {
		t.Errorf("after bad settings: want second.example.com, got %q, %v", name, err)
	}

	// A certificate that was put by SFTP before its key.
	second := s.Chain
	_, s.Chain = certificate(t, "third.example.com")
	s.TLS.MinVersion = "1.2"
	r.change(s)
	await(t, "a certificate of another key is told", func() bool {
		return strings.Contains(r.said.String(), "the certificate stays as it was") && strings.Contains(r.said.String(), "private key does not match public key")
	})
	if name, err := shown(address, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil || name != "second.example.com" {
		t.Errorf("with a certificate of another key: want second.example.com, and the other settings, got %q, %v", name, err)
	}
	// Once more, and its key is there.
	r.change(s)
	if name, err := shown(address, &tls.Config{}); err != nil || name != "second.example.com" {
		t.Errorf("still with a certificate of another key: want second.example.com, got %q, %v", name, err)
	}
	s.Chain = second
	r.change(s)
	if name, err := shown(address, &tls.Config{}); err != nil || name != "second.example.com" {
		t.Errorf("with its own again: want second.example.com, got %q, %v", name, err)
	}

	s.Key, s.Chain, s.HTTPRedirect = "", "", false
	r.change(s)
	if _, err := shown(address, &tls.Config{}); err == nil {
		t.Error("without a certificate HTTPS is still open")
	}
	if c, err := net.Dial("tcp", from); err == nil {
		c.Close()
		t.Error("port 80 is still open without http-redirect")
	}
	if !strings.Contains(r.said.String(), "HTTPS is closed") {
		t.Errorf("want the log to say why, got\n%s", r.said)
	}
}

func TestSessionsThatAStopEndsAreAudited(t *testing.T) {
	key, chain := certificate(t, "cms.example.com")
	port := freeport.For(t)
	r := start(t, config.WebAdminService{Interface: "a", Device: "lo", Port: port, Key: key, Chain: chain}, silent(t), freeport.For(t), "")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(fmt.Sprintf("https://127.0.0.1:%d/login", port), url.Values{"user": {"audit"}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	r.stop()
	wants(t, "the audit log", r.said.String(), `login of user "audit", source 127.0.0.1:`, `session of user "audit" from 127.0.0.1:`, "ended: the Web Admin was stopped")
}

func TestLoopbackServesTheAPIAlone(t *testing.T) {
	socket, requests := record(t)
	loopback := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freeport.For(t))).String()
	start(t, config.WebAdminService{Interface: "a", Device: "lo", Port: freeport.For(t)}, socket, freeport.For(t), loopback)
	answer, err := http.Get("http://" + loopback + "/api/v1/system/status")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := <-requests; got.URL.Path != "/api/v1/system/status" || answer.StatusCode != http.StatusOK {
		t.Errorf("the API: got %d, %s", answer.StatusCode, got.URL)
	}
	for _, path := range []string{"/login", "/status", "/internal/callSettings", "/"} {
		answer, err := http.Get("http://" + loopback + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: want 404, got %d", path, answer.StatusCode)
		}
	}
}
