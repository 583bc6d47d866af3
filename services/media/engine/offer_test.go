package engine

import (
	"bytes"
	"testing"

	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

func TestAnOfferIsReadAsItWasWritten(t *testing.T) {
	for _, o := range []offer{
		{source: 1, number: 2, offered: offered{codec: control.H264}},
		{source: 0xffffffff, number: 0x12345678, place: 2, offered: offered{codec: control.VP8, width: 1920, height: 1088, bitrate: 4_000_000}},
		{source: 7, number: 8, place: maxPlaces - 1, offered: offered{codec: control.VP9, width: 320, height: 180, profile: [3]byte{0x42, 0xe0, 0x1f}, bitrate: 1}},
	} {
		list := o.append(nil)
		got, ok := parseOffer(list)
		if len(list) != offerSize || !ok || got != o {
			t.Errorf("offer of %d bytes: want %+v, got %+v, %v", len(list), o, got, ok)
		}
	}
}

func TestALongListIsSaidInParts(t *testing.T) {
	list := make([]byte, 2*maxSaid+offerSize)
	for i := range list {
		list[i] = byte(i)
	}
	var said []byte
	parts := 0
	say(nil, 9, nameHave, list, func(packet []byte) {
		parts++
		if len(packet) > 2048 {
			t.Errorf("a part of %d bytes: want at most 2,048", len(packet))
		}
		c := rtp.Walk(packet)
		if !c.Next() || c.Kind != rtp.Application || c.Sender != 9 {
			t.Fatalf("want an APP packet of 9, got %+v", c)
		}
		_, data := c.Application()
		said = append(said, data...)
	})
	if parts != 3 || !bytes.Equal(said, list) {
		t.Errorf("want the list in 3 parts, got %d bytes of %d in %d", len(said), len(list), parts)
	}
}

func FuzzParseOffer(f *testing.F) {
	o := offer{source: 1, number: 2, place: 1, offered: offered{codec: control.VP8, width: 1280, height: 720, bitrate: 1e6}}
	f.Add(o.append(nil))
	f.Add(bytes.Repeat([]byte{0xff}, offerSize))
	f.Fuzz(func(t *testing.T, list []byte) {
		o, ok := parseOffer(list)
		if !ok {
			return
		}
		if again, same := parseOffer(o.append(nil)); !same || again != o {
			t.Errorf("an offer that was read is written as another one: %+v, %+v", o, again)
		}
	})
}
