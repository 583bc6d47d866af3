// Package sipp is a scripted caller with sound for tests: SIPp calls an address, presses keys, talks in a tone and waits for BYE, while what it is sent
// is listened to.
//
//	c := sipp.Call(t, sipp.Options{Server: server, User: "menu", Keys: "88001#2468#", Tone: 1300})
//	c.AwaitTone(500)
//	c.AwaitEnd()
//
// Keys (RFC 4733) and tone are one recording that SIPp plays by play_pcap_audio, made here for each call. SIPp throws away what it hears, so that
// is read from the network beside it. Both need root for raw sockets; tests are skipped without, and without the program (Debian's sip-tester).
// Sound is G.711 µ-law by 20 ms.
package sipp

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/services/callbridge/leg/baresip"
	"rotunda/services/media/codec"
	"rotunda/services/media/control"
	"rotunda/services/media/rtp"
)

// Options are what tests choose.
type Options struct {
	// Address is where it calls from, 127.0.0.1 when not set.
	Address netip.Addr
	// Server is called, by udp or tcp ("" is udp), as User.
	Server          netip.AddrPort
	Transport, User string
	// Keys are pressed two seconds after the call is up, one each 300 ms; then it talks in Tone (Hz).
	Keys string
	Tone int
}

// Caller is a SIPp that runs.
type Caller struct {
	t     testing.TB
	said  *strings.Builder
	ended chan error
	ear   *ear
}

const (
	// listens is how long it says nothing first, as somebody does who hears a menu's prompt.
	listens = 2 * time.Second
	// talks is how long the recording lasts.
	talks = 3 * time.Minute
)

// rate of sound in samples a second, frame of a packet.
const (
	rate  = 8000
	frame = rate / 50
)

// Call begins a call. The calling goroutine's network namespace is where it runs.
func Call(t testing.TB, o Options) *Caller {
	t.Helper()
	program, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed (Debian: sip-tester)")
	}
	if os.Geteuid() != 0 {
		t.Skip("SIPp plays recordings by raw sockets, which need root")
	}
	if !o.Address.IsValid() {
		o.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	folder := t.TempDir()
	sound, err := record(o.Keys, o.Tone)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"sound.pcap": sound, "scenario.xml": []byte(scenario(o.User, filepath.Join(folder, "sound.pcap")))} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	media := freePort(t, o.Address)
	c := &Caller{t: t, said: &strings.Builder{}, ended: make(chan error, 1)}
	if c.ear, err = listen(netip.AddrPortFrom(o.Address, media)); err != nil {
		t.Fatal(err)
	}
	mode := "u1"
	if o.Transport == "tcp" {
		mode = "t1"
	}
	command := exec.Command(program, "-sf", filepath.Join(folder, "scenario.xml"), "-i", o.Address.String(), "-p", fmt.Sprint(freePort(t, o.Address)),
		"-mi", o.Address.String(), "-mp", fmt.Sprint(media), "-cp", fmt.Sprint(freePort(t, netip.AddrFrom4([4]byte{127, 0, 0, 1}))),
		"-m", "1", "-t", mode, "-nostdin", "-timeout", "170s", "-timeout_error", "-trace_err", o.Server.String())
	command.Dir = folder
	command.Stdout, command.Stderr = c.said, c.said
	// No signal for the parent's death: that would be the death of this thread, which is gone as soon as a step of a test in a network
	// namespace is over. Whoever is left over ends by its own time-out.
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		c.ended <- command.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-done
		c.ear.close()
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(folder, "*.log"))
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				t.Logf("sipp said:\n%s", b[max(0, len(b)-4000):])
			}
		}
	})
	return c
}

// AwaitTone waits until all of these tones are heard together.
func (c *Caller) AwaitTone(frequencies ...int) {
	c.t.Helper()
	c.until(func(sound []int16) string {
		for _, f := range frequencies {
			if level := baresip.Tone(sound, f, rate); level < baresip.Loud {
				return fmt.Sprintf("sipp does not hear %d Hz; the level is %.4f", f, level)
			}
		}
		return ""
	})
}

// AwaitNoTone waits until none of these tones is heard, while sound comes.
func (c *Caller) AwaitNoTone(frequencies ...int) {
	c.t.Helper()
	c.until(func(sound []int16) string {
		for _, f := range frequencies {
			if level := baresip.Tone(sound, f, rate); len(sound) < rate/4 || level > baresip.Quiet {
				return fmt.Sprintf("sipp still hears %d Hz, or nothing at all; the level is %.4f", f, level)
			}
		}
		return ""
	})
}

// patience is how long something may take that a test waits for.
const patience = 20 * time.Second

func (c *Caller) until(complaint func(sound []int16) string) {
	c.t.Helper()
	for limit := time.Now().Add(patience); ; {
		why := complaint(c.ear.last())
		if why == "" {
			return
		}
		if time.Now().After(limit) {
			c.t.Fatal(why)
		}
		select {
		case err := <-c.ended:
			c.ended <- err
			c.t.Fatalf("the call has ended (%v): %s", err, why)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// AwaitEnd waits for the far end's BYE, and wants the call to have been as it is written.
func (c *Caller) AwaitEnd() {
	c.t.Helper()
	select {
	case err := <-c.ended:
		c.ended <- err
		if err != nil {
			c.t.Fatalf("sipp: %v\n%s", err, c.said)
		}
	case <-time.After(patience):
		c.t.Fatal("sipp's call does not end")
	}
}

// scenario calls user, plays the recording, and waits for BYE. It refuses every change on the way, as telephone gateways do: a bridge
// may offer pictures to whoever has entered a meeting that has some.
func scenario(user, recording string) string {
	head := "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nFrom: \"SIPp\" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]S[call_number]\n"
	tail := "Call-ID: [call_id]\nMax-Forwards: 70\n"
	last := "\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n"
	return `<?xml version="1.0" encoding="ISO-8859-1" ?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:` + user + `@[remote_ip]:[remote_port] SIP/2.0
` + head + `To: <sip:` + user + `@[remote_ip]>
` + tail + `CSeq: 1 INVITE
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
]]></send>
<recv response="100" optional="true"></recv><recv response="180" optional="true"></recv>
<recv response="200" rrs="true"></recv>
<send><![CDATA[
ACK [next_url] SIP/2.0
` + head + `To: <sip:` + user + `@[remote_ip]>[peer_tag_param]
` + tail + `CSeq: 1 ACK
Content-Length: 0

]]></send>
<nop><action><exec play_pcap_audio="` + recording + `"/></action></nop>
<label id="1"/>
<recv request="INVITE" optional="true" next="2"></recv>
<recv request="BYE" next="3"></recv>
<label id="2"/>
<send retrans="500"><![CDATA[
SIP/2.0 488 Not Acceptable Here` + last + `Content-Length: 0

]]></send>
<recv request="ACK" next="1"></recv>
<label id="3"/>
<send><![CDATA[
SIP/2.0 200 OK` + last + `Content-Length: 0

]]></send>
</scenario>`
}

// record makes the recording: a pcap file of RTP in UDP in IPv4 in Ethernet, whose addresses SIPp replaces.
func record(keys string, tone int) ([]byte, error) {
	e, err := codec.NewAudioEncoder(control.PCMU, codec.AudioOptions{})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	order := binary.LittleEndian
	b := order.AppendUint32(nil, 0xa1b2c3d4)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(order.AppendUint32(b, 65535), 1)
	header := rtp.Header{SSRC: rtp.NewSSRC(), Sequence: uint16(rtp.NewSSRC()), Timestamp: rtp.NewSSRC()}
	at := time.Duration(0)
	packet := func(payloadType uint8, marker bool, timestamp uint32, payload []byte) {
		header.PayloadType, header.Marker = payloadType, marker
		body := header.Append(nil)
		timestamped := body[4:8]
		binary.BigEndian.PutUint32(timestamped, timestamp)
		body = append(body, payload...)
		header.Sequence++
		udp := binary.BigEndian.AppendUint16(nil, 6000)
		udp = binary.BigEndian.AppendUint16(udp, 6000)
		udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(body)))
		udp = append(append(udp, 0, 0), body...)
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(udp)))
		ethernet := append(make([]byte, 12), 8, 0)
		all := append(append(ethernet, ip...), udp...)
		b = order.AppendUint32(b, uint32(at/time.Second))
		b = order.AppendUint32(b, uint32(at%time.Second/time.Microsecond))
		b = order.AppendUint32(order.AppendUint32(b, uint32(len(all))), uint32(len(all)))
		b = append(b, all...)
	}
	step := func() { at += 20 * time.Millisecond; header.Timestamp += frame }
	pcm, coded := make([]int16, frame), make([]byte, codec.MaxAudioPacket)
	samples := 0
	speak := func(loud float64) error {
		for i := range pcm {
			pcm[i] = int16(loud * math.Sin(2*math.Pi*float64(tone)*float64(samples)/rate))
			samples++
		}
		n, err := e.Encode(coded, pcm)
		if err != nil {
			return err
		}
		packet(0, false, header.Timestamp, coded[:n])
		step()
		return nil
	}
	for range listens / (20 * time.Millisecond) {
		if err := speak(0); err != nil {
			return nil, err
		}
	}
	for _, k := range keys {
		event := strings.IndexRune("0123456789*#ABCD", k)
		if event < 0 {
			return nil, fmt.Errorf("key %q: want one of 0 to 9, *, # and A to D", k)
		}
		began := header.Timestamp
		for n := 1; n <= 5; n++ {
			packet(101, n == 1, began, []byte{byte(event), 10, byte(n * frame >> 8), byte(n * frame)})
			step()
		}
		for range 3 { // the end is told three times (RFC 4733, 2.5.1.4)
			packet(101, false, began, []byte{byte(event), 0x80 | 10, byte(5 * frame >> 8), byte(5 * frame & 0xff)})
		}
		for range 10 {
			if err := speak(0); err != nil {
				return nil, err
			}
		}
	}
	for at < talks {
		if err := speak(4096); err != nil { // an eighth of the loudest, as baresip's tones are
			return nil, err
		}
	}
	return b, nil
}

// freePort finds an even port that is free for UDP and TCP, below those that the kernel gives.
func freePort(t testing.TB, address netip.Addr) uint16 {
	t.Helper()
	for range 100 {
		at := netip.AddrPortFrom(address, uint16(20000+2*rand.IntN(5000)))
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			continue
		}
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		l.Close()
		if err == nil {
			u.Close()
			return at.Port()
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// ear reads the RTP that arrives for an address, whoever has the port.
type ear struct {
	file *os.File
	done chan struct{}

	mu    sync.Mutex
	sound []int16
}

func listen(at netip.AddrPort) (*ear, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
	if err != nil {
		return nil, fmt.Errorf("listen on the network: %w", err)
	}
	d, err := codec.NewAudioDecoder(control.PCMU)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	e := &ear{file: os.NewFile(uintptr(fd), "ear"), done: make(chan struct{})}
	raw, err := e.file.SyscallConn()
	if err != nil {
		e.file.Close()
		return nil, err
	}
	go func() {
		defer close(e.done)
		defer d.Close()
		b, pcm := make([]byte, 2048), make([]int16, rate)
		for {
			n := 0
			var from unix.Sockaddr
			err := raw.Read(func(fd uintptr) bool {
				var err error
				n, from, err = unix.Recvfrom(int(fd), b, 0)
				return err != unix.EAGAIN
			})
			if err != nil {
				return
			}
			// On the loopback device all packets go past twice.
			if l, ok := from.(*unix.SockaddrLinklayer); !ok || l.Pkttype != unix.PACKET_HOST {
				continue
			}
			if payload := voice(b[:max(n, 0)], at); payload != nil {
				if n, err := d.Decode(pcm, payload); err == nil {
					e.mu.Lock()
					e.sound = append(e.sound, pcm[:n]...)
					e.sound = e.sound[max(0, len(e.sound)-rate/4):]
					e.mu.Unlock()
				}
			}
		}
	}()
	return e, nil
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// voice is the sound in an IPv4 packet to an address, nil when it is something else.
func voice(b []byte, at netip.AddrPort) []byte {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_UDP {
		return nil
	}
	head := int(b[0]&15) * 4
	if len(b) < head+8 || netip.AddrFrom4([4]byte(b[16:20])) != at.Addr() || binary.BigEndian.Uint16(b[head+2:]) != at.Port() {
		return nil
	}
	var h rtp.Header
	payload, err := h.Parse(b[head+8:])
	if err != nil || h.PayloadType != 0 || rtp.IsRTCP(b[head+8:]) {
		return nil
	}
	return payload
}

func (e *ear) last() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]int16(nil), e.sound...)
}

func (e *ear) close() {
	e.file.Close()
	<-e.done
}
