package commands

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/crypto/ssh"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/state"
	"rotunda/mmp/commands/probe"
	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
)

var update = flag.Bool("update", false, "write generated files anew")

// machine is a [control.Machine] in memory. Its configuration is validated and numbered as PID 1 does it.
type machine struct {
	config     control.Config
	interfaces []control.Interface
	health     control.Health
	// states are those that the services have at the next questions, one after the other.
	states [][]control.Service
	// interfere is how many changes of somebody else come in between.
	interfere int
	applied   control.Applied
	clock     time.Time
	// refuse makes every question about a file fail.
	refuse error
	// tried is who made a change that waits to be confirmed.
	tried string
	// done lists what was asked for and cannot be taken back.
	done []string
	// capturing is the part that captures packets.
	capturing capturing
}

func (m *machine) Config(context.Context) (control.Config, error) { return m.config, nil }

func (m *machine) SetConfig(_ context.Context, generation int, doc *config.Document) (control.Applied, error) {
	if m.interfere > 0 {
		m.interfere--
		m.config.Generation++
	}
	if generation != m.config.Generation {
		return control.Applied{}, control.Refuse(409, "generation is %d", m.config.Generation)
	}
	if err := doc.Validate(); err != nil {
		return control.Applied{}, control.Invalid(err)
	}
	a := m.applied
	if doc.Hostname != m.config.Document.Hostname {
		a.RebootNeeded = append(a.RebootNeeded, "hostname")
	}
	if doc.Timezone != m.config.Document.Timezone {
		a.RebootNeeded = append(a.RebootNeeded, "timezone")
	}
	if doc.FIPS != m.config.Document.FIPS {
		a.RebootNeeded = append(a.RebootNeeded, "fips")
	}
	m.config = control.Config{Generation: generation + 1, Document: doc}
	return a, nil
}

func (m *machine) TryConfig(ctx context.Context, generation int, doc *config.Document, from string) (control.Applied, error) {
	a, err := m.SetConfig(ctx, generation, doc)
	if err == nil {
		m.tried = from
	}
	return a, err
}

func (m *machine) ConfirmConfig(_ context.Context, by control.Confirmation) error {
	if m.tried == "" || by.Age >= time.Hour {
		return control.Refuse(409, "nothing to confirm here, or too old")
	}
	m.tried = ""
	return nil
}

func (m *machine) Interfaces(context.Context) ([]control.Interface, error) { return m.interfaces, nil }

func (m *machine) Release(context.Context) (control.Release, error) {
	return control.Release{Version: "0.1.0", Build: "abc123", Kernel: "6.1.0", Platform: "vm", Board: "Virtual machine", Hardware: "VMware, Inc. VMware7,1", Serial: "VMware-56 4d", SigningKey: "development", Trial: true}, nil
}

func (m *machine) Health(context.Context) (control.Health, error) {
	if len(m.states) > 0 {
		m.health.Services, m.states = m.states[0], m.states[1:]
	}
	return m.health, nil
}

func (m *machine) Filesystems(context.Context) ([]control.Filesystem, error) {
	return []control.Filesystem{
		{Device: "rootfs", Mount: "/", Size: 128 << 20, Used: 100 << 20, Free: 28 << 20, Inodes: 1000, IUsed: 1, IFree: 999},
		{Device: "data", Mount: "/data", Size: 3 << 30, Used: 512, Free: 3<<30 - 512, Inodes: 0},
	}, nil
}

func (m *machine) Clock(context.Context) (time.Time, error) { return m.clock, nil }

func (m *machine) SetClock(_ context.Context, t time.Time) error {
	m.clock = t
	return nil
}

func (m *machine) Versions(context.Context) ([]control.Version, error) {
	return []control.Version{
		{Number: 3, Version: "0.2.0", Build: "def", Size: 50 << 20, State: "running", Trial: true, TriesLeft: 2},
		{Number: 2, Version: "0.1.0", Build: "abc", Size: 49 << 20, State: "committed"},
	}, nil
}

func (m *machine) CheckUpgrade(_ context.Context, file string) (control.UpgradePlan, error) {
	return control.UpgradePlan{File: file, Version: "0.2.0", Build: "def", Platform: "vm", Size: 50 << 20, From: "0.1.0", Replaces: []string{"0.0.9"}}, m.refuse
}

func (m *machine) Upgrade(_ context.Context, file string) (control.UpgradePlan, error) {
	m.done = append(m.done, "upgrade "+file)
	return control.UpgradePlan{File: file, Version: "0.2.0", Backup: "before_0.2.0.bak"}, nil
}

func (m *machine) DeleteVersion(_ context.Context, n int) error {
	if n == 3 {
		return control.Refuse(409, "version 3 is running")
	}
	m.done = append(m.done, "delete")
	return nil
}

func (m *machine) Snapshot(_ context.Context, name string) (string, error) {
	file, err := state.FileName(name)
	if err != nil {
		return "", err
	}
	return file, m.refuse
}

func (m *machine) CheckBackup(_ context.Context, file string) (control.Backup, error) {
	name, err := state.FileName(file)
	if err != nil {
		return control.Backup{}, err
	}
	return control.Backup{File: name, Created: m.clock, Version: "0.1.0", Hostname: "london1", Files: 7}, m.refuse
}

func (m *machine) Rollback(_ context.Context, file string) error {
	m.done = append(m.done, "rollback "+file)
	return nil
}

func (m *machine) FactoryReset(_ context.Context, scope string) error {
	m.done = append(m.done, "reset "+scope)
	return nil
}

func (m *machine) Restart(_ context.Context, service string) error {
	m.done = append(m.done, "restart "+service)
	return m.refuse
}

func (m *machine) Power(_ context.Context, action string) error {
	m.done = append(m.done, action)
	return nil
}

// paths answers probes from a list.
type paths struct {
	echoes []probe.Echo
	hops   []probe.Hop
	err    error
}

func (p paths) Records(_ context.Context, name, kind string) ([]string, error) {
	if strings.HasPrefix(name, "none.") {
		return nil, errors.New("there is no name " + name)
	}
	return []string{name + ". 60 IN " + kind + " 192.0.2.1"}, nil
}

func (p paths) Lookup(_ context.Context, host string) (netip.Addr, error) {
	if host == "nowhere.example.com" {
		return netip.Addr{}, errors.New("host nowhere.example.com is not known to the DNS")
	}
	return netip.MustParseAddr("192.0.2.9"), nil
}

func (p paths) Ping(_ context.Context, _ netip.Addr, count int, each func(probe.Echo)) error {
	for _, e := range p.echoes[:min(count, len(p.echoes))] {
		each(e)
	}
	return p.err
}

func (p paths) Trace(_ context.Context, _ netip.Addr, each func(probe.Hop)) error {
	for _, h := range p.hops {
		each(h)
	}
	return p.err
}

type hostKeys []ssh.PublicKey

func (h hostKeys) Public() []ssh.PublicKey { return h }

// desk is a shell with a machine behind it.
type desk struct {
	t       *testing.T
	machine *machine
	deps    Deps
	ctx     context.Context
	// tree is made once where deps stay as they are; nil for one at each line.
	tree *grammar.Tree
	// since is when the connection of its session was made.
	since time.Time
}

// newDesk gives a machine as the reference's capture shows it.
func newDesk(t *testing.T) *desk {
	t.Helper()
	doc := config.Factory()
	doc.Hostname = "cms"
	doc.Interfaces["a"] = config.Interface{
		IPv4: config.IPv4{Enabled: true, Address: netip.MustParsePrefix("192.168.80.151/24"), Gateway: netip.MustParseAddr("192.168.80.254")},
		IPv6: config.IPv6{Enabled: true, SLAAC: true},
	}
	route := func(destination, gateway string, global bool) control.Route {
		r := control.Route{Destination: netip.MustParsePrefix(destination), Global: global}
		if gateway != "" {
			r.Gateway = netip.MustParseAddr(gateway)
		}
		return r
	}
	m := &machine{
		config: control.Config{Generation: 7, Document: doc},
		clock:  time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		interfaces: []control.Interface{
			{
				Name: "a", MAC: "00:50:56:bc:fc:7d", Driver: "vmxnet3", Up: true, Carrier: true, MTU: 1500, Speed: 10000, FullDuplex: true,
				Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.80.151/24"), netip.MustParsePrefix("fe80::250:56ff:febc:fc7d/64")},
				Routes: []control.Route{
					route("192.168.80.151/32", "", false), route("192.168.80.0/32", "", false), route("192.168.80.0/24", "", false),
					route("192.168.80.255/32", "", false), route("fe80::/64", "", false), route("::/0", "fe80::1", true),
					route("0.0.0.0/0", "192.168.80.254", true),
				},
			},
			{Name: "b", MAC: "00:50:56:bc:fc:7e", Driver: "vmxnet3", MTU: 1500},
		},
	}
	zone, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t: t, machine: m, ctx: t.Context(), deps: Deps{Machine: m, Location: zone, Prober: paths{}, Transfer: fstest.MapFS{
		"london1.bak": {}, "a_2026.bak": {}, ".half.bak": {}, "upgrade.img": {}, "folder.bak/x": {},
	}}}
}

// run types a line and returns what is printed and the error.
func (d *desk) run(line string, answers ...string) (string, error) {
	d.t.Helper()
	return d.as(grammar.Admin, line, answers...)
}

// prints runs a line that has to succeed and compares what it prints byte for byte.
func (d *desk) prints(want, line string, answers ...string) {
	d.t.Helper()
	got, err := d.run(line, answers...)
	if err != nil {
		d.t.Errorf("%s: %v", line, err)
	}
	if got != want {
		d.t.Errorf("%s: wanted\n%s\ngot\n%s", line, want, got)
	}
}

// fails runs a line that has to be refused with one line that holds part, and to change nothing.
func (d *desk) fails(part, line string, answers ...string) {
	d.t.Helper()
	before, _ := json.Marshal(d.machine.config)
	done := len(d.machine.done)
	_, err := d.run(line, answers...)
	if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
		d.t.Errorf("%s: wanted one line with %q, got %v", line, part, err)
	}
	if after, _ := json.Marshal(d.machine.config); !bytes.Equal(before, after) {
		d.t.Errorf("%s: wanted nothing changed, the configuration became %s", line, after)
	}
	if len(d.machine.done) != done {
		d.t.Errorf("%s: wanted nothing done, got %q", line, d.machine.done[done:])
	}
}

func (d *desk) iface(name string) config.Interface { return d.machine.config.Document.Interfaces[name] }

func TestIPv4IsShownAsInTheCapture(t *testing.T) {
	d := newDesk(t)
	d.prints(`IPv4 configuration:
    address         192.168.80.151
    default         true
    dhcp            false
    enabled         true
    gateway         192.168.80.254
    macaddress      00:50:56:BC:FC:7D
    prefixlen       24
IPv4 observed values
Addresses:
192.168.80.151/24
Routes:
    source          destination     gateway         global
    0.0.0.0         192.168.80.151  0.0.0.0         false
    0.0.0.0         192.168.80.0    0.0.0.0         false
    0.0.0.0         192.168.80.0    0.0.0.0         false
    0.0.0.0         192.168.80.255  0.0.0.0         false
    0.0.0.0         0.0.0.0         192.168.80.254  true
`, "ipv4 a")
	d.prints(`IPv4 configuration:
    default         false
    dhcp            false
    enabled         false
    macaddress      00:50:56:BC:FC:7E
IPv4 observed values
Addresses:
Routes:
    source          destination     gateway         global
`, "ipv4 b")
	d.fails("this machine has no interface c; it has a, b", "ipv4 c")
	d.fails(`wrong word "x"; want an interface: a, b, c or d`, "ipv4 x")
}

func TestIPv6IsShownInTheSameStyle(t *testing.T) {
	d := newDesk(t)
	d.prints(`IPv6 configuration:
    default         true
    enabled         true
    macaddress      00:50:56:BC:FC:7D
    slaac           true
IPv6 observed values
Addresses:
fe80::250:56ff:febc:fc7d/64
Routes:
    source                                  destination                             gateway                                 global
    ::                                      fe80::                                  ::                                      false
    ::                                      ::                                      fe80::1                                 true
`, "ipv6 a")
}

func TestIPv4CommandsChangeTheDocument(t *testing.T) {
	d := newDesk(t)
	d.prints("", "ipv4 b add 10.124.56.224/24 10.124.56.1")
	if got := d.iface("b").IPv4; got.Enabled || got.Address.String() != "10.124.56.224/24" || got.Gateway.String() != "10.124.56.1" {
		t.Errorf("after add: got %+v", got)
	}
	d.prints("", "ipv4 b enable")
	d.prints("", "ipv4 b route add 8.8.8.8/32")
	d.prints("", "ipv4 b default")
	if got := d.machine.config.Document; got.DefaultInterface != "b" || !d.iface("b").IPv4.Enabled || len(d.iface("b").IPv4.Routes) != 1 {
		t.Errorf("after enable, route add and default: got %+v", got)
	}
	d.prints("interface b has the route 8.8.8.8/32 already\n", "ipv4 b route add 8.8.8.8/32")
	d.fails("interface b has no route 8.8.4.4/32; it has 8.8.8.8/32", "ipv4 b route del 8.8.4.4/32")
	d.prints("", "ipv4 b route del 8.8.8.8/32")
	d.fails("interface b has no route 8.8.8.8/32; it has none", "ipv4 b route del 8.8.8.8/32")
	d.prints("", "ipv4 b dhcp")
	if got := d.iface("b").IPv4; !got.DHCP || !got.Enabled || !got.Address.IsValid() {
		t.Errorf("after dhcp: got %+v", got)
	}
	d.prints("", "ipv4 b add 10.124.56.225/24")
	if got := d.iface("b").IPv4; got.DHCP || got.Gateway.IsValid() {
		t.Errorf("after add without a gateway: got %+v", got)
	}
	d.prints("", "ipv4 b disable")
	if got := d.iface("b").IPv4; got.Enabled || !got.Address.IsValid() {
		t.Errorf("after disable: got %+v", got)
	}
	d.prints("", "ipv4 b enable")
	d.prints("", "ipv4 b del")
	if got := d.iface("b").IPv4; got.Enabled || got.Address.IsValid() {
		t.Errorf("after del: got %+v", got)
	}
	d.fails("interface b has no static IPv4 address", "ipv4 b del")
}

func TestWrongNetworkSettingsAreNamedAndChangeNothing(t *testing.T) {
	d := newDesk(t)
	d.fails(`wrong word "10.0.0.1": the prefix length is missing`, "ipv4 b add 10.0.0.1 10.0.0.254")
	d.fails("interface b: gateway 10.0.1.1 is not in the subnet 10.0.0.0/24: use an address from 10.0.0.1 to 10.0.0.254", "ipv4 b add 10.0.0.5/24 10.0.1.1")
	d.fails("IPv4 is enabled without DHCP and without an address", "ipv4 b enable")
	d.fails(`default interface "b" is not configured`, "ipv4 b default")
	d.fails("is the default route", "ipv4 a route add 0.0.0.0/0")
	d.fails("a whole number from 576 to 9216", "iface a mtu 500")
	d.fails("MTU 1000 is too small for IPv6", "iface a mtu 1000")
	d.fails("speed 77 is unknown: use one of 10 100", "iface a 77 full")
	d.fails("address fe80::5 is link-local", "ipv6 a add fe80::5/64")
	if _, err := d.run("ipv4 b add 192.168.80.7/25 192.168.80.1"); err != nil {
		t.Errorf("a subnet on an interface that is off: %v", err)
	}
	d.fails("any two interfaces must be in different subnets", "ipv4 b enable")
}

func TestIPv6CommandsChangeTheDocument(t *testing.T) {
	d := newDesk(t)
	d.prints("", "ipv6 b enable")
	d.prints("", "ipv6 b add 2001:db8::10/64")
	d.prints("", "ipv6 b router add fe80::1")
	d.prints("", "ipv6 b slaac enable")
	if got := d.iface("b").IPv6; !got.Enabled || !got.SLAAC || len(got.Addresses) != 1 || len(got.Routers) != 1 {
		t.Errorf("got %+v", got)
	}
	d.prints("interface b has the router fe80::1 already\n", "ipv6 b router add fe80::1")
	d.fails("interface b has no router fe80::2; it has fe80::1", "ipv6 b router del fe80::2")
	d.fails("interface b has no static address 2001:db8::10/48; it has 2001:db8::10/64", "ipv6 b del 2001:db8::10/48")
	d.fails(`wrong word "10.0.0.1"; want an IPv6 address, for example 2001:db8::1 or 2001:db8::1/64`, "ipv6 b del 10.0.0.1")
	d.prints("", "ipv6 b del 2001:db8::10")
	d.prints("", "ipv6 b router del fe80::1")
	d.prints("", "ipv6 b slaac disable")
	d.prints("", "ipv6 b disable")
	if got := d.iface("b").IPv6; got.Enabled || got.SLAAC || len(got.Addresses) != 0 || len(got.Routers) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestIfaceShowsWantedAndObserved(t *testing.T) {
	d := newDesk(t)
	d.prints("", "iface a mtu 1500")
	d.prints("", "iface a autoneg off")
	d.prints(`Mac address 00:50:56:BC:FC:7D
Configured values:
    Auto-negotiation: off
    Speed           : 10000
    Duplex          : full
    MTU             : 1500
Observed values:
    Speed           : 10000
    Duplex          : full
    MTU             : 1500
    Link status     : ok
    Enabled         : yes
    Driver          : vmxnet3
`, "iface a")
	d.prints("", "iface a autoneg on")
	d.prints("", "iface b 1000 off")
	if a, b := d.iface("a").Link, d.iface("b").Link; a != (config.Link{}) || b != (config.Link{Speed: 1000}) {
		t.Errorf("got %+v and %+v", a, b)
	}
	d.fails("interface b has no speed to keep at the moment: set one, for example iface b 1000 full", "iface b autoneg off")
}

func TestHostnameAndTimezoneAskForAReboot(t *testing.T) {
	d := newDesk(t)
	d.prints("A reboot is required for the change to take effect\n", "hostname mybox.example.com")
	d.prints("mybox.example.com\n", "hostname")
	d.prints("", "hostname mybox.example.com")
	d.prints("A reboot is required for the change to take effect\n", "timezone Europe/London")
	d.prints("Europe/London\n", "timezone")
	d.fails(`wrong word "Europe/Lodnon"; want "list", or a time zone of the IANA database`, "timezone Europe/Lodnon")
	d.fails(`wrong word "my_box"; want a host name`, "hostname my_box")
	d.fails("is longer than 64 characters", "hostname "+strings.Repeat("a.", 33)+"com")
}

func TestAChangeStartsAgainWhenSomebodyElseWasFaster(t *testing.T) {
	d := newDesk(t)
	d.machine.interfere = attempts - 1
	d.prints("", "iface a mtu 1400")
	if got := d.iface("a").MTU; got != 1400 {
		t.Errorf("wanted MTU 1400, got %d", got)
	}
	d.machine.interfere = attempts
	if _, err := d.run("iface a mtu 1300"); err == nil || !strings.Contains(err.Error(), "nothing was changed; try again") {
		t.Errorf("wanted it given up, got %v", err)
	}
	if got := d.iface("a").MTU; got != 1400 {
		t.Errorf("wanted nothing changed, got MTU %d", got)
	}
}

func TestWarningsOfApplyingAreShown(t *testing.T) {
	d := newDesk(t)
	d.machine.applied.Warnings = []string{"interface a: MTU 9000 is not what the driver takes"}
	d.machine.config.FailSafe = "no configuration in v1 can be used"
	d.prints("Warning: this change starts from the fail-safe configuration: no configuration in v1 can be used\n"+
		"Warning: interface a: MTU 9000 is not what the driver takes\n", "iface a mtu 9000")
}

func TestPingAndTracerouteShowWhatCameBack(t *testing.T) {
	d := newDesk(t)
	target, router := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.254")
	answer := func(from netip.Addr, ms float64, problem string) probe.Answer {
		return probe.Answer{From: from, RTT: time.Duration(ms * float64(time.Millisecond)), Problem: problem}
	}
	d.deps.Prober = paths{
		echoes: []probe.Echo{
			{Seq: 1, Answer: answer(target, 1.5, ""), Bytes: 64, Hops: 63},
			{Seq: 2, Answer: answer(router, 1, "host unreachable")},
			{Seq: 3},
			{Seq: 4, Answer: answer(target, 0.5, ""), Bytes: 64, Hops: 63},
		},
		hops: []probe.Hop{
			{Number: 1, Answers: [3]probe.Answer{answer(router, 0.25, ""), answer(router, 0.5, ""), {}}},
			{Number: 2},
			{Number: 3, Answers: [3]probe.Answer{answer(target, 2, ""), answer(router, 3, "host unreachable"), answer(target, 4, "")}},
		},
	}
	d.prints(`PING example.com (192.0.2.9): 56 data bytes
64 bytes from 192.0.2.9: icmp_seq=1 ttl=63 time=1.500 ms
from 192.0.2.254: icmp_seq=2 host unreachable
no answer: icmp_seq=3
64 bytes from 192.0.2.9: icmp_seq=4 ttl=63 time=0.500 ms
4 packets transmitted, 2 received, 50% packet loss
round-trip min/avg/max = 0.500/1.000/1.500 ms
`, "ping example.com 4")
	d.prints(`traceroute to example.com (192.0.2.9), 30 hops max
 1  192.0.2.254  0.250 ms  0.500 ms *
 2  * * *
 3  192.0.2.9  2.000 ms 192.0.2.254  3.000 ms (host unreachable) 192.0.2.9  4.000 ms
`, "traceroute example.com")
	d.fails("host nowhere.example.com is not known to the DNS", "ping nowhere.example.com")
	d.fails("want a whole number from 1 to 10000", "ping example.com 0")
	d.deps.Prober = paths{echoes: []probe.Echo{{Seq: 1}}, hops: []probe.Hop{{Number: 1}}}
	d.fails("192.0.2.9 does not answer", "ping 192.0.2.9")
	d.fails("the route does not reach 192.0.2.9", "traceroute 192.0.2.9")
}

func TestInterruptedPingStillSums(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.ctx = ctx
	d.deps.Prober = paths{echoes: []probe.Echo{{Seq: 1}}, err: context.Canceled}
	out, err := d.run("ping 192.0.2.9")
	if !errors.Is(err, context.Canceled) || !strings.HasSuffix(out, "1 packets transmitted, 0 received, 100% packet loss\n") {
		t.Errorf("wanted the sum and the cause, got %q, %v", out, err)
	}
}

func TestDateShowsAndSetsLocalTime(t *testing.T) {
	d := newDesk(t)
	d.prints("UTC   : 2026-05-04 03:02:01\nLocal : 2026-05-04 05:02:01 CEST +02:00\n", "date")
	d.prints("UTC   : 2026-12-24 17:30:00\nLocal : 2026-12-24 18:30:00 CET +01:00\n", "date set 2026-12-24 18:30")
	d.deps.Status = fstest.MapFS{control.TimeStatusFile[1:]: &fstest.MapFile{Data: []byte(`{"servers":[{"name":"192.0.2.1"}]}`)}}
	d.prints("Note: the clock is kept by NTP servers, which set it again: see ntp status\nUTC   : 2026-12-24 17:30:00\nLocal : 2026-12-24 18:30:00 CET +01:00\n", "date set 2026-12-24 18:30")
	d.fails("2026-03-29 02:30 does not exist in this time zone", "date set 2026-03-29 02:30")
	d.fails("the year 1970 cannot be right: use 2020 to 2099", "date set 1970-01-01 00:00")
	d.fails(`wrong word "2026-02-30"; want a date YYYY-MM-DD`, "date set 2026-02-30 00:00")
	d.fails(`wrong word "9:30"; want a time of day HH:MM`, "date set 2026-02-20 9:30")
	if want := time.Date(2026, 12, 24, 17, 30, 0, 0, time.UTC); !d.machine.clock.Equal(want) {
		t.Errorf("wanted the clock at %v, got %v", want, d.machine.clock)
	}
}

func TestDfHasTheHeadersAndColumnsThatScriptsRead(t *testing.T) {
	d := newDesk(t)
	d.prints(`Filesystem Size     Used     Avail    Use%  Mounted on
rootfs     128.0M   100.0M   28.0M    79%   /
data       3.0G     512B     3.0G     1%    /data

Filesystem Inodes   IUsed    IFree    IUse% Mounted on
rootfs     1000     1        999      1%    /
data       0        0        0        0%    /data
`, "df")
	out, _ := d.run("df")
	for line := range strings.Lines(out) {
		if n := len(strings.Fields(line)); n != 6 && n != 0 && !strings.HasPrefix(line, "Filesystem ") {
			t.Errorf("wanted 6 columns, got %d in %q", n, line)
		}
	}
}

func TestVersionBeginsWithTheRelease(t *testing.T) {
	newDesk(t).prints(`0.1.0
Build       : abc123
Kernel      : 6.1.0
Platform    : vm
Board       : Virtual machine
Signing key : development
On trial    : yes
WARNING: this image accepts upgrades signed with the public development key
`, "version")
}

func TestHealthShowsEverythingAndNoControlCharacters(t *testing.T) {
	d := newDesk(t)
	d.machine.health = control.Health{
		Uptime: 26*time.Hour + 3*time.Minute, Memory: control.Memory{Total: 2 << 30, Available: 1 << 30, InitRSS: 12 << 20},
		Media:  []control.MediaModule{{Number: 0, Workers: 3, Ready: 3}, {Number: 1, Workers: 3, Ready: 2}},
		Alarms: []control.Alarm{{ID: "x", Text: "service mmp\x1b[2J starts again and again", Since: d.machine.clock}},
		Services: []control.Service{
			{Name: "mmp", State: "ready", PID: 42, Restarts: 1, Uptime: time.Minute, LastExit: "exit status 2: panic"},
			{Name: "dhcp", State: "stopped"},
		},
		Startup:   []control.Step{{Name: "mounts", Duration: 12 * time.Millisecond}, {Name: "storage", Duration: 1500 * time.Millisecond, Error: "no disk"}},
		LastCrash: "panic: oh\n\tmain.go:7\n", LastCrashAt: d.machine.clock,
	}
	d.prints(`Status    : 1 alarm
Uptime    : 1d 02:03:00
Memory    : 1.0G available of 2.0G
System    : 12.0M resident
Media     : module 0, 3 of 3 workers ready
Media     : module 1, 2 of 3 workers ready
Alarms:
    2026-05-04 05:02:01  x  service mmp?[2J starts again and again
Services:
    NAME  STATE    PID  RESTARTS  UPTIME    LAST EXIT
    mmp   ready    42   1         00:01:00  exit status 2: panic
    dhcp  stopped  -    0         00:00:00
Start-up:
    mounts   12 ms
    storage  1500 ms  no disk
Crash     : found at 2026-05-04 05:02:01
    panic: oh
     main.go:7
`, "health")
	d.machine.health = control.Health{}
	if out, err := d.run("health"); err != nil || !strings.HasPrefix(out, "Status    : ok\n") || !strings.HasSuffix(out, "Crash     : none\n") {
		t.Errorf("wanted a machine in good health, got %q, %v", out, err)
	}
}

func TestBackupIsWrittenAndListed(t *testing.T) {
	d := newDesk(t)
	d.prints("test_server_2014_09_04.bak ready for download\n", "backup snapshot test_server_2014_09_04")
	d.prints("a_2026\nlondon1\n", "backup list")
	d.fails(`backup name "a/b": use 1 to 64 letters, digits, dots, hyphens and underscores`, "backup snapshot a/b")
	d.machine.refuse = control.Refuse(507, "no room on the disk")
	d.fails("no room on the disk", "backup snapshot x")
}

func TestOnlyACapitalYDoesWhatCannotBeUndone(t *testing.T) {
	for line, want := range map[string]string{
		"upgrade":              "upgrade upgrade.img",
		"upgrade other.img":    "upgrade other.img",
		"backup rollback bk":   "rollback bk.bak",
		"factory_reset app":    "reset app",
		"factory_reset full":   "reset full",
		"reboot":               "reboot",
		"shutdown":             "shutdown",
		"upgrade delete 2":     "delete",
		"backup rollback x1_y": "rollback x1_y.bak",
	} {
		d := newDesk(t)
		asks := !slices.Contains([]string{"reboot", "shutdown", "upgrade delete 2"}, line)
		if asks {
			for _, answers := range [][]string{nil, {""}, {"y"}, {"yes"}, {"Yes"}, {"n"}} {
				d.fails("aborted, nothing was changed", line, answers...)
			}
		}
		if _, err := d.run(line, "Y"); err != nil || !slices.Equal(d.machine.done, []string{want}) {
			t.Errorf("%s: wanted %q done, got %q, %v", line, want, d.machine.done, err)
		}
	}
}

func TestRollbackAndUpgradeSayWhatWillHappenAndRefuseBadFilesBeforeAsking(t *testing.T) {
	d := newDesk(t)
	d.prints(`bk.bak of london1, made 2026-05-04 05:02:01, version 0.1.0, 7 files
WARNING!!! This overwrites configuration, addresses, accounts, certificates, keys, licence and application data, and restarts the machine.
Rolled back to bk.bak, the machine restarts now
`, "backup rollback bk", "Y")
	d.prints(`File     : upgrade.img (50.0M)
Platform : vm
Running  : 0.1.0
New      : 0.2.0 (build def)
Removes  : 0.0.9
A backup is taken, the new version is installed beside the running one, and the machine restarts.
before_0.2.0.bak ready for download
0.2.0 is installed, the machine restarts now
`, "upgrade", "Y")
	d.machine.refuse = control.Refuse(422, "the file is cut short")
	d.fails("the file is cut short", "backup rollback bk", "Y")
	d.fails("the file is cut short", "upgrade", "Y")
}

func TestUpgradeListAndDelete(t *testing.T) {
	d := newDesk(t)
	d.prints(`NUMBER  VERSION  BUILD  SIZE   STATE
3       0.2.0    def    50.0M  running, on trial, 2 starts left
2       0.1.0    abc    49.0M  committed
`, "upgrade list")
	d.prints("Version 2 removed\n", "upgrade delete 2")
	d.fails("version 3 is running", "upgrade delete 3")
	d.fails("want a whole number from 1 to 999999", "upgrade delete x")
}

func TestServerKeysAreListedByTheNamesOfTheGuide(t *testing.T) {
	d := newDesk(t)
	var keys hostKeys
	add := func(public any, err error) ssh.PublicKey {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		return key
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	ed := add(edPublic, err)
	ecPrivate, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ec := add(&ecPrivate.PublicKey, err)
	d.deps.HostKeys = keys
	d.prints("KEY                       SIZE  TYPE     FINGERPRINT\n"+
		"ssh_host_dsa_key.pub      -     -        none, DSA is too weak to be offered\n"+
		"ssh_host_ecdsa_key.pub    256   ECDSA    "+ssh.FingerprintSHA256(ec)+"\n"+
		"ssh_host_ed25519_key.pub  256   ED25519  "+ssh.FingerprintSHA256(ed)+"\n"+
		"ssh_host_key.pub          -     -        none, SSH version 1 is too weak to be offered\n"+
		"ssh_host_rsa_key.pub      -     -        none yet, it is made for the first client that asks for it\n", "ssh server_key list")
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	r := add(&rsaPrivate.PublicKey, err)
	d.deps.HostKeys = keys
	if out, err := d.run("ssh server_key list"); err != nil || !strings.Contains(out, "ssh_host_rsa_key.pub      2048  RSA      "+ssh.FingerprintSHA256(r)+"\n") {
		t.Errorf("wanted the RSA key with its size, got %v\n%s", err, out)
	}
}

func TestOtherRolesLookAndDoNotChange(t *testing.T) {
	kinds, list := All(newDesk(t).deps)
	tree, err := grammar.NewTree(kinds, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"version", "ipv4 a", "health", "ping localhost", "ssh server_key list"} {
		for role, want := range map[grammar.Role]bool{grammar.Admin: true, grammar.Crypto: true, grammar.Audit: true, grammar.AppAdmin: false, grammar.API: false} {
			if _, err := tree.Parse(role, line); (err == nil) != want {
				t.Errorf("%s types %q: wanted allowed %v, got %v", role, line, want, err)
			}
		}
	}
	for _, line := range []string{
		"hostname x", "timezone UTC", "ipv4 a dhcp", "ipv6 a enable", "iface a mtu 1500", "date set 2026-01-01 00:00",
		"reboot", "shutdown", "upgrade", "upgrade delete 1", "backup snapshot x", "backup rollback x", "factory_reset app", "factory_reset full",
	} {
		for _, role := range grammar.Roles {
			_, err := tree.Parse(role, line)
			if allowed := err == nil; allowed != (role == grammar.Admin) {
				t.Errorf("%s types %q: wanted only admin allowed, got %v", role, line, err)
			}
		}
	}
}

func TestTabKnowsBackupsImagesAndZones(t *testing.T) {
	kinds, list := All(newDesk(t).deps)
	tree, err := grammar.NewTree(kinds, list)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"backup rollback l": "backup rollback london1.bak ", "timezone Europe/Vie": "timezone Europe/Vienna ", "upgrade up": "upgrade upgrade.img ",
	} {
		if got, _ := tree.Complete(&grammar.Caller{Role: grammar.Admin}, line); got != want {
			t.Errorf("Tab after %q: wanted %q, got %q", line, want, got)
		}
	}
}

// generated compares a file with what it should hold, and writes it with -update.
func generated(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the declarations say (%v): run go generate ./mmp/commands", file, err)
	}
}

func TestReferencePageIsWhatTheDeclarationsSay(t *testing.T) {
	kinds, list := All(Deps{})
	tree, err := grammar.NewTree(kinds, append(shell.Builtins(), list...))
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := tree.Reference(&page); err != nil {
		t.Fatal(err)
	}
	generated(t, "../../docs/reference/mmp.md", page.String())
}

func TestZoneListIsThatOfTheToolchain(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("the toolchain cannot be asked: %v", err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("the toolchain's time zones are not there: %v", err)
	}
	defer archive.Close()
	var names []string
	for _, f := range archive.File {
		if !f.FileInfo().IsDir() {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	generated(t, "zones.txt", strings.Join(names, "\n")+"\n")
	for _, n := range names {
		if err := config.ValidateTimezone(n); err != nil {
			t.Errorf("listed and not accepted: %v", err)
		}
	}
}
