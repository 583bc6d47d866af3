package commands

import (
	"fmt"
	"strconv"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

// cacCommands are the commands about logging in by smart cards (guide chapter 15.1, table 13).
func (d Deps) cacCommands() []grammar.Command {
	const later = " Files of the same name that are put later count after the next change of any setting, such as cac disable and cac enable."
	return []grammar.Command{
		{
			Syntax: "cac", Roles: readers,
			Help: "Show how people log in by smart cards",
			Run:  d.showCAC,
		},
		{
			Syntax: "cac enable [strict]", Roles: admins,
			Help: "Let holders of smart cards log in; with strict, nobody logs in by a password any more",
			Detail: "By SSH with the key of <username>.crt, which is put by SFTP, and at the Web Admin with the certificate in the browser. Strict leaves the serial " +
				"console to local administrators with their passwords, so that nobody is locked out; SSH, SFTP, Web Admin and API take no password then. Without strict, " +
				"cac enable takes it back.",
			Run: d.enableCAC,
		},
		{
			Syntax: "cac disable", Roles: admins,
			Help:   "Let nobody log in by smart cards",
			Detail: "Passwords count again where they did not.",
			Run: func(c *grammar.Call) error {
				return d.changeCAC(c, func(k *config.CAC) { k.Enabled, k.Strict = false, false })
			},
		},
		{
			Syntax: "cac issuer (<bundle:file>|none)", Roles: admins,
			Help:   "Choose the certificates that issue smart cards",
			Detail: "For example cac issuer cards.crt; the file is put by SFTP. Each of its certificates is trusted, a root or not." + later,
			Run: func(c *grammar.Call) error {
				bundle := c.Arg("bundle")
				if bundle != "" {
					if err := d.judgeBundle(c, bundle); err != nil {
						return err
					}
				}
				return d.changeCAC(c, func(k *config.CAC) { k.Issuer = bundle })
			},
		},
		{
			Syntax: "cac ocsp certs <key:file> <certificate:file>", Roles: cryptos,
			Help:   "Choose the key and certificate that are shown to an OCSP responder with https",
			Detail: "The responder's own certificate has to be from the bundle of cac issuer." + later,
			Run: func(c *grammar.Call) error {
				files := config.Certificates{Key: c.Arg("key"), Certificate: c.Arg("certificate")}
				if err := d.judgePair(c, files, client); err != nil {
					return err
				}
				return d.changeCAC(c, func(k *config.CAC) { k.OCSP.Certificates = files })
			},
		},
		{
			Syntax: "cac ocsp certs none", Roles: cryptos,
			Help: "Show an OCSP responder no certificate",
			Run: func(c *grammar.Call) error {
				return d.changeCAC(c, func(k *config.CAC) { k.OCSP.Certificates = config.Certificates{} })
			},
		},
		{
			Syntax: "cac ocsp responder (<URL:responder>|none)", Roles: admins,
			Help:   "Choose the OCSP responder that is asked about smart cards",
			Detail: "For example cac ocsp responder http://ocsp.example.com. With none it is the one that a card's certificate names.",
			Run: func(c *grammar.Call) error {
				return d.changeCAC(c, func(k *config.CAC) { k.OCSP.Responder = c.Arg("URL") })
			},
		},
		{
			Syntax: "cac ocsp (enable|disable)", Roles: admins,
			Help:   "Ask at each login whether the card was revoked, or do not",
			Detail: "A card whose responder does not answer is refused.",
			Run: func(c *grammar.Call) error {
				return d.changeCAC(c, func(k *config.CAC) { k.OCSP.Enabled = c.Has("enable") })
			},
		},
	}
}

func cacKinds() []grammar.Kind {
	return []grammar.Kind{{Name: "responder", Help: "the address of an OCSP responder, for example http://ocsp.example.com", Check: func(word string) error {
		if word == "" || config.ValidateResponder(word) != nil {
			return errNotOne
		}
		return nil
	}}}
}

func (d Deps) changeCAC(c *grammar.Call, edit func(*config.CAC)) error {
	return d.change(c, func(doc *config.Document) error {
		edit(&doc.CAC)
		return nil
	})
}

func (d Deps) enableCAC(c *grammar.Call) error {
	err := d.changeCAC(c, func(k *config.CAC) { k.Enabled, k.Strict = true, c.Has("strict") })
	if err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	c.Printf("SUCCESS: cac enabled\n")
	if c.Has("strict") {
		c.Printf("Passwords are not taken any more, but from local administrators at the serial console. Log in anew by your card before you end this session.\n")
	}
	return nil
}

func (d Deps) showCAC(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	k := running.Document.CAC
	row := func(name, value string) { c.Printf("%-24s: %s\n", name, orNone(printable(value))) }
	row("Enabled", strconv.FormatBool(k.Enabled))
	row("Strict", strconv.FormatBool(k.Strict))
	row("Issuer bundle", k.Issuer)
	row("OCSP", enabledWord(k.OCSP.Enabled))
	row("OCSP responder", k.OCSP.Responder)
	row("OCSP key file", k.OCSP.Certificates.Key)
	row("OCSP certificate file", k.OCSP.Certificates.Certificate)
	return nil
}
