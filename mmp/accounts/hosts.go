package accounts

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"rotunda/mmp/grammar"
)

// maxHosts per account. Each name costs a DNS question at a login from elsewhere.
const maxHosts = 32

// resolveTimeout is for all names of one login together: a login waits no longer for a DNS server that does not answer.
const resolveTimeout = 3 * time.Second

// CheckAllowedHost takes an address, an address with a prefix length or a host name.
func CheckAllowedHost(h string) error {
	if _, ok := hostPrefix(h); ok || grammar.CheckHostname(h) == nil {
		return nil
	}
	return fmt.Errorf("%.64q is not an address, a prefix or a host name", h)
}

// hostPrefix returns the addresses that an entry means; ok is false for a name.
func hostPrefix(h string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(h); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	if p, err := netip.ParsePrefix(h); err == nil && !p.Addr().Is4In6() {
		return p.Masked(), true
	}
	return netip.Prefix{}, false
}

// hostAllowed reports whether one of the entries means addr. Names are asked for only if no address matches. A name
// that cannot be resolved matches nothing; unresolved lists those.
func hostAllowed(ctx context.Context, entries []string, addr netip.Addr, resolver Resolver) (ok bool, unresolved []string) {
	addr = addr.Unmap().WithZone("")
	var names []string
	for _, h := range entries {
		p, isAddress := hostPrefix(h)
		if !isAddress {
			names = append(names, h)
		} else if p.Contains(addr) {
			return true, nil
		}
	}
	if len(names) == 0 {
		return false, nil
	}
	if resolver == nil {
		return false, names
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	for _, name := range names {
		found, err := resolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			unresolved = append(unresolved, name)
			continue
		}
		for _, a := range found {
			if a.Unmap().WithZone("") == addr {
				return true, nil
			}
		}
	}
	return false, unresolved
}

// callerAddr takes the address out of "ip:port"; ok is false for a console.
func callerAddr(source string) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(source)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().Unmap().WithZone(""), true
}
