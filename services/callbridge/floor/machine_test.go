package floor

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var agreement = Agreement{Server: true, Remote: netip.MustParseAddrPort("192.0.2.1:5070"), ConferenceID: 7, UserID: 3, FloorID: 2}

// text shows a message as a test writes it: "FloorRequest 5 floor=2". R marks answers.
func text(b []byte) string {
	m, err := Parse(b)
	if err != nil {
		return err.Error()
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%v %d", m.Primitive, m.Transaction)
	if m.Responder {
		s.WriteString(" R")
	}
	for _, a := range m.Attributes {
		switch a.Type {
		case FloorID:
			fmt.Fprintf(&s, " floor=%d", a.Number)
		case FloorRequestID:
			fmt.Fprintf(&s, " request=%d", a.Number)
		case BeneficiaryID:
			fmt.Fprintf(&s, " beneficiary=%d", a.Number)
		case BeneficiaryInformation:
			fmt.Fprintf(&s, " user=%d", a.Number)
		case ErrorCode:
			fmt.Fprintf(&s, " code=%d", a.Value[0])
			if len(a.Value) > 1 {
				fmt.Fprintf(&s, " details=%v", a.Value[1:])
			}
		case FloorRequestInformation:
			o, _ := overall(a)
			fmt.Fprintf(&s, " (request=%d %v)", a.Number, o)
		}
	}
	return s.String()
}

func number(t AttributeType, n uint16) Attribute {
	return Attribute{Type: t, Mandatory: true, Number: n}
}

func message(version uint8, p Primitive, transaction uint16, list ...Attribute) []byte {
	m := Message{Version: version, Primitive: p, ConferenceID: 7, Transaction: transaction, UserID: 3, Attributes: list}
	return m.Append(nil)
}

func texts(list [][]byte) string {
	var s []string
	for _, b := range list {
		s = append(s, text(b))
	}
	return strings.Join(s, "; ")
}

func names(list []event) string {
	var s []string
	for _, e := range list {
		if e.name == "other" {
			e.name = fmt.Sprintf("other %v", e.on)
		}
		s = append(s, e.name)
	}
	return strings.Join(s, "; ")
}

// step is one line of a transcript: what comes in or is decided, what goes out then, and what the handler hears.
type step struct {
	in   []byte
	do   func(m *machine, now time.Time)
	want string
	told string
}

func run(t *testing.T, m *machine, steps []step) {
	t.Helper()
	now := time.Unix(1e9, 0)
	for i, s := range steps {
		if s.do != nil {
			s.do(m, now)
		} else {
			m.input(s.in, now)
		}
		if got := texts(m.take()); got != s.want {
			t.Errorf("step %d: sent %q, want %q", i+1, got, s.want)
		}
		if got := names(m.events()); got != s.told {
			t.Errorf("step %d: told %q, want %q", i+1, got, s.told)
		}
		now = now.Add(time.Millisecond)
	}
}

func decide(s Status) func(*machine, time.Time) {
	return func(m *machine, now time.Time) { m.decide(s, now) }
}

func show(on bool) func(*machine, time.Time) {
	return func(m *machine, now time.Time) { m.showOther(on, now) }
}

func want(on bool) func(*machine, time.Time) {
	return func(m *machine, now time.Time) { m.want(on, now) }
}

func after(d time.Duration) func(*machine, time.Time) {
	return func(m *machine, now time.Time) { m.tick(now.Add(d)) }
}

func ack(p Primitive, transaction uint16) []byte {
	m := Message{Version: 2, Responder: true, Primitive: p, ConferenceID: 7, Transaction: transaction, UserID: 3}
	return m.Append(nil)
}

func server(udp bool) *machine {
	m := newMachine(udp, 99)
	m.agree(agreement, time.Unix(1e9, 0))
	m.connected(time.Unix(1e9, 0))
	return m
}

func client(udp bool) *machine {
	a := agreement
	a.Server = false
	m := newMachine(udp, 99)
	m.agree(a, time.Unix(1e9, 0))
	m.connected(time.Unix(1e9, 0))
	return m
}

// Room endpoints greet, subscribe to the floor and keep greeting; the order is that of the message flows in RFC 8855, appendix A.
func TestAnEndpointPresentsOverUDP(t *testing.T) {
	run(t, server(true), []step{
		{in: message(2, Hello, 1), want: "HelloAck 1 R"},
		{in: message(2, FloorQuery, 2, number(FloorID, 2)), want: "FloorStatus 2 R floor=2"},
		{in: message(2, FloorRequest, 3, number(FloorID, 2)), want: "FloorRequestStatus 3 R (request=1 pending)", told: "requested"},
		{in: message(2, FloorRequest, 3, number(FloorID, 2)), want: "FloorRequestStatus 3 R (request=1 pending)"}, // repeated, since our answer was lost
		{do: decide(Granted), want: "FloorRequestStatus 100 (request=1 granted)"},
		{in: ack(FloorRequestStatusAck, 100), want: "FloorStatus 101 floor=2 (request=1 granted)"},
		{in: ack(FloorStatusAck, 101)},
		{in: message(2, Hello, 4), want: "HelloAck 4 R"},
		{in: message(2, FloorRelease, 5, number(FloorRequestID, 1)), want: "FloorRequestStatus 5 R (request=1 released); FloorStatus 102 floor=2", told: "released"},
		{in: message(2, FloorRelease, 5, number(FloorRequestID, 1)), want: "FloorRequestStatus 5 R (request=1 released)"},
		{in: ack(FloorStatusAck, 102)},
		{do: show(true), want: "FloorStatus 103 floor=2 (request=65535 granted)"},
		{in: ack(FloorStatusAck, 103)},
		{do: show(true)},
		{do: show(false), want: "FloorStatus 104 floor=2"},
		{in: ack(FloorStatusAck, 104)},
		{in: message(2, FloorRequest, 6, number(FloorID, 2)), want: "FloorRequestStatus 6 R (request=2 pending)", told: "requested"},
		{do: decide(Denied), want: "FloorRequestStatus 105 (request=2 denied)"},
		{in: ack(FloorRequestStatusAck, 105)},
		{in: message(2, FloorRequest, 7, number(FloorID, 2)), want: "FloorRequestStatus 7 R (request=3 pending)", told: "requested"},
		{do: decide(Granted), want: "FloorRequestStatus 106 (request=3 granted)"},
		// Somebody else takes over at once: what waits is sent when the answer is here, the newest state of the floor only.
		{do: decide(Revoked)},
		{do: show(true)},
		{in: ack(FloorRequestStatusAck, 106), want: "FloorRequestStatus 107 (request=3 revoked)"},
		{in: ack(FloorRequestStatusAck, 107), want: "FloorStatus 108 floor=2 (request=65535 granted)"},
		{in: ack(FloorStatusAck, 108)},
		{in: message(2, Goodbye, 8), want: "GoodbyeAck 8 R"},
		{in: message(2, Goodbye, 8), want: "GoodbyeAck 8 R"},
	})
}

func TestAnEndpointPresentsOverTCP(t *testing.T) {
	run(t, server(false), []step{
		{in: message(1, Hello, 1), want: "HelloAck 1"},
		{in: message(1, FloorQuery, 2, number(FloorID, 2)), want: "FloorStatus 2 floor=2"},
		{in: message(1, FloorRequest, 3, number(FloorID, 2)), want: "FloorRequestStatus 3 (request=1 pending)", told: "requested"},
		// Notices have no transaction and no answer.
		{do: decide(Granted), want: "FloorRequestStatus 0 (request=1 granted); FloorStatus 0 floor=2 (request=1 granted)"},
		{do: decide(Revoked), want: "FloorRequestStatus 0 (request=1 revoked); FloorStatus 0 floor=2"},
		{in: message(1, FloorRelease, 4, number(FloorRequestID, 1)), want: "Error 4 code=7"},
	})
}

// Old endpoints speak version 1 over UDP, as early drafts had it.
func TestAnOldEndpointIsAnsweredInItsVersion(t *testing.T) {
	m := server(true)
	m.input(message(1, Hello, 1), time.Unix(1e9, 0))
	for _, b := range m.take() {
		if v := b[0] >> 5; v != 1 || text(b) != "HelloAck 1 R" {
			t.Errorf("answered %s in version %d, want HelloAck in version 1", text(b), v)
		}
	}
}

func TestWhatIsWrongIsAnsweredWithItsCode(t *testing.T) {
	other := func(conference uint32, user uint16) []byte {
		m := Message{Version: 2, Primitive: Hello, ConferenceID: conference, Transaction: 9, UserID: user}
		return m.Append(nil)
	}
	long := message(2, Hello, 9)
	long[3] = 5
	cut := message(2, FloorRequest, 9, number(FloorID, 2))
	cut[13] = 9
	version := message(3, Hello, 9)
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"another conference", other(8, 3), "Error 9 R code=1"},
		{"another user", other(7, 4), "Error 9 R code=2"},
		{"an unknown primitive", message(2, 77, 9), "Error 9 R code=3"},
		{"an unknown attribute that must be known", message(2, Hello, 9, Attribute{Type: 50, Mandatory: true, Value: []byte{1, 2}}), "Error 9 R code=4 details=[100]"},
		{"an unknown attribute that may be passed over", message(2, Hello, 9, Attribute{Type: 50, Value: []byte{1, 2}}), "HelloAck 9 R"},
		{"a chair", message(2, ChairAction, 9), "Error 9 R code=5"},
		{"a request for another", message(2, FloorRequest, 9, number(FloorID, 2), number(BeneficiaryID, 5)), "Error 9 R code=5"},
		{"another floor", message(2, FloorRequest, 9, number(FloorID, 5)), "Error 9 R code=6"},
		{"no floor", message(2, FloorRequest, 9), "Error 9 R code=6"},
		{"a query for another floor", message(2, FloorQuery, 9, number(FloorID, 5)), "Error 9 R code=6"},
		{"a request that there is not", message(2, FloorRelease, 9, number(FloorRequestID, 5)), "Error 9 R code=7"},
		{"a query for a request that there is not", message(2, FloorRequestQuery, 9, number(FloorRequestID, 5)), "Error 9 R code=7"},
		{"a query for a user that there is not", message(2, UserQuery, 9, number(BeneficiaryID, 5)), "Error 9 R code=2"},
		{"a query for the user", message(2, UserQuery, 9), "UserStatus 9 R user=3"},
		{"a broken attribute", cut, "Error 9 R code=10"},
		{"another version", version, "Error 9 R code=12"},
		{"a wrong length", long, "Error 9 R code=13"},
		{"an answer to nothing", ack(FloorStatusAck, 9), ""},
		{"an error to nothing", message(2, ErrorPrimitive, 9), ""},
		{"half a head", message(2, Hello, 9)[:7], ""},
	} {
		m := server(true)
		m.input(c.in, time.Unix(1e9, 0))
		if got := texts(m.take()); got != c.want || len(m.events()) != 0 {
			t.Errorf("%s: answered %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWeAskAFarEndForItsFloor(t *testing.T) {
	answer := func(p Primitive, transaction uint16, list ...Attribute) []byte {
		m := Message{Version: 2, Responder: true, Primitive: p, ConferenceID: 7, Transaction: transaction, UserID: 3, Attributes: list}
		return m.Append(nil)
	}
	m := server(true) // for its way of writing states
	state := func(id uint16, s Status) Attribute { return m.information(id, s) }
	run(t, client(true), []step{
		{do: after(0), want: "Hello 100"},
		{in: answer(HelloAck, 100), want: "FloorQuery 101 floor=2"},
		{in: answer(FloorStatus, 101, number(FloorID, 2), state(40, Granted)), told: "other true"},
		{do: want(true), want: "FloorRequest 102 floor=2"},
		{in: answer(FloorRequestStatus, 102, state(41, Pending))},
		{in: message(2, FloorStatus, 500, number(FloorID, 2), state(41, Pending)), want: "FloorStatusAck 500 R", told: "other false"},
		{in: message(2, FloorRequestStatus, 501, state(41, Granted)), want: "FloorRequestStatusAck 501 R", told: "granted"},
		{in: message(2, FloorRequestStatus, 501, state(41, Granted)), want: "FloorRequestStatusAck 501 R"},
		{in: message(2, FloorStatus, 502, number(FloorID, 2), state(41, Granted)), want: "FloorStatusAck 502 R"},
		{do: want(false), want: "FloorRelease 103 request=41"},
		{in: answer(FloorRequestStatus, 103, state(41, Released))},
		{do: want(true), want: "FloorRequest 104 floor=2"},
		// What is asked for is not wanted any more when the answer comes.
		{do: want(false)},
		{in: answer(FloorRequestStatus, 104, state(42, Granted)), want: "FloorRelease 105 request=42"},
		{in: answer(FloorRequestStatus, 105, state(42, Released))},
		{do: want(true), want: "FloorRequest 106 floor=2"},
		{in: answer(FloorRequestStatus, 106, state(43, Granted)), told: "granted"},
		{in: message(2, FloorRequestStatus, 503, state(43, Revoked)), want: "FloorRequestStatusAck 503 R", told: "revoked"},
		{do: want(true), want: "FloorRequest 107 floor=2"},
		{in: answer(ErrorPrimitive, 107, Attribute{Type: ErrorCode, Value: []byte{byte(TooManyRequests)}}), told: "denied"},
		{do: after(aliveUDP), want: "Hello 108"},
		{in: answer(HelloAck, 108)},
		{in: message(2, Goodbye, 504), want: "GoodbyeAck 504 R"},
		{do: after(2 * aliveUDP), want: "Hello 109"},
		{in: answer(HelloAck, 109), want: "FloorQuery 110 floor=2"},
		{in: answer(FloorStatus, 110, number(FloorID, 2))},
		{do: want(true), want: "FloorRequest 111 floor=2"},
		{in: answer(FloorRequestStatus, 111, state(44, Pending))},
		{do: after(4 * aliveUDP), want: "Hello 112"},
		{in: answer(HelloAck, 112), want: "FloorRequestQuery 113 request=44"},
		{in: answer(ErrorPrimitive, 113, Attribute{Type: ErrorCode, Value: []byte{byte(NoSuchRequest)}}), want: "FloorRequest 114 floor=2"},
	})
}

func TestRequestsAreRepeatedAndThenGivenUp(t *testing.T) {
	m := server(true)
	now := time.Unix(1e9, 0)
	m.input(message(2, FloorQuery, 1, number(FloorID, 2)), now)
	m.input(message(2, FloorRequest, 2, number(FloorID, 2)), now)
	m.take()
	m.events()
	m.decide(Granted, now)
	var sent []time.Duration
	for range 20 {
		for range m.take() {
			sent = append(sent, now.Sub(time.Unix(1e9, 0)))
		}
		if m.due.IsZero() {
			break
		}
		now = m.due
		m.tick(now)
	}
	if want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond}; !slices.Equal(sent, want) {
		t.Errorf("sent at %v, want %v", sent, want)
	}
	if got := now.Sub(time.Unix(1e9, 0)); got != 7500*time.Millisecond {
		t.Errorf("given up after %v, want 7.5s", got)
	}
	if got := names(m.events()); got != "released" {
		t.Errorf("told %q, want that the floor is free again", got)
	}
	m.input(message(2, Hello, 3), now)
	if got := texts(m.take()); got != "HelloAck 3 R; FloorStatus 102 floor=2" && got != "HelloAck 3 R; FloorStatus 101 floor=2" {
		t.Errorf("to the one who came back: %q, want the answer and how the floor is", got)
	}
}

func TestALostServerIsGreetedAnew(t *testing.T) {
	m := client(true)
	now := time.Unix(1e9, 0)
	start := now
	var hellos []time.Duration
	for len(hellos) < 40 {
		for _, b := range m.take() {
			if !strings.HasPrefix(text(b), "Hello ") {
				t.Fatalf("sent %s", text(b))
			}
			hellos = append(hellos, now.Sub(start))
		}
		if m.due.IsZero() {
			t.Fatal("it does not try again")
		}
		now = m.due
		m.tick(now)
	}
	if p := m.pause; p != againMost {
		t.Errorf("the pause grew to %v, want %v", p, againMost)
	}
	// The tenth round begins after pauses of 1, 2, 4, 8, 16, 30 … seconds and 7.5 s of waiting each.
	if got, want := hellos[4], 8500*time.Millisecond; got != want {
		t.Errorf("the second round begins after %v, want %v", got, want)
	}
}

// Both ends, a way that loses, doubles and holds back a third of everything, and time that the test makes pass.
func TestBothEndsAgreeInSpiteOfLoss(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		s, c := server(true), client(true)
		s.agree(agreement, time.Unix(1e9, 0))
		now := time.Unix(1e9, 0)
		type packet struct {
			to *machine
			b  []byte
			at time.Time
		}
		var way []packet
		granted, revoked, requested, other := false, false, false, false
		move := func() {
			for _, p := range []struct{ from, to *machine }{{s, c}, {c, s}} {
				for _, b := range p.from.take() {
					for n := random.IntN(6); n > 1; n -= 3 { // one of three lost, one of three twice
						way = append(way, packet{p.to, b, now.Add(time.Duration(random.IntN(200)) * time.Millisecond)})
					}
				}
			}
			for _, e := range s.events() {
				requested = requested || e.name == "requested"
			}
			for _, e := range c.events() {
				granted = granted || e.name == "granted"
				revoked = revoked || e.name == "revoked"
				if e.name == "other" {
					other = e.on
				}
			}
		}
		until := func(what string, done func() bool) {
			t.Helper()
			end := now.Add(10 * time.Minute)
			for move(); !done(); move() {
				if now = now.Add(10 * time.Millisecond); now.After(end) {
					t.Fatalf("seed %d: %s did not come about in ten minutes", seed, what)
				}
				kept := way[:0]
				var due []packet
				for _, p := range way {
					if p.at.After(now) {
						kept = append(kept, p)
					} else {
						due = append(due, p)
					}
				}
				way = kept
				for _, p := range due {
					p.to.input(p.b, now)
				}
				for _, m := range []*machine{s, c} {
					if !m.due.IsZero() && !m.due.After(now) {
						m.tick(now)
					}
				}
			}
		}
		c.want(true, now)
		until("a request", func() bool { return requested })
		until("a grant", func() bool {
			s.decide(Granted, now)
			c.want(true, now) // a server that seemed gone takes the floor with it
			return granted
		})
		until("a revocation", func() bool {
			s.decide(Revoked, now)
			return revoked || c.request.status == 0 && !c.wanted
		})
		until("that another presents", func() bool { s.showOther(true, now); return other })
		until("that nobody does", func() bool { s.showOther(false, now); return !other })
		if len(s.queue) > maxQueue || len(s.answers) > maxAnswers || len(c.answers) > maxAnswers {
			t.Fatalf("seed %d: %d queued, %d and %d answers", seed, len(s.queue), len(s.answers), len(c.answers))
		}
	}
}

var agreementStart = time.Unix(1e9, 0)
