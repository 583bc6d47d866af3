package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/network/dhcp"
	"rotunda/init/network/namespacetest"
)

// TestMain is the DHCP client when a test starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "dhcp" {
		os.Exit(dhcp.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

type namespace = namespacetest.Namespace

func down(name string) func() error {
	return func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(l)
	}
}

// bare removes a link's IPv4 addresses.
func bare(name string) func() error {
	return func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(l, unix.AF_INET)
		for _, a := range list {
			err = errors.Join(err, netlink.AddrDel(l, &a))
		}
		return err
	}
}

// machine is a namespace with a reconciler in it.
type machine struct {
	*namespace
	*Reconciler
	t *testing.T

	mu  sync.Mutex
	log []string
}

// newMachine has a port for each world: eth0 is a, and its other end is "wire" in the first world.
func newMachine(t *testing.T, worlds ...*namespace) *machine {
	t.Helper()
	m := &machine{namespace: namespacetest.New(t), t: t}
	ports := map[string]NIC{}
	for i, world := range worlds {
		name := fmt.Sprintf("eth%d", i)
		m.Cable(t, name, world, "wire")
		ports[config.InterfaceNames[i]] = NIC{Kernel: name, Driver: "veth"}
	}
	k, err := openLinux(m.namespace.Do)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	m.Reconciler = New(Options{Kernel: k, Ports: ports, Spawn: m.spawn, Log: func(line string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.log = append(m.log, line)
	}})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", strings.Join(m.lines(), "\n"))
		}
	})
	return m
}

func (m *machine) lines() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log)
}

// spawn starts this test program as a DHCP client: as nobody, without capabilities, outside the namespace.
func (m *machine) spawn(_ context.Context, _ string, args []string, files []*os.File) (io.ReadCloser, func(), error) {
	cmd := exec.Command("/proc/self/exe", append([]string{"dhcp"}, args...)...)
	cmd.ExtraFiles = files
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	read, written, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout = written
	err = cmd.Start()
	written.Close()
	if err != nil {
		read.Close()
		return nil, nil, err
	}
	return read, sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}), nil
}

// run keeps the reconciler running until the test ends.
func (m *machine) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	m.t.Cleanup(func() { cancel(); <-done })
}

// apply fails the test if something could not be reached.
func (m *machine) apply(doc *config.Document) {
	m.t.Helper()
	if problems := m.Apply(m.t.Context(), doc); len(problems) > 0 {
		m.t.Fatalf("apply: %v", problems)
	}
}

// way asks the kernel which way a packet would take: "eth0 via 192.0.2.1 from 192.0.2.10".
func (m *machine) way(destination, source string) string {
	var way string
	err := m.namespace.Do(func() error {
		routes, err := netlink.RouteGetWithOptions(net.ParseIP(destination), &netlink.RouteGetOptions{SrcAddr: net.ParseIP(source)})
		if err != nil {
			return err
		}
		r := routes[0]
		l, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			return err
		}
		way = l.Attrs().Name
		if r.Gw != nil {
			way += " via " + r.Gw.String()
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return way
}

func (m *machine) observed(letter string) (string, []netip.Prefix) {
	m.t.Helper()
	all, err := m.Observed(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, i := range all {
		if i.Name == letter {
			return fmt.Sprintf("up %v carrier %v mtu %d", i.Up, i.Carrier, i.MTU), i.Addresses
		}
	}
	m.t.Fatalf("no interface %s in %v", letter, all)
	return "", nil
}

func TestStaticAddressesAndTheDefaultInterface(t *testing.T) {
	first, second := namespacetest.New(t), namespacetest.New(t)
	m := newMachine(t, first, second)
	first.Must(t, namespacetest.Up("wire", "192.0.2.1/24", "2001:db8:1::1/64"))
	second.Must(t, namespacetest.Up("wire", "198.51.100.1/24", "2001:db8:2::1/64"))

	a := staticFour("192.0.2.10/24", "192.0.2.1")
	a.IPv6 = config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix("2001:db8:1::10/64")}, Routers: []netip.Addr{addr("2001:db8:1::1")}}
	b := staticFour("198.51.100.10/24", "198.51.100.1")
	b.IPv4.Routes = []netip.Prefix{prefix("203.0.113.128/25")}
	b.IPv6 = config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix("2001:db8:2::10/64")}, Routers: []netip.Addr{addr("fe80::1")}}
	doc := document(map[string]config.Interface{"a": a, "b": b})
	m.apply(doc)

	check := func(when string, ways map[[2]string]string) {
		t.Helper()
		for q, want := range ways {
			if got := m.way(q[0], q[1]); got != want {
				t.Errorf("%s: to %s from %q: got %q, want %q", when, q[0], q[1], got, want)
			}
		}
	}
	check("a is the default interface", map[[2]string]string{
		{"192.0.2.77", ""}:                         "eth0",
		{"198.51.100.77", ""}:                      "eth1",
		{"203.0.113.200", ""}:                      "eth1 via 198.51.100.1",
		{"203.0.113.1", ""}:                        "eth0 via 192.0.2.1",
		{"203.0.113.1", "198.51.100.10"}:           "eth1 via 198.51.100.1",
		{"203.0.113.1", "192.0.2.10"}:              "eth0 via 192.0.2.1",
		{"2001:db8:9::1", ""}:                      "eth0 via 2001:db8:1::1",
		{"2001:db8:2::77", ""}:                     "eth1",
		{"2001:db8:9::1", "2001:db8:2::10"}:        "eth1 via fe80::1",
		{"2001:db8:9::1", "2001:db8:1::10"}:        "eth0 via 2001:db8:1::1",
		{"2001:db8:1:0:ffff::1", "2001:db8:1::10"}: "eth0",
	})

	before := len(m.lines())
	m.apply(doc)
	if again := m.lines()[before:]; len(again) > 0 {
		t.Errorf("applied once more without a difference, and it did %q", again)
	}

	doc = document(map[string]config.Interface{"a": a, "b": b})
	doc.DefaultInterface = "b"
	m.apply(doc)
	check("b is the default interface", map[[2]string]string{
		{"203.0.113.1", ""}:           "eth1 via 198.51.100.1",
		{"203.0.113.1", "192.0.2.10"}: "eth0 via 192.0.2.1",
		{"2001:db8:9::1", ""}:         "eth1 via fe80::1",
	})

	moved := staticFour("192.0.2.20/24", "192.0.2.1")
	doc = document(map[string]config.Interface{"a": moved})
	m.apply(doc)
	if state, got := m.observed("a"); !slices.Equal(got, []netip.Prefix{prefix("192.0.2.20/24")}) {
		t.Errorf("another address and no IPv6: got %s %v, want 192.0.2.20/24 only", state, got)
	}
	if state, got := m.observed("b"); !strings.HasPrefix(state, "up false") || len(got) > 0 {
		t.Errorf("b is not configured any more: got %s %v, want it down and bare", state, got)
	}
}

func TestAnAddressAnswersOnItsOwnInterfaceOnly(t *testing.T) {
	first, second := namespacetest.New(t), namespacetest.New(t)
	m := newMachine(t, first, second)
	m.apply(document(map[string]config.Interface{
		"a": staticFour("192.0.2.10/24", ""), "b": staticFour("198.51.100.10/24", ""),
	}))
	// Both worlds take a's address to be on their wire; 20 ms instead of a second between ARP requests. Their loopback
	// carries the "host unreachable" that ends the attempt.
	try := func(world *namespace, own string) error {
		world.Must(t, namespacetest.Up("lo"), namespacetest.Up("wire", own), func() error {
			return os.WriteFile("/proc/sys/net/ipv4/neigh/wire/retrans_time_ms", []byte("20"), 0)
		}, func() error {
			l, err := netlink.LinkByName("wire")
			if err != nil {
				return err
			}
			d, err := netlink.ParseIPNet("192.0.2.10/32")
			if err != nil {
				return err
			}
			return netlink.RouteAdd(&netlink.Route{Dst: d, LinkIndex: l.Attrs().Index, Scope: unix.RT_SCOPE_LINK})
		})
		return world.Do(func() error {
			c, err := net.DialTimeout("tcp", "192.0.2.10:9", deadline)
			if err == nil {
				c.Close()
			}
			return err
		})
	}
	if err := try(first, "192.0.2.1/24"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("from a's wire: got %v, want an answer that refuses", err)
	}
	if err := try(second, "198.51.100.1/24"); !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("from b's wire: got %v, want no answer", err)
	}
}

func TestRepliesLeaveWhereTheConnectionCameIn(t *testing.T) {
	for _, family := range []struct {
		name, near, far, own, gateway, otherOwn, otherGateway string
	}{
		{"IPv4", "198.51.100.1/24", "203.0.113.5/32", "198.51.100.10/24", "198.51.100.1", "192.0.2.10/24", "192.0.2.1"},
		{"IPv6", "2001:db8:2::1/64", "2001:db8:9::5/128", "2001:db8:2::10/64", "2001:db8:2::1", "2001:db8:1::10/64", "2001:db8:1::1"},
	} {
		t.Run(family.name, func(t *testing.T) {
			first, second := namespacetest.New(t), namespacetest.New(t)
			m := newMachine(t, first, second)
			first.Must(t, namespacetest.Up("wire", fmt.Sprintf("%s/%d", family.otherGateway, prefix(family.otherOwn).Bits())))
			// The far client is known to the second world only; the first, where the default route leads, drops its packets.
			second.Must(t, namespacetest.Up("wire", family.near), namespacetest.Up("lo", family.far))

			with := func(own, gateway string) config.Interface {
				if prefix(own).Addr().Is4() {
					return staticFour(own, gateway)
				}
				return config.Interface{IPv6: config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix(own)}, Routers: []netip.Addr{addr(gateway)}}}
			}
			m.apply(document(map[string]config.Interface{
				"a": with(family.otherOwn, family.otherGateway), "b": with(family.own, family.gateway),
			}))

			own, far := prefix(family.own).Addr(), prefix(family.far).Addr()
			var server net.Listener
			eventually(t, "listen on the address once it is checked", func() error {
				return m.namespace.Do(func() (err error) {
					server, err = net.Listen("tcp", netip.AddrPortFrom(own, 4000).String())
					return err
				})
			})
			defer server.Close()
			answered := make(chan error, 1)
			go func() {
				c, err := server.Accept()
				if err == nil {
					_, err = io.WriteString(c, "here")
					err = errors.Join(err, c.Close())
				}
				answered <- err
			}()
			second.Must(t, func() error {
				d := net.Dialer{Timeout: deadline, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(far, 0))}
				c, err := d.Dial("tcp", netip.AddrPortFrom(own, 4000).String())
				if err != nil {
					return err
				}
				defer c.Close()
				b, err := io.ReadAll(c)
				if err == nil && string(b) != "here" {
					err = fmt.Errorf("got %q, want %q", b, "here")
				}
				return err
			})
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLinkAndMTU(t *testing.T) {
	world := namespacetest.New(t)
	m := newMachine(t, world)
	world.Must(t, namespacetest.Up("wire"))
	with := func(mtu int) *config.Document {
		return document(map[string]config.Interface{"a": {MTU: mtu, IPv6: config.IPv6{Enabled: true}}})
	}
	for _, step := range []struct {
		doc  *config.Document
		want string
	}{
		{with(1400), "up true carrier true mtu 1400"},
		{with(0), "up true carrier true mtu 1500"},
		{document(nil), "up false carrier false mtu 1500"},
	} {
		m.apply(step.doc)
		if got, _ := m.observed("a"); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
	err := m.options.Kernel.SetMode("eth0", LinkMode{Speed: 100, FullDuplex: true})
	if !errors.Is(err, errVirtual) {
		t.Errorf("speed of a virtual port: got %v, want %v", err, errVirtual)
	}
}

func TestWhatSomebodyElseChangesIsPutBack(t *testing.T) {
	world := namespacetest.New(t)
	m := newMachine(t, world)
	world.Must(t, namespacetest.Up("wire", "192.0.2.1/24"))
	m.apply(document(map[string]config.Interface{"a": staticFour("192.0.2.10/24", "192.0.2.1")}))
	m.run()
	m.Must(t, down("eth0"))
	eventually(t, "the link comes back with its routes", func() error {
		if got, want := m.way("203.0.113.1", ""), "eth0 via 192.0.2.1"; got != want {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
	m.Must(t, func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr("192.0.2.10/24")
		if err != nil {
			return err
		}
		return netlink.AddrDel(l, a)
	})
	eventually(t, "the address comes back", func() error {
		if _, got := m.observed("a"); !slices.Contains(got, prefix("192.0.2.10/24")) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
}

// advertise sends a router advertisement with a prefix (RFC 4861, section 4.2).
func advertise(prefix netip.Prefix) func() error {
	return func() error {
		l, err := netlink.LinkByName("wire")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		ra := make([]byte, 16+32)
		ra[0], ra[4] = 134, 64
		binary.BigEndian.PutUint16(ra[6:], 1800)
		option := ra[16:]
		// Prefix information: on link, autonomous, valid and preferred for an hour.
		option[0], option[1], option[2], option[3] = 3, 4, byte(prefix.Bits()), 0xc0
		binary.BigEndian.PutUint32(option[4:], 3600)
		binary.BigEndian.PutUint32(option[8:], 3600)
		copy(option[16:], prefix.Addr().AsSlice())
		return errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
			unix.Sendto(fd, ra, 0, &unix.SockaddrInet6{ZoneId: uint32(l.Attrs().Index), Addr: [16]byte{0: 0xff, 1: 2, 15: 1}}),
		)
	}
}

// solicited reads one router solicitation.
func solicited(fd int) error {
	b := make([]byte, 64)
	for {
		n, err := unix.Read(fd, b)
		if err != nil {
			return err
		}
		if n >= 8 && b[0] == 133 {
			return nil
		}
	}
}

func TestSLAACAndTheBarrier(t *testing.T) {
	first, second := namespacetest.New(t), namespacetest.New(t)
	m := newMachine(t, first, second)
	first.Must(t, namespacetest.Up("wire", "fe80::a/64"))
	second.Must(t, namespacetest.Up("wire", "fe80::b/64"))
	on, off := config.Interface{IPv6: config.IPv6{Enabled: true, SLAAC: true}}, config.Interface{IPv6: config.IPv6{Enabled: true}}
	m.apply(document(map[string]config.Interface{"a": off, "b": on}))
	m.run()

	learn := func(world *namespace, letter string, p netip.Prefix) netip.Addr {
		t.Helper()
		var learnt netip.Addr
		eventually(t, letter+" gets an address from "+p.String(), func() error {
			if err := world.Do(advertise(p)); err != nil {
				return err
			}
			_, addresses := m.observed(letter)
			for _, a := range addresses {
				if p.Contains(a.Addr()) {
					learnt = a.Addr()
					return nil
				}
			}
			return fmt.Errorf("got %v", addresses)
		})
		return learnt
	}
	waits := func(what, destination, source, want string) {
		t.Helper()
		eventually(t, what, func() error {
			if got := m.way(destination, source); got != want {
				return fmt.Errorf("got %q, want %q", got, want)
			}
			return nil
		})
	}

	onB := learn(second, "b", prefix("2001:db8:2::/64"))
	router := linkLocal(t, second)
	waits("replies from b's address leave by b", "2001:db8:9::1", onB.String(), "eth1 via "+router)
	unreachable := unix.EHOSTUNREACH.Error()
	waits("b's router is no way out for the others", "2001:db8:9::1", "", unreachable)

	// Switching it on while the link is up asks the routers at once.
	var listening int
	first.Must(t, func() (err error) {
		if listening, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6); err != nil {
			return err
		}
		l, err := netlink.LinkByName("wire")
		if err != nil {
			return err
		}
		group := &unix.IPv6Mreq{Multiaddr: [16]byte{0: 0xff, 1: 2, 15: 2}, Interface: uint32(l.Attrs().Index)}
		return errors.Join(
			unix.SetsockoptIPv6Mreq(listening, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, group),
			unix.SetsockoptTimeval(listening, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(deadline / time.Second)}),
		)
	})
	defer unix.Close(listening)
	eventually(t, "a's link-local address is checked", func() error {
		o, err := m.options.Kernel.Observe([]string{"eth0"}, nil)
		if err != nil {
			return err
		}
		for _, a := range o.Addresses {
			if a.Link == o.Links["eth0"].Index && !a.Tentative {
				return nil
			}
		}
		return errors.New("tentative")
	})
	m.apply(document(map[string]config.Interface{"a": on, "b": on}))
	if err := solicited(listening); err != nil {
		t.Errorf("no router solicitation came: %v", err)
	}
	onA := learn(first, "a", prefix("2001:db8:1::/64"))
	waits("a's router is the way out", "2001:db8:9::1", "", "eth0 via "+linkLocal(t, first))
	waits("replies from b's address still leave by b", "2001:db8:9::1", onB.String(), "eth1 via "+router)
	waits("replies from a's address leave by a", "2001:db8:9::1", onA.String(), "eth0 via "+linkLocal(t, first))

	m.apply(document(map[string]config.Interface{"a": on, "b": off}))
	if _, got := m.observed("b"); slices.Contains(got, netip.PrefixFrom(onB, 64)) {
		t.Errorf("SLAAC is off on b, its addresses are %v", got)
	}
	waits("b's subnet is not on the link any more", "2001:db8:2::77", "", "eth0 via "+linkLocal(t, first))
	m.apply(document(map[string]config.Interface{"a": {}, "b": off}))
	if state, got := m.observed("a"); len(got) > 0 || !strings.HasPrefix(state, "up false") {
		t.Errorf("a is off: got %s %v", state, got)
	}
}

// linkLocal is the address that the world's kernel advertises from.
func linkLocal(t *testing.T, world *namespace) string {
	t.Helper()
	var found string
	world.Must(t, func() error {
		l, err := netlink.LinkByName("wire")
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(l, unix.AF_INET6)
		if err != nil {
			return err
		}
		for _, a := range list {
			// Which of several is taken as source is the kernel's choice; ask for the one that is used.
			routes, err := netlink.RouteGetWithOptions(net.ParseIP("ff02::1"), &netlink.RouteGetOptions{Oif: "wire"})
			if err == nil && len(routes) > 0 && routes[0].Src.Equal(a.IP) {
				found = a.IP.String()
			}
		}
		return nil
	})
	if found == "" {
		t.Fatal("no link-local address")
	}
	return found
}

// dnsmasq serves DHCP in a namespace until stopped and returns its log.
func dnsmasq(t *testing.T, world *namespace, arguments ...string) (log func() string, stop func()) {
	t.Helper()
	program, err := exec.LookPath("dnsmasq")
	if err != nil {
		t.Skip("dnsmasq (Debian package dnsmasq-base) is not installed")
	}
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(program, append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--group=root", "--log-facility=-", "--log-dhcp",
		"--interface=wire", "--bind-dynamic", "--no-ping", "--dhcp-authoritative", "--leasefile-ro",
		"--pid-file=" + filepath.Join(dir, "pid"),
	}, arguments...)...)
	cmd.Stdout, cmd.Stderr = file, file
	world.Must(t, cmd.Start)
	log = func() string {
		b, err := os.ReadFile(file.Name())
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("dnsmasq:\n%s", log())
		}
	})
	return log, stop
}

func TestDHCPAgainstDnsmasq(t *testing.T) {
	world := namespacetest.New(t)
	m := newMachine(t, world)
	world.Must(t, namespacetest.Up("wire", "192.0.2.1/24"))
	log, stop := dnsmasq(t, world, "--dhcp-range=192.0.2.50,192.0.2.59,255.255.255.0,2m",
		"--dhcp-option=option:router,192.0.2.1", "--dhcp-option=option:dns-server,192.0.2.2,192.0.2.3",
		"--dhcp-option=option:ntp-server,192.0.2.4", "--dhcp-option=option:mtu,1400", "--domain=example.com",
		"--dhcp-option=121,0.0.0.0/0,192.0.2.1,203.0.113.0/24,192.0.2.9")
	doc := config.Factory()
	doc.Hostname = "london1.example.com"
	m.apply(doc)
	m.run()

	leased := func(want string) Lease {
		t.Helper()
		var l Lease
		eventually(t, "a lease is in use", func() error {
			l = m.Leases()["a"]
			if _, got := m.observed("a"); !l.Address.IsValid() || !slices.Contains(got, l.Address) || !strings.HasPrefix(l.Address.String(), want) {
				return fmt.Errorf("lease %v, addresses %v", l.Address, got)
			}
			return nil
		})
		return l
	}
	l := leased("192.0.2.5")
	if l.Router != addr("192.0.2.1") || l.Domain != "example.com" || l.Server != addr("192.0.2.1") ||
		!slices.Equal(l.DNS, []netip.Addr{addr("192.0.2.2"), addr("192.0.2.3")}) || !slices.Equal(l.NTP, []netip.Addr{addr("192.0.2.4")}) {
		t.Errorf("got lease %+v", l)
	}
	if left := time.Until(l.Expires); left < 100*time.Second || left > 2*time.Minute {
		t.Errorf("the lease ends in %v, want almost two minutes", left)
	}
	for destination, want := range map[string]string{"198.51.100.1": "eth0 via 192.0.2.1", "203.0.113.1": "eth0 via 192.0.2.9"} {
		eventually(t, "routes follow the lease", func() error {
			if got := m.way(destination, ""); got != want {
				return fmt.Errorf("to %s: got %q, want %q", destination, got, want)
			}
			return nil
		})
	}
	if got, _ := m.observed("a"); got != "up true carrier true mtu 1400" {
		t.Errorf("got %q, want MTU 1400", got)
	}
	for _, want := range []string{"client provides name: london1\n", "vendor class: rotunda\n"} {
		if !strings.Contains(log(), want) {
			t.Errorf("the server was not told %q", want)
		}
	}
	if all, err := m.Observed(t.Context()); err != nil || all[0].Lease == nil || all[0].Lease.Address != l.Address {
		t.Errorf("observed lease: got %v, %v, want %v", all, err, l.Address)
	}

	// The cable is pulled and put back: the address is asked for again and stays.
	requests := strings.Count(log(), "DHCPREQUEST")
	world.Must(t, down("wire"))
	eventually(t, "the client is stopped without a carrier", func() error {
		if !slices.Contains(m.lines(), "interface a: DHCP client stopped") {
			return errors.New("still running")
		}
		return nil
	})
	if again := leased("192.0.2.5"); again.Address != l.Address {
		t.Errorf("without a carrier the lease is %v, want %v until it ends", again.Address, l.Address)
	}
	world.Must(t, namespacetest.Up("wire"))
	eventually(t, "the address is asked for again", func() error {
		if got := strings.Count(log(), "DHCPREQUEST"); got <= requests {
			return fmt.Errorf("%d requests, want more than %d", got, requests)
		}
		return nil
	})
	if again := leased("192.0.2.5"); again.Address != l.Address {
		t.Errorf("after the cable was pulled: got %v, want %v again", again.Address, l.Address)
	}
	if n := strings.Count(log(), "DHCPDISCOVER"); n != 1 {
		t.Errorf("%d discoveries, want the first one only", n)
	}

	// A server that has another subnet refuses the address (DHCPNAK); the old one must go at once.
	stop()
	world.Must(t, down("wire"))
	eventually(t, "the client is stopped again", func() error {
		if got := strings.Count(strings.Join(m.lines(), "\n"), "DHCP client stopped"); got != 2 {
			return fmt.Errorf("stopped %d times", got)
		}
		return nil
	})
	world.Must(t, bare("wire"), namespacetest.Up("wire", "198.51.100.1/24"))
	dnsmasq(t, world, "--dhcp-range=198.51.100.50,198.51.100.59,255.255.255.0,2m")
	leased("198.51.100.5")
	if _, got := m.observed("a"); slices.Contains(got, l.Address) {
		t.Errorf("the refused address is still there: %v", got)
	}

	doc = config.Factory()
	doc.Interfaces["a"] = config.Interface{IPv6: config.IPv6{Enabled: true}}
	m.apply(doc)
	if _, got := m.observed("a"); slices.ContainsFunc(got, func(p netip.Prefix) bool { return p.Addr().Is4() }) {
		t.Errorf("DHCP is off, addresses are %v", got)
	}
	if len(m.Leases()) > 0 {
		t.Errorf("DHCP is off, leases are %v", m.Leases())
	}
}

func TestAnAddressThatSomebodyHasIsDeclined(t *testing.T) {
	world := namespacetest.New(t)
	m := newMachine(t, world)
	// The world has the first address of the pool itself, which dnsmasq does not notice without its ping.
	world.Must(t, namespacetest.Up("wire", "192.0.2.1/24"), namespacetest.Up("lo", "192.0.2.50/32"))
	log, _ := dnsmasq(t, world, "--dhcp-range=192.0.2.50,192.0.2.50,255.255.255.0,2m")
	m.apply(config.Factory())
	m.run()
	eventually(t, "the address is declined", func() error {
		if !strings.Contains(log(), "DHCPDECLINE") {
			return errors.New("not yet")
		}
		return nil
	})
	if len(m.Leases()) > 0 {
		t.Errorf("the declined address is in use: %v", m.Leases())
	}
}
