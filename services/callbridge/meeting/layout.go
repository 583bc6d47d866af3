package meeting

import (
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/media/control"
	"rotunda/services/media/layout"
)

// families are the layouts that keys go through, in their order (reference section 5.8).
var families = []string{"automatic", "allEqual", "stacked", "telepresence", "speakerOnly", "onePlusN"}

// family is the one that a layout belongs to.
func family(name string) string {
	switch name {
	case "allEqualQuarters", "allEqualNinths", "allEqualSixteenths", "allEqualTwentyFifths":
		return "allEqual"
	case "onePlusFive", "onePlusSeven", "onePlusNine":
		return "onePlusN"
	}
	return name
}

// turn is the layout so many steps after the one in use.
func turn(name string, by int) string {
	at := 0
	for i, f := range families {
		if f == family(name) {
			at = i
		}
	}
	n := len(families)
	return families[((at+by)%n+n)%n]
}

// pickLayout chooses among what says something about the layout: what was chosen for the leg, its profiles, the space.
func pickLayout(chosen string, rights profiles.Effective, space string) string {
	switch {
	case chosen != "":
		return chosen
	case rights.From("defaultLayout") != profiles.Nowhere:
		return rights.Text("defaultLayout")
	case space != "":
		return space
	}
	return rights.Text("defaultLayout")
}

// layout is the one in use, as the API names it.
func (l *Leg) layout() string {
	space := ""
	if l.call != nil && l.call.space != nil {
		space = l.call.space.Text("defaultLayout")
	}
	return pickLayout(l.chosen, l.rights, space)
}

// template is the layout of one's own that overrides others, nil for none. A document that is not to be understood counts as none: the
// API refuses such ones.
func (l *Leg) template() []control.Pane {
	id, ok := parseID(l.rights.Text("layoutTemplate"))
	v := l.c.view()
	if !ok || v == nil || l.chosen != "" && l.rights.From("layoutTemplate") != profiles.CallLeg || l.c.o.Licence().NoCustomizations {
		return nil
	}
	r := v.Get(schema.LayoutTemplate, id)
	if r == nil || r.Text("template") == "" {
		return nil
	}
	if l.ownLayout.record != r { // records never change
		l.ownLayout.record, l.ownLayout.panes = r, nil
		if templates, err := layout.ParseTemplates([]byte(r.Text("template"))); err == nil && len(templates) > 0 {
			l.ownLayout.panes = templates[0]
		}
	}
	return l.ownLayout.panes
}

// view is what the leg is shown.
func (l *Leg) view() control.View {
	k := l.call
	v := control.View{Layout: l.layout(), Labels: l.labels(), Counter: l.rights.Text("participantCounter"), Background: l.background()}
	if l.dialog != nil {
		// A question stands alone on the screen.
		v.Screen, v.Title, v.TitlePosition = "welcome", l.dialog.text(), "middle"
		return v
	}
	if k == nil {
		v.Screen = "welcome"
		return v
	}
	v.Template = l.template()
	v.SelfPane = k.setting("panePlacementSelfPaneMode")
	if n := number(k.setting("panePlacementHighestImportance")); n != nil {
		v.HighestImportance = int(min(*n, 1000))
		v.MarkSpeaker = v.HighestImportance > 0 && k.setting("panePlacementActiveSpeakerMode") == "allow"
	}
	if l.seesPresentation() {
		v.PresentationIn = l.rights.Text("presentationDisplayMode") == "singleStream" || !l.agreed.Presentation
	}
	if l.deactivated() {
		v.Screen = "lobby"
		if at := l.rights.Text("meetingTitlePosition"); at != "disabled" {
			v.Title, v.TitlePosition = k.name, at
		}
	}
	return l.noticeOn(v)
}

// labels says whether names stand below pictures. Where no profile says it, the Call settings count, as they were when the leg began or were applied
// to active calls.
func (l *Leg) labels() bool {
	if l.kind == "sip" && l.rights.From("participantLabels") == profiles.Nowhere {
		return l.labelled
	}
	return l.rights.Bool("participantLabels")
}
