package sip

import (
	"strings"
	"testing"
)

func TestTelephoneNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ uri, to, want string }{
		{"tel:+49-30-(123).45", "sip:x@example.com", "sip:+493012345@example.com;user=phone"},
		{"TEL:7042;phone-context=Example.NET", "sip:x@example.com", "sip:7042@example.net;user=phone"},
		{"tel:863-1234;phone-context=+1-914-555", "sip:x@[2001:db8::1]", "sip:8631234@[2001:db8::1];user=phone"},
		{"tel:*31#123", "tel:*31#123", "sip:*31%23123@192.0.2.1;user=phone"},
		{"tel:", "sip:x@example.com", ""}, {"tel:+", "sip:x@example.com", ""}, {"tel:12ab", "sip:x@example.com", ""}, {"tel:1+2", "sip:x@example.com", ""},
		{"fax:+123", "sip:x@example.com", ""}, {"tel:" + strings.Repeat("1", 65), "sip:x@example.com", ""},
	} {
		m := &message{method: "INVITE", uri: c.uri, path: path{local: mustAddr("192.0.2.1:5060")}}
		m.to, _ = parseAddress("<" + c.to + ">")
		got, ok := telephone(m)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s became %q, wanted %q", c.uri, got, c.want)
		}
		if u, f := parseURI(m.called()); ok && (f != nil || !u.sip()) {
			t.Errorf("%s became %q: %v", c.uri, got, f)
		}
	}
	e := newEnd(t)
	r := newRaw(t, e)
	r.send(strings.Replace(invite("tel", ""), "INVITE sip:space@example.com", "INVITE tel:+49-30-12345", 1))
	p := e.next()
	if p.call.Request() != "sip:+493012345@example.com;user=phone" {
		t.Errorf("%s was called", p.call.Request())
	}
	p.call.Accept([]byte("answer"))
	if v := field(r.get("SIP/2.0 200"), "Contact"); !strings.HasPrefix(v, "<sip:+493012345@127.0.0.1:") {
		t.Errorf("Contact: %s", v)
	}
	r.send(strings.Replace(invite("nonumber", ""), "INVITE sip:space@example.com", "INVITE tel:nobody", 1))
	r.get("SIP/2.0 416")
}

func TestEscapesWithoutNeed(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:sp%61ce@example.com": "sip:space@example.com", "sip:%2B49%2f1@example.com;x=%61": "sip:+49/1@example.com;x=%61", "sips:a%40b%3Bc%25%20@example.com": "sips:a%40b%3Bc%25%20@example.com",
		"sip:%C3%a4%5a@example.com": "sip:%C3%a4Z@example.com", "sip:example.com": "sip:example.com", "sip:a%4@example.com": "sip:a%4@example.com",
	} {
		if got := (&message{uri: uri}).called(); got != want {
			t.Errorf("%s became %s, wanted %s", uri, got, want)
		}
	}
}
