package commands

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"strings"
	"testing"
	"time"

	"rotunda/mmp/grammar"
)

// shelf holds stored files in memory.
type shelf map[string][]byte

func (s shelf) OpenStored(name string) (io.ReadCloser, error) {
	b, ok := s[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(string(b))), nil
}

// pair makes a key and a certificate for it.
func pair(t *testing.T) (key, certificate []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTheTURNServerIsSetUpAsTheGuideSays(t *testing.T) {
	d := newDesk(t)
	stored := shelf{}
	stored["edge.key"], stored["cmsedge-fullchain.cer"] = pair(t)
	_, stored["other.crt"] = pair(t)
	d.deps.Stored = stored
	d.prints(`Enabled                 : false
Username                : none
Password                : none
Short term credentials  : disabled
Shared secret           : none
Realm                   : none
Public IP               : none
High Capacity Mode      : enabled
Relay address           : none
TLS port                : none
TLS cert                : none
TLS key                 : none
TLS bundle              : none
`, "turn")
	d.fails("FAILURE: no interface to listen on, use turn listen <interface>", "turn enable")
	d.prints("", "turn listen a b")
	d.fails("FAILURE: no credentials, use turn credentials <user> <password> <realm>", "turn enable")
	d.prints("", "turn credentials admin Cisco.123 cms.demo")
	d.prints("", "turn tls 447")
	d.fails("there is no file missing.crt: put it by SFTP first", "turn certs edge.key missing.crt")
	d.fails("edge.key and other.crt are not a pair", "turn certs edge.key other.crt")
	d.fails("edge.key holds no certificate", "turn certs edge.key cmsedge-fullchain.cer edge.key")
	d.prints("", "turn certs edge.key cmsedge-fullchain.cer")
	d.prints("SUCCESS: Key and certificate pair match\nSUCCESS: TURN server enabled\n", "turn enable")
	// The capture of the reference, to the column.
	d.prints(`Enabled                 : true
Username                : admin
Password                : Cisco.123
Short term credentials  : disabled
Shared secret           : none
Realm                   : cms.demo
Public IP               : none
High Capacity Mode      : enabled
Relay address           : 192.168.80.151
TLS port                : 447
TLS cert                : cmsedge-fullchain.cer
TLS key                 : edge.key
TLS bundle              : none
Listen interface      a
Listen interface      b
`, "turn")
	d.fails("the TURN server is enabled: use turn disable first", "turn listen a")
	delete(stored, "edge.key")
	d.prints("", "turn disable")
	d.fails("FAILURE: there is no file edge.key: put it by SFTP first", "turn enable")
	d.fails("the TURN server is not enabled: use turn enable", "turn restart")
}

func TestTheTURNServerTakesShortTermCredentialsAndAPublicAddress(t *testing.T) {
	d := newDesk(t)
	d.prints("", "turn listen a lo")
	d.prints("", "turn short_term_credentials_mode enable")
	d.fails("FAILURE: no shared secret, use turn short_term_credentials <shared secret> <realm>", "turn enable")
	d.prints("", "turn short_term_credentials mysharedsecret example.com")
	d.prints("", "turn public-ip 5.10.20.99")
	d.prints("", "turn highcapacity-mode disable")
	d.prints("SUCCESS: TURN server enabled\n", "turn enable")
	d.prints("SUCCESS: TURN server enabled\n", "turn restart")
	got, err := d.run("turn")
	for _, want := range []string{"Short term credentials  : enabled\n", "Shared secret           : mysharedsecret\n", "Public IP               : 5.10.20.99\n",
		"High Capacity Mode      : disabled\n", "Listen interface      lo\n"} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("turn: wanted a line %q, got %v\n%s", want, err, got)
		}
	}
	d.prints("", "turn delete public-ip")
	d.prints("", "turn tls none")
	if got := d.machine.config.Document.TURN; got.PublicIP.IsValid() || got.TLSPort != 0 || !got.Enabled {
		t.Errorf("wanted it enabled without public address and TCP, got %+v", got)
	}
	d.fails("not a usable unicast address", "turn public-ip 127.0.0.1")
	d.fails("TURN TLS port 22 belongs to SSH", "turn tls 22")
	d.fails("short_term", "turn short_term_credentials_mode on")
	d.fails("a, b, c or d; or lo", "turn listen e")
	d.prints("", "turn disable")
	d.fails("TURN listens on a twice", "turn listen a a")
	d.prints("", "turn listen none")
}

func TestSecretsOfTheTURNServerStayOutOfTheAudit(t *testing.T) {
	kinds, commands := All(newDesk(t).deps)
	tree, err := grammar.NewTree(kinds, commands)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"turn credentials admin Cisco.123 cms.demo":              "turn credentials admin ******** cms.demo",
		"turn short_term_credentials mysharedsecret example.com": "turn short_term_credentials ******** example.com",
	} {
		m, err := tree.Parse(grammar.Admin, line)
		if err != nil || m.Audit != want || !m.Secret {
			t.Errorf("%s: wanted the audit %q, got %q, secret %v, %v", line, want, m.Audit, m.Secret, err)
		}
	}
	if _, err := tree.Parse(grammar.Audit, "turn"); err == nil {
		t.Error("wanted the password hidden from the role audit, got it shown")
	}
}
