package commands

import (
	"net/netip"
	"slices"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// session is the connection that a command came by; ok is false at a console, which no change of the network cuts off.
func (d Deps) session(c *grammar.Call, doc *config.Document) (s config.Session, ok bool) {
	remote, err := netip.ParseAddrPort(c.Caller.Source)
	if err != nil {
		return s, false
	}
	s.Remote = remote.Addr().Unmap().WithZone("")
	list, err := d.interfaces(c)
	if err != nil {
		return s, false
	}
	s.Local = c.Caller.Local
	for _, i := range list {
		for _, p := range i.Addresses {
			if p.Addr() == s.Local {
				s.Interface = i.Name
			}
		}
	}
	if s.Interface == "" || s.Local.IsLinkLocalUnicast() {
		// A link-local address may be there on several interfaces, and any address may have changed meanwhile.
		name, local := arrival(list, s.Remote, doc.DefaultInterface)
		if s.Interface == "" {
			s.Local = local
		}
		s.Interface = name
	}
	return s, true
}

// arrival finds the interface that packets of a far end come in by, and this machine's address there: the one whose subnet the far end
// is in, or else the default interface.
func arrival(list []control.Interface, remote netip.Addr, fallback string) (name string, local netip.Addr) {
	for _, i := range list {
		for _, p := range i.Addresses {
			if p.Addr() == remote || p.Contains(remote) && !remote.IsLinkLocalUnicast() {
				return i.Name, p.Addr()
			}
		}
	}
	name = fallback
	for _, i := range list {
		if i.Name != fallback {
			continue
		}
		at := slices.IndexFunc(i.Addresses, func(p netip.Prefix) bool {
			return p.Addr().Is4() == remote.Is4() && p.Addr().IsLinkLocalUnicast() == remote.IsLinkLocalUnicast()
		})
		if at >= 0 {
			local = i.Addresses[at].Addr()
		}
	}
	return name, local
}

// submit stores a change. One that would cut off who makes it is announced, and takes itself back unless it is confirmed.
func (d Deps) submit(c *grammar.Call, running control.Config, doc *config.Document) (control.Applied, error) {
	why := ""
	// Most changes concern no way into the machine, and the kernel need not be asked which one this session came.
	if !config.Elsewhere(c.Caller.Local, running.Document, doc) {
		if s, ok := d.session(c, running.Document); ok {
			why = s.Cut(running.Document, doc)
		}
	}
	if why == "" {
		return d.Machine.SetConfig(c.Context, running.Generation, doc)
	}
	c.Printf("Warning: with this change %s.\nIt is taken back in %.0f minutes unless you log in anew and run: firewall confirm\n",
		printable(why), config.ConfirmWithin.Minutes())
	return d.Machine.TryConfig(c.Context, running.Generation, doc, c.Caller.Source)
}
