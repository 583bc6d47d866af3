package leg

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
)

// lookupTime is how long a look-up may take before the next way is tried.
const lookupTime = 10 * time.Second

// Dial implements [meeting.Dialer]. What the context is over with does not end the call: [Line.Hangup] does.
func (s *Legs) Dial(_ context.Context, d meeting.Dial, c meeting.Caller) (meeting.Line, *mixer.Leg) {
	l := s.line(d.Leg, false)
	l.caller, l.rights, l.streaming = c, d.Rights, d.Streaming
	l.own = func(set *Settings) { limit(set, d) }
	l.q.add(func() { l.dial(d) })
	return l, l.media
}

// limit brings in what a call is made with.
func limit(s *Settings, d meeting.Dial) {
	if d.Bandwidth > 0 {
		s.SendBandwidth, s.ReceiveBandwidth = d.Bandwidth, d.Bandwidth
	}
	if d.Encryption != "" && !s.Unencrypted {
		s.Encryption = sdp.Encryption(d.Encryption)
	}
	s.Video = s.Video && !d.NoVideo
	s.Presentation = s.Presentation && !d.NoPresent
}

// dial asks the dial plan for the ways, and tries the first one.
func (l *Line) dial(d meeting.Dial) {
	if l.ctx.Err() != nil {
		return
	}
	l.settings = l.legs.o.Settings(l.rights)
	l.own(&l.settings)
	l.plan.dial, l.plan.last = d, meeting.UnknownDestination
	out := l.legs.ways(d)
	if len(out.Attempts) == 0 {
		l.log.Info("a call cannot be made", "to", d.To, "why", out.Why)
		l.finish(meeting.UnknownDestination, false)
		return
	}
	l.plan.attempts = out.Attempts
	if order := l.legs.o.Order; order != nil {
		l.plan.attempts = order(out.Attempts)
	}
	l.try()
}

// ways asks the dial plan; there is none before the database has answered.
func (s *Legs) ways(d meeting.Dial) dialplan.Outgoing {
	p := s.o.Plan()
	if p == nil {
		return dialplan.Outgoing{Why: "there is no dial plan yet: the database has not answered"}
	}
	return p.Outgoing(s.outgoing(d), nil)
}

func (s *Legs) outgoing(d meeting.Dial) dialplan.Call {
	from := d.From
	if from == "" {
		from = s.o.From(d.Tenant)
	}
	c := dialplan.Call{To: d.To, Forwarded: d.Forwarded, PreserveCaller: d.PreserveFrom, Tenant: d.Tenant, CallBridge: s.o.Bridge(), Group: s.o.Group()}
	// What is no address leaves the caller anonymous.
	c.From, _ = dialplan.ParseAddress(from)
	return c
}

// try makes the call by the next way that there is.
func (l *Line) try() {
	for len(l.plan.attempts) > 0 {
		a := l.plan.attempts[0]
		l.plan.attempts = l.plan.attempts[1:]
		targets, err := l.legs.targets(l.ctx, a)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			l.log.Info("a way of a call leads nowhere", "to", a.To, "next", a.Next, "error", err)
			l.plan.last = meeting.DNSFailure
			continue
		}
		l.plan.now, l.plan.targets, l.insists = a, targets, ""
		l.invite()
		return
	}
	l.finish(l.plan.last, false)
}

// invite calls by the way that is being tried.
func (l *Line) invite() {
	offer, err := l.firstOffer(l.plan.targets)
	if err != nil {
		l.fail(err)
		return
	}
	l.exchange, l.rang = offering, false
	e := &ear{l: l}
	l.ear.Store(e)
	l.call = l.legs.o.Dial(l.legs.request(l.plan.dial, l.plan.now, l.plan.targets, offer, l.settings), e)
}

// otherwise changes how media are offered to a far end that refused them (488, 606), and says whether there is another way. Optional encryption is
// offered as RTP/AVP with a=crypto, which some do not take for an offer of encryption, and some not for one without: they are offered RTP/SAVP, and then
// no keys.
func (l *Line) otherwise(end sip.End) bool {
	if end.Code != 488 && end.Code != 606 || l.rang || l.settings.OfferDTLS || l.settings.Encryption != sdp.Optional && l.settings.Encryption != "" {
		return false
	}
	switch l.insists {
	case "":
		l.insists = sdp.Required
	case sdp.Required:
		l.insists = sdp.Prohibited
	default:
		return false
	}
	return true
}

// insisted brings in what a far end takes alone.
func (l *Line) insisted(p sdp.Policy) sdp.Policy {
	if l.insists != "" && (p.Encryption == sdp.Optional || p.Encryption == "") {
		p.Encryption = l.insists
	}
	return p
}

// targets looks up where an attempt goes.
func (s *Legs) targets(ctx context.Context, a dialplan.Attempt) ([]sip.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	ts := make([]sip.Transport, len(a.Transports))
	for i, t := range a.Transports {
		ts[i] = transports[t]
	}
	list, err := s.o.Targets(ctx, a.Next.Name, a.Next.Port, ts)
	if err == nil && len(list) == 0 {
		err = errNoTargets
	}
	return list, err
}

var errNoTargets = errors.New("the look-up found nothing")

var transports = map[dialplan.Transport]sip.Transport{dialplan.TLS: sip.TLS, dialplan.TCP: sip.TCP}

// firstOffer opens the ports of an outgoing call. Each way has keys of its own: what one far end was sent is nobody else's.
func (l *Line) firstOffer(targets []sip.Target) ([]byte, error) {
	again := l.session != nil
	l.begin()
	l.local = l.legs.o.Addresses(netip.Addr{}, targets[0].Address.Addr())
	l.session.Prepare()
	if again {
		if err := l.close(); err != nil {
			return nil, err
		}
	}
	offer, err := l.write(l.session.WriteOffer)
	l.agreed = l.session.Agreed()
	return offer, err
}

// request is an attempt in the words of package sip.
func (s *Legs) request(d meeting.Dial, a dialplan.Attempt, targets []sip.Target, offer []byte, set Settings) sip.Dial {
	r := sip.Dial{To: a.To.URI(), From: callerURI(a.From), FromName: d.FromName, Contact: a.ContactDomain, Next: targets, Offer: offer, RingFor: set.RingFor}
	if set.ResourcePriority != "" {
		r.Headers = append(r.Headers, sip.Header{Name: "Resource-Priority", Value: set.ResourcePriority})
	}
	for _, h := range d.Headers {
		if h[0] == "Max-Forwards" {
			// Of a call that is forwarded: one less than it had, so that circles through other servers end (RFC 3261, 16.3).
			r.MaxForwards, _ = strconv.Atoi(h[1])
			continue
		}
		r.Headers = append(r.Headers, sip.Header{Name: h[0], Value: h[1]})
	}
	return r
}

// callerURI is a caller as the far end sees it; nobody, when there is no domain (RFC 3261, 8.1.1.3).
func callerURI(a dialplan.Address) string {
	if a.Domain == "" {
		return "sip:anonymous@anonymous.invalid"
	}
	return a.URI()
}

// attemptFailed goes on to the next way, unless the far end's answer was for good.
func (l *Line) attemptFailed(end sip.End) {
	l.plan.last = reasonFor(end, l.settings.Encryption == sdp.Required)
	if l.otherwise(end) {
		l.log.Info("media as offered were refused; they are offered in another way", "code", end.Code, "encryption", l.insists)
		l.invite()
		return
	}
	l.log.Info("a call was not answered", "code", end.Code, "text", end.Reason, "error", end.Err, "ways", len(l.plan.attempts))
	if len(l.plan.attempts) == 0 || final(end, l.rang) {
		l.finish(l.plan.last, end.Remote || end.Code >= 300)
		return
	}
	l.try()
}
