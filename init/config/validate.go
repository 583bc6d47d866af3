package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	// A zone name is judged by the zones that are built in, so that every machine accepts the same ones.
	_ "time/tzdata"
)

// Limits of one document. They keep every list that init works through short; no runbook comes near them.
const (
	MaxRoutes        = 64 // static IPv4 routes of one interface
	MaxIPv6Addresses = 16 // of one interface
	MaxIPv6Routers   = 4  // of one interface

	MinMTU     = 576  // RFC 791: every IPv4 host takes this much
	MinMTUIPv6 = 1280 // RFC 8200 section 5
	MaxMTU     = 9216 // what switches call jumbo

	// maxHostname is the kernel's limit (HOST_NAME_MAX); DNS would allow 253.
	maxHostname = 64
)

// Speeds are the forced speeds in Mbit/s that a port may be set to.
var Speeds = []int{10, 100, 1000, 10000, 25000, 40000, 100000}

// Validate says what is wrong with the document and what would be right, the first thing only; nil means that it
// may be stored and applied.
func (d *Document) Validate() error {
	if d == nil {
		return errors.New("document is missing")
	}
	if err := ValidateHostname(d.Hostname); err != nil {
		return err
	}
	if err := ValidateTimezone(d.Timezone); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Interfaces)) {
		if !slices.Contains(InterfaceNames, name) {
			return fmt.Errorf("interface %q does not exist: the interfaces are %s", name, strings.Join(InterfaceNames, ", "))
		}
	}
	if _, ok := d.Interfaces[d.DefaultInterface]; !ok {
		return fmt.Errorf("default interface %q is not configured: configure it first or choose another", d.DefaultInterface)
	}
	for _, name := range InterfaceNames {
		i, ok := d.Interfaces[name]
		if !ok {
			continue
		}
		if err := i.validate(); err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
	}
	for _, part := range []interface{ validate() error }{d.TURN, d.CallBridge, d.WebAdmin, d.TLS, d.DNS, d.NTP, d.Firewall, d.DSCP, d.Syslog, d.SNMP, d.LDAP, d.CAC} {
		if err := part.validate(); err != nil {
			return err
		}
	}
	if err := d.validatePorts(); err != nil {
		return err
	}
	if err := d.validateFIPS(); err != nil {
		return err
	}
	return d.validateSubnets()
}

// ValidateHostname accepts RFC 1123 host names: letters, digits and hyphens in labels joined by dots.
func ValidateHostname(name string) error {
	bad := func(why string) error {
		return fmt.Errorf("hostname %q %s: use letters, digits and hyphens, for example london1 or mybox.example.com", clip(name), why)
	}
	if name == "" {
		return bad("is empty")
	}
	if len(name) > maxHostname {
		return bad(fmt.Sprintf("is longer than %d characters", maxHostname))
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return bad("has an empty part")
		case len(label) > 63:
			return bad("has a part longer than 63 characters")
		case label[0] == '-' || label[len(label)-1] == '-':
			return bad("has a part that begins or ends with a hyphen")
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
				return bad(fmt.Sprintf("holds %q", r))
			}
		}
	}
	// RFC 1123 section 2.1: the last part must not be a number, or the name would read as an address.
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return bad("ends with a number")
	}
	return nil
}

// ValidateTimezone accepts the names of the IANA time zone database.
func ValidateTimezone(name string) error {
	// LoadLocation takes "" for UTC and "Local" for whatever the process has.
	if name == "" || name == "Local" {
		return fmt.Errorf("time zone %q does not exist: use an IANA name such as Europe/London or UTC", name)
	}
	// Every change validates the whole document, and looking a zone up is a search through all of them.
	if known := lastZone.Load(); known != nil && *known == name {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil {
		return fmt.Errorf("time zone %q does not exist: use an IANA name such as Europe/London or UTC", clip(name))
	}
	lastZone.Store(&name)
	return nil
}

// lastZone is the zone that was found last.
var lastZone atomic.Pointer[string]

// clip keeps an outside value short enough for one line of a log.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

func (i Interface) validate() error {
	if i.MTU != 0 && (i.MTU < MinMTU || i.MTU > MaxMTU) {
		return fmt.Errorf("MTU %d is out of range: use %d to %d", i.MTU, MinMTU, MaxMTU)
	}
	if i.MTU != 0 && i.MTU < MinMTUIPv6 && i.IPv6.Enabled {
		return fmt.Errorf("MTU %d is too small for IPv6: use %d or more, or disable IPv6", i.MTU, MinMTUIPv6)
	}
	if i.Link.Speed != 0 && !slices.Contains(Speeds, i.Link.Speed) {
		return fmt.Errorf("speed %d is unknown: use one of %s", i.Link.Speed, strings.Trim(fmt.Sprint(Speeds), "[]"))
	}
	if err := i.IPv4.validate(); err != nil {
		return err
	}
	return i.IPv6.validate()
}

// validate holds a static configuration to its rules while it is only kept, too: enabling it must not fail later.
func (c IPv4) validate() error {
	if c.Enabled && !c.DHCP && !c.Address.IsValid() {
		return errors.New("IPv4 is enabled without DHCP and without an address: add an address or switch DHCP on")
	}
	if c.Address.IsValid() {
		if err := validateIPv4Address(c.Address); err != nil {
			return err
		}
	}
	if c.Gateway.IsValid() {
		if err := c.validateGateway(); err != nil {
			return err
		}
	}
	return c.validateRoutes()
}

// classE is reserved (RFC 1112 section 4); hosts do not route it.
var classE = netip.MustParsePrefix("240.0.0.0/4")

// thisNetwork may only be a source (RFC 1122 section 3.2.1.3).
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

func validateIPv4Address(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !a.Is4():
		return fmt.Errorf("%s is not an IPv4 address: use one such as 192.0.2.10/24", p)
	case p.Bits() == 0:
		return fmt.Errorf("prefix length of %s is out of range: use 1 to 32", p)
	case thisNetwork.Contains(a), classE.Contains(a), a.IsMulticast(), a.IsLoopback():
		return fmt.Errorf("address %s is not a usable unicast address", a)
	case a.IsLinkLocalUnicast():
		return fmt.Errorf("address %s is link-local: use an address that your network assigns", a)
	case p.Bits() <= 30 && a == p.Masked().Addr():
		return fmt.Errorf("address %s is the address of the network %s: use %s", a, p.Masked(), usable(p))
	case p.Bits() <= 30 && a == broadcast(p):
		return fmt.Errorf("address %s is the broadcast address of %s: use %s", a, p.Masked(), usable(p))
	}
	return nil
}

// validateGateway needs an address that already passed.
func (c IPv4) validateGateway() error {
	g, p := c.Gateway, c.Address
	switch {
	case !g.Is4():
		return fmt.Errorf("gateway %s is not an IPv4 address", g)
	case !p.IsValid():
		return fmt.Errorf("gateway %s needs an address in the same subnet", g)
	case g == p.Addr():
		return fmt.Errorf("gateway %s is the interface's own address: use the router's", g)
	case !p.Contains(g):
		return fmt.Errorf("gateway %s is not in the subnet %s: use %s", g, p.Masked(), usable(p))
	case p.Bits() <= 30 && (g == p.Masked().Addr() || g == broadcast(p)):
		return fmt.Errorf("gateway %s is the network or broadcast address of %s: use %s", g, p.Masked(), usable(p))
	}
	return nil
}

func (c IPv4) validateRoutes() error {
	if len(c.Routes) > MaxRoutes {
		return fmt.Errorf("%d routes are too many: %d are allowed", len(c.Routes), MaxRoutes)
	}
	if len(c.Routes) > 0 && c.Enabled && !c.DHCP && !c.Gateway.IsValid() {
		return fmt.Errorf("route %s needs a gateway: add the address with a gateway", c.Routes[0])
	}
	seen := map[netip.Prefix]bool{}
	for _, r := range c.Routes {
		switch {
		case !r.Addr().Is4():
			return fmt.Errorf("route %s is not an IPv4 prefix", r)
		case r.Bits() == 0:
			return fmt.Errorf("route %s is the default route: make the interface the default instead", r)
		case r != r.Masked():
			return fmt.Errorf("route %s has bits beyond its prefix length: use %s", r, r.Masked())
		case !routable(r):
			return fmt.Errorf("route %s does not lead to usable unicast addresses", r)
		case seen[r]:
			return fmt.Errorf("route %s is there twice", r)
		}
		seen[r] = true
	}
	return nil
}

// routable refuses what lies wholly inside a block that no router forwards.
func routable(r netip.Prefix) bool {
	for _, block := range []netip.Prefix{
		thisNetwork, classE,
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"),
	} {
		if block.Bits() <= r.Bits() && block.Contains(r.Addr()) {
			return false
		}
	}
	return true
}

// siteLocal was withdrawn by RFC 3879.
var siteLocal = netip.MustParsePrefix("fec0::/10")

func (c IPv6) validate() error {
	if len(c.Addresses) > MaxIPv6Addresses {
		return fmt.Errorf("%d IPv6 addresses are too many: %d are allowed", len(c.Addresses), MaxIPv6Addresses)
	}
	if len(c.Routers) > MaxIPv6Routers {
		return fmt.Errorf("%d IPv6 routers are too many: %d are allowed", len(c.Routers), MaxIPv6Routers)
	}
	for n, p := range c.Addresses {
		a := p.Addr()
		switch {
		case !a.Is6() || a.Is4In6():
			return fmt.Errorf("%s is not an IPv6 address: use one such as 2001:db8::10/64", p)
		case p.Bits() < 1:
			return fmt.Errorf("prefix length of %s is out of range: use 1 to 128", p)
		case a.IsLinkLocalUnicast():
			return fmt.Errorf("address %s is link-local: every interface has its own while IPv6 is enabled", a)
		case a.IsUnspecified(), a.IsLoopback(), a.IsMulticast(), siteLocal.Contains(a):
			return fmt.Errorf("address %s is not a usable unicast address", a)
		case p.Bits() <= 126 && a == p.Masked().Addr():
			// RFC 4291 section 2.6.1; RFC 6164 makes an exception of /127.
			return fmt.Errorf("address %s is the routers' anycast address of %s: use another address of the subnet", a, p.Masked())
		}
		for _, other := range c.Addresses[:n] {
			if other.Addr() == a {
				return fmt.Errorf("address %s is there twice", a)
			}
		}
	}
	for n, r := range c.Routers {
		if err := c.validateRouter(r); err != nil {
			return err
		}
		if slices.Contains(c.Routers[:n], r) {
			return fmt.Errorf("router %s is there twice", r)
		}
	}
	return nil
}

func (c IPv6) validateRouter(r netip.Addr) error {
	switch {
	case !r.Is6() || r.Is4In6() || r.Zone() != "":
		return fmt.Errorf("router %s is not an IPv6 address: use one such as fe80::1", r)
	case r.IsUnspecified(), r.IsLoopback(), r.IsMulticast():
		return fmt.Errorf("router %s is not a usable unicast address", r)
	case r.IsLinkLocalUnicast():
		return nil
	}
	onLink := c.SLAAC // the prefixes that routers announce are not known here
	for _, p := range c.Addresses {
		if p.Addr() == r {
			return fmt.Errorf("router %s is the interface's own address: use the router's", r)
		}
		onLink = onLink || p.Contains(r)
	}
	if !onLink {
		return fmt.Errorf("router %s is not in the subnet of any of the interface's addresses: use its link-local address or add an address first", r)
	}
	return nil
}

// subnet is one directly connected network of a static configuration in use.
type subnet struct {
	iface  string
	prefix netip.Prefix
}

// validateSubnets holds the rule that no two interfaces share a subnet: replies leave by the interface that the
// request came in on, which cannot be told apart otherwise. Two interfaces with one route have the same trouble.
func (d *Document) validateSubnets() error {
	var subnets []subnet
	routes := map[netip.Prefix]string{}
	for _, name := range InterfaceNames {
		i := d.Interfaces[name]
		if i.IPv4.Enabled && !i.IPv4.DHCP {
			subnets = append(subnets, subnet{name, i.IPv4.Address.Masked()})
		}
		if i.IPv4.Enabled {
			for _, r := range i.IPv4.Routes {
				if other, ok := routes[r]; ok {
					return fmt.Errorf("interfaces %s and %s both have the route %s: delete one of them", other, name, r)
				}
				routes[r] = name
			}
		}
		if i.IPv6.Enabled {
			for _, p := range i.IPv6.Addresses {
				subnets = append(subnets, subnet{name, p.Masked()})
			}
		}
	}
	for n, s := range subnets {
		for _, other := range subnets[:n] {
			if s.iface != other.iface && s.prefix.Overlaps(other.prefix) {
				return fmt.Errorf("interfaces %s and %s are in the same subnet (%s and %s): any two interfaces must be in different subnets",
					other.iface, s.iface, other.prefix, s.prefix)
			}
		}
	}
	return nil
}

// broadcast is the last address of an IPv4 prefix.
func broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(a)
}

// usable names the host addresses of an IPv4 prefix, for a message.
func usable(p netip.Prefix) string {
	first, last := p.Masked().Addr(), broadcast(p)
	switch {
	case p.Bits() == 32:
		return "a prefix length below 32"
	case p.Bits() < 31:
		first, last = first.Next(), last.Prev()
	}
	return fmt.Sprintf("an address from %s to %s", first, last)
}
