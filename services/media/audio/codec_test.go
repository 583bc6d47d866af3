package audio

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"rotunda/services/media/control"
)

func realRoom(t testing.TB) *room {
	r := newRoom(t)
	r.config = real
	r.Bus = NewBus(r.config)
	return r
}

// voiceLike is noise through three resonances, in syllables: what codecs' levels are calibrated by.
func voiceLike(n, sampleRate int, dBov float64, seed uint64) []int16 {
	random := rand.New(rand.NewPCG(seed, 1))
	x := make([]float64, n)
	for _, f := range []struct{ hz, width, gain float64 }{{500, 80, 1}, {1500, 120, 0.4}, {2500, 160, 0.2}} {
		a := math.Exp(-math.Pi * f.width / float64(sampleRate))
		c := 2 * a * math.Cos(2*math.Pi*f.hz/float64(sampleRate))
		var y1, y2 float64
		for i := range x {
			// Pulses of a 120 Hz voice with a little noise.
			in := 0.05 * random.NormFloat64()
			if i%(sampleRate/120) == 0 {
				in++
			}
			y1, y2 = in+c*y1-a*a*y2, y1
			x[i] += f.gain * (1 - a) * y1
		}
	}
	power := 0.0
	for _, v := range x {
		power += v * v
	}
	scale := 32768 * math.Pow(10, dBov/20) / math.Sqrt(power/float64(n))
	out := make([]int16, n)
	for i, v := range x {
		out[i] = sample(float32(v * scale))
	}
	return out
}

func TestG722LevelsAreJudgedOnThePayload(t *testing.T) {
	for _, dBov := range []float64{-10, -15, -20, -26, -32, -40, -50} {
		for name, pcm := range map[string][]int16{
			"voice": voiceLike(16000, 16000, dBov, 1),
			"noise": func() []int16 {
				random := rand.New(rand.NewPCG(9, 9))
				out := make([]int16, 16000)
				for i := range out {
					out[i] = sample(float32(random.NormFloat64() * 32768 * math.Pow(10, dBov/20)))
				}
				return out
			}(),
		} {
			enc, err := real.Encoder(control.G722, EncoderOptions{PacketMs: 20})
			if err != nil {
				t.Fatal(err)
			}
			var j judge
			sum, n := 0.0, 0
			for ; len(pcm) >= 320; pcm = pcm[320:] {
				b := make([]byte, 200)
				k, err := enc.Encode(b, pcm[:320])
				if err != nil {
					t.Fatal(err)
				}
				level, _ := j.level(control.G722, b[:k])
				if n++; n > 5 {
					sum += float64(level)
				}
			}
			enc.Close()
			if got := sum / float64(n-5); math.Abs(got-dBov) > 6 {
				t.Errorf("%s of %v dBov is judged %.1f", name, dBov, got)
			} else {
				t.Logf("%s of %v dBov is judged %.1f", name, dBov, got)
			}
		}
	}
}

func TestRealCodecsMixAndSeparate(t *testing.T) {
	for _, name := range []string{control.PCMU, control.PCMA, control.G722, control.Opus} {
		for _, ms := range []int{10, 20, 40} {
			r := realRoom(t)
			for i := range 3 {
				r.join(uint32(i+1), name, pitches[i], -22, ListenerOptions{PacketMs: ms})
			}
			r.run(1500*time.Millisecond, nil)
			for i, p := range r.people {
				for j := range 3 {
					got := p.hears(pitches[j], 700*time.Millisecond)
					if i == j && got > -55 {
						t.Errorf("%s, %d ms: %d hears itself with %.1f dBov", name, ms, i, got)
					}
					if i != j && math.Abs(got+22) > 1.5 {
						t.Errorf("%s, %d ms: %d hears %d with %.1f dBov, want -22", name, ms, i, j, got)
					}
				}
			}
		}
	}
}

func TestSilenceSentAgainAndAgainStaysSilence(t *testing.T) {
	for _, name := range []string{control.PCMU, control.PCMA, control.G722, control.Opus} {
		r := realRoom(t)
		a := r.join(1, name, 0, 0, ListenerOptions{FEC: true})
		b := r.join(2, name, 500, -20, ListenerOptions{})
		b.silent = func(at time.Duration) bool { return at > time.Second && at < 30*time.Second }
		a.listener.Report(10) // the speech modes of Opus
		r.run(29*time.Second, nil)
		for i, v := range a.tail(25 * time.Second) {
			if v > 16 || v < -16 {
				t.Fatalf("%s: sample %d of silence is %d", name, i, v)
			}
		}
		r.run(4*time.Second, nil)
		if got := a.hears(500, time.Second); math.Abs(got+20) > 1.5 {
			t.Errorf("%s: after the silence the tone has %.1f dBov, want -20", name, got)
		}
	}
}

// TestMovingBetweenEncodersIsSmall measures what is heard when a listener moves between the common encoder and its own, as
// the part of the sound that is not the tone it hears all the time, at its worst 20 ms.
func TestMovingBetweenEncodersIsSmall(t *testing.T) {
	worst := func(name string, moving bool) float64 {
		r := realRoom(t)
		a := r.join(1, name, 1000, -58, ListenerOptions{})
		r.join(2, name, 300, -20, ListenerOptions{})
		r.join(3, name, 0, 0, ListenerOptions{})
		// a is too quiet to be a distortion of its own, but loud enough to be in the mix.
		a.silent = func(at time.Duration) bool { return !moving || at/(700*time.Millisecond)%2 == 0 }
		r.run(7*time.Second, nil)
		pcm, sampleRate := a.tail(6*time.Second), a.decoder.Rate()
		w := -200.0
		// 10 cycles of 300 Hz.
		for n := sampleRate / 30; len(pcm) >= n; pcm = pcm[n/2:] {
			w = max(w, residual(pcm[:n], sampleRate, 300))
		}
		return w
	}
	// The predictors of G.722 take 30 ms to meet again; Opus, which overlaps its frames, shows nothing.
	for name, bound := range map[string]float64{control.PCMU: -33, control.G722: -22, control.Opus: -22} {
		still, moved := worst(name, false), worst(name, true)
		t.Logf("%s: worst distortion %.1f dB on the common encoder, %.1f dB with moves", name, still, moved)
		if moved > bound {
			t.Errorf("%s: moving between encoders raises the distortion from %.1f to %.1f dB, want at most %.0f", name, still, moved, bound)
		}
	}
}

func TestLossIsMendedByRedundancy(t *testing.T) {
	r := realRoom(t)
	a := r.join(1, control.Opus, 300, -20, ListenerOptions{})
	enc, err := real.Encoder(control.Opus, EncoderOptions{PacketMs: 20, FEC: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := enc.(interface{ SetLoss(int) error }).SetLoss(15); err != nil {
		t.Fatal(err)
	}
	a.encoder = enc
	a.network = func(n int) []time.Duration {
		if n%10 == 3 {
			return nil
		}
		return fixed(5 * time.Millisecond)
	}
	b := r.join(2, control.Opus, 0, 0, ListenerOptions{})
	r.run(20*time.Second, nil)
	st := a.source.Stats()
	if st.Recovered < st.Lost*9/10 {
		t.Errorf("%d of %d lost packets recovered", st.Recovered, st.Lost)
	}
	// A packet that was not mended would be a gap of 20 ms.
	if gap := heardGap(b.tail(15*time.Second), 48000, 300); gap > 15 {
		t.Errorf("a gap of %.1f ms", gap)
	}
	t.Logf("%d lost, %d recovered, %d ticks guessed, delay %v", st.Lost, st.Recovered, st.Concealed, st.Delay)
}

func TestReportedLossMovesListenersToRedundancy(t *testing.T) {
	r := realRoom(t)
	lossy := r.join(1, control.Opus, 0, 0, ListenerOptions{FEC: true})
	r.join(2, control.Opus, 0, 0, ListenerOptions{FEC: true})
	r.join(3, control.Opus, 300, -20, ListenerOptions{})
	r.run(2*time.Second, nil)
	if n := len(r.groups); n != 2 {
		t.Fatalf("%d groups, want one with FEC and one without", n)
	}
	lossy.listener.Report(4)
	r.run(2*time.Second, nil)
	if got := lossy.listener.group.key.loss; got != 5 {
		t.Errorf("class %d for 4 %% of loss, want 5", got)
	}
	lossy.listener.Report(0)
	r.run(2*time.Second, nil)
	if got := lossy.listener.group.key.loss; got != 0 || len(r.groups) != 2 {
		t.Errorf("class %d in %d groups after the loss, want 0 in 2", got, len(r.groups))
	}
	if len(lossy.payloads) != 6*50 {
		t.Errorf("%d packets in 6 s, want 300", len(lossy.payloads))
	}
}

func TestLossClasses(t *testing.T) {
	for _, c := range []struct {
		now     int
		percent float64
		want    int
	}{{0, 0, 0}, {0, 1.9, 0}, {0, 2, 5}, {5, 1, 5}, {5, 0.5, 0}, {0, 12, 15}, {15, 7, 15}, {15, 5, 5}, {15, 0, 0}} {
		if got := lossClass(c.now, c.percent); got != c.want {
			t.Errorf("class %d with %v %%: %d, want %d", c.now, c.percent, got, c.want)
		}
	}
}
