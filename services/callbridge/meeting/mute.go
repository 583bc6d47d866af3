package meeting

import "rotunda/services/callbridge/prompts/prompt"

// mutes are what is in force for a leg. There is one mute of each kind, whoever set it: others may unmute an endpoint that muted itself by keys (guide
// chapter E.3). A browser has a mute of its own beside it, which this server knows nothing of.
func (l *Leg) mutes() Mutes {
	return Mutes{RxAudio: l.rights.Bool("rxAudioMute"), TxAudio: l.rights.Bool("txAudioMute"), RxVideo: l.rights.Bool("rxVideoMute"), TxVideo: l.rights.Bool("txVideoMute")}
}

// mayMuteSelf says whether the leg may mute and unmute itself.
func (l *Leg) mayMuteSelf() bool {
	return l.rights.Bool("muteSelfAllowed") || l.call != nil && l.call.allows("allowAllMuteSelf")
}

// mute mutes or unmutes a leg; name is one of the four fields, and "" leaves it to the profiles again.
func (l *Leg) mute(name, value string) {
	before := l.mutes().RxAudio
	l.setOwn(name, value)
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
