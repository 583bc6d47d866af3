package audio

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// TestThreadsShareABus lets the three kinds of threads work at once; the race detector looks on.
func TestThreadsShareABus(t *testing.T) {
	buses := []*Bus{NewBus(Config{Decoder: openDecoder, Encoder: openEncoder}), NewBus(Config{Decoder: openDecoder, Encoder: openEncoder})}
	var sources []*Source
	var listeners []*Listener
	sent := 0 // in the audio thread
	for i := range 6 {
		sources = append(sources, buses[0].AddSource(uint32(i+1), SourceOptions{Gain: true}))
		l, err := buses[0].AddListener(uint32(i+1), ListenerOptions{Codec: control.PCMU}, func([]byte, uint32, bool) { sent++ })
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	const ticks = 300
	start := epoch.Add(time.Hour)
	var threads sync.WaitGroup
	threads.Go(func() {
		for n := range ticks {
			for _, s := range sources {
				s.Push(Packet{Codec: control.PCMU, Sequence: uint16(n), Timestamp: uint32(160 * n), Level: int8(-20 - n%50),
					Arrival: start.Add(time.Duration(n) * 20 * time.Millisecond), Payload: make([]byte, 160)})
			}
		}
	})
	threads.Go(func() {
		for n := range ticks {
			for _, b := range buses {
				b.Tick(start.Add(time.Duration(n) * 20 * time.Millisecond))
			}
		}
	})
	threads.Go(func() {
		for n := range ticks / 3 {
			s, l := sources[n%len(sources)], listeners[n%len(listeners)]
			s.Move(buses[n%2])
			if err := l.Move(buses[n%2]); err != nil {
				t.Error(err)
			}
			s.Update(SourceOptions{Muted: n%5 == 0, Gain: n%2 == 0})
			if err := l.Update(ListenerOptions{Codec: []string{control.PCMU, control.Opus}[n%2], PacketMs: 20, Deaf: n%7 == 0}); err != nil {
				t.Error(err)
			}
			if err := l.Play(Play{ID: "x", Tone: "join"}); err != nil {
				t.Error(err)
			}
			l.Report(float64(n % 20))
			s.Stats()
			s.Playout(start)
			l.Timestamp(start)
			buses[0].Speakers()
		}
	})
	threads.Wait()
	if sent < ticks*len(listeners)*8/10 {
		t.Errorf("%d packets sent in %d ticks to %d listeners", sent, ticks, len(listeners))
	}
	for i := range sources {
		sources[i].Remove()
		listeners[i].Remove()
	}
	for _, b := range buses {
		if len(b.sources) != 0 || len(b.groups) != 0 {
			t.Errorf("%d sources and %d groups are left", len(b.sources), len(b.groups))
		}
		b.Close()
	}
}

func TestTickerTicksEvery20Milliseconds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var due []time.Time
	ticker := NewTicker(func(at time.Time) {
		if due = append(due, at); len(due) == 5 {
			cancel()
		}
	})
	if err := ticker.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(due); i++ {
		if d := due[i].Sub(due[i-1]); d%(20*time.Millisecond) != 0 || d == 0 {
			t.Errorf("tick %d was due %v after the one before", i, d)
		}
	}
	if ticker.Late(0.999) <= 0 {
		t.Error("lateness was not measured")
	}
}

func TestATickerThatNobodyNeedsRestsUntilItIsWoken(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	due := make(chan time.Time, 10)
	ticker := NewTicker(func(at time.Time) {
		select {
		case due <- at:
		default:
		}
	})
	var busy atomic.Bool
	idle := make(chan struct{}, 10)
	ticker.Rest(func() bool {
		if busy.Load() {
			return false
		}
		idle <- struct{}{}
		return true
	})
	done := make(chan error, 1)
	go func() { done <- ticker.Run(ctx) }()
	first := <-due
	<-idle
	if len(due) != 0 {
		t.Error("it went on though nobody needs it")
	}
	// One call each time, and at one of its moments.
	ticker.Wake()
	second := <-due
	<-idle
	if d := second.Sub(first); d <= 0 || d%(20*time.Millisecond) != 0 {
		t.Errorf("woken, it ticked %v after the tick before", d)
	}
	busy.Store(true)
	ticker.Wake()
	for range 3 {
		<-due
	}
	busy.Store(false)
	<-idle
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := ticker.Skipped(); n != 0 {
		t.Errorf("%d ticks count as left out, of which nobody had been waiting for any", n)
	}
}

func TestPlayoutNamesTheTimeStampThatIsHeard(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.Opus, 400, -20, ListenerOptions{})
	r.join(2, control.Opus, 0, 0, ListenerOptions{})
	if _, ok := a.source.Playout(r.now); ok {
		t.Error("a time stamp before the first packet")
	}
	r.run(2*time.Second, nil)
	got, _ := a.source.Playout(r.now)
	// The first sample of packet n is due at n × 20 ms plus 5 of the network, which includes its own length, plus the delay.
	delay := a.source.Stats().Delay
	want := a.base + uint32((r.now.Sub(r.start)-25*time.Millisecond-delay).Milliseconds()*48)
	if d := int32(got - want); math.Abs(float64(d)) > 48 {
		t.Errorf("the time stamp heard is %d too high", d)
	}
}

func TestOwnSourceIsFoundWhateverCameFirst(t *testing.T) {
	b := NewBus(Config{Decoder: openDecoder, Encoder: openEncoder})
	l, err := b.AddListener(5, ListenerOptions{Codec: control.PCMU}, func([]byte, uint32, bool) {})
	if err != nil {
		t.Fatal(err)
	}
	s := b.AddSource(5, SourceOptions{})
	if l.self != s {
		t.Error("a source that came after its listener is not known as its own")
	}
	s.Remove()
	if l.self != nil || !slices.Equal(b.Speakers(), []uint32{}) {
		t.Error("a removed source is still known")
	}
	if _, err := b.AddListener(6, ListenerOptions{Codec: control.PCMU, PacketMs: 30}, nil); err == nil {
		t.Error("packets of 30 ms are accepted")
	}
}
