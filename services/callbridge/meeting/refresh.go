package meeting

import (
	"slices"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
)

// ProfileObjects are those that the rights of legs depend on: profiles, templates, and what they are attached to.
var ProfileObjects = []*schema.Object{schema.CallLegProfile, schema.LayoutTemplate, schema.Profiles, schema.Tenants, schema.CoSpace, schema.AccessMethod, schema.CoSpaceUser}

// Refresh takes over what profiles say now, and which ones are attached where, for legs that are up: nobody has to dial again for a right, a mute or a
// name below a picture. It is to be called after every change of [ProfileObjects]. The callProfile of a call stays as it was when the call began.
func (c *Calls) Refresh() {
	c.lock()
	defer c.unlock()
	if c.view() == nil {
		return
	}
	for _, l := range c.legsInOrder() {
		if !l.over {
			l.refresh()
		}
	}
}

func (l *Leg) refresh() {
	before, muted := l.rights, l.mutes().RxAudio
	l.resolve()
	if !slices.EqualFunc(before.Levels(), l.rights.Levels(), func(a, b profiles.Level) bool { return a.Scope == b.Scope && a.Profile == b.Profile }) {
		l.touch() // its trace says something else, even where the same is in force
	}
	if !l.rights.Equal(before) {
		l.useRights()
		if on := l.mutes().RxAudio; !l.over && on != muted && l.inMeeting() && l.sink == nil && l.gateway() == nil {
			l.sayMuted(on)
		}
	}
	l.apply() // a template may have changed, and no right
}

// ApplySettings takes over what the Call settings say now for legs that are up (guide chapter 7.3, "Apply to Active Calls").
func (c *Calls) ApplySettings() {
	c.lock()
	defer c.unlock()
	for _, l := range c.legs {
		l.labelled = l.c.labelled()
		l.apply()
	}
}

// labelled says whether the Call settings want names below pictures.
func (c *Calls) labelled() bool {
	v := c.view()
	return v != nil && v.Only(schema.CallSettings).Bool("participantLabels")
}
