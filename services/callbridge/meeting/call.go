package meeting

import (
	"maps"
	"slices"
	"time"

	"rotunda/services/callbridge/keys"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

// call is a call that goes on. Everything in it is guarded by the lock of Calls.
type call struct {
	c          *Calls
	id         ID
	seq        uint64
	kind       CallType
	name       string
	space      *store.Record // nil where there is none
	tenant     ID
	correlator ID
	owner, tag string
	started    time.Time
	// profile is the callProfile as it was when the call began.
	profile    profiles.Effective
	conference *mixer.Conference

	// participants and legs in the order in which they came. Legs that record or stream are among legs alone.
	participants []*participant
	legs         []*Leg
	members      int // legs of participants
	// activators are participants who are connected, not in the lobby, and do not need activation.
	activators         int
	inside             int // participants who are in the meeting: connected, and not in the lobby
	maxLegs, completed int

	// settings are what the API set, by schema name; never changed in place.
	settings map[string]string
	locked   bool
	joinMute string

	speaker   *Leg
	presenter *Leg
	message   message
	sinks     [2]*sink // by sinkKind
	recorders int      // endpoints that say that they record
	recorded  bool     // by an endpoint, at any time
	gateway   *gateway // of a forwarded call
	prompts   branding
	lonely    *Leg // who is told to be the only one
	keys      *keys.Map

	conferenceState conferenceState
	shown           *CallInfo
	dirty, over     bool
}

// begin makes a call. The caller holds the lock.
func (c *Calls) begin(kind CallType, space *store.Record, tenant ID, name string) *call {
	k := &call{c: c, id: fresh(), seq: c.order(), kind: kind, space: space, tenant: tenant, name: name, correlator: fresh(), started: c.clock.Now(),
		settings: map[string]string{}}
	v := c.view()
	var of *store.Record
	if v != nil && tenant != (ID{}) {
		of = v.Get(schema.Tenants, tenant)
	}
	if space != nil {
		k.name, k.tag = space.Text("name"), space.Text("cdrTag")
		k.correlator = space.ID() // the same wherever the meeting is
		if id, ok := space.Ref("tenant"); ok {
			k.tenant = id
		}
		k.owner = ownerOf(v, space)
	}
	k.profile = callProfile(v, space, of)
	k.locked = k.profile.Bool("locked")
	k.conference = c.o.Mixer.Conference(k.id.String(), k.event)
	c.calls[k.id] = k
	if space != nil {
		c.spaces[space.ID()] = k
	}
	k.keys = keyMap(v, c.schemaTenant(k.tenant))
	k.prompts = c.brandingOf(v, space, of)
	k.touch()
	k.applyConference()
	c.log.Info("call begins", "call", k.id, "type", k.kind, "name", k.name)
	return k
}

func callProfile(v store.View, space, tenant *store.Record) profiles.Effective {
	if v == nil {
		return profiles.Resolve(schema.CallProfile)
	}
	return profiles.ForCall(v, space, tenant)
}

// ownerOf is who a meeting belongs to: whoever scheduled it, or the owner of the space by JID.
func ownerOf(v store.View, space *store.Record) string {
	if s := space.Text("meetingScheduler"); s != "" {
		return s
	}
	if v == nil {
		return ""
	}
	user := v.Ref(space, "ownerId")
	if user == nil {
		return ""
	}
	if n := user.Text("name"); n != "" {
		return n
	}
	return user.Text("userJid")
}

// setting is a value of the API, or of the callProfile, where that has such a field, or of the space.
func (k *call) setting(name string) string {
	if v, ok := k.settings[name]; ok && v != "" {
		return v
	}
	if schema.CallProfile.Field(name) != nil {
		return k.profile.Text(name)
	}
	if k.space != nil && schema.CoSpace.Field(name) != nil {
		return k.space.Text(name)
	}
	return ""
}

// set changes a setting; "" unsets it.
func (k *call) set(name, value string) {
	if k.settings[name] == value {
		return
	}
	k.settings = maps.Clone(k.settings)
	if value == "" {
		delete(k.settings, name)
	} else {
		k.settings[name] = value
	}
	k.touch()
}

func (k *call) allows(name string) bool { return k.setting(name) == "true" }

// conferenceState is what the engine was told of the conference.
type conferenceState struct {
	message              control.Message
	recording, streaming bool
	presenter            string
	participants         int
}

// applyConference tells the engine what the conference should be, when that changed.
func (k *call) applyConference() {
	s := conferenceState{message: k.message.onScreen(), participants: k.inside}
	if s.participants == 0 {
		s.participants = k.conferenceState.participants // there is nobody to see it
	}
	s.recording = k.sinks[recording].runs() || k.recorders > 0
	s.streaming = k.sinks[streaming].runs()
	if k.presenter != nil {
		s.presenter = k.presenter.media.ID()
	}
	if s == k.conferenceState {
		return
	}
	k.conferenceState = s
	k.conference.Set(func(c *control.Conference) {
		c.Message, c.Recording, c.Streaming, c.Presenter, c.Participants = s.message, s.recording, s.streaming, s.presenter, s.participants
	})
}

// leave ends the call when nobody is left, unless it is to stay.
func (k *call) leave() {
	if k.over || k.members > 0 {
		return
	}
	if k.settings["activeWhenEmpty"] == "true" && !k.c.closing {
		k.emptyOut()
		return
	}
	k.end(CallEnded)
}

// end ends the call and all its legs.
func (k *call) end(why Reason) {
	if k.over {
		return
	}
	k.over = true
	k.touch()
	for _, l := range slices.Clone(k.legs) {
		l.end(why, false)
	}
	for _, p := range slices.Clone(k.participants) {
		p.leave() // those whose legs are still to come
	}
	k.message.clear()
	for _, s := range k.sinks {
		s.drop()
	}
	delete(k.c.calls, k.id)
	if k.space != nil && k.c.spaces[k.space.ID()] == k {
		delete(k.c.spaces, k.space.ID())
	}
	k.conference.Close()
	k.c.log.Info("call ends", "call", k.id, "name", k.name, "reason", why)
}

func (k *call) touch() { k.c.touch(k, &k.dirty) }

func (k *call) rank() (int, uint64) { return 0, k.seq }

func (k *call) publish(c *Calls, b *batches) {
	k.dirty = false
	before, now := k.shown, k.info()
	k.shown = &now
	switch {
	case before == nil:
		b.began = append(b.began, Change{Kind: CallBegan, Call: &now})
		if k.over {
			b.over = append(b.over, Change{Kind: CallOver, CallBefore: &now, Call: &now})
		}
	case k.over:
		b.over = append(b.over, Change{Kind: CallOver, CallBefore: before, Call: &now})
	default:
		b.changed = append(b.changed, Change{Kind: CallChanged, CallBefore: before, Call: &now})
	}
}
