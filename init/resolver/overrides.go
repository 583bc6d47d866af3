package resolver

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rotunda/init/config"
)

// overrides are the custom records, by name.
type overrides map[string][]dns.RR

// customTTL is that of a record without one: a change is seen at once anyway, since these records are in no cache.
const customTTL = 3600

func newOverrides(records []string) (overrides, error) {
	o := overrides{}
	for _, s := range records {
		r, err := config.ParseRecord(s)
		if err != nil {
			return nil, err
		}
		name := r.Header().Name
		o[name] = append(o[name], r)
	}
	return o, nil
}

// answer says what is known of a name. Whoever has an address here has none outside: otherwise half of the connections would go to a
// place that the record is there to avoid. Other types go outside when there is none here.
func (o overrides) answer(q dns.Question) (list []dns.RR, known bool) {
	name := strings.ToLower(q.Name)
	if special, known := local(name, q.Qtype); known {
		return special, true
	}
	for _, r := range o[name] {
		t := r.Header().Rrtype
		if t == q.Qtype || t == dns.TypeCNAME || q.Qtype == dns.TypeANY {
			list = append(list, r)
		}
		known = known || isAddress(t) && isAddress(q.Qtype)
	}
	return list, known || len(list) > 0
}

func isAddress(t uint16) bool { return t == dns.TypeA || t == dns.TypeAAAA }

// local answers the names that are this machine by themselves, and never leave it (RFC 6761).
func local(name string, t uint16) (list []dns.RR, known bool) {
	switch {
	case name == "localhost." || strings.HasSuffix(name, ".localhost."):
		header := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: customTTL, Rrtype: t}
		switch t {
		case dns.TypeA:
			list = []dns.RR{&dns.A{Hdr: header, A: []byte{127, 0, 0, 1}}}
		case dns.TypeAAAA:
			list = []dns.RR{&dns.AAAA{Hdr: header, AAAA: append(make([]byte, 15), 1)}}
		}
		return list, true
	case name == "invalid." || strings.HasSuffix(name, ".invalid."):
		return nil, true
	}
	return nil, false
}

// copies gives the records out with a time to live.
func copies(list []dns.RR, name string) []dns.RR {
	list = slices.Clone(list)
	for i, r := range list {
		list[i] = dns.Copy(r)
		list[i].Header().Name = name
		if list[i].Header().Ttl == 0 {
			list[i].Header().Ttl = customTTL
		}
	}
	return list
}
