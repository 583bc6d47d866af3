package dhcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	ownMAC    = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	serverMAC = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	serverIP  = netip.MustParseAddr("192.0.2.1")
)

// bench drives a machine by a clock of its own and writes down what it does: "0s discover", "1s discover" …
type bench struct {
	*machine
	t       *testing.T
	started time.Time
	now     time.Time
	did     []string
	last    *outgoing
	lease   *Lease
}

func newBench(t *testing.T, request string) *bench {
	b := &bench{t: t, started: time.Unix(1e9, 0)}
	b.now = b.started
	n := uint32(0)
	b.machine = &machine{
		settings: settings{mac: ownMAC, hostname: "london1.example.com"},
		number:   func() uint32 { n++; return n },
		jitter:   func() float64 { return 1 },
	}
	if request != "" {
		b.request = netip.MustParseAddr(request)
	}
	b.note(b.start(b.now))
	return b
}

func (b *bench) note(actions []action) {
	at := b.now.Sub(b.started).String()
	for _, a := range actions {
		switch {
		case a.send != nil:
			b.last = a.send
			text := strings.ToLower(a.send.message.MessageType().String())
			if a.send.to != nil {
				text += " to " + a.send.destination.String()
			}
			b.did = append(b.did, at+" "+text)
		case a.arp != nil:
			b.did = append(b.did, at+" arp")
		case a.report != nil:
			b.lease = a.report.Lease
			text := a.report.Event
			if a.report.Lease != nil {
				text += " " + a.report.Lease.Address.String()
			}
			if a.report.Reason != "" {
				text += " " + a.report.Reason
			}
			b.did = append(b.did, at+" "+text)
		}
	}
}

// until lets the clock run up to a time since the start.
func (b *bench) until(d time.Duration) {
	end := b.started.Add(d)
	for steps := 0; !b.deadline.IsZero() && !b.deadline.After(end); steps++ {
		if steps > 1000 {
			b.t.Fatalf("no end of deadlines, at %v", b.now.Sub(b.started))
		}
		b.now = later(b.now, b.deadline)
		b.note(b.expire(b.now))
	}
	b.now = end
}

// answer builds a server's message to the last one sent and hands it in, as bytes.
func (b *bench) answer(kind dhcpv4.MessageType, modify ...dhcpv4.Modifier) {
	b.t.Helper()
	r, err := parseReply(serverMessage(b.xid, kind, modify...))
	if err != nil {
		b.t.Fatalf("the test's own message: %v", err)
	}
	r.via = serverMAC
	b.note(b.receive(b.now, r))
}

func serverMessage(xid uint32, kind dhcpv4.MessageType, modify ...dhcpv4.Modifier) []byte {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: 1, ClientHWAddr: ownMAC,
		YourIPAddr: net.IPv4(192, 0, 2, 50), Options: dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(m.TransactionID[:], xid)
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	m.UpdateOption(dhcpv4.OptServerIdentifier(serverIP.AsSlice()))
	m.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))
	m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Hour))
	for _, f := range modify {
		f(m)
	}
	return m.ToBytes()
}

// wants compares the whole story so far.
func (b *bench) wants(story ...string) {
	b.t.Helper()
	if got, want := strings.Join(b.did, "\n"), strings.Join(story, "\n"); got != want {
		b.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.did = nil
}

// bound is a client with a lease of an hour, taken at the very start.
func bound(t *testing.T, modify ...dhcpv4.Modifier) *bench {
	b := newBench(t, "")
	b.answer(dhcpv4.MessageTypeOffer, modify...)
	b.answer(dhcpv4.MessageTypeAck, modify...)
	b.until(time.Second)
	if b.state != stateBound {
		t.Fatalf("state %s, want bound; did %q", b.state, b.did)
	}
	b.did = nil
	return b
}

func TestDiscoverGoesOutAtOnceAndSlowsDown(t *testing.T) {
	b := newBench(t, "")
	b.until(200 * time.Second)
	b.wants("0s discover", "1s discover", "3s discover", "7s discover", "15s discover", "31s discover", "1m3s discover", "2m7s discover", "3m11s discover")
}

func TestFromDiscoverToBound(t *testing.T) {
	b := newBench(t, "")
	m := b.last.message
	if got := m.HostName(); got != "london1" {
		t.Errorf("host name %q, want the first label", got)
	}
	if got := m.Options.Get(dhcpv4.OptionClientIdentifier); !bytes.Equal(got, append([]byte{1}, ownMAC...)) {
		t.Errorf("client identifier % x, want type 1 and the MAC address", got)
	}
	b.until(500 * time.Millisecond)
	b.answer(dhcpv4.MessageTypeOffer)
	if got := b.last.message.RequestedIPAddress(); !got.Equal(net.IPv4(192, 0, 2, 50)) || !b.last.message.ServerIdentifier().Equal(serverIP.AsSlice()) {
		t.Errorf("requested %v from %v, want 192.0.2.50 from 192.0.2.1", got, b.last.message.ServerIdentifier())
	}
	b.answer(dhcpv4.MessageTypeAck)
	b.until(time.Second)
	b.wants("0s discover", "500ms request", "500ms arp", "650ms arp", "800ms bound 192.0.2.50/24", "800ms arp")
	if b.lease.Lifetime != 3600 {
		t.Errorf("lifetime %d s, want 3600", b.lease.Lifetime)
	}
}

func TestAnOfferWithoutAcknowledgementIsGivenUp(t *testing.T) {
	b := newBench(t, "")
	b.answer(dhcpv4.MessageTypeOffer)
	b.until(16 * time.Second)
	b.wants("0s discover", "0s request", "1s request", "3s request", "7s request", "15s discover", "16s discover")
}

func TestRenewingAsksTheServerAndRebindingEverybody(t *testing.T) {
	b := bound(t)
	b.until(time.Hour + time.Second)
	b.wants(
		"30m0s request to 192.0.2.1", "41m15s request to 192.0.2.1", "46m52.5s request to 192.0.2.1",
		"49m41.25s request to 192.0.2.1", "51m5.625s request to 192.0.2.1", "52m5.625s request to 192.0.2.1",
		"52m30s request", "56m15s request", "58m7.5s request", "59m7.5s request",
		"1h0m0s lost expired", "1h0m0s discover", "1h0m1s discover",
	)
}

func TestRenewalIsAFrameToWhoAnsweredLast(t *testing.T) {
	b := bound(t)
	b.until(30 * time.Minute)
	if b.last.to.String() != serverMAC.String() || b.last.source.String() != "192.0.2.50" || !b.last.message.ClientIPAddr.Equal(net.IPv4(192, 0, 2, 50)) {
		t.Errorf("renewal to %v from %v for %v", b.last.to, b.last.source, b.last.message.ClientIPAddr)
	}
	if b.last.message.Options.Has(dhcpv4.OptionServerIdentifier) || b.last.message.Options.Has(dhcpv4.OptionRequestedIPAddress) {
		t.Error("a renewal must not name server and address in options (RFC 2131, table 5)")
	}
	b.answer(dhcpv4.MessageTypeAck)
	b.until(time.Hour)
	b.wants("30m0s request to 192.0.2.1", "30m0s bound 192.0.2.50/24", "1h0m0s request to 192.0.2.1")
}

func TestAChangedAddressAtRenewalIsReported(t *testing.T) {
	b := bound(t)
	b.until(30 * time.Minute)
	b.answer(dhcpv4.MessageTypeAck, dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 77)))
	b.wants("30m0s request to 192.0.2.1", "30m0s bound 192.0.2.77/24", "30m0s arp")
}

func TestARefusalAtRenewalTakesTheAddressAway(t *testing.T) {
	b := bound(t)
	b.until(30 * time.Minute)
	b.answer(dhcpv4.MessageTypeNak)
	b.until(30*time.Minute + time.Second)
	b.wants("30m0s request to 192.0.2.1", "30m0s lost refused", "30m1s discover")
}

func TestRefusalsInARowSlowDown(t *testing.T) {
	b := newBench(t, "")
	for _, at := range []time.Duration{0, 1, 3, 7} {
		b.until(at * time.Second)
		b.answer(dhcpv4.MessageTypeOffer)
		b.answer(dhcpv4.MessageTypeNak)
	}
	b.until(15 * time.Second)
	b.wants("0s discover", "0s request", "1s discover", "1s request", "3s discover", "3s request", "7s discover", "7s request", "15s discover")
}

func TestAnotherMachineWithTheAddressMakesADecline(t *testing.T) {
	b := newBench(t, "")
	b.answer(dhcpv4.MessageTypeOffer)
	b.answer(dhcpv4.MessageTypeAck)
	answer := arpRequest(serverMAC, netip.MustParseAddr("192.0.2.50"), netip.IPv4Unspecified())
	answer[7] = 2
	b.note(b.heard(b.now, answer))
	if !b.last.message.RequestedIPAddress().Equal(net.IPv4(192, 0, 2, 50)) || !b.last.message.ServerIdentifier().Equal(serverIP.AsSlice()) {
		t.Errorf("the decline names %v and %v", b.last.message.RequestedIPAddress(), b.last.message.ServerIdentifier())
	}
	b.until(10 * time.Second)
	b.wants("0s discover", "0s request", "0s arp", "0s decline", "10s discover")
}

func TestARPOfOthersIsNoConflict(t *testing.T) {
	own, other := netip.MustParseAddr("192.0.2.50"), netip.MustParseAddr("192.0.2.60")
	none := netip.IPv4Unspecified()
	for _, test := range []struct {
		name           string
		mac            net.HardwareAddr
		sender, target netip.Addr
		want           bool
	}{
		{"somebody has it", serverMAC, own, other, true},
		{"somebody probes for it", serverMAC, none, own, true},
		{"our own probe comes back", ownMAC, none, own, false},
		{"somebody asks who has it", serverMAC, other, own, false},
		{"somebody else's business", serverMAC, other, none, false},
	} {
		if got := arpConflict(arpRequest(test.mac, test.sender, test.target), ownMAC, own); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestAClientWithALeaseAsksForItFirst(t *testing.T) {
	b := newBench(t, "192.0.2.50")
	if b.last.message.Options.Has(dhcpv4.OptionServerIdentifier) || !b.last.message.RequestedIPAddress().Equal(net.IPv4(192, 0, 2, 50)) {
		t.Error("INIT-REBOOT names the address and no server (RFC 2131, table 4)")
	}
	b.answer(dhcpv4.MessageTypeAck)
	b.wants("0s request", "0s bound 192.0.2.50/24", "0s arp")

	b = newBench(t, "192.0.2.50")
	b.until(4 * time.Second)
	b.wants("0s request", "1s request", "3s discover", "4s discover")

	b = newBench(t, "192.0.2.50")
	b.answer(dhcpv4.MessageTypeNak)
	b.until(time.Second)
	b.wants("0s request", "0s lost refused", "1s discover")
}

func TestWhatIsNotForUsIsIgnored(t *testing.T) {
	for name, change := range map[string]func(*reply){
		"another transaction": func(r *reply) { r.xid++ },
		"another client":      func(r *reply) { r.mac = serverMAC },
		"an early ack":        func(r *reply) { r.kind = dhcpv4.MessageTypeAck },
	} {
		b := newBench(t, "")
		r, err := parseReply(serverMessage(b.xid, dhcpv4.MessageTypeOffer))
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		b.note(b.receive(b.now, r))
		if b.state != stateSelecting || len(b.did) != 1 {
			t.Errorf("%s: state %s after %q, want selecting", name, b.state, b.did)
		}
	}
	b := newBench(t, "")
	b.answer(dhcpv4.MessageTypeOffer)
	b.answer(dhcpv4.MessageTypeAck, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 3))))
	if b.state != stateRequesting {
		t.Errorf("an ack of a server that was not asked: state %s, want requesting", b.state)
	}
}

func TestALeaseWithoutEndIsNotRenewed(t *testing.T) {
	b := bound(t, dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(dhcpv4.MaxLeaseTime)))
	if b.lease.Lifetime != Infinite {
		t.Errorf("lifetime %d, want without end", b.lease.Lifetime)
	}
	b.until(1000 * time.Hour)
	b.wants()
}

func TestAServerCannotAskForARenewalEverySecond(t *testing.T) {
	b := bound(t, dhcpv4.WithOption(dhcpv4.OptRenewTimeValue(time.Second)), dhcpv4.WithOption(dhcpv4.OptRebindingTimeValue(2*time.Second)))
	b.until(59 * time.Second)
	b.wants()
}

func TestRepliesThatCannotBeUsedAreRefused(t *testing.T) {
	with := func(code dhcpv4.OptionCode, value ...byte) dhcpv4.Modifier {
		return func(m *dhcpv4.DHCPv4) { m.Options[code.Code()] = value }
	}
	for name, modify := range map[string]dhcpv4.Modifier{
		"no server":                   func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionServerIdentifier) },
		"a broadcast server":          with(dhcpv4.OptionServerIdentifier, 255, 255, 255, 255),
		"no address":                  dhcpv4.WithYourIP(net.IPv4zero),
		"loopback":                    dhcpv4.WithYourIP(net.IPv4(127, 0, 0, 1)),
		"multicast":                   dhcpv4.WithYourIP(net.IPv4(224, 0, 0, 1)),
		"the subnet's broadcast":      dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 255)),
		"a mask of nothing":           with(dhcpv4.OptionSubnetMask, 0, 0, 0, 0),
		"a lease of a second":         dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(time.Second)),
		"a lease without time":        func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionIPAddressLeaseTime) },
		"a request instead":           dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		"a client's message":          func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest },
		"another kind of hardware":    func(m *dhcpv4.DHCPv4) { m.HWType = 6 },
		"a hardware address too long": func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = make(net.HardwareAddr, 16) },
	} {
		if r, err := parseReply(serverMessage(1, dhcpv4.MessageTypeOffer, modify)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, r)
		}
	}
}

func TestOptionsAreTakenAndNonsenseAmongThemDropped(t *testing.T) {
	gw := net.IPv4(192, 0, 2, 7).To4()
	var many []net.IP
	for i := range 20 {
		many = append(many, net.IPv4(192, 0, 2, byte(100+i)))
	}
	r, err := parseReply(serverMessage(1, dhcpv4.MessageTypeAck,
		dhcpv4.WithOption(dhcpv4.OptRouter(net.IPv4bcast, net.IPv4(192, 0, 2, 50), net.IPv4(192, 0, 2, 1))),
		dhcpv4.WithOption(dhcpv4.OptDNS(many...)),
		dhcpv4.WithOption(dhcpv4.OptNTPServers(net.IPv4(127, 0, 0, 1), net.IPv4(192, 0, 2, 4))),
		dhcpv4.WithOption(dhcpv4.OptDomainName("bad domain;reboot")),
		dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0, 20}),
	))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %d %v %q %d", r.lease.Router, len(r.lease.DNS), r.lease.NTP, r.lease.Domain, r.lease.MTU)
	if want := `192.0.2.1 8 [192.0.2.4] "" 0`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	route := func(dst string, router net.IP) *dhcpv4.Route {
		_, n, err := net.ParseCIDR(dst)
		if err != nil {
			t.Fatal(err)
		}
		return &dhcpv4.Route{Dest: n, Router: router}
	}
	r, err = parseReply(serverMessage(1, dhcpv4.MessageTypeAck,
		dhcpv4.WithOption(dhcpv4.OptRouter(net.IPv4(192, 0, 2, 1))),
		dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(route("0.0.0.0/0", gw), route("10.0.0.0/8", gw), route("192.0.2.0/24", net.IPv4zero))),
	))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%v %v", r.lease.Router, r.lease.Routes), "192.0.2.7 [{10.0.0.0/8 192.0.2.7}]"; got != want {
		t.Errorf("classless routes: got %s, want %s instead of the router option", got, want)
	}
	noMask := func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionSubnetMask) }
	if r, err = parseReply(serverMessage(1, dhcpv4.MessageTypeAck, noMask)); err != nil || r.lease.Address.Bits() != 24 {
		t.Errorf("without a mask: got %v, %v, want the class's /24", r.lease.Address, err)
	}
}
