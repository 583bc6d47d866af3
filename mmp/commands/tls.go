package commands

import (
	"fmt"
	"slices"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

func tlsKinds() []grammar.Kind {
	return []grammar.Kind{{
		Name: "ciphers", Help: "names of ciphers, for example ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256",
		Check: func(word string) error {
			for name := range strings.SplitSeq(word, ":") {
				if !slices.Contains(config.CipherNames(), name) {
					return fmt.Errorf("there is no cipher %.64q, see help tls sip ciphers", name)
				}
			}
			return nil
		},
		Spell:    strings.ToUpper,
		Complete: func(*grammar.Caller) []string { return config.CipherNames() },
	}}
}

// tlsCommands are the commands that say how connections are secured (guide chapters 5.2 and 11.4, table 15).
func (d Deps) tlsCommands() []grammar.Command {
	choice := func(versions []string) string { return "<version:(" + strings.Join(versions, "|") + ")>" }
	return []grammar.Command{
		{
			Syntax: "tls (sip|ldap|rtmps|webadmin)", Roles: readers,
			Help: "Show how connections of a kind are secured",
			Run:  d.showTLS,
		},
		{
			Syntax: "tls (sip|ldap|rtmps) trust (<bundle:file>|none)", Roles: cryptos,
			Help: "Choose the certificates that are trusted at the other end",
			Detail: "For example tls ldap trust ca.crt; the file is put by SFTP. They count once tls ldap verify is enabled. Files of the same name that are " +
				"put later count after callbridge restart.",
			Run: func(c *grammar.Call) error {
				bundle := c.Arg("bundle")
				if bundle != "" {
					if err := d.judgeBundle(c, bundle); err != nil {
						return err
					}
				}
				return d.changeTLS(c, func(k *config.TLSKind) { k.Trust = bundle })
			},
		},
		{
			Syntax: "tls (sip|ldap|rtmps) verify (enable|disable|ocsp)", Roles: cryptos,
			Help: "Verify the certificate at the other end, or take any",
			Detail: "Without it nobody is kept from standing in between, even where the connection is secure. With ocsp its issuer is asked whether it " +
				"was revoked.",
			Run: func(c *grammar.Call) error {
				return d.changeTLS(c, func(k *config.TLSKind) {
					switch {
					case c.Has("enable"):
						k.Verify = config.VerifyOn
					case c.Has("ocsp"):
						k.Verify = config.VerifyOCSP
					default:
						k.Verify = config.VerifyOff
					}
				})
			},
		},
		{
			Syntax: "tls (sip|ldap|rtmps|webadmin) min-tls-version " + choice(config.TLSVersions), Roles: cryptos,
			Help:   "Choose the oldest version of TLS that is taken",
			Detail: "It is 1.2 where nothing is chosen. Older ones are not safe; they are there for equipment that has nothing else.",
			Run: func(c *grammar.Call) error {
				return d.changeTLS(c, func(k *config.TLSKind) { k.MinVersion = notDefault(c.Arg("version")) })
			},
		},
		{
			Syntax: "tls min-dtls-version " + choice(config.DTLSVersions), Roles: cryptos,
			Help:   "Choose the oldest version of DTLS that is taken",
			Detail: "It is 1.2 where nothing is chosen.",
			Run: func(c *grammar.Call) error {
				return d.change(c, func(doc *config.Document) error {
					doc.TLS.MinDTLS = notDefault(c.Arg("version"))
					return nil
				})
			},
		},
		{
			Syntax: "tls (sip|ldap|rtmps|webadmin) ciphers (<list:ciphers>|default)", Roles: cryptos,
			Help:   "Choose the ciphers of versions before 1.3, with colons between them",
			Detail: "The names are those of OpenSSL: " + strings.Join(config.CipherNames(), ", ") + ".",
			Run: func(c *grammar.Call) error {
				return d.changeTLS(c, func(k *config.TLSKind) { k.Ciphers = c.Arg("list") })
			},
		},
	}
}

// notDefault keeps the default out of the document, so that it moves with the product.
func notDefault(version string) string {
	if version == config.DefaultTLS {
		return ""
	}
	return version
}

// kindOf is the kind of connections that the call names.
func kindOf(c *grammar.Call, t *config.TLS) *config.TLSKind {
	switch {
	case c.Has("sip"):
		return &t.SIP
	case c.Has("ldap"):
		return &t.LDAP
	case c.Has("rtmps"):
		return &t.RTMPS
	}
	return &t.WebAdmin
}

func (d Deps) changeTLS(c *grammar.Call, edit func(*config.TLSKind)) error {
	return d.change(c, func(doc *config.Document) error {
		edit(kindOf(c, &doc.TLS))
		return nil
	})
}

func (d Deps) showTLS(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	t := running.Document.TLS
	k := kindOf(c, &t)
	row := func(name, value, otherwise string) {
		if value == "" {
			value = otherwise
		}
		c.Printf("%-24s: %s\n", name, value)
	}
	if !c.Has("webadmin") {
		row("Trust bundle", k.Trust, "none")
		row("Verification mode", k.Verify, "disabled")
	}
	row("Minimum TLS version", k.MinVersion, config.DefaultTLS)
	if c.Has("sip") {
		row("Minimum DTLS version", t.MinDTLS, config.DefaultTLS)
	}
	row("Ciphers", k.Ciphers, "default")
	return nil
}
