package audio

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// goertzel is tone for float32 at any rate.
func goertzel(x []float32, sampleRate int, hz float64) float64 {
	pcm := make([]int16, len(x))
	for i, v := range x {
		pcm[i] = sample(v)
	}
	return tone(pcm, sampleRate, hz)
}

func sine(n, sampleRate int, hz, dBov float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Pow(10, dBov/20) * 32768 * math.Sqrt2 * math.Sin(2*math.Pi*hz*float64(i)/float64(sampleRate)))
	}
	return x
}

func TestResamplerKeepsThePassBandAndRejectsAliases(t *testing.T) {
	long(t)
	for _, f := range []*filter{filter8, filter16} {
		low := rate / f.factor
		down := func(hz float64) []float32 {
			x, r := sine(rate, rate, hz, -10), newDown(f, tickLength)
			var out []float32
			for len(x) >= tickLength {
				copy(r.room(tickLength), x)
				y := make([]float32, tickLength/f.factor)
				r.down(y, tickLength)
				out, x = append(out, y...), x[tickLength:]
			}
			return out[len(out)/2:]
		}
		up := func(hz float64) []float32 {
			n := tickLength / f.factor
			x, r := sine(low, low, hz, -10), newUp(f, n)
			var out []float32
			for len(x) >= n {
				copy(r.room(n), x)
				y := make([]float32, tickLength)
				r.up(y, n)
				out, x = append(out, y...), x[n:]
			}
			return out[len(out)/2:]
		}
		for _, part := range []float64{0.05, 0.2, 0.5, 0.8} {
			hz := part * float64(low) / 2
			if got := goertzel(down(hz), low, hz); math.Abs(got+10) > 0.3 {
				t.Errorf("48000 to %d: %.0f Hz passes with %.2f dB", low, hz, got+10)
			}
			if got := goertzel(up(hz), rate, hz); math.Abs(got+10) > 0.3 {
				t.Errorf("%d to 48000: %.0f Hz passes with %.2f dB", low, hz, got+10)
			}
			if got := goertzel(up(hz), rate, float64(low)-hz); got+10 > -55 {
				t.Errorf("%d to 48000: image of %.0f Hz with %.1f dB", low, hz, got+10)
			}
		}
		worst := -200.0
		for hz := float64(low)/2 + 60; hz < rate/2; hz += 97 {
			alias := math.Abs(hz - math.Round(hz/float64(low))*float64(low))
			worst = max(worst, goertzel(down(hz), low, alias)+10)
		}
		if worst > -50 {
			t.Errorf("48000 to %d: worst alias %.1f dB, want at most -50", low, worst)
		}
		t.Logf("48000 to %d: worst alias %.1f dB", low, worst)
	}
}

func TestLimiterHoldsTheCeilingWithoutDistortion(t *testing.T) {
	for _, c := range []struct{ hz, dBov, want float64 }{
		// Below the knee nothing changes; full scale and twelve above stay tones.
		{1000, -9, -90}, {100, -9, -90}, {1000, -3, -40}, {1000, 9, -40}, {200, 9, -40}, {100, 9, -34},
	} {
		l := newLimiter(rate)
		x := sine(rate, rate, c.hz, c.dBov)
		var out []int16
		peak := 0
		for len(x) >= tickLength {
			pcm := make([]int16, tickLength)
			l.run(pcm, x[:tickLength])
			for _, v := range pcm {
				peak = max(peak, int(math.Abs(float64(v))))
			}
			out, x = append(out, pcm...), x[tickLength:]
		}
		if peak > 32440 {
			t.Errorf("%v Hz at %v dBov: peak %d, above 0.99 of full scale", c.hz, c.dBov, peak)
		}
		settled := out[len(out)/2:]
		// Half a second holds whole cycles of all of these, so that the tone can be taken out exactly.
		if got := residual(settled, rate, c.hz); got > c.want {
			t.Errorf("%v Hz at %v dBov: distortion %.1f dB, want at most %v", c.hz, c.dBov, got, c.want)
		}
	}
}

// residual is what is left of whole cycles of a tone when the tone is taken out, in dB of the tone.
func residual(pcm []int16, sampleRate int, hz float64) float64 {
	var a, b float64
	for i, v := range pcm {
		w := 2 * math.Pi * hz * float64(i) / float64(sampleRate)
		a += float64(v) * math.Cos(w) * 2 / float64(len(pcm))
		b += float64(v) * math.Sin(w) * 2 / float64(len(pcm))
	}
	rest := 0.0
	for i, v := range pcm {
		w := 2 * math.Pi * hz * float64(i) / float64(sampleRate)
		d := float64(v) - a*math.Cos(w) - b*math.Sin(w)
		rest += d * d
	}
	return 10 * math.Log10(rest/float64(len(pcm))/((a*a+b*b)/2))
}

func TestALoudMixIsLimited(t *testing.T) {
	r := newRoom(t)
	for i := range 3 {
		r.join(uint32(i+1), control.Opus, pitches[i], -6, ListenerOptions{})
	}
	b := r.join(9, control.Opus, 0, 0, ListenerOptions{})
	r.run(2*time.Second, nil)
	for i := 1; i < len(b.heard); i++ {
		if v := b.heard[i]; v > 32440 || v < -32440 {
			t.Fatalf("sample %d is %d", i, v)
		}
	}
	for i := range 3 {
		for j := range 3 {
			// Products of clipping would lie at sums and differences.
			hz := 2*pitches[i] + pitches[j]
			if got := b.hears(hz, time.Second); i != j && got > -45 {
				t.Errorf("intermodulation at %v Hz with %.1f dBov", hz, got)
			}
		}
	}
}

func TestGainBringsSpeechToTheTargetAndLeavesNoise(t *testing.T) {
	// Speech of two thirds syllables, over a floor.
	run := func(g *gainControl, speech, noise, seconds int) (gain float64) {
		for i := range seconds * 50 {
			level := noise
			if i%15 < 10 {
				level = speech
			}
			gain = g.next(level)
		}
		return gain
	}
	for _, c := range []struct {
		name          string
		speech, noise int
		least, most   float64
	}{
		{"quiet speech is raised", -40, -75, 12, 15},
		{"loud speech is lowered", -14, -70, -12.5, -10},
		{"right speech is left", -26, -70, -1, 1},
		{"a noisy room bounds the gain", -42, -58, 0, 7},
		{"noise alone is left", -50, -50, 0, 0},
		{"silence is left", silent, silent, 0, 0},
	} {
		var g gainControl
		if got := run(&g, c.speech, c.noise, 30); got < c.least || got > c.most {
			t.Errorf("%s: gain %.1f dB, want %v to %v", c.name, got, c.least, c.most)
		}
	}
	var g gainControl
	run(&g, -40, -70, 30)
	last := 0.0
	for range 50 {
		last = g.next(-70)
	}
	if last > 0 {
		t.Errorf("a second after speech the noise is still raised by %.1f dB", last)
	}
	if got := g.next(-40); got < 10 {
		t.Errorf("the gate opens with %.1f dB", got)
	}
}

func TestGainControlGoesOnAndOffLive(t *testing.T) {
	long(t)
	r := newRoom(t)
	a := r.join(1, control.Opus, 440, -40, ListenerOptions{})
	a.silent = func(at time.Duration) bool { return at/(20*time.Millisecond)%15 >= 10 }
	b := r.join(2, control.Opus, 0, 0, ListenerOptions{})
	r.run(10*time.Second, nil)
	off := b.hears(440, 3*time.Second)
	a.source.Update(SourceOptions{Gain: true})
	r.run(20*time.Second, nil)
	on := b.hears(440, 3*time.Second)
	if on-off < 11 || on-off > 15 {
		t.Errorf("gain control raises -40 dBov by %.1f dB, want about 13", on-off)
	}
	if got := a.source.Stats().Gain; got < 11 || got > 15 {
		t.Errorf("stats say a gain of %.1f dB", got)
	}
	a.source.Update(SourceOptions{})
	r.run(5*time.Second, nil)
	if got := b.hears(440, 3*time.Second); math.Abs(got-off) > 0.5 {
		t.Errorf("switched off again it is %.1f dB, was %.1f", got, off)
	}
}

func TestChooseKeepsTalkersAndLetsLouderOnesIn(t *testing.T) {
	const hold = 20
	level := func(levels ...float32) []*candidate {
		var list []*candidate
		for _, l := range levels {
			list = append(list, &candidate{loudness: l})
		}
		return list
	}
	chosen := func(list []*candidate) (out []int) {
		for i, c := range list {
			if c.chosen {
				out = append(out, i)
			}
		}
		return out
	}
	list := level(-50, -20, -30, -25, -70)
	choose(list, 3, hold)
	if got := chosen(list); !slices.Equal(got, []int{1, 2, 3}) {
		t.Fatalf("first choice %v, want 1 2 3", got)
	}
	// Five decibels are not enough to push out who is in.
	list[0].loudness = -26
	choose(list, 3, hold)
	if got := chosen(list); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("after a small difference %v, want 1 2 3", got)
	}
	// A louder one comes in at once; who fell from the rank stays for the hold.
	list[0].loudness = -10
	choose(list, 3, hold)
	if got := chosen(list); !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Errorf("after a loud one %v, want all of 0 1 2 3", got)
	}
	for range hold {
		choose(list, 3, hold)
	}
	if got := chosen(list); !slices.Equal(got, []int{0, 1, 3}) {
		t.Errorf("after the hold %v, want 0 1 3", got)
	}
	// All fall silent: they stay for the hold, then nobody is left.
	for _, c := range list {
		c.loudness = silent
	}
	for i := range hold {
		if n := len(chosen(list)); n != 3 {
			t.Fatalf("%d ticks into silence %d are heard, want 3", i, n)
		}
		choose(list, 3, hold)
	}
	if got := chosen(list); len(got) != 0 {
		t.Errorf("after silence %v are heard", got)
	}
	// Many shouting in turn never make more than five.
	list = level(make([]float32, 60)...)
	random := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		for _, c := range list {
			c.loudness = float32(-10 - 40*random.Float64())
		}
		choose(list, 3, hold)
		if n := len(chosen(list)); n < 3 || n > 5 {
			t.Fatalf("%d are heard, want 3 to 5", n)
		}
	}
}

// talking feeds the levels of speech: syllables of 200 ms with gaps of 40.
func talking(tick int) int {
	if tick%12 < 10 {
		return -25
	}
	return -60
}

func TestDominantSpeaker(t *testing.T) {
	long(t)
	type part struct {
		ticks  int
		levels func(id, tick int) int
	}
	only := func(who ...int) func(id, tick int) int {
		return func(id, tick int) int {
			if slices.Contains(who, id) {
				return talking(tick)
			}
			return -75
		}
	}
	cough := func(speaker int) func(id, tick int) int {
		return func(id, tick int) int {
			switch {
			case id == speaker:
				return talking(tick)
			case tick%100 < 15:
				return -12
			}
			return -75
		}
	}
	for _, c := range []struct {
		name  string
		parts []part
		want  []uint32 // the dominant speakers in turn
	}{
		{"silence has none", []part{{500, only()}}, nil},
		{"one who speaks", []part{{100, only(1)}}, []uint32{1}},
		{"one after the other", []part{{150, only(1)}, {150, only(2)}, {150, only(3)}, {150, only(1)}}, []uint32{1, 2, 3, 1}},
		{"two at once do not take turns", []part{{100, only(1)}, {1000, only(1, 2)}}, []uint32{1}},
		{"coughs of others", []part{{100, only(1)}, {2000, cough(1)}}, []uint32{1}},
		{"coughs into silence", []part{{100, only(1)}, {2000, cough(0)}}, []uint32{1}},
		{"silence after speech", []part{{100, only(1)}, {500, only()}}, []uint32{1}},
		{"steady noise", []part{{100, only(1)}, {100, only()}, {4000, func(id, _ int) int { return []int{0, -75, -48, -75}[id] }}}, []uint32{1}},
	} {
		var got []uint32
		b := NewBus(Config{Decoder: openDecoder, Encoder: openEncoder, OnSpeaker: func(id uint32) { got = append(got, id) }})
		sources := []*Source{b.AddSource(1, SourceOptions{}), b.AddSource(2, SourceOptions{}), b.AddSource(3, SourceOptions{})}
		now, n := epoch.Add(time.Hour), 0
		for _, p := range c.parts {
			for range p.ticks {
				now, n = now.Add(20*time.Millisecond), n+1
				for i, s := range sources {
					s.Push(Packet{Codec: control.PCMU, Sequence: uint16(n), Timestamp: uint32(160 * n), Level: int8(p.levels(i+1, n)),
						Arrival: now, Payload: make([]byte, 160)})
				}
				b.Tick(now)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: dominant speakers %v, want %v", c.name, got, c.want)
		}
		var order []uint32
		for _, id := range slices.Backward(c.want) {
			if !slices.Contains(order, id) {
				order = append(order, id)
			}
		}
		if got := b.Speakers(); !slices.Equal(got, order) {
			t.Errorf("%s: speakers %v, want %v", c.name, got, order)
		}
	}
}

func TestTickerFollowsDeadlinesAndLeavesOutWhatIsTooLate(t *testing.T) {
	const p = 20 * time.Millisecond
	for _, c := range []struct {
		last, now, next time.Duration
		skipped         int64
	}{
		{0, p / 2, p, 0},
		{0, p + 1, p, 0},
		{5 * p, 8 * p, 6 * p, 0},
		{5 * p, 9*p + 1, 6 * p, 0},
		{5 * p, 50 * p, 47 * p, 41},
	} {
		if next, skipped := following(c.last, c.now, p); next != c.next || skipped != c.skipped {
			t.Errorf("after the tick of %v at %v: next %v, %d left out; want %v, %d", c.last, c.now, next, skipped, c.next, c.skipped)
		}
	}
}

func TestHistogramQuantiles(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * 10 * time.Microsecond)
	}
	for _, q := range []float64{0.5, 0.9, 0.999} {
		want := q * 10
		if got := float64(h.quantile(q)) / 1e6; got < want*0.99 || got > want*1.07 {
			t.Errorf("quantile %v is %.3f ms, want %.3f", q, got, want)
		}
	}
	for _, d := range []time.Duration{0, time.Microsecond, time.Millisecond, time.Second, time.Hour} {
		if b := bucketOf(d); topOf(b) < d || float64(topOf(b)) > float64(d)*1.07+2000 {
			t.Errorf("%v is in the bucket up to %v", d, topOf(b))
		}
	}
	h.reset()
	if got := h.quantile(0.999); got != 0 {
		t.Errorf("after a reset the quantile is %v", got)
	}
}

func TestLevelsOfPayloads(t *testing.T) {
	for _, dBov := range []float64{-6, -20, -40, -55} {
		x := sine(160, 8000, 1000, dBov)
		mu := make([]byte, 160)
		for i, v := range x {
			mu[i] = compressMu(sample(v))
		}
		var j judge
		if got, known := j.level(control.PCMU, mu); !known || math.Abs(float64(got)-dBov) > 1 {
			t.Errorf("µ-law of %v dBov is judged %d", dBov, got)
		}
	}
	for codec, c := range map[string]byte{control.PCMU: 0xff, control.PCMA: 0xd5} {
		b := make([]byte, 160)
		for i := range b {
			b[i] = c
		}
		var j judge
		if got, _ := j.level(codec, b); got != silent {
			t.Errorf("silence of %s is judged %d", codec, got)
		}
	}
	if _, known := new(judge).level(control.Opus, make([]byte, 50)); known {
		t.Error("an Opus payload cannot be judged")
	}
}
