package layout

import (
	"slices"

	"rotunda/services/media/control"
)

// Names of the layouts, as in the API.
const (
	SpeakerOnly          = "speakerOnly"
	Telepresence         = "telepresence"
	Stacked              = "stacked"
	AllEqual             = "allEqual"
	AllEqualQuarters     = "allEqualQuarters"
	AllEqualNinths       = "allEqualNinths"
	AllEqualSixteenths   = "allEqualSixteenths"
	AllEqualTwentyFifths = "allEqualTwentyFifths"
	OnePlusFive          = "onePlusFive"
	OnePlusSeven         = "onePlusSeven"
	OnePlusNine          = "onePlusNine"
	OnePlusN             = "onePlusN"
	Automatic            = "automatic"
	// Template is what [Look.Layout] says of a layout template.
	Template = "template"
)

// Names lists the layouts that may be asked for.
var Names = []string{SpeakerOnly, Telepresence, Stacked, AllEqual, AllEqualQuarters, AllEqualNinths, AllEqualSixteenths,
	AllEqualTwentyFifths, OnePlusFive, OnePlusSeven, OnePlusNine, OnePlusN, Automatic}

// Up to so many others have equal panes in the automatic layout; with more of them the speaker gets a large one.
const automaticEqual = 4

// family is a layout made definite for one room.
type family struct {
	name string
	// seats is how many participants have one at most.
	seats int
	// main: the first seat is larger and belongs to the speaker.
	main bool
	// shared: a presentation has the main pane, and the participants the others.
	shared bool
}

// What a layout comes to for a number of candidates. It is one answer for all viewers, so that nobody sees another
// arrangement than his neighbour only because he does not see himself: of five in a meeting each sees four equal panes, and
// so the recorder sees five equal ones.
func resolve(view *control.View, candidates int, shared bool) family {
	if len(view.Template) > 0 {
		free := unreserved(view.Template)
		f := family{name: Template, seats: len(free), shared: shared}
		f.main = f.seats > 0 && free[0] == largest(view.Template)
		if shared {
			f.seats = max(f.seats-1, 0)
		}
		return f
	}
	name := view.Layout
	if name == Automatic || sizes[name] == 0 {
		others := candidates
		if selfPane(view) != selfShown {
			others--
		}
		switch {
		case others > automaticEqual:
			name = OnePlusN
		case others > 1:
			name = AllEqual
		default:
			name = SpeakerOnly
		}
		if shared {
			name = Stacked
		}
	}
	if shared {
		switch name {
		case AllEqual, AllEqualQuarters, AllEqualNinths, AllEqualSixteenths, AllEqualTwentyFifths:
			// Equal panes leave a presentation unreadable.
			name = Stacked
		}
	}
	f := family{name: name, seats: sizes[name], shared: shared}
	switch name {
	case AllEqual, AllEqualQuarters, AllEqualNinths, AllEqualSixteenths, AllEqualTwentyFifths:
	default:
		f.main = true
	}
	if shared {
		f.seats--
	}
	return f
}

// Panes of each layout at its largest.
var sizes = map[string]int{
	SpeakerOnly: 1, Telepresence: 1 + overlaid, Stacked: 1 + stripe,
	AllEqual: 25, AllEqualQuarters: 4, AllEqualNinths: 9, AllEqualSixteenths: 16, AllEqualTwentyFifths: 25,
	OnePlusFive: 6, OnePlusSeven: 8, OnePlusNine: 10, OnePlusN: 10,
}

// The index of the pane of a template that is the main one: it has at least half as much area again as any other. -1
// for a template of more or less equal panes.
func largest(panes []control.Pane) int {
	best, area, second := -1, 0, 0
	for i, p := range panes {
		switch a := p.W * p.H; {
		case a > area:
			best, area, second = i, a, area
		case a > second:
			second = a
		}
	}
	if area*2 < second*3 {
		return -1
	}
	return best
}

// Whether a pane of a template is reserved for a leg.
func reserved(panes []control.Pane, leg string) bool {
	return leg != "" && slices.ContainsFunc(panes, func(p control.Pane) bool { return p.Participant == leg })
}

// The panes of a template that are reserved for nobody, the main one first.
func unreserved(panes []control.Pane) []int {
	var list []int
	for i, p := range panes {
		if p.Participant == "" {
			list = append(list, i)
		}
	}
	if i := slices.Index(list, largest(panes)); i > 0 {
		main := list[i]
		copy(list[1:], list[:i])
		list[0] = main
	}
	return list
}

// The modes of [control.View.SelfPane].
const (
	selfSkipped = "skip"
	selfShown   = "self"
	selfBlank   = "blank"
)

func selfPane(view *control.View) string {
	switch view.SelfPane {
	case selfShown, selfBlank:
		return view.SelfPane
	}
	return selfSkipped
}
