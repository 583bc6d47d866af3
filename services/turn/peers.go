package turn

import "net/netip"

const (
	// firstMedia is where the ports of media begin (deployment guide, appendix B). On this machine's own addresses a relay
	// reaches media workers and other relays, and nothing below: not this server itself, not what else listens.
	firstMedia = 32768
	// firstUnprivileged: no candidate of ICE has a port below. NATs keep clients' ports above it (RFC 4787, REQ-3), and what
	// a port scan through the relay would look for lies there.
	firstUnprivileged = 1024
)

// own are the addresses of this machine. It never changes; another takes its place.
type own struct {
	// relay4 and relay6 are where relay ports are opened; the zero value is none.
	relay4, relay6 netip.Addr
	// public4 is what the firewall in front maps to relay4 (public-ip), or the zero value.
	public4 netip.Addr
	// relayIP is relay4, and publicIP what it is called outside: public4, or itself. They are looked at for every packet.
	relayIP, publicIP ip
	// machine are all addresses of this machine.
	machine map[ip]bool
	// combined tells that this server serves a Call Bridge over loopback.
	combined bool
}

// has tells whether an address is this machine's, be it by the name that the firewall gives it.
func (o *own) has(i ip) bool {
	return o.machine[i] || i == o.publicIP
}

// relays tells whether relays may have an address.
func (o *own) relays(i ip) bool {
	return i == o.relayIP || i == o.publicIP || o.relay6.IsValid() && i == ipOf(o.relay6)
}

// outside is the inverse of resolve, for an address of a relay.
func (o *own) outside(a address) address {
	if a.ip == o.relayIP {
		a.ip = o.publicIP
	}
	return a
}

// resolve turns the address that the world knows into the one that a socket here has.
func (o *own) resolve(a address) address {
	if a.ip == o.publicIP {
		a.ip = o.relayIP
	}
	return a
}

// mayBePeer decides whom a relay may talk to at all; a port is judged when there is one, since a permission is for an address
// (RFC 8656 section 9).
func (o *own) mayBePeer(peer address, withPort bool) bool {
	a := peer.addr()
	switch {
	case a.IsLoopback():
		return o.combined && (!withPort || peer.port >= firstMedia)
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), thisNetwork.Contains(a), reserved.Contains(a):
		return false
	case o.has(peer.ip):
		return !withPort || peer.port >= firstMedia
	}
	return !withPort || peer.port >= firstUnprivileged
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	// reserved holds the broadcast address, too (RFC 1112 section 4).
	reserved = netip.MustParsePrefix("240.0.0.0/4")
)
