package meeting

import (
	"slices"
	"time"

	"rotunda/services/media/control"
)

// lastWords is how long the media of a leg may stay after its end, for signalling to bring its figures home and to close them; what is
// there then is closed here: a line that does not end must not keep ports.
const lastWords = 5 * time.Second

// end ends a leg from here.
func (l *Leg) end(why Reason, other bool) { l.finish(why, other, false) }

// finish ends a leg. byLine says that signalling is over already.
func (l *Leg) finish(why Reason, other, byLine bool) {
	if l.over {
		return
	}
	c, k, p := l.c, l.call, l.participant
	now := c.clock.Now()
	if !l.activeSince.IsZero() {
		l.activated += now.Sub(l.activeSince)
		l.activeSince = time.Time{}
	}
	l.over, l.state = true, Gone
	l.endWhy, l.endOther, l.endAt = why, other, now
	l.touch()
	for _, timer := range []*func(){&l.timers.duration, &l.timers.notice} {
		stop(timer)
	}
	if l.dialog != nil {
		l.dialog.drop()
		l.dialog = nil
	}
	l.sounds.drop()
	l.keys.drop()
	if !byLine && !l.farewell {
		l.tell(func(line Line) { line.Hangup(why) })
	}
	if m := l.media; m != nil {
		l.deaf()
		delete(c.media, m.ID())
		if l.farewell {
			// Others are not to see who is gone.
			m.Set(func(m *control.Leg) { m.Conference, m.Near = "", "" })
		} else {
			c.clock.AfterFunc(lastWords, m.Close)
		}
	}
	delete(c.legs, l.id)
	c.log.Info("leg ends", "leg", l.id, "call", callID(l), "reason", why, "remote", other)
	if k != nil {
		if l.records {
			l.countRecorder(false)
		}
		k.legs = slices.DeleteFunc(k.legs, func(o *Leg) bool { return o == l })
		k.completed++
		k.touch()
		l.leaveFloor(true)
		if k.speaker == l {
			k.speaker = nil
		}
	}
	if p != nil {
		k.members--
		p.legs = slices.DeleteFunc(p.legs, func(o *Leg) bool { return o == l })
		p.touch()
		if len(p.legs) == 0 {
			if p.inside {
				k.leaveTone()
			}
			p.leave()
		} else {
			p.recount()
		}
	}
	if l.sink != nil {
		l.sink.ended(why)
	}
	if k != nil {
		if k.gateway != nil {
			k.gateway.ended(l, why)
		}
		k.leave()
		if !k.over && p != nil {
			k.fewer()
		}
	}
	c.emptied()
}
