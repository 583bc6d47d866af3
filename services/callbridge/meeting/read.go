package meeting

import (
	"cmp"
	"maps"
	"slices"
)

// Calls is part of [Control], as the others of this file.
func (c *Calls) Calls() []CallInfo {
	c.lock()
	defer c.unlock()
	list := make([]CallInfo, 0, len(c.calls))
	for _, k := range slices.SortedFunc(maps.Values(c.calls), func(a, b *call) int { return cmp.Compare(a.seq, b.seq) }) {
		list = append(list, k.info())
	}
	return list
}

// Call is part of [Control].
func (c *Calls) Call(id ID) (CallInfo, bool) {
	c.lock()
	defer c.unlock()
	k := c.calls[id]
	if k == nil {
		return CallInfo{}, false
	}
	return k.info(), true
}

// Participants is part of [Control].
func (c *Calls) Participants(id ID) []ParticipantInfo {
	c.lock()
	defer c.unlock()
	var of []*participant
	if id == (ID{}) {
		of = slices.SortedFunc(maps.Values(c.participants), func(a, b *participant) int { return cmp.Compare(a.seq, b.seq) })
	} else if k := c.calls[id]; k != nil {
		of = k.participants
	}
	list := make([]ParticipantInfo, len(of))
	for i, p := range of {
		list[i] = p.info()
	}
	return list
}

// Participant is part of [Control].
func (c *Calls) Participant(id ID) (ParticipantInfo, bool) {
	c.lock()
	defer c.unlock()
	p := c.participants[id]
	if p == nil {
		return ParticipantInfo{}, false
	}
	return p.info(), true
}

// Legs is part of [Control].
func (c *Calls) Legs(id ID) []LegInfo {
	c.lock()
	defer c.unlock()
	var of []*Leg
	if id == (ID{}) {
		of = c.legsInOrder()
	} else if k := c.calls[id]; k != nil {
		of = k.legs
	}
	list := make([]LegInfo, len(of))
	for i, l := range of {
		list[i] = l.info()
	}
	return list
}

// Leg is part of [Control].
func (c *Calls) Leg(id ID) (LegInfo, bool) {
	c.lock()
	defer c.unlock()
	l := c.legs[id]
	if l == nil {
		return LegInfo{}, false
	}
	return l.info(), true
}

func (c *Calls) legsInOrder() []*Leg {
	return slices.SortedFunc(maps.Values(c.legs), func(a, b *Leg) int { return cmp.Compare(a.seq, b.seq) })
}
