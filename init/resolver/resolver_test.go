package resolver

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rotunda/init/config"
)

// outside is a name server beyond this machine.
type outside struct {
	address netip.Addr
	mu      sync.Mutex
	asked   []string
	answer  func(q dns.Question) *dns.Msg
}

func (o *outside) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	o.mu.Lock()
	_, udp := w.LocalAddr().(*net.UDPAddr)
	o.asked = append(o.asked, fmt.Sprint(strings.ToLower(q.Question[0].Name), " ", dns.TypeToString[q.Question[0].Qtype], map[bool]string{false: " tcp"}[udp]))
	answer := o.answer
	o.mu.Unlock()
	m := answer(q.Question[0])
	if m == nil {
		return
	}
	if m.Question == nil {
		m.Question = q.Question
	}
	m.Id, m.Response, m.RecursionAvailable = q.Id, true, true
	if udp {
		m.Truncate(dns.MinMsgSize)
	}
	_ = w.WriteMsg(m)
}

func (o *outside) set(answer func(dns.Question) *dns.Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

func (o *outside) heard() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.asked, ", ")
}

// world starts name servers on one port of different loopback addresses, and a resolver that uses it.
func world(t *testing.T, servers int) (*Resolver, []*outside) {
	t.Helper()
	r := New(func(line string) { t.Log(line) })
	var list []*outside
	for n := range servers {
		o := &outside{address: netip.AddrFrom4([4]byte{127, 0, 53, byte(n + 1)}), answer: say()}
		packets, err := net.ListenPacket("udp", netip.AddrPortFrom(o.address, r.portOr(n)).String())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			r.up.port = packets.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		}
		streams, err := net.Listen("tcp", netip.AddrPortFrom(o.address, r.up.port).String())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*dns.Server{{PacketConn: packets, Handler: o}, {Listener: streams, Handler: o}} {
			started := make(chan struct{})
			s.NotifyStartedFunc = func() { close(started) }
			go func() { _ = s.ActivateAndServe() }()
			<-started
			t.Cleanup(func() { _ = s.Shutdown() })
		}
		list = append(list, o)
	}
	return r, list
}

// portOr is the port of all servers once the first has one.
func (r *Resolver) portOr(n int) uint16 {
	if n == 0 {
		return 0
	}
	return r.up.port
}

// say makes a server that has these records.
func say(records ...string) func(dns.Question) *dns.Msg {
	return func(q dns.Question) *dns.Msg {
		m := new(dns.Msg)
		known := false
		for _, s := range records {
			r, err := dns.NewRR(s)
			if err != nil {
				panic(err)
			}
			if !strings.EqualFold(r.Header().Name, q.Name) {
				continue
			}
			known = true
			if r.Header().Rrtype == q.Qtype {
				m.Answer = append(m.Answer, r)
			}
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		if len(m.Answer) == 0 {
			soa, _ := dns.NewRR("example.com. 600 IN SOA ns.example.com. admin.example.com. 1 2 3 4 300")
			m.Ns = []dns.RR{soa}
		}
		return m
	}
}

func code(rcode int) func(dns.Question) *dns.Msg {
	return func(dns.Question) *dns.Msg { return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: rcode}} }
}

func zone(domain string, servers ...*outside) config.ForwardZone {
	z := config.ForwardZone{Domain: domain}
	for _, s := range servers {
		z.Servers = append(z.Servers, s.address)
	}
	return z
}

func configured(t *testing.T, r *Resolver, d config.DNS, leased ...netip.Addr) {
	t.Helper()
	if err := r.Configure(config.DNSService{DNS: d, Leased: leased}); err != nil {
		t.Fatal(err)
	}
}

// resolve returns the code and the records of an answer.
func resolve(t *testing.T, r *Resolver, name string, kind uint16) string {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	a := r.Resolve(t.Context(), m)
	if a.Id != m.Id || !a.Response {
		t.Errorf("%s: the answer is not one to the question: %v", name, a.MsgHdr)
	}
	text := dns.RcodeToString[a.Rcode]
	for _, r := range a.Answer {
		text += ", " + strings.Join(strings.Fields(r.String()), " ")
	}
	return text
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: want %s, got %s", what, want, got)
	}
}

func TestTheLongestZoneIsAsked(t *testing.T) {
	r, s := world(t, 3)
	s[0].set(say("www.example.com. 60 IN A 192.0.2.1", "other.org. 60 IN A 192.0.2.9"))
	s[1].set(say("host.lab.example.com. 60 IN A 192.0.2.2"))
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s[0]), zone("lab.example.com", s[1])}}, s[2].address)
	want(t, "outside the zone", resolve(t, r, "www.example.com.", dns.TypeA), "NOERROR, www.example.com. 60 IN A 192.0.2.1")
	want(t, "in the zone", resolve(t, r, "HOST.Lab.example.com.", dns.TypeA), "NOERROR, host.lab.example.com. 60 IN A 192.0.2.2")
	want(t, "not a label of the zone", resolve(t, r, "mylab.example.com.", dns.TypeA), "NXDOMAIN")
	want(t, "what the second heard", s[1].heard(), "host.lab.example.com. A")
	want(t, "what the leased one heard", s[2].heard(), "")
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone("lab.example.com", s[1])}}, s[2].address)
	resolve(t, r, "other.org.", dns.TypeA)
	want(t, "without a zone for all, the leased one", s[2].heard(), "other.org. A")
	configured(t, r, config.DNS{})
	want(t, "without any server", resolve(t, r, "other.org.", dns.TypeA), "SERVFAIL")
}

func TestAServerThatFailsIsPassedOverAndThenAskedLast(t *testing.T) {
	r, s := world(t, 3)
	now := time.Now()
	r.up.now = func() time.Time { return now }
	good := say("a.example.com. 60 IN A 192.0.2.1", "b.example.com. 60 IN A 192.0.2.1", "c.example.com. 60 IN A 192.0.2.1")
	s[0].set(func(q dns.Question) *dns.Msg {
		m := good(q)
		m.Question = []dns.Question{{Name: "elsewhere.com.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}
		return m
	})
	s[1].set(code(dns.RcodeRefused))
	s[2].set(good)
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s...)}})
	want(t, "a", resolve(t, r, "a.example.com.", dns.TypeA), "NOERROR, a.example.com. 60 IN A 192.0.2.1")
	want(t, "b", resolve(t, r, "b.example.com.", dns.TypeA), "NOERROR, b.example.com. 60 IN A 192.0.2.1")
	want(t, "what the one that answers other questions heard", s[0].heard(), "a.example.com. A")
	want(t, "what the one that refuses heard", s[1].heard(), "a.example.com. A, b.example.com. A")
	now = now.Add(firstRest + time.Second)
	s[0].set(good)
	resolve(t, r, "c.example.com.", dns.TypeA)
	want(t, "what the first heard when it had rested", s[0].heard(), "a.example.com. A, c.example.com. A")
}

func TestAnAnswerThatDoesNotFitComesByTCP(t *testing.T) {
	r, s := world(t, 1)
	var many []string
	for n := range 60 {
		many = append(many, fmt.Sprintf("_sip._tcp.example.com. 60 IN SRV 0 5 5061 host%d.example.com.", n))
	}
	s[0].set(say(many...))
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s[0])}})
	if got := strings.Count(resolve(t, r, "_sip._tcp.example.com.", dns.TypeSRV), "SRV"); got != 60 {
		t.Errorf("want 60 records, got %d", got)
	}
	want(t, "how it was asked", s[0].heard(), "_sip._tcp.example.com. SRV, _sip._tcp.example.com. SRV tcp")
}

func TestAnswersAreKeptForAsLongAsTheySay(t *testing.T) {
	r, s := world(t, 1)
	now := time.Now()
	r.cache.now = func() time.Time { return now }
	r.up.now = r.cache.now
	s[0].set(say("www.example.com. 60 IN A 192.0.2.1"))
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s[0])}})
	ask := func(name string) string { t.Helper(); return resolve(t, r, name, dns.TypeA) }
	ask("www.example.com.")
	ask("none.example.com.")
	now = now.Add(50 * time.Second)
	want(t, "after 50 s", ask("WWW.example.com."), "NOERROR, www.example.com. 10 IN A 192.0.2.1")
	want(t, "what is not there, after 50 s", ask("none.example.com."), "NXDOMAIN")
	want(t, "the server heard", s[0].heard(), "www.example.com. A, none.example.com. A")
	now = now.Add(11 * time.Second)
	s[0].set(say("www.example.com. 60 IN A 192.0.2.7"))
	want(t, "after 61 s", ask("www.example.com."), "NOERROR, www.example.com. 60 IN A 192.0.2.7")
	s[0].set(code(dns.RcodeServerFailure))
	now = now.Add(time.Hour)
	want(t, "an hour later, when the server fails", ask("www.example.com."), "NOERROR, www.example.com. 30 IN A 192.0.2.7")
	now = now.Add(staleFor)
	want(t, "a day later", ask("www.example.com."), "SERVFAIL")
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s[0])}})
	s[0].set(say("www.example.com. 60 IN A 192.0.2.8"))
	want(t, "after a change of the settings", ask("www.example.com."), "NOERROR, www.example.com. 60 IN A 192.0.2.8")
}

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache(time.Now)
	for n := range maxEntries + 100 {
		name := fmt.Sprintf("n%d.example.com.", n)
		m := say(name + " 60 IN A 192.0.2.1")(dns.Question{Name: name, Qtype: dns.TypeA})
		m.Question = []dns.Question{{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET}}
		c.put(key{name: name, kind: dns.TypeA}, m)
	}
	if len(c.entries) != maxEntries || c.order.Len() != maxEntries || c.bytes > maxBytes {
		t.Errorf("want %d entries, got %d and %d bytes", maxEntries, len(c.entries), c.bytes)
	}
	if c.get(key{name: "n0.example.com.", kind: dns.TypeA}, false) != nil || c.get(key{name: fmt.Sprintf("n%d.example.com.", maxEntries), kind: dns.TypeA}, false) == nil {
		t.Error("want the oldest forgotten and the newest kept")
	}
}

func TestCustomRecordsAreAnsweredInsteadOfAskingOutside(t *testing.T) {
	r, s := world(t, 1)
	s[0].set(say("join.example.com. 60 IN A 192.0.2.66", "join.example.com. 60 IN AAAA 2001:db8::66", "join.example.com. 60 IN TXT outside", "edge.example.net. 60 IN A 192.0.2.5"))
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s[0])}, Records: []string{
		"Join.example.com. IN A 10.0.0.1",
		"_sipinternaltls._tcp.example.com. 86400 IN SRV 0 5 5061 join.example.com.",
		"meet.example.com. 300 IN CNAME edge.example.net.",
		"loop.example.com. IN CNAME loop.example.com.",
	}})
	want(t, "an address", resolve(t, r, "JOIN.example.com.", dns.TypeA), "NOERROR, JOIN.example.com. 3600 IN A 10.0.0.1")
	want(t, "the other family's", resolve(t, r, "join.example.com.", dns.TypeAAAA), "NOERROR")
	want(t, "another type", resolve(t, r, "join.example.com.", dns.TypeTXT), `NOERROR, join.example.com. 60 IN TXT "outside"`)
	want(t, "a service", resolve(t, r, "_sipinternaltls._tcp.example.com.", dns.TypeSRV), "NOERROR, _sipinternaltls._tcp.example.com. 86400 IN SRV 0 5 5061 join.example.com.")
	want(t, "an alias of a name outside", resolve(t, r, "meet.example.com.", dns.TypeA),
		"NOERROR, meet.example.com. 300 IN CNAME edge.example.net., edge.example.net. 60 IN A 192.0.2.5")
	if got := resolve(t, r, "loop.example.com.", dns.TypeA); !strings.HasPrefix(got, "SERVFAIL") {
		t.Errorf("an alias of itself: want SERVFAIL, got %s", got)
	}
	want(t, "this machine", resolve(t, r, "localhost.", dns.TypeAAAA), "NOERROR, localhost. 3600 IN AAAA ::1")
	want(t, "what was asked outside", s[0].heard(), "join.example.com. TXT, edge.example.net. A")
}

func TestThoseWhoAskTheSameAtOneTimeAskOnce(t *testing.T) {
	r, s := world(t, 1)
	var asked atomic.Int32
	all := make(chan struct{})
	s[0].set(func(q dns.Question) *dns.Msg {
		asked.Add(1)
		<-all
		return say("www.example.com. 60 IN A 192.0.2.1")(q)
	})
	configured(t, r, config.DNS{Zones: []config.ForwardZone{zone(".", s[0])}})
	var group sync.WaitGroup
	begun := make(chan struct{}, 20)
	for range 20 {
		group.Go(func() {
			begun <- struct{}{}
			if got := resolve(t, r, "www.example.com.", dns.TypeA); got != "NOERROR, www.example.com. 60 IN A 192.0.2.1" {
				t.Errorf("got %s", got)
			}
		})
	}
	for range 20 {
		<-begun
	}
	close(all)
	group.Wait()
	if asked.Load() > 2 {
		t.Errorf("20 at one time asked %d times", asked.Load())
	}
}

func TestWhatIsNoQuestionOfOursIsRefused(t *testing.T) {
	r := New(func(string) {})
	for name, c := range map[string]struct {
		m    *dns.Msg
		want int
	}{
		"an update":       {&dns.Msg{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeUpdate}, Question: []dns.Question{{Name: "a.", Qtype: dns.TypeSOA, Qclass: dns.ClassINET}}}, dns.RcodeNotImplemented},
		"no question":     {&dns.Msg{}, dns.RcodeRefused},
		"a zone transfer": {&dns.Msg{Question: []dns.Question{{Name: "example.com.", Qtype: dns.TypeAXFR, Qclass: dns.ClassINET}}}, dns.RcodeRefused},
		"another class":   {&dns.Msg{Question: []dns.Question{{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}}}, dns.RcodeRefused},
	} {
		if got := r.Resolve(context.Background(), c.m); got.Rcode != c.want {
			t.Errorf("%s: want %s, got %s", name, dns.RcodeToString[c.want], dns.RcodeToString[got.Rcode])
		}
	}
}

func TestItServesOnLoopbackAloneAndTakesNewSettings(t *testing.T) {
	if _, err := Listen(New(func(string) {}), "0.0.0.0:0"); err == nil || !strings.Contains(err.Error(), "no address of loopback") {
		t.Errorf("want it to refuse all addresses, got %v", err)
	}
	var many []string
	for n := range 40 {
		many = append(many, "many.example.com. 60 IN A 192.0.2."+strconv.Itoa(n))
	}
	folder := t.TempDir()
	settings := filepath.Join(folder, "settings.json")
	write := func(d config.DNSService) {
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(settings, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config.DNSService{DNS: config.DNS{Records: many}})
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.LocalAddr().String()
	free.Close()
	t.Setenv("NOTIFY_SOCKET", "")
	ctx, cancel := context.WithCancel(t.Context())
	said, ended, again := make(chan string, 10), make(chan error, 1), make(chan os.Signal)
	go func() { ended <- run(ctx, settings, "", []string{address}, again, func(line string) { said <- line }) }()
	ask := func(size uint16, network string) *dns.Msg {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion("many.example.com.", dns.TypeA)
		if size > 0 {
			m.SetEdns0(size, false)
		}
		client := dns.Client{Net: network, Timeout: 5 * time.Second}
		for limit := time.Now().Add(10 * time.Second); ; {
			a, _, err := client.Exchange(m, address)
			if err == nil {
				return a
			}
			if time.Now().After(limit) {
				t.Fatal(err)
			}
		}
	}
	if a := ask(0, "udp"); !a.Truncated || len(a.Answer) >= 40 {
		t.Errorf("want an answer cut at 512 bytes, got %d records and %v", len(a.Answer), a.Truncated)
	}
	for network, size := range map[string]uint16{"tcp": 0, "udp": 4096} {
		if a := ask(size, network); a.Truncated || len(a.Answer) != 40 {
			t.Errorf("%s: want 40 records, got %d", network, len(a.Answer))
		}
	}
	write(config.DNSService{DNS: config.DNS{Records: many[:1]}})
	again <- syscall.SIGHUP
	<-said
	if a := ask(0, "udp"); len(a.Answer) != 1 {
		t.Errorf("after a change: want one record, got %d", len(a.Answer))
	}
	if err := os.WriteFile(settings, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	again <- syscall.SIGHUP
	if line := <-said; !strings.HasPrefix(line, "the settings stay as they are: ") {
		t.Errorf("after damage: got %q", line)
	}
	if a := ask(0, "udp"); len(a.Answer) != 1 {
		t.Errorf("after damage: want one record, got %d", len(a.Answer))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("at the end: %v", err)
	}
}

func FuzzQuestion(f *testing.F) {
	for _, name := range []string{"www.example.com.", "localhost.", "x.invalid.", "a.example.com."} {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		m.SetEdns0(4096, true)
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	r := New(func(string) {})
	if err := r.Configure(config.DNSService{DNS: config.DNS{Records: []string{"a.example.com. IN CNAME b.example.com.", "b.example.com. IN A 192.0.2.1"}}}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		a := r.Resolve(context.Background(), m)
		if a == nil || a.Id != m.Id {
			t.Fatalf("no answer to %v", m)
		}
		a.Truncate(dns.MinMsgSize)
		if _, err := a.Pack(); err != nil && len(m.Question) == 1 {
			if _, fine := dns.IsDomainName(m.Question[0].Name); fine {
				t.Fatalf("the answer to %v cannot be sent: %v", m, err)
			}
		}
	})
}

func FuzzAnswerOfAServer(f *testing.F) {
	m := say("www.example.com. 60 IN A 192.0.2.1")(dns.Question{Name: "www.example.com.", Qtype: dns.TypeA})
	m.Question = []dns.Question{{Name: "www.example.com.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}
	m.Response = true
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	q := new(dns.Msg)
	q.SetQuestion("www.example.com.", dns.TypeA)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil || !sameQuestion(q, m) {
			return
		}
		c := newCache(time.Now)
		k := key{name: "www.example.com.", kind: dns.TypeA}
		c.put(k, m)
		if got := c.get(k, false); got != nil && len(got.Answer) != len(m.Answer) {
			t.Fatalf("the cache has %d records of %d", len(got.Answer), len(m.Answer))
		}
	})
}
