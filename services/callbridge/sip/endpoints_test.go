package sip

import (
	"strings"
	"testing"
)

// TestBranchesOfAForkCountByThemselves has two early dialogs whose requests have numbers of their own.
func TestBranchesOfAForkCountByThemselves(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target())
	i := r.get("INVITE")
	for _, tag := range []string{"one", "two"} {
		r.send(respond(i, "183 Session Progress", tag, "Contact: <sip:"+tag+"@HERE>\nRequire: 100rel\nRSeq: 1\n", ""))
		r.send(respond(r.get("PRACK sip:"+tag+"@"), "200 OK", "", "", ""))
	}
	from := func(method, cseq, tag, more string) string {
		return method + " sip:x@example.com SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bK" + tag + cseq + ";rport\nMax-Forwards: 70\nFrom: " + field(i, "To") + ";tag=" + tag +
			"\nTo: " + field(i, "From") + "\nCall-ID: " + field(i, "Call-ID") + "\nCSeq: " + cseq + " " + method + "\n" + more + "Content-Length: 0\n\n"
	}
	r.send(from("UPDATE", "101", "one", "Contact: <sip:elsewhere@HERE>\n"))
	r.get("SIP/2.0 200")
	r.send(from("UPDATE", "1", "two", "Contact: <sip:moved@HERE>\n"))
	r.get("SIP/2.0 200")
	r.send(strings.Replace(from("UPDATE", "1", "two", ""), "z9hG4bKtwo1", "z9hG4bKtwoagain", 1))
	r.get("SIP/2.0 500")
	// The second takes the call: its numbers go on.
	r.send(respond(i, "200 OK", "two", "Contact: <sip:moved@HERE>\n", "answer"))
	r.get("ACK sip:moved@")
	r.send(from("BYE", "2", "two", ""))
	r.get("SIP/2.0 200")
	if end := p.over(); !end.Remote {
		t.Errorf("told %+v", end)
	}
}

// TestA2xxWithoutTheAnswerThatWasGivenEarly is what gateways do that think their 183 was enough.
func TestA2xxWithoutTheAnswerThatWasGivenEarly(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target())
	i := r.get("INVITE")
	r.send(respond(i, "183 Session Progress", "one", "Contact: <sip:one@HERE>\n", "early one"))
	p.wants("early early one")
	r.send(respond(i, "183 Session Progress", "two", "Contact: <sip:two@HERE>\n", "early two"))
	p.wants("early early two")
	r.send(respond(i, "200 OK", "one", "Contact: <sip:one@HERE>\n", ""))
	p.wants("answered early one", "confirmed")
	p.call.Hangup("")
	r.get("BYE")
}

// TestAFarEndThatWantsToBeAskedLater is RFC 3261 14.2: its own offer is not through.
func TestAFarEndThatWantsToBeAskedLater(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r, p, _ := reinvited(t, e, "later")
	p.call.Reoffer([]byte("mine"))
	again := r.get("INVITE")
	r.send(respond(again, "500 Server Internal Error", "", "Retry-After: 0\n", ""))
	r.get("ACK")
	again = r.get("INVITE")
	if !strings.HasSuffix(again, "mine") {
		t.Errorf("got\n%s", again)
	}
	r.send(respond(again, "200 OK", "", "Contact: <sip:bob@HERE>\n", "fine"))
	p.wants("answered fine")
	r.get("ACK")
	// Without a time it is a refusal, and one that says so for ever comes to an end.
	p.call.Reoffer([]byte("mine"))
	r.send(respond(r.get("INVITE"), "500 Server Internal Error", "", "", ""))
	p.wants("refused 500")
	r.get("ACK")
	p.call.Reoffer([]byte("mine"))
	for range maxCrossed + 1 {
		r.send(respond(r.get("INVITE"), "500 Server Internal Error", "", "Retry-After: 0\n", ""))
		r.get("ACK")
	}
	p.wants("refused 500")
	p.call.Hangup("")
	r.get("BYE")
}

// TestAnOfferIsInNothingThatMayBeLost: the caller has no offer and no 100rel.
func TestAnOfferIsInNothingThatMayBeLost(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(strings.Replace(strings.Replace(invite("lateoffer", ""), "Content-Type: application/sdp\n", "", 1), "5\n\noffer", "0\n\n", 1))
	p := e.next()
	p.call.Progress([]byte("our offer"))
	if got := r.get("SIP/2.0 183"); strings.Contains(got, "our offer") {
		t.Errorf("got\n%s", got)
	}
	p.call.Accept([]byte("our offer"))
	ok := r.get("SIP/2.0 200")
	if !strings.HasSuffix(ok, "our offer") {
		t.Errorf("got\n%s", ok)
	}
	r.send(within("ACK", "1", "lateoffer", ok, "Content-Type: application/sdp\n", "their answer"))
	p.wants("answered their answer", "confirmed")
	p.call.Hangup("")
	r.get("BYE")
}

func TestLengthsOnStreams(t *testing.T) {
	for head, want := range map[string]int{
		"OPTIONS x SIP/2.0\r\nl: 5\r\n\r\n": 5, "OPTIONS x SIP/2.0\r\nContent-Length:\r\n\t 7\r\n\r\n": 7, "OPTIONS x SIP/2.0\r\nSubject: a\r\n l: 5\r\nContent-Length: 3\r\n\r\n": 3,
		"OPTIONS x SIP/2.0\r\nContent-Length: 7\r\n 1\r\n\r\n": -2, "OPTIONS x SIP/2.0\r\nContent-Length: 7\r\nL: 8\r\n\r\n": -2, "OPTIONS x SIP/2.0\r\nX: l: 5\r\n\r\n": -1,
		"OPTIONS x SIP/2.0\r\nContent-Length: 7\r\n \r\n\r\n": 7,
	} {
		if got := contentLength([]byte(head)); got != want {
			t.Errorf("%q: %d, wanted %d", head, got, want)
		}
	}
}

// TestAMessageInAllItsForms has compact names, folded lines, escapes, a body in a body, and no Content-Length.
func TestAMessageInAllItsForms(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send("INVITE sip:sp%61ce;x=y@example.com:5060;user=phone SIP/2.0\nv: SIP/2.0/UDP HERE;branch=z9hG4bKforms;rport\nMax-Forwards: 70\nf: \"Bob,\n \\\"the\\\" Builder\" <sip:+49%2F1@example.net;user=phone>\n ;tag=bforms\n" +
		"t: <tel:+491234;phone-context=example.com>\ni: forms\nCSeq: 1\n INVITE\nm: <sip:bob@HERE>;+sip.instance=\"<urn:uuid:1>\"\nk: timer\nx: 1800\nc: multipart/mixed\n ;boundary=\"a b\"\n\n" +
		"--a b\nContent-Type: text/plain\n\nhello\n--a b\nContent-Type: application/sdp\n\noffer\n--a b--\n")
	p := e.next()
	c := p.call
	if c.From().Name != `Bob, "the" Builder` || c.From().URI != "sip:+49%2F1@example.net;user=phone" || c.To().URI != "tel:+491234;phone-context=example.com" || string(c.Offer()) != "offer" {
		t.Errorf("from %+v to %+v, offer %q", c.From(), c.To(), c.Offer())
	}
	c.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	if v := field(ok, "Contact"); !strings.HasPrefix(v, "<sip:space;x=y@") {
		t.Errorf("Contact: %s", v)
	}
	if v := field(ok, "Session-Expires"); v != "1800;refresher=uac" {
		t.Errorf("Session-Expires: %s", v)
	}
	r.send("ACK sip:x SIP/2.0\nv: SIP/2.0/UDP HERE;branch=z9hG4bKformsACK;rport\nMax-Forwards: 70\nf: <sip:bob@example.net>;tag=bforms\nt: " + field(ok, "To") + "\ni: forms\nCSeq: 1 ACK\nl: 0\n\n")
	p.wants("confirmed")
	c.Hangup("")
	if bye := r.get("BYE sip:bob@"); !strings.Contains(field(bye, "From"), "<tel:+491234;phone-context=example.com>;tag=") || !strings.Contains(field(bye, "To"), `"Bob, \"the\" Builder" <sip:+49%2F1@example.net;user=phone>;tag=bforms`) {
		t.Errorf("got\n%s", bye)
	}
}
