package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/turn/v5"

	"rotunda/services/media/control"
)

// checker is pion/ice with its own sockets.
type checker struct {
	agent      *ice.Agent
	ufrag      string
	password   string
	candidates []string
	gathered   chan struct{}
	conn       *ice.Conn
}

func newChecker(t testing.TB) *checker {
	t.Helper()
	a, err := ice.NewAgentWithOptions(
		ice.WithIncludeLoopback(), ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithIPFilter(func(ip net.IP) bool { return ip.IsLoopback() }), ice.WithCheckInterval(20*time.Millisecond),
		ice.WithPrflxAcceptanceMinWait(0), ice.WithRelayAcceptanceMinWait(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.GracefulClose() })
	p := &checker{agent: a, gathered: make(chan struct{}, 1)}
	if err := a.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			p.gathered <- struct{}{}
		} else {
			p.candidates = append(p.candidates, c.Marshal())
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.gather(t)
	return p
}

func (p *checker) gather(t testing.TB) {
	t.Helper()
	p.candidates = nil
	if err := p.agent.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	await(t, "end of gathering", p.gathered)
	var err error
	if p.ufrag, p.password, err = p.agent.GetLocalUserCredentials(); err != nil {
		t.Fatal(err)
	}
}

// accept takes the other side's candidates.
func (p *checker) accept(t testing.TB, local control.TransportState) {
	t.Helper()
	for _, line := range local.Candidates {
		c, err := ice.UnmarshalCandidate(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.agent.AddRemoteCandidate(c); err != nil {
			t.Fatal(err)
		}
	}
}

// connect begins checks and waits for a pair.
func (p *checker) connect(t testing.TB, local control.TransportState, controlling bool) {
	t.Helper()
	p.accept(t, local)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	if controlling {
		p.conn, err = p.agent.Dial(ctx, local.Ufrag, local.Password)
	} else {
		p.conn, err = p.agent.Accept(ctx, local.Ufrag, local.Password)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *checker) read(t testing.TB) []byte {
	t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var b [2048]byte
	n, err := p.conn.Read(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// exchange sends a packet each way and checks what comes.
func exchange(t testing.TB, e *Endpoint, h *ear, p *checker, n uint16) {
	t.Helper()
	if _, err := p.conn.Write(rtpOf(n, 150)); err != nil {
		t.Fatal(err)
	}
	same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(n, 150))
	burst := [][]byte{rtpOf(n, 400), rtpOf(n+1, 400), rtpOf(n+2, 90)}
	e.SendRTP(burst, Video)
	for _, want := range burst {
		same(t, "rtp at the peer", p.read(t), want)
	}
}

// remoteOf is the remote half that a checker has.
func (p *checker) remoteOf(w *control.Transport) {
	w.ICE.Ufrag, w.ICE.Password, w.ICE.Candidates = p.ufrag, p.password, p.candidates
}

func TestICEConnectsInEveryRole(t *testing.T) {
	l := startLoop(t, Config{})
	for _, c := range []struct {
		name string
		ice  control.ICE
	}{
		{"controlling", control.ICE{Controlling: true}},
		{"controlled", control.ICE{}},
		{"lite", control.ICE{Lite: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEar()
			p := newChecker(t)
			e := open(t, l, control.Transport{RTCPMux: true, ICE: &c.ice}, h)
			defer e.Close()
			local := e.Local()
			if len(local.Candidates) != 1 || !strings.Contains(local.Candidates[0], fmt.Sprintf(" %d typ host", local.RTP[0].Port())) || len(local.Ufrag) < 4 || len(local.Password) < 22 {
				t.Fatalf("local half %+v: want credentials and one host candidate on the rtp port", local)
			}
			update(t, e, p.remoteOf)
			p.connect(t, local, !c.ice.Controlling)
			awaitState(t, h, "connected")
			exchange(t, e, h, p, 1)
			if got, want := e.Stats().Remote, p.conn.LocalAddr().String(); got != want {
				t.Errorf("remote %s, want the selected pair's %s", got, want)
			}
			// Plain packets from elsewhere are not taken.
			stranger, _ := newPeer(t)
			write(t, stranger, rtpOf(7, 100), local.RTP[0])
			exchange(t, e, h, p, 10)
			if got := e.Stats().Dropped["unknown"]; got != 1 {
				t.Errorf("%d packets of a stranger dropped, want 1", got)
			}
		})
	}
}

func TestICEConnectsOverIPv6(t *testing.T) {
	if c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}); err != nil {
		t.Skipf("no IPv6 loopback here: %v", err)
	} else {
		c.Close()
	}
	// The agent of pion/ice does not gather ::1, so that two endpoints have to talk to each other.
	l := startLoop(t, Config{})
	addresses := []netip.Addr{loopback, netip.IPv6Loopback()}
	one, two := newEar(), newEar()
	a := open(t, l, control.Transport{Local: addresses, RTCPMux: true, ICE: &control.ICE{Controlling: true}}, one)
	b := open(t, l, control.Transport{Local: addresses[1:], RTCPMux: true, ICE: &control.ICE{}}, two)
	for _, pair := range [][2]*Endpoint{{a, b}, {b, a}} {
		remote := pair[1].Local()
		update(t, pair[0], func(w *control.Transport) {
			w.ICE.Ufrag, w.ICE.Password, w.ICE.Candidates = remote.Ufrag, remote.Password, remote.Candidates
		})
	}
	awaitState(t, one, "connected")
	awaitState(t, two, "connected")
	a.SendRTP([][]byte{rtpOf(1, 100)}, Audio)
	same(t, "rtp at the other", await(t, "rtp", two.rtp), rtpOf(1, 100))
	if got, want := a.Stats().Remote, b.Local().RTP[0].String(); got != want {
		t.Errorf("remote %s, want %s", got, want)
	}
}

func TestICECandidatesTrickle(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	p := newChecker(t)
	e := open(t, l, control.Transport{RTCPMux: true, ICE: &control.ICE{Controlling: true}}, h)
	// Credentials first, our candidates never: the peer learns our address from our checks, and we its from the last update.
	update(t, e, func(w *control.Transport) { w.ICE.Ufrag, w.ICE.Password = p.ufrag, p.password })
	connected := make(chan struct{})
	go func() {
		defer close(connected)
		local := e.Local()
		local.Candidates = nil
		p.connect(t, local, false)
	}()
	update(t, e, func(w *control.Transport) {
		w.ICE.Candidates = append([]string{"1 1 tcp 1 127.0.0.1 9 typ host tcptype active", "2 1 udp 1 name.local 9 typ host", "3 2 udp 1 127.0.0.1 9 typ host"}, p.candidates...)
	})
	await(t, "connection", connected)
	awaitState(t, h, "connected")
	exchange(t, e, h, p, 1)
	if !await(t, "candidates", h.candidates).Gathered {
		if !await(t, "end of candidates", h.candidates).Gathered {
			t.Error("the end of gathering is not told")
		}
	}
}

func TestICERestarts(t *testing.T) {
	l := startLoop(t, Config{})
	for _, lite := range []bool{false, true} {
		h := newEar()
		p := newChecker(t)
		e := open(t, l, control.Transport{RTCPMux: true, ICE: &control.ICE{Lite: lite}}, h)
		before := e.Local()
		update(t, e, p.remoteOf)
		p.connect(t, before, true)
		awaitState(t, h, "connected")
		exchange(t, e, h, p, 1)

		update(t, e, func(w *control.Transport) {
			w.ICE.Restart, w.ICE.Ufrag, w.ICE.Password, w.ICE.Candidates = 1, "", "", nil
		})
		after := e.Local()
		if after.Ufrag == before.Ufrag || after.Password == before.Password || len(after.Candidates) != 1 || after.RTP[0] != before.RTP[0] {
			t.Fatalf("after the restart %+v, before %+v: want new credentials, the same port and one candidate", after, before)
		}
		awaitState(t, h, "checking")
		if err := p.agent.Restart("", ""); err != nil {
			t.Fatal(err)
		}
		p.gather(t)
		if err := p.agent.SetRemoteCredentials(after.Ufrag, after.Password); err != nil {
			t.Fatal(err)
		}
		p.accept(t, after)
		update(t, e, p.remoteOf)
		awaitState(t, h, "connected")
		exchange(t, e, h, p, 20)
		e.Close()
	}
}

func TestICEOffersEveryLocalAddress(t *testing.T) {
	l := startLoop(t, Config{})
	other := netip.MustParseAddr("127.0.0.2")
	e := open(t, l, control.Transport{Local: []netip.Addr{loopback, other}, RTCPMux: true, ICE: &control.ICE{}}, newEar())
	local := e.Local()
	for i, addr := range []netip.Addr{loopback, other} {
		want := fmt.Sprintf(" %s %d typ host", addr, local.RTP[i].Port())
		if !slices.ContainsFunc(local.Candidates, func(c string) bool { return strings.Contains(c, want) }) {
			t.Errorf("candidates %q: want one with %q", local.Candidates, want)
		}
	}
}

func TestTooManyCandidatesAreRefused(t *testing.T) {
	l := startLoop(t, Config{})
	e := open(t, l, control.Transport{RTCPMux: true, ICE: &control.ICE{Ufrag: "abcd", Password: "0123456789abcdefghijkl"}}, newEar())
	w := control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, ICE: &control.ICE{}}
	for i := range maxCandidates + 1 {
		w.ICE.Candidates = append(w.ICE.Candidates, fmt.Sprintf("%d 1 udp 1 127.0.0.1 %d typ host", i, 1000+i))
	}
	if err := e.Update(w); err == nil || !strings.Contains(err.Error(), "candidates") {
		t.Errorf("%d candidates: error %v, want a refusal", len(w.ICE.Candidates), err)
	}
	w.ICE.Candidates = []string{"no candidate at all"}
	if err := e.Update(w); err == nil {
		t.Error("a line that is no candidate is taken")
	}
}

// turnServer is pion/turn on UDP, TCP and TLS.
type turnServer struct {
	urls map[string]string
}

func newTurnServer(t testing.TB) turnServer {
	t.Helper()
	generator := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{localhost.tls}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := turn.NewServer(turn.ServerConfig{
		Realm:         "rotunda",
		LoggerFactory: silentLogs,
		AuthHandler: func(r *turn.RequestAttributes) (string, []byte, bool) {
			return r.Username, turn.GenerateAuthKey(r.Username, r.Realm, "secret"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: udp, RelayAddressGenerator: generator}},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: tcp, RelayAddressGenerator: generator}, {Listener: secure, RelayAddressGenerator: generator},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return turnServer{urls: map[string]string{
		"udp": "turn:" + udp.LocalAddr().String() + "?transport=udp",
		"tcp": "turn:" + tcp.Addr().String() + "?transport=tcp",
		"tls": "turns:localhost:" + fmt.Sprint(secure.Addr().(*net.TCPAddr).Port) + "?transport=tcp",
	}}
}

func (s turnServer) server(transport string) []control.Server {
	return []control.Server{{URL: s.urls[transport], Username: "user", Password: "secret"}}
}

// awaitCandidate waits for a local candidate of a type.
func awaitCandidate(t testing.TB, e *Endpoint, h *ear, typ string) control.TransportState {
	t.Helper()
	for {
		local := await(t, typ+" candidate", h.candidates)
		if slices.ContainsFunc(local.Candidates, func(c string) bool { return strings.Contains(c, " typ "+typ) }) {
			return local
		}
		if local.Gathered {
			t.Fatalf("candidates %q: want one of type %s", local.Candidates, typ)
		}
	}
}

func TestARelayCarriesMediaBothWays(t *testing.T) {
	l := startLoop(t, Config{})
	server := newTurnServer(t)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			h := newEar()
			p := newChecker(t)
			e := open(t, l, control.Transport{RTCPMux: true, ICE: &control.ICE{RelayOnly: true, Servers: server.server(transport)}}, h)
			defer e.Close()
			local := awaitCandidate(t, e, h, "relay")
			if n := len(local.Candidates); n != 1 {
				t.Errorf("candidates %q: want the relay alone", local.Candidates)
			}
			update(t, e, p.remoteOf)
			p.connect(t, local, true)
			awaitState(t, h, "connected")
			exchange(t, e, h, p, 1)
			e.SendRTCP(reportOf(), Video)
			same(t, "rtcp at the peer", p.read(t), reportOf())
			if got, want := e.Stats().Local, p.conn.RemoteAddr().String(); got != want {
				t.Errorf("local address %s, want the relay's %s", got, want)
			}
		})
	}
}

func TestTheServerReflexiveCandidateIsFoundFromOurSocket(t *testing.T) {
	l := startLoop(t, Config{})
	server := newTurnServer(t)
	h := newEar()
	e := open(t, l, control.Transport{RTCPMux: true, ICE: &control.ICE{Servers: []control.Server{{URL: strings.Replace(strings.TrimSuffix(server.urls["udp"], "?transport=udp"), "turn:", "stun:", 1)}}}}, h)
	local := awaitCandidate(t, e, h, "srflx")
	want := fmt.Sprintf(" 127.0.0.1 %d typ srflx", local.RTP[0].Port())
	if !slices.ContainsFunc(local.Candidates, func(c string) bool { return strings.Contains(c, want) }) {
		t.Errorf("candidates %q: want one with %q, since nothing is translated here", local.Candidates, want)
	}
	// And a pair is found all the same.
	p := newChecker(t)
	update(t, e, p.remoteOf)
	p.connect(t, e.Local(), true)
	awaitState(t, h, "connected")
	exchange(t, e, h, p, 1)
}

// The client of pion/turn asks for eight seconds before it gives up. Nobody who hangs up waits for that.
func TestCloseDoesNotWaitForAServerThatIsSilent(t *testing.T) {
	l := startLoop(t, Config{})
	silent, addr := newPeer(t)
	h := newEar()
	e := open(t, l, control.Transport{RTCPMux: true, ICE: &control.ICE{Servers: []control.Server{
		{URL: "stun:" + addr.String()}, {URL: "turn:" + addr.String(), Username: "user", Password: "secret"},
	}}}, h)
	read(t, silent) // the question has been asked
	e.Close()
	if e.Local().Gathered {
		t.Error("gathering was over before the endpoint was closed, although the server is silent")
	}
	if _, err := l.Open(control.Transport{Local: []netip.Addr{loopback}}, newEar()); err != nil {
		t.Error(err)
	}
}
