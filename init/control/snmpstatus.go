package control

// SNMPStatusFile is where the SNMP agent says how it is getting on, as JSON of an [SNMPStatus].
const SNMPStatusFile = "/run/rotunda/snmp/status.json"

// SNMPStatus is what the agent has done since it was started.
type SNMPStatus struct {
	// Boots is snmpEngineBoots.
	Boots int32 `json:"boots"`
	// Problem is why it does not listen, empty if it does or need not.
	Problem string `json:"problem,omitempty"`
	// Requests count messages of any kind, Refused those with a wrong community, user or key, Limited those beyond what a source may ask, and Malformed
	// those that are no SNMP.
	Requests  uint64         `json:"requests"`
	Refused   uint64         `json:"refused"`
	Limited   uint64         `json:"limited"`
	Malformed uint64         `json:"malformed"`
	Receivers []SNMPReceiver `json:"receivers,omitempty"`
}

// SNMPReceiver is somebody who is told of what happens.
type SNMPReceiver struct {
	Host   string `json:"host"`
	Inform bool   `json:"inform,omitempty"`
	// Version is 2c or 3.
	Version string `json:"version"`
	// Sent counts notifications, Lost those that could not be sent or, of informs, were not acknowledged.
	Sent    uint64 `json:"sent"`
	Lost    uint64 `json:"lost"`
	Problem string `json:"problem,omitempty"`
}
