package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"rotunda/init/config"
)

// Input is all that decides what is wanted, apart from what the kernel learnt by itself.
type Input struct {
	Document *config.Document
	// Ports by letter.
	Ports map[string]NIC
	// Leases by letter.
	Leases map[string]Lease
	// DriverMTU by letter is the MTU that the port came up with.
	DriverMTU map[string]int
}

// wanted is the state to reach.
type wanted struct {
	interfaces []wantedInterface
	sysctls    []sysctl
	routes     []Route
	rules      []Rule
	problems   []Problem
}

// wantedInterface is one link of it.
type wantedInterface struct {
	letter string
	link   Link
	up     bool
	// mtu 0 leaves it as it is.
	mtu int
	// mode nil leaves it as it is.
	mode *LinkMode
	// addresses are those to have, without what the kernel makes by itself.
	addresses []netip.Prefix
	six       bool
	slaac     bool
}

type sysctl struct{ key, value string }

// sysctlsOf returns the sysctls of one interface in the order in which they are set, before its link comes up.
func sysctlsOf(kernel string, ip6 config.IPv6, isDefault bool) []sysctl {
	four := "net/ipv4/conf/" + kernel + "/"
	six := "net/ipv6/conf/" + kernel + "/"
	metric := otherMetric
	if isDefault {
		metric = advertisedMetric
	}
	return []sysctl{
		// Loose: with several interfaces a packet may come in where its answer would not leave (RFC 3704, section 2.4).
		{four + "rp_filter", "2"},
		// An address answers ARP on its own interface only, and is announced there only.
		{four + "arp_ignore", "1"},
		{four + "arp_announce", "2"},
		// Tell the neighbours when the link comes up.
		{four + "arp_notify", "1"},
		{four + "accept_redirects", "0"},
		{four + "accept_source_route", "0"},
		// Without it, removing the first address of a subnet removes all others of it.
		{four + "promote_secondaries", "1"},

		{six + "accept_ra", digit(ip6.Enabled && ip6.SLAAC)},
		{six + "autoconf", digit(ip6.Enabled && ip6.SLAAC)},
		{six + "accept_ra_defrtr", "1"},
		{six + "ra_defrtr_metric", strconv.Itoa(metric)},
		// A server's address should be one that can be told in advance: from the MAC address (RFC 4291), and no
		// temporary ones (RFC 8981).
		{six + "addr_gen_mode", "0"},
		{six + "use_tempaddr", "0"},
		{six + "accept_redirects", "0"},
		{six + "ndisc_notify", "1"},
		// Last: enabling makes the link-local address at once.
		{six + "disable_ipv6", digit(!ip6.Enabled)},
	}
}

// commonSysctls hold for all interfaces. The kernel accepts redirects if either the interface or "all" says so.
var commonSysctls = []sysctl{
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/all/accept_source_route", "0"},
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// want computes the state to reach. Where two things wanted exclude each other, static configuration goes before
// leases and a letter before the next one, and a problem tells what was left out.
func want(in Input, o Observation) wanted {
	w := wanted{sysctls: slices.Clone(commonSysctls)}
	taken := subnets{}
	fours := map[string]four{}
	letters := present(in, o)
	for letter, port := range in.Ports {
		if !slices.Contains(letters, letter) {
			w.problem(letter, "gone", "card %s has disappeared", port.MAC)
		}
	}
	for _, letter := range letters {
		if cfg := in.Document.Interfaces[letter]; cfg.IPv4.Enabled && !cfg.IPv4.DHCP {
			fours[letter] = w.static(letter, cfg.IPv4, taken)
		}
	}
	for _, letter := range letters {
		lease, ok := in.Leases[letter]
		if cfg := in.Document.Interfaces[letter]; ok && cfg.IPv4.Enabled && cfg.IPv4.DHCP {
			fours[letter] = w.leased(letter, lease, cfg.IPv4, taken)
		}
	}
	barrier := false
	for _, letter := range letters {
		cfg := in.Document.Interfaces[letter]
		link := o.Links[in.Ports[letter].Kernel]
		isDefault := letter == in.Document.DefaultInterface
		i := wantedInterface{
			letter: letter, link: link,
			up:  cfg.IPv4.Enabled || cfg.IPv6.Enabled,
			six: cfg.IPv6.Enabled, slaac: cfg.IPv6.Enabled && cfg.IPv6.SLAAC,
		}
		i.mtu = w.mtu(in, letter)
		i.mode = w.mode(letter, cfg.Link, in.Ports[letter], link)
		w.sysctls = append(w.sysctls, sysctlsOf(link.Name, cfg.IPv6, isDefault)...)
		if f, ok := fours[letter]; ok && f.address.IsValid() {
			i.addresses = append(i.addresses, f.address)
			w.routeFour(letter, link.Index, isDefault, f)
		}
		if cfg.IPv6.Enabled {
			i.addresses = append(i.addresses, w.six(letter, link.Index, isDefault, cfg.IPv6, taken, o)...)
			barrier = barrier || cfg.IPv6.SLAAC && !isDefault
		}
		w.interfaces = append(w.interfaces, i)
	}
	if barrier {
		w.routes = append(w.routes, Route{
			Table: mainTable, Destination: defaultRoute(true), Metric: barrierMetric, Type: Unreachable, Protocol: protocol,
		})
	}
	return w
}

// present returns the letters that have a link, in order.
func present(in Input, o Observation) []string {
	var letters []string
	for _, letter := range config.InterfaceNames {
		if port, ok := in.Ports[letter]; ok {
			if _, ok := o.Links[port.Kernel]; ok {
				letters = append(letters, letter)
			}
		}
	}
	return letters
}

// subnets remembers whose subnet is whose.
type subnets map[netip.Prefix]string

// claim returns the letter that has the subnet, or a part or a whole of it, already.
func (s subnets) claim(letter string, p netip.Prefix) (other string, ok bool) {
	for q, owner := range s {
		if owner != letter && q.Overlaps(p) {
			return owner, false
		}
	}
	s[p.Masked()] = letter
	return "", true
}

func (w *wanted) problem(letter, kind, format string, args ...any) {
	w.problems = append(w.problems, Problem{
		ID: "interface-" + letter + "-" + kind, Interface: letter,
		Text: "interface " + letter + ": " + fmt.Sprintf(format, args...),
	})
}

// four is what one interface gets of IPv4.
type four struct {
	address netip.Prefix
	gateway netip.Addr
	routes  []Route
}

func (w *wanted) static(letter string, cfg config.IPv4, taken subnets) four {
	if !cfg.Address.Addr().Is4() {
		return four{}
	}
	if other, ok := taken.claim(letter, cfg.Address); !ok {
		w.problem(letter, "overlap", "%v is not set, its subnet is also on interface %s", cfg.Address, other)
		return four{}
	}
	return four{cfg.Address, cfg.Gateway, staticRoutes(cfg.Routes, cfg.Gateway)}
}

func (w *wanted) leased(letter string, l Lease, cfg config.IPv4, taken subnets) four {
	if other, ok := taken.claim(letter, l.Address); !ok {
		w.problem(letter, "overlap", "the leased %v is not set, its subnet is also on interface %s", l.Address, other)
		return four{}
	}
	f := four{l.Address, l.Router, staticRoutes(cfg.Routes, l.Router)}
	for _, r := range l.Routes {
		f.routes = append(f.routes, Route{Destination: r.Destination, Gateway: r.Gateway})
	}
	return f
}

// staticRoutes leave by the interface's gateway; without one there is no way for them.
func staticRoutes(destinations []netip.Prefix, gateway netip.Addr) []Route {
	var routes []Route
	for _, d := range destinations {
		if gateway.Is4() && d.Addr().Is4() {
			routes = append(routes, Route{Destination: d.Masked(), Gateway: gateway})
		}
	}
	return routes
}

// routeFour enters one interface's IPv4 routes and its rule.
func (w *wanted) routeFour(letter string, link int, isDefault bool, f four) {
	table := firstTable + number(letter)
	onLink := func(gateway netip.Addr) bool { return !f.address.Contains(gateway) }
	if f.address.Bits() < 32 {
		w.routes = append(w.routes, Route{
			Table: table, Destination: f.address.Masked(), Link: link, Type: Unicast, Protocol: protocol,
		})
	}
	// One destination may come from the configuration and from the lease; the first counts.
	seen := map[netip.Prefix]bool{}
	for _, r := range f.routes {
		if seen[r.Destination] || r.Destination.Bits() == 0 {
			continue
		}
		seen[r.Destination] = true
		for _, t := range []int{mainTable, table} {
			w.routes = append(w.routes, Route{
				Table: t, Destination: r.Destination, Gateway: r.Gateway, Link: link,
				Metric: staticMetric, Type: Unicast, Protocol: protocol, OnLink: onLink(r.Gateway),
			})
		}
	}
	if f.gateway.Is4() {
		w.defaultBy(f.gateway, link, table, staticMetric, isDefault, onLink(f.gateway))
	}
	w.rule(letter, f.address.Addr())
}

// defaultBy enters a default route into the interface's table, and into the main table if it is the default interface.
func (w *wanted) defaultBy(gateway netip.Addr, link, table, metric int, isDefault, onLink bool) {
	r := Route{
		Table: table, Destination: defaultRoute(gateway.Is6()), Gateway: gateway, Link: link,
		Metric: metric, Type: Unicast, Protocol: protocol, OnLink: onLink,
	}
	w.routes = append(w.routes, r)
	if isDefault {
		r.Table = mainTable
		w.routes = append(w.routes, r)
	}
}

func (w *wanted) rule(letter string, from netip.Addr) {
	w.rules = append(w.rules, Rule{
		Priority: firstRule + number(letter), From: netip.PrefixFrom(from, from.BitLen()),
		Table: firstTable + number(letter), Protocol: protocol,
	})
}

// six enters one interface's IPv6 routes and rules and returns its static addresses. What the kernel made of router
// advertisements gets the same rule and table as what is configured.
func (w *wanted) six(letter string, link int, isDefault bool, cfg config.IPv6, taken subnets, o Observation) []netip.Prefix {
	table := firstTable + number(letter)
	var static, all []netip.Prefix
	for _, p := range cfg.Addresses {
		if !p.Addr().Is6() {
			continue
		}
		if other, ok := taken.claim(letter, p); !ok {
			w.problem(letter, "overlap", "%v is not set, its subnet is also on interface %s", p, other)
			continue
		}
		static = append(static, p)
	}
	all = slices.Clone(static)
	for _, a := range o.Addresses {
		if a.Link != link || !a.Prefix.Addr().Is6() {
			continue
		}
		if a.Duplicate {
			w.problem(letter, "duplicate", "another machine has %v", a.Prefix.Addr())
		}
		if a.Dynamic && cfg.SLAAC && a.Prefix.Addr().IsGlobalUnicast() && !slices.Contains(all, a.Prefix) {
			all = append(all, a.Prefix)
		}
	}
	// Dumps come in the kernel's order; the plan should not depend on it.
	slices.SortFunc(all[len(static):], netip.Prefix.Compare)

	seen := map[netip.Prefix]bool{}
	for _, p := range all {
		if subnet := p.Masked(); p.Bits() < 128 && !seen[subnet] {
			seen[subnet] = true
			// 1024 is what the kernel makes of a metric of 0.
			w.routes = append(w.routes, Route{
				Table: table, Destination: subnet, Link: link, Metric: 1024, Type: Unicast, Protocol: protocol,
			})
		}
		w.rule(letter, p.Addr())
	}
	for i, router := range cfg.Routers {
		if !router.Is6() {
			continue
		}
		onLink := !router.IsLinkLocalUnicast() &&
			!slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(router) })
		w.defaultBy(router, link, table, staticMetric+i, isDefault, onLink)
	}
	if cfg.SLAAC {
		w.routes = append(w.routes, advertised(o, link, table)...)
	}
	return static
}

// advertised copies the default routes by advertised routers to the interface's table. The copies get metrics of
// their own: routes of one metric that are not the kernel's own would replace each other.
func advertised(o Observation, link, table int) []Route {
	var gateways []netip.Addr
	for _, r := range o.Routes {
		if r.Table == mainTable && r.Link == link && isAdvertised(r) && !slices.Contains(gateways, r.Gateway) {
			gateways = append(gateways, r.Gateway)
		}
	}
	slices.SortFunc(gateways, netip.Addr.Compare)
	var routes []Route
	for i, g := range gateways {
		routes = append(routes, Route{
			Table: table, Destination: defaultRoute(true), Gateway: g, Link: link,
			Metric: advertisedMetric + i, Type: Unicast, Protocol: protocol,
		})
	}
	return routes
}

// kernelRA is RTPROT_RA, the mark of routes from router advertisements; kernelOwn is RTPROT_KERNEL.
const (
	kernelRA  = 9
	kernelOwn = 2
)

func isAdvertised(r Route) bool {
	return r.Protocol == kernelRA && r.Destination == defaultRoute(true) && r.Gateway.IsValid()
}

// minMTU is the least MTU of IPv6 (RFC 8200, section 5); below it the kernel takes IPv6 off the link.
const minMTU = 1280

// mtu is what is configured, else what the lease asks for if it is less than the port's own, else the port's own.
func (w *wanted) mtu(in Input, letter string) int {
	cfg, own := in.Document.Interfaces[letter], in.DriverMTU[letter]
	if cfg.MTU != 0 {
		if cfg.MTU < minMTU && cfg.IPv6.Enabled {
			w.problem(letter, "mtu", "MTU %d is not set, IPv6 needs %d", cfg.MTU, minMTU)
			return own
		}
		return cfg.MTU
	}
	if lease, ok := in.Leases[letter]; ok && cfg.IPv4.Enabled && cfg.IPv4.DHCP && lease.MTU >= minMTU && lease.MTU < own {
		return lease.MTU
	}
	return own
}

// mode returns the mode to set, nil for none. A port without carrier may not know its speed; that it does not
// negotiate any longer is enough then.
func (w *wanted) mode(letter string, cfg config.Link, port NIC, link Link) *LinkMode {
	if cfg.Speed == 0 {
		if link.Mode.CanAutoneg && !link.Mode.Autoneg && !isVirtual(port.Driver) {
			return &LinkMode{Autoneg: true}
		}
		return nil
	}
	if isVirtual(port.Driver) {
		w.problem(letter, "speed", "%v, driver %s is virtual", errVirtual, port.Driver)
		return nil
	}
	reached := link.Mode.Speed == cfg.Speed && link.Mode.FullDuplex == cfg.FullDuplex || !link.Carrier
	if !link.Mode.Autoneg && reached {
		return nil
	}
	return &LinkMode{Speed: cfg.Speed, FullDuplex: cfg.FullDuplex}
}

// compareRoutes orders routes for a plan that is the same for the same state.
func compareRoutes(x, y Route) int {
	return cmp.Or(
		cmp.Compare(x.Table, y.Table), x.Destination.Compare(y.Destination), cmp.Compare(x.Metric, y.Metric),
		x.Gateway.Compare(y.Gateway), cmp.Compare(x.Link, y.Link), cmp.Compare(x.Type, y.Type),
	)
}
