package meeting

import (
	"slices"

	"rotunda/services/callbridge/failure"
)

// canMove says whether a leg can be taken to another call: one that is up, that is no side of a gateway call, and that does not record.
func (l *Leg) canMove() bool {
	return !l.over && l.answered && l.came && l.dialog == nil && l.participant != nil && l.call != nil && l.call.gateway == nil
}

// canMove says whether all legs of the participant can.
func (p *participant) canMove() bool {
	return len(p.legs) > 0 && !slices.ContainsFunc(p.legs, func(l *Leg) bool { return !l.canMove() })
}

// move brings a participant of another call into k, without its far end's doing anything. It is a new participant there, with new legs, and
// the records of both say so; signalling and media go on.
func (c *Calls) move(k *call, values map[string]string) (ID, error) {
	id, ok := parseID(values["movedParticipant"])
	if !ok {
		return ID{}, &failure.Parameter{Name: "movedParticipant", Fault: failure.Invalid, Why: "give the ID of a participant of another call"}
	}
	p := c.participants[id]
	if p == nil {
		return ID{}, noParticipant
	}
	if p.call == k || !p.canMove() || k.gateway != nil || k.over {
		return ID{}, failure.ParticipantCannotBeModified
	}
	why := c.full(k, nil)
	if why == TenantLimit && p.call.tenant == k.tenant {
		why = "" // the tenant has as many as before
	}
	switch why {
	case ParticipantLimit:
		return ID{}, failure.ParticipantLimitReached
	case TenantLimit:
		return ID{}, failure.TenantParticipantLimitReached
	}
	from := p.call
	c.flush()
	legs := slices.Clone(p.legs)
	for _, l := range legs {
		l.leaveFor()
	}
	if p.inside {
		from.leaveTone()
	}
	p.leave()
	c.flush() // first the ends, then the beginnings
	q := c.newParticipant(k, p.direction)
	q.importance, q.movedFrom, q.user, q.jid, q.hand = p.importance, p.id, p.user, p.jid, p.hand
	q.rename(p.override)
	if v, said := values["importance"]; said {
		q.importance = number(v)
	}
	if v, said := values["nameLabelOverride"]; said {
		q.rename(v)
	}
	for _, l := range legs {
		c.legs[l.id] = l
		l.callOut = settingsOf(values)
		l.guest = false
		if k.space != nil {
			l.recognise(k.space)
		}
		l.enter(k, q)
		q.member = k.space != nil && !l.guest
	}
	switch values["deactivated"] {
	case "true":
		q.held, q.active = true, false
	case "false":
		q.admitted = true
	}
	for _, l := range legs {
		l.arrived()
	}
	if !from.over {
		from.leave()
		if !from.over {
			from.fewer()
		}
	}
	return q.id, nil
}

// leaveFor takes a leg out of its call by a move. What was there is over under its name; the leg goes on, with its line and its media, under a new one.
func (l *Leg) leaveFor() {
	c, k, p := l.c, l.call, l.participant
	now := c.clock.Now()
	l.pause(now)
	l.leaveFloor(true)
	l.showPresentation(false)
	l.hush()
	l.keys.drop()
	last := l.info()
	last.State, last.End, last.Ended = Gone, CallMoved, now
	c.pending.ends = append(c.pending.ends, Change{Kind: LegOver, LegBefore: l.shown, Leg: &last})
	c.log.Info("leg moves", "leg", l.id, "call", k.id)
	if l.records {
		l.countRecorder(false)
	}
	k.legs = slices.DeleteFunc(k.legs, func(o *Leg) bool { return o == l })
	k.members--
	k.completed++
	if k.speaker == l {
		k.speaker = nil
	}
	p.legs = slices.DeleteFunc(p.legs, func(o *Leg) bool { return o == l })
	k.touch()
	delete(c.legs, l.id)
	l.call, l.participant, l.method, l.member = nil, nil, nil, nil
	l.moved, l.id, l.seq = l.id, fresh(), c.order()
	l.shown, l.dirty = nil, false
	l.began, l.connectedAt, l.activated, l.came = now, now, 0, false
	l.noticeText, l.waits = "", ""
	stop(&l.timers.notice)
	c.pending.changed = slices.DeleteFunc(c.pending.changed, func(s shown) bool { return s == shown(l) })
}
