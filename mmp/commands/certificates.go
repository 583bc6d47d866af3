package commands

import (
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"time"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
	"rotunda/mmp/pki"
)

// StoredFiles are the files that administrators have put by SFTP.
type StoredFiles interface {
	OpenStored(name string) (io.ReadCloser, error)
}

// cryptos may change keys and certificates.
var cryptos = []grammar.Role{grammar.Admin, grammar.Crypto}

// What a certificate is for. One without extended key usage is good for everything (guide 4.6).
var (
	server = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
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
	b, err := io.ReadAll(io.LimitReader(f, pki.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// judgePair tells whether a service will be able to use the files, and warns of what others will stumble over.
func (d Deps) judgePair(c *grammar.Call, files config.Certificates, purpose []x509.ExtKeyUsage) error {
	warnings, err := d.checkPair(c, files, purpose, time.Now())
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

func (d Deps) checkPair(c *grammar.Call, files config.Certificates, purpose []x509.ExtKeyUsage, now time.Time) (warnings []string, err error) {
	key, err := d.key(files.Key)
	if err != nil {
		return nil, err
	}
	found, _, err := d.contents(files.Certificate)
	if err != nil {
		return nil, err
	}
	if err := d.checkPEM(files.Key, "pki unlock "+files.Key); err != nil {
		return nil, err
	}
	if len(found.Certificates) == 0 {
		return nil, fmt.Errorf("%s and %s are not a pair: %s holds no certificate", files.Key, files.Certificate, files.Certificate)
	}
	if err := d.checkPEM(files.Certificate, "pki chain <basename> "+files.Certificate); err != nil {
		return nil, err
	}
	if err := pki.Usable(key.Public()); err != nil {
		return nil, fmt.Errorf("%s holds %w", files.Key, err)
	}
	leaf := found.Certificates[0]
	if i := slices.IndexFunc(found.Certificates, func(c *x509.Certificate) bool { return pki.Same(key.Public(), c.PublicKey) }); i < 0 {
		return nil, d.notPair(c, files.Key, key.Public(), files.Certificate, leaf.PublicKey)
	} else if i > 0 {
		return nil, fmt.Errorf("the certificate of %s is number %d of %s and has to be the first: use pki chain <basename> %s", files.Key, i+1, files.Certificate,
			files.Certificate)
	}
	switch {
	case now.After(leaf.NotAfter):
		warnings = append(warnings, fmt.Sprintf("%s has expired on %s", files.Certificate, leaf.NotAfter.UTC().Format(time.DateOnly)))
	case now.Before(leaf.NotBefore):
		warnings = append(warnings, fmt.Sprintf("%s is not valid before %s", files.Certificate, leaf.NotBefore.UTC().Format(time.DateOnly)))
	}
	for _, use := range purpose {
		if missing := map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "servers", x509.ExtKeyUsageClientAuth: "clients"}[use]; !pki.Serves(leaf, use) {
			warnings = append(warnings, fmt.Sprintf("%s is not for %s, by its extended key usage: others may refuse it", files.Certificate, missing))
		}
	}
	// What a service sends: the certificate's own file may hold some of the chain already.
	sent := found.Certificates
	if files.Bundle != "" {
		bundle, err := d.checkBundle(files.Bundle)
		if err != nil {
			return warnings, err
		}
		sent = slices.Concat(sent, bundle)
		if !slices.ContainsFunc(sent, func(issuer *x509.Certificate) bool { return leaf.CheckSignatureFrom(issuer) == nil }) {
			warnings = append(warnings, fmt.Sprintf("no certificate in %s has issued %s", files.Bundle, files.Certificate))
		}
	}
	return append(warnings, checkSent(sent, now)...), nil
}

// checkSent warns of what is wrong with a chain behind its first certificate. Many clients sort it themselves, and some, such as SIP equipment,
// take it as it comes (RFC 5246 section 7.4.2 asks for the order).
func checkSent(sent []*x509.Certificate, now time.Time) (warnings []string) {
	chain, extra := pki.Sort(sent, sent[0].PublicKey)
	for _, c := range chain[1:] {
		if now.After(c.NotAfter) {
			warnings = append(warnings, fmt.Sprintf("%s in the chain has expired on %s", pki.Title(c), c.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	if len(sent) == len(chain)+len(extra) && !slices.EqualFunc(chain, sent[:len(chain)], (*x509.Certificate).Equal) {
		warnings = append(warnings, "the chain is not in order, which some equipment does not take: pki chain sorts it")
	}
	return warnings
}

// checkPEM says what to do with a file in another form: services read PEM alone.
func (d Deps) checkPEM(name, remedy string) error {
	found, _, err := d.contents(name)
	if err == nil && found.Form != pki.PEM {
		err = fmt.Errorf("%s is %s, and services read PEM: use %s", name, found.Form, remedy)
	}
	return err
}

// checkBundle reads a file of certificates.
func (d Deps) checkBundle(name string) ([]*x509.Certificate, error) {
	list, err := d.certificates(name)
	if err != nil {
		return nil, err
	}
	return list, d.checkPEM(name, "pki chain <basename> "+name)
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
