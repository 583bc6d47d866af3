package network

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// receiveBuffer bounds what a flood on the wire can pile up in front of a DHCP client; ten messages are plenty.
const receiveBuffer = 32 << 10

// Filters in classic BPF; offsets count from the network header (SOCK_DGRAM, packet(7)).
var (
	// dhcpFilter passes unfragmented UDP over IPv4 to port 68.
	dhcpFilter = []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 6},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 6},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x3fff, Jt: 4},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 68, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1500},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	// arpFilter passes the start of each packet; the socket is bound to ARP.
	arpFilter = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 64}}
	// dropFilter passes nothing.
	dropFilter = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
)

// Sockets implements [Kernel].
func (k *Linux) Sockets(index int) (*Sockets, error) {
	s := &Sockets{}
	err := k.here(func() (err error) {
		if s.Packet, err = packetSocket(index, unix.ETH_P_IP, dhcpFilter); err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		if s.ARP, err = packetSocket(index, unix.ETH_P_ARP, arpFilter); err != nil {
			return fmt.Errorf("open ARP socket: %w", err)
		}
		if s.Port, err = portSocket(index); err != nil {
			return fmt.Errorf("hold port 68: %w", err)
		}
		return nil
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// packetSocket is created for no protocol and bound when the filter is in place, so that nothing gets past it.
func packetSocket(index int, protocol uint16, filter []unix.SockFilter) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "packet")
	err = errors.Join(
		attach(fd, filter),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
	)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: index})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func portSocket(index int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "port 68")
	err = errors.Join(
		attach(fd, dropFilter),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, index),
	)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: 68})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func attach(fd int, filter []unix.SockFilter) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// solicitation is an ICMPv6 router solicitation without options; the kernel fills the checksum in.
var solicitation = []byte{133, 0, 0, 0, 0, 0, 0, 0}

// Solicit implements [Kernel]. The kernel itself asks only when a link comes up, so that switching SLAAC on would
// take until the router's next turn, up to 30 minutes. The socket sends and receives nothing.
func (k *Linux) Solicit(index int) error {
	err := k.here(func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := errors.Join(
			attach(fd, dropFilter),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, index),
			// Receivers refuse it if it could have come through a router (RFC 4861, section 6.1.1).
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
		); err != nil {
			return err
		}
		allRouters := [16]byte{0: 0xff, 1: 0x02, 15: 0x02}
		return unix.Sendto(fd, solicitation, 0, &unix.SockaddrInet6{ZoneId: uint32(index), Addr: allRouters})
	})
	// Without a usable link-local address yet, the kernel will ask by itself once it has one.
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.ENETDOWN) {
		return nil
	}
	return err
}
