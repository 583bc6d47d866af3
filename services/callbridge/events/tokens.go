package events

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// goodFor is how long a token opens connections. Deployed clients open one for each call that they watch, with the same token, and
	// get a new one when that fails. A connection outlives its token.
	goodFor = time.Hour
	// maxTokens there are; maxOfUser of one account. Beyond, the oldest go.
	maxTokens = 1024
	maxOfUser = 128
)

// tokens are those that were given out. Of each its sum is kept alone: what a dump of memory shows opens nothing.
type tokens struct {
	mu  sync.Mutex
	now func() time.Time
	all map[[32]byte]*token
	// order is from the oldest on.
	order []*token
}

type token struct {
	sum   [32]byte
	user  string
	until time.Time
}

// give makes a token. It has 26 letters and digits, 128 bits.
func (t *tokens) give(user string) string {
	text := rand.Text()
	one := &token{sum: sha256.Sum256([]byte(text)), user: user}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	one.until = now.Add(goodFor)
	var first *token
	of := 0
	kept := t.order[:0]
	for _, o := range t.order {
		if !now.Before(o.until) {
			delete(t.all, o.sum)
			continue
		}
		if o.user == user {
			if of++; first == nil {
				first = o
			}
		}
		kept = append(kept, o)
	}
	clear(t.order[len(kept):])
	t.order = kept
	switch {
	case of >= maxOfUser:
		t.drop(first)
	case len(t.order) >= maxTokens:
		t.drop(t.order[0])
	}
	if t.all == nil {
		t.all = map[[32]byte]*token{}
	}
	t.all[one.sum] = one
	t.order = append(t.order, one)
	return text
}

func (t *tokens) drop(one *token) {
	delete(t.all, one.sum)
	for i, o := range t.order {
		if o == one {
			t.order = append(t.order[:i], t.order[i+1:]...)
			return
		}
	}
}

// check says whose token it is.
func (t *tokens) check(text string) (user string, ok bool) {
	// Sums are looked up, so how long it takes says nothing of tokens.
	sum := sha256.Sum256([]byte(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.all[sum]
	if one == nil || !t.now().Before(one.until) {
		return "", false
	}
	return one.user, true
}
