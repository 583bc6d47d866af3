// Package commands declares every command of the management shell but those that are about the session itself
// (package shell). Syntax and layouts follow the command reference to the column, since scripts parse them; where a
// layout was free it is a table whose columns are as wide as their widest cell, or "Name : value".
//
// Nothing here keeps state. A command that changes the configuration reads the running document, changes a copy and
// sends it back with the generation that it read; if somebody else was faster it starts again. What a command may
// change in one step is decided by PID 1, so a crash of the shell between two lines of a command leaves the machine as
// it was or as it was asked to be.
package commands

//go:generate go test -count=1 -run ReferencePage|ZoneList -update .

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/plain"
	"rotunda/mmp/accounts"
	"rotunda/mmp/commands/probe"
	"rotunda/mmp/grammar"
)

// Deps are what the commands work with.
type Deps struct {
	Machine  control.Machine
	Accounts *accounts.Store
	// Transfer is the folder with upgrade images and backups.
	Transfer fs.FS
	// Stored are certificates, keys and what else administrators have put.
	Stored StoredFiles
	// Shelf is where pki commands list and store them; nil means that there is no storage.
	Shelf    Shelf
	HostKeys HostKeys
	// Logs is the folder of the logs; Keeper keeps copies of them. Without storage both are missing.
	Logs   string
	Keeper LogKeeper
	// Captures says how large a capture may become; nil means that there is no storage.
	Captures CaptureRoom
	// Bundles makes log bundles that stay; nil likewise.
	Bundles BundleMaker
	// Status has what services say of themselves below run/rotunda; nil means that of this machine.
	Status fs.FS
	Prober Prober
	// Notices keeps what people read when they log in; nil means that there is no storage.
	Notices NoticeBoard
	// People asks the directory, for ldap test; nil means that nobody can.
	People People
	// Revocation asks whether certificates were revoked, for pki verify; nil means that nobody can.
	Revocation Revocation
	// Location is the time zone that times are shown in; nil means the process's.
	Location *time.Location
}

// HostKeys are the keys that SSH clients know this machine by.
type HostKeys interface {
	Public() []ssh.PublicKey
}

// Prober measures the way to another host; [probe.Prober] is the real one.
type Prober interface {
	Lookup(ctx context.Context, host string) (netip.Addr, error)
	Records(ctx context.Context, name, kind string) ([]string, error)
	Ping(ctx context.Context, to netip.Addr, count int, each func(probe.Echo)) error
	Trace(ctx context.Context, to netip.Addr, each func(probe.Hop)) error
}

var (
	// admins may change things.
	admins = []grammar.Role{grammar.Admin}
	// readers may look at them: appadmin and api work through Web Admin and the API.
	readers = []grammar.Role{grammar.Admin, grammar.Crypto, grammar.Audit}
)

// All returns the declarations with the kinds of their arguments, for [grammar.NewTree].
func All(d Deps) ([]grammar.Kind, []grammar.Command) {
	if d.Location == nil {
		d.Location = time.Local
	}
	kinds := slices.Concat(cacKinds(), userKinds(d.Accounts), d.clockKinds(), d.transferKinds(), turnKinds(), firewallKinds(), dscpKinds(), d.pkiKinds(), d.snmpKinds(), d.syslogKinds(), tlsKinds(), dnsKinds(), ldapKinds())
	return kinds, slices.Concat(
		d.versionCommands(),
		d.hostnameCommands(),
		d.ifaceCommands(),
		d.ipv4Commands(),
		d.ipv6Commands(),
		d.dnsCommands(),
		d.ntpCommands(),
		d.firewallCommands(),
		d.dscpCommands(),
		d.syslogCommands(),
		d.snmpCommands(),
		d.reachCommands(),
		d.clockCommands(),
		d.serverKeyCommands(),
		userCommands(d.Accounts),
		d.licenseCommands(),
		d.webAdminCommands(),
		d.callBridgeCommands(),
		d.pkiCommands(),
		d.tlsCommands(),
		d.syslogTLSCommands(),
		d.turnCommands(),
		d.ldapCommands(),
		d.cacCommands(),
		d.fipsCommands(),
		d.noticeCommands(),
		d.healthCommands(),
		d.diagnosticCommands(),
		d.dfCommands(),
		d.backupCommands(),
		d.upgradeCommands(),
		d.resetCommands(),
		d.powerCommands(),
	)
}

// attempts is how often a change starts again because somebody else was faster.
const attempts = 5

// change applies an edit to the running document and says what the administrator has to know afterwards. A line of a joint change edits
// what the lines before it have left.
func (d Deps) change(c *grammar.Call, edit func(*config.Document) error) error {
	if j := jointOf(c); j != nil {
		return mayBeThere(c, j.change(c, edit))
	}
	return mayBeThere(c, d.changeRunning(c, edit))
}

// changeRunning is a change that is in force when it returns.
func (d Deps) changeRunning(c *grammar.Call, edit func(*config.Document) error) error {
	for range attempts {
		running, err := d.Machine.Config(c.Context)
		if err != nil {
			return err
		}
		doc := running.Document.Clone()
		if err := edit(doc); err != nil {
			return err
		}
		if err := doc.Validate(); err != nil {
			return err
		}
		if doc.Equal(running.Document) {
			return nil
		}
		applied, err := d.submit(c, running, doc)
		if control.IsConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		if running.FailSafe != "" {
			c.Printf("Warning: this change starts from the fail-safe configuration: %s\n", printable(running.FailSafe))
		}
		for _, w := range applied.Warnings {
			c.Printf("Warning: %s\n", printable(w))
		}
		if len(applied.RebootNeeded) > 0 {
			c.Printf(rebootRequired)
		}
		return nil
	}
	return errBusy
}

// changeInterface applies an edit to one interface.
func (d Deps) changeInterface(c *grammar.Call, edit func(*config.Interface) error) error {
	return d.change(c, func(doc *config.Document) error {
		if doc.Interfaces == nil {
			doc.Interfaces = map[string]config.Interface{}
		}
		name := c.Arg("interface")
		i := doc.Interfaces[name]
		if err := edit(&i); err != nil {
			return err
		}
		doc.Interfaces[name] = i
		return nil
	})
}

// look returns the running document and the interface that the call names, as the kernel has it.
func (d Deps) look(c *grammar.Call) (*config.Document, control.Interface, error) {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return nil, control.Interface{}, err
	}
	list, err := d.interfaces(c)
	if err != nil {
		return nil, control.Interface{}, err
	}
	names := make([]string, len(list))
	for n, i := range list {
		if i.Name == c.Arg("interface") {
			return running.Document, i, nil
		}
		names[n] = i.Name
	}
	return nil, control.Interface{}, fmt.Errorf("this machine has no interface %s; it has %s", c.Arg("interface"), strings.Join(names, ", "))
}

// table prints rows with two blanks between columns, each as wide as its widest cell.
func table(c *grammar.Call, indent string, rows [][]string) {
	var width []int
	for _, r := range rows {
		for n, cell := range r {
			if n == len(width) {
				width = append(width, 0)
			}
			width[n] = max(width[n], len([]rune(cell)))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for n, cell := range r {
			fmt.Fprintf(&line, "%-*s  ", width[n], cell)
		}
		c.Printf("%s%s\n", indent, strings.TrimRight(line.String(), " "))
	}
}

// printable keeps text that programs wrote, such as a crash trace, from steering the terminal.
func printable(s string) string {
	return plain.Line(strings.TrimRight(s, "\n"), '?')
}

// size prints bytes in the unit that keeps them short, as df -h does.
func size(bytes uint64) string {
	units := "BKMGTPE"
	value, unit := float64(bytes), 0
	// 1023.95 would print as 1024.0.
	for value >= 1023.95 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%dB", bytes)
	}
	return fmt.Sprintf("%.1f%c", value, units[unit])
}
