package sip

import (
	"net/netip"
	"strings"
	"testing"
)

func follows(n int) func(*Dial) { return func(d *Dial) { d.Redirects = n } }

func TestRedirectionsAreFollowed(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	first, gone, busy, good := newRaw(t, e), closedUDP(t, "127.0.0.1"), newRaw(t, e), newRaw(t, e)
	p := e.call(first.target(), follows(5), withPassword)
	i := first.get("INVITE")
	first.send(respond(i, "407 Proxy Authentication Required", "t", asks("Proxy-Authenticate", "r", "n"), ""))
	first.get("ACK")
	i = first.get("INVITE")
	first.send(respond(i, "302 Moved Temporarily", "t", "Contact: <sip:c@"+good.here()+"?Replaces=x%3By>;q=0.1, \"B, busy\" <sip:b@"+busy.here()+";x=y>;q=0.5\n"+
		"Contact: <tel:+1900>, <sip:a@"+gone.Address.String()+">, <sip:m@"+good.here()+";method=BYE>, <sip:space@example.com>, sip:nothing at all\n", ""))
	if ack := first.get("ACK"); field(ack, "CSeq") != field(i, "CSeq")[:1]+" ACK" {
		t.Errorf("got\n%s", ack)
	}
	// The first is closed; the second is busy; the third takes the call.
	j := busy.get("INVITE sip:b@" + busy.here() + ";x=y SIP/2.0")
	for _, h := range []string{"To", "From", "Call-ID"} {
		if field(j, h) != field(i, h) {
			t.Errorf("%s was %q and is %q", h, field(i, h), field(j, h))
		}
	}
	if field(j, "Proxy-Authorization") != "" || !strings.HasSuffix(j, "offer") {
		t.Errorf("the INVITE is\n%s", j)
	}
	busy.send(respond(j, "486 Busy Here", "t", "", ""))
	k := good.get("INVITE sip:c@" + good.here() + " SIP/2.0")
	// A stranger asks for the password: it gets none, and that was the last contact.
	good.send(respond(k, "180 Ringing", "c", "Contact: <sip:c@HERE>\n", ""))
	p.wants("ringing 180")
	good.send(respond(k, "200 OK", "c", "", "answer"))
	p.wants("answered answer", "confirmed")
	good.get("ACK sip:c@" + good.here())
	p.call.Hangup("")
	good.get("BYE sip:c@" + good.here())
	if p.call.Request() != "sip:space@example.com" {
		t.Errorf("called %s", p.call.Request())
	}
}

func TestRedirectionsAreBounded(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	// In a circle: each is called once.
	p := e.call(r.target(), follows(5))
	for _, next := range []string{"b", "c"} {
		i := r.get("INVITE")
		r.send(respond(i, "302 Moved Temporarily", "t", "Contact: <sip:"+next+"@HERE>\n", ""))
		r.get("ACK")
	}
	r.send(respond(r.get("INVITE sip:c@"), "302 Moved Temporarily", "t", "Contact: <sip:B@HERE>, <sip:b@HERE>\n", ""))
	r.get("ACK")
	r.send(respond(r.get("INVITE sip:B@"), "301 Moved Permanently", "t", "Contact: <sip:space@EXAMPLE.com>, <sip:b@HERE>\n", ""))
	r.get("ACK")
	if end := p.over(); end.Code != 301 || !end.Remote {
		t.Errorf("told %+v", end)
	}
	// On and on.
	p = e.call(r.target(), follows(3))
	before := len(e.wire.branches("INVITE"))
	for n := range 4 {
		m := r.get("INVITE")
		r.send(respond(m, "302 Moved Temporarily", "t", "Contact: <sip:x"+itoa(uint32(n))+"@HERE>\n", ""))
		r.get("ACK")
	}
	if end := p.over(); end.Code != 302 || len(e.wire.branches("INVITE")) > before+4 {
		t.Errorf("told %+v after %d INVITEs", end, len(e.wire.branches("INVITE"))-before)
	}
	// Not asked for, no contact, or for everybody.
	for _, c := range []struct {
		n    int
		line string
		more string
		code int
	}{
		{0, "302 Moved Temporarily", "Contact: <sip:x@HERE>\n", 302}, {5, "302 Moved Temporarily", "", 302}, {5, "305 Use Proxy", "Contact: <sip:x@HERE>\n", 305},
		{5, "380 Alternative Service", "Contact: <sip:x@HERE>\n", 380}, {5, "486 Busy Here", "Contact: <sip:x@HERE>\n", 486},
	} {
		p := e.call(r.target(), follows(c.n))
		r.send(respond(r.get("INVITE"), c.line, "t", c.more, ""))
		if end := p.over(); end.Code != c.code {
			t.Errorf("%s: told %+v", c.line, end)
		}
		r.get("ACK")
	}
	p = e.call(r.target(), follows(5))
	r.send(respond(r.get("INVITE sip:space"), "302 Moved Temporarily", "t", "Contact: <sip:x@HERE>, <sip:y@HERE>\n", ""))
	r.get("ACK")
	r.send(respond(r.get("INVITE sip:x"), "603 Decline", "t", "", ""))
	if end := p.over(); end.Code != 603 {
		t.Errorf("told %+v", end)
	}
}

func TestRedirectionsGoOnlyWhereTheyMay(t *testing.T) {
	t.Parallel()
	e, far := newEnd(t, withTLS), newEnd(t, withTLS)
	stranger := newRaw(t, e)
	redirect := func(contact string) {
		far.next().call.Reject(302, "", Header{"Contact", contact})
	}
	// What was offered by TLS goes by nothing else.
	p := e.call(far.at(TLS), follows(5))
	redirect("<sip:x@" + stranger.here() + ">, <sip:y@" + far.at(TCP).Address.String() + ";transport=tcp>")
	if end := p.over(); end.Code == 0 && !end.Unreachable {
		t.Errorf("told %+v", end)
	}
	p = e.call(far.at(TLS), follows(5))
	redirect("<sip:y@" + far.at(TLS).Address.String() + ";transport=tls>")
	q := far.next()
	if q.call.Transport() != TLS || q.call.Request() != "sip:y@"+far.at(TLS).Address.String()+";transport=tls" {
		t.Errorf("%s was called by %s", q.call.Request(), q.call.Transport())
	}
	q.call.Reject(404, "")
	if end := p.over(); end.Code != 404 {
		t.Errorf("told %+v", end)
	}
	// From sips to sips only.
	p = e.call(far.at(TLS), follows(5), func(d *Dial) { d.To = "sips:space@example.com" })
	redirect("<sip:y@" + far.at(TLS).Address.String() + ";transport=tls>")
	if end := p.over(); end.Code != 302 {
		t.Errorf("told %+v", end)
	}
	// By the transports of the call.
	p = e.call(far.at(TCP), follows(5))
	redirect("<sip:y@" + stranger.here() + ";transport=udp>")
	if end := p.over(); end.Code != 302 {
		t.Errorf("told %+v", end)
	}
	// Where the caller of Dial wants it.
	p = e.call(far.at(UDP), follows(5), func(d *Dial) {
		d.Follow = func(from netip.AddrPort, to Target) bool {
			return from == far.at(UDP).Address && to.Address.String() != stranger.here()
		}
	})
	redirect("<sip:y@" + stranger.here() + ">, <sip:z@" + far.at(UDP).Address.String() + ">")
	q = far.next()
	if q.call.Request() != "sip:z@"+far.at(UDP).Address.String() {
		t.Errorf("%s was called", q.call.Request())
	}
	q.call.Reject(404, "")
	p.over()
	// Nothing came to the stranger: what is sent now is the first.
	if _, err := stranger.c.WriteToUDPAddrPort([]byte("nothing else"), mustAddr(stranger.here())); err != nil {
		t.Fatal(err)
	}
	if l := stranger.all("nothing else"); len(l) != 0 {
		t.Errorf("the stranger got %q", l)
	}
}

func TestASecureCallGoesByTLSOnly(t *testing.T) {
	t.Parallel()
	e, far := newEnd(t, withTLS), newEnd(t, withTLS)
	if end := e.call(far.at(TCP), func(d *Dial) { d.To = "sips:space@example.com" }).over(); !end.Unreachable {
		t.Errorf("told %+v", end)
	}
	p := e.call(far.at(TCP), func(d *Dial) { d.To, d.Next = "sips:space@example.com", []Target{far.at(TCP), far.at(TLS)} })
	q := far.next()
	if q.call.Transport() != TLS {
		t.Errorf("by %s", q.call.Transport())
	}
	q.call.Reject(404, "")
	p.over()
}
