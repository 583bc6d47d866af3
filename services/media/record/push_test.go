package record

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rotunda/services/freeport"
)

// rtmpServer is nginx with its RTMP module, on a port of its own.
type rtmpServer struct {
	port   int
	folder string
	nginx  *exec.Cmd
}

const rtmpModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

func startRTMP(t *testing.T) *rtmpServer {
	t.Helper()
	program := need(t, "nginx")
	if _, err := os.Stat(rtmpModule); err != nil {
		t.Skip("libnginx-mod-rtmp is not installed")
	}
	s := &rtmpServer{port: freeport.For(t), folder: t.TempDir()}
	s.start(t, program)
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *rtmpServer) start(t *testing.T, program string) {
	t.Helper()
	config := fmt.Sprintf(`
		load_module %s;
		daemon off;
		master_process off;
		user root;
		pid %s/pid;
		error_log %s/log;
		events { worker_connections 64; }
		rtmp { server {
			listen 127.0.0.1:%d;
			ack_window 1000;
			application live { live on; record all; record_path %s; record_unique off; }
			application closed { live on; deny publish all; }
		} }`, rtmpModule, s.folder, s.folder, s.port, s.folder)
	path := filepath.Join(s.folder, "conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	s.nginx = exec.Command(program, "-p", s.folder, "-c", path, "-e", filepath.Join(s.folder, "log"))
	s.nginx.Stderr = os.Stderr
	if err := s.nginx.Start(); err != nil {
		t.Fatal(err)
	}
}

// stop waits until nginx has written everything.
func (s *rtmpServer) stop(t *testing.T) {
	t.Helper()
	if s.nginx == nil {
		return
	}
	s.nginx.Process.Signal(syscall.SIGQUIT)
	if err := s.nginx.Wait(); err != nil {
		t.Errorf("nginx: %v", err)
	}
	s.nginx = nil
}

// states gathers what a push says of itself.
type states struct {
	mu      sync.Mutex
	history []string
	news    chan struct{}
}

func newStates() *states { return &states{news: make(chan struct{}, 100)} }

func (s *states) add(state State, text string) {
	s.mu.Lock()
	s.history = append(s.history, string(state)+": "+text)
	s.mu.Unlock()
	s.news <- struct{}{}
}

// wait waits until there has been a state with some words in it, n times.
func (s *states) wait(t *testing.T, n int, words string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		history := slices.Clone(s.history)
		s.mu.Unlock()
		count := 0
		for _, h := range history {
			if strings.Contains(h, words) {
				count++
			}
		}
		if count >= n {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("last states %q, want %q %d times", history[max(0, len(history)-5):], words, n)
		}
	}
}

func dial(t *testing.T, url string, o PushOptions) (*Push, *states) {
	t.Helper()
	s := newStates()
	o.State = s.add
	if o.pause == nil {
		o.pause = func(int) time.Duration { return 20 * time.Millisecond }
	}
	p, err := Dial(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, s
}

func TestAServerRecordsWhatIsPushed(t *testing.T) {
	c := encode(t, 640, 360, 5)
	server := startRTMP(t)
	p, s := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/live/meeting?token=a", server.port), PushOptions{Options: sound})
	s.wait(t, 1, "open")
	play{video: 20 * time.Second, audio: 20500 * time.Millisecond}.to(t, p, c)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 1, "closed")
	server.stop(t)
	if stats := p.Stats(); stats.VideoFrames != 125 || stats.Dropped != 0 {
		t.Errorf("stats %+v, want 125 pictures and nothing dropped", stats)
	}
	path := filepath.Join(server.folder, "meeting.flv")
	decode(t, path)
	probed := probe(t, path)
	start, _, packets := probed.stream(t, "video")
	near(t, "start of video", start, 0, 0.001)
	near(t, "pictures", float64(packets), 125, 0)
	start, _, packets = probed.stream(t, "audio")
	near(t, "start of audio", start, 0.5, 0.001)
	near(t, "audio frames", float64(packets), float64(len(c.frames)), 0)
}

func TestAViewerSeesAPushLive(t *testing.T) {
	c := encode(t, 320, 180, 5)
	server := startRTMP(t)
	url := fmt.Sprintf("rtmp://127.0.0.1:%d/live/meeting", server.port)
	p, s := dial(t, url, PushOptions{Options: sound})
	s.wait(t, 1, "open")
	viewer := exec.Command(need(t, "ffmpeg"), "-v", "error", "-xerror", "-rtmp_live", "live", "-i", url, "-t", "2", "-f", "null", "-")
	viewer.Stderr = os.Stderr
	if err := viewer.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan error, 1)
	go func() { seen <- viewer.Wait() }()
	// The clip again and again, four times as fast as it is, until the viewer has had two seconds of it.
	tick := time.NewTicker(time.Second / clipRate / 4)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case err := <-seen:
			if err != nil {
				t.Errorf("viewer: %v", err)
			}
			return
		case <-tick.C:
		}
		u := c.units[i%len(c.units)]
		if err := p.Video(u.data, time.Duration(i)*time.Second/clipRate, u.key); err != nil {
			t.Fatal(err)
		}
		if err := p.Audio(c.frames[i%len(c.frames)], time.Duration(i)*time.Second/clipRate); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPushComesBackWithAKeyFrame(t *testing.T) {
	c := encode(t, 320, 180, 5)
	server := startRTMP(t)
	asked := make(chan struct{}, 100)
	o := PushOptions{Options: sound}
	o.KeyFrame = func() { asked <- struct{}{} }
	p, s := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/live/meeting", server.port), o)
	s.wait(t, 1, "open")
	<-asked
	play{}.to(t, p, c)
	server.nginx.Process.Kill()
	server.nginx.Wait()
	s.wait(t, 1, "reconnecting")
	server.start(t, need(t, "nginx"))
	s.wait(t, 2, "open")
	<-asked
	// The encoder goes on where it is, and then answers with a key frame: number 50.
	rest := &clip{units: c.units[30:], frames: nil}
	play{video: 10 * time.Second, audio: -1}.to(t, p, rest)
	p.Close()
	server.stop(t)
	path := filepath.Join(server.folder, "meeting.flv")
	decode(t, path)
	_, _, packets := probe(t, path).stream(t, "video")
	near(t, "pictures of the second connection", float64(packets), 75, 0)
}

func TestAServersRefusalIsSaidInWords(t *testing.T) {
	server := startRTMP(t)
	p, s := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/live/taken", server.port), PushOptions{Options: sound})
	s.wait(t, 1, "open")
	second, refused := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/live/taken", server.port), PushOptions{Options: sound})
	refused.wait(t, 1, "failed: publish: server refuses the stream key")
	if err := second.Audio([]byte{1}, 0); !errors.Is(err, ErrFailed) {
		t.Errorf("audio after the failure: %v, want %v", err, ErrFailed)
	}
	_, denied := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/closed/secret", server.port), PushOptions{Options: sound})
	denied.wait(t, 1, "reconnecting: server closes the connection after")
	_, unknown := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/nothing/secret", server.port), PushOptions{Options: sound})
	unknown.wait(t, 1, "reconnecting: connect: server")
	t.Logf("denied: %q; unknown: %q", denied.history[2], unknown.history[1])
	for _, h := range append(denied.history, unknown.history...) {
		if strings.Contains(h, "secret") {
			t.Errorf("the stream key is in %q", h)
		}
	}
	p.Close()
}

// secure puts TLS in front of a server and returns the port and the certificate.
func secure(t *testing.T, to int) (port int, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stream.example"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(leaf)
	l, err := tls.Listen("tcp", "localhost:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer in.Close()
				out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
				if err != nil {
					return
				}
				defer out.Close()
				all.Go(func() { io.Copy(in, out); in.Close() })
				io.Copy(out, in)
			})
		}
	})
	return l.Addr().(*net.TCPAddr).Port, roots
}

func TestRTMPSVerifiesTheServer(t *testing.T) {
	c := encode(t, 320, 180, 2)
	server := startRTMP(t)
	port, roots := secure(t, server.port)
	url := fmt.Sprintf("rtmps://localhost:%d/live/meeting", port)
	p, s := dial(t, url, PushOptions{Options: sound, Roots: roots})
	s.wait(t, 1, "open")
	play{}.to(t, p, c)
	p.Close()
	_, strange := dial(t, url, PushOptions{Options: sound, Roots: x509.NewCertPool()})
	strange.wait(t, 1, "reconnecting: tls: failed to verify certificate")
	any, s := dial(t, url, PushOptions{Options: sound, Roots: x509.NewCertPool(), Unverified: true})
	s.wait(t, 1, "open")
	any.Close()
	server.stop(t)
}

func TestANewResolutionIsPushedWithItsParameters(t *testing.T) {
	small, large := encode(t, 320, 180, 2), encode(t, 640, 360, 5)
	server := startRTMP(t)
	p, s := dial(t, fmt.Sprintf("rtmp://127.0.0.1:%d/live/meeting", server.port), PushOptions{Options: sound})
	s.wait(t, 1, "open")
	play{}.to(t, p, small)
	play{video: 2 * time.Second, audio: -1}.to(t, p, large)
	p.Close()
	server.stop(t)
	path := filepath.Join(server.folder, "meeting.flv")
	decode(t, path)
	_, _, packets := probe(t, path).stream(t, "video")
	near(t, "pictures", float64(packets), 7*clipRate, 0)
}

func TestAServerIsListenedToWhileTheStreamRuns(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, s := dial(t, "rtmp://"+l.Addr().String()+"/live/key", PushOptions{Options: sound})
	server := accept(t, l)
	s.wait(t, 1, "open")
	c := chunker{size: firstChunk}
	c.message(chunkControl, msgUserControl, 0, 0, []byte{0, 6, 1, 2, 3, 4})
	if _, err := server.Write(c.b); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := server.in.next()
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == msgUserControl {
			if want := "\x00\x07\x01\x02\x03\x04"; string(m.body) != want {
				t.Errorf("answer to a ping %x, want %x", m.body, want)
			}
			break
		}
	}
	b := command("onStatus", 0)
	b.null()
	b.object("level", "error", "code", "NetStream.Publish.Denied", "description", "no more\ncredit")
	c.b = nil
	c.message(chunkCommand, msgCommand, 5, 0, b)
	if _, err := server.Write(c.b); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 1, "reconnecting: server refuses the stream key (NetStream.Publish.Denied no more credit)")
	server.Close()
}
