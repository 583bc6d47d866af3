package leg

import (
	"rotunda/services/callbridge/floor"
	"rotunda/services/callbridge/sdp"
)

// floorControl is the floor of one leg's presentations, in whichever role we have in it. As the server we are asked by the far end, and the
// meeting decides. As the client, of a far end that hosts meetings itself, we ask for the floor when somebody here presents; when
// somebody there does, that is told to the meeting as if the far end had asked.
type floorControl struct {
	l         *Line
	c         *floor.Connection
	transport string
	// server is our role as it was agreed on; before, neither.
	agreed, server bool
	// theirs: the far end has the floor, or wants it.
	theirs bool
}

var _ floor.Handler = (*floorControl)(nil)

// openFloor takes a port for the floor, if the description about to be written has a use for one.
func (l *Line) openFloor(wanted bool) {
	var transport string
	if f := l.session.Agreed().Floor; f != nil {
		transport = f.Transport
	}
	if !wanted || len(l.local) == 0 {
		return // what is there is closed when both ends agree on it: an offer without it may be refused
	}
	if l.floor != nil && (l.floor.transport != transport || !l.reached(l.floor.c.Local())) {
		l.closeFloor()
	}
	if l.floor != nil {
		return
	}
	f := &floorControl{l: l, transport: transport}
	local := l.session.Near(l.local)
	c, err := floor.Open(floor.Config{Transport: transport, Local: local, DSCP: l.legs.mark(local, "signaling"), Log: l.log, Trace: l.legs.o.TraceFloor}, f)
	if err != nil {
		l.log.Warn("there is no port for the floor; the call has no presentation of its own", "error", err)
		return
	}
	f.c = c
	l.floor = f
}

func (l *Line) closeFloor() {
	if l.floor == nil {
		return
	}
	l.floor.c.Close()
	f := l.floor
	l.floor = nil
	f.leave()
}

// agreeFloor has the floor know what was agreed on.
func (l *Line) agreeFloor(a *sdp.Floor) {
	f := l.floor
	switch {
	case f == nil:
	case a == nil:
		l.closeFloor()
	default:
		if f.agreed && f.server != a.Server {
			f.leave()
		}
		f.agreed, f.server = true, a.Server
		f.c.Agree(floor.Agreement{Server: a.Server, Active: a.Active, Fresh: a.Fresh, Remote: a.Remote, ConferenceID: a.ConferenceID, UserID: a.UserID, FloorID: a.FloorID})
		f.show(l.showing)
	}
}

// show says that somebody here presents.
func (f *floorControl) show(on bool) {
	switch {
	case !f.agreed:
	case f.server:
		f.c.ShowOther(on)
	case on:
		f.c.Request()
	default:
		f.c.Release()
	}
}

// do queues what the far end did.
func (f *floorControl) do(what func()) {
	f.l.q.add(func() {
		if f.l.floor == f {
			what()
		}
	})
}

// want tells the meeting that the far end presents, or wants to.
func (f *floorControl) want() {
	if !f.theirs {
		f.theirs = true
		f.l.tell(func() { f.l.caller.WantsFloor() })
	}
}

// leave tells that it does not any more.
func (f *floorControl) leave() {
	if f.theirs {
		f.theirs = false
		l := f.l
		l.tell(func() { l.caller.LeavesFloor() })
		l.presenting(l.showing)
	}
}

// Requested implements [floor.Handler].
func (f *floorControl) Requested() { f.do(f.want) }

// Released implements [floor.Handler].
func (f *floorControl) Released() { f.do(f.leave) }

// Granted implements [floor.Handler].
func (f *floorControl) Granted() {}

// Denied implements [floor.Handler]: the far end goes on with its own presentation, and does not get ours.
func (f *floorControl) Denied() { f.l.log.Info("the far end does not give the floor") }

// Revoked implements [floor.Handler].
func (f *floorControl) Revoked() { f.l.log.Info("the far end took the floor") }

// StatusOther implements [floor.Handler].
func (f *floorControl) StatusOther(on bool) {
	f.do(func() {
		if on {
			f.want()
		} else {
			f.leave()
		}
	})
}

// GrantFloor implements [meeting.Line].
func (l *Line) GrantFloor() {
	l.q.add(func() {
		if l.floor != nil && l.floor.server {
			l.floor.c.Grant()
		}
		l.presenting(true)
	})
}

// RevokeFloor implements [meeting.Line].
func (l *Line) RevokeFloor() {
	l.q.add(func() {
		if f := l.floor; f != nil && f.server {
			f.c.Revoke()
			f.theirs = false
		}
		l.presenting(l.showing)
	})
}

// ShowPresentation implements [meeting.Line].
func (l *Line) ShowPresentation(on bool) {
	l.q.add(func() {
		if l.showing = on; l.floor != nil {
			l.floor.show(on)
		}
		l.presenting(on || l.floor != nil && l.floor.theirs)
	})
}

// presenting shares the bandwidth between both pictures while there are two.
func (l *Line) presenting(on bool) {
	if l.slides == on {
		return
	}
	l.slides = on
	if l.stage == up && l.agreed.Presentation {
		l.share()
	}
}
