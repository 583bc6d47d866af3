package commands

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// issue makes a key and a certificate that another one signs, or itself when there is no other.
func issue(t *testing.T, c *x509.Certificate, by *x509.Certificate, with *ecdsa.PrivateKey) (key, certificate []byte, parsed *x509.Certificate, secret *ecdsa.PrivateKey) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(1)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	if by == nil {
		by, with = c, secret
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, secret.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), parsed, secret
}

func TestTheWebAdminIsSetUpAsTheGuideSays(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	stored["core.key"], stored["cmscore-fullchain.cer"] = pair(t)
	_, stored["other.crt"] = pair(t)
	d.deps.Stored = stored
	d.prints(`Enabled                 : false
TLS listening interface : a
TLS listening port      : 443
Key file                : none
Certificate file        : none
HTTP redirect           : Disabled
STATUS                  : webadmin not running
`, "webadmin")
	d.fails("FAILURE: no certificate, use webadmin certs <key> <certificate> [<bundle>]", "webadmin enable")
	d.fails("webadmin is not enabled: use webadmin enable", "webadmin restart")
	d.fails("there is no file missing.crt: put it by SFTP first", "webadmin certs core.key missing.crt")
	d.fails("core.key and other.crt are not a pair", "webadmin certs core.key other.crt")
	d.fails("other.crt holds a certificate and no key: give the key first, then the certificate", "webadmin certs other.crt core.key")
	d.prints("", "webadmin certs core.key cmscore-fullchain.cer")
	d.prints("", "webadmin listen none")
	d.fails("FAILURE: no interface to listen on, use webadmin listen <interface> [<port>]", "webadmin enable")
	d.prints("", "webadmin listen a")
	d.prints("SUCCESS: TLS interface and port configured\nSUCCESS: Key and certificate pair match\nSUCCESS: webadmin enabled\n", "webadmin enable")
	d.machine.health.Services = []control.Service{{Name: "webadmin", State: "ready"}}
	// The capture of the reference, to the column.
	d.prints(`Enabled                 : true
TLS listening interface : a
TLS listening port      : 443
Key file                : core.key
Certificate file        : cmscore-fullchain.cer
HTTP redirect           : Disabled
STATUS                  : webadmin running
`, "webadmin")
	d.fails("webadmin is enabled: use webadmin disable first", "webadmin listen none")
	d.fails("webadmin is enabled: use webadmin disable first", "webadmin certs none")
	d.fails("webadmin port 22 belongs to SSH: use 443 or 445", "webadmin listen a 22")
	d.fails("a port number from 1 to 65535", "webadmin listen a 70000")
	d.prints("", "webadmin listen b 445")
	d.prints("", "webadmin http-redirect enable")
	if w := d.machine.config.Document.WebAdmin; w.Interface != "b" || w.Port != 445 || !w.HTTPRedirect || !w.Enabled {
		t.Errorf("wanted it on b, port 445, with a redirection, got %+v", w)
	}
	d.prints("SUCCESS: TLS interface and port configured\nSUCCESS: Key and certificate pair match\nSUCCESS: webadmin restarted\n", "webadmin restart")
	if got := strings.Join(d.machine.done, ","); got != "restart webadmin" {
		t.Errorf("wanted webadmin restarted once, got %q", got)
	}
	delete(stored, "core.key")
	d.fails("FAILURE: there is no file core.key: put it by SFTP first", "webadmin restart")
	d.prints("", "webadmin disable")
	d.prints("", "webadmin certs none")
	d.prints("", "webadmin listen a 445")
	d.prints("", "webadmin listen a")
	if w := d.machine.config.Document.WebAdmin; w.Port != 0 || w.ListenPort() != 443 {
		t.Errorf("without a port: wanted 443 again, got %+v", w)
	}
}

func TestTheStatusOfTheWebAdminSaysWhyItDoesNotRun(t *testing.T) {
	d := newDesk(t)
	d.prints("STATUS                  : webadmin not running\n", "webadmin status")
	d.machine.health.Services = []control.Service{{Name: "mmp", State: "ready"}, {Name: "webadmin", State: "backoff", LastExit: "exit status 1 (listen:\x1b[2J in use)"}}
	d.prints("Last exit               : exit status 1 (listen:?[2J in use)\nSTATUS                  : webadmin not running\n", "webadmin status")
	d.machine.health.Services[1] = control.Service{Name: "webadmin", State: "ready", LastExit: "exit status 1"}
	d.prints("STATUS                  : webadmin running\n", "webadmin status")
}

func TestAServiceRunsWhenItsCommandHasSaidSo(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	stored["core.key"], stored["core.crt"] = pair(t)
	d.deps.Stored = stored
	d.prints("", "webadmin certs core.key core.crt")
	d.prints("", "turn listen a")
	d.prints("", "turn credentials user secret example.com")
	const ready = "SUCCESS: TLS interface and port configured\nSUCCESS: Key and certificate pair match\n"
	for _, x := range []struct{ line, service, says string }{
		{"webadmin enable", "webadmin", ready + "SUCCESS: webadmin enabled\n"},
		{"webadmin restart", "webadmin", ready + "SUCCESS: webadmin restarted\n"},
		{"callbridge restart", "callbridge", "SUCCESS: callbridge restarted\n"},
		{"turn enable", "turn", "SUCCESS: TURN server enabled\n"},
	} {
		d.machine.states = [][]control.Service{{{Name: "mmp", State: "ready"}, {Name: x.service, State: "starting"}}, {{Name: x.service, State: "ready"}}}
		d.prints(x.says, x.line)
		if n := len(d.machine.states); n != 0 {
			t.Errorf("%s: it said so %d looks before the service was ready", x.line, n)
		}
	}
	d.machine.states = [][]control.Service{{{Name: "webadmin", State: "starting"}}, {{Name: "webadmin", State: "backoff", LastExit: "exit status 1 (listen:\x1b[2J in use)"}}}
	said, err := d.run("webadmin restart")
	if want := "FAILURE: webadmin is enabled, but ends again: exit status 1 (listen:?[2J in use)"; said != ready || err == nil || err.Error() != want {
		t.Errorf("a service that ends: wanted %q, then %q, got %q, then %v", ready, want, said, err)
	}
}

func TestTheCallBridgeIsSetUpAsTheGuideSays(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	stored["core.key"], stored["cmscore-fullchain.cer"] = pair(t)
	_, stored["cmsedge-fullchain.cer"] = pair(t)
	stored["broken.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")})
	d.deps.Stored = stored
	d.prints("", "callbridge listen a")
	d.prints("", "callbridge certs core.key cmscore-fullchain.cer")
	d.prints("", "callbridge trust c2w cmsedge-fullchain.cer")
	// The capture of the reference, to the column.
	d.prints(`Listening interfaces  : a
Preferred interface   : none
Key file              : core.key
Certificate file      : cmscore-fullchain.cer
Address               : none
C2W trusted certs                   : cmsedge-fullchain.cer
Callbridge cluster trusted certs    : none
Callbridge trust branding certs     : none
UCM trusted certs         : none
UCM verification mode     : disabled
IMPS trusted certs        : none
IMPS verification mode    : disabled
WC3 JWT Expiry in hours   : 24
`, "callbridge")
	d.prints("SUCCESS: listen interface configured\nSUCCESS: Key and certificate pair match\nSUCCESS: callbridge restarted\n", "callbridge restart")
	if got := strings.Join(d.machine.done, ","); got != "restart callbridge" {
		t.Errorf("wanted callbridge restarted once, got %q", got)
	}
	d.prints("", "callbridge listen a b")
	d.prints("", "callbridge prefer b")
	d.prints("", "callbridge trust cluster cmscore-fullchain.cer")
	d.prints("", "callbridge trust branding cmsedge-fullchain.cer")
	d.fails("callbridge ucm verification needs certificates to trust: use callbridge ucm certs <bundle> first", "callbridge ucm verify enable")
	d.prints("", "callbridge ucm certs cmsedge-fullchain.cer")
	d.prints("", "callbridge ucm verify enable")
	d.prints("", "callbridge imps certs cmscore-fullchain.cer")
	d.prints("", "callbridge wc3jwt expiry 8")
	got, err := d.run("callbridge")
	for _, want := range []string{"Listening interfaces  : a b\n", "Preferred interface   : b\n", "Callbridge cluster trusted certs    : cmscore-fullchain.cer\n",
		"Callbridge trust branding certs     : cmsedge-fullchain.cer\n", "UCM trusted certs         : cmsedge-fullchain.cer\n", "UCM verification mode     : enabled\n",
		"IMPS trusted certs        : cmscore-fullchain.cer\n", "IMPS verification mode    : disabled\n", "WC3 JWT Expiry in hours   : 8\n"} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("callbridge: wanted a line %q, got %v\n%s", want, err, got)
		}
	}
	d.fails("use callbridge ucm certs <bundle> first", "callbridge ucm certs none")
	d.fails("there is no file gone.crt: put it by SFTP first", "callbridge trust c2w gone.crt")
	d.fails("core.key holds no certificate", "callbridge trust c2w core.key")
	d.fails("broken.crt cannot be read: object 1, certificate: ", "callbridge trust c2w broken.crt")
	d.fails("25", "callbridge wc3jwt expiry 25")
	d.fails("callbridge listens on a twice", "callbridge listen a a")
	d.fails("a, b, c or d", "callbridge listen lo")
	delete(stored, "cmsedge-fullchain.cer")
	d.fails("FAILURE: there is no file cmsedge-fullchain.cer: put it by SFTP first", "callbridge restart")
	for _, line := range []string{"callbridge listen none", "callbridge prefer none", "callbridge certs none", "callbridge trust c2w none", "callbridge trust cluster none",
		"callbridge trust branding none", "callbridge ucm verify disable", "callbridge ucm certs none", "callbridge imps certs none", "callbridge wc3jwt expiry 24"} {
		d.prints("", line)
	}
	if b := d.machine.config.Document.CallBridge; len(b.Listen) != 0 || b.Certificates != (config.Certificates{}) || b.UCM != (config.Peer{}) || b.TrustC2W+b.TrustCluster+b.TrustBranding+b.Prefer != "" {
		t.Errorf("wanted everything taken away, got %+v", b)
	}
	d.prints("SUCCESS: callbridge restarted\n", "callbridge restart")
	d.machine.refuse = errors.New("the services did not start")
	if _, err := d.run("callbridge restart"); err == nil || err.Error() != "FAILURE: the services did not start" {
		t.Errorf("wanted the refusal told, got %v", err)
	}
}

func TestABundleOfTheCallBridgeIsShownAfterItsAddress(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	_, stored["root.cer"], _, _ = issue(t, &x509.Certificate{}, nil, nil)
	stored["core.key"], stored["core.cer"] = pair(t)
	d.deps.Stored = stored
	d.prints("Warning: no certificate in root.cer has issued core.cer\n", "callbridge certs core.key core.cer root.cer")
	got, err := d.run("callbridge")
	if want := "Address               : none\nCA Bundle file        : root.cer\nC2W trusted certs"; err != nil || !strings.Contains(got, want) {
		t.Errorf("wanted %q, got %v\n%s", want, err, got)
	}
}

// Others refuse such certificates, and say less of why.
func TestWhatOthersWillStumbleOverIsTold(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	_, ca, issuer, secret := issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true}, nil, nil)
	stored["ca.crt"] = ca
	old := &x509.Certificate{NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 2, 3, 0, 0, 0, 0, time.UTC), ExtKeyUsage: server}
	stored["old.key"], stored["old.crt"], _, _ = issue(t, old, issuer, secret)
	soon := &x509.Certificate{NotBefore: time.Date(2090, 1, 2, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC), ExtKeyUsage: both}
	stored["soon.key"], stored["soon.crt"], _, _ = issue(t, soon, issuer, secret)
	stored["locked.key"] = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})
	stored["text.key"] = []byte("nothing here")
	d.deps.Stored = stored
	d.prints("Warning: old.crt has expired on 2021-02-03\nWarning: old.crt is not for clients, by its extended key usage: others may refuse it\n",
		"callbridge certs old.key old.crt ca.crt")
	d.prints("Warning: old.crt has expired on 2021-02-03\n", "webadmin certs old.key old.crt ca.crt")
	d.prints("Warning: soon.crt is not valid before 2090-01-02\n", "callbridge certs soon.key soon.crt ca.crt")
	d.prints("Warning: certificate 1 of old.crt has expired on 2021-02-03\n", "tls ldap trust old.crt")
	d.fails("locked.key has a pass phrase: use pki unlock locked.key", "webadmin certs locked.key old.crt")
	d.fails("text.key cannot be read: neither certificate, key nor request", "webadmin certs text.key old.crt")
}

func TestTLSIsSetUpByWhatConnectionsCarry(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	_, stored["ca.crt"] = pair(t)
	d.deps.Stored = stored
	d.prints(`Trust bundle            : none
Verification mode       : disabled
Minimum TLS version     : 1.2
Minimum DTLS version    : 1.2
Ciphers                 : default
`, "tls sip")
	d.fails("tls ldap verification needs certificates to trust: use tls ldap trust <bundle> first", "tls ldap verify enable")
	d.prints("", "tls ldap trust ca.crt")
	d.prints("", "tls ldap verify enable")
	d.prints("", "tls ldap min-tls-version 1.3")
	d.prints("", "tls ldap ciphers ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256")
	d.prints(`Trust bundle            : ca.crt
Verification mode       : enabled
Minimum TLS version     : 1.3
Ciphers                 : ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256
`, "tls ldap")
	d.fails("use tls ldap trust <bundle> first", "tls ldap trust none")
	d.prints("", "tls ldap verify ocsp")
	d.prints("", "tls webadmin min-tls-version 1.0")
	d.prints("", "tls min-dtls-version 1.0")
	d.prints("Minimum TLS version     : 1.0\nCiphers                 : default\n", "tls webadmin")
	doc := d.machine.config.Document
	if want := (config.TLSKind{Trust: "ca.crt", Verify: config.VerifyOCSP, MinVersion: "1.3", Ciphers: "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"}); doc.TLS.LDAP != want {
		t.Errorf("wanted %+v, got %+v", want, doc.TLS.LDAP)
	}
	if doc.TLS.MinDTLS != "1.0" || doc.TLS.WebAdmin.MinVersion != "1.0" || doc.TLS.SIP != (config.TLSKind{}) {
		t.Errorf("wanted DTLS and the Web Admin at 1.0 and SIP as it was, got %+v", doc.TLS)
	}
	d.fails("tls rtmps verification needs certificates to trust: use tls rtmps trust <bundle> first", "tls rtmps verify enable")
	d.prints("", "tls rtmps trust ca.crt")
	d.prints("", "tls rtmps verify enable")
	d.prints(`Trust bundle            : ca.crt
Verification mode       : enabled
Minimum TLS version     : 1.2
Ciphers                 : default
`, "tls rtmps")
	if want := (config.TLSKind{Trust: "ca.crt", Verify: config.VerifyOn}); doc.TLS.LDAP == want || d.machine.config.Document.TLS.RTMPS != want {
		t.Errorf("wanted streams set alone, got %+v", d.machine.config.Document.TLS)
	}
	d.fails(`there is no cipher "RC4-MD5"`, "tls sip ciphers RC4-MD5")
	d.fails("one of 1.0, 1.1, 1.2, 1.3", "tls sip min-tls-version 1.4")
	d.fails("webadmin", "tls webadmin trust ca.crt")
	for _, line := range []string{"tls ldap verify disable", "tls ldap trust none", "tls ldap min-tls-version 1.2", "tls ldap ciphers default", "tls webadmin min-tls-version 1.2", "tls min-dtls-version 1.2",
		"tls rtmps verify disable", "tls rtmps trust none"} {
		d.prints("", line)
	}
	if d.machine.config.Document.TLS != (config.TLS{}) {
		t.Errorf("wanted everything as it was delivered, got %+v", d.machine.config.Document.TLS)
	}
}

func TestWhoMaySetUpServices(t *testing.T) {
	kinds, commands := All(newDesk(t).deps)
	tree, err := grammar.NewTree(kinds, commands)
	if err != nil {
		t.Fatal(err)
	}
	for line, roles := range map[string][]grammar.Role{
		"webadmin":                         {grammar.Admin, grammar.Crypto, grammar.Audit},
		"webadmin status":                  {grammar.Admin, grammar.Crypto, grammar.Audit},
		"webadmin listen a 445":            {grammar.Admin},
		"webadmin certs a.key a.crt":       {grammar.Admin, grammar.Crypto},
		"callbridge":                       {grammar.Admin, grammar.Crypto, grammar.Audit},
		"callbridge listen a":              {grammar.Admin},
		"callbridge trust c2w a.crt":       {grammar.Admin, grammar.Crypto},
		"callbridge ucm verify disable":    {grammar.Admin, grammar.Crypto},
		"callbridge restart":               {grammar.Admin},
		"tls ldap":                         {grammar.Admin, grammar.Crypto, grammar.Audit},
		"tls ldap verify ocsp":             {grammar.Admin, grammar.Crypto},
		"tls webadmin min-tls-version 1.3": {grammar.Admin, grammar.Crypto},
	} {
		for _, role := range grammar.Roles {
			allowed := slices.Contains(roles, role)
			if _, err := tree.Parse(role, line); (err == nil) != allowed {
				t.Errorf("%s as %s: wanted allowed %v, got %v", line, role, allowed, err)
			}
		}
	}
}
