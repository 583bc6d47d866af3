// Package boards describes the machines that Rotunda runs on, as data: one JSON file a board, compiled in.
//
// The same image starts on every board. The image builder reads the descriptions to know which kernel modules to ship
// and which consoles to name on the kernel command line; PID 1 reads them to know which board it woke up on ([Match])
// and what to load, watch and number there. A new machine is a new file; no code names a board.
//
// common.json holds what every board needs and is merged in front of each board's own lists. The descriptions are
// part of the program, so a file that does not parse is a mistake of the build: the tests find it, and [All] panics
// at the first call, which the builder makes long before a machine does.
package boards

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Board is one kind of machine.
type Board struct {
	// Name is the short name, for example "cms2000".
	Name string `json:"name"`
	// Title is what a person reads.
	Title string `json:"title"`
	// Platform is the type that upgrades and backups must match. Boards of one platform exchange backups: the
	// deployment guide (appendix H) lets virtual machines and the 1000 do so, and neither with the 2000.
	Platform string `json:"platform"`
	// Match lists the DMI identities of this board; one that matches is enough. The one board with none is taken when
	// no other matches.
	Match []Identity `json:"match,omitempty"`
	// Consoles carry the kernel's messages and a login. The first is /dev/console.
	Consoles []Console `json:"consoles"`
	// Interfaces are the names given to network ports in PCI order; further ports stay without a name.
	Interfaces []string `json:"interfaces"`
	// Modules are the kernel modules of this board, [common.json] included.
	Modules Modules `json:"modules"`
	// Watchdogs are drivers in order of preference; the first one that finds its device is used.
	Watchdogs []string `json:"watchdogs"`
	// MediaModules is how many groups of media workers the board carries.
	MediaModules int `json:"mediaModules"`
}

// Console is one terminal with a login.
type Console struct {
	// Device is the name in /dev.
	Device string `json:"device"`
	// Baud is the speed of a serial line, which runs 8n1; 0 for a screen.
	Baud int `json:"baud,omitempty"`
}

// Kernel returns the console as the kernel's console= argument takes it.
func (c Console) Kernel() string {
	if c.Baud == 0 {
		// The kernel knows the foreground virtual terminal as tty0; a login runs on a numbered one.
		return "tty0"
	}
	return fmt.Sprintf("%s,%dn8", c.Device, c.Baud)
}

// Modules are kernel modules by name, without .ko; a dash and an underscore are the same letter, as in modprobe.
// A name that ends in /* stands for all modules of that folder of the kernel package's kernel/ tree.
type Modules struct {
	// Always are loaded at every start, in this order.
	Always []string `json:"always,omitempty"`
	// Devices are shipped, and loaded when a device announces an alias of theirs.
	Devices []string `json:"devices,omitempty"`
	// OnDemand are shipped, and loaded by whoever needs them (a firewall rule, an NFS mount).
	OnDemand []string `json:"onDemand,omitempty"`
}

// All returns every module of the board in the order of the lists.
func (m Modules) All() []string {
	return slices.Concat(m.Always, m.Devices, m.OnDemand)
}

//go:embed *.json
var files embed.FS

// commonFile is merged into every board.
const commonFile = "common.json"

var load = sync.OnceValue(func() []Board {
	boards, err := parse(files)
	if err != nil {
		panic(err)
	}
	return boards
})

// parse reads all descriptions, sorted by name.
func parse(fsys embed.FS) ([]Board, error) {
	var common Board
	if err := decode(fsys, commonFile, &common); err != nil {
		return nil, err
	}
	entries, err := fsys.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list boards: %w", err)
	}
	var boards []Board
	for _, e := range entries {
		if e.Name() == commonFile {
			continue
		}
		var b Board
		if err := decode(fsys, e.Name(), &b); err != nil {
			return nil, err
		}
		b.Modules = Modules{
			Always:   slices.Concat(common.Modules.Always, b.Modules.Always),
			Devices:  slices.Concat(common.Modules.Devices, b.Modules.Devices),
			OnDemand: slices.Concat(common.Modules.OnDemand, b.Modules.OnDemand),
		}
		b.Watchdogs = slices.Concat(b.Watchdogs, common.Watchdogs)
		boards = append(boards, b)
	}
	return boards, nil
}

func decode(fsys embed.FS, name string, b *Board) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fmt.Errorf("open board: %w", err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(b); err != nil {
		return fmt.Errorf("read board %s: %w", name, err)
	}
	return nil
}

// All returns every board, sorted by name.
func All() []Board { return slices.Clone(load()) }

// ByName returns the board of that name.
func ByName(name string) (Board, bool) {
	for _, b := range load() {
		if b.Name == name {
			return b, true
		}
	}
	return Board{}, false
}

// Platforms returns the platform types of all boards, sorted, each once.
func Platforms() []string {
	var p []string
	for _, b := range load() {
		p = append(p, b.Platform)
	}
	slices.Sort(p)
	return slices.Compact(p)
}
