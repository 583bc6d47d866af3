package meeting

import (
	"slices"
	"sync/atomic"
)

// observer hears changes whose number is above since.
type observer struct {
	since uint64
	f     func(Change)
	gone  atomic.Bool
}

// pending is what was done since the last flush. Its lists have each object once.
type pending struct {
	changed []shown
	sinks   []Change // recordings and streams
	ends    []Change // of legs that go on under another name
}

// shown is a call, a participant or a leg, as observers know it.
type shown interface {
	// publish appends what observers have to hear: that it began, changed, or is over.
	publish(c *Calls, out *batches)
	// rank orders them: calls, participants, legs, and what began first.
	rank() (kind int, seq uint64)
}

// batches are changes in the order that [Kind] asks for: what began from the outside in, what is over from the inside out.
type batches struct{ began, changed, over []Change }

// touch makes a change of an object known with the next flush.
func (c *Calls) touch(s shown, dirty *bool) {
	if !*dirty {
		*dirty = true
		c.pending.changed = append(c.pending.changed, s)
	}
}

// flush makes what was done known. The caller holds the lock.
func (c *Calls) flush() {
	p := c.pending
	if len(p.changed) == 0 && len(p.sinks) == 0 && len(p.ends) == 0 {
		return
	}
	c.pending = pending{}
	slices.SortStableFunc(p.changed, func(a, b shown) int {
		ka, sa := a.rank()
		kb, sb := b.rank()
		if ka != kb {
			return ka - kb
		}
		return int(int64(sa) - int64(sb))
	})
	var b batches
	for _, s := range p.changed {
		s.publish(c, &b)
	}
	slices.Reverse(b.over)
	list := slices.Concat(b.began, b.changed)
	list = slices.Concat(list, p.sinks, p.ends, b.over)
	for i := range list {
		c.number++
		list[i].Number = c.number
	}
	if len(c.observers) == 0 {
		return
	}
	observers := c.observers
	c.tells.add(func() {
		for _, change := range list {
			for _, o := range observers {
				if change.Number > o.since && !o.gone.Load() {
					o.f(change)
				}
			}
		}
	})
}

// Subscribe is part of [Control].
func (c *Calls) Subscribe(f func(Change)) (uint64, func()) {
	c.lock()
	defer c.unlock()
	c.flush()
	o := &observer{since: c.number, f: f}
	c.observers = append(slices.Clone(c.observers), o)
	return c.number, func() {
		c.lock()
		defer c.unlock()
		o.gone.Store(true)
		c.observers = slices.DeleteFunc(slices.Clone(c.observers), func(other *observer) bool { return other == o })
	}
}
