package firewall

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"rotunda/init/config"
)

// Compile makes the table of a document. Devices are the kernel's names of the interfaces; what is wanted of one that this machine
// does not have is left out. The second result says whether connections have to be kept track of.
func Compile(doc *config.Document, devices map[string]string) (t Table, tracks bool) {
	return compile(doc, devices, ownChain)
}

// Closed is the table for when that of the document cannot be put into the kernel: the interfaces that have a firewall let in
// what the network needs and nothing new, and nothing is marked.
func Closed(doc *config.Document, devices map[string]string) Table {
	plain := *doc
	plain.DSCP = config.DSCP{}
	t, _ := compile(&plain, devices, func(name string, _ config.Firewall) Chain {
		return Chain{Name: name, Rules: []Rule{{Exprs: []expr.Any{verdict(false)}, Comment: "closed"}}}
	})
	return t
}

func compile(doc *config.Document, devices map[string]string, own func(name string, f config.Firewall) Chain) (t Table, tracks bool) {
	var asked []Rule
	var chains []Chain
	for _, name := range config.InterfaceNames {
		if f := doc.Firewall[name]; f.Enabled && devices[name] != "" {
			asked = append(asked, Rule{Exprs: append(from(devices[name]), enter(name)), Comment: "interface " + name})
			chains = append(chains, own(name, f))
		}
	}
	if len(asked) > 0 {
		t.Chains = append(t.Chains, Chain{Name: inputChain, Hook: true, Rules: slices.Concat(always(), asked)})
		// Chains are made before the rules that name them; see transaction.
		t.Chains = append(t.Chains, chains...)
	}
	if marks := markChain(doc.DSCP); len(marks.Rules) > 0 {
		t.Chains = append(t.Chains, marks)
	}
	return t, len(asked) > 0
}

// ownChain has the rules of one interface, and its default. What is neither TCP nor UDP has no ports, and goes to the default at once,
// so that a rule for both need not ask: 2,000 rules of an administrator are 2,000 of the kernel.
func ownChain(name string, f config.Firewall) Chain {
	c := Chain{Name: name}
	// Rules share what they have in common, which is then encoded once.
	verdicts := map[bool]expr.Any{true: verdict(true), false: verdict(false)}
	protocols := map[string][]expr.Any{config.TCP: protocol(unix.IPPROTO_TCP), config.UDP: protocol(unix.IPPROTO_UDP)}
	senders := map[netip.Prefix][]expr.Any{}
	read := load(expr.PayloadBaseTransportHeader, destinationPort, 2)
	otherwise := Rule{Exprs: []expr.Any{verdict(f.Default == config.Allow)}, Comment: "default"}
	if len(f.Rules) > 0 {
		c.Rules = append(c.Rules, Rule{Exprs: slices.Concat(notProtocol(unix.IPPROTO_TCP), notProtocol(unix.IPPROTO_UDP), otherwise.Exprs),
			Comment: "neither tcp nor udp"})
	}
	for _, r := range f.Rules {
		list := make([]expr.Any, 0, 10)
		list = append(list, protocols[r.Proto]...)
		if r.From.IsValid() {
			if senders[r.From] == nil {
				senders[r.From] = sender(r.From)
			}
			list = append(list, senders[r.From]...)
		}
		if r.Port != 0 {
			list = append(list, read, equal(number16(r.Port)))
		}
		c.Rules = append(c.Rules, Rule{Exprs: append(list, verdicts[r.Allow]), Comment: fmt.Sprintf("rule %d", r.Tag)})
	}
	c.Rules = append(c.Rules, otherwise)
	return c
}

// icmpTypes pass always: answers and questions of ping, and what says that a packet did not arrive, path MTU among it.
var icmpTypes = []byte{0, 3, 8, 11, 12}

// icmp6Types pass always (RFC 4890 section 4.4.1): errors, ping, listener queries, router advertisements, neighbour discovery.
// Redirects are no part of it.
var icmp6Types = []byte{1, 2, 3, 4, 128, 129, 130, 131, 132, 134, 135, 136, 143}

// always is what passes whatever the rules say.
func always() []Rule {
	accept := verdict(true)
	rules := []Rule{
		{Exprs: append(from("lo"), accept), Comment: "loopback"},
		{Exprs: append(known(), accept), Comment: "connections"},
	}
	for _, kind := range icmpTypes {
		rules = append(rules, Rule{slices.Concat(protocol(unix.IPPROTO_ICMP), message(kind), []expr.Any{accept}), "icmp"})
	}
	for _, kind := range icmp6Types {
		rules = append(rules, Rule{slices.Concat(protocol(unix.IPPROTO_ICMPV6), message(kind), []expr.Any{accept}), "icmpv6"})
	}
	dhcp := func(f byte, server, client int, comment string) Rule {
		return Rule{slices.Concat(family(f), protocol(unix.IPPROTO_UDP), port(sourcePort, ports{server, server}),
			port(destinationPort, ports{client, client}), []expr.Any{accept}), comment}
	}
	return append(rules, dhcp(unix.NFPROTO_IPV4, 67, 68, "dhcp"), dhcp(unix.NFPROTO_IPV6, 547, 546, "dhcpv6"))
}
