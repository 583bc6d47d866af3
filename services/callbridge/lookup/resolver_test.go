package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const zone = `
. IN SOA ns. admin. 1 3600 600 86400 60
a.example.   IN A 192.0.2.1
b.example.   IN A 192.0.2.2
b.example.   IN AAAA 2001:db8::2
c.example.   IN A 192.0.2.3
alias.example. IN CNAME other.example.
other.example. IN CNAME b.example.
circle.example. IN CNAME circle2.example.
circle2.example. IN CNAME circle.example.

plain.example. IN A 192.0.2.9

srv.example. IN A 192.0.2.99
_sip._udp.srv.example.  IN SRV 10 0 5060 a.example.
_sip._tcp.srv.example.  IN SRV 20 0 5070 c.example.
_sip._tcp.srv.example.  IN SRV 10 0 5060 b.example.
_sips._tcp.srv.example. IN SRV 10 0 5061 a.example.

none.example. IN A 192.0.2.98
_sip._udp.none.example.  IN SRV 0 0 0 .
_sips._tcp.none.example. IN SRV 0 0 0 .

naptr.example. IN NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.naptr.example.
naptr.example. IN NAPTR 90 50 "s" "SIP+D2T" "" _far._tcp.naptr.example.
naptr.example. IN NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.naptr.example.
naptr.example. IN NAPTR 10 50 "s" "SIP+D2W" "" _sip._ws.naptr.example.
naptr.example. IN NAPTR 10 50 "u" "E2U+sip" "!^.*$!sip:x@y!" .
_sips._tcp.naptr.example. IN SRV 1 0 5061 a.example.
_far._tcp.naptr.example.  IN SRV 1 0 5080 b.example.
_sip._udp.naptr.example.  IN SRV 1 0 5060 c.example.

udpfirst.example. IN NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.srv.example.
udpfirst.example. IN NAPTR 10 20 "s" "SIPS+D2T" "" _sips._tcp.srv.example.

dead.example. IN NAPTR 10 10 "s" "SIP+D2U" "" _gone._udp.example.
dead.example. IN NAPTR 20 10 "s" "SIP+D2T" "" _sip._tcp.srv.example.

broken.example. IN A 192.0.2.97
_sip._tcp.broken.example. IN SRV 1 0 5060 missing.example.

_sipinternaltls._tcp.lync.example. IN SRV 1 0 5061 c.example.
`

func TestTargetsAreThoseOfRFC3263(t *testing.T) {
	r := resolver(t, newClock(), serve(t, zone))
	for _, c := range []struct {
		host string
		port uint16
		ts   string
		want string
	}{
		{"192.0.2.7", 0, "udp", "udp 192.0.2.7:5060"},
		{"192.0.2.7", 0, "tls tcp", "tls 192.0.2.7:5061, tcp 192.0.2.7:5060"},
		{"192.0.2.7", 5090, "tls", "tls 192.0.2.7:5090"},
		{"[2001:db8::7]", 0, "tcp", "tcp [2001:db8::7]:5060"},
		{"2001:db8::7", 5062, "TCP", "tcp [2001:db8::7]:5062"},
		{"::ffff:192.0.2.7", 0, "tcp", "tcp 192.0.2.7:5060"},
		// A port means that no SRV is asked for.
		{"srv.example", 5090, "tcp udp", "tcp 192.0.2.99:5090, udp 192.0.2.99:5090"},
		{"b.example", 5090, "udp", "udp 192.0.2.2:5090, udp [2001:db8::2]:5090"},
		{"B.EXAMPLE.", 5090, "udp", "udp 192.0.2.2:5090, udp [2001:db8::2]:5090"},
		{"alias.example", 5090, "udp", "udp 192.0.2.2:5090, udp [2001:db8::2]:5090"},
		{"localhost", 0, "udp", "udp 127.0.0.1:5060, udp [::1]:5060"},
		// No SRV: the addresses, with the usual ports.
		{"plain.example", 0, "tls tcp udp", "tls 192.0.2.9:5061, tcp 192.0.2.9:5060, udp 192.0.2.9:5060"},
		// SRV by priority, the transports in the caller's order.
		{"srv.example", 0, "tcp", "tcp 192.0.2.2:5060, tcp [2001:db8::2]:5060, tcp 192.0.2.3:5070"},
		{"srv.example", 0, "udp tls", "udp 192.0.2.1:5060, tls 192.0.2.1:5061"},
		// Some transports are not offered, and are not tried at the bare addresses then.
		{"none.example", 0, "udp tls", "error: none.example: the domain does not offer SIP by udp or tls: not found"},
		{"none.example", 0, "tcp", "tcp 192.0.2.98:5060"},
		{"broken.example", 0, "tcp", "error: broken.example: the domain does not offer SIP by tcp: not found"},
		// NAPTR: the lowest order that we can use, and only transports that the caller allows.
		{"naptr.example", 0, "udp tcp tls", "tls 192.0.2.1:5061"},
		{"naptr.example", 0, "udp tcp", "tcp 192.0.2.2:5080, tcp [2001:db8::2]:5080"},
		{"naptr.example", 0, "udp", "udp 192.0.2.3:5060"},
		{"udpfirst.example", 0, "tcp udp tls", "udp 192.0.2.1:5060, tls 192.0.2.1:5061"},
		// Who wants TLS first is not talked out of it.
		{"udpfirst.example", 0, "tls udp", "tls 192.0.2.1:5061, udp 192.0.2.1:5060"},
		// What leads to nothing is passed over.
		{"dead.example", 0, "udp tcp", "tcp 192.0.2.2:5060, tcp [2001:db8::2]:5060, tcp 192.0.2.3:5070"},
		{"nowhere.example", 0, "tcp", "error: nowhere.example: not found"},
		{"circle.example", 5060, "tcp", "error: circle.example: not found"},
		{"", 0, "tcp", "error: no host: want a name or an IP address"},
		{"a..example", 0, "tcp", `error: host "a..example": want parts of 1 to 63 characters between its dots`},
		{"ä.example", 0, "tcp", `error: host "ä.example": want letters, digits, hyphens and dots only (other alphabets in their xn-- form)`},
		{"a.example", 0, "sctp", `error: transport "sctp": want udp, tcp or tls`},
		{"a.example", 0, "", "error: no transport: want one of udp, tcp and tls at least"},
	} {
		if got := targets(t, r, c.host, c.port, strings.Fields(c.ts)...); got != c.want {
			t.Errorf("%s port %d by %s:\n got %s\nwant %s", c.host, c.port, c.ts, got, c.want)
		}
	}
}

func TestTheNameThatACertificateMustHaveIsTheOneLookedUp(t *testing.T) {
	r := resolver(t, newClock(), serve(t, zone))
	list, err := r.Targets(context.Background(), "SRV.example.", 0, []string{"tls"})
	want := []Target{{"tls", netip.MustParseAddrPort("192.0.2.1:5061"), "srv.example", "a.example"}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("got %+v, %v, want %+v", list, err, want)
	}
	list, err = r.Service(context.Background(), "_sipinternaltls._tcp", "lync.example", "tls")
	want = []Target{{"tls", netip.MustParseAddrPort("192.0.2.3:5061"), "lync.example", "c.example"}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("Lync: got %+v, %v, want %+v", list, err, want)
	}
	if _, err := r.Service(context.Background(), "_sipinternaltls._tcp", "a.example", "tls"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no Lync: got %v, want %v", err, ErrNotFound)
	}
	if list, err := r.Addresses(context.Background(), "b.example"); err != nil || fmt.Sprint(list) != "[192.0.2.2 2001:db8::2]" {
		t.Errorf("addresses: got %v, %v", list, err)
	}
}

func TestAnswersAreKeptForTheirLifetime(t *testing.T) {
	s, c := serve(t, zone), newClock()
	r := resolver(t, c, s)
	for range 3 {
		targets(t, r, "a.example", 5060, "udp")
		targets(t, r, "nowhere.example", 5060, "udp")
	}
	if n := s.count("a.example.", dns.TypeA); n != 1 {
		t.Errorf("asked %d times for an address that lives 300 s, want once", n)
	}
	if n := s.count("nowhere.example.", dns.TypeA); n != 1 {
		t.Errorf("asked %d times for a name that does not exist, want once", n)
	}
	c.pass(61 * time.Second) // the SOA record's minimum is 60
	targets(t, r, "a.example", 5060, "udp")
	targets(t, r, "nowhere.example", 5060, "udp")
	if a, n := s.count("a.example.", dns.TypeA), s.count("nowhere.example.", dns.TypeA); a != 1 || n != 2 {
		t.Errorf("after a minute: asked %d and %d times, want once and twice", a, n)
	}
	c.pass(240 * time.Second)
	s.set(func() { s.records[question{"a.example.", dns.TypeA}][0].(*dns.A).A = net.IPv4(192, 0, 2, 77) })
	if got := targets(t, r, "a.example", 5060, "udp"); got != "udp 192.0.2.77:5060" {
		t.Errorf("after its lifetime: got %s, want the new address", got)
	}
	r.Flush()
	targets(t, r, "a.example", 5060, "udp")
	if n := s.count("a.example.", dns.TypeA); n != 3 {
		t.Errorf("after a flush: asked %d times, want 3", n)
	}
}

func TestAnExpiredAnswerServesWhileNobodyAnswers(t *testing.T) {
	s, c := serve(t, zone), newClock()
	r := resolver(t, c, s)
	targets(t, r, "a.example", 5060, "udp")
	s.set(func() { s.rcode = dns.RcodeServerFailure })
	c.pass(10 * time.Minute)
	if got := targets(t, r, "a.example", 5060, "udp"); got != "udp 192.0.2.1:5060" {
		t.Errorf("got %s, want the address that was known", got)
	}
	c.pass(2 * time.Hour)
	_, err := r.Targets(context.Background(), "a.example", 5060, []string{"udp"})
	if !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("two hours later: got %v, want %v with what the server says", err, ErrNoAnswer)
	}
}

func TestNoAnswerToSRVIsNotTakenForNone(t *testing.T) {
	s := serve(t, zone)
	s.set(func() { s.deaf[dns.TypeSRV] = true })
	o := Options{Timeout: 300 * time.Millisecond, Try: 50 * time.Millisecond, Servers: func() []netip.AddrPort { return []netip.AddrPort{s.address} }}
	r := New(o)
	defer r.Close()
	if _, err := r.Targets(context.Background(), "srv.example", 0, []string{"tcp"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v, want %v: the call would go to the wrong host", err, ErrNoAnswer)
	}
	// NAPTR is another matter: there are servers that never answer it.
	s.set(func() { s.deaf = map[uint16]bool{dns.TypeNAPTR: true} })
	r.Flush()
	if got := targets(t, r, "srv.example", 0, "udp"); got != "udp 192.0.2.1:5060" {
		t.Errorf("without NAPTR: got %s", got)
	}
}

func TestAServerThatKnowsOnlyAddressesIsEnough(t *testing.T) {
	s := serve(t, zone)
	s.set(func() { s.fails = map[uint16]bool{dns.TypeSRV: true, dns.TypeNAPTR: true} })
	r := resolver(t, newClock(), s)
	if got := targets(t, r, "plain.example", 0, "tls", "tcp"); got != "tls 192.0.2.9:5061, tcp 192.0.2.9:5060" {
		t.Errorf("got %s, want the addresses", got)
	}
	if n := s.count("_sips._tcp.plain.example.", dns.TypeSRV); n != 1 {
		t.Errorf("asked %d times what the server cannot answer, want once", n)
	}
	if _, err := r.Targets(context.Background(), "nowhere.example", 0, []string{"tls"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("without addresses: got %v, want %v", err, ErrNoAnswer)
	}
}

func TestAnotherServerIsAskedAndRemembered(t *testing.T) {
	bad, good := serve(t, zone), serve(t, zone)
	bad.set(func() { bad.rcode = dns.RcodeRefused })
	r := resolver(t, newClock(), bad, good)
	if got := targets(t, r, "a.example", 5060, "udp"); got != "udp 192.0.2.1:5060" {
		t.Fatalf("got %s", got)
	}
	before := bad.count("b.example.", dns.TypeA)
	if got := targets(t, r, "b.example", 5060, "udp"); !strings.HasPrefix(got, "udp 192.0.2.2") {
		t.Fatalf("got %s", got)
	}
	if n := bad.count("b.example.", dns.TypeA); n != before {
		t.Errorf("the server that refuses was asked %d times more, want the one that answers to come first", n-before)
	}
}

func TestAServerThatIsGoneIsNoDelay(t *testing.T) {
	good := serve(t, zone)
	gone := serve(t, "")
	// Its port answers with ICMP, as that of a stub that is not running.
	closed := netip.AddrPortFrom(gone.address.Addr(), 1)
	r := New(Options{Timeout: time.Minute, Try: time.Minute, Servers: func() []netip.AddrPort { return []netip.AddrPort{closed, good.address} }})
	defer r.Close()
	if got := targets(t, r, "a.example", 5060, "udp"); got != "udp 192.0.2.1:5060" {
		t.Errorf("got %s", got)
	}
}

func TestALongAnswerComesByTCP(t *testing.T) {
	var z strings.Builder
	z.WriteString(zone)
	for i := range 100 {
		fmt.Fprintf(&z, "_sip._udp.many.example. IN SRV %d 0 5060 host-with-a-long-name-%d.example.\n", i, i)
		fmt.Fprintf(&z, "host-with-a-long-name-%d.example. IN A 192.0.2.%d\n", i, i)
	}
	s := serve(t, z.String())
	r := resolver(t, newClock(), s)
	list, err := r.Targets(context.Background(), "many.example", 0, []string{"udp"})
	if err != nil || len(list) != maxServices || list[0].Name != "host-with-a-long-name-0.example" {
		t.Errorf("got %d targets, %v, want the first %d", len(list), err, maxServices)
	}
	s.set(func() {
		if s.tcp != 1 || s.edns == 0 {
			t.Errorf("%d questions by TCP and %d with EDNS, want 1 and all", s.tcp, s.edns)
		}
	})
}

func TestAServerWithoutEDNSIsAskedWithout(t *testing.T) {
	s := serve(t, zone)
	s.set(func() { s.noEDNS = true })
	if got := targets(t, resolver(t, newClock(), s), "a.example", 5060, "udp"); got != "udp 192.0.2.1:5060" {
		t.Errorf("got %s", got)
	}
}

func TestAliasesLeftToUsAreFollowed(t *testing.T) {
	s := serve(t, zone)
	r := resolver(t, newClock(), s)
	if got := targets(t, r, "alias.example", 5060, "udp"); got != "udp 192.0.2.2:5060, udp [2001:db8::2]:5060" {
		t.Errorf("got %s", got)
	}
	if n := s.count("other.example.", dns.TypeA); n != 1 {
		t.Errorf("the alias was asked for %d times, want once", n)
	}
}

func TestATargetThatFailedComesLastForAWhile(t *testing.T) {
	c := newClock()
	r := resolver(t, c, serve(t, zone))
	first := Target{Transport: "tcp", Address: netip.MustParseAddrPort("192.0.2.2:5060")}
	const usual, after = "tcp 192.0.2.2:5060, tcp [2001:db8::2]:5060, tcp 192.0.2.3:5070", "tcp [2001:db8::2]:5060, tcp 192.0.2.3:5070, tcp 192.0.2.2:5060"
	expect := func(when, want string) {
		t.Helper()
		if got := targets(t, r, "srv.example", 0, "tcp"); got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
	}
	expect("at first", usual)
	r.Failed(first)
	expect("when it failed", after)
	c.pass(59 * time.Second)
	expect("within a minute", after)
	c.pass(2 * time.Second)
	expect("a minute later", usual)
	r.Failed(first)
	r.Works(first)
	expect("when it answered again", usual)
	for i := range 3 * maxFailures {
		r.Failed(Target{Transport: "udp", Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060)})
	}
	if n := len(r.failed.m); n > maxFailures {
		t.Errorf("%d failures are remembered, want %d at most", n, maxFailures)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	r := New(Options{Entries: 10, Servers: func() []netip.AddrPort { return nil }})
	defer r.Close()
	now := time.Unix(1e9, 0)
	for i := range 1000 {
		r.cache.put(question{fmt.Sprint(i), 1}, entry{until: now.Add(time.Duration(i) * time.Second)}, now)
	}
	if n := len(r.cache.m); n != 10 {
		t.Errorf("%d entries, want 10", n)
	}
	if _, ok := r.cache.get(question{"999", 1}); !ok {
		t.Error("the newest entry is not there")
	}
}

func TestManyCallersAreOneQuestion(t *testing.T) {
	s := serve(t, zone)
	r := resolver(t, newClock(), s)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if got := targets(t, r, "a.example", 5060, "udp"); got != "udp 192.0.2.1:5060" {
				t.Errorf("got %s", got)
			}
		})
	}
	wait.Wait()
	// Who comes between an answer and its place in the cache asks once more.
	if n := s.count("a.example.", dns.TypeA); n > 3 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestWhoGivesUpLeavesTheOthers(t *testing.T) {
	s := serve(t, zone)
	s.set(func() { s.silent = true })
	r := resolver(t, newClock(), s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Targets(ctx, "a.example", 5060, []string{"udp"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v, want %v", err, ErrNoAnswer)
	}
	r.Close() // ends what is asked, at once
	if _, err := r.Targets(context.Background(), "a.example", 5060, []string{"udp"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("closed: got %v, want %v", err, ErrNoAnswer)
	}
}

func TestWhatIsAskedIsTraced(t *testing.T) {
	s := serve(t, zone)
	var mu sync.Mutex
	var lines []string
	r := New(Options{Servers: func() []netip.AddrPort { return []netip.AddrPort{s.address} }, Trace: func(e Trace) {
		mu.Lock()
		defer mu.Unlock()
		if e.Server != s.address || e.Took < 0 || e.Network != "udp" {
			t.Errorf("got %+v", e)
		}
		lines = append(lines, e.Name+" "+e.Type+": "+e.Result)
	}})
	defer r.Close()
	targets(t, r, "b.example", 5060, "udp")
	targets(t, r, "nowhere.example", 5060, "udp")
	slices.Sort(lines)
	want := []string{"b.example A: A 192.0.2.2 (300 s)", "b.example AAAA: AAAA 2001:db8::2 (300 s)", "nowhere.example A: NXDOMAIN", "nowhere.example AAAA: NXDOMAIN"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestWeightsShareTheLoad(t *testing.T) {
	var records []dns.RR
	for i, w := range []uint16{0, 10, 30} {
		records = append(records, &dns.SRV{Weight: w, Port: 5060, Target: fmt.Sprintf("h%d.", i)})
	}
	records = append(records, &dns.SRV{Priority: 1, Port: 5060, Target: "later."})
	first := map[string]int{}
	for n := range 41 {
		draws := 0
		list := services(records, func(m int) int {
			if draws++; draws == 1 {
				if m != 41 {
					t.Fatalf("drawn from %d, want from 41 (sum of weights and one)", m)
				}
				return n
			}
			return 0
		})
		if len(list) != 4 || list[3].target != "later." {
			t.Fatalf("got %v, want all, the higher number last", list)
		}
		first[list[0].target]++
	}
	if first["h0."] != 1 || first["h1."] != 10 || first["h2."] != 30 {
		t.Errorf("of 41 draws: %v, want 1, 10 and 30", first)
	}
}

func TestTheFileOfServersIsReadWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	f := &file{path: path}
	if got := fmt.Sprint(f.servers()); got != "[127.0.0.1:53]" {
		t.Errorf("no file: got %s", got)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.looked = time.Time{}
	}
	write("# comment\nsearch example\nnameserver 192.0.2.53\nnameserver 2001:db8::53 # second\nnameserver nonsense\n")
	if got := fmt.Sprint(f.servers()); got != "[192.0.2.53:53 [2001:db8::53]:53]" {
		t.Errorf("got %s", got)
	}
	write("nameserver 192.0.2.54\n")
	if got := fmt.Sprint(f.servers()); got != "[192.0.2.54:53]" {
		t.Errorf("changed: got %s", got)
	}
}
