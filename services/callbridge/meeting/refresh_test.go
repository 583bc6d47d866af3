package meeting

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// change writes fields of an object that there is; "" unsets one.
func change(t testing.TB, r *store.Record, f fields) {
	t.Helper()
	err := objects.Write(context.Background(), func(tx *store.Tx) error {
		d := tx.Edit(tx.Get(r.Object(), r.ID()))
		for name, v := range f {
			d.Set(name, v)
		}
		return tx.Put(d)
	})
	if err != nil {
		t.Fatalf("change %s: %v", r, err)
	}
}

func TestAProfileThatChangesCountsAtOnce(t *testing.T) {
	w := newWorld(t)
	p := put(t, schema.CallLegProfile, ID{}, fields{"participantLabels": "true", "rxAudioMute": "false"})
	s := space(t, fields{"callLegProfile": p.ID().String()})
	m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t)})
	alice, bob := w.joins("alice", s), w.joinsBy("bob", Entry{Space: s, Method: m})
	own := w.joins("carol", s)
	if err := w.calls.UpdateLeg(t.Context(), own.info().ID, fields{"participantLabels": "true"}); err != nil {
		t.Fatal(err)
	}
	labels := func(f *far, want bool) {
		t.Helper()
		if got := f.put().View.Labels; got != want {
			t.Errorf("%s: want names %t, got %t", f.leg.name, want, got)
		}
	}
	labels(alice, true)
	change(t, p, fields{"participantLabels": "false"})
	w.calls.Refresh()
	w.settle()
	labels(alice, false)
	labels(bob, false)
	labels(own, true) // what was set for the leg counts before

	// Another profile at the space, and one of the way in.
	change(t, s, fields{"callLegProfile": profile(t, fields{"participantLabels": "true", "rxAudioMute": "true"})})
	change(t, m, fields{"callLegProfile": profile(t, fields{"participantLabels": "false", "maxCallDurationTime": "60"})})
	alice.played()
	w.calls.Refresh()
	w.settle()
	labels(alice, true)
	labels(bob, false)
	if !alice.put().Audio.Muted || !bob.put().Audio.Muted || !alice.info().Muted.RxAudio {
		t.Error("the space mutes, and they are heard")
	}
	alice.hears("muted")
	w.pass(time.Minute)
	if i := bob.info(); i.End != TimedOut {
		t.Errorf("a minute is over, and bob's leg ended by %q", i.End)
	}
	if i := alice.info(); i.End != "" {
		t.Errorf("alice's leg ended by %q", i.End)
	}
}

func TestAProfileThatTakesActivationAway(t *testing.T) {
	w := newWorld(t)
	p := put(t, schema.CallLegProfile, ID{}, fields{"needsActivation": "true"})
	s := space(t, fields{"callLegProfile": p.ID().String()})
	one, two := w.joins("one", s), w.joins("two", s)
	one.waits(true)
	change(t, p, fields{"needsActivation": "false"})
	w.calls.Refresh()
	one.waits(false)
	two.waits(false)
	change(t, p, fields{"needsActivation": "true", "deactivationMode": "deactivate", "deactivationModeTime": "0"})
	w.calls.Refresh()
	w.settle()
	one.waits(true)
	two.waits(true)
}

func TestCallSettingsCountWhenTheyAreApplied(t *testing.T) {
	w := newWorld(t)
	set := func(v string) {
		put(t, schema.CallSettings, ID{}, fields{"participantLabels": v})
		w.calls.Refresh()
	}
	set("true")
	defer put(t, schema.CallSettings, ID{}, fields{"participantLabels": ""})
	s := space(t, nil)
	alice := w.joins("alice", s)
	if !alice.put().View.Labels {
		t.Error("the call settings want names, and there are none")
	}
	set("false")
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"defaultLayout": "stacked"}); err != nil {
		t.Fatal(err)
	}
	if !alice.put().View.Labels {
		t.Error("the call settings count for a call that is up before they are applied")
	}
	if w.joins("bob", s).put().View.Labels {
		t.Error("the call settings do not count for a new call")
	}
	w.calls.ApplySettings()
	if alice.put().View.Labels {
		t.Error("the call settings were applied, and names stand there")
	}
}

func TestATemplateThatChangesCountsAtOnce(t *testing.T) {
	w := newWorld(t)
	pane := func(w string) string { return `{"templates":[{"panes":[{"x":0,"y":0,"w":` + w + `,"h":10000}]}]}` }
	template := put(t, schema.LayoutTemplate, ID{}, fields{"name": "one", "template": pane("5000")})
	alice := w.joins("alice", space(t, fields{"callLegProfile": profile(t, fields{"layoutTemplate": template.ID().String()})}))
	for _, want := range []int{5000, 10000} {
		change(t, template, fields{"template": pane(fmt.Sprint(want))})
		w.calls.Refresh()
		if got := alice.put().View.Template; len(got) != 1 || got[0].W != want {
			t.Errorf("want a pane of %d, got %+v", want, got)
		}
	}
}
