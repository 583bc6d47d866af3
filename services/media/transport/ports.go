package transport

import (
	"errors"
	"math/rand/v2"
	"time"
)

// restTime is how long a port is left alone after use when there is another choice: packets of the old leg that are still on
// their way, or a peer that missed the end, then meet nobody. RFC 3550 peers time out within 5 report intervals, about 30 s.
const restTime = 30 * time.Second

var errNoPort = errors.New("no free port")

// ports hands out the worker's slice of UDP ports: pairs of an even port for RTP and the odd one above it for RTCP, or
// single ports. Pairs start in random order, then come back in the order in which they were given back, so that a port rests
// as long as the load permits; but none is refused while one is free. It is not safe for concurrent use.
type ports struct {
	first int    // even
	pairs []pair // pair i is first+2i and the next
	whole ring   // pairs with both ports free
	half  ring   // pairs with one port free
}

type pair struct {
	used     [2]bool
	absent   [2]bool // outside of the slice: the ends need not be aligned
	released time.Time
}

// ring is a FIFO of pair indices with room for all of them. Removal from the middle is by position and rare.
type ring struct{ queue []int }

func (r *ring) push(i int) { r.queue = append(r.queue, i) }

func (r *ring) remove(i int) {
	for at, j := range r.queue {
		if i == j {
			r.queue = append(r.queue[:at], r.queue[at+1:]...)
			return
		}
	}
}

func newPorts(first, last int) *ports {
	p := &ports{first: first &^ 1}
	for port := p.first; port <= last; port += 2 {
		pr := pair{}
		pr.absent[0] = port < first
		pr.absent[1] = port+1 > last
		p.pairs = append(p.pairs, pr)
	}
	for _, i := range rand.Perm(len(p.pairs)) {
		p.queue(i)
	}
	return p
}

func (p *pair) free(half int) bool { return !p.used[half] && !p.absent[half] }

// queue puts a pair at the end of the ring it belongs to now.
func (p *ports) queue(i int) {
	switch pr := &p.pairs[i]; {
	case pr.free(0) && pr.free(1):
		p.whole.push(i)
	case pr.free(0) || pr.free(1):
		p.half.push(i)
	}
}

// takePair gives an even port whose odd neighbour is free as well.
func (p *ports) takePair() (int, error) {
	if len(p.whole.queue) == 0 {
		return 0, errNoPort
	}
	i := p.whole.queue[0]
	p.whole.remove(i)
	p.pairs[i].used = [2]bool{true, true}
	return p.first + 2*i, nil
}

// takeOne gives one port. It prefers the rest of a pair that is already broken, so that whole pairs last, unless that has
// not rested and a whole pair has.
func (p *ports) takeOne(now time.Time) (int, error) {
	from := &p.half
	switch {
	case len(p.half.queue) == 0 && len(p.whole.queue) == 0:
		return 0, errNoPort
	case len(p.half.queue) == 0,
		len(p.whole.queue) > 0 && !p.rested(p.half.queue[0], now) && p.rested(p.whole.queue[0], now):
		from = &p.whole
	}
	i := from.queue[0]
	from.remove(i)
	half := 0
	if !p.pairs[i].free(0) {
		half = 1
	}
	p.pairs[i].used[half] = true
	p.queue(i)
	return p.first + 2*i + half, nil
}

func (p *ports) rested(i int, now time.Time) bool {
	return p.pairs[i].released.IsZero() || now.Sub(p.pairs[i].released) >= restTime
}

// giveBack takes one port back, or two for a pair.
func (p *ports) giveBack(port, count int, now time.Time) {
	i := (port - p.first) / 2
	p.whole.remove(i)
	p.half.remove(i)
	for ; count > 0; count-- {
		p.pairs[i].used[(port-p.first)&1] = false
		port++
	}
	p.pairs[i].released = now
	p.queue(i)
}
