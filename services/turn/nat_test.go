package turn

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"rotunda/init/config"
)

// house is a network namespace.
type house struct {
	t    *testing.T
	name string
}

// newHouses makes namespaces that end with the test.
func newHouses(t *testing.T, names ...string) []house {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	var list []house
	for _, n := range names {
		h := house{t, fmt.Sprintf("turn%d-%s", os.Getpid(), n)}
		command(t, "ip", "netns", "add", h.name)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", h.name).Run() })
		h.run("ip", "link", "set", "lo", "up")
		list = append(list, h)
	}
	return list
}

func command(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (h house) run(args ...string) {
	h.t.Helper()
	command(h.t, append([]string{"ip", "netns", "exec", h.name}, args...)...)
}

// wire connects two houses; each end is "device address/length".
func wire(a house, deviceA, addressA string, b house, deviceB, addressB string) {
	a.t.Helper()
	command(a.t, "ip", "link", "add", "name", deviceA, "netns", a.name, "type", "veth", "peer", "name", deviceB, "netns", b.name)
	for _, end := range []struct {
		house
		device, address string
	}{{a, deviceA, addressA}, {b, deviceB, addressB}} {
		end.run("ip", "address", "add", end.address, "dev", end.device)
		end.run("ip", "link", "set", end.device, "up")
	}
}

// inside runs a function on a thread in the house. What is opened in it stays there.
func (h house) inside(f func()) {
	h.t.Helper()
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else gets it in this namespace.
		runtime.LockOSThread()
		handle, err := netns.GetFromName(h.name)
		if err == nil {
			err = netns.Set(handle)
			handle.Close()
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		h.t.Fatalf("enter %s: %v", h.name, err)
	}
}

// TestTheNATSituationsOfAppendixG: two hosts with addresses as in tables 27 to 30, which can reach nothing but the TURN server, in
// front of which there is a firewall with NAT or not, as there is in front of each of them. The firewall of the server does
// no hairpin NAT. Media goes from relay to relay, and between a relay and a host that has a public address.
func TestTheNATSituationsOfAppendixG(t *testing.T) {
	const public = "203.0.113.1"
	for _, c := range []struct {
		name               string
		hostNAT, serverNAT bool
	}{
		{"no NAT (figure 30)", false, false},
		{"NAT in front of the hosts (figures 26 and 28)", true, false},
		{"NAT in front of the server (figure 31)", false, true},
		{"NAT in front of all (table 30)", true, true},
	} {
		for _, fast := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, fast %v", c.name, fast), func(t *testing.T) {
				houses := newHouses(t, "net", "one", "two", "edge", "fw1", "fw2", "fw3", "peer")
				internet, one, two, edge, fw1, fw2, fw3, outside := houses[0], houses[1], houses[2], houses[3], houses[4], houses[5], houses[6], houses[7]
				internet.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
				wire(internet, "p", "198.51.100.129/25", outside, "eth0", "198.51.100.200/25")
				outside.run("ip", "route", "add", "default", "via", "198.51.100.129")
				// site puts a host behind a firewall, or straight on the Internet with the firewall's address.
				site := func(h, fw house, device, gateway, public, private, inner string, nat bool, rules ...string) {
					if !nat {
						wire(internet, device, gateway+"/30", h, "eth0", public+"/30")
						h.run("ip", "route", "add", "default", "via", gateway)
						return
					}
					wire(internet, device, gateway+"/30", fw, "out", public+"/30")
					wire(fw, "in", inner+"/24", h, "eth0", private+"/24")
					fw.run("ip", "route", "add", "default", "via", gateway)
					fw.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
					h.run("ip", "route", "add", "default", "via", inner)
					for _, rule := range append([]string{"add table ip nat", "add chain ip nat out { type nat hook postrouting priority 100 ; }",
						"add chain ip nat in { type nat hook prerouting priority -100 ; }", "add rule ip nat out oifname out masquerade random"}, rules...) {
						fw.run("nft", rule)
					}
				}
				site(one, fw1, "h1", "192.0.2.2", "192.0.2.1", "192.168.1.1", "192.168.1.254", c.hostNAT)
				site(two, fw2, "h2", "198.51.100.2", "198.51.100.1", "172.16.1.1", "172.16.1.254", c.hostNAT)
				site(edge, fw3, "h3", "203.0.113.2", "203.0.113.1", "10.0.1.1", "10.0.1.254", c.serverNAT,
					"add rule ip nat in iifname out ip daddr 203.0.113.1 dnat to 10.0.1.1")

				settings := config.TURNService{TURN: config.TURN{Enabled: true, Listen: []string{"a"}, Username: "admin", Password: "secret",
					Realm: testRealm, LowCapacity: !fast}, Devices: map[string]string{"a": "eth0"}}
				if c.serverNAT {
					settings.TURN.PublicIP = netip.MustParseAddr(public)
				}
				startService(t, edge.name, "", settings)

				call := func(h house) *caller {
					k := &caller{t: t, user: "admin", password: "secret"}
					h.inside(func() {
						conn, err := net.Dial("udp", "203.0.113.1:3478")
						if err != nil {
							t.Error(err)
						}
						k.conn = conn
					})
					t.Cleanup(func() { k.conn.Close() })
					return k
				}
				a, b := call(one), call(two)
				here, there := a.allocate(), b.allocate()
				if here.Addr().String() != public || there.Addr().String() != public {
					t.Fatalf("wanted relays at %s, got %v and %v", public, here, there)
				}
				// ICE's checks first, then media in channels, relay to relay.
				a.permit(there)
				b.permit(here)
				a.indicate(there, "check")
				if _, from, text := b.hear(); from != here || text != "check" {
					t.Errorf("wanted check from %v, got %q from %v", here, text, from)
				}
				a.bind(0x4001, there)
				b.bind(0x4002, here)
				for i := range 3 {
					text := fmt.Sprintf("relay to relay %d", i)
					a.say(0x4001, text)
					b.wants(0x4002, text)
					b.say(0x4002, text)
					a.wants(0x4001, text)
				}
				// A host with a public address, such as a Call Bridge, and the relay.
				var peer testPeer
				outside.inside(func() {
					conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(198, 51, 100, 200), Port: 40000})
					if err != nil {
						t.Error(err)
					}
					peer = testPeer{t, conn}
				})
				defer peer.Close()
				a.bind(0x4003, peer.address())
				a.say(0x4003, "to the host")
				buffer := make([]byte, 100)
				n, from, err := peer.ReadFromUDPAddrPort(buffer)
				if err != nil || string(buffer[:n]) != "to the host" || from.Addr().String() != public {
					t.Errorf("wanted it from %s, got %q from %v, %v", public, buffer[:n], from, err)
				}
				peer.say("to the relay", from)
				a.wants(0x4003, "to the relay")
			})
		}
	}
}
