package engine

import (
	"math"
	"testing"
	"time"

	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// twoWorkers are an engine that stands still, so that the test is its audio thread and its network, with a conference that
// is on another worker as well.
func twoWorkers(t testing.TB) (*mesh, *peer) {
	t.Helper()
	e, err := New(Config{Name: "0.0", FirstPort: 24000, LastPort: 24099})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.owner("test").clear(nil, nil)
		if err := e.loop.Close(); err != nil {
			t.Error(err)
		}
	})
	c := e.owner("test").conference("room")
	c.put(control.Conference{ID: "room", Mix: 1, Others: []control.Other{{Worker: "0.1", Exchange: addr(localSocket(t)), Mix: 2}}})
	m := c.mesh.Load()
	return m, (*m.peers.Load())[0]
}

// mixed is 20 ms of a tone, and the packet that another worker makes of it.
func mixed() (pcm []int16, packet func() []byte) {
	pcm = make([]int16, mixSamples)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/48000))
	}
	h := rtp.Header{PayloadType: soundType, SSRC: 2}
	h.SetContributor(7)
	b := make([]byte, 0, 2048)
	return pcm, func() []byte {
		h.Sequence++
		h.Timestamp += mixSamples
		b = codec.AppendL16(h.Append(b[:0]), pcm)
		return b
	}
}

func TestSoundBetweenWorkersDoesNotAllocate(t *testing.T) {
	m, p := twoWorkers(t)
	pcm, packet := mixed()
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { m.speak(pcm, now) }); n != 0 {
		t.Errorf("allocations to send 20 ms: want 0, got %v", n)
	}
	x, bus := m.exchange(), m.conference.bus
	hear := func() {
		now = now.Add(20 * time.Millisecond)
		x.RTP(packet(), now)
		x.Batch(now)
		bus.Tick(now)
	}
	for range 200 {
		hear()
	}
	if n := testing.AllocsPerRun(200, hear); n != 0 {
		t.Errorf("allocations to hear 20 ms: want 0, got %v", n)
	}
	if !p.source.Stats().Heard {
		t.Error("the other worker is not in the mix")
	}
}

// What a link costs a conference each 20 ms: to tell one more worker, and to hear it.

func BenchmarkSpeakToAWorker(b *testing.B) {
	m, _ := twoWorkers(b)
	pcm, _ := mixed()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		m.speak(pcm, now)
	}
}

func BenchmarkHearAWorker(b *testing.B) {
	m, _ := twoWorkers(b)
	_, packet := mixed()
	x, bus := m.exchange(), m.conference.bus
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(20 * time.Millisecond)
		x.RTP(packet(), now)
		x.Batch(now)
		bus.Tick(now)
	}
}

// BenchmarkPassOnAPicture is what a packet of a picture costs that one more worker wants.
func BenchmarkPassOnAPicture(b *testing.B) {
	_, p := twoWorkers(b)
	o := &outlet{peer: p}
	packets := make([][]byte, 16)
	for i := range packets {
		h := rtp.Header{SSRC: 3, Sequence: uint16(i)}
		packets[i] = append(h.Append(nil), make([]byte, 1100)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		o.SendVideo(packets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
}
