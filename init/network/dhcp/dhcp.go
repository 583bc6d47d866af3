// Package dhcp is the DHCPv4 client (RFC 2131, RFC 2132, RFC 3442). It runs as a child of PID 1, `init dhcp`, one
// process an interface, as a user without any capability: what a server on the wire can break into is a process that
// holds two sockets and a pipe.
//
// PID 1 opens the sockets and hands them down as descriptors 3 and 4: packet sockets bound to one link, one that
// receives UDP to port 68 and one that receives ARP, both by filters that the child cannot change. Passing open
// sockets was chosen over CAP_NET_RAW and CAP_NET_BIND_SERVICE: with these the child could listen to everything on
// every interface. Packet sockets also work before there is an address, and at renewal they need no route: the
// frame goes to the MAC address that the last answer came from, the server or the relay.
//
// The child prints one JSON line an event on standard output ([Event]); state changes go to standard error for the
// journal. It changes nothing on the machine itself. PID 1 checks each event again ([Decode]), applies it, and
// watches the lease's end too, so that a child that hangs cannot keep an address beyond its time.
//
// The child keeps nothing on disk. When it is started anew while a lease is valid (the link went away and came
// back, or the child crashed), it is told the address and asks for it first (INIT-REBOOT). No DHCPRELEASE is ever
// sent: after a reboot the machine should find its address again.
package dhcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Bounds of what is taken from a server, checked by the child and by PID 1.
const (
	maxServers = 8
	maxRoutes  = 64
	maxDomain  = 253
	// MaxLine is the longest event in bytes; 64 routes of 70 bytes are most of it.
	MaxLine = 8 << 10
	// minLifetime in seconds. Renewal starts at half of it; a shorter lease is a mistake or an attack.
	minLifetime = 10
	// Infinite as a lifetime means that the lease does not end (RFC 2131, section 3.3).
	Infinite = 1<<32 - 1
)

// Event kinds.
const (
	// Bound says that Lease is in use: new, or renewed.
	Bound = "bound"
	// Lost says that the address must not be used any longer.
	Lost = "lost"
)

// Event is one line from the child.
type Event struct {
	Event string `json:"event"`
	Lease *Lease `json:"lease,omitempty"`
	// Reason of a loss: "expired" or "refused".
	Reason string `json:"reason,omitempty"`
}

// Lease is what a server gave.
type Lease struct {
	Address netip.Prefix `json:"address"`
	Router  netip.Addr   `json:"router,omitzero"`
	Server  netip.Addr   `json:"server"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	NTP     []netip.Addr `json:"ntp,omitempty"`
	Domain  string       `json:"domain,omitempty"`
	// MTU in bytes, 0 if the server said nothing.
	MTU int `json:"mtu,omitempty"`
	// Routes are classless static routes (RFC 3442) without the default route, which is Router.
	Routes []Route `json:"routes,omitempty"`
	// Lifetime in seconds from now.
	Lifetime uint32 `json:"lifetime"`
}

// Route is a static route.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway"`
}

// Decode reads and checks one line.
func Decode(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, fmt.Errorf("event of %d bytes, limit %d", len(line), MaxLine)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	var e Event
	if err := d.Decode(&e); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Event{}, errors.New("decode event: more than one value on a line")
	}
	return e, e.check()
}

func (e Event) check() error {
	switch {
	case e.Event == Bound && e.Lease != nil && e.Reason == "":
		return e.Lease.check()
	case e.Event == Lost && e.Lease == nil && (e.Reason == expired || e.Reason == refused):
		return nil
	}
	return fmt.Errorf("event %.20q is incomplete or unknown", e.Event)
}

// check refuses what no server has business to give and what the kernel could not use.
func (l Lease) check() error {
	if !l.Address.IsValid() || !isHost(l.Address.Addr()) || l.Address.Bits() == 0 {
		return fmt.Errorf("address %v cannot be used", l.Address)
	}
	if l.Address.Bits() < 31 && (l.Address.Addr() == l.Address.Masked().Addr() || l.Address.Addr() == broadcastOf(l.Address)) {
		return fmt.Errorf("address %v is its subnet's own or broadcast address", l.Address)
	}
	if !isHost(l.Server) {
		return fmt.Errorf("server %v is no host", l.Server)
	}
	if l.Router.IsValid() && (!isHost(l.Router) || l.Router == l.Address.Addr()) {
		return fmt.Errorf("router %v cannot be used", l.Router)
	}
	if l.Lifetime < minLifetime {
		return fmt.Errorf("lease of %d s is shorter than %d s", l.Lifetime, minLifetime)
	}
	if len(l.DNS) > maxServers || len(l.NTP) > maxServers || len(l.Routes) > maxRoutes {
		return errors.New("too many servers or routes")
	}
	for _, a := range append(append([]netip.Addr(nil), l.DNS...), l.NTP...) {
		if !isHost(a) {
			return fmt.Errorf("server %v is no host", a)
		}
	}
	for _, r := range l.Routes {
		if !r.Destination.IsValid() || !r.Destination.Addr().Is4() || r.Destination.Bits() == 0 ||
			r.Destination != r.Destination.Masked() || !isHost(r.Gateway) || r.Gateway == l.Address.Addr() {
			return fmt.Errorf("route %v by %v cannot be used", r.Destination, r.Gateway)
		}
	}
	if l.MTU != 0 && (l.MTU < 68 || l.MTU > 65535) {
		return fmt.Errorf("MTU %d is out of range", l.MTU)
	}
	if !isDomain(l.Domain) && l.Domain != "" {
		return fmt.Errorf("domain %.40q is no domain name", l.Domain)
	}
	return nil
}

// isHost tells whether a can be the address of one machine: no 0/8, loopback, multicast, reserved or broadcast.
func isHost(a netip.Addr) bool {
	return a.Is4() && a.As4()[0] != 0 && a.As4()[0] < 224 && !a.IsLoopback()
}

func broadcastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" &&
		!strings.HasPrefix(s, ".") && !strings.Contains(s, "..")
}
