package resolver

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxEntries and maxBytes bound the cache: an answer takes 200 bytes usually.
	maxEntries = 10_000
	maxBytes   = 8 << 20
	// longest is how long an answer counts at most, longestNot one that there is no such thing (RFC 2308 section 5).
	longest    = 24 * time.Hour
	longestNot = 15 * time.Minute
	// failedFor is how long a failure counts (RFC 2308 section 7), so that a dead server is not asked by everybody.
	failedFor = 2 * time.Second
	// staleFor is how long an answer is kept beyond its time, and staleTTL what it then says (RFC 8767).
	staleFor = 24 * time.Hour
	staleTTL = 30
)

// key is what is cached by: bits are those of the question that change the answer.
type key struct {
	name  string
	kind  uint16
	dnsec bool
	// unchecked answers were asked for with validation disabled.
	unchecked bool
}

type entry struct {
	key     key
	message []byte
	stored  time.Time
	until   time.Time
	failure bool
	spot    *list.Element
}

// cache keeps packed answers, those used last in front.
type cache struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[key]*entry
	order   *list.List
	bytes   int
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, entries: map[key]*entry{}, order: list.New()}
}

// get returns an answer with the times to live that are left. stale ones are beyond their time and are returned only when asked for.
func (c *cache) get(k key, stale bool) *dns.Msg {
	c.mu.Lock()
	e := c.entries[k]
	now := c.now()
	if e == nil || !stale && now.After(e.until) || stale && (e.failure || now.After(e.until.Add(staleFor))) {
		c.mu.Unlock()
		return nil
	}
	c.order.MoveToFront(e.spot)
	packed, age, over := e.message, now.Sub(e.stored), now.After(e.until)
	c.mu.Unlock()
	m := new(dns.Msg)
	if err := m.Unpack(packed); err != nil {
		return nil
	}
	eachTTL(m, func(h *dns.RR_Header) {
		if gone := uint32(age / time.Second); over || gone >= h.Ttl {
			h.Ttl = 0
		} else {
			h.Ttl -= gone
		}
		if over {
			h.Ttl = staleTTL
		}
	})
	return m
}

// put keeps an answer for as long as it says.
func (c *cache) put(k key, m *dns.Msg) {
	life, failure := lifeOf(m)
	if life <= 0 {
		return
	}
	packed, err := m.Pack()
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if old := c.entries[k]; old != nil {
		// A failure takes no good answer's place, which may be wanted when it is stale.
		if failure && !old.failure && now.Before(old.until.Add(staleFor)) {
			return
		}
		c.drop(old)
	}
	e := &entry{key: k, message: packed, stored: now, until: now.Add(life), failure: failure}
	e.spot = c.order.PushFront(e)
	c.entries[k] = e
	c.bytes += len(packed)
	for len(c.entries) > maxEntries || c.bytes > maxBytes {
		c.drop(c.order.Back().Value.(*entry))
	}
}

func (c *cache) drop(e *entry) {
	c.order.Remove(e.spot)
	delete(c.entries, e.key)
	c.bytes -= len(e.message)
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.order.Init()
	c.bytes = 0
}

// lifeOf is how long an answer may be kept.
func lifeOf(m *dns.Msg) (life time.Duration, failure bool) {
	switch {
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return failedFor, true
	case m.Rcode == dns.RcodeNameError || !answers(m):
		// RFC 2308 section 5: the SOA record says how long; without one it is not kept.
		for _, r := range m.Ns {
			if soa, ok := r.(*dns.SOA); ok {
				return min(time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second, longestNot), false
			}
		}
		return 0, false
	}
	life = longest
	eachTTL(m, func(h *dns.RR_Header) { life = min(life, time.Duration(h.Ttl)*time.Second) })
	return life, false
}

// answers says whether there is a record of the type that was asked for.
func answers(m *dns.Msg) bool {
	for _, r := range m.Answer {
		if len(m.Question) == 1 && (r.Header().Rrtype == m.Question[0].Qtype || m.Question[0].Qtype == dns.TypeANY) {
			return true
		}
	}
	return false
}

// eachTTL calls f with the header of every record but OPT, whose field of that name means something else.
func eachTTL(m *dns.Msg, f func(*dns.RR_Header)) {
	for _, part := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, r := range part {
			if h := r.Header(); h.Rrtype != dns.TypeOPT {
				f(h)
			}
		}
	}
}
