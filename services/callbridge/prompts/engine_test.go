package prompts

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/media/audio"
)

// heard plays files on a bus of the media engine and returns how long they last and how loud they are, in units of a sample.
func heard(t *testing.T, files ...string) (length time.Duration, loud float64) {
	t.Helper()
	bus := audio.NewBus(audio.Config{})
	defer bus.Close()
	var energy float64
	samples := 0
	bus.Tap(16000, func(pcm []int16, _ time.Time) {
		for _, v := range pcm {
			energy += float64(v) * float64(v)
		}
		samples += len(pcm)
	})
	over := false
	if err := bus.Play(audio.Play{ID: "p", Files: files, Done: func() { over = true }}); err != nil {
		t.Errorf("%v cannot be played: %v", files, err)
		return 0, 0
	}
	now := time.Unix(1_800_000_000, 0)
	for !over && samples < 16000*2*maxSeconds {
		bus.Tick(now)
		now = now.Add(20 * time.Millisecond)
	}
	return time.Duration(samples) * time.Second / 16000, math.Sqrt(energy / float64(max(samples, 1)))
}

// TestTheMediaEnginePlaysWhatIsMade compares what is written here with what workers read.
func TestTheMediaEnginePlaysWhatIsMade(t *testing.T) {
	sine := make([]byte, 0, 2*48000)
	for i := range 48000 {
		v := int16(8000 * math.Sin(float64(i)/10))
		sine = append(sine, byte(v), byte(v>>8))
	}
	for name, b := range map[string][]byte{
		"8 kHz": wav(1, 1, 8000, 16, sine[:16000], false), "44.1 kHz stereo": wav(1, 2, 44100, 16, sine, false),
		"mu-law": wav(7, 1, 8000, 8, make([]byte, 8000), false),
	} {
		out, err := normalize(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		path := filepath.Join(t.TempDir(), "own.wav")
		write0(t, path, out)
		pcm, rate := samples(t, out)
		want := time.Duration(len(pcm)) * time.Second / time.Duration(rate)
		if length, loud := heard(t, path); (length-want).Abs() > 60*time.Millisecond || loud < 1000 {
			t.Errorf("%s: want %v of sound, got %v of loudness %.0f", name, want, length, loud)
		}
	}
}

func TestTheMediaEnginePlaysTheBuiltInPrompts(t *testing.T) {
	const folder = "../../../build/prompts"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("there are no prompts in build/prompts (make prompts)")
	}
	for _, name := range []prompt.Name{prompt.IVRWelcome, "number_7"} { // all of them take a minute with the race detector
		if length, loud := heard(t, filepath.Join(folder, name.File())); length < 300*time.Millisecond || length > 4*time.Second || loud < 500 {
			t.Errorf("%s: %v of loudness %.0f", name, length, loud)
		}
	}
	l, _ := library(t, Options{BuiltIn: folder})
	if length, _ := heard(t, l.Files(prompt.Call, "", prompt.Number(42)...)...); length < 600*time.Millisecond || length > 6*time.Second {
		t.Errorf("42 takes %v", length)
	}
}
