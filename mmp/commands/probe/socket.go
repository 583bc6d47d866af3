package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a datagram socket with an error queue.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	six  bool
}

// open makes a UDP or an ICMP socket for the family of an address.
func open(to netip.Addr, icmp bool) (*socket, error) {
	domain, protocol := unix.AF_INET, 0
	if to.Is6() {
		domain = unix.AF_INET6
	}
	if icmp {
		protocol = unix.IPPROTO_ICMP
		if to.Is6() {
			protocol = unix.IPPROTO_ICMPV6
		}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	s := &socket{file: os.NewFile(uintptr(fd), "probe"), six: to.Is6()}
	if s.raw, err = s.file.SyscallConn(); err == nil {
		if s.six {
			err = errors.Join(s.set(unix.IPV6_RECVERR, 1), s.set(unix.IPV6_RECVHOPLIMIT, 1))
		} else {
			err = errors.Join(s.set(unix.IP_RECVERR, 1), s.set(unix.IP_RECVTTL, 1))
		}
	}
	if err != nil {
		s.file.Close()
		return nil, fmt.Errorf("set up socket: %w", err)
	}
	return s, nil
}

func (s *socket) close() { s.file.Close() }

// set sets an option of the socket's family.
func (s *socket) set(option, value int) error {
	level := unix.IPPROTO_IP
	if s.six {
		level = unix.IPPROTO_IPV6
	}
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, value) }); cerr != nil {
		return cerr
	}
	return err
}

// setHops sets the time to live of what is sent from now on.
func (s *socket) setHops(n int) error {
	if s.six {
		return s.set(unix.IPV6_UNICAST_HOPS, n)
	}
	return s.set(unix.IP_TTL, n)
}

func (s *socket) send(to netip.AddrPort, payload []byte) error {
	var sa unix.Sockaddr
	if s.six {
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	} else {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	var err error
	// An answer to an earlier probe may be pending as the socket's error, which sendto then reports once instead of
	// sending; three probes a hop make that three times at most.
	for range 4 {
		cerr := s.raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), payload, 0, sa) })
		if cerr != nil {
			return cerr
		}
		if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EHOSTUNREACH) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// event is one thing that a socket received.
type event struct {
	// from is who sent it. about is the target of the probe that an error is about.
	from  netip.Addr
	about netip.AddrPort
	// err is set for an ICMP error.
	err     *unix.SockExtendedErr
	payload []byte
	hops    int
	at      time.Time
}

// receive waits for the next event. It fails with [os.ErrDeadlineExceeded] at the deadline and with the context's
// error when that ends.
func (s *socket) receive(ctx context.Context, deadline time.Time) (event, error) {
	if err := s.file.SetReadDeadline(deadline); err != nil {
		return event{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var e event
	var failed error
	err := s.raw.Read(func(fd uintptr) bool {
		for _, flags := range []int{unix.MSG_ERRQUEUE, 0} {
			ok, err := s.take(int(fd), flags, &e)
			if ok {
				return true
			}
			switch {
			case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR),
				errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH),
				errors.Is(err, unix.EACCES), errors.Is(err, unix.EPROTO), errors.Is(err, unix.EMSGSIZE):
				// Nothing there, or the short form of what the error queue says in full.
			case err != nil:
				failed = err
				return true
			}
		}
		return false
	})
	switch {
	case ctx.Err() != nil:
		return event{}, ctx.Err()
	case err != nil:
		return event{}, err
	}
	return e, failed
}

// take receives without waiting; ok is false if there was nothing of use.
func (s *socket) take(fd, flags int, e *event) (ok bool, err error) {
	payload, oob := make([]byte, 1500), make([]byte, 512)
	n, oobn, _, from, err := unix.Recvmsg(fd, payload, oob, flags|unix.MSG_DONTWAIT)
	if err != nil {
		return false, err
	}
	*e = event{payload: payload[:n], at: time.Now()}
	peer := addrPort(from)
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return false, err
	}
	for _, m := range messages {
		s.control(m, e)
	}
	if flags == 0 {
		e.from = peer.Addr()
		return true, nil
	}
	e.about = peer
	return e.err != nil, nil
}

// control reads one ancillary message (ip(7), ipv6(7)).
func (s *socket) control(m unix.SocketControlMessage, e *event) {
	const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	switch {
	case isMessage(m, unix.SOL_IP, unix.IP_TTL), isMessage(m, unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
		if len(m.Data) >= 4 {
			e.hops = int(nativeUint32(m.Data))
		}
	case isMessage(m, unix.SOL_IP, unix.IP_RECVERR), isMessage(m, unix.SOL_IPV6, unix.IPV6_RECVERR):
		if len(m.Data) < size {
			return
		}
		e.err = &unix.SockExtendedErr{
			Errno: nativeUint32(m.Data), Origin: m.Data[4], Type: m.Data[5], Code: m.Data[6], Info: nativeUint32(m.Data[8:]),
		}
		e.from = offender(m.Data[size:])
	}
}

func isMessage(m unix.SocketControlMessage, level, kind int32) bool {
	return m.Header.Level == level && m.Header.Type == kind
}

func nativeUint32(b []byte) uint32 { return *(*uint32)(unsafe.Pointer(&b[0])) }

// offender reads the sockaddr that follows an extended error (SO_EE_OFFENDER); it is AF_UNSPEC if nobody is known.
func offender(b []byte) netip.Addr {
	switch {
	case len(b) >= unix.SizeofSockaddrInet4 && b[0] == unix.AF_INET:
		return netip.AddrFrom4([4]byte(b[4:8]))
	case len(b) >= unix.SizeofSockaddrInet6 && b[0] == unix.AF_INET6:
		return netip.AddrFrom16([16]byte(b[8:24]))
	}
	return netip.Addr{}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
