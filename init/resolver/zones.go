package resolver

import (
	"net/netip"
	"strings"

	"rotunda/init/config"
)

// zones are the forward zones by name; "." is the one that covers everything.
type zones map[string][]netip.Addr

func newZones(s config.DNSService) zones {
	z := zones{}
	for _, f := range s.Zones {
		z[f.Domain] = f.Servers
	}
	// Leases count where the administrator has not said who knows everything else.
	if _, said := z["."]; !said && len(s.Leased) > 0 {
		z["."] = s.Leased
	}
	return z
}

// of returns the longest zone that covers a name, in lower case with a dot at its end, and its servers; none when no zone does.
func (z zones) of(name string) (zone string, servers []netip.Addr) {
	for rest := strings.TrimSuffix(name, "."); rest != ""; {
		if servers, ok := z[rest]; ok {
			return rest, servers
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
	return ".", z["."]
}
