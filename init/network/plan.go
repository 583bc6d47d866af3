package network

import (
	"fmt"
	"net/netip"
	"slices"

	"rotunda/init/config"
)

// operation is one step of a plan.
type operation struct {
	// text names the step; two steps with the same text are the same.
	text  string
	apply func(Kernel) error
}

// plan returns what is to be done to get from what is observed to what is wanted, in the order to do it, and what
// cannot be reached. It depends on nothing else.
//
// The order keeps the machine reachable: a link is set up before it comes up; an address leaves one interface before
// it is put on another; a new route is there before the old one goes.
func plan(in Input, o Observation) ([]operation, []Problem) {
	w := want(in, o)
	var ops []operation
	add := func(apply func(Kernel) error, format string, args ...any) {
		ops = append(ops, operation{fmt.Sprintf(format, args...), apply})
	}
	if lo, ok := o.Links["lo"]; ok && !lo.Up {
		add(func(k Kernel) error { return k.SetUp(lo.Index, true) }, "lo up")
	}
	for _, s := range w.sysctls {
		// A sysctl that this kernel does not have is not asked for.
		if now, ok := o.Sysctls[s.key]; ok && now != s.value {
			add(func(k Kernel) error { return k.SetSysctl(s.key, s.value) }, "sysctl %s = %s", s.key, s.value)
		}
	}
	for _, i := range w.interfaces {
		if !i.up && i.link.Up {
			add(func(k Kernel) error { return k.SetUp(i.link.Index, false) }, "%s down", i.letter)
		}
		if i.mode != nil {
			mode := *i.mode
			add(func(k Kernel) error { return k.SetMode(i.link.Name, mode) }, "%s mode %v", i.letter, mode)
		}
		if i.mtu != 0 && i.mtu != i.link.MTU {
			add(func(k Kernel) error { return k.SetMTU(i.link.Index, i.mtu) }, "%s mtu %d", i.letter, i.mtu)
		}
		if i.up && !i.link.Up {
			add(func(k Kernel) error { return k.SetUp(i.link.Index, true) }, "%s up", i.letter)
		}
	}
	planAddresses(w, o, add)
	planRules(w, o, add)
	planRoutes(w, o, add)
	for _, i := range w.interfaces {
		// A link that comes up is solicited by the kernel.
		if i.slaac && i.link.Up && o.Sysctls["net/ipv6/conf/"+i.link.Name+"/accept_ra"] == "0" {
			add(func(k Kernel) error { return k.Solicit(i.link.Index) }, "%s solicit", i.letter)
		}
	}
	return ops, w.problems
}

type adder func(apply func(Kernel) error, format string, args ...any)

// has tells whether a link has an address.
func (o Observation) has(link int, p netip.Prefix) bool {
	return slices.ContainsFunc(o.Addresses, func(a Address) bool { return a.Link == link && a.Prefix == p })
}

func planAddresses(w wanted, o Observation, add adder) {
	for _, i := range w.interfaces {
		for _, a := range o.Addresses {
			if a.Link != i.link.Index || slices.Contains(i.addresses, a.Prefix) || !surplus(a, i) {
				continue
			}
			add(func(k Kernel) error { return k.RemoveAddress(i.link.Index, a.Prefix) }, "%s remove %v", i.letter, a.Prefix)
		}
	}
	for _, i := range w.interfaces {
		for _, p := range i.addresses {
			if !o.has(i.link.Index, p) {
				add(func(k Kernel) error { return k.AddAddress(i.link.Index, p) }, "%s add %v", i.letter, p)
			}
		}
	}
}

// surplus tells whether an address that is not wanted has to be removed.
func surplus(a Address, i wantedInterface) bool {
	if a.Prefix.Addr().Is4() {
		return true
	}
	// Switching the family off removes them all, link-local ones come with the link, and SLAAC's are the kernel's.
	return i.six && !a.Prefix.Addr().IsLinkLocalUnicast() && !(a.Dynamic && i.slaac)
}

func planRules(w wanted, o Observation, add adder) {
	for _, r := range w.rules {
		if !slices.Contains(o.Rules, r) {
			add(func(k Kernel) error { return k.AddRule(r) }, "add %v", r)
		}
	}
	for _, r := range o.Rules {
		if r.Protocol == protocol && !slices.Contains(w.rules, r) {
			add(func(k Kernel) error { return k.RemoveRule(r) }, "remove %v", r)
		}
	}
}

func planRoutes(w wanted, o Observation, add adder) {
	slices.SortFunc(w.routes, compareRoutes)
	for _, r := range slices.CompactFunc(w.routes, sameRoute) {
		if !slices.ContainsFunc(o.Routes, func(x Route) bool { return sameRoute(r, x) }) {
			add(func(k Kernel) error { return k.PutRoute(r) }, "put %v", r)
		}
	}
	for _, x := range o.Routes {
		isWanted := slices.ContainsFunc(w.routes, func(r Route) bool { return sameRoute(r, x) })
		if !isWanted && (isOurs(x) || isLeftOver(w, x)) {
			add(func(k Kernel) error { return k.RemoveRoute(x) }, "remove %v", x)
		}
	}
}

// sameRoute compares what was asked for with what the kernel says.
func sameRoute(x, y Route) bool {
	same := x.Table == y.Table && x.Destination == y.Destination && x.Gateway == y.Gateway && x.Metric == y.Metric &&
		x.Type == y.Type && x.Protocol == y.Protocol
	return same && (x.Link == y.Link || x.Type == Unreachable)
}

// isOurs tells whether a route was entered by this package: by its mark, or by being in one of its tables.
func isOurs(r Route) bool {
	return r.Protocol == protocol || r.Table > firstTable && r.Table <= firstTable+len(config.InterfaceNames)
}

// isLeftOver tells whether a route comes from router advertisements that are not listened to any longer. Left alone
// it would stay until its lifetime ends, often for weeks.
func isLeftOver(w wanted, r Route) bool {
	i := slices.IndexFunc(w.interfaces, func(i wantedInterface) bool { return i.link.Index == r.Link })
	if i < 0 || !w.interfaces[i].six || w.interfaces[i].slaac || r.Table != mainTable || !r.Destination.Addr().Is6() {
		return false
	}
	if r.Protocol == kernelRA {
		return true
	}
	return r.Protocol == kernelOwn && r.Type == Unicast && r.Destination.Addr().IsGlobalUnicast() &&
		!slices.ContainsFunc(w.interfaces[i].addresses, func(p netip.Prefix) bool { return p.Masked() == r.Destination })
}

// String names the rule as ip-rule(8) does.
func (r Rule) String() string {
	return fmt.Sprintf("rule %d from %v table %d", r.Priority, r.From, r.Table)
}

// String names the route much as ip-route(8) does.
func (r Route) String() string {
	s := fmt.Sprintf("route %v", r.Destination)
	if r.Type == Unreachable {
		s = "unreachable " + s
	}
	if r.Gateway.IsValid() {
		s += fmt.Sprintf(" via %v", r.Gateway)
	}
	if r.OnLink {
		s += " onlink"
	}
	return s + fmt.Sprintf(" dev %d metric %d table %d", r.Link, r.Metric, r.Table)
}

// String shows the mode as the iface command takes it.
func (m LinkMode) String() string {
	if m.Autoneg {
		return "autoneg on"
	}
	duplex := "half"
	if m.FullDuplex {
		duplex = "full"
	}
	return fmt.Sprintf("%d %s", m.Speed, duplex)
}
