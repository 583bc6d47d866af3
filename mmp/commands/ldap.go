package commands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
	"rotunda/mmp/identity"
)

// People asks the directory; [identity.Client] is the real one.
type People interface {
	Test(ctx context.Context, user, password string) ([]identity.Step, error)
}

func ldapKinds() []grammar.Kind {
	return []grammar.Kind{{
		Name: "dn", Help: "the name of an entry, for example ou=people,dc=example,dc=com",
		Check: func(word string) error {
			if !identity.IsDN(word) {
				return errNotOne
			}
			return nil
		},
	}}
}

// ldapCommands are the commands about the directory that users of the shell log in by (guide chapter 4.8). It is none of the Call
// Bridge's.
func (d Deps) ldapCommands() []grammar.Command {
	set := func(edit func(*grammar.Call, *config.LDAP)) func(*grammar.Call) error {
		return func(c *grammar.Call) error {
			return d.changeLDAP(c, func(l *config.LDAP) error {
				edit(c, l)
				return nil
			})
		}
	}
	return []grammar.Command{
		{
			Syntax: "ldap", Roles: admins,
			Help:   "Show the directory by which LDAP users log in",
			Detail: "Users are added by user add <username> <role> ldap; no others of the directory may log in.",
			Run:    d.showLDAP,
		},
		{
			Syntax: "ldap server <host> [<port>]", Roles: admins,
			Help: "Choose the server of the directory",
			Detail: "For example ldap server dc1.example.com, of Active Directory or OpenLDAP; an address may be given, too. Without a port it is 636 with " +
				"ldaps and 389 otherwise.",
			Run: set(func(c *grammar.Call, l *config.LDAP) { l.Host, l.Port = c.Arg("host"), c.Int("port") }),
		},
		{
			Syntax: "ldap (ldaps|starttls|plain)", Roles: admins,
			Help: "Choose how connections to the directory are secured",
			Detail: "By TLS from the first byte, which is the default, by StartTLS, or not at all: then whoever is on the way reads passwords. Whether the " +
				"server's certificate is verified is said by tls ldap verify.",
			Run: d.secureLDAP,
		},
		{
			Syntax: "ldap bind (<dn:word>|none)", Roles: admins,
			Help: "Choose who looks for people in the directory; asks for the password",
			Detail: "For example ldap bind \"cn=reader,dc=example,dc=com\"; Active Directory takes reader@example.com, too. An account that may read is enough. " +
				"With none it is done anonymously. The password is in backups, since the machine needs it to log in.",
			Run: d.bindLDAP,
		},
		{
			Syntax: "ldap base <dn>", Roles: admins,
			Help:   "Choose below which entry of the directory people are",
			Detail: "For example ldap base ou=people,dc=example,dc=com.",
			Run:    set(func(c *grammar.Call, l *config.LDAP) { l.Base = c.Arg("dn") }),
		},
		{
			Syntax: "ldap attribute <name:word>", Roles: admins,
			Help:   "Choose the attribute that has the name that people log in by",
			Detail: "sAMAccountName is the default, that of Active Directory; uid is that of most others. Nobody should be able to write it in their own entry.",
			Run: set(func(c *grammar.Call, l *config.LDAP) {
				if l.Attribute = c.Arg("name"); l.Attribute == config.DefaultLDAPAttribute {
					l.Attribute = ""
				}
			}),
		},
		{
			Syntax: "ldap filter (<filter:word>|none)", Roles: admins,
			Help:   "Choose what else an entry has to match",
			Detail: "For example ldap filter \"(memberOf=cn=operators,ou=groups,dc=example,dc=com)\", a filter of RFC 4515.",
			Run: func(c *grammar.Call) error {
				return d.changeLDAP(c, func(l *config.LDAP) (err error) {
					if l.Filter = ""; c.Has("filter") {
						l.Filter, err = identity.NormalFilter(c.Arg("filter"))
					}
					return err
				})
			},
		},
		{
			Syntax: "ldap enable", Roles: admins,
			Help:   "Let LDAP users log in",
			Detail: "Local users log in as before. Try ldap test first.",
			Run:    d.enableLDAP,
		},
		{
			Syntax: "ldap disable", Roles: admins,
			Help: "Let no LDAP user log in",
			Run:  set(func(_ *grammar.Call, l *config.LDAP) { l.Enabled = false }),
		},
		{
			Syntax: "ldap test <username> [password]", Roles: admins,
			Help: "Try step by step whether the directory knows a person",
			Detail: "With password it asks for that of the person and tries it, too. The settings are those that are stored, enabled or not; the person need not be a " +
				"user of this machine yet.",
			Run: d.testLDAP,
		},
	}
}

func (d Deps) changeLDAP(c *grammar.Call, edit func(*config.LDAP) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.LDAP) })
}

// hazardsOfLDAP are what an administrator should know of the way that passwords take.
func hazardsOfLDAP(doc *config.Document) string {
	switch {
	case doc.LDAP.Secured() == config.LDAPPlain:
		return "passwords go to the directory without encryption: use ldap ldaps or ldap starttls"
	case doc.TLS.LDAP.Verify == config.VerifyOff:
		return "the directory's certificate is not verified, so somebody in between can read passwords: use tls ldap trust <bundle> and tls ldap verify enable"
	}
	return ""
}

func (d Deps) showLDAP(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	l := running.Document.LDAP
	row := func(name, value string) { c.Printf("%-24s: %s\n", name, orNone(printable(value))) }
	server := ""
	if l.Host != "" {
		server = net.JoinHostPort(l.Host, strconv.Itoa(l.ServerPort()))
	}
	row("Enabled", strconv.FormatBool(l.Enabled))
	row("Server", server)
	row("Security", l.Secured())
	row("Certificate verification", orDisabled(running.Document.TLS.LDAP.Verify))
	row("Bind DN", l.BindDN)
	row("Base DN", l.Base)
	row("Login attribute", l.LoginAttribute())
	row("Filter", l.Filter)
	return nil
}

func orDisabled(mode string) string {
	if mode == "" {
		return "disabled"
	}
	return mode
}

func (d Deps) secureLDAP(c *grammar.Call) error {
	var after *config.Document
	err := d.change(c, func(doc *config.Document) error {
		doc.LDAP.Security = ""
		for _, s := range config.LDAPSecurities[1:] {
			if c.Has(s) {
				doc.LDAP.Security = s
			}
		}
		after = doc
		return nil
	})
	if err == nil {
		if hazard := hazardsOfLDAP(after); hazard != "" {
			c.Printf("Warning: %s\n", hazard)
		}
	}
	return err
}

func (d Deps) bindLDAP(c *grammar.Call) error {
	dn, password := c.Arg("dn"), ""
	if dn != "" {
		var err error
		if password, err = c.AskSecret("Please enter password of " + printable(dn) + ": "); err != nil {
			return err
		}
		if password == "" {
			return errors.New("the password is empty, nothing was changed; to look for people anonymously use ldap bind none")
		}
	}
	return d.changeLDAP(c, func(l *config.LDAP) error {
		l.BindDN, l.BindPassword = dn, password
		return nil
	})
}

func (d Deps) enableLDAP(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	if missing := running.Document.LDAP.Missing(); missing != "" {
		return fmt.Errorf("FAILURE: %s", missing)
	}
	err = d.changeLDAP(c, func(l *config.LDAP) error {
		l.Enabled = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	if hazard := hazardsOfLDAP(running.Document); hazard != "" {
		c.Printf("Warning: %s\n", hazard)
	}
	c.Printf("SUCCESS: ldap enabled\n")
	return nil
}

func (d Deps) testLDAP(c *grammar.Call) error {
	if d.People == nil {
		return errors.New("FAILURE: there is nobody to ask")
	}
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	if running.Document.LDAP.Host == "" {
		return fmt.Errorf("FAILURE: %s", config.LDAP{}.Missing())
	}
	password := ""
	if c.Has("password") {
		if password, err = c.AskSecret("Please enter password of " + c.Arg("username") + ": "); err != nil {
			return err
		}
		if password == "" {
			return errors.New("FAILURE: the password is empty, and directories take that for nobody")
		}
	}
	steps, err := d.People.Test(c.Context, c.Arg("username"), password)
	if err != nil {
		return fmt.Errorf("FAILURE: %s", strings.TrimPrefix(err.Error(), identity.ErrUnavailable.Error()+": "))
	}
	for _, s := range steps {
		if s.Error != "" {
			return fmt.Errorf("FAILURE: %s: %s", printable(s.Done), printable(s.Error))
		}
		c.Printf("SUCCESS: %s\n", printable(s.Done))
	}
	return nil
}
