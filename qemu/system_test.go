//go:build qemu

package qemu

import (
	"encoding/binary"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestNamesAndTimeComeFromServersOnTheNetwork: a DNS and an NTP server on the machine's network, of which it is told by commands.
func TestNamesAndTimeComeFromServersOnTheNetwork(t *testing.T) {
	t.Parallel()
	network := newLAN(t, "10.77.0.1/24")
	// The server's clock is 40 days ahead.
	const ahead = 40 * 24 * time.Hour
	network.inside(func() {
		serveNames(t, "10.77.0.1:53", "ntp1.lab.example. 60 IN A 10.77.0.1", "_sip._tcp.lab.example. 60 IN SRV 1 2 5060 ntp1.lab.example.")
		serveTime(t, "10.77.0.1:123", ahead)
	})
	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}}}, {Segment: network.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	m.ssh("ipv4 b add 10.77.0.2/24 10.77.0.1")
	m.ssh("ipv4 b enable")
	m.await("ipv4 b", "10.77.0.2/24")
	m.in("names below a domain are asked of its server", func(m *trial) {
		m.ssh("dns add forwardzone lab.example 10.77.0.1")
		for line, want := range map[string]string{
			"dns lookup a ntp1.lab.example":        "ntp1.lab.example. ",
			"dns lookup srv _sip._tcp.lab.example": "IN SRV 1 2 5060 ntp1.lab.example.",
		} {
			wantContains(m.t, line, m.ssh(line), want)
		}
		m.sshFails("dns lookup a none.lab.example", "there is no name none.lab.example")
	})
	m.in("records of its own come first", func(m *trial) {
		m.ssh(`dns app add rr "ntp2.lab.example. IN A 10.77.0.1"`)
		wantContains(m.t, "the lookup", m.ssh("dns lookup a ntp2.lab.example"), "ntp2.lab.example. 3600 IN A 10.77.0.1")
		wantContains(m.t, "ping by name", m.ssh("ping ntp2.lab.example 1"), "PING ntp2.lab.example (10.77.0.1)")
	})
	m.in("the clock is set by a server with a name, and kept", func(m *trial) {
		m.ssh("ntp server add ntp2.lab.example")
		m.await("ntp status", "Status : synchronized")
		status := m.ssh("ntp status")
		if !regexp.MustCompile(`(?m)^ntp2\.lab\.example  10\.77\.0\.1  used +1 +\d\d\d +[+-]\d`).MatchString(status) {
			m.t.Errorf("ntp status: got\n%s\nwant the server used", status)
		}
		if got, want := m.ssh("date"), time.Now().Add(ahead).UTC().Format("2006-01-02"); !strings.Contains(got, want) {
			m.t.Errorf("date: got %q, want %s in it", got, want)
		}
	})
}

// serveNames answers by UDP and TCP in the calling thread's network.
func serveNames(t *testing.T, address string, records ...string) {
	t.Helper()
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Rcode = dns.RcodeNameError
		for _, s := range records {
			r, err := dns.NewRR(s)
			if err != nil {
				panic(err)
			}
			if strings.EqualFold(r.Header().Name, q.Question[0].Name) {
				m.Rcode = dns.RcodeSuccess
				if r.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, r)
				}
			}
		}
		_ = w.WriteMsg(m)
	})
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: streams, Handler: answer}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
}

// serveTime is an NTP server whose clock goes right, and is ahead of this host's.
func serveTime(t *testing.T, address string, ahead time.Duration) {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		var b [512]byte
		for {
			n, from, err := conn.ReadFrom(b[:])
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			now := time.Now().Add(ahead)
			stamp := uint64(now.Unix()+2_208_988_800)<<32 | uint64(now.Nanosecond())<<32/1_000_000_000
			a := make([]byte, 48)
			a[0], a[1], a[2], a[3] = 4<<3|4, 1, b[2], 0xec
			copy(a[12:], "GPS\x00")
			binary.BigEndian.PutUint64(a[16:], stamp)
			copy(a[24:32], b[40:48])
			binary.BigEndian.PutUint64(a[32:], stamp)
			binary.BigEndian.PutUint64(a[40:], stamp)
			_, _ = conn.WriteTo(a, from)
		}
	}()
}
