//go:build qemu

package qemu

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/turn/v5"
)

// TestTheNATSituationsOfAppendixG: hosts with public addresses and behind NATs, each with a NAT of its own, call each other through the
// relays of a machine that is on the Internet, and of one that is behind a NAT (deployment guide, appendix G).
func TestTheNATSituationsOfAppendixG(t *testing.T) {
	t.Parallel()
	// The Internet is a router. The machine is on it by interface b, and behind a NAT by interface c.
	internet := newLAN(t, "203.0.113.2/30")
	inner := newLAN(t, "10.0.1.254/24")
	internet.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	internet.joins(inner, "203.0.113.6/30", "203.0.113.5/30")
	inner.masquerades("203.0.113.6", "203.0.113.5", "10.0.1.1")
	hosts := map[bool][2]*lan{}
	for behind, list := range map[bool][2][4]string{
		false: {{"192.0.2.2", "192.0.2.1"}, {"198.51.100.2", "198.51.100.1"}},
		true:  {{"192.0.2.6", "192.0.2.5", "192.168.1.1", "192.168.1.254"}, {"198.51.100.6", "198.51.100.5", "172.16.1.1", "172.16.1.254"}},
	} {
		var two [2]*lan
		for i, a := range list {
			two[i] = newNamespace(t)
			if !behind {
				internet.joins(two[i], a[0]+"/30", a[1]+"/30")
				two[i].run("ip", "route", "add", "default", "via", a[0])
				continue
			}
			fw := newNamespace(t)
			internet.joins(fw, a[0]+"/30", a[1]+"/30")
			fw.joins(two[i], a[3]+"/24", a[2]+"/24")
			fw.masquerades(a[0], a[1], "")
			two[i].run("ip", "route", "add", "default", "via", a[3])
		}
		hosts[behind] = two
	}

	m := boot(t, Options{NICs: []NIC{{Forward: []Forward{{Guest: 22}}}, {Segment: internet.cable}, {Segment: inner.cable}}})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	for _, line := range []string{
		"ipv4 b add 203.0.113.1/30 203.0.113.2", "ipv4 b enable", "ipv4 c add 10.0.1.1/24 10.0.1.254", "ipv4 c enable",
		"turn credentials admin Cisco.123 cms.demo",
	} {
		m.ssh(line)
	}
	m.await("ipv4 c", "10.0.1.1/24")
	for _, s := range []struct{ name, device, public string }{
		{"the server on the Internet", "b", "203.0.113.1"},
		{"the server behind a NAT", "c", "203.0.113.5"},
	} {
		m.ssh("ipv4 " + s.device + " default")
		m.ssh("turn listen " + s.device)
		if s.device == "c" {
			m.ssh("turn public-ip " + s.public)
		}
		m.ssh("turn enable")
		for behind, two := range hosts {
			name := "hosts with public addresses, "
			if behind {
				name = "hosts behind NATs, "
			}
			m.in(name+s.name, func(m *trial) { callByRelay(m.t, two, s.public) })
		}
		m.ssh("turn disable")
	}
}

// callByRelay has two hosts allocate, and talk from relay to relay.
func callByRelay(t *testing.T, hosts [2]*lan, public string) {
	t.Helper()
	var relays [2]net.PacketConn
	for i, h := range hosts {
		var conn net.PacketConn
		var err error
		h.inside(func() { conn, err = net.ListenPacket("udp4", "0.0.0.0:0") })
		if err != nil {
			t.Fatal(err)
		}
		server := net.JoinHostPort(public, "3478")
		client, err := turn.NewClient(&turn.ClientConfig{TURNServerAddr: server, STUNServerAddr: server, Conn: conn, Username: "admin", Password: "Cisco.123", Realm: "cms.demo"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		if err := client.Listen(); err != nil {
			t.Fatal(err)
		}
		if relays[i], err = client.Allocate(); err != nil {
			t.Fatalf("host %d asks %s for a relay: %v", i, server, err)
		}
		t.Cleanup(func() { relays[i].Close() })
		if host, _, _ := net.SplitHostPort(relays[i].LocalAddr().String()); host != public {
			t.Errorf("host %d: the relay is at %s, want %s", i, relays[i].LocalAddr(), public)
		}
	}
	// Each lets the other in by sending; what came before that was dropped, and media goes on anyway.
	heard := make(chan error, 2)
	stop := make(chan struct{})
	defer close(stop)
	for i := range relays {
		text := fmt.Sprint("from host ", i)
		go func() {
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for {
				_, _ = relays[i].WriteTo([]byte(text), relays[1-i].LocalAddr())
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}()
		go func() {
			_ = relays[i].SetReadDeadline(time.Now().Add(time.Minute))
			var b [100]byte
			n, from, err := relays[i].ReadFrom(b[:])
			switch want := fmt.Sprint("from host ", 1-i); {
			case err != nil:
				err = fmt.Errorf("host %d: %w", i, err)
			case string(b[:n]) != want || from.String() != relays[1-i].LocalAddr().String():
				err = fmt.Errorf("host %d: got %q from %s, want %q from %s", i, b[:n], from, want, relays[1-i].LocalAddr())
			}
			heard <- err
		}()
	}
	for range relays {
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
}

// joins lays a cable between two networks, and gives each end an address.
func (l *lan) joins(other *lan, here, there string) {
	l.t.Helper()
	one, two := fmt.Sprint("v", lans.Add(1)), fmt.Sprint("v", lans.Add(1))
	l.command("ip", "link", "add", one, "netns", l.name, "type", "veth", "peer", "name", two, "netns", other.name)
	for _, end := range []struct {
		*lan
		device, address string
	}{{l, one, here}, {other, two, there}} {
		end.run("ip", "address", "add", end.address, "dev", end.device)
		end.run("ip", "link", "set", end.device, "up")
	}
}

// masquerades makes a network a firewall with NAT: what goes to the gateway gets its public address, and what comes for that goes to a host
// inside, if there is one.
func (l *lan) masquerades(gateway, public, inside string) {
	l.t.Helper()
	l.run("ip", "route", "add", "default", "via", gateway)
	l.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	// The device to the gateway.
	fields := strings.Fields(l.run("ip", "-4", "-brief", "address", "show", "to", public+"/32"))
	if len(fields) == 0 {
		l.t.Fatalf("no device has the address %s", public)
	}
	device, _, _ := strings.Cut(fields[0], "@")
	rules := []string{"add table ip nat", "add chain ip nat out { type nat hook postrouting priority 100 ; }",
		"add chain ip nat in { type nat hook prerouting priority -100 ; }", "add rule ip nat out oifname " + device + " masquerade random"}
	if inside != "" {
		rules = append(rules, "add rule ip nat in iifname "+device+" ip daddr "+public+" dnat to "+inside)
	}
	for _, rule := range rules {
		l.run("nft", rule)
	}
}
