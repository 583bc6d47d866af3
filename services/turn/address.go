package turn

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ip is an address in the shape that maps hash and compare fastest: 16 bytes in two words, IPv4 mapped into IPv6.
type ip struct{ hi, lo uint64 }

// address is an IP address with a port.
type address struct {
	ip
	port uint16
}

const mapped = 0xffff << 32

func ip4(v uint32) ip { return ip{lo: mapped | uint64(v)} }

func ipOf(a netip.Addr) ip {
	b := a.As16()
	return ip{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (i ip) is4() bool { return i.hi == 0 && i.lo>>32 == 0xffff }

// addr is for what a person reads and for the standard library.
func (i ip) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], i.hi)
	binary.BigEndian.PutUint64(b[8:], i.lo)
	return netip.AddrFrom16(b).Unmap()
}

func addressOf(a netip.AddrPort) address { return address{ipOf(a.Addr()), a.Port()} }

// netAddress reads what pion hands about; the zero value is no address.
func netAddress(a net.Addr) address {
	switch a := a.(type) {
	case *net.UDPAddr:
		return addressOf(a.AddrPort())
	case *net.TCPAddr:
		return addressOf(a.AddrPort())
	}
	return address{}
}

func (a address) addrPort() netip.AddrPort { return netip.AddrPortFrom(a.addr(), a.port) }

func (a address) udp() *net.UDPAddr { return net.UDPAddrFromAddrPort(a.addrPort()) }

func (a address) String() string { return a.addrPort().String() }

// sockaddr is an address as the kernel reads and writes it, and how much of it counts.
type sockaddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	len uint32
}

func newSockaddr(a address, family uint16) sockaddr {
	var s sockaddr
	binary.NativeEndian.PutUint16(s.raw[:], family)
	binary.BigEndian.PutUint16(s.raw[2:], a.port)
	if family == unix.AF_INET {
		binary.BigEndian.PutUint32(s.raw[4:], uint32(a.lo))
		s.len = unix.SizeofSockaddrInet4
		return s
	}
	binary.BigEndian.PutUint64(s.raw[8:], a.hi)
	binary.BigEndian.PutUint64(s.raw[16:], a.lo)
	s.len = unix.SizeofSockaddrInet6
	return s
}

// address reads what the kernel wrote; what is of no family that we opened is the zero value.
func (s *sockaddr) address() address {
	port := binary.BigEndian.Uint16(s.raw[2:])
	switch binary.NativeEndian.Uint16(s.raw[:]) {
	case unix.AF_INET:
		return address{ip4(binary.BigEndian.Uint32(s.raw[4:])), port}
	case unix.AF_INET6:
		return address{ip{binary.BigEndian.Uint64(s.raw[8:]), binary.BigEndian.Uint64(s.raw[16:])}, port}
	}
	return address{}
}

func familyOf(a netip.Addr) uint16 {
	if a.Unmap().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
