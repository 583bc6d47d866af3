package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"rotunda/services/freeport"
	"rotunda/services/media/picture"
)

// recorderPorts are where ffmpeg receives: four for each, sound and pictures with their RTCP.
const recorderPorts = 16000

// startRecorder starts ffmpeg on a description of its own; port gives its sockets.
func (b *bench) startRecorder(i int, f *film, outlet []string) (p *process, port func(int) netip.AddrPort, err error) {
	sets, err := sprop(f)
	if err != nil {
		return nil, nil, err
	}
	port = func(n int) netip.AddrPort { return netip.AddrPortFrom(here, uint16(recorderPorts+4*i+n)) }
	description := fmt.Sprintf("v=0\no=- 1 1 IN IP4 %[1]s\ns=-\nc=IN IP4 %[1]s\nt=0 0\nm=audio %[2]d RTP/AVP %[3]d\na=rtpmap:%[3]d opus/48000/2\nm=video %[4]d RTP/AVP %[5]d\na=rtpmap:%[5]d H264/90000\na=fmtp:%[5]d packetization-mode=1;sprop-parameter-sets=%[6]s\n",
		here, port(0).Port(), opusType, port(2).Port(), h264Type, sets)
	path := filepath.Join(b.dir, strconv.Itoa(i)+".sdp")
	if err := os.WriteFile(path, []byte(description), 0o644); err != nil {
		return nil, nil, fmt.Errorf("describe streams: %w", err)
	}
	arguments := []string{"-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp,rtmp,tcp", "-i", path, "-c:v", "copy", "-c:a", "aac"}
	p, err = launch(subjectCore(), "ffmpeg", append(arguments, outlet...)...)
	return p, port, err
}

// decodeFile reads the first frames of a file.
func decodeFile(ctx context.Context, path string, width, height, count int) ([]*picture.Frame, error) {
	c := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", path, "-frames:v", strconv.Itoa(count), "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-")
	raw, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("read %s back: %w", path, err)
	}
	var frames []*picture.Frame
	luma := width * height
	for size := luma * 3 / 2; len(raw) >= size; raw = raw[size:] {
		frames = append(frames, picture.Wrap(width, height, raw[:luma], raw[luma:luma*5/4], raw[luma*5/4:size], width, width/2, func(*picture.Frame) {}))
	}
	return frames, nil
}

// decodeSound reads all of a file's sound.
func decodeSound(ctx context.Context, path string) ([]int16, error) {
	c := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", path, "-vn", "-ac", "1", "-ar", strconv.Itoa(voiceRate), "-f", "s16le", "-")
	raw, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("read the sound of %s back: %w", path, err)
	}
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return pcm, nil
}

// rtmpServer is nginx with its RTMP module, which keeps what is pushed.
type rtmpServer struct {
	*process
	dir  string
	port int
}

func (s *rtmpServer) url(name string) string {
	return fmt.Sprintf("rtmp://127.0.0.1:%d/live/%s", s.port, name)
}

// startRTMP starts the server on the core of the load.
func (b *bench) startRTMP(ctx context.Context) (*rtmpServer, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	s := &rtmpServer{dir: filepath.Join(b.dir, "rtmp"), port: port}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	path := filepath.Join(s.dir, "conf")
	text := fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
		daemon off; master_process off; user root; pid %[1]s/pid; error_log %[1]s/log;
		events { worker_connections 256; }
		rtmp { server { listen 127.0.0.1:%[2]d; application live { live on; record all; record_path %[1]s; record_unique off; } } }`, s.dir, port)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("configure nginx: %w", err)
	}
	if s.process, err = launch(loadCore, "nginx", "-p", s.dir, "-c", path, "-e", filepath.Join(s.dir, "log")); err != nil {
		return nil, err
	}
	return s, sleep(ctx, 300*time.Millisecond)
}
