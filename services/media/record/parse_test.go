package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestTheSizeOfAPictureIsReadFromItsParameters(t *testing.T) {
	need(t, "ffmpeg")
	for _, test := range []struct {
		width, height int
		options       string
	}{
		{640, 360, "-profile:v baseline"},
		{1920, 1080, "-profile:v main"},
		{176, 144, "-profile:v high"},
		{1280, 720, "-profile:v high -x264-params cqm=jvt"},
		{322, 182, "-profile:v high444 -pix_fmt yuv444p"},
		{320, 180, "-profile:v high422 -pix_fmt yuv422p"},
		{720, 576, "-profile:v high -flags +ildct+ilme"},
		{1920, 1080, "-profile:v main -flags +ildct+ilme"},
	} {
		t.Run(fmt.Sprintf("%dx%d %s", test.width, test.height, test.options), func(t *testing.T) {
			args := []string{"-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=%dx%d:r=25", test.width, test.height), "-frames:v", "1", "-c:v", "libx264"}
			args = append(append(args, strings.Fields(test.options)...), "-f", "h264", "-")
			stream, err := exec.Command("ffmpeg", args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			p := pictures{waiting: true}
			if _, key := p.add(nil, stream, false); !key {
				t.Fatal("no key frame found")
			}
			if p.current.width != test.width || p.current.height != test.height {
				t.Errorf("%d × %d, want %d × %d", p.current.width, p.current.height, test.width, test.height)
			}
		})
	}
}

var (
	testSPS = []byte{0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xf0, 0x3c, 0x58, 0xba, 0x80}
	testPPS = []byte{0x68, 0xce, 0x0f, 0xc8}
	testIDR = []byte{0x65, 0x88, 0x84, 0x0a}
	testP   = []byte{0x41, 0x9a, 0x02, 0x05}
)

func annexB(units ...[]byte) (b []byte) {
	for i, u := range units {
		if i%2 == 0 {
			b = append(b, 0)
		}
		b = append(append(b, 0, 0, 1), u...)
	}
	return b
}

func lengths(units ...[]byte) (b []byte) {
	for _, u := range units {
		b = appendUnit(b, u)
	}
	return b
}

func TestAccessUnitsBecomeSamples(t *testing.T) {
	otherPPS := []byte{0x68, 0xce, 0x3c, 0x80}
	type step struct {
		name string
		unit []byte
		key  bool
		want []byte
	}
	p := pictures{waiting: true}
	for _, s := range []step{
		{"no key frame yet", annexB(testP), false, nil},
		{"a key frame without parameter sets", annexB(testIDR), true, nil},
		{"parameter sets alone", annexB(testSPS, testPPS), false, nil},
		{"the key frame of them", annexB([]byte{9, 0xf0}, testIDR), false, lengths(testIDR)},
		{"zeros at the end are not in it", append(annexB(testP), 0, 0, 0), false, lengths(testP)},
		{"several slices", annexB(testP, testP), false, lengths(testP, testP)},
		{"repeated sets go", annexB(testSPS, testPPS, testIDR), true, lengths(testIDR)},
		{"layers above the base go", annexB([]byte{0x6e, 1}, testP, []byte{0x74, 1}), false, lengths(testP)},
		{"sets between key frames stay", annexB(otherPPS, testP), false, lengths(otherPPS, testP)},
		{"empty", nil, false, nil},
		{"no start code", testP, true, nil},
		{"start codes only", []byte{0, 0, 1, 0, 0, 1, 0, 0, 1}, true, nil},
	} {
		got, _ := p.add(nil, s.unit, s.key)
		if !bytes.Equal(got, s.want) {
			t.Errorf("%s: %x, want %x", s.name, got, s.want)
		}
	}
	if want := "0142c01effe10019" + hex.EncodeToString(testSPS) + "010004" + hex.EncodeToString(testPPS); hex.EncodeToString(p.current.record) != want {
		t.Errorf("configuration %x, want %s", p.current.record, want)
	}
	if _, key := p.add(nil, annexB(testSPS, otherPPS, testIDR), true); !key || !bytes.Equal(p.current.pps[0], otherPPS) {
		t.Errorf("picture parameter set %x after a change, want %x", p.current.pps[0], otherPPS)
	}
}

func FuzzAccessUnit(f *testing.F) {
	f.Add(annexB(testSPS, testPPS, testIDR), annexB(testP))
	f.Add(annexB(testSPS, testIDR), annexB(testPPS, testIDR))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := pictures{waiting: true}
		prefix := []byte("prefix")
		for _, unit := range [][]byte{first, second, first} {
			out, _ := p.add(prefix, unit, false)
			if !bytes.HasPrefix(out, prefix) {
				t.Fatalf("what was there is %x now", out)
			}
			if len(out) > len(prefix) && p.current == nil {
				t.Fatal("a sample before the parameter sets")
			}
			for b := out[len(prefix):]; len(b) > 0; {
				n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
				if n == 0 || n > len(b)-4 {
					t.Fatalf("unit of %d bytes in %x", n, b)
				}
				b = b[4+n:]
			}
		}
	})
}

func FuzzSequenceParameters(f *testing.F) {
	f.Add(testSPS)
	f.Add([]byte{0x67, 0x64, 0, 0x28, 0xac, 0xd9, 0x40, 0x78, 2, 0x27, 0xe5, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xf2, 0x3c, 0x60, 0xc6, 0x58})
	f.Fuzz(func(t *testing.T, nal []byte) {
		info, err := parseSPS(nal)
		if err == nil && (info.width <= 0 || info.height <= 0 || info.width > 0xffff || info.height > 0xffff) {
			t.Errorf("%d × %d of %x", info.width, info.height, nal)
		}
	})
}

// FuzzFragments reads what follows the movie box of a file whose writer died.
func FuzzFragments(f *testing.F) {
	c := fragment{entry: 1, video: run{data: lengths(testIDR, testP), samples: []sample{{0, 8, true}, {3000, 8, false}}},
		audio: run{data: []byte{1, 2, 3}, samples: []sample{{0, 3, true}}}}
	one := append(append(c.appendHead(nil, 1, 48000), c.video.data...), c.audio.data...)
	f.Add([]byte(one))
	f.Add([]byte(one[:len(one)-2]))
	p, err := newParameters([][]byte{testSPS}, [][]byte{testPPS})
	if err != nil {
		f.Fatal(err)
	}
	m := movie{tracks: []*track{
		{id: videoTrack, scale: videoScale, entries: appendVideoEntry(nil, p), entryCount: 1},
		newAudioTrack(&Options{AudioRate: 48000, AudioChannels: 1, AudioConfig: []byte{0x11, 0x88}}),
	}}
	whole := m.append(nil, true)
	body := whole[8:]
	f.Add(append(bytes.Clone(one), one...))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := parseMovie(body)
		if err != nil {
			t.Fatal(err)
		}
		r := recording{movie: m, end: mediaAt}
		size := mediaAt + int64(len(content))
		if err := r.readFragments(mediaOf{bytes.NewReader(content)}, size, true); err != nil {
			t.Fatal(err)
		}
		if r.end > size {
			t.Errorf("the last fragment ends at %d of %d", r.end, size)
		}
		for _, c := range m.chunks() {
			if c.offset < mediaAt || int64(c.offset)+int64(c.bytes) > r.end {
				t.Errorf("chunk %+v is not before %d", *c, r.end)
			}
		}
	})
}

// mediaOf is a file without what is before its fragments.
type mediaOf struct{ r io.ReaderAt }

func (m mediaOf) ReadAt(b []byte, at int64) (int, error) { return m.r.ReadAt(b, at-mediaAt) }

func FuzzMovie(f *testing.F) {
	m := movie{tracks: []*track{newAudioTrack(&Options{AudioRate: 48000, AudioChannels: 1, AudioConfig: []byte{0x11, 0x88}})}}
	f.Add([]byte(m.append(nil, true)[8:]))
	f.Add([]byte(m.append(nil, false)[8:]))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseMovie(body)
		if err != nil {
			return
		}
		for _, track := range m.tracks {
			if track.scale == 0 {
				t.Error("a track without time")
			}
		}
		if again, err := parseMovie(m.append(nil, true)[8:]); err != nil || len(again.tracks) != len(m.tracks) {
			t.Errorf("written and read again: %v", err)
		}
	})
}

func TestChunksCarryMessagesOfAnySizeAndTime(t *testing.T) {
	for _, size := range []int{firstChunk, outChunk} {
		c := chunker{size: firstChunk}
		c.control(msgChunkSize, uint32(size))
		c.size = size
		bodies := map[byte][]byte{}
		for i, n := range []int{0, 1, 127, 128, 129, 60000, 60001, 200000} {
			for j, timestamp := range []uint32{0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff} {
				kind := byte(100 + i*5 + j)
				bodies[kind] = make([]byte, n)
				for k := range bodies[kind] {
					bodies[kind][k] = byte(rand.Uint32())
				}
				c.message(chunkVideo, kind, 1, timestamp, bodies[kind])
			}
		}
		r := newChunkReader(bytes.NewReader(c.b))
		r.limit = 1 << 20
		for range bodies {
			m, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.body, bodies[m.kind]) {
				t.Errorf("message %d of %d bytes comes out as %d", m.kind, len(bodies[m.kind]), len(m.body))
			}
		}
		if _, err := r.next(); err != io.EOF {
			t.Errorf("after the last message: %v, want %v", err, io.EOF)
		}
	}
}

func TestWhatAServerMaySendIsBounded(t *testing.T) {
	for _, test := range []struct {
		name  string
		bytes string
	}{
		{"a message of 16 MB", "03000000ffffff1400000000"},
		{"a chunk stream that begins in the middle", "c3"},
		{"chunks of no bytes", "02000000000004010000000000000000"},
		{"a message in a message", "030000000000ff1400000000" + strings.Repeat("00", 128) + "030000000000ff1400000000"},
	} {
		b, err := hex.DecodeString(test.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newChunkReader(bytes.NewReader(b)).next(); !errors.Is(err, errChunk) {
			t.Errorf("%s: %v, want %v", test.name, err, errChunk)
		}
	}
	var many []byte
	for id := range byte(maxStreams + 1) {
		many = append(many, 3+id, 0, 0, 0, 0, 0, 1, 20, 0, 0, 0, 0, 5)
	}
	r := newChunkReader(bytes.NewReader(many))
	for range maxStreams {
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.next(); !errors.Is(err, errChunk) {
		t.Errorf("chunk stream %d: %v, want %v", maxStreams+1, err, errChunk)
	}
	deep := bytes.Repeat([]byte{amfStrictArray, 0, 0, 0, 1}, 100)
	if _, err := parseCommand(deep); !errors.Is(err, errAMF) {
		t.Errorf("arrays in arrays: %v, want %v", err, errAMF)
	}
	wide := append([]byte{amfStrictArray, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{amfNull}, 10000)...)
	if _, err := parseCommand(wide); !errors.Is(err, errAMF) {
		t.Errorf("an array of 2³² values: %v, want %v", err, errAMF)
	}
}

func TestCommandsAreReadAsTheyAreWritten(t *testing.T) {
	b := command("onStatus", 7)
	b.null()
	b.object("level", "error", "code", "NetStream.Publish.BadName", "number", 4.5)
	b.array("encoder", "x")
	b = append(b, amfLongString, 0, 0, 0, 1, 'y', amfBoolean, 1, amfDate, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	v, err := parseCommand(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != 8 || v[0].text != "onStatus" || v[1].number != 7 || v[3].fields["number"].number != 4.5 || v[4].fields["encoder"].text != "x" || v[5].text != "y" {
		t.Errorf("read %+v", v)
	}
	if got, want := status(v[:4]).Error(), "server refuses the stream key: unknown, or in use (NetStream.Publish.BadName)"; got != want {
		t.Errorf("in words %q, want %q", got, want)
	}
	b = command("_error", 1)
	b.null()
	b.object("level", "error", "code", "NetConnection.Connect.Rejected", "description", "[ AccessManager.Reject ] : [ authmod=adobe ] :\n ?reason=needauth")
	if v, err = parseCommand(b); err != nil {
		t.Fatal(err)
	}
	if got, want := status(v).Error(), "server wants Adobe authentication, which is not supported (NetConnection.Connect.Rejected [ AccessManager.Reject ] : [ authmod=adobe ] :  ?reason=needauth)"; got != want {
		t.Errorf("in words %q, want %q", got, want)
	}
}

func FuzzChunks(f *testing.F) {
	c := chunker{size: firstChunk}
	c.message(chunkCommand, msgCommand, 0, 0xffffff, bytes.Repeat([]byte{amfNull}, 300))
	c.control(msgChunkSize, 4)
	c.message(chunkCommand, msgCommand, 1, 0, command("onStatus", 0)[:4])
	f.Add(c.b)
	f.Add([]byte{0, 5, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := session{in: newChunkReader(bytes.NewReader(b)), reply: func([]byte) error { return nil }}
		for {
			if _, err := s.receive(); err != nil {
				break
			}
		}
		held := 0
		for _, stream := range s.in.streams {
			held += cap(stream.body)
		}
		if len(s.in.streams) > maxStreams || held > maxStreams*2*maxMessage {
			t.Errorf("%d streams hold %d bytes", len(s.in.streams), held)
		}
	})
}

func FuzzCommand(f *testing.F) {
	b := command("onStatus", 7)
	b.null()
	b.object("level", "error", "code", "x", "number", 4.5)
	f.Add([]byte(b))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseCommand(b); err == nil && len(v) >= 2 {
			if text := status(v).Error(); len(text) > 400 || strings.ContainsAny(text, "\n\r\x00") {
				t.Errorf("in words %q", text)
			}
		}
	})
}

func TestStreamURLsAreTakenApart(t *testing.T) {
	for _, test := range []struct {
		url  string
		want target
		err  string
	}{
		{"rtmp://a.example/live/key", target{"a.example:1935", "a.example", false, "live", "key", "rtmp://a.example/live"}, ""},
		{"rtmps://a.example/live/key?x=1&y=/2", target{"a.example:443", "a.example", true, "live", "key?x=1&y=/2", "rtmps://a.example/live"}, ""},
		{"RTMP://[2001:db8::1]:80/app/instance/key", target{"[2001:db8::1]:80", "2001:db8::1", false, "app/instance", "key", "rtmp://[2001:db8::1]:80/app/instance"}, ""},
		{"rtmp://user:word@a.example/live/key", target{"a.example:1935", "a.example", false, "live", "key", "rtmp://a.example/live"}, ""},
		{"http://a.example/live/secret", target{}, `stream URL begins with "http": want rtmp or rtmps`},
		{"rtmp://a.example/secret", target{}, "stream URL has no application and stream key: want rtmp://host/application/key"},
		{"rtmp:///live/secret", target{}, "stream URL has no host"},
		{"rtmp://a.example:port/live/secret", target{}, "stream URL is malformed"},
		{"rtmp://a.example/live/" + strings.Repeat("k", 5000), target{}, "stream URL of 5022 bytes: at most 4096"},
	} {
		got, err := parseTarget(test.url)
		if test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%s: %v, want %s", test.url, err, test.err)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%s: %+v (%v), want %+v", test.url, got, err, test.want)
		}
	}
}

func TestPausesGrowToHalfAMinute(t *testing.T) {
	for _, test := range []struct {
		attempt int
		random  float64
		want    time.Duration
	}{{0, 0, 500 * time.Millisecond}, {1, 0, time.Second}, {5, 0, 16 * time.Second}, {6, 0, 30 * time.Second}, {1000000, 0, 30 * time.Second}, {6, 1, 22500 * time.Millisecond}} {
		if got := backoff(test.attempt, test.random); got != test.want {
			t.Errorf("pause %d is %v, want %v", test.attempt, got, test.want)
		}
	}
}

func TestAudioFramesLieSideBySide(t *testing.T) {
	const frame = frameSamples * time.Second / 48000
	c := audioClock{scale: 48000}
	for _, test := range []struct {
		name string
		at   time.Duration
		want int64
		ok   bool
	}{
		{"first", time.Second, 48000, true},
		{"8 ms late", time.Second + frame + 8*time.Millisecond, 49024, true},
		{"8 ms early", time.Second + 2*frame - 8*time.Millisecond, 50048, true},
		{"after a lost frame", time.Second + 4*frame, 52096, true},
		{"a frame too much", time.Second + 4*frame, 0, false},
		{"as if nothing had been", time.Second + 5*frame, 53120, true},
	} {
		if got, ok := c.place(test.at); got != test.want || ok != test.ok {
			t.Errorf("%s: at %d (%v), want %d (%v)", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestOptionsThatAreNoneAreRefused(t *testing.T) {
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{AudioRate: 44100, AudioChannels: 2}, ""},
		{Options{AudioRate: 48000, AudioChannels: 1, AudioConfig: []byte{0x11, 0x88, 0x56, 0xe5, 0}}, ""},
		{Options{AudioRate: 44000, AudioChannels: 2}, "audio rate 44000 Hz: not one of AAC's"},
		{Options{AudioRate: 48000, AudioChannels: 6}, "6 audio channels: want 1 or 2"},
		{Options{AudioRate: 48000, AudioChannels: 1, AudioConfig: []byte{0x29, 0x88}}, "audio object type 5: want 2, AAC-LC"},
		{Options{AudioRate: 48000, AudioChannels: 1, AudioConfig: []byte{0x12, 0x08}}, "audio configuration's rate index 4 is not 48000 Hz"},
		{Options{AudioRate: 48000, AudioChannels: 2, AudioConfig: []byte{0x11, 0x88}}, "audio configuration has 1 channels, not 2"},
		{Options{Width: 70000}, "picture of 70000 × 0"},
	} {
		err := test.o.check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
			t.Errorf("%+v: %v, want %q", test.o, err, test.want)
		}
	}
}
