// Package firewall owns one nftables table, inet rotunda: what the interfaces a–d let in, and how packets that leave are marked
// (guide chapters 15.6 and 15.7, appendix B; RFC 2474 for the marks, RFC 4890 for ICMPv6).
//
// # What the table does
//
// A chain of what comes in has a rule for each interface whose firewall is enabled, and none if there is none: a machine without a
// firewall keeps track of no connections. On such an interface pass, whatever the rules say: what belongs to a connection that
// is there or that this machine has begun, the ICMP messages without which no network works, and DHCP. Everything else is for
// the interface's own chain, whose rules are asked in order, and its default. Loopback is never asked.
//
// A chain of what goes out marks packets that carry no mark yet, by ports. Services that know better mark their own sockets: which
// media packet is a voice cannot be told by its port.
//
// # Invariants
//
// [Compile] is pure: the same document and devices give the same table, to the byte. [Keeper] puts a table into the kernel by one
// transaction, which replaces the one before: no packet sees half of it. It is read back and compared, rule by rule, and again every
// 30 seconds. Tables of other names are left alone.
//
// The table stands before the interfaces come up. If it cannot be put there, a table that lets in nothing new is tried; if that
// fails as well, [Keeper.Apply] names the interfaces that must stay down.
//
// # Crash and power cut
//
// Nothing is stored here. The kernel keeps the table while the program is restarted, and loses it with the power.
package firewall

import "github.com/google/nftables/expr"

// TableName is the name of the table, of the family inet.
const TableName = "rotunda"

// The chains that the kernel asks; those of interfaces have their letters.
const (
	inputChain  = "input"
	outputChain = "output"
)

// Table is the content of the nftables table.
type Table struct {
	Chains []Chain
}

// Chain is one chain.
type Chain struct {
	Name string
	// Hook is whether the kernel asks the chain by itself: input or output by its name.
	Hook  bool
	Rules []Rule
}

// Rule is one rule.
type Rule struct {
	Exprs []expr.Any
	// Comment is what nft list shows behind it.
	Comment string
}

// Rules counts them all.
func (t Table) Rules() int {
	n := 0
	for _, c := range t.Chains {
		n += len(c.Rules)
	}
	return n
}
