package firewall

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Kernel holds the table.
type Kernel interface {
	// Replace puts a table in the place of the one that is there, by one transaction. A table without chains is none.
	Replace(t Table) error
	// Read returns the table that is there.
	Read() (Table, error)
}

const (
	// buffer has room for a transaction of 2,000 rules on its way, and for what the kernel says of one that it refuses rule by rule.
	buffer = 8 << 20
	// answersWithin is far longer than the kernel takes; it keeps one that is broken from holding PID 1.
	answersWithin = time.Minute
)

// NFTables is the real [Kernel].
type NFTables struct {
	// Namespace is a file descriptor of the network namespace; 0 is that of the process.
	Namespace int
	// receive is the size of the receive buffer that a test has chosen; 0 for [buffer].
	receive int
}

// grow gives a connection its buffers.
func (n NFTables) grow(c *netlink.Conn) error {
	return errors.Join(c.SetReadBuffer(cmp.Or(n.receive, buffer)), c.SetWriteBuffer(buffer))
}

func (n NFTables) dial() (*netlink.Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: n.Namespace})
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	if err := errors.Join(n.grow(c), c.SetDeadline(time.Now().Add(answersWithin))); err != nil {
		return nil, errors.Join(fmt.Errorf("open nftables: %w", err), c.Close())
	}
	return c, nil
}

// Replace is part of [Kernel].
//
// The transaction is made here and not by the library, which has the kernel send every rule back and confirm it, and waits for each: with
// 2,000 rules that is most of the time. The kernel says what it refuses in any case, and what is in force is read back.
func (n NFTables) Replace(t Table) error {
	c, err := n.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	messages, err := transaction(t)
	if err != nil {
		return fmt.Errorf("encode nftables: %w", err)
	}
	sent, err := c.SendMessages(messages)
	if err != nil {
		return fmt.Errorf("change nftables: %w", err)
	}
	// The last message before the end of the batch is confirmed, whatever became of those before; they are told of first.
	last := sent[len(sent)-2].Header.Sequence
	for lost := false; ; {
		said, err := c.Receive()
		switch {
		case errors.Is(err, syscall.ENOBUFS):
			// Words were lost, not rules. What was not lost has come by now; whoever reads back finds out about the rest.
			lost = true
			if err := c.SetReadDeadline(time.Now().Add(time.Second / 10)); err != nil {
				return fmt.Errorf("change nftables: %w", err)
			}
			continue
		case lost && errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("change nftables: %w", err)
		}
		for _, m := range said {
			if m.Header.Sequence == last {
				return nil
			}
		}
	}
}

// transaction is a batch of messages (nfnetlink): the table goes, if it is there, and comes anew.
func transaction(t Table) ([]netlink.Message, error) {
	e := encoder{known: map[expr.Any][]byte{}}
	table := attribute(unix.NFTA_TABLE_NAME, name(TableName))
	// To remove a table that may not be there, it is made first.
	e.add(unix.NFT_MSG_NEWTABLE, netlink.Create, table)
	e.add(unix.NFT_MSG_DELTABLE, 0, table)
	if len(t.Chains) > 0 {
		e.add(unix.NFT_MSG_NEWTABLE, netlink.Create, table)
	}
	for _, c := range t.Chains {
		e.chain(c)
	}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			e.rule(c.Name, r)
		}
	}
	e.messages[len(e.messages)-1].Header.Flags |= netlink.Acknowledge
	frame := func(kind uint16) netlink.Message {
		return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request},
			Data: []byte{unix.NFPROTO_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}}
	}
	batch := append([]netlink.Message{frame(unix.NFNL_MSG_BATCH_BEGIN)}, e.messages...)
	return append(batch, frame(unix.NFNL_MSG_BATCH_END)), errors.Join(e.errs...)
}

// encoder makes the messages of a transaction.
type encoder struct {
	messages []netlink.Message
	// known are expressions that were encoded before. Rules share them.
	known map[expr.Any][]byte
	errs  []error
}

func (e *encoder) add(kind uint16, flags netlink.HeaderFlags, attributes ...[]byte) {
	e.messages = append(e.messages, netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, bytes.Join(attributes, nil)...),
	})
}

func (e *encoder) chain(c Chain) {
	list := [][]byte{attribute(unix.NFTA_CHAIN_TABLE, name(TableName)), attribute(unix.NFTA_CHAIN_NAME, name(c.Name))}
	if k := kernelChain(nil, c); k.Hooknum != nil {
		hook := append(attribute(unix.NFTA_HOOK_HOOKNUM, number32(uint32(*k.Hooknum))), attribute(unix.NFTA_HOOK_PRIORITY, number32(uint32(*k.Priority)))...)
		list = append(list, attribute(unix.NLA_F_NESTED|unix.NFTA_CHAIN_HOOK, hook), attribute(unix.NFTA_CHAIN_POLICY, number32(uint32(*k.Policy))),
			attribute(unix.NFTA_CHAIN_TYPE, name(string(k.Type))))
	}
	e.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, list...)
}

func (e *encoder) rule(chain string, r Rule) {
	var list []byte
	for _, x := range r.Exprs {
		list = append(list, e.expression(x)...)
	}
	e.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append,
		attribute(unix.NFTA_RULE_TABLE, name(TableName)), attribute(unix.NFTA_RULE_CHAIN, name(chain)),
		attribute(unix.NLA_F_NESTED|unix.NFTA_RULE_EXPRESSIONS, list),
		attribute(unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, r.Comment)))
}

func (e *encoder) expression(x expr.Any) []byte {
	if b, ok := e.known[x]; ok {
		return b
	}
	b, err := expr.Marshal(unix.NFPROTO_INET, x)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	b = attribute(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, b)
	e.known[x] = b
	return b
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
	c, err := nftables.New(nftables.WithNetNSFd(n.Namespace), nftables.WithSockOptions(n.grow), nftables.AsLasting())
	if err != nil {
		return Table{}, fmt.Errorf("open nftables: %w", err)
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
		t.Chains = append(t.Chains, chain)
	}
	if len(t.Chains) == 0 {
		return t, nil
	}
	rules, err := n.rules()
	if err != nil {
		return Table{}, fmt.Errorf("read nftables: %w", err)
	}
	for i := range t.Chains {
		t.Chains[i].Rules = rules[t.Chains[i].Name]
	}
	return t, nil
}

// rules asks for all of the table, by their chains.
func (n NFTables) rules() (map[string][]Rule, error) {
	c, err := n.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	d := decoder{known: map[string]expr.Any{}}
	rules := map[string][]Rule{}
	err = dump(c, netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, attribute(unix.NFTA_RULE_TABLE, name(TableName))...),
	}, func(b []byte) error {
		if len(b) < 4 {
			return errShort
		}
		chain, r, err := d.rule(b[4:])
		rules[chain] = append(rules[chain], r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rules, nil
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

func sameExprs(x, y []expr.Any) bool { return slices.EqualFunc(x, y, sameExpr) }

// sameExpr compares those that rules are made of field by field: there are tens of thousands.
func sameExpr(x, y expr.Any) bool {
	switch a := x.(type) {
	case *expr.Meta:
		b, ok := y.(*expr.Meta)
		return ok && *a == *b
	case *expr.Payload:
		b, ok := y.(*expr.Payload)
		return ok && *a == *b
	case *expr.Verdict:
		b, ok := y.(*expr.Verdict)
		return ok && *a == *b
	case *expr.Cmp:
		b, ok := y.(*expr.Cmp)
		return ok && a.Op == b.Op && a.Register == b.Register && bytes.Equal(a.Data, b.Data)
	case *expr.Bitwise:
		b, ok := y.(*expr.Bitwise)
		return ok && a.SourceRegister == b.SourceRegister && a.DestRegister == b.DestRegister && a.Len == b.Len && bytes.Equal(a.Mask, b.Mask) && bytes.Equal(a.Xor, b.Xor)
	}
	return reflect.DeepEqual(x, y)
}
