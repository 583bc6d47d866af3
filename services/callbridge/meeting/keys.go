package meeting

import (
	"slices"

	"rotunda/services/callbridge/keys"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/store"
)

// keyState reads the keys of a leg in a meeting.
type keyState struct {
	matcher *keys.Matcher
	timer   func()
}

func (s *keyState) drop() {
	stop(&s.timer)
	s.matcher = nil
}

// keyMap is the DTMF profile of a tenant's calls.
func keyMap(v store.View, tenant *store.Record) *keys.Map {
	if v == nil {
		return keys.Compile(func(string) string { return "" })
	}
	return keys.Compile(profiles.ForDTMF(v, tenant).Text)
}

// key takes a key tone.
func (l *Leg) key(key rune) {
	switch {
	case l.over:
	case l.dialog != nil:
		l.dialog.key(key)
	case l.gateway() != nil:
		// The other side may have a menu of its own.
		if o := l.gateway().other(l); o != nil {
			o.sendKeys(string(key))
		}
	case l.inMeeting() && l.sink == nil:
		if l.keys.matcher == nil {
			l.keys.matcher = l.call.keys.Matcher()
		}
		l.pressed(l.keys.matcher.Key(key, l.c.clock.Now()))
	}
}

// pressed does what keys asked for, and waits for those that may follow.
func (l *Leg) pressed(actions []keys.Action) {
	for _, a := range actions {
		if l.inMeeting() {
			l.do(a)
		}
	}
	stop(&l.keys.timer)
	if l.over || l.keys.matcher == nil {
		return
	}
	now := l.c.clock.Now()
	if due, waits := l.keys.matcher.Due(); waits {
		l.keys.timer = l.c.after(due.Sub(now), func() {
			l.keys.timer = nil
			if !l.over && l.keys.matcher != nil {
				l.pressed(l.keys.matcher.Timeout(l.c.clock.Now()))
			}
		})
	}
}

// deed is what an action does, and the rights that it takes.
type deed struct {
	rights []string
	do     func(l *Leg)
}

var deeds = map[keys.Action]deed{
	keys.MuteSelf:       {nil, func(l *Leg) { l.muteByKey(true) }},
	keys.UnmuteSelf:     {nil, func(l *Leg) { l.muteByKey(false) }},
	keys.ToggleMuteSelf: {nil, func(l *Leg) { l.muteByKey(!l.mutes().RxAudio) }},
	keys.Lock:           {[]string{"callLockAllowed"}, func(l *Leg) { l.call.setLocked(true); l.say(prompt.MeetingLocked) }},
	keys.Unlock:         {[]string{"callLockAllowed"}, func(l *Leg) { l.call.setLocked(false); l.say(prompt.MeetingUnlocked) }},
	keys.MuteOthers:     {[]string{"muteOthersAllowed"}, func(l *Leg) { l.muteOthers("true") }},
	keys.UnmuteOthers:   {[]string{"muteOthersAllowed"}, func(l *Leg) { l.muteOthers("false") }},
	keys.EndCall:        {[]string{"endCallAllowed"}, func(l *Leg) { l.call.part(CallEnded) }},
	keys.NextLayout:     {[]string{"changeLayoutAllowed"}, func(l *Leg) { l.choose(turn(l.layout(), 1)) }},
	keys.PreviousLayout: {[]string{"changeLayoutAllowed"}, func(l *Leg) { l.choose(turn(l.layout(), -1)) }},
	keys.StartRecording: {[]string{"recordingControlAllowed"}, func(l *Leg) { l.start(recording) }},
	keys.StopRecording:  {[]string{"recordingControlAllowed"}, func(l *Leg) { l.call.stopSink(recording) }},
	keys.StartStreaming: {[]string{"streamingControlAllowed"}, func(l *Leg) { l.start(streaming) }},
	keys.StopStreaming:  {[]string{"streamingControlAllowed"}, func(l *Leg) { l.call.stopSink(streaming) }},
	keys.AllowAllMuteSelf: {[]string{"allowAllMuteSelfAllowed"},
		func(l *Leg) { l.call.set("allowAllMuteSelf", "true") }},
	keys.CancelAllowAllMuteSelf: {[]string{"allowAllMuteSelfAllowed"},
		func(l *Leg) { l.call.set("allowAllMuteSelf", "false") }},
	keys.AllowAllPresentation: {[]string{"allowAllPresentationContributionAllowed"},
		func(l *Leg) { l.call.set("allowAllPresentationContribution", "true") }},
	keys.CancelAllowAllPresentation: {[]string{"allowAllPresentationContributionAllowed"},
		func(l *Leg) { l.call.set("allowAllPresentationContribution", "false"); l.call.checkPresenter() }},
	keys.MuteNew:        {[]string{"changeJoinAudioMuteOverrideAllowed"}, func(l *Leg) { l.call.setJoinMute("true") }},
	keys.UnmuteNew:      {[]string{"changeJoinAudioMuteOverrideAllowed"}, func(l *Leg) { l.call.setJoinMute("false") }},
	keys.DefaultMuteNew: {[]string{"changeJoinAudioMuteOverrideAllowed"}, func(l *Leg) { l.call.setJoinMute("") }},
	keys.MuteNewAndOthers: {[]string{"changeJoinAudioMuteOverrideAllowed", "muteOthersAllowed"},
		func(l *Leg) { l.call.setJoinMute("true"); l.muteOthers("true") }},
	keys.UnmuteNewAndOthers: {[]string{"changeJoinAudioMuteOverrideAllowed", "muteOthersAllowed"},
		func(l *Leg) { l.call.setJoinMute("false"); l.muteOthers("false") }},
	keys.ParticipantCount: {nil, func(l *Leg) { l.say(prompt.Count(l.call.inside)...) }},
}

// do does what a participant asked for by keys, if that is allowed.
func (l *Leg) do(a keys.Action) {
	d, ok := deeds[a]
	if !ok {
		return
	}
	allowed := !slices.ContainsFunc(d.rights, func(right string) bool { return !l.rights.Bool(right) })
	switch a {
	case keys.MuteSelf, keys.UnmuteSelf, keys.ToggleMuteSelf:
		allowed = l.mayMuteSelf()
	}
	l.c.log.Info("keys", "leg", l.id, "call", l.call.id, "action", a, "allowed", allowed)
	if !allowed {
		l.say(prompt.NotAllowed)
		return
	}
	d.do(l)
}

func (l *Leg) muteByKey(on bool) {
	before := l.mutes().RxAudio
	l.mute("rxAudioMute", text(on))
	if before == on {
		l.sayMuted(on) // what is so already is said too: somebody asked
	}
}

// muteOthers mutes or unmutes everybody else.
func (l *Leg) muteOthers(value string) {
	for _, o := range l.call.legs {
		if o.participant != nil && o.participant != l.participant {
			o.mute("rxAudioMute", value)
		}
	}
	if value == "true" {
		l.say(prompt.AllMuted)
	} else {
		l.say(prompt.AllUnmuted)
	}
}

// choose takes a layout from now on, "" that of the profiles.
func (l *Leg) choose(layout string) {
	if l.chosen == layout {
		return
	}
	l.chosen = layout
	l.touch()
	l.apply()
}

func (l *Leg) start(kind sinkKind) {
	if err := l.call.startSink(kind); err != nil {
		l.c.log.Warn("recording or streaming cannot start", "call", l.call.id, "what", sinkKinds[kind].purpose, "error", err)
		l.say(prompt.NotAllowed)
	}
}

func (k *call) setJoinMute(value string) {
	if k.joinMute != value {
		k.joinMute = value
		k.touch()
	}
}

// checkPresenter takes the floor from who may not present any more.
func (k *call) checkPresenter() {
	if k.presenter != nil {
		k.presenter.checkFloor()
	}
}

// part ends the call and says goodbye to everybody.
func (k *call) part(why Reason) {
	for _, l := range slices.Clone(k.legs) {
		l.part(partEnded, why)
	}
	k.end(why)
}
