package codec

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
	"rotunda/services/media/picture"
)

// clips are 720p30 material for comparisons, drawn by ffmpeg: a talking head before a still wall with a camera's noise; a
// test pattern; a zoom in which everything moves; the three of them in nine tiles; and cuts from one to the next each second,
// as when the speaker changes.
var clips = []struct{ name, filter string }{
	{"head", head},
	{"pattern", pattern},
	{"zoom", zoom},
	{"nine", small(head, "a") + small(pattern, "b") + small(zoom, "c") +
		"[a1][b1][c1][b2][c2][a2][c3][a3][b3]xstack=inputs=9:grid=3x3,pad=1280:720"},
	{"cuts", head + "[a];" + pattern + "[b];" + zoom + "[c];[a][b][c]streamselect=inputs=3:map=0,sendcmd=c='1 streamselect map 1;2 streamselect map 2'"},
}

const (
	head = "mandelbrot=s=1280x720:r=30:start_scale=0.3:end_scale=0.3,gblur=2[wall];" +
		"mandelbrot=s=400x520:r=30:start_scale=1.2:end_scale=0.9[face];" +
		"[wall][face]overlay=x='440+40*sin(t*1.3)':y='160+20*sin(t*2.1)',noise=alls=4:allf=t"
	pattern = "testsrc2=s=1280x720:r=30"
	zoom    = "mandelbrot=s=1280x720:r=30:start_scale=1:end_scale=0.05:end_pts=300"
)

// small makes three tiles of a clip.
func small(filter, name string) string {
	return fmt.Sprintf("%s,scale=426:240,split=3[%s1][%s2][%s3];", filter, name, name, name)
}

const clipFrames = 90

// drawClip returns the frames of a clip.
func drawClip(b *testing.B, filter string) []*picture.Frame {
	b.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		b.Skip("ffmpeg, which draws the clips, is not installed")
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-filter_complex", filter+",format=yuv420p", "-frames:v", fmt.Sprint(clipFrames), "-f", "rawvideo", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var frames []*picture.Frame
	for range clipFrames {
		f := newFrame(b, 1280, 720)
		for _, p := range []struct {
			data                []byte
			stride, width, rows int
		}{{f.Y, f.StrideY, 1280, 720}, {f.U, f.StrideC, 640, 360}, {f.V, f.StrideC, 640, 360}} {
			for y := range p.rows {
				if _, err := io.ReadFull(out, p.data[y*p.stride:][:p.width]); err != nil {
					b.Fatal(err)
				}
			}
		}
		frames = append(frames, f)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, f := range frames {
			f.Release()
		}
	})
	return frames
}

// BenchmarkEncode encodes 720p30 at 1.5 Mbit/s and reports speed with quality: streams are how many a core encodes in
// real time.
func BenchmarkEncode(b *testing.B) {
	const bitrate = 1_500_000
	variants := []struct {
		name string
		o    VideoOptions
	}{
		{"x264-ultrafast", VideoOptions{Codec: control.H264, Encoder: X264, Preset: "ultrafast"}},
		{"x264-superfast", VideoOptions{Codec: control.H264, Encoder: X264, Preset: "superfast"}},
		{"openh264", VideoOptions{Codec: control.H264}},
		{"VP8", VideoOptions{Codec: control.VP8}},
	}
	for _, clip := range clips {
		b.Run(clip.name, func(b *testing.B) {
			frames := drawClip(b, clip.filter)
			for _, v := range variants {
				b.Run(v.name, func(b *testing.B) {
					e := openEncoder(b, v.o.sized(1280, 720, 30, bitrate))
					units := make([][]byte, 0, clipFrames)
					buffer := make([]byte, 0, 1<<20)
					// Processor time of this thread: the other cores may be busy.
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					b.ResetTimer()
					began := cpu(b)
					for n := range b.N {
						data, _, err := e.Encode(buffer, frames[n%clipFrames], false)
						if err != nil {
							b.Fatal(err)
						}
						if n < clipFrames {
							units = append(units, append([]byte(nil), data...))
						}
					}
					b.StopTimer()
					b.ReportMetric(float64(b.N)/(cpu(b)-began).Seconds()/30, "streams")
					d := openDecoder(b, v.o.Codec)
					var similarity, ratio float64
					bits, peak := 0, 0
					for n, data := range units {
						f, err := d.Decode(data, 0)
						if err != nil || f == nil {
							b.Fatalf("picture %d: %v, %v", n, f, err)
						}
						similarity += ssim(frames[n], f)
						ratio += psnr(frames[n], f)
						bits += 8 * len(data)
						peak = max(peak, 8*len(data))
						f.Release()
					}
					b.ReportMetric(float64(peak)*1000/bitrate, "peak-ms")
					b.ReportMetric(similarity/float64(len(units)), "SSIM")
					b.ReportMetric(ratio/float64(len(units)), "dB")
					b.ReportMetric(float64(bits)*30/float64(len(units))/1000, "kbit/s")
				})
			}
		})
	}
}

// cpu returns the processor time of the calling thread.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkDecode decodes the talking head at 1.5 Mbit/s.
func BenchmarkDecode(b *testing.B) {
	frames := drawClip(b, clips[0].filter)
	for _, o := range []VideoOptions{{Codec: control.H264}, {Codec: control.VP8}} {
		b.Run(o.Codec, func(b *testing.B) {
			e, d := openEncoder(b, o.sized(1280, 720, 30, 1_500_000)), openDecoder(b, o.Codec)
			var units [][]byte
			for _, f := range frames {
				data, _ := encode(b, e, f, false)
				units = append(units, data)
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				f, err := d.Decode(units[n%clipFrames], 0)
				if err != nil {
					b.Fatal(err)
				}
				f.Release()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/30, "streams")
		})
	}
}

func BenchmarkAudio(b *testing.B) {
	for _, v := range []struct {
		name, codec string
		o           AudioOptions
		loss        int
	}{
		{"PCMA", control.PCMA, AudioOptions{}, 0},
		{"G722", control.G722, AudioOptions{}, 0},
		{"opus-complexity-0", control.Opus, AudioOptions{}, 0},
		{"opus-complexity-5", control.Opus, AudioOptions{Complexity: 5}, 0},
		{"opus-complexity-5-redundant", control.Opus, AudioOptions{Complexity: 5, FEC: true}, 10},
	} {
		e, d := openAudio(b, v.codec, v.o)
		if err := e.SetLoss(v.loss); err != nil {
			b.Fatal(err)
		}
		frame := e.Rate() / 50
		in, out, packet := make([]int16, 50*frame), make([]int16, frame), make([]byte, MaxAudioPacket)
		voice(in, 0)
		size := 0
		b.Run(v.name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				var err error
				if size, err = e.Encode(packet, in[n%50*frame:][:frame]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/50, "streams")
		})
		b.Run(v.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(out, packet[:size]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/50, "streams")
		})
	}
}

func BenchmarkAAC(b *testing.B) {
	e, err := NewAACEncoder(48000, 1, 64_000)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	in, packet := make([]int16, 47*AACFrame), make([]byte, e.MaxPacket())
	voice(in, 0)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, err := e.Encode(packet, in[n%47*AACFrame:][:AACFrame]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*AACFrame/b.Elapsed().Seconds()/48000, "streams")
}
