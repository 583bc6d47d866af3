package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// sshPort is where sessions come in.
const sshPort = 22

// Session is the connection of an administrator.
type Session struct {
	// Interface carries it; Local is this machine's address, and Remote that of the administrator.
	Interface string
	Local     netip.Addr
	Remote    netip.Addr
}

// Elsewhere says whether a change concerns none of what a session depends on that has come to an address of this machine, as far as documents
// can tell: those of DHCP and IPv6 are not in them. Then it need not be found out which interface the session has come by.
func Elsewhere(local netip.Addr, before, after *Document) bool {
	if SameWay(before, after) {
		return true
	}
	if local = local.Unmap(); !local.Is4() || before.DefaultInterface != after.DefaultInterface {
		return false
	}
	for _, name := range InterfaceNames {
		was, now := before.Interfaces[name], after.Interfaces[name]
		if same(&was, &now) && before.Firewall[name].same(after.Firewall[name]) {
			continue
		}
		if was.IPv4.Enabled && (was.IPv4.DHCP || was.IPv4.Address.Addr() == local) {
			return false
		}
	}
	return true
}

// Cut says why the session, or one like it that begins anew, would end with the change from one document to another; empty if it
// would not. An established connection may outlive a rule for a while, which nobody should take for a proof.
func (s Session) Cut(before, after *Document) string {
	local, remote := s.Local.Unmap().WithZone(""), s.Remote.Unmap().WithZone("")
	was, now := before.Interfaces[s.Interface], after.Interfaces[s.Interface]
	if !after.Firewall[s.Interface].Allows(TCP, sshPort, remote) {
		if fw := before.Firewall[s.Interface]; !fw.same(after.Firewall[s.Interface]) {
			return fmt.Sprintf("the firewall of interface %s would not let in SSH from %s", s.Interface, remote)
		}
	}
	if local.Is4() || !local.IsValid() && remote.Is4() {
		return s.cut4(before, after, was.IPv4, now.IPv4, local, remote)
	}
	return s.cut6(was.IPv6, now.IPv6, local)
}

func (f Firewall) same(g Firewall) bool {
	return f.Enabled == g.Enabled && f.Default == g.Default && slices.Equal(f.Rules, g.Rules)
}

func (s Session) cut4(before, after *Document, was, now IPv4, local, remote netip.Addr) string {
	switch {
	case was.Enabled && !now.Enabled:
		return fmt.Sprintf("IPv4 of interface %s would be off", s.Interface)
	case now.DHCP && was.DHCP:
		return ""
	case now.DHCP, was.DHCP && now.Address.Addr() != local, !was.DHCP && was.Address.Addr() != now.Address.Addr():
		return fmt.Sprintf("interface %s would have another address", s.Interface)
	case was.DHCP:
		// The address of the lease is to stay; the rest of the lease is not in a document.
		if now.Address.Contains(remote) {
			return ""
		}
		return fmt.Sprintf("interface %s would have another gateway, and %s is behind it", s.Interface, remote)
	case was.Address.Contains(remote) && !now.Address.Contains(remote), !was.Address.Contains(remote) && now.Address.Contains(remote):
		return fmt.Sprintf("the way back to %s would be another", remote)
	case now.Address.Contains(remote):
		return ""
	case was.Gateway != now.Gateway:
		return fmt.Sprintf("interface %s would have another gateway, and %s is behind it", s.Interface, remote)
	case !now.Gateway.IsValid() && (before.DefaultInterface != after.DefaultInterface || !slices.Equal(was.Routes, now.Routes)):
		// Answers leave by the interface that the question came in by, if that has a gateway.
		return fmt.Sprintf("answers to %s would leave by another interface", remote)
	}
	return ""
}

func (s Session) cut6(was, now IPv6, local netip.Addr) string {
	has := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr() == local })
	}
	switch {
	case was.Enabled && !now.Enabled:
		return fmt.Sprintf("IPv6 of interface %s would be off", s.Interface)
	case local.IsLinkLocalUnicast():
		return ""
	case has(was.Addresses) && !has(now.Addresses):
		return fmt.Sprintf("interface %s would have the address %s no more", s.Interface, local)
	case was.SLAAC && !now.SLAAC && !has(now.Addresses):
		return fmt.Sprintf("interface %s would lose the address %s with SLAAC", s.Interface, local)
	case !slices.Equal(was.Routers, now.Routers):
		return fmt.Sprintf("interface %s would have other routers", s.Interface)
	}
	return ""
}
