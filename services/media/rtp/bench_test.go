package rtp

import (
	"testing"
	"time"

	pion "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
)

func benchmarkPacket(b *testing.B) []byte {
	var h Header
	h.PayloadType, h.Sequence, h.SSRC = 111, 1000, 0xCAFEBABE
	for _, err := range []error{h.SetLevel(1, -30, true), h.SetTransportSequence(3, 500), h.SetIdentification(4, "0")} {
		if err != nil {
			b.Fatal(err)
		}
	}
	return append(h.Append(nil), make([]byte, 160)...)
}

// BenchmarkParse reads a header with level, transport sequence and MID, as a browser sends them.
func BenchmarkParse(b *testing.B) {
	packet := benchmarkPacket(b)
	b.Run("rotunda", func(b *testing.B) {
		b.ReportAllocs()
		var h Header
		for b.Loop() {
			if _, err := h.Parse(packet); err != nil {
				b.Fatal(err)
			}
			if _, ok := h.TransportSequence(3); !ok {
				b.Fatal("no transport sequence")
			}
			if level, _ := h.Level(1); level != -30 {
				b.Fatal("no level")
			}
		}
	})
	b.Run("pion", func(b *testing.B) {
		b.ReportAllocs()
		var p pionrtp.Packet
		for b.Loop() {
			if err := p.Unmarshal(packet); err != nil {
				b.Fatal(err)
			}
			if len(p.GetExtension(3)) != 2 || len(p.GetExtension(1)) != 1 {
				b.Fatal("no extensions")
			}
		}
	})
}

// BenchmarkAppend writes the same header.
func BenchmarkAppend(b *testing.B) {
	var h Header
	buffer := make([]byte, 0, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.ClearExtensions()
		h.Sequence = uint16(i)
		if h.SetLevel(1, -30, true) != nil || h.SetTransportSequence(3, uint16(i)) != nil || h.SetIdentification(4, "0") != nil {
			b.Fatal("no room")
		}
		h.Append(buffer)
	}
}

// BenchmarkWalk reads a sender report with two blocks, a CNAME and a NACK.
func BenchmarkWalk(b *testing.B) {
	packet := AppendSenderReport(nil, 1, SenderInfo{}, testReports)
	packet = AppendNACK(AppendCNAME(packet, 1, "0123456789abcdef"), 1, 2, []uint16{1, 2, 30})
	b.Run("rotunda", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := Walk(packet)
			for c.Next() {
				touch(&c)
			}
		}
	})
	b.Run("pion", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := pion.Unmarshal(packet); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReceive is all that counts an incoming packet: statistics, losses, arrivals, flood limit.
func BenchmarkReceive(b *testing.B) {
	reception := Reception{Clock: 90000}
	var losses Losses
	var arrivals Arrivals
	flood := NewFlood(1_000_000, 1_000_000_000, time.Second)
	now := epoch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(3 * time.Millisecond)
		flood.Allow(1160, now)
		reception.Packet(uint16(i), uint32(i)*300, 1160, now)
		losses.Received(uint16(i), now)
		arrivals.Packet(uint16(i), now)
	}
}

// BenchmarkFeedback is one packet of transport-wide feedback for 30 packets, made, read, and put into the estimate.
func BenchmarkFeedback(b *testing.B) {
	var a Arrivals
	var d Departures
	e := NewEstimator(Limits{})
	buffer := make([]byte, 0, 1500)
	outcomes := make([]Outcome, 0, 2*arrivalWindow)
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		for range 30 {
			now = now.Add(3 * time.Millisecond)
			a.Packet(d.Packet(1000, now), now.Add(20*time.Millisecond))
		}
		packet, _ := a.AppendFeedback(buffer, 1, 2)
		c := Walk(packet)
		for c.Next() {
			outcomes = d.Outcomes(outcomes[:0], &c)
			e.Feedback(outcomes, now)
		}
	}
}

func TestCountingAPacketCostsNoAllocation(t *testing.T) {
	reception := Reception{Clock: 90000}
	transmission := Transmission{Clock: 90000}
	flood := NewFlood(1000, 1_000_000, time.Second)
	var keys Keys
	var h, out Header
	payload := []byte{1, 0, 0, 160}
	buffer := make([]byte, 0, 200)
	i, now := 0, epoch
	if n := testing.AllocsPerRun(1000, func() {
		i++
		now = now.Add(20 * time.Millisecond)
		out.ClearExtensions()
		out.Sequence, out.Timestamp = uint16(i), uint32(i)*160
		if out.SetLevel(1, -30, true) != nil || out.SetIdentification(4, "0") != nil || out.SetAbsoluteSendTime(2, now) != nil {
			t.Fatal("no room")
		}
		packet := append(out.Append(buffer), payload...)
		got, err := h.Parse(packet)
		if err != nil || string(h.Extension(4)) != "0" {
			t.Fatal("want the packet back")
		}
		flood.Allow(len(packet), now)
		reception.Packet(h.Sequence, h.Timestamp, len(packet), now)
		transmission.Packet(h.Timestamp, len(got), now)
		keys.Packet(got, h.Timestamp, h.Marker, now)
		reception.Report(1, now)
	}); n != 0 {
		t.Errorf("want no allocation, got %v", n)
	}
}
