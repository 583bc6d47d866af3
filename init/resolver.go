package main

import (
	"context"
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
		return config.DNSService{DNS: doc.DNS, Leased: g.leased}
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

// leasedResolvers are the DNS servers of the leases, in the order of the interfaces.
func (m *machine) leasedResolvers() []netip.Addr {
	interfaces, _ := m.parts()
	if interfaces == nil {
		return nil
	}
	var list []netip.Addr
	leases := interfaces.Leases()
	for _, name := range config.InterfaceNames {
		for _, server := range leases[name].DNS {
			if !slices.Contains(list, server) {
				list = append(list, server)
			}
		}
	}
	return list
}

// tellResolver gives the resolver the servers of new leases. It may be called while a change is applied, for which it waits.
func (m *machine) tellResolver() {
	go func() {
		m.changing.Lock()
		defer m.changing.Unlock()
		m.mu.Lock()
		doc := m.config.Document
		m.mu.Unlock()
		if err := m.applyService(context.Background(), resolver, doc); err != nil {
			m.warn("tell the resolver of new leases: %v", err)
		}
	}()
}
