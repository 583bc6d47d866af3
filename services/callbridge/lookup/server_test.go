package lookup

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer is a real one on loopback, by UDP and TCP.
type nameServer struct {
	t       *testing.T
	address netip.AddrPort

	mu      sync.Mutex
	records map[question][]dns.RR
	names   map[string]bool
	asked   map[question]int
	tcp     int
	edns    int
	fails   map[uint16]bool // SERVFAIL to such questions
	rcode   int             // instead of an answer, when not 0
	silent  bool            // no answer at all
	deaf    map[uint16]bool
	noEDNS  bool // FORMERR to EDNS
}

func serve(t *testing.T, zone string) *nameServer {
	t.Helper()
	s := &nameServer{t: t, asked: map[question]int{}, deaf: map[uint16]bool{}}
	s.zone(zone)
	var u net.PacketConn
	var l net.Listener
	for l == nil {
		var err error
		if u, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", u.LocalAddr().String()); err != nil {
			u.Close() // another program has that port for TCP
		}
	}
	s.address = u.LocalAddr().(*net.UDPAddr).AddrPort()
	var wait sync.WaitGroup
	t.Cleanup(wait.Wait) // runs after those that shut down
	for _, d := range []*dns.Server{{PacketConn: u, Handler: s}, {Listener: l, Handler: s}} {
		up := make(chan struct{})
		d.NotifyStartedFunc = func() { close(up) }
		wait.Go(func() { d.ActivateAndServe() })
		<-up
		t.Cleanup(func() { d.Shutdown() })
	}
	return s
}

func (s *nameServer) zone(text string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.names = map[question][]dns.RR{}, map[string]bool{}
	p := dns.NewZoneParser(strings.NewReader("$TTL 300\n"+text), ".", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		q := question{strings.ToLower(rr.Header().Name), rr.Header().Rrtype}
		s.records[q] = append(s.records[q], rr)
		s.names[q.name] = true
	}
	if err := p.Err(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *nameServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *nameServer) count(name string, kind uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[question{name, kind}]
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := question{strings.ToLower(m.Question[0].Name), m.Question[0].Qtype}
	s.asked[q]++
	tcp := w.RemoteAddr().Network() == "tcp"
	if tcp {
		s.tcp++
	}
	if s.silent || s.deaf[q.kind] {
		return
	}
	a := new(dns.Msg)
	a.SetReply(m)
	size := dns.MinMsgSize
	if o := m.IsEdns0(); o != nil {
		s.edns++
		if s.noEDNS {
			a.Rcode = dns.RcodeFormatError
			w.WriteMsg(a)
			return
		}
		size = int(o.UDPSize())
		a.SetEdns0(4096, false)
	}
	if s.rcode != 0 || s.fails[q.kind] {
		a.Rcode = cmp.Or(s.rcode, dns.RcodeServerFailure)
		w.WriteMsg(a)
		return
	}
	a.Answer = append(a.Answer, s.records[question{q.name, dns.TypeCNAME}]...)
	a.Answer = append(a.Answer, s.records[q]...)
	if !s.names[q.name] {
		a.Rcode = dns.RcodeNameError
	}
	if len(a.Answer) == 0 {
		a.Ns = s.records[question{".", dns.TypeSOA}]
	}
	if !tcp {
		a.Truncate(size)
	}
	w.WriteMsg(a)
}

// resolver asks the servers and takes time and chance from the test. Its draws are the lowest.
func resolver(t *testing.T, clock *clock, servers ...*nameServer) *Resolver {
	t.Helper()
	o := Options{Timeout: 5 * time.Second, Try: 2 * time.Second, Now: clock.now, Random: func(int) int { return 0 }}
	o.Servers = func() (list []netip.AddrPort) {
		for _, s := range servers {
			list = append(list, s.address)
		}
		return list
	}
	r := New(o)
	t.Cleanup(r.Close)
	return r
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1e9, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// show is a list of targets in one line.
func show(list []Target) string {
	var parts []string
	for _, t := range list {
		parts = append(parts, t.Transport+" "+t.Address.String())
	}
	return strings.Join(parts, ", ")
}

func targets(t *testing.T, r *Resolver, host string, port uint16, ts ...string) string {
	t.Helper()
	list, err := r.Targets(context.Background(), host, port, ts)
	if err != nil {
		return "error: " + err.Error()
	}
	return show(list)
}
