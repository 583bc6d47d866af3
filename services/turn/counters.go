package turn

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// counter is one of the figures that are counted, in the order of the table.
type counter int

const (
	fromClients counter = iota
	toPeers
	fromPeers
	toClients
	between
	bytesToPeers
	bytesToClients
	requests
	refusedUser
	refusedExpired
	refusedKey
	dropMalformed
	dropUnexpected
	dropNoAllocation
	dropNoChannel
	dropNoPermission
	dropPeer
	dropLimited
	dropQueue
	dropSend
	allocated
	refusedQuota
	refusedPort
	refusedPeer
	counterCount
)

type figure struct{ name, label, help string }

// figures say what each counter is: name and label as the metrics have them. One line of help serves all labels of a name.
var figures = [counterCount]figure{
	fromClients:      {"turn_packets_total", `direction="from_client"`, "Packets of media, by where they came from or went to"},
	toPeers:          {"turn_packets_total", `direction="to_peer"`, ""},
	fromPeers:        {"turn_packets_total", `direction="from_peer"`, ""},
	toClients:        {"turn_packets_total", `direction="to_client"`, ""},
	between:          {"turn_packets_total", `direction="between_relays"`, ""},
	bytesToPeers:     {"turn_bytes_total", `direction="to_peer"`, "Bytes of media without headers"},
	bytesToClients:   {"turn_bytes_total", `direction="to_client"`, ""},
	requests:         {"turn_requests_total", "", "STUN requests and indications that were passed on"},
	refusedUser:      {"turn_credentials_refused_total", `reason="user"`, "Requests with credentials that were refused"},
	refusedExpired:   {"turn_credentials_refused_total", `reason="expired"`, ""},
	refusedKey:       {"turn_credentials_refused_total", `reason="password"`, ""},
	dropMalformed:    {"turn_drops_total", `reason="malformed"`, "Packets dropped"},
	dropUnexpected:   {"turn_drops_total", `reason="unexpected"`, ""},
	dropNoAllocation: {"turn_drops_total", `reason="no_allocation"`, ""},
	dropNoChannel:    {"turn_drops_total", `reason="no_channel"`, ""},
	dropNoPermission: {"turn_drops_total", `reason="no_permission"`, ""},
	dropPeer:         {"turn_drops_total", `reason="forbidden_peer"`, ""},
	dropLimited:      {"turn_drops_total", `reason="rate_limit"`, ""},
	dropQueue:        {"turn_drops_total", `reason="queue"`, ""},
	dropSend:         {"turn_drops_total", `reason="send"`, ""},
	allocated:        {"turn_allocations_total", "", "Allocations made"},
	refusedQuota:     {"turn_allocations_refused_total", `reason="quota"`, "Allocations refused"},
	refusedPort:      {"turn_allocations_refused_total", `reason="port"`, ""},
	refusedPeer:      {"turn_peers_refused_total", "", "Permissions and channels refused because of the peer"},
}

// counters are the figures of one thread or of one connection; only sums are shown, so that no two cores write to the same
// cache line.
type counters struct {
	values [counterCount]atomic.Uint64
	_      [64]byte
}

func (c *counters) count(what counter)         { c.values[what].Add(1) }
func (c *counters) add(what counter, n uint64) { c.values[what].Add(n) }

// tally sums the counters of all.
type tally struct {
	mu    sync.Mutex
	all   []*counters
	ended [counterCount]uint64
}

func (t *tally) open() *counters {
	c := new(counters)
	t.mu.Lock()
	t.all = append(t.all, c)
	t.mu.Unlock()
	return c
}

// close keeps what was counted and forgets who counted.
func (t *tally) close(c *counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.all, c); i >= 0 {
		t.all = slices.Delete(t.all, i, i+1)
		for n := range t.ended {
			t.ended[n] += c.values[n].Load()
		}
	}
}

func (t *tally) sum() [counterCount]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.ended
	for _, c := range t.all {
		for n := range sum {
			sum[n] += c.values[n].Load()
		}
	}
	return sum
}

// Status is the state of the server, for the API.
type Status struct {
	// Listeners are the addresses that clients reach, as "udp 192.0.2.1:3478".
	Listeners   []string `json:"listeners"`
	Allocations int      `json:"allocations"`
	Channels    int      `json:"channels"`
	FreePorts   int      `json:"freePorts"`
	Connections int      `json:"connections"`
	// Counters are the metrics by their names with labels.
	Counters map[string]uint64 `json:"counters"`
}

func (s Status) writeMetrics(w io.Writer, sum [counterCount]uint64) {
	for _, g := range []struct {
		name, help string
		value      int
	}{
		{"turn_allocations", "Allocations at the moment", s.Allocations},
		{"turn_channels", "Channels at the moment", s.Channels},
		{"turn_relay_ports_free", "Relay ports that are free", s.FreePorts},
		{"turn_connections", "TCP and TLS connections of clients", s.Connections},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s gauge\n%[1]s %[3]d\n", g.name, g.help, g.value)
	}
	for n, f := range figures {
		if f.help != "" {
			fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s counter\n", f.name, f.help)
		}
		fmt.Fprintf(w, "%s %d\n", f.key(), sum[n])
	}
}

func (f *figure) key() string {
	if f.label == "" {
		return f.name
	}
	return f.name + "{" + f.label + "}"
}
