package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func reachable() *Document {
	d := Factory()
	d.Interfaces["a"] = Interface{
		IPv4: IPv4{Enabled: true, Address: netip.MustParsePrefix("192.0.2.10/24"), Gateway: netip.MustParseAddr("192.0.2.1")},
		IPv6: IPv6{Enabled: true, SLAAC: true, Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::10/64")}},
	}
	d.Interfaces["b"] = Interface{IPv4: IPv4{Enabled: true, Address: netip.MustParsePrefix("198.51.100.10/24")}}
	return d
}

func TestASessionThatAChangeWouldCutIsFound(t *testing.T) {
	near := Session{Interface: "a", Local: netip.MustParseAddr("192.0.2.10"), Remote: netip.MustParseAddr("192.0.2.7")}
	far := Session{Interface: "a", Local: netip.MustParseAddr("192.0.2.10"), Remote: netip.MustParseAddr("203.0.113.7")}
	mapped := Session{Interface: "a", Local: netip.MustParseAddr("::ffff:192.0.2.10"), Remote: netip.MustParseAddr("::ffff:192.0.2.7")}
	six := Session{Interface: "a", Local: netip.MustParseAddr("2001:db8::10"), Remote: netip.MustParseAddr("2001:db8:9::7")}
	link := Session{Interface: "a", Local: netip.MustParseAddr("fe80::10%eth0"), Remote: netip.MustParseAddr("fe80::7%eth0")}
	slaac := Session{Interface: "a", Local: netip.MustParseAddr("2001:db8::abcd"), Remote: netip.MustParseAddr("2001:db8:9::7")}
	static := Session{Interface: "b", Local: netip.MustParseAddr("198.51.100.10"), Remote: netip.MustParseAddr("203.0.113.7")}
	fire := func(f Firewall) func(*Document) { return func(d *Document) { d.Firewall = Firewalls{"a": f} } }
	four := func(edit func(*IPv4)) func(*Document) {
		return func(d *Document) { i := d.Interfaces["a"]; edit(&i.IPv4); d.Interfaces["a"] = i }
	}
	v6 := func(edit func(*IPv6)) func(*Document) {
		return func(d *Document) { i := d.Interfaces["a"]; edit(&i.IPv6); d.Interfaces["a"] = i }
	}
	ssh := FirewallRule{Allow: true, Port: 22}
	leased := reachable()
	leased.Interfaces["a"] = Interface{IPv4: IPv4{Enabled: true, DHCP: true}}
	for want, s := range map[string]Session{"": near, "another gateway": far, "another address": {Interface: "a", Local: netip.MustParseAddr("192.0.2.99"), Remote: near.Remote}} {
		if got := s.Cut(leased, reachable()); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("from a lease to 192.0.2.10: wanted %q, got %q", want, got)
		}
	}
	for name, c := range map[string]struct {
		s    Session
		edit func(*Document)
		want string
	}{
		"nothing":                       {near, func(*Document) {}, ""},
		"a host name":                   {near, func(d *Document) { d.Hostname = "x" }, ""},
		"deny everything":               {near, fire(Firewall{Enabled: true, Default: Deny}), "would not let in SSH from 192.0.2.7"},
		"mapped address":                {mapped, fire(Firewall{Enabled: true, Default: Deny}), "would not let in SSH from 192.0.2.7"},
		"not enabled":                   {near, fire(Firewall{Default: Deny}), ""},
		"deny but ssh":                  {near, fire(Firewall{Enabled: true, Default: Deny, Rules: []FirewallRule{ssh}}), ""},
		"allow udp 22":                  {near, fire(Firewall{Enabled: true, Default: Deny, Rules: []FirewallRule{{Allow: true, Port: 22, Proto: UDP}}}), "would not let in"},
		"allow ssh from elsewhere":      {near, fire(Firewall{Enabled: true, Default: Deny, Rules: []FirewallRule{{Allow: true, Port: 22, From: netip.MustParsePrefix("10.0.0.0/8")}}}), "would not let in"},
		"allow ssh from here":           {near, fire(Firewall{Enabled: true, Default: Deny, Rules: []FirewallRule{{Allow: true, Port: 22, From: netip.MustParsePrefix("192.0.2.0/24")}}}), ""},
		"IPv6 rule for an IPv4 session": {near, fire(Firewall{Enabled: true, Default: Deny, Rules: []FirewallRule{{Allow: true, Port: 22, From: netip.MustParsePrefix("::/0")}}}), "would not let in"},
		"deny before allow":             {near, fire(Firewall{Enabled: true, Default: Allow, Rules: []FirewallRule{{Port: 22, From: netip.MustParsePrefix("192.0.2.7/32")}, ssh}}), "would not let in"},
		"firewall of another interface": {near, func(d *Document) { d.Firewall = Firewalls{"b": {Enabled: true, Default: Deny}} }, ""},
		"link-local firewall":           {link, fire(Firewall{Enabled: true, Default: Deny}), "would not let in SSH from fe80::7"},
		"another address":               {near, four(func(i *IPv4) { i.Address = netip.MustParsePrefix("192.0.2.11/24") }), "another address"},
		"shorter subnet, still near":    {near, four(func(i *IPv4) { i.Address = netip.MustParsePrefix("192.0.2.10/25") }), ""},
		"DHCP":                          {near, four(func(i *IPv4) { i.DHCP = true }), "another address"},
		"IPv4 off":                      {near, four(func(i *IPv4) { i.Enabled = false }), "IPv4 of interface a would be off"},
		"gateway, near":                 {near, four(func(i *IPv4) { i.Gateway = netip.MustParseAddr("192.0.2.2") }), ""},
		"gateway, far":                  {far, four(func(i *IPv4) { i.Gateway = netip.MustParseAddr("192.0.2.2") }), "another gateway"},
		"IPv4 off under IPv6":           {six, four(func(i *IPv4) { i.Enabled = false }), ""},
		"default with its own gateway":  {far, func(d *Document) { d.DefaultInterface = "b" }, ""},
		"default without a gateway":     {static, func(d *Document) { d.DefaultInterface = "b" }, "another interface"},
		"IPv6 off":                      {six, v6(func(i *IPv6) { i.Enabled = false }), "IPv6 of interface a would be off"},
		"IPv6 address gone":             {six, v6(func(i *IPv6) { i.Addresses = nil }), "2001:db8::10 no more"},
		"IPv6 address gone, link-local": {link, v6(func(i *IPv6) { i.Addresses = nil }), ""},
		"SLAAC off, static session":     {six, v6(func(i *IPv6) { i.SLAAC = false }), ""},
		"SLAAC off":                     {slaac, v6(func(i *IPv6) { i.SLAAC = false }), "with SLAAC"},
		"routers":                       {six, v6(func(i *IPv6) { i.Routers = []netip.Addr{netip.MustParseAddr("fe80::1")} }), "other routers"},
	} {
		after := reachable()
		c.edit(after)
		got := c.s.Cut(reachable(), after)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: wanted %q, got %q", name, c.want, got)
		}
	}
}

func TestAnUndoTakesBackReachAndNothingElse(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	before := reachable()
	u := NewUndo(before, "/data/sets/000001/config", "192.0.2.7:1", now)
	doc := reachable()
	doc.Hostname = "later"
	doc.Firewall = Firewalls{"a": {Enabled: true, Default: Deny}}
	doc.Interfaces["a"] = Interface{IPv4: IPv4{Enabled: true, DHCP: true}}
	back, err := u.Applied(doc)
	if err != nil || back.Hostname != "later" || back.Firewall["a"].Enabled || back.Interfaces["a"].IPv4.Address.String() != "192.0.2.10/24" {
		t.Errorf("wanted network and firewall back and the host name kept, got %+v, %v", back, err)
	}
	// The interface that the undo wants as default has gone with what was changed since: the firewall alone goes back.
	u.DefaultInterface = "c"
	if back, err = u.Applied(doc); err != nil || back.Firewall["a"].Enabled || !back.Interfaces["a"].IPv4.DHCP {
		t.Errorf("wanted the firewall back, got %+v, %v", back, err)
	}
	for at, want := range map[time.Time]time.Duration{
		now: ConfirmWithin, now.Add(time.Minute): time.Minute, now.Add(time.Hour): 0, now.Add(-time.Hour): ConfirmWithin,
	} {
		if got := u.Left(at); got != want {
			t.Errorf("at %v: wanted %v, got %v", at, want, got)
		}
	}
}

func TestFirewallsAndMarksAreJudged(t *testing.T) {
	for want, edit := range map[string]func(*Document){
		"there is no default: use firewall <interface> default allow or deny first": func(d *Document) { d.Firewall = Firewalls{"a": {Enabled: true}} },
		`default "maybe": use allow or deny`:                                        func(d *Document) { d.Firewall = Firewalls{"a": {Default: "maybe"}} },
		`firewall of interface "e"`:                                                 func(d *Document) { d.Firewall = Firewalls{"e": {}} },
		"port 65536 is out of range": func(d *Document) {
			d.Firewall = Firewalls{"a": {Rules: []FirewallRule{{Port: 65536}}}}
		},
		"protocol \"sctp\": use tcp or udp": func(d *Document) {
			d.Firewall = Firewalls{"a": {Rules: []FirewallRule{{Port: 1, Proto: "sctp"}}}}
		},
		"use 192.0.2.0/24, or 192.0.2.7 for one host": func(d *Document) {
			d.Firewall = Firewalls{"a": {Rules: []FirewallRule{{Port: 1, From: netip.MustParsePrefix("192.0.2.7/24")}}}}
		},
		"there twice": func(d *Document) {
			d.Firewall = Firewalls{"a": {Rules: []FirewallRule{{Tag: 1, Port: 1}, {Tag: 1, Port: 2}}}}
		},
		"more than 2000 rules": func(d *Document) {
			d.Firewall = Firewalls{"a": {Rules: slices.Repeat([]FirewallRule{{Port: 1}}, MaxFirewallRules+1)}}
		},
		`traffic type "music" is unknown`: func(d *Document) { d.DSCP.IPv4 = map[string]int{"music": 1} },
		"DSCP value 64 of voice in IPv6":  func(d *Document) { d.DSCP.IPv6 = map[string]int{"voice": 64} },
	} {
		d := Factory()
		edit(d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %q, got %v", want, err)
		}
	}
}

func TestAssuredChoosesTheOtherValues(t *testing.T) {
	d := DSCP{IPv4: map[string]int{"voice": 46, "assured-voice": 44, "signaling": 24, "multimedia": 34}}
	check := func(kind string, want int, there bool) {
		t.Helper()
		if got, ok := d.Of(4, kind); got != want || ok != there {
			t.Errorf("%s: wanted %d, %v, got %d, %v", kind, want, there, got, ok)
		}
	}
	check("voice", 46, true)
	check("multimedia", 34, true)
	d.Assured = true
	check("voice", 44, true)
	check("multimedia", 0, false)
	check("signaling", 24, true)
	if _, ok := d.Of(6, "voice"); ok {
		t.Error("wanted no value of the other family")
	}
}

func TestAChangeElsewhereNeedsNoLookAtTheKernel(t *testing.T) {
	here := netip.MustParseAddr("192.0.2.10")
	for name, c := range map[string]struct {
		local netip.Addr
		edit  func(*Document)
		want  bool
	}{
		"a host name":                {here, func(d *Document) { d.Hostname = "x" }, true},
		"a host name, from anywhere": {netip.Addr{}, func(d *Document) { d.Hostname = "x" }, true},
		"another interface":          {here, func(d *Document) { d.Interfaces["b"] = Interface{} }, true},
		"its firewall":               {here, func(d *Document) { d.Firewall = Firewalls{"b": {Enabled: true, Default: Deny}} }, true},
		"one that was not there":     {here, func(d *Document) { d.Interfaces["c"] = Interface{IPv4: IPv4{Enabled: true, DHCP: true}} }, true},
		"this interface":             {here, func(d *Document) { d.Interfaces["a"] = Interface{} }, false},
		"this firewall":              {here, func(d *Document) { d.Firewall = Firewalls{"a": {Enabled: true, Default: Deny}} }, false},
		"the default interface":      {here, func(d *Document) { d.DefaultInterface = "b" }, false},
		"a session by IPv6":          {netip.MustParseAddr("2001:db8::10"), func(d *Document) { d.Interfaces["b"] = Interface{} }, false},
		"an address that was mapped": {netip.MustParseAddr("::ffff:198.51.100.10"), func(d *Document) { d.Interfaces["b"] = Interface{} }, false},
		"one with a lease":           {here, func(d *Document) { d.Interfaces["d"] = Interface{} }, false},
	} {
		before := reachable()
		before.Interfaces["d"] = Interface{IPv4: IPv4{Enabled: true, DHCP: true}}
		after := before.Clone()
		c.edit(after)
		if got := Elsewhere(c.local, before, after); got != c.want {
			t.Errorf("%s: wanted %v, got %v", name, c.want, got)
		}
	}
}
