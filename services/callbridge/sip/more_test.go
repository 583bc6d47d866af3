package sip

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLoopsEnd(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	// b passes every call on to a, and a to b, as forwarding rules may have it.
	pass := func(from, to *end) {
		for p := range from.incoming {
			left := p.call.MaxForwards() - 1
			if left == 0 {
				left = -1
			}
			q := from.call(to.at(UDP), func(d *Dial) { d.MaxForwards = left })
			go func() {
				e := <-q.ended
				p.call.Reject(e.Code, e.Reason)
			}()
		}
	}
	go pass(a, b)
	go pass(b, a)
	p := a.call(b.at(UDP), func(d *Dial) { d.MaxForwards = 20 })
	if end := p.over(); end.Code != 483 {
		t.Errorf("told %+v", end)
	}
	// Each once: on a slow machine some are sent again.
	if n := len(a.wire.branches("INVITE")); n < 9 || n > 12 {
		t.Errorf("%d INVITEs were sent", n)
	}
	a.empty()
	b.empty()
	close(a.incoming)
	close(b.incoming)
}

func TestABranchOfAForkAnswersAndAnotherTakesTheCall(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target())
	i := r.get("INVITE")
	r.send(respond(i, "183 Session Progress", "one", "Contact: <sip:one@HERE>\nRequire: 100rel\nRSeq: 5\n", "answer one"))
	prack := r.get("PRACK sip:one@")
	r.send(respond(prack, "200 OK", "", "", ""))
	p.wants("answered answer one")
	// Sent again: it is acknowledged once only, as its PRACK is a transaction.
	r.send(respond(i, "183 Session Progress", "one", "Contact: <sip:one@HERE>\nRequire: 100rel\nRSeq: 5\n", "answer one"))
	r.send(respond(i, "200 OK", "two", "Contact: <sip:two@HERE>\n", "answer two"))
	p.wants("answered answer two", "confirmed")
	r.get("ACK sip:two@")
	if n := len(e.wire.branches("PRACK")); n != 1 {
		t.Errorf("%d PRACKs", n)
	}
	p.call.Hangup("")
	r.get("BYE sip:two@")
}

func TestSecureURIs(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, withTLS), newEnd(t, withTLS)
	to := b.at(TLS).Address
	p := a.call(Target{}, func(d *Dial) { d.Next, d.To = nil, "sips:space@"+to.String() })
	q := b.next()
	if q.call.Transport() != TLS {
		t.Errorf("by %s", q.call.Transport())
	}
	q.call.Accept([]byte("answer"))
	p.wants("answered answer", "confirmed")
	for _, c := range append(p.call.Header("Contact"), q.call.Header("Contact")...) {
		if !strings.HasPrefix(c, "<sips:") {
			t.Errorf("Contact %s", c)
		}
	}
	p.call.Hangup("")
	q.over()
}

func TestCertificatesAreVerifiedByTheCallersRules(t *testing.T) {
	t.Parallel()
	refuse := errors.New("not on the list")
	var seen Target
	var mu sync.Mutex
	a := newEnd(t, withTLS, func(o *Options) {
		o.DialTLS = func(to Target) *tls.Config {
			mu.Lock()
			seen = to
			mu.Unlock()
			return &tls.Config{InsecureSkipVerify: true, ServerName: to.Host, VerifyConnection: func(tls.ConnectionState) error { return refuse }}
		}
	})
	// A server that wants certificates of clients.
	b := newEnd(t, withTLS, func(o *Options) {
		cfg := testTLS().Clone()
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, cfg.RootCAs
		o.TLS = func() *tls.Config { return cfg }
	})
	to := b.at(TLS)
	to.Host = "any.example.com"
	if end := a.call(to).over(); !end.Unreachable || !errors.Is(end.Err, refuse) {
		t.Errorf("told %+v", end)
	}
	mu.Lock()
	if seen.Host != "any.example.com" {
		t.Errorf("asked for %+v", seen)
	}
	mu.Unlock()
	c, err := tls.Dial("tcp", to.Address.String(), &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if err == nil {
		t.Error("a client without a certificate is taken")
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	l.Close()
	six := func(o *Options) {
		o.Listen = append(o.Listen, Listen{UDP, mustAddr("[::1]:0")}, Listen{TCP, mustAddr("[::1]:0")})
	}
	a, b := newEnd(t, six), newEnd(t, six)
	for _, l := range b.Addresses() {
		if l.Address.Addr().Is4() {
			continue
		}
		p := a.call(Target{Transport: l.Transport, Address: l.Address})
		q := b.next()
		if !q.call.Source().Addr().Is6() || q.call.Local() != l.Address {
			t.Errorf("from %s to %s", q.call.Source(), q.call.Local())
		}
		q.call.Accept([]byte("answer"))
		p.wants("answered answer", "confirmed")
		q.wants("confirmed")
		q.call.Hangup("")
		p.wants("ended")
	}
}

func TestUDPAnswersGoWhereTheViaSays(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	from, to := newRaw(t, e), newRaw(t, e)
	// Without rport: to the port of the Via.
	from.send(strings.ReplaceAll(strings.ReplaceAll(invite("via", "Require: 100rel\n"), ";rport", ""), "UDP HERE", "UDP "+to.here()))
	p := e.next()
	p.call.Ring()
	first := to.get("SIP/2.0 180")
	if again := to.get("SIP/2.0 180"); again != first {
		t.Errorf("got\n%s", again)
	}
	p.call.Accept([]byte("answer"))
	ok := to.get("SIP/2.0 200")
	if again := to.get("SIP/2.0 200"); again != ok {
		t.Errorf("got\n%s", again)
	}
	// With it: back to the sender, whatever the Via says.
	from.send(strings.ReplaceAll(invite("rport", ""), "UDP HERE", "UDP 192.0.2.1:9"))
	e.next().call.Reject(404, "")
	got := from.get("SIP/2.0 404")
	_, port, _ := net.SplitHostPort(from.here())
	if v := field(got, "Via"); !strings.Contains(v, ";rport="+port) || !strings.HasSuffix(v, ";received=127.0.0.1") || !strings.HasPrefix(v, "SIP/2.0/UDP 192.0.2.1:9;branch=z9hG4bKrport") {
		t.Errorf("Via: %s", v)
	}
}

func TestMultipartOffers(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	body := crlf("--b\nContent-Type: application/isup\n\nxyz\n--b\nContent-Type: application/sdp; charset=x\nContent-Disposition: session\n\nv=0\no=x\n--b--\n")
	m := crlf(strings.ReplaceAll(strings.Replace(strings.TrimSuffix(invite("multi", ""), "5\n\noffer"), "application/sdp", "multipart/mixed;boundary=\"b\"", 1), "HERE", r.here()))
	r.sendExact(m + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	p := e.next()
	if got := string(p.call.Offer()); got != "v=0\r\no=x" {
		t.Errorf("the offer is %q", got)
	}
	p.call.Reject(404, "")
}

// TestManyCallsDoWhatTheyLike has calls do things at random at both ends, over both transports, and looks whether all of them end, at both ends.
func TestManyCallsDoWhatTheyLike(t *testing.T) {
	t.Parallel()
	do := func(p *wild, random *rand.Rand) {
		for range 6 {
			switch random.IntN(7) {
			case 0:
				p.c.Reoffer([]byte("offer"))
			case 1:
				p.c.Reoffer(nil)
			case 2:
				p.c.Info("text/plain", []byte("x"))
			case 3:
				p.c.Refer("sip:x@example.com")
			case 4:
				p.c.Ring()
			case 5:
				p.c.Progress([]byte("answer"))
			case 6:
				p.c.Accept([]byte("answer"))
			}
		}
		switch random.IntN(3) {
		case 0:
			p.c.Hangup("")
		case 1:
			p.c.Reject(603, "")
			p.c.Hangup("")
		case 2: // the far end is to do it; if it does not either, the test would wait for its session timer
			time.AfterFunc(50*time.Millisecond, func() { p.c.Hangup("") })
		}
	}
	var all sync.WaitGroup
	answers := func(o *Options) {
		o.Trace = nil
		o.Incoming = func(c *Call) {
			p := &wild{c: c, over: make(chan struct{})}
			c.Use(p)
			all.Add(1)
			go func() {
				defer all.Done()
				do(p, rand.New(rand.NewPCG(1, uint64(len(c.ID())))))
				<-p.over
			}()
		}
	}
	a, b := newEnd(t, answers), newEnd(t, answers)
	for i := range 200 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		by := UDP
		if i%3 == 0 {
			by = TCP
		}
		p := &wild{over: make(chan struct{})}
		d := Dial{To: "sip:x@example.com", From: "sip:y@example.com", Next: []Target{to.at(by)}, Offer: []byte("offer")}
		if i%5 == 0 {
			d.Offer = nil
		}
		p.mu.Lock()
		p.c = from.Dial(d, p)
		p.mu.Unlock()
		all.Add(1)
		go func() {
			defer all.Done()
			do(p, rand.New(rand.NewPCG(2, uint64(i))))
			<-p.over
		}()
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * patience):
		t.Fatalf("calls do not end: %+v, %+v", a.Load(), b.Load())
	}
	a.empty()
	b.empty()
}

// wild answers whatever it is asked.
type wild struct {
	nobody
	mu   sync.Mutex
	c    *Call
	over chan struct{}
}

func (w *wild) Offered(body []byte) {
	w.mu.Lock()
	c := w.c
	w.mu.Unlock()
	if len(body)%2 == 0 {
		c.AnswerOffer([]byte("fine"))
	} else {
		c.AnswerOffer([]byte("answer"))
	}
}
func (w *wild) Info(string, []byte) int     { return 200 }
func (w *wild) Referred(string, string) int { return 202 }
func (w *wild) Ended(End)                   { close(w.over) }
