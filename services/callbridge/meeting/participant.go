package meeting

import (
	"slices"
	"strconv"

	"rotunda/services/callbridge/store"
)

// participant is somebody in a call. Everything in it is guarded by the lock of Calls.
type participant struct {
	c    *Calls
	id   ID
	seq  uint64
	call *call
	legs []*Leg

	// override is nameLabelOverride, importance nil for none.
	override   string
	importance *int64
	user       ID
	jid        string
	direction  Direction
	movedFrom  ID
	hand       bool
	settings   map[string]string // never changed in place

	// The lobby. needs is needsActivation; member, whether it is a member of the space.
	needs, member bool
	active        bool
	admitted      bool // by the API, whatever the lock says
	held          bool // sent to the lobby by the API
	counted       bool // among the activators of the call
	inside        bool // among those who are in the meeting
	greeted       bool // a leg of it arrived
	wait          func()

	shown       *ParticipantInfo
	dirty, over bool
}

// newParticipant adds somebody to a call. Limits were looked at before.
func (c *Calls) newParticipant(k *call, d Direction) *participant {
	p := &participant{c: c, id: fresh(), seq: c.order(), call: k, direction: d}
	k.participants = append(k.participants, p)
	c.participants[p.id] = p
	if k.tenant != (ID{}) {
		c.tenants[k.tenant]++
	}
	p.touch()
	k.touch()
	return p
}

// leave takes a participant without legs out of the call.
func (p *participant) leave() {
	if p.over || len(p.legs) > 0 {
		return
	}
	p.over = true
	stop(&p.wait)
	k := p.call
	k.participants = slices.DeleteFunc(k.participants, func(o *participant) bool { return o == p })
	delete(p.c.participants, p.id)
	if k.tenant != (ID{}) {
		if p.c.tenants[k.tenant]--; p.c.tenants[k.tenant] == 0 {
			delete(p.c.tenants, k.tenant)
		}
	}
	p.touch()
	k.touch()
	p.recount()
}

// rename sets nameLabelOverride; the last one who says it at the participant or at a leg wins.
func (p *participant) rename(name string) {
	p.override = name
	p.settings = with(p.settings, "nameLabelOverride", name)
}

// first is the leg that stands for the participant: the first that is connected, or the first.
func (p *participant) first() *Leg {
	for _, l := range p.legs {
		if l.connected() {
			return l
		}
	}
	if len(p.legs) > 0 {
		return p.legs[0]
	}
	return nil
}

func (p *participant) name() string {
	if p.override != "" {
		return p.override
	}
	if l := p.first(); l != nil {
		return l.ownName()
	}
	if p.shown != nil {
		return p.shown.Name
	}
	return ""
}

func (p *participant) touch() { p.c.touch(p, &p.dirty) }

func (p *participant) rank() (int, uint64) { return 1, p.seq }

func (p *participant) publish(c *Calls, b *batches) {
	p.dirty = false
	before := p.shown
	now := p.info()
	p.shown = &now
	switch {
	case before == nil:
		b.began = append(b.began, Change{Kind: ParticipantBegan, Participant: &now})
		if p.over {
			b.over = append(b.over, Change{Kind: ParticipantOver, ParticipantBefore: &now, Participant: &now})
		}
	case p.over:
		b.over = append(b.over, Change{Kind: ParticipantOver, ParticipantBefore: before, Participant: &now})
	default:
		b.changed = append(b.changed, Change{Kind: ParticipantChanged, ParticipantBefore: before, Participant: &now})
	}
}

// accessImportance is the importance of those who come in by an access method.
func accessImportance(method *store.Record) *int64 {
	if method == nil {
		return nil
	}
	return number(method.Text("importance"))
}

// number reads a number; nil for none.
func number(s string) *int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}
