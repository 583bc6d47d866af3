package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Bounds of the DNS settings.
const (
	MaxForwardZones = 64
	MaxZoneServers  = 8
	MaxDNSRecords   = 256
	MaxTrustAnchors = 32
)

// DNS is how names are resolved. Where no zone covers a name, the servers of the interfaces' leases are asked.
type DNS struct {
	// Zones in the order in which they were added.
	Zones []ForwardZone `json:"zones,omitempty"`
	// Records are answered instead of asking outside, in the form of a zone file ([ParseRecord]).
	Records []string `json:"records,omitempty"`
	// Anchors are DS or DNSKEY records; what is below one must be signed.
	Anchors []string `json:"anchors,omitempty"`
}

// ForwardZone says who is asked for the names below a domain.
type ForwardZone struct {
	// Domain in lower case without a dot at its end; "." is every name.
	Domain string `json:"domain"`
	// Servers are asked in this order.
	Servers []netip.Addr `json:"servers"`
}

// DNSService is what PID 1 gives the resolver.
type DNSService struct {
	DNS
	// Leased are the servers of the interfaces' leases.
	Leased []netip.Addr `json:"leased,omitempty"`
}

// ZoneName brings the name of a forward zone into the form of [ForwardZone.Domain].
func ZoneName(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" {
		if s == "." {
			return ".", nil
		}
		return "", errors.New("the domain is empty: give a name such as example.com, or a dot for all names")
	}
	if _, ok := dns.IsDomainName(name); !ok || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"\();@$*`, r) }) {
		return "", fmt.Errorf("%q is no domain: give a name such as example.com, or a dot for all names", clip(s))
	}
	return name, nil
}

// recordTypes are those that a custom record may have.
var recordTypes = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME, dns.TypeNAPTR, dns.TypeTXT, dns.TypePTR, dns.TypeMX}

// What is right where a record or a trust anchor is wrong.
const (
	recordForm = `write it as "owner. [ttl] IN A|AAAA|SRV data"`
	anchorForm = `write it as "owner. IN DS tag algorithm type digest", or as a DNSKEY record`
)

// ParseRecord reads a custom record: "_sip._tcp.example.com. 86400 IN SRV 0 5 5061 host.example.com.".
func ParseRecord(s string) (dns.RR, error) {
	r, err := parseRecord(s, recordForm)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(recordTypes, r.Header().Rrtype) {
		var names []string
		for _, t := range recordTypes {
			names = append(names, dns.TypeToString[t])
		}
		return nil, fmt.Errorf("a record of type %s cannot be set: use one of %s", dns.TypeToString[r.Header().Rrtype], strings.Join(names, ", "))
	}
	return r, nil
}

// ParseAnchor reads a trust anchor, a DS or DNSKEY record.
func ParseAnchor(s string) (dns.RR, error) {
	r, err := parseRecord(s, anchorForm)
	if err != nil {
		return nil, err
	}
	if t := r.Header().Rrtype; t != dns.TypeDS && t != dns.TypeDNSKEY {
		return nil, fmt.Errorf("%s is no trust anchor: give a DS or DNSKEY record", dns.TypeToString[t])
	}
	return r, nil
}

// maxRecord bounds the text of one: a DNSKEY with an RSA key of 4096 bits takes 800.
const maxRecord = 2048

// unread finds the word at which the reader gave up, in `dns: bad A A: "192.0.2.300" at line: 1:38`.
var unread = regexp.MustCompile(`("(?:[^"\\]|\\.)*") at line`)

func parseRecord(s, form string) (dns.RR, error) {
	if len(s) > maxRecord {
		return nil, fmt.Errorf("the record is longer than %d bytes", maxRecord)
	}
	// A directive would make the reader open files or make records by the million; a line end would begin another record.
	if strings.ContainsAny(s, "\r\n$") {
		return nil, errors.New("the record has more than one line, or a dollar sign: " + form)
	}
	r, err := dns.NewRR(s)
	if err != nil {
		at := ""
		if word := unread.FindStringSubmatch(err.Error()); word != nil {
			at = " at " + clip(word[1])
		}
		return nil, fmt.Errorf("the record cannot be read%s: %s", at, form)
	}
	if r == nil {
		return nil, errors.New("the record is empty: " + form)
	}
	if r.Header().Class != dns.ClassINET {
		return nil, fmt.Errorf("a record of class %s cannot be set: use IN", dns.ClassToString[r.Header().Class])
	}
	r.Header().Name = strings.ToLower(r.Header().Name)
	// The reader takes records without an owner or without data, which nothing could be asked for.
	if again, err := dns.NewRR(r.String()); r.Header().Name == "" || err != nil || again == nil {
		return nil, errors.New("the record is not complete: " + form)
	}
	if name := r.Header().Name; strings.ContainsFunc(name, func(c rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", c) }) {
		return nil, fmt.Errorf("%q is no name that a record can have: use letters, digits, hyphens and underscores in labels with dots between", clip(name))
	}
	return r, nil
}

// recordList is what a list of records has said so far.
type recordList struct {
	records []string
	texts   map[string]bool
	// names have the types of their records.
	names map[string][]uint16
}

// add takes the next record, or refuses it and stays as it is.
func (l *recordList) add(text string) error {
	r, err := ParseRecord(text)
	if err != nil {
		return fmt.Errorf("custom DNS record: %w", err)
	}
	if l.texts[text] {
		return fmt.Errorf("the custom DNS record %s is there twice", clip(text))
	}
	name, kind := r.Header().Name, r.Header().Rrtype
	// RFC 1034, 3.6.2: a name with an alias has nothing else.
	if there := l.names[name]; len(there) > 0 && (kind == dns.TypeCNAME || slices.Contains(there, dns.TypeCNAME)) {
		return fmt.Errorf("%s has an alias (CNAME) and another record: leave one", name)
	}
	l.records, l.texts[text], l.names[name] = append(l.records, text), true, append(l.names[name], kind)
	return nil
}

// judged is the list that was found to be right last. Every change of anything, and every line of a script, validates the whole document, and
// reading the records takes ten times as long as everything else; most lists are the same, or have one record more.
var judged struct {
	sync.Mutex
	recordList
}

func validateRecords(records []string) error {
	judged.Lock()
	defer judged.Unlock()
	if known := len(judged.records); judged.texts == nil || len(records) < known || !slices.Equal(records[:known], judged.records) {
		judged.recordList = recordList{texts: map[string]bool{}, names: map[string][]uint16{}}
	}
	for _, text := range records[len(judged.records):] {
		if err := judged.add(text); err != nil {
			return err
		}
	}
	return nil
}

func (d DNS) validate() error {
	if len(d.Zones) > MaxForwardZones {
		return fmt.Errorf("more than %d forward zones", MaxForwardZones)
	}
	for n, z := range d.Zones {
		name, err := ZoneName(z.Domain)
		switch {
		case err != nil:
			return fmt.Errorf("forward zone: %w", err)
		case name != z.Domain:
			return fmt.Errorf("forward zone %s is not written as %s", z.Domain, name)
		case slices.ContainsFunc(d.Zones[:n], func(o ForwardZone) bool { return o.Domain == z.Domain }):
			return fmt.Errorf("forward zone %s is there twice", z.Domain)
		case len(z.Servers) == 0:
			return fmt.Errorf("forward zone %s has no server", z.Domain)
		case len(z.Servers) > MaxZoneServers:
			return fmt.Errorf("forward zone %s has more than %d servers", z.Domain, MaxZoneServers)
		}
		for i, a := range z.Servers {
			if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Zone() != "" || a.Is4In6() {
				return fmt.Errorf("%s cannot be a server of forward zone %s: give the address of a DNS server", a, z.Domain)
			}
			if slices.Contains(z.Servers[:i], a) {
				return fmt.Errorf("forward zone %s has the server %s twice", z.Domain, a)
			}
		}
	}
	if len(d.Records) > MaxDNSRecords {
		return fmt.Errorf("more than %d custom DNS records", MaxDNSRecords)
	}
	if err := validateRecords(d.Records); err != nil {
		return err
	}
	if len(d.Anchors) > MaxTrustAnchors {
		return fmt.Errorf("more than %d trust anchors", MaxTrustAnchors)
	}
	for n, s := range d.Anchors {
		if _, err := ParseAnchor(s); err != nil {
			return fmt.Errorf("trust anchor: %w", err)
		}
		if slices.Contains(d.Anchors[:n], s) {
			return fmt.Errorf("the trust anchor %s is there twice", clip(s))
		}
	}
	return nil
}
