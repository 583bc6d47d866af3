package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// clip is a short picture that ffmpeg encoded: its frames in a file, and its packets as ffmpeg sends them.
type clip struct {
	codec   string
	file    string
	units   [][]byte // access units as the assembler writes them
	packets [][]byte // RTP, payload type 96
}

var (
	clipsMutex sync.Mutex
	clips      = map[string]*clip{}
	clipsDir   string
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "clips")
	if err != nil {
		panic(err)
	}
	clipsDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const clipFrames = 90

// testClip makes a clip of 90 frames with a key frame every 30. Colour tells clips apart.
func testClip(t testing.TB, codec, colour string) *clip {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: there are no real pictures to test with")
	}
	clipsMutex.Lock()
	defer clipsMutex.Unlock()
	name := codec + "-" + colour
	if c := clips[name]; c != nil {
		return c
	}
	encoder := map[string][]string{
		control.H264: {"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-x264-params", "keyint=30:min-keyint=30:scenecut=0:repeat-headers=1", "-f", "h264"},
		control.VP8:  {"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-auto-alt-ref", "0", "-f", "ivf"},
		control.VP9:  {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-f", "ivf"},
	}[codec]
	file := filepath.Join(clipsDir, name)
	source := fmt.Sprintf("testsrc2=s=640x360:r=30,drawbox=color=%s:t=fill:w=320:h=180", colour)
	args := append([]string{"-v", "error", "-y", "-f", "lavfi", "-i", source, "-frames:v", fmt.Sprint(clipFrames), "-pix_fmt", "yuv420p", "-b:v", "2M"}, encoder...)
	run(t, "ffmpeg", append(args, file)...)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &clip{codec: codec, file: file}
	if codec == control.H264 {
		c.units = accessUnits(data)
	} else {
		c.units = ivfFrames(t, data)
	}
	if len(c.units) != clipFrames {
		t.Fatalf("%s: got %d frames of ffmpeg, want %d", name, len(c.units), clipFrames)
	}
	c.packets = capture(t, c)
	clips[name] = c
	return c
}

func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// accessUnits splits Annex B where a picture begins, and writes it with four-byte start codes.
func accessUnits(data []byte) [][]byte {
	var units [][]byte
	sliced := true
	for _, nal := range splitAnnexB(nil, data) {
		kind := nal[0] & 0x1f
		slice := kind == nalSlice || kind == nalIDR
		if sliced && (!slice || nal[1]&0x80 != 0) {
			units = append(units, nil)
			sliced = false
		}
		sliced = sliced || slice
		last := &units[len(units)-1]
		*last = append(append(*last, startCode...), nal...)
	}
	return units
}

func ivfFrames(t testing.TB, data []byte) [][]byte {
	t.Helper()
	var frames [][]byte
	for data = data[32:]; len(data) >= 12; {
		n := int(binary.LittleEndian.Uint32(data))
		frames = append(frames, data[12:12+n])
		data = data[12+n:]
	}
	return frames
}

// capture lets ffmpeg send the clip by RTP and returns the packets.
func capture(t testing.TB, c *clip) [][]byte {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := socket.SetReadBuffer(8 << 20); err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			if n == 1 { // the end
				return
			}
			packets = append(packets, bytes.Clone(b[:n]))
		}
	}()
	format := "ivf"
	if c.codec == control.H264 {
		format = "h264"
	}
	address := socket.LocalAddr().(*net.UDPAddr)
	run(t, "ffmpeg", "-v", "error", "-r", "30", "-f", format, "-i", c.file, "-c", "copy", "-strict", "experimental",
		"-payload_type", "96", "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d?rtcpport=9&pkt_size=1200", address.Port))
	end, err := net.Dial("udp4", address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	if _, err := end.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	<-done
	return packets
}

// ssrcOf returns the SSRC of a captured clip.
func (c *clip) ssrc() uint32 { return binary.BigEndian.Uint32(c.packets[0][8:]) }

// frames groups the captured packets by timestamp.
func (c *clip) frames() [][][]byte {
	var out [][][]byte
	last := uint32(0)
	for i, p := range c.packets {
		timestamp := binary.BigEndian.Uint32(p[4:])
		if i == 0 || timestamp != last {
			out = append(out, nil)
		}
		last = timestamp
		out[len(out)-1] = append(out[len(out)-1], p)
	}
	return out
}

// silent is a Feedback that nobody listens to.
type silent struct{ keys, again int }

func (s *silent) AskAgain(_ uint32, sequences []uint16) { s.again += len(sequences) }
func (s *silent) AskKey(uint32, uint8)                  { s.keys++ }

// sink is a Feedback and taker of units that remembers both.
type sink struct {
	silent
	units []AccessUnitCopy
}

// AccessUnitCopy is what a test keeps of a unit.
type AccessUnitCopy struct {
	data          []byte
	timestamp     uint32
	key           bool
	width, height int
}

func (s *sink) take(u *AccessUnit) {
	s.units = append(s.units, AccessUnitCopy{bytes.Clone(u.Data), u.Timestamp, u.Key, u.Width, u.Height})
	u.Release()
}

func formats(codec string) []control.Format {
	return []control.Format{{PayloadType: 96, Codec: codec, RTX: 97}}
}

// start is when all tests begin.
var start = epoch.Add(time.Hour)

func TestFFmpegPacketsBecomeTheFramesThatWereEncoded(t *testing.T) {
	for _, codec := range []string{control.H264, control.VP8, control.VP9} {
		t.Run(codec, func(t *testing.T) {
			c := testClip(t, codec, "red")
			var got sink
			r, err := NewReceiver(ReceiverOptions{SSRC: c.ssrc(), Formats: formats(codec), Feedback: &got, Unit: got.take, Pool: NewPool(0)})
			if err != nil {
				t.Fatal(err)
			}
			now := start
			r.SetDecode(true, now)
			for i, p := range c.packets {
				if err := r.Push(p, now); err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				now = now.Add(time.Millisecond)
			}
			if len(got.units) != len(c.units) {
				t.Fatalf("got %d access units of %d packets, want %d: %+v", len(got.units), len(c.packets), len(c.units), r.Counts())
			}
			for i, u := range got.units {
				if !bytes.Equal(u.data, c.units[i]) {
					t.Fatalf("unit %d: got %d bytes, want %d, or others", i, len(u.data), len(c.units[i]))
				}
				if u.key != (i%30 == 0) {
					t.Errorf("unit %d: got key %t, want %t", i, u.key, i%30 == 0)
				}
				if u.width != 640 || u.height != 360 {
					t.Errorf("unit %d: got %d × %d, want 640 × 360", i, u.width, u.height)
				}
			}
			if counts := r.Counts(); counts.Lost != 0 || counts.Malformed != 0 || counts.KeyFrames != 3 {
				t.Errorf("got %+v, want nothing lost or malformed and 3 key frames", counts)
			}
		})
	}
}
