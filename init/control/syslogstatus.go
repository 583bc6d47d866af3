package control

import "time"

// SyslogStatusFile is where the forwarder of the log says how it is getting on, as JSON of a [SyslogStatus].
const SyslogStatusFile = "/run/rotunda/syslog/status.json"

// SyslogStatus is how the log gets to its servers.
type SyslogStatus struct {
	Servers []SyslogServer `json:"servers"`
}

// SyslogServer is one server.
type SyslogServer struct {
	// Audit says that it gets the audit log.
	Audit bool `json:"audit,omitempty"`
	// Name is the host as commands have it.
	Name string `json:"name"`
	Port int    `json:"port"`
	// State is connected, connecting or unreachable.
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`
	// Since is when it came into the state.
	Since time.Time `json:"since"`
	// Sent counts lines since the forwarder was started, repeated ones included; Waiting are bytes of the log.
	Sent    int64 `json:"sent"`
	Waiting int64 `json:"waiting"`
}
