package leg

// floorEnd is the floor of one leg's presentations, in whichever role we have in it.
type floorEnd interface {
	// Grant and Revoke give the far end the floor and take it.
	Grant()
	Revoke()
	// Show says whether somebody else presents.
	Show(on bool)
	Close()
}

// GrantFloor implements [meeting.Line].
func (l *Line) GrantFloor() {
	l.q.add(func() {
		if l.floor != nil {
			l.floor.Grant()
		}
		l.presenting(true)
	})
}

// RevokeFloor implements [meeting.Line].
func (l *Line) RevokeFloor() {
	l.q.add(func() {
		if l.floor != nil {
			l.floor.Revoke()
		}
		l.presenting(false)
	})
}

// ShowPresentation implements [meeting.Line].
func (l *Line) ShowPresentation(on bool) {
	l.q.add(func() {
		if l.floor != nil {
			l.floor.Show(on)
		}
		l.presenting(on)
	})
}

// presenting shares the bandwidth between both pictures while there are two.
func (l *Line) presenting(on bool) {
	if l.slides == on {
		return
	}
	l.slides = on
	if l.stage != up || !l.agreed.Presentation {
		return
	}
	l.share()
}
