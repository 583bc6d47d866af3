package commands

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// anyPort is the word for all ports.
const anyPort = "any"

func firewallKinds() []grammar.Kind {
	return []grammar.Kind{
		{
			Name: "service", Help: "a port or the name of a service, with /tcp or /udp or without for both, for example 22, ssh or 5060/udp; any for all ports",
			Check: func(word string) error {
				_, _, err := parseService(word)
				return err
			},
			Spell:    strings.ToLower,
			Complete: func(*grammar.Caller) []string { return append(serviceNames(), anyPort) },
		},
		{
			Name: "sender", Help: "an IPv4 or IPv6 address, with a prefix length or without, for example 192.0.2.7 or 2001:db8::/32",
			Check: func(word string) error {
				_, err := parseSender(word)
				return err
			},
		},
	}
}

// parseService reads "<port>[/<proto>]". Port 0 stands for all.
func parseService(word string) (port int, proto string, err error) {
	name, proto, cut := strings.Cut(word, "/")
	if cut && proto != config.TCP && proto != config.UDP {
		return 0, "", errors.New("the protocol is tcp or udp")
	}
	if name == anyPort {
		return 0, proto, nil
	}
	if n, ok := services[name]; ok {
		return n, proto, nil
	}
	// Atoi takes signs and any number of zeroes, which nothing prints.
	n, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(n) != name {
		if strings.Trim(name, "0123456789-:") == "" {
			return 0, "", errors.New("a rule takes one port, or any, and no range; let a range in by who sends it")
		}
		return 0, "", errors.New("there is no such service")
	}
	if n < 1 || n > 65535 {
		return 0, "", errors.New("ports are 1 to 65535")
	}
	return n, proto, nil
}

// parseSender reads "<address>[/<length>]".
func parseSender(word string) (netip.Prefix, error) {
	if !strings.Contains(word, "/") {
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return netip.Prefix{}, errNotOne
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, errNotOne
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("there are bits behind the prefix length: use %s, or %s for one host", p.Masked(), p.Addr())
	}
	return p, nil
}

// firewallCommands say what interfaces let in (guide chapter 15.6).
func (d Deps) firewallCommands() []grammar.Command {
	minutes := fmt.Sprintf("Over SSH, a change that would keep this session out is taken back after %.0f minutes unless firewall confirm is run from a new login.",
		config.ConfirmWithin.Minutes())
	return []grammar.Command{
		{
			Syntax: "firewall <interface>", Roles: readers,
			Help: "Show the firewall of an interface with its rules",
			Run:  d.showFirewall,
		},
		{
			Syntax: "firewall <interface> default (allow|deny)", Roles: admins, Joins: true,
			Help:   "Choose what becomes of packets that no rule names",
			Detail: "It has to be chosen before the firewall is enabled. " + minutes,
			Run: func(c *grammar.Call) error {
				return d.changeFirewall(c, func(f *config.Firewall) error {
					f.Default = config.Deny
					if c.Has("allow") {
						f.Default = config.Allow
					}
					return nil
				})
			},
		},
		{
			Syntax: "firewall <interface> (allow|deny) <port:service> [from <sender>]", Roles: admins, Joins: true,
			Help: "Add a rule that lets in or keeps out what comes for a port",
			Detail: fmt.Sprintf("For example firewall a allow ssh from 192.0.2.0/24, or firewall a deny 80/tcp. Rules are asked in the order in which they were added, and the first that "+
				"fits decides, so that one that could never be asked is refused; up to %d for an interface. Answers to what this machine has asked, ping, neighbour discovery and DHCP always pass. ", config.MaxFirewallRules) + minutes,
			Run: d.addRule,
		},
		{
			Syntax: "firewall <interface> delete <tag:0..>", Roles: admins, Joins: true,
			Help:   "Delete a rule by its number",
			Detail: "The other rules keep their numbers.",
			Run: func(c *grammar.Call) error {
				return d.changeFirewall(c, func(f *config.Firewall) error {
					i := slices.IndexFunc(f.Rules, func(r config.FirewallRule) bool { return r.Tag == c.Int("tag") })
					if i < 0 {
						return fmt.Errorf("interface %s has no rule %d; it has %s", c.Arg("interface"), c.Int("tag"), listOf(f.Rules, func(r config.FirewallRule) string { return strconv.Itoa(r.Tag) }))
					}
					f.Rules = slices.Delete(f.Rules, i, i+1)
					return nil
				})
			},
		},
		{
			Syntax: "firewall <interface> (enable|disable)", Roles: admins, Joins: true,
			Help:   "Put the rules of an interface in force, or none",
			Detail: minutes,
			Run: func(c *grammar.Call) error {
				return d.changeFirewall(c, func(f *config.Firewall) error {
					if c.Has("enable") && f.Default == "" {
						return fmt.Errorf("there is no default: use firewall %s default allow or deny first", c.Arg("interface"))
					}
					f.Enabled = c.Has("enable")
					return nil
				})
			},
		},
		{
			Syntax: "firewall confirm", Roles: admins,
			Help:   "Keep a change of network or firewall that would be taken back",
			Detail: "It has to be run from a login that is newer than the change, or at the console: that shows that the machine can still be reached.",
			Run: func(c *grammar.Call) error {
				by := control.Confirmation{From: c.Caller.Source}
				if since := c.Caller.Since; !since.IsZero() {
					by.Age = max(time.Since(since), 1)
				}
				if err := d.Machine.ConfirmConfig(c.Context, by); err != nil {
					return err
				}
				c.Printf("The change is confirmed\n")
				return nil
			},
		},
	}
}

func (d Deps) changeFirewall(c *grammar.Call, edit func(*config.Firewall) error) error {
	return d.change(c, func(doc *config.Document) error {
		if doc.Firewall == nil {
			doc.Firewall = config.Firewalls{}
		}
		name := c.Arg("interface")
		f, ok := doc.Firewall[name]
		if !ok {
			if err := d.hasPort(c, name); err != nil {
				return err
			}
		}
		if err := edit(&f); err != nil {
			return err
		}
		doc.Firewall[name] = f
		return nil
	})
}

func (d Deps) addRule(c *grammar.Call) error {
	port, proto, err := parseService(c.Arg("port"))
	if err != nil {
		return err
	}
	rule := config.FirewallRule{Allow: c.Has("allow"), Port: port, Proto: proto}
	if c.Has("from") {
		if rule.From, err = parseSender(c.Arg("sender")); err != nil {
			return err
		}
	}
	note := ""
	err = d.changeFirewall(c, func(f *config.Firewall) error {
		note = ""
		decides := slices.IndexFunc(f.Rules, func(r config.FirewallRule) bool { return r.Covers(rule) })
		same := slices.IndexFunc(f.Rules, func(r config.FirewallRule) bool {
			r.Tag = rule.Tag
			return r == rule
		})
		switch {
		case decides >= 0 && f.Rules[decides].Allow != rule.Allow:
			r := f.Rules[decides]
			return fmt.Errorf("rule %d, %s, comes before and fits all that %s would: use firewall %s delete %[1]d first", r.Tag, ruleText(r), ruleText(rule), c.Arg("interface"))
		case same >= 0:
			return isThere("rule %d says this already", f.Rules[same].Tag)
		case decides >= 0:
			note = fmt.Sprintf("Note: rule %d, %s, says this already of more\n", f.Rules[decides].Tag, ruleText(f.Rules[decides]))
		}
		rule.Tag = f.NextTag()
		f.Rules = append(f.Rules, rule)
		return nil
	})
	if err == nil {
		c.Printf("%s", note)
	}
	return err
}

func (d Deps) showFirewall(c *grammar.Call) error {
	doc, _, err := d.look(c)
	if err != nil {
		return err
	}
	f := doc.Firewall[c.Arg("interface")]
	policy := string(f.Default)
	if policy == "" {
		policy = "none"
	}
	c.Printf("Interface : %s\nEnabled : %t\nDefault policy : %s\n", c.Arg("interface"), f.Enabled, policy)
	if len(f.Rules) == 0 {
		return nil
	}
	c.Printf("Tag   Rule\n---   ----\n")
	for _, r := range f.Rules {
		c.Printf("%-5d %s\n", r.Tag, ruleText(r))
	}
	return nil
}

// ruleText is a rule as it is typed, but that deny is drop.
func ruleText(r config.FirewallRule) string {
	text := "drop "
	if r.Allow {
		text = "allow "
	}
	if r.Port == 0 {
		text += anyPort
	} else {
		text += strconv.Itoa(r.Port)
	}
	if r.Proto != "" {
		text += "/" + r.Proto
	}
	switch {
	case !r.From.IsValid():
	case r.From.IsSingleIP():
		text += " from " + r.From.Addr().String()
	default:
		text += " from " + r.From.String()
	}
	return text
}
