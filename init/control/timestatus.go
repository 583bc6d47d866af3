package control

import "time"

// TimeStatusFile is where the clock's keeper says how it is getting on, as JSON of a [TimeStatus].
const TimeStatusFile = "/run/rotunda/timesync/status.json"

// TimeStatus is how the clock is kept.
type TimeStatus struct {
	At time.Time `json:"at"`
	// Synchronized clocks have been set, and steered within the last hours.
	Synchronized bool `json:"synchronized"`
	// Offset is what the clock was behind when it was last looked at, Within how wrong that may be, in nanoseconds.
	Offset time.Duration `json:"offset"`
	Within time.Duration `json:"within"`
	// Poll is the time between two questions.
	Poll    time.Duration `json:"poll"`
	Problem string        `json:"problem,omitempty"`
	Servers []TimeServer  `json:"servers"`
}

// TimeServer is one NTP server.
type TimeServer struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	// State is used, candidate (agrees, and is not the first), rejected (contradicts the others), unreachable or waiting.
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`
	Stratum uint8  `json:"stratum,omitempty"`
	// Reach has a bit for each of the last eight questions that was answered, the newest lowest.
	Reach  uint8         `json:"reach"`
	Offset time.Duration `json:"offset"`
	Delay  time.Duration `json:"delay"`
	// Last is when it answered last, zero for never.
	Last time.Time `json:"last,omitzero"`
}
