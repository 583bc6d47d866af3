package meeting

import (
	"slices"
	"testing"

	"rotunda/services/callbridge/schema"
)

func (f *far) tones() (join, leave int) {
	for _, s := range f.heard() {
		switch s {
		case "join":
			join++
		case "leave":
			leave++
		}
	}
	return join, leave
}

func TestTonesUpToAThreshold(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callLegProfile": profile(t, fields{"joinToneParticipantThreshold": "3", "leaveToneParticipantThreshold": "2"})})
	m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "callLegProfile": profile(t, fields{"joinToneParticipantThreshold": "0", "leaveToneParticipantThreshold": "0"})})
	alice, quiet := w.joins("alice", s), w.joinsBy("quiet", Entry{Space: s, Method: m})
	check := func(wantJoin, wantLeave int) {
		t.Helper()
		if j, l := alice.tones(); j != wantJoin || l != wantLeave {
			t.Errorf("want %d and %d tones, got %d and %d", wantJoin, wantLeave, j, l)
		}
		if j, l := quiet.tones(); j+l != 0 {
			t.Errorf("who wants no tones hears %d", j+l)
		}
	}
	check(2, 0)
	bob := w.joins("bob", s)
	check(3, 0)
	carol := w.joins("carol", s)
	check(3, 0)
	carol.hangsUp() // there were four
	check(3, 0)
	bob.hangsUp()
	check(3, 0)
	quiet.hangsUp()
	check(3, 1)
}

func TestWhoIsAloneIsToldUntilSomebodyComes(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answersWith(MediaInfo{Audio: true})
	alice.played()
	alice.hears("cospace_join", "only_participant")
	loops := func() (n int) {
		w.engine.mu.Lock()
		defer w.engine.mu.Unlock()
		for _, p := range w.engine.plays {
			if p.Loop {
				n++
			}
		}
		return n
	}
	if loops() != 1 {
		t.Error("somebody who sees nothing hears it once")
	}
	bob := w.joins("bob", s)
	bob.hears("cospace_join")
	alice.heard()
	if said := w.test.Said(); !slices.ContainsFunc(said, func(s string) bool { return len(s) > 8 && s[:8] == "stopPlay" }) {
		t.Error("alice is still told to be alone")
	}
	bob.hangsUp()
	alice.played()
	alice.hears("only_participant", "only_participant")
}

func TestPromptsComeFromTheBrandingOfTheMeeting(t *testing.T) {
	w := newWorld(t)
	b := put(t, schema.CallBrandingProfile, ID{}, fields{"resourceLocation": "http://brand.example.com/s"})
	alice := w.joins("alice", space(t, fields{"callBrandingProfile": b.ID().String()}))
	alice.heard()
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	for _, p := range w.engine.plays {
		if p.Files[0] != "http://brand.example.com/s/cospace_join.wav" {
			t.Errorf("alice hears %v", p.Files)
		}
	}
}

func TestCountingByKeys(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	hosts.Space = space(t, fields{"tenant": keysOf(t, fields{"getTotalParticipantCount": "*0"})})
	guests.Space, hosts.Method = hosts.Space, nil
	alice := w.joinsBy("alice", hosts)
	w.joinsBy("bob", hosts)
	alice.played()
	alice.presses("*0")
	alice.hears("participants_before number_2 participants_after")
}

func TestWhatIsRepeatedGivesWayToWhatIsSaid(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"tenant": keysOf(t, fields{"getTotalParticipantCount": "*0", "lockCall": "*1"})})
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answersWith(MediaInfo{Audio: true})
	alice.played()
	alice.hears("only_participant")
	alice.presses("*0")
	alice.hears("only_participant", "participants_before number_1 participants_after")
	// One after the other, not over each other.
	alice.presses("*1")
	alice.hears("participants_before number_1 participants_after")
	alice.played()
	alice.hears("not_allowed")
}

func TestNobodyIsToldToBeAloneWhoIsNotAnyMore(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.arrives("alice", Target{Entries: []Entry{{Space: s}}})
	alice.answersWith(MediaInfo{Audio: true})
	alice.hears("cospace_join") // the other one is to follow
	bob := w.arrives("bob", Target{Entries: []Entry{{Space: s}}})
	bob.answersWith(MediaInfo{Audio: true})
	alice.played()
	bob.played()
	for _, f := range []*far{alice, bob} {
		if slices.Contains(f.heard(), "only_participant") {
			t.Errorf("there are two, and %s heard %q", f.leg.name, f.heard())
		}
	}
	bob.hangsUp()
	alice.played()
	alice.hears("cospace_join", "only_participant")
}

func TestAGuestWhomTheHostFindsWaitingIsNotAlone(t *testing.T) {
	w := newWorld(t)
	hosts, guests := lobby(t, nil, nil)
	guest := w.arrives("guest", Target{Entries: []Entry{guests}})
	guest.answersWith(MediaInfo{Audio: true})
	host := w.arrives("host", Target{Entries: []Entry{hosts}})
	host.answersWith(MediaInfo{Audio: true})
	guest.played()
	host.played()
	for _, f := range []*far{guest, host} {
		if slices.Contains(f.heard(), "only_participant") {
			t.Errorf("there are two, and %s heard %q", f.leg.name, f.heard())
		}
	}
	// Sent to the lobby, the guest leaves the host alone.
	if err := w.calls.UpdateParticipant(t.Context(), guest.info().Participant, fields{"deactivated": "true"}); err != nil {
		t.Fatal(err)
	}
	host.played()
	host.hears("cospace_join", "only_participant")
	guest.hears("cospace_join", "waiting_for_admission")
}

func TestWhoMovesIsHeardToGo(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"callLegProfile": profile(t, fields{"leaveToneParticipantThreshold": "9"})})
	alice, bob, carol := w.joins("alice", s), w.joins("bob", s), w.joins("carol", space(t, nil))
	if _, err := w.calls.AddParticipant(t.Context(), carol.info().Call, fields{"movedParticipant": bob.info().Participant.String()}); err != nil {
		t.Fatal(err)
	}
	if _, n := alice.tones(); n != 1 {
		t.Errorf("want one tone, alice heard %d", n)
	}
	if _, n := bob.tones(); n != 0 {
		t.Errorf("bob hears himself go: %d", n)
	}
}
