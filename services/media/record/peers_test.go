package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// clip is what an encoder made: access units at 25 a second and AAC frames at 48 kHz.
type clip struct {
	units  []unit
	frames [][]byte
}

type unit struct {
	data []byte
	key  bool
}

const clipRate = 25

var clips sync.Map // of func() (*clip, error), by size

// encode makes a clip of the test picture and a tone with Debian's ffmpeg.
func encode(t testing.TB, width, height, seconds int) *clip {
	t.Helper()
	need(t, "ffmpeg")
	key := fmt.Sprintf("%dx%d %d s", width, height, seconds)
	made, _ := clips.LoadOrStore(key, sync.OnceValues(func() (*clip, error) {
		video, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=%dx%d:r=%d", width, height, clipRate),
			"-t", strconv.Itoa(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline",
			"-x264-params", "aud=1:bframes=0:scenecut=0:keyint=50", "-b:v", "800k", "-f", "h264", "-").Output()
		if err != nil {
			return nil, fmt.Errorf("encode video: %w", err)
		}
		audio, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=f=1000:r=48000", "-t", strconv.Itoa(seconds),
			"-c:a", "aac", "-ac", "1", "-b:a", "64k", "-f", "adts", "-").Output()
		if err != nil {
			return nil, fmt.Errorf("encode audio: %w", err)
		}
		return &clip{splitStream(video), splitADTS(audio)}, nil
	}))
	c, err := made.(func() (*clip, error))()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.units) != seconds*clipRate {
		t.Fatalf("%s has %d access units, want %d", key, len(c.units), seconds*clipRate)
	}
	return c
}

// splitStream cuts an Annex B stream at its access unit delimiters.
func splitStream(b []byte) (units []unit) {
	delimiter := []byte{0, 0, 0, 1, 9}
	for len(b) > 0 {
		end := bytes.Index(b[1:], delimiter) + 1
		if end == 0 {
			end = len(b)
		}
		u := unit{data: b[:end]}
		for rest := u.data; rest != nil; {
			var nal []byte
			if nal, rest = splitUnit(rest); len(nal) > 0 && nal[0]&31 == nalIDR {
				u.key = true
			}
		}
		units = append(units, u)
		b = b[end:]
	}
	return units
}

func splitADTS(b []byte) (frames [][]byte) {
	for len(b) >= 7 {
		size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
		frames = append(frames, b[7:size])
		b = b[size:]
	}
	return frames
}

func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

var sound = Options{AudioRate: 48000, AudioChannels: 1}

// sink is a file or a push.
type sink interface {
	Video(unit []byte, timestamp time.Duration, key bool) error
	Audio(frame []byte, timestamp time.Duration) error
}

// play gives a sink a part of a clip, pictures and sound in the order of their time.
type play struct {
	video, audio time.Duration // timestamps of the first of each; negative for none
}

func (p play) to(t testing.TB, s sink, c *clip) {
	t.Helper()
	v, a := 0, 0
	for {
		videoAt := p.video + time.Duration(v)*time.Second/clipRate
		audioAt := p.audio + time.Duration(a)*frameSamples*time.Second/48000
		moreVideo := p.video >= 0 && v < len(c.units)
		moreAudio := p.audio >= 0 && a < len(c.frames)
		switch {
		case moreVideo && (!moreAudio || videoAt <= audioAt):
			if err := s.Video(c.units[v].data, videoAt, c.units[v].key); err != nil {
				t.Fatalf("picture %d: %v", v, err)
			}
			v++
		case moreAudio:
			if err := s.Audio(c.frames[a], audioAt); err != nil {
				t.Fatalf("audio frame %d: %v", a, err)
			}
			a++
		default:
			return
		}
	}
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		Type      string `json:"codec_type"`
		Start     string `json:"start_time"`
		Duration  string `json:"duration"`
		Packets   string `json:"nb_read_packets"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		CodecTag  string `json:"codec_tag_string"`
		Rate      string `json:"sample_rate"`
		FrameRate string `json:"avg_frame_rate"`
	} `json:"streams"`
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

func probe(t testing.TB, path string) (p probed) {
	t.Helper()
	need(t, "ffprobe")
	out, err := exec.Command("ffprobe", "-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json", path).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", path, err)
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// stream returns the figures of a stream, as ffprobe has them.
func (p probed) stream(t testing.TB, kind string) (start, duration float64, packets int) {
	t.Helper()
	for _, s := range p.Streams {
		if s.Type == kind {
			return number(s.Start), number(s.Duration), int(number(s.Packets))
		}
	}
	t.Fatalf("no %s stream in %+v", kind, p)
	return 0, 0, 0
}

func number(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

func near(t testing.TB, what string, got, want, within float64) {
	t.Helper()
	if got < want-within || got > want+within {
		t.Errorf("%s is %.3f, want %.3f ± %.3f", what, got, want, within)
	}
}

// decode fails the test when ffmpeg finds anything wrong with a file.
func decode(t testing.TB, path string) {
	t.Helper()
	need(t, "ffmpeg")
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg decodes %s: %v %s", filepath.Base(path), err, out)
	}
}

// layout is the boxes of a file, such as "ftyp free moov mdat".
func layout(t testing.TB, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var kinds []string
	for at := int64(0); ; {
		b, err := readAt(file, 16, at)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			return strings.Join(kinds, " ")
		}
		kind, _, size, ok := boxHeader(b)
		if !ok {
			t.Fatalf("%s: no box at %d after %v", path, at, kinds)
		}
		kinds = append(kinds, kind)
		at += int64(size)
	}
}

func noFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is there (%v), want it gone", filepath.Base(path), err)
	}
}
