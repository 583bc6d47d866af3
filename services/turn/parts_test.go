package turn

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPortsAreShuffledAndAllOfThemAreHad(t *testing.T) {
	p := newPorts()
	var got []uint16
	for range len(p.owner) {
		if err := p.take(func(port uint16) error { got = append(got, port); return nil }, portTaken); err != nil {
			t.Fatalf("after %d: wanted a port, got %v", len(got), err)
		}
	}
	if slices.IsSorted(got) {
		t.Error("wanted them in random order, got them sorted")
	}
	if slices.Sort(got); got[0] != firstPort || got[len(got)-1] != lastPort || len(slices.Compact(got)) != 12001 {
		t.Errorf("wanted each of 50000 to 62000 once, got %d from %d to %d", len(got), got[0], got[len(got)-1])
	}
	if err := p.take(func(uint16) error { return nil }, portTaken); !errors.Is(err, errNoPort) {
		t.Errorf("with none left: wanted %v, got %v", errNoPort, err)
	}
	p.giveBack(50007)
	p.giveBack(50005)
	for _, want := range []uint16{50007, 50005} {
		if err := p.take(func(port uint16) error { got[0] = port; return nil }, portTaken); err != nil || got[0] != want {
			t.Errorf("wanted the one that rested longest, %d, got %d, %v", want, got[0], err)
		}
	}
}

func TestAPortThatSomebodyElseHasIsPassedOver(t *testing.T) {
	p := newPorts()
	errTaken := errors.New("taken")
	tries := 0
	err := p.take(func(port uint16) error {
		if tries++; tries <= 12000 {
			return errTaken
		}
		return nil
	}, func(err error) bool { return errors.Is(err, errTaken) })
	if err != nil || tries != 12001 || p.left() != 12000 {
		t.Errorf("wanted the only one that is free, after 12,001 tries and the others back; got %v after %d with %d left", err, tries, p.left())
	}
	if err := p.take(func(uint16) error { return errors.New("broken") }, portTaken); err == nil || p.left() != 12000 {
		t.Errorf("an error of another kind: wanted it told and the port back, got %v with %d left", err, p.left())
	}
	if _, err := p.takeEven(true, func(uint16) error { return errTaken }, func(error) bool { return true }); !errors.Is(err, errNoPort) || p.left() != 12000 {
		t.Errorf("no pair that can be had: wanted %v and all back, got %v with %d left", errNoPort, err, p.left())
	}
}

func TestASourceIsAnsweredSoOftenAndNoMore(t *testing.T) {
	l := newLimiter()
	count := func(source string, at time.Duration) (n int) {
		for l.allow(ipOf(netip.MustParseAddr(source)), at) {
			n++
		}
		return n
	}
	if n := count("192.0.2.1", time.Second); n != answerBurst {
		t.Errorf("wanted %d at once, got %d", answerBurst, n)
	}
	if n := count("192.0.2.1", 2*time.Second); n != answerRate {
		t.Errorf("a second later: wanted %d more, got %d", answerRate, n)
	}
	if n := count("192.0.2.2", 2*time.Second); n != answerBurst {
		t.Errorf("another source: wanted %d, got %d", answerBurst, n)
	}
	if n := count("2001:db8::1", time.Second) + count("2001:db8::2", time.Second); n != answerBurst {
		t.Errorf("two addresses of one /64: wanted %d together, got %d", answerBurst, n)
	}
	if n := testing.AllocsPerRun(1000, func() { l.allow(ip{lo: uint64(time.Now().UnixNano())}, time.Hour) }); n != 0 {
		t.Errorf("a new source each time: wanted no memory taken, got %v allocations", n)
	}
}

func TestQuotasCountWhatIsHeld(t *testing.T) {
	q := newQuotas(Quotas{User: 2, Source: 3})
	here, limited, static := ipOf(netip.MustParseAddr("192.0.2.1")), grant{user: "1:a", limited: true}, grant{user: "admin"}
	for range 2 {
		q.add(limited.user, here)
	}
	if !q.full(limited, here) || q.full(static, here) {
		t.Error("after two of a user: wanted the user full and the source not")
	}
	q.add(static.user, here)
	if !q.full(static, here) || q.full(static, ipOf(netip.MustParseAddr("192.0.2.2"))) || q.full(static, ipOf(loopback)) {
		t.Error("after three of a source: wanted that source full, another not, and loopback never")
	}
	for _, user := range []string{limited.user, limited.user, static.user} {
		q.remove(user, here)
	}
	if len(q.users) != 0 || len(q.sources) != 0 {
		t.Errorf("wanted nothing left, got %v %v", q.users, q.sources)
	}
}

func TestWhoMayBeAPeer(t *testing.T) {
	edge := newOwn(Plan{Relay4: netip.MustParseAddr("10.0.1.1"), Public4: netip.MustParseAddr("203.0.113.1"),
		Machine: []netip.Addr{netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.2.1"), netip.MustParseAddr("2001:db8::1"), loopback}})
	combined := newOwn(Plan{Addresses: []netip.Addr{loopback}})
	for _, c := range []struct {
		peer           string
		edge, combined bool
	}{
		{"198.51.100.7:1024", true, true},
		{"198.51.100.7:443", false, false},
		{"192.168.1.1:40000", true, true},
		{"[2001:db8::7]:40000", true, true},
		{"10.0.1.1:50000", true, true},
		{"10.0.1.1:3478", false, true},
		{"10.0.2.1:5060", false, true},
		{"10.0.2.1:32768", true, true},
		{"203.0.113.1:50001", true, true},
		{"203.0.113.1:22000", false, true},
		{"[2001:db8::1]:8443", false, true},
		{"127.0.0.1:40000", false, true},
		{"127.0.0.1:3478", false, false},
		{"[::1]:40000", false, true},
		{"169.254.1.1:40000", false, false},
		{"[fe80::1]:40000", false, false},
		{"224.0.0.1:40000", false, false},
		{"[ff02::1]:40000", false, false},
		{"0.0.0.0:40000", false, false},
		{"[::]:40000", false, false},
		{"0.1.2.3:40000", false, false},
		{"255.255.255.255:40000", false, false},
		{"[::ffff:127.0.0.1]:40000", false, true},
	} {
		peer := addressOf(netip.MustParseAddrPort(c.peer))
		if got := edge.mayBePeer(peer, true); got != c.edge {
			t.Errorf("edge, %s: wanted %v, got %v", c.peer, c.edge, got)
		}
		if got := combined.mayBePeer(peer, true); got != c.combined {
			t.Errorf("combined, %s: wanted %v, got %v", c.peer, c.combined, got)
		}
	}
}

func TestAQueueKeepsTheNewestAndEveryAnswer(t *testing.T) {
	q := newQueue()
	frame := func(i int) []byte { return channelFrame(0x4000, strings.Repeat(string(rune('a'+i%26)), 996)) }
	dropped := 0
	for i := range 200 {
		dropped += q.push(frame(i))
	}
	if fit := queueBytes / 1000; dropped != 200-fit {
		t.Errorf("wanted %d of 200 dropped, got %d", 200-fit, dropped)
	}
	if !q.answer([]byte("answer")) || q.answer(make([]byte, answerBytes)) {
		t.Error("wanted one answer taken, and not more than there is room for")
	}
	b := make([]byte, writeChunk)
	n := q.take(b)
	if string(b[:6]) != "answer" || string(b[6:1006]) != string(frame(dropped)) || n != 6+16*1000 {
		t.Errorf("wanted the answer, then the 16 oldest that are left; got %d bytes, %q", n, b[:12])
	}
	for n := q.take(b); n > 0 && q.used > 0; n = q.take(b) {
		if n%1000 != 0 {
			t.Fatalf("wanted whole frames, got %d bytes", n)
		}
	}
	if q.push(channelFrame(0x4000, strings.Repeat("x", 40000))) != 1 {
		t.Error("a frame larger than the queue: wanted it dropped")
	}
	q.close()
	if q.take(b) != 0 || q.push(frame(0)) != 1 || q.answer(nil) {
		t.Error("after the end: wanted nothing taken")
	}
}

func TestAPlanTakesTheAddressesOfTheChosenInterfaces(t *testing.T) {
	look := func() (map[string][]netip.Addr, error) {
		all := map[string][]netip.Addr{}
		for device, list := range map[string]string{"lo": "127.0.0.1 ::1", "eth0": "10.0.1.1 fe80::1 2001:db8::1", "eth1": "10.0.2.1"} {
			for a := range strings.FieldsSeq(list) {
				all[device] = append(all[device], netip.MustParseAddr(a))
			}
		}
		return all, nil
	}
	var s settings
	s.Devices = map[string]string{"a": "eth0", "b": "eth1", "c": "eth2"}
	s.TURN.Listen = []string{"b", "a", "lo"}
	s.TURN.ShortTerm, s.TURN.SharedSecret, s.TURN.Username = true, "s", "admin"
	p, err := s.plan(look)
	want := "10.0.2.1 10.0.1.1 2001:db8::1 127.0.0.1 ::1"
	if got := strings.Trim(strings.Join(strings.Fields(joined(p.Addresses)), " "), " "); err != nil || got != want {
		t.Errorf("wanted to listen on %s, got %s, %v", want, got, err)
	}
	if p.Relay4.String() != "10.0.2.1" || p.Relay6.String() != "2001:db8::1" || !p.HighCapacity || p.Secret != "s" || p.User != "" {
		t.Errorf("wanted the relay of the first interface and the shared secret, got %+v", p)
	}
	for _, c := range []struct {
		listen []string
		want   string
	}{{[]string{"c"}, "waits for an address on [c]"}, {[]string{"lo"}, "loopback alone reaches nobody"}} {
		s.TURN.Listen = c.listen
		if _, err := s.plan(look); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: wanted %q, got %v", c.listen, c.want, err)
		}
	}
}

func joined(list []netip.Addr) string {
	var b strings.Builder
	for _, a := range list {
		b.WriteString(a.String() + " ")
	}
	return b.String()
}
