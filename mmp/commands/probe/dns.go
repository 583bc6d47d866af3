package probe

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// resolverAddress is this machine's own resolver.
const resolverAddress = "127.0.0.1:53"

// lookFor is longer than the resolver takes for all of its servers.
const lookFor = 10 * time.Second

// Records returns what this machine's resolver says of a name, a line for each record.
func (Prober) Records(ctx context.Context, name, kind string) ([]string, error) {
	return records(ctx, resolverAddress, name, kind)
}

func records(ctx context.Context, server, name, kind string) ([]string, error) {
	q := new(dns.Msg)
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, fmt.Errorf("%q is no name", name)
	}
	q.SetQuestion(dns.Fqdn(name), dns.StringToType[kind])
	// An answer of any length, and no question about what a cut one means.
	client := dns.Client{Net: "tcp", Timeout: lookFor}
	m, _, err := client.ExchangeContext(ctx, q, server)
	if err != nil {
		return nil, fmt.Errorf("ask the resolver of this machine: %w", err)
	}
	switch {
	case m.Rcode == dns.RcodeNameError:
		return nil, fmt.Errorf("there is no name %s", name)
	case m.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("no DNS server helps with %s (%s); dns shows whom this machine asks, syslog search resolver why they do not help", name, dns.RcodeToString[m.Rcode])
	case len(m.Answer) == 0:
		return nil, fmt.Errorf("%s has no %s record", name, kind)
	}
	var list []string
	for _, r := range m.Answer {
		list = append(list, strings.Join(strings.Fields(r.String()), " "))
	}
	return list, nil
}
