package leg

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"sync/atomic"
	"time"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
	"rotunda/services/media/control"
)

// stage is how far a leg is.
type stage uint8

const (
	early stage = iota // it rings, or is being dialled
	up
	over
)

// exchange is that of offer and answer.
type exchange uint8

const (
	settled  exchange = iota
	offering          // our offer is out
)

// Line is one SIP leg. Its exported methods return at once.
type Line struct {
	legs     *Legs
	id       meeting.ID
	media    *mixer.Leg
	log      *slog.Logger
	incoming bool
	// streaming: the far end records or streams, nobody talks there.
	streaming bool
	q         queue
	// ctx ends when the leg is given up: nobody waits for its media then.
	ctx    context.Context
	cancel context.CancelFunc

	// ear is that of the dialog that counts; what others say is left out. Tasks of q write it. sure: there is no other way to go on when that
	// dialog ends.
	ear  atomic.Pointer[ear]
	sure atomic.Bool

	// What follows belongs to the tasks of q.
	caller   meeting.Caller
	untold   []func()
	call     Dialog
	who      meeting.Identity
	stage    stage
	accepted bool // the meeting said Accept
	rang     bool

	settings Settings
	rights   *profiles.Effective
	// own are what this call was made with, over the settings; nil for nothing.
	own       func(*Settings)
	session   *sdp.Session
	policy    sdp.Policy // the session's
	local     []netip.Addr
	agreed    sdp.Agreed
	state     control.LegState // that the last description was written from
	cipher    string           // that DTLS handed over
	told      meeting.MediaInfo
	held      bool // told
	recording bool // told: the far end records

	floor   *floorControl
	showing bool // somebody else presents
	slides  bool // a presentation is being sent or received
	camera  *cameraControl
	// cameraOf is whose camera the far end moves; nil for nobody's.
	cameraOf *Line

	exchange exchange
	// again: offer once more when the exchange is over; more: with what the settings did not have before, too.
	again, more bool
	// refused counts how often in a row the far end refused ports without which there are no media.
	refused int
	moved   bool
	silent  bool

	// keep is what the meeting set on streams that are opened anew.
	keep mutes
	// sentTo is a call to whom the far end sent us.
	sentTo *transfer

	// plan is what is left of an outgoing call's ways.
	plan struct {
		attempts []dialplan.Attempt
		dial     meeting.Dial
		last     meeting.Reason
		// now is the way that is being tried, at targets.
		now     dialplan.Attempt
		targets []sip.Target
	}
	// insists is how media are offered to a far end that refused the usual offer of optional encryption: Required or Prohibited; "" as usual.
	insists sdp.Encryption
}

var (
	_ meeting.Line       = (*Line)(nil)
	_ meeting.Adjustable = (*Line)(nil)
)

// ID is that of the leg, and as text of its media.
func (l *Line) ID() meeting.ID { return l.id }

// Tell names who hears what becomes of the leg.
func (l *Line) Tell(c meeting.Caller) {
	l.q.add(func() {
		l.caller = c
		list := l.untold
		l.untold = nil
		for _, f := range list {
			f()
		}
	})
}

// tell runs f, which calls l.caller, when there is one.
func (l *Line) tell(f func()) {
	if l.caller == nil {
		l.untold = append(l.untold, f)
		return
	}
	f()
}

// Ring implements [meeting.Line].
func (l *Line) Ring() {
	l.q.add(func() {
		if l.incoming && l.stage == early && !l.accepted {
			l.call.Ring()
		}
	})
}

// Accept implements [meeting.Line].
func (l *Line) Accept() { l.q.add(l.accept) }

// Hangup implements [meeting.Line].
func (l *Line) Hangup(why meeting.Reason) {
	l.cancel() // whatever waits for media
	l.q.add(func() { l.hangup(why) })
}

// Hold implements [meeting.Line].
func (l *Line) Hold(on bool) {
	l.q.add(func() {
		if l.stage == over || l.session == nil {
			return
		}
		l.session.Hold(on)
		l.offer(false)
	})
}

// Refer implements [meeting.Line].
func (l *Line) Refer(to string) {
	l.q.add(func() {
		if l.stage == up {
			l.call.Refer(to)
		}
	})
}

// Adjust gives the leg the settings of a participant with these rights. What changes is agreed on anew with the far end.
func (l *Line) Adjust(rights profiles.Effective) {
	l.q.add(func() {
		l.rights = &rights
		l.adjust()
	})
}

func (l *Line) adjust() {
	if l.stage == over {
		return
	}
	s := l.legs.o.Settings(l.rights)
	if l.own != nil {
		l.own(&s)
	}
	l.settings = s
	l.conform() // before it is up, they count when it is
}

// conform offers anew what the settings have changed since the session began.
func (l *Line) conform() {
	policy := l.insisted(l.settings.Policy)
	policy.DSCP = l.policy.DSCP // see remark
	if l.stage != up || reflect.DeepEqual(l.policy, policy) {
		return
	}
	concerned := l.session.Concerns(policy)
	l.policy = policy
	l.session.SetPolicy(l.policy)
	if concerned {
		l.offer(true)
	}
}

// wanted is the policy of a session that begins now.
func (l *Line) wanted() sdp.Policy {
	p := l.insisted(l.settings.Policy)
	p.DSCP = marks(l.legs.o.Marks(), l.streaming)
	return p
}

// begin makes a session by the settings of now.
func (l *Line) begin() {
	l.policy = l.wanted()
	l.session = sdp.New(l.policy, l.legs.o.Random)
}

// accept answers an incoming call.
func (l *Line) accept() {
	if !l.incoming || l.stage != early || l.accepted || l.ctx.Err() != nil {
		return
	}
	offer := l.call.Offer()
	// The settings may be others than when the call came.
	l.begin()
	var body []byte
	var err error
	if offer != nil {
		if err = l.session.ReadOffer(offer); err == nil {
			body, err = l.write(l.session.WriteAnswer)
		}
	} else {
		l.session.Prepare()
		if body, err = l.write(l.session.WriteOffer); err == nil {
			l.exchange = offering
		}
	}
	if err != nil {
		l.fail(err)
		return
	}
	l.accepted = true
	l.call.Accept(body)
	if offer != nil {
		l.settle(offer)
	}
}

// fail ends a leg that cannot have what it needs.
func (l *Line) fail(err error) {
	if l.ctx.Err() != nil {
		return // it is being hung up: that is why
	}
	l.log.Warn("a leg cannot be agreed on", "error", err)
	why, r := meeting.Failed, refusal{500, "Server Internal Error", printable(err.Error())}
	warn := 399
	if e, ok := errors.AsType[*sdp.Refused](err); ok {
		r, warn = refusal{e.Code, "Not Acceptable Here", e.Warning}, e.Warn
		if l.settings.Encryption == sdp.Required {
			why = meeting.EncryptionRequired
		}
	} else if code := control.CodeOf(err); code == control.CodeCapacity || code == control.CodeLost || code == control.CodeTimeout || errors.Is(err, context.DeadlineExceeded) {
		r = refusal{503, "Service Unavailable", "no media worker has room for the call"}
	}
	l.refuse(r, warn)
	l.finish(why, false)
}

// refuse ends the dialog before or after it was answered.
func (l *Line) refuse(r refusal, warn int) {
	switch {
	case l.call == nil:
	case l.incoming && l.stage == early:
		var extra []sip.Header
		if r.warning != "" {
			extra = append(extra, warning(warn, r.warning))
		}
		if r.code == 503 {
			extra = append(extra, sip.Header{Name: "Retry-After", Value: "10"})
		}
		l.call.Reject(r.code, r.text, extra...)
	default:
		l.call.Hangup(r.warning)
	}
}

func (l *Line) hangup(why meeting.Reason) {
	if l.stage == over {
		return
	}
	r := refusalFor(why)
	if l.stage == up || !l.incoming || l.accepted {
		r.warning = partings[why]
	}
	if l.accepted && l.stage == early {
		l.call.Hangup(r.warning) // the answer is out, its ACK not in yet
	} else {
		l.refuse(r, 399)
	}
	l.finish(why, false)
}

// finish is the end of a leg, whoever made it.
func (l *Line) finish(why meeting.Reason, remote bool) {
	if l.stage == over {
		return
	}
	l.stage = over
	l.cancel()
	l.ear.Store(nil)
	if l.sentTo != nil {
		l.sentTo.drop()
		l.sentTo = nil
	}
	if l.floor != nil {
		l.floor.c.Close()
		l.floor = nil
	}
	l.closeCamera()
	l.cameraOf, l.session, l.plan.attempts = nil, nil, nil
	l.log.Debug("a leg ended", "reason", why, "remote", remote)
	l.legs.forget(l)
	l.legs.updates.watch(l, false)
	l.tell(func() { l.caller.Ended(why, remote) })
	l.media.Close()
}

// facts are what the far end and we agree on, or are about to.
func (l *Line) facts() meeting.MediaInfo {
	a := l.agreed
	m := meeting.MediaInfo{Audio: a.Audio, Video: a.Video, Presentation: a.Presentation, Cipher: a.Cipher, Encrypted: a.Encrypted, Unencrypted: a.Unencrypted,
		Camera: a.Camera != nil && l.camera != nil && l.camera.capable, Bandwidth: a.Bandwidth}
	if a.DTLS {
		m.Cipher = l.cipher
	}
	return m
}

// ear hears what becomes of one dialog of a leg: of the one that counts, or of one that is to take its place. What others say is left out.
type ear struct {
	l        *Line
	transfer *transfer
}

var (
	_ sip.Handler  = (*ear)(nil)
	_ sip.Referrer = (*ear)(nil)
)

// do queues what a dialog says.
func (e *ear) do(f func(l *Line)) {
	e.l.q.add(func() {
		if e.l.ear.Load() == e {
			f(e.l)
		}
	})
}

// or is do, with what it means while the dialog is that of a transfer.
func (e *ear) or(f func(l *Line), g func(t *transfer)) {
	e.l.q.add(func() {
		if e.l.ear.Load() == e {
			f(e.l)
		} else if t := e.transfer; t != nil && e.l.sentTo == t && t.ear == e {
			g(t)
		}
	})
}

// Ringing implements [sip.Handler]. A call that is being forwarded (181), waits (182) or makes progress without sound (183) does not ring yet: other ways
// to it may still be tried.
func (e *ear) Ringing(code int) {
	e.or(func(l *Line) {
		if l.stage == early && code == 180 {
			l.rang = true
			l.tell(func() { l.caller.Ringing() })
		}
	}, func(t *transfer) { t.from.ReferProgress(code) })
}

// Early implements [sip.Handler]: what an unreliable provisional answer says is not binding, and only the first of several far ends that ring could
// be heard. It counts as ringing.
func (e *ear) Early([]byte) { e.Ringing(180) }

// Answered implements [sip.Handler].
func (e *ear) Answered(body []byte) { e.do(func(l *Line) { l.answered(body) }) }

// Confirmed implements [sip.Handler].
func (e *ear) Confirmed() { e.do((*Line).confirmed) }

// Offered implements [sip.Handler].
func (e *ear) Offered(body []byte) {
	e.or(func(l *Line) { l.offered(body) }, func(t *transfer) { t.offered(body) })
}

// OfferRefused implements [sip.Handler].
func (e *ear) OfferRefused(code int) { e.do(func(l *Line) { l.offerRefused(code) }) }

// Info implements [sip.Handler].
func (e *ear) Info(contentType string, body []byte) int { return e.l.info(contentType, body) }

// Ended implements [sip.Handler].
func (e *ear) Ended(end sip.End) {
	if e.l.sure.Load() && e.l.ear.Load() == e {
		e.l.cancel() // whatever waits for media
	}
	e.or(func(l *Line) { l.ended(end) }, func(t *transfer) { t.ended(end) })
}

func (l *Line) ended(end sip.End) {
	switch {
	case l.stage == over:
	case l.stage == up || l.incoming:
		l.finish(reasonAfter(end), end.Remote || end.Canceled)
	default:
		l.attemptFailed(end)
	}
}

// mediaEar hears what becomes of a leg's media.
type mediaEar struct{ l *Line }

var _ mixer.Handler = mediaEar{}

// Moved implements [mixer.Handler].
func (e mediaEar) Moved(s control.LegState) { e.l.q.add(func() { e.l.mediaMoved(s) }) }

// Refused implements [mixer.Handler].
func (e mediaEar) Refused(err error) { e.l.q.add(func() { e.l.mediaRefused(err) }) }

// Event implements [mixer.Handler].
func (e mediaEar) Event(v control.Event) {
	e.l.traceICE(v)
	switch v.Event {
	case control.EventTransport:
		if v.Cipher != "" || v.State == "failed" {
			e.l.q.add(func() { e.l.transport(v) })
		}
	case control.EventSilent:
		e.l.q.add(e.l.wentSilent)
	case control.EventHeard:
		e.l.q.add(func() { e.l.silent = false })
	}
}

// mediaMoved offers new ports to the far end at once.
func (l *Line) mediaMoved(s control.LegState) {
	if l.stage == over || samePorts(l.state, s) {
		return
	}
	l.log.Info("a leg's media moved", "worker", s.Worker)
	l.moved = true
	l.offer(false)
}

func samePorts(a, b control.LegState) bool {
	if a.Worker != b.Worker || len(a.Transports) != len(b.Transports) {
		return false
	}
	for i := range a.Transports {
		if !reflect.DeepEqual(a.Transports[i].RTP, b.Transports[i].RTP) {
			return false
		}
	}
	return true
}

// mediaRefused: without room at any worker there are no media; anything else leaves what was there.
func (l *Line) mediaRefused(err error) {
	if l.stage == over || control.CodeOf(err) == control.CodeInvalid {
		return // mixer wrote it down
	}
	l.fail(err)
}

func (l *Line) transport(v control.Event) {
	if l.stage == over {
		return
	}
	if v.State == "failed" {
		l.log.Warn("a transport failed", "transport", v.Transport, "why", v.Text)
		if l.agreed.DTLS || l.agreed.ICE {
			l.call.Hangup("no media")
			l.finish(meeting.Failed, false)
		}
		return
	}
	if v.Cipher != l.cipher {
		l.cipher = v.Cipher
		l.changed()
	}
}

// wentSilent asks a far end of which nothing comes whether it is still there: who does not know the dialog any more answers 481, and the leg
// ends.
func (l *Line) wentSilent() {
	if l.stage != up || l.silent || l.agreed.HeldByPeer || l.agreed.HeldByUs {
		return
	}
	l.silent = true
	l.log.Info("nothing comes from the far end; it is asked whether it is there")
	l.offer(false)
}

// mediaTime is how long an answer of the media engine is waited for.
const mediaTime = 15 * time.Second
