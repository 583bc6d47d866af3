package sip

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// reports keeps what an agent tells of its targets.
type reports struct {
	mu sync.Mutex
	l  []string
}

func (r *reports) add(t Target, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	how := "works"
	if err != nil {
		how = "fails"
	}
	r.l = append(r.l, fmt.Sprintf("%s %s %s", t.Transport, t.Address, how))
}

func (r *reports) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.l
	r.l = nil
	return l
}

func (r *reports) wants(t *testing.T, want ...string) {
	t.Helper()
	if got := r.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told of targets:\n%s\nwanted:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// closedTCP is an address at which nobody listens.
func closedTCP(t *testing.T) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return Target{Transport: TCP, Address: addrPort(l.Addr())}
}

func TestTargetsAreReported(t *testing.T) {
	t.Parallel()
	var r reports
	e, good := newEnd(t, func(o *Options) { o.Reached = r.add }), newEnd(t)
	tcp, udp, overloaded := closedTCP(t), closedUDP(t, "127.0.0.1"), newRaw(t, e)
	answers := overloaded.target()
	p := e.call(tcp, func(d *Dial) { d.Next = []Target{tcp, udp, answers, good.at(TCP)} })
	overloaded.send(respond(overloaded.get("INVITE"), "503 Service Unavailable", "t", "Retry-After: 60\n", ""))
	q := good.next()
	q.call.Ring()
	q.call.Accept([]byte("answer"))
	p.wants("ringing 180", "answered answer", "confirmed")
	r.wants(t, fmt.Sprintf("tcp %s fails", tcp.Address), fmt.Sprintf("udp %s fails", udp.Address), fmt.Sprintf("udp %s fails", answers.Address),
		fmt.Sprintf("tcp %s works", good.at(TCP).Address))

	// The last one is reported too, and so is one that says nothing until the end.
	overloaded = newRaw(t, e)
	answers = overloaded.target()
	p = e.call(answers)
	overloaded.send(respond(overloaded.get("INVITE"), "503 Service Unavailable", "t", "", ""))
	p.over()
	r.wants(t, fmt.Sprintf("udp %s fails", answers.Address))
	quiet := newRaw(t, e)
	p = e.call(quiet.target())
	if end := p.over(); !end.Timeout {
		t.Errorf("told %+v", end)
	}
	r.wants(t, fmt.Sprintf("udp %s fails", quiet.target().Address))
	overloaded = newRaw(t, e)
	answers = overloaded.target()
	// Nobody at home is nothing against the server, and what is missing here is nothing against anybody.
	p = e.call(answers)
	overloaded.send(respond(overloaded.get("INVITE sip:space@example.com"), "408 Request Timeout", "t", "", ""))
	p.over()
	r.wants(t, fmt.Sprintf("udp %s works", answers.Address))
	e.call(Target{Transport: TLS, Address: tcp.Address}).over()
	e.call(Target{Transport: UDP, Address: mustAddr("[::1]:5060")}).over()
	r.wants(t, fmt.Sprintf("tls %s fails", tcp.Address))
}

// TestATargetThatComesBackLate has a server answer after the next one was asked.
func TestATargetThatComesBackLate(t *testing.T) {
	t.Parallel()
	for _, by := range []Transport{UDP, TCP} {
		e, good := newEnd(t), newEnd(t)
		var late interface {
			get(...string) string
			send(string)
		}
		var to Target
		if by == UDP {
			r := newRaw(t, e)
			late, to = r, r.target()
		} else {
			s := newRawStream(t)
			late, to = s, s.target()
		}
		p := e.call(to, func(d *Dial) { d.Next = []Target{to, good.at(UDP)} })
		i := late.get("INVITE")
		q := good.next()
		// Only now; it is told that it is not wanted.
		late.send(respond(i, "180 Ringing", "late", "Contact: <sip:late@HERE>\n", ""))
		late.get("CANCEL")
		late.send(respond(i, "200 OK", "late", "Contact: <sip:late@HERE>\n", "late answer"))
		late.get("ACK")
		late.get("BYE")
		q.call.Accept([]byte("answer"))
		p.wants("answered answer", "confirmed")
		p.call.Hangup("")
		q.over()
	}
}

// rawStream is raw over one TCP connection.
type rawStream struct {
	t *testing.T
	l net.Listener
	c net.Conn
	b []byte
}

func newRawStream(t *testing.T) *rawStream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &rawStream{t: t, l: l}
}

func (s *rawStream) target() Target { return Target{Transport: TCP, Address: addrPort(s.l.Addr())} }

func (s *rawStream) send(text string) {
	s.t.Helper()
	if _, err := s.c.Write([]byte(crlf(strings.ReplaceAll(text, "HERE", s.l.Addr().String()+";transport=tcp")))); err != nil {
		s.t.Fatal(err)
	}
}

// get waits for a message that begins with one of the texts, and passes over others.
func (s *rawStream) get(first ...string) string {
	s.t.Helper()
	if s.c == nil {
		s.l.(*net.TCPListener).SetDeadline(deadline())
		c, err := s.l.Accept()
		if err != nil {
			s.t.Fatalf("wanted %q: %v", first, err)
		}
		s.t.Cleanup(func() { c.Close() })
		s.c = c
	}
	s.c.SetReadDeadline(deadline())
	var b [65536]byte
	for {
		if end := headEnd(s.b); end > 0 && len(s.b) >= end+contentLength(s.b[:end]) {
			size := end + contentLength(s.b[:end])
			m := string(s.b[:size])
			s.b = s.b[size:]
			for _, f := range first {
				if strings.HasPrefix(m, f) {
					return m
				}
			}
			continue
		}
		n, err := s.c.Read(b[:])
		if err != nil {
			s.t.Fatalf("wanted %q: %v", first, err)
		}
		s.b = append(s.b, b[:n]...)
	}
}
