package turn

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/services/freeport"
)

// The test binary plays the service: with TURN_SETTINGS it serves by the file of that name.
func TestMain(m *testing.M) {
	if file := os.Getenv("TURN_SETTINGS"); file != "" {
		if err := Main([]string{"-settings", file, "-status", os.Getenv("TURN_STATUS")}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// service is the program under a stand-in for PID 1.
type service struct {
	t       *testing.T
	file    string
	command *exec.Cmd
	notify  *net.UnixConn
}

// startService starts it, in a network namespace if there is a name, and waits until it is ready.
func startService(t *testing.T, namespace, status string, settings config.TURNService) *service {
	t.Helper()
	s := &service{t: t, file: filepath.Join(t.TempDir(), "settings.json")}
	s.write(settings)
	path := filepath.Join(t.TempDir(), "notify")
	var err error
	if s.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.notify.Close() })
	s.command = exec.Command(os.Args[0])
	if namespace != "" {
		s.command = exec.Command("ip", "netns", "exec", namespace, os.Args[0])
	}
	s.command.Env = append(os.Environ(), "TURN_SETTINGS="+s.file, "TURN_STATUS="+status, "NOTIFY_SOCKET="+path)
	var said strings.Builder
	s.command.Stdout, s.command.Stderr = &said, &said
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		if err := s.command.Wait(); err != nil {
			t.Errorf("wanted it to end in peace, got %v\n%s", err, &said)
		}
	})
	b := make([]byte, 100)
	_ = s.notify.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := s.notify.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Fatalf("wanted READY=1, got %q, %v\n%s", b[:n], err, &said)
	}
	return s
}

func (s *service) write(settings config.TURNService) {
	s.t.Helper()
	b, err := json.Marshal(settings)
	if err == nil {
		err = os.WriteFile(s.file, b, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestTheServiceServesByItsFileAndTellsHowItIs(t *testing.T) {
	status := fmt.Sprintf("127.0.0.1:%d", freeport.For(t))
	settings := config.TURNService{TURN: config.TURN{Enabled: true, Listen: []string{"a"}, Username: "admin", Password: "secret", Realm: testRealm},
		Devices: map[string]string{"a": "none"}}
	s := startService(t, "", status, settings)
	get := func(path string) string {
		resp, err := http.Get("http://" + status + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var got Status
	if err := json.Unmarshal([]byte(get("/status")), &got); err != nil || got.FreePorts != 12001 || len(got.Listeners) != 0 {
		t.Errorf("an interface without an address: wanted all ports and no listener, got %+v, %v", got, err)
	}
	metrics := get("/metrics")
	for _, want := range []string{"# TYPE turn_packets_total counter\n", `turn_drops_total{reason="rate_limit"} 0` + "\n", "turn_relay_ports_free 12001\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("wanted %q among the metrics, got\n%s", want, metrics)
		}
	}
	b := make([]byte, 100)
	if n, err := s.notify.Read(b); err != nil || string(b[:n]) != "WATCHDOG=1" {
		t.Errorf("wanted a sign of life, got %q, %v", b[:n], err)
	}
	// A file that cannot be read changes nothing.
	if err := os.WriteFile(s.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if get("/status") == "" {
		t.Error("wanted it to go on")
	}
}

func TestACertificateOfAnotherKeyLeavesTheOneBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	s := &service{t: t, file: file}
	first, second := testCertificate(t, "first"), testCertificate(t, "second")
	key := func(c *tls.Certificate) string {
		der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	chain := func(c *tls.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	}
	var before settings
	for _, c := range []struct {
		what, key, chain string
		want             []byte
		trouble          string
	}{
		{"a pair of its own", key(first), chain(first), first.Certificate[0], ""},
		{"a certificate of another key", key(first), chain(second), first.Certificate[0], "the certificate stays as it was: tls: private key does not match public key"},
		{"still", key(first), chain(second), first.Certificate[0], "the certificate stays as it was: tls: private key does not match public key"},
		{"its key has come", key(second), chain(second), second.Certificate[0], ""},
		{"none", "", "", nil, ""},
		{"none before", key(first), chain(second), nil, "TLS is off: tls: private key does not match public key"},
	} {
		s.write(config.TURNService{Key: c.key, Chain: c.chain})
		now, err := readSettings(file, before)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		if now.certificate != nil {
			got = now.certificate.Certificate[0]
		}
		if !bytes.Equal(got, c.want) || now.trouble != c.trouble {
			t.Errorf("%s: wanted %.8x and %q, got %.8x and %q", c.what, c.want, c.trouble, got, now.trouble)
		}
		before = now
	}
}
