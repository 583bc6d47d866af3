package meeting

import (
	"reflect"

	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

// wanted is what a meeting wants of a leg's media: its own half of a [control.Leg].
type wanted struct {
	conference, near, name                 string
	importance                             int
	muted, deaf, unseen, blind, gain       bool
	presentationBlind, presentationUnasked bool
	hidden                                 bool // takes and gives nothing
	view                                   control.View
}

// mediaState is what the engine was told of a leg; force tells it again, since signalling has made streams anew.
type mediaState struct {
	told  wanted
	force bool
}

// wants is what the leg's media should be now.
func (l *Leg) wants() wanted {
	m := l.mutes()
	w := wanted{name: l.label(), muted: m.RxAudio, deaf: m.TxAudio, unseen: m.RxVideo, blind: m.TxVideo,
		gain: l.rights.Text("audioGainMode") != "disabled", view: l.view()}
	if l.participant != nil && l.participant.importance != nil {
		w.importance = int(max(0, min(*l.participant.importance, 1<<31-1)))
	}
	w.presentationBlind = !l.seesPresentation() || l.rights.Text("presentationDisplayMode") == "singleStream"
	if l.call != nil {
		w.near = l.call.id.String()
		if l.inMeeting() {
			w.conference = w.near
		}
		w.presentationUnasked = l.call.presenter != l
	}
	if l.barred.audio {
		w.muted, w.deaf = true, true
	}
	if l.barred.video {
		w.unseen, w.blind = true, true
	}
	if l.sink != nil {
		// What a recorder sends is nobody's to hear or see.
		w.muted, w.unseen, w.hidden = true, true, true
	}
	return w
}

// inMeeting says whether the leg hears and sees the others.
func (l *Leg) inMeeting() bool {
	if l.call == nil || !l.answered || l.over || l.dialog != nil {
		return false
	}
	return l.sink != nil || !l.deactivated()
}

// apply tells the engine what changed.
func (l *Leg) apply() {
	if l.media == nil || l.over {
		return
	}
	w := l.wants()
	if !l.force && reflect.DeepEqual(w, l.told) {
		return
	}
	l.told, l.force = w, false
	l.media.Set(w.put)
}

// put writes into a leg. Streams that signalling has not made yet are told when it has ([Caller.Answered], [Caller.Changed]).
func (w wanted) put(l *control.Leg) {
	l.Conference, l.Near, l.Name, l.Importance, l.View = w.conference, w.near, w.name, w.importance, w.view
	if l.Audio != nil {
		l.Audio.Muted, l.Audio.Deaf, l.Audio.Gain = w.muted, w.deaf, w.gain
	}
	if l.Video != nil {
		l.Video.Muted, l.Video.Blind = w.unseen, w.blind
	}
	if l.Presentation != nil {
		l.Presentation.Muted, l.Presentation.Blind = w.presentationUnasked, w.presentationBlind
	}
	if w.hidden {
		// A picture that is muted has a pane with a name; one that does not come has none.
		if l.Audio != nil {
			l.Audio.Direction = outward(l.Audio.Direction)
		}
		for _, v := range []*control.Video{l.Video, l.Presentation} {
			if v != nil {
				v.Direction = outward(v.Direction)
			}
		}
	}
}

// outward leaves of a direction what goes to the far end.
func outward(d control.Direction) control.Direction {
	switch d {
	case control.SendReceive:
		return control.SendOnly
	case control.ReceiveOnly:
		return control.Inactive
	}
	return d
}

// adjust tells signalling the rights that media depend on.
func (l *Leg) adjust() {
	rights := l.rights
	l.tell(func(line Line) {
		if line, ok := line.(Adjustable); ok {
			line.Adjust(rights)
		}
	})
}

func parseID(s string) (ID, bool) { return store.ParseID(s) }
