package turn

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"
)

var uclientResult = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)\n(?:.*\n)*?.*Total transmit time`)

// TestCoturnsClient runs the client of Debian's coturn between pairs of its own relays: RTP and RTCP ports, permissions,
// channels, Send indications, refreshes.
func TestCoturnsClient(t *testing.T) {
	program, err := exec.LookPath("turnutils_uclient")
	if err != nil {
		t.Skip("turnutils_uclient of the package coturn is not installed")
	}
	for _, c := range []struct {
		name   string
		fast   bool
		secret bool
		args   []string
		tcp    bool
	}{
		{name: "UDP", fast: true},
		{name: "UDP, Send indications", fast: true, args: []string{"-s"}},
		{name: "UDP, short-term secret", fast: true, secret: true},
		{name: "UDP, without the fast path"},
		{name: "TCP", fast: true, args: []string{"-t"}, tcp: true},
		{name: "TCP, short-term secret", fast: true, secret: true, args: []string{"-t"}, tcp: true},
		// The client waits for the socket while messages wait inside of its TLS, so that it loses some, whoever the server is.
		{name: "TLS", fast: true, args: []string{"-t", "-S", "-c", "-z", "20"}, tcp: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the client takes five seconds whatever it does
			s, p := serveWay(t, c.fast, func(p *Plan) {
				if c.secret {
					p.Secret = "mysharedsecret"
				}
			})
			port := p.Port
			if c.tcp {
				port = p.TLSPort
			}
			args := append([]string{"-y", "-m", "2", "-n", "10", "-l", "200", "-z", "5", "-p", strconv.Itoa(port)}, c.args...)
			if c.secret {
				args = append(args, "-u", "joe", "-W", "mysharedsecret")
			} else {
				args = append(args, "-u", "admin", "-w", "secret")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, program, append(args, "127.0.0.1")...).CombinedOutput()
			found := uclientResult.FindSubmatch(out)
			if err != nil || found == nil {
				t.Fatalf("wanted a result, got %v\n%s", err, out)
			}
			sent, _ := strconv.Atoi(string(found[1]))
			received, _ := strconv.Atoi(string(found[2]))
			lost := sent - received
			allowed := 0
			if c.name == "TLS" {
				allowed = 10
			}
			if sent < 20 || lost > allowed {
				t.Errorf("wanted 20 messages or more received, got %d of %d\n%s", received, sent, out)
			}
			if n := metric(s, `turn_packets_total{direction="between_relays"}`); n < uint64(received) {
				t.Errorf("wanted them carried between relays, got %d of %d", n, received)
			}
		})
	}
}

// TestPionsClient talks through the server as pion/ice does for media workers and servers.
func TestPionsClient(t *testing.T) {
	for _, w := range ways[:3] {
		t.Run(w.name, func(t *testing.T) {
			_, p := serveWay(t, w.fast, nil)
			var conn net.PacketConn
			var err error
			server := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port))
			if w.network == "tcp" {
				stream, derr := net.Dial("tcp", server)
				if derr != nil {
					t.Fatal(derr)
				}
				conn = pion.NewSTUNConn(stream)
			} else {
				conn, err = net.ListenPacket("udp4", "127.0.0.1:0")
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			client, err := pion.NewClient(&pion.ClientConfig{STUNServerAddr: server, TURNServerAddr: server, Conn: conn, Username: "admin",
				Password: "secret", Realm: testRealm, LoggerFactory: logging.NewDefaultLoggerFactory()})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.Listen(); err != nil {
				t.Fatal(err)
			}
			if w.network == "udp" {
				mapped, err := client.SendBindingRequest()
				if err != nil || mapped.String() != conn.LocalAddr().String() {
					t.Errorf("wanted %v seen by the server, got %v, %v", conn.LocalAddr(), mapped, err)
				}
			}
			relay, err := client.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			defer relay.Close()
			peer := newPeer(t)
			// pion's TCP client waits for more when a frame has less than 9 bytes.
			const ping, pong = "ping of some length", "pong of some length"
			to := netip.MustParseAddrPort(relay.LocalAddr().String())
			for i := range 30 { // the first as Send indications, the others in a channel
				if _, err := relay.WriteTo([]byte(ping), peer.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				peer.wants(ping, to)
				peer.say(pong, to)
				b := make([]byte, 100)
				_ = relay.SetReadDeadline(time.Now().Add(soon))
				if n, from, err := relay.ReadFrom(b); err != nil || string(b[:n]) != pong || from.String() != peer.LocalAddr().String() {
					t.Fatalf("packet %d: wanted pong from %v, got %q from %v, %v", i, peer.LocalAddr(), b[:n], from, err)
				}
			}
		})
	}
}
