package lookup

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxChain   = 8 // CNAME records in a row
	maxRecords = 64
	// staleFor is how long an answer that is over still serves when no server answers.
	staleFor = time.Hour
	// staleAgain is how long until the servers are asked again then (RFC 8767, 5).
	staleAgain = 30 * time.Second
	// silentFor keeps a question that nobody answered from being asked by every call anew.
	silentFor = 2 * time.Second
	// noPointers is the same for NAPTR, which some servers and firewalls never answer.
	noPointers   = time.Minute
	minLifetime  = time.Second
	maxLifetime  = time.Hour
	maxNegative  = 5 * time.Minute
	usualNothing = time.Minute // lifetime of "nothing there" without an SOA record
)

// ask gives the records of a name, by the cache or by the servers. [ErrNotFound] when there are none.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	key := question{name, kind}
	now := r.o.Now()
	e, ok := r.cache.get(key)
	if ok && now.Before(e.until) {
		return e.records, e.err
	}
	f, mine := r.asking.join(key, &r.running)
	if f == nil {
		return nil, fmt.Errorf("%s: the resolver is closed: %w", strings.TrimSuffix(name, "."), ErrNoAnswer)
	}
	if mine {
		// In a goroutine of its own: whoever came first may give up, the others still want the answer.
		go func() {
			defer r.running.Done()
			ctx, cancel := context.WithTimeout(r.ctx, r.o.Timeout)
			defer cancel()
			got := r.find(ctx, key)
			if got.err != nil && !errors.Is(got.err, ErrNotFound) && len(e.records) > 0 && r.o.Now().Before(e.stale) {
				got = entry{records: e.records, until: r.o.Now().Add(staleAgain), stale: e.stale}
			}
			if got.until.After(r.o.Now()) {
				r.cache.put(key, got, r.o.Now())
			}
			r.asking.done(key, f, got)
		}()
	}
	select {
	case <-f.over:
		return f.got.records, f.got.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s (%s): %w in time", strings.TrimSuffix(name, "."), dns.TypeToString[kind], ErrNoAnswer)
	}
}

// find asks the servers, and follows aliases that they leave to us.
func (r *Resolver) find(ctx context.Context, q question) entry {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return entry{err: fmt.Errorf("%s: %w in time", strings.TrimSuffix(q.name, "."), ErrNoAnswer)}
	}
	next, life := q.name, maxLifetime
	for range maxChain {
		m, err := r.consult(ctx, question{next, q.kind})
		if err != nil {
			silent := silentFor
			if q.kind == dns.TypeNAPTR {
				silent = noPointers
			}
			return entry{err: fmt.Errorf("%s (%s): %w", strings.TrimSuffix(q.name, "."), dns.TypeToString[q.kind], err), until: r.o.Now().Add(silent)}
		}
		a := read(m, question{next, q.kind})
		life = min(life, a.life)
		switch {
		case len(a.records) > 0:
			now := r.o.Now()
			return entry{records: a.records, until: now.Add(life), stale: now.Add(life + staleFor)}
		case a.alias == "":
			return entry{err: fmt.Errorf("%s (%s): %w", strings.TrimSuffix(q.name, "."), dns.TypeToString[q.kind], ErrNotFound), until: r.o.Now().Add(life)}
		}
		next = a.alias
	}
	return entry{err: fmt.Errorf("%s (%s): more than %d aliases in a row: %w", strings.TrimSuffix(q.name, "."), dns.TypeToString[q.kind], maxChain, ErrNotFound), until: r.o.Now().Add(usualNothing)}
}

// answer is what a message says about a question: records, or an alias to ask for, or nothing.
type answer struct {
	records []dns.RR
	alias   string
	life    time.Duration
}

// read takes from a message what belongs to the question: the records of its name, or of the name that its aliases lead to. Anything else in it
// is not looked at, so that nobody can tell us of names that we did not ask for.
func read(m *dns.Msg, q question) answer {
	a := answer{life: maxLifetime}
	name := q.name
	for hops := 0; ; hops++ {
		next := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			switch h.Rrtype {
			case q.kind:
				if len(a.records) < maxRecords {
					a.records = append(a.records, rr)
					a.life = min(a.life, lifetime(h.Ttl))
				}
			case dns.TypeCNAME:
				if c, ok := rr.(*dns.CNAME); ok && next == "" {
					next = strings.ToLower(c.Target)
					a.life = min(a.life, lifetime(h.Ttl))
				}
			}
		}
		if len(a.records) > 0 {
			return a
		}
		if next == "" || hops == maxChain {
			break
		}
		name = next
	}
	if _, err := checkName(name); m.Rcode == dns.RcodeSuccess && name != q.name && err == nil && !hasSOA(m) {
		a.alias = name
		return a
	}
	life := usualNothing
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok { // RFC 2308, 5
			life = min(lifetime(soa.Hdr.Ttl), lifetime(soa.Minttl), maxNegative)
		}
	}
	a.life = min(a.life, life)
	return a
}

// hasSOA tells an alias that leads to nothing from one that the server left to us.
func hasSOA(m *dns.Msg) bool {
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return true
		}
	}
	return false
}

// lifetime in bounds; what has its top bit set is 0 (RFC 2181, 8).
func lifetime(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		ttl = 0
	}
	return min(max(time.Duration(ttl)*time.Second, minLifetime), maxLifetime)
}

// best remembers the server that answered last: it is asked first.
type best struct {
	mu     sync.Mutex
	server netip.AddrPort
}

// consult asks one server after the other until one answers, and then once more those that were silent.
func (r *Resolver) consult(ctx context.Context, q question) (*dns.Msg, error) {
	servers := r.o.Servers()
	if len(servers) == 0 {
		return nil, fmt.Errorf("no name servers are set: %w", ErrNoAnswer)
	}
	servers = append([]netip.AddrPort(nil), servers[:min(len(servers), maxServers)]...)
	r.best.mu.Lock()
	for i, s := range servers {
		if s == r.best.server {
			servers[0], servers[i] = servers[i], servers[0]
		}
	}
	r.best.mu.Unlock()
	var last error
	said := map[netip.AddrPort]bool{} // who said that it cannot tell says so again
	for round := range 2 {
		for _, s := range servers {
			if said[s] {
				continue
			}
			m, err := r.exchange(ctx, s, q, r.o.Try*time.Duration(round+1))
			if err == nil {
				r.best.mu.Lock()
				r.best.server = s
				r.best.mu.Unlock()
				return m, nil
			}
			var says saysError
			said[s] = errors.As(err, &says)
			last = fmt.Errorf("%v: %w", s, err)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%w (%w)", ErrNoAnswer, last)
			}
		}
	}
	return nil, fmt.Errorf("%w (%w)", ErrNoAnswer, last)
}
