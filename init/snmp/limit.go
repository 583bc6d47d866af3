package snmp

import (
	"net/netip"
	"time"
)

// What a source gets of answers: a walk of a manager asks a few hundred times a second, and a report is for somebody who has lost the
// time, which happens once. Beyond it there is silence, so that a forged source is not flooded from here.
const (
	answersASecond = 500
	answersAtOnce  = 1000
	reportsASecond = 10
	reportsAtOnce  = 50
	// maxSources are remembered. Beyond, the sources share what one has: forged ones cannot make more of it.
	maxSources = 4096
	// forgetAfter a source has all it may have again.
	forgetAfter = 10 * time.Second
)

type answerKind int

const (
	answering answerKind = iota
	reporting
)

type bucket struct {
	left [2]float64
	at   time.Time
}

// limiter belongs to one goroutine, the one that answers.
type limiter struct {
	sources map[netip.Addr]*bucket
	swept   time.Time
}

func newLimiter() *limiter { return &limiter{sources: map[netip.Addr]*bucket{}} }

var rates = [2]struct{ second, once float64 }{answering: {answersASecond, answersAtOnce}, reporting: {reportsASecond, reportsAtOnce}}

// allow counts one. Of IPv6, a /64 is one source: whoever has one address of it has them all.
func (l *limiter) allow(now time.Time, source netip.Addr, kind answerKind) bool {
	if source.Is6() {
		if p, err := source.WithZone("").Prefix(64); err == nil {
			source = p.Addr()
		}
	}
	if now.Sub(l.swept) > forgetAfter {
		l.swept = now
		for s, b := range l.sources {
			if now.Sub(b.at) > forgetAfter {
				delete(l.sources, s)
			}
		}
	}
	b := l.sources[source]
	if b == nil {
		if len(l.sources) >= maxSources {
			source = netip.Addr{}
			b = l.sources[source]
		}
		if b == nil {
			b = &bucket{left: [2]float64{answersAtOnce, reportsAtOnce}, at: now}
			l.sources[source] = b
		}
	}
	passed := max(now.Sub(b.at), 0).Seconds()
	b.at = now
	for k, r := range rates {
		b.left[k] = min(b.left[k]+passed*r.second, r.once)
	}
	if b.left[kind] < 1 {
		return false
	}
	b.left[kind]--
	return true
}
