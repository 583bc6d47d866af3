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

// enter is a connection whose end nobody needs to know of.
func enter(g *guard, from netip.AddrPort, now time.Time) (*entrance, string) {
	return g.enter(from, now, func() {})
}

func TestConnectionsBeforeTheLoginAreBounded(t *testing.T) {
	g := testGuard()
	var first *entrance
	for i, c := range []struct{ from, refused string }{
		{"192.0.2.1", ""},
		{"192.0.2.2", ""},
		{"192.0.2.3", ""},
		{"192.0.2.4", ""},
		{"192.0.2.5", "too many connections that have not logged in"},
	} {
		e, got := enter(g, host(c.from), noon)
		if got != c.refused {
			t.Errorf("connection %d from %s: wanted %q, got %q", i, c.from, c.refused, got)
		}
		if i == 0 {
			first = e
		}
	}
	g.leave(first, false)
	if _, got := enter(g, host("192.0.2.9"), noon); got != "" {
		t.Errorf("after one has gone: wanted room, got %q", got)
	}
}

func TestAFewSourcesCannotKeepOthersOut(t *testing.T) {
	g := testGuard()
	var dropped []string
	for _, name := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"} {
		at := fmt.Sprint(name, " ", g.waiting)
		if _, got := g.enter(host(name), noon, func() { dropped = append(dropped, at) }); got != "" {
			t.Fatal(got)
		}
	}
	own, got := enter(g, host("192.0.2.7"), noon)
	if got != "" || len(dropped) != 1 || dropped[0] != "192.0.2.1 0" && dropped[0] != "192.0.2.2 2" {
		t.Fatalf("another source: wanted room and the oldest of one of the others dropped, got %q, dropped %q", got, dropped)
	}
	if g.waiting != 4 {
		t.Errorf("wanted 4 to wait, got %d", g.waiting)
	}
	if !g.admit(own) {
		t.Error("wanted it to be admitted")
	}
	g.leave(own, true)
	if g.waiting != 3 || g.open != 0 {
		t.Errorf("wanted 3 to wait and none open, got %d and %d", g.waiting, g.open)
	}
}

func TestOneSlash64IsOneSource(t *testing.T) {
	g := testGuard()
	for _, a := range []string{"2001:db8::1", "2001:db8::2"} {
		if _, got := enter(g, host(a), noon); got != "" {
			t.Fatalf("%s: wanted room, got %q", a, got)
		}
	}
	if _, got := enter(g, host("2001:db8::3"), noon); got == "" {
		t.Error("third of the same /64: wanted a refusal")
	}
	if _, got := enter(g, host("2001:db8:0:1::1"), noon); got != "" {
		t.Errorf("another /64: wanted room, got %q", got)
	}
}

func TestNewConnectionsHaveARateUnlessTheyLogIn(t *testing.T) {
	g := testGuard()
	from := host("192.0.2.1")
	for range 100 {
		e, got := enter(g, from, noon)
		if got != "" {
			t.Fatalf("a connection that logs in: wanted room, got %q", got)
		}
		if !g.admit(e) {
			t.Fatal("wanted to be admitted")
		}
		g.leave(e, true)
	}
	for i := range 4 {
		e, got := enter(g, from, noon)
		if (got != "") != (i == 3) {
			t.Errorf("connection %d without a login: got %q", i, got)
		}
		if got == "" {
			g.leave(e, false)
		}
	}
	if _, got := enter(g, from, noon.Add(time.Second)); got != "" {
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
	if _, got := enter(g, from, noon); got == "" {
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
		e, refused := enter(g, from, noon)
		if refused != "" {
			t.Fatal(refused)
		}
		if got, want := g.admit(e), i < 3; got != want {
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
	if _, got := enter(g, waiting, noon); got != "" {
		t.Fatal(got)
	}
	for i := range 2 * maxSources {
		g.failed(netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1), noon.Add(time.Hour))
	}
	if s := g.sources[group(waiting)]; s == nil || len(s.waiting) != 1 {
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
