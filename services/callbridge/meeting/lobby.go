package meeting

import (
	"slices"
	"time"
)

// door is what lets into a meeting, or keeps in the lobby (reference section 5.6).
type door struct {
	locked, all bool // all: lockMode of the callProfile
	activators  int
}

// visitor is who stands at it.
type visitor struct {
	needs, member  bool // needsActivation; a member of the space
	active         bool // is in already
	admitted, held bool // by the API
}

// lets says whether a participant is to be in the meeting. Those who are in stay when a lock comes, or when the last activator goes: what
// becomes of them then is their deactivationMode's to say.
func (d door) lets(v visitor) bool {
	switch {
	case v.held:
		return false
	case v.active || v.admitted:
		return true
	case !v.needs:
		return !d.locked || !d.all
	case d.activators == 0:
		return false
	case d.locked:
		return !d.all && v.member
	}
	return true
}

func (k *call) door() door {
	return door{locked: k.locked, all: k.profile.Text("lockMode") == "all", activators: k.activators}
}

func (p *participant) visitor() visitor {
	return visitor{needs: p.needs, member: p.member, active: p.active, admitted: p.admitted, held: p.held}
}

// activate lets a participant in, or sends to the lobby.
func (p *participant) activate(on bool) {
	if p.active == on {
		return
	}
	p.active = on
	stop(&p.wait)
	now := p.c.clock.Now()
	legs := slices.Clone(p.legs)
	for _, l := range legs {
		if l.connected() {
			if on {
				l.activeSince = now
			} else {
				l.pause(now)
				l.leaveFloor(true)
			}
		}
		l.touch()
		l.apply()
	}
	p.touch()
	p.recount()
	// What is said depends on who is there now. That may have led to something else already: who was let in by a host who goes at once is out again.
	if p.over || p.active != on {
		return
	}
	for _, l := range legs {
		switch {
		case l.over || !l.connected() || l.dialog != nil:
		case on:
			l.letIn()
		default:
			l.waiting()
		}
	}
}

// pause ends a span in the meeting.
func (l *Leg) pause(now time.Time) {
	if !l.activeSince.IsZero() {
		l.activated += now.Sub(l.activeSince)
		l.activeSince = time.Time{}
	}
}

// recount counts the participant among those who are in the meeting, and among those who let others in; or not any more.
func (p *participant) recount() {
	inside := !p.over && p.active && p.arrived()
	if inside != p.inside {
		p.inside = inside
		if inside {
			p.call.inside++
			p.call.together()
		} else {
			p.call.inside--
		}
		p.call.applyConference()
	}
	is := inside && !p.needs
	if is == p.counted {
		return
	}
	p.counted = is
	k := p.call
	if is {
		k.activators++
		if k.activators == 1 {
			k.opened()
		}
		return
	}
	if k.activators--; k.activators == 0 {
		k.left()
	}
}

// arrived says whether a leg of the participant is connected and through with its questions.
func (p *participant) arrived() bool {
	return slices.ContainsFunc(p.legs, func(l *Leg) bool { return l.connected() && l.dialog == nil && l.came })
}

// opened: the first activator is here. Those who wait may come in, and those who were to go may stay.
func (k *call) opened() {
	for _, p := range k.participants {
		stop(&p.wait)
	}
	k.admit()
	k.explain()
}

// admit lets everybody in who may come now.
func (k *call) admit() {
	d := k.door()
	for _, p := range slices.Clone(k.participants) {
		if !p.active && d.lets(p.visitor()) {
			p.activate(true)
			d = k.door() // who came in may let others in
		}
	}
}

// left: the last activator is gone. What becomes of the others their profiles say, at once or after a while.
func (k *call) left() {
	if k.over || k.gateway != nil {
		return
	}
	for _, p := range slices.Clone(k.participants) {
		if !p.needs || !p.active || p.over {
			continue
		}
		l := p.first()
		if l == nil {
			continue
		}
		mode := l.rights.Text("deactivationMode")
		if mode == "remainActivated" {
			continue
		}
		seconds, _ := l.rights.Number("deactivationModeTime")
		if seconds <= 0 {
			p.deactivate(mode)
			continue
		}
		stop(&p.wait)
		p.wait = p.c.after(time.Duration(min(seconds, 1<<31))*time.Second, func() {
			p.wait = nil
			p.deactivate(mode)
		})
	}
	k.explain()
}

// deactivate is the end of a participant's time in the meeting without activators: back in the lobby, or disconnected with a goodbye.
func (p *participant) deactivate(mode string) {
	if p.over || p.call.activators > 0 {
		return
	}
	p.admitted = false
	if mode != "disconnect" {
		p.activate(false)
		return
	}
	for _, l := range slices.Clone(p.legs) {
		l.part(partDisconnected, CallDeactivated)
	}
}

// setLocked locks the meeting or unlocks it.
func (k *call) setLocked(on bool) {
	if k.locked == on {
		return
	}
	k.locked = on
	k.touch()
	if !on {
		k.admit()
	}
	k.explain()
}

// hold is the API's order about the lobby: in, or out until it says otherwise.
func (p *participant) hold(out bool) {
	if p.call.gateway != nil {
		return // a call between two has no lobby
	}
	p.held, p.admitted = out, !out
	k := p.call
	switch {
	case p.active == out:
		p.activate(!out)
		if out {
			k.fewer()
		}
	case out:
		k.explain() // it waits for something else now
	}
}

// arrived: a leg that may be in its call is connected, and through with all questions.
func (l *Leg) arrived() {
	p, k := l.participant, l.call
	l.came = true
	first := !p.greeted
	p.greeted = true
	if first {
		p.active = k.gateway != nil || !p.held && k.door().lets(visitor{needs: p.needs, member: p.member, admitted: p.admitted})
		for _, o := range p.legs {
			o.touch()
		}
	}
	if p.active {
		l.activeSince = l.c.clock.Now()
	}
	p.recount()
	l.touch()
	k.touch()
	l.notice()
	l.apply()
	if k.presenter != nil && k.presenter != l {
		l.showPresentation(true)
	}
	if first && p.active {
		k.joinTone()
	}
	if p.active {
		l.welcome()
	} else {
		l.waiting()
	}
	k.startAutomatically()
	l.sendFirstKeys()
}
