package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// askFor is how long one server has, within is the time for all of them: Go's own resolver gives up after ten seconds.
	askFor = 2 * time.Second
	within = 8 * time.Second
	// A server that did not answer is asked last for firstRest, then twice as long, at most longestRest.
	firstRest   = 5 * time.Second
	longestRest = time.Minute
	// payload is the largest answer by UDP that no network has to fragment (DNS flag day 2020).
	payload = 1232
)

var errNoServer = errors.New("no DNS server is known for this name: use dns add forwardzone, or an interface with DHCP")

// upstream asks servers.
type upstream struct {
	now func() time.Time
	// port of all servers; a test has its own.
	port uint16

	mu    sync.Mutex
	rests map[netip.Addr]rest
}

// rest is how long a server that failed is asked last.
type rest struct {
	until time.Time
	next  time.Duration
}

func newUpstream(now func() time.Time) *upstream {
	return &upstream{now: now, port: 53, rests: map[netip.Addr]rest{}}
}

// ask asks the servers in turn until one answers. A refusal or a failure of one is a reason to ask the next; the last of them is returned
// when no other answer comes.
func (u *upstream) ask(ctx context.Context, servers []netip.Addr, question *dns.Msg) (*dns.Msg, error) {
	if len(servers) == 0 {
		return nil, errNoServer
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var failed *dns.Msg
	var errs []error
	for _, s := range u.order(servers) {
		m, err := u.one(ctx, s, question)
		switch {
		case err != nil:
			errs = append(errs, err)
			u.rested(s)
		case m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError:
			u.well(s)
			return m, nil
		default:
			failed = m
			errs = append(errs, fmt.Errorf("%s says %s", s, dns.RcodeToString[m.Rcode]))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if failed != nil {
		return failed, nil
	}
	return nil, errors.Join(errs...)
}

// order puts those that failed lately behind the others.
func (u *upstream) order(servers []netip.Addr) []netip.Addr {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	list := slices.Clone(servers)
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		return compareBool(now.Before(u.rests[a].until), now.Before(u.rests[b].until))
	})
	return list
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (u *upstream) rested(s netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.rests[s]
	r.next = min(max(2*r.next, firstRest), longestRest)
	r.until = u.now().Add(r.next)
	u.rests[s] = r
}

func (u *upstream) well(s netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.rests, s)
}

// one asks one server, by TCP where the answer does not fit. Every question goes out by a socket of its own, so by a port that cannot be
// guessed.
func (u *upstream) one(ctx context.Context, server netip.Addr, question *dns.Msg) (*dns.Msg, error) {
	at := netip.AddrPortFrom(server, u.port).String()
	q := question.Copy()
	q.Id = dns.Id()
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: askFor, UDPSize: payload}
		m, _, err := client.ExchangeContext(ctx, q, at)
		if err == nil && !sameQuestion(q, m) {
			err = errors.New("the answer is to another question")
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s by %s: %w", server, network, err)
		}
		if !m.Truncated {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s truncates its answer by TCP", server)
}

func sameQuestion(q, m *dns.Msg) bool {
	return m.Response && len(m.Question) == 1 && m.Question[0].Qtype == q.Question[0].Qtype && m.Question[0].Qclass == q.Question[0].Qclass &&
		strings.EqualFold(m.Question[0].Name, q.Question[0].Name)
}
