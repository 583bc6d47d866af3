// Package baresip is a real telephone for tests: Debian's baresip in a folder of its own, without any device. It talks in a tone, films a
// colour, answers or calls, and what it hears and sees can be asked.
//
//	p := baresip.Start(t, baresip.Options{Tone: 440, Colour: "red"})
//	p.Dial("sip:meeting@127.0.0.1:5060")
//	p.Await(baresip.Established)
//	p.AwaitTone(700)
//	p.AwaitColour(0.5, 0.5, "blue")
//
// It is told what to do by the program's ctrl_tcp module (lines of JSON in netstrings). It takes ports of loopback, or of the address that the
// test names, and ends with the test. Tests are skipped where the program, or a module of it that the options ask for, is not
// installed (Debian's baresip-core and baresip-ffmpeg). What baresip 1.0.0 has not: a second video stream, BFCP, far-end camera,
// session timers, UPDATE.
package baresip

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	chance "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options are what tests choose. The zero value is a telephone without sound and picture of its own that answers whoever calls.
type Options struct {
	// Name is the user part of its address; "baresip" when empty. DisplayName may be empty.
	Name, DisplayName string
	// Address is where it listens, and where its media come from and go to; 127.0.0.1 when not set.
	Address netip.Addr
	// Domain of its own address; Address when empty.
	Domain string
	// Tone in Hz that it talks in, from 10 to 20000; 0 is silence (which is sent).
	Tone int
	// Colour that it films, as ffmpeg names it (red, green, #20c0ff); without one it has no video at all.
	Colour string
	// Size and Rate of what it films; 640 × 360 and 15 when not set. Bitrate is in bits per second, 512000 when not set.
	Width, Height, Rate, Bitrate int
	// Codecs are its audio codecs in their order, such as "pcmu/8000/1", "opus/48000/2"; all it has when empty. VideoCodecs likewise: "h264".
	Codecs, VideoCodecs []string
	// Encryption of media: none, or as baresip calls it srtp (offered by RTP/AVP with keys), srtp-mand, srtp-mandf or dtls_srtp.
	Encryption string
	// Manual: it rings until [Phone.Accept].
	Manual bool
	// PacketTime in milliseconds that it asks for; 20 when not set.
	PacketTime int
	// Proxy is where all its calls go first: "sip:127.0.0.1:5060;transport=tls"; none when empty.
	Proxy string
	// User and Password answer a challenge.
	User, Password string
	// MuxRTCP offers RTCP on the port of RTP. Our media engine has DTLS with that alone.
	MuxRTCP bool
}

// Phone is a baresip that runs.
type Phone struct {
	// Port takes UDP and TCP, Port+1 TLS.
	Address netip.AddrPort
	// TLS is where it takes TLS. Its certificate signs itself; Roots verify it.
	TLS   netip.AddrPort
	Roots *x509.CertPool

	t       testing.TB
	name    string
	folder  string
	command *exec.Cmd
	said    *lines
	control *control
	shots   int
	before  struct {
		file    string
		samples int
	}
	stop func()
}

const modules = "/usr/lib/baresip/modules"

// Start starts a telephone and waits until it is ready.
func Start(t testing.TB, o Options) *Phone {
	t.Helper()
	program, err := exec.LookPath("baresip")
	if err != nil {
		t.Skip("baresip is not installed (Debian: baresip-core)")
	}
	if !o.Address.IsValid() {
		o.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	for _, m := range o.modules() {
		if _, err := os.Stat(filepath.Join(modules, m+".so")); err != nil {
			t.Skipf("baresip has no module %s (Debian: baresip-core, baresip-ffmpeg)", m)
		}
	}
	if o.Name == "" {
		o.Name = "baresip"
	}
	// Ports are free when they are looked for, and may be taken a moment later: then others are tried.
	for range 5 {
		p := &Phone{t: t, name: o.Name, folder: t.TempDir(), said: &lines{}}
		p.configure(o)
		if p.run(program) {
			t.Cleanup(p.Stop)
			return p
		}
		if !strings.Contains(p.said.String(), "in use") {
			t.Fatalf("baresip does not start:\n%s", p.said)
		}
	}
	t.Fatal("no ports for baresip")
	return nil
}

func (o *Options) modules() []string {
	list := []string{"g711", "g722", "opus", "sndfile", "ausine", "aufile", "srtp", "dtls_srtp"}
	if o.Colour != "" {
		list = append(list, "avformat", "avcodec", "snapshot", "fakevideo")
	}
	return list
}

// configure writes the files that the program reads.
func (p *Phone) configure(o Options) {
	p.t.Helper()
	port := freePorts(p.t, o.Address, 0)
	control := freePorts(p.t, netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	p.Address = netip.AddrPortFrom(o.Address, port)
	p.TLS = netip.AddrPortFrom(o.Address, port+1)
	certificate, key := p.certificate(o.Address)
	p.write("certificate.pem", certificate+key)
	p.Roots = x509.NewCertPool()
	p.Roots.AppendCertsFromPEM([]byte(certificate))

	var c strings.Builder
	set := func(name string, value any) { fmt.Fprintf(&c, "%s %v\n", name, value) }
	set("poll_method", "epoll")
	set("sip_listen", p.Address)
	set("sip_certificate", filepath.Join(p.folder, "certificate.pem"))
	set("net_interface", o.Address)
	set("call_max_calls", 4)
	set("statmode_default", "off") // a line ten times a second
	set("call_local_timeout", 120)
	set("audio_buffer", "20-160")
	set("jitter_buffer_delay", "1-5")
	// Below the ports that the kernel gives, and outside those of media workers.
	set("rtp_ports", "30000-32766")
	set("rtcp_mux", yes(o.MuxRTCP))
	set("snd_path", p.folder)
	set("ctrl_tcp_listen", fmt.Sprintf("127.0.0.1:%d", control))
	if o.Tone == 0 {
		set("audio_source", "aufile,"+p.silence())
		set("ausrc_srate", 8000)
		set("ausrc_channels", 1)
	} else {
		set("audio_source", fmt.Sprintf("ausine,%d", o.Tone))
		// The only ones that ausine knows.
		set("ausrc_srate", 48000)
		set("ausrc_channels", 2)
	}
	if o.Colour != "" {
		size, rate := fmt.Sprintf("%dx%d", or(o.Width, 640), or(o.Height, 360)), or(o.Rate, 15)
		set("video_source", fmt.Sprintf("avformat,lavfi,color=c=%s:s=%s:r=%d", o.Colour, size, rate))
		set("video_display", "fakevideo,nil")
		set("video_size", size)
		set("video_fps", rate)
		set("video_bitrate", or(o.Bitrate, 512000))
		set("videnc_format", "yuv420p")
	}
	set("module_path", modules)
	for _, m := range o.modules() {
		set("module", m+".so")
	}
	set("module_tmp", "account.so")
	set("module_app", "menu.so")
	set("module_app", "ctrl_tcp.so")
	set("redial_attempts", 0)
	p.write("config", c.String())
	p.write("contacts", "")
	p.write("accounts", o.account(p.Address.Addr()))
}

// silence writes ten minutes of it; baresip reads them at once, and sends nothing afterwards.
func (p *Phone) silence() (path string) {
	p.t.Helper()
	const rate, size = 8000, 2 * 8000 * 600
	b := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, 36+size)...)
	b = append(b, "WAVEfmt "...)
	for _, n := range []uint32{16, 1<<16 | 1, rate, 2 * rate, 16<<16 | 2} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = binary.LittleEndian.AppendUint32(append(b, "data"...), size)
	p.write("silence.wav", string(b))
	path = filepath.Join(p.folder, "silence.wav")
	if err := os.Truncate(path, int64(len(b)+size)); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (o *Options) account(address netip.Addr) string {
	domain := o.Domain
	if domain == "" {
		domain = address.String()
		if address.Is6() {
			domain = "[" + domain + "]"
		}
	}
	var a strings.Builder
	fmt.Fprintf(&a, "%s <sip:%s@%s>;regint=0", o.DisplayName, o.Name, domain)
	set := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&a, ";%s=%s", name, value)
		}
	}
	set("answermode", map[bool]string{false: "auto", true: "manual"}[o.Manual])
	set("audio_codecs", strings.Join(o.Codecs, ","))
	set("video_codecs", strings.Join(o.VideoCodecs, ","))
	set("mediaenc", o.Encryption)
	if o.PacketTime > 0 {
		set("ptime", fmt.Sprint(o.PacketTime))
	}
	if o.Proxy != "" {
		set("outbound", `"`+o.Proxy+`"`)
	}
	set("auth_user", o.User)
	set("auth_pass", o.Password)
	return strings.TrimSpace(a.String()) + "\n"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func or(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

func (p *Phone) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// certificate makes one that signs itself.
func (p *Phone) certificate(address netip.Addr) (certificate, key string) {
	p.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "baresip"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{address.AsSlice()}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// freePorts finds a port that is free for UDP and TCP while the next is free for TCP, and that is not another one or the one after it. It is below those
// that the kernel gives to everybody who does not ask for a port: one of them would soon be somebody else's.
func freePorts(t testing.TB, address netip.Addr, other uint16) uint16 {
	t.Helper()
	for range 100 {
		port := 12000 + 2*chance.N(uint16(4000))
		if port == other {
			continue
		}
		first, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, port)))
		if err != nil {
			continue
		}
		second, tcp := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, port+1)))
		packets, udp := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port)))
		first.Close()
		if tcp == nil {
			second.Close()
		}
		if udp == nil {
			packets.Close()
		}
		if tcp == nil && udp == nil {
			return port
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// run starts the program and says whether it became ready.
func (p *Phone) run(program string) bool {
	p.t.Helper()
	ready := make(chan bool, 1)
	p.command = exec.Command(program, "-f", p.folder, "-s")
	// Should it crash, its core goes with the folder.
	p.command.Dir = p.folder
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.command.Stderr = p.said
	out, err := p.command.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		s := bufio.NewScanner(out)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			fmt.Fprintln(p.said, s.Text())
			if s.Text() == "baresip is ready." {
				ready <- true
			}
		}
		ready <- false
	})
	p.stop = sync.OnceFunc(func() {
		if p.control != nil {
			p.control.close()
		}
		_ = p.command.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(5*time.Second, func() { _ = p.command.Process.Kill() })
		reading.Wait()
		_ = p.command.Wait()
		killed.Stop()
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", p.name, p.said)
		}
	})
	select {
	case ok := <-ready:
		// It goes on without a port that it does not get.
		if ok && !strings.Contains(p.said.String(), "in use") {
			p.control = connect(p.t, p.setting("ctrl_tcp_listen"))
			return true
		}
	case <-time.After(20 * time.Second):
		fmt.Fprintln(p.said, "it was not ready after 20 s")
	}
	p.stop()
	return false
}

func (p *Phone) setting(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.folder, "config"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return v
		}
	}
	p.t.Fatalf("the configuration has no %s", name)
	return ""
}

// Stop ends the program; its calls get a BYE. It is called at the end of the test by itself.
func (p *Phone) Stop() { p.stop() }

// Kill ends the program at once, as a power cut does: nobody is told.
func (p *Phone) Kill() {
	_ = p.command.Process.Kill()
	p.stop()
}

// Said is what the program wrote, with all SIP messages.
func (p *Phone) Said() string { return p.said.String() }

// URI is its address for calls by a transport: udp, tcp or tls.
func (p *Phone) URI(transport string) string {
	at := p.Address
	if transport == "tls" {
		at = p.TLS
	}
	return fmt.Sprintf("sip:%s@%v;transport=%s", p.name, at, transport)
}

// lines keeps what is written to it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
