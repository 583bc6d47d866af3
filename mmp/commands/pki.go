package commands

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
	"rotunda/mmp/pki"
)

// Shelf is where keys and certificates are listed and stored, with the rights of who asks.
type Shelf interface {
	List(ctx context.Context, p files.Person) ([]files.Info, error)
	Put(p files.Person, name string, data []byte, replace bool) error
}

// extensions of files that pki commands look at.
var extensions = []string{".key", ".csr", ".crt", ".cer", ".pem", ".der", ".p12", ".pfx"}

// certificateExtensions in the order in which "<basename>" of an authority is looked for.
var certificateExtensions = []string{".crt", ".cer", ".pem", ".der"}

func hasExtension(name string, list []string) bool {
	return slices.ContainsFunc(list, func(e string) bool {
		return len(name) > len(e) && strings.EqualFold(name[len(name)-len(e):], e)
	})
}

// rank is the place of a name's extension among [extensions].
func rank(name string) int {
	return slices.IndexFunc(extensions, func(e string) bool { return hasExtension(name, []string{e}) })
}

func person(c *grammar.Caller) files.Person {
	return files.Person{User: c.User, Role: c.Role, Source: c.Source}
}

func (d Deps) pkiKinds() []grammar.Kind {
	return []grammar.Kind{
		{
			Name: "pkifile", Help: "a file of keys or certificates; its name ends in " + strings.Join(extensions, ", "),
			Check: func(word string) error {
				if strings.ContainsAny(word, "/\x00") || !hasExtension(word, extensions) {
					return errNotOne
				}
				return nil
			},
			Complete: func(c *grammar.Caller) []string {
				list, err := d.listPKI(context.Background(), c)
				if err != nil {
					return nil
				}
				names := make([]string, len(list))
				for i, f := range list {
					names[i] = f.Name
				}
				return names
			},
		},
		{
			Name: "basename", Help: "the beginning of file names: letters, digits, dots, hyphens and underscores, without .key or .crt",
			Check: func(word string) error {
				for _, r := range word {
					if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@+", r)) {
						return errNotOne
					}
				}
				switch {
				case word == "" || len(word) > 100 || word[0] == '.' || word[0] == '-':
					return errNotOne
				case hasExtension(word, extensions):
					return errors.New("the extension is added to it")
				}
				return nil
			},
		},
		{
			Name: "attribute", Help: "an attribute, for example CN:www.example.com; the names are " + strings.Join(pki.AttributeNames, ", "),
			Check: pki.CheckAttribute,
			Complete: func(*grammar.Caller) []string {
				list := make([]string, len(pki.AttributeNames))
				for i, n := range pki.AttributeNames {
					list[i] = n + ":"
				}
				return list
			},
		},
	}
}

// pkiCommands are those for keys and certificates (guide chapters 2 and 4.4).
func (d Deps) pkiCommands() []grammar.Command {
	attributes := "Attributes are CN, OU, O, L, ST, C, emailAddress and subjectAltName, a list with commas of host names, addresses and e-mail " +
		"addresses; key is one of " + strings.Join(pki.KeyKinds, ", ") + ", " + pki.DefaultKind + " if nothing is said. One with blanks goes in double " +
		"quotes, for example \"O:Example Ltd\". A host name in CN becomes an alternative name as well."
	return []grammar.Command{
		{
			Syntax: "pki", Roles: cryptos,
			Help: "List keys, certificates and requests, in the order in which they came",
			Run:  d.showPKI,
		},
		{
			Syntax: "pki list", Roles: cryptos,
			Help: "List keys, certificates and requests, in the order in which they came",
			Run:  d.showPKI,
		},
		{
			Syntax: "pki inspect <file:pkifile>", Roles: cryptos,
			Help:   "Show what a file holds: keys by kind and size, certificates and requests in full",
			Detail: "It takes PEM and DER, single objects and bundles. Nothing of a private key is ever shown. A PKCS#12 file asks for its pass phrase.",
			Run:    d.inspectPKI,
		},
		{
			Syntax: "pki match <key:pkifile> <certificate:pkifile>", Roles: cryptos,
			Help:   "Check that a key and a certificate, or a request, belong together",
			Detail: "For example pki match webadmin.key webadmin.crt. In a bundle the certificate of the key may be anywhere, and where it is not the first it is said.",
			Run:    d.matchPKI,
		},
		{
			Syntax: "pki verify <certificate:pkifile> <bundle:pkifile> [<ca:pkifile>] [host <name:host>] [for <usage:(server|client)>] [ocsp]", Roles: cryptos,
			Help: "Check the chain of a certificate, by a bundle and perhaps the certificate of the authority in a file of its own",
			Detail: "It says which certificate is missing, has expired, or may not do what it does. With host it also checks that the certificate is for that " +
				"name, and with for that servers or clients may use it. With ocsp it asks the responder that the certificate names, or else the one that its issuer names, whether it " +
				"was revoked, and the same of the authorities between; no answer within 8 seconds is a failure.",
			Run: d.verifyPKI,
		},
		{
			Syntax: "pki csr <basename> [<attribute>…]", Roles: cryptos,
			Help: "Make a key and a certificate signing request for an authority",
			Detail: "For example pki csr webadmin CN:www.example.com subjectAltName:www.example.com,10.1.1.1. " + attributes + " If there already is a key of " +
				"that name it asks whether to use it, and never replaces it.",
			Run: d.requestPKI,
		},
		{
			Syntax: "pki selfsigned <basename> [<attribute>…]", Roles: cryptos,
			Help: "Make a key and a certificate that nobody vouches for",
			Detail: attributes + fmt.Sprintf(" It is valid for %d days, or for days:<number>; CA:true makes the certificate of an authority for pki sign. "+
				"If there already is a key of that name it asks whether to use it.", pki.DefaultDays),
			Run: d.selfSignPKI,
		},
		{
			Syntax: "pki sign <request:basename> <authority:basename> [<days:1..3653>]", Roles: cryptos,
			Help: "Make the certificate that a request asks for, by an authority of this machine",
			Detail: fmt.Sprintf("For example pki sign webadmin ca makes webadmin.crt from webadmin.csr with ca.key and ca.crt. It is valid for %d days if nothing is "+
				"said, and never for longer than the authority.", pki.DefaultDays),
			Run: d.signPKI,
		},
		{
			Syntax: "pki unlock <key:pkifile>", Roles: cryptos,
			Help:   "Take the pass phrase off a private key, which services cannot enter",
			Detail: "It asks for the pass phrase and puts the open key in the place of the file, in PEM.",
			Run:    d.unlockPKI,
		},
		{
			Syntax: "pki pkcs12 <file:pkifile> <basename>", Roles: cryptos,
			Help: "Take key, certificate and chain out of a PKCS#12 file (.p12 or .pfx)",
			Detail: "It asks for the pass phrase and makes <basename>.key, <basename>.crt and, if there is more than one certificate, <basename>-bundle.crt. " +
				"None of them may be there already.",
			Run: d.importPKI,
		},
		{
			Syntax: "pki chain <basename> <file:pkifile>…", Roles: cryptos,
			Help: "Put certificates from files into one full chain in PEM, the certificate first and the root last",
			Detail: "For example pki chain fullchain server.cer intermediate.der root.pem makes fullchain.crt. The files may hold PEM or DER in any order; what does " +
				"not belong to the chain is left out, and said.",
			Run: d.chainPKI,
		},
		{
			Syntax: "pki pkcs12-to-ssh <user:username>", Roles: admins,
			Help:   "Make the SSH public key of a user from a PKCS#12 file that was put as <user>.pub",
			Detail: "It asks for the pass phrase; <user>.pub then holds the public key alone.",
			Run:    d.publicKeyPKI,
		},
	}
}

// listPKI returns the files that pki commands look at, the oldest first.
func (d Deps) listPKI(ctx context.Context, c *grammar.Caller) ([]files.Info, error) {
	if d.Shelf == nil {
		return nil, errors.New("there is no storage for keys and certificates")
	}
	list, err := d.Shelf.List(ctx, person(c))
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(f files.Info) bool { return !hasExtension(f.Name, extensions) })
	slices.SortStableFunc(list, func(a, b files.Info) int {
		if n := a.ModTime.Compare(b.ModTime); n != 0 {
			return n
		}
		// The kernel's clock for files has steps of some milliseconds, and a key comes before what is made with it.
		return rank(a.Name) - rank(b.Name)
	})
	return list, nil
}

func (d Deps) showPKI(c *grammar.Call) error {
	list, err := d.listPKI(c.Context, c.Caller)
	if err != nil {
		return err
	}
	c.Printf("User supplied certificates and keys:\n")
	for _, f := range list {
		c.Printf("%s\n", f.Name)
	}
	return nil
}

// contents reads a file and what is in it.
func (d Deps) contents(name string) (*pki.Contents, []byte, error) {
	b, err := d.readStored(name)
	if err != nil {
		return nil, nil, err
	}
	found, err := pki.Read(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	return found, b, nil
}

// key reads the private key of a file.
func (d Deps) key(name string) (crypto.Signer, error) {
	found, _, err := d.contents(name)
	switch {
	case err != nil:
		return nil, err
	case len(found.Locked) > 0:
		return nil, fmt.Errorf("%s has a pass phrase: use pki unlock %s", name, name)
	case found.Form == pki.PKCS12:
		return nil, fmt.Errorf("%s is PKCS#12: use pki pkcs12 %s <basename>", name, name)
	case len(found.Keys) == 0 && len(found.Certificates) > 0:
		return nil, fmt.Errorf("%s holds a certificate and no key: give the key first, then the certificate", name)
	case len(found.Keys) == 0:
		return nil, fmt.Errorf("%s holds no key", name)
	case len(found.Keys) > 1:
		return nil, fmt.Errorf("%s holds %d keys: put each in a file of its own", name, len(found.Keys))
	}
	return found.Keys[0], nil
}

// certificates reads those of a file.
func (d Deps) certificates(name string) ([]*x509.Certificate, error) {
	found, _, err := d.contents(name)
	switch {
	case err != nil:
		return nil, err
	case found.Form == pki.PKCS12:
		return nil, fmt.Errorf("%s is PKCS#12: use pki pkcs12 %s <basename>", name, name)
	case len(found.Certificates) == 0:
		return nil, fmt.Errorf("%s holds no certificate", name)
	}
	return found.Certificates, nil
}

// exists reports whether there is a file of that name, whoever may see it.
func (d Deps) exists(name string) bool {
	if d.Stored == nil {
		return false
	}
	f, err := d.Stored.OpenStored(name)
	if err == nil {
		_ = f.Close()
	}
	return err == nil
}

func (d Deps) putFile(c *grammar.Call, name string, data []byte, replace bool) error {
	if d.Shelf == nil {
		return errors.New("there is no storage for keys and certificates")
	}
	err := d.Shelf.Put(person(c.Caller), name, data, replace)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there already is a file %s, which was not replaced: use another name, or remove it by SFTP", name)
	}
	return err
}

// progress runs what takes a while and prints a dot at once and then five a second, in a line of their own.
func progress[T any](c *grammar.Call, work func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		o := outcome{err: errors.New("the file or the key was too odd for this machine; nothing was changed")}
		// A panic here would be the end of every session: the shell catches those of commands, and not of what they start.
		defer func() {
			_ = recover()
			done <- o
		}()
		o.value, o.err = work()
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	c.Printf(".")
	defer c.Printf("\n")
	for {
		select {
		case o := <-done:
			return o.value, o.err
		case <-tick.C:
			c.Printf(".")
		case <-c.Context.Done():
			// What runs ends by itself within seconds, and nobody takes what it made.
			var none T
			return none, context.Cause(c.Context)
		}
	}
}

// ownKey is the key of that name if there is one that the person wants to go on with, or a new one.
func (d Deps) ownKey(c *grammar.Call, name string, a pki.Attributes) (key crypto.Signer, isNew bool, err error) {
	if !d.exists(name) {
		key, err = progress(c, func() (crypto.Signer, error) { return pki.MakeKey(a.Kind) })
		return key, true, err
	}
	if key, err = d.key(name); err != nil {
		return nil, false, fmt.Errorf("there already is a file %s, which cannot be used: %w", name, err)
	}
	if err := pki.Usable(key.Public()); err != nil {
		return nil, false, fmt.Errorf("there already is a file %s, which holds %w", name, err)
	}
	c.Printf("There already is a key %s (%s)\n", name, pki.KeyText(key.Public()))
	if err := c.Confirm("Use it?"); err != nil {
		return nil, false, err
	}
	return key, false, nil
}

// mayReplace asks about a file that is there.
func (d Deps) mayReplace(c *grammar.Call, name string) error {
	if !d.exists(name) {
		return nil
	}
	c.Printf("There already is a file %s\n", name)
	return c.Confirm("Replace it?")
}

func (d Deps) requestPKI(c *grammar.Call) error {
	a, err := pki.ParseAttributes(c.Rest())
	if err != nil {
		return err
	}
	return d.makePKI(c, c.Arg("basename"), ".csr", a, func(key crypto.Signer) ([]byte, error) {
		der, err := pki.MakeRequest(key, a)
		return pki.EncodeRequest(der), err
	})
}

func (d Deps) selfSignPKI(c *grammar.Call) error {
	a, err := pki.ParseAttributes(c.Rest())
	if err != nil {
		return err
	}
	return d.makePKI(c, c.Arg("basename"), ".crt", a, func(key crypto.Signer) ([]byte, error) {
		der, err := pki.SelfSign(key, a, time.Now())
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		return pki.EncodeCertificates(certificate), nil
	})
}

// makePKI makes a key, if there is none, and what is made with it. The key is stored first: a crash in between leaves a key that the
// next try asks about.
func (d Deps) makePKI(c *grammar.Call, base, extension string, a pki.Attributes, write func(crypto.Signer) ([]byte, error)) error {
	keyName, name := base+".key", base+extension
	if err := a.Check(extension == ".csr"); err != nil {
		return err
	}
	if err := d.mayReplace(c, name); err != nil {
		return err
	}
	key, isNew, err := d.ownKey(c, keyName, a)
	if err != nil {
		return err
	}
	data, err := progress(c, func() ([]byte, error) { return write(key) })
	if err != nil {
		return err
	}
	if isNew {
		secret, err := pki.EncodeKey(key)
		if err != nil {
			return err
		}
		if err := d.putFile(c, keyName, secret, false); err != nil {
			return err
		}
	}
	if err := d.putFile(c, name, data, true); err != nil {
		return err
	}
	what := map[string]string{".csr": "CSR", ".crt": "certificate"}[extension]
	if isNew {
		c.Printf("Created key file %s and %s %s\n", keyName, what, name)
	} else {
		c.Printf("Created %s %s with key file %s\n", what, name, keyName)
	}
	c.Printf("%s file %s ready for download via SFTP\n", strings.ToUpper(extension[1:]), name)
	return nil
}

func (d Deps) signPKI(c *grammar.Call) error {
	base, authority := c.Arg("request"), c.Arg("authority")
	found, _, err := d.contents(base + ".csr")
	if err != nil {
		return err
	}
	if len(found.Requests) != 1 {
		return fmt.Errorf("%s.csr holds no certificate signing request, or more than one", base)
	}
	caName := authority + certificateExtensions[0]
	for _, e := range certificateExtensions {
		if d.exists(authority + e) {
			caName = authority + e
			break
		}
	}
	list, err := d.certificates(caName)
	if err != nil {
		return err
	}
	key, err := d.key(authority + ".key")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(c *x509.Certificate) bool { return pki.Same(key.Public(), c.PublicKey) })
	if i < 0 {
		return fmt.Errorf("%s.key and %s are not a pair", authority, caName)
	}
	name := base + ".crt"
	if err := d.mayReplace(c, name); err != nil {
		return err
	}
	der, err := pki.Sign(found.Requests[0], list[i], key, c.Int("days"), time.Now())
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := d.putFile(c, name, pki.EncodeCertificates(certificate), true); err != nil {
		return err
	}
	c.Printf("Created certificate %s, signed by %s, valid until %s\n", name, caName, pki.TimeText(certificate.NotAfter))
	c.Printf("CRT file %s ready for download via SFTP\n", name)
	return nil
}

func (d Deps) matchPKI(c *grammar.Call) error {
	keyName, name := c.Arg("key"), c.Arg("certificate")
	key, err := d.key(keyName)
	if err != nil {
		return err
	}
	found, _, err := d.contents(name)
	if err != nil {
		return err
	}
	what, index, first := "certificate", -1, crypto.PublicKey(nil)
	switch {
	case len(found.Certificates) > 0:
		index = slices.IndexFunc(found.Certificates, func(c *x509.Certificate) bool { return pki.Same(key.Public(), c.PublicKey) })
		first = found.Certificates[0].PublicKey
	case len(found.Requests) > 0:
		what = "certificate signing request"
		index = slices.IndexFunc(found.Requests, func(r *x509.CertificateRequest) bool { return pki.Same(key.Public(), r.PublicKey) })
		first = found.Requests[0].PublicKey
	default:
		return fmt.Errorf("FAILURE: %s holds neither a certificate nor a certificate signing request", name)
	}
	if index < 0 {
		return fmt.Errorf("FAILURE: %w", d.notPair(c, keyName, key.Public(), name, first))
	}
	if index > 0 {
		c.Printf("Warning: it is %s %d of %s, and services take the first; pki chain puts it there\n", what, index+1, name)
	}
	if err := pki.Usable(key.Public()); err != nil {
		c.Printf("Warning: %s holds %s\n", keyName, err)
	}
	c.Printf("SUCCESS: Key and %s pair match\n", what)
	return nil
}

// notPair says that a key and a certificate do not belong together, and which key would.
func (d Deps) notPair(c *grammar.Call, keyName string, key crypto.PublicKey, name string, certified crypto.PublicKey) error {
	if other := d.keyOf(c, certified, keyName); other != "" {
		return fmt.Errorf("%s and %s are not a pair; the key of %s is %s", keyName, name, name, other)
	}
	return fmt.Errorf("%s and %s are not a pair (%s and %s)", keyName, name, pki.KeyText(key), pki.KeyText(certified))
}

// keyOf looks for the key file that belongs to a certificate; "" if there is none.
func (d Deps) keyOf(c *grammar.Call, public crypto.PublicKey, not string) string {
	list, err := d.listPKI(c.Context, c.Caller)
	if err != nil {
		return ""
	}
	for _, f := range list {
		if f.Name == not || !hasExtension(f.Name, []string{".key"}) || c.Context.Err() != nil {
			continue
		}
		if key, err := d.key(f.Name); err == nil && pki.Same(key.Public(), public) {
			return f.Name
		}
	}
	return ""
}

func (d Deps) verifyPKI(c *grammar.Call) error {
	name, bundle, ca := c.Arg("certificate"), c.Arg("bundle"), c.Arg("ca")
	q := pki.Question{Host: c.Arg("name"), Now: time.Now()}
	var err error
	if q.Certificates, err = d.certificates(name); err != nil {
		return err
	}
	if q.Bundle, err = d.certificates(bundle); err != nil {
		return err
	}
	if ca != "" {
		if q.Roots, err = d.certificates(ca); err != nil {
			return err
		}
	}
	switch c.Arg("usage") {
	case "server":
		q.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case "client":
		q.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	f := pki.Verify(q)
	c.Printf("Chain:\n")
	for i, link := range f.Path {
		c.Printf("%d  %s, expires %s\n", i, pki.Title(link), pki.TimeText(link.NotAfter))
	}
	also := ""
	// Only who has issued a certificate can say whether it was revoked, so the chain comes first.
	if c.Has("ocsp") && len(f.Wrong) == 0 {
		if f.Wrong, err = d.notRevoked(c, f.Path); err != nil {
			return err
		}
		also = ", and not revoked"
	}
	if len(f.Wrong) > 0 {
		for _, w := range f.Wrong[1:] {
			c.Printf("FAILURE: %s\n", w)
		}
		return fmt.Errorf("FAILURE: %s", f.Wrong[0])
	}
	if ca != "" {
		bundle += " and " + ca
	}
	c.Printf("SUCCESS: %s verified by %s%s\n", name, bundle, also)
	return nil
}

func (d Deps) unlockPKI(c *grammar.Call) error {
	name := c.Arg("key")
	found, _, err := d.contents(name)
	if err != nil {
		return err
	}
	var key crypto.Signer
	done := "has no pass phrase any more"
	switch {
	case found.Form == pki.PKCS12:
		return fmt.Errorf("%s is PKCS#12: use pki pkcs12 %s <basename>", name, name)
	case len(found.Certificates)+len(found.Requests) > 0:
		return fmt.Errorf("%s holds more than a key, which would be lost: put the key in a file of its own", name)
	case len(found.Keys)+len(found.Locked) != 1:
		return fmt.Errorf("%s holds no private key, or more than one", name)
	case len(found.Locked) == 0 && found.Form == pki.PEM:
		return fmt.Errorf("%s has no pass phrase: services can use it as it is", name)
	case len(found.Locked) == 0:
		key, done = found.Keys[0], "is in PEM now"
	default:
		passphrase, err := c.AskSecret("Enter pass phrase for " + name + ": ")
		if err != nil {
			return err
		}
		if key, err = progress(c, func() (crypto.Signer, error) { return found.Locked[0].Unlock(passphrase) }); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	secret, err := pki.EncodeKey(key)
	if err != nil {
		return err
	}
	if err := d.putFile(c, name, secret, true); err != nil {
		return err
	}
	if err := pki.Usable(key.Public()); err != nil {
		c.Printf("Warning: %s holds %s\n", name, err)
	}
	c.Printf("Key file %s %s\n", name, done)
	return nil
}

// openArchive asks for the pass phrase of a PKCS#12 file and opens it.
func (d Deps) openArchive(c *grammar.Call, name string, data []byte) (*pki.Archive, error) {
	passphrase, err := c.AskSecret("Enter pass phrase for " + name + ": ")
	if err != nil {
		return nil, err
	}
	a, err := progress(c, func() (*pki.Archive, error) { return pki.OpenPKCS12(data, passphrase) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}

func (d Deps) importPKI(c *grammar.Call) error {
	name, base := c.Arg("file"), c.Arg("basename")
	data, err := d.readStored(name)
	if err != nil {
		return err
	}
	keyName, certificateName, bundleName := base+".key", base+".crt", base+"-bundle.crt"
	for _, n := range []string{keyName, certificateName, bundleName} {
		if d.exists(n) {
			return fmt.Errorf("there already is a file %s: use another name", n)
		}
	}
	a, err := d.openArchive(c, name, data)
	if err != nil {
		return err
	}
	if !pki.Same(a.Key.Public(), a.Certificate.PublicKey) {
		return fmt.Errorf("key and certificate of %s are not a pair", name)
	}
	if err := pki.Usable(a.Key.Public()); err != nil {
		return fmt.Errorf("%s holds %w", name, err)
	}
	secret, err := pki.EncodeKey(a.Key)
	if err != nil {
		return err
	}
	if err := d.putFile(c, keyName, secret, false); err != nil {
		return err
	}
	if err := d.putFile(c, certificateName, pki.EncodeCertificates(a.Certificate), false); err != nil {
		return err
	}
	if len(a.Chain) > 0 {
		chain, extra := pki.Sort(append([]*x509.Certificate{a.Certificate}, a.Chain...), a.Key.Public())
		if err := d.putFile(c, bundleName, pki.EncodeCertificates(append(chain[1:], extra...)...), false); err != nil {
			return err
		}
	}
	c.Printf("Created key file %s and certificate %s\n", keyName, certificateName)
	if n := len(a.Chain); n > 0 {
		c.Printf("Created bundle %s, certificates: %d\n", bundleName, n)
	}
	c.Printf("%s still holds the key: remove it by SFTP\n", name)
	return nil
}

func (d Deps) chainPKI(c *grammar.Call) error {
	name := c.Arg("basename") + ".crt"
	var all []*x509.Certificate
	for _, f := range c.Rest() {
		list, err := d.certificates(f)
		if err != nil {
			return err
		}
		if all = append(all, list...); len(all) > pki.MaxObjects {
			return fmt.Errorf("more than %d certificates", pki.MaxObjects)
		}
	}
	chain, extra := pki.Sort(all, nil)
	if err := d.mayReplace(c, name); err != nil {
		return err
	}
	if err := d.putFile(c, name, pki.EncodeCertificates(chain...), true); err != nil {
		return err
	}
	for _, e := range extra {
		c.Printf("Warning: %s does not belong to the chain and was left out\n", pki.Title(e))
	}
	c.Printf("Created chain %s\n", name)
	for i, link := range chain {
		c.Printf("%d  %s, expires %s\n", i, pki.Title(link), pki.TimeText(link.NotAfter))
	}
	return nil
}

func (d Deps) publicKeyPKI(c *grammar.Call) error {
	user := c.Arg("user")
	name := user + ".pub"
	data, err := d.readStored(name)
	if err != nil {
		return err
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
		return fmt.Errorf("%s already is a public key of SSH", name)
	}
	if found, err := pki.Read(data); err != nil || found.Form != pki.PKCS12 {
		return fmt.Errorf("%s is not a PKCS#12 file: put the file of the user under that name by SFTP", name)
	}
	a, err := d.openArchive(c, name, data)
	if err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(a.Key.Public())
	if err != nil {
		return fmt.Errorf("%s holds a key (%s) that SSH does not take", name, pki.KeyText(a.Key.Public()))
	}
	line := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(public)), "\n") + " " + user + "\n"
	if err := d.putFile(c, name, []byte(line), true); err != nil {
		return err
	}
	c.Printf("Created public key %s: %s %s\n", name, public.Type(), ssh.FingerprintSHA256(public))
	return nil
}
