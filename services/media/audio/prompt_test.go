package audio

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// wave makes a WAV file of a tone.
func wave(format, channels, sampleRate, bits int, hz, dBov, seconds float64) []byte {
	var data []byte
	for _, v := range sine(int(seconds*float64(sampleRate)), sampleRate, hz, dBov) {
		for range channels {
			switch {
			case format == waveMuLaw:
				data = append(data, compressMu(sample(v)))
			case bits == 8:
				data = append(data, byte(int(v)>>8+128))
			default:
				data = binary.LittleEndian.AppendUint16(data, uint16(sample(v)))
			}
		}
	}
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(36+len(data)+10))
	b = append(b, "WAVELIST\x01\x00\x00\x00x\x00fmt \x10\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(format))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(sampleRate))
	b = binary.LittleEndian.AppendUint32(b, uint32(sampleRate*channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = binary.LittleEndian.AppendUint32(append(b, "data"...), uint32(len(data)))
	return append(b, data...)
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWaveFilesAreRead(t *testing.T) {
	for _, c := range []struct{ format, channels, rate, bits int }{
		{wavePCM, 1, 8000, 16}, {wavePCM, 2, 44100, 16}, {wavePCM, 1, 11025, 8}, {waveMuLaw, 1, 8000, 8}, {wavePCM, 1, 48000, 16},
	} {
		name := fmt.Sprintf("format %d, %d channels, %d Hz, %d bits", c.format, c.channels, c.rate, c.bits)
		pcm, sampleRate, err := parseWAV(wave(c.format, c.channels, c.rate, c.bits, 1000, -12, 1))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if sampleRate != c.rate || len(pcm) != c.rate {
			t.Errorf("%s: %d samples at %d", name, len(pcm), sampleRate)
		}
		for _, to := range []int{8000, 16000, 48000} {
			out := convertRate(pcm, sampleRate, to)
			if len(out) != to {
				t.Errorf("%s: %d samples at %d Hz, want one second", name, len(out), to)
			}
			if got := tone(out, to, 1000); math.Abs(got+12) > 0.3 {
				t.Errorf("%s: at %d Hz the tone has %.1f dBov, want -12", name, to, got)
			}
		}
	}
}

func TestConversionOfFilesDoesNotAlias(t *testing.T) {
	pcm, _, err := parseWAV(wave(wavePCM, 1, 44100, 16, 5000, -6, 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := tone(convertRate(pcm, 44100, 8000), 8000, 3000); got > -60 {
		t.Errorf("5 kHz at 8,000 samples a second comes back as 3 kHz with %.1f dBov", got)
	}
}

func TestBadWaveFilesAreRefused(t *testing.T) {
	good := wave(wavePCM, 1, 8000, 16, 1000, -12, 0.1)
	patch := func(at int, b ...byte) []byte {
		c := slices.Clone(good)
		copy(c[at:], b)
		return c
	}
	const format = 12 + 10 + 8
	for name, b := range map[string][]byte{
		"empty":               {},
		"another file":        []byte("RIFF....AVI LIST"),
		"six channels":        patch(format+2, 6),
		"96 kHz":              patch(format+4, 0x00, 0x77, 0x01),
		"no samples a second": patch(format+4, 0, 0, 0, 0),
		"24 bits":             patch(format+14, 24),
		"MP3 inside":          patch(format, 0x55),
		"ends in a chunk":     good[:20],
		"data first":          append([]byte("RIFF....WAVEdata"), 0, 0, 0, 0),
	} {
		if _, _, err := parseWAV(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// A file that was cut gives what is there.
	if pcm, _, err := parseWAV(good[:len(good)-100]); err != nil || len(pcm) != 750 {
		t.Errorf("a cut file gives %d samples, %v; want 750", len(pcm), err)
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(wave(wavePCM, 2, 16000, 16, 1000, -12, 0.01))
	f.Add(wave(waveMuLaw, 1, 8000, 8, 1000, -12, 0.01))
	f.Fuzz(func(t *testing.T, b []byte) {
		pcm, sampleRate, err := parseWAV(b)
		if err == nil && (sampleRate < 8000 || sampleRate > 48000 || len(pcm) > len(b)) {
			t.Fatalf("%d samples at %d Hz of %d bytes", len(pcm), sampleRate, len(b))
		}
	})
}

func TestTones(t *testing.T) {
	for _, name := range []string{"join", "leave", "ringback", "busy"} {
		if _, err := parseTone(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, err := parseTone("440+480/2000,0/4000")
	if err != nil {
		t.Fatal(err)
	}
	pcm := makeTone(g, 8000)
	if len(pcm) != 6*8000 {
		t.Errorf("a cycle has %d samples, want 48000", len(pcm))
	}
	for _, hz := range []float64{440, 480} {
		if got := tone(pcm[:16000], 8000, hz); math.Abs(got+19) > 0.3 {
			t.Errorf("%v Hz has %.1f dBov, want -19 each", hz, got)
		}
	}
	for i, v := range pcm[16000:] {
		if v != 0 {
			t.Fatalf("sample %d of the pause is %d", i, v)
		}
	}
	for _, bad := range []string{"", "440", "440/", "/100", "440/0", "440/x", "5/100", "9000/100", "1+/100", "440/99999", "440/-1",
		"300+400+500+600+700/100", "440/9000,440/9000,440/9000,440/9000", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18"} {
		if _, err := parseTone(bad); err == nil {
			t.Errorf("tone %q is accepted", bad)
		}
	}
}

func FuzzTone(f *testing.F) {
	for _, s := range []string{"440+480/2000,0/4000", "join", "0/1", "20/10000,3800/1", "+/,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := parseTone(s)
		if err != nil {
			return
		}
		if pcm := makeTone(g, 8000); len(pcm) < 8 || len(pcm) > 8*maxToneMs {
			t.Fatalf("%q makes %d samples", s, len(pcm))
		}
	})
}

func TestPromptsPlayInSequenceOverTheConference(t *testing.T) {
	first := writeFile(t, "a.wav", wave(wavePCM, 1, 16000, 16, 700, -20, 1))
	second := writeFile(t, "b.wav", wave(wavePCM, 2, 44100, 16, 2100, -20, 1))
	for _, codec := range []string{control.PCMU, control.Opus} {
		r := newRoom(t)
		a := r.join(1, codec, 0, 0, ListenerOptions{})
		r.join(2, control.PCMU, 440, -20, ListenerOptions{})
		c := r.join(3, codec, 0, 0, ListenerOptions{})
		r.run(time.Second, nil)
		done := 0
		p := Play{ID: "p", Files: []string{first, second}, Done: func() { done++ }}
		for range 2 { // the second is the same
			if err := a.listener.Play(p); err != nil {
				t.Fatal(err)
			}
		}
		r.run(980*time.Millisecond, nil)
		if got := a.hears(700, 500*time.Millisecond); math.Abs(got+20) > 0.5 {
			t.Errorf("%s: the first file has %.1f dBov, want -20", codec, got)
		}
		if got := a.hears(440, 500*time.Millisecond); math.Abs(got+32) > 0.7 {
			t.Errorf("%s: the conference under it has %.1f dBov, want -32", codec, got)
		}
		if got := c.hears(700, 500*time.Millisecond); got > -70 {
			t.Errorf("%s: another listener hears the prompt with %.1f dBov", codec, got)
		}
		r.run(time.Second, nil)
		if got := a.hears(2100, 500*time.Millisecond); math.Abs(got+20) > 0.5 {
			t.Errorf("%s: the second file has %.1f dBov, want -20", codec, got)
		}
		if done != 0 {
			t.Errorf("%s: done before the end", codec)
		}
		r.run(time.Second, nil)
		if done != 1 {
			t.Errorf("%s: done %d times, want once", codec, done)
		}
		if got := a.hears(440, 500*time.Millisecond); math.Abs(got+20) > 0.5 {
			t.Errorf("%s: the conference after it has %.1f dBov, want -20", codec, got)
		}
	}
}

func TestPromptsLoopReplaceAndStop(t *testing.T) {
	music := writeFile(t, "music.wav", wave(wavePCM, 1, 8000, 16, 700, -20, 0.3))
	r := newRoom(t)
	a := r.join(1, control.PCMU, 0, 0, ListenerOptions{})
	r.join(2, control.PCMU, 440, -20, ListenerOptions{})
	done := 0
	if err := a.listener.Play(Play{ID: "m", Files: []string{music}, Loop: true, Instead: true, Done: func() { done++ }}); err != nil {
		t.Fatal(err)
	}
	r.run(3*time.Second, nil)
	if got := a.hears(700, 500*time.Millisecond); math.Abs(got+20) > 1 {
		t.Errorf("after three seconds the loop has %.1f dBov, want -20", got)
	}
	if got := a.hears(440, 500*time.Millisecond); got > -70 {
		t.Errorf("the conference is heard with %.1f dBov", got)
	}
	a.listener.Stop("m")
	r.run(time.Second, nil)
	if got := a.hears(700, 500*time.Millisecond); got > -70 || done != 1 {
		t.Errorf("stopped, the loop has %.1f dBov; done %d times", got, done)
	}
	if got := a.hears(440, 500*time.Millisecond); math.Abs(got+20) > 0.5 {
		t.Errorf("stopped, the conference has %.1f dBov, want -20", got)
	}
}

func TestConferencePromptsReachEverybodyInOneEncode(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.PCMU, 0, 0, ListenerOptions{})
	b := r.join(2, control.PCMU, 440, -20, ListenerOptions{})
	r.run(time.Second, nil)
	done := false
	if err := r.Play(Play{ID: "t", Tone: "700/1000", Done: func() { done = true }}); err != nil {
		t.Fatal(err)
	}
	r.run(800*time.Millisecond, nil)
	for i, p := range []*person{a, b} {
		if got := p.hears(700, 500*time.Millisecond); math.Abs(got+16) > 0.5 {
			t.Errorf("%d hears the tone with %.1f dBov, want -16", i, got)
		}
	}
	r.run(time.Second, nil)
	if !done {
		t.Error("the tone is not done")
	}
}

func TestBadPromptsAreRefused(t *testing.T) {
	r := newRoom(t)
	a := r.join(1, control.PCMU, 0, 0, ListenerOptions{})
	for name, p := range map[string]Play{
		"nothing":      {ID: "1"},
		"both":         {ID: "1", Tone: "join", Files: []string{"x"}},
		"missing file": {ID: "1", Files: []string{"/nonexistent.wav"}},
		"a folder":     {ID: "1", Files: []string{t.TempDir()}},
		"no wave file": {ID: "1", Files: []string{writeFile(t, "x.wav", []byte("hello"))}},
		"empty file":   {ID: "1", Files: []string{writeFile(t, "y.wav", wave(wavePCM, 1, 8000, 16, 1, -10, 0))}},
	} {
		if err := a.listener.Play(p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for i := range maxPlays {
		if err := a.listener.Play(Play{ID: fmt.Sprint(i), Tone: "busy", Loop: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.listener.Play(Play{ID: "more", Tone: "busy"}); err == nil {
		t.Error("a ninth prompt at once is accepted")
	}
}

func TestCacheForgetsWhatWasNotUsedAndSeesChanges(t *testing.T) {
	p := NewPrompts(40_000)
	path := writeFile(t, "a.wav", wave(wavePCM, 1, 8000, 16, 700, -20, 1))
	a, err := p.file(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := p.file(path); again != a {
		t.Error("a known file was read again")
	}
	if err := os.WriteFile(path, wave(wavePCM, 1, 8000, 16, 900, -20, 0.5), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := p.file(path)
	if err != nil || changed == a {
		t.Errorf("a changed file gives the old sound, %v", err)
	}
	for i := range 20 {
		b, err := p.file(writeFile(t, fmt.Sprint(i), wave(wavePCM, 1, 8000, 16, 700, -20, 0.5)))
		if err != nil {
			t.Fatal(err)
		}
		b.at(16000)
		if p.bytes > 40_000 && p.recent.Len() > 1 {
			t.Fatalf("the cache holds %d bytes in %d sounds", p.bytes, p.recent.Len())
		}
	}
	total := 0
	for e := p.recent.Front(); e != nil; e = e.Next() {
		for _, pcm := range e.Value.(*sound).rates {
			total += 2 * len(pcm)
		}
	}
	if total != p.bytes {
		t.Errorf("the cache counts %d bytes and holds %d", p.bytes, total)
	}
}
