package callbridge

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

func TestAHostThatAnswersIsReachable(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		buffer := make([]byte, 1500)
		for n := 0; ; n++ {
			k, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			q := &stun.Message{Raw: append([]byte(nil), buffer[:k]...)}
			if q.Decode() != nil || q.Type != stun.BindingRequest {
				continue
			}
			if n == 0 {
				continue // the first question is lost
			}
			other, _ := stun.Build(stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 66), Port: 6})
			_, _ = conn.WriteTo(other.Raw, from) // an answer to nobody's question
			a, _ := stun.Build(stun.NewTransactionIDSetter(q.TransactionID), stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(198, 51, 100, 1), Port: 5000})
			_, _ = conn.WriteTo(a.Raw, from)
		}
	}()
	h := askTURN(t.Context(), conn.LocalAddr().(*net.UDPAddr).AddrPort())
	if !h.Reachable || h.Mapped != "198.51.100.1" || h.MappedPort != 5000 || h.RoundTrip <= 0 || !h.AllocationsUnknown || h.Address != "127.0.0.1" {
		t.Errorf("got %+v, want it reachable, and us at 198.51.100.1:5000", h)
	}
}

func TestAHostThatDoesNotAnswerIsNot(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	defer conn.Close()
	for what, at := range map[string]netip.AddrPort{"one that is silent": silent, "no address": netip.MustParseAddrPort("255.255.255.255:3478")} {
		if h := askTURN(t.Context(), at); h.Reachable || h.Mapped != "" {
			t.Errorf("%s: got %+v, want it not reachable", what, h)
		}
	}
}

func FuzzMappedAddress(f *testing.F) {
	a, err := stun.Build(stun.NewTransactionIDSetter([12]byte{1}), stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(198, 51, 100, 1), Port: 5000})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Raw)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if mapped, err := parseMapped(packet, [12]byte{1}); err == nil && len(mapped.IP) != net.IPv4len && len(mapped.IP) != net.IPv6len {
			t.Errorf("an address of %d bytes", len(mapped.IP))
		}
	})
}
