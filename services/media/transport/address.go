package transport

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is a socket address in the kernel's form: comparable, and never converted on the way of a packet.
type sockaddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	len uint32
}

func newSockaddr(ap netip.AddrPort) sockaddr {
	var s sockaddr
	addr := ap.Addr().Unmap()
	switch {
	case addr.Is4():
		binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET)
		binary.BigEndian.PutUint16(s.raw[2:], ap.Port())
		ip := addr.As4()
		copy(s.raw[4:], ip[:])
		s.len = unix.SizeofSockaddrInet4
	case addr.Is6():
		binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET6)
		binary.BigEndian.PutUint16(s.raw[2:], ap.Port())
		ip := addr.As16()
		copy(s.raw[8:], ip[:])
		s.len = unix.SizeofSockaddrInet6
	}
	return s
}

func (s *sockaddr) known() bool { return s.len != 0 }

func (s *sockaddr) family() uint16 { return binary.NativeEndian.Uint16(s.raw[:]) }

// addrPort is the zero value for an address that is not known. The zone of link-local addresses is not kept: a leg's
// peer on such an address is answered only while the kernel can find the interface by itself.
func (s *sockaddr) addrPort() netip.AddrPort {
	switch {
	case s.len >= unix.SizeofSockaddrInet4 && s.family() == unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:8])), binary.BigEndian.Uint16(s.raw[2:]))
	case s.len >= unix.SizeofSockaddrInet6 && s.family() == unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.raw[8:24])), binary.BigEndian.Uint16(s.raw[2:]))
	}
	return netip.AddrPort{}
}

// pointer is for the name of a message header.
func (s *sockaddr) pointer() *byte { return (*byte)(unsafe.Pointer(&s.raw)) }
