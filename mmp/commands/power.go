package commands

import (
	"rotunda/mmp/grammar"
)

// powerCommands end this start of the machine. They ask nothing: scripts run "ssh host reboot" and expect it to
// happen, the reference confirms other commands only, and nothing that was stored is lost.
func (d Deps) powerCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "reboot", Roles: admins,
			Help:   "Restart the machine",
			Detail: "At once and without a question; calls in progress end.",
			Run: func(c *grammar.Call) error {
				if err := d.Machine.Power(c.Context, "reboot"); err != nil {
					return err
				}
				c.Printf("The machine restarts now\n")
				return nil
			},
		},
		{
			Syntax: "shutdown", Roles: admins,
			Help:   "Switch the machine off",
			Detail: "At once and without a question; calls in progress end. It takes hands, or the hypervisor, to switch it on again.",
			Run: func(c *grammar.Call) error {
				if err := d.Machine.Power(c.Context, "shutdown"); err != nil {
					return err
				}
				c.Printf("The machine switches off now\n")
				return nil
			},
		},
	}
}
