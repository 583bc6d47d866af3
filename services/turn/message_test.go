package turn

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

func TestAMessageIsReadAsPionWritesIt(t *testing.T) {
	key := stun.MessageIntegrity("0123456789abcdef")
	peers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:40000"), netip.MustParseAddrPort("[2001:db8::7]:40002")}
	raw := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodChannelBind, stun.ClassRequest), stun.NewUsername("joe"),
		stun.NewRealm(testRealm), stun.NewNonce("nonce"), numbered(0x4001), at(peers[0]), at(peers[1]), key, stun.Fingerprint).Raw
	var m message
	if !m.parse(raw) {
		t.Fatal("wanted it read, got a refusal")
	}
	if m.method != methodChannelBind || m.class != classRequest || string(m.username) != "joe" || string(m.realm) != testRealm || m.channel != 0x4001 {
		t.Errorf("wanted ChannelBind 0x4001 of joe at %s, got %#x %q %q %#x", testRealm, m.method, m.username, m.realm, m.channel)
	}
	if m.peerCount != 2 || m.peers[0].addrPort() != peers[0] || m.peers[1].addrPort() != peers[1] {
		t.Errorf("wanted %v, got %v", peers, m.peers[:m.peerCount])
	}
	if !m.authentic(key) || m.authentic([]byte("0123456789abcdeg")) {
		t.Error("wanted it authentic with its key and no other")
	}
	decoded := &stun.Message{Raw: m.unsigned()}
	if err := decoded.Decode(); err != nil || decoded.Contains(stun.AttrMessageIntegrity) || !decoded.Contains(stun.AttrNonce) {
		t.Errorf("wanted it cut off before its integrity, got %s, %v", decoded, err)
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	good := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("user")).Raw
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good)) }
	for name, raw := range map[string][]byte{
		"nothing":                    nil,
		"a header cut off":           good[:19],
		"an attribute cut off":       good[:len(good)-4],
		"a tail":                     append(bytes.Clone(good), 0, 0, 0, 0),
		"another cookie":             with(func(b []byte) []byte { b[4] ^= 1; return b }),
		"media":                      with(func(b []byte) []byte { b[0] = 0x80; return b }),
		"an odd length":              append(bytes.Clone(good), 0),
		"an attribute too long":      with(func(b []byte) []byte { b[23] = 200; return b }),
		"integrity of another size":  stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.RawAttribute{Type: stun.AttrMessageIntegrity, Value: make([]byte, 16)}).Raw,
		"a peer of no family":        stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.RawAttribute{Type: stun.AttrXORPeerAddress, Value: make([]byte, 8)}).Raw,
		"a peer too short":           stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.RawAttribute{Type: stun.AttrXORPeerAddress, Value: []byte{0, 2, 0, 0, 1, 2, 3, 4}}).Raw,
		"more than a message may be": stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.RawAttribute{Type: stun.AttrData, Value: make([]byte, maxMessage)}).Raw,
	} {
		var m message
		if m.parse(raw) {
			t.Errorf("%s: wanted it refused, got it read", name)
		}
	}
}

func TestADataIndicationIsReadByPion(t *testing.T) {
	for _, peer := range []string{"192.0.2.7:40000", "[2001:db8::7]:40001"} {
		for size := range 9 {
			var b [maxDataHead + 16]byte
			payload := bytes.Repeat([]byte{'x'}, size)
			n := dataIndication(b[:], addressOf(netip.MustParseAddrPort(peer)), [12]byte{1, 2, 3}, size)
			raw := append(append(b[:n:n], payload...), make([]byte, -size&3)...)
			m := &stun.Message{Raw: raw}
			if err := m.Decode(); err != nil {
				t.Fatalf("%s, %d bytes: %v", peer, size, err)
			}
			var from stun.XORMappedAddress
			data, err := m.Get(stun.AttrData)
			if err == nil {
				err = from.GetFromAs(m, stun.AttrXORPeerAddress)
			}
			if err != nil || from.String() != peer || !bytes.Equal(data, payload) || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
				t.Errorf("wanted %d bytes from %s, got %s, %d bytes, %v", size, peer, from, len(data), err)
			}
		}
	}
}

// FuzzMessage holds the parser against pion's: what this one takes that one takes as well, and they agree.
func FuzzMessage(f *testing.F) {
	for _, method := range []stun.Method{stun.MethodBinding, stun.MethodAllocate, stun.MethodRefresh, stun.MethodSend, stun.MethodData,
		stun.MethodCreatePermission, stun.MethodChannelBind, stun.MethodConnect, stun.MethodConnectionBind} {
		for _, class := range []stun.MessageClass{stun.ClassRequest, stun.ClassIndication, stun.ClassSuccessResponse, stun.ClassErrorResponse} {
			f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(method, class), stun.NewUsername("joe"), stun.NewRealm(testRealm),
				numbered(0x4000), at(netip.MustParseAddrPort("192.0.2.1:5000")), udpTransport, stun.RawAttribute{Type: stun.AttrEvenPort, Value: []byte{0x80}},
				stun.RawAttribute{Type: stun.AttrReservationToken, Value: make([]byte, 8)}, stun.MessageIntegrity("key")).Raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m message
		if !m.parse(bytes.Clone(raw)) {
			return
		}
		theirs := &stun.Message{Raw: raw}
		if err := theirs.Decode(); err != nil {
			t.Fatalf("wanted pion to read what we read, got %v", err)
		}
		if uint16(theirs.Type.Method) != m.method {
			t.Errorf("wanted method %#x, got %#x", theirs.Type.Method, m.method)
		}
		if m.integrity == 0 {
			return
		}
		key := []byte("key")
		if ours, pions := m.authentic(key), stun.MessageIntegrity(key).Check(theirs) == nil; ours && !pions {
			t.Error("wanted nothing authentic that pion refuses")
		}
		if cut := (&message{}); !cut.parse(m.unsigned()) {
			t.Error("wanted the unsigned message to be one")
		}
	})
}
