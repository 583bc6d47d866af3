package peers

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/services/media/control"
)

// far is a program of others as one end of a stream: how it is told to send, and to receive. Addresses are those of the engine
// for sending and of the program for receiving.
type far interface {
	// speak sends a tone, show a picture in a colour.
	speak(t *testing.T, f control.Format, tone int, to netip.AddrPort, keys *control.Keys)
	show(t *testing.T, f control.Format, profile string, c colour, to netip.AddrPort, keys *control.Keys)
	// listen and watch take what comes with an SSRC to a port of this machine.
	listen(t *testing.T, f control.Format, port uint16, ssrc uint32, keys *control.Keys) *ear
	watch(t *testing.T, f control.Format, port uint16, ssrc uint32, keys *control.Keys) *eye
}

// ports gives two ports, an even one and the next, that were free a moment ago: programs bind theirs themselves.
func ports(t *testing.T) uint16 {
	t.Helper()
	for range 100 {
		c := udp(t)
		port := addressOf(c).Port() &^ 1
		c.Close()
		if port < 60000 {
			return port
		}
	}
	t.Fatal("no ports")
	return 0
}

// clock of a format in RTP.
func clock(f control.Format) int {
	switch f.Codec {
	case control.Opus:
		return 48000
	case control.PCMA, control.PCMU, control.G722:
		return 8000
	}
	return 90000
}

// The size in which programs hand over what they see.
const seenWidth, seenHeight = 640, 360

// size of the pictures that programs send: H.264 in 720p; the encoders of the others take too much time for that here.
func size(f control.Format) (width, height int) {
	if f.Codec == control.H264 {
		return 1280, 720
	}
	return 640, 360
}

// ffmpeg is Debian's ffmpeg.
type ffmpeg struct{}

// output are the arguments for packets to an address.
func (ffmpeg) output(f control.Format, to netip.AddrPort, keys *control.Keys) []string {
	args := []string{"-payload_type", fmt.Sprint(f.PayloadType), "-f", "rtp"}
	if keys == nil {
		return append(args, fmt.Sprintf("rtp://%v?pkt_size=1200", to))
	}
	return append(args, "-srtp_out_suite", keys.Suite, "-srtp_out_params", base64.StdEncoding.EncodeToString(keys.Remote),
		fmt.Sprintf("srtp://%v?pkt_size=1200", to))
}

func (p ffmpeg) speak(t *testing.T, f control.Format, tone int, to netip.AddrPort, keys *control.Keys) {
	t.Helper()
	coder := map[string][]string{
		control.PCMA: {"-c:a", "pcm_alaw", "-ar", "8000"},
		control.PCMU: {"-c:a", "pcm_mulaw", "-ar", "8000"},
		control.G722: {"-c:a", "g722", "-ar", "16000"},
		control.Opus: {"-c:a", "libopus", "-ar", "48000", "-frame_duration", "20", "-application", "voip"},
	}[f.Codec]
	args := append([]string{"-v", "error", "-re", "-f", "lavfi", "-i", fmt.Sprintf("sine=f=%d:r=48000", tone), "-af", "volume=4", "-ac", "1"}, coder...)
	tool(t, nil, "ffmpeg", append(args, p.output(f, to, keys)...)...)
}

func (p ffmpeg) show(t *testing.T, f control.Format, profile string, c colour, to netip.AddrPort, keys *control.Keys) {
	t.Helper()
	width, height := size(f)
	args := []string{"-v", "error", "-re", "-f", "lavfi", "-i", fmt.Sprintf("color=0x%s:s=%dx%d:r=15,noise=alls=6:allf=t", rgb[c], width, height), "-pix_fmt", "yuv420p", "-g", "30"}
	switch f.Codec {
	case control.H264:
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", profile, "-b:v", "800k")
		if profile == "high" {
			args = append(args, "-x264-params", "8x8dct=1:cabac=1")
		}
		if f.PacketizationMode == 0 {
			args = append(args, "-slice-max-size", "1100", "-rtpflags", "h264_mode0")
		}
	case control.VP8:
		args = append(args, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "16", "-b:v", "800k")
	case control.VP9:
		// Its RTP packetizer of VP9 follows a draft and wants to be asked for explicitly.
		args = append(args, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "800k", "-strict", "experimental")
	}
	tool(t, nil, "ffmpeg", append(args, p.output(f, to, keys)...)...)
}

// input writes the session description that ffmpeg reads, and returns the arguments for it.
func (ffmpeg) input(t *testing.T, kind string, f control.Format, port uint16, keys *control.Keys) []string {
	t.Helper()
	profile := "RTP/AVP"
	if keys != nil {
		profile = "RTP/SAVP"
	}
	sdp := fmt.Sprintf("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=%s %d %s %d\na=rtpmap:%d %s/%d", kind, port, profile,
		f.PayloadType, f.PayloadType, f.Codec, clock(f))
	if f.Codec == control.Opus {
		sdp += "/2"
	}
	if f.Codec == control.H264 {
		sdp += fmt.Sprintf("\na=fmtp:%d packetization-mode=%d", f.PayloadType, f.PacketizationMode)
	}
	if keys != nil {
		sdp += fmt.Sprintf("\na=crypto:1 %s inline:%s", keys.Suite, base64.StdEncoding.EncodeToString(keys.Local))
	}
	path := filepath.Join(t.TempDir(), "session.sdp")
	if err := os.WriteFile(path, []byte(sdp+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-v", "error", "-protocol_whitelist", "file,udp,rtp,srtp,crypto", "-fflags", "nobuffer", "-flags", "low_delay",
		"-probesize", "20000", "-analyzeduration", "300000", "-i", path}
}

func (p ffmpeg) listen(t *testing.T, f control.Format, port uint16, ssrc uint32, keys *control.Keys) *ear {
	t.Helper()
	e := &ear{rate: 16000}
	tool(t, e.listen, "ffmpeg", append(p.input(t, "audio", f, port, keys), "-ac", "1", "-ar", "16000", "-f", "s16le", "-flush_packets", "1", "-")...)
	return e
}

func (p ffmpeg) watch(t *testing.T, f control.Format, port uint16, ssrc uint32, keys *control.Keys) *eye {
	t.Helper()
	e := &eye{}
	tool(t, e.watch(seenWidth, seenHeight), "ffmpeg", append(p.input(t, "video", f, port, keys), "-vf", fmt.Sprintf("scale=%d:%d", seenWidth, seenHeight),
		"-pix_fmt", "yuv420p", "-vsync", "passthrough", "-f", "rawvideo", "-flush_packets", "1", "-")...)
	return e
}

// gstreamer is GStreamer's gst-launch-1.0.
type gstreamer struct{}

// launch runs a pipeline.
func launch(t *testing.T, read func(io.Reader), pipeline string, args ...any) (stop func()) {
	t.Helper()
	return tool(t, read, "gst-launch-1.0", append([]string{"-q"}, strings.Fields(fmt.Sprintf(pipeline, args...))...)...)
}

// ciphers of GStreamer by suite, with the one for authentication.
var ciphers = map[string][2]string{
	control.SuiteAESCM80: {"aes-128-icm", "hmac-sha1-80"},
	control.SuiteAEAD128: {"aes-128-gcm", "null"},
	control.SuiteAEAD256: {"aes-256-gcm", "null"},
}

func (gstreamer) protect(keys *control.Keys) string {
	if keys == nil {
		return ""
	}
	c := ciphers[keys.Suite]
	return fmt.Sprintf("! srtpenc key=%s rtp-cipher=%s rtp-auth=%s rtcp-cipher=%s rtcp-auth=%s", hex.EncodeToString(keys.Remote), c[0], c[1], c[0], c[1])
}

func (p gstreamer) speak(t *testing.T, f control.Format, tone int, to netip.AddrPort, keys *control.Keys) {
	t.Helper()
	coder := map[string]string{
		control.PCMA: "audio/x-raw,channels=1,rate=8000 ! alawenc ! rtppcmapay max-ptime=20000000 min-ptime=20000000",
		control.PCMU: "audio/x-raw,channels=1,rate=8000 ! mulawenc ! rtppcmupay max-ptime=20000000 min-ptime=20000000",
		control.G722: "audio/x-raw,channels=1,rate=16000 ! avenc_g722 ! rtpg722pay max-ptime=20000000 min-ptime=20000000",
		control.Opus: "audio/x-raw,channels=1,rate=48000 ! opusenc frame-size=20 ! rtpopuspay",
	}[f.Codec]
	launch(t, nil, "audiotestsrc is-live=true samplesperbuffer=320 freq=%d volume=0.3 ! audioconvert ! audioresample ! %s pt=%d %s ! udpsink host=%s port=%d",
		tone, coder, f.PayloadType, p.protect(keys), to.Addr(), to.Port())
}

func (p gstreamer) show(t *testing.T, f control.Format, profile string, c colour, to netip.AddrPort, keys *control.Keys) {
	t.Helper()
	width, height := size(f)
	coder := ""
	switch f.Codec {
	case control.H264:
		coder = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=800 ! video/x-h264,profile=" + profile + " ! rtph264pay config-interval=-1 mtu=1100"
	case control.VP8:
		coder = "vp8enc deadline=1 cpu-used=16 keyframe-max-dist=30 target-bitrate=800000 ! rtpvp8pay mtu=1100"
	case control.VP9:
		coder = "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=30 target-bitrate=800000 ! rtpvp9pay mtu=1100"
	}
	launch(t, nil, "videotestsrc is-live=true pattern=solid-color foreground-color=0xff%s ! video/x-raw,format=I420,width=%d,height=%d,framerate=15/1 ! %s pt=%d %s ! udpsink host=%s port=%d",
		rgb[c], width, height, coder, f.PayloadType, p.protect(keys), to.Addr(), to.Port())
}

// source is the beginning of a pipeline that receives.
func (gstreamer) source(kind string, f control.Format, port uint16, ssrc uint32, keys *control.Keys) string {
	caps := fmt.Sprintf("media=%s,clock-rate=%d,encoding-name=%s,payload=%d", kind, clock(f), strings.ToUpper(f.Codec), f.PayloadType)
	if keys == nil {
		return fmt.Sprintf("udpsrc port=%d caps=application/x-rtp,%s ! rtpjitterbuffer latency=50", port, caps)
	}
	c := ciphers[keys.Suite]
	return fmt.Sprintf("udpsrc port=%d caps=application/x-srtp,%s,ssrc=(uint)%d,srtp-key=(buffer)%s,srtp-cipher=%s,srtp-auth=%s,srtcp-cipher=%s,srtcp-auth=%s ! srtpdec ! rtpjitterbuffer latency=50",
		port, caps, ssrc, hex.EncodeToString(keys.Local), c[0], c[1], c[0], c[1])
}

func (p gstreamer) listen(t *testing.T, f control.Format, port uint16, ssrc uint32, keys *control.Keys) *ear {
	t.Helper()
	decoder := map[string]string{
		control.PCMA: "rtppcmadepay ! alawdec",
		control.PCMU: "rtppcmudepay ! mulawdec",
		control.G722: "rtpg722depay ! avdec_g722",
		control.Opus: "rtpopusdepay ! opusdec",
	}[f.Codec]
	e := &ear{rate: 16000}
	launch(t, e.listen, "%s ! %s ! audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate=16000,channels=1 ! fdsink fd=1 sync=false",
		p.source("audio", f, port, ssrc, keys), decoder)
	return e
}

// decoders of GStreamer.
var decoders = map[string]string{
	control.H264: "rtph264depay ! avdec_h264",
	control.VP8:  "rtpvp8depay ! vp8dec",
}

func (p gstreamer) watch(t *testing.T, f control.Format, port uint16, ssrc uint32, keys *control.Keys) *eye {
	t.Helper()
	e := &eye{}
	launch(t, e.watch(seenWidth, seenHeight), "%s ! %s ! videoconvert ! videoscale add-borders=false ! video/x-raw,format=I420,width=%d,height=%d ! fdsink fd=1 sync=false",
		p.source("video", f, port, ssrc, keys), decoders[f.Codec], seenWidth, seenHeight)
	return e
}
