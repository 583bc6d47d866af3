package commands

import (
	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

func (d Deps) hostnameCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "hostname", Roles: readers,
			Help: "Show the host name",
			Run: func(c *grammar.Call) error {
				running, err := d.Machine.Config(c.Context)
				if err == nil {
					c.Printf("%s\n", running.Document.Hostname)
				}
				return err
			},
		},
		{
			Syntax: "hostname <name:hostname>", Roles: admins, Joins: true, Needs: "reboot",
			Help:   "Set the host name",
			Detail: "For example london1 or mybox.example.com; up to 64 characters.",
			Run: func(c *grammar.Call) error {
				return d.change(c, func(doc *config.Document) error {
					doc.Hostname = c.Arg("name")
					return nil
				})
			},
		},
	}
}
