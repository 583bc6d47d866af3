package accounts

import (
	"net/netip"
	"slices"
	"time"

	"rotunda/mmp/shell"
)

const (
	// lockTime is how long a source is kept from an account after max_failed_logins.
	lockTime = 15 * time.Minute
	// consolePause replaces the lock at the console: slow enough against guessing by hand, short enough for whoever
	// has to get in.
	consolePause = 10 * time.Second
	// maxLocks per account; the oldest makes room. Below max_failed_logins a source needs several attempts for one.
	maxLocks = 64
	// maxAttempts bounds the table of counters; the oldest makes room.
	maxAttempts = 4096
)

// lock keeps one source from one account.
type lock struct {
	// Source is as [lockSource] gives it.
	Source string    `json:"source"`
	Until  time.Time `json:"until"`
}

// holds reports whether the lock is in force. One that ends later than it could have been made for is from a clock
// that was wrong, and does not count.
func (l lock) holds(now time.Time) bool {
	return now.Before(l.Until) && l.Until.Sub(now) <= lockTime
}

// lockSource is what counts as one source: an IPv4 address, or a /64 of IPv6, which is what one host can choose from.
func lockSource(from shell.Source) string {
	if from.Console != "" {
		return "serial console"
	}
	a := from.Addr.Addr().Unmap().WithZone("")
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// activeLocks returns those in force.
func (a *account) activeLocks(now time.Time) []lock {
	return slices.DeleteFunc(slices.Clone(a.Locks), func(l lock) bool { return !l.holds(now) })
}

func (a *account) lockedFrom(source string, now time.Time) bool {
	return slices.ContainsFunc(a.Locks, func(l lock) bool { return l.Source == source && l.holds(now) })
}

// attempts counts failed logins for each account and source. The counters live in memory: a restart of the shell forgets
// them, but not the locks.
type attempts struct {
	count map[attemptKey]*attempt
}

type attemptKey struct{ name, source string }

type attempt struct {
	failures int
	last     time.Duration
}

func newAttempts() *attempts { return &attempts{count: map[attemptKey]*attempt{}} }

// fail counts one failure at uptime now and returns how many there were without a pause of [lockTime].
func (t *attempts) fail(k attemptKey, now time.Duration) int {
	a := t.count[k]
	if a == nil {
		if len(t.count) >= maxAttempts {
			t.evict(now)
		}
		a = &attempt{}
		t.count[k] = a
	}
	if now-a.last > lockTime {
		a.failures = 0
	}
	a.failures++
	a.last = now
	return a.failures
}

// wait returns how long the console still pauses, given the failures that are allowed; limit 0 means no pause.
func (t *attempts) wait(k attemptKey, limit int, now time.Duration) time.Duration {
	a := t.count[k]
	if a == nil || limit == 0 || a.failures < limit || now-a.last > lockTime {
		return 0
	}
	return max(0, a.last+consolePause-now)
}

// clear forgets a source, or all sources of an account if source is empty.
func (t *attempts) clear(name, source string) {
	for k := range t.count {
		if k.name == name && (source == "" || k.source == source) {
			delete(t.count, k)
		}
	}
}

// evict drops what has expired, or else the oldest.
func (t *attempts) evict(now time.Duration) {
	var oldest attemptKey
	age := time.Duration(-1)
	for k, a := range t.count {
		if now-a.last > lockTime {
			delete(t.count, k)
		} else if now-a.last > age {
			oldest, age = k, now-a.last
		}
	}
	if len(t.count) >= maxAttempts {
		delete(t.count, oldest)
	}
}
