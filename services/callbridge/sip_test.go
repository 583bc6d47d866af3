package callbridge

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/services/callbridge/sip"
	"rotunda/services/database/databasetest"
)

// pair makes a key and its certificate, which trusts itself.
func pair(t *testing.T, name string) (key, chain string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("PRIVATE KEY", secret), encode("CERTIFICATE", der)
}

// set writes the settings, as PID 1 does, and tells of them.
func (h *house) set(s config.CallBridgeService) {
	h.t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.options.settings, b, 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.reread <- syscall.SIGHUP
}

const optionsRequest = "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK%s;rport\r\nFrom: <sip:a@b.com>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

// ask sends OPTIONS over a stream and returns the first line of the answer.
func ask(t *testing.T, conn net.Conn, id string) (string, error) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(strings.ReplaceAll(optionsRequest, "%s", id))); err != nil {
		return "", err
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	line, _, _ := strings.Cut(string(b[:n]), "\r\n")
	return line, err
}

func TestCertificatesOfSettingsCountForTheNextConnection(t *testing.T) {
	h := openAt(t, databasetest.New(t).Socket(), nil)
	plain := h.sip("tcp")
	stays, err := net.Dial("tcp", plain.String())
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	if line, err := ask(t, stays, "one"); err != nil || line != "SIP/2.0 200 OK" {
		t.Fatalf("OPTIONS by TCP: want 200, got %q and %v", line, err)
	}
	key, chain := pair(t, "cms.example.com")
	h.set(config.CallBridgeService{Hostname: "cms", Key: key, Chain: chain})
	secure := h.sip("tls")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(chain))
	connect := func(c *tls.Config) (string, error) {
		conn, err := tls.Dial("tcp", secure.String(), c)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return ask(t, conn, "two")
	}
	if line, err := connect(&tls.Config{RootCAs: roots, ServerName: "cms.example.com"}); err != nil || line != "SIP/2.0 200 OK" {
		t.Errorf("OPTIONS by TLS: want 200, got %q and %v", line, err)
	}
	// Another certificate, and whoever connects has to show one that is trusted, with TLS 1.3 at least.
	peerKey, peerChain := pair(t, "vcs.example.com")
	key, chain = pair(t, "new.example.com")
	h.set(config.CallBridgeService{Key: key, Chain: chain, SIP: config.TLSKindService{Trust: peerChain, Verify: config.VerifyOn, MinVersion: "1.3"}})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(chain))
	peer, err := tls.X509KeyPair([]byte(peerChain), []byte(peerKey))
	if err != nil {
		t.Fatal(err)
	}
	strangerKey, strangerChain := pair(t, "stranger.example.com")
	stranger, err := tls.X509KeyPair([]byte(strangerChain), []byte(strangerKey))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the new certificate", func() bool {
		line, err := connect(&tls.Config{RootCAs: roots, ServerName: "new.example.com", Certificates: []tls.Certificate{peer}})
		return err == nil && line == "SIP/2.0 200 OK"
	})
	for what, c := range map[string]*tls.Config{
		"no certificate":         {RootCAs: roots, ServerName: "new.example.com"},
		"a stranger's":           {RootCAs: roots, ServerName: "new.example.com", Certificates: []tls.Certificate{stranger}},
		"an older version":       {RootCAs: roots, ServerName: "new.example.com", Certificates: []tls.Certificate{peer}, MaxVersion: tls.VersionTLS12},
		"the old one's trusters": {ServerName: "cms.example.com", Certificates: []tls.Certificate{peer}},
	} {
		if line, err := connect(c); err == nil {
			t.Errorf("%s: want no connection, got %q", what, line)
		}
	}
	if line, err := ask(t, stays, "three"); err != nil || line != "SIP/2.0 200 OK" {
		t.Errorf("a connection from before the changes: want it to go on, got %q and %v", line, err)
	}
	// A certificate that cannot be used is not used, and changes nothing else.
	h.set(config.CallBridgeService{Key: "nonsense", Chain: "nonsense"})
	until(t, "an error in the log", func() bool {
		return strings.Contains(h.log.String(), "the certificate of the Call Bridge stays as it was")
	})
	if line, err := connect(&tls.Config{RootCAs: roots, ServerName: "new.example.com"}); err != nil || line != "SIP/2.0 200 OK" {
		t.Errorf("by TLS, with the certificate before: want 200, got %q and %v", line, err)
	}
	if line, err := ask(t, stays, "four"); err != nil || line != "SIP/2.0 200 OK" {
		t.Errorf("by TCP: want 200, got %q and %v", line, err)
	}
}

func TestOurCertificateIsShownToThoseWhoAreCalled(t *testing.T) {
	key, chain := pair(t, "cms.example.com")
	_, other := pair(t, "vcs.example.com")
	var c certificates
	if err := c.read(config.CallBridgeService{Key: key, Chain: chain, SIP: config.TLSKindService{Trust: other, Verify: config.VerifyOn}}); err != nil {
		t.Fatal(err)
	}
	b := &bridge{certificates: certificates{client: c.client, server: c.server}}
	for _, one := range []struct {
		target sip.Target
		name   string
	}{
		{sip.Target{Host: "vcs.example.com", Address: netip.MustParseAddrPort("192.0.2.1:5061")}, "vcs.example.com"},
		{sip.Target{Address: netip.MustParseAddrPort("[2001:db8::1]:5061")}, "2001:db8::1"},
	} {
		got := b.clientTLS(one.target)
		if got.ServerName != one.name || got.InsecureSkipVerify || got.RootCAs == nil || len(got.Certificates) != 1 {
			t.Errorf("%+v: want %s verified, and our certificate, got %+v", one.target, one.name, got)
		}
	}
	if err := c.read(config.CallBridgeService{Key: key, Chain: other}); err == nil || c.server == nil || len(c.client.Certificates) != 1 || !c.client.InsecureSkipVerify {
		t.Errorf("a certificate of another key: want the one before with the other settings, and an error, got %+v and %v", c.client, err)
	}
	if err := c.read(config.CallBridgeService{}); err != nil || c.server != nil || !c.client.InsecureSkipVerify {
		t.Errorf("without settings: want no server, and any certificate taken, got %+v and %v", c.client, err)
	}
}

func TestListeningAddressesAreThoseOfTheSettings(t *testing.T) {
	n := network{ports: ports{sipPort, sipsPort}}
	list := func(s config.CallBridgeService, certificate bool) string {
		var all []string
		for _, l := range n.listen(s, certificate) {
			all = append(all, string(l.Transport)+" "+l.Address.String())
		}
		return strings.Join(all, ", ")
	}
	if got, want := list(config.CallBridgeService{}, false), "udp 127.0.0.1:5060, tcp 127.0.0.1:5060"; got != want {
		t.Errorf("nothing is configured: want %s, got %s", want, got)
	}
	// Loopback is there already, and a device that is away has no address.
	if got, want := list(config.CallBridgeService{Listen: []string{"a", "b"}, Devices: map[string]string{"a": "lo", "b": "nothing0"}}, true),
		"udp 127.0.0.1:5060, tcp 127.0.0.1:5060, tls 127.0.0.1:5061"; got != want {
		t.Errorf("with a certificate: want %s, got %s", want, got)
	}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	n.signalling = []netip.Addr{a, b}
	for _, c := range []struct {
		what          string
		local, remote netip.Addr
		want          netip.Addr
	}{
		{"signalling says it", a, netip.MustParseAddr("198.51.100.7"), a},
		{"a far end on this machine", netip.Addr{}, loopback, loopback},
		{"nothing is known", netip.Addr{}, netip.Addr{}, a},
		{"a far end that no address of ours reaches", netip.Addr{}, netip.MustParseAddr("2001:db8:ffff::7"), b},
	} {
		if got := n.media(c.local, c.remote); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: want %s, got %v", c.what, c.want, got)
		}
	}
}

func TestUDPFollowsTheCallSettings(t *testing.T) {
	h := openAt(t, databasetest.New(t).Socket(), nil)
	at := h.sip("udp")
	answers := func() bool {
		conn, err := net.Dial("udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(optionsRequest, "%s", rand.Text()), "/TLS", "/UDP"))); err != nil {
			return false
		}
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		return err == nil && bytes.HasPrefix(b[:n], []byte("SIP/2.0 200"))
	}
	until(t, "an answer", answers)
	h.expect(http.MethodPut, "/internal/callSettings", url.Values{"sipUdp": {"disabled"}})
	until(t, "silence", func() bool { return !answers() })
}

func TestSIPIsTracedForAWhile(t *testing.T) {
	h, _ := openWithMedia(t)
	h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Weekly"}, "uri": {"88001"}})
	h.expect(http.MethodPut, "/api/v1/system/timedLogging", url.Values{"sip": {"60"}})
	wait := h.call(callerScenario("88001"), "udp")
	until(t, "a connected leg", func() bool {
		legs := h.read("callLegs")
		return len(legs.Children) == 1 && h.read("callLegs/"+legs.Children[0].Attr("id")).At("status", "state") == "connected"
	})
	for _, want := range []string{`SIP trace: SIP UDP received from 127\.0\.0\.1:\d+`, `SIP trace: INVITE sip:88001@`, `SIP trace: SIP/2\.0 200 OK`, `SIP trace: m=audio 6000 RTP/AVP 0`, "dial plan: .*the table is empty"} {
		until(t, want, func() bool { return regexp.MustCompile(want).MatchString(h.log.String()) })
	}
	h.expect(http.MethodPut, "/api/v1/system/timedLogging", url.Values{"sip": {"0"}})
	before := strings.Count(h.log.String(), "SIP trace:")
	h.expect(http.MethodDelete, "/api/v1/calls/"+h.read("calls").Children[0].Attr("id"), nil)
	wait()
	if after := strings.Count(h.log.String(), "SIP trace:"); after != before {
		t.Errorf("the trace was ended, and %d lines came after it", after-before)
	}
}

func TestATraceEndsByItself(t *testing.T) {
	traces := newTraces()
	changes := make(chan bool, 10)
	traces.changed = func(name string, on bool) {
		if name == "sip" {
			changes <- on
		}
	}
	traces.Trace("sip", 10*time.Millisecond)
	traces.Trace("sip", 20*time.Millisecond)
	for _, want := range []bool{true, true, false} {
		select {
		case got := <-changes:
			if got != want {
				t.Errorf("want on to be %t, got %t", want, got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the trace does not end")
		}
	}
	if left := traces.Remaining("sip"); left != 0 {
		t.Errorf("want nothing left, got %v", left)
	}
}
