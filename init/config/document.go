// Package config owns the one typed document that says how this machine is set up: host name, time zone, the interfaces
// a–d and the services.
//
// The document is stored as numbered generations, one folder per schema version (see [Store]); the newest readable
// generation counts. A generation is never changed once it has its name, so a power cut leaves the generation before
// or the new one. A document that no generation can give is replaced by [FailSafe]: never a machine that cannot be
// reached.
//
// Everything here is pure data and file access: nothing in this package touches the kernel.
package config

import (
	"net/netip"
)

// Schema is the version of the document's shape. A version of Rotunda that changes the shape raises it, migrates a
// copy into a folder of its own and leaves the older folder as it is, so that an older Rotunda finds what it left.
const Schema = 1

// InterfaceNames are the names that an administrator uses, in PCI order.
var InterfaceNames = []string{"a", "b", "c", "d"}

// Document is everything that is configured by commands of the shell.
type Document struct {
	Hostname string `json:"hostname"`
	// Timezone is an IANA name.
	Timezone string `json:"timezone"`
	// DefaultInterface carries the default route of both families.
	DefaultInterface string `json:"defaultInterface"`
	// Interfaces holds an entry for every name that was ever configured; a name without an entry is unconfigured.
	Interfaces map[string]Interface `json:"interfaces"`
	// TURN is the TURN server; the zero value is one that was never set up.
	TURN TURN `json:"turn,omitzero"`
	// CallBridge always runs; the zero value listens nowhere.
	CallBridge CallBridge `json:"callBridge,omitzero"`
	WebAdmin   WebAdmin   `json:"webAdmin,omitzero"`
	TLS        TLS        `json:"tls,omitzero"`
	DNS        DNS        `json:"dns,omitzero"`
	NTP        NTP        `json:"ntp,omitzero"`
	Firewall   Firewalls  `json:"firewall,omitempty"`
	DSCP       DSCP       `json:"dscp,omitzero"`
	Syslog     Syslog     `json:"syslog,omitzero"`
	SNMP       SNMP       `json:"snmp,omitzero"`
	// LDAP and CAC are how people log in besides by a password of their own.
	LDAP LDAP `json:"ldap,omitzero"`
	CAC  CAC  `json:"cac,omitzero"`
	FIPS FIPS `json:"fips,omitzero"`
}

// Interface is what is wanted of one network interface.
type Interface struct {
	// MTU in bytes; 0 means the driver's own.
	MTU  int  `json:"mtu,omitempty"`
	Link Link `json:"link"`
	IPv4 IPv4 `json:"ipv4"`
	IPv6 IPv6 `json:"ipv6"`
}

// Link is speed and duplex of a physical port. A zero Speed means auto-negotiation.
type Link struct {
	// Speed in Mbit/s.
	Speed      int  `json:"speed,omitempty"`
	FullDuplex bool `json:"fullDuplex,omitempty"`
}

// IPv4 of one interface. Address and gateway of a static configuration are kept while DHCP or the family is off.
type IPv4 struct {
	Enabled bool `json:"enabled"`
	DHCP    bool `json:"dhcp"`
	// Address with its prefix length, for example 192.0.2.10/24; the zero value means none.
	Address netip.Prefix `json:"address,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	// Routes leave by Gateway.
	Routes []netip.Prefix `json:"routes,omitempty"`
}

// IPv6 of one interface.
type IPv6 struct {
	Enabled bool `json:"enabled"`
	SLAAC   bool `json:"slaac"`
	// Addresses with their prefix lengths.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Routers are static default gateways.
	Routers []netip.Addr `json:"routers,omitempty"`
}

// Factory returns the document of a machine as delivered: interface a by DHCP and SLAAC.
func Factory() *Document {
	return &Document{
		Hostname:         "rotunda",
		Timezone:         "UTC",
		DefaultInterface: "a",
		Interfaces: map[string]Interface{
			"a": {
				IPv4: IPv4{Enabled: true, DHCP: true},
				IPv6: IPv6{Enabled: true, SLAAC: true},
			},
		},
		// Guide 4.4: the installation uses port 443 of interface A. It is enabled once there is a certificate.
		WebAdmin: WebAdmin{Interface: "a"},
	}
}

// FailSafe returns the document that a machine runs on when its own cannot be read: every interface up with its
// IPv6 link-local address only, so that the console and SSH over the link work and nothing else answers.
func FailSafe() *Document {
	d := &Document{Hostname: "rotunda-failsafe", Timezone: "UTC", DefaultInterface: "a", Interfaces: map[string]Interface{}}
	for _, n := range InterfaceNames {
		d.Interfaces[n] = Interface{IPv6: IPv6{Enabled: true}}
	}
	return d
}
