package transport

import (
	"bytes"
	"slices"
	"testing"

	"rotunda/services/media/control"
	"rotunda/services/media/srtp"
)

var suites = []string{control.SuiteAEAD256, control.SuiteAEAD128, control.SuiteAESCM80, control.SuiteAESCM32}

// material is key and salt of a suite, filled with one byte.
func material(t testing.TB, suite string, fill byte) []byte {
	t.Helper()
	key, salt, err := srtp.Lengths(suite)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat([]byte{fill}, key+salt)
}

func contextOf(t testing.TB, suite string, fill byte) *srtp.Context {
	t.Helper()
	c, err := srtp.NewInline(suite, material(t, suite, fill))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func protect(t testing.TB, c *srtp.Context, p []byte) []byte {
	t.Helper()
	out, err := c.ProtectRTP(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSDESProtectsEverySuite(t *testing.T) {
	l := startLoop(t, Config{})
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			h := newEar()
			peer, addr := newPeer(t)
			e := open(t, l, control.Transport{RTCPMux: true, Remote: addr, Security: control.SDES, Keys: &control.Keys{Suite: suite, Local: material(t, suite, 1)}}, h)
			defer e.Close()
			write(t, peer, protect(t, contextOf(t, suite, 2), rtpOf(1, 100)), e.Local().RTP[0])
			update(t, e, func(w *control.Transport) {
				w.Keys = &control.Keys{Suite: suite, Local: material(t, suite, 1), Remote: material(t, suite, 2)}
			})
			if got := awaitState(t, h, "connected"); got != "connected "+suite {
				t.Errorf("state %q, want connected with %s", got, suite)
			}
			in, out := contextOf(t, suite, 1), contextOf(t, suite, 2)
			largest := rtpOf(100, e.RTPSize())
			e.SendRTP([][]byte{largest}, Video)
			if p, _ := read(t, peer); len(p) > control.DefaultMTU || len(p) < control.DefaultMTU-tagSize {
				t.Errorf("the largest packet has %d bytes, want %d at most, and not much less", len(p), control.DefaultMTU)
			}

			write(t, peer, protect(t, out, rtpOf(5, 100)), e.Local().RTP[0])
			// What came before the keys is dropped or, if the loop was late, delivered: both are right.
			got := await(t, "rtp", h.rtp)
			if bytes.Equal(got, rtpOf(1, 100)) {
				got = await(t, "rtp", h.rtp)
			}
			same(t, "rtp here", got, rtpOf(5, 100))
			report, err := out.ProtectRTCP(nil, reportOf())
			if err != nil {
				t.Fatal(err)
			}
			write(t, peer, report, e.Local().RTP[0])
			same(t, "rtcp here", await(t, "rtcp", h.rtcp), reportOf())

			packets := [][]byte{rtpOf(101, 300), rtpOf(102, 300), rtpOf(103, 120)}
			e.SendRTP(packets, Video)
			for i, want := range packets {
				p, _ := read(t, peer)
				if bytes.Contains(p, want[rtpHeader:]) {
					t.Errorf("packet %d went out in the clear", i)
				}
				plain, err := in.UnprotectRTP(p)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				same(t, "rtp at the peer", plain, want)
			}
			e.SendRTCP(reportOf(), Video)
			p, _ := read(t, peer)
			plain, err := in.UnprotectRTCP(p)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "rtcp at the peer", plain, reportOf())

			// Bad packets are counted by what is wrong with them.
			write(t, peer, protect(t, contextOf(t, suite, 3), rtpOf(6, 100)), e.Local().RTP[0])
			again := protect(t, contextOf(t, suite, 2), rtpOf(5, 100))
			write(t, peer, again, e.Local().RTP[0])
			write(t, peer, []byte("hello"), e.Local().RTP[0])
			write(t, peer, protect(t, out, rtpOf(7, 100)), e.Local().RTP[0])
			same(t, "rtp after bad packets", await(t, "rtp", h.rtp), rtpOf(7, 100))
			d := e.Stats().Dropped
			if d["auth"] != 1 || d["replay"] != 1 || d["malformed"] != 1 {
				t.Errorf("dropped %v: want one each of auth, replay and malformed", d)
			}
		})
	}
}

func TestNewKeysContinueTheRolloverCounter(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	suite := control.SuiteAESCM80
	peer, addr := newPeer(t)
	keys := func(local, remote byte) *control.Keys {
		return &control.Keys{Suite: suite, Local: material(t, suite, local), Remote: material(t, suite, remote)}
	}
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr, Security: control.SDES, Keys: keys(1, 2)}, h)
	in, out := contextOf(t, suite, 1), contextOf(t, suite, 2)
	// Both sides pass sequence number 65535.
	for _, n := range []uint16{65530, 65535, 3} {
		write(t, peer, protect(t, out, rtpOf(n, 80)), e.Local().RTP[0])
		same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(n, 80))
		e.SendRTP([][]byte{rtpOf(n, 80)}, Audio)
		p, _ := read(t, peer)
		if _, err := in.UnprotectRTP(p); err != nil {
			t.Fatal(err)
		}
	}
	// The same keys again change nothing: the context goes on, and would refuse what was sent already.
	update(t, e, func(w *control.Transport) { w.Keys = keys(1, 2) })
	e.SendRTP([][]byte{rtpOf(3, 80)}, Audio)
	if got := e.Stats().Dropped["send"]; got != 1 {
		t.Errorf("a repeated packet was sent under the same key: %d dropped, want 1", got)
	}
	update(t, e, func(w *control.Transport) { w.Keys = keys(4, 5) })
	newIn, newOut := contextOf(t, suite, 4), contextOf(t, suite, 5)
	newIn.Inherit(in)
	newOut.Inherit(out)
	e.SendRTP([][]byte{rtpOf(4, 80)}, Audio)
	p, _ := read(t, peer)
	plain, err := newIn.UnprotectRTP(p)
	if err != nil {
		t.Fatalf("packet under the new key: %v", err)
	}
	same(t, "rtp at the peer", plain, rtpOf(4, 80))
	// The loop takes the new key between two packets; Update has posted it, a barrier is behind it.
	l.barrier()
	write(t, peer, protect(t, newOut, rtpOf(4, 80)), e.Local().RTP[0])
	same(t, "rtp here", await(t, "rtp", h.rtp), rtpOf(4, 80))
}

func TestPlainRTPIsLockedToTheFirstSource(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	e := open(t, l, control.Transport{RTCPMux: true, Latch: true}, h)
	to := e.Local().RTP[0]
	first, firstAddr := newPeer(t)
	second, secondAddr := newPeer(t)
	write(t, first, rtpOf(1, 60), to)
	same(t, "the first source", await(t, "rtp", h.rtp), rtpOf(1, 60))
	awaitState(t, h, "connected")
	e.SendRTP([][]byte{rtpOf(9, 60)}, Audio)
	if p, _ := read(t, first); !slices.Equal(p, rtpOf(9, 60)) {
		t.Error("the first source got something else than what was sent")
	}
	if got := e.Stats().Remote; got != firstAddr.String() {
		t.Errorf("remote %s, want the first source %s", got, firstAddr)
	}
	write(t, second, rtpOf(2, 60), to)
	write(t, first, rtpOf(3, 60), to)
	same(t, "after a second source", await(t, "rtp", h.rtp), rtpOf(3, 60))
	if got := e.Stats().Dropped["unknown"]; got != 1 {
		t.Errorf("%d packets of the second source dropped, want 1", got)
	}
	// But the address in the signalling has precedence.
	update(t, e, func(w *control.Transport) { w.Remote = secondAddr })
	write(t, second, rtpOf(4, 60), to)
	same(t, "the signalled source", await(t, "rtp", h.rtp), rtpOf(4, 60))
	e.SendRTP([][]byte{rtpOf(10, 60)}, Audio)
	if p, _ := read(t, second); !slices.Equal(p, rtpOf(10, 60)) {
		t.Error("the signalled source got something else than what was sent")
	}
}

func TestOnlyAuthenticPacketsMoveASecuredTransport(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	suite := control.SuiteAEAD128
	first, firstAddr := newPeer(t)
	second, secondAddr := newPeer(t)
	thief, _ := newPeer(t)
	e := open(t, l, control.Transport{RTCPMux: true, Latch: true, Remote: firstAddr, Security: control.SDES,
		Keys: &control.Keys{Suite: suite, Local: material(t, suite, 1), Remote: material(t, suite, 2)}}, h)
	to := e.Local().RTP[0]
	out := contextOf(t, suite, 2)
	write(t, first, protect(t, out, rtpOf(1, 60)), to)
	await(t, "rtp", h.rtp)
	write(t, thief, protect(t, contextOf(t, suite, 7), rtpOf(2, 60)), to)
	write(t, second, protect(t, out, rtpOf(3, 60)), to) // the NAT has changed its mind
	same(t, "rtp", await(t, "rtp", h.rtp), rtpOf(3, 60))
	if got := e.Stats(); got.Remote != secondAddr.String() || got.Dropped["auth"] != 1 {
		t.Errorf("remote %s and %v dropped, want %s and one that does not authenticate", got.Remote, got.Dropped, secondAddr)
	}
}

func TestAnOfferOfKeysMayBeAnsweredWithoutAndBack(t *testing.T) {
	l := startLoop(t, Config{})
	h := newEar()
	peer, addr := newPeer(t)
	suite := control.SuiteAESCM80
	e := open(t, l, control.Transport{RTCPMux: true, Security: control.SDES, Keys: &control.Keys{Suite: suite, Local: material(t, suite, 1)}}, h)
	defer e.Close()
	ports := e.Local().RTP
	update(t, e, func(w *control.Transport) { w.Security, w.Keys, w.Remote = control.Plain, nil, addr })
	write(t, peer, rtpOf(1, 100), ports[0])
	same(t, "plain rtp here", await(t, "rtp", h.rtp), rtpOf(1, 100))
	e.SendRTP([][]byte{rtpOf(2, 100)}, Audio)
	p, _ := read(t, peer)
	same(t, "plain rtp at the peer", p, rtpOf(2, 100))
	update(t, e, func(w *control.Transport) {
		w.Security, w.Keys = control.SDES, &control.Keys{Suite: suite, Local: material(t, suite, 3), Remote: material(t, suite, 4)}
	})
	write(t, peer, protect(t, contextOf(t, suite, 4), rtpOf(3, 100)), ports[0])
	same(t, "protected rtp here", await(t, "rtp", h.rtp), rtpOf(3, 100))
	e.SendRTP([][]byte{rtpOf(4, 100)}, Audio)
	p, _ = read(t, peer)
	plain, err := contextOf(t, suite, 3).UnprotectRTP(p)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "protected rtp at the peer", plain, rtpOf(4, 100))
	if !slices.Equal(e.Local().RTP, ports) {
		t.Errorf("the ports were %v and are %v", ports, e.Local().RTP)
	}
}
