package commands

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

// StoredFiles are the files that administrators have put by SFTP.
type StoredFiles interface {
	OpenStored(name string) (io.ReadCloser, error)
}

// maxPEM bounds what is read of a key or certificate; it is more than a service takes.
const maxPEM = 1 << 20

// cryptos may change keys and certificates.
var cryptos = []grammar.Role{grammar.Admin, grammar.Crypto}

// What a certificate is for. One without extended key usage is good for everything (guide 4.6).
var (
	server = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	// both is for a service that also shows its certificate where it connects to.
	both = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

func (d Deps) readStored(name string) ([]byte, error) {
	if d.Stored == nil {
		return nil, fmt.Errorf("%s cannot be read: there is no storage", name)
	}
	f, err := d.Stored.OpenStored(name)
	if err != nil {
		return nil, fmt.Errorf("there is no file %s: put it by SFTP first", name)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// judgePair tells whether a service will be able to use the files, and warns of what others will stumble over.
func (d Deps) judgePair(c *grammar.Call, files config.Certificates, purpose []x509.ExtKeyUsage) error {
	warnings, err := d.checkPair(files, purpose, time.Now())
	for _, w := range warnings {
		c.Printf("Warning: %s\n", printable(w))
	}
	return err
}

// succeedPair does the same in the words of commands that switch a service on.
func (d Deps) succeedPair(c *grammar.Call, files config.Certificates, purpose []x509.ExtKeyUsage) error {
	if err := d.judgePair(c, files, purpose); err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	c.Printf("SUCCESS: Key and certificate pair match\n")
	return nil
}

func (d Deps) checkPair(files config.Certificates, purpose []x509.ExtKeyUsage, now time.Time) (warnings []string, err error) {
	key, err := d.readStored(files.Key)
	if err != nil {
		return nil, err
	}
	certificate, err := d.readStored(files.Certificate)
	if err != nil {
		return nil, err
	}
	if err := checkKey(files.Key, key); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a pair: %s", files.Key, files.Certificate, strings.TrimPrefix(err.Error(), "tls: "))
	}
	leaf := pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		warnings = append(warnings, fmt.Sprintf("%s has expired on %s", files.Certificate, leaf.NotAfter.UTC().Format(time.DateOnly)))
	case now.Before(leaf.NotBefore):
		warnings = append(warnings, fmt.Sprintf("%s is not valid before %s", files.Certificate, leaf.NotBefore.UTC().Format(time.DateOnly)))
	}
	for _, use := range purpose {
		if missing := map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "servers", x509.ExtKeyUsageClientAuth: "clients"}[use]; !serves(leaf, use) {
			warnings = append(warnings, fmt.Sprintf("%s is not for %s, by its extended key usage: others may refuse it", files.Certificate, missing))
		}
	}
	if files.Bundle == "" {
		return warnings, nil
	}
	bundle, err := d.checkBundle(files.Bundle)
	if err != nil {
		return warnings, err
	}
	// The certificate's own file may hold some of the chain already.
	for _, der := range pair.Certificate[1:] {
		if issuer, err := x509.ParseCertificate(der); err == nil {
			bundle = append(bundle, issuer)
		}
	}
	if !slices.ContainsFunc(bundle, func(issuer *x509.Certificate) bool { return leaf.CheckSignatureFrom(issuer) == nil }) {
		warnings = append(warnings, fmt.Sprintf("no certificate in %s has issued %s", files.Bundle, files.Certificate))
	}
	return warnings, nil
}

func serves(c *x509.Certificate, use x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, use) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// checkKey says what is wrong with a key in words that help: crypto/tls has the same few for everything.
func checkKey(name string, key []byte) error {
	found := ""
	for block, rest := pem.Decode(key); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return fmt.Errorf("%s has a passphrase: put it without one", name)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
		found = strings.ToLower(block.Type)
	}
	if found != "" {
		return fmt.Errorf("%s holds a %s and no key: give the key first, then the certificate", name, found)
	}
	return fmt.Errorf("%s holds no key in PEM", name)
}

// checkBundle reads a file of certificates.
func (d Deps) checkBundle(name string) ([]*x509.Certificate, error) {
	b, err := d.readStored(name)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of %s cannot be read: %s", len(list)+1, name, strings.TrimPrefix(err.Error(), "x509: "))
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", name)
	}
	return list, nil
}

// judgeBundle tells whether a service will be able to trust what is in a file.
func (d Deps) judgeBundle(c *grammar.Call, name string) error {
	list, err := d.checkBundle(name)
	if err != nil {
		return err
	}
	for n, certificate := range list {
		if time.Now().After(certificate.NotAfter) {
			c.Printf("Warning: certificate %d of %s has expired on %s\n", n+1, printable(name), certificate.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func enabledWord(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}
