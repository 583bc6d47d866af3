package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/services/media/control"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// patience is how long a test waits for what must come; it is over sooner when it comes.
const patience = 20 * time.Second

// startLoop runs a loop with a slice of ports that other tests are unlikely to use.
func startLoop(t testing.TB, c Config) *Loop {
	t.Helper()
	if c.FirstPort == 0 {
		c.FirstPort = 20000 + 2*rand.IntN(10000)
		c.LastPort = c.FirstPort + 499
	}
	l, err := NewLoop(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		noGoroutines(t)
	})
	return l
}

// noGoroutines checks that Close has waited for everything: nothing of this package or of pion is left on any stack.
func noGoroutines(t testing.TB) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, g := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(g, "created by rotunda/services/media/transport.") && !strings.Contains(g, "_test.go") {
			t.Errorf("goroutine left behind:\n%s", g)
		}
	}
}

// ear is a Handler that keeps what it is told.
type ear struct {
	rtp, rtcp  chan []byte
	states     chan string
	candidates chan control.TransportState
	floods     chan uint64
}

func newEar() *ear {
	return &ear{
		rtp: make(chan []byte, 4096), rtcp: make(chan []byte, 64), states: make(chan string, 64),
		candidates: make(chan control.TransportState, 64), floods: make(chan uint64, 64),
	}
}

func (h *ear) RTP(p []byte, _ time.Time)  { offer(h.rtp, slices.Clone(p)) }
func (h *ear) RTCP(p []byte, _ time.Time) { offer(h.rtcp, slices.Clone(p)) }
func (h *ear) State(state, cipher, text string) {
	offer(h.states, strings.TrimSpace(state+" "+cipher+" "+text))
}
func (h *ear) Candidates(s control.TransportState) { offer(h.candidates, s) }
func (h *ear) Batch(time.Time)                     {}
func (h *ear) Flood(n uint64)                      { offer(h.floods, n) }

func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// await waits for one value.
func await[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s came", what)
		panic("unreachable")
	}
}

// awaitState waits for a state that begins with the text.
func awaitState(t testing.TB, h *ear, want string) string {
	t.Helper()
	for {
		if got := await(t, "state "+want, h.states); strings.HasPrefix(got, want) {
			return got
		}
	}
}

func open(t testing.TB, l *Loop, tr control.Transport, h Handler) *Endpoint {
	t.Helper()
	if tr.Local == nil {
		tr.Local = []netip.Addr{loopback}
	}
	e, err := l.Open(tr, h)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func update(t testing.TB, e *Endpoint, change func(*control.Transport)) {
	t.Helper()
	e.mu.Lock()
	w := e.wanted
	e.mu.Unlock()
	if w.ICE != nil {
		clone := *w.ICE
		w.ICE = &clone
	}
	change(&w)
	if err := e.Update(w); err != nil {
		t.Fatal(err)
	}
}

// peer is a plain UDP socket.
func newPeer(t testing.TB) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// rtpOf makes a packet of a size whose content depends on its number.
func rtpOf(sequence uint16, size int) []byte {
	p := make([]byte, max(size, rtpHeader))
	p[0], p[1] = 0x80, 96
	binary.BigEndian.PutUint16(p[2:], sequence)
	binary.BigEndian.PutUint32(p[8:], 0x5eed)
	for i := rtpHeader; i < len(p); i++ {
		p[i] = byte(i*7) ^ byte(sequence)
	}
	return p
}

// reportOf is an empty receiver report.
func reportOf() []byte { return []byte{0x80, 201, 0, 1, 0, 0, 0x5e, 0xed} }

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %d bytes %x…, want %d bytes %x…", what, len(got), got[:min(24, len(got))], len(want), want[:min(24, len(want))])
	}
}

func read(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	var p [4096]byte
	n, from, err := c.ReadFromUDPAddrPort(p[:])
	if err != nil {
		t.Fatal(err)
	}
	return p[:n], from
}

func write(t testing.TB, c *net.UDPConn, p []byte, to netip.AddrPort) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(p, to); err != nil {
		t.Fatal(err)
	}
}

func TestPlainPacketsGoBothWaysOnTwoPorts(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	e := open(t, l, control.Transport{}, h)
	local := e.Local()
	if local.RTP[0].Port()%2 != 0 || local.RTCP[0].Port() != local.RTP[0].Port()+1 {
		t.Fatalf("ports %v and %v: want an even one and the next", local.RTP, local.RTCP)
	}
	rtp, rtpAddr := newPeer(t)
	rtcp, rtcpAddr := newPeer(t)

	e.SendRTP([][]byte{rtpOf(1, 100)}, Audio)
	if got := e.Stats().Dropped["send"]; got != 1 {
		t.Errorf("dropped %d packets for want of a remote address, want 1", got)
	}
	update(t, e, func(w *control.Transport) { w.Remote, w.RemoteRTCP = rtpAddr, rtcpAddr })
	if got := awaitState(t, h, "connected"); got != "connected" {
		t.Errorf("state %q, want connected without a cipher", got)
	}

	e.SendRTP([][]byte{rtpOf(2, 172)}, Audio)
	got, from := read(t, rtp)
	same(t, "rtp at the peer", got, rtpOf(2, 172))
	if from != local.RTP[0] {
		t.Errorf("rtp came from %v, want %v", from, local.RTP[0])
	}
	e.SendRTCP(reportOf(), Audio)
	got, from = read(t, rtcp)
	same(t, "rtcp at the peer", got, reportOf())
	if from != local.RTCP[0] {
		t.Errorf("rtcp came from %v, want %v", from, local.RTCP[0])
	}

	write(t, rtp, rtpOf(3, 172), local.RTP[0])
	same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(3, 172))
	write(t, rtcp, reportOf(), local.RTCP[0])
	same(t, "rtcp here", await(t, "rtcp", h.rtcp), reportOf())

	e.Close() // the last batch is counted after its packets are delivered
	s := e.Stats()
	if s.PacketsReceived != 2 || s.BytesReceived != 180 || s.PacketsSent != 2 || s.BytesSent != 180 || s.State != "closed" {
		t.Errorf("statistics %+v: want 2 packets and 180 bytes each way, closed", s)
	}
}

func TestRTCPSharesThePortWithMux(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	peer, addr := newPeer(t)
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr}, h)
	if n := len(e.Local().RTCP); n != 0 {
		t.Fatalf("%d ports for rtcp, want none with mux", n)
	}
	write(t, peer, reportOf(), e.Local().RTP[0])
	same(t, "rtcp here", await(t, "rtcp", h.rtcp), reportOf())
	e.SendRTCP(reportOf(), Video)
	got, _ := read(t, peer)
	same(t, "rtcp at the peer", got, reportOf())
}

func TestMuxIsTakenUpAfterTheAnswer(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	peer, addr := newPeer(t)
	e := open(t, l, control.Transport{}, h)
	update(t, e, func(w *control.Transport) { w.RTCPMux, w.Remote = true, addr })
	e.SendRTCP(reportOf(), Audio)
	got, from := read(t, peer)
	same(t, "rtcp at the peer", got, reportOf())
	if want := e.Local().RTP[0]; from != want {
		t.Errorf("rtcp came from %v, want the rtp port %v", from, want)
	}
	write(t, peer, reportOf(), e.Local().RTP[0])
	same(t, "rtcp here", await(t, "rtcp", h.rtcp), reportOf())
}

func TestIPv6AndIPv4ShareAPortNumber(t *testing.T) {
	peer, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("no IPv6 loopback here: %v", err)
	}
	defer peer.Close()
	six := netip.IPv6Loopback()
	l := startLoop(t, Config{})
	h := newEar()
	if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	remote := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	e := open(t, l, control.Transport{Local: []netip.Addr{loopback, six}, RTCPMux: true, Remote: remote}, h)
	local := e.Local()
	if len(local.RTP) != 2 || local.RTP[0].Port() != local.RTP[1].Port() {
		t.Fatalf("local addresses %v: want two with one port", local.RTP)
	}
	e.SendRTP([][]byte{rtpOf(1, 50)}, Audio)
	got, from := read(t, peer)
	same(t, "rtp at the peer", got, rtpOf(1, 50))
	if from != local.RTP[1] {
		t.Errorf("rtp came from %v, want %v", from, local.RTP[1])
	}
	write(t, peer, rtpOf(2, 50), local.RTP[1])
	same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(2, 50))
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	l := startLoop(t, Config{})
	for _, c := range []struct {
		name string
		t    control.Transport
		want string
	}{
		{"no address", control.Transport{Local: []netip.Addr{}}, "no local address"},
		{"the same address twice", control.Transport{Local: []netip.Addr{loopback, loopback}}, "twice"},
		{"an address of another machine", control.Transport{Local: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, "bind"},
		{"ice without mux", control.Transport{Local: []netip.Addr{loopback}, ICE: &control.ICE{}}, "rtcp-mux"},
		{"dtls without mux", control.Transport{Local: []netip.Addr{loopback}, Security: control.DTLS}, "rtcp-mux"},
		{"a security of its own", control.Transport{Local: []netip.Addr{loopback}, Security: "rot13"}, "rot13"},
		{"sdes without keys", control.Transport{Local: []netip.Addr{loopback}, Security: control.SDES}, "without keys"},
		{"keys that are too short", control.Transport{Local: []netip.Addr{loopback}, Security: control.SDES, Keys: &control.Keys{Suite: control.SuiteAEAD128, Local: []byte{1}}}, "local keys"},
		{"a bad server", control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, ICE: &control.ICE{Servers: []control.Server{{URL: "http://x"}}}}, "ice server"},
	} {
		if _, err := l.Open(c.t, newEar()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if n := len(l.endpoints); n != 0 {
		t.Errorf("%d endpoints are left", n)
	}
}

func TestEveryPortIsUsedBeforeOneIsRefused(t *testing.T) {
	first := 20000 + 2*rand.IntN(10000)
	l := startLoop(t, Config{FirstPort: first, LastPort: first + 19})
	// A port that somebody else has is passed over.
	squatter, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: first + 7})
	if err != nil {
		t.Skipf("port %d is in use: %v", first+7, err)
	}
	defer squatter.Close()
	var open []*Endpoint
	seen := make(map[uint16]bool)
	for {
		e, err := l.Open(control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true}, newEar())
		if err != nil {
			if !errors.Is(err, errNoPort) {
				t.Fatal(err)
			}
			break
		}
		port := e.Local().RTP[0].Port()
		if seen[port] {
			t.Fatalf("port %d was given twice", port)
		}
		seen[port] = true
		open = append(open, e)
	}
	if len(open) != 19 {
		t.Errorf("%d endpoints on 20 ports of which one is taken, want 19", len(open))
	}
	open[3].Close()
	e, err := l.Open(control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true}, newEar())
	if err != nil {
		t.Fatalf("a port was given back, but: %v", err)
	}
	if got, want := e.Local().RTP[0], open[3].Local().RTP[0]; got != want {
		t.Errorf("port %v, want the only free one, %v", got, want)
	}
}

func TestCloseUnderLoadLeavesNothingBehind(t *testing.T) {
	l := startLoop(t, Config{})
	var senders sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		h := newEar()
		peer, addr := newPeer(t)
		e := open(t, l, control.Transport{RTCPMux: true, Remote: addr, Latch: true}, h)
		to := e.Local().RTP[0]
		for range 2 {
			senders.Go(func() {
				for n := uint16(0); ; n++ {
					select {
					case <-stop:
						return
					default:
						e.SendRTP([][]byte{rtpOf(n, 200), rtpOf(n+1, 200)}, Audio)
						_, _ = peer.WriteToUDPAddrPort(rtpOf(n, 200), to)
					}
				}
			})
		}
		await(t, fmt.Sprintf("packet at endpoint %d", i), h.rtp)
		senders.Go(func() {
			e.Close()
			for len(h.rtp) > 0 {
				<-h.rtp
			}
			e.SendRTP([][]byte{rtpOf(1, 100)}, Audio)
			if e.Stats().State != "closed" {
				t.Errorf("state %q after close", e.Stats().State)
			}
			e.Close() // again does nothing
		})
	}
	close(stop)
	senders.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.endpoints) != 0 {
		t.Errorf("%d endpoints are left", len(l.endpoints))
	}
}

// closer closes its endpoint from the loop's thread.
type closer struct {
	*ear
	e    chan *Endpoint
	done chan struct{}
}

func (c closer) RTP([]byte, time.Time) {
	(<-c.e).Close()
	close(c.done)
}

func TestAHandlerMayCloseItsEndpoint(t *testing.T) {
	l := startLoop(t, Config{})
	peer, _ := newPeer(t)
	c := closer{newEar(), make(chan *Endpoint, 1), make(chan struct{})}
	e := open(t, l, control.Transport{RTCPMux: true}, c)
	c.e <- e
	for range 3 {
		write(t, peer, rtpOf(1, 60), e.Local().RTP[0])
	}
	await(t, "end of close", c.done)
	if _, err := l.Open(control.Transport{Local: []netip.Addr{loopback}}, newEar()); err != nil {
		t.Errorf("the loop does not go on: %v", err)
	}
}
