package sip

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Rate, 100)
	set(&l.Burst, 400)
	set(&l.Sources, 8192)
	set(&l.SourceConnections, 64)
	set(&l.Connections, 4096)
	set(&l.Header, 16<<10)
	set(&l.Body, 64<<10)
	setTime(&l.Arrival, 10*time.Second)
	setTime(&l.Idle, 10*time.Minute)
	set(&l.Dialogs, 5000)
	set(&l.SourceEarly, 500)
	set(&l.Transactions, 20000)
	setTime(&l.Connect, 5*time.Second)
	return l
}

// sources is what is known of those who send: a bounded table whose longest unheard entry makes room for a new one.
type sources struct {
	limits Limits
	mu     sync.Mutex
	by     map[netip.Addr]*source
	order  *list.List // front: heard last
}

type source struct {
	addr        netip.Addr
	element     *list.Element
	tokens      float64
	at          time.Time
	told        time.Time // when a 503 was sent for too many requests
	connections int
	early       int
	// verified: it has sent something that only somebody can send who gets our answers.
	verified bool
}

func newSources(l Limits) *sources {
	return &sources{limits: l, by: make(map[netip.Addr]*source), order: list.New()}
}

// sourceKey is whom an address belongs to: a host has a whole /64 of IPv6 to send from.
func sourceKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// find returns the entry of an address; s.mu is held.
func (s *sources) find(a netip.Addr, now time.Time) *source {
	key := sourceKey(a)
	if e := s.by[key]; e != nil {
		s.order.MoveToFront(e.element)
		return e
	}
	if len(s.by) >= s.limits.Sources {
		s.evict()
	}
	e := &source{addr: key, tokens: float64(s.limits.Burst), at: now}
	e.element = s.order.PushFront(e)
	s.by[key] = e
	return e
}

// evict forgets the longest unheard entry, of those at the end that hold nothing and are not verified if there is one among 16.
func (s *sources) evict() {
	var victim *list.Element
	for e, n := s.order.Back(), 0; e != nil && n < 16; e, n = e.Prev(), n+1 {
		o := e.Value.(*source)
		if o.connections > 0 || o.early > 0 {
			continue
		}
		if victim == nil || !o.verified {
			victim = e
			if !o.verified {
				break
			}
		}
	}
	if victim == nil {
		victim = s.order.Back()
	}
	o := victim.Value.(*source)
	s.order.Remove(victim)
	delete(s.by, o.addr)
}

// admit takes a token. tell says that a refusal should be answered: once in a second.
func (s *sources) admit(a netip.Addr, now time.Time) (ok, verified, tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(a, now)
	more := 1.0
	if e.verified {
		more = trusted
	}
	e.tokens = min(more*float64(s.limits.Burst), e.tokens+now.Sub(e.at).Seconds()*more*float64(s.limits.Rate))
	e.at = now
	if e.tokens >= 1 {
		e.tokens--
		return true, e.verified, false
	}
	if now.Sub(e.told) >= time.Second {
		e.told = now
		return false, e.verified, true
	}
	return false, e.verified, false
}

// trusted is how much more a source may send that is known to get our answers: a call control that passes on everybody's calls is one.
const trusted = 10

func (s *sources) verify(a netip.Addr, now time.Time) {
	s.mu.Lock()
	s.find(a, now).verified = true
	s.mu.Unlock()
}

// hold counts a connection or an unanswered call against its source; over the limit it counts nothing and says false.
func (s *sources) hold(a netip.Addr, connections, early int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(a, now)
	if e.connections+connections > s.limits.SourceConnections || e.early+early > s.limits.SourceEarly {
		return false
	}
	e.connections += connections
	e.early += early
	return true
}

func (s *sources) release(a netip.Addr, connections, early int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.by[sourceKey(a)]; e != nil {
		e.connections = max(0, e.connections-connections)
		e.early = max(0, e.early-early)
	}
}

func (s *sources) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.by)
}
