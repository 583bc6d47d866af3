package main

import (
	"context"
	"maps"
	"strings"

	"rotunda/init/config"
	"rotunda/init/firewall"
	"rotunda/init/network"
)

// startFirewall puts the stored rules in force while the interfaces are still down. It finds out which card is which interface
// for both.
func (m *machine) startFirewall(ctx context.Context) (func(), error) {
	kernel, err := network.OpenLinux()
	if err != nil {
		return nil, err
	}
	defer kernel.Close()
	ports, warnings := network.Identify("/sys", m.machineFile("interfaces.json"), m.board.Interfaces, kernel.PermanentMAC)
	m.alarm("cards", strings.Join(warnings, "; "))
	keeper := firewall.New(firewall.Options{
		Kernel:  firewall.NFTables{},
		Devices: devicesOf(ports.Ports),
		Load:    m.loadModule,
		Log:     func(line string) { m.journal.Line("firewall", nil, line) },
		Changed: func(firewall.Outcome) { m.firewallChanged(ctx) },
	})
	m.changing.Lock()
	m.mu.Lock()
	m.firewall, m.ports = keeper, ports.Ports
	doc := m.config.Document
	m.mu.Unlock()
	m.guard(doc)
	m.changing.Unlock()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		keeper.Run(ctx)
	}()
	return func() { stop(); <-done }, nil
}

func devicesOf(ports map[string]network.NIC) map[string]string {
	devices := map[string]string{}
	for name, port := range ports {
		devices[name] = port.Kernel
	}
	return devices
}

// loadModule makes a kernel module available. A kernel that has it built in does not ship it.
func (m *machine) loadModule(name string) error {
	if m.loader == nil || !m.loader.Has(name) {
		return nil
	}
	return m.loader.Load(name, "")
}

// guard puts the rules of a document in force and returns the document that the interfaces are to follow: those that nothing guards
// although their firewall is enabled are off in it. The caller holds changing.
func (m *machine) guard(doc *config.Document) (*config.Document, string) {
	if m.firewall == nil {
		// The step did not run, and its alarm says why.
		without := enabledFirewalls(doc)
		if len(without) == 0 {
			return doc, ""
		}
		return shut(doc, without), "the firewall did not start; these interfaces stay down: " + strings.Join(without, ", ")
	}
	o := m.firewall.Apply(doc)
	m.tellFirewall(o)
	return shut(doc, o.Down), o.Problem
}

func enabledFirewalls(doc *config.Document) []string {
	var names []string
	for _, name := range config.InterfaceNames {
		if doc.Firewall[name].Enabled {
			names = append(names, name)
		}
	}
	return names
}

// shut takes interfaces out of a document.
func shut(doc *config.Document, names []string) *config.Document {
	if len(names) == 0 {
		return doc
	}
	less := *doc
	less.Interfaces = maps.Clone(doc.Interfaces)
	for _, name := range names {
		i := less.Interfaces[name]
		i.IPv4.Enabled, i.IPv6.Enabled = false, false
		less.Interfaces[name] = i
	}
	return &less
}

func (m *machine) tellFirewall(o firewall.Outcome) {
	text := o.Problem
	if len(o.Down) > 0 {
		text += ". Until then these interfaces are down: " + strings.Join(o.Down, ", ")
	}
	m.alarm("firewall", text)
}

// firewallChanged follows what a comparison has found: the interfaces come up when their rules are in force at last, and go down
// when nothing guards them any more.
func (m *machine) firewallChanged(ctx context.Context) {
	m.changing.Lock()
	defer m.changing.Unlock()
	m.mu.Lock()
	doc := m.config.Document
	m.mu.Unlock()
	// A change may have come in between, so what was found is not what counts.
	guarded, _ := m.guard(doc)
	if interfaces, _ := m.parts(); interfaces != nil {
		interfaces.Apply(ctx, guarded)
	}
}
