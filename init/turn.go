package main

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rotunda/boards"
	"rotunda/init/config"
	"rotunda/init/supervise"
)

// turnServer is the TURN server. Without its certificate it still serves UDP and plain TCP.
var turnServer = configured{
	user:   turnUser,
	wanted: func(doc *config.Document) bool { return doc.TURN.Enabled },
	settings: func(g *gathering, doc *config.Document) any {
		s := config.TURNService{TURN: doc.TURN, Devices: g.devices}
		s.Key, s.Chain = g.pair(doc.TURN.Certificates)
		return s
	},
	spec: func(m *machine, _ *config.Document) supervise.Spec { return turnSpec(m.cores) },
}

// turnSpec is the TURN server. It may use every processor: on an edge server nothing else carries media, and in a combined
// deployment what it relays is a small part of what a worker does for the same call.
func turnSpec(c boards.Cores) supervise.Spec {
	return supervise.Spec{
		Name:    turnUser.Name,
		Program: "/bin/services",
		Args:    []string{"turn", "-settings", settingsFile(turnUser)},
		User:    turnUser,
		// For "turn tls 443".
		Capabilities: []uintptr{unix.CAP_NET_BIND_SERVICE},
		Confine:      supervise.Confine{ReadOnly: []string{settingsFolder(turnUser), "/proc/sys/net/core/somaxconn"}},
		CPUs:         allProcessors(c),
		MemoryMax:    1 << 30,
		ReadyWithin:  30 * time.Second,
		Watchdog:     30 * time.Second,
	}
}

func allProcessors(c boards.Cores) []int {
	all := slices.Concat(append([][]int{c.System}, c.Modules...)...)
	slices.Sort(all)
	return slices.Compact(all)
}
