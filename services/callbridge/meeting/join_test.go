package meeting

import (
	"slices"
	"testing"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

func TestACallIntoASpaceFromTheFirstRingToTheLastGoodbye(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"cdrTag": "room 5", "meetingScheduler": "Fred"})
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.does("accept")
	if got, want := w.kinds(), []Kind{CallBegan, ParticipantBegan, LegBegan}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	k := w.only()
	if k.Type != SpaceCall || k.Name != "weekly" || k.Space != s.ID() || k.Tag != "room 5" || k.OwnerName != "Fred" || k.Legs != 1 || k.Participants != 1 {
		t.Errorf("the call is %+v", k)
	}
	if got := alice.put(); got.Conference != "" {
		t.Errorf("before it is answered the leg is in %q", got.Conference)
	}
	alice.answers()
	if got := alice.info(); got.State != Connected || got.Call != k.ID || got.Remote != "alice@example.com" || got.SIPID != "alice" || got.MediaID != got.ID.String() {
		t.Errorf("the leg is %+v", got)
	}
	if got := alice.put(); got.Conference != k.ID.String() || got.Name != "alice" || got.Audio.Muted || !got.Audio.Gain || got.View.Screen != "" || got.View.Layout != "automatic" {
		t.Errorf("the engine has %+v", got)
	}
	if p := alice.participant(); p.State != Connected || p.URI != "alice@example.com" || !p.IsActivator || p.Deactivated || len(p.Legs) != 1 {
		t.Errorf("the participant is %+v", p)
	}
	bob := w.arrives("bob", Target{Entries: []Entry{{Space: s}}})
	if got := bob.put(); got.Conference != "" || got.Near != k.ID.String() {
		t.Errorf("before it is answered the leg is in %q near %q", got.Conference, got.Near)
	}
	bob.answers()
	if k := w.only(); k.Legs != 2 || k.MaxLegs != 2 || k.Participants != 2 {
		t.Errorf("the call is %+v", k)
	}
	w.kinds()
	alice.hangsUp()
	if got, want := w.kinds(), []Kind{CallChanged, LegOver, ParticipantOver}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	if got := alice.info(); got.End != RemoteTeardown || !got.EndedByOther || got.State != Gone {
		t.Errorf("the leg ended as %+v", got)
	}
	bob.hangsUp()
	var last CallInfo
	w.settle()
	w.mu.Lock()
	last = *w.changes[len(w.changes)-1].Call
	w.mu.Unlock()
	if got, want := w.kinds(), []Kind{LegOver, ParticipantOver, CallOver}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	if len(w.calls.Calls())+len(w.calls.Legs(ID{}))+len(w.calls.Participants(ID{})) != 0 {
		t.Error("something is left of the call")
	}
	if last.LegsCompleted != 2 || last.MaxLegs != 2 || last.Legs != 0 {
		t.Errorf("at its end the call is %+v", last)
	}
	w.test.Await(t, "deleteConference "+k.ID.String())
	// Lines that do not close their media do not keep ports.
	w.pass(lastWords)
	w.test.Await(t, "deleteLeg "+alice.media.ID())
}

func TestCallsThatLeadNowhereAreRecordsAlone(t *testing.T) {
	for name, target := range map[string]Target{"rejected": {Reject: RemoteRejected}, "no way in": {}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := w.arrives("scanner", target)
			want := UnknownDestination
			if target.Reject != "" {
				want = target.Reject
			}
			f.does("hangup " + string(want))
			if got := w.kinds(); !slices.Equal(got, []Kind{LegBegan, LegOver}) {
				t.Errorf("got the changes %v", got)
			}
			if i := f.info(); i.Call != (ID{}) || i.End != want {
				t.Errorf("the leg is %+v", i)
			}
		})
	}
}

func TestLimitsCountParticipants(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callProfile": callProfileOf(t, fields{"participantLimit": "2"})})
	alice, _ := w.joins("alice", s), w.joins("bob", s)
	carol := w.arrives("carol", Target{Entries: []Entry{{Space: s}}})
	carol.does("hangup participantLimitReached")
	if i := carol.info(); i.End != ParticipantLimit || i.Call != (ID{}) {
		t.Errorf("carol's leg is %+v", i)
	}
	// A further leg of somebody who is there is no participant.
	id, err := w.calls.AddLeg(t.Context(), w.only().ID, alice.info().Participant, fields{"remoteParty": "alice.phone@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := w.calls.Leg(id); l.Participant != alice.info().Participant {
		t.Errorf("the leg belongs to %s", l.Participant)
	}
	if _, err := w.calls.AddParticipant(t.Context(), w.only().ID, fields{"remoteParty": "dave@example.com"}); err == nil || err.Error() != "participantLimitReached" {
		t.Errorf("want participantLimitReached, got %v", err)
	}
	alice.hangsUp()
	if k := w.only(); k.Participants != 2 || k.Legs != 2 {
		t.Errorf("with a leg left alice is still there: got %+v", k)
	}
}

func TestLimitsOfATenantCountAllItsMeetings(t *testing.T) {
	w := newWorld(t)
	tenant := put(t, schema.Tenants, ID{}, fields{"name": "t", "participantLimit": "2"}).ID().String()
	one, two := space(t, fields{"tenant": tenant}), space(t, fields{"tenant": tenant})
	alice := w.joins("alice", one)
	w.joins("bob", two)
	w.arrives("carol", Target{Entries: []Entry{{Space: one}}}).does("hangup tenantParticipantLimitReached")
	alice.hangsUp()
	w.joins("dave", two).does("accept")
}

func TestRightsComeFromTheWayIn(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callLegProfile": profile(t, fields{"muteSelfAllowed": "false", "rxAudioMute": "true"})})
	m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "callLegProfile": profile(t, fields{"muteSelfAllowed": "true"}), "importance": "7"})
	host := w.joinsBy("host", Entry{Space: s, Method: m})
	if i := host.info(); !i.Rights.Bool("muteSelfAllowed") || !i.Rights.Bool("rxAudioMute") || i.Method != m.ID() {
		t.Errorf("the rights are not those of space and method: %+v", i)
	}
	if p := host.participant(); p.Importance == nil || *p.Importance != 7 || !p.AudioMuted {
		t.Errorf("the participant is %+v", p)
	}
	if got := host.put(); got.Importance != 7 || !got.Audio.Muted {
		t.Errorf("the engine has %+v", got)
	}
	host.mu.Lock()
	if host.rights == nil || !host.rights.Bool("muteSelfAllowed") {
		t.Error("signalling was not told the rights")
	}
	host.mu.Unlock()
}

// uri is a user part that no other test has.
func uri(t testing.TB) string { return "u" + fresh().String() }

func TestMembersAreKnownByTheirAddress(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	jid := uri(t) + "@example.com"
	user := put(t, schema.User, ID{}, fields{"userJid": jid, "cdrTag": "staff"})
	m := put(t, schema.CoSpaceUser, s.ID(), fields{"userId": user.ID().String(), "callLegProfile": profile(t, fields{"callLockAllowed": "true"})})
	member := w.joins(jid[:len(jid)-len("@example.com")], s)
	if i := member.info(); i.Guest || i.Member != m.ID() || i.User != user.ID() || i.UserTag != "staff" || !i.Rights.Bool("callLockAllowed") {
		t.Errorf("the member is %+v", i)
	}
	if p := member.participant(); p.UserJID != jid || p.User != user.ID() {
		t.Errorf("the participant is %+v", p)
	}
	w.strangers = true
	if i := w.joins(jid[:len(jid)-len("@example.com")], s).info(); !i.Guest || i.User != (ID{}) {
		t.Errorf("somebody who only says to be the member is %+v", i)
	}
	if i := w.joins("guest", s).info(); !i.Guest || i.Rights.Bool("callLockAllowed") {
		t.Errorf("the guest is %+v", i)
	}
}

func TestALegWithoutRoomForItsMediaEnds(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	alice.does("accept")
	w.test.Refuse(func(ask, id string) error {
		if ask == "putLeg" {
			return control.Errorf(control.CodeCapacity, "full")
		}
		return nil
	})
	over := make(chan struct{})
	w.calls.Subscribe(func(c Change) {
		if c.Kind == LegOver {
			close(over)
		}
	})
	if err := w.calls.UpdateLeg(t.Context(), alice.info().ID, fields{"rxAudioMute": "true"}); err != nil {
		t.Fatal(err)
	}
	<-over
	w.settle()
	if i := alice.info(); i.End != Failed {
		t.Errorf("the leg ended by %q", i.End)
	}
	alice.does("hangup error")
}

func TestCloseEndsEverybodyAndLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	alice.does("accept")
	w.calls.Close(t.Context())
	alice.does("hangup localTeardown")
	w.arrives("bob", Target{Entries: []Entry{{Space: s}}}).does("hangup localTeardown")
	if got := w.kinds(); got[len(got)-1] != LegOver || !slices.Contains(got, CallOver) {
		t.Errorf("the changes are %v", got)
	}
}

func TestWhatAUserMayNotDoCountsInEveryMeeting(t *testing.T) {
	w := newWorld(t)
	jid := uri(t) + "@example.com"
	p := put(t, schema.UserProfile, ID{}, fields{"audioParticipationAllowed": "false", "videoParticipationAllowed": "false", "presentationParticipationAllowed": "false"})
	put(t, schema.User, ID{}, fields{"userJid": jid, "userProfile": p.ID().String()})
	f := w.joins(jid[:len(jid)-len("@example.com")], space(t, nil))
	f.does("accept")
	if m := f.put(); !m.Audio.Muted || !m.Audio.Deaf || !m.Video.Muted || !m.Video.Blind || !m.Presentation.Blind {
		t.Errorf("the engine has %+v, %+v, %+v", m.Audio, m.Video, m.Presentation)
	}
	f.leg.WantsFloor()
	f.does("revoke")
}

func TestMeetingsGoOnWithoutTheDatabase(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callLegProfile": profile(t, fields{"defaultLayout": "stacked"})})
	var v store.View
	w.calls.o.View = func() store.View { return v }
	w.arrives("early", Target{Any: true}).does("hangup ivrUnknownCall")
	in := w.arrives("gateway", Target{Forward: &Dial{To: "x@example.com"}})
	w.dialled().answers()
	in.answers()
	if i := in.info(); i.State != Connected || i.Layout != "automatic" || !i.Rights.Bool("muteSelfAllowed") {
		t.Errorf("without any objects the leg is %+v", i)
	}
	w.joins("alice", s).does("accept")
	v = objects
	w.joins("bob", s)
	v = nil // what was seen last counts
	if i := w.joins("carol", s).info(); i.Layout != "stacked" {
		t.Errorf("the leg is %+v", i)
	}
	if _, err := w.calls.CreateCall(t.Context(), fields{"coSpace": fresh().String()}); err != noSpace {
		t.Errorf("a space that is not there: %v", err)
	}
}
