package leg

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rotunda/services/callbridge/sip"
)

func TestWhoTheFarEndIs(t *testing.T) {
	for _, c := range []struct {
		headers       []sip.Header
		name, address string
	}{
		{nil, "Caller", "alice@example.com"},
		{[]sip.Header{{Name: "P-Asserted-Identity", Value: `"Alice \"A\" Smith" <sip:asmith@example.com;user=phone>, <tel:+441234>`}}, `Alice "A" Smith`, "asmith@example.com"},
		{[]sip.Header{{Name: "P-Asserted-Identity", Value: "<tel:+441234>"}}, "Caller", "+441234"},
		{[]sip.Header{{Name: "Remote-Party-ID", Value: `Alice <sips:x@example.com>;party=calling;privacy=off`}}, "Alice", "x@example.com"},
		{[]sip.Header{{Name: "P-Asserted-Identity", Value: `<http://x>`}}, "Caller", "alice@example.com"},
	} {
		w := newWire("sip:alice@example.com", "sip:space@127.0.0.1", nil)
		w.headers = c.headers
		if got := identify(w.callee); got.Name != c.name || got.Address != c.address || got.From != callerAt {
			t.Errorf("%v: want %q %q, got %+v", c.headers, c.name, c.address, got)
		}
	}
}

func TestWhomTheCallWasForAtFirst(t *testing.T) {
	for _, c := range []struct {
		headers []sip.Header
		want    string
	}{
		{nil, "space@127.0.0.1"},
		{[]sip.Header{{Name: "History-Info", Value: "<sip:first@example.com?Reason=SIP%3Bcause%3D302>;index=1, <sip:second@example.com>;index=1.1"}}, "first@example.com"},
		{[]sip.Header{{Name: "Diversion", Value: "<sip:third@example.com>;reason=no-answer, <sip:second@example.com>"}, {Name: "Diversion", Value: "sip:first@example.com;reason=busy"}}, "first@example.com"},
	} {
		w := newWire("sip:alice@example.com", "sip:space@127.0.0.1", nil)
		w.headers = c.headers
		if got := original(w.callee); got != c.want {
			t.Errorf("%v: want %q, got %q", c.headers, c.want, got)
		}
	}
}

func TestAddressesWithoutWhatIsAroundThem(t *testing.T) {
	for in, want := range map[string]string{
		"sip:a@b.com": "a@b.com", "sips:a@b.com:5061;transport=tcp?x=y": "a@b.com:5061", "SIP:a;b=c@d.com;e": "a;b=c@d.com", "tel:+44": "+44", "a@b": "a@b",
		"sip:[2001:db8::1]:5060": "[2001:db8::1]:5060", "": "",
	} {
		if got := bare(in); got != want {
			t.Errorf("%q: want %q, got %q", in, want, got)
		}
	}
}

func TestKeysOfINFO(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		want       rune
	}{
		{relayType, "Signal=1\r\nDuration=100\r\n", '1'}, {relayType, "Duration=100\nSignal= d\n", 'D'}, {relayType, "Signal=11", '#'}, {relayType, "Signal=10", '*'},
		{digitType, "7", '7'}, {digitType, " * \r\n", '*'}, {relayType, "Signal=12", 0}, {relayType, "", 0}, {digitType, "77", 0}, {digitType, "€", 0}, {"text/plain", "1", 0},
	} {
		got, ok := parseKey(c.kind, []byte(c.body))
		if got != c.want || ok != (c.want != 0) {
			t.Errorf("%s %q: want %q, got %q %v", c.kind, c.body, c.want, got, ok)
		}
	}
}

func TestRequestsForAWholePicture(t *testing.T) {
	for body, want := range map[string]bool{
		string(fastUpdate): true,
		`<media_control><vc_primitive><stream_id>12</stream_id><to_encoder><picture_fast_update></picture_fast_update></to_encoder></vc_primitive></media_control>`: true,
		`<?xml version="1.0" encoding="iso-8859-1"?><media_control><vc_primitive><to_encoder><picture_fast_update/>`:                                                true,
		`<media_control><general_error>no</general_error></media_control>`:                                                                                          false,
		`picture_fast_update`:             false,
		strings.Repeat("<a>", 100):        false,
		"<a>" + strings.Repeat("x", 5000): false,
	} {
		if got := wantsPicture([]byte(body)); got != want {
			t.Errorf("%.100q: want %v", body, want)
		}
	}
}

func FuzzParty(f *testing.F) {
	for _, s := range []string{`"A" <sip:a@b>;x=y`, "sip:a@b;tag=1", `"A\" <sip:a@b>`, "<sip:a@b", `A, "B, C" <sip:x@y,z>, <tel:1>`, "<sip:>", `""<sip:a@b>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		joined := strings.Join(split(s), ",")
		if joined != s {
			t.Errorf("%q is split into %q", s, joined)
		}
		for _, one := range split(s) {
			p, ok := parseParty(one)
			if ok && (strings.ContainsAny(p.URI, "<> \"\r\n") || bare(p.URI) == p.URI) {
				t.Errorf("%q is the address %q", one, p.URI)
			}
		}
	})
}

func FuzzINFO(f *testing.F) {
	f.Add(relayType, "Signal=5\r\n")
	f.Add(digitType, "#")
	f.Add(controlType, string(fastUpdate))
	f.Add("application/dtmf; x=\"", "<")
	f.Fuzz(func(t *testing.T, kind, body string) {
		key, ok := parseKey(mediaType(kind), []byte(body))
		if ok != strings.ContainsRune("0123456789*#ABCD", key) && (ok || key != 0) {
			t.Errorf("%q is the key %q", body, key)
		}
		if wantsPicture([]byte(body)) && !strings.Contains(body, "picture_fast_update") {
			t.Errorf("%q asks for nothing", body)
		}
	})
}

func FuzzWarning(f *testing.F) {
	f.Add("it's \"wrong\"\r\n\x00é")
	f.Fuzz(func(t *testing.T, s string) {
		if got := printable(s); len(got) > 200 || !utf8.ValidString(got) || strings.ContainsAny(got, "\"\r\n\\") {
			t.Errorf("%q", got)
		}
	})
}
