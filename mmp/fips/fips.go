// Package fips runs the self-tests of Go's cryptographic module (FIPS 140-3, guide chapter 15.3).
//
// The module runs them by itself in a process that starts in FIPS mode: the integrity of its code at the start, the known answers of an
// algorithm at the start or before its first use. A test that fails ends the process. So they are run by starting this program's own
// file anew with that mode and a verb that uses every algorithm once; what the module reports on standard error is the result. Nothing
// is kept, and the running process is not touched.
package fips

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Verb is the word by which this program's file becomes the test.
const Verb = "fips-selftest"

// patience is for the slowest machine: an RSA key takes seconds there.
const patience = 3 * time.Minute

// passed begin the lines of the module.
var passed = []string{"FIPS 140-3 self-test passed: ", "FIPS 140-3 PCT passed: "}

// verified is what it says of its own code.
const verified = "fips140: verified code+data"

// finished is the last word of [Main].
const finished = "all algorithms used"

// Module names the module in this program.
func Module() string {
	version := fips140.Version()
	if version == "latest" {
		return "Go Cryptographic Module of this release, not a certified version"
	}
	return "Go Cryptographic Module " + version
}

// SelfTest returns the names of the tests that passed, and an error if one did not or if one that has to be there is missing. failing
// makes the module pretend that one fails; it is for tests.
func SelfTest(ctx context.Context, failing string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	debug := "GODEBUG=fips140=debug"
	if failing != "" {
		debug += ",failfipscast=" + failing
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", Verb)
	cmd.Env = []string{debug}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	list, wrong := read(out.String())
	switch {
	case wrong != "":
		return list, errors.New(wrong)
	case err != nil:
		return list, fmt.Errorf("the self-test ended early: %w", err)
	case !strings.Contains(out.String(), finished):
		return list, errors.New("the self-test ended early")
	}
	for _, need := range needed {
		if !slices.Contains(list, need) {
			return list, fmt.Errorf("the module has not run its test of %s", need)
		}
	}
	return list, nil
}

// integrity is what [SelfTest] calls the test of the code.
const integrity = "integrity of the module"

// needed have to be in what passed.
var needed = []string{integrity, "SHA2-256", "SHA2-512", "cSHAKE128", "HMAC-SHA2-256", "AES-CBC", "CounterKDF", "CTR_DRBG", "HKDF-SHA2-256", "PBKDF2",
	"ECDSA P-256 SHA2-512 sign and verify", "KAS-ECC-SSC P-256", "Ed25519 sign and verify", "RSASSA-PKCS-v1.5 2048-bit sign and verify", "ML-KEM-768",
	"TLSv1.2-SHA2-256", "TLSv1.3-SHA2-256"}

// read takes what the process has said apart. Each name is there once, in the order of the tests.
func read(out string) (list []string, wrong string) {
	for line := range strings.SplitSeq(out, "\n") {
		name := ""
		if line == verified {
			name = integrity
		}
		for _, prefix := range passed {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				name = rest
			}
		}
		switch {
		case name != "":
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		case wrong == "" && (strings.Contains(line, "self-test failed") || strings.Contains(line, "verification mismatch") || strings.Contains(line, "panic:")):
			wrong = strings.TrimPrefix(strings.TrimPrefix(line, "fatal error: "), "panic: ")
		}
	}
	return list, wrong
}

// Main is the verb: it uses each algorithm once, before which the module tests it.
func Main([]string) error {
	if !fips140.Enabled() {
		return errors.New("not in FIPS mode: GODEBUG=fips140=debug is missing")
	}
	for _, use := range []func() error{digests, ciphers, derivations, signatures, agreements, handshakes} {
		if err := use(); err != nil {
			return err
		}
	}
	fmt.Println(finished)
	return nil
}

func digests() error {
	message := []byte("message")
	sha256.Sum256(message)
	sha512.Sum512(message)
	sha3.Sum256(message)
	_, err := hmac.New(sha256.New, make([]byte, 32)).Write(message)
	return err
}

func ciphers() error {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	if _, err := aead.Open(nil, nil, aead.Seal(nil, nil, []byte("message"), nil), nil); err != nil {
		return err
	}
	cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(make([]byte, aes.BlockSize), make([]byte, aes.BlockSize))
	_, err = io.ReadFull(rand.Reader, make([]byte, 32))
	return err
}

func derivations() error {
	if _, err := hkdf.Key(sha256.New, make([]byte, 32), nil, "", 32); err != nil {
		return err
	}
	_, err := pbkdf2.Key(sha256.New, "a long enough password", make([]byte, 16), 1000, 32)
	return err
}

func signatures() error {
	digest := sha512.Sum512([]byte("message"))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	signature, err := ecdsa.SignASN1(rand.Reader, ec, digest[:])
	if err != nil || !ecdsa.VerifyASN1(&ec.PublicKey, digest[:], signature) {
		return errors.Join(err, errors.New("an ECDSA signature is not verified"))
	}
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, digest[:], ed25519.Sign(ed, digest[:])) {
		return errors.New("an Ed25519 signature is not verified")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("message"))
	signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return err
	}
	return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature)
}

func agreements() error {
	a, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if _, err := a.ECDH(a.PublicKey()); err != nil {
		return err
	}
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		return err
	}
	_, sealed := kem.EncapsulationKey().Encapsulate()
	_, err = kem.Decapsulate(sealed)
	return err
}

// handshakes use the key schedules of TLS 1.2 and 1.3.
func handshakes() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"self"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		near, far := net.Pipe()
		server := tls.Server(far, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
		// Both ends are here.
		client := tls.Client(near, &tls.Config{MinVersion: version, MaxVersion: version, InsecureSkipVerify: true})
		done := make(chan error, 1)
		go func() {
			err := server.Handshake()
			if err == nil {
				// The client reads what the server says behind the handshake.
				_, err = server.Write([]byte{1})
			}
			done <- err
		}()
		err := client.Handshake()
		if err == nil {
			_, err = client.Read(make([]byte, 1))
		}
		near.Close()
		if err = errors.Join(err, <-done); err != nil {
			return fmt.Errorf("%s: %w", tls.VersionName(version), err)
		}
		far.Close()
	}
	return nil
}
