package main

import (
	"strconv"
	"time"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

const (
	apiSocket = "/run/rotunda/callbridge/api.sock"
	// callBridgeMemory holds 300,000 users with a space each, which take 1.5 GiB, and an import of them.
	callBridgeMemory = 2 << 30
)

// callBridge is the Call Bridge. It always runs: where it listens nowhere, there still is the API.
var callBridge = configured{
	user:    callbridgeUser,
	sockets: true,
	wanted:  func(*config.Document) bool { return true },
	settings: func(g *gathering, doc *config.Document) any {
		c := doc.CallBridge
		s := config.CallBridgeService{
			Hostname: doc.Hostname, Timezone: doc.Timezone,
			Listen: c.Listen, Prefer: c.Prefer, Devices: g.devices,
			TrustC2W: string(g.file(c.TrustC2W)), TrustCluster: string(g.file(c.TrustCluster)), TrustBranding: string(g.file(c.TrustBranding)),
			UCM: g.peer(c.UCM), IMPS: g.peer(c.IMPS),
			SIP: g.kind(doc.TLS.SIP), LDAP: g.kind(doc.TLS.LDAP), MinDTLS: doc.TLS.MinDTLS,
			JWTHours: c.ExpiryHours(), Licence: g.licence(), DSCP: doc.DSCP,
		}
		if s.MinDTLS == "" {
			s.MinDTLS = config.DefaultTLS
		}
		s.Key, s.Chain = g.pair(c.Certificates)
		return s
	},
	spec: (*machine).callbridgeSpec,
}

// callbridgeSpec keeps off the processors of the media: signalling and the API live on those of the system.
func (m *machine) callbridgeSpec(doc *config.Document) supervise.Spec {
	folder := m.serviceFolder(callbridgeUser)
	files := ""
	if m.sets != nil {
		files = m.sets.Path("files")
	}
	if err := copyBranding(files, brandingFolder); err != nil {
		m.warn("prompts and pictures of the administrator: %v", err)
	}
	return supervise.Spec{
		Name:    callbridgeUser.Name,
		Program: "/bin/services",
		Args: []string{"callbridge", "-settings", settingsFile(callbridgeUser), "-database", databaseClients, "-admission", admissionSocket,
			"-socket", apiSocket, "-front", strconv.Itoa(int(webadminUser.UID)), "-reader", strconv.Itoa(int(mmpUser.UID)), "-folder", folder,
			"-shelf", promptsFolder, "-branding", brandingFolder},
		// The collector works harder before the limit of the cgroup ends everything.
		Env:  []string{"TZ=" + doc.Timezone, "GOMEMLIMIT=" + strconv.Itoa(callBridgeMemory/10*9)},
		User: callbridgeUser,
		// Changes by the API.
		Audits: []string{"callbridge"},
		Confine: supervise.Confine{
			ReadOnly:  []string{"/etc", "/proc", "/run/rotunda", "/dev/urandom", "/usr/share"},
			ReadWrite: []string{settingsFolder(callbridgeUser), folder, promptsFolder, "/dev/null"},
		},
		CPUs:      m.cores.System,
		MemoryMax: callBridgeMemory,
		// It is ready before the database is, and says so in the API.
		ReadyWithin: time.Minute,
		Watchdog:    30 * time.Second,
		// Calls have 5 s to end in an orderly way, and their records 5 s to be delivered.
		StopWithin: 15 * time.Second,
	}
}

// serviceFolder is where a service keeps what is this machine's own, in the set; without a data partition it lives as long as this start.
func (m *machine) serviceFolder(u supervise.User) string {
	if m.sets == nil {
		return runFolder(u)
	}
	folder := m.sets.Path("app/" + u.Name)
	if err := ownFolder(folder, 0o700, u.UID, u.GID); err != nil {
		m.warn("prepare the folder of %s: %v", u.Name, err)
	}
	return folder
}
