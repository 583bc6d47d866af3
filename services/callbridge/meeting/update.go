package meeting

import (
	"context"
	"maps"
	"slices"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
)

// What does not exist, in the words of the API.
var (
	noCall        = failure.Code(schema.Call.Missing)
	noParticipant = failure.Code(schema.Participant.Missing)
	noLeg         = failure.Code(schema.CallLeg.Missing)
	noSpace       = failure.Code(schema.CoSpace.Missing)
)

// CreateCall is part of [Control].
func (c *Calls) CreateCall(_ context.Context, values map[string]string) (ID, error) {
	c.lock()
	defer c.unlock()
	if c.closing {
		return ID{}, failure.CallBridgeUnavailable
	}
	k, made, err := c.callFor(values)
	if err != nil {
		return ID{}, err
	}
	if !made {
		values = withoutDefaults(values)
	}
	if err := k.update(values); err != nil {
		if made {
			k.end(CallEnded)
		}
		return ID{}, err
	}
	if k.members == 0 && k.settings["activeWhenEmpty"] != "true" {
		// It is to end when nobody is there, but somebody has to have the time to come.
		c.after(emptyFor, k.leave)
	}
	return k.id, nil
}

// withoutDefaults leaves out what the API says of a new call by itself: it must not change one that goes on.
func withoutDefaults(values map[string]string) map[string]string {
	said := maps.Clone(values)
	maps.DeleteFunc(said, func(name, v string) bool {
		f := schema.Call.Field(name)
		return f != nil && v != "" && v == f.Default
	})
	return said
}

// emptyFor is how long a call without anybody waits for the first one.
const emptyFor = 5 * time.Minute

// callFor finds the call that values speak of, or begins it.
func (c *Calls) callFor(values map[string]string) (k *call, made bool, err error) {
	id, ok := parseID(values["coSpace"])
	if !ok {
		if values["name"] == "" {
			return nil, false, &failure.Parameter{Name: "name", Fault: failure.Missing, Why: "give the name of the call, or the coSpace whose meeting it is to be"}
		}
		tenant, _ := parseID(values["tenant"])
		k = c.begin(AdHocCall, nil, tenant, values["name"])
		k.made(values)
		return k, true, nil
	}
	if k := c.spaces[id]; k != nil {
		return k, false, nil
	}
	v := c.view()
	if v == nil {
		return nil, false, failure.DatabaseNotReady
	}
	space := v.Get(schema.CoSpace, id)
	if space == nil {
		return nil, false, noSpace
	}
	k = c.begin(SpaceCall, space, ID{}, "")
	k.made(values)
	return k, true, nil
}

// made: the API made the call, which begins without anybody.
func (k *call) made(values map[string]string) {
	if id, ok := parseID(values["callCorrelator"]); ok {
		k.correlator = id
	}
	k.set("activeWhenEmpty", "true") // the default of the API
}

// UpdateCall is part of [Control].
func (c *Calls) UpdateCall(_ context.Context, id ID, values map[string]string) error {
	c.lock()
	defer c.unlock()
	k := c.calls[id]
	if k == nil {
		return noCall
	}
	err := k.update(values)
	if _, said := values["activeWhenEmpty"]; said && err == nil {
		k.leave() // if nobody is there
	}
	return err
}

// update changes a call. Recording and streaming come first, since they may be refused.
func (k *call) update(values map[string]string) error {
	for kind := range sinkKinds {
		var err error
		switch values[sinkKinds[kind].field] {
		case "true":
			err = k.startSink(sinkKind(kind))
		case "false":
			err = k.mayStop(sinkKind(kind))
		}
		if err != nil {
			return err
		}
	}
	views, text := false, false
	for name, v := range values {
		switch name {
		case "recording", "streaming", "coSpace", "callCorrelator", "tenant":
		case "name":
			if v != "" && k.space == nil {
				k.name = v
				k.touch()
			}
		case "locked":
			if v == "" {
				v = k.profile.Text("locked")
			}
			k.setLocked(v == "true")
		case "joinAudioMuteOverride":
			k.setJoinMute(v)
		case "messageText", "messagePosition", "messageDuration":
			text = true
			k.set(name, v)
		case "panePlacementHighestImportance", "panePlacementSelfPaneMode", "panePlacementActiveSpeakerMode":
			views = true
			k.set(name, v)
		default:
			if schema.Call.Field(name) != nil {
				k.set(name, v)
			}
		}
	}
	if text {
		k.showMessage()
	}
	if views {
		for _, l := range k.legs {
			l.apply()
		}
	}
	if _, said := values["allowAllPresentationContribution"]; said {
		k.checkPresenter()
	}
	return nil
}

func (k *call) mayStop(kind sinkKind) error {
	if k.profile.Text(sinkKinds[kind].mode) == "disabled" {
		return sinkKinds[kind].unavailable
	}
	k.stopSink(kind)
	return nil
}

// EndCall is part of [Control].
func (c *Calls) EndCall(_ context.Context, id ID, why Reason) error {
	c.lock()
	defer c.unlock()
	k := c.calls[id]
	if k == nil {
		return noCall
	}
	k.part(why)
	return nil
}

// AddParticipant is part of [Control].
func (c *Calls) AddParticipant(_ context.Context, id ID, values map[string]string) (ID, error) {
	c.lock()
	defer c.unlock()
	k := c.calls[id]
	if k == nil {
		return ID{}, noCall
	}
	if values["movedParticipant"] != "" {
		return c.move(k, values)
	}
	l, err := c.add(k, nil, values)
	if err != nil {
		return ID{}, err
	}
	return l.participant.id, nil
}

// AddLeg is part of [Control].
func (c *Calls) AddLeg(_ context.Context, id, of ID, values map[string]string) (ID, error) {
	c.lock()
	defer c.unlock()
	k := c.calls[id]
	if k == nil {
		return ID{}, noCall
	}
	var p *participant
	if of != (ID{}) {
		if p = c.participants[of]; p == nil || p.call != k {
			return ID{}, noParticipant
		}
	}
	l, err := c.add(k, p, values)
	if err != nil {
		return ID{}, err
	}
	return l.id, nil
}

// add calls somebody into a call.
func (c *Calls) add(k *call, p *participant, values map[string]string) (*Leg, error) {
	if c.closing || k.over {
		return nil, failure.CallBridgeUnavailable
	}
	if k.gateway != nil {
		return nil, failure.InvalidOperation // a gateway call has two sides
	}
	if values["remoteParty"] == "" {
		return nil, &failure.Parameter{Name: "remoteParty", Fault: failure.Missing, Why: "give the address to call, such as fred@example.com"}
	}
	if p == nil {
		switch c.full(k, nil) {
		case ParticipantLimit:
			return nil, failure.ParticipantLimitReached
		case TenantLimit:
			return nil, failure.TenantParticipantLimitReached
		}
	}
	return c.call(k, p, k.dialIn(values), values), nil
}

// UpdateParticipant is part of [Control].
func (c *Calls) UpdateParticipant(_ context.Context, id ID, values map[string]string) error {
	c.lock()
	defer c.unlock()
	p := c.participants[id]
	if p == nil {
		return noParticipant
	}
	p.update(values)
	return nil
}

// update changes a participant: its legs, and those that are still to come.
func (p *participant) update(values map[string]string) {
	for _, l := range slices.Clone(p.legs) {
		l.update(values)
	}
	for name, v := range values {
		switch name {
		case "importance":
			p.importance = number(v)
			for _, l := range p.legs {
				l.touch()
				l.apply()
			}
		case "dtmfSequence", "deactivated", "handStatus", "nameLabelOverride":
		case "layout":
			if _, newer := values["defaultLayout"]; !newer {
				p.settings = with(p.settings, "defaultLayout", v)
			}
		default:
			p.settings = with(p.settings, name, v)
		}
	}
	p.touch()
}

// UpdateLeg is part of [Control].
func (c *Calls) UpdateLeg(_ context.Context, id ID, values map[string]string) error {
	c.lock()
	defer c.unlock()
	l := c.legs[id]
	if l == nil {
		return noLeg
	}
	l.update(values)
	return nil
}

// update changes a leg. Values of the participant that it belongs to, such as a name or a place in the lobby, count for all its legs.
func (l *Leg) update(values map[string]string) {
	p := l.participant
	resolve := false
	for name, v := range values {
		switch name {
		case "ownerId":
			l.ownerID = v
		case "chosenLayout":
			l.chosen = v
		case "layout":
			if _, newer := values["defaultLayout"]; !newer {
				l.setOwn("defaultLayout", v)
				resolve = true
			}
		case "callLegProfile":
			l.own.Profile, _ = parseID(v)
			resolve = true
		case "nameLabelOverride":
			if p != nil && p.override != v {
				p.rename(v)
				for _, o := range p.legs {
					o.touch()
					o.apply()
				}
			}
		case "handStatus":
			l.raise(v == "raised")
		case "dtmfSequence":
			l.sendKeys(v)
		case "deactivated", "importance":
		case "rxAudioMute", "rxVideoMute":
			l.mute(name, v)
		default:
			if schema.CallLegProfile.Field(name) != nil && name != "name" {
				l.setOwn(name, v)
				resolve = true
			}
		}
	}
	l.touch()
	if resolve {
		l.changeRights()
	}
	if v := values["deactivated"]; v != "" && p != nil && !l.over {
		p.hold(v == "true")
	}
	l.apply()
}

// raise raises a hand, where that is allowed, or lowers it.
func (l *Leg) raise(on bool) {
	if l.participant == nil || on && !l.call.allows("raiseHandEnabled") {
		return
	}
	l.hand = on
	l.participant.hand = slices.ContainsFunc(l.participant.legs, func(o *Leg) bool { return o.hand })
}

// changeRights takes over what is in force now.
func (l *Leg) changeRights() {
	l.resolve()
	l.useRights()
}

// useRights does what a change of rights means for a leg that is up.
func (l *Leg) useRights() {
	l.adjust()
	l.limitDuration()
	p := l.participant
	if p == nil || l.call.gateway != nil {
		return
	}
	if needs := l.rights.Bool("needsActivation"); needs != p.needs && p.legs[0] == l {
		p.needs = needs
		p.touch()
		p.recount()
		if !p.active && p.call.door().lets(p.visitor()) {
			p.activate(true)
		}
		p.call.explain()
	}
	l.checkFloor()
}

// UpdateAll is part of [Control].
func (c *Calls) UpdateAll(_ context.Context, id ID, keep func(ParticipantInfo) bool, values map[string]string) error {
	c.lock()
	defer c.unlock()
	k := c.calls[id]
	if k == nil {
		return noCall
	}
	// "layout" is the one from now on, whatever was chosen before.
	if v, said := values["layout"]; said {
		values = with(values, "chosenLayout", v)
		delete(values, "layout")
		if v == "" {
			values["chosenLayout"] = ""
		}
	}
	for _, p := range slices.Clone(k.participants) {
		if !p.over && (keep == nil || keep(p.info())) {
			p.update(values)
		}
	}
	return nil
}

// DropParticipant is part of [Control].
func (c *Calls) DropParticipant(_ context.Context, id ID, why Reason) error {
	c.lock()
	defer c.unlock()
	p := c.participants[id]
	if p == nil {
		return noParticipant
	}
	for _, l := range slices.Clone(p.legs) {
		l.part(partDisconnected, why)
	}
	return nil
}

// DropLeg is part of [Control].
func (c *Calls) DropLeg(_ context.Context, id ID, why Reason) error {
	c.lock()
	defer c.unlock()
	l := c.legs[id]
	if l == nil {
		return noLeg
	}
	if l.sink != nil {
		l.sink.wanted = false // who ends it does not want it back
		l.sink.count(false)
	}
	l.part(partDisconnected, why)
	return nil
}

// Camera is part of [Control].
func (c *Calls) Camera(_ context.Context, id ID, pan, tilt, zoom, focus string) error {
	c.lock()
	defer c.unlock()
	l := c.legs[id]
	if l == nil {
		return noLeg
	}
	if !l.agreed.Camera || !l.answered {
		return failure.InvalidOperation
	}
	l.tell(func(line Line) { line.Camera(pan, tilt, zoom, focus) })
	return nil
}

// KeyFrame is part of [Control].
func (c *Calls) KeyFrame(_ context.Context, id ID) error {
	c.lock()
	defer c.unlock()
	l := c.legs[id]
	if l == nil {
		return noLeg
	}
	if l.media != nil && l.answered {
		l.media.KeyFrame("main")
	}
	return nil
}
