package audio

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// heardGap finds the longest stretch of quiet in a tone, in milliseconds.
func heardGap(pcm []int16, sampleRate int, floor int16) float64 {
	longest, run := 0, 0
	for _, v := range pcm {
		if v > floor || v < -floor {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return float64(longest) * 1000 / float64(sampleRate)
}

func fixed(d time.Duration) []time.Duration { return []time.Duration{d} }

func TestJitterBufferHasNoGapWherePacketsAre(t *testing.T) {
	long(t)
	random := rand.New(rand.NewPCG(3, 4))
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	for _, c := range []struct {
		name     string
		packetMs int
		network  func(n int) []time.Duration
		ppm      float64
		length   time.Duration
		// delay is the most the buffer may add in the end, guesses how many ticks may be guessed after 5 s.
		delay   time.Duration
		guesses uint64
	}{
		{"steady", 20, func(int) []time.Duration { return fixed(ms(5)) }, 0, 15 * time.Second, ms(45), 0},
		{"10 ms packets", 10, func(int) []time.Duration { return fixed(ms(5)) }, 0, 15 * time.Second, ms(45), 0},
		{"30 ms packets", 30, func(int) []time.Duration { return fixed(ms(5)) }, 0, 15 * time.Second, ms(45), 0},
		{"60 ms packets", 60, func(int) []time.Duration { return fixed(ms(5)) }, 0, 15 * time.Second, ms(45), 0},
		{"40 ms packets, 15 ms of jitter", 40, func(int) []time.Duration { return fixed(ms(random.Float64() * 15)) }, 0, 15 * time.Second, ms(60), 0},
		{"30 ms of jitter", 20, func(int) []time.Duration { return fixed(ms(random.Float64() * 30)) }, 0, 40 * time.Second, ms(75), 20},
		{"100 ms of jitter, reordered", 20, func(int) []time.Duration { return fixed(ms(random.Float64() * 100)) }, 0, 40 * time.Second, ms(145), 60},
		{"duplicates", 20, func(int) []time.Duration { return []time.Duration{ms(5), ms(9), ms(40)} }, 0, 15 * time.Second, ms(45), 0},
		{"neighbours swapped", 20, func(n int) []time.Duration { return fixed(ms(float64(5 + 30*(n%2)))) }, 0, 15 * time.Second, ms(75), 0},
		{"fast sender", 20, func(int) []time.Duration { return fixed(ms(random.Float64() * 8)) }, 200, 2 * time.Minute, ms(50), 20},
		{"slow sender", 20, func(int) []time.Duration { return fixed(ms(random.Float64() * 8)) }, -200, 2 * time.Minute, ms(50), 20},
		{"a route that becomes longer", 20, func(n int) []time.Duration {
			return fixed(ms(10 + 60*float64(min(1, n/1000))))
		}, 0, 40 * time.Second, ms(60), 8},
		{"a route that becomes shorter", 20, func(n int) []time.Duration {
			return fixed(ms(70 - 60*float64(min(1, n/1000))))
		}, 0, 40 * time.Second, ms(60), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			codec := control.Opus
			if c.packetMs > 40 {
				codec = control.PCMU // 60 ms of the other one do not fit into a packet
			}
			a := r.join(1, codec, 400, -20, ListenerOptions{})
			a.packetMs, a.network, a.ppm = c.packetMs, c.network, c.ppm
			a.listener.Remove()
			b := r.join(2, control.Opus, 0, 0, ListenerOptions{})
			r.run(5*time.Second, nil)
			early := a.source.Stats().Concealed
			b.heard = nil
			r.run(c.length-5*time.Second, nil)
			st := a.source.Stats()
			guessed := st.Concealed - early
			if guessed > c.guesses {
				t.Errorf("%d ticks were guessed, want at most %d", guessed, c.guesses)
			}
			// The test's decoder guesses silence: without guesses the tone never stops. A tenth of its amplitude lasts 0.1 ms.
			if gap := heardGap(b.heard, 16000, 460); guessed == 0 && gap > 1 {
				t.Errorf("a gap of %.1f ms with all packets there", gap)
			}
			if st.Delay > c.delay || st.Delay < 5*time.Millisecond {
				t.Errorf("delay %v in the end (target %v), want at most %v", st.Delay, st.Target, c.delay)
			}
			if st.Lost != 0 {
				t.Errorf("%d packets counted as lost", st.Lost)
			}
			t.Logf("delay %v target %v jitter %v guessed %d (+%d) late %d duplicates %d stretched %d shrunk %d resets %d",
				st.Delay, st.Target, st.Jitter, guessed, early, st.Late, st.Duplicates, st.Stretched, st.Shrunk, st.Resets)
		})
	}
}

func TestLostPacketsAreGuessedAndCounted(t *testing.T) {
	r := newRoom(t)
	random := rand.New(rand.NewPCG(5, 6))
	a := r.join(1, control.PCMU, 400, -20, ListenerOptions{})
	lost := uint64(0)
	a.network = func(n int) []time.Duration {
		if n > 50 && random.Float64() < 0.05 {
			lost++
			return nil
		}
		return fixed(5 * time.Millisecond)
	}
	r.join(2, control.PCMU, 0, 0, ListenerOptions{})
	r.run(30*time.Second, nil)
	st := a.source.Stats()
	if st.Lost > lost || st.Lost+2 < lost {
		t.Errorf("%d packets counted as lost of %d", st.Lost, lost)
	}
	if st.Concealed < lost*9/10 || st.Concealed > lost*11/10+2 {
		t.Errorf("%d ticks guessed for %d lost packets", st.Concealed, lost)
	}
	if st.Delay > 60*time.Millisecond {
		t.Errorf("losses raised the delay to %v", st.Delay)
	}
}

func TestBrokenTimeLinesGoOn(t *testing.T) {
	long(t)
	for _, c := range []struct {
		name    string
		disturb func(p *person)
	}{
		{"time stamps jump ahead", func(p *person) { p.base += 500_000 }},
		{"time stamps jump back", func(p *person) { p.base -= 500_000 }},
		{"another SSRC, sequence and time", func(p *person) { p.ssrc, p.sequence, p.base = 99, p.sequence+30000, p.base+0x70000000 }},
		{"sequence numbers start again", func(p *person) { p.sequence += 20000 }},
		{"sequence numbers go back", func(p *person) { p.sequence -= 200 }},
		{"another codec", func(p *person) { p.codec, p.encoder = control.PCMA, aLawEncoder{} }},
		{"another clock", func(p *person) { p.codec, p.encoder = control.Opus, &testEncoder{codec: control.Opus} }},
		{"time stamps that stood still for two seconds", func(p *person) { p.sent += 100; p.base -= 100 * 160 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			a := r.join(1, control.PCMU, 400, -20, ListenerOptions{})
			b := r.join(2, control.Opus, 0, 0, ListenerOptions{})
			r.run(3*time.Second, nil)
			c.disturb(a)
			r.run(3*time.Second, nil)
			b.heard = nil
			r.run(2*time.Second, nil)
			if got := b.hears(400, time.Second); math.Abs(got+20) > 0.5 {
				t.Errorf("afterwards the tone has %.1f dBov, want -20", got)
			}
			if gap := heardGap(b.heard, 16000, 460); gap > 1 {
				t.Errorf("afterwards there is a gap of %.1f ms", gap)
			}
			if st := a.source.Stats(); st.Delay > 60*time.Millisecond || st.Resets > 2 {
				t.Errorf("afterwards the delay is %v after %d resets", st.Delay, st.Resets)
			}
		})
	}
}

// aLawEncoder sends A-law by looking for the nearest code.
type aLawEncoder struct{}

func (aLawEncoder) Rate() int { return 8000 }
func (aLawEncoder) Close()    {}
func (aLawEncoder) Encode(packet []byte, pcm []int16) (int, error) {
	for i, v := range pcm {
		best := math.MaxInt
		for c, x := range expand[aLaw] {
			if d := int(math.Abs(float64(v) - float64(x))); d < best {
				best, packet[i] = d, byte(c)
			}
		}
	}
	return len(pcm), nil
}

func TestAStalledNetworkIsCaughtUpWith(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.Opus, 400, -20, ListenerOptions{})
	b := r.join(2, control.Opus, 0, 0, ListenerOptions{})
	a.network = func(n int) []time.Duration {
		// From 5.0 to 5.6 s nothing comes, then all at once.
		if at := time.Duration(n+1) * 20 * time.Millisecond; at >= 5*time.Second && at < 5600*time.Millisecond {
			return fixed(5600*time.Millisecond - at)
		}
		return fixed(5 * time.Millisecond)
	}
	r.run(20*time.Second, nil)
	st := a.source.Stats()
	if st.Delay > 120*time.Millisecond {
		t.Errorf("14 s after a stall the delay is %v", st.Delay)
	}
	b.heard = b.tail(10 * time.Second)
	if gap := heardGap(b.heard, 16000, 460); gap > 1 {
		t.Errorf("a gap of %.1f ms long after the stall", gap)
	}
}

func TestStretchingKeepsTheTone(t *testing.T) {
	for _, hz := range []float64{100, 180, 400, 1000} {
		x := make([]float32, 4*stretchRoom)
		for i := range x {
			x[i] = float32(8000 * math.Sin(2*math.Pi*hz*float64(i)/rate))
		}
		lag, quality := fit(x[:stretchRoom])
		if quality < 0.9 {
			t.Errorf("%v Hz: likeness %.2f, want nearly 1", hz, quality)
		}
		shorter := append([]float32(nil), shrink(append([]float32(nil), x[:2*stretchRoom]...), lag)...)
		longer := make([]float32, 2*stretchRoom+lag)
		copy(longer, x[:2*stretchRoom])
		grow(longer, 2*stretchRoom, lag)
		for name, y := range map[string][]float32{"shrunk": shorter, "grown": longer} {
			bound := 8000 * 2 * math.Pi * hz / rate * 1.3
			for i := 1; i < len(y); i++ {
				if d := math.Abs(float64(y[i] - y[i-1])); d > bound {
					t.Fatalf("%v Hz %s by %d: a step of %.0f at %d, want at most %.0f", hz, name, lag, d, i, bound)
				}
			}
		}
	}
}

func FuzzJitterBuffer(f *testing.F) {
	f.Add([]byte{1, 0, 20, 1, 1, 20, 1, 2, 20, 0xff, 0, 0, 3, 200, 1})
	f.Add([]byte{0x80, 0, 0, 0x81, 255, 255, 0x40, 1, 1, 0x7f, 9, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := NewBus(Config{Decoder: openDecoder, Encoder: openEncoder})
		s := b.AddSource(1, SourceOptions{Gain: true})
		if _, err := b.AddListener(2, ListenerOptions{Codec: control.PCMU}, func([]byte, uint32, bool) {}); err != nil {
			t.Fatal(err)
		}
		now := epoch.Add(time.Minute)
		sequence, stamp := uint16(65530), uint32(0xfffffff0)
		codecs := []string{control.PCMU, control.PCMA, control.Opus, "nothing"}
		var payload [512]byte
		for ; len(data) >= 3; data = data[3:] {
			op, x, y := data[0], data[1], data[2]
			sequence += uint16(int8(x))
			stamp += uint32(int32(int8(y))) * 160
			if op&0x40 != 0 {
				stamp ^= uint32(x) << 24
			}
			if op&0x20 != 0 {
				sequence ^= uint16(y) << 8
			}
			s.Push(Packet{Codec: codecs[op>>2&3], SSRC: uint32(op >> 7), Sequence: sequence, Timestamp: stamp, Marker: op&2 != 0,
				Level: int8(-x >> 1), Arrival: now, Payload: payload[:int(x)+int(y)]})
			now = now.Add(time.Duration(x) * 300 * time.Microsecond)
			if op&1 != 0 {
				b.Tick(now)
			}
		}
		st := s.Stats()
		if st.Late+st.Duplicates > st.Packets {
			t.Fatalf("impossible figures: %+v", st)
		}
		if st.Target < 0 || st.Target > 200*time.Millisecond {
			t.Fatalf("target %v", st.Target)
		}
		// After any of this a steady sender is heard within two seconds.
		for n := range 100 {
			now = now.Add(20 * time.Millisecond)
			sequence, stamp = sequence+1, stamp+160
			for i := range 160 {
				payload[i] = compressMu(int16(8000 * math.Sin(float64(n*160+i)*0.3)))
			}
			s.Push(Packet{Codec: control.PCMU, SSRC: 7, Sequence: sequence, Timestamp: stamp, Level: -10, Arrival: now, Payload: payload[:160]})
			b.Tick(now)
		}
		if !s.sounding {
			t.Fatalf("a steady sender is not heard: %s", fmt.Sprintf("%+v", s.Stats()))
		}
	})
}
