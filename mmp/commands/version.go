package commands

import (
	"rotunda/mmp/grammar"
)

func (d Deps) versionCommands() []grammar.Command {
	return []grammar.Command{{
		Syntax: "version", Roles: readers,
		Help: "Show the release that runs",
		Detail: "The first line is the release alone. A release on trial has not proved itself yet; if it does not, the machine goes " +
			"back to the one before.",
		Run: d.showVersion,
	}}
}

func (d Deps) showVersion(c *grammar.Call) error {
	r, err := d.Machine.Release(c.Context)
	if err != nil {
		return err
	}
	c.Printf("%s\n", r.Version)
	row := func(name, value string) { c.Printf("%-11s : %s\n", name, value) }
	row("Build", r.Build)
	row("Kernel", r.Kernel)
	row("Platform", r.Platform)
	row("Board", r.Board)
	row("Signing key", r.SigningKey)
	row("On trial", yesNo(r.Trial))
	if r.SigningKey == "development" {
		c.Printf("WARNING: this image accepts upgrades signed with the public development key\n")
	}
	return nil
}
