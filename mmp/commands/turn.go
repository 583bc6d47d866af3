package commands

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

func turnKinds() []grammar.Kind {
	return []grammar.Kind{{
		Name: "listener", Help: "an interface: a, b, c or d; or lo for the Call Bridge of this machine",
		Check: func(word string) error {
			switch word {
			case "a", "b", "c", "d", config.Loopback:
				return nil
			}
			return errNotOne
		},
		Spell:    strings.ToLower,
		Complete: func(*grammar.Caller) []string { return append(config.InterfaceNames[:4:4], config.Loopback) },
	}}
}

const turnService = "turn"

// turnCommands are the commands of the TURN server (guide chapter 4.7).
func (d Deps) turnCommands() []grammar.Command {
	set := func(edit func(*grammar.Call, *config.TURN)) func(*grammar.Call) error {
		return func(c *grammar.Call) error {
			return d.changeTURN(c, func(t *config.TURN) error {
				edit(c, t)
				return nil
			})
		}
	}
	return []grammar.Command{
		{
			Syntax: "turn", Roles: admins,
			Help:   "Show the TURN server's settings, its password in clear",
			Detail: "Relay address is that of the first interface that it listens on; relay ports are UDP 50000 to 62000.",
			Run:    d.showTURN,
		},
		{
			Syntax: "turn listen <interface:listener>…", Roles: admins,
			Help: "Choose the interfaces of the TURN server, the first of which has the relay address",
			Detail: "For example turn listen a, or turn listen a lo where the Call Bridge is on the same machine. UDP 3478 is opened on each. " +
				"The server has to be disabled.",
			Run: func(c *grammar.Call) error { return d.listenTURN(c, c.Rest()) },
		},
		{
			Syntax: "turn listen none", Roles: admins,
			Help:   "Let the TURN server listen nowhere",
			Detail: "The server has to be disabled.",
			Run:    func(c *grammar.Call) error { return d.listenTURN(c, nil) },
		},
		{
			Syntax: "turn tls (<port>|none)", Roles: admins,
			Help: "Open a TCP port for TURN, or none",
			Detail: "For example turn tls 443. It takes plain TCP, as browsers use it, and TLS when there are certificates; TCP 3478 is opened " +
				"with it. On a running server calls that go through it end.",
			Run: set(func(c *grammar.Call, t *config.TURN) { t.TLSPort = c.Int("port") }),
		},
		{
			Syntax: "turn certs <key:file> <certificate:file> [<bundle:file>]", Roles: cryptos,
			Help: "Choose the key and certificate of the TURN server for TLS, with a bundle of intermediate certificates",
			Detail: "For example turn certs turn.key turn.crt bundle.crt; the files are put by SFTP. A running server takes them at once, and " +
				"no call ends. Files of the same name that are put later count after turn restart.",
			Run: d.certifyTURN,
		},
		{
			Syntax: "turn certs none", Roles: cryptos,
			Help: "Take the certificates away; TCP goes on without TLS",
			Run:  set(func(_ *grammar.Call, t *config.TURN) { t.Certificates = config.Certificates{} }),
		},
		{
			Syntax: "turn credentials <user:word> <password:secret> <realm:word>", Roles: admins,
			Help: "Set the static user name, password and realm",
			Detail: "They count while short-term credentials are disabled, which are safer. On a running server calls go on, and new ones need " +
				"the new credentials.",
			Run: set(func(c *grammar.Call, t *config.TURN) {
				t.Username, t.Password, t.Realm = c.Arg("user"), c.Arg("password"), c.Arg("realm")
			}),
		},
		{
			Syntax: "turn short_term_credentials_mode (enable|disable)", Roles: admins,
			Help: "Take time-limited user names instead of the static one",
			Run:  set(func(c *grammar.Call, t *config.TURN) { t.ShortTerm = c.Has("enable") }),
		},
		{
			Syntax: "turn short_term_credentials <secret> <realm:word>", Roles: admins,
			Help:   "Set the shared secret and realm of short-term credentials",
			Detail: "The same secret goes into the turnServers object of the Call Bridge. On a running server calls go on.",
			Run:    set(func(c *grammar.Call, t *config.TURN) { t.SharedSecret, t.Realm = c.Arg("secret"), c.Arg("realm") }),
		},
		{
			Syntax: "turn public-ip <address:ipv4>", Roles: admins,
			Help:   "Set the public address that a firewall maps to the relay address",
			Detail: "On a running server calls that go through it end. The firewall needs no hairpin NAT: relays reach each other inside.",
			Run:    set(func(c *grammar.Call, t *config.TURN) { t.PublicIP = c.Addr("address") }),
		},
		{
			Syntax: "turn delete public-ip", Roles: admins,
			Help: "Forget the public address",
			Run: func(c *grammar.Call) error {
				return d.changeTURN(c, func(t *config.TURN) error {
					if !t.PublicIP.IsValid() {
						return errors.New("there is no public address")
					}
					t.PublicIP = netip.Addr{}
					return nil
				})
			},
		},
		{
			Syntax: "turn highcapacity-mode (enable|disable)", Roles: admins,
			Help:   "Carry media on every core by the fast path, which is the default, or not",
			Detail: "On a running server calls that go through it end.",
			Run:    set(func(c *grammar.Call, t *config.TURN) { t.LowCapacity = c.Has("disable") }),
		},
		{
			Syntax: "turn enable", Roles: admins,
			Help: "Start the TURN server",
			Run:  d.enableTURN,
		},
		{
			Syntax: "turn disable", Roles: admins,
			Help:   "Stop the TURN server",
			Detail: "Calls that go through it end.",
			Run:    set(func(_ *grammar.Call, t *config.TURN) { t.Enabled = false }),
		},
		{
			Syntax: "turn restart", Roles: admins,
			Help:   "Stop the TURN server and start it anew",
			Detail: "It reads its certificates again. Calls that go through it end.",
			Run:    d.restartTURN,
		},
	}
}

func (d Deps) changeTURN(c *grammar.Call, edit func(*config.TURN) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.TURN) })
}

func (d Deps) listenTURN(c *grammar.Call, names []string) error {
	return d.changeTURN(c, func(t *config.TURN) error {
		if t.Enabled {
			return errors.New("the TURN server is enabled: use turn disable first")
		}
		t.Listen = names
		return nil
	})
}

func (d Deps) certifyTURN(c *grammar.Call) error {
	files := config.Certificates{Key: c.Arg("key"), Certificate: c.Arg("certificate"), Bundle: c.Arg("bundle")}
	if err := d.judgePair(c, files, server); err != nil {
		return err
	}
	return d.changeTURN(c, func(t *config.TURN) error {
		t.Certificates = files
		return nil
	})
}

func (d Deps) enableTURN(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	t := running.Document.TURN
	if missing := t.Missing(); missing != "" {
		return fmt.Errorf("FAILURE: %s", missing)
	}
	if t.Certificates.Key != "" {
		if err := d.succeedPair(c, t.Certificates, server); err != nil {
			return err
		}
	}
	err = d.changeTURN(c, func(t *config.TURN) error {
		t.Enabled = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	if err := d.awaitService(c, turnService); err != nil {
		return err
	}
	c.Printf("SUCCESS: TURN server enabled\n")
	return nil
}

func (d Deps) restartTURN(c *grammar.Call) error {
	enabled := false
	err := d.changeTURN(c, func(t *config.TURN) error {
		enabled = t.Enabled
		t.Enabled = false
		return nil
	})
	if err != nil {
		return err
	}
	if !enabled {
		return errors.New("the TURN server is not enabled: use turn enable")
	}
	return d.enableTURN(c)
}

func (d Deps) showTURN(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	t := running.Document.TURN
	row := func(name, value string) {
		if value == "" {
			value = "none"
		}
		c.Printf("%-24s: %s\n", name, value)
	}
	public, port := "", ""
	if t.PublicIP.IsValid() {
		public = t.PublicIP.String()
	}
	if t.TLSPort != 0 {
		port = strconv.Itoa(t.TLSPort)
	}
	row("Enabled", strconv.FormatBool(t.Enabled))
	row("Username", t.Username)
	row("Password", t.Password)
	row("Short term credentials", enabledWord(t.ShortTerm))
	row("Shared secret", t.SharedSecret)
	row("Realm", t.Realm)
	row("Public IP", public)
	row("High Capacity Mode", enabledWord(!t.LowCapacity))
	row("Relay address", d.relayAddress(c, t))
	row("TLS port", port)
	row("TLS cert", t.Certificates.Certificate)
	row("TLS key", t.Certificates.Key)
	row("TLS bundle", t.Certificates.Bundle)
	for _, name := range t.Listen {
		c.Printf("%-22s%s\n", "Listen interface", name)
	}
	return nil
}

// relayAddress is the first address of the first interface, IPv4 before IPv6; empty while there is none.
func (d Deps) relayAddress(c *grammar.Call, t config.TURN) string {
	list, err := d.Machine.Interfaces(c.Context)
	if err != nil {
		return ""
	}
	found := ""
	for _, name := range t.Listen {
		for _, i := range list {
			if i.Name != name {
				continue
			}
			for _, p := range i.Addresses {
				switch {
				case p.Addr().Is4():
					return p.Addr().String()
				case found == "" && !p.Addr().IsLinkLocalUnicast():
					found = p.Addr().String()
				}
			}
		}
	}
	return found
}
