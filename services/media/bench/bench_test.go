package main

import (
	"math"
	"testing"
	"time"

	"rotunda/services/media/bench/wire"
	"rotunda/services/media/picture"
	"rotunda/services/media/rtp"
)

func frameOf(t *testing.T, width, height int) *picture.Frame {
	t.Helper()
	f, err := picture.NewPool().Get(width, height)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFrameIsKnownByItsNumberAndItsWallInATile(t *testing.T) {
	whole, tiled := frameOf(t, filmWidth, filmHeight), frameOf(t, filmWidth, filmHeight)
	for i, p := range ninths(filmWidth, filmHeight) {
		newScene(i%films, filmWidth, filmHeight).draw(whole, 11*i)
		average(crop(tiled, p), whole)
		for y := range p.h / 2 {
			for x := range p.w / 2 {
				at := (p.y/2+y)*tiled.StrideC + p.x/2 + x
				tiled.U[at], tiled.V[at] = colours[i%films][0], colours[i%films][1]
			}
		}
		if n, ok := readMark(tiled, p); !ok || n != 11*i {
			t.Errorf("tile %d has number %d, %v, want %d", i, n, ok, 11*i)
		}
		if n := filmOf(tiled, p); n != i%films {
			t.Errorf("tile %d is of film %d, want %d", i, n, i%films)
		}
	}
	for i := range tiled.Y {
		tiled.Y[i] = 128
	}
	if n, ok := readMark(tiled, pane{0, 0, filmWidth, filmHeight}); ok {
		t.Errorf("grey has number %d", n)
	}
}

func TestEveryPixelCountsByItsArea(t *testing.T) {
	from, to := frameOf(t, 8, 6), frameOf(t, 6, 4)
	for y := range from.Height {
		for x := range from.Width {
			from.Y[y*from.StrideY+x] = byte(10 * x)
		}
	}
	average(to, from)
	// The first pixel covers one and a third: (0 + 10/3) ÷ 4/3.
	for x, want := range []byte{3, 15, 28, 43, 55, 68} {
		if got := to.Y[x]; math.Abs(float64(got)-float64(want)) > 1 {
			t.Errorf("pixel %d is %d, want %d", x, got, want)
		}
	}
}

func TestAVoiceIsKnownByItsTone(t *testing.T) {
	clip, err := newVoice(2, 0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEar()
	if err != nil {
		t.Fatal(err)
	}
	defer e.decoder.Close()
	for _, u := range clip.Units {
		e.hear(u.Payloads[0])
	}
	if own, other := e.tone(voiceTone(2)), e.tone(voiceTone(3)); own < 0.5 || other > 0.05 {
		t.Errorf("its own tone is at %.2f and another at %.2f, want 0.5 or more and 0.05 at most", own, other)
	}
}

func TestFlashAndBeepAreComparedOnTheClockOfReports(t *testing.T) {
	m := newMarks()
	now := time.Unix(1_700_000_000, 0)
	m.report(1, rtp.SenderInfo{NTP: rtp.NTP(now), RTP: 90_000})
	m.hear(make([]int16, voiceFrame), 2, 0, now)
	m.report(2, rtp.SenderInfo{NTP: rtp.NTP(now), RTP: 1000})
	// The picture is a tenth of a second after its report, the sound 80 ms, 5 ms of them in the packet.
	m.see(200, 90_000+9_000, now.Add(120*time.Millisecond))
	beep := make([]int16, voiceFrame)
	for i := 240; i < len(beep); i++ {
		beep[i] = 9000
	}
	m.hear(beep, 2, 1000+75*48, now.Add(90*time.Millisecond))
	m.match()
	if len(m.skews) != 1 || math.Abs(m.skews[0]-20) > 0.1 || math.Abs(m.arrivals[0]-25) > 0.1 {
		t.Errorf("skews %v and %v by arrival, want 20 and 25", m.skews, m.arrivals)
	}
}

func TestAClipGoesFromOneLoadToAnother(t *testing.T) {
	from, err := wire.Start(here)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := wire.Start(here)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	there := &wire.Far{Remote: from.Address()}
	heard := make(chan string, 1000)
	there.Tap = func(packet []byte, _ time.Time) { heard <- string(packet[rtp.HeaderSize:]) }
	to.Add(there)
	far := &wire.Far{Remote: to.Address()}
	from.Add(far)
	clip := &wire.Clip{Every: time.Millisecond, Step: 90, Video: true,
		Units: []wire.Unit{{Payloads: [][]byte{[]byte("one"), []byte("two")}}, {Payloads: [][]byte{[]byte("three")}}}}
	from.Play(far, wire.TrackOptions{Clip: clip, PayloadType: h264Type, SSRC: 7})
	for i := range 30 {
		want := []string{"one", "two", "three"}[i%3]
		if got := <-heard; got != want {
			t.Fatalf("packet %d is %q, want %q", i, got, want)
		}
	}
	totals := to.Totals()
	if totals.Streams != 1 || totals.Received < 30 || totals.Lost() != 0 || totals.Frames < 20 {
		t.Errorf("totals %+v, want one stream of 30 packets or more, 20 frames, none lost", totals)
	}
}

func TestATonesPartOfASoundIsFoundAtAnyRate(t *testing.T) {
	for _, rate := range []int{8000, voiceRate} {
		e := &ear{rate: rate, pcm: make([]int16, rate)}
		for i := range e.pcm {
			at := 2 * math.Pi * float64(i) / float64(rate)
			e.pcm[i] = int16(3000*math.Sin(440*at) + 4000*math.Sin(1000*at))
		}
		for frequency, want := range map[float64]float64{440: 0.6, 1000: 0.8, 700: 0} {
			if got := e.tone(frequency); math.Abs(got-want) > 0.01 {
				t.Errorf("%.0f Hz are %.3f of a sound at %d a second: want %.1f", frequency, got, rate, want)
			}
		}
	}
}
