package attendant

import (
	"sync"
	"time"
)

// Guesses is a [Limiter]: a source may guess wrong so many times at once, and once more each time that Every passes. It remembers a bounded
// number of sources; beyond it those are forgotten that have guessed least of late. Safe for any goroutine.
type Guesses struct {
	o  GuessOptions
	mu sync.Mutex
	by map[string]guesser
}

// GuessOptions are what [Guesses] are made with. 0 stands for the numbers in brackets.
type GuessOptions struct {
	// Burst wrong guesses may come at once (15: five calls of three).
	Burst int
	// Every gives one of them back (20 s: 4,320 a day, of a million passcodes of six digits).
	Every time.Duration
	// Most sources are remembered (10,000).
	Most int
	// Now is the clock.
	Now func() time.Time
}

// guesser is how many wrong guesses count at a moment.
type guesser struct {
	wrong float64
	at    time.Time
}

// NewGuesses makes a limiter.
func NewGuesses(o GuessOptions) *Guesses {
	if o.Burst == 0 {
		o.Burst = 15
	}
	if o.Every == 0 {
		o.Every = 20 * time.Second
	}
	if o.Most == 0 {
		o.Most = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Guesses{o: o, by: map[string]guesser{}}
}

// counted is how many wrong guesses of a source count now.
func (g *Guesses) counted(source string, now time.Time) float64 {
	w := g.by[source]
	return max(0, w.wrong-float64(max(0, now.Sub(w.at)))/float64(g.o.Every))
}

// Allow is part of [Limiter].
func (g *Guesses) Allow(source string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counted(source, g.o.Now()) <= float64(g.o.Burst-1)
}

// Wrong is part of [Limiter]. Who is over the limit stays there by guessing on.
func (g *Guesses) Wrong(source string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.o.Now()
	if _, known := g.by[source]; !known && len(g.by) >= g.o.Most {
		g.forget(now)
	}
	g.by[source] = guesser{min(g.counted(source, now)+1, float64(g.o.Burst)), now}
}

// forget drops those that count for nothing any more; if there are none, the one that counts least.
func (g *Guesses) forget(now time.Time) {
	least, lowest := "", float64(g.o.Burst)+1
	for source := range g.by {
		n := g.counted(source, now)
		if n == 0 {
			delete(g.by, source)
			continue
		}
		if n < lowest {
			least, lowest = source, n
		}
	}
	if len(g.by) >= g.o.Most {
		delete(g.by, least)
	}
}
