package stream

import (
	"bytes"
	"testing"
	"time"
)

// vp9Layer is a packet of a VP9 picture with two spatial layers, RFC 9628 in the non-flexible mode.
func vp9Layer(spatial byte, begin, end bool, body ...byte) []byte {
	first := byte(0xa0)
	if begin {
		first |= 0x08
	}
	if end {
		first |= 0x04
	}
	return append([]byte{first, 1, spatial << 1, 0}, body...)
}

func TestVP9LayersMakeASuperframeAsFarAsTheyAreComplete(t *testing.T) {
	lower := []byte{0x82, 0x49, 0x83, 0x42, 0, 0x0f, 0xf0, 0x0b, 0x30}
	for _, c := range []struct {
		name     string
		payloads [][]byte
		want     []byte
		ok       bool
	}{
		{"one layer is a frame", [][]byte{vp9Layer(0, true, false, lower...), vp9Layer(0, false, true, 7)}, append(bytes.Clone(lower), 7), true},
		{"two are a superframe with its index", [][]byte{vp9Layer(0, true, true, lower...), vp9Layer(1, true, true, 0x86, 5)},
			append(append(bytes.Clone(lower), 0x86, 5), 0xc1, 9, 2, 0xc1), true},
		{"without the end of the upper one, the lower one is left", [][]byte{vp9Layer(0, true, true, lower...), vp9Layer(1, true, false, 0x86)}, lower, true},
		{"without the end of the lower one, nothing is", [][]byte{vp9Layer(0, true, false, lower...)}, nil, false},
	} {
		d, u := &vp9Depacketizer{}, NewPool(0).Unit()
		for _, p := range c.payloads {
			if err := d.push(u, p); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if ok := d.finish(u, false); ok != c.ok || ok && !bytes.Equal(u.Data, c.want) {
			t.Errorf("%s: got %x, %t, want %x, %t", c.name, u.Data, ok, c.want, c.ok)
		}
		if c.ok && (!u.Key || u.Width != 256 || u.Height != 180) {
			t.Errorf("%s: got key %t and %d × %d, want a key frame of 256 × 180", c.name, u.Key, u.Width, u.Height)
		}
	}
}

func TestAGapIsWaitedForAsLongAsAnAnswerCanCome(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name         string
		nack         bool
		trip, jitter time.Duration
		want         time.Duration
	}{
		{"nobody sends again: reordering only", false, 20 * ms, 0, 15 * ms},
		{"jitter makes for more reordering", false, 0, 10 * ms, 35 * ms},
		{"an answer within the same town", true, 10 * ms, 0, 45 * ms},
		{"just in time", true, 65 * ms, 0, 100 * ms},
		{"from another continent it comes too late", true, 150 * ms, 0, 15 * ms},
		{"never more than the longest", false, 0, time.Second, 100 * ms},
	} {
		if got := gapWait(c.nack, c.trip, c.jitter); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestUnitsReturnToThePoolAndAreBounded(t *testing.T) {
	p := NewPool(64 << 10)
	u := p.Unit()
	if err := u.write(make([]byte, 20_000)); err != nil {
		t.Fatal(err)
	}
	data := &u.Data[0]
	u.Retain().Release()
	u.Release()
	again := p.Unit()
	if err := again.write(make([]byte, 20_000)); err != nil {
		t.Fatal(err)
	}
	if &again.Data[0] != data {
		t.Error("got another buffer, want the one that was released")
	}
	if err := again.write(make([]byte, MaxUnit)); err != errUnitTooLarge {
		t.Errorf("got %v, want %v", err, errUnitTooLarge)
	}
	if p.bytes > 64<<10 {
		t.Errorf("got %d bytes kept, want at most 64 KB", p.bytes)
	}
}
