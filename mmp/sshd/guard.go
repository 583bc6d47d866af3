package sshd

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Rate is a token bucket: Burst at once, then one Every so often.
type Rate struct {
	Burst int
	Every time.Duration
}

// maxSources bounds the memory for sources. Beyond it, those that were quiet for longest are forgotten: somebody
// with many addresses can make us forget, but the bound on waiting connections holds for them as well.
const maxSources = 4096

// guard decides which connections may try to log in.
type guard struct {
	limits Limits

	mu       sync.Mutex
	waiting  int
	open     int
	sources  map[netip.Prefix]*source
	lastTold time.Time
}

// source is what is known of one address or /64.
type source struct {
	// waiting are its connections that have not logged in, the oldest first.
	waiting  []*entrance
	connects bucket
	failures bucket
	last     time.Time
	told     bool
}

// entrance is a connection that has not logged in.
type entrance struct {
	source *source
	// drop ends it. It may not block.
	drop func()
}

// bucket holds the tokens that are left, as of a time.
type bucket struct {
	used float64
	at   time.Time
}

// level returns how much is used now.
func (b *bucket) level(r Rate, now time.Time) float64 {
	if gone := now.Sub(b.at); gone > 0 {
		b.used = max(0, b.used-float64(gone)/float64(r.Every))
	}
	b.at = now
	return b.used
}

func newGuard(limits Limits) *guard {
	return &guard{limits: limits, sources: map[netip.Prefix]*source{}}
}

// group is what counts as one source: a single IPv4 address, or the /64 that one IPv6 host commands.
func group(a netip.AddrPort) netip.Prefix {
	addr := a.Addr()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// of returns the entry of a source. The caller holds mu.
func (g *guard) of(from netip.AddrPort, now time.Time) *source {
	key := group(from)
	s := g.sources[key]
	if s == nil {
		if len(g.sources) >= maxSources {
			g.forget(now)
		}
		s = &source{}
		g.sources[key] = s
	}
	s.last = now
	return s
}

// forget makes room: it drops what holds nothing, and then those that were quiet for longest until a quarter is free,
// so that its cost is spread over many calls. Sources with a connection stay. The caller holds mu.
func (g *guard) forget(now time.Time) {
	type quiet struct {
		key  netip.Prefix
		last time.Time
	}
	var list []quiet
	for key, s := range g.sources {
		switch {
		case len(s.waiting) > 0:
		case s.connects.level(g.limits.Connects, now) == 0 && s.failures.level(g.limits.Failures, now) == 0:
			delete(g.sources, key)
		default:
			list = append(list, quiet{key, s.last})
		}
	}
	slices.SortFunc(list, func(a, b quiet) int { return a.last.Compare(b.last) })
	for _, q := range list {
		if len(g.sources) <= maxSources*3/4 {
			return
		}
		delete(g.sources, q.key)
	}
}

// enter counts a new connection, or says why it is refused. drop ends it when room has to be made for others.
func (g *guard) enter(from netip.AddrPort, now time.Time, drop func()) (e *entrance, refused string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.of(from, now)
	switch {
	case len(s.waiting) >= g.limits.WaitingEach:
		return nil, "too many connections from there that have not logged in"
	case s.connects.level(g.limits.Connects, now) > float64(g.limits.Connects.Burst-1):
		return nil, "too many connections from there in a short time"
	case s.failures.level(g.limits.Failures, now) > float64(g.limits.Failures.Burst-1):
		return nil, "too many failed logins from there"
	case g.waiting >= g.limits.Waiting && !g.makeRoom():
		return nil, "too many connections that have not logged in"
	}
	s.told = false
	s.connects.used++
	e = &entrance{s, drop}
	s.waiting = append(s.waiting, e)
	g.waiting++
	return e, ""
}

// makeRoom drops the connection that has waited longest of the source that has the most, so that a handful of
// sources cannot keep everybody else from logging in. It reports false if no source has more than one. The caller
// holds mu.
func (g *guard) makeRoom() bool {
	most := &source{}
	for _, s := range g.sources {
		if len(s.waiting) > len(most.waiting) {
			most = s
		}
	}
	if len(most.waiting) < 2 {
		return false
	}
	e := most.waiting[0]
	g.remove(e)
	e.drop()
	return true
}

// remove ends a connection's waiting, once. The caller holds mu.
func (g *guard) remove(e *entrance) {
	if i := slices.Index(e.source.waiting, e); i >= 0 {
		e.source.waiting = slices.Delete(e.source.waiting, i, i+1)
		g.waiting--
	}
}

// tell reports whether a refusal is worth a line in the log: the first one of a source, and one a second of all.
func (g *guard) tell(from netip.AddrPort, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.of(from, now)
	if s.told || now.Sub(g.lastTold) < time.Second {
		return false
	}
	s.told, g.lastTold = true, now
	return true
}

// admit counts a connection that has logged in, which then no longer waits and costs its source nothing. It reports
// false if there are too many.
func (g *guard) admit(e *entrance) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open >= g.limits.Connections {
		return false
	}
	g.open++
	g.remove(e)
	e.source.connects.used = max(0, e.source.connects.used-1)
	return true
}

// leave is the end of a connection that entered.
func (g *guard) leave(e *entrance, loggedIn bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if loggedIn {
		g.open--
		return
	}
	g.remove(e)
}

// mayTry reports whether a source may try another password.
func (g *guard) mayTry(from netip.AddrPort, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.of(from, now).failures.level(g.limits.Failures, now) <= float64(g.limits.Failures.Burst-1)
}

// failed counts a wrong password.
func (g *guard) failed(from netip.AddrPort, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.of(from, now)
	s.failures.level(g.limits.Failures, now)
	s.failures.used++
}
