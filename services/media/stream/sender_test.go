package stream

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// vp8Packet is a packet of a picture with temporal layers 0 2 1 2, of which frames have two packets.
func vp8Packet(frame, part int, key bool) []byte {
	layer := [...]byte{0, 2, 1, 2}[frame%4]
	first := byte(0x80)
	if part == 0 {
		first |= 0x10
	}
	tag := byte(1)
	if key {
		tag = 0
	}
	return []byte{first, 0xe0, 0x80 | byte(frame>>8), byte(frame), byte(frame / 4), layer<<6 | 0x20, tag, byte(frame), byte(part)}
}

// layered publishes frames from–to of such a picture; those in late come behind the frame after them, those in never do not.
func layered(t *testing.T, s *Stream, from, to int, late, never map[int]bool, now func(frame int) time.Time) {
	t.Helper()
	push := func(frame, part int) {
		p := Packet{Sequence: firstSequence + int64(2*frame+part), Timestamp: uint32(frame) * 3000, Marker: part == 1, Payload: vp8Packet(frame, part, frame%32 == 0)}
		if err := p.Describe(control.VP8); err != nil {
			t.Fatal(err)
		}
		if err := s.PublishPacket(&p, now(frame)); err != nil {
			t.Fatal(err)
		}
	}
	for i := from; i < to; i++ {
		if !late[i] && !never[i] {
			push(i, 0)
			push(i, 1)
		}
		if late[i-1] {
			push(i-1, 0)
			push(i-1, 1)
		}
	}
}

func frameTime(frame int) time.Time { return start.Add(time.Duration(frame) * time.Second / 30) }

type sentPacket struct {
	sequence uint16
	frame    int
	part     int
	picture  uint16
	empty    bool
}

func sent(t *testing.T, packets [][]byte) (out []sentPacket) {
	t.Helper()
	first := binary.BigEndian.Uint16(packets[0][2:])
	for _, p := range packets {
		s := sentPacket{sequence: binary.BigEndian.Uint16(p[2:]) - first}
		if s.empty = p[0]&0x20 != 0; !s.empty {
			var d vp8Descriptor
			body, err := d.parse(p[12:])
			if err != nil {
				t.Fatal(err)
			}
			s.frame, s.part, s.picture = int(body[1]), int(body[2]), d.picture
		}
		out = append(out, s)
	}
	return out
}

func TestLayersAreLeftOutWithoutAGap(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	var out wire
	sender := newSender(t, SenderOptions{Codec: control.VP8, Output: &out})
	sender.SetLayers(1)
	if err := sender.Switch(s, start); err != nil {
		t.Fatal(err)
	}
	layered(t, s, 0, 8, nil, nil, frameTime)
	sender.SetLayers(0)
	layered(t, s, 8, 16, nil, nil, frameTime)
	sender.SetLayers(AllLayers)
	layered(t, s, 16, 20, nil, nil, frameTime)
	var frames []int
	for i, p := range sent(t, out.packets) {
		if int(p.sequence) != i {
			t.Errorf("packet %d: got sequence number %d", i, p.sequence)
		}
		if want := uint16(i/2) + 1; p.picture != want {
			t.Errorf("packet %d: got picture ID %d, want %d", i, p.picture, want)
		}
		if p.part == 0 {
			frames = append(frames, p.frame)
		}
	}
	// Layer 2 may begin at once at frame 17, which says that it needs nothing of its layer.
	if want := []int{0, 2, 4, 6, 8, 12, 16, 17, 18, 19}; !slices.Equal(frames, want) {
		t.Errorf("got frames %v, want %v", frames, want)
	}
	// Every packet can be had again, the same to the last byte.
	n := len(out.packets)
	now := frameTime(20)
	for _, p := range slices.Clone(out.packets) {
		sender.HandleNACK([]uint16{binary.BigEndian.Uint16(p[2:])}, now)
	}
	for i, p := range out.packets[n:] {
		if !bytes.Equal(p, out.packets[i]) {
			t.Errorf("packet %d again: got %x, want %x", i, p, out.packets[i])
		}
	}
	if got := len(out.packets) - n; got != n {
		t.Errorf("got %d packets again, want %d", got, n)
	}
}

func TestALateFrameOfALayerThatIsLeftOutFillsItsGapWithNothing(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	var out wire
	sender := newSender(t, SenderOptions{Codec: control.VP8, Output: &out})
	sender.SetLayers(0)
	if err := sender.Switch(s, start); err != nil {
		t.Fatal(err)
	}
	// Frame 4 is of layer 0 and comes late, frame 5 of layer 2 does too.
	layered(t, s, 0, 4, nil, nil, frameTime)
	layered(t, s, 4, 9, map[int]bool{4: true, 6: true}, nil, frameTime)
	seen := map[uint16]bool{}
	var highest uint16
	for _, p := range sent(t, out.packets) {
		if seen[p.sequence] {
			t.Errorf("number %d was used twice", p.sequence)
		}
		seen[p.sequence] = true
		highest = max(highest, p.sequence)
		if p.empty != (p.frame == 0 && p.sequence > 1) {
			t.Errorf("packet %+v", p)
		}
		if !p.empty && p.frame%4 != 0 {
			t.Errorf("frame %d of a layer that is left out was sent", p.frame)
		}
	}
	for n := range highest {
		if !seen[n] {
			t.Errorf("number %d was never used", n)
		}
	}
}

func TestARepeatedPacketIsTheSameToTheLastByte(t *testing.T) {
	f := &fan{stream: New(Options{Codec: control.VP8})}
	var out wire
	var numbers counter
	sender := newSender(t, SenderOptions{Codec: control.VP8, MID: "a", MIDExtension: 1, SendTimeExtension: 2, TransportSequence: 3, Congestion: &numbers, Output: &out})
	if err := sender.Switch(f.stream, start); err != nil {
		t.Fatal(err)
	}
	layered(t, f.stream, 0, 10, nil, nil, frameTime)
	n := len(out.packets)
	for _, p := range slices.Clone(out.packets) {
		sender.HandleNACK([]uint16{binary.BigEndian.Uint16(p[2:])}, frameTime(12))
	}
	if len(out.packets) != 2*n {
		t.Fatalf("got %d packets again, want %d", len(out.packets)-n, n)
	}
	for i := range n {
		if !bytes.Equal(out.packets[i], out.packets[n+i]) {
			t.Errorf("packet %d: got %x again, want %x", i, out.packets[n+i], out.packets[i])
		}
	}
	if int(numbers) != n {
		t.Errorf("got %d transport sequence numbers, want %d", numbers, n)
	}
}

func TestALargeFrameIsSpreadOverTime(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	var out wire
	sender := newSender(t, SenderOptions{Codec: control.VP8, PaceBitrate: 4_000_000, Output: &out}) // 500 bytes a ms
	if err := sender.Switch(s, start); err != nil {
		t.Fatal(err)
	}
	p, err := NewPacketizer(control.VP8, 1004, 0)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := p.Split(make([]byte, 100_000))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(payloads, 3000, start); err != nil {
		t.Fatal(err)
	}
	if n := len(out.packets); n < 10 || n > 20 {
		t.Errorf("got %d packets at once, want about 16 KB", n)
	}
	now := start
	for i := 0; len(out.packets) < 100 && i < 100; i++ {
		before := len(out.packets)
		now = now.Add(5 * time.Millisecond)
		sender.Tick(now)
		if n := len(out.packets) - before; n > 3 {
			t.Fatalf("got %d packets in 5 ms, want at most 3", n)
		}
	}
	if late := now.Sub(start); len(out.packets) != 100 || late < 160*time.Millisecond || late > 190*time.Millisecond {
		t.Errorf("got %d packets after %v, want 100 after about 170 ms", len(out.packets), late)
	}
	for i, packet := range out.packets {
		if n := binary.BigEndian.Uint16(packet[2:]) - binary.BigEndian.Uint16(out.packets[0][2:]); int(n) != i {
			t.Fatalf("packet %d: got number %d", i, n)
		}
	}
	if last := out.packets[99]; last[1]&0x80 == 0 {
		t.Error("the last packet has no marker")
	}
}

func TestPacketsOfOneReceiveCallLeaveInOneBurst(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	r, err := NewReceiver(ReceiverOptions{SSRC: 1, Formats: formats(control.VP8), Stream: s, Batch: true, Feedback: &silent{}, Unit: func(u *AccessUnit) { u.Release() }, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	var out wire
	if err := newSender(t, SenderOptions{Codec: control.VP8, Output: &out}).Switch(s, start); err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		packet := append([]byte{0x80, 96, 0, byte(i), 0, 0, 0, 0, 0, 0, 0, 1}, vp8Packet(0, min(i, 1), true)...)
		if err := r.Push(packet, start); err != nil {
			t.Fatal(err)
		}
	}
	r.Flush(start)
	r.Flush(start)
	var got []int
	for _, b := range out.bursts {
		got = append(got, len(b))
	}
	if want := []int{64, 64, 22}; !slices.Equal(got, want) {
		t.Errorf("got bursts of %v packets, want %v", got, want)
	}
}

func TestASourceThatBeginsAnewGoesOnForTheReceiver(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	r, err := NewReceiver(ReceiverOptions{SSRC: 1, Formats: formats(control.VP8), Stream: s, Feedback: &silent{}, Unit: func(u *AccessUnit) { u.Release() }, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	var out wire
	if err := newSender(t, SenderOptions{Codec: control.VP8, Output: &out}).Switch(s, start); err != nil {
		t.Fatal(err)
	}
	push := func(sequence uint16, timestamp uint32, frame, part int, now time.Time) {
		t.Helper()
		packet := append([]byte{0x80, 96, byte(sequence >> 8), byte(sequence), 0, 0, 0, 0, 0, 0, 0, 1}, vp8Packet(frame, part, frame == 0)...)
		binary.BigEndian.PutUint32(packet[4:], timestamp)
		if err := r.Push(packet, now); err != nil {
			t.Fatal(err)
		}
	}
	push(65535, 9000, 0, 0, start)
	push(0, 9000, 0, 1, start)
	// Another sequence, and timestamps from long ago. The first packet is not believed.
	now := start.Add(100 * time.Millisecond)
	push(30_000, 5, 0, 0, now)
	push(30_001, 5, 0, 1, now)
	push(30_002, 3005, 1, 0, now)
	var numbers []uint16
	var times []uint32
	for _, p := range out.packets {
		numbers = append(numbers, binary.BigEndian.Uint16(p[2:])-65530)
		times = append(times, binary.BigEndian.Uint32(p[4:])-binary.BigEndian.Uint32(out.packets[0][4:]))
	}
	if want := []uint16{0, 1, 2, 3}; !slices.Equal(numbers, want) {
		t.Errorf("got numbers %v, want %v", numbers, want)
	}
	if want := []uint32{0, 0, 9000, 12000}; !slices.Equal(times, want) {
		t.Errorf("got timestamps %v, want %v", times, want)
	}
}

func TestPaddingOfASourceLeavesNoGap(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	var got sink
	r, err := NewReceiver(ReceiverOptions{SSRC: 1, Formats: formats(control.VP8), Stream: s, Feedback: &got, Unit: got.take, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	r.SetDecode(true, start)
	var out wire
	if err := newSender(t, SenderOptions{Codec: control.VP8, Output: &out}).Switch(s, start); err != nil {
		t.Fatal(err)
	}
	order := []int{0, 1, 2, 3, 5, 4, 6, 7, 8, 9} // by number; 2, 4, 6 and 7 are padding, 4 comes late
	frame := map[int][2]int{0: {0, 0}, 1: {0, 1}, 3: {1, 0}, 5: {1, 1}, 8: {2, 0}, 9: {2, 1}}
	for _, n := range order {
		packet := []byte{0x80, 96, 0, byte(n), 0, 0, 0, 0, 0, 0, 0, 1}
		if f, ok := frame[n]; ok {
			packet = append(packet, vp8Packet(f[0], f[1], false)...)
			packet[7] = byte(f[0])
			if f[1] == 1 {
				packet[1] |= 0x80
			}
			if f[0] == 0 {
				packet = append(packet[:12], 0x90^byte(f[1])<<4, 0xe0, 0x80, 0, 0, 0)
				packet = append(packet, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0)
			}
		} else {
			packet[0] |= 0x20
			packet = append(packet, 0, 0, 3)
		}
		if err := r.Push(packet, start); err != nil {
			t.Fatal(err)
		}
	}
	var numbers []uint16
	for _, p := range out.packets {
		numbers = append(numbers, binary.BigEndian.Uint16(p[2:])-65530)
	}
	// 4 was missing when 5 came: it has a number, and is as empty as it was.
	if want := []uint16{0, 1, 2, 4, 3, 5, 6}; !slices.Equal(numbers, want) {
		t.Errorf("got numbers %v, want %v", numbers, want)
	}
	if len(got.units) != 3 {
		t.Errorf("got %d access units, want 3", len(got.units))
	}
}

func TestAShortPictureIDBecomesALongOne(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	for i, c := range []struct{ id, want uint16 }{{120, 120}, {127, 127}, {0, 128}, {126, 126}, {5, 133}, {100, 100}} {
		if got := s.unwrapPicture(c.id, 0x7f); got != c.want {
			t.Errorf("step %d: got %d of %d, want %d", i, got, c.id, c.want)
		}
	}
}

func TestTheCacheHoldsASecondAndIsBounded(t *testing.T) {
	body := make([]byte, 1100)
	for _, c := range []struct {
		name      string
		packets   int // a second
		wantBytes int
		wantWhole bool
	}{
		{"a small layer", 50, MinCache, true},
		{"2 Mbit/s", 230, 512 << 10, true},
		{"10 Mbit/s", 1100, MaxCache, true},
		{"more than the bound", 5000, MaxCache, false},
	} {
		cache := newCache()
		now := int64(0)
		for i := range int64(3 * c.packets) {
			now += int64(time.Second) / int64(c.packets)
			body[0], body[1] = byte(i>>8), byte(i)
			cache.store(i, body, now)
		}
		if got := len(cache.bytes); got != c.wantBytes {
			t.Errorf("%s: got a cache of %d bytes, want %d", c.name, got, c.wantBytes)
		}
		found := 0
		for i := range int64(3 * c.packets) {
			e := cache.find(i, now)
			if e == nil {
				continue
			}
			found++
			if b := cache.body(e); len(b) != len(body) || b[0] != byte(i>>8) || b[1] != byte(i) {
				t.Fatalf("%s: packet %d has the body of another", c.name, i)
			}
		}
		if whole := found >= c.packets; whole != c.wantWhole || found > c.packets+1 {
			t.Errorf("%s: got %d packets of the last second, %d were sent", c.name, found, c.packets)
		}
	}
}

func TestSubscriptionsChangeWhileFramesAreSent(t *testing.T) {
	streams := []*Stream{New(Options{Codec: control.VP8}), New(Options{Codec: control.VP8})}
	var group sync.WaitGroup
	for _, s := range streams {
		group.Go(func() {
			layered(t, s, 0, 500, nil, nil, frameTime)
		})
	}
	for i := range 4 {
		group.Go(func() {
			var out wire
			sender := newSender(t, SenderOptions{Codec: control.VP8, Output: &out, PaceBitrate: 1_000_000})
			for j := range 300 {
				now := frameTime(j)
				if err := sender.Switch(streams[(i+j)%2], now); err != nil {
					t.Error(err)
				}
				sender.HandleNACK([]uint16{uint16(65530 + j)}, now)
				sender.Tick(now)
				sender.SetLayers(uint8(j % 3))
				sender.Report(now)
				sender.RequestKey(now)
			}
			sender.Close()
			for j, p := range out.packets {
				if p[0]>>6 != 2 || p[1]&0x7f != 96 {
					t.Errorf("packet %d: got %x", j, p[:12])
				}
			}
		})
	}
	group.Wait()
	for _, s := range streams {
		if n := s.Subscribers(); n != 0 {
			t.Errorf("got %d subscribers after all senders were closed, want none", n)
		}
		s.Close()
	}
}

func TestReportsFollowTheEarliestFrames(t *testing.T) {
	var m mapping
	at := int64(0)
	for i := range 300 {
		late := int64(i%5) * int64(10*time.Millisecond) // jitter of 0 to 40 ms
		at = int64(i) * int64(time.Second) / 30
		m.note(uint32(i)*3000, at+late)
	}
	got := int64(int32(m.timestamp(at)-299*3000)) * 1e5 / 9
	if got < -int64(2*time.Millisecond) || got > int64(time.Millisecond) {
		t.Errorf("got a mapping that is %v off", time.Duration(got))
	}
}
