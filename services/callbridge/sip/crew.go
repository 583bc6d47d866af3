package sip

import (
	"sync"
	"sync/atomic"
	"time"
)

// crew counts the goroutines of an agent. Unlike a sync.WaitGroup it may be added to while somebody waits: calls are told of their end until the last
// moment.
type crew struct {
	mu   sync.Mutex
	none sync.Cond
	n    int
}

// Add counts n more.
func (c *crew) Add(n int) {
	c.mu.Lock()
	c.n += n
	c.mu.Unlock()
}

// Done counts one less.
func (c *crew) Done() {
	c.mu.Lock()
	if c.n--; c.n == 0 && c.none.L != nil {
		c.none.Broadcast()
	}
	c.mu.Unlock()
}

// Wait waits for a moment at which there are none.
func (c *crew) Wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.none.L = &c.mu
	for c.n > 0 {
		c.none.Wait()
	}
}

// seldom lets something happen once in a second: what anybody outside can cause must not fill the log.
type seldom struct{ last atomic.Int64 }

func (s *seldom) now() bool {
	now := time.Now().UnixNano()
	last := s.last.Load()
	return now-last >= int64(time.Second) && s.last.CompareAndSwap(last, now)
}
