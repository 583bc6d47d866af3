package meeting

import (
	"errors"
	"slices"
	"testing"

	"rotunda/services/callbridge/failure"
)

func TestAParticipantMovesToAnotherMeeting(t *testing.T) {
	w := newWorld(t)
	one, two := space(t, nil), space(t, fields{"callLegProfile": profile(t, fields{"defaultLayout": "stacked"})})
	alice, bob := w.joins("alice", one), w.joins("bob", one)
	carol := w.joins("carol", two)
	alice.leg.WantsFloor()
	w.settle()
	before, from, to := alice.info(), alice.info().Call, carol.info().Call
	old := alice.participant()
	if !old.CanMove || !before.CanMove {
		t.Error("alice cannot be moved")
	}
	alice.does("accept", "grant")
	bob.does("accept", "show true")
	w.kinds()
	id, err := w.calls.AddParticipant(t.Context(), to, fields{"movedParticipant": old.ID.String()})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.kinds(), []Kind{CallChanged, LegOver, ParticipantOver, ParticipantBegan, LegBegan, CallChanged}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	alice.does("revoke") // neither hung up nor answered anew
	bob.does("show false")
	i, p := alice.info(), alice.participant()
	if p.ID != id || p.Call != to || p.MovedFrom != old.ID || i.Moved != before.ID || i.ID == before.ID || i.Call != to || i.State != Connected || i.Layout != "stacked" ||
		i.MediaID != before.ID.String() {
		t.Errorf("alice is %+v and %+v", p, i)
	}
	if m := alice.put(); m.Conference != to.String() || m.View.Layout != "stacked" {
		t.Errorf("the engine has %+v", m)
	}
	if _, ok := w.calls.Leg(before.ID); ok {
		t.Error("the old leg is still there")
	}
	if k, _ := w.calls.Call(from); k.Legs != 1 || k.Participants != 1 || k.LegsCompleted != 1 || k.Presenter != (ID{}) {
		t.Errorf("the call that was left is %+v", k)
	}
	// The line still speaks for the same leg.
	alice.leg.Key('1')
	alice.leg.WantsFloor()
	alice.does("grant")
	carol.does("accept", "show true")
	alice.hangsUp()
	if k, _ := w.calls.Call(to); k.Legs != 1 {
		t.Errorf("the call is %+v", k)
	}
}

func TestTheLastOneWhoMovesEndsTheMeeting(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, nil))
	carol := w.joins("carol", space(t, nil))
	to := carol.info().Call
	if _, err := w.calls.AddParticipant(t.Context(), to, fields{"movedParticipant": alice.info().Participant.String(), "nameLabelOverride": "A", "rxAudioMute": "true"}); err != nil {
		t.Fatal(err)
	}
	if k := w.only(); k.ID != to || k.Participants != 2 {
		t.Errorf("the call is %+v", k)
	}
	if p := alice.participant(); p.Name != "A" || !p.AudioMuted {
		t.Errorf("alice is %+v", p)
	}
}

func TestWhoCannotMove(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	here := alice.info().Call
	full := w.joins("full", space(t, fields{"callProfile": callProfileOf(t, fields{"participantLimit": "1"})}))
	other := w.joins("other", space(t, nil)).info().Call
	ringing := w.arrives("ringing", Target{Entries: []Entry{{Space: s}}})
	gateway := w.arrives("gateway", Target{Forward: &Dial{To: "x@example.com"}})
	for _, c := range []struct {
		name string
		to   ID
		who  string
		want error
	}{
		{"to where she is", here, alice.info().Participant.String(), failure.ParticipantCannotBeModified},
		{"nobody", other, fresh().String(), noParticipant},
		{"not even an ID", other, "x", nil},
		{"a full meeting", full.info().Call, alice.info().Participant.String(), failure.ParticipantLimitReached},
		{"somebody who is not there yet", other, ringing.info().Participant.String(), failure.ParticipantCannotBeModified},
		{"one side of a gateway call", other, gateway.info().Participant.String(), failure.ParticipantCannotBeModified},
		{"to a call that is not there", fresh(), alice.info().Participant.String(), noCall},
	} {
		_, err := w.calls.AddParticipant(t.Context(), c.to, fields{"movedParticipant": c.who})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: want %v, got %v", c.name, c.want, err)
		}
	}
	if alice.info().Call != here {
		t.Error("alice moved")
	}
}
