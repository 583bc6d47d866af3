//go:build qemu

package qemu

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
)

// The neighbour is the other machine on a [Segment]: it answers ARP, serves DHCP and announces an IPv6 prefix.
var (
	neighbourMAC  = net.HardwareAddr{0x52, 0x54, 0, 0, 0xff, 1}
	neighbourIPv4 = netip.MustParseAddr("192.0.2.1")
	neighbourIPv6 = netip.MustParseAddr("fe80::ff:1")
	leasedIPv4    = netip.MustParseAddr("192.0.2.77")
	slaacPrefix   = netip.MustParsePrefix("2001:db8:77::/64")
)

const (
	etherARP  = 0x0806
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// neighbour answers what arrives on a segment; offers says whether it hands out leases.
func neighbour(t *testing.T, offers bool) *Segment {
	answer := func(s *Segment, f []byte) {
		var replies [][]byte
		switch etherType(f) {
		case etherARP:
			replies = arpReply(f)
		case etherIPv4:
			replies = echoReply(f)
			if offers {
				replies = append(replies, dhcpReply(t, f)...)
			}
		case etherIPv6:
			replies = routerAdvertisement(f)
		}
		for _, r := range replies {
			if err := s.Send(r); err != nil {
				return // the machine is gone
			}
		}
	}
	return NewSegment(answer)
}

func etherType(f []byte) uint16 {
	if len(f) < 14 {
		return 0
	}
	return binary.BigEndian.Uint16(f[12:])
}

func ethernet(to net.HardwareAddr, kind uint16, payload []byte) []byte {
	f := append(append(append([]byte(nil), to...), neighbourMAC...), byte(kind>>8), byte(kind))
	return append(f, payload...)
}

// arpReply answers a request for the neighbour's address (RFC 826).
func arpReply(f []byte) [][]byte {
	if len(f) < 42 || binary.BigEndian.Uint16(f[20:]) != 1 || !bytes.Equal(f[38:42], neighbourIPv4.AsSlice()) {
		return nil
	}
	body := []byte{0, 1, 8, 0, 6, 4, 0, 2}
	body = append(append(body, neighbourMAC...), neighbourIPv4.AsSlice()...)
	body = append(body, f[22:32]...)
	return [][]byte{ethernet(f[6:12], etherARP, body)}
}

// echoReply answers a ping (RFC 792) to the neighbour's address: addresses change places, the type becomes 0.
func echoReply(f []byte) [][]byte {
	const protocolICMP, echoRequest = 1, 8
	if len(f) < 42 || f[14] != 0x45 || f[23] != protocolICMP || f[34] != echoRequest || !bytes.Equal(f[30:34], neighbourIPv4.AsSlice()) {
		return nil
	}
	packet := append([]byte(nil), f[14:]...)
	copy(packet[12:16], f[30:34])
	copy(packet[16:20], f[26:30])
	message := packet[20:binary.BigEndian.Uint16(packet[2:])]
	message[0], message[2], message[3] = 0, 0, 0
	sum := internetChecksum(message)
	message[2], message[3] = byte(sum>>8), byte(sum)
	return [][]byte{ethernet(f[6:12], etherIPv4, packet)}
}

// udpPayload returns what an IPv4 UDP datagram to a port carries (RFC 768).
func udpPayload(f []byte, port uint16) []byte {
	if len(f) < 42 || f[23] != 17 {
		return nil
	}
	udp := f[14+int(f[14]&15)*4:]
	if len(udp) < 8 || binary.BigEndian.Uint16(udp[2:]) != port {
		return nil
	}
	return udp[8:]
}

func dhcpReply(t *testing.T, f []byte) [][]byte {
	payload := udpPayload(f, dhcpv4.ServerPort)
	if payload == nil {
		return nil
	}
	request, err := dhcpv4.FromBytes(payload)
	if err != nil {
		t.Errorf("the machine sent a DHCP packet that cannot be read: %v", err)
		return nil
	}
	kind := dhcpv4.MessageTypeOffer
	if request.MessageType() == dhcpv4.MessageTypeRequest {
		kind = dhcpv4.MessageTypeAck
	} else if request.MessageType() != dhcpv4.MessageTypeDiscover {
		return nil
	}
	reply, err := dhcpv4.NewReplyFromRequest(request,
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithYourIP(leasedIPv4.AsSlice()),
		dhcpv4.WithServerIP(neighbourIPv4.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(neighbourIPv4.AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))),
		dhcpv4.WithOption(dhcpv4.OptRouter(neighbourIPv4.AsSlice())),
		dhcpv4.WithLeaseTime(3600),
	)
	if err != nil {
		t.Errorf("make DHCP reply: %v", err)
		return nil
	}
	data := reply.ToBytes()
	ip := make([]byte, 28, 28+len(data))
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(data)))
	copy(ip[12:], neighbourIPv4.AsSlice())
	copy(ip[16:], net.IPv4bcast.To4())
	binary.BigEndian.PutUint16(ip[10:], internetChecksum(ip[:20]))
	binary.BigEndian.PutUint16(ip[20:], dhcpv4.ServerPort)
	binary.BigEndian.PutUint16(ip[22:], dhcpv4.ClientPort)
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(data))) // a UDP checksum of 0 means that there is none
	return [][]byte{ethernet(net.HardwareAddr{255, 255, 255, 255, 255, 255}, etherIPv4, append(ip, data...))}
}

// internetChecksum is that of RFC 1071.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 != 0 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// routerAdvertisement answers a router solicitation (RFC 4861 section 4.2) with a prefix to make addresses from.
func routerAdvertisement(f []byte) [][]byte {
	const nextICMPv6 = 58
	if len(f) < 55 || f[20] != nextICMPv6 || ipv6.ICMPType(f[54]) != ipv6.ICMPTypeRouterSolicitation {
		return nil
	}
	body := []byte{64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0} // hop limit, no flags, lifetime 1800 s, timers unspecified
	body = append(append(body, 1, 1), neighbourMAC...)        // source link-layer address
	body = append(body, 3, 4, 64, 0xc0)                       // prefix, on-link and autonomous
	body = append(body, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0)
	body = append(body, slaacPrefix.Addr().AsSlice()...)
	all := netip.MustParseAddr("ff02::1")
	message := icmp.Message{Type: ipv6.ICMPTypeRouterAdvertisement, Body: &icmp.RawBody{Data: body}}
	packet, err := message.Marshal(icmp.IPv6PseudoHeader(neighbourIPv6.AsSlice(), all.AsSlice()))
	if err != nil {
		panic(fmt.Sprintf("marshal router advertisement: %v", err)) // its input is constant
	}
	ip := []byte{0x60, 0, 0, 0, byte(len(packet) >> 8), byte(len(packet)), nextICMPv6, 255}
	ip = append(append(ip, neighbourIPv6.AsSlice()...), all.AsSlice()...)
	return [][]byte{ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, etherIPv6, append(ip, packet...))}
}

// awaitFrom waits for a frame that the machine sends with a certain IPv4 source address.
func awaitFrom(t *testing.T, s *Segment, source netip.Addr) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := s.Await(ctx, func(f []byte) bool {
		return etherType(f) == etherIPv4 && len(f) >= 34 && bytes.Equal(f[26:30], source.AsSlice())
	}); err != nil {
		t.Errorf("no packet from %s: %v", source, err)
	}
}
