package dhcp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

const (
	clientPort = 68
	serverPort = 67

	ipHeader  = 20
	udpHeader = 8
	protoUDP  = 17
	// maxPacket is the largest IP datagram taken, which the maximum message size option (57) announces.
	maxPacket = 1500
)

var errNotDHCP = errors.New("not a datagram to the DHCP client port")

// datagram wraps a message in UDP (RFC 768) and IPv4 (RFC 791).
func datagram(source, destination netip.Addr, message []byte) []byte {
	p := make([]byte, ipHeader+udpHeader, ipHeader+udpHeader+len(message))
	p = append(p, message...)
	src, dst := source.As4(), destination.As4()

	udp := p[ipHeader:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	sum := ^sum16(udp, pseudo(src, dst, len(udp)))
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], sum)

	p[0] = 0x45
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	// Don't fragment, as a host that never fragments may say; time to live 64.
	p[6] = 0x40
	p[8] = 64
	p[9] = protoUDP
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	binary.BigEndian.PutUint16(p[10:], ^sum16(p[:ipHeader], 0))
	return p
}

// payload takes the message out of a datagram to the client port. partial says that the sender is on this host and
// left the UDP checksum to hardware that does not exist (a virtual link); then there is none to check.
func payload(p []byte, partial bool) ([]byte, error) {
	if len(p) < ipHeader || p[0]>>4 != 4 {
		return nil, errNotDHCP
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < ipHeader || total < header+udpHeader || total > len(p) {
		return nil, errNotDHCP
	}
	// Fragments (more to come, or an offset) are not put together: no server sends 1500 bytes.
	if p[9] != protoUDP || binary.BigEndian.Uint16(p[6:])&0x3fff != 0 || sum16(p[:header], 0) != 0xffff {
		return nil, errNotDHCP
	}
	src, dst := [4]byte(p[12:16]), [4]byte(p[16:20])
	udp := p[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp[2:]) != clientPort || length < udpHeader || length > len(udp) {
		return nil, errNotDHCP
	}
	udp = udp[:length]
	if !partial && binary.BigEndian.Uint16(udp[6:]) != 0 && sum16(udp, pseudo(src, dst, length)) != 0xffff {
		return nil, errors.New("wrong UDP checksum")
	}
	return udp[udpHeader:], nil
}

// pseudo is the sum of the UDP pseudo header.
func pseudo(src, dst [4]byte, length int) uint32 {
	sum := uint32(protoUDP) + uint32(length)
	for _, a := range [][4]byte{src, dst} {
		sum += uint32(binary.BigEndian.Uint16(a[0:])) + uint32(binary.BigEndian.Uint16(a[2:]))
	}
	return sum
}

// sum16 is the Internet checksum before the final complement (RFC 1071).
func sum16(b []byte, sum uint32) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// arpSize is an ARP message for IPv4 on Ethernet (RFC 826).
const arpSize = 28

// arpRequest asks for target. A zero sender makes it a probe, sender equal to target an announcement (RFC 5227).
func arpRequest(mac net.HardwareAddr, sender, target netip.Addr) []byte {
	p := make([]byte, arpSize)
	copy(p, []byte{0, 1, 8, 0, 6, 4, 0, 1})
	copy(p[8:14], mac)
	s, t := sender.As4(), target.As4()
	copy(p[14:], s[:])
	copy(p[24:], t[:])
	return p
}

// arpConflict tells whether an ARP message shows that another machine uses an address or is about to
// (RFC 5227, section 2.1.1).
func arpConflict(p []byte, mac net.HardwareAddr, address netip.Addr) bool {
	if len(p) < arpSize || [6]byte(p[0:6]) != [6]byte{0, 1, 8, 0, 6, 4} || string(p[8:14]) == string(mac) {
		return false
	}
	sender, target := netip.AddrFrom4([4]byte(p[14:18])), netip.AddrFrom4([4]byte(p[24:28]))
	request := p[6] == 0 && p[7] == 1
	return sender == address || request && sender.IsUnspecified() && target == address
}
