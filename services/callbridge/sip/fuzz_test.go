package sip

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// FuzzReceive gives an agent whatever comes: it must not panic, must not answer what is no request, and what it sends is well formed.
func FuzzReceive(f *testing.F) {
	for _, v := range tortures {
		f.Add([]byte(v.exact(nil)))
	}
	f.Add([]byte(crlf(strings.ReplaceAll(invite("fuzz", "Session-Expires: 100;refresher=uac\nSupported: timer, 100rel\nRequire: 100rel\nReplaces: a;to-tag=1;from-tag=2\n"), "HERE", "127.0.0.1:9"))))
	for _, method := range []string{"ACK", "BYE", "CANCEL", "PRACK", "REFER", "UPDATE", "INFO", "NOTIFY"} {
		f.Add([]byte(crlf(method + " sip:x@y SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bKfuzz\nFrom: <sip:a@b>;tag=bfuzz\nTo: <sip:a@b>;tag=TAG\nCall-ID: fuzz\nCSeq: 2 " + method +
			"\nRAck: 1 1 INVITE\nRefer-To: <sip:a@b?Replaces=x>\nEvent: refer\nContent-Length: 0\n\n")))
	}
	var sent [][]byte
	a, err := New(Options{Incoming: func(c *Call) { c.Use(nobody{}); c.Accept([]byte("answer")) }, Listen: []Listen{{UDP, loopback}},
		Limits: Limits{Rate: 1 << 30, Burst: 1 << 30, SourceEarly: 1 << 20, Dialogs: 100},
		timers: timers{t1: time.Millisecond, t2: time.Millisecond, t4: time.Millisecond, d: time.Millisecond}})
	if err != nil {
		f.Fatal(err)
	}
	defer a.close()
	p := path{transport: UDP, local: a.socks[0].local, sock: a.socks[0], remote: netip.MustParseAddrPort("127.0.0.1:9")}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, fault := parse(b)
		if m == nil && fault == nil {
			t.Fatal("neither a message nor a fault")
		}
		a.receive(b, p)
		if fault != nil {
			return
		}
		if !m.request() {
			return
		}
		// What we write is what we read.
		r := a.responseTo(m, 200, "", "tag")
		sent = append(sent[:0], r.write(nil))
		again, fault := parse(sent[0])
		if fault != nil {
			t.Fatalf("our answer %q is no message: %s", sent[0], fault.why)
		}
		if again.callID != m.callID || again.cseq != m.cseq || again.from.tag != m.from.tag || again.code != 200 {
			t.Fatalf("the answer %q is not for %q", sent[0], b)
		}
		if bytes.Count(sent[0], []byte("\r\n\r\n")) != 1 && !bytes.Contains(b, []byte("\r\n\r\n\r\n")) {
			t.Fatalf("the answer %q has more than one end", sent[0])
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{`"A \"B\"" <sip:a@b;x=y>;tag=1`, "sip:a@b;tag=2", "<sip:[::1]:5060;lr>", "SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1;rport=;received=::1", "1800;refresher=uac", "1 2 INVITE",
		"a@b;to-tag=1;from-tag=2;early-only", `Digest realm="a,b", nonce="\"", qop="auth,auth-int", algorithm=SHA-256, stale=true`, "<sip:x@y?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&method=INVITE>",
		`Q.850;cause=16;text="x", SIP;cause=200`, "SIP/2.0 200 OK\r\n", "multipart/mixed;boundary=x\n--x\nContent-Type: application/sdp\n\nv=0\n--x--\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, fault := parseAddress(s); fault == nil {
			if a.uri.scheme == "" {
				t.Errorf("%q: an address without a scheme", s)
			}
			// What is written again is read as the same.
			if v := withoutTag(s); a.uri.sip() {
				b, fault := parseAddress(v)
				if fault != nil || b.uri.text != a.uri.text || a.tag != "" && b.tag != "" {
					t.Errorf("%q becomes %q: %v", s, v, fault)
				}
			}
		}
		if v, fault := parseVia(s); fault == nil && v.host == "" {
			t.Errorf("%q: a Via without a host", s)
		}
		if d, _, ok := sessionExpires(s); ok && d < 0 {
			t.Errorf("%q: %v", s, d)
		}
		parseRAck(s)
		if r, fault := parseReplaces(s); fault == nil && (r.to == "" || r.from == "" || r.callID == "") {
			t.Errorf("%q: %+v", s, r)
		}
		if ch, ok := parseChallenge(s); ok {
			h := ch.answer("user", "password", "INVITE", "sip:x@y", "c", 1)
			if hasControl(h) {
				t.Errorf("%q: %q", s, h)
			}
			if strings.Contains(h, "password") && !strings.Contains(s, "password") {
				t.Errorf("%q: the password is in %q", s, h)
			}
		}
		if to, _, fault := parseReferTo(s); fault == nil && to == "" {
			t.Errorf("%q: no address", s)
		}
		reasonOf(&message{headers: []Header{{"Reason", s}}})
		if n := sipfrag([]byte(s)); n != 0 && (n < 100 || n > 699) {
			t.Errorf("%q: %d", s, n)
		}
		kind, body, _ := strings.Cut(s, "\n")
		if b := sdpOf(&message{headers: []Header{{"Content-Type", kind}}, body: []byte(body)}); len(b) > len(body) {
			t.Errorf("%q: a part that is longer than the whole", s)
		}
		if l := appendList(nil, s); len(l) > strings.Count(s, ",")+1 {
			t.Errorf("%q: %d elements", s, len(l))
		}
		if end := headEnd([]byte(s)); end > len(s) {
			t.Errorf("%q ends at %d", s, end)
		} else if n := contentLength([]byte(s[:end])); n < -2 {
			t.Errorf("%q: length %d", s, n)
		}
	})
}
