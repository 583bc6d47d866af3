package transport

import (
	"testing"
	"time"

	"rotunda/services/media/control"
)

func TestABucketPassesItsRateAndASecondAtOnce(t *testing.T) {
	b := newBucket(100)
	now := time.Unix(1000, 0)
	take := func(n int) (passed int) {
		for range n {
			if b.take(now) {
				passed++
			}
		}
		return passed
	}
	if got := take(150); got != 100 {
		t.Errorf("%d packets passed at once, want 100", got)
	}
	now = now.Add(50 * time.Millisecond)
	if got := take(150); got != 5 {
		t.Errorf("%d packets passed after 50 ms, want 5", got)
	}
	now = now.Add(-time.Hour) // arrival times of two sockets may be out of order
	if got := take(10); got != 0 {
		t.Errorf("%d packets passed before their time, want none", got)
	}
	now = now.Add(2 * time.Hour)
	if got := take(150); got != 100 {
		t.Errorf("%d packets passed after a pause, want 100", got)
	}
}

func TestAFloodIsLimitedAndReported(t *testing.T) {
	l := startLoop(t, Config{Flood: 50})
	h := newEar()
	e := open(t, l, control.Transport{RTCPMux: true}, h)
	peer, _ := newPeer(t)
	for n := range uint16(400) {
		write(t, peer, rtpOf(n, 60), e.Local().RTP[0])
	}
	told := await(t, "report of the flood", h.floods)
	if counted := e.Stats().Dropped["flood"]; told == 0 || told > counted {
		t.Errorf("the handler was told of %d packets, %d are counted", told, counted)
	}
	// How many came through depends on how long the writing took, but a second's worth came at once.
	if got := len(h.rtp); got < 50 {
		t.Errorf("%d packets came through a limit of 50 a second, want 50 at least", got)
	}
	l.barrier()
	if got := uint64(len(h.rtp)) + e.Stats().Dropped["flood"]; got != 400 {
		t.Errorf("%d packets delivered or dropped, want 400", got)
	}
}

func TestStrangersDoNotUseUpWhatThePeerMaySend(t *testing.T) {
	l := startLoop(t, Config{Flood: 1000})
	h := newEar()
	peer, addr := newPeer(t)
	stranger, _ := newPeer(t)
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr}, h)
	write(t, peer, rtpOf(0, 60), e.Local().RTP[0])
	await(t, "rtp", h.rtp)
	for n := range uint16(300) {
		write(t, stranger, rtpOf(n, 60), e.Local().RTP[0])
	}
	for n := range uint16(100) {
		write(t, peer, rtpOf(n, 60), e.Local().RTP[0])
		same(t, "the peer's packet", await(t, "rtp of the peer", h.rtp), rtpOf(n, 60))
	}
	if got := e.Stats().Dropped["flood"]; got == 0 {
		t.Error("no packet of the stranger was dropped by the limit")
	}
}
