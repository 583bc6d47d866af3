package lookup

import (
	"testing"

	"github.com/miekg/dns"
)

func FuzzAnswer(f *testing.F) {
	for _, text := range []string{"x.example. 60 IN A 192.0.2.1", "x.example. 60 IN CNAME y.example.", "x.example. 60 IN SRV 1 2 3 y.example.",
		`x.example. 60 IN NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp.y.`} {
		m := new(dns.Msg)
		m.SetQuestion("x.example.", dns.TypeA)
		m.Response = true
		m.Id = 7
		rr, _ := dns.NewRR(text)
		m.Question[0].Qtype = rr.Header().Rrtype
		m.Answer = append(m.Answer, rr)
		b, _ := m.Pack()
		f.Add(b, rr.Header().Rrtype)
	}
	f.Fuzz(func(t *testing.T, b []byte, kind uint16) {
		q := question{"x.example.", kind}
		m, ok := parse(b, 7, q)
		if !ok {
			return
		}
		summary(m, nil)
		a := read(m, q)
		if len(a.records) > maxRecords || a.life < 0 || a.life > maxLifetime {
			t.Fatalf("%d records for %v", len(a.records), a.life)
		}
		if a.alias != "" {
			if _, err := checkName(a.alias); err != nil {
				t.Fatalf("alias %q: %v", a.alias, err)
			}
		}
		for _, rr := range a.records {
			if rr.Header().Rrtype != kind {
				t.Fatalf("a record of type %d to a question for %d", rr.Header().Rrtype, kind)
			}
			address(rr)
		}
		if n := len(services(a.records, func(n int) int { return n - 1 })); n > maxServices {
			t.Fatalf("%d services", n)
		}
		if n := len(pointers(a.records, []string{"udp", "tcp", "tls"})); n > maxServices {
			t.Fatalf("%d pointers", n)
		}
	})
}

func FuzzServers(f *testing.F) {
	f.Add("nameserver 127.0.0.1\n")
	f.Add("nameserver fe80::1%eth0\noptions edns0")
	f.Fuzz(func(t *testing.T, text string) {
		list := parseServers(text)
		if len(list) > maxServers {
			t.Fatalf("%d servers", len(list))
		}
		for _, s := range list {
			if !s.IsValid() {
				t.Fatalf("server %v", s)
			}
		}
	})
}

func FuzzHost(f *testing.F) {
	f.Add("a.example")
	f.Add("[::1]")
	f.Fuzz(func(t *testing.T, host string) {
		name, err := checkName(host)
		if err != nil {
			return
		}
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		if _, err := m.Pack(); err != nil {
			t.Fatalf("name %q cannot be asked for: %v", name, err)
		}
	})
}
