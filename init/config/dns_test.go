package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestDNSSettingsThatCannotWorkAreNamed(t *testing.T) {
	server := netip.MustParseAddr("10.1.1.1")
	good := DNS{Zones: []ForwardZone{{".", []netip.Addr{server}}, {"lab.example.com", []netip.Addr{server, netip.MustParseAddr("2001:db8::53")}}},
		Records: []string{"a.example.com. 60 IN A 10.1.1.1", "a.example.com. 60 IN A 10.1.1.2"}, Anchors: []string{"example.com. IN DS 31589 8 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C"}}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]DNS{
		"forward zone lab. is not written as lab":                  {Zones: []ForwardZone{{"lab.", []netip.Addr{server}}}},
		"forward zone lab is there twice":                          {Zones: []ForwardZone{{"lab", []netip.Addr{server}}, {"lab", []netip.Addr{server}}}},
		"forward zone lab has no server":                           {Zones: []ForwardZone{{Domain: "lab"}}},
		"0.0.0.0 cannot be a server of forward zone lab":           {Zones: []ForwardZone{{"lab", []netip.Addr{netip.IPv4Unspecified()}}}},
		"forward zone lab has the server 10.1.1.1 twice":           {Zones: []ForwardZone{{"lab", []netip.Addr{server, server}}}},
		"the custom DNS record a. 60 IN A 10.1.1.1 is there twice": {Records: []string{"a. 60 IN A 10.1.1.1", "a. 60 IN A 10.1.1.1"}},
		"a. has an alias (CNAME) and another record":               {Records: []string{"a. 60 IN A 10.1.1.1", "a. 60 IN CNAME b."}},
		"the record has more than one line":                        {Records: []string{"a. 60 IN A 10.1.1.1\nb. 60 IN A 10.1.1.1"}},
		"a record of class CH cannot be set":                       {Records: []string{"a. 60 CH TXT x"}},
		"A is no trust anchor":                                     {Anchors: []string{"a. 60 IN A 10.1.1.1"}},
	} {
		if err := bad.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{"_sip._tcp.example.com. 86400 IN SRV 0 5 5061 host.example.com.", "$INCLUDE /etc/passwd", "a. IN TXT \"a b\" c", "a. IN A", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecord(s)
		if err != nil {
			return
		}
		again, err := ParseRecord(strings.Join(strings.Fields(r.String()), " "))
		if err != nil {
			// Blanks inside a text are joined by the shell alone.
			if r.Header().Rrtype != dns.TypeTXT && r.Header().Rrtype != dns.TypeNAPTR {
				t.Fatalf("%q is read as %v, which is not read: %v", s, r, err)
			}
			return
		}
		if r.Header().Name != again.Header().Name || r.Header().Rrtype != again.Header().Rrtype {
			t.Fatalf("%q: %v became %v", s, r, again)
		}
	})
}

// What was found to be right before must not hide what is wrong now.
func TestRecordsAreJudgedWhateverWasJudgedBefore(t *testing.T) {
	one, two, alias := "a.example.com. 60 IN A 192.0.2.1", "b.example.com. 60 IN A 192.0.2.1", "a.example.com. 60 IN CNAME c.example.com."
	for _, step := range []struct {
		records []string
		want    string
	}{
		{[]string{one}, ""},
		{[]string{one, two}, ""},
		{[]string{one, two, one}, "is there twice"},
		{[]string{one, two}, ""},
		{[]string{one, two, alias}, "has an alias (CNAME) and another record"},
		{[]string{one, two, "nonsense"}, "the record"},
		{[]string{two}, ""},
		{[]string{two, alias}, ""},
		{[]string{two, alias, one}, "has an alias (CNAME) and another record"},
		{nil, ""},
		{[]string{alias, two}, ""},
		{[]string{one, alias}, "has an alias (CNAME) and another record"},
		{[]string{one, two}, ""},
	} {
		err := DNS{Records: step.records}.validate()
		if got := fmt.Sprint(err); (step.want == "") != (err == nil) || err != nil && !strings.Contains(got, step.want) {
			t.Errorf("%q: wanted %q, got %v", step.records, step.want, err)
		}
	}
}

func TestARecordThatCannotBeReadSaysWhereAndWhatWouldBeRight(t *testing.T) {
	const record, anchor = `write it as "owner. [ttl] IN A|AAAA|SRV data"`, `write it as "owner. IN DS tag algorithm type digest", or as a DNSKEY record`
	for _, x := range []struct{ text, asRecord, asAnchor string }{
		{"host.example.com. 60 IN A 192.0.2.300", `the record cannot be read at "192.0.2.300": ` + record, `the record cannot be read at "192.0.2.300": ` + anchor},
		{"junk", `the record cannot be read at "junk": ` + record, `the record cannot be read at "junk": ` + anchor},
		{"", "the record is empty: " + record, "the record is empty: " + anchor},
	} {
		if _, err := ParseRecord(x.text); err == nil || err.Error() != x.asRecord {
			t.Errorf("%q as a record: wanted %q, got %v", x.text, x.asRecord, err)
		}
		if _, err := ParseAnchor(x.text); err == nil || err.Error() != x.asAnchor {
			t.Errorf("%q as a trust anchor: wanted %q, got %v", x.text, x.asAnchor, err)
		}
	}
}
