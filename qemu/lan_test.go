//go:build qemu

package qemu

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// lan is a network of its own with real programs on it: a network namespace with a device whose other end is a card of the machine. What
// runs in it has addresses that the machine can call back, which QEMU's user network cannot offer.
type lan struct {
	t *testing.T
	// name of the namespace, for "ip netns exec".
	name string
	// cable goes into [NIC.Segment].
	cable *Segment
	// host is the address of this side.
	host netip.Prefix
	// watch holds a func([]byte) that sees each frame of the machine.
	watch atomic.Value
}

var lans atomic.Int32

// newLAN makes a network in which this side has an address.
func newLAN(t *testing.T, host string) *lan {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	l := newNamespace(t)
	l.host = netip.MustParsePrefix(host)
	var tap *os.File
	var err error
	if l.inside(func() { tap, err = openTAP("tap0") }); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"address add " + host + " dev tap0", "link set tap0 up"} {
		l.run(append([]string{"ip"}, strings.Fields(line)...)...)
	}
	l.cable = NewSegment(func(_ *Segment, frame []byte) {
		if see, ok := l.watch.Load().(func([]byte)); ok {
			see(frame)
		}
		// A device that is full drops, as a network does.
		_, _ = tap.Write(frame)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		frame := make([]byte, maxFrame)
		for {
			n, err := tap.Read(frame)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			_ = l.cable.Send(frame[:n]) // before the cable is plugged in and after the machine is gone nobody hears
		}
	}()
	t.Cleanup(func() {
		_ = tap.Close()
		<-done
	})
	return l
}

// newNamespace makes a network without any cable.
func newNamespace(t *testing.T) *lan {
	t.Helper()
	l := &lan{t: t, name: fmt.Sprintf("rotunda%d-%d", os.Getpid(), lans.Add(1))}
	l.command("ip", "netns", "add", l.name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", l.name).Run() })
	l.run("ip", "link", "set", "lo", "up")
	return l
}

// openTAP makes a device for Ethernet frames in the calling thread's network namespace.
func openTAP(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// inside runs a function in the namespace, in the calling goroutine, which must be the test's own. Sockets that are opened and programs that
// are started in it stay there. The goroutine keeps its thread from then on, since what it started may be bound to the thread's life.
func (l *lan) inside(f func()) {
	l.t.Helper()
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		l.t.Fatalf("look for the network of this test: %v", err)
	}
	defer home.Close()
	there, err := netns.GetFromName(l.name)
	if err == nil {
		err = netns.Set(there)
		there.Close()
	}
	if err != nil {
		l.t.Fatalf("enter network %s: %v", l.name, err)
	}
	defer func() {
		if err := netns.Set(home); err != nil {
			l.t.Errorf("leave network %s: %v", l.name, err)
		}
	}()
	f()
}

// run runs a program on the network.
func (l *lan) run(args ...string) string {
	l.t.Helper()
	return l.command(append([]string{"ip", "netns", "exec", l.name}, args...)...)
}

func (l *lan) command(args ...string) string {
	l.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
