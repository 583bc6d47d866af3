package dhcp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// toClient turns a datagram of ours around, to port 68, with the checksums made anew.
func toClient(message []byte) []byte {
	p := datagram(serverIP, netip.MustParseAddr("255.255.255.255"), message)
	binary.BigEndian.PutUint16(p[ipHeader:], serverPort)
	binary.BigEndian.PutUint16(p[ipHeader+2:], clientPort)
	// Swapping the two ports leaves the sum as it was.
	return p
}

func TestDatagramsComeApartAsTheyWerePutTogether(t *testing.T) {
	for _, message := range []string{"", "x", "even", "a message of some length."} {
		got, err := payload(toClient([]byte(message)), false)
		if err != nil || string(got) != message {
			t.Errorf("got %q, %v, want %q", got, err, message)
		}
	}
	p := toClient([]byte("padded"))
	if got, err := payload(append(p, 0, 0, 0), false); err != nil || string(got) != "padded" {
		t.Errorf("with the padding of a short frame: got %q, %v", got, err)
	}
}

func TestDamagedDatagramsAreRefused(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"cut":             func(p []byte) []byte { return p[:len(p)-1] },
		"IPv6":            func(p []byte) []byte { p[0] = 0x65; return p },
		"short header":    func(p []byte) []byte { p[0] = 0x44; return p },
		"header checksum": func(p []byte) []byte { p[8]--; return p },
		"UDP checksum":    func(p []byte) []byte { p[len(p)-1]++; return p },
		"another port":    func(p []byte) []byte { p[ipHeader+3]++; return p },
		"UDP too long":    func(p []byte) []byte { p[ipHeader+4] = 0xff; return p },
	} {
		if got, err := payload(damage(toClient([]byte("message"))), false); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
	p := toClient([]byte("message"))
	p[len(p)-1]++
	if _, err := payload(p, true); err != nil {
		t.Errorf("a checksum left to hardware: got %v, want it not checked", err)
	}
}

func TestEventsAreReadStrictly(t *testing.T) {
	good := `{"event":"bound","lease":{"address":"192.0.2.5/24","server":"192.0.2.1","lifetime":3600}}`
	if e, err := Decode([]byte(good)); err != nil || e.Lease.Address.String() != "192.0.2.5/24" {
		t.Errorf("got %v, %v", e, err)
	}
	if _, err := Decode([]byte(`{"event":"lost","reason":"expired"}`)); err != nil {
		t.Error(err)
	}
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, line := range map[string]string{
		"nothing":            ``,
		"two values":         good + good,
		"an unknown field":   change(`"event"`, `"x":1,"event"`),
		"an unknown event":   change(`bound`, `bind`),
		"no lease":           `{"event":"bound"}`,
		"a lease lost":       change(`bound`, `lost`),
		"an unknown reason":  `{"event":"lost","reason":"because"}`,
		"an IPv6 address":    change(`192.0.2.5/24`, `2001:db8::5/64`),
		"a mapped address":   change(`192.0.2.5/24`, `::ffff:192.0.2.5/120`),
		"no prefix":          change(`192.0.2.5/24`, `192.0.2.5/0`),
		"the subnet itself":  change(`192.0.2.5/24`, `192.0.2.0/24`),
		"no server":          change(`"server":"192.0.2.1",`, ``),
		"router is itself":   change(`"server"`, `"router":"192.0.2.5","server"`),
		"a short lease":      change(`3600`, `9`),
		"too many servers":   change(`"server"`, `"dns":["192.0.2.1"`+strings.Repeat(`,"192.0.2.1"`, 8)+`],"server"`),
		"an IPv6 DNS server": change(`"server"`, `"dns":["::1"],"server"`),
		"a default route":    change(`"server"`, `"routes":[{"destination":"0.0.0.0/0","gateway":"192.0.2.1"}],"server"`),
		"an unmasked route":  change(`"server"`, `"routes":[{"destination":"10.0.0.1/8","gateway":"192.0.2.1"}],"server"`),
		"an odd domain":      change(`"server"`, `"domain":"a b","server"`),
		"a tiny MTU":         change(`"server"`, `"mtu":1,"server"`),
		"too long":           good + strings.Repeat(" ", MaxLine),
	} {
		if e, err := Decode([]byte(line)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, e)
		}
	}
}

func TestTheLongestEventFitsALine(t *testing.T) {
	l := Lease{Address: netip.MustParsePrefix("192.168.100.100/24"), Server: serverIP, Lifetime: Infinite, MTU: 65535, Domain: strings.Repeat("a", maxDomain)}
	far := netip.MustParseAddr("192.168.100.101")
	l.Router = far
	for range maxServers {
		l.DNS, l.NTP = append(l.DNS, far), append(l.NTP, far)
	}
	for range maxRoutes {
		l.Routes = append(l.Routes, Route{netip.MustParsePrefix("203.100.113.128/32"), far})
	}
	var b bytes.Buffer
	if err := emit(&b, Event{Event: Bound, Lease: &l}); err != nil {
		t.Fatal(err)
	}
	if b.Len() >= MaxLine {
		t.Errorf("%d bytes, want less than %d", b.Len(), MaxLine)
	}
	e, err := Decode(b.Bytes())
	if err != nil || !reflect.DeepEqual(*e.Lease, l) {
		t.Errorf("got %+v, %v, want what was sent", e.Lease, err)
	}
}

func TestArgumentsSurviveTheCommandLine(t *testing.T) {
	for _, a := range []Arguments{
		{Interface: "eth0", Index: 2, MAC: ownMAC, Hostname: "-odd name"},
		{Interface: "eth0", Index: 2, MAC: ownMAC, Request: serverIP},
	} {
		if got, err := parseArguments(a.List()); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("got %+v, %v, want %+v", got, err, a)
		}
	}
	for _, bad := range [][]string{nil, {"eth0"}, {"-index", "2", "eth0"}, {"-index", "2", "-mac", "02:00:00:00:00:01"},
		{"-index", "2", "-mac", "02:00:00:00:00:01", "-request", "::1", "eth0"}, {"-x", "eth0"}} {
		if a, err := parseArguments(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, a)
		}
	}
}

// FuzzOffer feeds whole datagrams to the parser and the state machine, as they come from the wire.
func FuzzOffer(f *testing.F) {
	for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak} {
		f.Add(toClient(serverMessage(1, kind)))
	}
	_, n, _ := net.ParseCIDR("10.0.0.0/8")
	f.Add(toClient(serverMessage(1, dhcpv4.MessageTypeOffer,
		dhcpv4.WithOption(dhcpv4.OptRouter(serverIP.AsSlice())), dhcpv4.WithOption(dhcpv4.OptDNS(serverIP.AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{Dest: n, Router: serverIP.AsSlice()})),
		dhcpv4.WithOption(dhcpv4.OptDomainName("example.com")), dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{5, 220}),
	)))
	f.Fuzz(func(t *testing.T, p []byte) {
		message, err := payload(p, true)
		if err != nil {
			return
		}
		fuzzMessage(t, message)
	})
}

// FuzzOptions leaves the headers alone, so that the mutations reach the options.
func FuzzOptions(f *testing.F) {
	whole := serverMessage(1, dhcpv4.MessageTypeOffer)
	f.Add(whole[240:])
	f.Add([]byte{53, 1, 2, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 121, 9, 0, 192, 0, 2, 1, 33, 1, 2, 3, 255})
	f.Fuzz(func(t *testing.T, options []byte) {
		fuzzMessage(t, append(bytes.Clone(whole[:240]), options...))
	})
}

func fuzzMessage(t *testing.T, message []byte) {
	r, err := parseReply(message)
	if err != nil || r.kind == dhcpv4.MessageTypeNak {
		return
	}
	b := newBench(t, "")
	r.xid, r.mac = b.xid, ownMAC
	for _, r.kind = range []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck} {
		b.note(b.receive(b.now, r))
	}
	b.until(time.Second)
	if b.lease == nil {
		t.Fatalf("a lease was accepted by the parser and not taken: %+v", r.lease)
	}
	line, err := json.Marshal(Event{Event: Bound, Lease: b.lease})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(line); err != nil {
		t.Errorf("the child reports what PID 1 refuses: %v: %s", err, line)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"event":"bound","lease":{"address":"192.0.2.5/24","router":"192.0.2.1","server":"192.0.2.1","dns":["192.0.2.2"],"lifetime":3600}}`))
	f.Add([]byte(`{"event":"lost","reason":"refused"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := Decode(line)
		if err != nil {
			return
		}
		if e.Lease != nil && (!e.Lease.Address.Addr().Is4() || e.Lease.Lifetime < minLifetime) {
			t.Errorf("accepted %+v", e.Lease)
		}
	})
}
