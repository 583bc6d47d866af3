package sip

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come.
const patience = 40 * time.Second

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// end is an agent of a test, and the calls that came in.
type end struct {
	t *testing.T
	*Agent
	incoming chan *party
	wire     *wire
}

// wire keeps what an agent sent and got.
type wire struct {
	mu   sync.Mutex
	seen []Trace
	more chan struct{}
}

func (w *wire) trace(t Trace) {
	t.Message = append([]byte(nil), t.Message...)
	w.mu.Lock()
	w.seen = append(w.seen, t)
	close(w.more)
	w.more = make(chan struct{})
	w.mu.Unlock()
}

// count is how many messages, in or out, begin with a text and have others.
func (w *wire) count(in bool, first string, others ...string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
next:
	for _, t := range w.seen {
		if t.In != in || !strings.HasPrefix(string(t.Message), first) {
			continue
		}
		for _, o := range others {
			if !strings.Contains(string(t.Message), o) {
				continue next
			}
		}
		n++
	}
	return n
}

// branches are the requests that an agent sent, by their transactions: what is sent again counts once.
func (w *wire) branches(method string) map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := map[string]bool{}
	for _, t := range w.seen {
		if m, _ := parse(t.Message); !t.In && m != nil && m.method == method {
			l[m.via.branch] = true
		}
	}
	return l
}

// await waits for as many of them.
func (w *wire) await(t *testing.T, n int, in bool, first string, others ...string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		more := w.more
		w.mu.Unlock()
		if w.count(in, first, others...) >= n {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("wanted %d messages %q %q (in: %v), got %d of:\n%s", n, first, others, in, w.count(in, first, others...), w.text())
		}
	}
}

func (w *wire) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, t := range w.seen {
		fmt.Fprintf(&b, "--- in %v %s\n%s\n", t.In, t.Transport, t.Message)
	}
	return b.String()
}

// last is the last message that begins with a text.
func (w *wire) last(in bool, first string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.seen) - 1; i >= 0; i-- {
		if w.seen[i].In == in && strings.HasPrefix(string(w.seen[i].Message), first) {
			return string(w.seen[i].Message)
		}
	}
	return ""
}

// quick are timers for tests. A machine that is busy with other things may stop for seconds, which is not to be taken for silence: 64*T1 is 6.4 s.
var quick = timers{t1: 100 * time.Millisecond, t2: 400 * time.Millisecond, t4: 400 * time.Millisecond, d: time.Second}

func newEnd(t *testing.T, change ...func(*Options)) *end {
	t.Helper()
	e := &end{t: t, incoming: make(chan *party, 100), wire: &wire{more: make(chan struct{})}}
	o := Options{
		Listen:   []Listen{{UDP, loopback}, {TCP, loopback}},
		Incoming: func(c *Call) { p := newParty(t); p.call = c; c.Use(p); e.incoming <- p },
		Trace:    e.wire.trace,
		Log:      slog.New(slog.DiscardHandler),
		timers:   quick,
	}
	for _, f := range change {
		f(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e.Agent = a
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Serve(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Serve does not return")
		}
	})
	return e
}

// at is where an agent listens.
func (e *end) at(t Transport) Target {
	for _, l := range e.Addresses() {
		if l.Transport == t {
			return Target{Transport: t, Address: l.Address}
		}
	}
	e.t.Fatalf("the agent does not listen by %s", t)
	return Target{}
}

// party is a handler that keeps what it is told.
type party struct {
	t     *testing.T
	call  *Call
	told  chan string
	ended chan End
	mu    sync.Mutex
	infos int
	refer int
	by    chan *Call
}

func newParty(t *testing.T) *party {
	return &party{t: t, told: make(chan string, 1000), ended: make(chan End, 10), by: make(chan *Call, 1), infos: 200, refer: 202}
}

func (p *party) Ringing(code int)      { p.told <- fmt.Sprint("ringing ", code) }
func (p *party) Answered(body []byte)  { p.told <- fmt.Sprintf("answered %s", body) }
func (p *party) Early(body []byte)     { p.told <- fmt.Sprintf("early %s", body) }
func (p *party) Confirmed()            { p.told <- "confirmed" }
func (p *party) Offered(body []byte)   { p.told <- fmt.Sprintf("offered %s", body) }
func (p *party) OfferRefused(code int) { p.told <- fmt.Sprint("refused ", code) }
func (p *party) ReferDone(code int)    { p.told <- fmt.Sprint("refer done ", code) }
func (p *party) Replaced(by *Call) {
	p.told <- "replaced"
	q := newParty(p.t)
	q.call = by
	by.Use(q)
	p.by <- by
}
func (p *party) Ended(e End) { p.told <- "ended"; p.ended <- e }
func (p *party) Info(kind string, body []byte) int {
	p.told <- fmt.Sprintf("info %s %s", kind, body)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.infos
}
func (p *party) Referred(to, replaces string) int {
	p.told <- fmt.Sprintf("referred %s %s", to, replaces)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refer
}

// wants waits for what the party is told, in order.
func (p *party) wants(list ...string) {
	p.t.Helper()
	for _, want := range list {
		select {
		case got := <-p.told:
			if strings.TrimSpace(got) != want {
				p.t.Fatalf("told %q, wanted %q", got, want)
			}
		case <-time.After(patience):
			p.t.Fatalf("wanted to be told %q, and nothing came", want)
		}
	}
}

// over waits for the end.
func (p *party) over() End {
	p.t.Helper()
	select {
	case e := <-p.ended:
		return e
	case <-time.After(patience):
		p.t.Fatal("the call does not end")
	}
	return End{}
}

// next is the next incoming call.
func (e *end) next() *party {
	e.t.Helper()
	select {
	case p := <-e.incoming:
		return p
	case <-time.After(patience):
		e.t.Fatal("no call came in")
	}
	return nil
}

func (e *end) call(to Target, change ...func(*Dial)) *party {
	p := newParty(e.t)
	d := Dial{To: "sip:space@example.com", From: "sip:alice@example.org", FromName: "Alice", Next: []Target{to}, Offer: []byte("offer")}
	for _, f := range change {
		f(&d)
	}
	p.call = e.Dial(d, p)
	return p
}

// up makes a call that is up at both ends.
func up(t *testing.T, a, b *end, by Transport) (from, to *party) {
	t.Helper()
	from = a.call(b.at(by))
	to = b.next()
	to.call.Accept([]byte("answer"))
	from.wants("answered answer", "confirmed")
	to.wants("confirmed")
	return from, to
}

// empty waits until an agent has no calls.
func (e *end) empty() {
	e.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if e.Load().Calls == 0 {
			return
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("calls are left: %+v", e.Load())
		}
		time.Sleep(time.Millisecond)
	}
}

var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bridge.example.com"}, DNSNames: []string{"bridge.example.com"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	parsed, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool}
})

// unhurried has the usual timers, for far ends that have them and for counting messages.
func unhurried(o *Options) { o.timers = usualTimers }

func withTLS(o *Options) {
	o.Listen = append(o.Listen, Listen{TLS, loopback})
	o.TLS = testTLS
}

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestMain lets more tests run at once than there are cores: most of them wait for a protocol's timers.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		flag.Set("test.parallel", "12")
	}
	os.Exit(m.Run())
}

func deadline() time.Time { return time.Now().Add(patience) }
