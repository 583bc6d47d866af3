package sip

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// closedUDP is an address at which nobody listens: the kernel says so by ICMP.
func closedUDP(t *testing.T, host string) Target {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Skip("no such address here:", err)
	}
	defer c.Close()
	return Target{Transport: UDP, Address: addrPort(c.LocalAddr())}
}

func TestAClosedPortIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	// With the usual timers, so that nothing but the error of the network can end it in time.
	for _, host := range []string{"127.0.0.1", "::1"} {
		e := newEnd(t, unhurried, func(o *Options) {
			if host == "::1" {
				o.Listen = append(o.Listen, Listen{UDP, netip.MustParseAddrPort("[::1]:0")})
			}
		})
		p := e.call(closedUDP(t, host))
		if end := p.over(); !end.Unreachable || end.Timeout || !errors.Is(end.Err, syscall.ECONNREFUSED) {
			t.Errorf("%s: told %+v", host, end)
		}
		e.empty()
	}
}

// TestErrorsOfOthersLoseNothing has many datagrams to closed ports beside a call: each of their errors takes the place of one that is sent, which is sent
// again.
func TestErrorsOfOthersLoseNothing(t *testing.T) {
	t.Parallel()
	e, far := newEnd(t, unhurried), newEnd(t, unhurried)
	closed := closedUDP(t, "127.0.0.1")
	for range 20 {
		lost := make([]*party, 5)
		for i := range lost {
			lost[i] = e.call(closed)
		}
		from, to := up(t, e, far, UDP)
		from.call.Hangup("")
		to.over()
		from.over()
		for _, p := range lost {
			if end := p.over(); !end.Unreachable || end.Timeout {
				t.Errorf("told %+v", end)
			}
		}
	}
}

// icmp is a message of the kernel's queue of errors.
func icmp(origin, kind, code byte, errno syscall.Errno) []byte {
	b := make([]byte, unix.CmsgSpace(16))
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	c.Level, c.Type = unix.SOL_IP, unix.IP_RECVERR
	c.SetLen(unix.CmsgLen(16))
	data := b[unix.CmsgLen(0):]
	data[0], data[4], data[5], data[6] = byte(errno), origin, kind, code
	return b
}

func TestWhatCountsAsUnreachable(t *testing.T) {
	for _, c := range []struct {
		origin, kind, code byte
		want               bool
	}{
		{unix.SO_EE_ORIGIN_ICMP, 3, 3, true}, {unix.SO_EE_ORIGIN_ICMP, 3, 1, true}, {unix.SO_EE_ORIGIN_ICMP, 3, 13, true},
		{unix.SO_EE_ORIGIN_ICMP, 3, 4, false},  // too long for a hop
		{unix.SO_EE_ORIGIN_ICMP, 11, 0, false}, // too many hops, which RFC 3261 18.4 has ignored
		{unix.SO_EE_ORIGIN_ICMP6, 1, 4, true}, {unix.SO_EE_ORIGIN_ICMP6, 2, 0, false},
		{unix.SO_EE_ORIGIN_LOCAL, 3, 3, false}, {unix.SO_EE_ORIGIN_TIMESTAMPING, 3, 3, false},
	} {
		errno, ok := unreachable(icmp(c.origin, c.kind, c.code, syscall.ECONNREFUSED))
		if ok != c.want || ok && errno != syscall.ECONNREFUSED {
			t.Errorf("origin %d, type %d, code %d: %v %v, wanted %v", c.origin, c.kind, c.code, errno, ok, c.want)
		}
	}
	if _, ok := unreachable([]byte{1, 2, 3}); ok {
		t.Error("three bytes are taken for an error")
	}
}

// TestErrorsThatAreMadeUp gives the agent errors as somebody else on the network would write them.
func TestErrorsThatAreMadeUp(t *testing.T) {
	t.Parallel()
	e := newEnd(t, unhurried)
	r := newRaw(t, e)
	to := mustAddr(r.here())
	p := e.call(r.target())
	i := r.get("INVITE")
	other := strings.Replace(i, "z9hG4bK", "z9hG4bKz", 1)
	e.undelivered([]byte(other), to, syscall.ECONNREFUSED)                                           // the branch is another
	e.undelivered([]byte(i), netip.AddrPortFrom(to.Addr(), to.Port()^1), syscall.ECONNREFUSED)       // it went elsewhere
	e.undelivered([]byte(i)[:strings.Index(i, "branch=")+9], to, syscall.ECONNREFUSED)               // too short to tell
	e.undelivered([]byte(strings.Replace(i, "INVITE", "CANCEL", 1)), to, syscall.ECONNREFUSED)       // nothing of the kind was sent
	e.undelivered([]byte("INVITE sip:a SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n"), to, syscall.ECONNREFUSED) // nothing of ours
	r.send(respond(i, "180 Ringing", "t", "Contact: <sip:t@HERE>\n", ""))
	p.wants("ringing 180")
	e.undelivered([]byte(i), to, syscall.ECONNREFUSED) // somebody is there, as we have heard
	r.send(respond(i, "200 OK", "t", "Contact: <sip:t@HERE>\n", "answer"))
	p.wants("answered answer", "confirmed")
	r.get("ACK")
	// In a call that is up, one request is lost at the most.
	p.call.Info("text/plain", []byte("x"))
	e.undelivered([]byte(r.get("INFO")), to, syscall.ECONNREFUSED)
	p.call.Reoffer([]byte("offer again"))
	again := r.get("INVITE")
	e.undelivered([]byte(again), to, syscall.ECONNREFUSED)
	p.wants("refused 503")
	p.call.Hangup("")
	r.get("BYE")
	p.wants("ended")
}

func FuzzQuoted(f *testing.F) {
	f.Add([]byte("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n"), []byte{1})
	f.Add([]byte("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192."), icmp(2, 3, 3, syscall.ECONNREFUSED))
	f.Fuzz(func(t *testing.T, b, control []byte) {
		method, branch, ok := quoted(b)
		if ok && (branch == "" || !strings.HasPrefix(string(b), method+" ") || !strings.Contains(string(b), branch)) {
			t.Errorf("%q: %q %q", b, method, branch)
		}
		unreachable(control)
	})
}
