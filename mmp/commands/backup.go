package commands

import (
	"fmt"
	"io/fs"
	"strings"

	"rotunda/mmp/grammar"
)

const (
	backupSuffix  = ".bak"
	upgradeSuffix = ".img"
)

// transferKinds are the files that wait in the transfer folder.
func (d Deps) transferKinds() []grammar.Kind {
	list := func(suffix string) func(*grammar.Caller) []string {
		return func(*grammar.Caller) []string {
			names, err := d.uploads(suffix)
			if err != nil {
				return nil
			}
			return names
		}
	}
	return []grammar.Kind{
		{Name: "backup", Help: "the name of a backup, with or without .bak; backup list shows those that are there", Complete: list(backupSuffix)},
		{Name: "image", Help: "the name of an upgrade image that was put by SFTP", Complete: list(upgradeSuffix)},
		{Name: "backupname", Help: "a name of 1 to 64 letters, digits, dots, hyphens and underscores, for example london1_2026_05_04"},
	}
}

// uploads lists the whole files of one kind in the transfer folder, by name and without hidden ones.
func (d Deps) uploads(suffix string) ([]string, error) {
	entries, err := fs.ReadDir(d.Transfer, ".")
	if err != nil {
		return nil, fmt.Errorf("list the transfer folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) && e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d Deps) backupCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "backup snapshot <name:backupname>", Roles: admins,
			Help: "Write a backup of the machine to <name>.bak, ready for SFTP",
			Detail: "It holds addresses, accounts with their passwords, SSH host keys, certificates and keys, licence and application data, " +
				"and is not encrypted: keep it safe. A backup of the same name is replaced.",
			Run: func(c *grammar.Call) error {
				file, err := d.Machine.Snapshot(c.Context, c.Arg("name"))
				if err == nil {
					c.Printf("%s ready for download\n", file)
				}
				return err
			},
		},
		{
			Syntax: "backup list", Roles: admins,
			Help:   "List the backups, own and uploaded ones",
			Detail: "One name a line, without .bak.",
			Run: func(c *grammar.Call) error {
				names, err := d.uploads(backupSuffix)
				for _, n := range names {
					c.Printf("%s\n", strings.TrimSuffix(n, backupSuffix))
				}
				return err
			},
		},
		{
			Syntax: "backup rollback <name:backup>", Roles: admins,
			Help: "Replace everything by a backup and restart",
			Detail: "Configuration, accounts, certificates, keys, licence and application data are overwritten, addresses included; files " +
				"ending in .json are not. The backup is read to its last byte first; one that is damaged, of another platform or " +
				"of a newer configuration is refused. Asks for a capital Y.",
			Run: d.rollback,
		},
	}
}

func (d Deps) rollback(c *grammar.Call) error {
	b, err := d.Machine.CheckBackup(c.Context, c.Arg("name"))
	if err != nil {
		return err
	}
	c.Printf("%s of %s, made %s, version %s, %d files\n", b.File, printable(b.Hostname), b.Created.In(d.Location).Format(clockLayout),
		printable(b.Version), b.Files)
	c.Printf("WARNING!!! This overwrites configuration, addresses, accounts, certificates, keys, licence and application data, and " +
		"restarts the machine.\n")
	if err := c.Confirm(areYouSure); err != nil {
		return err
	}
	if err := d.Machine.Rollback(c.Context, b.File); err != nil {
		return err
	}
	c.Printf("Rolled back to %s, the machine restarts now\n", b.File)
	return nil
}
