package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func create(t testing.TB, o Options) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "20260102030405+0000.mp4")
	f, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, path
}

func finished(t testing.TB, f *File, path string) probed {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if got, want := layout(t, path), "ftyp free moov mdat"; got != want {
		t.Errorf("boxes of the finished file: %s, want %s", got, want)
	}
	noFile(t, path+Unfinished)
	noFile(t, path+copying)
	decode(t, path)
	return probe(t, path)
}

func TestARecordingIsAPlainFileInTheEnd(t *testing.T) {
	c := encode(t, 320, 180, 5)
	f, path := create(t, sound)
	noFile(t, path)
	play{}.to(t, f, c)
	p := finished(t, f, path)
	start, duration, packets := p.stream(t, "video")
	near(t, "start of video", start, 0, 0.001)
	near(t, "duration of video", duration, 5, 0.001)
	near(t, "pictures", float64(packets), 125, 0)
	start, duration, packets = p.stream(t, "audio")
	near(t, "start of audio", start, 0, 0.001)
	near(t, "duration of audio", duration, float64(len(c.frames))*1024/48000, 0.001)
	near(t, "audio frames", float64(packets), float64(len(c.frames)), 0)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o640 {
		t.Errorf("mode %o, want 640", got)
	}
	if s := f.Stats(); s.VideoFrames != 125 || s.AudioFrames != uint64(len(c.frames)) || s.Dropped != 0 || s.Bytes == 0 {
		t.Errorf("stats %+v", s)
	}
	if err := f.Video(c.units[0].data, 0, true); !errors.Is(err, os.ErrClosed) {
		t.Errorf("video after the end: %v, want %v", err, os.ErrClosed)
	}
}

func TestSoundAndPictureKeepTheirOffset(t *testing.T) {
	c := encode(t, 320, 180, 3)
	for _, test := range []struct {
		name         string
		video, audio time.Duration
		wantVideo    float64
		wantAudio    float64
	}{
		{"sound 700 ms earlier", 5700 * time.Millisecond, 5 * time.Second, 0.7, 0},
		{"sound 2.5 s earlier", 7500 * time.Millisecond, 5 * time.Second, 2.5, 0},
		{"sound 400 ms later", 3600 * time.Second, 3600*time.Second + 400*time.Millisecond, 0, 0.4},
		{"together, after a day", 24 * time.Hour, 24 * time.Hour, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, path := create(t, sound)
			play{video: test.video, audio: test.audio}.to(t, f, c)
			p := finished(t, f, path)
			start, duration, packets := p.stream(t, "video")
			near(t, "start of video", start, test.wantVideo, 0.001)
			near(t, "duration of video", duration, 3, 0.001)
			near(t, "pictures", float64(packets), 75, 0)
			start, duration, _ = p.stream(t, "audio")
			near(t, "start of audio", start, test.wantAudio, 0.001)
			near(t, "duration of audio", duration, float64(len(c.frames))*1024/48000, 0.001)
		})
	}
}

func TestARecordingMayHaveSoundOnlyOrPicturesOnly(t *testing.T) {
	c := encode(t, 320, 180, 3)
	t.Run("sound", func(t *testing.T) {
		f, path := create(t, sound)
		play{video: -1}.to(t, f, c)
		if p := finished(t, f, path); len(p.Streams) != 1 || p.Streams[0].Type != "audio" {
			t.Errorf("streams %+v, want one of sound", p.Streams)
		}
	})
	t.Run("pictures", func(t *testing.T) {
		f, path := create(t, Options{})
		play{audio: -1}.to(t, f, c)
		if p := finished(t, f, path); len(p.Streams) != 1 || p.Streams[0].Type != "video" {
			t.Errorf("streams %+v, want one of pictures", p.Streams)
		}
	})
	t.Run("neither", func(t *testing.T) {
		f, path := create(t, sound)
		if err := f.Close(); !errors.Is(err, ErrEmpty) {
			t.Errorf("close: %v, want %v", err, ErrEmpty)
		}
		noFile(t, path)
		noFile(t, path+Unfinished)
	})
}

func TestPicturesBeginWithAKeyFrame(t *testing.T) {
	c := encode(t, 320, 180, 5)
	asked := 0
	o := sound
	o.KeyFrame = func() { asked++ }
	f, path := create(t, o)
	late := &clip{units: c.units[10:], frames: c.frames} // the next key frame is number 50
	play{}.to(t, f, late)
	p := finished(t, f, path)
	start, _, packets := p.stream(t, "video")
	near(t, "start of video", start, 40.0/clipRate, 0.001)
	near(t, "pictures", float64(packets), 75, 0)
	if asked != 2 {
		t.Errorf("%d key frames asked for in 1.6 s, want 2", asked)
	}
	if got := f.Stats().Dropped; got != 40 {
		t.Errorf("%d dropped, want 40", got)
	}
}

func TestANewResolutionIsASampleEntry(t *testing.T) {
	small, large := encode(t, 320, 180, 3), encode(t, 640, 360, 3)
	f, path := create(t, Options{Width: 1280, Height: 720, AudioRate: 48000, AudioChannels: 1})
	play{video: 0, audio: 0}.to(t, f, small)
	play{video: 3 * time.Second, audio: -1}.to(t, f, large)
	play{video: 6 * time.Second, audio: -1}.to(t, f, small)
	p := finished(t, f, path)
	_, duration, packets := p.stream(t, "video")
	near(t, "duration of video", duration, 9, 0.001)
	near(t, "pictures", float64(packets), 9*clipRate, 0)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stsd, ok := child(b, "moov", "trak", "mdia", "minf", "stbl", "stsd")
	if !ok {
		t.Fatal("no stsd")
	}
	if got := stsd[7]; got != 2 {
		t.Errorf("%d sample entries, want 2", got)
	}
	tkhd, _ := child(b, "moov", "trak", "tkhd")
	if w, h := int(tkhd[88])<<8|int(tkhd[89]), int(tkhd[92])<<8|int(tkhd[93]); w != 1280 || h != 720 {
		t.Errorf("shown at %d × %d, want 1280 × 720", w, h)
	}
}

func TestTheFrameRateMayVary(t *testing.T) {
	c := encode(t, 320, 180, 2)
	f, path := create(t, Options{})
	var at time.Duration
	for i, u := range c.units {
		if err := f.Video(u.data, at, u.key); err != nil {
			t.Fatal(err)
		}
		at += time.Duration(i%7+1) * 13 * time.Millisecond
		if i == 30 {
			at += 4 * time.Second
		}
	}
	_, duration, packets := finished(t, f, path).stream(t, "video")
	near(t, "pictures", float64(packets), 50, 0)
	near(t, "duration", duration, at.Seconds(), 0.1)
}

func TestTimestampsThatGoBackAreMovedForward(t *testing.T) {
	c := encode(t, 320, 180, 2)
	f, path := create(t, Options{})
	for i, u := range c.units {
		at := time.Second + time.Duration(i)*time.Second/clipRate
		if i%10 == 9 {
			at -= 300 * time.Millisecond
		}
		if err := f.Video(u.data, at, u.key); err != nil {
			t.Fatal(err)
		}
	}
	_, _, packets := finished(t, f, path).stream(t, "video")
	near(t, "pictures", float64(packets), 50, 0)
}

func TestAnOpenFileCanBeRead(t *testing.T) {
	c := encode(t, 320, 180, 5)
	f, path := create(t, sound)
	play{}.to(t, f, c)
	f.drain()
	decode(t, path+Unfinished)
	p := probe(t, path+Unfinished)
	_, _, packets := p.stream(t, "video")
	if packets < 4*clipRate {
		t.Errorf("%d pictures in the open file after 125, want all but the last second", packets)
	}
	if _, err := Recover(path); !errors.Is(err, ErrBusy) {
		t.Errorf("recover of an open file: %v, want %v", err, ErrBusy)
	}
	finished(t, f, path)
}

// drain waits until the writer has written what it was given.
func (f *File) drain() {
	for {
		f.mu.Lock()
		queued := f.queued
		f.mu.Unlock()
		if queued == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWhatWaitsForTheNextSampleIsWrittenAfterAWhile(t *testing.T) {
	c := encode(t, 320, 180, 2)
	f, path := create(t, Options{})
	if err := f.Video(c.units[0].data, 0, true); err != nil {
		t.Fatal(err)
	}
	f.cutIdle(time.Now())
	f.drain()
	if got := f.Stats().Bytes; got != 0 {
		t.Errorf("%d bytes written at once, want 0", got)
	}
	f.cutIdle(time.Now().Add(idleTime))
	f.drain()
	if got := f.Stats().Bytes; got == 0 {
		t.Errorf("nothing written after %v", idleTime)
	}
	finished(t, f, path)
}

func TestALongFileIsFinishedInItsPlace(t *testing.T) {
	c := encode(t, 320, 180, 5)
	f, path := create(t, sound)
	// A large picture a second makes the file long: the first one, behind user data of almost a megabyte.
	big := []byte{0, 0, 0, 1, nalSEI, 5}
	const filling = 3600
	big = append(big, bytes.Repeat([]byte{255}, filling)...)
	big = append(big, 0)
	big = append(big, bytes.Repeat([]byte{0x55}, filling*255)...)
	big = append(big, 0x80)
	for i := range 150 {
		u := c.units[0].data
		if err := f.Video(append(big, u...), time.Duration(i)*time.Second, true); err != nil {
			t.Fatal(err)
		}
		for j := range 2 {
			if err := f.Audio(c.frames[j], time.Duration(i)*time.Second+time.Duration(j)*time.Second/2); err != nil {
				t.Fatal(err)
			}
		}
		f.drain()
	}
	before, err := f.out.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p := finished(t, f, path)
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Errorf("a file of %d bytes was copied", before.Size())
	}
	_, _, packets := p.stream(t, "video")
	near(t, "pictures", float64(packets), 150, 0)
}
