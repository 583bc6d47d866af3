package sip

import (
	"strings"
	"testing"
)

func TestTraceShowsNoSecrets(t *testing.T) {
	m := crlf(`INVITE sip:x@y SIP/2.0
Via: SIP/2.0/UDP h;branch=z9hG4bK1
proxy-authorization: Digest response="SECRET"
Content-Type: application/sdp

v=0
k=clear:SECRET
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET|2^20
a=ice-pwd:SECRET
a=sendrecv
`)
	got := Trace{In: true, Transport: TLS, Local: loopback, Remote: loopback, Message: []byte(m)}.String()
	if strings.Contains(got, "SECRET") || !strings.Contains(got, "a=sendrecv\n") || !strings.Contains(got, "AES_CM_128_HMAC_SHA1_80") ||
		!strings.HasPrefix(got, "SIP TLS received from 127.0.0.1:0, local 127.0.0.1:0\nINVITE sip:x@y SIP/2.0\n") {
		t.Errorf("got\n%s", got)
	}
	got = Trace{Transport: UDP, Message: []byte(crlf("INFO sip:x@y SIP/2.0\nContent-Type: application/dtmf-relay\n\nSignal=5\nDuration=100\n"))}.String()
	if strings.Contains(got, "Signal") {
		t.Errorf("got\n%s", got)
	}
}

// TestTraceHasTheBytes: what an observer gets is what was on the wire.
func TestTraceHasTheBytes(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	r := newRaw(t, e)
	q := crlf(strings.ReplaceAll("OPTIONS sip:x@example.com SIP/2.0\nVia: SIP/2.0/UDP HERE;branch=z9hG4bKt\nTo :<sip:x@example.com>\nFrom: <sip:x@example.com>;tag=1\n"+
		"Call-ID: t\nCSeq:  1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n", "HERE", r.here()))
	r.sendExact(q)
	answer := r.get("SIP/2.0 200")
	e.wire.await(t, 1, true, q)
	e.wire.await(t, 1, false, answer)
	e.SetTrace(nil)
	r.sendExact(strings.Replace(q, "z9hG4bKt", "z9hG4bKu", 1))
	r.get("SIP/2.0 200")
	if n := e.wire.count(true, "OPTIONS"); n != 1 {
		t.Errorf("%d requests are traced after the end of the trace", n)
	}
}
