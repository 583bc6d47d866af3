package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inOwnNetwork runs a test in a network namespace with a loopback interface and echo requests
// allowed.
func inOwnNetwork(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace of its own needs root")
	}
	// The thread is given up with the goroutine: nothing else must run in the namespace.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("network namespaces are not available: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0o644); err != nil {
		t.Skipf("echo requests cannot be allowed: %v", err)
	}
}

var loopbacks = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}

func TestPingOfTheLoopbackIsAnswered(t *testing.T) {
	inOwnNetwork(t)
	for _, to := range loopbacks {
		var got []Echo
		if err := (Prober{}).Ping(t.Context(), to, 1, func(e Echo) { got = append(got, e) }); err != nil {
			t.Errorf("ping %s: %v", to, err)
			continue
		}
		if len(got) != 1 || got[0].From != to || got[0].Problem != "" || got[0].Bytes != 64 || got[0].Hops == 0 || got[0].RTT <= 0 {
			t.Errorf("ping %s: wanted one answer of 64 bytes from there, got %+v", to, got)
		}
	}
}

func TestRouteToTheLoopbackIsOneHop(t *testing.T) {
	inOwnNetwork(t)
	for _, to := range loopbacks {
		var got []Hop
		if err := (Prober{}).Trace(t.Context(), to, func(h Hop) { got = append(got, h) }); err != nil {
			t.Errorf("trace %s: %v", to, err)
			continue
		}
		if len(got) != 1 || got[0].Number != 1 || !got[0].Reached() {
			t.Fatalf("trace %s: wanted one hop, got %+v", to, got)
		}
		for _, a := range got[0].Answers {
			if a.From != to || a.Problem != "" {
				t.Errorf("trace %s: wanted three answers from there, got %+v", to, got[0].Answers)
			}
		}
	}
}

func TestUnreachableNetworkIsAnErrorAtOnce(t *testing.T) {
	inOwnNetwork(t)
	for _, to := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		if err := (Prober{}).Ping(t.Context(), to, 1, func(Echo) {}); !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("ping %s: wanted ENETUNREACH, got %v", to, err)
		}
		if err := (Prober{}).Trace(t.Context(), to, func(Hop) {}); !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("trace %s: wanted ENETUNREACH, got %v", to, err)
		}
	}
}

func TestEndOfTheContextEndsAWaitAtOnce(t *testing.T) {
	inOwnNetwork(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/icmp_echo_ignore_all", []byte("1"), 0o644); err != nil {
		t.Skipf("the loopback cannot be silenced: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := (Prober{}).Ping(ctx, loopbacks[0], 1000, func(Echo) {})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping: wanted the context's error, got %v", err)
	}
	if d := time.Since(begin); d > echoTimeout {
		t.Errorf("ping: wanted it to end with its context, it took %v", d)
	}
}

func TestICMPErrorsAreNamed(t *testing.T) {
	const v4, v6 = unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6
	for _, test := range []struct {
		origin, kind, code uint8
		want               string
	}{
		{v4, 11, 0, "time exceeded"}, {v4, 3, 0, "network unreachable"}, {v4, 3, 1, "host unreachable"},
		{v4, 3, 2, "protocol unreachable"}, {v4, 3, 3, "port unreachable"}, {v4, 3, 4, "fragmentation needed, MTU 1400"},
		{v4, 3, 13, "administratively prohibited"}, {v4, 5, 1, "ICMP type 5 code 1"},
		{v6, 3, 0, "time exceeded"}, {v6, 2, 0, "packet too big, MTU 1400"}, {v6, 1, 0, "no route"},
		{v6, 1, 1, "administratively prohibited"}, {v6, 1, 3, "host unreachable"}, {v6, 1, 4, "port unreachable"},
		{v6, 4, 1, "ICMPv6 type 4 code 1"},
	} {
		if got := problem(&unix.SockExtendedErr{Origin: test.origin, Type: test.kind, Code: test.code, Info: 1400}); got != test.want {
			t.Errorf("origin %d type %d code %d: wanted %q, got %q", test.origin, test.kind, test.code, test.want, got)
		}
	}
}

func FuzzControl(f *testing.F) {
	extended := make([]byte, 16+16)
	extended[4], extended[5], extended[16] = unix.SO_EE_ORIGIN_ICMP, 11, unix.AF_INET
	f.Add(int32(unix.SOL_IP), int32(unix.IP_RECVERR), extended)
	f.Add(int32(unix.SOL_IP), int32(unix.IP_TTL), []byte{64, 0, 0, 0})
	f.Add(int32(unix.SOL_IPV6), int32(unix.IPV6_RECVERR), slices.Concat(extended, make([]byte, 12)))
	f.Fuzz(func(t *testing.T, level, kind int32, data []byte) {
		var e event
		(&socket{}).control(unix.SocketControlMessage{Header: unix.Cmsghdr{Level: level, Type: kind}, Data: data}, &e)
		if e.from.IsValid() && e.err == nil {
			t.Errorf("wanted no sender without an error, got %v", e.from)
		}
		_ = isEcho(data, 0, 1, make([]byte, echoData))
	})
}
