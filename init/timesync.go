package main

import (
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

// timesyncing keeps the clock. It always runs: without a server it tells nobody a time that nobody keeps.
var timesyncing = configured{
	user:    timesyncUser,
	sockets: true,
	wanted:  func(*config.Document) bool { return true },
	settings: func(g *gathering, doc *config.Document) any {
		return config.NTPService{Servers: doc.NTP.Servers, Keys: g.file(doc.NTP.Keys), Leased: g.leased.NTP}
	},
	spec: func(m *machine, _ *config.Document) supervise.Spec { return timesyncSpec(m.cores.System) },
}

// timesyncSpec may set the clock, open sockets, and write how it is getting on.
func timesyncSpec(system []int) supervise.Spec {
	return supervise.Spec{
		Name:         timesyncUser.Name,
		Program:      "/init",
		Args:         []string{"timesync", "-settings", settingsFile(timesyncUser)},
		User:         timesyncUser,
		Capabilities: []uintptr{unix.CAP_SYS_TIME, unix.CAP_NET_BIND_SERVICE},
		// Names are looked up by the resolver.
		Confine:     supervise.Confine{ReadOnly: []string{"/etc"}, ReadWrite: []string{settingsFolder(timesyncUser)}},
		CPUs:        system,
		MemoryMax:   64 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    30 * time.Second,
	}
}
