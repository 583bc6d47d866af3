package lookup

import (
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// question is a name (full, lower case) and a type of records.
type question struct {
	name string
	kind uint16
}

// entry is an answer. until is when it must be asked for again, stale until when it may serve if nobody answers.
type entry struct {
	records      []dns.RR // not changed by anybody
	err          error
	until, stale time.Time
}

// cache keeps at most max answers.
type cache struct {
	mu  sync.Mutex
	max int
	m   map[question]entry
}

func (c *cache) get(q question) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[q]
	return e, ok
}

func (c *cache) put(q question, e entry, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[question]entry{}
	}
	if _, ok := c.m[q]; !ok && len(c.m) >= c.max {
		c.evict(now)
	}
	c.m[q] = e
}

// evict takes out, of a few that the map's random order offers, what is over or will be soonest. That is cheap however large the cache is.
func (c *cache) evict(now time.Time) {
	var victim question
	var soonest time.Time
	n := 0
	for q, e := range c.m {
		if n == 0 || e.until.Before(soonest) {
			victim, soonest = q, e.until
		}
		if n++; n == 16 || !soonest.After(now) {
			break
		}
	}
	delete(c.m, victim)
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.m)
}

// flights let one question be asked once at a time.
type flights struct {
	mu     sync.Mutex
	m      map[question]*flight
	closed bool
}

type flight struct {
	over chan struct{}
	got  entry // after over
}

// join gives the flight of a question, and whether the caller is to fly it; running counts that. nil after close.
func (f *flights) join(q question, running *sync.WaitGroup) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false
	}
	if one, ok := f.m[q]; ok {
		return one, false
	}
	if f.m == nil {
		f.m = map[question]*flight{}
	}
	one := &flight{over: make(chan struct{})}
	f.m[q] = one
	running.Add(1)
	return one, true
}

func (f *flights) done(q question, one *flight, got entry) {
	f.mu.Lock()
	delete(f.m, q)
	f.mu.Unlock()
	one.got = got
	close(one.over)
}

func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
}

// failures are targets that failed, until when that counts.
type failures struct {
	mu sync.Mutex
	m  map[place]time.Time
}

type place struct {
	transport string
	address   netip.AddrPort
}

const maxFailures = 1024

func (f *failures) add(t Target, until, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[place]time.Time{}
	}
	if len(f.m) >= maxFailures {
		for p, u := range f.m {
			if !u.After(now) {
				delete(f.m, p)
			}
		}
	}
	if len(f.m) >= maxFailures {
		for p := range f.m {
			delete(f.m, p)
			break
		}
	}
	f.m[place{t.Transport, t.Address}] = until
}

func (f *failures) remove(t Target) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, place{t.Transport, t.Address})
}

func (f *failures) has(t Target, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	until, ok := f.m[place{t.Transport, t.Address}]
	return ok && now.Before(until)
}
