package turn

import "sync"

// Quotas bound what one user and one source may hold at a time.
type Quotas struct {
	// User is for each time-limited user name; static credentials are shared by everybody and have none. A browser asks for
	// two or three allocations for each of its network interfaces.
	User int
	// Source is for each client address: thousands of people may sit behind one, but nobody takes the last port from all
	// others. Loopback, where the Call Bridge of a combined deployment comes from, has none.
	Source int
}

// DefaultQuotas leave room for a company behind one address: half of the relay ports.
var DefaultQuotas = Quotas{User: 40, Source: (lastPort - firstPort + 1) / 2}

// quotas count who holds what. An entry is there only while something is held.
type quotas struct {
	mu      sync.Mutex
	limit   Quotas
	users   map[string]int
	sources map[ip]int
}

func newQuotas(limit Quotas) *quotas {
	return &quotas{limit: limit, users: map[string]int{}, sources: map[ip]int{}}
}

func (q *quotas) change(limit Quotas) {
	q.mu.Lock()
	q.limit = limit
	q.mu.Unlock()
}

// full tells whether one more would be too many.
func (q *quotas) full(g grant, source ip) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return g.limited && q.users[g.user] >= q.limit.User || !source.addr().IsLoopback() && q.sources[source] >= q.limit.Source
}

func (q *quotas) add(user string, source ip) {
	q.mu.Lock()
	q.users[user]++
	q.sources[source]++
	q.mu.Unlock()
}

func (q *quotas) remove(user string, source ip) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.users[user]--; q.users[user] <= 0 {
		delete(q.users, user)
	}
	if q.sources[source]--; q.sources[source] <= 0 {
		delete(q.sources, source)
	}
}
