package commands

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/syslog"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
	"rotunda/mmp/pki"
)

// rack is a [Shelf] on stored files in memory, which come one second after the other.
type rack struct {
	shelf
	order []string
	// people put the files, in the order in which they did.
	people []string
}

func (r *rack) List(context.Context, files.Person) ([]files.Info, error) {
	var list []files.Info
	for name := range r.shelf {
		list = append(list, files.Info{Name: name, ModTime: time.Unix(int64(slices.Index(r.order, name)), 0)})
	}
	slices.SortFunc(list, func(a, b files.Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (r *rack) Put(p files.Person, name string, data []byte, replace bool) error {
	if _, ok := r.shelf[name]; ok && !replace {
		return &files.Error{Text: "there already is a file " + name, Kind: fs.ErrExist}
	}
	r.add(name, data)
	r.people = append(r.people, fmt.Sprintf("%s %s %s %s", p.User, p.Role, p.Source, name))
	return nil
}

func (r *rack) add(name string, data []byte) {
	r.shelf[name] = data
	r.order = append(slices.DeleteFunc(r.order, func(n string) bool { return n == name }), name)
}

// newCryptoDesk is a desk with storage for keys.
func newCryptoDesk(t *testing.T) (*desk, *rack) {
	d := newDesk(t)
	r := &rack{shelf: shelf{}}
	d.deps.Stored, d.deps.Shelf = r.shelf, r
	return d, r
}

var dots = regexp.MustCompile(`(?m)^\.+$`)

// says is prints without how many dots it took, and with times of certificates as T.
func (d *desk) says(want, line string, answers ...string) {
	d.t.Helper()
	got, err := d.run(line, answers...)
	if err != nil {
		got += err.Error() + "\n"
	}
	got = dots.ReplaceAllString(got, "....")
	got = regexp.MustCompile(`[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} GMT`).ReplaceAllString(got, "T")
	got = regexp.MustCompile(`([0-9A-F]{2}:){8,}[0-9A-F]{2}`).ReplaceAllString(got, "HEX")
	got = regexp.MustCompile(`SHA256:\S+`).ReplaceAllString(got, "FP")
	if got != want {
		d.t.Errorf("%s: wanted\n%s\ngot\n%s", line, want, got)
	}
}

func TestARequestIsMadeAsInTheCapture(t *testing.T) {
	d, r := newCryptoDesk(t)
	r.add("motd", []byte("hello"))
	d.says(`....
....
Created key file tac.key and CSR tac.csr
CSR file tac.csr ready for download via SFTP
`, `pki csr tac CN:.*.tptac9.com subjectAltName:streamer.tptac9.com,10.1.1.1,ops@tptac9.com "O:My Desk" OU:a OU:b L:London ST:Kent C:GB emailAddress:x@tptac9.com`)
	r.add("ROOTCA.cer", nil)
	d.prints("User supplied certificates and keys:\ntac.key\ntac.csr\nROOTCA.cer\n", "pki list")
	d.prints("User supplied certificates and keys:\ntac.key\ntac.csr\nROOTCA.cer\n", "pki")
	d.says(`File contains a PEM encoded certificate signing request
Certificate signing request:
    Subject                 : C=GB, ST=Kent, L=London, O=My Desk, OU=a, OU=b, CN=.*.tptac9.com, emailAddress=x@tptac9.com
    Subject alternative name: DNS:streamer.tptac9.com, IP:10.1.1.1, email:ops@tptac9.com
    Public key              : RSA, 2048 bits
    Signature algorithm     : SHA256-RSA
    Signature               : good
`, "pki inspect tac.csr")
	d.prints(`File contains a PEM encoded private key
Private key:
    Key                     : RSA, 2048 bits
    Usable by services      : yes
`, "pki inspect tac.key")
	d.prints("SUCCESS: Key and certificate signing request pair match\n", "pki match tac.key tac.csr")
	if want := []string{"admin admin 192.0.2.7:50022 tac.key", "admin admin 192.0.2.7:50022 tac.csr"}; !slices.Equal(r.people, want) {
		t.Errorf("wanted files put with the rights of who asked, key first, %q; got %q", want, r.people)
	}
}

func TestAKeyIsNeverReplaced(t *testing.T) {
	d, r := newCryptoDesk(t)
	d.says("....\n....\nCreated key file a.key and CSR a.csr\nCSR file a.csr ready for download via SFTP\n", "pki csr a CN:a.example.com key:ecdsa256")
	key, request := string(r.shelf["a.key"]), string(r.shelf["a.csr"])
	d.fails("aborted, nothing was changed", "pki csr a CN:b.example.com", "y")
	d.fails("aborted, nothing was changed", "pki csr a CN:b.example.com", "Y", "n")
	if string(r.shelf["a.key"]) != key || string(r.shelf["a.csr"]) != request {
		t.Fatal("wanted both files as they were")
	}
	d.says(`There already is a file a.csr
There already is a key a.key (ECDSA, P-256)
....
Created CSR a.csr with key file a.key
CSR file a.csr ready for download via SFTP
`, "pki csr a CN:b.example.com", "Y", "Y")
	if string(r.shelf["a.key"]) != key || string(r.shelf["a.csr"]) == request {
		t.Error("wanted the old key and a new request")
	}
	r.add("bad.key", []byte("no key"))
	d.fails("there already is a file bad.key, which cannot be used", "pki selfsigned bad CN:x.example.com")
}

func TestAnAuthorityOfOnesOwn(t *testing.T) {
	d, r := newCryptoDesk(t)
	d.says("....\n....\nCreated key file ca.key and certificate ca.crt\nCRT file ca.crt ready for download via SFTP\n",
		`pki selfsigned ca "CN:My authority" CA:true days:3650 key:ecdsa384`)
	d.says("....\n....\nCreated key file w.key and CSR w.csr\nCSR file w.csr ready for download via SFTP\n",
		"pki csr w CN:www.example.com key:ecdsa256")
	d.says("Created certificate w.crt, signed by ca.crt, valid until T\nCRT file w.crt ready for download via SFTP\n", "pki sign w ca 30")
	d.prints("SUCCESS: Key and certificate pair match\n", "pki match w.key w.crt")
	d.says("Chain:\n0  CN=www.example.com, expires T\n1  CN=My authority, expires T\nSUCCESS: w.crt verified by ca.crt\n",
		"pki verify w.crt ca.crt host www.example.com for server")
	d.says("Chain:\n0  CN=www.example.com, expires T\n1  CN=My authority, expires T\nSUCCESS: w.crt verified by ca.crt and ca.crt\n",
		"pki verify w.crt ca.crt ca.crt")
	d.says("Chain:\n0  CN=www.example.com, expires T\n1  CN=My authority, expires T\n"+
		"FAILURE: CN=www.example.com is not for mail.example.com; its names: DNS:www.example.com\n",
		"pki verify w.crt ca.crt host mail.example.com")
	d.says("Chain:\n0  CN=www.example.com, expires T\n"+
		"FAILURE: a certificate is missing: CN=My authority, which issued CN=www.example.com\n", "pki verify w.crt w.crt")
	d.fails("FAILURE: ca.key and w.crt are not a pair; the key of w.crt is w.key", "pki match ca.key w.crt")
	d.fails("ca.key and w.crt are not a pair; the key of w.crt is w.key", "webadmin certs ca.key w.crt")
	d.fails("CN=www.example.com is no authority", "pki sign w w", "Y")
	d.fails("there is no file x.csr", "pki sign x ca")

	// What an authority sent, in any order and form, becomes a full chain.
	found, err := pki.Read(r.shelf["w.crt"])
	if err != nil {
		t.Fatal(err)
	}
	r.add("w.der", found.Certificates[0].Raw)
	d.says("....\n....\nCreated key file odd.key and certificate odd.crt\nCRT file odd.crt ready for download via SFTP\n",
		"pki selfsigned odd CN:odd.example.com key:ecdsa256")
	d.says("Warning: CN=odd.example.com does not belong to the chain and was left out\nCreated chain full.crt\n"+
		"0  CN=www.example.com, expires T\n1  CN=My authority, expires T\n", "pki chain full w.der ca.crt odd.crt")
	if want := string(r.shelf["w.crt"]) + string(r.shelf["ca.crt"]); string(r.shelf["full.crt"]) != want {
		t.Errorf("wanted the certificate and its authority, got\n%s", r.shelf["full.crt"])
	}
	r.add("reversed.crt", slices.Concat(r.shelf["ca.crt"], r.shelf["w.crt"]))
	d.prints("Warning: it is certificate 2 of reversed.crt, and services take the first; pki chain puts it there\n"+
		"SUCCESS: Key and certificate pair match\n", "pki match w.key reversed.crt")
	d.says(`File contains a DER encoded certificate
Certificate:
    Subject                 : CN=www.example.com
    Issuer                  : CN=My authority
    Serial number           : HEX
    Not before              : T
    Not after               : T
    Subject alternative name: DNS:www.example.com
    Public key              : ECDSA, P-256
    Signature algorithm     : ECDSA-SHA384
    Authority               : no
    Key usage               : digital signature
    Extended key usage      : server authentication, client authentication
    SHA-256 fingerprint     : HEX
`, "pki inspect w.der")
}

func TestAKeyIsUnlockedInPlace(t *testing.T) {
	d, r := newCryptoDesk(t)
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r.add("w.key", locked(t, k, "opensesame"))
	d.fails("w.key has a pass phrase: use pki unlock w.key", "pki match w.key w.key")
	d.fails("w.key: the pass phrase is wrong, or the file is damaged", "pki unlock w.key", "closed")
	d.says("....\nKey file w.key has no pass phrase any more\n", "pki unlock w.key", "opensesame")
	d.fails("w.key has no pass phrase: services can use it as it is", "pki unlock w.key")
	if found, err := pki.Read(r.shelf["w.key"]); err != nil || !pki.Same(found.Keys[0].Public(), k.Public()) {
		t.Errorf("wanted the same key, got %v", err)
	}
}

// locked is a key with a pass phrase.
func locked(t *testing.T, k *ecdsa.PrivateKey, phrase string) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 old programs write it
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(phrase), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func TestPKCS12IsTakenApart(t *testing.T) {
	d, r := newCryptoDesk(t)
	root, rootKey := authority(t, "Root", nil, nil)
	between, betweenKey := authority(t, "Between", root, rootKey)
	key, err := pki.MakeKey("ecdsa256")
	if err != nil {
		t.Fatal(err)
	}
	leaf := certify(t, key, between, betweenKey)
	data, err := pkcs12.Modern.Encode(key, leaf, []*x509.Certificate{root, between}, "opensesame")
	if err != nil {
		t.Fatal(err)
	}
	r.add("sent.pfx", data)
	d.fails("sent.pfx: the pass phrase is wrong", "pki pkcs12 sent.pfx web", "closed")
	d.fails("sent.pfx is PKCS#12: use pki pkcs12 sent.pfx <basename>", "pki match sent.pfx sent.pfx")
	d.says(`....
Created key file web.key and certificate web.crt
Created bundle web-bundle.crt, certificates: 2
sent.pfx still holds the key: remove it by SFTP
`, "pki pkcs12 sent.pfx web", "opensesame")
	if want := string(pki.EncodeCertificates(between, root)); string(r.shelf["web-bundle.crt"]) != want {
		t.Errorf("wanted the authorities from below, got\n%s", r.shelf["web-bundle.crt"])
	}
	d.says("Chain:\n0  CN=leaf.example.com, expires T\n1  CN=Between, expires T\n2  CN=Root, expires T\nSUCCESS: web.crt verified by web-bundle.crt\n",
		"pki verify web.crt web-bundle.crt")
	d.prints("SUCCESS: Key and certificate pair match\n", "pki match web.key web.crt")
	d.fails("there already is a file web.key: use another name", "pki pkcs12 sent.pfx web", "opensesame")

	r.add("ann.pub", data)
	d.says("....\nCreated public key ann.pub: ecdsa-sha2-nistp256 FP\n", "pki pkcs12-to-ssh ann", "opensesame")
	if text := string(r.shelf["ann.pub"]); !strings.HasPrefix(text, "ecdsa-sha2-nistp256 ") || !strings.HasSuffix(text, " ann\n") {
		t.Errorf("wanted a public key of SSH, got %q", text)
	}
	d.fails("ann.pub already is a public key of SSH", "pki pkcs12-to-ssh ann")
}

// authority makes a certificate that signs others, a root without an issuer.
func authority(t *testing.T, name string, issuer *x509.Certificate, issuerKey crypto.Signer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := pki.MakeKey("ecdsa256")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name},
		IsCA: true, BasicConstraintsValid: true}
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	return sign(t, template, issuer, key, issuerKey), key
}

func certify(t *testing.T, key crypto.Signer, issuer *x509.Certificate, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	return sign(t, &x509.Certificate{SerialNumber: big.NewInt(3), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: "leaf.example.com"}},
		issuer, key, issuerKey)
}

func sign(t *testing.T, template, issuer *x509.Certificate, key, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServicesSayWhatToDoWithFilesTheyCannotUse(t *testing.T) {
	d, r := newCryptoDesk(t)
	root, rootKey := authority(t, "Root", nil, nil)
	between, betweenKey := authority(t, "Between", root, rootKey)
	key, err := pki.MakeKey("ecdsa256")
	if err != nil {
		t.Fatal(err)
	}
	leaf := certify(t, key, between, betweenKey)
	secret, err := pki.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(secret)
	r.add("w.key", secret)
	r.add("binary.key", block.Bytes)
	r.add("w.crt", pki.EncodeCertificates(leaf))
	r.add("w.der", leaf.Raw)
	r.add("ca.der", root.Raw)
	r.add("reversed.crt", pki.EncodeCertificates(root, between, leaf))
	r.add("mixed.crt", pki.EncodeCertificates(root, between))
	r.add("full.crt", pki.EncodeCertificates(leaf, between, root))
	d.fails("binary.key is DER, and services read PEM: use pki unlock binary.key", "webadmin certs binary.key w.crt")
	if said, err := d.run("pki inspect binary.key"); err != nil || !strings.Contains(said, "no: it is DER, use pki unlock binary.key\n") {
		t.Errorf("pki inspect of the same key: got %q, %v", said, err)
	}
	d.fails("w.der is DER, and services read PEM: use pki chain <basename> w.der", "webadmin certs w.key w.der")
	d.fails("ca.der is DER, and services read PEM: use pki chain <basename> ca.der", "tls sip trust ca.der")
	d.fails("the certificate of w.key is number 3 of reversed.crt and has to be the first: use pki chain <basename> reversed.crt", "webadmin certs w.key reversed.crt")
	d.prints("Warning: the chain is not in order, which some equipment does not take: pki chain sorts it\n", "webadmin certs w.key w.crt mixed.crt")
	d.prints("", "webadmin certs w.key full.crt")
	d.says("Key file binary.key is in PEM now\n", "pki unlock binary.key")
	d.prints("", "webadmin certs binary.key full.crt")

	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if secret, err = pki.EncodeKey(weak); err != nil {
		t.Fatal(err)
	}
	r.add("weak.key", secret)
	r.add("weak.crt", pki.EncodeCertificates(certify(t, weak, between, betweenKey)))
	d.fails("weak.key holds an RSA key of 1024 bits: services take RSA of 2048 to 4096 bits", "webadmin certs weak.key weak.crt")
}

func TestWrongWordsOfPKICommandsAreExplained(t *testing.T) {
	d, _ := newCryptoDesk(t)
	for line, part := range map[string]string{
		"pki csr w CN:x subjectAltName:-a":              "-a is no host name",
		"pki csr w C:uk":                                "two capital letters",
		"pki csr w CN:a CN:b":                           "CN is given twice",
		"pki csr w":                                     "give CN:<host name>",
		"pki csr w.key CN:x":                            "the extension is added to it",
		"pki csr ../w CN:x":                             "the beginning of file names",
		"pki csr w CN:x CA:true":                        "CA and days are for pki selfsigned",
		"pki csr w CN:x key:rsa1024":                    "rsa2048, rsa3072, rsa4096, ecdsa256, ecdsa384",
		"pki selfsigned w CN:x days:0":                  "from 1 to 3653",
		"pki inspect motd":                              "its name ends in .key",
		"pki inspect gone.crt":                          "there is no file gone.crt: put it by SFTP first",
		"pki csr w CN:" + strings.Repeat("a", 65):       "at most 64 fit",
		"pki pkcs12-to-ssh nobody":                      "there is no file nobody.pub",
		"pki verify a.crt b.crt host x for nothing":     "one of client, server",
		"pki csr w emailAddress:x":                      "x is no e-mail address",
		"pki csr w subjectAltName:a.example.com,,b.com": "a name is empty",
	} {
		d.fails(part, line)
	}
}

// The crypto role has keys and nothing else; audit and others not even their names.
func TestWhoMayUseKeys(t *testing.T) {
	kinds, list := All(Deps{})
	tree, err := grammar.NewTree(kinds, list)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string][]grammar.Role{
		"pki": cryptos, "pki list": cryptos, "pki inspect a.key": cryptos, "pki match a.key a.crt": cryptos, "pki verify a.crt b.crt": cryptos, "pki csr a": cryptos,
		"pki selfsigned a": cryptos, "pki sign a ca": cryptos, "pki unlock a.key": cryptos, "pki pkcs12 a.pfx a": cryptos, "pki chain a a.crt b.der": cryptos,
		"pki pkcs12-to-ssh ann": admins,
	} {
		for _, role := range grammar.Roles {
			_, err := tree.Parse(role, line)
			if allowed := slices.Contains(want, role); allowed != (err == nil) || !allowed && !errors.Is(err, grammar.ErrDenied) {
				t.Errorf("%s as %s: wanted allowed=%v, got %v", line, role, allowed, err)
			}
		}
	}
}

func TestTabKnowsTheFilesOfKeys(t *testing.T) {
	d, r := newCryptoDesk(t)
	r.add("webadmin.key", nil)
	r.add("motd", nil)
	for _, k := range d.deps.pkiKinds() {
		if k.Name == "pkifile" {
			if got := k.Complete(&grammar.Caller{Role: grammar.Crypto}); !slices.Equal(got, []string{"webadmin.key"}) {
				t.Errorf("wanted the key alone, got %q", got)
			}
		}
	}
}

// With the real store: what is made is there for SFTP and for backups, readable by its owner alone.
func TestWhatIsMadeIsAStoredFile(t *testing.T) {
	d := newDesk(t)
	dir := t.TempDir()
	store, err := files.Open(files.Config{Stored: filepath.Join(dir, "files"), Transfer: filepath.Join(dir, "transfer"), Logs: filepath.Join(dir, "log"),
		Log: func(_ syslog.Priority, _, text string) {
			if strings.Contains(text, "BEGIN") {
				t.Errorf("wanted no key in the log, got %q", text)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	d.deps.Stored, d.deps.Shelf = store, store
	d.says("....\n....\nCreated key file w.key and certificate w.crt\nCRT file w.crt ready for download via SFTP\n", "pki selfsigned w CN:w.example.com key:ecdsa256")
	for _, name := range []string{"w.key", "w.crt"} {
		info, err := os.Stat(filepath.Join(dir, "files", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: wanted it readable by its owner alone, got %v, %v", name, info, err)
		}
	}
	d.prints("SUCCESS: Key and certificate pair match\n", "pki match w.key w.crt")
	d.fails("aborted, nothing was changed", "pki selfsigned w CN:other.example.com", "n")
	for role, want := range map[grammar.Role]int{grammar.Admin: 2, grammar.Crypto: 2, grammar.Audit: 0, grammar.API: 0} {
		list, err := store.List(t.Context(), files.Person{User: "x", Role: role})
		list = slices.DeleteFunc(list, func(f files.Info) bool { return !hasExtension(f.Name, extensions) })
		if err != nil || len(list) != want {
			t.Errorf("%s: wanted %d files, got %v, %v", role, want, list, err)
		}
	}
	// The disk is full or broken: nothing half made is left.
	if err := os.RemoveAll(filepath.Join(dir, "transfer")); err != nil {
		t.Fatal(err)
	}
	if out, err := d.run("pki csr x CN:x.example.com key:ecdsa256"); err == nil || strings.Contains(out, "Created") {
		t.Errorf("wanted a failure told, got %q, %v", out, err)
	}
	if list, err := os.ReadDir(filepath.Join(dir, "files")); err != nil || len(list) != 2 {
		t.Errorf("wanted the two files alone, got %v, %v", list, err)
	}
}

// Ctrl-C does not wait for a key.
func TestMakingAKeyCanBeInterrupted(t *testing.T) {
	d, r := newCryptoDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.ctx = ctx
	if _, err := d.run("pki csr w CN:w.example.com key:rsa4096"); !errors.Is(err, context.Canceled) || len(r.shelf) != 0 {
		t.Errorf("wanted it interrupted with nothing stored, got %v and %d files", err, len(r.shelf))
	}
}

func TestAWrongAttributeIsToldTheNamesOnce(t *testing.T) {
	d := newDesk(t)
	_, err := d.run("pki csr web X:1")
	if names := strings.Join(pki.AttributeNames, ", "); err == nil || strings.Count(err.Error(), names) != 1 {
		t.Errorf("wanted the names %q once, got %v", names, err)
	}
}
