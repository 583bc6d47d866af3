package lookup

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

var srvName = map[string]string{"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}

// naptrService is RFC 3263, 4.1. Other services (SCTP, WebSocket) are nothing we can use.
var naptrService = map[string]string{"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}

func usualPort(transport string) uint16 {
	if transport == "tls" {
		return 5061
	}
	return 5060
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// at is every transport at every address. Port 0 is the usual one.
func at(ts []string, host, name string, port uint16, addrs []netip.Addr) []Target {
	var list []Target
	for _, t := range ts {
		p := port
		if p == 0 {
			p = usualPort(t)
		}
		for _, a := range addrs {
			list = append(list, Target{Transport: t, Address: netip.AddrPortFrom(a, p), Host: host, Name: name})
		}
	}
	return list
}

func checkTransports(transports []string) ([]string, error) {
	var list []string
	for _, t := range transports {
		t = strings.ToLower(t)
		if srvName[t] == "" {
			return nil, fmt.Errorf("transport %.20q: want udp, tcp or tls", t)
		}
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no transport: want one of udp, tcp and tls at least")
	}
	return list, nil
}

// checkName gives the name as a full one, in lower case.
func checkName(host string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "" {
		return "", fmt.Errorf("no host: want a name or an IP address")
	}
	if len(name) > 253 {
		return "", fmt.Errorf("host %.40q…: longer than 253 characters", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return "", fmt.Errorf("host %.260q: want parts of 1 to 63 characters between its dots", name)
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", fmt.Errorf("host %.260q: want letters, digits, hyphens and dots only (other alphabets in their xn-- form)", name)
			}
		}
	}
	return name + ".", nil
}

func address(rr dns.RR) (netip.Addr, bool) {
	var b []byte
	switch v := rr.(type) {
	case *dns.A:
		b = v.A.To4()
	case *dns.AAAA:
		b = v.AAAA.To16()
	}
	a, ok := netip.AddrFromSlice(b)
	a = a.Unmap()
	// The unspecified address is this host for connect(2), which nobody means.
	if !ok || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, false
	}
	return a, true
}

// pointer is a NAPTR record that leads to the SRV records of a transport.
type pointer struct {
	order, preference uint16
	transport, name   string
}

// pointers are those NAPTR records that we may use, in the order of the domain. Only terminal ones with flag "s" are SIP's (RFC 3263, 4.1).
func pointers(records []dns.RR, ts []string) []pointer {
	var list []pointer
	for _, rr := range records {
		n, ok := rr.(*dns.NAPTR)
		if !ok || !strings.EqualFold(n.Flags, "s") || n.Regexp != "" {
			continue
		}
		t := naptrService[strings.ToLower(n.Service)]
		name, err := checkName(n.Replacement)
		if err != nil || !slices.Contains(ts, t) {
			continue
		}
		list = append(list, pointer{n.Order, n.Preference, t, name})
	}
	slices.SortStableFunc(list, func(a, b pointer) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference))
	})
	return list[:min(len(list), maxServices)]
}

// server is an SRV record.
type server struct {
	priority, weight, port uint16
	target                 string
}

// services are SRV records in the order of RFC 2782: by priority, and within one drawn by weight. A target of "." alone says that the service is
// not there: no records then.
func services(records []dns.RR, random func(int) int) []server {
	var list []server
	for _, rr := range records {
		if s, ok := rr.(*dns.SRV); ok {
			if name, err := checkName(s.Target); err == nil && s.Port != 0 {
				list = append(list, server{s.Priority, s.Weight, s.Port, name})
			}
		}
	}
	// Records of weight 0 come first, so that a draw of 0 can find them; that is their small chance.
	slices.SortStableFunc(list, func(a, b server) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), rank(a.weight == 0)-rank(b.weight == 0))
	})
	for i := 0; i < len(list); {
		end, sum := i, 0
		for ; end < len(list) && list[end].priority == list[i].priority; end++ {
			sum += int(list[end].weight)
		}
		n := random(sum + 1)
		j := i
		for sum := int(list[j].weight); sum < n; sum += int(list[j].weight) {
			j++
		}
		chosen := list[j]
		copy(list[i+1:j+1], list[i:j])
		list[i] = chosen
		i++
	}
	return list[:min(len(list), maxServices)]
}
