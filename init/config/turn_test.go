package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestATURNServerIsRefusedWithWhatWouldBeRight(t *testing.T) {
	good := TURN{Enabled: true, Listen: []string{"a", Loopback}, TLSPort: 443, Username: "admin", Password: "p", Realm: "example.com",
		PublicIP: netip.MustParseAddr("5.10.20.99"), Certificates: Certificates{Key: "a.key", Certificate: "a.crt"}}
	if err := good.validate(); err != nil {
		t.Fatalf("wanted it accepted, got %v", err)
	}
	for _, c := range []struct {
		change func(*TURN)
		want   string
	}{
		{func(s *TURN) { s.Listen = []string{"e"} }, `cannot listen on "e": use a, b, c, d or lo`},
		{func(s *TURN) { s.Listen = []string{"a", "b", "a"} }, "listens on a twice"},
		{func(s *TURN) { s.Listen = nil }, "cannot be enabled: no interface to listen on"},
		{func(s *TURN) { s.TLSPort = 65536 }, "port 65536 is out of range"},
		{func(s *TURN) { s.TLSPort = 22 }, "belongs to SSH"},
		{func(s *TURN) { s.Password = "" }, "no credentials"},
		{func(s *TURN) { s.ShortTerm = true }, "no shared secret"},
		{func(s *TURN) { s.Realm = strings.Repeat("r", MaxSecret+1) }, "realm is longer than 128 bytes"},
		{func(s *TURN) { s.Password = "a\nb" }, "password holds a character that cannot be printed"},
		{func(s *TURN) { s.Username = "a:b" }, "user name holds a colon"},
		{func(s *TURN) { s.PublicIP = netip.MustParseAddr("2001:db8::1") }, "is not an IPv4 address"},
		{func(s *TURN) { s.PublicIP = netip.MustParseAddr("127.0.0.1") }, "not a usable unicast address"},
		{func(s *TURN) { s.Certificates.Key = "../a.key" }, "is not the name of a file"},
		{func(s *TURN) { s.Certificates.Key = "" }, "needs a key and its certificate"},
	} {
		bad := good
		c.change(&bad)
		if err := bad.validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: wanted an error with %q, got %v", bad, c.want, err)
		}
	}
	if err := (TURN{Username: "half"}).validate(); err != nil {
		t.Errorf("a server that is being set up: wanted it accepted, got %v", err)
	}
}
