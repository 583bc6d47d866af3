package main

import (
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

// webAdmin is the HTTPS front of pages and API. Without its certificate it serves the API on loopback alone, and says why.
var webAdmin = configured{
	user:   webadminUser,
	wanted: func(doc *config.Document) bool { return doc.WebAdmin.Enabled },
	settings: func(g *gathering, doc *config.Document) any {
		w := doc.WebAdmin
		s := config.WebAdminService{
			Hostname: doc.Hostname, Timezone: doc.Timezone,
			Interface: w.Interface, Device: g.devices[w.Interface], Port: w.ListenPort(), HTTPRedirect: w.HTTPRedirect,
			TLS: g.kind(doc.TLS.WebAdmin),
		}
		s.Key, s.Chain = g.pair(w.Certificates)
		if doc.CAC.Enabled {
			s.Cards = config.Cards{Enabled: true, Strict: doc.CAC.Strict, Issuer: string(g.file(doc.CAC.Issuer))}
		}
		return s
	},
	spec: (*machine).webadminSpec,
}

func (m *machine) webadminSpec(doc *config.Document) supervise.Spec {
	return supervise.Spec{
		Name:    webadminUser.Name,
		Program: "/bin/services",
		Args:    []string{"webadmin", "-settings", settingsFile(webadminUser), "-api", apiSocket, "-admission", admissionSocket, "-logs", logDir},
		Env:     []string{"TZ=" + doc.Timezone},
		User:    webadminUser,
		Audits:  []string{"webadmin"},
		// Its pages show the log, which belongs to the shell's group.
		Groups: []uint32{mmpUser.GID},
		// For port 443, and 80 that leads there.
		Capabilities: []uintptr{unix.CAP_NET_BIND_SERVICE},
		Confine: supervise.Confine{
			ReadOnly:  []string{"/etc", "/proc", "/run/rotunda", logDir, "/dev/urandom", "/usr/share"},
			ReadWrite: []string{"/dev/null"},
		},
		CPUs:        m.cores.System,
		MemoryMax:   512 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    30 * time.Second,
	}
}
