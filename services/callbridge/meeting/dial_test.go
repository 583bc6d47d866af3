package meeting

import (
	"context"
	"slices"
	"strings"
	"testing"

	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/schema"
)

// invites calls somebody into the only call there is.
func (w *world) invites(f fields) *far {
	w.t.Helper()
	g := fields{"remoteParty": "bob@example.com", "confirmation": "false"}
	for k, v := range f {
		g[k] = v
	}
	if _, err := w.calls.AddParticipant(w.t.Context(), w.only().ID, g); err != nil {
		w.t.Fatal(err)
	}
	return w.dialled()
}

func TestACallOutFromAMeeting(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	w.joins("alice", s)
	w.kinds()
	p := profile(t, fields{"changeLayoutAllowed": "false", "defaultLayout": "stacked"})
	bob := w.invites(fields{"bandwidth": "512000", "dtmfSequence": "1,2#" + strings.Repeat("3", 100), "callLegProfile": p, "importance": "9", "nameLabelOverride": "Bob B.",
		"sipMediaEncryption": "required", "layout": "onePlusN", "ownerId": "owner", "videoMode": "disabled"})
	d := bob.dial
	if d.To != "bob@example.com" || d.Bandwidth != 512000 || d.Encryption != "required" || !d.NoVideo || d.FromName != "weekly" || d.Leg != bob.info().ID ||
		d.Rights == nil || d.Rights.Bool("changeLayoutAllowed") {
		t.Errorf("the dialer was asked for %+v", d)
	}
	if got, want := w.kinds(), []Kind{ParticipantBegan, LegBegan, CallChanged}; !slices.Equal(got, want) {
		t.Errorf("want the changes %v, got %v", want, got)
	}
	state := func(want State) {
		t.Helper()
		if i, p := bob.info(), bob.participant(); i.State != want || p.State != want || i.Direction != Outgoing || p.Direction != Outgoing {
			t.Errorf("want %s, the leg is %s, the participant %s", want, i.State, p.State)
		}
	}
	state(Initial)
	bob.leg.Ringing()
	state(Ringing)
	if bob.put().Conference != "" {
		t.Error("a leg that rings is in the meeting")
	}
	bob.leg.Answered(Identity{Name: "Robert", Address: "bob@pbx.example.com"}, full)
	state(Connected)
	i := bob.info()
	if i.Name != "Bob B." || i.Remote != "bob@pbx.example.com" || i.Original != "bob@example.com" || i.Layout != "onePlusN" || i.OwnerID != "owner" ||
		i.Rights.Bool("changeLayoutAllowed") || i.Media != full {
		t.Errorf("the leg is %+v", i)
	}
	if m := bob.put(); m.Conference != w.only().ID.String() || m.Importance != 9 || m.Name != "Bob B." || m.View.Layout != "onePlusN" {
		t.Errorf("the engine has %+v", m)
	}
	bob.barrier()
	w.engine.mu.Lock()
	if got := w.engine.keys[bob.media.ID()]; got != "1,2#"+strings.Repeat("3", 100) {
		t.Errorf("the keys sent are %q", got)
	}
	w.engine.mu.Unlock()
	if err := w.calls.UpdateParticipant(t.Context(), bob.info().Participant, fields{"dtmfSequence": "*"}); err != nil {
		t.Fatal(err)
	}
	bob.barrier()
	w.engine.mu.Lock()
	if got := w.engine.keys[bob.media.ID()]; !strings.HasSuffix(got, "3*") {
		t.Errorf("the keys sent are %q", got)
	}
	w.engine.mu.Unlock()
}

func TestCallsOutThatFail(t *testing.T) {
	for _, why := range []Reason{RemoteBusy, RemoteRejected, RingingTimeout, DNSFailure, UnknownDestination, TimedOut} {
		w := newWorld(t)
		w.joins("alice", space(t, nil))
		bob := w.invites(nil)
		bob.leg.Ended(why, why == RemoteBusy)
		w.settle()
		if i := bob.info(); i.End != why || i.EndedByOther != (why == RemoteBusy) {
			t.Errorf("%s: the leg ended by %q", why, i.End)
		}
		if k := w.only(); k.Participants != 1 || k.Legs != 1 {
			t.Errorf("%s: the call is %+v", why, k)
		}
		bob.does()
	}
}

func TestWhatALineTellsBeforeTheDialerHasReturnedIsNotLost(t *testing.T) {
	w := newWorld(t)
	w.calls.o.Dialer = hasty{w}
	w.joins("alice", space(t, nil))
	bob := w.invites(nil)
	if i := bob.info(); i.State != Connected || bob.put().Conference == "" {
		t.Errorf("the leg is %+v", i)
	}
}

// hasty answers within Dial.
type hasty struct{ *world }

func (h hasty) Dial(ctx context.Context, d Dial, c Caller) (Line, *mixer.Leg) {
	c.Ringing()
	c.Answered(Identity{}, full)
	return h.world.Dial(ctx, d, c)
}

func TestConfirmation(t *testing.T) {
	audio := MediaInfo{Audio: true}
	for _, c := range []struct {
		name, confirmation string
		media              MediaInfo
		asks               bool
	}{
		{"always", "true", full, true}, {"never", "false", audio, false}, {"video, nobody said", "", full, false}, {"telephone, nobody said", "", audio, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.joins("alice", space(t, nil))
			bob := w.invites(fields{"confirmation": c.confirmation})
			bob.answersWith(c.media)
			in := bob.put().Conference != ""
			if in == c.asks {
				t.Fatalf("want to be asked %t, and the leg is in the meeting %t", c.asks, in)
			}
			if !c.asks {
				bob.hears("cospace_outgoing_welcome cospace_join")
				return
			}
			bob.hears("cospace_outgoing_welcome")
			bob.played()
			bob.hears("cospace_join_confirmation")
			bob.presses("5")
			if bob.put().Conference != "" || bob.put().View.Screen != "welcome" {
				t.Error("a wrong key let somebody in")
			}
			bob.presses("1")
			if bob.put().Conference == "" || bob.put().View.Screen != "" {
				t.Error("the right key let nobody in")
			}
			bob.played()
			bob.hears("cospace_join")
		})
	}
	t.Run("nobody presses", func(t *testing.T) {
		w := newWorld(t)
		w.joins("alice", space(t, nil))
		bob := w.invites(fields{"confirmation": "true"})
		bob.answers()
		bob.played()
		w.pass(61e9)
		bob.played()
		bob.does("hangup confirmationTimeOut")
	})
}

func TestAnInvitationIsHeardOnce(t *testing.T) {
	w := newWorld(t)
	hosts, _ := lobby(t, nil, nil)
	w.joinsBy("host", hosts)
	from := w.only().ID
	bob := w.invites(fields{"deactivated": "true"})
	bob.answers()
	bob.hears("cospace_outgoing_welcome")
	bob.played()
	bob.hears("cospace_outgoing_welcome", "waiting_for_admission")
	if err := w.calls.UpdateParticipant(t.Context(), bob.participant().ID, fields{"deactivated": "false"}); err != nil {
		t.Fatal(err)
	}
	bob.hears("waiting_for_admission", "cospace_join")
	carol := w.joins("carol", space(t, nil))
	if _, err := w.calls.AddParticipant(t.Context(), carol.info().Call, fields{"movedParticipant": bob.participant().ID.String()}); err != nil {
		t.Fatal(err)
	}
	bob.hears("cospace_join", "cospace_join")
	if k, ok := w.calls.Call(from); !ok || k.Participants != 1 {
		t.Errorf("the call that was left is %+v", k)
	}
}

func TestACallWithoutSpace(t *testing.T) {
	w := newWorld(t)
	if _, err := w.calls.CreateCall(t.Context(), fields{}); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("without name and space: %v", err)
	}
	id, err := w.calls.CreateCall(t.Context(), fields{"name": "ad hoc", "messageText": "hi", "messageDuration": "permanent"})
	if err != nil {
		t.Fatal(err)
	}
	k := w.only()
	if k.ID != id || k.Type != AdHocCall || k.Name != "ad hoc" || k.Message != "hi" || k.Settings["activeWhenEmpty"] != "true" {
		t.Errorf("the call is %+v", k)
	}
	bob := w.invites(nil)
	bob.answers()
	bob.played()
	bob.hears("call_outgoing_welcome call_join", "only_participant")
	bob.hangsUp()
	w.only() // it stays
	if err := w.calls.UpdateCall(t.Context(), id, fields{"activeWhenEmpty": "false"}); err != nil {
		t.Fatal(err)
	}
	if len(w.calls.Calls()) != 0 {
		t.Error("a call that may not be empty stays")
	}
}

func TestACallThatNobodyComesToEnds(t *testing.T) {
	w := newWorld(t)
	if _, err := w.calls.CreateCall(t.Context(), fields{"name": "ad hoc", "activeWhenEmpty": "false"}); err != nil {
		t.Fatal(err)
	}
	w.pass(emptyFor - 1)
	w.only()
	w.pass(1)
	if len(w.calls.Calls()) != 0 {
		t.Error("it is still there")
	}
}

func TestTheCallOfASpaceIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	id, err := w.calls.CreateCall(t.Context(), fields{"coSpace": s.ID().String(), "activeWhenEmpty": "true"})
	if err != nil {
		t.Fatal(err)
	}
	alice := w.joins("alice", s)
	if err := w.calls.UpdateCall(t.Context(), id, fields{"activeWhenEmpty": "false", "messageText": "hi", "messageDuration": "permanent"}); err != nil {
		t.Fatal(err)
	}
	defaults := fields{"coSpace": s.ID().String(), "activeWhenEmpty": "true", "messageDuration": "0", "messagePosition": "middle", "allowAllPresentationContribution": "false", "locked": "true"}
	if again, err := w.calls.CreateCall(t.Context(), defaults); err != nil || again != id {
		t.Errorf("want the call %s, got %s and %v", id, again, err)
	}
	if k := w.only(); k.Message != "hi" || k.Settings["activeWhenEmpty"] != "false" || !k.Locked {
		t.Errorf("defaults of the API count for a call that goes on: %+v", k)
	}
	if again, err := w.calls.CreateCall(t.Context(), fields{"coSpace": s.ID().String()}); err != nil || again != id || alice.info().Call != id {
		t.Errorf("want the call %s, got %s and %v", id, again, err)
	}
	if _, err := w.calls.CreateCall(t.Context(), fields{"coSpace": fresh().String()}); err != noSpace {
		t.Errorf("a space that is not there: %v", err)
	}
}

func TestWhoIsCalledMayBeAMember(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	jid := uri(t) + "@example.com"
	user := put(t, schema.User, ID{}, fields{"userJid": jid})
	put(t, schema.CoSpaceUser, s.ID(), fields{"userId": user.ID().String(), "callLegProfile": profile(t, fields{"callLockAllowed": "true"})})
	w.joins("alice", s)
	bob := w.invites(fields{"remoteParty": jid})
	if i := bob.info(); !i.Rights.Bool("callLockAllowed") || i.Guest || i.User != user.ID() {
		t.Errorf("the leg is %+v", i)
	}
}

func TestSeveralLegsOfOneParticipant(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	p := alice.info().Participant
	if err := w.calls.UpdateParticipant(t.Context(), p, fields{"importance": "3", "rxAudioMute": "true", "chosenLayout": "stacked"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.calls.AddLeg(t.Context(), w.only().ID, p, fields{"remoteParty": "alice.phone@example.com", "confirmation": "false"}); err != nil {
		t.Fatal(err)
	}
	phone := w.dialled()
	phone.answers()
	if m := phone.put(); m.Importance != 3 || !m.Audio.Muted || m.View.Layout != "stacked" {
		t.Errorf("the second leg does not have what the participant has: %+v", m)
	}
	if i := alice.participant(); len(i.Legs) != 2 || !i.AudioMuted {
		t.Errorf("the participant is %+v", i)
	}
	if err := w.calls.UpdateLeg(t.Context(), phone.info().ID, fields{"rxAudioMute": "false"}); err != nil {
		t.Fatal(err)
	}
	if alice.participant().AudioMuted {
		t.Error("a participant who is heard by one leg is muted")
	}
	alice.hangsUp()
	if i := phone.participant(); i.ID != p || len(i.Legs) != 1 || i.State != Connected {
		t.Errorf("the participant is %+v", i)
	}
	if err := w.calls.DropParticipant(t.Context(), p, APITeardown); err != nil {
		t.Fatal(err)
	}
	phone.played() // goodbye
	phone.does("hangup apiInitiatedTeardown")
	if len(w.calls.Calls()) != 0 {
		t.Error("the call is still there")
	}
}

func TestHandsUp(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, nil))
	id := alice.info().ID
	hand := func(status string, want bool) {
		t.Helper()
		if err := w.calls.UpdateLeg(t.Context(), id, fields{"handStatus": status}); err != nil {
			t.Fatal(err)
		}
		if alice.info().HandRaised != want || alice.participant().HandRaised != want {
			t.Errorf("%s: the leg says %t", status, alice.info().HandRaised)
		}
	}
	hand("raised", true)
	hand("lowered", false)
	if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"raiseHandEnabled": "false"}); err != nil {
		t.Fatal(err)
	}
	hand("raised", false)
}

func TestCamerasAndKeyFrames(t *testing.T) {
	w := newWorld(t)
	alice := w.joins("alice", space(t, nil))
	alice.does("accept")
	if err := w.calls.Camera(t.Context(), alice.info().ID, "left", "", "in", ""); err != nil {
		t.Fatal(err)
	}
	alice.does("camera leftin")
	alice.leg.Changed(Identity{}, MediaInfo{Audio: true, Video: true})
	if err := w.calls.Camera(t.Context(), alice.info().ID, "left", "", "", ""); err == nil {
		t.Error("a camera that cannot be moved was moved")
	}
	if err := w.calls.KeyFrame(t.Context(), alice.info().ID); err != nil {
		t.Fatal(err)
	}
	w.test.Await(t, "keyFrame "+alice.media.ID()+" main")
	for _, err := range []error{w.calls.Camera(t.Context(), fresh(), "left", "", "", ""), w.calls.KeyFrame(t.Context(), fresh()), w.calls.DropLeg(t.Context(), fresh(), APITeardown),
		w.calls.UpdateLeg(t.Context(), fresh(), nil)} {
		if err != noLeg {
			t.Errorf("a leg that is not there: %v", err)
		}
	}
}
