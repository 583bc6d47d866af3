package sshd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func testGuard() *guard {
	return newGuard(Limits{
		Waiting: 4, WaitingEach: 2, Connections: 3,
		Connects: Rate{Burst: 3, Every: time.Second}, Failures: Rate{Burst: 2, Every: time.Minute},
	})
}

// noon is when the tests begin.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func host(a string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), 40000) }

func TestConnectionsBeforeTheLoginAreBounded(t *testing.T) {
	g := testGuard()
	for i, c := range []struct{ from, refused string }{
		{"192.0.2.1", ""},
		{"192.0.2.1", ""},
		{"192.0.2.1", "too many connections from there that have not logged in"},
		{"2001:db8::1", ""},
		{"2001:db8::2", ""},
		{"2001:db8::3", "too many connections that have not logged in"},
	} {
		if got := g.enter(host(c.from), noon); got != c.refused {
			t.Errorf("connection %d from %s: wanted %q, got %q", i, c.from, c.refused, got)
		}
	}
	g.leave(host("192.0.2.1"), false)
	if got := g.enter(host("192.0.2.9"), noon); got != "" {
		t.Errorf("after one has gone: wanted room, got %q", got)
	}
}

func TestOneSlash64IsOneSource(t *testing.T) {
	g := testGuard()
	for _, a := range []string{"2001:db8::1", "2001:db8::2"} {
		if got := g.enter(host(a), noon); got != "" {
			t.Fatalf("%s: wanted room, got %q", a, got)
		}
	}
	if got := g.enter(host("2001:db8::3"), noon); got == "" {
		t.Error("third of the same /64: wanted a refusal")
	}
	if got := g.enter(host("2001:db8:0:1::1"), noon); got != "" {
		t.Errorf("another /64: wanted room, got %q", got)
	}
}

func TestNewConnectionsHaveARateUnlessTheyLogIn(t *testing.T) {
	g := testGuard()
	from := host("192.0.2.1")
	for range 100 {
		if got := g.enter(from, noon); got != "" {
			t.Fatalf("a connection that logs in: wanted room, got %q", got)
		}
		if !g.admit(from) {
			t.Fatal("wanted to be admitted")
		}
		g.leave(from, true)
	}
	for i := range 4 {
		got := g.enter(from, noon)
		if (got != "") != (i == 3) {
			t.Errorf("connection %d without a login: got %q", i, got)
		}
		if got == "" {
			g.leave(from, false)
		}
	}
	if got := g.enter(from, noon.Add(time.Second)); got != "" {
		t.Errorf("a second later: wanted room, got %q", got)
	}
}

func TestWrongPasswordsHaveARate(t *testing.T) {
	g := testGuard()
	from := host("192.0.2.1")
	for i := range 3 {
		if got, want := g.mayTry(from, noon), i < 2; got != want {
			t.Errorf("try %d: wanted %v, got %v", i, want, got)
		}
		g.failed(from, noon)
	}
	if g.enter(from, noon) == "" {
		t.Error("wanted further connections to be refused")
	}
	if g.mayTry(from, noon.Add(time.Minute)) {
		t.Error("a minute later: wanted no try, three failures are two over")
	}
	if !g.mayTry(from, noon.Add(2*time.Minute)) {
		t.Error("two minutes later: wanted another try")
	}
	if !g.mayTry(host("192.0.2.2"), noon) {
		t.Error("another source: wanted it to be free")
	}
}

func TestLoggedInConnectionsAreBounded(t *testing.T) {
	g := testGuard()
	for i := range 4 {
		from := host(fmt.Sprintf("192.0.2.%d", i))
		if got := g.enter(from, noon); got != "" {
			t.Fatal(got)
		}
		if got, want := g.admit(from), i < 3; got != want {
			t.Errorf("connection %d: wanted %v, got %v", i, want, got)
		}
	}
}

func TestTheMemoryForSourcesIsBounded(t *testing.T) {
	g := testGuard()
	for i := range 3 * maxSources {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		g.failed(from, noon.Add(time.Duration(i)*time.Millisecond))
	}
	if len(g.sources) > maxSources {
		t.Errorf("wanted at most %d sources, got %d", maxSources, len(g.sources))
	}
	waiting := host("192.0.2.1")
	if got := g.enter(waiting, noon); got != "" {
		t.Fatal(got)
	}
	for i := range 2 * maxSources {
		g.failed(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1), noon.Add(time.Hour))
	}
	if s := g.sources[group(waiting)]; s == nil || s.waiting != 1 {
		t.Error("wanted a source with an open connection to be remembered")
	}
}

func TestRefusalsAreLoggedSparingly(t *testing.T) {
	g := testGuard()
	a, b := host("192.0.2.1"), host("192.0.2.2")
	for i, c := range []struct {
		from netip.AddrPort
		at   time.Duration
		want bool
	}{{a, 0, true}, {a, 2 * time.Second, false}, {b, 500 * time.Millisecond, false}, {b, 2 * time.Second, true}} {
		if got := g.tell(c.from, noon.Add(c.at)); got != c.want {
			t.Errorf("refusal %d: wanted %v, got %v", i, c.want, got)
		}
	}
}
