package turn

import (
	"hash/maphash"
	"sync"
	"time"
)

// What one source may make us answer without credentials that are good: the 401 that begins every allocation, answers to
// what is wrong, and STUN bindings. A conference that starts behind one NAT is a few hundred clients with a few requests
// each; a guesser gets 200 tries a second, and somebody else's address forged in front of a reflector as many answers.
const (
	answerBurst = 2000
	answerRate  = 200 // a second
)

// limiter is a token bucket for each source, in a table of fixed size: a flood from a million addresses takes no more
// memory than one from one, it only makes strangers share. IPv6 sources count by /64, what one customer has.
type limiter struct {
	mu      sync.Mutex
	seed    maphash.Seed
	buckets [limiterSets][limiterWays]bucket
}

const (
	limiterSets = 1024
	limiterWays = 4
)

type bucket struct {
	source ip
	tokens float32
	filled time.Duration // since start
}

func newLimiter() *limiter { return &limiter{seed: maphash.MakeSeed()} }

// allow takes a token of a source. now is any clock that does not go back.
func (l *limiter) allow(source ip, now time.Duration) bool {
	if !source.is4() {
		source.lo = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	set := &l.buckets[maphash.Comparable(l.seed, source)%limiterSets]
	oldest := &set[0]
	for i := range set {
		if b := &set[i]; b.source == source && b.filled != 0 {
			b.tokens = min(answerBurst, b.tokens+float32((now-b.filled).Seconds()*answerRate))
			b.filled = now
			if b.tokens < 1 {
				return false
			}
			b.tokens--
			return true
		}
		if set[i].filled < oldest.filled {
			oldest = &set[i]
		}
	}
	*oldest = bucket{source: source, tokens: answerBurst - 1, filled: now}
	return true
}
