package main

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

// resolver is this machine's DNS, on loopback. It always runs: without a server it still answers custom records.
var resolver = configured{
	user:   resolverUser,
	wanted: func(*config.Document) bool { return true },
	settings: func(g *gathering, doc *config.Document) any {
		return config.DNSService{DNS: doc.DNS, Leased: g.leased.DNS}
	},
	spec: func(m *machine, _ *config.Document) supervise.Spec { return resolverSpec(m.cores.System) },
}

// resolverSpec may open sockets and read its settings, and nothing else.
func resolverSpec(system []int) supervise.Spec {
	return supervise.Spec{
		Name:         resolverUser.Name,
		Program:      "/init",
		Args:         []string{"resolver", "-settings", settingsFile(resolverUser)},
		User:         resolverUser,
		Capabilities: []uintptr{unix.CAP_NET_BIND_SERVICE},
		Confine:      supervise.Confine{ReadOnly: []string{settingsFolder(resolverUser), "/proc/sys/net/core/somaxconn"}},
		CPUs:         system,
		MemoryMax:    128 << 20,
		ReadyWithin:  30 * time.Second,
		Watchdog:     30 * time.Second,
	}
}

// leased is what the servers of the interfaces' leases are, in the order of the interfaces.
type leased struct{ DNS, NTP []netip.Addr }

func (m *machine) leases() (l leased) {
	interfaces, _ := m.parts()
	if interfaces == nil {
		return l
	}
	leases := interfaces.Leases()
	for _, name := range config.InterfaceNames {
		l.DNS = append(l.DNS, leases[name].DNS...)
		l.NTP = append(l.NTP, leases[name].NTP...)
	}
	return leased{unique(l.DNS), unique(l.NTP)}
}

// unique leaves out what is there already.
func unique(list []netip.Addr) (left []netip.Addr) {
	for _, a := range list {
		if !slices.Contains(left, a) {
			left = append(left, a)
		}
	}
	return left
}

// tellLeases gives those who live by leases the new ones. It may be called while a change is applied, for which it waits.
func (m *machine) tellLeases() {
	go func() {
		m.changing.Lock()
		defer m.changing.Unlock()
		m.mu.Lock()
		doc := m.config.Document
		m.mu.Unlock()
		for _, s := range []configured{resolver, timesyncing} {
			if err := m.applyService(s, doc); err != nil {
				m.warn("tell %s of new leases: %v", s.user.Name, err)
			}
		}
	}()
}
