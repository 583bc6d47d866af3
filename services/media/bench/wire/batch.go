package wire

import (
	"encoding/binary"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize  = 64
	packetSize = 2048
	// socketBuffer holds what comes while somebody else has the core: 64 MB are half a second at 500 Mbit/s as the kernel
	// counts memory.
	socketBuffer = 64 << 20
)

// socket is a UDP socket with batches in both directions.
type socket struct {
	fd      int
	address netip.AddrPort

	in struct {
		headers [batchSize]unix.Mmsghdr
		vectors [batchSize]unix.Iovec
		names   [batchSize]unix.RawSockaddrInet4
		notes   [batchSize][64]byte
		packets [batchSize][packetSize]byte
	}
	out struct {
		count   int
		headers [batchSize]unix.Mmsghdr
		vectors [batchSize][2]unix.Iovec
		names   [batchSize]unix.RawSockaddrInet4
		heads   [batchSize][packetSize]byte
	}
}

func listen(local netip.Addr) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd}
	// FORCE goes beyond the system's limit and wants root; the plain option takes what it gets.
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, socketBuffer)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: local.As4()})
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("open a socket", err)
	}
	s.address = netip.AddrPortFrom(local, uint16(name.(*unix.SockaddrInet4).Port))
	for i := range batchSize {
		s.in.vectors[i].Base = &s.in.packets[i][0]
		s.in.vectors[i].SetLen(packetSize)
		h := &s.in.headers[i].Hdr
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&s.in.names[i])), &s.in.vectors[i], &s.in.notes[i][0]
		h.SetIovlen(1)
		o := &s.out.headers[i].Hdr
		o.Name, o.Namelen, o.Iov = (*byte)(unsafe.Pointer(&s.out.names[i])), unix.SizeofSockaddrInet4, &s.out.vectors[i][0]
		s.out.vectors[i][0].Base = &s.out.heads[i][0]
	}
	return s, nil
}

func (s *socket) close() { unix.Close(s.fd) }

// receive hands out everything that has come. The packet is valid until take returns.
func (s *socket) receive(take func(port uint16, packet []byte, at time.Time)) {
	for {
		for i := range batchSize {
			h := &s.in.headers[i].Hdr
			h.Namelen = unix.SizeofSockaddrInet4
			h.SetControllen(len(s.in.notes[i]))
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.in.headers)), batchSize, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return
		}
		for i := range int(n) {
			port := *(*[2]byte)(unsafe.Pointer(&s.in.names[i].Port))
			take(binary.BigEndian.Uint16(port[:]), s.in.packets[i][:s.in.headers[i].Len], arrival(s.in.notes[i][:]))
		}
		if int(n) < batchSize {
			return
		}
	}
}

// arrival reads the kernel's time stamp, the only control message that was asked for.
func arrival(notes []byte) time.Time {
	data := notes[unix.SizeofCmsghdr:]
	return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
}

// queue takes a packet of a head, which is copied, and a body, which must stay as it is until flush.
func (s *socket) queue(to netip.AddrPort, head, body []byte) {
	if s.out.count == batchSize {
		s.flush()
	}
	i := s.out.count
	s.out.count++
	name := &s.out.names[i]
	name.Family, name.Addr = unix.AF_INET, to.Addr().As4()
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	vectors := &s.out.vectors[i]
	vectors[0].SetLen(copy(s.out.heads[i][:], head))
	h := &s.out.headers[i].Hdr
	h.SetIovlen(1)
	if len(body) > 0 {
		vectors[1].Base = &body[0]
		vectors[1].SetLen(len(body))
		h.SetIovlen(2)
	}
}

// flush sends what is queued. A port that is gone, or a full buffer, costs the packet: the counters will tell.
func (s *socket) flush() {
	for sent := 0; sent < s.out.count; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.out.headers[sent])), uintptr(s.out.count-sent), 0, 0, 0)
		if errno != 0 {
			sent++
			continue
		}
		sent += int(n)
	}
	s.out.count = 0
}
