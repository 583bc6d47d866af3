package peers

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"rotunda/services/media/control"
	"rotunda/services/media/record"
)

// recorded is what ffmpeg finds in a file.
type recorded struct {
	*testing.T
	path   string
	format string
	// Of the streams: codec names, and seconds from the first to the last.
	video, audio           string
	videoSpan, audioSpan   float64
	videoBegin, audioBegin float64
}

func probe(t *testing.T, path string) recorded {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", path, err)
	}
	var all struct {
		Streams []struct {
			Kind     string `json:"codec_type"`
			Codec    string `json:"codec_name"`
			Start    string `json:"start_time"`
			Duration string `json:"duration"`
		}
		Format struct {
			Name string `json:"format_name"`
		}
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	r := recorded{T: t, path: path, format: all.Format.Name}
	for _, s := range all.Streams {
		begin, _ := strconv.ParseFloat(s.Start, 64)
		span, _ := strconv.ParseFloat(s.Duration, 64)
		if s.Kind == "video" {
			r.video, r.videoBegin, r.videoSpan = s.Codec, begin, span
		} else {
			r.audio, r.audioBegin, r.audioSpan = s.Codec, begin, span
		}
	}
	return r
}

// decode has ffmpeg decode a stream of the file; any fault is an error.
func (r recorded) decode(args ...string) []byte {
	r.Helper()
	var out, said bytes.Buffer
	c := exec.Command("ffmpeg", append([]string{"-v", "error", "-i", r.path}, args...)...)
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil || said.Len() > 0 {
		r.Fatalf("ffmpeg %v: %v\n%s", args, err, &said)
	}
	return out.Bytes()
}

// pictures of a file, a hundred a second, and its sound at 8 kHz. Both begin at time 0 of the file.
func (r recorded) pictures() (list []*eye) {
	r.Helper()
	raw := r.decode("-an", "-vf", "scale=64:36,fps=100", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-")
	const size = 64 * 36 * 3 / 2
	for ; len(raw) >= size; raw = raw[size:] {
		e := &eye{}
		e.look(64, 36, func(frame []byte) { copy(frame, raw) })
		list = append(list, e)
	}
	return list
}

func (r recorded) sound() []int16 {
	r.Helper()
	raw := r.decode("-vn", "-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", "8000", "-f", "s16le", "-")
	pcm := make([]int16, len(raw)/2)
	_ = binary.Read(bytes.NewReader(raw), binary.LittleEndian, pcm)
	return pcm
}

// begins is the second at which a tone is heard first, and ends when it is heard last.
func begins(pcm []int16, tone float64) (first, last float64) {
	const window = 80 // 10 ms
	first = math.Inf(1)
	for i := 0; i+window <= len(pcm); i += window / 2 {
		if goertzel(pcm[i:i+window], tone, 8000) > loud {
			at := float64(i) / 8000
			first, last = min(first, at), at
		}
	}
	return first, last
}

func newFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "meeting.mp4")
}

// recorder is a leg without transports.
func recorder(conference, path string) control.Leg {
	return control.Leg{ID: "recorder", Conference: conference, View: control.View{Layout: "allEqual"},
		Sinks: []control.Sink{{ID: "file", File: path, Width: 640, Height: 360}}}
}

func TestAConferenceIsRecorded(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe")
	_, address := worker(t)
	us := dial(t, address)
	ann := us.call("ann", "room", 0, &red, nil)
	bob := us.call("bob", "room", 0, &blue, nil)
	until(t, "ann sees bob", func() bool { return ann.sees(0.5, 0.5, blue) })
	path := newFile(t)
	began := time.Now()
	us.put(recorder("room", path))
	us.event("the recording is open", func(e control.Event) bool { return e.Event == control.EventSink && e.State == "open" })
	// Ann turns green and begins to talk at one moment; both are a second in.
	throughout(t, time.Second, "the recording is open", func() bool { return true })
	ann.colour.Store(&green)
	ann.tone.Store(1000)
	turnedAt := time.Now()
	until(t, "bob sees green", func() bool { return bob.sees(0.5, 0.5, green) })
	t.Logf("bob sees green after %v", time.Since(turnedAt).Round(time.Millisecond))
	throughout(t, 1500*time.Millisecond, "the recording is open", func() bool { return true })
	if err := us.DeleteLeg(t.Context(), "recorder"); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began).Seconds()
	us.event("the recording is closed", func(e control.Event) bool { return e.Event == control.EventSink && e.State == "closed" })

	r := probe(t, path)
	if r.video != "h264" || r.audio != "aac" {
		t.Errorf("streams %s and %s, want h264 and aac", r.video, r.audio)
	}
	for name, span := range map[string]float64{"pictures": r.videoBegin + r.videoSpan, "sound": r.audioBegin + r.audioSpan} {
		if span < took-0.5 || span > took+0.3 {
			t.Errorf("%s end at %.2f s, want about %.2f", name, span, took)
		}
	}
	pictures, pcm := r.pictures(), r.sound()
	turned := -1.0
	for i, p := range pictures {
		left, right := p.sees(0.25, 0.5, green), p.sees(0.75, 0.5, green)
		if turned < 0 && (left || right) {
			turned = float64(i) / 100
		}
	}
	last := pictures[len(pictures)-1]
	if !(last.sees(0.25, 0.5, green) && last.sees(0.75, 0.5, blue) || last.sees(0.25, 0.5, blue) && last.sees(0.75, 0.5, green)) {
		l, _ := last.at(0.25, 0.5)
		x, _ := last.at(0.75, 0.5)
		t.Errorf("the last picture has %v and %v side by side, want green and blue", l, x)
	}
	talked, _ := begins(pcm, 1000)
	t.Logf("green at %.3f s, tone at %.3f s: pictures are %.0f ms after the sound", turned, talked, 1000*(turned-talked))
	// The phone films every 67 ms and talks every 20 ms; the rest is the engine's.
	if d := math.Abs(turned - talked); turned < 0 || d > 0.25 {
		t.Errorf("green is seen at %.3f s and the tone heard at %.3f s, want less than 0.25 s between", turned, talked)
	}
}

func TestARecordingOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe")
	p, address := worker(t)
	us := dial(t, address)
	ann := us.call("ann", "room", 1000, &red, nil)
	bob := us.call("bob", "room", 0, &blue, nil)
	until(t, "bob hears and sees ann", func() bool { return bob.hears(1000) && bob.sees(0.5, 0.5, red) })
	path := newFile(t)
	began := time.Now()
	us.put(recorder("room", path))
	throughout(t, 3500*time.Millisecond, "ann sees bob", func() bool { return ann.eye.count() > 0 })
	p.kill()
	took := time.Since(began).Seconds()

	whole, err := record.Recover(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("of %.2f s %v were kept", took, whole.Round(time.Millisecond))
	if lost := took - whole.Seconds(); lost > 2 || lost < -0.2 {
		t.Errorf("%.2f s were lost, want at most 2", lost)
	}
	r := probe(t, path)
	pictures := r.pictures()
	if last := pictures[len(pictures)-1]; !last.sees(0.25, 0.5, red) && !last.sees(0.75, 0.5, red) {
		t.Error("ann is not in the last picture")
	}
	first, end := begins(r.sound(), 1000)
	if first > 0.3 || end < took-2.1 {
		t.Errorf("ann is heard from %.2f to %.2f s of %.2f", first, end, took)
	}
}

func TestWhatALegSendsIsRecordedAsItComes(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffprobe")
	_, address := worker(t)
	us := dial(t, address)
	path := newFile(t)
	bob := us.call("bob", "room", 0, &blue, nil)
	ann := us.call("ann", "room", 1000, &red, func(l *control.Leg) { l.Sinks = []control.Sink{{ID: "file", File: path}} })
	var sent units
	add := sent.add
	ann.sent.Store(&add)
	until(t, "bob hears and sees ann", func() bool { return bob.hears(1000) && bob.sees(0.5, 0.5, red) })
	throughout(t, 2*time.Second, "bob hears ann", func() bool { return bob.ear.count() > 0 })
	ann.change(func(l *control.Leg) { l.Sinks = nil })
	us.event("the recording is closed", func(e control.Event) bool { return e.Event == control.EventSink && e.State == "closed" })
	r := probe(t, path)
	pictures := r.pictures()
	if len(pictures) < 150 {
		t.Fatalf("%d hundredths of a second of pictures, want at least 150", len(pictures))
	}
	if !pictures[len(pictures)-1].uniform(red) {
		t.Error("the last picture is not red")
	}
	if first, last := begins(r.sound(), 1000); last-first < 1.5 {
		t.Errorf("ann is heard from %.2f to %.2f s, want at least 1.5 s", first, last)
	}
	// The slices in the file are those that ann sent, to the last byte.
	stream := r.decode("-map", "0:v", "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264", "-")
	sent.mu.Lock()
	defer sent.mu.Unlock()
	same, single := 0, 0
	for payload := range sent.seen {
		if kind := payload[0] & 0x1f; kind == 1 {
			single++
			if bytes.Contains(stream, []byte(payload)) {
				same++
			}
		} else if kind == 28 && len(payload) > 100 {
			single++
			if bytes.Contains(stream, []byte(payload[2:])) {
				same++
			}
		}
	}
	if same < single/2 || same == 0 {
		t.Errorf("of %d parts of slices that ann sent %d are in the file, want most", single, same)
	}
}

const rtmpModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

func TestAConferenceIsPushedToAServer(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "nginx")
	if _, err := os.Stat(rtmpModule); err != nil {
		t.Skip("libnginx-mod-rtmp is not installed")
	}
	folder, at := t.TempDir(), freeTCP(t)
	config := filepath.Join(folder, "conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "load_module %s; daemon off; master_process off; user root; pid %s/pid; error_log %s/log;"+
		"events { worker_connections 64; } rtmp { server { listen %s; application live { live on; } } }", rtmpModule, folder, folder, at), 0o644); err != nil {
		t.Fatal(err)
	}
	tool(t, nil, "nginx", "-p", folder, "-c", config, "-e", filepath.Join(folder, "log"))
	_, address := worker(t)
	us := dial(t, address)
	ann := us.call("ann", "room", 1000, &red, nil)
	us.call("bob", "room", 0, &blue, nil)
	until(t, "ann sees bob", func() bool { return ann.sees(0.5, 0.5, blue) })
	us.put(control.Leg{ID: "stream", Conference: "room", View: control.View{Layout: "allEqual"},
		Sinks: []control.Sink{{ID: "push", URL: "rtmp://" + at + "/live/meeting", Width: 640, Height: 360}}})
	us.event("the push is open", func(e control.Event) bool { return e.Event == control.EventSink && e.ID == "push" && e.State == "open" })
	seen, heard := &eye{}, &ear{rate: 8000}
	play := []string{"-v", "error", "-rw_timeout", "20000000", "-probesize", "100000", "-analyzeduration", "4000000", "-i", "rtmp://" + at + "/live/meeting"}
	tool(t, seen.watch(64, 36), "ffmpeg", append(play, "-an", "-vf", "scale=64:36", "-pix_fmt", "yuv420p", "-vsync", "passthrough", "-f", "rawvideo", "-flush_packets", "1", "-")...)
	tool(t, heard.listen, "ffmpeg", append(play, "-vn", "-ac", "1", "-ar", "8000", "-f", "s16le", "-flush_packets", "1", "-")...)
	until(t, "a viewer sees both", func() bool {
		return seen.sees(0.25, 0.5, red) && seen.sees(0.75, 0.5, blue) || seen.sees(0.25, 0.5, blue) && seen.sees(0.75, 0.5, red)
	})
	until(t, "a viewer hears ann", func() bool { return heard.hears(1000) })
}
