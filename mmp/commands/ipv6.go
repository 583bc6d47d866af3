package commands

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/mmp/grammar"
)

func (d Deps) ipv6Commands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "ipv6 <interface>", Roles: readers,
			Help: "Show the IPv6 configuration of an interface and what the system observes",
			Run:  d.showIPv6,
		},
		{
			Syntax: "ipv6 <interface> (enable|disable)", Roles: admins, Joins: true,
			Help:   "Enable IPv6 on an interface, or disable it and keep its settings",
			Detail: "While it is enabled the interface has at least its link-local address.",
			Run: func(c *grammar.Call) error {
				return d.changeIPv6(c, func(i *config.IPv6) error {
					i.Enabled = c.Has("enable")
					return nil
				})
			},
		},
		{
			Syntax: "ipv6 <interface> slaac (enable|disable)", Roles: admins, Joins: true,
			Help: "Take addresses and routers from router advertisements, or do not",
			Run: func(c *grammar.Call) error {
				return d.changeIPv6(c, func(i *config.IPv6) error {
					i.SLAAC = c.Has("enable")
					return nil
				})
			},
		},
		{
			Syntax: "ipv6 <interface> add <address:ipv6prefix>", Roles: admins, Joins: true,
			Help:   "Give an interface a static address",
			Detail: fmt.Sprintf("For example ipv6 a add 2001:db8::10/64; up to %d for an interface.", config.MaxIPv6Addresses),
			Run: func(c *grammar.Call) error {
				return d.changeIPv6(c, func(i *config.IPv6) error {
					address, name := c.Prefix("address"), c.Arg("interface")
					at := slices.IndexFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr() == address.Addr() })
					switch {
					case at < 0:
						i.Addresses = append(i.Addresses, address)
						return nil
					case i.Addresses[at] == address:
						return isThere("interface %s has the address %s already", name, address)
					}
					return fmt.Errorf("interface %s has %s, which cannot be %s too: use ipv6 %[1]s del %[2]s first", name, i.Addresses[at], address)
				})
			},
		},
		{
			Syntax: "ipv6 <interface> del <address:ipv6address>", Roles: admins, Joins: true,
			Help:   "Remove a static address, with or without its prefix length",
			Detail: "Routers that only this address could reach have to be removed first.",
			Run:    d.deleteIPv6,
		},
		{
			Syntax: "ipv6 <interface> router (add|del) <router:ipv6>", Roles: admins, Joins: true,
			Help:   "Add or remove a static router",
			Detail: fmt.Sprintf("By its link-local address, or one in the subnet of the interface; up to %d for an interface.", config.MaxIPv6Routers),
			Run:    d.changeRouter,
		},
	}
}

// addressKind is an address to remove: as it was added, or without its prefix length.
var addressKind = grammar.Kind{
	Name: "ipv6address",
	Help: "an IPv6 address, for example 2001:db8::1 or 2001:db8::1/64",
	Check: func(word string) error {
		if a, _, err := parseAddress(word); err != nil || !a.Is6() || a.Is4In6() || a.Zone() != "" {
			return errNotOne
		}
		return nil
	},
}

// parseAddress reads an address; bits is -1 if the prefix length was left out.
func parseAddress(word string) (a netip.Addr, bits int, err error) {
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		return p.Addr(), p.Bits(), err
	}
	a, err = netip.ParseAddr(word)
	return a, -1, err
}

func (d Deps) changeIPv6(c *grammar.Call, edit func(*config.IPv6) error) error {
	return d.changeInterface(c, func(i *config.Interface) error { return edit(&i.IPv6) })
}

func (d Deps) deleteIPv6(c *grammar.Call) error {
	address, bits, err := parseAddress(c.Arg("address"))
	if err != nil {
		return err
	}
	return d.changeIPv6(c, func(i *config.IPv6) error {
		at := slices.IndexFunc(i.Addresses, func(p netip.Prefix) bool {
			return p.Addr() == address && (bits < 0 || p.Bits() == bits)
		})
		if at < 0 {
			return fmt.Errorf("interface %s has no static address %s; it has %s", c.Arg("interface"), c.Arg("address"), listOf(i.Addresses, netip.Prefix.String))
		}
		i.Addresses = slices.Delete(i.Addresses, at, at+1)
		return nil
	})
}

func (d Deps) changeRouter(c *grammar.Call) error {
	router := c.Addr("router")
	return d.changeIPv6(c, func(i *config.IPv6) error {
		at := slices.Index(i.Routers, router)
		switch {
		case c.Has("add") && at >= 0:
			return isThere("interface %s has the router %s already", c.Arg("interface"), router)
		case c.Has("add"):
			i.Routers = append(i.Routers, router)
		case at < 0:
			return fmt.Errorf("interface %s has no router %s; it has %s", c.Arg("interface"), router, listOf(i.Routers, netip.Addr.String))
		default:
			i.Routers = slices.Delete(i.Routers, at, at+1)
		}
		return nil
	})
}

func (d Deps) showIPv6(c *grammar.Call) error {
	doc, observed, err := d.look(c)
	if err != nil {
		return err
	}
	i := doc.Interfaces[observed.Name].IPv6
	c.Printf("IPv6 configuration:\n")
	for _, a := range i.Addresses {
		row(c, "address", a.String())
	}
	row(c, "default", strconv.FormatBool(doc.DefaultInterface == observed.Name))
	row(c, "enabled", strconv.FormatBool(i.Enabled))
	row(c, "macaddress", strings.ToUpper(observed.MAC))
	for _, r := range i.Routers {
		row(c, "router", r.String())
	}
	row(c, "slaac", strconv.FormatBool(i.SLAAC))
	c.Printf("IPv6 observed values\n")
	showObserved(c, observed, 40, netip.Addr.Is6, netip.IPv6Unspecified())
	return nil
}
