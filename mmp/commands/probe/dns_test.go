package probe

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestWhatTheResolverSaysOfAName(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{Listener: l, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		switch q.Question[0].Name {
		case "www.example.com.":
			r, _ := dns.NewRR("www.example.com. 60 IN A 192.0.2.1")
			m.Answer = []dns.RR{r}
		case "none.example.com.":
			m.Rcode = dns.RcodeNameError
		case "broken.example.com.":
			m.Rcode = dns.RcodeServerFailure
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	defer func() { _ = server.Shutdown() }()
	got, err := records(t.Context(), l.Addr().String(), "www.example.com", "A")
	if err != nil || len(got) != 1 || got[0] != "www.example.com. 60 IN A 192.0.2.1" {
		t.Errorf("got %q and %v", got, err)
	}
	for name, want := range map[string]string{"none.example.com": "there is no name none.example.com", "broken.example.com": "no DNS server helps with broken.example.com (SERVFAIL); dns shows whom this machine asks, syslog search resolver why they do not help",
		"empty.example.com": "empty.example.com has no A record"} {
		if _, err := records(t.Context(), l.Addr().String(), name, "A"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", name, want, err)
		}
	}
}
