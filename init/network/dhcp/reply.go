package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// reply is a server's message, read and checked.
type reply struct {
	kind   dhcpv4.MessageType
	xid    uint32
	mac    net.HardwareAddr
	server netip.Addr
	// via is the MAC address of the sender of the frame: the server, or the relay in front of it.
	via net.HardwareAddr
	// The following are set in offers and acknowledgements.
	lease         Lease
	renew, rebind time.Duration
}

// parseReply reads the payload of a UDP datagram to port 68.
func parseReply(b []byte) (reply, error) {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return reply{}, fmt.Errorf("read message: %w", err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || m.HWType != iana.HWTypeEthernet || len(m.ClientHWAddr) != 6 {
		return reply{}, errors.New("not a reply to an Ethernet client")
	}
	r := reply{
		kind: m.MessageType(),
		xid:  binary.BigEndian.Uint32(m.TransactionID[:]),
		mac:  m.ClientHWAddr,
	}
	r.server, _ = netip.AddrFromSlice(m.ServerIdentifier().To4())
	if !isHost(r.server) {
		return reply{}, fmt.Errorf("server identifier %v is no host", r.server)
	}
	switch r.kind {
	case dhcpv4.MessageTypeNak:
		return r, nil
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck:
	default:
		return reply{}, fmt.Errorf("message type %v is not for clients", r.kind)
	}
	if r.lease, err = leaseOf(m, r.server); err != nil {
		return reply{}, err
	}
	r.renew, r.rebind = timesOf(m, r.lease.Lifetime)
	return r, nil
}

// leaseOf takes what is of use and drops options that are nonsense, as long as the lease itself is sound.
func leaseOf(m *dhcpv4.DHCPv4, server netip.Addr) (Lease, error) {
	address, ok := netip.AddrFromSlice(m.YourIPAddr.To4())
	if !ok {
		return Lease{}, errors.New("no address")
	}
	lifetime := m.IPAddressLeaseTime(0) / time.Second
	l := Lease{
		Address:  netip.PrefixFrom(address, maskOf(m, address)),
		Server:   server,
		DNS:      hosts(m.DNS()),
		NTP:      hosts(m.NTPServers()),
		Lifetime: uint32(min(lifetime, Infinite)),
	}
	for _, router := range hosts(m.Router()) {
		if router != address {
			l.Router = router
			break
		}
	}
	// A server that sends classless routes means them instead of the router option (RFC 3442).
	if routes := m.ClasslessStaticRoute(); len(routes) > 0 {
		l.Router = netip.Addr{}
		for _, r := range routes {
			gateway, _ := netip.AddrFromSlice(r.Router.To4())
			base, _ := netip.AddrFromSlice(r.Dest.IP.To4())
			bits, _ := r.Dest.Mask.Size()
			// Gateway 0.0.0.0 means "on the link", which the lease's own subnet covers.
			if !isHost(gateway) || gateway == address || !base.IsValid() {
				continue
			}
			if bits == 0 {
				l.Router = gateway
			} else if len(l.Routes) < maxRoutes {
				l.Routes = append(l.Routes, Route{netip.PrefixFrom(base, bits).Masked(), gateway})
			}
		}
	}
	if domain := strings.TrimRight(m.DomainName(), "\x00"); isDomain(domain) {
		l.Domain = domain
	}
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, m.Options); err == nil && mtu >= 68 {
		l.MTU = int(mtu)
	}
	return l, l.check()
}

// maskOf is the mask option, or the mask of the address's class where a server sends none.
func maskOf(m *dhcpv4.DHCPv4, a netip.Addr) int {
	if ones, size := m.SubnetMask().Size(); size == 32 {
		return ones
	}
	ones, _ := net.IP(a.AsSlice()).DefaultMask().Size()
	return ones
}

func hosts(list []net.IP) []netip.Addr {
	var out []netip.Addr
	for _, ip := range list {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok && isHost(a) && len(out) < maxServers {
			out = append(out, a)
		}
	}
	return out
}

// timesOf returns T1 and T2 of RFC 2131, section 4.4.5: half and seven eighths of the lease unless the server says
// something that fits in between. It does not get to ask for a renewal every second: T1 is a minute at least, or half
// of the lease.
func timesOf(m *dhcpv4.DHCPv4, lifetime uint32) (renew, rebind time.Duration) {
	lease := time.Duration(lifetime) * time.Second
	renew, rebind = m.IPAddressRenewalTime(0), m.IPAddressRebindingTime(0)
	if rebind <= 0 || rebind >= lease {
		rebind = lease / 8 * 7
	}
	if renew <= 0 || renew >= rebind {
		renew = min(lease/2, rebind/8*7)
	}
	return max(renew, min(lease/2, minRenew)), rebind
}
