package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Diagnose writes down a meeting: the call, its participants and legs as the API shows them, the figures of the media engine, and what changed
// last. It returns the call's correlator, "" where nothing is known of it. A call that ended lately still has its history. The meeting of a space is
// found for the zero call.
func (l *Live) Diagnose(ctx context.Context, w io.Writer, space, call store.ID) (correlator string) {
	if call == (store.ID{}) {
		var ok bool
		if call, ok = l.history.last(space); !ok {
			fmt.Fprintln(w, "\nno meeting since the Call Bridge started")
			return ""
		}
	}
	info, there := l.o.Control.Call(call)
	was, lines, known := l.history.of(call)
	switch {
	case there:
	case known:
		info = was
		fmt.Fprintln(w, "\nthe meeting is over; this is how it was last")
	default:
		return ""
	}
	write(w, schema.Call, l.call(info))
	for _, p := range l.o.Control.Participants(call) {
		write(w, schema.Participant, l.participant(p))
	}
	var names []string
	legs := l.o.Control.Legs(call)
	if !there {
		legs = nil
	}
	for _, g := range legs {
		names = append(names, g.MediaID)
	}
	figures := l.figures.of(ctx, names...)
	for _, g := range legs {
		write(w, schema.CallLeg, l.leg(ctx, g))
		for _, level := range g.Rights.Levels() {
			profile := "values of its own"
			if level.Profile != nil {
				profile = level.Profile.String()
			}
			fmt.Fprintf(w, "  rights of %s: %s %v\n", level.Scope, profile, level.Fields)
		}
		if s, ok := figures[g.MediaID]; ok {
			// Figures have no keys in them.
			text, err := json.MarshalIndent(s, "  ", " ")
			if err == nil {
				fmt.Fprintf(w, "  media %s\n", text)
			}
		}
	}
	fmt.Fprintln(w, "\nlast changes")
	for _, line := range lines {
		fmt.Fprintln(w, "  "+line)
	}
	return info.Correlator.String()
}

func write(w io.Writer, o *schema.Object, x api.LiveObject) {
	fmt.Fprintf(w, "\n%s %s\n", o.Name, x.ID)
	for _, name := range slices.Sorted(maps.Keys(x.Values)) {
		fmt.Fprintf(w, "  %s: %q\n", name, x.Values[name])
	}
	for _, more := range x.More {
		for _, one := range more.Elements {
			fmt.Fprintf(w, "  %s: %s\n", more.Name, one.Name)
		}
	}
}
