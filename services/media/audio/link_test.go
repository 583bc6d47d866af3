package audio

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// linear is L16 at 48 kHz; no packet of it is lost in these tests.
type linear struct{ testDecoder }

func (*linear) Rate() int { return rate }

func (*linear) Decode(pcm []int16, packet []byte) (int, error) {
	for i := range len(packet) / 2 {
		pcm[i] = int16(binary.BigEndian.Uint16(packet[2*i:]))
	}
	return len(packet) / 2, nil
}

// connect has one room hear the other over a link with a number.
func connect(from, to *room, number uint32) *Source {
	link := to.AddSource(number, SourceOptions{Link: true})
	p := Packet{Codec: control.L16, SSRC: number, Level: LevelUnknown}
	from.TapInner(func(pcm []int16, at time.Time) {
		p.Timestamp += tickLength
		if pcm == nil {
			return
		}
		p.Payload = p.Payload[:0]
		for _, v := range pcm {
			p.Payload = binary.BigEndian.AppendUint16(p.Payload, uint16(v))
		}
		p.Arrival = at
		link.Speak(from.Voice())
		link.Push(p)
		p.Sequence++
	})
	return link
}

// twoRooms are two buses that hear each other.
func twoRooms(t *testing.T) (a, b *room) {
	rooms := [2]*room{newRoom(t), newRoom(t)}
	for _, r := range rooms {
		r.config.Decoder = func(codec string) (Decoder, error) {
			if codec == control.L16 {
				return &linear{}, nil
			}
			return openDecoder(codec)
		}
		r.Bus = NewBus(r.config)
	}
	connect(rooms[0], rooms[1], 1000)
	connect(rooms[1], rooms[0], 2000)
	return rooms[0], rooms[1]
}

func together(d time.Duration, a, b *room) {
	for range d / (20 * time.Millisecond) {
		a.run(20*time.Millisecond, nil)
		b.run(20*time.Millisecond, nil)
	}
}

func TestEverybodyIsHeardOnceInBothRooms(t *testing.T) {
	a, b := twoRooms(t)
	ann, bob := a.join(1, control.Opus, 440, -20, ListenerOptions{}), a.join(2, control.Opus, 0, 0, ListenerOptions{})
	cid, dot := b.join(3, control.Opus, 1130, -24, ListenerOptions{}), b.join(4, control.Opus, 0, 0, ListenerOptions{})
	if err := a.Play(Play{ID: "tone", Tone: "700/10000"}); err != nil {
		t.Fatal(err)
	}
	together(3*time.Second, a, b)
	const second = time.Second
	for _, c := range []struct {
		who  string
		p    *person
		hz   float64
		want float64
	}{
		{"a neighbour hears ann", bob, 440, -20}, {"the other room hears ann", dot, 440, -20}, {"who talks there hears ann", cid, 440, -20},
		{"a neighbour hears cid", dot, 1130, -24}, {"the other room hears cid", bob, 1130, -24}, {"who talks there hears cid", ann, 1130, -24},
	} {
		if got := c.p.hears(c.hz, second); math.Abs(got-c.want) > 1 {
			t.Errorf("%s with %.1f dBov, want %v: once, and at its level", c.who, got, c.want)
		}
	}
	for who, got := range map[string]float64{"ann hears herself": ann.hears(440, second), "cid hears himself": cid.hears(1130, second),
		"a prompt of one room is heard in the other": dot.hears(700, second)} {
		if got > -60 {
			t.Errorf("%s with %.1f dBov", who, got)
		}
	}
	if got := bob.hears(700, second); got < -20 {
		t.Errorf("the prompt is heard in its own room with %.1f dBov", got)
	}
}

func TestALinkSpeaksForWhoeverLeadsThere(t *testing.T) {
	a, b := twoRooms(t)
	talk := func(p *person, from, to time.Duration) {
		p.silent = func(at time.Duration) bool {
			return at < from || at >= to || at%(240*time.Millisecond) >= 200*time.Millisecond
		}
	}
	ann, bob := a.join(1, control.Opus, 440, -25, ListenerOptions{}), a.join(2, control.Opus, 700, -25, ListenerOptions{})
	cid := b.join(3, control.Opus, 1130, -25, ListenerOptions{})
	talk(ann, 0, 4*time.Second)
	talk(cid, 4*time.Second, 8*time.Second)
	talk(bob, 8*time.Second, 12*time.Second)
	for _, want := range [][]uint32{{1}, {3, 1}, {2, 3, 1}} {
		together(4*time.Second, a, b)
		for name, r := range map[string]*room{"first": a, "second": b} {
			if got := r.Speakers(); !slices.Equal(got, want) {
				t.Errorf("%s room: speakers %v, want %v", name, got, want)
			}
		}
	}
}

func TestALinkCostsNothingWhileNobodyTalks(t *testing.T) {
	a, _ := twoRooms(t)
	ann := a.join(1, control.Opus, 440, -25, ListenerOptions{})
	ann.silent = func(at time.Duration) bool { return at > time.Second }
	sent := 0
	a.TapInner(func(pcm []int16, _ time.Time) {
		if pcm != nil {
			sent++
		}
	})
	a.run(time.Second, nil)
	if sent < 40 {
		t.Errorf("of a second of speech %d of 50 ticks were given", sent)
	}
	a.run(time.Second, nil)
	sent = 0
	a.run(time.Second, nil)
	if sent != 0 {
		t.Errorf("of silence %d ticks were given, want none", sent)
	}
}
