package audio

import (
	"bytes"
	"math"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// Frequencies that no harmonic or alias of the others meets.
var pitches = []float64{440, 620, 1130, 1730}

func TestEverybodyHearsTheOthersAndNotThemselves(t *testing.T) {
	for _, codecs := range [][3]string{
		{control.PCMU, control.PCMU, control.PCMU},
		{control.PCMU, control.Opus, control.PCMU},
		{control.Opus, control.Opus, control.Opus},
	} {
		r := newRoom(t)
		for i, codec := range codecs {
			r.join(uint32(i+1), codec, pitches[i], -22, ListenerOptions{})
		}
		quiet := r.join(9, control.PCMU, 0, 0, ListenerOptions{})
		r.run(3*time.Second, nil)
		for i, p := range r.people {
			for j := range codecs {
				got := p.hears(pitches[j], time.Second)
				if i == j && got > -65 {
					t.Errorf("%v: %d hears itself with %.1f dBov", codecs, i, got)
				}
				if i != j && math.Abs(got+22) > 0.5 {
					t.Errorf("%v: %d hears %d with %.1f dBov, want -22", codecs, i, j, got)
				}
			}
		}
		if n := len(quiet.heard); n != 3*8000 {
			t.Errorf("a listener got %d samples in 3 s, want 24000", n)
		}
	}
}

func TestListenersWithTheSameKeyShareOneEncode(t *testing.T) {
	encodes := 0
	r := newRoom(t)
	r.config.Encoder = func(codec string, o EncoderOptions) (Encoder, error) {
		return &testEncoder{codec: codec, packet: testRate(codec) * o.PacketMs / 1000, encodes: &encodes}, nil
	}
	r.Bus = NewBus(r.config)
	for i := range 100 {
		dBov := 0.0
		if i < 3 {
			dBov = -20
		}
		p := r.join(uint32(i+1), control.Opus, 400+float64(i)*100, dBov, ListenerOptions{})
		p.keepBytes = i > 90
	}
	r.run(time.Second, nil)
	encodes = 0
	r.run(time.Second, nil)
	// One for 97 listeners, three for the talkers.
	if encodes != 4*50 {
		t.Errorf("100 listeners with 3 talking took %d encodes a second, want 200", encodes)
	}
	a, b := r.people[95], r.people[99]
	for i := range a.payloads {
		if !bytes.Equal(a.payloads[i], b.payloads[i]) {
			t.Fatalf("packet %d of two listeners differs", i)
		}
	}
	if a.stamps[0] == b.stamps[0] {
		t.Error("two listeners began with the same time stamp")
	}
}

func TestOnlyTheLoudestAreDecoded(t *testing.T) {
	r := newRoom(t)
	for i := range 12 {
		r.join(uint32(i+1), control.PCMU, 300+float64(i)*200, -20-3*float64(i), ListenerOptions{})
	}
	r.run(2*time.Second, nil)
	for i, p := range r.people {
		if got := p.source.Stats().Heard; got != (i < 3) {
			t.Errorf("source %d of 12, each 3 dB quieter: heard %v, want %v", i, got, i < 3)
		}
	}
	before := r.people[8].source.render
	if before != nil && len(before.decoders) > 0 && before.decoders[0].Decoder.(*testDecoder).decoded > 15 {
		t.Errorf("a source that is not heard was decoded %d times", before.decoders[0].Decoder.(*testDecoder).decoded)
	}
}

func TestATalkerIsHeardFromTheFirstPacketOn(t *testing.T) {
	r := newRoom(t)
	listener := r.join(1, control.PCMU, 0, 0, ListenerOptions{})
	talker := r.join(2, control.PCMU, 1000, -15, ListenerOptions{})
	talker.silent = func(at time.Duration) bool { return at < time.Second || at >= 1400*time.Millisecond }
	r.run(3*time.Second, nil)
	// 400 ms of a tone came, 400 ms must go, wherever they lie.
	first, last := -1, 0
	for i, v := range listener.heard {
		if v > 1000 || v < -1000 {
			if last = i; first < 0 {
				first = i
			}
		}
	}
	if ms := float64(last-first) / 8; math.Abs(ms-400) > 6 {
		t.Errorf("of 400 ms of a tone %.1f were heard", ms)
	}
	if at := float64(first) / 8; at < 1000 || at > 1070 {
		t.Errorf("a tone that began at 980 ms was heard at %.0f", at)
	}
}

func TestMutedDeafAndHeld(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.PCMU, 440, -20, ListenerOptions{})
	b := r.join(2, control.PCMU, 1130, -20, ListenerOptions{})
	r.run(time.Second, nil)
	a.source.Update(SourceOptions{Muted: true})
	r.run(time.Second, nil)
	if got := b.hears(440, 500*time.Millisecond); got > -70 {
		t.Errorf("a muted source is heard with %.1f dBov", got)
	}
	if got := a.hears(1130, 500*time.Millisecond); math.Abs(got+20) > 0.5 {
		t.Errorf("who is muted hears the other with %.1f dBov, want -20", got)
	}
	if err := a.listener.Update(ListenerOptions{Codec: control.PCMU, Deaf: true}); err != nil {
		t.Fatal(err)
	}
	r.run(time.Second, nil)
	if got := a.hears(1130, 500*time.Millisecond); got > -70 {
		t.Errorf("who is deaf hears %.1f dBov", got)
	}
	before := len(b.payloads)
	last := b.stamps[before-1]
	b.listener.Update(ListenerOptions{Codec: control.PCMU, Hold: true})
	r.run(time.Second, nil)
	if len(b.payloads) != before {
		t.Error("a listener on hold got packets")
	}
	b.listener.Update(ListenerOptions{Codec: control.PCMU})
	r.run(100*time.Millisecond, nil)
	if got := b.stamps[before] - last; got != 51*160 || !b.marks[before] {
		t.Errorf("after a second on hold the time stamp moved by %d, marker %v; want %d, true", got, b.marks[before], 51*160)
	}
}

func TestTimeStampsAreContinuousForEveryPacketTime(t *testing.T) {
	for _, ms := range []int{10, 20, 40} {
		r := newRoom(t)
		a := r.join(1, control.PCMU, 440, -20, ListenerOptions{PacketMs: ms})
		// The other talks now and then, so that both move between the common encode and one of their own.
		b := r.join(2, control.PCMU, 1130, -20, ListenerOptions{PacketMs: ms})
		b.silent = func(at time.Duration) bool { return at/(730*time.Millisecond)%2 == 0 }
		a.silent = func(at time.Duration) bool { return at/(1010*time.Millisecond)%2 == 0 }
		r.run(6*time.Second, nil)
		for i := 1; i < len(a.stamps); i++ {
			if d := a.stamps[i] - a.stamps[i-1]; d != uint32(8*ms) {
				t.Fatalf("%d ms: time stamp of packet %d moved by %d, want %d", ms, i, d, 8*ms)
			}
			if a.marks[i] {
				t.Fatalf("%d ms: packet %d has a marker", ms, i)
			}
			if len(a.payloads[i]) != 8*ms {
				t.Fatalf("%d ms: payload of %d bytes", ms, len(a.payloads[i]))
			}
		}
		if !a.marks[0] {
			t.Errorf("%d ms: the first packet has no marker", ms)
		}
		// Neither hears itself at any time.
		pcm := a.heard
		for len(pcm) > 1600 {
			if got := tone(pcm[:1600], 8000, 440); got > -60 {
				t.Fatalf("%d ms: hears itself with %.1f dBov", ms, got)
			}
			pcm = pcm[800:]
		}
	}
}

func TestMovingBetweenCommonAndOwnEncodeDoesNotClick(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.PCMU, 1000, -30, ListenerOptions{})
	r.join(2, control.PCMU, 300, -20, ListenerOptions{})
	r.join(3, control.PCMU, 0, 0, ListenerOptions{})
	// a comes and goes; the tone of 2 that it hears meanwhile goes on.
	a.silent = func(at time.Duration) bool { return at/(700*time.Millisecond)%2 == 0 }
	r.run(8*time.Second, nil)
	// A sine of 300 Hz at −20 dBov never steps by more than 2πf/r of its amplitude; the rest is room for µ-law.
	amplitude := 32768 * math.Pow(10, -20.0/20) * math.Sqrt2
	bound := int(amplitude * 2 * math.Pi * 300 / 8000 * 1.25)
	for i := 8000; i < len(a.heard); i++ {
		if d := int(a.heard[i]) - int(a.heard[i-1]); d > bound || d < -bound {
			t.Fatalf("a step of %d at %.3f s, want at most %d", d, float64(i)/8000, bound)
		}
	}
}

func TestSilenceIsEncodedOnceAndDTXSendsNothing(t *testing.T) {
	encodes := 0
	r := newRoom(t)
	r.config.Encoder = func(codec string, o EncoderOptions) (Encoder, error) {
		return &testEncoder{codec: codec, encodes: &encodes}, nil
	}
	r.Bus = NewBus(r.config)
	plain := r.join(1, control.Opus, 0, 0, ListenerOptions{})
	dtx := r.join(2, control.Opus, 0, 0, ListenerOptions{DTX: true})
	talker := r.join(3, control.Opus, 500, -20, ListenerOptions{})
	talker.silent = func(at time.Duration) bool { return at < 5*time.Second }
	encodes = 0
	r.run(4*time.Second, nil)
	if encodes > 2*10 {
		t.Errorf("silence took %d encodes, want 20", encodes)
	}
	if len(plain.payloads) != 200 {
		t.Errorf("%d packets in 4 s without DTX, want 200", len(plain.payloads))
	}
	// 200 ms, then one every 400 ms.
	if n := len(dtx.payloads); n < 19 || n > 21 {
		t.Errorf("%d packets in 4 s with DTX, want 20", n)
	}
	r.run(2*time.Second, nil)
	last := len(dtx.payloads) - 1
	if got, want := dtx.stamps[last]-dtx.stamps[0], uint32(299*960); got != want {
		t.Errorf("time stamps moved by %d in 6 s with DTX, want %d", got, want)
	}
	if got := dtx.hears(500, 500*time.Millisecond); math.Abs(got+20) > 0.5 {
		t.Errorf("after DTX the talker has %.1f dBov, want -20", got)
	}
	marks := 0
	for i, m := range dtx.marks {
		if gap := i > 0 && dtx.stamps[i]-dtx.stamps[i-1] != 960; m != (gap || i == 0) {
			t.Errorf("packet %d: marker %v after a gap %v", i, m, gap)
		}
		if m {
			marks++
		}
	}
	if marks < 2 {
		t.Error("no marker at the beginning of the talk spurt")
	}
}

func TestSkippedTicksAreAGapInTimeStamps(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.PCMU, 0, 0, ListenerOptions{})
	r.run(200*time.Millisecond, nil)
	r.now = r.now.Add(100 * time.Millisecond)
	r.run(20*time.Millisecond, nil)
	n := len(a.stamps)
	if got := a.stamps[n-1] - a.stamps[n-2]; got != 6*160 || !a.marks[n-1] {
		t.Errorf("five ticks left out: time stamp moved by %d, marker %v; want 960, true", got, a.marks[n-1])
	}
	// Sender reports name the time stamp of any moment.
	if got := a.listener.Timestamp(r.now.Add(time.Second)) - a.stamps[n-1]; got != 8000 {
		t.Errorf("a second later the time stamp is %d more, want 8000", got)
	}
}

func TestMoveTakesSourceAndListenerAlong(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.PCMU, 440, -20, ListenerOptions{})
	hall := NewBus(r.config)
	played := 0
	if err := a.listener.Play(Play{ID: "x", Tone: "700/1000", Loop: true, Done: func() { played++ }}); err != nil {
		t.Fatal(err)
	}
	tick := func(d time.Duration) { r.run(d, func(time.Duration) { hall.Tick(r.now) }) }
	tick(time.Second)
	other, err := hall.AddListener(7, ListenerOptions{Codec: control.PCMU}, func([]byte, uint32, bool) {})
	if err != nil {
		t.Fatal(err)
	}
	a.source.Move(hall)
	if err := a.listener.Move(hall); err != nil {
		t.Fatal(err)
	}
	tick(time.Second)
	for i := 1; i < len(a.stamps); i++ {
		if d := a.stamps[i] - a.stamps[i-1]; d != 160 && d != 320 {
			t.Fatalf("time stamp of packet %d moved by %d", i, d)
		}
	}
	if got := a.hears(700, 500*time.Millisecond); got < -20 {
		t.Errorf("after the move the prompt has %.1f dBov", got)
	}
	if !a.source.Stats().Heard {
		t.Error("after the move the source is not heard")
	}
	a.listener.Remove()
	a.source.Remove()
	other.Remove()
	if played != 1 {
		t.Errorf("Done was called %d times, want once", played)
	}
	hall.Close()
}

func TestTapsGiveTheMixAndOneSource(t *testing.T) {
	r := newRoom(t)
	r.join(1, control.PCMU, 440, -20, ListenerOptions{})
	r.join(2, control.PCMU, 1130, -24, ListenerOptions{})
	var all, one []int16
	r.Tap(48000, func(pcm []int16, _ time.Time) { all = append(all, pcm...) })
	tap := r.TapSource(2, 16000, func(pcm []int16, _ time.Time) { one = append(one, pcm...) })
	r.run(2*time.Second, nil)
	for _, c := range []struct {
		name string
		pcm  []int16
		rate int
		hz   float64
		want float64
	}{
		{"mix", all, 48000, 440, -20}, {"mix", all, 48000, 1130, -24}, {"source", one, 16000, 1130, -24},
	} {
		if got := tone(c.pcm[len(c.pcm)/2:], c.rate, c.hz); math.Abs(got-c.want) > 0.5 {
			t.Errorf("%s: %v Hz with %.1f dBov, want %v", c.name, c.hz, got, c.want)
		}
	}
	if got := tone(one[len(one)/2:], 16000, 440); got > -65 {
		t.Errorf("the tap of one source has the other with %.1f dBov", got)
	}
	if len(all) != 2*48000 || len(one) != 2*16000 {
		t.Errorf("taps gave %d and %d samples in 2 s", len(all), len(one))
	}
	tap.Remove()
	n := len(one)
	r.run(100*time.Millisecond, nil)
	if len(one) != n {
		t.Error("a removed tap was called")
	}
}

func TestSourcesWithoutLevelsAreHeardToo(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.Opus, 440, -20, ListenerOptions{})
	a.levels = false
	b := r.join(2, control.PCMU, 1130, -24, ListenerOptions{})
	b.levels = false
	c := r.join(3, control.PCMU, 0, 0, ListenerOptions{})
	r.run(2*time.Second, nil)
	if got := c.hears(440, time.Second); math.Abs(got+20) > 0.5 {
		t.Errorf("an Opus source without levels has %.1f dBov, want -20", got)
	}
	if got := c.hears(1130, time.Second); math.Abs(got+24) > 0.5 {
		t.Errorf("a G.711 source without levels has %.1f dBov, want -24", got)
	}
	if got := b.source.Stats().Level; got < -25 || got > -23 {
		t.Errorf("level of a G.711 payload %d, want -24", got)
	}
}
