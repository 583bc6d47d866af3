package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/identity/slapdtest"
)

// TestMain lets this test's own file be each of the programs in it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && verbs[os.Args[1]] != nil {
		if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// configured is PID 1 as far as logins ask it.
type configured struct {
	control.Machine
	now atomic.Pointer[control.Config]
}

func (c *configured) Config(context.Context) (control.Config, error) {
	return *c.now.Load(), nil
}

// TestPeopleOfADirectoryAndHoldersOfCardsLogIn runs the shell and what asks for it as two processes' worth of program, with slapd and
// OpenSSH.
func TestPeopleOfADirectoryAndHoldersOfCardsLogIn(t *testing.T) {
	directory := slapdtest.Start(t, slapdtest.Options{}, func(w io.Writer) {
		fmt.Fprintf(w, "dn: cn=Jane,%s\nobjectClass: inetOrgPerson\ncn: Jane\nsn: Jane\nuid: jane\nuserPassword: her word\n\n", slapdtest.People)
	})
	dir, err := os.MkdirTemp("", "mmp") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })

	// A card, by an authority of its own.
	caKey, cardKey := newKey(t), newKey(t)
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cards"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "jane"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	issuer := certificate(t, ca, ca, &caKey.PublicKey, caKey)

	settings, err := json.Marshal(config.IdentityService{
		LDAP: config.LDAP{Enabled: true, Host: "127.0.0.1", Port: directory.TLSPort, Base: slapdtest.People, Attribute: "uid"},
		TLS:  config.TLSKindService{Verify: config.VerifyOn, Trust: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: directory.CA.Raw}))},
		CAC:  config.CAC{Enabled: true, Issuer: "cards.crt"}, Issuer: issuer,
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "settings.json"), settings)
	write(t, filepath.Join(dir, "files", "jane.crt"), []byte(certificate(t, leaf, ca, &cardKey.PublicKey, caKey)))
	block, err := ssh.MarshalPrivateKey(cardKey, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "card"), pem.EncodeToMemory(block))

	notify := filepath.Join(dir, "n")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	asking := exec.CommandContext(t.Context(), os.Args[0], "identity", "-settings", filepath.Join(dir, "settings.json"), "-socket", filepath.Join(dir, "i"), "-for", fmt.Sprint(os.Getuid()))
	asking.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	if err := asking.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = asking.Process.Kill()
		_ = asking.Wait()
	})
	if got := state(t, ready); got != "READY=1" {
		t.Fatalf("first word of identity: %q", got)
	}

	machine, generation := &configured{}, 0
	set := func(ldap, cards, strict bool) {
		doc := config.Factory()
		doc.LDAP.Enabled, doc.CAC.Enabled, doc.CAC.Strict = ldap, cards, strict
		generation++
		machine.now.Store(&control.Config{Generation: generation, Document: doc})
	}
	set(true, true, false)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 2)
	go func() {
		served <- (&control.Server{Machine: machine, Writers: map[uint32]bool{uint32(os.Getuid()): true}, Log: func(string) {}}).Serve(ctx, filepath.Join(dir, "c"))
	}()
	o, err := parse([]string{"-data", dir, "-listen", "127.0.0.1:0", "-control", filepath.Join(dir, "c"), "-identity", filepath.Join(dir, "i")})
	if err != nil {
		t.Fatal(err)
	}
	addresses := make(chan net.Addr, 1)
	var log lockedBuffer
	go func() { served <- run(ctx, o, &log, func(a net.Addr) { addresses <- a }) }()
	defer func() {
		cancel()
		<-served
		<-served
	}()
	addr := (<-addresses).String()
	dial := func(user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
		return ssh.Dial("tcp", addr, &ssh.ClientConfig{User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Auth: auth})
	}
	admin, err := dial("admin", ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return []string{"admin", "Correct-Horse7", "Correct-Horse7"}[map[bool]int{true: 0, false: 1}[len(questions) == 1]:][:len(questions)], nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	session, err := admin.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := session.CombinedOutput("user add jane crypto ldap"); err != nil {
		t.Fatalf("user add: %v %s", err, out)
	}

	byPassword := func(password string) error {
		c, err := dial("jane", ssh.Password(password))
		if err == nil {
			defer c.Close()
			f, err := sftp.NewClient(c)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.ReadDir("/")
			return err
		}
		return err
	}
	if err := byPassword("her word"); err != nil {
		t.Errorf("password and SFTP: %v", err)
	}
	if byPassword("a guess") == nil || byPassword("") == nil {
		t.Error("a wrong or an empty password was taken")
	}
	if c, err := dial("jane", ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
		return []string{"her word"}[:len(q)], nil
	})); err != nil {
		t.Errorf("keyboard-interactive: %v", err)
	} else {
		c.Close()
	}

	openSSH := func() (string, error) {
		host, port, _ := net.SplitHostPort(addr)
		cmd := exec.Command("ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
			"-o", "PreferredAuthentications=publickey", "-o", "BatchMode=yes", "-i", filepath.Join(dir, "card"), "-p", port, "jane@"+host, "cac")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("the OpenSSH client is not installed")
	}
	set(false, true, true)
	if out, err := openSSH(); err != nil || !strings.Contains(out, "Strict                  : true") {
		t.Errorf("by card, strict: %v\n%s", err, out)
	}
	if _, err := dial("admin", ssh.Password("Correct-Horse7")); err == nil {
		t.Error("a password was taken while cac is strict")
	}
	set(true, false, false)
	if out, err := openSSH(); err == nil {
		t.Errorf("by card without cac: %s", out)
	}
	for _, want := range []string{"User jane logged in from 127.0.0.1", "role crypto, by LDAP", "by certificate 2 of CN=jane", "cac is strict"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "her word") || strings.Contains(log.String(), "a guess") {
		t.Error("the log has a password")
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(t *testing.T, c, by *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
