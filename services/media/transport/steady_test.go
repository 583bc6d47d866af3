package transport

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"rotunda/services/media/control"
)

// counter is a Handler that only counts, so that nothing but the transport is measured.
type counter struct{ n atomic.Int64 }

func (c *counter) RTP([]byte, time.Time)             { c.n.Add(1) }
func (c *counter) RTCP([]byte, time.Time)            { c.n.Add(1) }
func (c *counter) State(string, string, string)      {}
func (c *counter) Candidates(control.TransportState) {}
func (c *counter) Batch(time.Time)                   {}
func (c *counter) Flood(uint64)                      {}

// still is a loop that nobody runs: the test is its thread.
func still(t testing.TB) *Loop {
	t.Helper()
	l, err := NewLoop(Config{FirstPort: 20000, LastPort: 50000, Flood: 1e9})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// secured gives a transport with a suite, plain for "".
func secured(t testing.TB, suite string) control.Transport {
	tr := control.Transport{RTCPMux: true, Local: []netip.Addr{loopback}}
	if suite != "" {
		tr.Security = control.SDES
		tr.Keys = &control.Keys{Suite: suite, Local: material(t, suite, 1), Remote: material(t, suite, 1)}
	}
	return tr
}

// number gives packets new sequence numbers, as SRTP wants.
func number(packets [][]byte, next *uint16) {
	for _, p := range packets {
		*next++
		p[2], p[3] = byte(*next>>8), byte(*next)
	}
}

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	for _, suite := range append([]string{""}, suites...) {
		l := still(t)
		h := new(counter)
		receiver := open(t, l, secured(t, suite), h)
		tr := secured(t, suite)
		tr.Remote = receiver.Local().RTP[0]
		tr.DSCP.Video = 34
		sender := open(t, l, tr, h)
		packets := make([][]byte, 10)
		for i := range packets {
			packets[i] = rtpOf(uint16(i), 1160)
		}
		var next uint16
		at := receiver.sockets[0][0]
		exchange := func() {
			number(packets, &next)
			sender.SendRTP(packets, Video)
			sender.SendRTP(packets[:0], Audio)
			l.receive(at, time.Now())
		}
		exchange()
		before := h.n.Load()
		if got := testing.AllocsPerRun(100, exchange); got != 0 {
			t.Errorf("suite %q: %v allocations for ten packets out and in, want none", suite, got)
		}
		if got := h.n.Load() - before; got != 1010 {
			t.Errorf("suite %q: %d packets came, want 1010", suite, got)
		}
	}
}

func TestAPlainSourceThatFallsSilentGivesWay(t *testing.T) {
	l := still(t)
	h := newEar()
	e := open(t, l, control.Transport{RTCPMux: true, Latch: true}, h)
	s := e.sockets[0][0]
	first, second := newSockaddr(netip.MustParseAddrPort("127.0.0.1:1000")), newSockaddr(netip.MustParseAddrPort("127.0.0.1:1001"))
	now := time.Now()
	for _, c := range []struct {
		from  *sockaddr
		after time.Duration
		taken bool
	}{
		{&first, 0, true},
		{&second, 0, false},
		{&second, silence, false},
		{&first, silence, true}, // just in time
		{&second, 2 * silence, false},
		{&second, 2*silence + 1, true},
		{&first, 2*silence + 2, false},
	} {
		e.input(s, rtpOf(1, 60), c.from, now.Add(c.after))
		if got := len(h.rtp) == 1; got != c.taken {
			t.Errorf("packet from %v after %v: taken %v, want %v", c.from.addrPort(), c.after, got, c.taken)
		}
		for len(h.rtp) > 0 {
			<-h.rtp
		}
	}
	if got := e.Stats().Remote; got != "127.0.0.1:1001" {
		t.Errorf("remote %s, want the second source", got)
	}
}

func TestStatesFollowFromTheParts(t *testing.T) {
	for _, c := range []struct {
		p             phase
		keyed, remote bool
		want          string
	}{
		{phase{}, true, true, "connected"},
		{phase{}, true, false, "checking"},
		{phase{}, false, true, "checking"},
		{phase{ice: running}, true, true, "checking"},
		{phase{ice: done}, true, true, "connected"},
		{phase{ice: done, dtls: running}, false, true, "checking"},
		{phase{ice: running, dtls: done}, true, true, "checking"}, // a restart
		{phase{ice: done, dtls: done}, true, true, "connected"},
		{phase{ice: failed, dtls: done}, true, false, "failed"},
		{phase{ice: done, dtls: failed}, false, true, "failed"},
		{phase{ice: done, dtls: ended}, true, true, "closed"},
		{phase{ice: failed, dtls: ended}, true, false, "failed"},
	} {
		if got := stateOf(c.p, c.keyed, c.remote); got != c.want {
			t.Errorf("%+v, keys %v, remote %v: %s, want %s", c.p, c.keyed, c.remote, got, c.want)
		}
	}
}

func TestNotesTellArrivalAndSize(t *testing.T) {
	now := time.Now()
	wall := now.UnixNano()
	stamp := func(at int64) []byte {
		b := make([]byte, unix.CmsgSpace(16))
		putControl(b, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 4, 0)
		(*unix.Cmsghdr)(unsafe.Pointer(&b[0])).SetLen(unix.CmsgLen(16))
		binary.NativeEndian.PutUint64(b[16:], uint64(at/1e9))
		binary.NativeEndian.PutUint64(b[24:], uint64(at%1e9))
		return b
	}
	train := make([]byte, unix.CmsgSpace(4))
	putControl(train, unix.IPPROTO_UDP, unix.UDP_GRO, 4, 1160)
	for _, c := range []struct {
		name  string
		notes []byte
		age   time.Duration
		size  int
	}{
		{"none", nil, 0, 0},
		{"7 ms ago", stamp(wall - 7e6), 7 * time.Millisecond, 0},
		{"in the future", stamp(wall + 1e6), 0, 0},
		{"before the clock was set", stamp(wall - 3600e9), 0, 0},
		{"a train of 3 ms ago", slices.Concat(stamp(wall-3e6), train), 3 * time.Millisecond, 1160},
		{"a train, the other way round", slices.Concat(train, stamp(wall-3e6)), 3 * time.Millisecond, 1160},
		{"cut short", stamp(wall - 7e6)[:20], 0, 0},
		{"of another kind", make([]byte, 32), 0, 0},
	} {
		at, size := readNotes(c.notes, now, wall)
		if age := now.Sub(at); age != c.age || size != c.size {
			t.Errorf("%s: age %v and size %d, want %v and %d", c.name, age, size, c.age, c.size)
		}
	}
}

// The benchmarks move packets over loopback on one thread and report time per packet, the kernel's part included.

func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{200, 1160} {
		for _, suite := range []string{"", control.SuiteAEAD128, control.SuiteAESCM80} {
			b.Run(fmt.Sprintf("%d/%s", size, cmp.Or(suite, "plain")), func(b *testing.B) {
				l := still(b)
				h := new(counter)
				receiver := open(b, l, secured(b, suite), h)
				tr := secured(b, suite)
				tr.Remote = receiver.Local().RTP[0]
				sender := open(b, l, tr, h)
				packets := make([][]byte, 16)
				for i := range packets {
					packets[i] = rtpOf(uint16(i), size)
				}
				var next uint16
				var spent time.Duration
				b.ReportAllocs()
				for range b.N {
					number(packets, &next)
					sender.SendRTP(packets, Video)
					start := time.Now()
					l.receive(receiver.sockets[0][0], start)
					spent += time.Since(start)
				}
				b.ReportMetric(float64(spent.Nanoseconds())/float64(h.n.Load()), "ns/packet")
			})
		}
		b.Run(fmt.Sprintf("%d/net.UDPConn", size), func(b *testing.B) {
			peer, addr := newPeer(b)
			sender, _ := newPeer(b)
			packet := rtpOf(1, size)
			var p [2048]byte
			var spent time.Duration
			b.ReportAllocs()
			for range b.N {
				for range 16 {
					write(b, sender, packet, addr)
				}
				start := time.Now()
				for range 16 {
					if _, _, err := peer.ReadFrom(p[:]); err != nil {
						b.Fatal(err)
					}
				}
				spent += time.Since(start)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(16*b.N), "ns/packet")
		})
	}
}

// forwarder sends on what it gets, as soon as a batch is through.
type forwarder struct {
	counter
	packets [][]byte
}

func (f *forwarder) RTP(p []byte, _ time.Time) {
	f.packets = append(f.packets, p)
}

// BenchmarkForward is a packet in and out again: what the figures of earlier measurements are about.
func BenchmarkForward(b *testing.B) {
	for _, c := range []struct{ count, size int }{{1, 200}, {16, 200}, {16, 1160}} {
		b.Run(fmt.Sprintf("%dx%d/loop", c.count, c.size), func(b *testing.B) {
			l := still(b)
			f := new(forwarder)
			tr := secured(b, "")
			tr.Remote = sink(b)
			e := open(b, l, tr, f)
			tr.Remote = e.Local().RTP[0]
			source := open(b, l, tr, new(counter))
			packets := make([][]byte, c.count)
			for i := range packets {
				packets[i] = rtpOf(uint16(i), c.size)
			}
			n := 0
			var spent time.Duration
			b.ReportAllocs()
			for range b.N {
				source.SendRTP(packets, Video)
				start := time.Now()
				l.receive(e.sockets[0][0], start)
				e.SendRTP(f.packets, Video)
				spent += time.Since(start)
				n += len(f.packets)
				f.packets = f.packets[:0]
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "ns/packet")
		})
		b.Run(fmt.Sprintf("%dx%d/net.UDPConn", c.count, c.size), func(b *testing.B) {
			relay, addr := newPeer(b)
			source, _ := newPeer(b)
			to := net.UDPAddrFromAddrPort(sink(b))
			packet := rtpOf(1, c.size)
			var p [2048]byte
			var spent time.Duration
			b.ReportAllocs()
			for range b.N {
				for range c.count {
					write(b, source, packet, addr)
				}
				start := time.Now()
				for range c.count {
					n, _, err := relay.ReadFrom(p[:])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := relay.WriteTo(p[:n], to); err != nil {
						b.Fatal(err)
					}
				}
				spent += time.Since(start)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*c.count), "ns/packet")
		})
	}
}

// sink takes packets and throws them away when its buffer is full: what is measured is sending.
func sink(b *testing.B) netip.AddrPort {
	peer, addr := newPeer(b)
	if err := peer.SetReadBuffer(4096); err != nil {
		b.Fatal(err)
	}
	return addr
}

func BenchmarkSend(b *testing.B) {
	for _, c := range []struct{ count, size int }{{1, 200}, {20, 1160}} {
		for _, gso := range []bool{true, false} {
			if gso && c.count == 1 {
				continue
			}
			for _, suite := range []string{"", control.SuiteAEAD128, control.SuiteAESCM80} {
				name := fmt.Sprintf("%dx%d/%s", c.count, c.size, cmp.Or(suite, "plain"))
				if gso {
					name += "/gso"
				}
				b.Run(name, func(b *testing.B) {
					l := still(b)
					tr := secured(b, suite)
					tr.Remote = sink(b)
					e := open(b, l, tr, new(counter))
					e.sockets[0][0].noGSO.Store(!gso)
					packets := make([][]byte, c.count)
					for i := range packets {
						packets[i] = rtpOf(uint16(i), c.size)
					}
					var next uint16
					b.ReportAllocs()
					b.ResetTimer()
					for range b.N {
						number(packets, &next)
						e.SendRTP(packets, Video)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.count), "ns/packet")
				})
			}
		}
		b.Run(fmt.Sprintf("%dx%d/net.UDPConn", c.count, c.size), func(b *testing.B) {
			sender, _ := newPeer(b)
			to := net.UDPAddrFromAddrPort(sink(b))
			packet := rtpOf(1, c.size)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				for range c.count {
					if _, err := sender.WriteTo(packet, to); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.count), "ns/packet")
		})
	}
}
