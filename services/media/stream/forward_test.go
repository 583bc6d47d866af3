package stream

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// null is an Output that counts.
type null struct{ packets, bytes int }

func (n *null) SendVideo(packets [][]byte) {
	n.packets += len(packets)
	for _, p := range packets {
		n.bytes += len(p)
	}
}

// counter numbers packets of a transport.
type counter uint16

func (c *counter) Next(int, time.Time) uint16 {
	*c++
	return uint16(*c)
}

// fan is a forwarded picture with a number of senders that carry it already.
type fan struct {
	receiver *Receiver
	stream   *Stream
	out      null
	packet   []byte
	now      time.Time
}

func newFan(t testing.TB, codec string, senders int) *fan {
	t.Helper()
	f := &fan{stream: New(Options{Codec: codec}), now: start}
	var err error
	f.receiver, err = NewReceiver(ReceiverOptions{SSRC: 1, Formats: formats(codec), NACK: true, Stream: f.stream, Feedback: &silent{},
		Unit: func(u *AccessUnit) { u.Release() }, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	var numbers counter
	for range senders {
		s := newSender(t, SenderOptions{Codec: codec, MID: "video", MIDExtension: 3, TransportSequence: 5, Congestion: &numbers, SendTimeExtension: 2, Output: &f.out})
		if err := s.Switch(f.stream, f.now); err != nil {
			t.Fatal(err)
		}
	}
	f.packet = make([]byte, 12+1160)
	f.packet[0], f.packet[1], f.packet[11] = 0x80, 96, 1
	key := []byte{0x7c, 0x85, 0x88} // FU-A, first fragment of an IDR slice
	later := []byte{0x5c, 0x01, 0x10}
	if codec == control.VP8 {
		key = []byte{0x90, 0xe0, 0x80, 0x01, 1, 0x00, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1}
		later = []byte{0x80, 0xe0, 0x80, 0x01, 1, 0x00, 0x11}
	}
	copy(f.packet[12:], key)
	f.push(t)
	copy(f.packet[12:], later)
	if f.out.packets != senders {
		t.Fatalf("got %d copies of the key frame, want %d", f.out.packets, senders)
	}
	return f
}

func (f *fan) push(t testing.TB) {
	n := binary.BigEndian.Uint16(f.packet[2:]) + 1
	binary.BigEndian.PutUint16(f.packet[2:], n)
	binary.BigEndian.PutUint32(f.packet[4:], uint32(n)*300)
	f.now = f.now.Add(3 * time.Millisecond)
	if err := f.receiver.Push(f.packet, f.now); err != nil {
		t.Fatal(err)
	}
}

func TestForwardingAllocatesNothing(t *testing.T) {
	for _, codec := range []string{control.H264, control.VP8} {
		f := newFan(t, codec, 20)
		f.receiver.SetDecode(true, f.now)
		for range 2000 { // until the cache has grown and gone round
			f.push(t)
		}
		before := f.out.packets
		if n := testing.AllocsPerRun(1000, func() { f.push(t) }); n != 0 {
			t.Errorf("%s: got %v allocations a packet, want none", codec, n)
		}
		if sent := f.out.packets - before; sent != 20*1001 {
			t.Errorf("%s: got %d packets sent, want %d", codec, sent, 20*1001)
		}
	}
}

func TestPublishingAllocatesNothing(t *testing.T) {
	s := New(Options{Codec: control.VP8})
	var out null
	for range 20 {
		if err := newSender(t, SenderOptions{Codec: control.VP8, Output: &out}).Switch(s, start); err != nil {
			t.Fatal(err)
		}
	}
	p, err := NewPacketizer(control.VP8, 1100, 0)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 9000) // its first bit makes it a key frame
	now, timestamp := start, uint32(0)
	publish := func() {
		now, timestamp = now.Add(33*time.Millisecond), timestamp+3000
		payloads, err := p.Split(frame)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Publish(payloads, timestamp, now); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		publish()
	}
	if n := testing.AllocsPerRun(200, publish); n != 0 {
		t.Errorf("got %v allocations a frame, want none", n)
	}
	if out.packets != 401*9*20 {
		t.Errorf("got %d packets, want %d", out.packets, 401*9*20)
	}
}

func TestAnswersToNACKAllocateNothing(t *testing.T) {
	f := newFan(t, control.H264, 1)
	for range 500 {
		f.push(t)
	}
	sender := (*f.stream.senders.Load())[0]
	list := make([]uint16, 1)
	if n := testing.AllocsPerRun(500, func() {
		f.push(t)
		list[0] = uint16(sender.nextOut - 20)
		sender.HandleNACK(list, f.now)
	}); n > 0.05 { // the scratch buffer's pool is emptied now and then
		t.Errorf("got %v allocations an answer, want none", n)
	}
	if c := sender.Counts(); c.Resent != 501 {
		t.Errorf("got %+v, want a packet again each time", c)
	}
}

func BenchmarkForward(b *testing.B) {
	for _, codec := range []string{control.H264, control.VP8} {
		for _, n := range []int{1, 100, 500} {
			b.Run(fmt.Sprintf("%s/%d", codec, n), func(b *testing.B) {
				f := newFan(b, codec, n)
				b.ReportAllocs()
				for b.Loop() {
					f.push(b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/copy")
			})
		}
	}
}

// BenchmarkReceive is a packet that nobody sends on: with and without assembly.
func BenchmarkReceive(b *testing.B) {
	for _, decode := range []bool{false, true} {
		b.Run(fmt.Sprintf("decode=%t", decode), func(b *testing.B) {
			f := newFan(b, control.VP8, 0)
			f.receiver.SetDecode(decode, f.now)
			b.ReportAllocs()
			for b.Loop() {
				f.push(b)
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	frame := append([]byte{0, 0, 0, 1, 0x41}, make([]byte, 9000)...)
	for i := range frame[5:] {
		frame[5+i] = byte(i%251) + 1
	}
	p, err := NewPacketizer(control.H264, 1100, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, err := p.Split(frame); err != nil {
			b.Fatal(err)
		}
	}
}
