package network

import (
	"context"
	"net/netip"
	"os"
)

// Kernel is what the reconciler asks of the kernel. [Linux] is the real one.
//
// Adding what is there and removing what is gone are no errors: between an observation and its plan the kernel moves
// on by itself.
type Kernel interface {
	// Observe looks at the named links and at the given sysctls; addresses, routes and rules come for all links.
	Observe(links, sysctls []string) (Observation, error)

	SetSysctl(key, value string) error
	// SetMode sets speed and duplex of a port, or negotiation.
	SetMode(link string, mode LinkMode) error
	SetMTU(index, mtu int) error
	SetUp(index int, up bool) error
	AddAddress(index int, p netip.Prefix) error
	RemoveAddress(index int, p netip.Prefix) error
	// PutRoute adds a route; it takes the place of one with the same table, destination and metric.
	PutRoute(Route) error
	RemoveRoute(Route) error
	AddRule(Rule) error
	RemoveRule(Rule) error
	// Solicit asks the routers on a link for an advertisement (RFC 4861, section 4.1).
	Solicit(index int) error

	// Sockets opens what a DHCP client on the link needs.
	Sockets(index int) (*Sockets, error)
	// Events signals that something has changed, until ctx ends; then, and when the kernel cannot tell any longer, it
	// closes the channel.
	Events(ctx context.Context) (<-chan struct{}, error)
}

// Sockets of one DHCP client. The first two go to the child.
type Sockets struct {
	Packet *os.File
	ARP    *os.File
	// Port holds UDP port 68 on the link and reads nothing. Without it the kernel would answer each unicast reply of
	// a server with "port unreachable".
	Port *os.File
}

// Close closes what is open.
func (s *Sockets) Close() {
	for _, f := range []*os.File{s.Packet, s.ARP, s.Port} {
		if f != nil {
			f.Close()
		}
	}
}
