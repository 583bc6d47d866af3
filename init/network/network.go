// Package network owns the network interfaces a–d: which card carries which letter, and that the kernel's links,
// addresses, routes and rules are what the configuration document wants.
//
// # Names
//
// A letter belongs to a card. At the first start the letters are dealt in PCI order; from then on a stored map keeps
// every card its letter, whatever is added, removed or replaced beside it ([Assign] has the rules). Cards keep the
// name that the kernel gave them: a rename needs the link down and races with drivers that come up late, and nobody
// sees that name, since every command speaks of letters and the map from letter to card is made anew at each start.
// A card that is plugged into a running machine gets its letter at the next start.
//
// # Reconciling
//
// [Reconciler] compares wanted with actual and applies the difference, when either changes and every 30 seconds. What
// is to be done is computed by a pure function from the document, the leases and one observation; it is computed
// again after each round, because the kernel does things of its own on the way (it drops routes with an address,
// IPv6 addresses with a link), until nothing is left to do. An operation is planned only for a difference, so that a
// machine that is as it should be is not touched.
//
// What belongs to this package: every IPv4 address and every permanent global IPv6 address of a lettered card, every
// route and rule marked with protocol 82, and the tables 101–104. Other routes and rules are left alone.
//
// # Which way packets leave
//
// New connections: same subnet, then static route, then the default interface; so the main table holds every subnet,
// every static route, and a default route by the default interface only. Replies leave by the interface that the
// connection came in on: a rule "from <address> lookup 100+n" (a=1 … d=4) sends everything with that source address
// to a table with the interface's own subnet, static routes and default route. Both families work alike. IPv6 routers
// learnt from advertisements are entered into the main table by the kernel, for every interface; an unreachable
// default route that ranks behind those of the default interface and before all others keeps the promise.
//
// # Crash and power cut
//
// Nothing but the map is stored, by write, fsync, rename and fsync of the folder: a power cut leaves the old map or
// the new one. A map that cannot be read is replaced by PCI order with a warning. The kernel's state ends with the
// machine; a restarted program finds it by its marks and converges.
//
// # Trust
//
// Bytes from the network are parsed by the kernel (router advertisements) or by an unprivileged child (DHCP, package
// dhcp). The child holds two filtered packet sockets and no capability; what it says is bounded and checked again.
package network

import (
	"net/netip"
	"slices"
	"time"

	"rotunda/init/config"
	"rotunda/init/network/dhcp"
)

// protocol marks routes and rules as ours (rtm_protocol, FRA_PROTOCOL). iproute2's rt_protos names no program for 82.
const protocol = 82

const (
	mainTable  = 254
	localTable = 255
	// firstTable is 100; interface a has 101.
	firstTable = 100
	// firstRule is the priority of interface a's rule minus one. The kernel's own rules are at 0, 32766 and 32767.
	firstRule = 1000
)

// Metrics of default routes in the main table: the lower wins.
const (
	// staticMetric ranks configured gateways and leases; further IPv6 routers follow one by one.
	staticMetric = 100
	// advertisedMetric is what the kernel gives to advertised routers, here to those of the default interface.
	advertisedMetric = 1024
	// barrierMetric is the unreachable route between the default interface's routers and all others.
	barrierMetric = 2048
	// otherMetric ranks routers advertised on other interfaces.
	otherMetric = 4096
)

// number is 1 for a, 2 for b …; 0 for what is no interface name.
func number(letter string) int {
	return slices.Index(config.InterfaceNames, letter) + 1
}

// Lease is a DHCP lease with the time it ends.
type Lease struct {
	dhcp.Lease
	// Expires is zero for a lease without end.
	Expires time.Time
}

// valid tells whether the lease may be used at t.
func (l Lease) valid(t time.Time) bool {
	return l.Expires.IsZero() || t.Before(l.Expires)
}

// Problem is a difference between wanted and actual that could not be removed.
type Problem struct {
	// ID is stable as long as the cause is, for example "interface-a-overlap".
	ID string
	// Interface is the letter, empty if the problem concerns all.
	Interface string
	Text      string
}

// Link is one network device as the kernel has it.
type Link struct {
	Index   int
	Name    string
	MAC     string
	Up      bool
	Carrier bool
	MTU     int
	Mode    LinkMode
}

// LinkMode is speed and duplex of a port.
type LinkMode struct {
	// Speed in Mbit/s, 0 if unknown.
	Speed      int
	FullDuplex bool
	Autoneg    bool
	// CanAutoneg is whether the port is able to negotiate.
	CanAutoneg bool
}

// Address is one address of a link.
type Address struct {
	Link   int
	Prefix netip.Prefix
	// Dynamic addresses were made by the kernel from a router advertisement.
	Dynamic bool
	// Duplicate is set when another machine has the same IPv6 address (RFC 4862, section 5.4).
	Duplicate bool
	// Tentative addresses are being checked for that and not usable yet.
	Tentative bool
}

// RouteType is rtm_type of rtnetlink(7).
type RouteType int

// The types that matter here.
const (
	Unicast     RouteType = 1
	Local       RouteType = 2
	Broadcast   RouteType = 3
	Anycast     RouteType = 4
	Multicast   RouteType = 5
	Unreachable RouteType = 7
)

// Route is one route of one table.
type Route struct {
	Table       int
	Destination netip.Prefix
	// Gateway is the zero value for a destination on the link.
	Gateway netip.Addr
	// Link is not compared for Unreachable.
	Link   int
	Metric int
	Type   RouteType
	// Protocol says who entered the route, see rtnetlink(7).
	Protocol int
	// OnLink takes the gateway to be on the link although no address of ours covers it.
	OnLink bool
}

// Rule sends packets with a source address to a table.
type Rule struct {
	Priority int
	From     netip.Prefix
	Table    int
	Protocol int
}

// Observation is one look at the kernel.
type Observation struct {
	// Links by kernel name.
	Links     map[string]Link
	Addresses []Address
	Routes    []Route
	Rules     []Rule
	// Sysctls by path below /proc/sys; what this kernel does not have is missing.
	Sysctls map[string]string
}
