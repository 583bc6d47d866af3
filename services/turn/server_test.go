package turn

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"rotunda/services/freeport"
)

// ways are all that carry packets in different code: the fast path, pion, and pion behind TCP and TLS.
var ways = []struct {
	name, network string
	fast          bool
}{
	{"fast", "udp", true},
	{"plain", "udp", false},
	{"tcp", "tcp", true},
	{"tls", "tls", true},
	{"tcp without the fast path", "tcp", false},
}

// serve starts a server for a way and returns how to dial it.
func serveWay(t testing.TB, fast bool, change func(*Plan)) (*Server, Plan) {
	t.Helper()
	p := testPlan(t)
	p.HighCapacity, p.TLSPort, p.Certificate = fast, freeport.For(t), testCertificate(t, "turn.example.com")
	if change != nil {
		change(&p)
	}
	return startServer(t, p), p
}

func (p Plan) dial(t testing.TB, network string) *caller {
	t.Helper()
	port := p.Port
	if network != "udp" {
		port = p.TLSPort
	}
	return dial(t, network, port)
}

func TestMediaGoesBothWaysInChannelsAndIndications(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, nil)
			c, peer := p.dial(t, w.network), newPeer(t)
			relay := c.allocate()
			if port := relay.Port(); port < firstPort || port > lastPort || relay.Addr() != loopback {
				t.Fatalf("wanted a relay from 127.0.0.1:50000 to 62000, got %v", relay)
			}
			peer.say("nobody let me in", relay)
			eventually(t, "the packet is refused", func() bool { return metric(s, `turn_drops_total{reason="no_permission"}`) == 1 })
			c.permit(peer.address())
			c.indicate(peer.address(), "one")
			peer.wants("one", relay)
			peer.say("two!!", relay)
			if number, from, text := c.hear(); number != 0 || from != peer.address() || text != "two!!" {
				t.Errorf("wanted two!! from %v, got %q from %v in channel %#x", peer.address(), text, from, number)
			}
			c.bind(0x4001, peer.address())
			for _, text := range []string{"three", "", strings.Repeat("x", 1400)} {
				c.say(0x4001, text)
				peer.wants(text, relay)
				peer.say(text, relay)
				c.wants(0x4001, text)
			}
			c.say(0x4002, "no such channel")
			stranger := newPeer(t)
			stranger.say("same address, no channel", relay)
			if number, from, _ := c.hear(); number != 0 || from != stranger.address() {
				t.Errorf("a permission is for an address: wanted an indication from %v, got %v in channel %#x", stranger.address(), from, number)
			}
			if got := s.Status(); got.Allocations != 1 || got.Channels != 1 || got.FreePorts != lastPort-firstPort {
				t.Errorf("wanted one allocation with a channel, got %+v", got)
			}
			c.must(stun.MethodRefresh, stun.RawAttribute{Type: stun.AttrLifetime, Value: make([]byte, 4)})
			eventually(t, "the port is free again", func() bool { return s.Status().FreePorts == lastPort-firstPort+1 })
		})
	}
}

func TestABurstComesOutWholeAndInOrder(t *testing.T) {
	_, p := serveWay(t, true, nil)
	c, peer := p.dial(t, "udp"), newPeer(t)
	_ = peer.SetReadBuffer(4 << 20)
	relay := c.allocate()
	c.bind(0x4000, peer.address())
	size := func(i int) int { return 900 + i%7*10 }
	for i := range 200 {
		c.say(0x4000, fmt.Sprintf("%03d%s", i, strings.Repeat("x", size(i))))
		peer.say(fmt.Sprintf("%03d%s", i, strings.Repeat("y", size(i))), relay)
		if i%20 != 19 {
			continue
		}
		for n := i - 19; n <= i; n++ {
			peer.wants(fmt.Sprintf("%03d%s", n, strings.Repeat("x", size(n))), relay)
			c.wants(0x4000, fmt.Sprintf("%03d%s", n, strings.Repeat("y", size(n))))
		}
	}
}

// TestRelaysReachEachOtherBehindAFirewall is appendix G.3 without hairpin NAT: nobody answers at the public address but the
// server itself, who must know that it is meant.
func TestRelaysReachEachOtherBehindAFirewall(t *testing.T) {
	public := netip.MustParseAddr("203.0.113.1")
	for _, a := range ways {
		for _, b := range ways {
			if a.fast != b.fast && a.network == "udp" && b.network == "udp" {
				continue // one server has one mode
			}
			t.Run(a.name+" to "+b.name, func(t *testing.T) {
				s, p := serveWay(t, a.fast && b.fast, func(p *Plan) { p.Public4 = public })
				one, two := p.dial(t, a.network), p.dial(t, b.network)
				here, there := one.allocate(), two.allocate()
				if here.Addr() != public || there.Addr() != public {
					t.Fatalf("wanted relays at the public address, got %v and %v", here, there)
				}
				one.permit(there)
				one.indicate(there, "nobody let me in")
				eventually(t, "the packet is refused", func() bool { return metric(s, `turn_drops_total{reason="no_permission"}`) == 1 })
				two.permit(here)
				one.indicate(there, "check")
				if _, from, text := two.hear(); from != here || text != "check" {
					t.Errorf("wanted check from %v, got %q from %v", here, text, from)
				}
				one.bind(0x4001, there)
				two.bind(0x5001, here)
				for i := range 5 {
					text := fmt.Sprintf("media %d", i)
					one.say(0x4001, text)
					two.wants(0x5001, text)
					two.say(0x5001, text)
					one.wants(0x4001, text)
				}
				if n := metric(s, `turn_packets_total{direction="between_relays"}`); n < 11 {
					t.Errorf("wanted 11 packets between relays or more, got %d", n)
				}
			})
		}
	}
}

func TestMediaOnTheMachinesOwnAddressIsReachedByItsPublicOne(t *testing.T) {
	public := netip.MustParseAddr("203.0.113.1")
	for _, w := range ways[:2] {
		t.Run(w.name, func(t *testing.T) {
			_, p := serveWay(t, w.fast, func(p *Plan) { p.Public4 = public })
			c, worker := p.dial(t, "udp"), newPeer(t)
			relay := netip.AddrPortFrom(loopback, c.allocate().Port())
			// The worker's candidate is its own address, which the client lets in; by the public one it answers too.
			c.bind(0x4000, netip.AddrPortFrom(public, worker.address().Port()))
			c.permit(worker.address())
			c.say(0x4000, "to the public address")
			worker.wants("to the public address", relay)
			worker.say("from the private one", relay)
			if number, from, text := c.hear(); number != 0 || from != worker.address() || text != "from the private one" {
				t.Errorf("wanted it from %v, got %q from %v in channel %#x", worker.address(), text, from, number)
			}
		})
	}
}

func TestNeighbouringPortsAreReservedAcrossCores(t *testing.T) {
	s, p := serveWay(t, true, nil)
	evenPort := stun.RawAttribute{Type: stun.AttrEvenPort, Value: []byte{0x80}}
	for range 8 {
		rtp := p.dial(t, "udp")
		answer := rtp.must(stun.MethodAllocate, udpTransport, evenPort)
		if err := rtp.key().Check(answer); err != nil {
			t.Fatalf("wanted an answer that is signed, got %v", err)
		}
		held, err := answer.Get(stun.AttrReservationToken)
		if err != nil {
			t.Fatalf("wanted a token, got %v", err)
		}
		rtcp := p.dial(t, "udp")
		even := rtp.relayOf(answer).Port()
		odd := rtcp.relayOf(rtcp.must(stun.MethodAllocate, udpTransport, stun.RawAttribute{Type: stun.AttrReservationToken, Value: held})).Port()
		if even%2 != 0 || odd != even+1 {
			t.Errorf("wanted an even port and the next, got %d and %d", even, odd)
		}
		again := p.dial(t, "udp")
		if _, code := again.ask(stun.MethodAllocate, udpTransport, stun.RawAttribute{Type: stun.AttrReservationToken, Value: held}); code != stun.CodeInsufficientCapacity {
			t.Errorf("a token that is used up: wanted 508, got %d", code)
		}
	}
	if got := s.Status().FreePorts; got != lastPort-firstPort+1-16 {
		t.Errorf("wanted 16 ports taken, got %d free", got)
	}
}

func TestWhoMayAskForAnAllocation(t *testing.T) {
	secret := "mysharedsecret"
	name := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) + ":joe" }
	password := func(h func() hash.Hash, user string) string {
		return timeLimitedPassword(h, []byte(secret), []byte(user))
	}
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, func(p *Plan) { p.Secret, p.User, p.Password = secret, "", "" })
			for _, c := range []struct {
				what, user, password string
				want                 stun.ErrorCode
				reason               string
			}{
				{"an hour from now, SHA-1", name(time.Hour), password(sha1.New, name(time.Hour)), 0, ""},
				{"an hour from now, SHA-256", name(time.Hour), password(sha256.New, name(time.Hour)), 0, ""},
				{"a minute ago, within the skew of clocks", name(-time.Minute), password(sha1.New, name(-time.Minute)), 0, ""},
				{"an hour ago", name(-time.Hour), password(sha1.New, name(-time.Hour)), stun.CodeUnauthorized, "expired"},
				{"a wrong password", name(time.Hour), "secret", stun.CodeUnauthorized, "password"},
				{"another's name", "admin", "secret", stun.CodeUnauthorized, "user"},
				{"no name", "", "", stun.CodeUnauthorized, "user"},
			} {
				reason := fmt.Sprintf("turn_credentials_refused_total{reason=%q}", c.reason)
				before := metric(s, reason)
				client := p.dial(t, w.network)
				client.user, client.password = c.user, c.password
				if _, code := client.ask(stun.MethodAllocate, udpTransport); code != c.want {
					t.Errorf("%s: wanted %d, got %d", c.what, c.want, code)
				}
				if got := metric(s, reason) - before; c.reason != "" && got != 1 {
					t.Errorf("%s: wanted it counted once as %s, got %d", c.what, c.reason, got)
				}
			}
		})
	}
}

func TestCallsGoOnWhenCredentialsAndCertificatesChange(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, nil)
			c, peer := p.dial(t, w.network), newPeer(t)
			relay := c.allocate()
			c.bind(0x4000, peer.address())
			waiting := p.dial(t, w.network)
			waiting.once(waiting.build(stun.MethodAllocate, udpTransport))

			changed := p
			changed.User, changed.Password, changed.Realm = "other", "new", "example.org"
			changed.Certificate = testCertificate(t, "new.example.com")
			if err := s.Apply(changed); err != nil {
				t.Fatal(err)
			}
			c.must(stun.MethodRefresh)
			c.bind(0x4000, peer.address())
			c.say(0x4000, "still here")
			peer.wants("still here", relay)
			if _, code := waiting.ask(stun.MethodAllocate, udpTransport); code != stun.CodeUnauthorized {
				t.Errorf("a new call with old credentials: wanted 401, got %d", code)
			}
			fresh := p.dial(t, w.network)
			fresh.user, fresh.password = "other", "new"
			fresh.allocate()
			if fresh.realm.String() != "example.org" {
				t.Errorf("wanted the new realm asked for, got %q", fresh.realm)
			}
			if t, ok := fresh.conn.(*tls.Conn); ok {
				if got := t.ConnectionState().PeerCertificates[0].DNSNames[0]; got != "new.example.com" {
					c.t.Errorf("wanted the new certificate, got that of %s", got)
				}
			}
		})
	}
}

func TestRequestsThatDoNotFitTheAllocationAreAnswered(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			_, p := serveWay(t, w.fast, func(p *Plan) { p.Secret = "s" })
			named := func(user string) *caller {
				c := p.dial(t, w.network)
				c.user, c.password = user, timeLimitedPassword(sha1.New, []byte("s"), []byte(user))
				return c
			}
			later := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
			c := named(later + ":a")
			if _, code := c.ask(stun.MethodRefresh); code != stun.CodeAllocMismatch {
				t.Errorf("refresh without an allocation: wanted 437, got %d", code)
			}
			c.allocate()
			if _, code := c.ask(stun.MethodAllocate, udpTransport); code != stun.CodeAllocMismatch {
				t.Errorf("a second allocation: wanted 437, got %d", code)
			}
			c.user = later + ":b"
			c.password = timeLimitedPassword(sha1.New, []byte("s"), []byte(c.user))
			if _, code := c.ask(stun.MethodRefresh); code != stun.CodeWrongCredentials {
				t.Errorf("refresh as somebody else: wanted 441, got %d", code)
			}
			other := named(later + ":c")
			if _, code := other.ask(stun.MethodAllocate, stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{6, 0, 0, 0}}); code != stun.CodeUnsupportedTransProto {
				t.Errorf("a TCP relay: wanted 442, got %d", code)
			}
			if _, code := other.ask(stun.MethodAllocate); code != stun.CodeBadRequest {
				t.Errorf("without a transport: wanted 400, got %d", code)
			}
			request := other.build(stun.MethodAllocate, udpTransport)
			first, second := other.once(request), other.once(request)
			if other.relayOf(first) != other.relayOf(second) {
				t.Errorf("a request that is repeated: wanted the same relay, got %v and %v", other.relayOf(first), other.relayOf(second))
			}
			// Another server's nonce, or one of before a restart.
			other.nonce = stun.NewNonce("0123456789abcdefghijklmn")
			if answer := other.once(other.build(stun.MethodRefresh)); errorOf(answer) != stun.CodeStaleNonce {
				t.Errorf("a nonce that is not ours: wanted 438, got %s", answer)
			}
			other.nonce = nil
			if _, code := other.ask(stun.MethodRefresh); code != 0 {
				t.Errorf("with a fresh nonce: wanted success, got %d", code)
			}
		})
	}
}

func TestWhatMustBeUnderstoodAndIsNotIsNamed(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, nil)
			c, peer := p.dial(t, w.network), newPeer(t)
			dontFragment := stun.RawAttribute{Type: stun.AttrDontFragment}
			strange := stun.RawAttribute{Type: 0x7abc, Value: []byte("what")}
			optional := stun.RawAttribute{Type: 0x8abc, Value: []byte("what")}
			wants := func(answer *stun.Message, want ...stun.AttrType) {
				t.Helper()
				var got stun.UnknownAttributes
				if err := got.GetFrom(answer); errorOf(answer) != stun.CodeUnknownAttribute || err != nil || !slices.Equal(got, want) {
					t.Errorf("wanted 420 for %v, got %s with %v, %v", want, answer, got, err)
				}
			}
			wants(c.once(c.build(stun.MethodBinding, strange)), 0x7abc)
			if _, code := c.ask(stun.MethodBinding, optional); code != 0 {
				t.Errorf("an attribute that need not be understood: wanted success, got %d", code)
			}
			c.ask(stun.MethodRefresh) // for a nonce
			answer := c.once(c.build(stun.MethodAllocate, dontFragment, strange, udpTransport))
			wants(answer, stun.AttrDontFragment, 0x7abc)
			if err := c.key().Check(answer); err != nil {
				t.Errorf("wanted an answer that is signed, got %v", err)
			}
			relay := c.allocate()
			wants(c.once(c.build(stun.MethodRefresh, strange)), 0x7abc)
			c.permit(peer.address())
			c.write(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), dontFragment, at(peer.address()),
				stun.RawAttribute{Type: stun.AttrData, Value: []byte("whole or not at all")}).Raw)
			c.indicate(peer.address(), "next")
			peer.wants("next", relay)
			if got := metric(s, `turn_drops_total{reason="unexpected"}`); got != 1 {
				t.Errorf("wanted the indication dropped and counted, got %d", got)
			}
		})
	}
}

func TestWhatFollowsTheSignatureDoesNotCount(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, nil)
			c := p.dial(t, w.network)
			c.allocate()
			request := c.build(stun.MethodRefresh)
			request.Add(stun.AttrLifetime, make([]byte, 4)) // 0 ends the allocation
			if answer := c.once(request); errorOf(answer) != 0 {
				t.Errorf("wanted success, got %s", answer)
			}
			if got := s.Status().Allocations; got != 1 {
				t.Errorf("wanted the allocation to stay, got %d", got)
			}
		})
	}
}

func errorOf(m *stun.Message) stun.ErrorCode {
	var code stun.ErrorCodeAttribute
	_ = code.GetFrom(m)
	return code.Code
}

func TestAPortScanThroughTheRelayIsRefusedAndCounted(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, nil)
			c := p.dial(t, w.network)
			c.allocate()
			forbidden := []string{"127.0.0.1:22", "127.0.0.1:" + strconv.Itoa(Port), "127.0.0.1:32767", "10.0.0.1:53", "10.0.0.1:1023",
				"169.254.169.254:8000", "224.0.0.1:5004", "0.0.0.0:5004", "255.255.255.255:5004", "240.0.0.1:5004"}
			for _, peer := range forbidden {
				if _, code := c.ask(stun.MethodChannelBind, numbered(0x4000), at(netip.MustParseAddrPort(peer))); code != stun.CodeForbidden {
					t.Errorf("channel to %s: wanted 403, got %d", peer, code)
				}
			}
			if _, code := c.ask(stun.MethodCreatePermission, at(netip.MustParseAddrPort("10.0.0.1:0")), at(netip.MustParseAddrPort("169.254.0.1:0"))); code != stun.CodeForbidden {
				t.Errorf("permission for a link-local address among others: wanted 403, got %d", code)
			}
			if got := metric(s, "turn_peers_refused_total"); got != uint64(len(forbidden))+1 {
				t.Errorf("wanted %d refusals counted, got %d", len(forbidden)+1, got)
			}
			// A permission names no port, so what is sent is judged again.
			c.permit(netip.MustParseAddrPort("127.0.0.1:0"))
			for port := 1; port <= 200; port++ {
				c.indicate(netip.AddrPortFrom(loopback, uint16(port)), "probe")
			}
			eventually(t, "all probes are counted", func() bool { return metric(s, `turn_drops_total{reason="forbidden_peer"}`) == 200 })
			if got := metric(s, `turn_packets_total{direction="to_peer"}`); got != 0 {
				t.Errorf("wanted nothing sent, got %d packets", got)
			}
		})
	}
}

func TestOneAllocationOpensABoundedNumberOfWays(t *testing.T) {
	_, p := serveWay(t, true, nil)
	c := p.dial(t, "udp")
	c.allocate()
	host := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5000)
	}
	for i := range maxRoutes {
		c.bind(uint16(0x4000+i), host(i))
	}
	if _, code := c.ask(stun.MethodCreatePermission, at(host(maxRoutes))); code != stun.CodeInsufficientCapacity {
		t.Errorf("permission %d: wanted 508, got %d", maxRoutes+1, code)
	}
	if _, code := c.ask(stun.MethodChannelBind, numbered(0x6000), at(netip.AddrPortFrom(host(0).Addr(), 5001))); code != stun.CodeInsufficientCapacity {
		t.Errorf("channel %d: wanted 508, got %d", maxRoutes+1, code)
	}
	c.bind(0x4000, host(0))
}

func TestNobodyTakesAllPortsFromOthers(t *testing.T) {
	_, p := serveWay(t, true, func(p *Plan) { p.Secret, p.Quotas = "s", Quotas{User: 3, Source: 1000} })
	later := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	codes := map[string][]stun.ErrorCode{}
	for _, user := range []string{later + ":a", later + ":b"} {
		for range 4 {
			c := p.dial(t, "udp")
			c.user, c.password = user, timeLimitedPassword(sha1.New, []byte("s"), []byte(user))
			_, code := c.ask(stun.MethodAllocate, udpTransport)
			codes[user] = append(codes[user], code)
		}
	}
	for user, got := range codes {
		if want := []stun.ErrorCode{0, 0, 0, stun.CodeAllocQuotaReached}; !slices.Equal(got, want) {
			t.Errorf("user %s: wanted %v, got %v", user, want, got)
		}
	}
}

func TestAClientThatReadsNothingLosesTheOldestAndDelaysNobody(t *testing.T) {
	s, p := serveWay(t, true, nil)
	c, peer := p.dial(t, "tcp"), newPeer(t)
	_ = c.conn.(*net.TCPConn).SetReadBuffer(4096)
	relay := c.allocate()
	c.bind(0x4000, peer.address())
	other := p.dial(t, "tcp")
	to := other.allocate()
	other.bind(0x4000, peer.address())
	body := strings.Repeat("x", 1190)
	n := 0
	for ; metric(s, `turn_drops_total{reason="queue"}`) == 0; n++ {
		for range 100 {
			peer.say(fmt.Sprintf("%08d%s", n, body), relay)
		}
		if n > 1000 {
			t.Fatal("wanted the oldest dropped, got none dropped")
		}
	}
	peer.say("for the other", to)
	other.wants(0x4000, "for the other")
	_ = c.conn.(*net.TCPConn).SetReadBuffer(1 << 20)
	for last := ""; last != "the newest"; {
		peer.say("the newest", relay)
		for b := c.frame(time.Second); b != nil && last != "the newest"; b = c.frame(time.Second) {
			last = string(b[4 : 4+int(b[2])<<8+int(b[3])])
		}
	}
}

func TestNothingIsLeftWhenTheServerEnds(t *testing.T) {
	for _, fast := range []bool{true, false} {
		p := testPlan(t)
		p.HighCapacity, p.TLSPort = fast, freeport.For(t)
		s := NewServer(func(string) {})
		if err := s.Apply(p); err != nil {
			t.Fatal(err)
		}
		for _, network := range []string{"udp", "tcp"} {
			p.dial(t, network).allocate()
		}
		s.Close()
		if got := s.Status(); got.Allocations != 0 || got.Connections != 0 || got.FreePorts != lastPort-firstPort+1 || len(got.Listeners) != 0 {
			t.Errorf("fast %v: wanted nothing left, got %+v", fast, got)
		}
		// The same ports can be had at once.
		if err := s.Apply(p); err != nil {
			t.Errorf("fast %v: wanted it started anew, got %v", fast, err)
		}
		p.dial(t, "udp").allocate()
		s.Close()
	}
}

func TestAListenerGoesWithItsAddressAndOthersStay(t *testing.T) {
	second := netip.MustParseAddr("127.0.0.2")
	p := testPlan(t)
	p.Addresses = append(p.Addresses, second)
	s := startServer(t, p)
	c, peer := p.dial(t, "udp"), newPeer(t)
	relay := c.allocate()
	c.bind(0x4000, peer.address())
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(second, uint16(p.Port))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	there := &caller{t: t, conn: conn, user: "admin", password: "secret"}
	from := there.allocate()
	there.bind(0x4000, relay)
	c.permit(from)
	there.say(0x4000, "across listeners")
	if _, got, text := c.hear(); got != from || text != "across listeners" {
		t.Errorf("wanted it from %v, got %q from %v", from, text, got)
	}
	p.Addresses = p.Addresses[:1]
	if err := s.Apply(p); err != nil {
		t.Fatal(err)
	}
	if got := s.Status(); got.Allocations != 1 || len(got.Listeners) != 1 {
		t.Errorf("wanted one listener with its allocation left, got %+v", got)
	}
	c.say(0x4000, "still here")
	peer.wants("still here", relay)
}

func TestPermissionsAndChannelsEndByThemselvesAndAreRenewed(t *testing.T) {
	start := func(t *testing.T, fast bool, permission, channel time.Duration) (*Server, Plan) {
		p := testPlan(t)
		p.HighCapacity, p.TLSPort = fast, freeport.For(t)
		s := NewServer(func(string) {})
		s.permissionTime, s.channelTime = permission, channel
		if err := s.Apply(p); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s, p
	}
	for _, w := range ways[:3] {
		t.Run(w.name+", a permission", func(t *testing.T) {
			s, p := start(t, w.fast, 500*time.Millisecond, time.Hour)
			c, peer := p.dial(t, w.network), newPeer(t)
			relay := c.allocate()
			c.bind(0x4000, peer.address())
			// The channel stays, but it lets nobody in.
			eventually(t, "a packet is refused", func() bool {
				peer.say("still there?", relay)
				// What came until then is taken: a full socket would lose the answers.
				for !c.stream && c.frame(time.Millisecond) != nil {
				}
				return metric(s, `turn_drops_total{reason="no_permission"}`) > 0
			})
			if got := s.Status().Channels; got != 1 {
				t.Errorf("wanted the channel to outlive the permission, got %d channels", got)
			}
			eventually(t, "the channel lets the peer in again", func() bool {
				c.bind(0x4000, peer.address())
				peer.say("again", relay)
				for b := c.frame(100 * time.Millisecond); b != nil; b = c.frame(100 * time.Millisecond) {
					if string(b) == string(channelFrame(0x4000, "again")) || string(b) == string(append(channelFrame(0x4000, "again"), 0, 0, 0)) {
						return true
					}
				}
				return false
			})
		})
		t.Run(w.name+", a channel", func(t *testing.T) {
			s, p := start(t, w.fast, time.Hour, 200*time.Millisecond)
			c, peer := p.dial(t, w.network), newPeer(t)
			relay := c.allocate()
			c.bind(0x4000, peer.address())
			eventually(t, "the channel ends", func() bool { return s.Status().Channels == 0 })
			peer.say("no channel any more", relay)
			if number, from, text := c.hear(); number != 0 || from != peer.address() || text != "no channel any more" {
				t.Errorf("wanted an indication from %v, got %q from %v in channel %#x", peer.address(), text, from, number)
			}
			c.say(0x4000, "to nobody")
			if w.fast && w.network == "udp" {
				eventually(t, "it is counted", func() bool { return metric(s, `turn_drops_total{reason="no_channel"}`) == 1 })
			}
			c.must(stun.MethodChannelBind, numbered(0x4000), at(netip.AddrPortFrom(loopback, 50001)))
		})
	}
}

func TestAPeerWithThePortOfARelayIsNotTakenForIt(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			second := netip.MustParseAddr("127.0.0.2")
			_, p := serveWay(t, w.fast, func(p *Plan) { p.Machine = []netip.Addr{second} })
			c, other := p.dial(t, w.network), p.dial(t, w.network)
			relay, taken := c.allocate(), other.allocate()
			conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(second, taken.Port())))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			worker := testPeer{t, conn}
			c.bind(0x4000, worker.address())
			c.say(0x4000, "to the worker")
			worker.wants("to the worker", relay)
			worker.say("from the worker", relay)
			c.wants(0x4000, "from the worker")
		})
	}
}
