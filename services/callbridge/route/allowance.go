package route

import (
	"sync"
	"time"
)

// Lines of refusals: as many at once, and as many in a second.
const (
	mostRefusals = 100
	refusalsASec = 10
)

// allowance is a bucket of lines.
type allowance struct {
	mu     sync.Mutex
	spent  float64
	at     time.Time
	silent int
}

// take says whether there is a line left, and how many were not written since the last one.
func (a *allowance) take(now time.Time) (ok bool, silent int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent = max(0, a.spent-max(0, now.Sub(a.at).Seconds())*refusalsASec)
	a.at = now
	if a.spent > mostRefusals-1 {
		a.silent++
		return false, 0
	}
	a.spent++
	silent, a.silent = a.silent, 0
	return true, silent
}
