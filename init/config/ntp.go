package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// MaxNTPServers is how many there may be: beyond five, more make nothing better.
const MaxNTPServers = 8

// NTP is how the clock is kept. Where no server is set, those of the interfaces' leases count.
type NTP struct {
	Servers []NTPServer `json:"servers,omitempty"`
	// Keys is the name of a file with symmetric keys, as NTP programs have it: a line each with number, type and key.
	Keys string `json:"keys,omitempty"`
}

// NTPServer is one server.
type NTPServer struct {
	// Host is a name or an address.
	Host string `json:"host"`
	// Key is the number of the key that its answers are signed with, 0 for none.
	Key int `json:"key,omitempty"`
}

// NTPService is what PID 1 gives to what keeps the clock.
type NTPService struct {
	Servers []NTPServer `json:"servers"`
	// Keys is the content of the file.
	Keys []byte `json:"keys,omitempty"`
	// Leased are the servers of the interfaces' leases.
	Leased []netip.Addr `json:"leased,omitempty"`
}

func (n NTP) validate() error {
	if len(n.Servers) > MaxNTPServers {
		return fmt.Errorf("more than %d NTP servers", MaxNTPServers)
	}
	for i, s := range n.Servers {
		if _, err := netip.ParseAddr(s.Host); err != nil {
			if err := ValidateHostname(s.Host); err != nil {
				return fmt.Errorf("NTP server: %q is neither an address nor a host name", clip(s.Host))
			}
		}
		if slices.ContainsFunc(n.Servers[:i], func(o NTPServer) bool { return strings.EqualFold(o.Host, s.Host) }) {
			return fmt.Errorf("NTP server %s is there twice", s.Host)
		}
		if s.Key < 0 || s.Key > 65535 {
			return fmt.Errorf("key %d of NTP server %s is out of range: use 1 to 65535", s.Key, s.Host)
		}
		if s.Key != 0 && n.Keys == "" {
			return fmt.Errorf("NTP server %s has key %d, and there is no file of keys: use ntp groupkey <file> first", s.Host, s.Key)
		}
	}
	if err := validateFile(n.Keys); err != nil {
		return fmt.Errorf("NTP keys %w", err)
	}
	return nil
}
