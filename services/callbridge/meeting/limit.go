package meeting

import (
	"slices"
	"time"

	"rotunda/services/media/control"
)

// limitDuration ends the leg when it has lasted as long as its profile allows.
func (l *Leg) limitDuration() {
	stop(&l.timers.duration)
	seconds, ok := l.rights.Number("maxCallDurationTime")
	if !ok || seconds <= 0 || !l.answered || l.over {
		return
	}
	left := l.connectedAt.Add(time.Duration(min(seconds, 1<<31)) * time.Second).Sub(l.c.clock.Now())
	l.timers.duration = l.c.after(max(0, left), func() {
		l.timers.duration = nil
		l.part(partDisconnected, TimedOut)
	})
}

// alarm notes that the quality of a leg is bad, or not any more.
func (l *Leg) alarm(name string, on bool) {
	if slices.Contains(l.alarms, name) == on || name == "" {
		return
	}
	alarms := slices.DeleteFunc(slices.Clone(l.alarms), func(a string) bool { return a == name })
	if on {
		alarms = append(alarms, name)
	}
	l.alarms = alarms
	l.touch()
}

// countRecorder counts endpoints that say that they record.
func (l *Leg) countRecorder(on bool) {
	k := l.call
	if k == nil {
		return
	}
	if on {
		k.recorders++
		k.recorded = true
	} else {
		k.recorders--
	}
	k.touch()
	k.applyConference()
}

// event takes events of the conference that name no leg.
func (k *call) event(e control.Event) {
	k.c.lock()
	defer k.c.unlock()
	if e.Event == control.EventSpeaker {
		k.speaks(k.c.media[e.Leg])
	}
}

// speaks notes who speaks most, nil for nobody.
func (k *call) speaks(l *Leg) {
	if l != nil && l.call != k {
		l = nil
	}
	if k.over || k.speaker == l {
		return
	}
	for _, o := range []*Leg{k.speaker, l} {
		if o != nil && o.participant != nil {
			o.participant.touch()
		}
	}
	k.speaker = l
	k.touch()
}
