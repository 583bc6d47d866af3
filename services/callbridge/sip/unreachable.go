package sip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// A closed port is told by ICMP, which Linux passes on to a socket that is not connected by its queue of errors (ip(7), IP_RECVERR). A request that
// nobody can get ends its transaction at once then, instead of after 64*T1 (RFC 3261 18.4).
//
// ICMP can be made up by anybody. An error counts for a client transaction that has heard nothing at all of its far end yet, when it is about that very
// address and quotes the branch of that very request, which nobody knows who does not see it on the wire. Calls that are up are none of it: what they
// lose is the one request.

// hearErrors asks the kernel for errors. Where it has none to give, requests end by their timers.
func hearErrors(c *net.UDPConn) {
	r, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = r.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_RECVERR, 1)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_RECVERR, 1) // an IPv6 socket that takes IPv4 too has both
	})
}

// pending says whether an error of a socket is about something that was sent earlier. What was asked for now was not done then.
func pending(err error) bool {
	for _, e := range [...]error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENOPROTOOPT, syscall.EACCES, syscall.EMSGSIZE, syscall.EPROTO,
		syscall.EHOSTDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// maxDrained is how many errors are taken from the queue at once; more are left for the next time.
const maxDrained = 256

// drain takes what is in the queue of errors. false: nothing was. It may be called under locks of calls and transactions.
func (s *udpSocket) drain() (any bool) {
	r, err := s.c.SyscallConn()
	if err != nil {
		return false
	}
	_ = r.Control(func(fd uintptr) {
		var quote [2048]byte
		var control [512]byte
		for range maxDrained {
			n, cn, _, from, err := unix.Recvmsg(int(fd), quote[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			any = true
			if errno, ok := unreachable(control[:cn]); ok {
				s.a.undelivered(quote[:n], sockaddr(from), errno)
			}
		}
	})
	return any
}

// unreachable reads what the kernel says of an error (struct sock_extended_err). ok: a router or the far end says that the destination cannot be reached.
func unreachable(control []byte) (errno syscall.Errno, ok bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		four := m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR
		six := m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !four && !six || len(m.Data) < 16 {
			continue
		}
		errno = syscall.Errno(binary.NativeEndian.Uint32(m.Data))
		origin, kind, code := m.Data[4], m.Data[5], m.Data[6]
		switch {
		case origin == unix.SO_EE_ORIGIN_ICMP && kind == 3 && code != 4: // destination unreachable, but not: too long (RFC 792)
			return errno, true
		case origin == unix.SO_EE_ORIGIN_ICMP6 && kind == 1: // destination unreachable (RFC 4443)
			return errno, true
		}
	}
	return 0, false
}

func sockaddr(s unix.Sockaddr) netip.AddrPort {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr).Unmap(), uint16(s.Port))
	}
	return netip.AddrPort{}
}

// undelivered ends the transaction of a request that did not reach its far end. quote is as much of it as came back, which has to reach beyond the branch.
func (a *Agent) undelivered(quote []byte, remote netip.AddrPort, errno syscall.Errno) {
	method, branch, ok := quoted(quote)
	if !ok {
		return
	}
	a.txMu.Lock()
	tx := a.clients[branch+"\x00"+method]
	a.txMu.Unlock()
	if tx == nil || tx.path.transport != UDP || tx.path.remote != remote {
		return
	}
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		tx.mu.Lock()
		waits := tx.state == txTrying
		tx.mu.Unlock()
		if waits {
			tx.lost(fmt.Errorf("%s cannot be reached by UDP: %w", remote, errno))
		}
	}()
}

// quoted finds method and branch in the beginning of a request of ours, which has its Via first.
func quoted(b []byte) (method, branch string, ok bool) {
	first, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || !bytes.HasPrefix(rest, []byte("Via: ")) {
		return "", "", false
	}
	line, _, ok := bytes.Cut(rest, []byte("\r\n"))
	if !ok {
		return "", "", false
	}
	name, _, ok := bytes.Cut(first, []byte(" "))
	v, f := parseVia(string(line[len("Via: "):]))
	if !ok || f != nil || v.branch == "" {
		return "", "", false
	}
	return string(name), v.branch, true
}
