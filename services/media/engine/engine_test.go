package engine

import (
	"context"
	"math"
	"testing"
)

func TestEachHearsTheOthersAndNotItself(t *testing.T) {
	b := start(t)
	tones := map[string]float64{"ann": 400, "bob": 700, "cid": 1100}
	phones := map[string]*phone{}
	for id, tone := range tones {
		phones[id] = b.dial(id, "room", tone, nil, nil)
	}
	for id, p := range phones {
		for other, tone := range tones {
			if other == id {
				continue
			}
			b.until(id+" hears "+other, func() bool { return p.heard(tone) > 0.2 })
		}
		if own := p.heard(tones[id]); own > 0.05 {
			t.Errorf("%s hears itself at %.2f", id, own)
		}
	}
}

var (
	red   = [3]byte{81, 90, 240}
	green = [3]byte{145, 54, 34}
	blue  = [3]byte{41, 240, 110}
)

func alike(a, b [3]byte) bool {
	for i := range a {
		if math.Abs(float64(a[i])-float64(b[i])) > 12 {
			return false
		}
	}
	return true
}

func (p *phone) seesAt(x, y float64, colour [3]byte) func() bool {
	return func() bool {
		c, ok := p.sees(x, y)
		return ok && alike(c, colour)
	}
}

func TestThreeSeeEachOtherSideBySide(t *testing.T) {
	b := start(t)
	ann := b.dial("ann", "room", 400, &red, nil)
	bob := b.dial("bob", "room", 0, &green, nil)
	cid := b.dial("cid", "room", 0, &blue, nil)
	// Two others in a grid of four: one at the upper left, one at the upper right.
	either := func(p *phone, one, two [3]byte) func() bool {
		return func() bool {
			return p.seesAt(0.25, 0.5, one)() && p.seesAt(0.75, 0.5, two)() || p.seesAt(0.25, 0.5, two)() && p.seesAt(0.75, 0.5, one)() ||
				p.seesAt(0.25, 0.25, one)() && p.seesAt(0.75, 0.25, two)() || p.seesAt(0.25, 0.25, two)() && p.seesAt(0.75, 0.25, one)()
		}
	}
	b.until("ann sees green and blue", either(ann, green, blue))
	b.until("bob sees red and blue", either(bob, red, blue))
	b.until("cid sees red and green", either(cid, red, green))
}

func TestALegIsHeardAndSeenInTheConferenceThatItMovesTo(t *testing.T) {
	b := start(t)
	ann := b.dial("ann", "one", 400, &red, nil)
	bob := b.dial("bob", "two", 0, &green, nil)
	_ = b.dial("cid", "one", 900, &blue, nil)
	b.until("ann hears cid", func() bool { return ann.heard(900) > 0.2 })
	if bob.heard(400) > 0.05 {
		t.Fatal("bob hears ann of another conference")
	}
	ann.leg.Conference = "two"
	if _, err := b.client.PutLeg(context.Background(), ann.leg); err != nil {
		t.Fatal(err)
	}
	b.until("bob hears ann", func() bool { return bob.heard(400) > 0.2 })
	b.until("bob sees ann", bob.seesAt(0.5, 0.5, red))
	b.until("ann does not hear cid any more", func() bool { return ann.heard(900) < 0.02 })
}

func TestAMutedLegIsNotHeardAndADeafOneHearsNothing(t *testing.T) {
	b := start(t)
	ann := b.dial("ann", "room", 400, nil, nil)
	bob := b.dial("bob", "room", 700, nil, nil)
	b.until("ann hears bob", func() bool { return ann.heard(700) > 0.2 })
	bob.leg.Audio.Muted = true
	if _, err := b.client.PutLeg(context.Background(), bob.leg); err != nil {
		t.Fatal(err)
	}
	b.until("ann does not hear bob", func() bool { return ann.heard(700) < 0.02 })
	b.until("bob hears ann", func() bool { return bob.heard(400) > 0.2 })
	bob.leg.Audio.Deaf = true
	if _, err := b.client.PutLeg(context.Background(), bob.leg); err != nil {
		t.Fatal(err)
	}
	b.until("bob hears nothing", func() bool { return bob.heard(400) < 0.02 })
}
