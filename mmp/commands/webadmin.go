package commands

import (
	"errors"
	"fmt"
	"strconv"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

const webAdminService = "webadmin"

// webAdminCommands are the commands of the Web Admin (guide chapter 4.4).
func (d Deps) webAdminCommands() []grammar.Command {
	set := func(edit func(*grammar.Call, *config.WebAdmin)) func(*grammar.Call) error {
		return func(c *grammar.Call) error {
			return d.changeWebAdmin(c, func(w *config.WebAdmin) error {
				edit(c, w)
				return nil
			})
		}
	}
	return []grammar.Command{
		{
			Syntax: "webadmin", Roles: readers,
			Help: "Show the Web Admin's settings, and on the last line whether it runs",
			Run:  d.showWebAdmin,
		},
		{
			Syntax: "webadmin listen <interface> [<port>]", Roles: admins,
			Help: "Choose the interface and port of the Web Admin",
			Detail: "For example webadmin listen a 445; without a port it is 443. The API is there, too. A running Web Admin goes over at once, and who is " +
				"signed in at the old address has to open the new one.",
			Run: set(func(c *grammar.Call, w *config.WebAdmin) {
				w.Interface, w.Port = c.Arg("interface"), 0
				if c.Has("port") {
					w.Port = c.Int("port")
				}
			}),
		},
		{
			Syntax: "webadmin listen none", Roles: admins,
			Help:   "Let the Web Admin listen nowhere",
			Detail: "It has to be disabled.",
			Run: func(c *grammar.Call) error {
				return d.changeWebAdmin(c, func(w *config.WebAdmin) error {
					w.Interface, w.Port = "", 0
					return idle(*w)
				})
			},
		},
		{
			Syntax: "webadmin certs <key:file> <certificate:file> [<bundle:file>]", Roles: cryptos,
			Help: "Choose the key and certificate of the Web Admin, with a bundle of intermediate certificates",
			Detail: "For example webadmin certs webadmin.key webadmin.crt bundle.crt; the files are put by SFTP. A running Web Admin takes them at " +
				"once. Files of the same name that are put later count after webadmin restart.",
			Run: d.certifyWebAdmin,
		},
		{
			Syntax: "webadmin certs none", Roles: cryptos,
			Help:   "Take the certificates away",
			Detail: "The Web Admin has to be disabled.",
			Run: func(c *grammar.Call) error {
				return d.changeWebAdmin(c, func(w *config.WebAdmin) error {
					w.Certificates = config.Certificates{}
					return idle(*w)
				})
			},
		},
		{
			Syntax: "webadmin http-redirect (enable|disable)", Roles: admins,
			Help: "Open port 80 and send browsers on to the Web Admin, or not",
			Run:  set(func(c *grammar.Call, w *config.WebAdmin) { w.HTTPRedirect = c.Has("enable") }),
		},
		{
			Syntax: "webadmin enable", Roles: admins,
			Help: "Start the Web Admin",
			Run:  d.enableWebAdmin,
		},
		{
			Syntax: "webadmin disable", Roles: admins,
			Help:   "Stop the Web Admin",
			Detail: "Everybody is signed out, and the API is left to this machine alone. Calls go on.",
			Run:    set(func(_ *grammar.Call, w *config.WebAdmin) { w.Enabled = false }),
		},
		{
			Syntax: "webadmin restart", Roles: admins,
			Help:   "Stop the Web Admin and start it anew",
			Detail: "It reads its certificates again. Everybody is signed out; calls go on.",
			Run:    d.restartWebAdmin,
		},
		{
			Syntax: "webadmin status", Roles: readers,
			Help: "Show whether the Web Admin runs, and why not",
			Run:  d.webAdminStatus,
		},
	}
}

// idle refuses what a running Web Admin cannot do without.
func idle(w config.WebAdmin) error {
	if w.Enabled {
		return errors.New("webadmin is enabled: use webadmin disable first")
	}
	return nil
}

func (d Deps) changeWebAdmin(c *grammar.Call, edit func(*config.WebAdmin) error) error {
	return d.change(c, func(doc *config.Document) error { return edit(&doc.WebAdmin) })
}

func (d Deps) certifyWebAdmin(c *grammar.Call) error {
	files := config.Certificates{Key: c.Arg("key"), Certificate: c.Arg("certificate"), Bundle: c.Arg("bundle")}
	if err := d.judgePair(c, files, server); err != nil {
		return err
	}
	return d.changeWebAdmin(c, func(w *config.WebAdmin) error {
		w.Certificates = files
		return nil
	})
}

// checkWebAdmin says whether it can run.
func (d Deps) checkWebAdmin(c *grammar.Call, w config.WebAdmin) error {
	if missing := w.Missing(); missing != "" {
		return fmt.Errorf("FAILURE: %s", missing)
	}
	c.Printf("SUCCESS: TLS interface and port configured\n")
	return d.succeedPair(c, w.Certificates, server)
}

func (d Deps) enableWebAdmin(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	if err := d.checkWebAdmin(c, running.Document.WebAdmin); err != nil {
		return err
	}
	err = d.changeWebAdmin(c, func(w *config.WebAdmin) error {
		w.Enabled = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	if err := d.awaitService(c, webAdminService); err != nil {
		return err
	}
	c.Printf("SUCCESS: webadmin enabled\n")
	return nil
}

func (d Deps) restartWebAdmin(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	w := running.Document.WebAdmin
	if !w.Enabled {
		return errors.New("webadmin is not enabled: use webadmin enable")
	}
	if err := d.checkWebAdmin(c, w); err != nil {
		return err
	}
	if err := d.Machine.Restart(c.Context, webAdminService); err != nil {
		return fmt.Errorf("FAILURE: %w", err)
	}
	if err := d.awaitService(c, webAdminService); err != nil {
		return err
	}
	c.Printf("SUCCESS: webadmin restarted\n")
	return nil
}

func (d Deps) showWebAdmin(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	w := running.Document.WebAdmin
	port, redirect := "none", "Disabled"
	if w.Interface != "" {
		port = strconv.Itoa(w.ListenPort())
	}
	if w.HTTPRedirect {
		redirect = "Enabled"
	}
	row := func(name, value string) { c.Printf("%-24s: %s\n", name, orNone(value)) }
	row("Enabled", strconv.FormatBool(w.Enabled))
	row("TLS listening interface", w.Interface)
	row("TLS listening port", port)
	row("Key file", w.Certificates.Key)
	row("Certificate file", w.Certificates.Certificate)
	if w.Certificates.Bundle != "" {
		row("CA Bundle file", w.Certificates.Bundle)
	}
	row("HTTP redirect", redirect)
	return d.webAdminStatus(c)
}

func (d Deps) webAdminStatus(c *grammar.Call) error {
	s, there, err := d.service(c, webAdminService)
	if err != nil {
		return err
	}
	status := "webadmin running"
	if !there || s.State != "ready" {
		status = "webadmin not running"
		if there && s.LastExit != "" {
			// Why comes first: scripts read the last line.
			c.Printf("%-24s: %s\n", "Last exit", printable(s.LastExit))
		}
	}
	c.Printf("%-24s: %s\n", "STATUS", status)
	return nil
}
