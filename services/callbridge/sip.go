package callbridge

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"rotunda/services/callbridge/lookup"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/sip"
	"rotunda/services/callbridge/spaces"
	"rotunda/services/callbridge/store"
)

// signalling are the options of the SIP agent. It listens nowhere until [calls.follow] says so: one address that cannot be had must not keep
// the others, and the API, from running.
func (c *calls) signalling() sip.Options {
	return sip.Options{
		TLS: c.b.serverTLS, DialTLS: c.b.clientTLS, Advertise: "Rotunda/" + c.b.version,
		Targets: c.targets, Reached: c.reached, Log: c.b.log, Incoming: c.incoming, Keep: c.mark.keep,
	}
}

// targets looks up where a call goes.
func (c *calls) targets(ctx context.Context, host string, port uint16, ts []sip.Transport) ([]sip.Target, error) {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = string(t)
	}
	found, err := c.names.Targets(ctx, host, port, names)
	list := make([]sip.Target, len(found))
	for i, t := range found {
		list[i] = sip.Target{Transport: sip.Transport(t.Transport), Address: t.Address, Host: t.Host}
	}
	return list, err
}

// reached hears how a server did that a call went to. One that failed comes last for the next calls, and is asked whether it is there when it is a trunk.
func (c *calls) reached(t sip.Target, err error) {
	at := lookup.Target{Transport: string(t.Transport), Address: t.Address, Host: t.Host}
	if err == nil {
		c.names.Works(at)
		return
	}
	c.names.Failed(at)
	for _, one := range c.trunks.States() {
		host := one.Host == t.Host || one.Host == t.Address.Addr().String()
		if host && (one.Port == 0 || one.Port == t.Address.Port()) && (one.Transport == eitherTransport || one.Transport == string(t.Transport)) {
			c.trunks.Doubt(one.Target)
		}
	}
}

// maxRedirects is how many contacts of redirecting answers (3xx) one call follows.
const maxRedirects = 5

// redirects says where a call may be sent by who is called: elsewhere, but to a trunk only by a trunk: call controls take our word for calls that
// cost money.
func (c *calls) redirects(d *sip.Dial) {
	d.Redirects = maxRedirects
	d.Follow = func(from netip.AddrPort, to sip.Target) bool {
		return c.trusted.has(from.Addr()) || !c.trusted.has(to.Address.Addr())
	}
}

// from is where calls come from when the meeting names nobody: the domain of spaces, or the name of this machine.
func (c *calls) from(tenant meeting.ID) string {
	domain := ""
	if v := c.view(); v != nil {
		domain = spaces.Domain(v, tenant)
	}
	if domain == "" {
		domain = c.b.current().Hostname
	}
	if domain == "" {
		return ""
	}
	return "sip:" + domain
}

// followEvery is how often the addresses of interfaces are looked at: DHCP and router advertisements change them.
const followEvery = 5 * time.Second

// follow keeps the sockets those of the settings and of the addresses that the interfaces have. Calls stay up: sockets that stay are not
// touched, and connections of others live on.
func (c *calls) follow(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var last []sip.Listen
	var said string
	for {
		want := c.network.listen(c.b.current(), c.b.serverTLS() != nil)
		if missing := !slices.Equal(want, last) || len(c.agent.Addresses()) == 0; missing || said != "" {
			err := c.agent.SetListen(want)
			now := ""
			if err != nil {
				now = err.Error()
			}
			switch {
			case now != said && now != "":
				c.b.log.Error("SIP does not listen everywhere: " + now)
			case missing || now != said:
				c.tellAddresses()
			}
			last, said = want, now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.b.changed:
		}
	}
}

func (c *calls) tellAddresses() {
	for _, l := range c.agent.Addresses() {
		c.b.log.Info("SIP listens", "transport", l.Transport, "address", l.Address)
	}
}

// udpModes by "UDP signaling for SIP" of the Call settings.
var udpModes = map[string]sip.UDPMode{"disabled": sip.UDPDisabled, "singleAddress": sip.UDPSingle, "multiAddress": sip.UDPEnabled}

// adjustUDP takes over what the Call settings say of UDP.
func (c *calls) adjustUDP() {
	v := c.view()
	if v == nil {
		return
	}
	page := v.Only(schema.CallSettings)
	said := page.Text("sipUdp")
	if said == "" {
		said = page.Object().Field("sipUdp").Fallback
	}
	if err := c.agent.SetUDP(udpModes[said]); err != nil {
		c.b.log.Warn("UDP for SIP cannot be as the Call settings say", "error", err)
	}
}

// followSettings takes over what changes on the page Call settings.
func (c *calls) followSettings(ctx context.Context, s *store.Store) error {
	changed := make(chan struct{}, 1)
	cancel := s.Subscribe(func(_, _ *store.Record) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, schema.CallSettings)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			c.adjustUDP()
		}
	}
}

// traceNames logs look-ups while "dns" is traced.
func (b *bridge) traceNames(t lookup.Trace) {
	if b.traces.Remaining("dns") > 0 {
		b.log.Info("DNS trace", "question", t.Name+" "+t.Type, "server", t.Server, "network", t.Network, "took", t.Took.Round(time.Millisecond), "result", t.Result)
	}
}
