package engine

import (
	"testing"
	"time"

	"rotunda/services/media/control"
)

// floods counts the events that were told.
func (b *bench) floods() (n int) {
	for {
		select {
		case e := <-b.events:
			if e.Event == control.EventFlood {
				n++
			}
		default:
			return n
		}
	}
}

func TestAPictureFarAboveItsLimitIsCutOffUntilItBehaves(t *testing.T) {
	p := idle(t).pipe("ann", func(l *control.Leg) { l.Video.ReceiveBitrate = 100_000 })
	sequence := uint16(0)
	payload := append(part[:len(part):len(part)], make([]byte, 988)...) // 1,005 bytes a packet
	// send lets a time pass at so many packets a second, 8 kbit/s each, and tells how many were taken.
	send := func(d time.Duration, rate int) (taken uint64) {
		before := uint64(0)
		if list := p.layers(); len(list) > 0 {
			before = list[0].receiver.Counts().Packets
		}
		for range int(d.Seconds() * float64(rate)) {
			p.send(1, 96, sequence, 3000*uint32(sequence), payload...)
			sequence++
			p.now = p.now.Add(time.Second / time.Duration(rate))
		}
		return p.layers()[0].receiver.Counts().Packets - before
	}
	if got := send(10*time.Second, 30); got != 300 || p.floods() != 0 {
		t.Fatalf("of 300 packets at 2.4 times the limit %d were taken, want all and no event", got)
	}
	if got := send(time.Second, 100); got != 100 {
		t.Fatalf("of 100 packets in one second at 8 times the limit %d were taken, want all", got)
	}
	_ = send(3*time.Second, 100)
	if got := send(5*time.Second, 100); got != 0 {
		t.Errorf("of 500 packets after four seconds at 8 times the limit %d were taken, want none", got)
	}
	if got := p.floods(); got < 5 || got > 9 {
		t.Errorf("%d events were told in about seven seconds, want one a second", got)
	}
	_ = send(3*time.Second, 20)
	if got := send(5*time.Second, 20); got != 100 {
		t.Errorf("of 100 packets after three seconds at 1.6 times the limit %d were taken, want all", got)
	}
	if got := p.floods(); got > 2 {
		t.Errorf("%d events were told after the picture behaved", got)
	}
}
