package rtp

import (
	"testing"
	"time"
)

// press is the packets of one key press.
type press struct {
	payload   []byte
	timestamp uint32
	marker    bool
}

func pressKey(t testing.TB, key byte, timestamp uint32, clock int, length time.Duration) (packets []press) {
	t.Helper()
	k, err := NewKeyPress(key, timestamp, clock, length, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for {
		payload, timestamp, marker, ok := k.Next(nil)
		if !ok {
			return packets
		}
		packets = append(packets, press{payload, timestamp, marker})
	}
}

func hear(k *Keys, from time.Time, packets []press) (keys string) {
	for i, p := range packets {
		if key, ok := k.Packet(p.payload, p.timestamp, p.marker, from.Add(time.Duration(i)*20*time.Millisecond)); ok {
			keys += string(key)
		}
	}
	return keys
}

func TestAPressIsOneEventWhateverIsLost(t *testing.T) {
	for _, clock := range []int{8000, 48000} {
		all := pressKey(t, '5', 0xFFFFFF00, clock, 100*time.Millisecond)
		for mask := 1; mask < 1<<len(all); mask++ {
			var some []press
			for i, p := range all {
				if mask>>i&1 == 1 {
					some = append(some, p)
				}
			}
			var k Keys
			if got := hear(&k, epoch, some); got != "5" {
				t.Fatalf("%d Hz, packets %b: want 5, got %q", clock, mask, got)
			}
		}
	}
}

func TestAPressIsSentAsInRFC4733(t *testing.T) {
	packets := pressKey(t, '#', 1000, 8000, 50*time.Millisecond) // rounded to 60 ms
	if len(packets) != 5 {
		t.Fatalf("want 3 packets and two more ends, got %d", len(packets))
	}
	for i, p := range packets {
		duration := int(p.payload[2])<<8 | int(p.payload[3])
		if want := 160 * min(i+1, 3); duration != want {
			t.Errorf("packet %d: want a duration of %d, got %d", i, want, duration)
		}
		if end := p.payload[1]&keyEnd != 0; end != (i >= 2) || p.marker != (i == 0) || p.timestamp != 1000 || p.payload[0] != 11 {
			t.Errorf("packet %d: want # from 1000 with the end in the last three and the marker in the first, got %+v", i, p)
		}
	}
}

func TestKeysInARowAreToldApart(t *testing.T) {
	var k Keys
	at, timestamp := epoch, uint32(0xFFFFF000)
	const keys = "0123456789*#ABCD00##"
	got := ""
	for _, key := range []byte(keys) {
		packets := pressKey(t, key, timestamp, 8000, 80*time.Millisecond)
		packets = packets[1 : len(packets)-3] // the first and all ends are lost
		got += hear(&k, at, packets)
		at = at.Add(200 * time.Millisecond)
		timestamp += 1600
	}
	if got != keys {
		t.Errorf("want %s, got %s", keys, got)
	}
}

func TestAPacketThatComesLateIsNoNewPress(t *testing.T) {
	var k Keys
	one := pressKey(t, '1', 1000, 8000, 80*time.Millisecond)
	two := pressKey(t, '2', 3000, 8000, 80*time.Millisecond)
	if got := hear(&k, epoch, append(append(one[:3:3], two...), one[3:]...)); got != "12" {
		t.Errorf("want 12, got %s", got)
	}
}

func TestALongPressIsOneEventAtAnyClock(t *testing.T) {
	for _, clock := range []int{8000, 48000} {
		all := pressKey(t, '7', 5, clock, 20*time.Second)
		segments := 0
		for i, p := range all {
			if i == 0 || p.timestamp != all[i-1].timestamp {
				segments++
			}
		}
		if want := 20*clock/maxDuration + 1; segments != want {
			t.Errorf("%d Hz: want %d segments, got %d", clock, want, segments)
		}
		for _, lose := range []int{0, 2, 3, 7} {
			var some []press
			for i, p := range all {
				if lose == 0 || i%lose != 1 {
					some = append(some, p)
				}
			}
			var k Keys
			if got := hear(&k, epoch, some); got != "7" {
				t.Errorf("%d Hz, one of %d lost: want 7, got %q", clock, lose, got)
			}
		}
	}
}

func TestASenderThatStartsItsClockOverIsHeard(t *testing.T) {
	var k Keys
	got := hear(&k, epoch, pressKey(t, '1', 1_000_000, 8000, 80*time.Millisecond))
	got += hear(&k, epoch.Add(10*time.Second), pressKey(t, '2', 5, 8000, 80*time.Millisecond))
	if got != "12" {
		t.Errorf("want 12, got %s", got)
	}
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	var k Keys
	for _, payload := range [][]byte{nil, {1, 2, 3}, {16, 0, 0, 1}, {255, 0x80, 0, 1}} {
		if key, ok := k.Packet(payload, 1, true, epoch); ok {
			t.Errorf("payload %x: want none, got %c", payload, key)
		}
	}
	if _, err := NewKeyPress('E', 0, 8000, time.Second, 20*time.Millisecond); err == nil {
		t.Error("want key E refused")
	}
	if _, err := NewKeyPress('1', 0, 8000, time.Second, 0); err == nil {
		t.Error("want packets of no length refused")
	}
}

// FuzzKeys takes any packets; there is never more than one event a packet, and only keys.
func FuzzKeys(f *testing.F) {
	var seed []byte
	for _, p := range pressKey(f, '9', 0, 8000, 60*time.Millisecond) {
		seed = append(seed, p.payload...)
	}
	f.Add(seed, uint32(160))
	f.Add([]byte{3, 0x80, 0xFF, 0xFF, 3, 0, 0xFF, 0xFF}, uint32(0xFFFF))
	f.Fuzz(func(t *testing.T, b []byte, step uint32) {
		var k Keys
		for i := 0; i+3 <= len(b); i += 3 {
			key, ok := k.Packet(b[i:min(i+5, len(b))], uint32(i)*step, b[i]&0x40 != 0, epoch.Add(time.Duration(b[i])*100*time.Millisecond))
			if ok && (key < '#' || key > 'D') {
				t.Fatalf("want a key, got %q", key)
			}
		}
	})
}

func TestNamesAndSourcesAreRandom(t *testing.T) {
	names, sources := map[string]bool{}, map[uint32]bool{0: true}
	for range 1000 {
		name, source := NewCNAME(), NewSSRC()
		if len(name) != 16 || names[name] || sources[source] {
			t.Fatalf("want a new name of 16 characters and a new source, got %q and %d", name, source)
		}
		names[name], sources[source] = true, true
	}
}
