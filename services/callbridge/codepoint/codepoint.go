// Package codepoint marks what a socket sends (RFC 2474), for those of the Call Bridge's own that carry a part of a call: the floor and the far
// end's camera. Media workers mark each packet by itself; everything else is marked by the firewall, by its ports.
//
// It keeps nothing. Source: deployment guide chapter 15.7.
package codepoint

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
)

// Set marks what a socket sends from now on, in the family that it has, and what connections send that it accepts. With 0 nothing is marked, also not by
// the firewall.
func Set(c syscall.Conn, dscp uint8) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("mark a socket: %w", err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		tos := int(dscp&0x3f) << 2
		// Sockets of IPv6 have both options, since they may carry IPv4 as well; those of IPv4 one.
		four := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, tos)
		six := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
		if four != nil && six != nil {
			set = os.NewSyscallError("setsockopt", errors.Join(four, six))
			return
		}
		// IP_TOS changes the priority, so it is said last.
		set = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, config.SelfMarking))
	})
	if err = errors.Join(err, set); err != nil {
		return fmt.Errorf("mark a socket: %w", err)
	}
	return nil
}
