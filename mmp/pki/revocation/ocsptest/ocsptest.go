// Package ocsptest is a real OCSP responder for tests: `openssl ocsp`, on loopback only. Tests are skipped where it is not installed.
package ocsptest

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Reason is why certificates were revoked, as findings say it.
const Reason = "key compromise"

// Responder is what one knows.
type Responder struct {
	// CA has issued the certificates, and Key signs for it.
	CA  *x509.Certificate
	Key crypto.Signer
	// Good and Revoked are serial numbers; those were revoked a minute ago. It knows no others.
	Good, Revoked []*big.Int
}

// Start answers until the test ends. It returns the address.
func (r Responder) Start(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: image/install-packages test")
	}
	key, err := x509.MarshalPKCS8PrivateKey(r.Key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"ca.pem":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.CA.Raw}),
		"key.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"index.txt": []byte(r.index()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command("openssl", "ocsp", "-port", address[strings.LastIndexByte(address, ':')+1:], "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem",
		"-rkey", "key.pem", "-nmin", "5")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// It takes one connection after the other, so that one that only looks would be in the way.
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ACCEPT") {
			go func() {
				for lines.Scan() {
				}
			}()
			return "http://" + address
		}
	}
	t.Fatal("openssl ocsp ended before it listened")
	return ""
}

// index is the file of an authority (openssl-ca(1)).
func (r Responder) index() string {
	stamp := func(at time.Time) string { return at.UTC().Format("060102150405Z") }
	expires := stamp(time.Now().Add(24 * time.Hour))
	text := ""
	for _, n := range r.Good {
		text += fmt.Sprintf("V\t%s\t\t%04X\tunknown\t/CN=good\n", expires, n)
	}
	for _, n := range r.Revoked {
		text += fmt.Sprintf("R\t%s\t%s,keyCompromise\t%04X\tunknown\t/CN=revoked\n", expires, stamp(time.Now().Add(-time.Minute)), n)
	}
	return text
}
