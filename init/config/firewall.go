package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// MaxFirewallRules is how many rules one interface may have: all four with so many IPv6 rules are a document of under 1 MiB, which
// is what the control socket takes.
const MaxFirewallRules = 2000

// Verdict is what a firewall does with a packet that no rule names.
type Verdict string

// The verdicts. An empty one was never set, and a firewall without one cannot be enabled.
const (
	Allow Verdict = "allow"
	Deny  Verdict = "deny"
)

// Firewalls are the firewalls by the names of their interfaces. Each is switched by itself.
type Firewalls map[string]Firewall

// Firewall is what one interface lets in. What leaves the machine, and the answers to it, no firewall touches.
type Firewall struct {
	Enabled bool    `json:"enabled,omitempty"`
	Default Verdict `json:"default,omitempty"`
	// Rules in the order in which they are asked; the first that fits decides.
	Rules []FirewallRule `json:"rules,omitempty"`
}

// FirewallRule lets in or keeps out what comes for a port.
type FirewallRule struct {
	// Tag is the rule's number, by which it is deleted. It stays the same while the rule is there.
	Tag   int  `json:"tag"`
	Allow bool `json:"allow,omitempty"`
	// Port is that of this machine; 0 stands for all.
	Port int `json:"port,omitempty"`
	// Proto is tcp, udp, or empty for both.
	Proto string `json:"proto,omitempty"`
	// From is who sends; the zero value stands for everybody, in IPv4 and IPv6.
	From netip.Prefix `json:"from,omitzero"`
}

// Protocols that a rule may name.
const (
	TCP = "tcp"
	UDP = "udp"
)

// NextTag is the number that the next rule gets.
func (f Firewall) NextTag() int {
	next := 0
	for _, r := range f.Rules {
		next = max(next, r.Tag+1)
	}
	return next
}

// Fits tells whether the rule speaks of a packet.
func (r FirewallRule) Fits(proto string, port int, from netip.Addr) bool {
	return (r.Proto == "" || r.Proto == proto) && (r.Port == 0 || r.Port == port) && (!r.From.IsValid() || r.From.Contains(from.Unmap()))
}

// Covers tells whether the rule speaks of every packet that another one speaks of.
func (r FirewallRule) Covers(o FirewallRule) bool {
	return (r.Proto == "" || r.Proto == o.Proto) && (r.Port == 0 || r.Port == o.Port) &&
		(!r.From.IsValid() || o.From.IsValid() && r.From.Bits() <= o.From.Bits() && r.From.Contains(o.From.Addr()))
}

// Allows tells whether a new connection, or a first datagram, is let in.
func (f Firewall) Allows(proto string, port int, from netip.Addr) bool {
	if !f.Enabled {
		return true
	}
	for _, r := range f.Rules {
		if r.Fits(proto, port, from) {
			return r.Allow
		}
	}
	return f.Default == Allow
}

func (f Firewalls) validate() error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(InterfaceNames, name) {
			return fmt.Errorf("firewall of interface %q: the interfaces are %s", clip(name), strings.Join(InterfaceNames, ", "))
		}
		if err := f[name].validate(); err != nil {
			return fmt.Errorf("firewall of interface %s: %w", name, err)
		}
	}
	return nil
}

func (f Firewall) validate() error {
	switch f.Default {
	case Allow, Deny:
	case "":
		if f.Enabled {
			return errors.New("there is no default: use firewall <interface> default allow or deny first")
		}
	default:
		return fmt.Errorf("default %q: use allow or deny", clip(string(f.Default)))
	}
	if len(f.Rules) > MaxFirewallRules {
		return fmt.Errorf("more than %d rules: join some by a shorter prefix", MaxFirewallRules)
	}
	tags := make(map[int]bool, len(f.Rules))
	for _, r := range f.Rules {
		if r.Tag < 0 || tags[r.Tag] {
			return fmt.Errorf("rule %d: the tag is negative or there twice", r.Tag)
		}
		tags[r.Tag] = true
		if err := r.validate(); err != nil {
			return fmt.Errorf("rule %d: %w", r.Tag, err)
		}
	}
	return nil
}

func (r FirewallRule) validate() error {
	if r.Port < 0 || r.Port > 65535 {
		return fmt.Errorf("port %d is out of range: use 1 to 65535", r.Port)
	}
	if r.Proto != "" && r.Proto != TCP && r.Proto != UDP {
		return fmt.Errorf("protocol %q: use tcp or udp, or none for both", clip(r.Proto))
	}
	if !r.From.IsValid() {
		return nil
	}
	if a := r.From.Addr(); a.Is4In6() || a.Zone() != "" {
		return fmt.Errorf("%s: use an IPv4 or IPv6 address, with a prefix length or without", r.From)
	}
	if r.From != r.From.Masked() {
		return fmt.Errorf("%s has bits behind its prefix length: use %s, or %s for one host", r.From, r.From.Masked(), r.From.Addr())
	}
	return nil
}
