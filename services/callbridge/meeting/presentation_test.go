package meeting

import "testing"

func (f *far) presents(want bool) {
	f.w.t.Helper()
	id := f.info().ID
	if k := f.w.only(); (k.Presenter == id) != want {
		f.w.t.Errorf("%s: want to present %t, the call's presenter is %s", f.leg.name, want, k.Presenter)
	}
	if f.participant().Presenting != want {
		f.w.t.Errorf("%s: the participant presents %t", f.leg.name, !want)
	}
	if got := f.w.conference().Presenter == f.media.ID(); got != want {
		f.w.t.Errorf("%s: the engine shows it %t", f.leg.name, got)
	}
}

func TestTheFloorGoesFromOneToTheNext(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice, bob, carol := w.joins("alice", s), w.joins("bob", s), w.joins("carol", s)
	for _, f := range []*far{alice, bob, carol} {
		f.does("accept")
	}
	alice.leg.WantsFloor()
	alice.does("grant")
	bob.does("show true")
	carol.does("show true")
	alice.presents(true)
	alice.leg.WantsFloor()
	alice.does("grant") // asked twice
	bob.leg.WantsFloor()
	alice.does("revoke", "show true")
	bob.does("show false", "grant")
	carol.does()
	bob.presents(true)
	alice.presents(false)
	alice.leg.LeavesFloor() // what it does not have
	bob.presents(true)
	dave := w.joins("dave", s)
	dave.does("accept", "show true")
	bob.leg.LeavesFloor()
	bob.does()
	for _, f := range []*far{alice, carol, dave} {
		f.does("show false")
	}
	bob.presents(false)
	carol.leg.WantsFloor()
	carol.presents(true)
	carol.hangsUp()
	alice.does("show true", "show false")
	if w.only().Presenter != (ID{}) || w.conference().Presenter != "" {
		t.Error("a presenter who hung up is still shown")
	}
}

func TestWhoMayPresent(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callLegProfile": profile(t, fields{"presentationContributionAllowed": "false"})})
	alice := w.joins("alice", s)
	alice.does("accept")
	alice.leg.WantsFloor()
	alice.does("revoke")
	id := w.only().ID
	if err := w.calls.UpdateCall(t.Context(), id, fields{"allowAllPresentationContribution": "true"}); err != nil {
		t.Fatal(err)
	}
	alice.leg.WantsFloor()
	alice.does("grant")
	alice.presents(true)
	if err := w.calls.UpdateCall(t.Context(), id, fields{"allowAllPresentationContribution": "false"}); err != nil {
		t.Fatal(err)
	}
	alice.does("revoke")
	alice.presents(false)
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"presentationContributionAllowed": "true"}); err != nil {
		t.Fatal(err)
	}
	alice.leg.WantsFloor()
	alice.presents(true)
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"presentationContributionAllowed": ""}); err != nil {
		t.Fatal(err)
	}
	alice.presents(false)
}

func TestNobodyPresentsFromTheLobby(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	guest := w.joinsBy("guest", guests)
	guest.does("accept")
	guest.leg.WantsFloor()
	guest.does("revoke")
	host := w.joinsBy("host", hosts)
	host.does("accept")
	guest.leg.WantsFloor()
	guest.does("grant")
	host.does("show true")
	if err := w.calls.UpdateParticipant(t.Context(), guest.info().Participant, fields{"deactivated": "true"}); err != nil {
		t.Fatal(err)
	}
	guest.does("revoke")
	host.does("show false")
	// Who is in the lobby is not shown what others present, and is when it is let in.
	host.leg.WantsFloor()
	host.does("grant")
	guest.does()
	if err := w.calls.UpdateParticipant(t.Context(), guest.info().Participant, fields{"deactivated": "false"}); err != nil {
		t.Fatal(err)
	}
	guest.does("show true")
}

func TestWhoMayNotViewIsNotShown(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice, bob := w.joins("alice", s), w.joins("bob", s)
	if err := w.calls.UpdateLeg(t.Context(), bob.info().ID, fields{"presentationViewingAllowed": "false"}); err != nil {
		t.Fatal(err)
	}
	bob.does("accept")
	alice.leg.WantsFloor()
	bob.does()
	if !bob.put().Presentation.Blind {
		t.Error("bob's second stream is sent the presentation")
	}
	if err := w.calls.UpdateLeg(t.Context(), bob.info().ID, fields{"presentationViewingAllowed": ""}); err != nil {
		t.Fatal(err)
	}
	bob.does("show true")
	if bob.put().Presentation.Blind {
		t.Error("bob's second stream is not sent the presentation")
	}
}
