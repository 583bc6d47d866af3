package main

import (
	"strconv"
	"time"

	"rotunda/init/config"
	"rotunda/init/supervise"
)

var identityUser = supervise.User{Name: "identity", UID: 122, GID: 122}

// identifying asks directories and issuers of cards about people, for the shell. It runs once there is somebody to ask, so that settings
// can be tried before they count.
var identifying = configured{
	user:    identityUser,
	sockets: true,
	wanted: func(doc *config.Document) bool {
		return doc.LDAP.Host != "" || doc.CAC.Enabled || doc.CAC.Issuer != ""
	},
	settings: func(g *gathering, doc *config.Document) any {
		s := config.IdentityService{LDAP: doc.LDAP, TLS: g.kind(doc.TLS.LDAP), CAC: doc.CAC, Issuer: string(g.file(doc.CAC.Issuer))}
		s.Key, s.Chain = g.pair(doc.CAC.OCSP.Certificates)
		return s
	},
	spec: func(m *machine, _ *config.Document) supervise.Spec { return identitySpec(m.cores.System) },
}

// identitySpec may open sockets, and nothing else.
func identitySpec(system []int) supervise.Spec {
	return supervise.Spec{
		Name:    identityUser.Name,
		Program: "/bin/mmp",
		Args:    []string{"identity", "-settings", settingsFile(identityUser), "-for", strconv.Itoa(int(mmpUser.UID))},
		User:    identityUser,
		// Names are looked up by the resolver; /proc and /dev/urandom are what Go's runtime reads.
		Confine:     supervise.Confine{ReadOnly: []string{"/etc", "/proc", "/dev/urandom"}, ReadWrite: []string{settingsFolder(identityUser), "/dev/null"}},
		CPUs:        system,
		MemoryMax:   128 << 20,
		ReadyWithin: 30 * time.Second,
		Watchdog:    30 * time.Second,
	}
}
