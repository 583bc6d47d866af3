package prompts

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"rotunda/image/cache"
	"rotunda/services/callbridge/prompts/prompt"
)

func tone(hz float64, rate, n int) []float64 {
	pcm := make([]float64, n)
	for i := range pcm {
		pcm[i] = 0.5 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
	}
	return pcm
}

// amplitude of a frequency in the middle of a sound.
func amplitude(pcm []float64, hz float64) float64 {
	pcm = pcm[len(pcm)/4 : len(pcm)*3/4]
	var re, im float64
	for i, v := range pcm {
		w := 2 * math.Pi * hz * float64(i) / Rate
		re, im = re+v*math.Cos(w), im+v*math.Sin(w)
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

func TestResamplingKeepsWhatFitsAndNothingElse(t *testing.T) {
	const second = 22050
	for hz, want := range map[float64]float64{300: 0.5, 1000: 0.5, 3400: 0.5, 7000: 0.5} {
		out := resample(tone(hz, second, second), second)
		if len(out) != Rate {
			t.Fatalf("one second has %d samples, want %d", len(out), Rate)
		}
		if got := amplitude(out, hz); math.Abs(got-want) > 0.01 {
			t.Errorf("%v Hz: amplitude %.4f, want %.4f", hz, got, want)
		}
	}
	for _, hz := range []float64{8600, 10000} {
		out := resample(tone(hz, second, second), second)
		if got := amplitude(out, Rate-hz); got > 0.5/1000 {
			t.Errorf("%v Hz comes back at %v Hz with amplitude %.5f, want less than 60 dB of it", hz, Rate-hz, got)
		}
	}
	same := tone(1000, Rate, 100)
	if !slices.Equal(resample(same, Rate), same) {
		t.Error("a sound at the right rate was changed")
	}
}

func TestTrimLeavesWhatWasSaid(t *testing.T) {
	said := tone(1000, Rate, Rate/2)
	pcm := slices.Concat(make([]float64, Rate), said, make([]float64, Rate))
	got := trim(pcm, 200)
	if want := Rate/2 + 230*Rate/1000; math.Abs(float64(len(got)-want)) > 16 {
		t.Errorf("%d samples are left, want %d", len(got), want)
	}
	if got := trim(make([]float64, 100), 200); got != nil {
		t.Errorf("of silence %d samples are left, want none", len(got))
	}
}

func TestLevelsAreEqual(t *testing.T) {
	for _, gain := range []float64{0.2, 1.9} {
		pcm := tone(997, Rate, Rate)
		for i := range pcm {
			pcm[i] *= gain
		}
		// Half of it is silence, which must not count.
		got := level(append(pcm, make([]float64, Rate)...))
		var sum float64
		for _, v := range got[:Rate] {
			sum += v * v
		}
		if rms := math.Sqrt(sum / Rate); math.Abs(rms-loudness) > loudness/20 {
			t.Errorf("gain %v: mean %.4f, want %.4f", gain, rms, loudness)
		}
	}
	pcm := make([]float64, Rate)
	pcm[5] = 0.9
	if got := level(pcm); got[5] > peak+1e-9 {
		t.Errorf("peak %v, want at most %v", got[5], peak)
	}
}

func TestWAVIsReadBack(t *testing.T) {
	pcm := tone(440, Rate, 1000)
	got, rate, err := readWAV(writeWAV(pcm))
	if err != nil || rate != Rate || len(got) != len(pcm) {
		t.Fatalf("%d samples at %d (%v), want %d at %d", len(got), rate, err, len(pcm), Rate)
	}
	for i := range pcm {
		if math.Abs(got[i]-pcm[i]) > 1.5*step/(1<<15) {
			t.Fatalf("sample %d is %v, want %v", i, got[i], pcm[i])
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "no WAV": make([]byte, 100), "stereo": func() []byte { b := writeWAV(pcm); b[22] = 2; return b }()} {
		if _, _, err := readWAV(b); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// TestPromptsAreSpoken speaks the whole table, and a part of it once more without the cache.
func TestPromptsAreSpoken(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Skip("espeak-ng is not installed (image/install-packages build)")
	}
	folder := cache.Cache{Dir: t.TempDir()}
	made, err := Make(t.Context(), folder, prompt.All())
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	w, err := zstd.NewWriter(&all)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range made.Files {
		files[f.Name] = f.Data
		if _, err := w.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if all.Len() > 3<<20 {
		t.Errorf("all prompts take %d bytes compressed, want less than 3 MiB", all.Len())
	}
	for _, p := range prompt.All() {
		data, ok := files[p.Name.File()]
		if ok != (p.Text != "") {
			t.Errorf("%s: file: %v, words: %q", p.Name, ok, p.Text)
		}
		if !ok {
			continue
		}
		pcm, rate, err := readWAV(data)
		if err != nil || rate != Rate {
			t.Errorf("%s: %v at %d Hz, want %d", p.Name, err, rate, Rate)
			continue
		}
		// Slower than 4 characters a second or faster than 40, and something is missing.
		seconds, characters := float64(len(pcm))/Rate-float64(p.Pause)/1000, float64(len(p.Text))
		if seconds < characters/40 || seconds > 1+characters/4 {
			t.Errorf("%s: %q takes %.2f s", p.Name, p.Text, seconds)
		}
		for i, v := range pcm[len(pcm)-p.Pause*Rate/1000:] {
			if v != 0 {
				t.Errorf("%s: sample %d of the pause is %v", p.Name, i, v)
				break
			}
		}
	}
	if len(files) != len(made.Files) {
		t.Errorf("%d files have %d names", len(made.Files), len(files))
	}

	again, err := Make(t.Context(), cache.Cache{}, prompt.All()[:3])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range again.Files {
		if !bytes.Equal(f.Data, files[f.Name]) {
			t.Errorf("%s: two ways of making it gave different bytes", f.Name)
		}
	}
	for _, p := range again.Packages {
		if p.Version == "" || len(p.SHA256) != 64 || p.HashOf == "" {
			t.Errorf("package %+v, want its version and the hash of a file", p)
		}
		if text, err := os.ReadFile(p.Copyright()); err != nil || !strings.Contains(string(text), "GNU General Public License") {
			t.Errorf("copyright of %s: %v", p.Name, err)
		}
	}
	fromCache, err := Make(context.Background(), folder, prompt.All())
	if err != nil || len(fromCache.Files) != len(made.Files) {
		t.Errorf("from the cache: %d files (%v), want %d", len(fromCache.Files), err, len(made.Files))
	}
}

func TestFilesThatAreTheSameStay(t *testing.T) {
	folder := t.TempDir()
	m := &Made{Files: []File{{"a.wav", []byte("one")}, {"b.wav", []byte("two")}}}
	if err := m.Write(folder); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(folder, "a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	m.Files[1].Data = []byte("three")
	if err := m.Write(folder); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(folder, "a.wav"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a.wav was written anew (%v)", err)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "b.wav")); err != nil || string(b) != "three" {
		t.Errorf("b.wav has %q (%v), want the new content", b, err)
	}
}
