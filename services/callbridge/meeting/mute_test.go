package meeting

import (
	"testing"

	"rotunda/services/callbridge/schema"
)

// keysOf is a tenant with these keys.
func keysOf(t testing.TB, f fields) string {
	t.Helper()
	return put(t, schema.Tenants, ID{}, fields{"name": "t", "dtmfProfile": put(t, schema.DTMFProfile, ID{}, f).ID().String()}).ID().String()
}

func TestMutesReachTheEngine(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice := w.joins("alice", s)
	id := alice.info().ID
	for _, c := range []struct {
		values                             fields
		rxAudio, txAudio, rxVideo, txVideo bool
	}{
		{fields{"rxAudioMute": "true"}, true, false, false, false},
		{fields{"txAudioMute": "true", "rxAudioMute": "false"}, false, true, false, false},
		{fields{"txAudioMute": "", "rxVideoMute": "true"}, false, false, true, false},
		{fields{"rxVideoMute": "", "txVideoMute": "true"}, false, false, false, true},
	} {
		if err := w.calls.UpdateLeg(t.Context(), id, c.values); err != nil {
			t.Fatal(err)
		}
		want := Mutes{c.rxAudio, c.txAudio, c.rxVideo, c.txVideo}
		if got := alice.info().Muted; got != want {
			t.Errorf("%v: the leg says %+v", c.values, got)
		}
		m := alice.put()
		if got := (Mutes{m.Audio.Muted, m.Audio.Deaf, m.Video.Muted, m.Video.Blind}); got != want {
			t.Errorf("%v: the engine has %+v", c.values, got)
		}
		if p := alice.participant(); p.AudioMuted != c.rxAudio || p.VideoMuted != c.rxVideo {
			t.Errorf("%v: the participant is %+v", c.values, p)
		}
	}
	if err := w.calls.UpdateLeg(t.Context(), id, fields{"audioGainMode": "disabled"}); err != nil || alice.put().Audio.Gain {
		t.Errorf("the gain is still there, or %v", err)
	}
}

func TestMutingOneself(t *testing.T) {
	const me, you = "*6", "*5"
	for _, c := range []struct {
		name         string
		behaviour    string
		allowed, all bool
		steps        string // m: mute self by key, o: others mute, O: others unmute
		want         bool
	}{
		{"mutes", "separate", true, false, "m", true},
		{"unmutes", "separate", true, false, "mm", false},
		{"may not", "separate", false, false, "m", false},
		{"may because everybody may", "separate", false, true, "m", true},
		{"others undo it", "separate", true, false, "mO", false},
		{"others undo it, linked", "linked", true, false, "mO", false},
		{"unmutes what others muted", "separate", true, false, "om", false},
		{"may not unmute what others muted", "separate", false, false, "om", true},
		{"may unmute what others muted because everybody may", "separate", false, true, "om", false},
		{"unmutes what others muted, linked", "linked", true, false, "om", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := space(t, fields{"tenant": keysOf(t, fields{"toggleMuteSelfAudio": me}), "callLegProfile": profile(t, fields{"muteSelfAllowed": text(c.allowed)}),
				"callProfile": callProfileOf(t, fields{"muteBehavior": c.behaviour})})
			alice := w.joins("alice", s)
			if c.all {
				if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"allowAllMuteSelf": "true"}); err != nil {
					t.Fatal(err)
				}
			}
			for _, step := range c.steps {
				switch step {
				case 'm':
					alice.presses(me)
				case 'o':
					w.calls.UpdateParticipant(t.Context(), alice.info().Participant, fields{"rxAudioMute": "true"})
				case 'O':
					w.calls.UpdateParticipant(t.Context(), alice.info().Participant, fields{"rxAudioMute": "false"})
				}
			}
			if got := alice.put().Audio.Muted; got != c.want || alice.info().Muted.RxAudio != c.want {
				t.Errorf("muted: want %t, got %t", c.want, got)
			}
		})
	}
}

func TestMutingOthersByKeys(t *testing.T) {
	w := newWorld(t)
	s := space(t, fields{"tenant": keysOf(t, fields{"muteAllExceptSelfAudio": "*1", "unmuteAllExceptSelfAudio": "*2", "muteAllNewAudio": "*3",
		"unmuteAllNewAudio": "*4", "defaultMuteAllNewAudio": "*7", "muteAllNewAndAllExceptSelfAudio": "*8", "unmuteAllNewAndAllExceptSelfAudio": "*9"})})
	m := put(t, schema.AccessMethod, s.ID(), fields{"uri": uri(t), "callLegProfile": profile(t, fields{"muteOthersAllowed": "true", "changeJoinAudioMuteOverrideAllowed": "true"})})
	host, guest := w.joinsBy("host", Entry{Space: s, Method: m}), w.joins("guest", s)
	muted := func(f *far, want bool) {
		t.Helper()
		if got := f.put().Audio.Muted; got != want {
			t.Errorf("%s: muted %t", f.leg.name, got)
		}
	}
	guest.presses("*1")
	guest.played()
	guest.hears("not_allowed")
	muted(host, false)
	host.presses("*1")
	muted(host, false)
	muted(guest, true)
	host.presses("*2")
	muted(guest, false)
	host.presses("*3")
	if k := w.only(); k.JoinMute != "true" {
		t.Errorf("joinAudioMuteOverride is %q", k.JoinMute)
	}
	one := w.joins("one", s)
	muted(one, true)
	muted(guest, false)
	host.presses("*7")
	two := w.joins("two", s)
	muted(two, false)
	host.presses("*8")
	muted(two, true)
	muted(w.joins("three", s), true)
	host.presses("*9")
	muted(two, false)
	muted(w.joins("four", s), false)
	// What the API says replaces what the keys said.
	if err := w.calls.UpdateCall(t.Context(), w.only().ID, fields{"joinAudioMuteOverride": ""}); err != nil || w.only().JoinMute != "" {
		t.Errorf("joinAudioMuteOverride is %q, error %v", w.only().JoinMute, err)
	}
}

func TestUpdatingAllButSome(t *testing.T) {
	w := newWorld(t)
	s := space(t, nil)
	alice, bob := w.joins("alice", s), w.joins("bob", s)
	keep := alice.info().Participant
	err := w.calls.UpdateAll(t.Context(), w.only().ID, func(p ParticipantInfo) bool { return p.ID != keep }, fields{"rxAudioMute": "true", "layout": "stacked", "importance": "4"})
	if err != nil {
		t.Fatal(err)
	}
	if alice.put().Audio.Muted || !bob.put().Audio.Muted || bob.put().View.Layout != "stacked" || bob.put().Importance != 4 || alice.put().View.Layout != "automatic" {
		t.Errorf("alice has %+v, bob %+v", alice.put(), bob.put())
	}
	if err := w.calls.UpdateAll(t.Context(), fresh(), nil, nil); err != noCall {
		t.Errorf("a call that is not there: %v", err)
	}
}
