package meeting

// mayPresent says whether the leg may give a presentation now.
func (l *Leg) mayPresent() bool {
	if l.call == nil || !l.inMeeting() || l.sink != nil || l.barred.presentation {
		return false
	}
	return l.call.gateway != nil || l.rights.Bool("presentationContributionAllowed") || l.call.allows("allowAllPresentationContribution")
}

// seesPresentation says whether presentations are shown to the leg at all.
func (l *Leg) seesPresentation() bool {
	return l.rights.Bool("presentationViewingAllowed") && !l.barred.presentation
}

// askFloor: the far end wants to present. Who presents gives way to who asks later.
func (l *Leg) askFloor() {
	if l.over {
		return
	}
	k := l.call
	if !l.mayPresent() {
		l.tell(Line.RevokeFloor)
		return
	}
	if k.presenter == l {
		l.tell(Line.GrantFloor)
		return
	}
	before := k.presenter
	k.presenter = l
	if before != nil {
		before.tell(Line.RevokeFloor)
		before.touch()
		before.apply()
		before.showPresentation(true)
	}
	l.showPresentation(false)
	l.tell(Line.GrantFloor)
	if before == nil {
		for _, o := range k.legs {
			if o != l {
				o.showPresentation(true)
			}
		}
	}
	l.touch()
	k.touch()
	l.apply()
	k.applyConference()
}

// leaveFloor ends the leg's presentation; taken says that it did not do so itself.
func (l *Leg) leaveFloor(taken bool) {
	k := l.call
	if k == nil || k.presenter != l {
		return
	}
	k.presenter = nil
	if taken && !l.over {
		l.tell(Line.RevokeFloor)
	}
	for _, o := range k.legs {
		o.showPresentation(false)
	}
	l.touch()
	k.touch()
	l.apply()
	k.applyConference()
}

// showPresentation tells signalling whether somebody else presents, once.
func (l *Leg) showPresentation(on bool) {
	if l.over {
		return
	}
	on = on && l.inMeeting() && l.seesPresentation()
	if on == l.shows {
		return
	}
	l.shows = on
	l.tell(func(line Line) { line.ShowPresentation(on) })
}

// checkFloor takes the floor from a leg that may not present any more, and shows or hides presentations as its rights say now.
func (l *Leg) checkFloor() {
	if l.call == nil {
		return
	}
	if l.call.presenter == l {
		if !l.mayPresent() {
			l.leaveFloor(true)
		}
		return
	}
	l.showPresentation(l.call.presenter != nil)
}
