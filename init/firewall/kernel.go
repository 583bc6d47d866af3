package firewall

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
)

// Kernel holds the table.
type Kernel interface {
	// Replace puts a table in the place of the one that is there, by one transaction. A table without chains is none.
	Replace(t Table) error
	// Read returns the table that is there.
	Read() (Table, error)
}

// buffer has room for what the kernel says to a transaction of 2,000 rules: an acknowledgement each. With the usual 212 kB it
// runs over at about 200, and reports an error for what was done.
const buffer = 8 << 20

// NFTables is the real [Kernel].
type NFTables struct {
	// Namespace is a file descriptor of the network namespace; 0 is that of the process.
	Namespace int
	// receive is the size of the receive buffer that a test has chosen; 0 for [buffer].
	receive int
}

func (n NFTables) open() (*nftables.Conn, error) {
	receive := cmp.Or(n.receive, buffer)
	grow := func(c *netlink.Conn) error { return errors.Join(c.SetReadBuffer(receive), c.SetWriteBuffer(buffer)) }
	c, err := nftables.New(nftables.WithNetNSFd(n.Namespace), nftables.WithSockOptions(grow), nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return c, nil
}

// Replace is part of [Kernel].
func (n NFTables) Replace(t Table) error {
	c, err := n.open()
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseLasting() }()
	transaction(c, t)
	err = c.Flush()
	if errors.Is(err, syscall.ENOBUFS) {
		// Acknowledgements were lost, not rules: whoever reads back finds out.
		return nil
	}
	if err != nil {
		return fmt.Errorf("change nftables: %w", err)
	}
	return nil
}

func transaction(c *nftables.Conn, t Table) {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	// To remove a table that may not be there, it is made first.
	c.AddTable(table)
	c.DelTable(table)
	if len(t.Chains) == 0 {
		return
	}
	c.AddTable(table)
	made := make([]*nftables.Chain, len(t.Chains))
	for i, chain := range t.Chains {
		made[i] = c.AddChain(kernelChain(table, chain))
	}
	for i, chain := range t.Chains {
		for _, r := range chain.Rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: made[i], Exprs: r.Exprs,
				UserData: userdata.AppendString(nil, userdata.TypeComment, r.Comment)})
		}
	}
}

func kernelChain(table *nftables.Table, c Chain) *nftables.Chain {
	k := &nftables.Chain{Table: table, Name: c.Name}
	if !c.Hook {
		return k
	}
	accept := nftables.ChainPolicyAccept
	k.Type, k.Policy = nftables.ChainTypeFilter, &accept
	k.Hooknum, k.Priority = nftables.ChainHookInput, nftables.ChainPriorityFilter
	if c.Name == outputChain {
		k.Hooknum, k.Priority = nftables.ChainHookOutput, nftables.ChainPriorityMangle
	}
	return k
}

// Read is part of [Kernel].
func (n NFTables) Read() (Table, error) {
	c, err := n.open()
	if err != nil {
		return Table{}, err
	}
	defer func() { _ = c.CloseLasting() }()
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return Table{}, fmt.Errorf("read nftables: %w", err)
	}
	var t Table
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	for _, k := range chains {
		if k.Table.Name != TableName {
			continue
		}
		chain := Chain{Name: k.Name, Hook: k.Hooknum != nil}
		if want := kernelChain(table, chain); !sameHook(k, want) {
			// It is not a chain of ours, whatever its name.
			chain.Name = "foreign " + k.Name
		}
		rules, err := c.GetRules(table, k)
		if err != nil {
			return Table{}, fmt.Errorf("read nftables: %w", err)
		}
		for _, r := range rules {
			comment, _ := userdata.GetString(r.UserData, userdata.TypeComment)
			chain.Rules = append(chain.Rules, Rule{Exprs: r.Exprs, Comment: comment})
		}
		t.Chains = append(t.Chains, chain)
	}
	return t, nil
}

func sameHook(x, y *nftables.Chain) bool {
	return reflect.DeepEqual(x.Hooknum, y.Hooknum) && reflect.DeepEqual(x.Priority, y.Priority) && x.Type == y.Type && reflect.DeepEqual(x.Policy, y.Policy)
}

// difference says where what is there is not what is wanted; empty if it is.
func difference(want, got Table) string {
	if len(want.Chains) != len(got.Chains) {
		return fmt.Sprintf("%d chains, want %d", len(got.Chains), len(want.Chains))
	}
	there := map[string]Chain{}
	for _, c := range got.Chains {
		there[c.Name] = c
	}
	for _, w := range want.Chains {
		g, ok := there[w.Name]
		switch {
		case !ok || g.Hook != w.Hook:
			return fmt.Sprintf("no chain %s", w.Name)
		case len(g.Rules) != len(w.Rules):
			return fmt.Sprintf("chain %s has %d rules, want %d", w.Name, len(g.Rules), len(w.Rules))
		}
		for i := range w.Rules {
			if w.Rules[i].Comment != g.Rules[i].Comment || !sameExprs(w.Rules[i].Exprs, g.Rules[i].Exprs) {
				return fmt.Sprintf("rule %d of chain %s (%s) is another", i, w.Name, w.Rules[i].Comment)
			}
		}
	}
	return ""
}

func sameExprs(x, y []expr.Any) bool { return reflect.DeepEqual(x, y) }
