package record

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The environment of a child of the crash test: the folder of its clip and the path to record to.
const crashClip, crashPath = "RECORD_CRASH_CLIP", "RECORD_CRASH_PATH"

// crashSpeed is how much faster than in life the child records.
const crashSpeed = 4

func TestMain(m *testing.M) {
	if os.Getenv(crashPath) != "" {
		if err := recordUntilKilled(os.Getenv(crashClip), os.Getenv(crashPath)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// recordUntilKilled says on its output how many milliseconds it has recorded.
func recordUntilKilled(clip, path string) error {
	video, err := os.ReadFile(filepath.Join(clip, "video"))
	if err != nil {
		return err
	}
	audio, err := os.ReadFile(filepath.Join(clip, "audio"))
	if err != nil {
		return err
	}
	units, frames := splitStream(video), splitADTS(audio)
	f, err := Create(path, sound)
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / clipRate / crashSpeed)
	a := 0
	for i := 0; ; i++ {
		<-tick.C
		at := time.Duration(i) * time.Second / clipRate
		u := units[i%len(units)]
		if err := f.Video(u.data, at, u.key); err != nil {
			return err
		}
		for ; time.Duration(a)*frameSamples*time.Second/48000 < at; a++ {
			if err := f.Audio(frames[a%len(frames)], time.Duration(a)*frameSamples*time.Second/48000); err != nil {
				return err
			}
		}
		// What a disk that takes its time has not taken yet is not the point here.
		f.drain()
		if _, err := fmt.Println(at.Milliseconds()); err != nil {
			return err
		}
	}
}

func TestAKilledWriterLosesAtMostTwoSeconds(t *testing.T) {
	c := encode(t, 320, 180, 5)
	folder := t.TempDir()
	var video, audio []byte
	for _, u := range c.units {
		video = append(video, u.data...)
	}
	for _, f := range c.frames {
		n := 7 + len(f)
		audio = append(append(audio, 0xff, 0xf1, 0x4c, 0x40|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc), f...)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(folder, "video"), video, 0o600), os.WriteFile(filepath.Join(folder, "audio"), audio, 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		after := 30 + rand.IntN(200)
		t.Run(fmt.Sprintf("after %d pictures", after), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.mp4")
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), crashClip+"="+folder, crashPath+"="+path)
			child.Stderr = os.Stderr
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			recorded := 0.0
			for range after {
				if !lines.Scan() {
					t.Fatal("the writer has ended by itself")
				}
				ms, err := strconv.Atoi(lines.Text())
				if err != nil {
					t.Fatal(err)
				}
				recorded = float64(ms) / 1000
			}
			child.Process.Kill()
			child.Wait()

			decode(t, path+Unfinished)
			before := probe(t, path+Unfinished)
			_, _, packets := before.stream(t, "video")
			if got := float64(packets) / clipRate; got < recorded-2 {
				t.Errorf("%.2f s of %.2f s can be read, want all but two", got, recorded)
			}
			length, err := Recover(path + Unfinished)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := layout(t, path), "ftyp free moov mdat"; got != want {
				t.Errorf("boxes of the recovered file: %s, want %s", got, want)
			}
			decode(t, path)
			after := probe(t, path)
			_, duration, n := after.stream(t, "video")
			near(t, "pictures recovered", float64(n), float64(packets), 0)
			near(t, "duration recovered", duration, float64(packets)/clipRate, 0.001)
			near(t, "length reported", length.Seconds(), number(after.Format.Duration), 0.05)
			_, _, want := before.stream(t, "audio")
			_, _, got := after.stream(t, "audio")
			near(t, "audio frames recovered", float64(got), float64(want), 0)
		})
	}
}

// unfinished makes a file as a killed writer leaves it, and says where its fragments end.
func unfinished(t *testing.T, c *clip) (path string, content []byte) {
	t.Helper()
	f, path := create(t, sound)
	play{}.to(t, f, c)
	f.mu.Lock()
	f.enqueue()
	f.mu.Unlock()
	f.drain()
	content, err := os.ReadFile(path + Unfinished)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(t.TempDir(), "b.mp4"), content
}

func fragments(t *testing.T, content []byte) (ends []int) {
	t.Helper()
	for rest := content[mediaAt:]; len(rest) > 0; {
		var kind string
		var ok bool
		if kind, _, rest, ok = nextBox(rest); !ok {
			t.Fatal("torn fragment")
		}
		if kind == "mdat" {
			ends = append(ends, len(content)-len(rest))
		}
	}
	return ends
}

func recovered(t *testing.T, path string, content []byte) (time.Duration, error) {
	t.Helper()
	os.Remove(path)
	if err := os.WriteFile(path+Unfinished, content, 0o640); err != nil {
		t.Fatal(err)
	}
	return Recover(path)
}

func TestATornFileIsRecoveredUpToItsLastWholeFragment(t *testing.T) {
	path, content := unfinished(t, encode(t, 320, 180, 5))
	ends := fragments(t, content)
	if len(ends) < 5 {
		t.Fatalf("%d fragments, want 5 or more", len(ends))
	}
	// The clip's sound is 35 ms longer than its pictures, which is the last fragment.
	cuts := []int{mediaAt - 1, mediaAt, mediaAt + 1, mediaAt + 100}
	for _, end := range ends {
		cuts = append(cuts, end-1, end, end+1, end+200)
	}
	for _, cut := range cuts {
		whole := 0
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		length, err := recovered(t, path, content[:min(cut, len(content))])
		if whole == 0 {
			if !errors.Is(err, ErrEmpty) {
				t.Errorf("cut at %d: %v, want %v", cut, err, ErrEmpty)
			}
			noFile(t, path+Unfinished)
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		near(t, fmt.Sprintf("length when cut at %d", cut), length.Seconds(), min(float64(whole), 5.035), 0.05)
		if got := layout(t, path); got != "ftyp free moov mdat" {
			t.Errorf("cut at %d: boxes %s", cut, got)
		}
		if cut%2 == 0 { // half of them, for time
			decode(t, path)
		}
	}
}

func TestAFragmentOfZerosIsNotTakenForPictures(t *testing.T) {
	path, content := unfinished(t, encode(t, 320, 180, 5))
	ends := fragments(t, content)
	// The last pages never came to the disk, but the size of the file did.
	clear(content[ends[3]+4096:])
	length, err := recovered(t, path, content)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "length", length.Seconds(), 4, 0.05)
	decode(t, path)
}

func TestAPowerCutWhileTheIndexIsWrittenLeavesTheFragments(t *testing.T) {
	path, content := unfinished(t, encode(t, 320, 180, 3))
	for i := range content[indexAt:slotsAt] {
		content[indexAt+i] = byte(rand.Uint32())
	}
	// The first movie box knew the sound only; the one that counts is in the second place.
	if _, _, size, _ := boxHeader(content[pointerAt:]); size != slotsAt+slotSize-pointerAt {
		t.Fatalf("the movie box is at %d, want the second place", size+pointerAt)
	}
	for i := range slotSize {
		content[slotsAt+i] = byte(rand.Uint32())
	}
	if _, err := recovered(t, path, content); err != nil {
		t.Fatal(err)
	}
	decode(t, path)
}

func TestAFileThatOnlyLacksItsNameGetsIt(t *testing.T) {
	c := encode(t, 320, 180, 3)
	f, path := create(t, sound)
	play{}.to(t, f, c)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+Unfinished); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+copying, []byte("begun"), 0o600); err != nil {
		t.Fatal(err)
	}
	length, err := Recover(path)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "length", length.Seconds(), 3, 0.05)
	noFile(t, path+copying)
	decode(t, path)
}

func TestRecoverLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	if _, err := Recover(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v, want %v", err, os.ErrNotExist)
	}
	for _, content := range []string{"", "text", string(fileType), string(fileType) + "\x00\x00\x00\x08free"} {
		if _, err := recovered(t, path, []byte(content)); !errors.Is(err, ErrNotRecording) {
			t.Errorf("%q: %v, want %v", content, err, ErrNotRecording)
		}
		if got, err := os.ReadFile(path + Unfinished); err != nil || string(got) != content {
			t.Errorf("%q is now %q (%v)", content, got, err)
		}
	}
}

func TestARecordingDoesNotReplaceAFile(t *testing.T) {
	f, path := create(t, sound)
	if _, err := Create(path, sound); !errors.Is(err, os.ErrExist) {
		t.Errorf("create while open: %v, want %v", err, os.ErrExist)
	}
	if err := f.Audio([]byte{1, 2, 3}, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrExist) {
		t.Errorf("close: %v, want %v", err, os.ErrExist)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "other" {
		t.Errorf("the other file is %q now (%v)", b, err)
	}
	if _, err := os.Stat(path + Unfinished); err != nil {
		t.Errorf("the recording is lost: %v", err)
	}
}
