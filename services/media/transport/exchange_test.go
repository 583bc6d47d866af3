package transport

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/rtp"
)

// meeting keeps the sources of the packets that come to an exchange.
type meeting struct {
	counter
	rtp, rtcp chan uint32
}

func (m *meeting) RTP(packet []byte, _ time.Time)  { m.rtp <- binary.BigEndian.Uint32(packet[8:]) }
func (m *meeting) RTCP(packet []byte, _ time.Time) { m.rtcp <- binary.BigEndian.Uint32(packet[4:]) }

func TestAnExchangeTakesFromAllAndSendsToEach(t *testing.T) {
	l := startLoop(t, Config{})
	var all [3]*Exchange
	var met [3]*meeting
	for i := range all {
		met[i] = &meeting{rtp: make(chan uint32, 1000), rtcp: make(chan uint32, 1000)}
		var err error
		if all[i], err = l.OpenExchange(loopback, met[i]); err != nil {
			t.Fatal(err)
		}
	}
	// More packets than one burst takes, of equal size.
	var packets [][]byte
	for range 3 * burstPackets {
		h := rtp.Header{SSRC: 1}
		packets = append(packets, append(h.Append(nil), make([]byte, 1900)...))
	}
	all[1].Send(all[0].Local(), packets)
	h := rtp.Header{SSRC: 2}
	all[2].SendOne(all[0].Local(), h.Append(nil))
	all[0].SendOne(all[2].Local(), rtp.AppendPLI(nil, 7, 2))
	count := map[uint32]int{}
	for range len(packets) + 1 {
		select {
		case ssrc := <-met[0].rtp:
			count[ssrc]++
		case <-time.After(patience):
			t.Fatalf("after %v only %v packets by source; want %d of 1 and one of 2", patience, count, len(packets))
		}
	}
	if count[1] != len(packets) || count[2] != 1 {
		t.Errorf("packets by source: want %d of 1 and one of 2, got %v", len(packets), count)
	}
	select {
	case ssrc := <-met[2].rtcp:
		if ssrc != 7 {
			t.Errorf("RTCP: want it from 7, got %d", ssrc)
		}
	case <-time.After(patience):
		t.Error("no RTCP came back")
	}
	if got := all[0].Local(); got.Addr() != loopback || slices.Contains([]uint16{all[1].Local().Port(), all[2].Local().Port()}, got.Port()) {
		t.Errorf("address of the exchange: want a port of its own on loopback, got %v", got)
	}
	if n := all[1].Stats().PacketsSent; n != uint64(len(packets)) {
		t.Errorf("packets sent: want %d, got %d", len(packets), n)
	}
}

func TestAnExchangeSendsWithoutAllocation(t *testing.T) {
	l := startLoop(t, Config{})
	m := &meeting{rtp: make(chan uint32, 100000), rtcp: make(chan uint32, 1)}
	x, err := l.OpenExchange(loopback, m)
	if err != nil {
		t.Fatal(err)
	}
	h := rtp.Header{SSRC: 1}
	packets := [][]byte{append(h.Append(nil), make([]byte, 1000)...)}
	if n := testing.AllocsPerRun(100, func() { x.Send(x.Local(), packets) }); n != 0 {
		t.Errorf("allocations for a packet: want 0, got %v", n)
	}
}
