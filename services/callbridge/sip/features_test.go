package sip

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"
)

// invite is an INVITE of a raw peer; more are further header lines.
func invite(id, more string) string {
	return "INVITE sip:space@example.com SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bK" + id + ";rport\nMax-Forwards: 70\nFrom: \"Bob\" <sip:bob@example.net>;tag=b" + id +
		"\nTo: <sip:space@example.com>\nCall-ID: " + id + "\nCSeq: 1 INVITE\nContact: <sip:bob@HERE>\n" + more + "Content-Type: application/sdp\nContent-Length: 5\n\noffer"
}

// within is a request of a raw peer within a dialog; ok is an answer that has its tags.
func within(method, cseq, id, ok, more, body string) string {
	return method + " sip:space@example.com SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bK" + id + method + cseq + ";rport\nMax-Forwards: 70\nFrom: \"Bob\" <sip:bob@example.net>;tag=b" + id +
		"\nTo: " + field(ok, "To") + "\nCall-ID: " + id + "\nCSeq: " + cseq + " " + method + "\n" + more + "Content-Length: " + itoa(uint32(len(body))) + "\n\n" + body
}

// respond is an answer of a raw peer to a request that it got.
func respond(request, line, tag, more, body string) string {
	to := field(request, "To")
	if tag != "" && !strings.Contains(to, ";tag=") {
		to += ";tag=" + tag
	}
	content := ""
	if body != "" {
		content = "Content-Type: application/sdp\n"
	}
	return "SIP/2.0 " + line + "\nVia: " + field(request, "Via") + "\nFrom: " + field(request, "From") + "\nTo: " + to + "\nCall-ID: " + field(request, "Call-ID") +
		"\nCSeq: " + field(request, "CSeq") + "\n" + more + content + "Content-Length: " + itoa(uint32(len(body))) + "\n\n" + body
}

func (r *raw) target() Target { return Target{Transport: UDP, Address: mustAddr(r.here())} }

func TestForksAreEnded(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target())
	i := r.get("INVITE")
	r.send(respond(i, "183 Session Progress", "one", "Contact: <sip:one@HERE>\n", "early one"))
	p.wants("early early one")
	r.send(respond(i, "180 Ringing", "two", "Contact: <sip:two@HERE>\n", ""))
	p.wants("ringing 180")
	r.send(respond(i, "200 OK", "two", "Contact: <sip:two@HERE>\n", "answer two"))
	p.wants("answered answer two", "confirmed")
	if ack := r.get("ACK"); !strings.HasPrefix(ack, "ACK sip:two@"+r.here()) {
		t.Errorf("the ACK is\n%s", ack)
	}
	// The other one answers as well: it is acknowledged and ended, and the call does not notice.
	r.send(respond(i, "200 OK", "one", "Contact: <sip:one@HERE>\n", "answer one"))
	if ack := r.get("ACK"); !strings.HasPrefix(ack, "ACK sip:one@"+r.here()) {
		t.Errorf("the ACK is\n%s", ack)
	}
	bye := r.get("BYE")
	if !strings.HasPrefix(bye, "BYE sip:one@"+r.here()) || !strings.Contains(field(bye, "To"), "tag=one") {
		t.Errorf("the BYE is\n%s", bye)
	}
	r.send(respond(bye, "200 OK", "", "", ""))
	// The 2xx of the call comes again: its ACK was lost.
	r.send(respond(i, "200 OK", "two", "Contact: <sip:two@HERE>\n", "answer two"))
	if ack := r.get("ACK"); !strings.Contains(field(ack, "To"), "tag=two") {
		t.Errorf("the ACK is\n%s", ack)
	}
	p.call.Hangup("")
	if bye := r.get("BYE sip:two"); !strings.Contains(field(bye, "To"), "tag=two") {
		t.Errorf("the BYE is\n%s", bye)
	}
	p.wants("ended")
}

func TestCancelCrosses2xx(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target())
	i := r.get("INVITE")
	p.call.Hangup("")
	p.over()
	// No CANCEL before a provisional answer (RFC 3261 9.1).
	r.send(respond(i, "100 Trying", "", "", ""))
	r.get("CANCEL")
	r.send(respond(i, "200 OK", "x", "Contact: <sip:x@HERE>\n", "answer"))
	r.get("ACK")
	r.get("BYE")
	e.empty()
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"loose":  "sip:space@HERE |<sip:HERE;lr;n=1>|<sip:p2.example.com;lr;n=2>",
		"strict": "sip:HERE;n=1 |<sip:p2.example.com;n=2>|<sip:space@HERE>",
	} {
		e := newEnd(t)
		r := newRaw(t, e)
		lr := ";lr"
		if name == "strict" {
			lr = ""
		}
		record := "Record-Route: <sip:p2.example.com" + lr + ";n=2>, <sip:HERE" + lr + ";n=1>\n"
		p := e.call(r.target())
		i := r.get("INVITE")
		r.send(respond(i, "200 OK", "t", "Contact: <sip:space@HERE>\n"+record, "answer"))
		p.wants("answered answer", "confirmed")
		m, f := parse([]byte(r.get("ACK")))
		if f != nil {
			t.Fatal(f)
		}
		got := m.uri + " |" + strings.Join(m.list("Route"), "|")
		if got != strings.ReplaceAll(want, "HERE", r.here()) {
			t.Errorf("%s: the ACK goes %q, wanted %q", name, got, want)
		}
		p.call.Hangup("")
		r.get("BYE")
		// As callee the order is that of the request (RFC 3261 12.1.1).
		r.send(invite("route"+name, record))
		q := e.next()
		q.call.Accept([]byte("answer"))
		ok := r.get("SIP/2.0 200")
		if v := field(ok, "Record-Route"); v != strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(record, "Record-Route: "), "HERE", r.here())) {
			t.Errorf("%s: Record-Route %q", name, v)
		}
	}
}

func TestACallThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("expires", "Expires: 1\n"))
	p := e.next()
	p.call.Ring()
	r.get("SIP/2.0 180")
	r.get("SIP/2.0 487")
	if end := p.over(); !end.Timeout || end.Remote {
		t.Errorf("told %+v", end)
	}
	// The other way.
	p = e.call(r.target(), func(d *Dial) { d.RingFor = 300 * time.Millisecond })
	i := r.get("INVITE")
	r.send(respond(i, "180 Ringing", "t", "Contact: <sip:t@HERE>\n", ""))
	p.wants("ringing 180")
	r.get("CANCEL")
	if end := p.over(); !end.RingTimeout || end.Remote {
		t.Errorf("told %+v", end)
	}
	e.empty()
}

func TestMergedRequest(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("merged", ""))
	p := e.next()
	r.send(strings.Replace(invite("merged", ""), "branch=z9hG4bKmerged", "branch=z9hG4bKother", 1))
	r.get("SIP/2.0 482")
	// A retransmission is none.
	r.send(invite("merged", ""))
	p.call.Reject(404, "no such space")
	if got := r.get("SIP/2.0 404", "SIP/2.0 482"); !strings.HasPrefix(got, "SIP/2.0 404 no such space") {
		t.Errorf("got %s", got)
	}
	if n := len(e.incoming); n != 0 {
		t.Errorf("%d more calls came in", n)
	}
}

func Test2xxIsSentUntilItsACK(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("noack", ""))
	p := e.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	for range 3 {
		if again := r.get("SIP/2.0 200"); again != ok {
			t.Errorf("the 2xx came again as\n%s, was\n%s", again, ok)
		}
	}
	// No ACK: BYE, and the call is over.
	r.get("BYE")
	if end := p.over(); !end.Timeout {
		t.Errorf("told %+v", end)
	}
	e.empty()
}

func TestByeWaitsForTheACK(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("earlybye", ""))
	p := e.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	p.call.Hangup("")
	p.wants("ended")
	r.get("SIP/2.0 200") // again, and no BYE before it
	r.send(within("ACK", "1", "earlybye", ok, "", ""))
	r.get("BYE")
	e.empty()
}

func TestReliableProvisional(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from := a.call(b.at(UDP))
	to := b.next()
	to.call.Progress([]byte("early answer"))
	to.call.Accept([]byte("early answer"))
	from.wants("answered early answer", "confirmed")
	to.wants("confirmed")
	a.wire.await(t, 1, false, "PRACK", "RAck: ")
	if a.wire.last(true, "SIP/2.0 200 OK") == "" || !strings.HasSuffix(a.wire.last(true, "SIP/2.0 200 OK"), "\r\n\r\n") {
		t.Errorf("the 2xx after a PRACK has a body: %s", a.wire.last(true, "SIP/2.0 200 OK"))
	}
	from.call.Hangup("")
	to.over()

	// Lost: it is sent again until its PRACK.
	r := newRaw(t, b)
	r.send(invite("rel", "Require: 100rel\n"))
	to = b.next()
	to.call.Ring()
	first := r.get("SIP/2.0 180")
	if again := r.get("SIP/2.0 180"); again != first || field(first, "RSeq") == "" || field(first, "Require") != "100rel" {
		t.Errorf("first\n%s, then\n%s", first, again)
	}
	r.send(within("PRACK", "2", "rel", first, "RAck: "+field(first, "RSeq")+" 9 INVITE\n", ""))
	r.get("SIP/2.0 481")
	r.send(within("PRACK", "3", "rel", first, "RAck: "+field(first, "RSeq")+" INVITE\n", ""))
	r.get("SIP/2.0 400 RAck")
	r.send(within("PRACK", "4", "rel", first, "RAck: "+field(first, "RSeq")+" 1 INVITE\n", ""))
	r.get("SIP/2.0 200")
	to.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", "rel", ok, "", ""))
	to.wants("confirmed")

	// Nobody acknowledges: the INVITE is refused.
	r.send(invite("norel", "Require: 100rel\n"))
	to = b.next()
	to.call.Ring()
	r.get("SIP/2.0 504")
	if end := to.over(); !end.Timeout {
		t.Errorf("told %+v", end)
	}
}

func TestLateOfferInAReliableProvisional(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from := a.call(b.at(UDP), func(d *Dial) { d.Offer = nil })
	to := b.next()
	to.call.Progress([]byte("their offer"))
	from.wants("offered their offer")
	from.call.AnswerOffer([]byte("our answer"))
	to.wants("answered our answer")
	to.call.Accept(nil)
	from.wants("confirmed")
	to.wants("confirmed")
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("update", ""))
	p := e.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", "update", ok, "", ""))
	p.wants("confirmed")
	r.send(within("UPDATE", "2", "update", ok, "Contact: <sip:bob2@HERE>\nContent-Type: application/sdp\n", "new offer"))
	p.wants("offered new offer")
	// A second one before the answer.
	r.send(within("UPDATE", "3", "update", ok, "Contact: <sip:bob2@HERE>\nContent-Type: application/sdp\n", "newer offer"))
	if got := r.get("SIP/2.0 500"); field(got, "Retry-After") == "" {
		t.Errorf("no Retry-After in\n%s", got)
	}
	p.call.AnswerOffer([]byte("new answer"))
	if got := r.get("SIP/2.0 200"); !strings.HasSuffix(got, "\r\n\r\nnew answer") {
		t.Errorf("got\n%s", got)
	}
	r.send(within("UPDATE", "4", "update", ok, "Contact: <sip:bob3@HERE>\n", ""))
	r.get("SIP/2.0 200")
	p.call.Hangup("")
	if bye := r.get("BYE"); !strings.HasPrefix(bye, "BYE sip:bob3@") {
		t.Errorf("the target is not the new one: %s", bye)
	}
}

func TestOrderOfRequests(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(invite("order", ""))
	p := e.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", "order", ok, "", ""))
	p.wants("confirmed")
	p.mu.Lock()
	p.infos = 415
	p.mu.Unlock()
	r.send(within("INFO", "7", "order", ok, "Content-Type: application/dtmf-relay\n", "Signal=5\r\n"))
	r.get("SIP/2.0 415")
	p.wants("info application/dtmf-relay Signal=5")
	r.send(within("INFO", "6", "order", ok, "", ""))
	r.get("SIP/2.0 500 CSeq is lower")
	r.send(within("MESSAGE", "8", "order", ok, "", ""))
	r.get("SIP/2.0 405")
	r.send(within("FANCY", "9", "order", ok, "", ""))
	r.get("SIP/2.0 501")
	r.send(within("OPTIONS", "10", "order", ok, "", ""))
	if got := r.get("SIP/2.0 200"); field(got, "Supported") == "" || field(got, "Allow") == "" {
		t.Errorf("got\n%s", got)
	}
	// Not of this dialog.
	r.send(strings.Replace(within("BYE", "11", "order", ok, "", ""), "tag=border", "tag=other", 1))
	r.get("SIP/2.0 481")
	bye := within("BYE", "12", "order", ok, "Reason: Q.850;cause=31;text=\"network, \\\"failure\\\"\"\n", "")
	r.send(bye)
	first := r.get("SIP/2.0 200")
	if end := p.over(); !end.Remote || end.Cause != 31 || end.Reason != `network, "failure"` {
		t.Errorf("told %+v", end)
	}
	r.send(bye) // the answer was lost
	if again := r.get("SIP/2.0"); again != first {
		t.Errorf("the second answer is\n%s", again)
	}
}

// shortSessions are as short as a test can wait.
func shortSessions(o *Options) { o.SessionExpires, o.MinSE = 6*time.Second, time.Second }

func TestSessionTimers(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, shortSessions), newEnd(t, shortSessions)
	from, to := up(t, a, b, UDP)
	// The caller refreshes, by UPDATE, at half of the interval.
	a.wire.await(t, 1, false, "UPDATE", "Session-Expires: 6;refresher=uac")
	b.wire.await(t, 1, false, "SIP/2.0 200", "CSeq: 2 UPDATE", "Session-Expires: 6;refresher=uac")
	from.call.Hangup("")
	to.over()
}

func TestRefreshByINVITE(t *testing.T) {
	t.Parallel()
	a := newEnd(t, shortSessions)
	r := newRaw(t, a)
	// Somebody without session timers that takes no UPDATE: we refresh by INVITE with what was said last; when nobody answers, it is over.
	r.send(invite("timer", ""))
	p := a.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	if v := field(ok, "Session-Expires"); v != "6;refresher=uas" || field(ok, "Require") != "" {
		t.Errorf("Session-Expires %q", v)
	}
	r.send(within("ACK", "1", "timer", ok, "", ""))
	p.wants("confirmed")
	again := r.get("INVITE")
	if !strings.HasSuffix(again, "\r\n\r\nanswer") {
		t.Errorf("the refresh is\n%s", again)
	}
	r.send(respond(again, "200 OK", "", "Contact: <sip:bob@HERE>\n", "offer"))
	r.get("ACK")
	r.get("INVITE")
	// Nobody answers that one.
	if end := p.over(); !end.Timeout {
		t.Errorf("told %+v", end)
	}
}

func TestARefusedRefreshIsASignOfLife(t *testing.T) {
	t.Parallel()
	a := newEnd(t, shortSessions)
	r := newRaw(t, a)
	// Somebody who says to know UPDATE, and does not, and then refuses the INVITE as well: it is there, and the call goes on.
	r.send(invite("liar", "Allow: INVITE, UPDATE\n"))
	p := a.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", "liar", ok, "", ""))
	p.wants("confirmed")
	for range 2 {
		if got := r.get("UPDATE", "INVITE"); strings.HasPrefix(got, "UPDATE") {
			r.send(respond(got, "501 Not Implemented", "", "", ""))
			got = r.get("INVITE")
			r.send(respond(got, "488 Not Acceptable Here", "", "", ""))
		} else {
			r.send(respond(got, "488 Not Acceptable Here", "", "", ""))
		}
		r.get("ACK")
	}
	p.call.Hangup("")
	p.wants("ended")
}

func TestSessionIntervals(t *testing.T) {
	t.Parallel()
	// Too short for us.
	c := newEnd(t)
	q := newRaw(t, c)
	q.send(invite("short", "Supported: timer\nSession-Expires: 30\n"))
	if got := q.get("SIP/2.0 422"); field(got, "Min-SE") != "90" {
		t.Errorf("got\n%s", got)
	}
	// Too short for them: the call comes again with what they want.
	d := newEnd(t, func(o *Options) { o.SessionExpires = 100 * time.Second })
	strict := newEnd(t, func(o *Options) { o.MinSE = 200 * time.Second })
	from := d.call(strict.at(UDP))
	to := strict.next()
	to.call.Accept([]byte("answer"))
	from.wants("answered answer", "confirmed")
	if v := to.call.Header("Session-Expires"); len(v) != 1 || v[0] != "200" {
		t.Errorf("Session-Expires %q", v)
	}
}

func TestAFarEndThatDoesNotRefresh(t *testing.T) {
	t.Parallel()
	a := newEnd(t, shortSessions)
	r := newRaw(t, a)
	// They are to refresh, and do not.
	r.send(invite("dead", "Supported: timer\nSession-Expires: 1;refresher=uac\n"))
	p := a.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	if field(ok, "Require") != "timer" {
		t.Errorf("got\n%s", ok)
	}
	r.send(within("ACK", "1", "dead", ok, "", ""))
	if end := p.over(); !end.Timeout || !strings.Contains(end.Reason, "session timer") {
		t.Errorf("told %+v", end)
	}
}

func TestRefer(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from, to := up(t, a, b, UDP)
	from.call.Refer("sip:other@example.com")
	to.wants("referred sip:other@example.com")
	to.call.ReferProgress(180)
	from.wants("refer done 180")
	to.call.ReferProgress(200)
	from.wants("refer done 200")
	b.wire.await(t, 3, false, "NOTIFY", "Event: refer;id=", "message/sipfrag")
	to.mu.Lock()
	to.refer = 603
	to.mu.Unlock()
	from.call.Refer("sip:other@example.com")
	to.wants("referred sip:other@example.com")
	from.wants("refer done 603")
	from.call.Hangup("")
	to.over()

	r := newRaw(t, b)
	r.send(invite("refer", ""))
	p := b.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", "refer", ok, "", ""))
	p.wants("confirmed")
	r.send(within("REFER", "2", "refer", ok, "Contact: <sip:bob@HERE>\nRefer-Sub: false\nRefer-To: <sip:x@example.com?Replaces=id%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>\n", ""))
	p.wants("referred sip:x@example.com id@h;to-tag=1;from-tag=2")
	if got := r.get("SIP/2.0 202"); field(got, "Refer-Sub") != "false" {
		t.Errorf("got\n%s", got)
	}
	r.send(within("REFER", "3", "refer", ok, "Refer-To: <sip:x@example.com>, <sip:y@example.com>\n", ""))
	r.get("SIP/2.0 400 there is not exactly one Refer-To")
	r.send(within("NOTIFY", "4", "refer", ok, "Event: presence\n", ""))
	r.get("SIP/2.0 489")
}

func TestReplaces(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	from, to := up(t, a, b, UDP)
	id, local, remote := to.call.Dialog()
	v := id + ";to-tag=" + local + ";from-tag=" + remote
	for wrong, code := range map[string]int{id + ";to-tag=" + local + ";from-tag=x": 481, "x;to-tag=" + local + ";from-tag=" + remote: 481, v + ";early-only": 486, id: 400} {
		p := a.call(b.at(UDP), func(d *Dial) { d.Replaces = wrong })
		if end := p.over(); end.Code != code {
			t.Errorf("Replaces: %s gets %d, wanted %d", wrong, end.Code, code)
		}
	}
	p := a.call(b.at(UDP), func(d *Dial) { d.Replaces = v })
	to.wants("replaced")
	by := <-to.by
	by.Accept([]byte("answer"))
	p.wants("answered answer", "confirmed")
	from.wants("ended")
	if n := len(b.incoming); n != 0 {
		t.Errorf("%d calls came in besides", n)
	}
	if len(to.ended) != 0 {
		t.Error("the call that was replaced is told its end")
	}
	p.call.Hangup("")
	a.empty()
	b.empty()
}

func TestDigest(t *testing.T) {
	t.Parallel()
	hash := func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
	e := newEnd(t)
	r := newRaw(t, e)
	p := e.call(r.target(), func(d *Dial) { d.User, d.Password = "bridge", "se\"cret" })
	i := r.get("INVITE")
	r.send(respond(i, "407 Proxy Authentication Required", "t", "Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"n1\", algorithm=MD5, qop=\"auth,auth-int\", opaque=\"o\"\n", ""))
	r.get("ACK")
	i = r.get("INVITE")
	auth := field(i, "Proxy-Authorization")
	get := func(name string) string {
		v, _ := strings.CutPrefix(auth, "Digest ")
		for v != "" {
			var el string
			el, v = cutElement(v)
			if n, val, _, _ := cutParam(el); n == name {
				return val
			}
		}
		return ""
	}
	want := hash(hash("bridge:example.com:se\"cret") + ":n1:" + get("nc") + ":" + get("cnonce") + ":auth:" + hash("INVITE:sip:space@example.com"))
	if get("response") != want || get("username") != "bridge" || get("opaque") != "o" || get("nc") != "00000001" || field(i, "CSeq") != "2 INVITE" {
		t.Errorf("%s\nwanted response %s", i, want)
	}
	// Stale: once more. Wrong: no more.
	r.send(respond(i, "407 Proxy Authentication Required", "t", "Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"n2\", stale=TRUE, algorithm=MD5, qop=\"auth\"\nProxy-Authenticate: Digest realm=\"example.com\", nonce=\"n3\", stale=true, algorithm=SHA-256, qop=\"auth\"\n", ""))
	r.get("ACK")
	i = r.get("INVITE")
	auth = field(i, "Proxy-Authorization")
	if get("nonce") != "n3" || get("algorithm") != "SHA-256" || len(get("response")) != 64 {
		t.Errorf("the stronger one was not taken: %s", auth)
	}
	r.send(respond(i, "200 OK", "t", "Contact: <sip:t@HERE>\n", "answer"))
	p.wants("answered answer", "confirmed")
	r.get("ACK")
	// Within the dialog too.
	p.call.Info("text/plain", []byte("x"))
	info := r.get("INFO")
	r.send(respond(info, "401 Unauthorized", "", "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n4\"\n", ""))
	info = r.get("INFO")
	auth = field(info, "Authorization")
	if get("response") != hash(hash("bridge:example.com:se\"cret")+":n4:"+hash("INFO:sip:t@"+r.here())) {
		t.Errorf("got %s", auth)
	}
	r.send(respond(info, "401 Unauthorized", "", "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n5\"\n", ""))
	p.call.Hangup("")
	r.get("BYE")

	// Without a password, the refusal is the end.
	p = e.call(r.target())
	i = r.get("INVITE")
	r.send(respond(i, "401 Unauthorized", "t", "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n4\"\n", ""))
	if end := p.over(); end.Code != 401 {
		t.Errorf("told %+v", end)
	}
}

func TestFailOver(t *testing.T) {
	t.Parallel()
	e, good := newEnd(t), newEnd(t)
	// Nobody listens there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := Target{Transport: TCP, Address: addrPort(l.Addr())}
	l.Close()
	silent, busy, overloaded := newRaw(t, e), newRaw(t, e), newRaw(t, e)
	p := e.call(closed, func(d *Dial) { d.Next = []Target{closed, silent.target(), overloaded.target(), good.at(TCP)} })
	silent.get("INVITE") // and says nothing: 64*T1
	i := overloaded.get("INVITE")
	overloaded.send(respond(i, "503 Service Unavailable", "t", "", ""))
	good.next().call.Accept([]byte("answer"))
	p.wants("answered answer", "confirmed")

	// A refusal is one.
	p = e.call(closed, func(d *Dial) { d.Next = []Target{busy.target(), good.at(TCP)} })
	i = busy.get("INVITE")
	busy.send(respond(i, "486 Busy Here", "t", "", ""))
	if end := p.over(); !end.Busy || end.Unreachable {
		t.Errorf("told %+v", end)
	}
	if n := len(good.incoming); n != 0 {
		t.Errorf("%d calls went to the next target all the same", n)
	}
	p = e.call(closed)
	if end := p.over(); !end.Unreachable || end.Err == nil || end.Timeout {
		t.Errorf("told %+v", end)
	}
	p = e.call(closed, func(d *Dial) { d.Next = nil; d.Host = "nowhere.example.com" })
	if end := p.over(); !end.Lookup {
		t.Errorf("told %+v", end)
	}
}

func TestLongRequestsGoByTCP(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t), newEnd(t)
	// The same port for both transports.
	port := b.at(UDP).Address
	if err := b.SetListen([]Listen{{UDP, port}, {TCP, port}}); err != nil {
		t.Skip("the port is taken:", err)
	}
	long := strings.Repeat("a=candidate\r\n", 120)
	from := a.call(b.at(UDP), func(d *Dial) { d.Offer = []byte(long) })
	to := b.next()
	if to.call.Transport() != TCP || string(to.call.Offer()) != long {
		t.Errorf("by %s", to.call.Transport())
	}
	to.call.Accept([]byte("answer"))
	from.wants("answered answer", "confirmed")
	from.call.Hangup("")
	to.over()
	// Nobody has TCP there: UDP all the same.
	r := newRaw(t, a)
	a.call(r.target(), func(d *Dial) { d.Offer = []byte(long) })
	if i := r.get("INVITE"); len(i) < 1500 {
		t.Errorf("got\n%s", i)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	a, b := newEnd(t, withTLS), newEnd(t, withTLS)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, by := range []Transport{UDP, TCP, TLS} {
		if err := a.Ping(ctx, b.at(by)); err != nil {
			t.Errorf("%s: %v", by, err)
		}
	}
	to := b.at(TLS)
	to.Host = "other.example.com"
	if err := a.Ping(ctx, to); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of another name is taken: %v", err)
	}
	to.Host = "bridge.example.com"
	if err := a.Ping(ctx, to); err != nil {
		t.Error(err)
	}
	r := newRaw(t, a)
	if err := a.Ping(ctx, r.target()); err == nil {
		t.Error("nobody answers, and the ping succeeds")
	}
	r.get("OPTIONS")
}

func TestModesOfUDP(t *testing.T) {
	t.Parallel()
	other := mustAddr("127.0.0.2:0")
	listen := func(o *Options) { o.Listen = []Listen{{UDP, loopback}, {UDP, other}, {TCP, loopback}} }
	e := newEnd(t, listen)
	if n := len(e.Addresses()); n != 3 {
		t.Errorf("%d sockets", n)
	}
	if err := e.SetUDP(UDPDisabled); err != nil {
		t.Fatal(err)
	}
	if l := e.Addresses(); len(l) != 1 || l[0].Transport != TCP {
		t.Errorf("sockets are %v", l)
	}
	tcp := e.at(TCP)
	if p := e.call(Target{UDP, mustAddr("127.0.0.1:9"), ""}); !p.over().Unreachable {
		t.Error("a call went by UDP")
	}
	if err := e.SetUDP(UDPEnabled); err != nil || len(e.Addresses()) != 3 || e.at(TCP) != tcp {
		t.Errorf("sockets are %v: %v", e.Addresses(), err)
	}
}
