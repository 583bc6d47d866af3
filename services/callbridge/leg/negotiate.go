package leg

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/media/control"
)

// describe writes a session description of the ports that were opened: WriteOffer or WriteAnswer of a session.
type describe func(control.LegState, sdp.Ports) ([]byte, error)

// put brings what the session says to the media engine, and waits for the ports.
func (l *Line) put() (state control.LegState, err error) {
	l.session.Presenting(l.slides)
	if l.session.Reopens() {
		if err := l.close(); err != nil {
			return state, err
		}
	}
	ctx, cancel := context.WithTimeout(l.ctx, mediaTime)
	defer cancel()
	apply, keep, mute := l.session.Plan(l.local), l.keep, false // mute far ends say nothing by RTCP
	state, err = l.media.Put(ctx, func(c *control.Leg) {
		apply(c)
		keep.give(c)
		mute = blind(c.Video) || blind(c.Presentation)
	})
	if err == nil {
		l.keep = mutes{}
		l.legs.updates.watch(l, mute)
	}
	return state, err
}

// close gives all ports up, so that the next put opens others.
func (l *Line) close() error {
	ctx, cancel := context.WithTimeout(l.ctx, mediaTime)
	defer cancel()
	var keep mutes
	_, err := l.media.Put(ctx, func(c *control.Leg) {
		keep.take(c)
		c.Transports, c.Audio, c.Video, c.Presentation = nil, nil, nil, nil
	})
	if err == nil {
		l.keep = keep
		l.told = meeting.MediaInfo{} // the meeting is told in any case, and may set again what it set meanwhile
	}
	return err
}

// mutes are what the meeting set on streams, which it keeps when they are opened anew.
type mutes struct {
	audio        *control.Audio
	video, slide *control.Video
}

func (m *mutes) take(c *control.Leg) { m.audio, m.video, m.slide = c.Audio, c.Video, c.Presentation }

func (m *mutes) give(c *control.Leg) {
	if m.audio != nil && c.Audio != nil {
		c.Audio.Muted, c.Audio.Deaf, c.Audio.Gain = m.audio.Muted, m.audio.Deaf, m.audio.Gain
	}
	for _, v := range [2][2]*control.Video{{m.video, c.Video}, {m.slide, c.Presentation}} {
		if v[0] != nil && v[1] != nil {
			v[1].Muted, v[1].Blind = v[0].Muted, v[0].Blind
		}
	}
}

// write puts the media and writes a description of them.
func (l *Line) write(how describe) ([]byte, error) {
	state, err := l.put()
	if err != nil {
		return nil, err
	}
	l.state = state
	return how(state, l.ports())
}

// offer offers the far end what there is now, as soon as no other exchange is under way. more adds what the settings did not have before.
func (l *Line) offer(more bool) {
	if l.stage == over || l.ctx.Err() != nil {
		return
	}
	if l.stage != up || l.exchange != settled {
		l.again, l.more = true, l.more || more
		return
	}
	l.again, l.more = false, false
	if more {
		l.session.PrepareMore()
	} else {
		l.session.Prepare()
	}
	body, err := l.write(l.session.WriteOffer)
	if err != nil {
		l.fail(err)
		return
	}
	l.exchange = offering
	l.call.Reoffer(body)
}

// answered takes the far end's answer to our offer.
func (l *Line) answered(body []byte) {
	if l.stage == over || l.exchange != offering {
		return // an answer that was given before, in a reliable provisional one
	}
	if body == nil {
		// RFC 3261 13.2.1 wants one; there are no media without.
		l.fail(&sdp.Refused{Code: 488, Warn: 399, Warning: "the answer has no session description"})
		return
	}
	l.exchange = settled
	if err := l.session.ReadAnswer(body); err != nil {
		if l.stage != up {
			l.fail(err)
			return
		}
		l.log.Warn("the far end's answer cannot be taken", "error", err)
		l.giveUp()
		return
	}
	reopened := l.session.Reopens()
	state, err := l.put()
	if err != nil {
		l.fail(err)
		return
	}
	l.refused = 0
	if !l.again {
		l.moved = false // unless it moved on meanwhile
	}
	l.settle(body)
	if reopened || !samePorts(l.state, state) {
		// The far end has the ports of before.
		l.again, l.moved = true, true
	}
	l.next()
}

// giveUp forgets our offer: what was agreed on before is in force again, where it can be.
func (l *Line) giveUp() {
	l.session.Rollback()
	if _, err := l.put(); err != nil {
		l.fail(err)
		return
	}
	if l.settings.Encryption == sdp.Required && l.agreed.Unencrypted {
		l.hangup(meeting.EncryptionRequired)
		return
	}
	if l.moved {
		l.insist()
		return
	}
	if f := l.agreed.Floor; f != nil && (l.floor == nil || l.floor.transport != f.Transport) {
		// The offer wanted another one: what is in force again has a port that is gone. Should this be refused too, there is none of that kind to lose.
		l.again = true
	}
	l.next()
}

const (
	// Ports of a dead worker are no use to anybody: an offer of new ones that is refused is made again, and a leg that cannot have it ends.
	insistTimes = 3
	insistAfter = time.Second
)

func (l *Line) insist() {
	if l.refused++; l.refused >= insistTimes {
		l.log.Warn("the far end does not take the ports of another worker")
		l.call.Hangup("no media")
		l.finish(meeting.Failed, false)
		return
	}
	l.legs.o.After(insistAfter, func() { l.q.add(func() { l.offer(false) }) })
}

// offerRefused: the far end does not want what we offered.
func (l *Line) offerRefused(code int) {
	if l.stage == over || l.exchange != offering {
		return
	}
	l.log.Info("an offer was refused", "code", code)
	l.exchange = settled
	if l.silent && (code == 408 || code == 503) {
		// Neither media nor an answer: nobody is there any more.
		l.hangup(meeting.TimedOut)
		return
	}
	l.giveUp()
}

// offered takes an offer of the far end; nil asks for ours.
func (l *Line) offered(body []byte) {
	if l.stage == over || l.ctx.Err() != nil {
		return
	}
	if l.session == nil || l.incoming && l.stage == early {
		l.call.RefuseOffer(491)
		return
	}
	crossed := l.exchange == offering
	if crossed {
		// Theirs was first, and ours has not gone out yet: it is made again, of what there is then.
		l.session.Rollback()
		l.exchange, l.again = settled, true
	}
	if body == nil {
		l.session.PrepareAll()
		answer, err := l.write(l.session.WriteOffer)
		if err != nil {
			l.refuseOffer(err)
			return
		}
		l.exchange = offering
		l.call.AnswerOffer(answer)
		return
	}
	if err := l.session.ReadOffer(body); err != nil {
		l.refuseOffer(err)
		return
	}
	answer, err := l.write(l.session.WriteAnswer)
	if err != nil {
		l.session.Rollback()
		_, _ = l.put()
		l.refuseOffer(err)
		return
	}
	if crossed {
		// The new one takes the place of the one that waits to go out, before it may.
		l.settle(body)
		l.next()
		l.call.AnswerOffer(answer)
		return
	}
	l.call.AnswerOffer(answer)
	l.settle(body)
	l.next()
}

func (l *Line) refuseOffer(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.log.Info("an offer of the far end cannot be taken", "error", err)
	switch {
	case isRefused(err):
		l.call.RefuseOffer(488)
	case control.CodeOf(err) == control.CodeCapacity:
		l.call.RefuseOffer(503)
	default:
		l.call.RefuseOffer(400)
	}
	l.next()
}

// next offers what had to wait.
func (l *Line) next() {
	if l.again {
		l.offer(l.more)
	}
}

// settle is when something was agreed on; description is the far end's.
func (l *Line) settle(description []byte) {
	l.traceOffered(description)
	l.agreed = l.session.Agreed()
	l.agreeFloor(l.agreed.Floor)
	l.agreeCamera(l.agreed.Camera)
	l.records(description)
	if held := l.agreed.HeldByPeer; held != l.held && l.stage == up {
		l.held = held
		l.tell(func() { l.caller.Held(held) })
	}
	l.changed()
}

// changed tells of media that are others than before.
func (l *Line) changed() {
	if l.stage != up {
		return
	}
	if m := l.facts(); m != l.told {
		l.told = m
		who := l.who
		l.tell(func() { l.caller.Changed(who, m) })
	}
}

// confirmed: the dialog is up.
func (l *Line) confirmed() {
	if l.stage != early {
		return
	}
	l.stage = up
	l.sure.Store(true)
	l.who = identify(l.call)
	l.told = l.facts()
	who, m := l.who, l.told
	l.tell(func() { l.caller.Answered(who, m) })
	if l.held = l.agreed.HeldByPeer; l.held {
		l.tell(func() { l.caller.Held(true) })
	}
	l.next()
	l.conform()
}

// records tells whether the far end says that it records (RFC 7866, 6.2).
func (l *Line) records(description []byte) {
	on := bytes.Contains(description, []byte("\na=record:on"))
	if on != l.recording {
		l.recording = on
		l.tell(func() { l.caller.EndpointRecords(on) })
	}
}

// ports are those of what does not run in the media engine, opened when the description has a use for them.
func (l *Line) ports() (p sdp.Ports) {
	floor, camera := l.session.Wants()
	l.openFloor(floor)
	l.openCamera(camera)
	if l.floor != nil {
		p.Floor = l.floor.c.Local()
	}
	if l.camera != nil {
		p.Camera = l.camera.e.Local()
	}
	return p
}

// reached tells whether the far end can reach a socket of ours, as far as it is known where that is: what was offered in one family may be answered in
// the other one.
func (l *Line) reached(at netip.AddrPort) bool {
	return at.Addr().Unmap().Is4() == l.session.Near(l.local).Unmap().Is4()
}

// share has the engine know of what [sdp.Session.Presenting] decides; the far end needs no new description for that.
func (l *Line) share() {
	l.session.Presenting(l.slides)
	// What is on its way to be agreed on comes with its own put.
	if l.exchange == settled {
		l.media.Set(l.session.Plan(l.local))
	}
}
