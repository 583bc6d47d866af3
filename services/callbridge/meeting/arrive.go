package meeting

import (
	"strings"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces"
	"rotunda/services/callbridge/store"
)

// Arrive takes an incoming call. The ID of the leg is that of a.Media; what becomes of the call a.Line is told.
func (c *Calls) Arrive(a Arrival, t Target) Caller {
	id, ok := store.ParseID(a.Media.ID())
	if !ok {
		id = fresh() // a name of our own for a leg whose media have one that is no GUID
	}
	c.lock()
	defer c.unlock()
	l := c.newLeg(id, Incoming)
	l.line, l.vouched = a.Line, a.Vouched
	l.hear(a.Media)
	l.kind, l.sub = a.Kind, a.Sub
	if l.kind == "" {
		l.kind = "sip"
	}
	l.local, l.original, l.replaces = a.Called, a.Original, a.Replaces
	l.agreed = a.Offer
	l.tenant = t.Tenant
	l.identify(a.Identity)
	l.resolve()
	switch {
	case c.closing:
		l.end(LocalTeardown, false)
	case t.Reject != "":
		l.end(t.Reject, false)
	case t.Forward != nil:
		c.forward(l, *t.Forward)
	case t.Menu != nil || t.Any:
		l.menu(t.Menu)
	case len(t.Entries) == 0:
		l.end(UnknownDestination, false)
	case len(t.Entries) == 1 && passcode(t.Entries[0]) == "":
		l.join(t.Entries[0])
	default:
		l.askPasscode(t.Entries)
	}
	return l
}

// passcode is what has to be entered for a way in. A method is another way than its space: it does not inherit the passcode.
func passcode(e Entry) string {
	if e.Method != nil {
		return e.Method.Text("passcode")
	}
	return e.Space.Text("passcode")
}

// identify takes over who the far end says that it is.
func (l *Leg) identify(who Identity) {
	if who.Name != "" {
		l.name = who.Name
	}
	if who.Address != "" {
		l.remote = who.Address
	}
	if who.From.IsValid() {
		l.address = who.From
	}
	if who.SIPID != "" {
		l.sipID = who.SIPID
	}
}

// resolve finds the rights of the leg by where it is and what was set for it.
func (l *Leg) resolve() {
	v := l.c.view()
	if v == nil {
		l.rights = profiles.Resolve(schema.CallLegProfile, profiles.Level{Scope: profiles.CallLeg, Fields: l.own.Fields})
		return
	}
	p := profiles.Leg{AccessMethod: now(v, l.method), Member: now(v, l.member), CallOut: l.callOut, Own: l.own}
	tenant := l.tenant
	if l.call != nil {
		p.Space, tenant = now(v, l.call.space), l.call.tenant
	}
	if tenant != (ID{}) {
		p.Tenant = v.Get(schema.Tenants, tenant)
	}
	l.rights = profiles.ForLeg(v, p)
}

// now is an object as it is now: other profiles may have been attached to it since somebody came in by it. One that is gone stays what it was.
func now(v store.View, r *store.Record) *store.Record {
	if r == nil {
		return nil
	}
	if newer := v.Get(r.Object(), r.ID()); newer != nil {
		return newer
	}
	return r
}

// barred is what a user's profile does not allow, whatever the meeting does.
type barred struct{ audio, video, presentation bool }

// bar finds what the leg's user may not do.
func (l *Leg) bar() {
	l.barred = barred{}
	v := l.c.view()
	if v == nil || l.user == (ID{}) {
		return
	}
	if user := v.Get(schema.User, l.user); user != nil {
		p := profiles.ForUser(v, user)
		l.barred = barred{!p.Bool("audioParticipationAllowed"), !p.Bool("videoParticipationAllowed"), !p.Bool("presentationParticipationAllowed")}
	}
}

// recognise finds the member of the space that a caller is: whose JID the far end's address is. It counts where call control vouches for the
// address, or we called it: a member's rights are not to be had by writing a member's name into From.
func (l *Leg) recognise(space *store.Record) {
	l.guest = true
	defer l.bar()
	v := l.c.view()
	if v == nil || l.remote == "" || !l.vouched {
		return
	}
	user := spaces.UserByJID(v, strings.ToLower(l.remote))
	if user == nil {
		return
	}
	l.user, l.jid, l.userTag = user.ID(), user.Text("userJid"), user.Text("cdrTag")
	if m := spaces.MemberOf(v, space.ID(), user.ID()); m != nil {
		l.member, l.guest = m, false
	} else if owner, ok := space.Ref("ownerId"); ok && owner == user.ID() {
		l.guest = false
	}
}

// join brings a leg that may come in into the meeting of a space, and answers it.
func (l *Leg) join(e Entry) {
	c := l.c
	l.recognise(e.Space)
	k := c.spaces[e.Space.ID()]
	if why := c.full(k, e.Space); why != "" {
		l.part(partFull, why)
		return
	}
	if k == nil {
		k = c.begin(SpaceCall, e.Space, ID{}, "")
	}
	l.method = e.Method
	l.enter(k, nil)
	l.participant.importance = accessImportance(e.Method)
	l.participant.member = !l.guest
	if l.answered {
		l.arrived()
	} else {
		l.tell(Line.Accept)
	}
}

// full says why nobody more may come into a call, or into a new one of the space; "" when there is room. Limits count participants, not legs.
func (c *Calls) full(k *call, space *store.Record) Reason {
	v := c.view()
	var tenant *store.Record
	switch {
	case v == nil:
	case k != nil && k.tenant != (ID{}):
		tenant = v.Get(schema.Tenants, k.tenant)
	case space != nil:
		tenant = v.Ref(space, "tenant")
	}
	var there int
	var profile profiles.Effective
	if k != nil {
		there, profile = len(k.participants), k.profile
	} else {
		profile = callProfile(v, space, tenant)
	}
	if most, ok := profile.Number("participantLimit"); ok && int64(there) >= most {
		return ParticipantLimit
	}
	if tenant != nil {
		if most, ok := tenant.Number("participantLimit"); ok && int64(c.tenants[tenant.ID()]) >= most {
			return TenantLimit
		}
	}
	return ""
}

// enter puts a leg into a call, as one of a participant, or of a new one for nil.
func (l *Leg) enter(k *call, p *participant) {
	if p == nil {
		p = l.c.newParticipant(k, l.direction)
	}
	l.call, l.participant, l.tenant = k, p, k.tenant
	p.legs = append(p.legs, l)
	k.legs = append(k.legs, l)
	k.members++
	k.maxLegs = max(k.maxLegs, len(k.legs))
	if p.user == (ID{}) {
		p.user, p.jid = l.user, l.jid
	}
	for name, v := range p.settings {
		switch {
		case name == "callLegProfile":
			l.own.Profile, _ = parseID(v)
		case name == "chosenLayout":
			l.chosen = v
		case schema.CallLegProfile.Field(name) != nil && name != "name":
			l.setOwn(name, v)
		}
	}
	l.resolve()
	if len(p.legs) == 1 {
		p.needs = l.rights.Bool("needsActivation")
		p.active = !p.needs
	}
	if k.joinMute != "" {
		l.setOwn("rxAudioMute", k.joinMute)
		l.resolve()
	}
	if l.records {
		l.countRecorder(true)
	}
	l.adjust()
	l.limitDuration() // of who was answered before: for a menu or a passcode, or in another meeting
	l.touch()
	k.touch()
	if len(k.legs) > 1 {
		l.apply() // its media are to be where those of the others are; the first may be anywhere
	}
}
