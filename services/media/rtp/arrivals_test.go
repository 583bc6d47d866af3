package rtp

import (
	"math/rand"
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	pion "github.com/pion/rtcp"
)

// readByPion returns the arrivals in 250 µs by packet number, as pion reads a feedback packet.
func readByPion(t *testing.T, packet []byte) (got map[uint16]int64, first uint16, count int) {
	t.Helper()
	packets, err := pion.Unmarshal(packet)
	if err != nil {
		t.Fatalf("pion: %v of %x", err, packet)
	}
	f, ok := packets[0].(*pion.TransportLayerCC)
	if !ok || len(packets) != 1 {
		t.Fatalf("want one feedback packet, got %v", packets)
	}
	got = map[uint16]int64{}
	number, delta := f.BaseSequenceNumber, 0
	at := int64(f.ReferenceTime) * 256
	take := func(symbol uint16) {
		if int(number-f.BaseSequenceNumber) >= int(f.PacketStatusCount) {
			return
		}
		if symbol == pion.TypeTCCPacketReceivedSmallDelta || symbol == pion.TypeTCCPacketReceivedLargeDelta {
			at += f.RecvDeltas[delta].Delta / 250
			delta++
			got[number] = at
		}
		number++
	}
	for _, c := range f.PacketChunks {
		switch c := c.(type) {
		case *pion.RunLengthChunk:
			for range c.RunLength {
				take(c.PacketStatusSymbol)
			}
		case *pion.StatusVectorChunk:
			for _, s := range c.SymbolList {
				take(s)
			}
		}
	}
	return got, f.BaseSequenceNumber, int(f.PacketStatusCount)
}

func TestFeedbackTellsWhatArrivedToUsAndToPion(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for round := range 100 {
		var a Arrivals
		number := uint16(65400 + round)
		now := epoch
		want := map[uint16]int64{}
		told, lost := 0, random.Float64()*0.9
		// Each round has its own mix: bursts, long gaps, late packets.
		pause := []time.Duration{100 * time.Microsecond, 5 * time.Millisecond, 90 * time.Millisecond, 10 * time.Second}[round%4]
		var buffer []byte
		var newest uint16
		got := map[uint16]int64{}
		for range 6 {
			for range random.Intn(150) {
				n := number
				number++
				now = now.Add(time.Duration(random.Int63n(int64(pause))))
				if len(want) > 0 && random.Float64() < lost {
					continue
				}
				a.Packet(n, now)
				a.Packet(n, now.Add(time.Second)) // a duplicate changes nothing
				want[n] = int64(now.Sub(a.origin)) / int64(deltaUnit)
				newest = n
			}
			for more := a.Due(); more; {
				buffer, more = a.AppendFeedback(buffer[:0], 1, 2)
				if len(buffer) > 1200 {
					t.Fatalf("round %d: want at most 1200 bytes, got %d", round, len(buffer))
				}
				theirs, first, count := readByPion(t, buffer)
				c := Walk(buffer)
				if !c.Next() || c.Kind != Transport || c.Sender != 1 || c.Media != 2 {
					t.Fatalf("round %d: want feedback, got kind %d, %v", round, c.Kind, c.Err())
				}
				f := c.Transport()
				if f.Count != uint8(told) {
					t.Fatalf("round %d: want feedback number %d, got %d", round, uint8(told), f.Count)
				}
				told++
				n := 0
				for ; f.Next(); n++ {
					at, ok := theirs[f.Number]
					if f.Number != first+uint16(n) || ok != f.Received || ok && time.Duration(at)*deltaUnit != f.Reference+f.Arrived {
						t.Fatalf("round %d: packet %d: pion reads %d %t, we read %v %t", round, f.Number, at, ok, f.Reference+f.Arrived, f.Received)
					}
					if f.Received {
						got[f.Number] = int64((f.Reference + f.Arrived) / deltaUnit)
					}
				}
				if n != count || !f.OK() {
					t.Fatalf("round %d: want %d packets, got %d, %t", round, count, n, f.OK())
				}
			}
		}
		for n, at := range want {
			if got[n] != at {
				t.Fatalf("round %d: packet %d of %d to %d: want it at %d, got %d", round, n, uint16(65400+round), newest, at, got[n])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("round %d: want %d packets received, got %d", round, len(want), len(got))
		}
	}
}

func TestALatePacketIsToldAfterAll(t *testing.T) {
	var a Arrivals
	var d Departures
	for i := range 10 {
		if got := d.Packet(100, epoch.Add(time.Duration(i)*time.Millisecond)); got != uint16(i) {
			t.Fatalf("want number %d, got %d", i, got)
		}
	}
	for _, n := range []uint16{0, 1, 2, 4, 5} {
		a.Packet(n, epoch.Add(time.Duration(n)*time.Millisecond))
	}
	outcomes := feedback(t, &a, &d)
	if len(outcomes) != 6 || outcomes[3].Received {
		t.Fatalf("want six outcomes with the fourth lost, got %+v", outcomes)
	}
	a.Packet(3, epoch.Add(20*time.Millisecond))
	outcomes = feedback(t, &a, &d)
	if len(outcomes) != 1 || !outcomes[0].Received || !outcomes[0].Late || outcomes[0].Sent != 3*time.Millisecond {
		t.Fatalf("want the fourth packet received late, got %+v", outcomes)
	}
	if a.Due() {
		t.Error("want nothing more to tell")
	}
}

// feedback brings the feedback of one side to the other.
func feedback(t *testing.T, a *Arrivals, d *Departures) (outcomes []Outcome) {
	t.Helper()
	for more := a.Due(); more; {
		var packet []byte
		packet, more = a.AppendFeedback(nil, 1, 2)
		c := Walk(packet)
		for c.Next() {
			outcomes = d.Outcomes(outcomes, &c)
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
	}
	return outcomes
}

func TestOutcomesKeepOrderSizesAndTimesOverWraps(t *testing.T) {
	var a Arrivals
	var d Departures
	random := rand.New(rand.NewSource(2))
	now := epoch
	type packet struct {
		sent, arrived time.Time
		size          int
		received      bool
	}
	var want []packet
	for i := range 140_000 { // two wraps of the numbers
		now = now.Add(time.Duration(random.Intn(20)) * time.Millisecond)
		p := packet{sent: now, arrived: now.Add(30 * time.Millisecond), size: 100 + random.Intn(1000), received: i == 0 || random.Intn(10) > 0}
		n := d.Packet(p.size, p.sent)
		if int(n) != i&0xFFFF {
			t.Fatalf("want number %d, got %d", i&0xFFFF, n)
		}
		if p.received {
			a.Packet(n, p.arrived)
		}
		want = append(want, p)
		if i%100 != 99 {
			continue
		}
		outcomes := feedback(t, &a, &d)
		for k, o := range outcomes {
			w := want[k]
			late := w.arrived.Sub(a.origin) - o.Arrived
			if o.Sent != w.sent.Sub(d.origin) || o.Size != w.size || o.Received != w.received || o.Late || o.Received && (late < 0 || late >= deltaUnit) {
				t.Fatalf("packet %d of those up to %d: want %+v, got %+v", k, i, w, o)
			}
		}
		want = want[len(outcomes):]
	}
	if len(want) > 20 {
		t.Errorf("want all but the last lost packets told, got %d left", len(want))
	}
}

func TestFeedbackMadeByPionIsRead(t *testing.T) {
	random := rand.New(rand.NewSource(4))
	recorder := twcc.NewRecorder(1)
	var d Departures
	now := epoch
	want := map[time.Duration]bool{} // by time of sending
	got, lost := 0, 0
	for round := range 100 {
		for range 1 + random.Intn(60) {
			now = now.Add(time.Duration(1+random.Intn(1+round*2)) * time.Millisecond)
			n := d.Packet(500, now)
			if random.Intn(5) > 0 {
				recorder.Record(2, n, now.Sub(epoch).Microseconds()+20_000)
				want[now.Sub(d.origin)] = true
			}
		}
		for _, p := range recorder.BuildFeedbackPacket() {
			raw, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			c := Walk(raw)
			for c.Next() {
				for _, o := range d.Outcomes(nil, &c) {
					if o.Received != want[o.Sent] {
						t.Fatalf("round %d: packet sent at %v: want received %t, got %+v", round, o.Sent, want[o.Sent], o)
					}
					if !o.Received {
						lost++
						continue
					}
					got++
					if late := o.Arrived - o.Sent - d.origin.Sub(epoch) - 20*time.Millisecond; late.Abs() > deltaUnit {
						t.Fatalf("round %d: packet sent at %v: want it 20 ms later, got %v more", round, o.Sent, late)
					}
				}
			}
			if c.Err() != nil {
				t.Fatal(c.Err())
			}
		}
	}
	if got != len(want) || lost < got/10 {
		t.Errorf("want %d packets received and about a quarter as many lost, got %d and %d", len(want), got, lost)
	}
}

func TestFeedbackAboutPacketsNeverSentIsPassedOver(t *testing.T) {
	var a Arrivals
	var d Departures
	d.Packet(100, epoch)
	for n := range uint16(2000) {
		a.Packet(n*7, epoch.Add(time.Duration(n)*time.Millisecond))
	}
	if outcomes := feedback(t, &a, &d); len(outcomes) != 0 {
		t.Errorf("want nothing, got %+v", outcomes)
	}
}

func TestFeedbackCostsNoAllocation(t *testing.T) {
	var a Arrivals
	var d Departures
	e := NewEstimator(Limits{})
	buffer := make([]byte, 0, 1500)
	outcomes := make([]Outcome, 0, 2*arrivalWindow)
	now := epoch
	if n := testing.AllocsPerRun(200, func() {
		for range 30 {
			now = now.Add(3 * time.Millisecond)
			a.Packet(d.Packet(1000, now), now.Add(20*time.Millisecond))
		}
		packet, _ := a.AppendFeedback(buffer, 1, 2)
		c := Walk(packet)
		for c.Next() {
			e.Feedback(d.Outcomes(outcomes[:0], &c), now)
		}
	}); n != 0 {
		t.Errorf("want no allocation, got %v", n)
	}
}

// FuzzTWCC reads anything as transport-wide feedback; whatever it says, the sender's side stays in its bounds. And what
// arrives in any order is told so that it is read back.
func FuzzTWCC(f *testing.F) {
	var a Arrivals
	for _, n := range []uint16{0, 1, 2, 50, 51, 49} {
		a.Packet(n, epoch.Add(time.Duration(n)*7*time.Millisecond))
	}
	good, _ := a.AppendFeedback(nil, 1, 2)
	f.Add(good)
	f.Add([]byte{0x8F, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0, 0, 0, 0x3F, 0xFF, 0x00, 0x00})
	f.Add([]byte{0x8F, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 1, 0, 0xDA, 0xAA, 0x20, 0x01, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, packet []byte) {
		var d Departures
		for i := range 1500 {
			d.Packet(1000, epoch.Add(time.Duration(i)*time.Millisecond))
		}
		e := NewEstimator(Limits{})
		c := Walk(packet)
		for c.Next() {
			if c.Kind != Transport {
				continue
			}
			n := 0
			for walk := c.Transport(); walk.Next(); {
				n++
			}
			if n > 65535 {
				t.Fatalf("want at most 65535 packets, got %d", n)
			}
			outcomes := d.Outcomes(nil, &c)
			if len(outcomes) > departureWindow {
				t.Fatalf("want at most %d outcomes, got %d", departureWindow, len(outcomes))
			}
			e.Feedback(outcomes, epoch.Add(2*time.Second))
		}
		if got := e.Bitrate(); got < 50_000 || got > 10_000_000 {
			t.Fatalf("want 50000 to 10000000 bit/s, got %d", got)
		}

		// The bytes as steps of number and time.
		var a Arrivals
		want := map[uint16]bool{}
		number, at := uint16(65500), epoch
		for i := 0; i+2 <= len(packet) && i < 400; i += 2 {
			number += uint16(int8(packet[i])) / 4
			at = at.Add(time.Duration(packet[i+1]) * time.Duration(packet[i+1]) * time.Millisecond)
			a.Packet(number, at)
			want[number] = true
		}
		buffer := make([]byte, 0, 1500)
		for more := a.Due(); more; {
			buffer, more = a.AppendFeedback(buffer[:0], 1, 2)
			c := Walk(buffer)
			for c.Next() {
				walk := c.Transport()
				for walk.Next() {
					if walk.Received && !want[walk.Number] {
						t.Fatalf("packet %d is told, and never came", walk.Number)
					}
				}
				if !walk.OK() {
					t.Fatalf("feedback %x does not hold what it announces", buffer)
				}
			}
			if c.Err() != nil {
				t.Fatalf("feedback %x: %v", buffer, c.Err())
			}
		}
	})
}
