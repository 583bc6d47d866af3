package commands

import (
	"rotunda/mmp/grammar"
)

// areYouSure is the question of every command that cannot be undone; only a capital Y says yes.
const areYouSure = "Are you sure you wish to proceed?"

func (d Deps) resetCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "factory_reset app", Roles: admins,
			Help: "Clear the application data and restart",
			Detail: "Configuration, accounts, certificates, licence and backups stay, so that you can log in and roll a backup back. " +
				"Asks for a capital Y.",
			Run: func(c *grammar.Call) error {
				c.Printf("WARNING!!! This clears the application data and restarts the machine.\n")
				return d.reset(c, "app")
			},
		},
		{
			Syntax: "factory_reset full", Roles: admins,
			Help: "Clear everything and restart as on the first day",
			Detail: "Addresses, accounts, certificates, licence, backups and logs are cleared; the installed versions stay. The console is " +
				"then the sure way in. Asks for a capital Y.",
			Run: func(c *grammar.Call) error {
				c.Printf("WARNING!!! This clears everything: addresses, accounts, certificates, licence, backups, logs. You need the " +
					"console afterwards.\n")
				return d.reset(c, "full")
			},
		},
	}
}

func (d Deps) reset(c *grammar.Call, scope string) error {
	if err := c.Confirm(areYouSure); err != nil {
		return err
	}
	if err := d.Machine.FactoryReset(c.Context, scope); err != nil {
		return err
	}
	c.Printf("The machine restarts now\n")
	return nil
}
