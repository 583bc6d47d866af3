package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

// openssl runs the program in a folder, or skips the test where there is none.
func openssl(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl to compare with")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, &complaint)
	}
	return out
}

func mustKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	key, err := MakeKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFormOfAKeyIsRead(t *testing.T) {
	k := mustKey(t, "rsa2048")
	e := mustKey(t, "ecdsa384")
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	sec1, err := x509.MarshalECPrivateKey(e.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(k.(*rsa.PrivateKey))
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, c := range map[string]struct {
		data []byte
		want crypto.Signer
		form Form
	}{
		"PKCS#1":                {block("RSA PRIVATE KEY", pkcs1), k, PEM},
		"PKCS#1 DER":            {pkcs1, k, DER},
		"PKCS#8":                {block("PRIVATE KEY", pkcs8(k)), k, PEM},
		"PKCS#8 DER":            {pkcs8(e), e, DER},
		"SEC1":                  {block("EC PRIVATE KEY", sec1), e, PEM},
		"SEC1 with parameters":  {slices.Concat(block("EC PARAMETERS", []byte{6, 5, 0x2b, 0x81, 4, 0, 0x22}), block("EC PRIVATE KEY", sec1)), e, PEM},
		"SEC1 DER":              {sec1, e, DER},
		"Ed25519":               {block("PRIVATE KEY", pkcs8(ed)), ed, PEM},
		"a mark of byte order":  {slices.Concat([]byte("\xef\xbb\xbf"), block("PRIVATE KEY", pkcs8(k))), k, PEM},
		"words around it":       {slices.Concat([]byte("Bag Attributes\r\n  x: y\r\n"), block("PRIVATE KEY", pkcs8(k)), []byte("\nthe end")), k, PEM},
		"carriage returns":      {bytes.ReplaceAll(block("PRIVATE KEY", pkcs8(k)), []byte("\n"), []byte("\r\n")), k, PEM},
		"no new line at an end": {bytes.TrimRight(block("PRIVATE KEY", pkcs8(k)), "\n"), k, PEM},
	} {
		found, err := Read(c.data)
		if err != nil || found.Form != c.form || len(found.Keys) != 1 || !Same(found.Keys[0].Public(), c.want.Public()) {
			t.Errorf("%s: wanted the key in %s, got %+v, %v", name, c.form, found, err)
		}
	}
}

func TestWhatServicesCannotUseIsSaid(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, public := range map[string]crypto.PublicKey{
		"an RSA key of 1024 bits": weak.Public(), "an ECDSA key on P-521": p521.Public(), "an Ed25519 key, which browsers": edPublic, "not known": "",
	} {
		if err := Usable(public); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "2048 to 4096 bits") {
			t.Errorf("wanted %q and what would be right, got %v", want, err)
		}
	}
	for _, kind := range []string{"rsa2048", "ecdsa256", "ecdsa384"} {
		if err := Usable(mustKey(t, kind).Public()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestDamageIsNamedByItsPlace(t *testing.T) {
	good := EncodeCertificates(newChain(t).leaf)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")})
	for want, data := range map[string][]byte{
		"object 2, certificate: ":                slices.Concat(good, broken),
		"object 2 is damaged or cut off":         slices.Concat(good, good[:len(good)/2]),
		"empty":                                  nil,
		"neither certificate, key nor request":   []byte("hello"),
		"larger than 1048576 bytes":              make([]byte, MaxFile+1),
		"PKCS#7 is not read":                     pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: []byte{1}}),
		"object 1, rsa private key: a key of 20": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: make([]byte, 20000)}),
		"more than 400 objects":                  bytes.Repeat(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte{1}}), MaxObjects+1),
	} {
		if _, err := Read(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
	found, err := Read(slices.Concat(good, pem.EncodeToMemory(&pem.Block{Type: "ODD \x1b[2J", Bytes: []byte{1}})))
	if err != nil || len(found.Certificates) != 1 || len(found.Ignored) != 1 || strings.Contains(found.Ignored[0], "\x1b") {
		t.Errorf("wanted one certificate and one object that is not known, got %+v, %v", found, err)
	}
}

// The signature of such a certificate would take minutes to check.
func TestCertificatesWithHugeKeysAreRefused(t *testing.T) {
	c := newChain(t)
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Lsh(big.NewInt(1), 100_000), 0, 1), E: 65537}
	der, err := x509.CreateCertificate(rand.Reader, named("huge", authority), c.root, huge, c.rootKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})} {
		if _, err := Read(data); err == nil || !strings.Contains(err.Error(), "an RSA key of 100001 bits; at most 16384 are looked at") {
			t.Errorf("wanted it refused, got %v", err)
		}
	}
}

func TestKeysThatOpenSSLLockedAreOpened(t *testing.T) {
	dir := t.TempDir()
	k := mustKey(t, "rsa2048")
	plain, err := EncodeKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "plain.key", plain)
	for name, args := range map[string][]string{
		"PKCS#8, today's default": {"pkcs8", "-topk8", "-in", "plain.key", "-passout", "pass:opensesame"},
		"PKCS#8, AES-128, SHA-1":  {"pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", "-in", "plain.key", "-passout", "pass:opensesame"},
		"PKCS#8, AES-192, SHA512": {"pkcs8", "-topk8", "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512", "-in", "plain.key", "-passout", "pass:opensesame"},
		"PKCS#8, 3DES":            {"pkcs8", "-topk8", "-v2", "des3", "-in", "plain.key", "-passout", "pass:opensesame"},
		"PKCS#8 in DER":           {"pkcs8", "-topk8", "-in", "plain.key", "-outform", "DER", "-passout", "pass:opensesame"},
		"PEM, AES-256":            {"rsa", "-traditional", "-aes256", "-in", "plain.key", "-passout", "pass:opensesame"},
		"PEM, 3DES":               {"rsa", "-traditional", "-des3", "-in", "plain.key", "-passout", "pass:opensesame"},
	} {
		found, err := Read(openssl(t, dir, args...))
		if err != nil || len(found.Locked) != 1 || len(found.Keys) != 0 {
			t.Fatalf("%s: wanted a locked key, got %+v, %v", name, found, err)
		}
		if got, err := found.Locked[0].Unlock("opensesame"); err != nil || !Same(got.Public(), k.Public()) {
			t.Errorf("%s: wanted the key, got %v", name, err)
		}
		if _, err := found.Locked[0].Unlock("closed"); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: wanted %q, got %v", name, ErrPassphrase, err)
		}
	}
	found, err := Read(openssl(t, dir, "pkcs8", "-topk8", "-scrypt", "-in", "plain.key", "-passout", "pass:opensesame"))
	if err != nil || len(found.Locked) != 1 {
		t.Fatalf("wanted a locked key, got %+v, %v", found, err)
	}
	if _, err := found.Locked[0].Unlock("opensesame"); err == nil || !strings.Contains(err.Error(), "hashed by a method that is not known") {
		t.Errorf("scrypt: wanted the reason, got %v", err)
	}
	// Ten years of hashing are not begun.
	found, err = Read(openssl(t, dir, "pkcs8", "-topk8", "-iter", "2048", "-outform", "DER", "-in", "plain.key", "-passout", "pass:opensesame"))
	if err != nil {
		t.Fatal(err)
	}
	hostile := bytes.Replace(found.Locked[0].der, []byte{2, 2, 8, 0}, []byte{2, 2, 0xff, 0}, 1)
	if _, err := (Locked{der: hostile}).Unlock("opensesame"); err == nil || !strings.Contains(err.Error(), "hashed -256 times") {
		t.Errorf("wanted the number of rounds refused, got %v", err)
	}
}

func TestPKCS12OfSeveralProgramsIsOpened(t *testing.T) {
	c := newChain(t)
	for name, enc := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy DES": pkcs12.LegacyDES, "legacy RC2": pkcs12.LegacyRC2} {
		data, err := enc.Encode(c.key, c.leaf, []*x509.Certificate{c.root, c.between}, "opensesame")
		if err != nil {
			t.Fatal(err)
		}
		checkArchive(t, name, data, c)
	}
	dir := t.TempDir()
	key, err := EncodeKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "w.key", key)
	write(t, dir, "w.crt", EncodeCertificates(c.leaf))
	write(t, dir, "ca.crt", EncodeCertificates(c.between, c.root))
	checkArchive(t, "openssl", openssl(t, dir, "pkcs12", "-export", "-inkey", "w.key", "-in", "w.crt", "-certfile", "ca.crt", "-passout", "pass:opensesame"), c)
}

func checkArchive(t *testing.T, name string, data []byte, c testChain) {
	t.Helper()
	if found, err := Read(data); err != nil || found.Form != PKCS12 {
		t.Errorf("%s: wanted PKCS#12 recognised, got %+v, %v", name, found, err)
	}
	a, err := OpenPKCS12(data, "opensesame")
	if err != nil || !Same(a.Key.Public(), c.key.Public()) || !a.Certificate.Equal(c.leaf) || len(a.Chain) != 2 {
		t.Errorf("%s: wanted key, certificate and two more, got %+v, %v", name, a, err)
	}
	if _, err := OpenPKCS12(data, "closed"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("%s: wanted %q, got %v", name, ErrPassphrase, err)
	}
}

func TestPKCS12ThatAsksForYearsOfHashingIsRefused(t *testing.T) {
	// RFC 7292 section 4, as far as the MAC needs it.
	type algorithm struct {
		ID     asn1.ObjectIdentifier
		Detail asn1.RawValue `asn1:"optional"`
	}
	type mac struct {
		Digest struct {
			Algorithm algorithm
			Digest    []byte
		}
		Salt   []byte
		Rounds int64
	}
	type content struct {
		Type asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}
	type pfx struct {
		Version int
		Content content
		MAC     mac
	}
	type derivation struct {
		Salt           []byte
		Rounds, Length int64
	}
	build := func(rounds int64, inner any) []byte {
		t.Helper()
		hidden, err := asn1.Marshal(inner)
		if err != nil {
			t.Fatal(err)
		}
		p := pfx{Version: 3, Content: content{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, Data: hidden}}
		p.MAC.Digest.Algorithm.ID = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
		p.MAC.Digest.Digest, p.MAC.Salt, p.MAC.Rounds = make([]byte, 20), []byte("salt"), rounds
		data, err := asn1.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for want, data := range map[string][]byte{
		"hashed too often":    build(1<<40, 1),
		"hashed too often; ":  build(1, derivation{[]byte("salt"), maxIterations + 1, 32}),
		"a key that is too l": build(1, derivation{[]byte("salt"), 1, 1 << 30}),
	} {
		if !looksPKCS12(data) {
			t.Fatalf("%s: wanted PKCS#12", want)
		}
		if _, err := OpenPKCS12(data, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
	if _, err := OpenPKCS12(build(2048, 1), "x"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("2048 rounds: wanted %q, got %v", ErrPassphrase, err)
	}
}
