package callbridge

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"rotunda/init/config"
	"rotunda/services/callbridge/sip"
)

// Ports of SIP (guide appendix B).
const (
	sipPort  = 5060
	sipsPort = 5061
)

// ports are those that SIP listens on; developers and tests have others, 0 for any.
type ports struct{ sip, sips uint16 }

// network is which addresses of this machine SIP and media use.
type network struct {
	ports ports
	log   *slog.Logger

	mu sync.Mutex
	// signalling are the addresses that SIP listens on, those of the preferred interface first; loopback is not among them.
	signalling []netip.Addr
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// listen works out the sockets: on loopback always, by UDP and TCP; on the addresses of the interfaces that are configured too; and by TLS on all
// of them where there is a certificate.
func (n *network) listen(s config.CallBridgeService, certificate bool) []sip.Listen {
	addresses := n.addresses(s)
	n.mu.Lock()
	n.signalling = addresses
	n.mu.Unlock()
	var list []sip.Listen
	for _, a := range append([]netip.Addr{loopback}, addresses...) {
		plain, secure := netip.AddrPortFrom(a, n.ports.sip), netip.AddrPortFrom(a, n.ports.sips)
		list = append(list, sip.Listen{Transport: sip.UDP, Address: plain}, sip.Listen{Transport: sip.TCP, Address: plain})
		if certificate {
			list = append(list, sip.Listen{Transport: sip.TLS, Address: secure})
		}
	}
	return list
}

// addresses are those of the interfaces that SIP listens on, in the order in which they are configured, but those of the preferred one first.
func (n *network) addresses(s config.CallBridgeService) []netip.Addr {
	names := slices.Clone(s.Listen)
	if i := slices.Index(names, s.Prefer); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, s.Prefer)
	}
	var list []netip.Addr
	for _, name := range names {
		of, err := addressesOf(s.Devices[name])
		if err != nil {
			n.log.Warn("the addresses of an interface cannot be read", "interface", name, "error", err)
			continue
		}
		for _, a := range of {
			if !slices.Contains(list, a) && !a.IsLoopback() {
				list = append(list, a)
			}
		}
	}
	return list
}

// addressesOf are the addresses of a device that others can reach, IPv4 first. A device that is not there has none.
func addressesOf(device string) ([]netip.Addr, error) {
	if device == "" {
		return nil, nil
	}
	i, err := net.InterfaceByName(device)
	if err != nil {
		return nil, nil
	}
	have, err := i.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", device, err)
	}
	var list []netip.Addr
	for _, one := range have {
		n, ok := one.(*net.IPNet)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(n.IP)
		// Nobody beyond the cable can use a link-local address, and SDP has no way to name its interface.
		if a = a.Unmap(); ok && !a.IsLinkLocalUnicast() {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return list, nil
}

// media are the addresses for the media of a call: those of the interface that its signalling uses. local is invalid for a call that is not made
// yet: then the one that packets to the far end leave by counts, if SIP listens there, and otherwise the first of the same family.
func (n *network) media(local, remote netip.Addr) []netip.Addr {
	if local.IsValid() && !local.IsUnspecified() {
		return []netip.Addr{local.Unmap()}
	}
	n.mu.Lock()
	have := n.signalling
	n.mu.Unlock()
	out := sourceTo(remote)
	if out.IsLoopback() || slices.Contains(have, out) {
		return []netip.Addr{out}
	}
	for _, a := range have {
		if !remote.IsValid() || a.Is4() == remote.Unmap().Is4() {
			return []netip.Addr{a}
		}
	}
	if out.IsValid() {
		return []netip.Addr{out}
	}
	return []netip.Addr{loopback}
}

// sourceTo is the address that packets to another one leave by. Nothing is sent.
func sourceTo(remote netip.Addr) (none netip.Addr) {
	if !remote.IsValid() {
		return none
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, 9)))
	if err != nil {
		return none
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return none
	}
	return local.AddrPort().Addr().Unmap()
}
