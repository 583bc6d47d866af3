package commands

import (
	"fmt"
	"strings"

	"rotunda/mmp/grammar"
)

// defaultImage is the name that the deployment guide has administrators use.
const defaultImage = "upgrade" + upgradeSuffix

func (d Deps) upgradeCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "upgrade [<file:image>]", Roles: admins,
			Help: "Install an upgrade image that was put by SFTP, and restart into it",
			Detail: "upgrade.img unless a file is named. Signature, platform, size and room are checked, you are told what will happen, and " +
				"nothing happens without a capital Y. A backup is taken first. A version that does not prove itself within three " +
				"starts is left for the one before.",
			Run: d.upgrade,
		},
		{
			Syntax: "upgrade list", Roles: readers,
			Help: "List the installed versions, the newest first",
			Run:  d.listVersions,
		},
		{
			Syntax: "upgrade delete <number:1..999999>", Roles: admins,
			Help:   "Remove an installed version by its number in upgrade list",
			Detail: "Neither the running version nor the one to fall back to can be removed.",
			Run: func(c *grammar.Call) error {
				if err := d.Machine.DeleteVersion(c.Context, c.Int("number")); err != nil {
					return err
				}
				c.Printf("Version %d removed\n", c.Int("number"))
				return nil
			},
		},
	}
}

func (d Deps) upgrade(c *grammar.Call) error {
	file := defaultImage
	if c.Has("file") {
		file = c.Arg("file")
	}
	plan, err := d.Machine.CheckUpgrade(c.Context, file)
	if err != nil {
		return err
	}
	line := func(name, format string, a ...any) { c.Printf("%-8s : %s\n", name, fmt.Sprintf(format, a...)) }
	line("File", "%s (%s)", plan.File, size(uint64(max(plan.Size, 0))))
	line("Platform", "%s", plan.Platform)
	line("Running", "%s", plan.From)
	line("New", "%s (build %s)", plan.Version, plan.Build)
	if len(plan.Replaces) > 0 {
		line("Removes", "%s", strings.Join(plan.Replaces, ", "))
	}
	c.Printf("A backup is taken, the new version is installed beside the running one, and the machine restarts.\n")
	if err := c.Confirm(areYouSure); err != nil {
		return err
	}
	done, err := d.Machine.Upgrade(c.Context, plan.File)
	if err != nil {
		return err
	}
	if done.Backup != "" {
		c.Printf("%s ready for download\n", done.Backup)
	}
	c.Printf("%s is installed, the machine restarts now\n", done.Version)
	return nil
}

func (d Deps) listVersions(c *grammar.Call) error {
	list, err := d.Machine.Versions(c.Context)
	if err != nil {
		return err
	}
	rows := [][]string{{"NUMBER", "VERSION", "BUILD", "SIZE", "STATE"}}
	for _, v := range list {
		state := v.State
		if v.Trial {
			state = fmt.Sprintf("%s, on trial, %d starts left", state, v.TriesLeft)
		}
		rows = append(rows, []string{fmt.Sprint(v.Number), printable(v.Version), printable(v.Build), size(uint64(max(v.Size, 0))), state})
	}
	table(c, "", rows)
	return nil
}
