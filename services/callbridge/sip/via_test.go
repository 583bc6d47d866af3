package sip

import (
	"net/netip"
	"testing"
)

func TestViaIsStamped(t *testing.T) {
	const four, six = "192.0.2.9:5070", "[2001:db8::9]:5070"
	for _, c := range []struct{ from, via, want string }{
		// RFC 3261 18.2.1: an address that is right needs nothing; another one and a name do.
		{four, "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKa", "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKa"},
		{four, "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa", "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;received=192.0.2.9"},
		{four, "SIP/2.0/TCP host.example.com;branch=z9hG4bKa", "SIP/2.0/TCP host.example.com;branch=z9hG4bKa;received=192.0.2.9"},
		// RFC 3581: with rport, received is always there.
		{four, "SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKa", "SIP/2.0/UDP 192.0.2.9:5062;rport=5070;branch=z9hG4bKa;received=192.0.2.9"},
		{four, "SIP/2.0/UDP 10.0.0.1 ; RPORT ; branch=z9hG4bKa", "SIP/2.0/UDP 10.0.0.1;rport=5070;branch=z9hG4bKa;received=192.0.2.9"},
		{four, "SIP/2.0/UDP 10.0.0.1;rport=1;branch=z9hG4bKa", "SIP/2.0/UDP 10.0.0.1;rport=5070;branch=z9hG4bKa;received=192.0.2.9"},
		// What the sender says of itself goes, and what is behind it stays.
		{four, "SIP/2.0/UDP 10.0.0.1;received=203.0.113.1;branch=z9hG4bKa;x=\"a;b\"", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;x=\"a;b\";received=192.0.2.9"},
		{four, "SIP/2.0/UDP 192.0.2.9;Received=203.0.113.1;branch=z9hG4bKa", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa"},
		{four, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa;received=203.0.113.1;rport", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa;rport=5070;received=192.0.2.9"},
		// The Vias of others are theirs.
		{four, "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.2;received=10.0.0.3;rport", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.9, SIP/2.0/UDP 10.0.0.2;received=10.0.0.3;rport"},
		{six, "SIP/2.0/UDP [2001:DB8:0::9];branch=z9hG4bKa", "SIP/2.0/UDP [2001:DB8:0::9];branch=z9hG4bKa"},
		{six, "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKa", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKa;received=2001:db8::9"},
	} {
		first, _ := cutElement(c.via)
		v, f := parseVia(first)
		if f != nil {
			t.Errorf("%s: %v", c.via, f)
			continue
		}
		if got := stampVia(c.via, &message{via: v, path: path{remote: netip.MustParseAddrPort(c.from)}}); got != c.want {
			t.Errorf("%s\nfrom %s became\n%s, wanted\n%s", c.via, c.from, got, c.want)
		}
	}
}

func TestAnswersDoNotGoWhereASenderWouldHaveThem(t *testing.T) {
	t.Parallel()
	e := newEnd(t)
	for _, by := range []string{"received=127.0.0.9", "maddr=127.0.0.9"} {
		victim := newRawFrom(t, e, "127.0.0.9")
		r := newRaw(t, e)
		r.send("OPTIONS sip:space@example.com SIP/2.0\nVia: SIP/2.0/UDP " + "HERE;branch=z9hG4bKv;" + by + "\nMax-Forwards: 70\nFrom: <sip:bob@example.net>;tag=b\nTo: <sip:space@example.com>\n" +
			"Call-ID: victim\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n")
		r.get("SIP/2.0 200")
		// Nothing is on the way there: what is sent now is the first that comes.
		if _, err := r.c.WriteToUDPAddrPort([]byte("nothing else"), mustAddr(victim.here())); err != nil {
			t.Fatal(err)
		}
		if l := victim.all("nothing else"); len(l) != 0 {
			t.Errorf("%s: the victim got %q", by, l)
		}
	}
}
