package stream

import (
	"bytes"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// fuzzPayloads cuts data into payloads: one length byte each, then that many times three bytes.
func fuzzPayloads(data []byte) [][]byte {
	var out [][]byte
	for len(data) > 1 {
		n := min(int(data[0])*3, len(data)-1)
		out = append(out, data[1:1+n])
		data = data[1+n:]
	}
	return out
}

func pack(payloads ...[]byte) []byte {
	var out []byte
	for _, p := range payloads {
		for len(p)%3 != 0 {
			p = append(p, 0)
		}
		out = append(append(out, byte(len(p)/3)), p...)
	}
	return out
}

func fuzzDepacketizer(f *testing.F, codec string) {
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDepacketizer(codec)
		pool := NewPool(1 << 20)
		u := pool.Unit()
		whole := true
		total := 0
		for _, p := range fuzzPayloads(data) {
			total += len(p)
			if len(p) == 0 {
				continue
			}
			d.begins(p)
			packet := Packet{Payload: p}
			if packet.Describe(codec) == nil && int(packet.prefix.length)+len(packet.body) > len(p)+1 {
				t.Errorf("described payload of %d bytes became %d and %d", len(p), packet.prefix.length, len(packet.body))
			}
			if d.push(u, p) != nil {
				whole = false
				break
			}
		}
		if d.finish(u, whole) && len(u.Data) == 0 {
			t.Error("got an empty unit")
		}
		// Start codes of tiny NAL units and remembered parameter sets are all that is added.
		if limit := 8*total + 2*maxParameterSets*(maxParameterSet+4) + 64; len(u.Data) > limit {
			t.Errorf("got a unit of %d bytes from %d", len(u.Data), total)
		}
		u.Release()
	})
}

func FuzzH264(f *testing.F) {
	sps := []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80}
	f.Add(pack(sps, []byte{0x68, 0xce, 0x3c, 0x80}, []byte{0x65, 0x88, 1, 2, 3}))
	f.Add(pack([]byte{0x7c, 0x85, 0x88, 1, 2}, []byte{0x7c, 0x05, 3}, []byte{0x7c, 0x45, 4}))
	f.Add(pack([]byte{0x78, 0, 4, 0x67, 1, 2, 3, 0, 2, 0x68, 1}))
	fuzzDepacketizer(f, control.H264)
}

func FuzzVP8(f *testing.F) {
	f.Add(pack([]byte{0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 7}))
	f.Add(pack([]byte{0x90, 0xf0, 0x81, 0x02, 3, 0x60, 1, 2}, []byte{0x80, 0x80, 1, 9}))
	f.Add([]byte{1, 0x10}) // a descriptor and nothing else
	fuzzDepacketizer(f, control.VP8)
}

func FuzzVP9(f *testing.F) {
	f.Add(pack([]byte{0x8e, 0x81, 0x02, 0x18, 2, 0x80, 1, 0x68, 1, 0x04, 1, 0x82, 0x49, 0x83, 0x42, 0, 1, 2, 3}))
	f.Add(pack([]byte{0xac, 1, 0x02, 9, 0x55, 1}, []byte{0xac, 1, 0x04, 9, 0x55, 2}))
	f.Add(pack([]byte{0xdc, 0x81, 1, 3, 5, 2, 0x55}))
	fuzzDepacketizer(f, control.VP9)
}

func FuzzParseSPS(f *testing.F) {
	f.Add([]byte{0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58})
	f.Fuzz(func(t *testing.T, nal []byte) {
		info, err := ParseSPS(nal)
		if err == nil && (info.Width <= 0 || info.Height <= 0 || info.Width > 8192 || info.Height > 16384) {
			t.Errorf("got %d × %d", info.Width, info.Height)
		}
	})
}

// FuzzReceiver sends packets of any content to a Receiver with a Stream and a Sender behind it.
func FuzzReceiver(f *testing.F) {
	head := func(sequence byte, payload ...byte) []byte {
		return append([]byte{0x80, 0xe0, 0, sequence, 0, 0, 0, sequence, 0, 0, 0, 1}, payload...)
	}
	f.Add(uint8(0), pack(head(1, 0x67, 0x42, 0xc0, 0x1f), head(2, 0x65, 0x88, 1), head(4, 0x41, 0x88)))
	f.Add(uint8(1), pack(head(1, 0x90, 0xe0, 0x81, 0x02, 3, 0x60, 1, 2), head(200, 0x10, 0, 2)))
	f.Add(uint8(1), append([]byte{5}, head(1, 0x10)...))
	f.Add(uint8(2), pack(head(1, 0x8c, 1, 0x82, 0x49, 0x83, 0x42), head(2, 0xac, 1, 0x04, 9, 2)))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		codec := [...]string{control.H264, control.VP8, control.VP9}[which%3]
		s := New(Options{Codec: codec})
		var got sink
		r, err := NewReceiver(ReceiverOptions{SSRC: 1, Formats: formats(codec), NACK: true, Stream: s, Feedback: &got, Unit: got.take, Pool: NewPool(1 << 20)})
		if err != nil {
			t.Fatal(err)
		}
		now := start
		r.SetDecode(true, now)
		var out wire
		sender := newSender(t, SenderOptions{Codec: codec, Output: &out, PaceBitrate: 100_000, MID: "1", MIDExtension: 1})
		if err := sender.Switch(s, now); err != nil {
			t.Fatal(err)
		}
		sender.SetLayers(which >> 6)
		for _, p := range fuzzPayloads(data) {
			now = now.Add(7 * time.Millisecond)
			// What is wrong with a packet is its sender's business; here nothing may break.
			_ = r.Push(bytes.Clone(p), now)
			r.Tick(now)
			sender.Tick(now)
			if len(p) >= 2 {
				sender.HandleNACK([]uint16{uint16(p[0])<<8 | uint16(p[1]), uint16(65530 + int(p[1])%8)}, now)
			}
		}
		r.Close()
		sender.Close()
		s.Close()
	})
}
