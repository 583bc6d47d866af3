package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// requestTimeout ends a request that the kernel does not answer; it answers within a millisecond.
	requestTimeout = 5 * time.Second
	// dumpTries bounds the repetition of a list that changed while it was read.
	dumpTries = 8
	// maxRoutes bounds what is taken of a table that somebody fills; a machine of ours has some dozens.
	maxRoutes = 4096
)

var errFull = fmt.Errorf("more than %d routes", maxRoutes)

// Linux is the running kernel, asked by rtnetlink(7), sysctl files and ethtool's ioctl.
type Linux struct {
	netlink *netlink.Handle
	// here runs a function where the network is; a test has a namespace of its own.
	here func(func() error) error
}

// OpenLinux opens the kernel of this network namespace.
func OpenLinux() (*Linux, error) {
	return openLinux(func(f func() error) error { return f() })
}

func openLinux(here func(func() error) error) (*Linux, error) {
	k := &Linux{here: here}
	err := here(func() (err error) {
		k.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := k.netlink.SetSocketTimeout(requestTimeout); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return k, nil
}

// Close gives the sockets back.
func (k *Linux) Close() { k.netlink.Close() }

// PermanentMAC returns the permanent MAC address of a port, "" if its driver has none; for [Identify].
func (k *Linux) PermanentMAC(link string) string {
	l, err := k.netlink.LinkByName(link)
	if err != nil {
		return ""
	}
	return l.Attrs().PermHWAddr.String()
}

// list repeats a dump that the kernel calls inconsistent, which the library reports and does not repeat.
func list[T any](dump func() ([]T, error)) ([]T, error) {
	var got []T
	var err error
	for range dumpTries {
		if got, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return got, err
}

// Observe implements [Kernel].
func (k *Linux) Observe(links, sysctls []string) (Observation, error) {
	o := Observation{Links: map[string]Link{}, Sysctls: map[string]string{}}
	err := k.here(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open socket: %w", err)
		}
		defer unix.Close(fd)
		found, err := list(k.netlink.LinkList)
		if err != nil {
			return fmt.Errorf("list links: %w", err)
		}
		for _, l := range found {
			a := l.Attrs()
			if !slices.Contains(links, a.Name) {
				continue
			}
			link := Link{
				Index: a.Index, Name: a.Name, MAC: a.HardwareAddr.String(), MTU: a.MTU,
				Up: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
			}
			// What has no speed (loopback, some virtual cards) refuses; there is nothing to tell then.
			if mode, err := linkMode(fd, a.Name); err == nil {
				link.Mode = mode.LinkMode
			}
			o.Links[a.Name] = link
		}
		for _, key := range sysctls {
			value, err := readSysctl(key)
			if err == nil {
				o.Sysctls[key] = value
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read sysctl: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	if err := k.observeAddresses(&o); err != nil {
		return o, err
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		err := errors.Join(k.observeRoutes(&o, family), k.observeRules(&o, family))
		// A kernel that was told to live without IPv6 has no tables for it.
		if family == unix.AF_INET6 && errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func (k *Linux) observeAddresses(o *Observation) error {
	found, err := list(func() ([]netlink.Addr, error) { return k.netlink.AddrList(nil, unix.AF_UNSPEC) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range found {
		if a.IPNet == nil {
			continue
		}
		o.Addresses = append(o.Addresses, Address{
			Link:      a.LinkIndex,
			Prefix:    prefixOf(a.IPNet),
			Dynamic:   a.Flags&unix.IFA_F_PERMANENT == 0,
			Duplicate: a.Flags&unix.IFA_F_DADFAILED != 0,
			Tentative: a.Flags&unix.IFA_F_TENTATIVE != 0,
		})
	}
	return nil
}

func (k *Linux) observeRoutes(o *Observation, family int) error {
	found, err := list(func() ([]netlink.Route, error) {
		var routes []netlink.Route
		full := false
		err := k.netlink.RouteListFilteredIter(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE,
			func(r netlink.Route) bool {
				full = len(routes) == maxRoutes
				if !full {
					routes = append(routes, r)
				}
				return !full
			})
		if err == nil && full {
			err = errFull
		}
		return routes, err
	})
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range found {
		route := Route{
			Table: r.Table, Link: r.LinkIndex, Metric: r.Priority, Type: RouteType(r.Type), Protocol: int(r.Protocol),
			Destination: prefixOf(r.Dst), OnLink: r.Flags&unix.RTNH_F_ONLINK != 0,
		}
		if !route.Destination.IsValid() {
			route.Destination = defaultRoute(family == unix.AF_INET6)
		}
		if a, ok := netip.AddrFromSlice(r.Gw); ok {
			route.Gateway = a.Unmap()
		}
		o.Routes = append(o.Routes, route)
	}
	return nil
}

func (k *Linux) observeRules(o *Observation, family int) error {
	found, err := list(func() ([]netlink.Rule, error) { return k.netlink.RuleList(family) })
	if err != nil {
		return fmt.Errorf("list rules: %w", err)
	}
	for _, r := range found {
		o.Rules = append(o.Rules, Rule{
			Priority: r.Priority, From: prefixOf(r.Src), Table: r.Table, Protocol: int(r.Protocol),
		})
	}
	return nil
}

func defaultRoute(six bool) netip.Prefix {
	if six {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// prefixOf returns the zero value for nil.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}
	}
	if a.Is4In6() && bits == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, ones)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func sysctlPath(key string) string { return filepath.Join("/proc/sys", key) }

// readSysctl goes past package os, whose files wait in the poller: a look at four interfaces reads some forty of these.
func readSysctl(key string) (string, error) {
	fd, err := unix.Open(sysctlPath(key), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: sysctlPath(key), Err: err}
	}
	defer unix.Close(fd)
	var b [256]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return "", &fs.PathError{Op: "read", Path: sysctlPath(key), Err: err}
	}
	return strings.TrimSpace(string(b[:n])), nil
}

// SetSysctl implements [Kernel].
func (k *Linux) SetSysctl(key, value string) error {
	return k.here(func() error { return os.WriteFile(sysctlPath(key), []byte(value), 0) })
}

// SetMTU implements [Kernel].
func (k *Linux) SetMTU(index, mtu int) error {
	return k.netlink.LinkSetMTU(device(index), mtu)
}

// SetUp implements [Kernel].
func (k *Linux) SetUp(index int, up bool) error {
	if up {
		return k.netlink.LinkSetUp(device(index))
	}
	return k.netlink.LinkSetDown(device(index))
}

// device names a link by its number, which is all that requests need.
func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// AddAddress implements [Kernel].
func (k *Linux) AddAddress(index int, p netip.Prefix) error {
	return except(unix.EEXIST, k.netlink.AddrAdd(device(index), &netlink.Addr{IPNet: ipNet(p)}))
}

// RemoveAddress implements [Kernel].
func (k *Linux) RemoveAddress(index int, p netip.Prefix) error {
	return except(unix.EADDRNOTAVAIL, k.netlink.AddrDel(device(index), &netlink.Addr{IPNet: ipNet(p)}))
}

// PutRoute implements [Kernel].
func (k *Linux) PutRoute(r Route) error {
	n := kernelRoute(r)
	if !r.Gateway.IsValid() && r.Type == Unicast && r.Destination.Addr().Is4() {
		n.Scope = unix.RT_SCOPE_LINK
	}
	if r.OnLink {
		n.Flags = unix.RTNH_F_ONLINK
	}
	return k.netlink.RouteReplace(n)
}

// RemoveRoute implements [Kernel].
func (k *Linux) RemoveRoute(r Route) error {
	n := kernelRoute(r)
	// "Nowhere" matches a route of any scope.
	n.Scope = unix.RT_SCOPE_NOWHERE
	return except(unix.ESRCH, k.netlink.RouteDel(n))
}

func kernelRoute(r Route) *netlink.Route {
	n := &netlink.Route{
		Table: r.Table, LinkIndex: r.Link, Priority: r.Metric, Type: int(r.Type), Dst: ipNet(r.Destination),
		Protocol: netlink.RouteProtocol(r.Protocol),
	}
	if r.Gateway.IsValid() {
		n.Gw = r.Gateway.AsSlice()
	}
	return n
}

// AddRule implements [Kernel].
func (k *Linux) AddRule(r Rule) error {
	return except(unix.EEXIST, k.netlink.RuleAdd(kernelRule(r)))
}

// RemoveRule implements [Kernel].
func (k *Linux) RemoveRule(r Rule) error {
	return except(unix.ENOENT, k.netlink.RuleDel(kernelRule(r)))
}

func kernelRule(r Rule) *netlink.Rule {
	n := netlink.NewRule()
	n.Priority, n.Table, n.Protocol, n.Src = r.Priority, r.Table, uint8(r.Protocol), ipNet(r.From)
	return n
}

// except drops one error.
func except(harmless, err error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// Events implements [Kernel]. The messages themselves are not read: they say that it is time to look.
func (k *Linux) Events(ctx context.Context) (<-chan struct{}, error) {
	var f *os.File
	err := k.here(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		var groups uint32
		for _, g := range []int{
			unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
			unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		} {
			groups |= 1 << (g - 1)
		}
		f = os.NewFile(uintptr(fd), "netlink events")
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			return errors.Join(err, f.Close())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to netlink: %w", err)
	}
	events := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { f.Close() })
	go func() {
		defer close(events)
		defer stop()
		defer f.Close()
		b := make([]byte, 64<<10)
		for {
			_, err := f.Read(b)
			// ENOBUFS: the kernel dropped messages, which is a change as well.
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
			select {
			case events <- struct{}{}:
			default:
			}
		}
	}()
	return events, nil
}
