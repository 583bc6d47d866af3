package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TrafficTypes are the kinds of traffic that can be marked, as commands name them.
var TrafficTypes = []string{"signaling", "assured-voice", "voice", "assured-multimedia", "multimedia", "multimedia-streaming", "low-latency", "oa&m"}

// MaxDSCP is the highest value of six bits (RFC 2474 section 3).
const MaxDSCP = 63

// SelfMarking is the priority (socket(7), SO_PRIORITY) of sockets whose service marks packets by itself, where they are to be marked. The
// firewall, which marks those of other services by their ports, tells them by it. Setting it takes no privilege.
const SelfMarking = 6

// DSCP is how packets that this machine sends are marked. A type without a value is not marked.
type DSCP struct {
	IPv4 map[string]int `json:"ipv4,omitempty"`
	IPv6 map[string]int `json:"ipv6,omitempty"`
	// Assured makes voice and multimedia take the values of assured-voice and assured-multimedia.
	Assured bool `json:"assured,omitempty"`
}

// Of is the value of a type in a family, 4 or 6, with Assured taken into account; ok is false for a type that is not marked.
func (d DSCP) Of(family int, kind string) (value int, ok bool) {
	if d.Assured && (kind == "voice" || kind == "multimedia") {
		kind = "assured-" + kind
	}
	values := d.IPv4
	if family == 6 {
		values = d.IPv6
	}
	value, ok = values[kind]
	return value, ok
}

func (d DSCP) validate() error {
	for family, values := range map[string]map[string]int{"4": d.IPv4, "6": d.IPv6} {
		for _, kind := range slices.Sorted(maps.Keys(values)) {
			if !slices.Contains(TrafficTypes, kind) {
				return fmt.Errorf("DSCP: traffic type %q is unknown: use one of %s", clip(kind), strings.Join(TrafficTypes, ", "))
			}
			if v := values[kind]; v < 0 || v > MaxDSCP {
				return fmt.Errorf("DSCP value %d of %s in IPv%s is out of range: use 0 to %d, or 0x0 to 0x%x", v, kind, family, MaxDSCP, MaxDSCP)
			}
		}
	}
	return nil
}
