package turn

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/pion/stun/v4"
)

// methods and classes are all that there are, and one that there is not.
var (
	methods = []stun.Method{stun.MethodBinding, stun.MethodAllocate, stun.MethodRefresh, stun.MethodSend, stun.MethodData,
		stun.MethodCreatePermission, stun.MethodChannelBind, stun.MethodConnect, stun.MethodConnectionBind, stun.MethodConnectionAttempt, 0x0ff}
	classes = []stun.MessageClass{stun.ClassRequest, stun.ClassIndication, stun.ClassSuccessResponse, stun.ClassErrorResponse}
)

func TestMessagesOfEveryKindCutOffTooLongRepeatedAndReflectedDisturbNobody(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			s, p := serveWay(t, w.fast, nil)
			call, peer := p.dial(t, "udp"), newPeer(t)
			relay := call.allocate()
			call.bind(0x4000, peer.address())
			// An owner of an allocation, who is trusted, and somebody who has none.
			for _, owner := range []bool{true, false} {
				c := p.dial(t, "udp")
				if owner {
					c.allocate()
				}
				if w.network == "tcp" {
					c = p.dial(t, "tcp")
				}
				for _, method := range methods {
					for _, class := range classes {
						m := c.build(method, stun.NewType(method, class), udpTransport, numbered(0x4000), at(peer.address()),
							stun.RawAttribute{Type: stun.AttrData, Value: []byte("data")}, stun.RawAttribute{Type: stun.AttrEvenPort, Value: []byte{0x80}})
						raws := [][]byte{m.Raw, m.Raw, append(bytes.Clone(m.Raw), make([]byte, 1200)...)}
						for cut := 0; cut < len(m.Raw); cut += 7 {
							raws = append(raws, m.Raw[:cut])
						}
						for _, raw := range raws {
							if c.stream {
								// What is cut off in a stream ends it, so each has a stream of its own.
								conn, err := net.Dial("tcp", c.conn.RemoteAddr().String())
								if err != nil {
									t.Fatal(err)
								}
								_, _ = conn.Write(raw)
								conn.Close()
								continue
							}
							_, _ = c.conn.Write(raw)
						}
					}
				}
				// What the server says itself, sent back to it.
				answer := c.once(c.build(stun.MethodBinding))
				c.write(answer.Raw)
			}
			for number := 0; number < 0x10000; number += 0x111 {
				_, _ = call.conn.Write([]byte{byte(number >> 8), byte(number), 0xff, 0xff, 1})
			}
			call.say(0x4000, "undisturbed")
			peer.wants("undisturbed", relay)
			if got := metric(s, `turn_drops_total{reason="malformed"}`) + metric(s, `turn_drops_total{reason="unexpected"}`); got == 0 {
				t.Error("wanted them counted, got nothing")
			}
		})
	}
}

// FuzzServer sends any packet, as somebody who has an allocation and as a stranger, and then looks whether a call goes on.
func FuzzServer(f *testing.F) {
	for _, method := range methods {
		f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(method, stun.ClassRequest), udpTransport, numbered(0x4000),
			at(netip.MustParseAddrPort("127.0.0.1:40000"))).Raw, true)
	}
	f.Add(channelFrame(0x4000, "payload"), true)
	f.Add(channelFrame(0x7fff, "payload"), false)
	p := testPlan(f)
	startServer(f, p)
	owner, stranger, call := p.dial(f, "udp"), p.dial(f, "udp"), p.dial(f, "udp")
	owner.allocate()
	call.allocate()
	f.Fuzz(func(t *testing.T, packet []byte, owned bool) {
		if len(packet) > 65000 {
			return
		}
		c := stranger
		if owned {
			c = owner
		}
		_, _ = c.conn.Write(packet)
		if owned {
			// A request with its signature put right gets as far as requests get.
			m := &stun.Message{Raw: bytes.Clone(packet)}
			if m.Decode() == nil && len(m.Attributes) < 20 {
				signed := &stun.Message{TransactionID: m.TransactionID, Type: m.Type}
				signed.WriteHeader()
				for _, a := range m.Attributes {
					if a.Type != stun.AttrLifetime && a.Type != stun.AttrMessageIntegrity {
						signed.Add(a.Type, a.Value)
					}
				}
				for _, setter := range []stun.Setter{stun.NewUsername(owner.user), owner.realm, owner.nonce, owner.key()} {
					_ = setter.AddTo(signed)
				}
				_, _ = owner.conn.Write(signed.Raw)
			}
		}
		call.t = t
		if _, code := call.ask(stun.MethodRefresh); code != 0 {
			t.Errorf("wanted the call refreshed, got %d", code)
		}
	})
}

func TestWrongCredentialsTakeNoMemoryAndDisturbNoCall(t *testing.T) {
	count := 50_000
	if testing.Short() {
		count = 5_000
	}
	s, p := serveWay(t, true, nil)
	call, peer := p.dial(t, "udp"), newPeer(t)
	relay := call.allocate()
	call.bind(0x4000, peer.address())
	guesser := p.dial(t, "udp")
	guesser.once(guesser.build(stun.MethodAllocate, udpTransport))
	guesser.nonce, guesser.realm, guesser.password = call.nonce, call.realm, "guess"
	guess := func(n int) {
		for i := range n {
			request := guesser.build(stun.MethodAllocate, udpTransport)
			_, _ = guesser.conn.Write(request.Raw)
			if i%1000 == 0 {
				text := fmt.Sprint("call ", i)
				call.say(0x4000, text)
				peer.wants(text, relay)
			}
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	guess(1000)
	before := heap()
	guess(count)
	if after := heap(); after > before+1<<20 {
		t.Errorf("after %d guesses: wanted the heap flat at %d, got %d", count, before, after)
	}
	if n := s.Status().Allocations; n != 1 {
		t.Errorf("wanted the call's allocation and no other, got %d", n)
	}
	refused, limited := metric(s, `turn_credentials_refused_total{reason="password"}`), metric(s, `turn_drops_total{reason="rate_limit"}`)
	if refused == 0 || limited == 0 || limited >= refused {
		t.Errorf("wanted all refused and most not even answered, got %d and %d", refused, limited)
	}
}

func TestRandomPacketsFromManySourcesLeaveNothingBehind(t *testing.T) {
	s, p := serveWay(t, true, nil)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, byte(i>>8), byte(i)|1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.Port})
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, random.IntN(200))
		for n := range b {
			b[n] = byte(random.Uint32())
		}
		_, _ = conn.Write(b)
		conn.Close()
	}
	c := p.dial(t, "udp")
	c.allocate()
	if got := s.Status(); got.Allocations != 1 || !strings.HasPrefix(got.Listeners[0], "tcp 127.0.0.1") {
		t.Errorf("wanted one allocation, got %+v", got)
	}
}
