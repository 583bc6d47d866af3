package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rotunda/services/media/control"
)

// wire is an Output that remembers the packets.
type wire struct {
	now     time.Time // of the test
	packets [][]byte
	times   []time.Time
	bursts  [][]int // sizes of the packets of each call
}

func (w *wire) SendVideo(packets [][]byte) {
	var sizes []int
	for _, p := range packets {
		w.packets, w.times = append(w.packets, bytes.Clone(p)), append(w.times, w.now)
		sizes = append(sizes, len(p))
	}
	w.bursts = append(w.bursts, sizes)
}

// forwarder is a clip that comes by RTP and is forwarded to a Stream.
type forwarder struct {
	frames   [][][]byte
	receiver *Receiver
	stream   *Stream
	feedback silent
}

func newForwarder(t *testing.T, c *clip) *forwarder {
	t.Helper()
	f := &forwarder{frames: c.frames(), stream: New(Options{Codec: c.codec})}
	var err error
	f.receiver, err = NewReceiver(ReceiverOptions{SSRC: c.ssrc(), Formats: formats(c.codec), Stream: f.stream, Feedback: &f.feedback,
		Unit: func(u *AccessUnit) { u.Release() }, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *forwarder) push(t *testing.T, frame int, now time.Time) {
	t.Helper()
	if frame < 0 || frame >= len(f.frames) {
		return
	}
	for _, p := range f.frames[frame] {
		if err := f.receiver.Push(p, now); err != nil {
			t.Fatal(err)
		}
	}
}

func newSender(t testing.TB, o SenderOptions) *Sender {
	t.Helper()
	o.SSRC, o.PayloadType, o.Sequence, o.Timestamp = 7, 96, 65530, 1<<32-20_000
	s, err := NewSender(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// colours decodes a clip with ffmpeg, which must not complain, and returns the colour of each frame at one place.
func colours(t *testing.T, codec string, units [][]byte) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "switched")
	var data []byte
	format := "h264"
	if codec == control.VP8 {
		format = "ivf"
		data = append(data, "DKIF\x00\x00\x20\x00VP80"...)
		data = binary.LittleEndian.AppendUint16(data, 640)
		data = binary.LittleEndian.AppendUint16(data, 360)
		data = binary.LittleEndian.AppendUint32(data, 30)
		data = binary.LittleEndian.AppendUint32(data, 1)
		data = append(data, make([]byte, 8)...)
	}
	for i, u := range units {
		if codec == control.VP8 {
			data = binary.LittleEndian.AppendUint32(data, uint32(len(u)))
			data = binary.LittleEndian.AppendUint64(data, uint64(i))
		}
		data = append(data, u...)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-v", "warning", "-f", format, "-i", file, "-fps_mode", "passthrough",
		"-vf", "crop=2:2:100:60", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("ffmpeg: %v: %s", err, complaints.String())
	}
	var names []string
	for ; len(out) >= 12; out = out[12:] {
		r, g, b := out[0], out[1], out[2]
		switch {
		case r > 180 && g < 80 && b < 80:
			names = append(names, "red")
		case r < 80 && g < 80 && b > 180:
			names = append(names, "blue")
		case r < 80 && g > 90 && b < 80:
			names = append(names, "green")
		default:
			names = append(names, "none")
		}
	}
	return names
}

// unbroken checks that packets are what one sender of one picture would send, and returns its access units.
func unbroken(t *testing.T, codec string, out *wire) [][]byte {
	t.Helper()
	packets := out.packets
	var got sink
	r, err := NewReceiver(ReceiverOptions{SSRC: 7, Formats: formats(codec), Feedback: &got, Unit: got.take, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	r.SetDecode(true, start)
	var last, lastPicture, lastBase int
	lastTimestamp := uint32(0)
	for i, p := range packets {
		if sequence := binary.BigEndian.Uint16(p[2:]); i > 0 && sequence != uint16(last+1) {
			t.Fatalf("packet %d: got sequence number %d after %d", i, sequence, uint16(last))
		}
		last = int(binary.BigEndian.Uint16(p[2:]))
		timestamp := binary.BigEndian.Uint32(p[4:])
		gone := int32(timestamp - binary.BigEndian.Uint32(packets[0][4:]))
		if want := int32(out.times[i].Sub(out.times[0]) * 9 / 1e5); gone < want-10 || gone > want+10 {
			t.Fatalf("packet %d: got a timestamp %d after the first one, want %d", i, gone, want)
		}
		if codec == control.VP8 {
			var d vp8Descriptor
			if _, err := d.parse(p[12:]); err != nil {
				t.Fatal(err)
			}
			if step := (int(d.picture) - lastPicture) & 0x7fff; i > 0 && timestamp != lastTimestamp && step != 1 {
				t.Errorf("packet %d: got picture ID %d after %d", i, d.picture, lastPicture)
			}
			if d.hasBase && i > 0 && timestamp != lastTimestamp && d.layer == 0 && int(d.base-byte(lastBase)) != 1 {
				t.Errorf("packet %d: got TL0PICIDX %d after %d", i, d.base, lastBase)
			}
			lastPicture, lastBase = int(d.picture), int(d.base)
		}
		lastTimestamp = timestamp
		if err := r.Push(p, start); err != nil {
			t.Fatal(err)
		}
	}
	var units [][]byte
	for _, u := range got.units {
		units = append(units, u.data)
	}
	return units
}

func TestASwitchAtAKeyFrameIsInvisibleToTheReceiver(t *testing.T) {
	for _, codec := range []string{control.H264, control.VP8} {
		t.Run(codec, func(t *testing.T) {
			red := newForwarder(t, testClip(t, codec, "red"))
			blue := newForwarder(t, testClip(t, codec, "blue"))
			green := testClip(t, codec, "green")
			composed := New(Options{Codec: codec})
			packetizer, err := NewPacketizer(codec, 1100, 1)
			if err != nil {
				t.Fatal(err)
			}
			var out wire
			s := newSender(t, SenderOptions{Codec: codec, Output: &out})
			// Key frames come in red at 0, 30, 60, in blue at 10, 40, 70, in the composed picture at 20, 50, 80.
			plan := map[int]*Stream{0: red.stream, 5: blue.stream, 12: composed, 25: red.stream, 31: blue.stream, 42: nil, 44: composed}
			joins := map[int]string{0: "red", 10: "blue", 20: "green", 30: "red", 40: "blue", 50: "green"}
			var want []string
			current := ""
			for i := range clipFrames {
				out.now = start.Add(time.Duration(i) * time.Second / 30)
				if to, ok := plan[i]; ok {
					if err := s.Switch(to, out.now); err != nil {
						t.Fatal(err)
					}
					if to == nil {
						current = ""
					}
				}
				for j, colour := range []string{"red", "blue", "green"} {
					out.now = out.now.Add(time.Duration(j) * 5 * time.Millisecond)
					switch {
					case colour == "red":
						red.push(t, i, out.now)
					case colour == "blue":
						blue.push(t, i-10, out.now)
					case i >= 20:
						payloads, err := packetizer.Split(green.units[i-20])
						if err != nil {
							t.Fatal(err)
						}
						if err := composed.Publish(payloads, uint32(i)*3000+77, out.now); err != nil {
							t.Fatal(err)
						}
					}
					if joins[i] == colour {
						current = colour
					}
					if current == colour {
						want = append(want, colour)
					}
				}
			}
			units := unbroken(t, codec, &out)
			if got := colours(t, codec, units); !slices.Equal(got, want) {
				t.Errorf("got %d frames %q, want %d frames %q", len(got), got, len(want), want)
			}
			if c := s.Counts(); c.Switches != 6 || int(c.Frames) != len(want) {
				t.Errorf("got %+v, want 6 switches and %d frames", c, len(want))
			}
			if n := red.stream.Subscribers() + blue.stream.Subscribers() + composed.Subscribers(); n != 1 {
				t.Errorf("got %d subscriptions in the end, want 1", n)
			}
		})
	}
}

func TestASenderRefusesAStreamOfAnotherCodec(t *testing.T) {
	var out wire
	s := newSender(t, SenderOptions{Codec: control.H264, Output: &out})
	if err := s.Switch(New(Options{Codec: control.VP8}), start); !errors.Is(err, ErrCodec) {
		t.Errorf("got %v, want %v", err, ErrCodec)
	}
}

func TestASenderBeginsWithParameterSetsWhenTheKeyFrameHasNone(t *testing.T) {
	c := testClip(t, control.H264, "red")
	packetizer, err := NewPacketizer(control.H264, 1100, 1)
	if err != nil {
		t.Fatal(err)
	}
	var feedback silent
	s := New(Options{Codec: control.H264})
	var hop sink
	r, err := NewReceiver(ReceiverOptions{SSRC: 9, Formats: formats(control.H264), Stream: s, Feedback: &feedback, Unit: hop.take, Pool: NewPool(0)})
	if err != nil {
		t.Fatal(err)
	}
	var out wire
	sender := newSender(t, SenderOptions{Codec: control.H264, Output: &out})
	sequence := uint16(0)
	for i, unit := range c.units {
		now := start.Add(time.Duration(i) * time.Second / 30)
		if i > 0 {
			var bare []byte
			for _, nal := range splitAnnexB(nil, unit) {
				if kind := nal[0] & 0x1f; kind == nalSlice || kind == nalIDR {
					bare = append(append(bare, startCode...), nal...)
				}
			}
			unit = bare
		}
		if i == 5 {
			if err := sender.Switch(s, now); err != nil {
				t.Fatal(err)
			}
			r.SetDecode(true, now)
		}
		payloads, err := packetizer.Split(unit)
		if err != nil {
			t.Fatal(err)
		}
		for j, payload := range payloads {
			sequence++
			p := []byte{0x80, 96, byte(sequence >> 8), byte(sequence), 0, 0, 0, 0, 0, 0, 0, 9}
			if j == len(payloads)-1 {
				p[1] |= 0x80
			}
			binary.BigEndian.PutUint32(p[4:], uint32(i)*3000)
			out.now = now
			if err := r.Push(append(p, payload...), now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := colours(t, control.H264, unbroken(t, control.H264, &out)); len(got) != 60 {
		t.Errorf("got %d frames behind the sender, want 60", len(got))
	}
	var units [][]byte
	for _, u := range hop.units {
		units = append(units, u.data)
	}
	if got := colours(t, control.H264, units); len(got) != 60 {
		t.Errorf("got %d frames from the assembler, want 60", len(got))
	}
	// The parameter sets are not in the cache, but they too can be asked for again.
	first := binary.BigEndian.Uint16(out.packets[0][2:])
	now := start.Add(clipFrames * time.Second / 30)
	n := len(out.packets)
	sender.HandleNACK([]uint16{first}, now)
	if len(out.packets) != n+1 || !bytes.Equal(out.packets[n][12:], out.packets[0][12:]) {
		t.Errorf("the parameter sets were not sent again")
	}
}

func TestAKeyFrameIsAskedForOnceASecondHoweverManyWant(t *testing.T) {
	asked := 0
	s := New(Options{Codec: control.VP8, AskKey: func() { asked++ }})
	frame := func(now time.Time) {
		if err := s.Publish([][]byte{{0x10, 1, 2, 3}}, 0, now); err != nil {
			t.Fatal(err)
		}
	}
	var out wire
	for i := range 5 {
		if err := newSender(t, SenderOptions{Codec: control.VP8, Output: &out}).Switch(s, start.Add(time.Duration(i)*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Fatalf("got %d requests of five senders, want 1", asked)
	}
	frame(start.Add(500 * time.Millisecond))
	if asked != 1 {
		t.Fatalf("got %d requests after half a second, want 1", asked)
	}
	frame(start.Add(1100 * time.Millisecond))
	if asked != 2 {
		t.Fatalf("got %d requests after the second was over, want 2: the senders still wait", asked)
	}
	if len(out.packets) != 0 {
		t.Errorf("got %d packets without a key frame, want none", len(out.packets))
	}
}
