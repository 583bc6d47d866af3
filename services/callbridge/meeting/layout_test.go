package meeting

import (
	"testing"

	"rotunda/services/callbridge/schema"
	"rotunda/services/media/control"
)

func TestTurningThroughTheFamilies(t *testing.T) {
	at := "automatic"
	for _, want := range []string{"allEqual", "stacked", "telepresence", "speakerOnly", "onePlusN", "automatic"} {
		if at = turn(at, 1); at != want {
			t.Fatalf("want %s next, got %s", want, at)
		}
	}
	for from, want := range map[string][2]string{"allEqualNinths": {"stacked", "automatic"}, "onePlusSeven": {"automatic", "speakerOnly"}, "": {"allEqual", "onePlusN"}} {
		if turn(from, 1) != want[0] || turn(from, -1) != want[1] {
			t.Errorf("after %q comes %s, before it %s; want %v", from, turn(from, 1), turn(from, -1), want)
		}
	}
}

func TestWhichLayoutCounts(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"defaultLayout": "stacked"})
	alice := w.joins("alice", s)
	id := alice.info().ID
	shows := func(want string) {
		t.Helper()
		if got := alice.put().View.Layout; got != want || alice.info().Layout != want || alice.participant().Layout != want {
			t.Errorf("want %s, the engine has %s, the leg says %s", want, got, alice.info().Layout)
		}
	}
	set := func(f fields) {
		t.Helper()
		if err := w.calls.UpdateLeg(t.Context(), id, f); err != nil {
			t.Fatal(err)
		}
	}
	shows("stacked")
	set(fields{"callLegProfile": profile(t, fields{"defaultLayout": "allEqual"})})
	shows("allEqual")
	set(fields{"layout": "speakerOnly"})
	shows("speakerOnly")
	set(fields{"layout": "stacked", "defaultLayout": "onePlusN"})
	shows("onePlusN")
	set(fields{"chosenLayout": "telepresence"})
	shows("telepresence")
	set(fields{"chosenLayout": "", "defaultLayout": ""})
	shows("allEqual")
	set(fields{"callLegProfile": ""})
	shows("stacked")
}

func TestKeysChangeTheLayoutWhereThatIsAllowed(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"tenant": keysOf(t, fields{"nextLayout": "*1", "previousLayout": "*12"})})
	alice := w.joins("alice", s)
	alice.presses("*1")
	if got := alice.put().View.Layout; got != "automatic" {
		t.Errorf("a longer sequence may still come, and the layout is %s", got)
	}
	w.pass(5e9)
	if got := alice.put().View.Layout; got != "allEqual" {
		t.Errorf("want allEqual, got %s", got)
	}
	alice.presses("*12*12")
	if got := alice.put().View.Layout; got != "onePlusN" || alice.info().ChosenLayout != "onePlusN" {
		t.Errorf("want onePlusN, got %s", got)
	}
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"changeLayoutAllowed": "false"}); err != nil {
		t.Fatal(err)
	}
	alice.presses("*12")
	if got := alice.put().View.Layout; got != "onePlusN" {
		t.Errorf("a layout that may not be changed is %s", got)
	}
}

func TestALayoutOfOnesOwn(t *testing.T) {
	w := newWorld(t)
	template := put(t, schema.LayoutTemplate, ID{}, fields{"name": "two", "template": `{"templates":[{"panes":[{"x":0,"y":0,"w":5000,"h":10000},{"x":5000,"y":0,"w":5000,"h":10000}]}]}`})
	s := space(t, fields{"callLegProfile": profile(t, fields{"layoutTemplate": template.ID().String(), "defaultLayout": "stacked"})})
	alice := w.joins("alice", s)
	want := []control.Pane{{W: 5000, H: 10000}, {X: 5000, W: 5000, H: 10000}}
	if got := alice.put().View.Template; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("want %v, got %v", want, got)
	}
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"chosenLayout": "allEqual"}); err != nil {
		t.Fatal(err)
	}
	if v := alice.put().View; v.Template != nil || v.Layout != "allEqual" {
		t.Errorf("the layout that was chosen does not count: %+v", v)
	}
	w.mu.Lock()
	w.licence.NoCustomizations = true
	w.mu.Unlock()
	if v := w.joins("bob", s).put().View; v.Template != nil || v.Layout != "stacked" {
		t.Errorf("without the licence bob sees %+v", v)
	}
}

func TestWhatElseIsInTheView(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"panePlacementHighestImportance": "4", "panePlacementSelfPaneMode": "blank",
		"callLegProfile": profile(t, fields{"participantLabels": "true", "participantCounter": "always"})})
	alice := w.joins("alice", s)
	if v := alice.put().View; v.HighestImportance != 4 || v.SelfPane != "blank" || !v.Labels || v.Counter != "always" || v.PresentationIn {
		t.Errorf("the view is %+v", v)
	}
	err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"panePlacementSelfPaneMode": "self", "panePlacementHighestImportance": "2"})
	if err != nil {
		t.Fatal(err)
	}
	if alice.put().View.MarkSpeaker {
		t.Error("the speaker is marked, and nobody asked for it")
	}
	for mode, want := range map[string]bool{"allow": true, "suppress": false, "": false} {
		if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"panePlacementActiveSpeakerMode": mode}); err != nil {
			t.Fatal(err)
		}
		if got := alice.put().View.MarkSpeaker; got != want {
			t.Errorf("panePlacementActiveSpeakerMode %q: want the speaker marked %t, got %t", mode, want, got)
		}
	}
	if v := alice.put().View; v.HighestImportance != 2 || v.SelfPane != "self" {
		t.Errorf("the view is %+v", v)
	}
	if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"panePlacementSelfPaneMode": ""}); err != nil {
		t.Fatal(err)
	}
	if v := alice.put().View; v.SelfPane != "blank" {
		t.Errorf("unset, the value of the space counts: %+v", v)
	}
	// Who has no second stream, or wants none, sees presentations in the main picture.
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"presentationDisplayMode": "singleStream"}); err != nil {
		t.Fatal(err)
	}
	if m := alice.put(); !m.View.PresentationIn || !m.Presentation.Blind {
		t.Errorf("singleStream: %+v and %+v", m.View, m.Presentation)
	}
	bob := w.arrives("bob", Target{Entries: []Entry{{Space: s}}})
	bob.answersWith(MediaInfo{Audio: true, Video: true})
	if !bob.put().View.PresentationIn {
		t.Error("bob has no second stream and does not see presentations")
	}
	if err := w.calls.UpdateLeg(t.Context(), bob.info().ID, fields{"presentationViewingAllowed": "false"}); err != nil {
		t.Fatal(err)
	}
	if bob.put().View.PresentationIn {
		t.Error("bob may not see presentations and does")
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	p := alice.info().Participant
	named := func(want string) {
		t.Helper()
		if alice.info().Name != want || alice.participant().Name != want || alice.put().Name != want {
			t.Errorf("want %q: the leg says %q, the participant %q, the engine %q", want, alice.info().Name, alice.participant().Name, alice.put().Name)
		}
	}
	named("alice")
	for _, name := range []string{"Alice from sales", "A."} {
		if err := w.calls.UpdateParticipant(t.Context(), p, fields{"nameLabelOverride": name}); err != nil {
			t.Fatal(err)
		}
		named(name)
	}
	// The last one who says it wins, at the leg too.
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"nameLabelOverride": "Al"}); err != nil {
		t.Fatal(err)
	}
	named("Al")
	alice.leg.Changed(Identity{Name: "Alice B."}, full)
	named("Al")
	if err := w.calls.UpdateParticipant(t.Context(), p, fields{"nameLabelOverride": ""}); err != nil {
		t.Fatal(err)
	}
	named("Alice B.")
}

func TestStreamsThatSignallingMakesAnewAreMutedAgain(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callLegProfile": profile(t, fields{"rxAudioMute": "true", "rxVideoMute": "true"})})
	alice := w.joins("alice", s)
	alice.media.Set(streams)
	alice.leg.Changed(Identity{}, full)
	w.settle()
	if m := alice.put(); !m.Audio.Muted || !m.Video.Muted {
		t.Errorf("the engine has %+v and %+v", m.Audio, m.Video)
	}
}
