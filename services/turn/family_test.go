package turn

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/pion/stun/v4"
)

var loopback6 = netip.IPv6Loopback()

// familyOfRelay is REQUESTED-ADDRESS-FAMILY, secondFamily ADDITIONAL-ADDRESS-FAMILY: 1 for IPv4, 2 for IPv6.
func familyOfRelay(family byte) stun.Setter {
	return stun.RawAttribute{Type: stun.AttrRequestedAddressFamily, Value: []byte{family, 0, 0, 0}}
}

func secondFamily(family byte) stun.Setter {
	return stun.RawAttribute{Type: attrAdditionalFamily, Value: []byte{family, 0, 0, 0}}
}

func dualStack(p *Plan) {
	p.Addresses, p.Relay6 = append(p.Addresses, loopback6), loopback6
}

func TestClientsOfEitherFamilyHaveRelaysOfEither(t *testing.T) {
	for _, w := range ways {
		for _, c := range []struct {
			name   string
			client netip.Addr
			family []stun.Setter
			relay  netip.Addr
		}{
			{"from IPv4 to IPv6", loopback, []stun.Setter{familyOfRelay(2)}, loopback6},
			{"from IPv6 to IPv6", loopback6, []stun.Setter{familyOfRelay(2)}, loopback6},
			{"from IPv6 to IPv4", loopback6, []stun.Setter{familyOfRelay(1)}, loopback},
			{"from IPv6 to IPv4, which nobody has to ask for", loopback6, nil, loopback},
		} {
			t.Run(w.name+" "+c.name, func(t *testing.T) {
				_, p := serveWay(t, w.fast, dualStack)
				port := p.Port
				if w.network != "udp" {
					port = p.TLSPort
				}
				call := func() (*caller, netip.AddrPort) {
					k := dialAt(t, w.network, netip.AddrPortFrom(c.client, uint16(port)))
					return k, k.relayOf(k.must(stun.MethodAllocate, append(c.family, udpTransport)...))
				}
				one, here := call()
				two, there := call()
				if here.Addr() != c.relay {
					t.Fatalf("wanted a relay at %v, got %v", c.relay, here)
				}
				peer := newPeerAt(t, c.relay)
				one.permit(peer.address())
				one.indicate(peer.address(), "one")
				peer.wants("one", here)
				peer.say("two!!", here)
				if _, from, text := one.hear(); from != peer.address() || text != "two!!" {
					t.Errorf("wanted two!! from %v, got %q from %v", peer.address(), text, from)
				}
				one.bind(0x4000, peer.address())
				one.say(0x4000, "three")
				peer.wants("three", here)
				peer.say("four", here)
				one.wants(0x4000, "four")
				one.bind(0x4001, there)
				two.bind(0x4002, here)
				one.say(0x4001, "relay to relay")
				two.wants(0x4002, "relay to relay")
				two.say(0x4002, "and back")
				one.wants(0x4001, "and back")
				other := loopback
				if c.relay.Is4() {
					other = loopback6
				}
				for _, method := range []stun.Method{stun.MethodCreatePermission, stun.MethodChannelBind} {
					if _, code := one.ask(method, numbered(0x4003), at(netip.AddrPortFrom(other, 40000))); code != stun.CodePeerAddrFamilyMismatch {
						t.Errorf("%s for a peer of the other family: wanted 443, got %d", method, code)
					}
				}
			})
		}
	}
}

func TestFamiliesThatAreNotToBeHadAreNamed(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			_, p := serveWay(t, w.fast, nil)
			token := stun.RawAttribute{Type: stun.AttrReservationToken, Value: make([]byte, 8)}
			pair := stun.RawAttribute{Type: stun.AttrEvenPort, Value: []byte{0x80}}
			c := p.dial(t, w.network)
			for _, r := range []struct {
				what       string
				attributes []stun.Setter
				want       stun.ErrorCode
			}{
				{"IPv6 where there is none", []stun.Setter{familyOfRelay(2)}, stun.CodeAddrFamilyNotSupported},
				{"a family that there is not", []stun.Setter{familyOfRelay(3)}, stun.CodeAddrFamilyNotSupported},
				{"IPv4 besides IPv4", []stun.Setter{secondFamily(1)}, stun.CodeBadRequest},
				{"one family and both", []stun.Setter{familyOfRelay(1), secondFamily(2)}, stun.CodeBadRequest},
				{"both families for one port", []stun.Setter{secondFamily(2), token}, stun.CodeBadRequest},
				{"both families and a pair of ports", []stun.Setter{secondFamily(2), pair}, stun.CodeBadRequest},
			} {
				if _, code := c.ask(stun.MethodAllocate, append(r.attributes, udpTransport)...); code != r.want {
					t.Errorf("%s: wanted %d, got %d", r.what, r.want, code)
				}
			}
			answer := c.must(stun.MethodAllocate, secondFamily(2), udpTransport)
			if got := c.relayOf(answer); got.Addr() != loopback {
				t.Errorf("both families: wanted an IPv4 relay, got %v", got)
			}
			value, err := answer.Get(attrAddressErrorCode)
			if want := append([]byte{2, 0, 4, 40}, "Address Family not Supported"...); err != nil || !slices.Equal(value, want) {
				t.Errorf("both families: wanted %q for the second, got %q, %v", want, value, err)
			}
			if err := c.key().Check(answer); err != nil {
				t.Errorf("both families: wanted an answer that is signed, got %v", err)
			}
		})
	}
}
