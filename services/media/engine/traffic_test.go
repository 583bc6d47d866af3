package engine

import (
	"context"
	"testing"
)

func TestTheTrafficOfLegsStaysWhenTheyEnd(t *testing.T) {
	p := idle(t).pipe("ann", nil)
	// Sound without number 3, a picture without numbers 2 and 3, and a second look that finds nothing new.
	for _, n := range []uint16{1, 2, 4, 5} {
		p.send(7, 8, n, 160*uint32(n), make([]byte, 160)...)
	}
	for _, n := range []uint16{1, 4} {
		p.send(8, 96, n, 3000*uint32(n), part...)
	}
	for range 2 {
		if got := p.engine.Status().Traffic.Lost; got != 3 {
			t.Errorf("want 3 lost packets, got %d", got)
		}
	}
	p.send(8, 96, 6, 18000, part...)
	if err := p.client.DeleteLeg(context.Background(), "ann"); err != nil {
		t.Fatal(err)
	}
	if got := p.engine.Status().Traffic.Lost; got != 4 {
		t.Errorf("want 4 lost packets after the leg, got %d", got)
	}
}

func TestPacketsOfAllTransportsAreCounted(t *testing.T) {
	b := start(t)
	ann, bob := b.dial("ann", "room", 400, nil, nil), b.dial("bob", "room", 0, nil, nil)
	b.until("bob hears ann", func() bool { return bob.heard(400) > 0.2 })
	ann.hangUp()
	bob.hangUp()
	var wanted uint64
	for _, id := range []string{"ann", "bob"} {
		l, err := b.engine.owner("test").leg(id)
		if err != nil {
			t.Fatal(err)
		}
		b.until("all of "+id+" has come", func() bool {
			before := l.traffic().Received
			return before > 10 && before == l.traffic().Received
		})
		wanted += l.traffic().Received
	}
	if got := b.engine.Status().Traffic; got.Received < wanted || got.Sent < 10 {
		t.Errorf("want at least %d packets received and some sent, got %+v", wanted, got)
	}
}
