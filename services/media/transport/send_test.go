package transport

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
)

func TestBurstsArriveByteForByte(t *testing.T) {
	l := startLoop(t, Config{})
	peer, addr := newPeer(t)
	if err := peer.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr}, newEar())
	many := func(n, size int) (sizes []int) { return slices.Repeat([]int{size}, n) }
	for _, c := range []struct {
		name  string
		sizes []int
	}{
		{"one", []int{172}},
		{"equal sizes", many(10, 1160)},
		{"a smaller last one", append(many(10, 1160), 33)},
		{"two runs", append(append(many(5, 1160), 90), many(4, 700)...)},
		{"growing sizes", []int{100, 200, 300, 400}},
		{"falling sizes", []int{400, 300, 200, 100}},
		{"64 segments and more", many(70, 200)},
		{"64 kilobytes and more", many(60, 1200)},
		{"larger than the path, in one run", many(3, 1460)},
	} {
		for _, gso := range []bool{true, false} {
			e.sockets[0][0].noGSO.Store(!gso)
			var packets [][]byte
			for i, size := range c.sizes {
				packets = append(packets, rtpOf(uint16(i), size))
			}
			e.SendRTP(packets, Video)
			for i, want := range packets {
				got, _ := read(t, peer)
				if !slices.Equal(got, want) {
					t.Fatalf("%s, gso %v: packet %d has %d bytes, want %d, or differs in content", c.name, gso, i, len(got), len(want))
				}
			}
		}
	}
	if s := e.Stats(); len(s.Dropped) != 0 {
		t.Errorf("dropped %v", s.Dropped)
	}
}

func TestRunsAreWhatOneGSOMessageMayCarry(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		want  []int
	}{
		{[]int{100}, []int{1}},
		{[]int{100, 100, 100}, []int{3}},
		{[]int{100, 100, 40}, []int{3}},
		{[]int{100, 100, 40, 40}, []int{3, 1}},
		{[]int{40, 100, 100}, []int{1, 2}},
		{[]int{3, 2, 1}, []int{2, 1}},
	} {
		b := new(burst)
		for _, size := range c.sizes {
			b.add(size)
		}
		m := b.build(0, true, unix.AF_INET, 0)
		if got := b.runs[:m]; !slices.Equal(got, c.want) {
			t.Errorf("sizes %v go out as runs of %v packets, want %v", c.sizes, got, c.want)
		}
		if m := b.build(1, false, unix.AF_INET, 0); m != len(c.sizes)-1 {
			t.Errorf("sizes %v without the first and without GSO: %d messages, want %d", c.sizes, m, len(c.sizes)-1)
		}
	}
}

func TestDSCPFollowsTheClass(t *testing.T) {
	l := startLoop(t, Config{})
	peer, addr := newPeer(t)
	raw, err := peer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1) }); err != nil {
		t.Fatal(err)
	}
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr}, newEar())
	tos := func() int {
		var p, oob [2048]byte
		_, n, _, _, err := peer.ReadMsgUDP(p[:], oob[:])
		if err != nil {
			t.Fatal(err)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(messages) != 1 {
			t.Fatalf("%d control messages, %v: want the type of service", len(messages), err)
		}
		return int(messages[0].Data[0])
	}
	two := [][]byte{rtpOf(1, 100), rtpOf(2, 100)}
	e.SendRTP(two, Video)
	if a, b := tos(), tos(); a != 0 || b != 0 {
		t.Errorf("type of service %#x and %#x, want 0 by default", a, b)
	}
	if err := e.Update(control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, Remote: addr, DSCP: control.DSCP{Audio: 46, Video: 34}}); err != nil {
		t.Fatal(err)
	}
	for class, want := range map[Class]int{Audio: 46 << 2, Video: 34 << 2, Presentation: 0} {
		e.SendRTP(two, class)
		if a, b := tos(), tos(); a != want || b != want {
			t.Errorf("class %d: type of service %#x and %#x, want %#x", class, a, b, want)
		}
		e.SendRTCP(reportOf(), class)
		if got := tos(); got != want {
			t.Errorf("class %d: type of service of rtcp %#x, want %#x", class, got, want)
		}
	}
	apart := control.DSCP{Audio: 46, Video: 34, Apart: true, Six: control.DSCPSix{Audio: 1, Presentation: 2}}
	if err := e.Update(control.Transport{Local: []netip.Addr{loopback}, RTCPMux: true, Remote: addr, DSCP: apart}); err != nil {
		t.Fatal(err)
	}
	for class, want := range map[Class][2]uint8{Audio: {46, 1}, Video: {34, 0}, Presentation: {0, 2}, classes: {}} {
		if got := [2]uint8{e.point(class, unix.AF_INET), e.point(class, unix.AF_INET6)}; got != want {
			t.Errorf("class %d: %d in IPv4 and in IPv6, want %d", class, got, want)
		}
	}
	e.SendRTP(two, Audio)
	if a, b := tos(), tos(); a != 46<<2 || b != 46<<2 {
		t.Errorf("type of service %#x and %#x, want that of IPv4", a, b)
	}
}

func TestPacketsThatCannotBeSentAreCounted(t *testing.T) {
	l := startLoop(t, Config{})
	_, addr := newPeer(t)
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr}, newEar())
	e.SendRTP([][]byte{make([]byte, 70000), nil, rtpOf(1, 100)}, Video)
	if s := e.Stats(); s.Dropped["send"] != 2 || s.PacketsSent != 1 {
		t.Errorf("%d sent and %v dropped, want 1 and 2", s.PacketsSent, s.Dropped)
	}
	// More than the kernel has room for, to a peer who does not read, never blocks.
	packets := make([][]byte, 64)
	for i := range packets {
		packets[i] = rtpOf(uint16(i), 1000)
	}
	for range 200 {
		e.SendRTP(packets, Video)
	}
	if s := e.Stats(); s.PacketsSent+s.Dropped["send"] != 3+200*64 {
		t.Errorf("%d sent and %v dropped, want %d together", s.PacketsSent, s.Dropped, 3+200*64)
	}
}

func TestManyThreadsSendOnOneEndpoint(t *testing.T) {
	l := startLoop(t, Config{})
	suite := control.SuiteAEAD128
	peer, addr := newPeer(t)
	if err := peer.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	e := open(t, l, control.Transport{RTCPMux: true, Remote: addr, Security: control.SDES,
		Keys: &control.Keys{Suite: suite, Local: material(t, suite, 1), Remote: material(t, suite, 2)}}, newEar())
	done := make(chan struct{})
	for thread := range byte(4) {
		go func() {
			for n := range uint16(50) {
				p := rtpOf(n, 40+rand.IntN(100))
				p[11] = thread // an SSRC of its own
				e.SendRTP([][]byte{p}, Class(thread%3))
			}
			done <- struct{}{}
		}()
	}
	in := contextOf(t, suite, 1)
	next := map[byte]byte{}
	for range 200 {
		p, _ := read(t, peer)
		plain, err := in.UnprotectRTP(p)
		if err != nil {
			t.Fatal(err)
		}
		if plain[3] != next[plain[11]] {
			t.Errorf("thread %d: packet %d, want %d", plain[11], plain[3], next[plain[11]])
		}
		next[plain[11]]++
	}
	for range 4 {
		<-done
	}
}
