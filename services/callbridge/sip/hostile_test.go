package sip

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// others' calls, which nothing of what an attacker does may disturb.
func undisturbed(t *testing.T, e *end, by ...Transport) (check func()) {
	t.Helper()
	peer := newEnd(t)
	var up [][2]*party
	for _, t := range by {
		from := peer.call(e.at(t))
		to := e.next()
		to.call.Accept([]byte("answer"))
		from.wants("answered answer", "confirmed")
		to.wants("confirmed")
		up = append(up, [2]*party{from, to})
	}
	return func() {
		t.Helper()
		for _, p := range up {
			began := time.Now()
			p[0].call.Reoffer([]byte("again"))
			p[1].wants("offered again")
			p[1].call.AnswerOffer([]byte("fine"))
			p[0].wants("answered fine")
			if d := time.Since(began); d > patience/2 {
				t.Errorf("a re-INVITE took %v", d)
			}
		}
		for _, t := range by {
			from := peer.call(e.at(t))
			to := e.next()
			to.call.Accept([]byte("answer"))
			from.wants("answered answer", "confirmed")
			to.wants("confirmed")
			from.call.Hangup("")
			to.over()
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAFloodDoesNotGrowMemory sends requests of 100,000 sources. The agent is given them as if they came in by UDP, for loopback has 127.0.0.0/8 as
// its own and answers go back there, to nobody.
func TestAFloodDoesNotGrowMemory(t *testing.T) {
	e := newEnd(t, func(o *Options) {
		o.Trace = nil
		others := o.Incoming
		o.Incoming = func(c *Call) {
			if !strings.HasPrefix(c.Request(), "sip:100@") {
				others(c)
				return
			}
			c.Use(nobody{}) // whom the flood calls
			c.Reject(404, "")
		}
	})
	check := undisturbed(t, e, UDP, TCP)
	sock := e.socketFor(netip.MustParseAddr("127.0.0.1"))
	flood := func(n int) {
		for i := range n {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(1 + i>>16), byte(i >> 8), byte(i)}), 9)
			p := path{transport: UDP, local: sock.local, remote: from, sock: sock}
			id := fmt.Sprint("flood", i)
			method := [...]string{"INVITE", "OPTIONS", "REGISTER", "INVITE", "BYE", "ACK", "NOTHING"}[i%7]
			m := fmt.Sprintf("%s sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nFrom: <sip:x@h>;tag=%s\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: %s\r\n"+
				"CSeq: 1 %s\r\nContact: <sip:x@%s>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", method, from, id, id, id, method, from)
			e.receive([]byte(m), p)
		}
	}
	// What the tables hold when they are full is bounded; more floods do not add to it.
	flood(floods)
	first, load := heap(), e.Load()
	flood(floods / 3)
	second := heap()
	t.Logf("heap after %d requests %d KiB, after %d %d KiB; %+v", floods, first>>10, floods+floods/3, second>>10, e.Load())
	// All is as full as it gets, and those who were known before are served.
	check()
	if load.Sources > 8192 || load.Transactions > 5000+64 {
		t.Errorf("tables are over their limits: %+v", load)
	}
	if second > first+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", first, second)
	}
	if first > 64<<20 {
		t.Errorf("the heap is %d bytes", first)
	}
}

// nobody is a handler that hears nothing.
type nobody struct{}

func (nobody) Ringing(int)                 {}
func (nobody) Answered([]byte)             {}
func (nobody) Early([]byte)                {}
func (nobody) Confirmed()                  {}
func (nobody) Offered([]byte)              {}
func (nobody) OfferRefused(int)            {}
func (nobody) Info(string, []byte) int     { return 481 }
func (nobody) Referred(string, string) int { return 603 }
func (nobody) Replaced(*Call)              {}
func (nobody) Ended(End)                   {}

// TestScansDoNotDisturb does as scanners do: OPTIONS, REGISTER and INVITE at great speed from one address, and counts what comes back.
func TestScansDoNotDisturb(t *testing.T) {
	e := newEnd(t, func(o *Options) { o.Limits = Limits{Rate: 20, Burst: 50} })
	scanner := newRawFrom(t, e, "127.0.0.66")
	check := undisturbed(t, e, UDP, TCP)
	sent, began := 0, time.Now()
	for i := range 3000 {
		method := [...]string{"OPTIONS", "REGISTER", "OPTIONS"}[i%3]
		m := strings.ReplaceAll(fmt.Sprintf("%s sip:%d@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bK-%d;rport\nFrom: \"sipvicious\"<sip:100@1.1.1.1>;tag=%d\n"+
			"To: \"sipvicious\"<sip:100@1.1.1.1>\nCall-ID: %d\nCSeq: 1 %s\nContact: sip:100@HERE\nUser-Agent: friendly-scanner\nMax-Forwards: 70\nAccept: application/sdp\nContent-Length: 0\n\n",
			method, i, i, i, i, method), "HERE", scanner.here())
		scanner.sendExact(crlf(m))
		sent += len(m)
	}
	check()
	// The scanner got no more than its share, and nothing that is much longer than its question.
	var got, bytes int
	var b [65536]byte
	for {
		scanner.c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, _, err := scanner.c.ReadFromUDPAddrPort(b[:])
		if err != nil {
			break
		}
		got, bytes = got+1, bytes+n
		if n > 700 {
			t.Errorf("an answer of %d bytes: %s", n, b[:n])
		}
	}
	if most := 100 + 21*int(time.Since(began)/time.Second); got == 0 || got > most {
		t.Errorf("%d answers of %d bytes to 3000 questions of %d bytes", got, bytes, sent)
	}
	if l := e.Load(); l.Refused < 2000 {
		t.Errorf("refused are %d", l.Refused)
	}
}

// TestOneAnswerToAScan: an INVITE from somebody who has not shown that they get our answers has one answer, without 100, and without retransmissions.
func TestOneAnswerToAScan(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("scan", ""))
	e.next().call.Reject(404, "")
	r.get("SIP/2.0 404")
	time.AfterFunc(20*quick.t1, func() {
		r.send("OPTIONS sip:x@example.com SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bKlast\nTo: <sip:x@example.com>\nFrom: <sip:x@example.com>;tag=1\n" +
			"Call-ID: last\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n")
	})
	if more := r.all("CSeq: 1 OPTIONS"); len(more) != 0 {
		t.Errorf("more answers came: %q", more)
	}
	// A 2xx is sent again a few times only.
	r.send(invite("taken", ""))
	e.next().call.Accept([]byte("answer"))
	r.get("BYE")
	if n := e.wire.count(false, "SIP/2.0 200", "Call-ID: taken"); n > 1+guardedRepeats || n < 2 {
		t.Errorf("the 2xx was sent %d times", n)
	}
	// Somebody who acknowledged is known, and is served as RFC 3261 says.
	r.send(invite("known", ""))
	p := e.next()
	p.call.Reject(404, "")
	got := r.get("SIP/2.0 404")
	r.send(strings.Replace(within("ACK", "1", "known", got, "", ""), "z9hG4bKknownACK1", "z9hG4bKknown", 1))
	e.wire.await(t, 1, true, "ACK")
	r.send(invite("knows", ""))
	e.next().call.Reject(404, "")
	r.get("SIP/2.0 100")
	r.get("SIP/2.0 404")
	r.get("SIP/2.0 404")
}

// TestSlowSendersAreClosed opens connections that say nothing, or a byte at a time.
func TestSlowSendersAreClosed(t *testing.T) {
	e := newEnd(t, func(o *Options) { o.Limits = Limits{Arrival: 300 * time.Millisecond, SourceConnections: 20} })
	check := undisturbed(t, e, UDP)
	to := e.at(TCP).Address.String()
	var all sync.WaitGroup
	open := func(from, send string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		all.Add(1)
		go func() {
			defer all.Done()
			defer c.Close()
			go func() {
				for i := 0; send != ""; i++ {
					if _, err := c.Write([]byte{send[i%len(send)]}); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond) // slow is what they are
				}
			}()
			c.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("a connection of %s that sends %.10q stays open", from, send)
			}
		}()
	}
	for range 40 { // half of them are over the limit of one source
		open("127.0.0.66", "")
	}
	for range 10 {
		open("127.0.0.67", "INVITE sip:x@example.com SIP/2.0\r\nSubject: slow\r\n")
	}
	if n := e.Load().Connections; n > 31 {
		t.Errorf("%d connections", n)
	}
	check()
	all.Wait()
	if n := e.Load().Connections; n > 1 {
		t.Errorf("%d connections are left", n)
	}
	check()
}

func TestSlowHandshakesAreClosed(t *testing.T) {
	t.Parallel()
	e := newEnd(t, withTLS, func(o *Options) { o.Limits = Limits{Arrival: 200 * time.Millisecond} })
	for _, first := range []string{"", "\x16\x03\x01\x00\x40\x01", "INVITE sip:x@example.com SIP/2.0\r\n\r\n"} {
		c, err := net.Dial("tcp", e.at(TLS).Address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, first)
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("a connection that begins with %q stays open", first)
		}
	}
	for deadline := time.Now().Add(patience); e.Load().Connections > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", e.Load().Connections)
		}
	}
}

// stream is a TCP peer that sends bytes.
func stream(t *testing.T, e *end) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", e.at(TCP).Address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func question(id string) string {
	return crlf("OPTIONS sip:x@example.com SIP/2.0\nVia: SIP/2.0/TCP h;branch=z9hG4bK" + id + "\nTo: <sip:x@example.com>\nFrom: <sip:x@example.com>;tag=1\nCall-ID: " + id +
		"\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 3\n\nabc")
}

func readUntil(t *testing.T, c net.Conn, last string) string {
	t.Helper()
	var got strings.Builder
	var b [4096]byte
	for !strings.Contains(got.String(), last) {
		n, err := c.Read(b[:])
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("wanted %q, got %q: %v", last, got.String(), err)
		}
	}
	return got.String()
}

func TestStreams(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	c := stream(t, e)
	// Messages in pieces and together, with line ends between them and keep-alives (RFC 5626 3.5.1).
	for _, b := range []byte(question("pieces")) {
		c.Write([]byte{b})
	}
	readUntil(t, c, "Call-ID: pieces")
	io.WriteString(c, "\r\n"+question("one")+"\r\n\r\n"+question("two"))
	if got := readUntil(t, c, "Call-ID: two"); !strings.Contains(got, "Call-ID: one") || !strings.Contains(got, "\r\n\r\n\r\n") {
		t.Errorf("got %q", got)
	}
	io.WriteString(c, "\r\n\r\n")
	readUntil(t, c, "\r\n")

	for name, x := range map[string][2]string{
		"no length":   {strings.Replace(question("x"), "Content-Length: 3\r\n", "", 1), "SIP/2.0 400 Content-Length is missing"},
		"bad length":  {strings.Replace(question("x"), "Content-Length: 3\r\n", "Content-Length: -3\r\n", 1), "SIP/2.0 400 Content-Length is not a number"},
		"two lengths": {strings.Replace(question("x"), "Content-Length: 3\r\n", "Content-Length: 3\r\nl: 4\r\n", 1), "SIP/2.0 400"},
		"long body":   {strings.Replace(question("x"), "Content-Length: 3\r\n", "Content-Length: 70000\r\n", 1), "SIP/2.0 513"},
		"long head":   {strings.Replace(question("x"), "Content-Length: 3\r\n", "X: "+strings.Repeat("x", 17<<10), 1), "SIP/2.0 513"},
	} {
		c := stream(t, e)
		io.WriteString(c, x[0])
		got, err := io.ReadAll(c)
		if err != nil && !strings.Contains(err.Error(), "reset") || !strings.HasPrefix(string(got), x[1]) {
			t.Errorf("%s: got %.200q, %v", name, got, err)
		}
	}
	for name, x := range map[string]string{"HTTP": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "noise": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n" + strings.Repeat("\x00", 1000)} {
		c := stream(t, e)
		io.WriteString(c, x)
		if got, err := io.ReadAll(c); len(got) != 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// stuck is a handler that does not come back.
type stuck struct {
	nobody
	release chan struct{}
	infos   chan struct{}
}

func (s *stuck) Info(string, []byte) int {
	s.infos <- struct{}{}
	<-s.release
	return 200
}

func TestAStuckHandlerDoesNotCollect(t *testing.T) {
	t.Parallel()
	h := &stuck{release: make(chan struct{}), infos: make(chan struct{}, 1000)}
	e := newEnd(t, unhurried, func(o *Options) {
		o.Incoming = func(c *Call) { c.Use(h); c.Accept([]byte("answer")) }
	})
	r := newRaw(t, e)
	r.send(invite("stuck", ""))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", "stuck", ok, "", ""))
	for i := range 80 {
		r.send(within("INFO", itoa(uint32(i+2)), "stuck", ok, "Content-Type: text/plain\n", "x"))
	}
	if got := r.get("SIP/2.0 503"); field(got, "Retry-After") == "" {
		t.Errorf("got\n%s", got)
	}
	e.wire.await(t, 80, true, "INFO")
	close(h.release)
	r.send(within("OPTIONS", "100", "stuck", ok, "", ""))
	r.all("CSeq: 100 OPTIONS")
	if n := e.wire.count(false, "SIP/2.0 503"); n < 80-maxUntold-2 {
		t.Errorf("%d of 80 INFOs were refused", n)
	}
}

func TestTooMuchAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnd(t, func(o *Options) { o.Limits = Limits{Dialogs: 3} })
	peer := newEnd(t)
	var up []*party
	for range 3 {
		up = append(up, peer.call(e.at(TCP)))
		e.next().call.Ring()
	}
	if end := peer.call(e.at(TCP)).over(); end.Code != 503 {
		t.Errorf("told %+v", end)
	}
	peer.wire.await(t, 1, true, "SIP/2.0 503", "Retry-After: ")
	for _, p := range up {
		p.call.Hangup("")
	}
	e.empty()
	from := peer.call(e.at(TCP))
	e.next().call.Accept([]byte("answer"))
	from.wants("answered answer")
}

func TestALostConnection(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from, to := up(t, a, b, TCP)
	// The connection breaks: the next request opens another, in either direction.
	breakAll := func(e *end) {
		e.mu.Lock()
		var l []*conn
		for c := range e.conns {
			l = append(l, c)
		}
		e.mu.Unlock()
		for _, c := range l {
			c.close()
		}
	}
	breakAll(a)
	to.call.Reoffer([]byte("two"))
	from.wants("offered two")
	from.call.AnswerOffer([]byte("fine"))
	to.wants("answered fine")
	breakAll(b)
	from.call.Hangup("")
	to.over()
	a.empty()

	// A peer that goes away in the middle of an INVITE.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := a.call(Target{Transport: TCP, Address: addrPort(l.Addr())})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	readUntil(t, c, "\r\n\r\noffer")
	c.Close()
	if end := p.over(); !end.Unreachable {
		t.Errorf("told %+v", end)
	}
}

// TestGoodbyesAreSentAtTheEnd: calls that are ended right before Serve ends are ended at the far end.
func TestGoodbyesAreSentAtTheEnd(t *testing.T) {
	t.Parallel()
	a := newEnd(t)
	b, err := New(Options{Listen: []Listen{{UDP, loopback}, {TCP, loopback}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Serve(ctx) }()
	var far []*party
	var near []*Call
	for i := range 20 {
		to := a.at([...]Transport{UDP, TCP}[i%2])
		p := newParty(t)
		near = append(near, b.Dial(Dial{To: "sip:x@example.com", From: "sip:y@example.com", Next: []Target{to}, Offer: []byte("offer")}, p))
		q := a.next()
		q.call.Accept([]byte("answer"))
		p.wants("answered answer", "confirmed")
		q.wants("confirmed")
		far = append(far, q)
	}
	for _, c := range near {
		c.Hangup("the server goes down")
	}
	cancel()
	for _, q := range far {
		if end := q.over(); !end.Remote || end.Reason != "the server goes down" {
			t.Errorf("told %+v", end)
		}
	}
	<-done
}

func TestServeEndsWithCallsUp(t *testing.T) {
	t.Parallel()
	a := newEnd(t)
	b, err := New(Options{Listen: []Listen{{UDP, loopback}, {TCP, loopback}}, Incoming: func(c *Call) { c.Use(newParty(t)); c.Accept(nil) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Serve(ctx) }()
	for _, l := range b.Addresses() {
		p := a.call(Target{Transport: l.Transport, Address: l.Address})
		p.wants("answered", "confirmed")
	}
	cancel()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Serve does not return")
	}
	if err := b.Serve(context.Background()); err == nil {
		t.Error("Serve runs twice")
	}
}
