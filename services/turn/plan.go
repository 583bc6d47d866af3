package turn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"rotunda/init/config"
)

// plan turns settings into addresses. look gives the addresses of all interfaces by the kernel's names.
func (s settings) plan(look func() (map[string][]netip.Addr, error)) (Plan, error) {
	all, err := look()
	if err != nil {
		return Plan{}, err
	}
	t := s.TURN
	p := Plan{TLSPort: t.TLSPort, Public4: t.PublicIP, HighCapacity: !t.LowCapacity, Certificate: s.certificate,
		Realm: t.Realm, User: t.Username, Password: t.Password}
	if t.ShortTerm {
		p.Secret, p.User, p.Password = t.SharedSecret, "", ""
	}
	for _, addresses := range all {
		p.Machine = append(p.Machine, addresses...)
	}
	for _, name := range t.Listen {
		device := s.Devices[name]
		if name == config.Loopback {
			device = config.Loopback
		}
		for _, a := range all[device] {
			// Clients cannot name the interface of a link-local address in a candidate.
			if a.IsLinkLocalUnicast() {
				continue
			}
			p.Addresses = append(p.Addresses, a)
			switch {
			case a.IsLoopback():
			case a.Is4() && !p.Relay4.IsValid():
				p.Relay4 = a
			case a.Is6() && !p.Relay6.IsValid():
				p.Relay6 = a
			}
		}
	}
	if len(p.Addresses) == 0 {
		return p, fmt.Errorf("TURN server waits for an address on %v", t.Listen)
	}
	if !p.Relay4.IsValid() && !p.Relay6.IsValid() {
		return p, errors.New("TURN server has no relay address: loopback alone reaches nobody")
	}
	return p, nil
}

// interfaces are the addresses of this machine.
func interfaces() (map[string][]netip.Addr, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	all := map[string][]netip.Addr{}
	for _, i := range list {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(n.IP); ok {
					all[i.Name] = append(all[i.Name], addr.Unmap())
				}
			}
		}
	}
	return all, nil
}
