package commands

import (
	"crypto"
	"fmt"
	"strings"

	"rotunda/mmp/grammar"
	"rotunda/mmp/pki"
)

// inspectPKI shows what a file holds. Of a private key it is the kind, and the hash of the public half by which one finds its
// certificate.
func (d Deps) inspectPKI(c *grammar.Call) error {
	name := c.Arg("file")
	found, data, err := d.contents(name)
	if err != nil {
		return err
	}
	if found.Form == pki.PKCS12 {
		a, err := d.openArchive(c, name, data)
		if err != nil {
			return err
		}
		found.Keys = []crypto.Signer{a.Key}
		found.Certificates = append(found.Certificates, a.Certificate)
		found.Certificates = append(found.Certificates, a.Chain...)
	}
	var parts []string
	count := func(n int, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	count(len(found.Keys), "private key", "private keys")
	count(len(found.Locked), "private key with a pass phrase", "private keys with a pass phrase")
	count(len(found.Certificates), "certificate", "certificates")
	count(len(found.Requests), "certificate signing request", "certificate signing requests")
	for _, other := range found.Ignored {
		parts = append(parts, "object that is not known ("+other+")")
	}
	if len(parts) == 1 && !strings.ContainsAny(parts[0][:1], "0123456789") {
		c.Printf("File contains a %s encoded %s\n", found.Form, parts[0])
	} else {
		c.Printf("File contains %s encoded %s\n", found.Form, strings.Join(parts, ", "))
	}
	for _, k := range found.Keys {
		c.Printf("Private key:\n")
		rows := []pki.Row{{Name: "Key", Value: pki.KeyText(k.Public())}, {Name: "Usable by services", Value: "yes"}}
		if err := pki.Usable(k.Public()); err != nil {
			rows[1].Value = "no: " + err.Error()
		} else if found.Form == pki.DER {
			rows[1].Value = "no: it is DER, use pki unlock " + name
		}
		printRows(c, rows)
	}
	if len(found.Locked) > 0 {
		c.Printf("Private key:\n")
		printRows(c, []pki.Row{{Name: "Usable by services", Value: "no: it has a pass phrase, use pki unlock " + name}})
	}
	for i, certificate := range found.Certificates {
		if len(found.Certificates) > 1 {
			c.Printf("Certificate %d:\n", i+1)
		} else {
			c.Printf("Certificate:\n")
		}
		printRows(c, pki.Describe(certificate))
	}
	for _, r := range found.Requests {
		c.Printf("Certificate signing request:\n")
		printRows(c, pki.DescribeRequest(r))
	}
	return nil
}

func printRows(c *grammar.Call, rows []pki.Row) {
	for _, r := range rows {
		c.Printf("    %-24s: %s\n", r.Name, r.Value)
	}
}
