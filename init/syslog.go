package main

import (
	"time"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

// placesFolder remembers what servers have of the log. It is beside the log, goes with it in a full reset, and is in no backup: on
// another machine it would mean nothing.
const placesFolder = logDir + "/servers"

// forwarding brings the log to its servers.
var forwarding = configured{
	user:    syslogUser,
	sockets: true,
	wanted:  func(doc *config.Document) bool { return doc.Syslog.Wanted() },
	settings: func(g *gathering, doc *config.Document) any {
		s := doc.Syslog
		return config.SyslogService{Enabled: s.Enabled, Servers: s.Servers, Audit: s.Audit, TLS: g.kind(s.TLS)}
	},
	spec: func(m *machine, _ *config.Document) supervise.Spec {
		if err := ownFolder(placesFolder, 0o700, syslogUser.UID, syslogUser.GID); err != nil {
			m.warn("prepare the forwarding of the log: %v", err)
		}
		return syslogSpec(m.cores.System)
	},
}

// syslogSpec may read the log, as a member of the shell's group, and open sockets.
func syslogSpec(system []int) supervise.Spec {
	return supervise.Spec{
		Name:    syslogUser.Name,
		Program: "/init",
		Args:    []string{"syslog", "-settings", settingsFile(syslogUser), "-logs", logDir, "-places", placesFolder},
		User:    syslogUser,
		Groups:  []uint32{mmpUser.GID},
		// Names are looked up by the resolver.
		Confine:     supervise.Confine{ReadOnly: []string{"/etc", logDir}, ReadWrite: []string{settingsFolder(syslogUser), placesFolder}},
		CPUs:        system,
		MemoryMax:   128 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    30 * time.Second,
	}
}
