package meeting

import "slices"

// info is the call as others see it now.
func (k *call) info() CallInfo {
	i := CallInfo{ID: k.id, Type: k.kind, Name: k.name, Tenant: k.tenant, Correlator: k.correlator, OwnerName: k.owner, Tag: k.tag, Started: k.started,
		Legs: len(k.legs), MaxLegs: k.maxLegs, LegsCompleted: k.completed, Participants: len(k.participants), Locked: k.locked,
		Recording: k.sinks[recording].runs(), Streaming: k.sinks[streaming].runs(), EndpointRecording: k.recorders > 0, EndpointRecorded: k.recorded,
		RecordingStatus: k.sinks[recording].status(), StreamingStatus: k.sinks[streaming].status(), JoinMute: k.joinMute, Profile: k.profile, Settings: k.settings}
	if k.space != nil {
		i.Space = k.space.ID()
	}
	if k.presenter != nil {
		i.Presenter = k.presenter.id
	}
	if k.speaker != nil {
		i.Speaker = k.speaker.id
	}
	i.Message, i.MessagePosition = k.message.text, k.message.position
	i.MessageUntil, i.MessagePermanent = k.message.until, k.message.permanent
	return i
}

// info is the participant as others see it now. One that is over is shown as it was last.
func (p *participant) info() ParticipantInfo {
	if p.over && p.shown != nil {
		i := *p.shown
		i.State, i.Legs, i.Speaking, i.Presenting = Gone, nil, false, false
		return i
	}
	k := p.call
	i := ParticipantInfo{ID: p.id, Call: k.id, Tenant: k.tenant, Name: p.name(), UserJID: p.jid, User: p.user, State: p.state(), Direction: p.direction,
		IsActivator: !p.needs, Deactivated: !p.active, CanMove: p.canMove(), MovedFrom: p.movedFrom, Importance: p.importance, HandRaised: p.hand,
		Settings: p.settings}
	if k.space != nil {
		i.Space = k.space.ID()
	}
	audio, video := 0, 0
	for _, l := range p.legs {
		i.Legs = append(i.Legs, l.id)
		m := l.mutes()
		if m.RxAudio {
			audio++
		}
		if m.RxVideo {
			video++
		}
		i.Speaking = i.Speaking || k.speaker == l
		i.Presenting = i.Presenting || k.presenter == l
		i.Recording = i.Recording || l.records
		i.Camera = i.Camera || l.agreed.Camera && l.connected()
	}
	i.AudioMuted, i.VideoMuted = len(p.legs) > 0 && audio == len(p.legs), len(p.legs) > 0 && video == len(p.legs)
	if l := p.first(); l != nil {
		i.URI, i.OriginalURI, i.Layout = l.remote, l.original, l.layout()
	}
	return i
}

// state is that of the leg that is farthest.
func (p *participant) state() State {
	best := Initial
	for _, l := range p.legs {
		if slices.Index(states, l.state) > slices.Index(states, best) {
			best = l.state
		}
	}
	return best
}

var states = []State{Initial, Ringing, OnHold, Connected}

// info is the leg as others see it now.
func (l *Leg) info() LegInfo {
	i := LegInfo{ID: l.id, Call: callID(l), Tenant: l.tenant, Kind: l.kind, Sub: l.sub, Name: l.label(), Remote: l.remote, Original: l.original, Local: l.local,
		Address: l.address, SIPID: l.sipID, Replaces: l.replaces, Direction: l.direction, State: l.state, Began: l.began, Connected: l.connectedAt,
		Activated: l.activated, Menu: l.call == nil && l.asked, Guest: l.guest, User: l.user, UserTag: l.userTag, OwnerID: l.ownerID,
		Deactivated: l.deactivated(), Layout: l.layout(), ChosenLayout: l.chosen, Muted: l.mutes(), Rights: l.rights, Own: l.own.Fields,
		OwnProfile: l.own.Profile, MediaID: l.mediaID, HandRaised: l.hand, Media: l.agreed, Alarms: l.alarms, End: l.endWhy, EndedByOther: l.endOther, Ended: l.endAt, Moved: l.moved,
		CanMove: l.canMove()}
	if !l.activeSince.IsZero() {
		i.Activated += l.c.clock.Now().Sub(l.activeSince)
	}
	if l.call != nil && l.call.space != nil {
		i.Space = l.call.space.ID()
	}
	if l.method != nil {
		i.Method = l.method.ID()
	}
	if l.member != nil {
		i.Member = l.member.ID()
	}
	if l.participant != nil {
		i.NameOverride = l.participant.override
		i.Participant, i.Group = l.participant.id, l.participant.id
	}
	if l.sink != nil {
		i.Recording, i.Streaming = l.sink.kind == recording, l.sink.kind == streaming
	}
	return i
}
