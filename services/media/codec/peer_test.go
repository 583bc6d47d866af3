package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rotunda/services/media/control"
	"rotunda/services/media/picture"
)

// What others encode we decode, and the other way round. The other is ffmpeg with its own build of the libraries.

func ffmpeg(t *testing.T, stdin io.Reader, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
	cmd.Stdin = stdin
	var text bytes.Buffer
	cmd.Stderr = &text
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("ffmpeg cannot: %v: %s", err, text.Bytes())
	}
	return out
}

// accessUnits splits IVF (RFC 6386, appendix, as used by libvpx): a header of 32 bytes, then size and time in 12.
func accessUnits(ivf []byte) [][]byte {
	var list [][]byte
	for ivf = ivf[32:]; len(ivf) >= 12; {
		size := int(binary.LittleEndian.Uint32(ivf))
		list = append(list, ivf[12:12+size])
		ivf = ivf[12+size:]
	}
	return list
}

// atDelimiters splits Annex B at access unit delimiters.
func atDelimiters(stream []byte) [][]byte {
	delimiter := []byte{0, 0, 0, 1, 9}
	var list [][]byte
	for _, unit := range bytes.Split(stream, delimiter)[1:] {
		list = append(list, append(bytes.Clone(delimiter), unit...))
	}
	return list
}

func TestWhatAPeerEncodesIsDecoded(t *testing.T) {
	const frames = 20
	for _, c := range []struct {
		name, codec string
		encoder     []string
		split       func([]byte) [][]byte
	}{
		{"H.264 High with CABAC", control.H264, []string{"-c:v", "libx264", "-profile:v", "high", "-preset", "medium", "-tune", "zerolatency", "-x264-params", "aud=1", "-f", "h264"}, atDelimiters},
		{"H.264 Main with slices", control.H264, []string{"-c:v", "libx264", "-profile:v", "main", "-tune", "zerolatency", "-x264-params", "aud=1:slice-max-size=500", "-f", "h264"}, atDelimiters},
		{"VP8", control.VP8, []string{"-c:v", "libvpx", "-deadline", "realtime", "-f", "ivf"}, accessUnits},
		{"VP9", control.VP9, []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-f", "ivf"}, accessUnits},
	} {
		t.Run(c.name, func(t *testing.T) {
			var raw bytes.Buffer
			var drawn []*picture.Frame
			for n := range frames {
				f := newFrame(t, 320, 180)
				defer f.Release()
				scene(f, n)
				drawn = append(drawn, f)
				for y := range 180 {
					raw.Write(f.Y[y*f.StrideY:][:320])
				}
				for _, p := range [][]byte{f.U, f.V} {
					for y := range 90 {
						raw.Write(p[y*f.StrideC:][:160])
					}
				}
			}
			args := append([]string{"-f", "rawvideo", "-s", "320x180", "-r", "30", "-i", "-", "-b:v", "1M"}, c.encoder...)
			list := c.split(ffmpeg(t, &raw, append(args, "-")...))
			if len(list) != frames {
				t.Fatalf("%d access units, want %d", len(list), frames)
			}
			d := openDecoder(t, c.codec)
			for n, data := range list {
				f, err := d.Decode(data, uint32(n))
				if err != nil || f == nil {
					t.Fatalf("picture %d: %v, %v, want a picture without delay", n, f, err)
				}
				if s := ssim(drawn[n], f); s < 0.9 {
					t.Errorf("picture %d has an SSIM of %.3f, want 0.90 or more", n, s)
				}
				f.Release()
			}
		})
	}
}

func TestFormatsThatAreNotServedAreRefused(t *testing.T) {
	for _, c := range []struct{ name, size, format, profile string }{
		{"4:4:4", "64x48", "yuv444p", "high444"},
		{"10 bit", "64x48", "yuv420p10le", "high10"},
		{"4:2:2", "64x48", "yuv422p", "high422"},
		{"1440p", "2560x1440", "yuv420p", "high"},
	} {
		stream := ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=s="+c.size+":r=30", "-frames:v", "2", "-pix_fmt", c.format,
			"-c:v", "libx264", "-profile:v", c.profile, "-tune", "zerolatency", "-x264-params", "aud=1", "-f", "h264", "-")
		d := openDecoder(t, control.H264)
		for _, data := range atDelimiters(stream) {
			if f, err := d.Decode(data, 0); f != nil || err == nil {
				t.Errorf("%s: Decode = %v, %v, want an error", c.name, f, err)
			}
		}
		// The decoder is good for a stream that is served.
		e := openEncoder(t, encoders["x264"].sized(64, 48, 30, 100_000))
		f := newFrame(t, 64, 48)
		scene(f, 0)
		data, _ := encode(t, e, f, true)
		got, err := d.Decode(data, 0)
		if err != nil || got == nil {
			t.Errorf("%s: after it, Decode = %v, %v, want a picture", c.name, got, err)
			continue
		}
		got.Release()
		f.Release()
	}
}

func TestAPeerHearsTheToneInAAC(t *testing.T) {
	const channels = 2
	e, err := NewAACEncoder(48000, channels, 128_000)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	file := filepath.Join(t.TempDir(), "tone.aac")
	var adts bytes.Buffer
	in, left, right, packet := make([]int16, channels*AACFrame), make([]int16, AACFrame), make([]int16, AACFrame), make([]byte, e.MaxPacket())
	for n := range 50 {
		tone(left, n*AACFrame, 1000, 48000)
		tone(right, n*AACFrame, 3000, 48000)
		for i := range left {
			in[2*i], in[2*i+1] = left[i], right[i]
		}
		size, err := e.Encode(packet, in)
		if err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			continue
		}
		// ISO/IEC 14496-3, 1.A.3: LC, 48,000 Hz, no checksum.
		all := size + 7
		adts.Write([]byte{0xff, 0xf1, 0x4c, byte(channels<<6 | all>>11), byte(all >> 3), byte(all<<5 | 0x1f), 0xfc})
		adts.Write(packet[:size])
	}
	if err := os.WriteFile(file, adts.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := ffmpeg(t, nil, "-i", file, "-f", "s16le", "-")
	heard := make([]int16, len(raw)/2)
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, heard); err != nil {
		t.Fatal(err)
	}
	for c, frequency := range []float64{1000, 3000} {
		var one []int16
		for i := 20 * channels * AACFrame; i < 40*channels*AACFrame; i += channels {
			one = append(one, heard[i+c])
		}
		if s := share(one, frequency, 48000); s < 0.997 {
			t.Errorf("channel %d: %.4f of the energy is at %.0f Hz, want 0.997", c, s, frequency)
		}
		if l := fmt.Sprintf("%.1f", loudness(one)/5657); l != "1.0" {
			t.Errorf("channel %d has %s of its loudness, want 1.0", c, l)
		}
	}
}
