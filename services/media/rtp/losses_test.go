package rtp

import (
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testRoundTrip = 80 * time.Millisecond

func TestAGapIsAskedForAfterReorderingHadItsTime(t *testing.T) {
	var l Losses
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	for _, n := range []uint16{65533, 65534, 2, 3} { // 65535, 0, 1 are missing
		l.Received(n, at(0))
	}
	l.Received(0, at(5)) // reordered
	for _, c := range []struct {
		ms   int
		want []uint16
	}{
		{9, nil},
		{10, []uint16{65535, 1}},
		{100, nil},
		{110, []uint16{65535, 1}}, // a round trip and a quarter later
	} {
		if got, given := l.Due(nil, at(c.ms), testRoundTrip); !cmp.Equal(c.want, got) || given != 0 {
			t.Errorf("after %d ms: want %v, got %v with %d given up", c.ms, c.want, got, given)
		}
	}
	if !l.Received(1, at(120)) {
		t.Error("want a packet that was asked for to be a repair")
	}
	if l.Received(1, at(121)) {
		t.Error("want its duplicate to be none")
	}
	if got, _ := l.Due(nil, at(300), testRoundTrip); !cmp.Equal([]uint16{65535}, got) {
		t.Errorf("want only 65535, got %v", got)
	}
}

func TestALossIsGivenUpInTheEnd(t *testing.T) {
	for _, roundTrip := range []time.Duration{5 * time.Millisecond, testRoundTrip, 600 * time.Millisecond} {
		var l Losses
		l.Received(1, epoch)
		l.Received(3, epoch)
		asked, lost := 0, 0
		var last time.Duration
		for at := time.Duration(0); at < 3*time.Second; at += 10 * time.Millisecond {
			due, given := l.Due(nil, epoch.Add(at), roundTrip)
			asked += len(due)
			lost += given
			if given > 0 {
				last = at
			}
		}
		if asked < 2 || asked > maxTries || lost != 1 || last > giveUp+roundTrip || l.Missing() != 0 {
			t.Errorf("round trip %v: want 2 to %d requests and to give up within %v, got %d and %d given up at %v", roundTrip, maxTries, giveUp+roundTrip, asked, lost, last)
		}
	}
}

func TestAGapTooLargeWantsAKeyFrame(t *testing.T) {
	var l Losses
	l.Received(1, epoch)
	l.Received(3, epoch)
	l.Received(3+maxMissing+2, epoch)
	due, given := l.Due(nil, epoch.Add(time.Second/2), testRoundTrip)
	if len(due) != 0 || given != maxMissing+2 {
		t.Errorf("want nothing asked for and %d given up, got %v and %d", maxMissing+2, due, given)
	}
	// Many small gaps: the oldest go.
	n := uint16(3 + maxMissing + 2)
	for range maxMissing + 10 {
		n += 2
		l.Received(n, epoch)
	}
	if due, given = l.Due(nil, epoch.Add(time.Second/2), testRoundTrip); len(due) != maxMissing || given != 10 {
		t.Errorf("want %d asked for and 10 given up, got %d and %d", maxMissing, len(due), given)
	}
}

func TestAKeyFrameEndsWhatWasBeforeIt(t *testing.T) {
	var l Losses
	for _, n := range []uint16{10, 12, 14, 20} {
		l.Received(n, epoch)
	}
	l.Forget(14)
	if due, _ := l.Due(nil, epoch.Add(time.Second/2), testRoundTrip); !cmp.Equal([]uint16{15, 16, 17, 18, 19}, due) {
		t.Errorf("want 15 to 19, got %v", due)
	}
}

func TestASenderThatBeginsAnewWantsAKeyFrame(t *testing.T) {
	var l Losses
	l.Received(5000, epoch)
	l.Received(5002, epoch)
	l.Received(100, epoch)
	l.Received(102, epoch)
	due, given := l.Due(nil, epoch.Add(time.Second/2), testRoundTrip)
	if !cmp.Equal([]uint16{101}, due) || given != 2 {
		t.Errorf("want 101 asked for and the old loss and the gap given up, got %v and %d", due, given)
	}
}

func TestLossesStayInBoundsWhateverComes(t *testing.T) {
	var l Losses
	random := rand.New(rand.NewSource(1))
	buffer := make([]uint16, 0, maxMissing)
	now := epoch
	if n := testing.AllocsPerRun(20_000, func() {
		now = now.Add(time.Millisecond)
		l.Received(uint16(random.Intn(1000)*random.Intn(1000)), now)
		due, _ := l.Due(buffer, now, testRoundTrip)
		if len(due) > maxMissing || l.Missing() > maxMissing {
			t.Fatalf("want at most %d, got %d due and %d missing", maxMissing, len(due), l.Missing())
		}
	}); n != 0 {
		t.Errorf("want no allocation, got %v", n)
	}
}

func TestKeyFramesAreAskedForOnceASecondUntilOneComes(t *testing.T) {
	var k KeyFrames
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	if k.Due(at(0)) {
		t.Error("want no request before somebody wants one")
	}
	for _, c := range []struct {
		what string
		do   func()
		ms   int
		due  bool
		sent uint8
	}{
		{"wanted", k.Want, 0, true, 1},
		{"wanted again at once", k.Want, 10, false, 1},
		{"not there after a second", func() {}, 1000, true, 1}, // a repeat has the same number
		{"it came", k.Came, 1200, false, 1},
		{"nobody wants one", func() {}, 5000, false, 1},
		{"wanted anew", k.Want, 5001, true, 2},
		{"it came", k.Came, 5100, false, 2},
		{"wanted too soon", k.Want, 5200, false, 2},
		{"a second after the last", func() {}, 6001, true, 3},
	} {
		c.do()
		if got := k.Due(at(c.ms)); got != c.due || k.Number != c.sent {
			t.Errorf("%s: want %t with number %d, got %t with %d", c.what, c.due, c.sent, got, k.Number)
		}
	}
	if k.Asked != 4 {
		t.Errorf("want 4 requests counted, got %d", k.Asked)
	}
}

func TestARepeatedFIRAsksForNothing(t *testing.T) {
	var k KeyFrames
	k.WantNumber(0)
	if !k.Wanted() {
		t.Error("want the first FIR to count, whatever its number")
	}
	k.Came()
	k.WantNumber(0)
	if k.Wanted() {
		t.Error("want its repeat to ask for nothing")
	}
	k.WantNumber(1)
	if !k.Wanted() {
		t.Error("want the next one to count")
	}
}

func TestAFloodIsCutToTheRate(t *testing.T) {
	for _, c := range []struct {
		what           string
		packets, bytes int
		size           int
		every          time.Duration
		from, to       int // allowed in ten seconds
	}{
		{"within both", 100, 100_000, 200, 20 * time.Millisecond, 500, 500},
		{"too many packets", 100, 1_000_000, 200, time.Millisecond, 1090, 1100},
		{"too many bytes", 1000, 100_000, 1000, time.Millisecond, 1090, 1100},
		{"a packet larger than a second's bytes", 10, 1000, 1500, time.Second, 10, 10},
	} {
		f := NewFlood(c.packets, c.bytes, time.Second)
		allowed, all, reports, reported := 0, 0, 0, uint64(0)
		for at := time.Duration(0); at < 10*time.Second; at += c.every {
			all++
			if f.Allow(c.size, epoch.Add(at)) {
				allowed++
			}
			if n, ok := f.Report(epoch.Add(at)); ok {
				reports++
				reported += n
			}
		}
		if allowed < c.from || allowed > c.to {
			t.Errorf("%s: want %d to %d of %d allowed, got %d", c.what, c.from, c.to, all, allowed)
		}
		if int(f.Dropped) != all-allowed || reports > 10 || (reports == 0) != (f.Dropped == 0) || reported > f.Dropped {
			t.Errorf("%s: want %d dropped in at most 10 reports, got %d, %d in %d", c.what, all-allowed, f.Dropped, reported, reports)
		}
	}
}

func TestAFloodLimitForgetsNothingInALongSilence(t *testing.T) {
	f := NewFlood(50, 10_000, time.Second)
	f.Allow(100, epoch)
	f.Allow(100, epoch.Add(-time.Hour)) // a clock that goes back gives nothing
	later := epoch.Add(30 * 365 * 24 * time.Hour)
	allowed := 0
	for range 1000 {
		if f.Allow(1, later) {
			allowed++
		}
	}
	if allowed != 50 {
		t.Errorf("want the burst of 50, got %d", allowed)
	}
}
