package sip

import (
	"strings"
	"testing"
)

// reinvited is a call of a raw peer that is up, and its first 2xx.
func reinvited(t *testing.T, e *end, id string) (*raw, *party, string) {
	t.Helper()
	r := newRaw(t, e)
	r.send(invite(id, "Supported: timer\n"))
	p := e.next()
	p.call.Accept([]byte("answer"))
	ok := r.get("SIP/2.0 200")
	r.send(within("ACK", "1", id, ok, "", ""))
	p.wants("confirmed")
	return r, p, ok
}

// canceledReinvite sends a re-INVITE, waits until the handler is told, and cancels it.
func canceledReinvite(r *raw, p *party, id, cseq, ok, body string) {
	r.t.Helper()
	content := ""
	if body != "" {
		content = "Content-Type: application/sdp\n"
	}
	r.send(within("INVITE", cseq, id, ok, "Contact: <sip:bob@HERE>\n"+content, body))
	r.get("SIP/2.0 100")
	p.wants(strings.TrimSpace("offered " + body))
	cancel := within("CANCEL", cseq, id, ok, "", "")
	r.send(strings.Replace(cancel, id+"CANCEL"+cseq, id+"INVITE"+cseq, 1))
	r.get("SIP/2.0 487")
	r.send(strings.Replace(within("ACK", cseq, id, ok, "", ""), id+"ACK"+cseq, id+"INVITE"+cseq, 1))
}

func TestARefreshAfterAWithdrawnOffer(t *testing.T) {
	t.Parallel()
	e := newEnd(t, shortSessions)
	r, p, ok := reinvited(t, e, "withdrawn")
	if v := field(ok, "Session-Expires"); !strings.HasPrefix(v, "6;") {
		t.Fatalf("Session-Expires: %s", v)
	}
	canceledReinvite(r, p, "withdrawn", "2", ok, "second")
	// The far end turns the roles round, so that we refresh, while the handler still thinks about what was withdrawn.
	r.send(within("UPDATE", "3", "withdrawn", ok, "Contact: <sip:bob@HERE>\nSupported: timer\nSession-Expires: 6;refresher=uas\n", ""))
	r.get("SIP/2.0 200")
	refresh := r.get("INVITE", "UPDATE")
	r.send(respond(refresh, "200 OK", "", "Contact: <sip:bob@HERE>\nSession-Expires: 1800;refresher=uac\n", "answer again"))
	r.get("ACK")
	p.wants("answered answer again")
	p.call.Hangup("")
}

func TestAnAnswerToAWithdrawnOfferIsNoAnswerToTheNext(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r, p, ok := reinvited(t, e, "next")
	canceledReinvite(r, p, "next", "2", ok, "second")
	r.send(within("INVITE", "3", "next", ok, "Contact: <sip:bob@HERE>\nContent-Type: application/sdp\n", "third"))
	p.wants("offered third")
	p.call.AnswerOffer([]byte("answer to the second"))
	p.call.AnswerOffer([]byte("answer to the third"))
	if got := r.get("SIP/2.0 200"); !strings.HasSuffix(got, "answer to the third") {
		t.Errorf("got\n%s", got)
	}
	r.send(within("ACK", "3", "next", ok, "", ""))
	// Ours was asked for, and is not wanted any more: who has made it is told.
	canceledReinvite(r, p, "next", "4", ok, "")
	p.call.AnswerOffer([]byte("our offer"))
	p.wants("refused 487")
	p.call.Hangup("")
	r.get("BYE")
}

func TestWhereTheNextRequestGoes(t *testing.T) {
	a, _ := New(Options{Listen: []Listen{{TCP, loopback}}})
	defer a.close()
	for _, c := range []struct {
		now  Transport
		uri  string
		want Transport
		port uint16
	}{
		{UDP, "sip:x@192.0.2.1", UDP, 5060}, {TCP, "sip:x@192.0.2.1", TCP, 5060}, {TLS, "sip:x@192.0.2.1", TLS, 5061},
		{TLS, "sip:x@192.0.2.1;transport=tcp", TCP, 5060}, {TLS, "sip:x@192.0.2.1:5062;transport=UDP", UDP, 5062},
		{UDP, "sip:x@192.0.2.1;transport=tls", TLS, 5061},
		// sips is TLS, whatever it runs over (RFC 3261 26.2.2, RFC 5630 3.1.4).
		{UDP, "sips:x@192.0.2.1;transport=tcp", TLS, 5061}, {TCP, "sips:x@192.0.2.1:5070", TLS, 5070}, {TLS, "SIPS:x@192.0.2.1;transport=udp", TLS, 5061},
	} {
		call := &Call{a: a, path: path{transport: c.now}}
		_, got, port := call.hop(&message{method: "BYE", uri: c.uri})
		if got != c.want || usualPort(got, port) != c.port {
			t.Errorf("in a dialog by %s, %s is sent by %s to port %d, wanted %s and %d", c.now, c.uri, got, usualPort(got, port), c.want, c.port)
		}
		route := &message{method: "BYE", uri: "sip:elsewhere.example.com"}
		route.add("Route", "<"+c.uri+";lr>")
		if _, got, _ := call.hop(route); got != c.want {
			t.Errorf("in a dialog by %s, the route %s is by %s, wanted %s", c.now, c.uri, got, c.want)
		}
	}
}
