package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

var (
	// auditors alone choose where the audit log goes: who changes the machine may not say who watches.
	auditors = []grammar.Role{grammar.Audit}
	// auditReaders may look at it.
	auditReaders = []grammar.Role{grammar.Admin, grammar.Audit}
)

// syslogCommands say where the log goes (guide chapter 3.1.4); logCommands show it.
func (d Deps) syslogCommands() []grammar.Command {
	list := []grammar.Command{
		{
			Syntax: "syslog", Roles: readers,
			Help:   "Show where the log goes, and whether it gets there",
			Detail: "WAITING is how much of the log a server does not have yet. It is kept for it, up to 96 MB.",
			Run:    d.showSyslog,
		},
		{
			Syntax: "syslog server add <host:syslogserver> [<port>]", Roles: admins, Joins: true,
			Help: "Send the log to a server",
			Detail: "For example syslog server add syslog01.example.com 514. The server has to take TCP; the port is 514 where none is given. With tls: before " +
				"the host it is reached by TLS, at port 6514, and its certificate is verified: see tls syslog trust. Up to 8 servers get what is logged from now on, once syslog enable is given.",
			Run: func(c *grammar.Call) error {
				return d.changeSyslog(c, addServer(c, func(s *config.Syslog) *[]config.SyslogServer { return &s.Servers }))
			},
		},
		{
			Syntax: "syslog server del <host:logserver> [<port>]", Roles: admins, Joins: true,
			Help: "Send the log to a server no more",
			Run: func(c *grammar.Call) error {
				return d.changeSyslog(c, delServer(c, "syslog", func(s *config.Syslog) *[]config.SyslogServer { return &s.Servers }))
			},
		},
		{
			Syntax: "syslog (enable|disable)", Roles: admins, Joins: true,
			Help:   "Send the log to its servers, or to none",
			Detail: "What is logged meanwhile is sent after syslog enable. The audit log goes to its own servers all the same.",
			Run: func(c *grammar.Call) error {
				without := false
				err := d.changeSyslog(c, func(s *config.Syslog) error {
					s.Enabled = c.Has("enable")
					without = s.Enabled && len(s.Servers) == 0
					return nil
				})
				if err == nil && without {
					c.Printf("Warning: there is no server yet: use syslog server add <host>\n")
				}
				return err
			},
		},
		{
			Syntax: "syslog audit", Roles: auditReaders,
			Help: "Show where the audit log goes, and whether it gets there",
			Run:  d.showAudit,
		},
		{
			Syntax: "syslog audit add <servername:syslogserver> [<port>]", Roles: auditors, Joins: true,
			Help:   "Send the audit log to a server",
			Detail: "For example syslog audit add audit-server.example.org, with the same ports and tls: as syslog server add. Only users of the role audit may say where the audit log goes.",
			Run: func(c *grammar.Call) error {
				return d.changeSyslog(c, addServer(c, func(s *config.Syslog) *[]config.SyslogServer { return &s.Audit }))
			},
		},
		{
			Syntax: "syslog audit del <servername:auditserver> [<port>]", Roles: auditors, Joins: true,
			Help: "Send the audit log to a server no more",
			Run: func(c *grammar.Call) error {
				return d.changeSyslog(c, delServer(c, "audit", func(s *config.Syslog) *[]config.SyslogServer { return &s.Audit }))
			},
		},
	}
	return slices.Concat(list, d.logCommands())
}

func (d Deps) syslogTLSCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "tls syslog", Roles: readers,
			Help: "Show how log servers are reached by TLS",
			Run: func(c *grammar.Call) error {
				running, err := d.Machine.Config(c.Context)
				if err != nil {
					return err
				}
				k := running.Document.Syslog.TLS
				for _, row := range [][3]string{{"Trust bundle", k.Trust, "none"}, {"Minimum TLS version", k.MinVersion, config.DefaultTLS}} {
					if row[1] == "" {
						row[1] = row[2]
					}
					c.Printf("%-24s: %s\n", row[0], row[1])
				}
				return nil
			},
		},
		{
			Syntax: "tls syslog trust (<bundle:file>|none)", Roles: cryptos,
			Help:   "Choose the certificates by which log servers are verified",
			Detail: "For example tls syslog trust ca.crt; the file is put by SFTP. Servers that are added with tls: are always verified.",
			Run: func(c *grammar.Call) error {
				bundle := c.Arg("bundle")
				if bundle != "" {
					if err := d.judgeBundle(c, bundle); err != nil {
						return err
					}
				}
				return d.changeSyslog(c, func(s *config.Syslog) error {
					s.TLS.Trust = bundle
					return nil
				})
			},
		},
		{
			Syntax: "tls syslog min-tls-version <version:(" + strings.Join(config.TLSVersions, "|") + ")>", Roles: cryptos,
			Help:   "Choose the oldest version of TLS that is taken of log servers",
			Detail: "It is 1.2 where nothing is chosen.",
			Run: func(c *grammar.Call) error {
				return d.changeSyslog(c, func(s *config.Syslog) error {
					s.TLS.MinVersion = notDefault(c.Arg("version"))
					return nil
				})
			},
		},
	}
}

// syslogKinds are names of servers, to be added and of those that are there.
func (d Deps) syslogKinds() []grammar.Kind {
	check := func(w string) error {
		host := strings.TrimPrefix(w, "tls:")
		if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
			return nil
		}
		return grammar.CheckHostname(host)
	}
	known := func(of func(config.Syslog) []config.SyslogServer) func(*grammar.Caller) []string {
		return func(*grammar.Caller) []string {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			running, err := d.Machine.Config(ctx)
			if err != nil {
				return nil
			}
			var names []string
			for _, s := range of(running.Document.Syslog) {
				names = append(names, s.Name())
			}
			return names
		}
	}
	const help = "a host name or an address, with tls: before it for TLS"
	return []grammar.Kind{
		{Name: "syslogserver", Help: help, Check: check, Spell: spellServer},
		{Name: "logserver", Help: help, Check: check, Spell: spellServer, Complete: known(func(s config.Syslog) []config.SyslogServer { return s.Servers })},
		{Name: "auditserver", Help: help, Check: check, Spell: spellServer, Complete: known(func(s config.Syslog) []config.SyslogServer { return s.Audit })},
		{Name: "logtime", Help: "a time in UTC, for example 2026-05-04 or 2026-05-04T13:30:00", Check: func(w string) error {
			_, err := parseLogTime(w)
			return err
		}},
	}
}

// spellServer brings the word for TLS into small letters; hosts stay as they are typed.
func spellServer(word string) string {
	const secure = "tls:"
	if n := len(secure); len(word) >= n && strings.EqualFold(word[:n], secure) {
		return secure + word[n:]
	}
	return word
}

func (d Deps) changeSyslog(c *grammar.Call, edit func(*config.Syslog) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.Syslog) })
}

// serverHost is what a call names.
func serverHost(c *grammar.Call) string { return c.Arg("host") + c.Arg("servername") }

func addServer(c *grammar.Call, list func(*config.Syslog) *[]config.SyslogServer) func(*config.Syslog) error {
	return func(s *config.Syslog) error {
		one := config.ParseSyslogServer(serverHost(c), c.Int("port"))
		l := list(s)
		if slices.ContainsFunc(*l, one.Same) {
			return isThere("%s is sent the log already, at port %d", one.Name(), one.ReachedAt())
		}
		*l = append(*l, one)
		return nil
	}
}

// delServer takes out the one server of that name; with a port, the one at that port.
func delServer(c *grammar.Call, kind string, list func(*config.Syslog) *[]config.SyslogServer) func(*config.Syslog) error {
	return func(s *config.Syslog) error {
		l := list(s)
		one := config.ParseSyslogServer(serverHost(c), c.Int("port"))
		var found []int
		for i, o := range *l {
			if o.TLS == one.TLS && strings.EqualFold(o.Host, one.Host) && (!c.Has("port") || o.Same(one)) {
				found = append(found, i)
			}
		}
		switch len(found) {
		case 0:
			return fmt.Errorf("there is no %s server %s; there are %s", kind, serverHost(c), listOf(*l, config.SyslogServer.Name))
		case 1:
			*l = slices.Delete(*l, found[0], found[0]+1)
			return nil
		}
		return fmt.Errorf("there is more than one %s server %s: say which port", kind, serverHost(c))
	}
}

func (d Deps) showSyslog(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	s := running.Document.Syslog
	state := "disabled"
	if s.Enabled {
		state = "enabled"
	}
	c.Printf("Remote logging : %s\n", state)
	if len(s.Servers)+len(s.Audit) == 0 {
		c.Printf("There is no server: use syslog server add <host>\n")
		return nil
	}
	d.serverTable(c, s, s.Servers, s.Audit)
	return nil
}

func (d Deps) showAudit(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	s := running.Document.Syslog
	if len(s.Audit) == 0 {
		c.Printf("There is no audit server: users of the role audit add them by syslog audit add <servername>\n")
		return nil
	}
	d.serverTable(c, s, nil, s.Audit)
	return nil
}

// serverTable shows the servers with what the forwarder says of them.
func (d Deps) serverTable(c *grammar.Call, s config.Syslog, servers, audit []config.SyslogServer) {
	var known control.SyslogStatus
	if err := control.ReadStatus(d.status(), control.SyslogStatusFile, &known); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Printf("Warning: the state of the servers cannot be read: %s\n", printable(err.Error()))
	}
	rows := [][]string{{"LOG", "SERVER", "PORT", "STATE", "SENT", "WAITING"}}
	var problems []string
	add := func(kind string, list []config.SyslogServer, on bool) {
		for _, one := range list {
			row := []string{kind, one.Name(), fmt.Sprint(one.ReachedAt()), "waiting", "-", "-"}
			if !on {
				row[3] = "disabled"
			}
			i := slices.IndexFunc(known.Servers, func(k control.SyslogServer) bool {
				return k.Name == one.Name() && k.Port == one.ReachedAt() && k.Audit == (kind == "audit")
			})
			if on && i >= 0 {
				k := known.Servers[i]
				row[3], row[4], row[5] = dash(k.State), fmt.Sprint(k.Sent), size(uint64(max(k.Waiting, 0)))
				if k.Problem != "" {
					problems = append(problems, fmt.Sprintf("%s : %s\n", one.Name(), printable(k.Problem)))
				}
			}
			rows = append(rows, row)
		}
	}
	add("log", servers, s.Enabled)
	add("audit", audit, true)
	table(c, "", rows)
	for _, p := range slices.Compact(problems) {
		c.Printf("%s", p)
	}
}
