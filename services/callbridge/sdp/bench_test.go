package sdp

import (
	"runtime"
	"testing"

	"rotunda/services/media/control"
)

// BenchmarkAnswer is a call that comes in: offer, wanted state, answer.
func BenchmarkAnswer(b *testing.B) {
	for _, name := range []string{"sipp", "cisco-ce-best-effort", "chrome-by-rtpengine"} {
		b.Run(name, func(b *testing.B) {
			offer := stored(b, "offers/"+name)
			s := newSide(b, video)
			s.answer(offer)
			media, ports, random := s.media, s.sockets(), steady()
			b.ReportAllocs()
			for b.Loop() {
				n := New(video, random)
				var l control.Leg
				if err := n.ReadOffer(offer); err != nil {
					b.Fatal(err)
				}
				n.Apply(&l, s.local)
				if _, err := n.WriteAnswer(media, ports); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSession is what a session holds while its call is up.
func BenchmarkSession(b *testing.B) {
	offer := stored(b, "offers/cisco-ce-best-effort")
	side := newSide(b, video)
	side.answer(offer)
	const calls = 1000
	for b.Loop() {
		held := make([]*Session, calls)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range held {
			s := New(video, steady())
			if err := s.ReadOffer(offer); err != nil {
				b.Fatal(err)
			}
			var l control.Leg
			s.Apply(&l, side.local)
			if _, err := s.WriteAnswer(side.media, side.sockets()); err != nil {
				b.Fatal(err)
			}
			held[i] = s
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/calls, "B/session")
		runtime.KeepAlive(held)
	}
}
