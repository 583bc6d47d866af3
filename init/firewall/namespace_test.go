package firewall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"rotunda/init/config"
	"rotunda/init/network/namespacetest"
)

func newNamespace(t *testing.T) *namespacetest.Namespace {
	t.Helper()
	n := namespacetest.New(t)
	n.Must(t, namespacetest.Up("lo"))
	return n
}

// house is the machine, with eth0 to one neighbour and eth1 to another.
type house struct {
	t               *testing.T
	machine         *namespacetest.Namespace
	outside, inside *namespacetest.Namespace
	keeper          *Keeper
	kernel          NFTables
}

var testDevices = map[string]string{"a": "eth0", "b": "eth1"}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, machine: newNamespace(t), outside: newNamespace(t), inside: newNamespace(t)}
	for i, other := range []*namespacetest.Namespace{h.outside, h.inside} {
		name := fmt.Sprintf("eth%d", i)
		h.machine.Cable(t, name, other, "far")
		h.machine.Must(t, namespacetest.Up(name, fmt.Sprintf("10.9.%d.1/24", i), fmt.Sprintf("2001:db8:%d::1/64", i)))
		other.Must(t, namespacetest.Up("far", fmt.Sprintf("10.9.%d.2/24", i), fmt.Sprintf("10.9.%d.3/24", i), fmt.Sprintf("2001:db8:%d::2/64", i)))
	}
	h.kernel = NFTables{Namespace: h.machine.FD()}
	if _, err := h.kernel.Read(); err != nil {
		t.Skipf("nftables are not available: %v", err)
	}
	for _, target := range []string{"10.9.0.2", "10.9.1.2", "2001:db8::2", "2001:db8:1::2"} {
		h.settled(target)
	}
	return h
}

// settled waits until a neighbour answers, which a new link takes a moment for: nobody listens at the port, and it says so.
func (h *house) settled(target string) {
	h.t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		err = h.machine.Do(func() error {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(target, "9"), time.Second)
			if err == nil {
				c.Close()
			}
			return err
		})
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
	}
	h.t.Fatalf("the test's network does not settle: %s: %v", target, err)
}

// forget makes a namespace ask for its neighbours anew.
func forget(t *testing.T, n *namespacetest.Namespace) {
	t.Helper()
	n.Must(t, func() error {
		list, err := netlink.NeighList(0, 0)
		for _, entry := range list {
			if entry.State&(netlink.NUD_NOARP|netlink.NUD_PERMANENT) == 0 {
				_ = netlink.NeighDel(&entry)
			}
		}
		return err
	})
}

func (h *house) apply(doc *config.Document) {
	h.t.Helper()
	if o := h.keeper.Apply(doc); !o.Equal(Outcome{}) {
		h.t.Fatalf("wanted the table in force, got %+v", o)
	}
}

// listen opens a TCP port of the machine that says hello to everybody.
func (h *house) listen(port int) {
	h.t.Helper()
	var l net.Listener
	h.machine.Must(h.t, func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	h.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			c.Close()
		}
	}()
}

// patience is how long a packet that is dropped is waited for, at a thousand times the time it would take.
const patience = 250 * time.Millisecond

// reaches says whether a neighbour gets through to a TCP port.
func reaches(from *namespacetest.Namespace, source, target string) bool {
	return from.Do(func() error {
		d := net.Dialer{Timeout: patience}
		if source != "" {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))
		}
		c, err := d.DialContext(context.Background(), "tcp", target)
		if err != nil {
			return err
		}
		return c.Close()
	}) == nil
}

// TestInTheKernel has one network for all: a new one takes seconds until it answers.
func TestInTheKernel(t *testing.T) {
	h := newHouse(t)
	for name, test := range map[string]func(*testing.T, *house){
		"packets meet the rules":                        packetsMeetTheRules,
		"answers and the network itself pass":           answersAndTheNetworkItselfPass,
		"a table that somebody changed is restored":     aTableThatSomebodyChangedIsRestored,
		"two thousand rules are one transaction":        twoThousandRulesAreOneTransaction,
		"little room for answers is enough":             littleRoomForAnswersIsEnough,
		"marks are on the frames":                       marksAreOnTheFrames,
		"media mark themselves":                         mediaMarkThemselves,
		"a connection outlives the rule that let it in": aConnectionOutlivesTheRule,
		"datagrams meet the rules":                      datagramsMeetTheRules,
		"nft reads the table as it is meant":            nftReadsTheTableAsItIsMeant,
	} {
		t.Run(name, func(t *testing.T) {
			h := &house{t: t, machine: h.machine, outside: h.outside, inside: h.inside, kernel: h.kernel}
			h.keeper = New(Options{Kernel: h.kernel, Devices: testDevices, Log: func(s string) { t.Log(s) }})
			if err := h.kernel.Replace(Table{}); err != nil {
				t.Fatal(err)
			}
			test(t, h)
		})
	}
}

func rule(tag int, allow bool, port int, proto, from string) config.FirewallRule {
	r := config.FirewallRule{Tag: tag, Allow: allow, Port: port, Proto: proto}
	if from != "" {
		r.From = netip.MustParsePrefix(from)
	}
	return r
}

func walled(fs config.Firewalls) *config.Document {
	doc := config.Factory()
	doc.Firewall = fs
	return doc
}

func packetsMeetTheRules(t *testing.T, h *house) {
	h.listen(22)
	h.listen(80)
	check := func(when string, wants map[string]bool) {
		t.Helper()
		for target, want := range wants {
			from := h.outside
			if strings.Contains(target, ".1.1:") || strings.Contains(target, ":1::1]") {
				from = h.inside
			}
			host, source, _ := strings.Cut(target, " from ")
			if got := reaches(from, source, host); got != want {
				t.Errorf("%s: %s: wanted %v, got %v", when, target, want, got)
			}
		}
	}
	h.apply(walled(config.Firewalls{"a": {Default: config.Deny}}))
	check("not enabled", map[string]bool{"10.9.0.1:22": true, "[2001:db8:0::1]:22": true})

	h.apply(walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{rule(0, true, 22, "", "")}}}))
	check("deny but ssh", map[string]bool{
		"10.9.0.1:22": true, "[2001:db8:0::1]:22": true, "10.9.0.1:80": false, "[2001:db8:0::1]:80": false,
		"10.9.1.1:22": true, "10.9.1.1:80": true, "[2001:db8:1::1]:80": true,
	})

	h.apply(walled(config.Firewalls{
		"a": {Enabled: true, Default: config.Allow, Rules: []config.FirewallRule{rule(0, false, 80, "tcp", ""), rule(1, false, 22, "udp", "")}},
		"b": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{rule(5, true, 22, "tcp", "2001:db8:1::2/128"), rule(6, true, 80, "", "10.9.1.0/31")}},
	}))
	check("two firewalls", map[string]bool{
		"10.9.0.1:22": true, "10.9.0.1:80": false, "[2001:db8:0::1]:80": false, "[2001:db8:0::1]:22": true,
		"10.9.1.1:22": false, "[2001:db8:1::1]:22": true, "10.9.1.1:80": false, "[2001:db8:1::1]:80": false,
	})

	h.apply(walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{
		rule(0, false, 22, "", "10.9.0.3/32"), rule(1, true, 22, "", "10.9.0.0/24"), rule(2, true, 0, "", "2001:db8::/64")}}}))
	check("the first that fits", map[string]bool{
		"10.9.0.1:22 from 10.9.0.2": true, "10.9.0.1:22 from 10.9.0.3": false, "10.9.0.1:80 from 10.9.0.2": false, "[2001:db8:0::1]:80": true,
	})

	h.apply(walled(nil))
	check("none", map[string]bool{"10.9.0.1:80": true, "[2001:db8:0::1]:80": true})
	if got, err := h.kernel.Read(); err != nil || len(got.Chains) != 0 {
		t.Errorf("wanted no table, got %+v, %v", got, err)
	}
}

func answersAndTheNetworkItselfPass(t *testing.T, h *house) {
	h.apply(walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{rule(0, false, 0, "", "")}}}))
	var l net.Listener
	h.outside.Must(t, func() (err error) { l, err = net.Listen("tcp", ":8080"); return err })
	defer l.Close()
	for _, target := range []string{"10.9.0.2:8080", "[2001:db8:0::2]:8080"} {
		// Over IPv6 this needs neighbour discovery as well.
		forget(t, h.machine)
		forget(t, h.outside)
		if !reaches(h.machine, "", target) {
			t.Errorf("%s: wanted the machine to reach it through its own firewall", target)
		}
	}
	h.listen(22)
	if !reaches(h.machine, "", "127.0.0.1:22") || !reaches(h.machine, "", "[::1]:22") || !reaches(h.machine, "", "10.9.0.1:22") {
		t.Error("wanted loopback open")
	}
	if ping, err := exec.LookPath("ping"); err == nil {
		for _, target := range []string{"10.9.0.1", "2001:db8:0::1"} {
			h.outside.Must(t, func() error { return exec.Command(ping, "-c1", "-W2", target).Run() })
		}
	}
}

func aTableThatSomebodyChangedIsRestored(t *testing.T, h *house) {
	doc := walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{rule(0, true, 22, "", "")}}})
	h.apply(doc)
	want, _ := Compile(doc, testDevices)
	other := walled(config.Firewalls{"a": {Enabled: true, Default: config.Allow}})
	wrong, _ := Compile(other, testDevices)
	if err := h.kernel.Replace(wrong); err != nil {
		t.Fatal(err)
	}
	got, err := h.kernel.Read()
	if err != nil || difference(want, got) == "" {
		t.Fatalf("wanted a difference, got %v", err)
	}
	h.keeper.Compare()
	if got, err = h.kernel.Read(); err != nil || difference(want, got) != "" {
		t.Errorf("wanted the table back, got %q, %v", difference(want, got), err)
	}
	if err := h.kernel.Replace(Table{}); err != nil {
		t.Fatal(err)
	}
	h.keeper.Compare()
	if got, err = h.kernel.Read(); err != nil || difference(want, got) != "" {
		t.Errorf("wanted the table back after it was deleted, got %q, %v", difference(want, got), err)
	}
}

func twoThousandRulesAreOneTransaction(t *testing.T, h *house) {
	f := config.Firewall{Enabled: true, Default: config.Deny}
	for i := range 2000 {
		from := fmt.Sprintf("10.%d.%d.0/24", 16+i/256, i%256)
		if i%2 == 1 {
			from = fmt.Sprintf("2001:db8:%x::/48", i)
		}
		f.Rules = append(f.Rules, rule(i, i%3 == 0, 1+i, "", from))
	}
	doc := walled(config.Firewalls{"a": f})
	if err := doc.Validate(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.apply(doc)
	t.Logf("2000 rules in force and read back after %v", time.Since(began))
	began = time.Now()
	h.keeper.Compare()
	t.Logf("compared after %v", time.Since(began))
	got, err := h.kernel.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Chains {
		// With what is neither TCP nor UDP, and the default.
		if c.Name == "a" && len(c.Rules) != 2002 {
			t.Errorf("wanted 2002 rules, got %d", len(c.Rules))
		}
	}
}

// littleRoomForAnswersIsEnough gives the kernel room for a few words alone.
func littleRoomForAnswersIsEnough(t *testing.T, h *house) {
	f := config.Firewall{Enabled: true, Default: config.Deny}
	for i := range 1000 {
		f.Rules = append(f.Rules, rule(i, true, 1+i, "", ""))
	}
	doc := walled(config.Firewalls{"a": f})
	small := h.kernel
	small.receive = 4096
	want, _ := Compile(doc, testDevices)
	if err := small.Replace(want); err != nil {
		t.Fatal(err)
	}
	// Each of these rules is refused, since the chain that it names is not there.
	wrong := want
	wrong.Chains = slices.Clone(want.Chains)
	for i := range wrong.Chains {
		wrong.Chains[i].Rules = slices.Clone(want.Chains[i].Rules)
		for n := range wrong.Chains[i].Rules {
			wrong.Chains[i].Rules[n].Exprs = []expr.Any{enter("nowhere")}
		}
	}
	for _, k := range []NFTables{small, h.kernel} {
		if err := k.Replace(wrong); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("wanted the rules refused, got %v", err)
		}
	}
	if got, err := small.Read(); err != nil || difference(want, got) != "" {
		t.Errorf("wanted all rules there, got %q, %v", difference(want, got), err)
	}
}

// listing is what nft says of the table.
func (h *house) listing() string {
	h.t.Helper()
	nft, err := exec.LookPath("nft")
	if err != nil {
		h.t.Skip("there is no nft")
	}
	var out []byte
	h.machine.Must(h.t, func() (err error) {
		out, err = exec.Command(nft, "list", "table", "inet", TableName).CombinedOutput()
		return err
	})
	return string(out)
}

func nftReadsTheTableAsItIsMeant(t *testing.T, h *house) {
	doc := walled(config.Firewalls{
		"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{
			rule(0, true, 22, "", ""), rule(3, false, 443, "tcp", "192.0.2.0/24"), rule(4, true, 53, "udp", "2001:db8::/32"), rule(7, true, 0, "tcp", "10.1.1.1/32")}},
		"b": {Enabled: false, Default: config.Deny, Rules: []config.FirewallRule{rule(0, true, 22, "", "")}},
	})
	doc.DSCP = config.DSCP{IPv4: map[string]int{"oa&m": 0x22, "multimedia": 34}, IPv6: map[string]int{"signaling": 24}}
	h.apply(doc)
	got := h.listing()
	golden := filepath.Join("testdata", "table.nft")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("wanted\n%s\ngot\n%s", want, got)
	}
}
