package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Target is where a request can be sent.
type Target struct {
	// Transport is udp, tcp or tls.
	Transport string
	Address   netip.AddrPort
	// Host is the name that was looked up, whatever SRV records made of it: a certificate must have it. Empty for a bare address.
	Host string
	// Name is the host that has the address, for logs.
	Name string
}

// The errors that look-ups end with; what they wrap says which name it is about.
var (
	// ErrNotFound: the name does not exist, has no addresses, or its owner says that it offers no such service.
	ErrNotFound = errors.New("not found")
	// ErrNoAnswer: no name server gave an answer in time.
	ErrNoAnswer = errors.New("no answer from the name servers")
)

// Options are a [Resolver]'s. Zero fields have defaults.
type Options struct {
	// Servers are the name servers now, the best first. nil: those of /etc/resolv.conf, which is looked at for changes.
	Servers func() []netip.AddrPort
	// Timeout bounds a whole look-up; 6 s. Try is how long one server has for one answer; 2 s.
	Timeout, Try time.Duration
	// Entries bounds the cache; 4096.
	Entries int
	// Penalty is how long a target that failed comes last; 60 s.
	Penalty time.Duration
	// Trace hears of every question that went to a server and what came of it; it must not wait.
	Trace func(Trace)
	// Now and Random are for tests. Random is a number from 0 to n-1.
	Now    func() time.Time
	Random func(n int) int
}

// Trace is one question to one server.
type Trace struct {
	At         time.Time
	Took       time.Duration
	Server     netip.AddrPort
	Network    string // udp or tcp
	Name, Type string
	// Result is the answer in short: the records, or NXDOMAIN, or what went wrong.
	Result string
}

// Resolver looks names up. Its methods can be called from any goroutine.
type Resolver struct {
	o       Options
	cache   cache
	failed  failures
	asking  flights
	slots   chan struct{} // questions under way
	best    best
	stop    context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
}

const (
	maxTargets  = 32
	maxServices = 12 // SRV records of one name that are followed
	maxAsking   = 256
)

// New makes a resolver. [Resolver.Close] ends what it does.
func New(o Options) *Resolver {
	if o.Servers == nil {
		f := &file{path: resolvFile}
		o.Servers = f.servers
	}
	if o.Timeout <= 0 {
		o.Timeout = 6 * time.Second
	}
	if o.Try <= 0 {
		o.Try = 2 * time.Second
	}
	if o.Entries <= 0 {
		o.Entries = 4096
	}
	if o.Penalty <= 0 {
		o.Penalty = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.IntN
	}
	r := &Resolver{o: o, slots: make(chan struct{}, maxAsking)}
	r.cache.max = o.Entries
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Close gives up what is being asked and waits for it.
func (r *Resolver) Close() {
	r.asking.close()
	r.stop()
	r.running.Wait()
}

// Targets finds where host is: an IP address (with or without brackets) or a name. port 0 is none. transports are those that may be used, best
// first: udp, tcp, tls. When the first is tls, all targets of TLS come before the others, whatever NAPTR records say: those are not signed, and
// must not talk us out of encryption. There is at least one target when the error is nil.
func (r *Resolver) Targets(ctx context.Context, host string, port uint16, transports []string) ([]Target, error) {
	ts, err := checkTransports(transports)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return r.order(at(ts, "", "", port, []netip.Addr{a.Unmap()})), nil
	}
	name, err := checkName(host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	var list []Target
	if port != 0 {
		addrs, err := r.addresses(ctx, name)
		if err != nil {
			return nil, err
		}
		list = at(ts, name, name, port, addrs)
	} else if list, err = r.locate(ctx, name, ts); err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Host, list[i].Name = strings.TrimSuffix(list[i].Host, "."), strings.TrimSuffix(list[i].Name, ".")
	}
	if ts[0] == "tls" {
		slices.SortStableFunc(list, func(a, b Target) int { return rank(a.Transport == "tls") - rank(b.Transport == "tls") })
	}
	return r.order(list), nil
}

// Service finds the targets of an SRV record that is not SIP's own, such as _sipinternaltls._tcp of Lync.
func (r *Resolver) Service(ctx context.Context, service, domain, transport string) ([]Target, error) {
	ts, err := checkTransports([]string{transport})
	if err != nil {
		return nil, err
	}
	name, err := checkName(domain)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	s := r.service(ctx, service+"."+name, ts[0], name)
	if s.err != nil {
		return nil, s.err
	}
	if len(s.targets) == 0 {
		return nil, fmt.Errorf("%s.%s: the domain does not offer it: %w", service, strings.TrimSuffix(name, "."), ErrNotFound)
	}
	for i := range s.targets {
		s.targets[i].Host, s.targets[i].Name = strings.TrimSuffix(name, "."), strings.TrimSuffix(s.targets[i].Name, ".")
	}
	return r.order(s.targets), nil
}

// Addresses finds the addresses of a host, IPv4 first.
func (r *Resolver) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	name, err := checkName(host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	return r.addresses(ctx, name)
}

// Failed tells that nothing could be sent to t: it comes last for a while.
func (r *Resolver) Failed(t Target) { r.failed.add(t, r.o.Now().Add(r.o.Penalty), r.o.Now()) }

// Works tells that t answered: what was held against it is forgotten.
func (r *Resolver) Works(t Target) { r.failed.remove(t) }

// Flush forgets all answers, as after the name servers were changed.
func (r *Resolver) Flush() { r.cache.clear() }

// locate is RFC 3263, 4.1 and 4.2, for a name without a port.
func (r *Resolver) locate(ctx context.Context, name string, ts []string) ([]Target, error) {
	// NAPTR and the usual SRV names are asked for at once: most domains have no NAPTR, and it saves them a round trip.
	var pointers []pointer
	var pointersErr error
	services := make([]located, len(ts))
	var wait sync.WaitGroup
	wait.Go(func() {
		// Time for one repetition, not for more: there are servers that leave such questions unanswered.
		ctx, cancel := context.WithTimeout(ctx, r.o.Try+r.o.Try/2)
		defer cancel()
		pointers, pointersErr = r.pointers(ctx, name, ts)
	})
	for i, t := range ts {
		wait.Go(func() { services[i] = r.service(ctx, srvName[t]+name, t, name) })
	}
	wait.Wait()
	// A server that cannot do NAPTR at all is no reason to fail: the usual names are there for domains without.
	if pointersErr == nil && len(pointers) > 0 {
		list, err := r.follow(ctx, name, pointers)
		if len(list) > 0 || err != nil {
			return list, err
		}
	}
	var list []Target
	var failed error
	refused := false
	for _, s := range services {
		switch {
		case s.err == nil && len(s.targets) == 0:
			refused = true
		case s.err == nil:
			list = append(list, s.targets...)
		case !errors.Is(s.err, ErrNotFound) && failed == nil:
			failed = s.err
		}
	}
	switch {
	case len(list) > 0:
		return list, nil
	case refused && failed == nil:
		return nil, fmt.Errorf("%s: the domain does not offer SIP by %s: %w", strings.TrimSuffix(name, "."), strings.Join(ts, " or "), ErrNotFound)
	}
	// Silence may pass, and the domain's addresses could be those of a web server. A server that says that it cannot tell stays like that: load
	// balancers that know addresses only, or an appliance without name servers and with records of its own (dns add rr).
	if says := saysError(""); failed != nil && !errors.As(failed, &says) {
		return nil, failed
	}
	addrs, err := r.addresses(ctx, name)
	if err != nil {
		return nil, cmp.Or(failed, err)
	}
	return at(ts, name, name, 0, addrs), nil
}

// follow takes the pointers of the lowest order that lead somewhere; within an order each is tried (RFC 3403, 4.1).
func (r *Resolver) follow(ctx context.Context, name string, pointers []pointer) ([]Target, error) {
	var failed error
	for i := 0; i < len(pointers); {
		end := i + 1
		for end < len(pointers) && pointers[end].order == pointers[i].order {
			end++
		}
		found := make([]located, end-i)
		var wait sync.WaitGroup
		for j, p := range pointers[i:end] {
			wait.Go(func() { found[j] = r.service(ctx, p.name, p.transport, name) })
		}
		wait.Wait()
		var list []Target
		for _, f := range found {
			list = append(list, f.targets...)
			if f.err != nil && !errors.Is(f.err, ErrNotFound) && failed == nil {
				failed = f.err
			}
		}
		if len(list) > 0 {
			return list, nil
		}
		i = end
	}
	return nil, failed
}

// located is what an SRV name led to. No targets and no error: it is said that the service is not there (RFC 2782, target ".").
type located struct {
	targets []Target
	err     error
}

// service asks for the SRV records of a name, and for the addresses of their hosts. Hosts that cannot be found are passed over when there are others.
func (r *Resolver) service(ctx context.Context, name, transport, host string) located {
	records, err := r.ask(ctx, name, dns.TypeSRV)
	if err != nil {
		return located{err: err}
	}
	list := services(records, r.o.Random)
	if len(list) == 0 {
		return located{}
	}
	addrs, errs := make([][]netip.Addr, len(list)), make([]error, len(list))
	var wait sync.WaitGroup
	for i, s := range list {
		wait.Go(func() { addrs[i], errs[i] = r.addresses(ctx, s.target) })
	}
	wait.Wait()
	var l located
	for i, s := range list {
		l.targets = append(l.targets, at([]string{transport}, host, s.target, s.port, addrs[i])...)
		// Nobody answering is the more telling error.
		if errs[i] != nil && (l.err == nil || errors.Is(errs[i], ErrNoAnswer)) {
			l.err = errs[i]
		}
	}
	if len(l.targets) > 0 {
		l.err = nil
	} else if errors.Is(l.err, ErrNotFound) {
		// There are SRV records, so the domain's own addresses are not meant, though nothing is where they point.
		return located{}
	}
	return l
}

// pointers are the NAPTR records that can be used.
func (r *Resolver) pointers(ctx context.Context, name string, ts []string) ([]pointer, error) {
	records, err := r.ask(ctx, name, dns.TypeNAPTR)
	if err != nil {
		return nil, err
	}
	return pointers(records, ts), nil
}

func (r *Resolver) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	if n := strings.ToLower(name); n == "localhost." || strings.HasSuffix(n, ".localhost.") { // RFC 6761, 6.3
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	var found [2][]dns.RR
	var errs [2]error
	var wait sync.WaitGroup
	for i, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		wait.Go(func() { found[i], errs[i] = r.ask(ctx, name, kind) })
	}
	wait.Wait()
	var list []netip.Addr
	for _, records := range found {
		for _, rr := range records {
			if a, ok := address(rr); ok && !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	switch {
	case len(list) > 0:
		return list, nil
	case errs[0] != nil && !errors.Is(errs[0], ErrNotFound):
		return nil, errs[0]
	case errs[1] != nil && !errors.Is(errs[1], ErrNotFound):
		return nil, errs[1]
	}
	return nil, fmt.Errorf("%s: %w", strings.TrimSuffix(name, "."), ErrNotFound)
}

// order puts targets that failed lately last, takes out those that are there twice, and bounds the list.
func (r *Resolver) order(list []Target) []Target {
	now := r.o.Now()
	var good, bad []Target
	seen := map[Target]bool{}
	for _, t := range list {
		key := Target{Transport: t.Transport, Address: t.Address}
		if seen[key] || len(seen) == maxTargets {
			continue
		}
		seen[key] = true
		if r.failed.has(t, now) {
			bad = append(bad, t)
		} else {
			good = append(good, t)
		}
	}
	return append(good, bad...)
}
