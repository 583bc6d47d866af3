package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rotunda/init/config"
	"rotunda/init/network/dhcp"
)

// fakeKernel keeps an observation and does what the real one would do by itself in the cases that matter: prefix
// routes come and go with addresses, IPv6 addresses with the family.
type fakeKernel struct {
	mu     sync.Mutex
	state  Observation
	fail   func(text string) error
	events chan struct{}
	// sockets counts what is open, looks the observations.
	sockets, looks int
}

// newFakeKernel has a loopback and a port for each letter, all down, as after boot.
func newFakeKernel(letters ...string) (*fakeKernel, map[string]NIC) {
	k := &fakeKernel{
		state: Observation{
			Links:   map[string]Link{"lo": {Index: 1, Name: "lo", MTU: 65536}},
			Sysctls: map[string]string{},
		},
		events: make(chan struct{}, 1),
	}
	for _, s := range commonSysctls {
		k.state.Sysctls[s.key] = "1"
	}
	ports := map[string]NIC{}
	for i, letter := range letters {
		name := fmt.Sprintf("eth%d", i)
		ports[letter] = NIC{Kernel: name, MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1), Driver: "ixgbe"}
		k.state.Links[name] = Link{Index: i + 2, Name: name, MAC: ports[letter].MAC, MTU: 1500, Carrier: true}
		for _, s := range sysctlsOf(name, config.IPv6{}, false) {
			k.state.Sysctls[s.key] = "7"
		}
	}
	return k, ports
}

func (k *fakeKernel) do(text string, change func(*Observation)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		if err := k.fail(text); err != nil {
			return err
		}
	}
	change(&k.state)
	return nil
}

func (k *fakeKernel) Observe(links, sysctls []string) (Observation, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looks++
	o := Observation{Links: map[string]Link{}, Sysctls: map[string]string{}}
	for _, l := range links {
		if link, ok := k.state.Links[l]; ok {
			o.Links[l] = link
		}
	}
	for _, s := range sysctls {
		if v, ok := k.state.Sysctls[s]; ok {
			o.Sysctls[s] = v
		}
	}
	o.Addresses, o.Routes, o.Rules = slices.Clone(k.state.Addresses), slices.Clone(k.state.Routes), slices.Clone(k.state.Rules)
	return o, nil
}

func (k *fakeKernel) SetSysctl(key, value string) error {
	return k.do("sysctl", func(o *Observation) { o.Sysctls[key] = value })
}

func (k *fakeKernel) link(index int, change func(*Link)) error {
	return k.do("link", func(o *Observation) {
		for name, l := range o.Links {
			if l.Index == index {
				change(&l)
				o.Links[name] = l
			}
		}
	})
}

func (k *fakeKernel) SetMode(name string, mode LinkMode) error {
	return k.link(k.state.Links[name].Index, func(l *Link) { mode.CanAutoneg = true; l.Mode = mode })
}
func (k *fakeKernel) SetMTU(index, mtu int) error {
	return k.link(index, func(l *Link) { l.MTU = mtu })
}
func (k *fakeKernel) SetUp(index int, up bool) error {
	return k.link(index, func(l *Link) { l.Up = up })
}

func (k *fakeKernel) AddAddress(index int, p netip.Prefix) error {
	return k.do("add address", func(o *Observation) {
		o.Addresses = append(o.Addresses, Address{Link: index, Prefix: p})
		o.Routes = append(o.Routes, Route{Table: mainTable, Destination: p.Masked(), Link: index, Type: Unicast, Protocol: kernelOwn})
	})
}

func (k *fakeKernel) RemoveAddress(index int, p netip.Prefix) error {
	return k.do("remove address", func(o *Observation) {
		o.Addresses = slices.DeleteFunc(o.Addresses, func(a Address) bool { return a.Link == index && a.Prefix == p })
		// As the kernel: routes by a gateway in the subnet go with it.
		o.Routes = slices.DeleteFunc(o.Routes, func(r Route) bool {
			return r.Link == index && (r.Destination == p.Masked() && r.Protocol == kernelOwn || p.Contains(r.Gateway))
		})
	})
}

func (k *fakeKernel) PutRoute(r Route) error {
	return k.do("put route", func(o *Observation) {
		o.Routes = slices.DeleteFunc(o.Routes, func(x Route) bool {
			return x.Table == r.Table && x.Destination == r.Destination && x.Metric == r.Metric
		})
		o.Routes = append(o.Routes, r)
	})
}

func (k *fakeKernel) RemoveRoute(r Route) error {
	return k.do("remove route", func(o *Observation) {
		o.Routes = slices.DeleteFunc(o.Routes, func(x Route) bool { return x == r })
	})
}

func (k *fakeKernel) AddRule(r Rule) error {
	return k.do("add rule", func(o *Observation) { o.Rules = append(o.Rules, r) })
}

func (k *fakeKernel) RemoveRule(r Rule) error {
	return k.do("remove rule", func(o *Observation) {
		o.Rules = slices.DeleteFunc(o.Rules, func(x Rule) bool { return x == r })
	})
}

func (k *fakeKernel) Solicit(int) error { return nil }

func (k *fakeKernel) Sockets(int) (*Sockets, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sockets++
	return &Sockets{}, nil
}

func (k *fakeKernel) Events(ctx context.Context) (<-chan struct{}, error) {
	out := make(chan struct{})
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case <-k.events:
				select {
				case out <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// document has the given interfaces and a as the default one.
func document(interfaces map[string]config.Interface) *config.Document {
	return &config.Document{Hostname: "box", Timezone: "UTC", DefaultInterface: "a", Interfaces: interfaces}
}

func staticFour(address, gateway string) config.Interface {
	i := config.Interface{IPv4: config.IPv4{Enabled: true, Address: prefix(address)}}
	if gateway != "" {
		i.IPv4.Gateway = addr(gateway)
	}
	return i
}

// steps is a plan without its sysctls.
func steps(in Input, o Observation) []string {
	ops, _ := plan(in, o)
	var out []string
	for _, op := range ops {
		if !strings.HasPrefix(op.text, "sysctl") {
			out = append(out, op.text)
		}
	}
	return out
}

func TestPlanFromNothing(t *testing.T) {
	_, ports := newFakeKernel("a", "b")
	for _, test := range []struct {
		name   string
		doc    *config.Document
		leases map[string]Lease
		want   []string
	}{
		{"nothing configured leaves every port down", document(nil), nil, []string{"lo up"}},
		{"the default interface's gateway is in both tables",
			document(map[string]config.Interface{"a": staticFour("192.0.2.10/24", "192.0.2.1")}), nil,
			[]string{
				"lo up", "a up", "a add 192.0.2.10/24",
				"add rule 1001 from 192.0.2.10/32 table 101",
				"put route 0.0.0.0/0 via 192.0.2.1 dev 2 metric 100 table 101",
				"put route 192.0.2.0/24 dev 2 metric 0 table 101",
				"put route 0.0.0.0/0 via 192.0.2.1 dev 2 metric 100 table 254",
			}},
		{"another interface's gateway is in its own table only, its static routes in both",
			document(map[string]config.Interface{"b": func() config.Interface {
				i := staticFour("198.51.100.10/24", "198.51.100.1")
				i.IPv4.Routes = []netip.Prefix{prefix("203.0.113.7/32")}
				return i
			}()}), nil,
			[]string{
				"lo up", "b up", "b add 198.51.100.10/24",
				"add rule 1002 from 198.51.100.10/32 table 102",
				"put route 0.0.0.0/0 via 198.51.100.1 dev 3 metric 100 table 102",
				"put route 198.51.100.0/24 dev 3 metric 0 table 102",
				"put route 203.0.113.7/32 via 198.51.100.1 dev 3 metric 100 table 102",
				"put route 203.0.113.7/32 via 198.51.100.1 dev 3 metric 100 table 254",
			}},
		{"a lease counts like a static address, with its routes and a gateway outside its subnet",
			document(map[string]config.Interface{"a": {IPv4: config.IPv4{Enabled: true, DHCP: true}}}),
			map[string]Lease{"a": {Lease: dhcp.Lease{
				Address: prefix("192.0.2.10/32"), Router: addr("192.0.2.1"), MTU: 1400,
				Routes: []dhcp.Route{{Destination: prefix("203.0.113.0/24"), Gateway: addr("192.0.2.9")}},
			}}},
			[]string{
				"lo up", "a mtu 1400", "a up", "a add 192.0.2.10/32",
				"add rule 1001 from 192.0.2.10/32 table 101",
				"put route 0.0.0.0/0 via 192.0.2.1 onlink dev 2 metric 100 table 101",
				"put route 203.0.113.0/24 via 192.0.2.9 onlink dev 2 metric 100 table 101",
				"put route 0.0.0.0/0 via 192.0.2.1 onlink dev 2 metric 100 table 254",
				"put route 203.0.113.0/24 via 192.0.2.9 onlink dev 2 metric 100 table 254",
			}},
		{"a lease on an interface that no longer wants one is not used",
			document(map[string]config.Interface{"a": {IPv6: config.IPv6{Enabled: true}}}),
			map[string]Lease{"a": {Lease: dhcp.Lease{Address: prefix("192.0.2.10/24")}}},
			[]string{"lo up", "a up"}},
		{"IPv6 routers follow each other, and a listening interface that is not the default one gets the barrier",
			document(map[string]config.Interface{
				"a": {IPv6: config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix("2001:db8:1::10/64")},
					Routers: []netip.Addr{addr("2001:db8:1::1"), addr("fe80::1"), addr("2001:db8:9::1")}}},
				"b": {IPv6: config.IPv6{Enabled: true, SLAAC: true}},
			}), nil,
			[]string{
				"lo up", "a up", "b up", "a add 2001:db8:1::10/64",
				"add rule 1001 from 2001:db8:1::10/128 table 101",
				"put route ::/0 via 2001:db8:1::1 dev 2 metric 100 table 101",
				"put route ::/0 via fe80::1 dev 2 metric 101 table 101",
				"put route ::/0 via 2001:db8:9::1 onlink dev 2 metric 102 table 101",
				"put route 2001:db8:1::/64 dev 2 metric 1024 table 101",
				"put route ::/0 via 2001:db8:1::1 dev 2 metric 100 table 254",
				"put route ::/0 via fe80::1 dev 2 metric 101 table 254",
				"put route ::/0 via 2001:db8:9::1 onlink dev 2 metric 102 table 254",
				"put unreachable route ::/0 dev 0 metric 2048 table 254",
			}},
		{"the fail-safe document brings links up and nothing else", config.FailSafe(), nil,
			[]string{"lo up", "a up", "b up"}},
		{"MTU and speed are set while the link is down",
			document(map[string]config.Interface{"a": {MTU: 9000, Link: config.Link{Speed: 1000, FullDuplex: true},
				IPv6: config.IPv6{Enabled: true}}}), nil,
			[]string{"lo up", "a mode 1000 full", "a mtu 9000", "a up"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, _ := newFakeKernel("a", "b")
			for name, l := range k.state.Links {
				if name != "lo" {
					l.Mode = LinkMode{Autoneg: true, CanAutoneg: true}
					k.state.Links[name] = l
				}
			}
			got := steps(Input{
				Document: test.doc, Ports: ports, Leases: test.leases, DriverMTU: map[string]int{"a": 1500, "b": 1500},
			}, k.state)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("wanted (-) and planned (+) differ:\n%s", d)
			}
		})
	}
}

func TestSysctlsAreSetBeforeTheLinkAndTheFamilyLast(t *testing.T) {
	k, ports := newFakeKernel("a")
	ops, _ := plan(Input{Document: config.Factory(), Ports: ports}, k.state)
	var texts []string
	for _, op := range ops {
		texts = append(texts, op.text)
	}
	at := func(text string) int {
		i := slices.Index(texts, text)
		if i < 0 {
			t.Fatalf("plan lacks %q: %q", text, texts)
		}
		return i
	}
	up, family := at("a up"), at("sysctl net/ipv6/conf/eth0/disable_ipv6 = 0")
	for _, before := range []string{
		"sysctl net/ipv6/conf/eth0/accept_ra = 1", "sysctl net/ipv6/conf/eth0/ra_defrtr_metric = 1024",
		"sysctl net/ipv6/conf/eth0/addr_gen_mode = 0",
	} {
		if at(before) > family || family > up {
			t.Errorf("%q is step %d, the family %d, the link %d; want them in this order", before, at(before), family, up)
		}
	}
	at("sysctl net/ipv4/conf/eth0/rp_filter = 2")
	at("sysctl net/ipv4/conf/eth0/arp_ignore = 1")
	delete(k.state.Sysctls, "net/ipv6/conf/eth0/ra_defrtr_metric")
	ops, _ = plan(Input{Document: config.Factory(), Ports: ports}, k.state)
	if slices.ContainsFunc(ops, func(op operation) bool { return strings.Contains(op.text, "ra_defrtr_metric") }) {
		t.Error("a sysctl that this kernel does not have is set")
	}
}

func TestWhatExcludesEachOtherIsLeftOutAndTold(t *testing.T) {
	k, ports := newFakeKernel("a", "b")
	ports["b"] = NIC{Kernel: "eth1", Driver: "vmxnet3"}
	for _, test := range []struct {
		name   string
		doc    *config.Document
		leases map[string]Lease
		id     string
		not    string
	}{
		{"two static addresses in one subnet", document(map[string]config.Interface{
			"a": staticFour("192.0.2.10/24", ""), "b": staticFour("192.0.2.200/25", ""),
		}), nil, "interface-b-overlap", "b add"},
		{"a lease in the subnet of a static address of a later letter", document(map[string]config.Interface{
			"a": {IPv4: config.IPv4{Enabled: true, DHCP: true}}, "b": staticFour("192.0.2.200/24", ""),
		}), map[string]Lease{"a": {Lease: dhcp.Lease{Address: prefix("192.0.2.10/24")}}}, "interface-a-overlap", "a add"},
		{"the same IPv6 subnet twice", document(map[string]config.Interface{
			"a": {IPv6: config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix("2001:db8::1/64")}}},
			"b": {IPv6: config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix("2001:db8::2/64")}}},
		}), nil, "interface-b-overlap", "b add"},
		{"a speed on a virtual port", document(map[string]config.Interface{
			"b": {Link: config.Link{Speed: 1000}, IPv6: config.IPv6{Enabled: true}},
		}), nil, "interface-b-speed", "b mode"},
		{"an MTU too small for IPv6", document(map[string]config.Interface{
			"a": {MTU: 1000, IPv6: config.IPv6{Enabled: true}},
		}), nil, "interface-a-mtu", "a mtu"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ops, problems := plan(Input{Document: test.doc, Ports: ports, Leases: test.leases}, k.state)
			if len(problems) != 1 || problems[0].ID != test.id {
				t.Errorf("got problems %v, want one with ID %s", problems, test.id)
			}
			for _, op := range ops {
				if strings.HasPrefix(op.text, test.not) {
					t.Errorf("planned %q all the same", op.text)
				}
			}
		})
	}
	delete(k.state.Links, "eth0")
	if _, problems := plan(Input{Document: document(nil), Ports: ports}, k.state); len(problems) != 1 || problems[0].ID != "interface-a-gone" {
		t.Errorf("a card that disappears: got %v, want interface-a-gone", problems)
	}
}

func TestPlanLeavesAloneWhatItNeedNotTouch(t *testing.T) {
	k, ports := newFakeKernel("a", "b")
	in := Input{Ports: ports, DriverMTU: map[string]int{"a": 1500, "b": 1500}, Document: document(map[string]config.Interface{
		"a": {IPv6: config.IPv6{Enabled: true, SLAAC: true}}, "b": {IPv6: config.IPv6{Enabled: true}},
	})}
	settled(t, k, in)
	o := k.state
	o.Addresses = append(o.Addresses,
		Address{Link: 2, Prefix: prefix("fe80::1/64")},
		Address{Link: 2, Prefix: prefix("2001:db8:1::5/64"), Dynamic: true},
		Address{Link: 3, Prefix: prefix("2001:db8:2::5/64"), Dynamic: true},
		Address{Link: 2, Prefix: prefix("192.0.2.99/24")},
		Address{Link: 1, Prefix: prefix("127.0.0.1/8")},
		Address{Link: 9, Prefix: prefix("10.0.0.1/8")},
	)
	o.Routes = append(o.Routes,
		Route{Table: mainTable, Destination: prefix("::/0"), Gateway: addr("fe80::2"), Link: 2, Metric: 1024, Type: Unicast, Protocol: kernelRA},
		Route{Table: mainTable, Destination: prefix("2001:db8:1::/64"), Link: 2, Metric: 256, Type: Unicast, Protocol: kernelOwn},
		Route{Table: mainTable, Destination: prefix("::/0"), Gateway: addr("fe80::2"), Link: 3, Metric: 4096, Type: Unicast, Protocol: kernelRA},
		Route{Table: mainTable, Destination: prefix("2001:db8:2::/64"), Link: 3, Metric: 256, Type: Unicast, Protocol: kernelOwn},
		Route{Table: mainTable, Destination: prefix("10.0.0.0/8"), Link: 9, Type: Unicast, Protocol: kernelOwn},
		Route{Table: mainTable, Destination: prefix("172.16.0.0/12"), Gateway: addr("10.0.0.2"), Link: 9, Type: Unicast, Protocol: 4},
		Route{Table: 102, Destination: prefix("172.16.0.0/12"), Gateway: addr("10.0.0.2"), Link: 9, Type: Unicast, Protocol: 4},
		Route{Table: mainTable, Destination: prefix("172.17.0.0/16"), Link: 2, Type: Unicast, Protocol: protocol},
	)
	o.Rules = append(o.Rules,
		Rule{Priority: 32766, Table: mainTable, Protocol: kernelOwn},
		Rule{Priority: 1001, From: prefix("192.0.2.77/32"), Table: 101, Protocol: protocol},
	)
	want := []string{
		"a remove 192.0.2.99/24",
		"b remove 2001:db8:2::5/64",
		"add rule 1001 from 2001:db8:1::5/128 table 101",
		"remove rule 1001 from 192.0.2.77/32 table 101",
		"put route ::/0 via fe80::2 dev 2 metric 1024 table 101",
		"put route 2001:db8:1::/64 dev 2 metric 1024 table 101",
		"remove route ::/0 via fe80::2 dev 3 metric 4096 table 254",
		"remove route 2001:db8:2::/64 dev 3 metric 256 table 254",
		"remove route 172.16.0.0/12 via 10.0.0.2 dev 9 metric 0 table 102",
		"remove route 172.17.0.0/16 dev 2 metric 0 table 254",
	}
	if d := cmp.Diff(want, steps(in, o)); d != "" {
		t.Errorf("wanted (-) and planned (+) differ:\n%s", d)
	}
}

// settled applies plans until there is none.
func settled(t *testing.T, k *fakeKernel, in Input) {
	t.Helper()
	for range maxRounds {
		o, err := k.Observe([]string{"lo", "eth0", "eth1"}, slices.Collect(func(yield func(string) bool) {
			for s := range k.state.Sysctls {
				if !yield(s) {
					return
				}
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		ops, _ := plan(in, o)
		if len(ops) == 0 {
			return
		}
		for _, op := range ops {
			if err := op.apply(k); err != nil {
				t.Fatalf("%s: %v", op.text, err)
			}
		}
	}
	ops, _ := plan(in, k.state)
	t.Fatalf("after %d rounds %d steps are left, the first is %q", maxRounds, len(ops), ops[0].text)
}

func TestEveryChangeSettlesAndTheNextPlanIsEmpty(t *testing.T) {
	k, ports := newFakeKernel("a", "b")
	b := staticFour("198.51.100.10/24", "198.51.100.1")
	moved := document(map[string]config.Interface{"a": staticFour("198.51.100.10/24", "198.51.100.254"), "b": {}})
	moved.DefaultInterface = "b"
	for i, doc := range []*config.Document{
		document(map[string]config.Interface{"a": staticFour("192.0.2.10/24", "192.0.2.1"), "b": b}),
		document(map[string]config.Interface{"a": staticFour("192.0.2.10/24", "192.0.2.2"), "b": b}),
		document(map[string]config.Interface{"a": staticFour("192.0.2.11/24", "192.0.2.2"), "b": b}),
		moved,
		config.FailSafe(),
		config.Factory(),
		document(nil),
	} {
		in := Input{Document: doc, Ports: ports, DriverMTU: map[string]int{"a": 1500, "b": 1500}}
		settled(t, k, in)
		if left := steps(in, k.state); len(left) > 0 {
			t.Errorf("document %d: settled, but %q is planned", i, left)
		}
	}
	for _, r := range k.state.Routes {
		if r.Protocol == protocol {
			t.Errorf("nothing is configured any more, but %v is left", r)
		}
	}
	if len(k.state.Addresses)+len(k.state.Rules) > 0 {
		t.Errorf("nothing is configured any more, but %v and %v are left", k.state.Addresses, k.state.Rules)
	}
}

func TestApplyTellsWhatFailedOnceAndClearsIt(t *testing.T) {
	k, ports := newFakeKernel("a")
	tries := 0
	k.fail = func(text string) error {
		if text == "add address" {
			tries++
			return errors.New("no room")
		}
		return nil
	}
	var told [][]Problem
	r := New(Options{Kernel: k, Ports: ports, Problems: func(p []Problem) { told = append(told, p) }})
	doc := document(map[string]config.Interface{"a": staticFour("192.0.2.10/24", "")})
	problems := r.Apply(t.Context(), doc)
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "add 192.0.2.10/24: no room") {
		t.Errorf("got %v, want one problem that names the step and the cause", problems)
	}
	if tries != 1 {
		t.Errorf("the step was tried %d times in one pass, want once", tries)
	}
	k.fail = nil
	if problems := r.Apply(t.Context(), doc); len(problems) > 0 {
		t.Errorf("after the cause is gone: got %v, want none", problems)
	}
	if len(told) != 2 || len(told[0]) != 1 || len(told[1]) != 0 {
		t.Errorf("told %v, want the problem and then none", told)
	}
}

// counted counts how often the kernel is asked.
type counted struct {
	*fakeKernel
	asked int
}

func (c *counted) Observe(links, sysctls []string) (Observation, error) {
	c.asked++
	return c.fakeKernel.Observe(links, sysctls)
}

func TestAChangeOfSomethingElseDoesNotAskTheKernel(t *testing.T) {
	k, ports := newFakeKernel("a")
	c := &counted{fakeKernel: k}
	r := New(Options{Kernel: c, Ports: ports})
	with := func(zone string, address string) *config.Document {
		doc := document(map[string]config.Interface{"a": staticFour(address, "")})
		doc.Timezone = zone
		return doc
	}
	r.Apply(t.Context(), with("UTC", "192.0.2.10/24"))
	before := c.asked
	if problems := r.Apply(t.Context(), with("Europe/London", "192.0.2.10/24")); len(problems) > 0 || c.asked != before {
		t.Errorf("another time zone: asked %d times more, %v", c.asked-before, problems)
	}
	r.Apply(t.Context(), with("Europe/London", "192.0.2.11/24"))
	if c.asked == before || len(k.state.Addresses) != 1 || k.state.Addresses[0].Prefix.String() != "192.0.2.11/24" {
		t.Errorf("another address: asked %d times more, and there is %v", c.asked-before, k.state.Addresses)
	}
	k.fail = func(string) error { return errors.New("no room") }
	if problems := r.Apply(t.Context(), with("UTC", "192.0.2.12/24")); len(problems) == 0 {
		t.Error("nothing was told of what failed")
	}
	k.fail = nil
	// What has failed is tried again with the next change, whatever it is.
	if problems := r.Apply(t.Context(), with("Europe/London", "192.0.2.12/24")); len(problems) > 0 {
		t.Errorf("once more: %v", problems)
	}
}

func TestMTUZeroIsWhatTheDriverCameUpWith(t *testing.T) {
	k, ports := newFakeKernel("a")
	r := New(Options{Kernel: k, Ports: ports})
	with := func(mtu int) *config.Document {
		return document(map[string]config.Interface{"a": {MTU: mtu, IPv6: config.IPv6{Enabled: true}}})
	}
	for _, step := range []struct{ configured, want int }{{9000, 9000}, {0, 1500}, {1400, 1400}, {0, 1500}} {
		r.Apply(t.Context(), with(step.configured))
		if got := k.state.Links["eth0"].MTU; got != step.want {
			t.Errorf("configured %d: got MTU %d, want %d", step.configured, got, step.want)
		}
	}
}

func TestCheckJudgesTheChangeAndNotTheRest(t *testing.T) {
	_, ports := newFakeKernel("a")
	ports["a"] = NIC{Kernel: "eth0", Driver: "virtio_net"}
	r := New(Options{Ports: ports})
	before := document(map[string]config.Interface{"a": {}, "c": staticFour("192.0.2.1/24", "")})
	for _, test := range []struct {
		name   string
		change func(*config.Document)
		want   string
	}{
		{"nothing", func(*config.Document) {}, ""},
		{"another host name", func(d *config.Document) { d.Hostname = "x" }, ""},
		{"an interface without a port", func(d *config.Document) { d.Interfaces["b"] = staticFour("192.0.2.1/24", "") },
			"interface b: this machine has no such port"},
		{"a default interface without a port", func(d *config.Document) { d.DefaultInterface = "d" },
			"interface d: this machine has no such port"},
		{"a speed on a virtual port", func(d *config.Document) { d.Interfaces["a"] = config.Interface{Link: config.Link{Speed: 100}} },
			"interface a: speed and duplex can be set on hardware only, driver virtio_net is virtual"},
	} {
		after := document(map[string]config.Interface{"a": {}, "c": before.Interfaces["c"]})
		test.change(after)
		got := ""
		if err := r.Check(before, after); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestObservedShowsTablesSourcesAndTheLease(t *testing.T) {
	k, ports := newFakeKernel("a", "b")
	r := New(Options{Kernel: k, Ports: ports})
	a := staticFour("192.0.2.10/24", "192.0.2.1")
	a.IPv6 = config.IPv6{Enabled: true, Addresses: []netip.Prefix{prefix("2001:db8::10/64")}}
	r.Apply(t.Context(), document(map[string]config.Interface{"a": a}))
	k.state.Routes = append(k.state.Routes, Route{Table: localTable, Destination: prefix("192.0.2.10/32"), Link: 2, Type: Local, Protocol: kernelOwn})
	got, err := r.Observed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Fatalf("got %v, want a and b", got)
	}
	var lines []string
	for _, x := range got[0].Routes {
		lines = append(lines, fmt.Sprintf("%v %v %v %v %d", x.Source, x.Destination, x.Gateway, x.Global, x.Table))
	}
	want := []string{
		"invalid IP 192.0.2.10/32 invalid IP false 255",
		"invalid IP 2001:db8::/64 invalid IP false 254",
		"invalid IP 192.0.2.0/24 invalid IP false 254",
		"invalid IP 0.0.0.0/0 192.0.2.1 true 254",
		"2001:db8::10 2001:db8::/64 invalid IP false 101",
		"192.0.2.10 192.0.2.0/24 invalid IP false 101",
		"192.0.2.10 0.0.0.0/0 192.0.2.1 false 101",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("wanted (-) and shown (+) routes differ:\n%s", d)
	}
	if !slices.Equal(got[0].Addresses, []netip.Prefix{prefix("192.0.2.10/24"), prefix("2001:db8::10/64")}) || !got[0].Up || got[0].MAC != "02:00:00:00:00:01" {
		t.Errorf("got %+v", got[0])
	}
}

// deadline bounds every wait of the tests.
const deadline = 20 * time.Second

// eventually asks again until a condition holds.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: %v", what, err)
		}
	}
}
