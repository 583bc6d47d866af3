package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/services/media/control"
	"rotunda/services/media/transport"
)

// capture reads the frames that arrive at the far end of eth0.
type capture struct {
	t  *testing.T
	fd int
}

func (h *house) capture() *capture {
	h.t.Helper()
	c := &capture{t: h.t}
	h.outside.Must(h.t, func() error {
		link, err := net.InterfaceByName("far")
		if err != nil {
			return err
		}
		// Network byte order.
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return errors.Join(unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}),
			unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
	})
	h.t.Cleanup(func() { unix.Close(c.fd) })
	return c
}

// mark is the DSCP of the next packet of the machine with these ports.
func (c *capture) mark(proto byte, source, destination uint16) (int, error) {
	b := make([]byte, 2048)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		p := b[:n]
		var value int
		var next byte
		var from netip.Addr
		var rest []byte
		switch {
		case n >= 28 && p[0]>>4 == 4:
			value, next, rest = int(p[1]>>2), p[9], p[int(p[0]&15)*4:]
			from = netip.AddrFrom4([4]byte(p[12:16]))
			if sum := checksum(p[:int(p[0]&15)*4]); sum != 0xffff {
				return 0, fmt.Errorf("the checksum of the IPv4 header is wrong: %#x", sum)
			}
		case n >= 48 && p[0]>>4 == 6:
			value, next, rest = int(binary.BigEndian.Uint16(p)>>6&63), p[6], p[40:]
			from = netip.AddrFrom16([16]byte(p[8:24]))
		default:
			continue
		}
		if next != proto || from != netip.MustParseAddr("10.9.0.1") && from != netip.MustParseAddr("2001:db8::1") {
			continue
		}
		if s, d := binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:]); source != 0 && s != source || destination != 0 && d != destination {
			continue
		}
		return value, nil
	}
	return 0, errors.New("no such packet")
}

func checksum(header []byte) uint16 {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// datagram sends from a port of the machine, marked by its service if tos is not 0.
func (h *house) datagram(source int, target string, tos, priority int) {
	h.t.Helper()
	h.machine.Must(h.t, func() error {
		to := netip.MustParseAddrPort(target)
		c, err := net.DialUDP("udp", &net.UDPAddr{Port: source}, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer c.Close()
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var set error
		if err := raw.Control(func(fd uintptr) {
			level, option := unix.IPPROTO_IP, unix.IP_TOS
			if to.Addr().Is6() {
				level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
			}
			// The kernel takes the priority from the type of service, until it is said.
			if set = unix.SetsockoptInt(int(fd), level, option, tos); set == nil && priority != 0 {
				set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, priority)
			}
		}); err != nil || set != nil {
			return errors.Join(err, set)
		}
		_, err = c.Write([]byte("x"))
		return err
	})
}

func marksAreOnTheFrames(t *testing.T, h *house) {
	doc := walled(nil)
	doc.DSCP = config.DSCP{
		IPv4: map[string]int{"oa&m": 0x22, "signaling": 24, "multimedia": 34, "assured-multimedia": 36},
		IPv6: map[string]int{"oa&m": 1, "multimedia": 63},
	}
	h.apply(doc)
	c := h.capture()
	check := func(what string, want int, proto byte, source, destination uint16) {
		t.Helper()
		if got, err := c.mark(proto, source, destination); err != nil || got != want {
			t.Errorf("%s: wanted DSCP %d, got %d, %v", what, want, got, err)
		}
	}
	sent := func(what string, want, source int, target string, tos int) {
		t.Helper()
		h.datagram(source, target, tos, 0)
		check(what, want, unix.IPPROTO_UDP, uint16(source), netip.MustParseAddrPort(target).Port())
	}
	sent("media", 34, 40000, "10.9.0.2:50000", 0)
	sent("media of IPv6", 63, 40001, "[2001:db8::2]:50000", 0)
	sent("TURN", 34, 3478, "10.9.0.2:50000", 0)
	sent("SIP", 24, 5060, "10.9.0.2:5060", 0)
	sent("a question to a DNS server", 0x22, 20000, "10.9.0.2:53", 0)
	sent("NTP of IPv6", 1, 20001, "[2001:db8::2]:123", 0)
	sent("SIP of IPv6, which has no value", 0, 5060, "[2001:db8::2]:5060", 0)
	sent("media to a client's high port", 0, 20002, "10.9.0.2:50000", 0)
	sent("voice that its service marked", 46, 40002, "10.9.0.2:50000", 46<<2)
	sent("voice of IPv6 that its service marked", 46, 40003, "[2001:db8::2]:50000", 46<<2)
	own := func(what string, want, source int, target string, tos int) {
		t.Helper()
		h.datagram(source, target, tos, config.SelfMarking)
		check(what, want, unix.IPPROTO_UDP, uint16(source), netip.MustParseAddrPort(target).Port())
	}
	own("voice of the media service", 46, 40010, "10.9.0.2:50000", 46<<2)
	own("voice of the media service that is to have no mark", 0, 40011, "10.9.0.2:50000", 0)
	own("the same of IPv6", 0, 40012, "[2001:db8::2]:50000", 0)
	sent("a mark beside congestion bits", 34, 40004, "10.9.0.2:50000", 2)
	reaches(h.machine, "", "10.9.0.2:443")
	check("HTTPS", 0x22, unix.IPPROTO_TCP, 0, 443)
	h.listen(22)
	if !reaches(h.outside, "", "[2001:db8::1]:22") {
		t.Error("wanted SSH to answer")
	}
	check("SSH of IPv6", 1, unix.IPPROTO_TCP, 22, 0)

	assured := *doc
	assured.DSCP.Assured = true
	h.apply(&assured)
	sent("assured media", 36, 40005, "10.9.0.2:50000", 0)
	sent("assured media of IPv6, which has no value", 0, 40006, "[2001:db8::2]:50000", 0)
}

// deaf hears nothing of an endpoint.
type deaf struct{}

func (deaf) RTP([]byte, time.Time)             {}
func (deaf) RTCP([]byte, time.Time)            {}
func (deaf) Batch(time.Time)                   {}
func (deaf) State(string, string, string)      {}
func (deaf) Candidates(control.TransportState) {}
func (deaf) Flood(uint64)                      {}

// The media service marks sound and pictures apart, and the table leaves what it sends as it is.
func mediaMarkThemselves(t *testing.T, h *house) {
	doc := walled(nil)
	doc.DSCP = config.DSCP{IPv4: map[string]int{"multimedia": 34}, IPv6: map[string]int{"multimedia": 63}}
	h.apply(doc)
	c := h.capture()
	for family, target := range map[int]string{4: "10.9.0.2:50000", 6: "[2001:db8::2]:50000"} {
		local := map[int]string{4: "10.9.0.1", 6: "2001:db8::1"}[family]
		h.machine.Must(t, func() error {
			loop, err := transport.NewLoop(transport.Config{FirstPort: 41000, LastPort: 41099})
			if err != nil {
				return err
			}
			defer loop.Close()
			e, err := loop.Open(control.Transport{Local: []netip.Addr{netip.MustParseAddr(local)}, RTCPMux: true, Remote: netip.MustParseAddrPort(target),
				DSCP: control.DSCP{Audio: 46, Video: 34, Apart: true, Six: control.DSCPSix{Audio: 44, Presentation: 26}}}, deaf{})
			if err != nil {
				return err
			}
			defer e.Close()
			port := e.Local().RTP[0].Port()
			for class, want := range map[transport.Class]map[int]int{transport.Audio: {4: 46, 6: 44}, transport.Video: {4: 34, 6: 0}, transport.Presentation: {4: 0, 6: 26}} {
				e.SendRTP([][]byte{append([]byte{0x80, 96, 0, 1}, make([]byte, 40)...)}, class)
				if got, err := c.mark(unix.IPPROTO_UDP, port, 50000); err != nil || got != want[family] {
					t.Errorf("IPv%d, class %d: wanted DSCP %d, got %d, %v", family, class, want[family], got, err)
				}
			}
			return nil
		})
	}
}

func aConnectionOutlivesTheRule(t *testing.T, h *house) {
	ssh := rule(0, true, 22, "", "")
	h.apply(walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{ssh}}}))
	var l net.Listener
	h.machine.Must(t, func() (err error) { l, err = net.Listen("tcp", ":22"); return err })
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	var c net.Conn
	h.outside.Must(t, func() (err error) { c, err = net.DialTimeout("tcp", "10.9.0.1:22", 5*time.Second); return err })
	defer c.Close()
	echo := func() error {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	h.apply(walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny}}))
	if err := echo(); err != nil {
		t.Errorf("wanted the connection to live on, got %v", err)
	}
	if reaches(h.outside, "", "10.9.0.1:22") {
		t.Error("wanted no new connection")
	}
}

func datagramsMeetTheRules(t *testing.T, h *house) {
	h.apply(walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{
		rule(0, true, 5060, "udp", "10.9.0.0/24"), rule(1, true, 5061, "tcp", ""), rule(2, true, 5062, "", "2001:db8::/64")}}}))
	listen := func(port int) *net.UDPConn {
		var c *net.UDPConn
		h.machine.Must(t, func() (err error) { c, err = net.ListenUDP("udp", &net.UDPAddr{Port: port}); return err })
		t.Cleanup(func() { c.Close() })
		return c
	}
	at := map[string]*net.UDPConn{"5060": listen(5060), "5061": listen(5061), "5062": listen(5062)}
	for _, c := range []struct {
		target string
		want   bool
	}{
		{"10.9.0.1:5060", true}, {"[2001:db8::1]:5060", false}, {"10.9.0.1:5061", false}, {"10.9.0.1:5062", false}, {"[2001:db8::1]:5062", true},
	} {
		h.outside.Must(t, func() error {
			s, err := net.Dial("udp", c.target)
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Write([]byte(c.target))
			return err
		})
		_, port, _ := net.SplitHostPort(c.target)
		wait := patience
		if c.want {
			wait = 5 * time.Second
		}
		_ = at[port].SetReadDeadline(time.Now().Add(wait))
		b := make([]byte, 100)
		n, _, err := at[port].ReadFromUDP(b)
		if got := err == nil && string(b[:n]) == c.target; got != c.want {
			t.Errorf("%s: wanted %v, got %v %q", c.target, c.want, got, b[:n])
		}
	}
}
