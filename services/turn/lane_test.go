package turn

import (
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handLane is a lane that a test drives by hand, with one allocation, its client and its peer.
type handLane struct {
	*lane
	client, peer int
	frame, data  []byte
	p            []byte
}

func newHandLane(t testing.TB, size int) *handLane {
	t.Helper()
	runtime.LockOSThread()
	s := NewServer(func(string) {})
	s.own.Store(newOwn(Plan{Relay4: loopback, Addresses: []netip.Addr{loopback}}))
	v := &site{}
	l, err := newLane(s, v, netip.AddrPortFrom(loopback, 0), -1)
	if err != nil {
		t.Fatal(err)
	}
	l.running, l.thread = true, unix.Gettid()
	local := func(fd int) address {
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		return address{ipOf(loopback), uint16(name.(*unix.SockaddrInet4).Port)}
	}
	open := func() int {
		fd, err := openSocket(netip.AddrPortFrom(loopback, 0), 4<<20, false)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	h := &handLane{lane: l, client: open(), peer: open(), p: make([]byte, 2048)}
	a := &allocation{site: v, client: local(h.client)}
	a.routes.Store(noRoutes)
	err = s.ports.take(func(port uint16) error {
		a.port = port
		_, err := l.open(a, loopback, port)
		return err
	}, portTaken)
	if err != nil {
		t.Fatal(err)
	}
	s.begin(a)
	a.permit(ipOf(loopback))
	a.bind(s.channel(0x4000, local(h.peer)))
	connect := func(fd int, to address) {
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.port), Addr: loopback.As4()}); err != nil {
			t.Fatal(err)
		}
	}
	connect(h.client, local(l.fd))
	connect(h.peer, address{ipOf(loopback), a.port})
	h.frame = channelFrame(0x4000, strings.Repeat("x", size))
	h.data = h.frame[4:]
	t.Cleanup(func() {
		l.drop(a.fast)
		l.release()
		unix.Close(h.client)
		unix.Close(h.peer)
		runtime.UnlockOSThread()
	})
	return h
}

// round sends n packets each way, lets the lane carry them and takes them out; it says how many came.
func (h *handLane) round(n int) (came int) {
	for range n {
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(h.client), uintptr(address0(h.frame)), uintptr(len(h.frame)))
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(h.peer), uintptr(address0(h.data)), uintptr(len(h.data)))
	}
	for k := pollNow(h.epoll, &h.events); k > 0; k = pollNow(h.epoll, &h.events) {
		h.carry(k)
		h.fromClients(h.p)
	}
	for _, fd := range []int{h.client, h.peer} {
		for {
			k, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(address0(h.p)), uintptr(len(h.p)), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
			if errno != 0 {
				break
			}
			came += max(1, int(k)/len(h.data))
		}
	}
	return came
}

func TestTheFastPathTakesNoMemory(t *testing.T) {
	h := newHandLane(t, 1000)
	if got := h.round(16); got != 32 {
		t.Fatalf("wanted 32 packets carried, got %d", got)
	}
	if n := testing.AllocsPerRun(100, func() { h.round(8) }); n != 0 {
		t.Errorf("wanted no allocation for 16 packets, got %v", n)
	}
}

func BenchmarkForward(b *testing.B) {
	for _, c := range []struct{ size, burst int }{{200, 1}, {1000, 17}} {
		b.Run(strconv.Itoa(c.size)+"B in bursts of "+strconv.Itoa(c.burst), func(b *testing.B) {
			h := newHandLane(b, c.size)
			b.ReportAllocs()
			for range b.N {
				h.round(c.burst)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*2*c.burst), "ns/packet")
		})
	}
}

func address0(b []byte) unsafe.Pointer { return unsafe.Pointer(&b[0]) }
