package main

import (
	"time"

	"golang.org/x/sys/unix"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

var snmpUser = supervise.User{Name: "snmp", UID: 111, GID: 111}

// snmpFolder remembers how often the SNMP agent was started. It is in no backup: the number must not go back (RFC 3414 section 2.2).
const snmpFolder = dataDir + "/snmp"

// snmpAgent answers monitoring systems, and tells them what happens. It runs while there is somebody to answer or to tell.
var snmpAgent = configured{
	user:    snmpUser,
	sockets: true,
	wanted:  func(doc *config.Document) bool { return doc.SNMP.Wanted() },
	settings: func(_ *gathering, doc *config.Document) any {
		s := doc.SNMP
		return config.SNMPService{Enabled: s.Enabled, Hostname: doc.Hostname, Engine: s.Engine, Communities: s.Communities, Users: s.Users, Traps: s.Traps, Approved: doc.FIPS.Enabled}
	},
	spec: func(m *machine, _ *config.Document) supervise.Spec {
		if err := ownFolder(snmpFolder, 0o700, snmpUser.UID, snmpUser.GID); err != nil {
			m.warn("prepare the SNMP agent: %v", err)
		}
		return snmpSpec(m.cores.System)
	},
}

// snmpSpec may read what is known of the machine, and open sockets, the one on port 161 too.
func snmpSpec(system []int) supervise.Spec {
	return supervise.Spec{
		Name:         snmpUser.Name,
		Program:      "/init",
		Args:         []string{"snmp", "-settings", settingsFile(snmpUser), "-folder", snmpFolder},
		User:         snmpUser,
		Capabilities: []uintptr{unix.CAP_NET_BIND_SERVICE},
		// Names are looked up by the resolver; the state of the clock is a file.
		Confine: supervise.Confine{
			ReadOnly:  []string{"/etc", "/proc", settingsFolder(timesyncUser)},
			ReadWrite: []string{settingsFolder(snmpUser), snmpFolder},
		},
		CPUs:        system,
		MemoryMax:   64 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    30 * time.Second,
	}
}
