package commands

import (
	"fmt"

	"rotunda/mmp/grammar"
)

func (d Deps) dfCommands() []grammar.Command {
	return []grammar.Command{{
		Syntax: "df", Roles: readers,
		Help: "Show how full the file systems are, in bytes and in files",
		Run:  d.showFilesystems,
	}}
}

// showFilesystems prints the two tables. Scripts look for the first two words of each header and split the rows, which
// have six columns each.
func (d Deps) showFilesystems(c *grammar.Call) error {
	list, err := d.Machine.Filesystems(c.Context)
	if err != nil {
		return err
	}
	line := func(cells ...any) { c.Printf("%-10s %-8s %-8s %-8s %-5s %s\n", cells...) }
	line("Filesystem", "Size", "Used", "Avail", "Use%", "Mounted on")
	for _, f := range list {
		line(f.Device, size(f.Size), size(f.Used), size(f.Free), percent(f.Used, f.Used+f.Free), f.Mount)
	}
	c.Printf("\n")
	line("Filesystem", "Inodes", "IUsed", "IFree", "IUse%", "Mounted on")
	for _, f := range list {
		line(f.Device, fmt.Sprint(f.Inodes), fmt.Sprint(f.IUsed), fmt.Sprint(f.IFree), percent(f.IUsed, f.Inodes), f.Mount)
	}
	return nil
}

// percent rounds up, as df does: a file system with one file in it is not empty.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "0%"
	}
	return fmt.Sprintf("%d%%", (part*100+whole-1)/whole)
}
