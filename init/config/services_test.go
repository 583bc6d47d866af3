package config

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// refuses holds a good value, and what is said when one thing of it is wrong.
type refusal[T any] struct {
	change func(*T)
	want   string
}

func refuses[T interface{ validate() error }](t *testing.T, good T, refusals []refusal[T]) {
	t.Helper()
	if err := good.validate(); err != nil {
		t.Fatalf("%+v: wanted it accepted, got %v", good, err)
	}
	for _, r := range refusals {
		bad := good
		r.change(&bad)
		if err := bad.validate(); err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%+v: wanted an error with %q, got %v", bad, r.want, err)
		}
	}
}

func TestAWebAdminIsRefusedWithWhatWouldBeRight(t *testing.T) {
	good := WebAdmin{Enabled: true, Interface: "a", Port: 445, Certificates: Certificates{Key: "a.key", Certificate: "a.crt", Bundle: "ca.crt"}}
	refuses(t, good, []refusal[WebAdmin]{
		{func(w *WebAdmin) { w.Interface = "lo" }, `cannot listen on "lo": use a, b, c, d`},
		{func(w *WebAdmin) { w.Interface = "" }, "cannot be enabled: no interface to listen on"},
		{func(w *WebAdmin) { w.Certificates = Certificates{} }, "cannot be enabled: no certificate"},
		{func(w *WebAdmin) { w.Certificates.Key = "" }, "webadmin needs a key and its certificate: use webadmin certs"},
		{func(w *WebAdmin) { w.Certificates = Certificates{Bundle: "ca.crt"} }, "webadmin needs a key and its certificate"},
		{func(w *WebAdmin) { w.Certificates.Bundle = "a/b" }, `"a/b" is not the name of a file`},
		{func(w *WebAdmin) { w.Port = 65536 }, "port 65536 is out of range"},
		{func(w *WebAdmin) { w.Port = 22 }, "belongs to SSH"},
		{func(w *WebAdmin) { w.Port = 80 }, "plain HTTP"},
		{func(w *WebAdmin) { w.Port = 8081 }, "port 8081 belongs to the API"},
	})
	if err := (WebAdmin{Interface: "a"}).validate(); err != nil {
		t.Errorf("one that is being set up: wanted it accepted, got %v", err)
	}
	if got := (WebAdmin{}).ListenPort(); got != 443 {
		t.Errorf("no port: wanted 443, got %d", got)
	}
}

func TestACallBridgeIsRefusedWithWhatWouldBeRight(t *testing.T) {
	good := CallBridge{Listen: []string{"a", "b"}, Prefer: "b", Certificates: Certificates{Key: "a.key", Certificate: "a.crt"}, TrustC2W: "c2w.crt",
		UCM: Peer{Trust: "ucm.crt", Verify: true}, JWTHours: 1}
	refuses(t, good, []refusal[CallBridge]{
		{func(c *CallBridge) { c.Listen = []string{"e"} }, `cannot listen on "e": use a, b, c, d`},
		{func(c *CallBridge) { c.Listen = []string{"a", "a"} }, "listens on a twice"},
		{func(c *CallBridge) { c.Prefer = "lo" }, `cannot prefer "lo"`},
		{func(c *CallBridge) { c.Certificates.Certificate = "" }, "callbridge needs a key and its certificate: use callbridge certs"},
		{func(c *CallBridge) { c.TrustC2W = ".." }, `".." is not the name of a file`},
		{func(c *CallBridge) { c.IMPS.Verify = true }, "use callbridge imps certs <bundle> first"},
		{func(c *CallBridge) { c.JWTHours = 25 }, "25 hours are out of range: use 1 to 24"},
	})
	if got := (CallBridge{}).ExpiryHours(); got != 24 {
		t.Errorf("no expiry: wanted 24 hours, got %d", got)
	}
}

func TestTLSIsRefusedWithWhatWouldBeRight(t *testing.T) {
	good := TLS{SIP: TLSKind{Trust: "ca.crt", Verify: VerifyOCSP, MinVersion: "1.3"}, LDAP: TLSKind{Ciphers: "ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA"}, MinDTLS: "1.0"}
	refuses(t, good, []refusal[TLS]{
		{func(s *TLS) { s.SIP.Trust = "" }, "use tls sip trust <bundle> first"},
		{func(s *TLS) { s.SIP.Trust = "a/b" }, `tls sip trust bundle "a/b" is not the name of a file`},
		{func(s *TLS) { s.RTMPS.Verify = VerifyOn }, "use tls rtmps trust <bundle> first"},
		{func(s *TLS) { s.LDAP.Verify = "maybe" }, `verification "maybe" is unknown`},
		{func(s *TLS) { s.WebAdmin.MinVersion = "1.4" }, `TLS version "1.4" is unknown: use 1.0, 1.1, 1.2, 1.3`},
		{func(s *TLS) { s.MinDTLS = "1.1" }, `DTLS version "1.1" is unknown: use 1.0, 1.2`},
		{func(s *TLS) { s.LDAP.Ciphers = "RC4-SHA" }, `cipher "RC4-SHA" is unknown: use AES128-GCM-SHA256, `},
		{func(s *TLS) { s.LDAP.Ciphers = "AES256-SHA:" }, `cipher "" is unknown`},
		{func(s *TLS) { s.LDAP.Ciphers = "AES256-SHA:AES256-SHA" }, "cipher AES256-SHA is there twice"},
	})
}

// The numbers are written down here, since PID 1 does without crypto/tls.
func TestVersionsAndCiphersAreThoseOfCryptoTLS(t *testing.T) {
	for name, want := range map[string]uint16{"": tls.VersionTLS12, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		if got := (TLSKindService{MinVersion: name}).Version(); got != want {
			t.Errorf("version %q: wanted %#x, got %#x", name, want, got)
		}
	}
	offered := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
	for _, name := range CipherNames() {
		ids := TLSKindService{Ciphers: name}.Suites()
		i := slices.IndexFunc(offered, func(s *tls.CipherSuite) bool { return s.ID == ids[0] })
		if len(ids) != 1 || i < 0 {
			t.Errorf("%s: crypto/tls has no suite %#x", name, ids)
			continue
		}
		// TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256, and RSA alone is not said.
		iana := strings.NewReplacer("TLS_", "", "WITH_", "", "_CBC", "", "AES_", "AES").Replace(offered[i].Name)
		if want := strings.TrimPrefix(strings.ReplaceAll(iana, "_", "-"), "RSA-"); want != name && want != name+"-SHA256" {
			t.Errorf("%s: %#x is %s", name, ids[0], offered[i].Name)
		}
	}
	if got := (TLSKindService{}).Suites(); got != nil {
		t.Errorf("no choice: wanted crypto/tls to choose, got %v", got)
	}
}

func TestTwoServicesDoNotTakeOnePort(t *testing.T) {
	doc := Factory()
	certificates := Certificates{Key: "a.key", Certificate: "a.crt"}
	doc.WebAdmin = WebAdmin{Enabled: true, Interface: "a", Certificates: certificates}
	doc.TURN = TURN{Enabled: true, Listen: []string{"b", "a"}, TLSPort: 443, Username: "u", Password: "p", Realm: "r"}
	if err := doc.Validate(); err == nil || !strings.Contains(err.Error(), "TCP port 443 of interface a: use webadmin listen a 445") {
		t.Errorf("443 twice: wanted a refusal, got %v", err)
	}
	doc.WebAdmin.Port = 3478
	if err := doc.Validate(); err == nil || !strings.Contains(err.Error(), "TCP port 3478") {
		t.Errorf("3478 twice: wanted a refusal, got %v", err)
	}
	for _, change := range []func(){
		func() { doc.WebAdmin.Port = 445 },
		func() { doc.WebAdmin.Port, doc.TURN.Listen = 443, []string{"b"} },
		func() { doc.TURN.Listen, doc.TURN.Enabled = []string{"a"}, false },
	} {
		change()
		if err := doc.Validate(); err != nil {
			t.Errorf("port %d, TURN on %v, enabled %v: wanted it accepted, got %v", doc.WebAdmin.Port, doc.TURN.Listen, doc.TURN.Enabled, err)
		}
	}
	doc.TURN.Enabled, doc.TURN.TLSPort, doc.WebAdmin.HTTPRedirect = true, 80, true
	if err := doc.Validate(); err == nil || !strings.Contains(err.Error(), "TCP port 80") {
		t.Errorf("80 twice: wanted a refusal, got %v", err)
	}
}

func TestTheWebAdminOfANewMachineIsOnInterfaceA(t *testing.T) {
	doc := Factory()
	if w := doc.WebAdmin; w.Interface != "a" || w.ListenPort() != 443 || w.Enabled {
		t.Errorf("wanted interface a, port 443, to be enabled; got %+v", w)
	}
	if err := doc.Validate(); err != nil {
		t.Error(err)
	}
}
