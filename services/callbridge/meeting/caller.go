package meeting

import "rotunda/services/media/control"

// What a line tells. Outgoing calls may tell before the dialer has returned; that waits until it has ([Leg.heard]).

// Ringing is part of [Caller].
func (l *Leg) Ringing() {
	l.heard(func() {
		if l.state != Initial {
			return
		}
		l.state = Ringing
		l.touch()
		if g := l.gateway(); g != nil {
			g.ringing(l)
		}
	})
}

// Answered is part of [Caller].
func (l *Leg) Answered(who Identity, m MediaInfo) {
	l.heard(func() {
		l.identify(who)
		l.agreed = m
		l.force = true
		l.touch()
		if l.refusesEncryption() {
			return
		}
		if l.answered {
			l.apply()
			return
		}
		l.answered = true
		l.state, l.connectedAt = Connected, l.c.clock.Now()
		if l.far {
			l.state = OnHold
		}
		l.limitDuration()
		if l.dial != nil {
			l.adjust() // what a profile says beyond what the call was made with is agreed on now
		}
		switch g := l.gateway(); {
		case l.dialog != nil:
			l.apply()
			l.dialog.answered()
		case g != nil:
			g.answered(l)
		case l.sink != nil:
			l.sink.answered()
		case l.asksConfirmation():
			l.confirm()
		case l.call != nil:
			l.arrived()
		}
	})
}

// refusesEncryption ends a leg whose media are encrypted though the licence does not allow it.
func (l *Leg) refusesEncryption() bool {
	if !l.agreed.Encrypted || !l.c.o.Licence().RefuseEncrypted {
		return false
	}
	l.c.log.Warn("a call with encrypted media is refused: there is no licence for it", "leg", l.id)
	l.end(Failed, false)
	return true
}

// Changed is part of [Caller].
func (l *Leg) Changed(who Identity, m MediaInfo) {
	l.heard(func() {
		l.identify(who)
		l.agreed = m
		l.force = true
		l.touch()
		if !l.refusesEncryption() {
			l.apply()
		}
	})
}

// Held is part of [Caller].
func (l *Leg) Held(on bool) {
	l.heard(func() {
		if l.far == on {
			return
		}
		l.far = on
		switch {
		case on && l.state == Connected:
			l.state = OnHold
		case !on && l.state == OnHold:
			l.state = Connected
		}
		l.touch()
		if g := l.gateway(); g != nil {
			g.held(l, on)
		}
	})
}

// Ended is part of [Caller].
func (l *Leg) Ended(why Reason, remote bool) {
	l.c.lock()
	defer l.c.unlock()
	l.finish(why, remote, true)
}

// Key is part of [Caller].
func (l *Leg) Key(key rune) { l.heard(func() { l.key(key) }) }

// WantsFloor is part of [Caller].
func (l *Leg) WantsFloor() { l.heard(l.askFloor) }

// LeavesFloor is part of [Caller].
func (l *Leg) LeavesFloor() { l.heard(func() { l.leaveFloor(false) }) }

// EndpointRecords is part of [Caller].
func (l *Leg) EndpointRecords(on bool) {
	l.heard(func() {
		if l.records == on {
			return
		}
		l.records = on
		l.touch()
		l.countRecorder(on)
	})
}

// Retargeted is part of [Caller].
func (l *Leg) Retargeted(who Identity) {
	l.heard(func() {
		l.replaces, l.name = l.sipID, ""
		l.identify(who)
		l.force = true
		l.touch()
		l.apply()
	})
}

// listener is what a leg hears of its media.
type listener struct{ l *Leg }

// Moved: signalling tells the far end; nothing of the meeting changes.
func (h listener) Moved(control.LegState) {}

// Refused: the engine cannot carry what was last wanted. What it had before goes on where the wish was at fault; without room the leg ends, since it
// would be in a meeting that it neither hears nor sees.
func (h listener) Refused(err error) {
	l := h.l
	l.c.lock()
	defer l.c.unlock()
	switch {
	case l.over:
	case control.CodeOf(err) == control.CodeInvalid:
		l.force = true // so that the next change tells everything
	default:
		l.c.log.Error("a leg ends: its media are refused", "leg", l.id, "call", callID(l), "code", control.CodeOf(err), "error", err)
		l.end(Failed, false)
	}
}

// Event is part of mixer.Handler.
func (h listener) Event(e control.Event) {
	l := h.l
	l.c.lock()
	defer l.c.unlock()
	if l.over {
		return
	}
	switch e.Event {
	case control.EventKey:
		for _, k := range e.Key {
			l.key(k)
		}
	case control.EventPlayed:
		l.played(e.ID)
	case control.EventAlarm:
		l.alarm(e.Alarm, e.On)
	case control.EventSpeaker:
		if l.call != nil && e.Conference == l.call.id.String() {
			l.call.speaks(l)
		}
	case control.EventFlood:
		l.c.log.Warn("a leg sends more than it may", "leg", l.id, "call", callID(l), "from", l.address)
	}
}

func callID(l *Leg) ID {
	if l.call == nil {
		return ID{}
	}
	return l.call.id
}
