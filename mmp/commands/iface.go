package commands

import (
	"fmt"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

func (d Deps) ifaceCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "iface <interface>", Roles: readers,
			Help:   "Show an interface with its MAC address, speed, duplex, MTU and link",
			Detail: "A licence is bound to the MAC address of interface a.",
			Run:    d.showIface,
		},
		{
			Syntax: fmt.Sprintf("iface <interface> mtu <mtu:%d..%d>", config.MinMTU, config.MaxMTU), Roles: admins, Joins: true,
			Help:   "Set the largest packet of an interface in bytes",
			Detail: fmt.Sprintf("IPv6 needs %d or more. It takes effect at once.", config.MinMTUIPv6),
			Run: func(c *grammar.Call) error {
				return d.changeInterface(c, func(i *config.Interface) error {
					i.MTU = c.Int("mtu")
					return nil
				})
			},
		},
		{
			Syntax: "iface <interface> <speed:10..100000> (full|on|off)", Roles: admins,
			Help: "Force the speed of an interface in Mbit/s, with full duplex or not",
			Detail: "full and on mean full duplex, off means half duplex. It ends auto-negotiation: the other end of the cable has to be " +
				"set alike. Ports of virtual machines have no speed of their own.",
			Run: func(c *grammar.Call) error {
				return d.changeInterface(c, func(i *config.Interface) error {
					i.Link = config.Link{Speed: c.Int("speed"), FullDuplex: !c.Has("off")}
					return nil
				})
			},
		},
		{
			Syntax: "iface <interface> autoneg (on|off)", Roles: admins,
			Help:   "Let both ends of the cable agree on speed and duplex, or keep what they agreed on",
			Detail: "off forces the speed that the interface has at the moment.",
			Run:    d.setAutoneg,
		},
	}
}

func (d Deps) setAutoneg(c *grammar.Call) error {
	var link config.Link
	if c.Has("off") {
		_, observed, err := d.look(c)
		if err != nil {
			return err
		}
		if observed.Speed == 0 {
			return fmt.Errorf("interface %s has no speed to keep at the moment: set one, for example iface %[1]s 1000 full", observed.Name)
		}
		link = config.Link{Speed: observed.Speed, FullDuplex: observed.FullDuplex}
	}
	return d.changeInterface(c, func(i *config.Interface) error {
		i.Link = link
		return nil
	})
}

func (d Deps) showIface(c *grammar.Call) error {
	doc, observed, err := d.look(c)
	if err != nil {
		return err
	}
	wanted := doc.Interfaces[observed.Name]
	speed, duplex, autoneg, mtu := "default", "default", "on", "default"
	if wanted.Link.Speed != 0 {
		speed, duplex, autoneg = strconv.Itoa(wanted.Link.Speed), duplexWord(wanted.Link.FullDuplex), "off"
	}
	if wanted.MTU != 0 {
		mtu = strconv.Itoa(wanted.MTU)
	}
	row := func(name, value string) { c.Printf("    %-16s: %s\n", name, value) }
	c.Printf("Mac address %s\n", strings.ToUpper(observed.MAC))
	c.Printf("Configured values:\n")
	row("Auto-negotiation", autoneg)
	row("Speed", speed)
	row("Duplex", duplex)
	row("MTU", mtu)
	speed, duplex = "unknown", "unknown"
	if observed.Speed != 0 {
		speed, duplex = strconv.Itoa(observed.Speed), duplexWord(observed.FullDuplex)
	}
	link := "down"
	if observed.Carrier {
		link = "ok"
	}
	c.Printf("Observed values:\n")
	row("Speed", speed)
	row("Duplex", duplex)
	row("MTU", strconv.Itoa(observed.MTU))
	row("Link status", link)
	row("Enabled", yesNo(observed.Up))
	row("Driver", observed.Driver)
	return nil
}

func duplexWord(full bool) string {
	if full {
		return "full"
	}
	return "half"
}
