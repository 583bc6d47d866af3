package commands

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

func (d Deps) ipv4Commands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "ipv4 <interface>", Roles: readers,
			Help: "Show the IPv4 configuration of an interface and what the system observes",
			Run:  d.showIPv4,
		},
		{
			Syntax: "ipv4 <interface> add <address:ipv4prefix> [<gateway:ipv4>]", Roles: admins, Joins: true,
			Help: "Give an interface a static address, with the gateway of its subnet",
			Detail: "For example ipv4 a add 10.1.2.3/24 10.1.2.1. It replaces the address before and switches DHCP off. " +
				"On an interface that is not enabled yet, ipv4 <interface> enable follows. Any two interfaces must be in " +
				"different subnets. It takes effect at once: a session over the old address ends.",
			Run: func(c *grammar.Call) error {
				return d.changeIPv4(c, func(i *config.IPv4) error {
					was := *i
					i.Address, i.Gateway, i.DHCP = c.Prefix("address"), c.Addr("gateway"), false
					if i.Address == was.Address && i.Gateway == was.Gateway && !was.DHCP {
						return isThere("interface %s has the address %s already", c.Arg("interface"), i.Address)
					}
					return nil
				})
			},
		},
		{
			Syntax: "ipv4 <interface> del", Roles: admins,
			Help:   "Remove the static address and gateway of an interface",
			Detail: "Unless DHCP is on, this also disables IPv4 on the interface. Static routes stay.",
			Run:    d.deleteIPv4,
		},
		{
			Syntax: "ipv4 <interface> enable", Roles: admins, Joins: true,
			Help: "Enable IPv4 on an interface",
			Run: func(c *grammar.Call) error {
				return d.changeIPv4(c, func(i *config.IPv4) error {
					i.Enabled = true
					return nil
				})
			},
		},
		{
			Syntax: "ipv4 <interface> disable", Roles: admins,
			Help:   "Disable IPv4 on an interface and keep its settings",
			Detail: "It takes effect at once: a session over this address ends.",
			Run: func(c *grammar.Call) error {
				return d.changeIPv4(c, func(i *config.IPv4) error {
					i.Enabled = false
					return nil
				})
			},
		},
		{
			Syntax: "ipv4 <interface> dhcp", Roles: admins, Joins: true,
			Help:   "Enable IPv4 on an interface with an address by DHCP",
			Detail: "A static address is kept and not used. ipv4 <interface> add switches DHCP off.",
			Run: func(c *grammar.Call) error {
				return d.changeIPv4(c, func(i *config.IPv4) error {
					i.Enabled, i.DHCP = true, true
					return nil
				})
			},
		},
		{
			Syntax: "ipv4 <interface> default", Roles: admins, Joins: true,
			Help:   "Make this the interface of last resort, IPv4 and IPv6",
			Detail: "What is neither in the subnet of an interface nor behind one of its static routes leaves by the gateway of this one.",
			Run: func(c *grammar.Call) error {
				return d.change(c, func(doc *config.Document) error {
					doc.DefaultInterface = c.Arg("interface")
					return nil
				})
			},
		},
		{
			Syntax: "ipv4 <interface> route (add|del) <route:ipv4prefix>", Roles: admins, Joins: true,
			Help:   "Add or remove a static route by the gateway of an interface",
			Detail: fmt.Sprintf("For example ipv4 b route add 192.0.2.0/24; up to %d for an interface.", config.MaxRoutes),
			Run:    d.changeRoute,
		},
	}
}

func (d Deps) changeIPv4(c *grammar.Call, edit func(*config.IPv4) error) error {
	return d.changeInterface(c, func(i *config.Interface) error { return edit(&i.IPv4) })
}

func (d Deps) deleteIPv4(c *grammar.Call) error {
	return d.changeIPv4(c, func(i *config.IPv4) error {
		if !i.Address.IsValid() {
			return fmt.Errorf("interface %s has no static IPv4 address", c.Arg("interface"))
		}
		i.Address, i.Gateway = netip.Prefix{}, netip.Addr{}
		i.Enabled = i.Enabled && i.DHCP
		return nil
	})
}

func (d Deps) changeRoute(c *grammar.Call) error {
	route := c.Prefix("route")
	return d.changeIPv4(c, func(i *config.IPv4) error {
		at := slices.Index(i.Routes, route)
		switch {
		case c.Has("add") && at >= 0:
			return isThere("interface %s has the route %s already", c.Arg("interface"), route)
		case c.Has("add"):
			i.Routes = append(i.Routes, route)
		case at < 0:
			return fmt.Errorf("interface %s has no route %s; it has %s", c.Arg("interface"), route, listOf(i.Routes, netip.Prefix.String))
		default:
			i.Routes = slices.Delete(i.Routes, at, at+1)
		}
		return nil
	})
}

// row prints one line of "ipv4 configuration": a label padded to 16 columns behind four blanks, as scripts expect.
func row(c *grammar.Call, label, value string) { c.Printf("    %-16s%s\n", label, value) }

func (d Deps) showIPv4(c *grammar.Call) error {
	doc, observed, err := d.look(c)
	if err != nil {
		return err
	}
	i := doc.Interfaces[observed.Name].IPv4
	// The labels stand in the order of the alphabet.
	c.Printf("IPv4 configuration:\n")
	if i.Address.IsValid() {
		row(c, "address", i.Address.Addr().String())
	}
	row(c, "default", strconv.FormatBool(doc.DefaultInterface == observed.Name))
	row(c, "dhcp", strconv.FormatBool(i.DHCP))
	row(c, "enabled", strconv.FormatBool(i.Enabled))
	if i.Gateway.IsValid() {
		row(c, "gateway", i.Gateway.String())
	}
	row(c, "macaddress", strings.ToUpper(observed.MAC))
	if i.Address.IsValid() {
		row(c, "prefixlen", strconv.Itoa(i.Address.Bits()))
	}
	for _, r := range i.Routes {
		row(c, "route", r.String())
	}
	c.Printf("IPv4 observed values\n")
	showObserved(c, observed, 16, netip.Addr.Is4, netip.IPv4Unspecified())
	return nil
}

// showObserved prints addresses and routes of one family. Columns are wide enough for the family's longest address.
func showObserved(c *grammar.Call, observed control.Interface, width int, family func(netip.Addr) bool, none netip.Addr) {
	c.Printf("Addresses:\n")
	for _, a := range observed.Addresses {
		if family(a.Addr()) {
			c.Printf("%s\n", a)
		}
	}
	c.Printf("Routes:\n")
	line := func(source, destination, gateway, global string) {
		c.Printf("    %-*s%-*s%-*s%s\n", width, source, width, destination, width, gateway, global)
	}
	line("source", "destination", "gateway", "global")
	or := func(a netip.Addr) string {
		if !a.IsValid() {
			a = none
		}
		return a.String()
	}
	for _, r := range observed.Routes {
		if family(r.Destination.Addr()) {
			line(or(r.Source), r.Destination.Addr().String(), or(r.Gateway), strconv.FormatBool(r.Global))
		}
	}
}
