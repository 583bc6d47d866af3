package sipp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"rotunda/services/media/rtp"
)

// The recording is what SIPp reads: keys first, each ended three times, then the tone without a gap in numbers.
func TestARecordingHasKeysAndThenATone(t *testing.T) {
	b, err := record("1#", 440)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("127.0.0.1:6000")
	ends, voices, last := map[byte]int{}, 0, -1
	for b = b[24:]; len(b) > 16; {
		n := binary.LittleEndian.Uint32(b[8:])
		packet := b[16 : 16+n]
		b = b[16+n:]
		ip := packet[14:]
		var h rtp.Header
		payload, err := h.Parse(ip[28:])
		if err != nil {
			t.Fatal(err)
		}
		if last >= 0 && uint16(last+1) != h.Sequence {
			t.Fatalf("packet %d follows %d", h.Sequence, last)
		}
		last = int(h.Sequence)
		if h.PayloadType == 101 && payload[1]&0x80 != 0 {
			ends[payload[0]]++
			if voices > int(listens/(20*time.Millisecond))+20 {
				t.Error("a key comes after the tone has begun")
			}
		}
		if v := voice(ip, at); v != nil {
			if voices++; len(v) != frame {
				t.Fatalf("%d bytes of sound: want %d", len(v), frame)
			}
		}
	}
	if ends[1] != 3 || ends[11] != 3 || voices < 8000 {
		t.Errorf("want the keys 1 and # ended three times and three minutes of sound, got %v and %d packets", ends, voices)
	}
	if _, err := record("x", 440); err == nil {
		t.Error("x is taken for a key")
	}
}

func FuzzPacket(f *testing.F) {
	b, err := record("1", 440)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[24+16+14 : 24+16+14+28+16])
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := voice(b, netip.MustParseAddrPort("127.0.0.1:6000")); len(v) > len(b) {
			t.Error("longer than it came")
		}
	})
}
