package meeting

import (
	"slices"

	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/media/control"
)

// sounds are what a leg is played, one after the other. What loops gives way to what comes after it.
type sounds struct {
	playing string // the name of the prompt under way, "" for none
	loops   bool
	about   prompt.Name
	done    func()
	queue   []sound
}

type sound struct {
	files []string
	tone  string
	loop  bool
	about prompt.Name // of what repeats: what [Leg.unsay] takes back
	done  func()      // when it is through; may be nil
}

// drop forgets everything: the leg is over.
func (s *sounds) drop() { *s = sounds{} }

// say plays prompts one after the other.
func (l *Leg) say(names ...prompt.Name) {
	if files := l.files(names...); len(files) > 0 {
		l.play(sound{files: files})
	}
}

// repeat plays a prompt over and over to those who see nothing, who would wonder whether the line is dead; once to others.
func (l *Leg) repeat(name prompt.Name) {
	if files := l.files(name); len(files) > 0 {
		l.play(sound{files: files, loop: !l.agreed.Video, about: name})
	}
}

// unsay takes back what was to be repeated and is not true any more, whether it is under way or still to come.
func (l *Leg) unsay(name prompt.Name) {
	l.sounds.queue = slices.DeleteFunc(l.sounds.queue, func(s sound) bool { return s.about == name })
	if l.sounds.playing != "" && l.sounds.about == name {
		l.media.StopPlay(l.sounds.playing)
		l.sounds.playing, l.sounds.about = "", ""
		l.next()
	}
}

// files of prompts, nil for silence.
func (l *Leg) files(names ...prompt.Name) []string {
	if l.c.o.Prompts == nil {
		return nil
	}
	b := l.brand()
	return l.c.o.Prompts.Files(b.kind, b.location, names...)
}

// play plays something when what comes before it is through.
func (l *Leg) play(s sound) {
	l.sounds.queue = append(l.sounds.queue, s)
	switch {
	case l.sounds.playing == "":
		l.next()
	case l.sounds.loops:
		l.media.StopPlay(l.sounds.playing)
		l.sounds.playing = ""
		l.next()
	}
}

func (l *Leg) next() {
	if len(l.sounds.queue) == 0 || l.over {
		return
	}
	s := l.sounds.queue[0]
	l.sounds.queue = l.sounds.queue[1:]
	l.sounds.loops, l.sounds.about, l.sounds.done = s.loop, s.about, s.done
	l.sounds.playing = l.media.Play(control.Play{Files: s.files, Tone: s.tone, Loop: s.loop})
}

// played: a prompt is through.
func (l *Leg) played(id string) {
	if id != l.sounds.playing {
		return
	}
	done := l.sounds.done
	l.sounds.playing, l.sounds.done = "", nil
	if done != nil {
		done()
	}
	if l.sounds.playing == "" {
		l.next()
	}
}

// hush ends what is played, and forgets what was to come.
func (l *Leg) hush() {
	if l.sounds.playing != "" {
		l.media.StopPlay(l.sounds.playing)
	}
	l.sounds.drop()
}

// Thresholds of tones are at most so many participants (schema): where there are more, nobody hears any.
const mostForTones = 100

// joinTone sounds for those whose profile wants to hear that somebody came.
func (k *call) joinTone() { k.tone("join", "joinToneParticipantThreshold", k.inside) }

// leaveTone sounds for those whose profile wants to hear that somebody goes; who goes counts.
func (k *call) leaveTone() { k.tone("leave", "leaveToneParticipantThreshold", k.inside) }

func (k *call) tone(name, threshold string, n int) {
	if n > mostForTones || k.over || k.gateway != nil {
		return
	}
	for _, l := range k.legs {
		if !l.inMeeting() || l.sink != nil {
			continue
		}
		if most, _ := l.rights.Number(threshold); int64(n) <= most {
			l.media.Play(control.Play{Tone: name})
		}
	}
}

// welcome is what somebody hears who comes into the meeting.
func (l *Leg) welcome() {
	k := l.call
	if k.gateway != nil || l.sink != nil {
		return
	}
	l.hush()
	if l.noticeSaid {
		l.noticeSaid = false
		l.say(prompt.NotCompliant)
	}
	names := l.invitation()
	if k.kind == SpaceCall {
		names = append(names, prompt.SpaceJoin)
	} else {
		names = append(names, prompt.CallJoin)
	}
	if k.sinks[recording].runs() {
		names = append(names, prompt.MeetingRecorded)
	}
	if k.sinks[streaming].runs() {
		names = append(names, prompt.MeetingStreamed)
	}
	l.say(names...)
	l.alone()
}

// invitation is what somebody hears first who was called, and who does not know yet by what: once, be it before the question whether they want to join.
func (l *Leg) invitation() []prompt.Name {
	switch {
	case l.dial == nil || l.invited:
		return nil
	case l.call.space != nil:
		l.invited = true
		return []prompt.Name{prompt.SpaceOutgoingWelcome}
	}
	l.invited = true
	return []prompt.Name{prompt.CallOutgoingWelcome}
}

// alone tells who is the only one in the meeting.
func (l *Leg) alone() {
	if k := l.call; k.inside == 1 {
		k.lonely = l
		l.repeat(prompt.OnlyParticipant)
	}
}

// together: there are two or more in the meeting, and nobody is to hear any more that there is nobody else, not even from what is still to be played.
func (k *call) together() {
	if k.lonely == nil || k.inside < 2 {
		return
	}
	k.lonely = nil
	for _, l := range k.legs {
		if !l.over {
			l.unsay(prompt.OnlyParticipant)
		}
	}
}

// letIn: the leg comes from the lobby into the meeting.
func (l *Leg) letIn() {
	l.waits = ""
	if l.call.presenter != nil && l.call.presenter != l {
		l.showPresentation(true)
	}
	l.welcome()
	l.call.startAutomatically()
}

// waiting: the leg is in the lobby, where it hears why, until it is let in.
func (l *Leg) waiting() {
	l.hush()
	l.showPresentation(false)
	l.waits = l.participant.waitsFor()
	l.say(l.invitation()...)
	l.repeat(l.waits)
}

// waitsFor is what keeps a participant in the lobby: the host, who is not there, or somebody who would have to open.
func (p *participant) waitsFor() prompt.Name {
	if k := p.call; p.held || k.locked && k.activators > 0 || !p.needs {
		return prompt.WaitingForAdmission
	}
	return prompt.WaitingForHost
}

// explain tells those in the lobby what they wait for, where that is something else than they heard last: the host came into a locked meeting, or
// went.
func (k *call) explain() {
	for _, p := range k.participants {
		if p.active {
			continue
		}
		for _, l := range p.legs {
			if l.waits != "" && l.waits != p.waitsFor() && l.connected() && l.dialog == nil {
				l.waiting()
			}
		}
	}
}

// fewer: somebody went. Who is left alone is told, once.
func (k *call) fewer() {
	if k.gateway != nil || k.inside != 1 || k.lonely != nil && k.lonely.call == k && k.lonely.inMeeting() {
		return
	}
	for _, l := range k.legs {
		if l.inMeeting() && l.sink == nil {
			l.alone()
			return
		}
	}
}
