package callbridge

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/leg"
	"rotunda/services/callbridge/lookup"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/sip"
	"rotunda/services/callbridge/store"
	"rotunda/services/callbridge/trunk"
)

// eitherTransport is a trunk that TLS is tried with first, and then TCP (encryption auto).
const eitherTransport = "auto"

// trunkOf is the proxy of an outbound rule as it is watched.
func trunkOf(next dialplan.Host, transports []dialplan.Transport) trunk.Target {
	t := trunk.Target{Host: next.Name, Port: next.Port, Transport: eitherTransport}
	if len(transports) == 1 {
		t.Transport = map[dialplan.Transport]string{dialplan.TLS: string(sip.TLS), dialplan.TCP: string(sip.TCP)}[transports[0]]
	}
	return t
}

// trunksOf are the proxies that calls of this Call Bridge may go to. Rules of other Call Bridges, and those without a proxy, are nobody's to watch.
func trunksOf(v store.View, bridge, group store.ID) []trunk.Target {
	var list []trunk.Target
	v.Each(schema.OutboundDialPlanRule, func(r *store.Record) bool {
		of, _ := r.Ref("callBridge")
		ofGroup, _ := r.Ref("callBridgeGroup")
		switch scope := dialplan.Scope(r.Text("scope")); {
		case scope == dialplan.OneCallBridge && (of == store.ID{} || of != bridge), scope == dialplan.CallBridgeGroup && (ofGroup == store.ID{} || ofGroup != group):
			return true
		}
		next, err := dialplan.ParseHost(r.Text("sipProxy"))
		if r.Text("sipProxy") == "" || err != nil {
			return true
		}
		var transports []dialplan.Transport
		switch dialplan.Encryption(r.Text("sipControlEncryption")) {
		case dialplan.Encrypted:
			transports = []dialplan.Transport{dialplan.TLS}
		case dialplan.Unencrypted:
			transports = []dialplan.Transport{dialplan.TCP}
		}
		if t := trunkOf(next, transports); !slices.Contains(list, t) {
			list = append(list, t)
		}
		return true
	})
	return list
}

// ping asks a trunk whether it takes calls. One of its addresses is enough; those that do not answer come last for calls too.
func (c *calls) ping(ctx context.Context, t trunk.Target) error {
	transports := []string{t.Transport}
	if t.Transport == eitherTransport {
		transports = []string{string(sip.TLS), string(sip.TCP)}
	}
	found, err := c.names.Targets(ctx, t.Host, t.Port, transports)
	if err != nil {
		return err
	}
	var addresses []netip.Addr
	for _, one := range found {
		addresses = append(addresses, one.Address.Addr().Unmap())
	}
	c.trusted.know(t, addresses)
	var errs []error
	for _, one := range found {
		err := c.agent.Ping(ctx, sip.Target{Transport: sip.Transport(one.Transport), Address: one.Address, Host: one.Host})
		if err == nil {
			c.names.Works(one)
			return nil
		}
		if ctx.Err() == nil {
			c.names.Failed(lookup.Target{Transport: one.Transport, Address: one.Address, Host: one.Host, Name: one.Name})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// byState puts the ways of a call whose trunk is down behind the others. All are tried in the end.
func (c *calls) byState(ways []dialplan.Attempt) []dialplan.Attempt {
	down := func(a dialplan.Attempt) bool { return !a.Direct && !c.trunks.Up(trunkOf(a.Next, a.Transports)) }
	list := slices.Clone(ways)
	slices.SortStableFunc(list, func(a, b dialplan.Attempt) int {
		switch {
		case down(a) == down(b):
			return 0
		case down(a):
			return 1
		}
		return -1
	})
	return list
}

// watchTrunks watches the proxies of the rules as they are at each moment.
func (c *calls) watchTrunks(ctx context.Context, s *store.Store) error {
	changed := make(chan struct{}, 1)
	cancel := s.Subscribe(func(_, _ *store.Record) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, schema.OutboundDialPlanRule, schema.Cluster, schema.CallBridge)
	defer cancel()
	var group parts
	group.run(func() error {
		if err := c.trunks.Serve(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	for {
		list := trunksOf(s, c.bridge(), c.group())
		c.trusted.keep(list)
		c.trunks.Set(list)
		select {
		case <-ctx.Done():
			return group.wait()
		case <-changed:
		}
	}
}

// trusted are the addresses of the trunks: call controls that an administrator has named.
type trusted struct {
	mu sync.Mutex
	at map[trunk.Target][]netip.Addr
}

func (t *trusted) know(of trunk.Target, addresses []netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[trunk.Target][]netip.Addr{}
	}
	t.at[of] = addresses
}

// keep forgets all trunks but these.
func (t *trusted) keep(list []trunk.Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.at, func(one trunk.Target, _ []netip.Addr) bool { return !slices.Contains(list, one) })
}

func (t *trusted) has(a netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, addresses := range t.at {
		if slices.Contains(addresses, a.Unmap()) {
			return true
		}
	}
	return false
}

// transfers says whether the far end of a leg may send us to another address (REFER): the call controls that outbound rules name may, since
// the dial plan sends our calls by them anyway. Anybody else could have us call numbers that cost money.
func (c *calls) transfers(l *leg.Line, to string) bool {
	g, ok := c.meetings.Leg(l.ID())
	if ok && c.trusted.has(g.Address.Addr()) {
		return true
	}
	c.b.log.Info("a far end that is no trunk asks to be put through, and is refused", "leg", l.ID(), "to", to, "source", g.Address)
	return false
}
