package config

import (
	"net/netip"
	"strings"
	"testing"
)

// static is a valid document with two static interfaces.
func static() *Document {
	d := Factory()
	d.Interfaces["a"] = Interface{
		MTU: 1500,
		IPv4: IPv4{
			Enabled: true,
			Address: netip.MustParsePrefix("192.0.2.10/24"),
			Gateway: netip.MustParseAddr("192.0.2.1"),
			Routes:  []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		},
		IPv6: IPv6{
			Enabled:   true,
			Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::10/64")},
			Routers:   []netip.Addr{netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8:1::1")},
		},
	}
	d.Interfaces["b"] = Interface{
		IPv4: IPv4{Enabled: true, Address: netip.MustParsePrefix("203.0.113.10/25"), Gateway: netip.MustParseAddr("203.0.113.126")},
	}
	return d
}

// on changes interface a of a document.
func on(change func(*Interface)) func(*Document) {
	return func(d *Document) {
		i := d.Interfaces["a"]
		change(&i)
		d.Interfaces["a"] = i
	}
}

func address(a, gateway string) func(*Document) {
	return on(func(i *Interface) {
		i.IPv4 = IPv4{Enabled: true, Address: netip.MustParsePrefix(a)}
		if gateway != "" {
			i.IPv4.Gateway = netip.MustParseAddr(gateway)
		}
	})
}

func routes(list ...string) func(*Document) {
	return on(func(i *Interface) {
		i.IPv4.Routes = nil
		for _, r := range list {
			i.IPv4.Routes = append(i.IPv4.Routes, netip.MustParsePrefix(r))
		}
	})
}

func ipv6(addresses, routers string) func(*Document) {
	return on(func(i *Interface) {
		i.IPv6.Addresses, i.IPv6.Routers = nil, nil
		for _, a := range strings.Fields(addresses) {
			i.IPv6.Addresses = append(i.IPv6.Addresses, netip.MustParsePrefix(a))
		}
		for _, r := range strings.Fields(routers) {
			i.IPv6.Routers = append(i.IPv6.Routers, netip.MustParseAddr(r))
		}
	})
}

func TestBuiltInDocumentsAreValid(t *testing.T) {
	for name, d := range map[string]*Document{"factory": Factory(), "fail-safe": FailSafe(), "static": static()} {
		if err := d.Validate(); err != nil {
			t.Errorf("%s document: %v", name, err)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, change := range map[string]func(*Document){
		"a host name with a domain":              func(d *Document) { d.Hostname = "mybox.example.com" },
		"a time zone with three parts":           func(d *Document) { d.Timezone = "America/Argentina/Ushuaia" },
		"a /31 between two routers":              address("192.0.2.0/31", "192.0.2.1"),
		"a /32 without a gateway":                address("192.0.2.7/32", ""),
		"half of the address space as a route":   routes("128.0.0.0/1"),
		"a /127 (RFC 6164)":                      ipv6("2001:db8::/127", "2001:db8::1"),
		"jumbo frames":                           on(func(i *Interface) { i.MTU = 9216 }),
		"MTU 576 without IPv6":                   on(func(i *Interface) { i.MTU = 576; i.IPv6.Enabled = false }),
		"a router beyond the addresses by SLAAC": func(d *Document) { ipv6("", "2001:db8:9::1")(d); on(func(i *Interface) { i.IPv6.SLAAC = true })(d) },
		"the same subnet on an interface that is off": func(d *Document) {
			i := d.Interfaces["a"]
			i.IPv4.Enabled = false
			d.Interfaces["c"] = i
			d.Interfaces["c"] = Interface{IPv4: i.IPv4}
		},
		"a kept address while DHCP is on": on(func(i *Interface) { i.IPv4.DHCP = true }),
	} {
		d := static()
		change(d)
		if err := d.Validate(); err != nil {
			t.Errorf("%s: wanted it accepted, got %v", name, err)
		}
	}
}

func TestValidateRefusesAndSaysWhatWouldBeRight(t *testing.T) {
	long := strings.Repeat("a", 65)
	tests := []struct {
		change func(*Document)
		want   string
	}{
		{func(d *Document) { d.Hostname = "" }, `hostname "" is empty: use letters, digits and hyphens, for example london1 or mybox.example.com`},
		{func(d *Document) { d.Hostname = long }, `is longer than 64 characters`},
		{func(d *Document) { d.Hostname = "a..b" }, `hostname "a..b" has an empty part`},
		{func(d *Document) { d.Hostname = "-a" }, `begins or ends with a hyphen`},
		{func(d *Document) { d.Hostname = "my_box" }, `hostname "my_box" holds '_'`},
		{func(d *Document) { d.Hostname = "192.0.2.1" }, `hostname "192.0.2.1" ends with a number`},
		{func(d *Document) { d.Timezone = "" }, `time zone "" does not exist: use an IANA name`},
		{func(d *Document) { d.Timezone = "Local" }, `time zone "Local" does not exist`},
		{func(d *Document) { d.Timezone = "../etc/passwd" }, `time zone "../etc/passwd" does not exist`},
		{func(d *Document) { d.Timezone = "Europe/Lodnon" }, `time zone "Europe/Lodnon" does not exist: use an IANA name such as Europe/London or UTC`},
		{func(d *Document) { d.Interfaces["e"] = Interface{} }, `interface "e" does not exist: the interfaces are a, b, c, d`},
		{func(d *Document) { d.DefaultInterface = "c" }, `default interface "c" is not configured: configure it first or choose another`},
		{on(func(i *Interface) { i.MTU = 575 }), `interface a: MTU 575 is out of range: use 576 to 9216`},
		{on(func(i *Interface) { i.MTU = 9217 }), `interface a: MTU 9217 is out of range: use 576 to 9216`},
		{on(func(i *Interface) { i.MTU = 1279 }), `interface a: MTU 1279 is too small for IPv6: use 1280 or more, or disable IPv6`},
		{on(func(i *Interface) { i.Link.Speed = 7 }), `interface a: speed 7 is unknown: use one of 10 100 1000 10000 25000 40000 100000`},
		{on(func(i *Interface) { i.IPv4 = IPv4{Enabled: true} }), `interface a: IPv4 is enabled without DHCP and without an address`},
		{address("2001:db8::1/64", ""), `2001:db8::1/64 is not an IPv4 address`},
		{address("192.0.2.1/0", ""), `prefix length of 192.0.2.1/0 is out of range: use 1 to 32`},
		{address("0.1.2.3/24", ""), `address 0.1.2.3 is not a usable unicast address`},
		{address("127.0.0.1/8", ""), `address 127.0.0.1 is not a usable unicast address`},
		{address("224.0.0.5/24", ""), `address 224.0.0.5 is not a usable unicast address`},
		{address("255.255.255.255/32", ""), `address 255.255.255.255 is not a usable unicast address`},
		{address("169.254.1.1/16", ""), `address 169.254.1.1 is link-local`},
		{address("192.0.2.0/24", ""), `address 192.0.2.0 is the address of the network 192.0.2.0/24: use an address from 192.0.2.1 to 192.0.2.254`},
		{address("192.0.2.127/25", ""), `address 192.0.2.127 is the broadcast address of 192.0.2.0/25: use an address from 192.0.2.1 to 192.0.2.126`},
		{address("192.0.2.10/24", "192.0.2.10"), `gateway 192.0.2.10 is the interface's own address: use the router's`},
		{address("192.0.2.10/24", "192.0.3.1"), `gateway 192.0.3.1 is not in the subnet 192.0.2.0/24: use an address from 192.0.2.1 to 192.0.2.254`},
		{address("192.0.2.10/24", "192.0.2.255"), `gateway 192.0.2.255 is the network or broadcast address of 192.0.2.0/24`},
		{address("192.0.2.10/24", "fe80::1"), `gateway fe80::1 is not an IPv4 address`},
		{address("192.0.2.7/32", "192.0.2.1"), `gateway 192.0.2.1 is not in the subnet 192.0.2.7/32: use a prefix length below 32`},
		{routes("10.0.0.1/8"), `route 10.0.0.1/8 has bits beyond its prefix length: use 10.0.0.0/8`},
		{routes("0.0.0.0/0"), `route 0.0.0.0/0 is the default route: make the interface the default instead`},
		{routes("224.0.0.0/4"), `route 224.0.0.0/4 does not lead to usable unicast addresses`},
		{routes("10.0.0.0/8", "10.0.0.0/8"), `route 10.0.0.0/8 is there twice`},
		{routes("2001:db8::/32"), `route 2001:db8::/32 is not an IPv4 prefix`},
		{on(func(i *Interface) { i.IPv4.Gateway = netip.Addr{} }), `route 198.51.100.0/24 needs a gateway`},
		{on(func(i *Interface) { i.IPv4.Routes = make([]netip.Prefix, 65) }), `65 routes are too many: 64 are allowed`},
		{func(d *Document) {
			d.Interfaces["b"] = Interface{IPv4: IPv4{Enabled: true, DHCP: true, Routes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}}
		}, `interfaces a and b both have the route 198.51.100.0/24: delete one of them`},
		{func(d *Document) {
			d.Interfaces["b"] = Interface{IPv4: IPv4{Enabled: true, Address: netip.MustParsePrefix("192.0.2.200/25")}}
		}, `interfaces a and b are in the same subnet (192.0.2.0/24 and 192.0.2.128/25): any two interfaces must be in different subnets`},
		{func(d *Document) {
			d.Interfaces["d"] = Interface{IPv6: IPv6{Enabled: true, Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::77/64")}}}
		}, `interfaces a and d are in the same subnet (2001:db8:1::/64 and 2001:db8:1::/64)`},
		{ipv6("192.0.2.1/24", ""), `192.0.2.1/24 is not an IPv6 address`},
		{ipv6("::ffff:192.0.2.1/120", ""), `is not an IPv6 address`},
		{ipv6("2001:db8::1/0", ""), `prefix length of 2001:db8::1/0 is out of range: use 1 to 128`},
		{ipv6("fe80::5/64", ""), `address fe80::5 is link-local`},
		{ipv6("ff02::1/64", ""), `address ff02::1 is not a usable unicast address`},
		{ipv6("::1/128", ""), `address ::1 is not a usable unicast address`},
		{ipv6("2001:db8::/64", ""), `address 2001:db8:: is the routers' anycast address of 2001:db8::/64`},
		{ipv6("2001:db8::1/64 2001:db8::1/48", ""), `address 2001:db8::1 is there twice`},
		{ipv6("2001:db8::2/64", "2001:db8::2"), `router 2001:db8::2 is the interface's own address`},
		{ipv6("2001:db8::2/64", "2001:db8:5::1"), `router 2001:db8:5::1 is not in the subnet of any of the interface's addresses`},
		{ipv6("", "fe80::1 fe80::1"), `router fe80::1 is there twice`},
		{ipv6("", "fe80::1%eth0"), `router fe80::1%eth0 is not an IPv6 address`},
		{ipv6("", "192.0.2.1"), `router 192.0.2.1 is not an IPv6 address`},
		{ipv6("", "ff02::2"), `router ff02::2 is not a usable unicast address`},
		{on(func(i *Interface) { i.IPv6.Addresses = make([]netip.Prefix, 17) }), `17 IPv6 addresses are too many: 16 are allowed`},
		{on(func(i *Interface) { i.IPv6.Routers = make([]netip.Addr, 5) }), `5 IPv6 routers are too many: 4 are allowed`},
	}
	for _, test := range tests {
		d := static()
		test.change(d)
		err := d.Validate()
		if err == nil {
			t.Errorf("wanted an error with %q, got none", test.want)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("wanted an error with\n%q, got\n%q", test.want, err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("wanted one line, got %q", err)
		}
	}
}

func TestMissingDocumentIsRefusedNotDereferenced(t *testing.T) {
	var d *Document
	if err := d.Validate(); err == nil {
		t.Error("wanted an error for a nil document, got none")
	}
}
