package rtp

import (
	"math/rand"
	"testing"
	"time"
)

func TestNumbersAreExtendedOverWrapsAndReordering(t *testing.T) {
	var s Sequence
	random := rand.New(rand.NewSource(1))
	s.Extend(65_000)
	for i := range int64(300_000) {
		n := max(i+65_000-random.Int63n(500), 65_000)
		if got := s.Extend(uint16(n)); got != n {
			t.Fatalf("sequence %d: want %d, got %d", uint16(n), n, got)
		}
	}
	var ts Timestamp
	ts.Extend(4_000_000_000)
	for i := range int64(300_000) {
		stamp := max(4_000_000_000+i*90_000-random.Int63n(1_000_000_000), 4_000_000_000)
		if got := ts.Extend(uint32(stamp)); got != stamp {
			t.Fatalf("timestamp %d: want %d, got %d", uint32(stamp), stamp, got)
		}
	}
	var first Sequence
	first.Extend(2)
	if got := first.Extend(65535); got != -1 {
		t.Errorf("before the first wrap: want -1, got %d", got)
	}
	if !Newer(0, 65535) || Newer(65535, 0) || Newer(5, 5) || !NewerTimestamp(3, 0xFFFFFFF0) || NewerTimestamp(0xFFFFFFF0, 3) {
		t.Error("want the nearer way around the circle to decide what is newer")
	}
}

func TestReportsCountLossesAsInRFC3550(t *testing.T) {
	r := Reception{Clock: 8000}
	if _, ok := r.Report(1, epoch); ok {
		t.Error("want no report before the first packet")
	}
	at := epoch
	feed := func(numbers ...int) {
		for _, n := range numbers {
			at = at.Add(20 * time.Millisecond)
			r.Packet(uint16(n), uint32(n)*160, 172, at)
		}
	}
	for _, c := range []struct {
		what     string
		numbers  []int
		fraction uint8
		lost     int32
		highest  uint32
	}{
		{"nothing lost", []int{65533, 65534, 65535}, 0, 0, 65535},
		{"one of four lost, over a wrap", []int{65536, 65537, 65539}, 64, 1, 65539},
		{"it comes late", []int{65538, 65540}, 0, 0, 65540}, // fewer expected than received
		{"half lost", []int{65542, 65544, 65546, 65548}, 128, 4, 65548},
		{"duplicates hide it in the sum", []int{65548, 65548, 65548, 65548, 65548, 65548}, 0, -2, 65548},
		{"nothing came", nil, 0, -2, 65548},
	} {
		feed(c.numbers...)
		got, ok := r.Report(7, at)
		if !ok || got.SSRC != 7 || got.Fraction != c.fraction || got.Lost != c.lost || got.Highest != c.highest {
			t.Errorf("%s: want fraction %d, lost %d, highest %d; got %+v", c.what, c.fraction, c.lost, c.highest, got)
		}
	}
}

func TestAJumpOfTheSequenceIsBelievedOnlyTwice(t *testing.T) {
	r := Reception{Clock: 8000}
	at := epoch
	packet := func(n uint16) (int64, bool) {
		at = at.Add(20 * time.Millisecond)
		return r.Packet(n, uint32(n)*160, 100, at)
	}
	for n := range uint16(10) {
		packet(n)
	}
	if _, ok := packet(30000); ok {
		t.Error("want the first packet of a jump refused")
	}
	if e, ok := packet(10); !ok || e != 10 {
		t.Errorf("want the stream to go on with 10, got %d, %t", e, ok)
	}
	packet(30000)
	e, ok := packet(30001)
	if !ok || e != 65536+30001 {
		t.Errorf("want the second packet of a jump to be 95537, got %d, %t", e, ok)
	}
	if e, ok := packet(30002); !ok || e != 65536+30002 {
		t.Errorf("want the stream to go on with 95538, got %d, %t", e, ok)
	}
	if r.Lost() != 0 || r.Packets != 13 {
		t.Errorf("want 13 packets and none lost, got %d and %d", r.Packets, r.Lost())
	}
	// Late answers to NACK, one after the other, are no jump back.
	for n := uint16(30003); n < 31000; n++ {
		packet(n)
	}
	for _, n := range []uint16{30100, 30101} {
		if e, ok := packet(n); !ok || e != 65536+int64(n) {
			t.Errorf("late packet %d: want it taken, got %d, %t", n, e, ok)
		}
	}
}

func TestJitterIsTheMeanDeviationOfSpacing(t *testing.T) {
	for _, c := range []struct {
		what    string
		clock   int
		step    uint32
		wobble  time.Duration
		packets int // with one timestamp
		want    time.Duration
	}{
		{"even", 8000, 160, 0, 1, 0},
		{"every second packet 10 ms late", 8000, 160, 10 * time.Millisecond, 1, 10 * time.Millisecond},
		{"at 48 kHz", 48000, 960, 4 * time.Millisecond, 1, 4 * time.Millisecond},
		{"video frames of five packets", 90000, 1800, 0, 5, 0},
	} {
		r := Reception{Clock: c.clock}
		n := uint16(0)
		timestamp := uint32(0xFFFFFFFF - 1000) // wraps
		for i := range 500 {
			at := epoch.Add(time.Duration(i) * 20 * time.Millisecond)
			if i%2 == 1 {
				at = at.Add(c.wobble)
			}
			for k := range c.packets {
				r.Packet(n, timestamp, 100, at.Add(time.Duration(k)*2*time.Millisecond))
				n++
			}
			timestamp += c.step
		}
		if got := r.Jitter(); (got - c.want).Abs() > c.want/10 {
			t.Errorf("%s: want %v, got %v", c.what, c.want, got)
		}
		report, _ := r.Report(1, epoch)
		if got := time.Duration(report.Jitter) * time.Second / time.Duration(c.clock); (got - c.want).Abs() > c.want/10 {
			t.Errorf("%s: report: want %v, got %v", c.what, c.want, got)
		}
	}
}

func TestTheRoundTripComesFromReports(t *testing.T) {
	// A sender report goes out, takes 30 ms, is answered after 1.5 s, and the answer takes 50 ms.
	out := Transmission{Clock: 48000}
	if _, ok := out.Info(epoch); ok {
		t.Error("want no sender report before the first packet")
	}
	out.Packet(1000, 160, epoch)
	out.Packet(1960, 160, epoch.Add(20*time.Millisecond))
	info, ok := out.Info(epoch.Add(120 * time.Millisecond))
	if !ok || info.Packets != 2 || info.Octets != 320 || info.RTP != 1960+4800 {
		t.Errorf("want two packets of 320 bytes at timestamp 6760, got %+v", info)
	}
	in := Reception{Clock: 48000}
	in.Packet(1, 1000, 172, epoch)
	in.SenderReport(info, epoch.Add(150*time.Millisecond))
	report, _ := in.Report(1, epoch.Add(1650*time.Millisecond))
	got, ok := RoundTrip(report, epoch.Add(1700*time.Millisecond))
	if want := 80 * time.Millisecond; !ok || (got-want).Abs() > time.Millisecond {
		t.Errorf("want %v, got %v, %t", want, got, ok)
	}
	if got, ok := RoundTrip(Report{}, epoch); ok {
		t.Errorf("without a sender report: want none, got %v", got)
	}
	report.Delay += 1 << 20
	if got, ok := RoundTrip(report, epoch.Add(1700*time.Millisecond)); ok {
		t.Errorf("a delay longer than the trip: want none, got %v", got)
	}
}

func TestTwoStreamsAreInSyncByTheSendersClock(t *testing.T) {
	audio, video := SourceClock{Clock: 48000}, SourceClock{Clock: 90000}
	if _, ok := audio.Time(0); ok {
		t.Error("want no time before the first report")
	}
	audio.Report(SenderInfo{NTP: NTP(epoch), RTP: 0xFFFFFF00})
	video.Report(SenderInfo{NTP: NTP(epoch.Add(400 * time.Millisecond)), RTP: 7})
	want := epoch.Add(time.Second)
	audioTime, _ := audio.Time(48000 - 0x100)
	videoTime, _ := video.Time(7 + 54000)
	if (audioTime.Sub(want)).Abs() > time.Millisecond || (videoTime.Sub(want)).Abs() > time.Millisecond {
		t.Errorf("want both at %v, got %v and %v", want, audioTime, videoTime)
	}
	// A report that is 20 ms off moves the picture by 5 ms; one that is a second off is another clock.
	video.Report(SenderInfo{NTP: NTP(want.Add(20 * time.Millisecond)), RTP: 7 + 54000})
	if got, _ := video.Time(7 + 54000); (got.Sub(want) - 5*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("want a step of 5 ms, got %v", got.Sub(want))
	}
	video.Report(SenderInfo{NTP: NTP(want.Add(time.Second)), RTP: 7 + 54000})
	if got, _ := video.Time(7); (got.Sub(want) - 400*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("want 400 ms later, got %v", got.Sub(want))
	}
}
