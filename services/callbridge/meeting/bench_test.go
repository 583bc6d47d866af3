package meeting

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
	"rotunda/services/media/control/controltest"
)

// bench is meetings on an engine that does nothing, with an observer, as there always are some.
func bench(b *testing.B) (*Calls, *mixer.Mixer) {
	e := controltest.New(control.WorkerStatus{Name: "0.0"})
	m := mixer.New(mixer.Options{Service: idle{e.Owner("bridge")}})
	c := New(Options{Mixer: m, View: func() store.View { return objects }, Prompts: fakePrompts{}})
	c.Subscribe(func(Change) {})
	return c, m
}

// idle answers and remembers nothing.
type idle struct{ control.Service }

func (idle) PutLeg(_ context.Context, l control.Leg) (control.LegState, error) {
	return control.LegState{ID: l.ID}, nil
}
func (idle) PutConference(context.Context, control.Conference) error { return nil }
func (idle) DeleteLeg(context.Context, string) error                 { return nil }
func (idle) Play(context.Context, control.Play) error                { return nil }
func (idle) StopPlay(context.Context, string) error                  { return nil }

func arrive(c *Calls, m *mixer.Mixer, s *store.Record) *Leg {
	media := m.Leg(uuid.NewString(), nil)
	l := c.Arrive(Arrival{Line: &fakeLine{}, Media: media, Identity: Identity{Name: "far", Address: "far@example.com"}, Kind: "sip", Offer: full},
		Target{Entries: []Entry{{Space: s}}}).(*Leg)
	l.Answered(Identity{}, full)
	return l
}

// BenchmarkJoins: one more leg comes and goes where there are so many already, each in a meeting of ten or all in one.
func BenchmarkJoins(b *testing.B) {
	for _, o := range []struct{ legs, meetings int }{{10, 1}, {1000, 100}, {500, 1}} {
		b.Run(fmt.Sprintf("legs=%d/meetings=%d", o.legs, o.meetings), func(b *testing.B) {
			c, m := bench(b)
			spaces := make([]*store.Record, o.meetings)
			for i := range spaces {
				spaces[i] = space(b, nil)
			}
			for i := range o.legs {
				arrive(c, m, spaces[i%len(spaces)])
			}
			c.lines.settle()
			c.tells.settle()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				arrive(c, m, spaces[n%len(spaces)]).Ended(RemoteTeardown, true)
				n++
			}
			b.StopTimer()
			c.lines.settle()
			c.tells.settle()
		})
	}
}

// BenchmarkRefresh: a profile has changed that none of a thousand legs in a hundred meetings has.
func BenchmarkRefresh(b *testing.B) {
	c, m := bench(b)
	for range 100 {
		s := space(b, fields{"callLegProfile": profile(b, fields{"participantLabels": "true", "qualityMain": "max720p30"})})
		for range 10 {
			arrive(c, m, s)
		}
	}
	c.lines.settle()
	c.tells.settle()
	b.ReportAllocs()
	for b.Loop() {
		c.Refresh()
	}
}
