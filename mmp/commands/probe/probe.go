// Package probe measures the way to another host: ICMP echo (RFC 792, RFC 4443) and the route by UDP datagrams whose
// time to live runs out.
//
// It needs no privileges. Echo requests go through the kernel's ICMP datagram sockets, which sysctl
// net.ipv4.ping_group_range opens for the group of the management shell; the kernel picks the identifier, fills in the
// checksum and hands over only replies to it. Routers' answers to the route datagrams come back through the socket's
// error queue (IP_RECVERR, ip(7)), which every user may read. Nothing is kept between two calls.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Prober is the real one. The zero value is ready.
type Prober struct{}

// Lookup returns the first address of a host, IPv4 before IPv6 if it has both, since every machine has IPv4.
func (Prober) Lookup(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return netip.Addr{}, fmt.Errorf("host %s is not known to the DNS", host)
		}
		return netip.Addr{}, fmt.Errorf("resolve %s: %w", host, err)
	}
	for _, a := range list {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	if len(list) == 0 {
		return netip.Addr{}, fmt.Errorf("host %s has no address", host)
	}
	return list[0], nil
}

// Answer is what came back for one probe.
type Answer struct {
	// From is who answered; the zero value means nobody did in time.
	From netip.Addr
	RTT  time.Duration
	// Problem is why From did not pass the probe on, such as "host unreachable"; empty for an answer of the target.
	Problem string
}

// problem names an ICMP error for people.
func problem(e *unix.SockExtendedErr) string {
	if e.Origin == unix.SO_EE_ORIGIN_ICMP6 {
		switch {
		case e.Type == 3:
			return timeExceeded
		case e.Type == 2:
			return fmt.Sprintf("packet too big, MTU %d", e.Info)
		case e.Type == 1 && e.Code == 4:
			return portUnreachable
		case e.Type == 1 && e.Code == 0:
			return "no route"
		case e.Type == 1 && (e.Code == 1 || e.Code == 5 || e.Code == 6):
			return "administratively prohibited"
		case e.Type == 1:
			return "host unreachable"
		}
		return fmt.Sprintf("ICMPv6 type %d code %d", e.Type, e.Code)
	}
	switch {
	case e.Type == 11:
		return timeExceeded
	case e.Type == 3 && e.Code == 3:
		return portUnreachable
	case e.Type == 3 && (e.Code == 0 || e.Code == 6 || e.Code == 11):
		return "network unreachable"
	case e.Type == 3 && e.Code == 2:
		return "protocol unreachable"
	case e.Type == 3 && e.Code == 4:
		return fmt.Sprintf("fragmentation needed, MTU %d", e.Info)
	case e.Type == 3 && (e.Code == 9 || e.Code == 10 || e.Code == 13):
		return "administratively prohibited"
	case e.Type == 3:
		return "host unreachable"
	}
	return fmt.Sprintf("ICMP type %d code %d", e.Type, e.Code)
}

// The two answers that a route is made of: from a router on the way, and from the target.
const (
	timeExceeded    = "time exceeded"
	portUnreachable = "port unreachable"
)
