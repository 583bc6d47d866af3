package meeting

import "rotunda/services/callbridge/prompts/prompt"

// mutes are what is in force for a leg: what profiles and others say, and what it chose itself.
func (l *Leg) mutes() Mutes {
	m := Mutes{RxAudio: l.rights.Bool("rxAudioMute"), TxAudio: l.rights.Bool("txAudioMute"), RxVideo: l.rights.Bool("rxVideoMute"), TxVideo: l.rights.Bool("txVideoMute")}
	m.RxAudio = m.RxAudio || l.selfMuted
	return m
}

// linked says whether a mute by others and one's own are one and the same (muteBehavior of the callProfile).
func (k *call) linked() bool { return k != nil && k.profile.Text("muteBehavior") == "linked" }

// mayMuteSelf says whether the leg may mute and unmute itself.
func (l *Leg) mayMuteSelf() bool {
	return l.rights.Bool("muteSelfAllowed") || l.call != nil && l.call.allows("allowAllMuteSelf")
}

// muteSelf mutes a leg by its own will. To unmute takes a mute by others away as well, else those who may unmute themselves could not
// speak again; while a mute of one's own is not taken away by others, unless mutes are linked.
func (l *Leg) muteSelf(on bool) {
	if l.call.linked() || !on {
		l.setOwn("rxAudioMute", text(on))
		l.resolve()
	}
	l.selfMuted = on && !l.call.linked()
	l.touch()
	l.apply()
}

// muteOther mutes or unmutes a leg by the will of others; name is one of the four fields.
func (l *Leg) muteOther(name, value string) {
	before := l.mutes().RxAudio
	l.setOwn(name, value)
	if name == "rxAudioMute" && value != "true" && l.call.linked() {
		l.selfMuted = false
	}
	l.resolve()
	l.touch()
	l.apply()
	if now := l.mutes().RxAudio; now != before && l.inMeeting() && l.sink == nil {
		l.sayMuted(now)
	}
}

// sayMuted tells the participant, who would otherwise speak to nobody, or to everybody.
func (l *Leg) sayMuted(on bool) {
	if on {
		l.say(prompt.Muted)
	} else {
		l.say(prompt.Unmuted)
	}
}

func text(on bool) string {
	if on {
		return "true"
	}
	return "false"
}
