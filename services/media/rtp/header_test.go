package rtp

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pion "github.com/pion/rtp"
)

func TestAHeaderIsReadAsPionWritesIt(t *testing.T) {
	for _, c := range []struct {
		what string
		p    pion.Packet
	}{
		{"plain", pion.Packet{}},
		{"marker and payload type", pion.Packet{Header: pion.Header{Marker: true, PayloadType: 127}}},
		{"contributors", pion.Packet{Header: pion.Header{CSRC: []uint32{1, 0xFFFFFFFF, 3}}}},
		{"padding", pion.Packet{Header: pion.Header{Padding: true, PaddingSize: 7}}},
	} {
		c.p.Version = 2
		c.p.SequenceNumber, c.p.Timestamp, c.p.SSRC = 65534, 0xFEDCBA98, 0x12345678
		c.p.Payload = []byte("payload")
		raw, err := c.p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var h Header
		payload, err := h.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if string(payload) != "payload" || h.Marker != c.p.Marker || h.PayloadType != c.p.PayloadType || h.Sequence != 65534 ||
			h.Timestamp != 0xFEDCBA98 || h.SSRC != 0x12345678 || h.Contributors() != len(c.p.CSRC) {
			t.Errorf("%s: want %v, got %v with payload %q", c.what, &c.p.Header, &h, payload)
		}
		for i, want := range c.p.CSRC {
			if got := h.Contributor(i); got != want {
				t.Errorf("%s: contributor %d: want %x, got %x", c.what, i, want, got)
			}
		}
	}
}

func TestExtensionsAreReadAsPionWritesThemAndBack(t *testing.T) {
	for _, c := range []struct {
		what     string
		profile  uint16
		elements map[uint8]string
	}{
		{"one-byte form", profileOneByte, map[uint8]string{1: "a", 14: "sixteen bytes ok", 5: "xyz"}},
		{"two-byte form", profileTwoByte, map[uint8]string{1: "", 200: "seventeen bytes..", 15: "z"}},
	} {
		p := pion.Header{Version: 2, Extension: true, ExtensionProfile: c.profile}
		var ours Header
		for id, data := range c.elements {
			if err := p.SetExtension(id, []byte(data)); err != nil {
				t.Fatal(err)
			}
			if err := ours.SetExtension(id, []byte("to be replaced")); err != nil {
				t.Fatal(err)
			}
			if err := ours.SetExtension(id, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var h Header
		if _, err := h.Parse(raw); err != nil {
			t.Fatal(err)
		}
		var back pion.Header
		written := ours.Append(nil)
		if n, err := back.Unmarshal(written); err != nil || n != len(written) {
			t.Fatalf("%s: pion reads %d of %d bytes: %v", c.what, n, len(written), err)
		}
		if back.ExtensionProfile != c.profile {
			t.Errorf("%s: want profile %x, got %x", c.what, c.profile, back.ExtensionProfile)
		}
		for id, want := range c.elements {
			if got := h.Extension(id); got == nil || string(got) != want {
				t.Errorf("%s: read extension %d: want %q, got %q", c.what, id, want, got)
			}
			if got := ours.Extension(id); got == nil || string(got) != want {
				t.Errorf("%s: set extension %d: want %q, got %q", c.what, id, want, got)
			}
			if got := back.GetExtension(id); string(got) != want {
				t.Errorf("%s: pion reads extension %d: want %q, got %q", c.what, id, want, got)
			}
		}
		if got := h.Extension(77); got != nil {
			t.Errorf("%s: want no extension 77, got %q", c.what, got)
		}
	}
}

func TestExtensionsOfAParsedHeaderCanBeChanged(t *testing.T) {
	var in Header
	in.Sequence = 7
	for id, data := range map[uint8]string{1: "one", 2: "two", 3: "three"} {
		if err := in.SetExtension(id, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	packet := append(in.Append(nil), "payload"...)

	var h Header
	if _, err := h.Parse(packet); err != nil {
		t.Fatal(err)
	}
	copy(h.Extension(1), "ONE")
	if err := h.SetExtension(2, []byte("another")); err != nil {
		t.Fatal(err)
	}
	var got Header
	payload, err := got.Parse(append(h.Append(nil), "payload"...))
	if err != nil || string(payload) != "payload" {
		t.Fatalf("want the payload, got %q, %v", payload, err)
	}
	for id, want := range map[uint8]string{1: "ONE", 2: "another", 3: "three"} {
		if e := got.Extension(id); string(e) != want {
			t.Errorf("extension %d: want %q, got %q", id, want, e)
		}
	}
	h.ClearExtensions()
	if n := len(h.Append(nil)); n != HeaderSize {
		t.Errorf("after clearing: want %d bytes, got %d", HeaderSize, n)
	}
}

func TestTooManyExtensionsAreRefused(t *testing.T) {
	var h Header
	if err := h.SetExtension(1, make([]byte, maxExtensions-2)); err != nil {
		t.Fatal(err)
	}
	if err := h.SetExtension(2, []byte{1}); err == nil {
		t.Error("want no room for one more")
	}
	if err := h.SetExtension(3, make([]byte, 256)); err == nil {
		t.Error("want 256 bytes refused")
	}
	if err := h.SetExtension(0, make([]byte, 300)); err != nil {
		t.Errorf("an extension that was not negotiated: want nothing done, got %v", err)
	}
}

func TestNamedExtensionsKeepTheirValue(t *testing.T) {
	var h Header
	now := time.Date(2026, 3, 1, 12, 0, 5, 250_000_000, time.UTC)
	for _, err := range []error{
		h.SetLevel(1, -42, true), h.SetTransportSequence(2, 65535), h.SetAbsoluteSendTime(3, now), h.SetIdentification(4, "audio0"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got Header
	if _, err := got.Parse(h.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if level, voice := got.Level(1); level != -42 || !voice {
		t.Errorf("level: want -42 with voice, got %d, %t", level, voice)
	}
	if n, ok := got.TransportSequence(2); n != 65535 || !ok {
		t.Errorf("transport sequence: want 65535, got %d, %t", n, ok)
	}
	want := *pion.NewAbsSendTimeExtension(now)
	if fixed, ok := got.AbsoluteSendTime(3); !ok || uint64(fixed) != want.Timestamp&0xFFFFFF {
		t.Errorf("send time: want %x, got %x, %t", want.Timestamp&0xFFFFFF, fixed, ok)
	}
	if mid := got.Extension(4); string(mid) != "audio0" {
		t.Errorf("MID: want audio0, got %q", mid)
	}
	if level, voice := got.Level(9); level != UnknownLevel || voice {
		t.Errorf("no level: want %d, got %d, %t", UnknownLevel, level, voice)
	}
	if err := h.SetLevel(1, 1, false); err != nil { // louder than loudest
		t.Fatal(err)
	}
	if level, voice := h.Level(1); level != 0 || voice {
		t.Errorf("level: want 0 without voice, got %d, %t", level, voice)
	}
	if err := h.SetIdentification(4, "longer than sixteen"); err == nil {
		t.Error("want a long MID refused")
	}
}

func TestPacketsThatAreNotRTPAreRefused(t *testing.T) {
	for what, packet := range map[string][]byte{
		"empty":                         {},
		"short":                         make([]byte, 11),
		"version 1":                     append([]byte{0x40}, make([]byte, 20)...),
		"contributors beyond the end":   append([]byte{0x8F}, make([]byte, 20)...),
		"extension beyond the end":      append([]byte{0x90}, append(make([]byte, 11), 0xBE, 0xDE, 0, 9)...),
		"extension head beyond the end": append([]byte{0x90}, make([]byte, 12)...),
		"padding without payload":       append([]byte{0xA0}, make([]byte, 11)...),
		"padding of 0":                  append([]byte{0xA0}, make([]byte, 12)...),
		"padding beyond the payload":    append([]byte{0xA0}, append(make([]byte, 12), 3)...),
	} {
		var h Header
		if payload, err := h.Parse(packet); err == nil {
			t.Errorf("%s: want an error, got %v with %x", what, &h, payload)
		}
	}
}

func TestRTCPIsToldFromRTP(t *testing.T) {
	for second, want := range map[byte]bool{0: false, 111: false, 191: false, 192: true, 200: true, 206: true, 223: true, 224: false} {
		if got := IsRTCP([]byte{0x80, second}); got != want {
			t.Errorf("second byte %d: want %t, got %t", second, want, got)
		}
	}
}

func TestNTPTimesComeBack(t *testing.T) {
	for _, want := range []time.Time{
		time.Unix(0, 0), // the oldest that is not taken for the era after 2036 begins in 1968
		time.Unix(1_780_000_000, 123_456_789),
		time.Unix(1_780_000_000, 999_999_999),
		time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 17, 5, time.UTC),
	} {
		if got := FromNTP(NTP(want)); !got.Equal(want) {
			t.Errorf("want %v, got %v", want, got)
		}
	}
}

// FuzzHeader parses anything, and what it parsed must come back the same after it was written.
func FuzzHeader(f *testing.F) {
	var h Header
	h.PayloadType, h.SSRC = 96, 5
	f.Add(append(h.Append(nil), "payload"...))
	for id := range uint8(4) {
		if err := h.SetExtension(id, []byte("ab")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(append(h.Append(nil), "payload"...))
	if err := h.SetExtension(99, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(append(h.Append(nil), 1, 2, 3, 3))
	f.Add([]byte{0xBF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(append([]byte{0x90}, append(make([]byte, 11), 0xBE, 0xDE, 0, 1, 0xF0, 0x07, 0, 0)...))
	f.Fuzz(func(t *testing.T, packet []byte) {
		var h Header
		payload, err := h.Parse(packet)
		n, sizeErr := Size(packet)
		if err != nil {
			return
		}
		if sizeErr != nil || n > len(packet)-len(payload) {
			t.Fatalf("want the size of the header, got %d, %v", n, sizeErr)
		}
		written := h.Append(nil)
		// The padding bit belongs to the payload.
		if want := append([]byte{packet[0] &^ 0x20}, packet[1:n]...); !bytes.Equal(written, want) {
			t.Fatalf("want %x, got %x", want, written)
		}
		type element struct {
			id   uint8
			data string
		}
		elements := func(h *Header) (list []element) {
			for id := 1; id < 256; id++ {
				if e := h.Extension(uint8(id)); e != nil {
					list = append(list, element{uint8(id), string(e)})
				}
			}
			return list
		}
		before := elements(&h)
		// Adopting keeps the elements, unless there are more than fit.
		if h.SetExtension(251, []byte{1}) != nil {
			return
		}
		var again Header
		if _, err := again.Parse(append(h.Append(nil), payload...)); err != nil {
			t.Fatalf("parse what was written: %v", err)
		}
		for _, e := range before {
			if got := again.Extension(e.id); e.id != 251 && string(got) != e.data {
				t.Fatalf("extension %d: want %x, got %x", e.id, e.data, got)
			}
		}
		if diff := cmp.Diff([]byte{1}, again.Extension(251)); diff != "" {
			t.Fatalf("extension 251 (-want +got):\n%s", diff)
		}
	})
}
