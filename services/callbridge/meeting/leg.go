package meeting

import (
	"maps"
	"net/netip"
	"time"

	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

// Leg is one connection: the [Caller] of its [Line]. Everything in it but c is guarded by the lock of Calls.
type Leg struct {
	c           *Calls
	id          ID
	seq         uint64
	call        *call        // nil in a menu
	participant *participant // nil in a menu, and for legs that record or stream
	tenant      ID

	// The far end.
	kind, sub               string
	name                    string // what it calls itself
	remote, original, local string // addresses, as in LegInfo
	address                 netip.AddrPort
	vouched                 bool // somebody whom the dial plan names stands behind remote, or we called it
	sipID, replaces         string
	direction               Direction
	user                    ID
	userTag, jid            string
	guest                   bool
	agreed                  MediaInfo
	records                 bool // it says that it records
	far                     bool // it holds

	// How far the leg is.
	state       State
	answered    bool // media flow
	came        bool // it is through with all questions
	wasMenu     bool // it began in a menu
	asked       bool // it was asked for a meeting ID or a passcode
	dirty, over bool
	farewell    bool // it is over, and hung up when a goodbye was played
	endWhy      Reason
	endOther    bool
	began       time.Time
	connectedAt time.Time
	endAt       time.Time
	activeSince time.Time // zero while it is in the lobby or not connected
	activated   time.Duration
	moved       ID       // what it was before a move
	shown       *LegInfo // as observers know it
	timers      struct{ duration, notice func() }

	// What it may do and what was set. method and member are how it came in; callOut is what it was called with, own what was set since. Neither is
	// changed in place.
	method, member *store.Record
	callOut, own   profiles.Settings
	rights         profiles.Effective
	labelled       bool // what the Call settings said of names below pictures
	barred         barred
	chosen         string // layout
	ownLayout      struct {
		record *store.Record
		panes  []control.Pane
	}
	ownerID string
	hand    bool

	// Signalling. line is nil while the dialer has not answered; untold is what it told before.
	line    Line
	dial    *dialling
	untold  []func()
	invited bool // it heard what it was called for
	shows   bool // it was told that somebody else presents

	// Media. mediaID is their name, which is known before they are; deaf ends what the leg hears of them.
	media   *mixer.Leg
	mediaID string
	deaf    func()
	mediaState
	alarms     []string
	sounds     sounds
	noticeText string
	noticeSaid bool        // is still to be said
	waits      prompt.Name // what it heard in the lobby; "" outside
	outside    branding    // of a menu, or of a passcode
	dialog     *dialog     // a menu, a passcode or a confirmation
	keys       keyState
	sink       *sink // of a leg that records or streams
}

var _ Caller = (*Leg)(nil)

// newLeg makes a leg that is in no call.
func (c *Calls) newLeg(id ID, d Direction) *Leg {
	l := &Leg{c: c, id: id, mediaID: id.String(), seq: c.order(), direction: d, vouched: d == Outgoing, state: Initial, began: c.clock.Now(), labelled: c.labelled()}
	c.legs[id] = l
	l.touch()
	return l
}

// hear takes events of the leg's media.
func (l *Leg) hear(m *mixer.Leg) {
	l.media, l.mediaID = m, m.ID()
	l.c.media[m.ID()] = l
	l.deaf = m.Handle(listener{l})
}

// tell asks something of the line, in order.
func (l *Leg) tell(f func(Line)) {
	l.c.lines.add(func() {
		l.c.mu.Lock()
		line := l.line
		l.c.mu.Unlock()
		if line != nil {
			f(line)
		}
	})
}

func (l *Leg) connected() bool { return l.state == Connected || l.state == OnHold }

// ownName is what the far end is called without an override.
func (l *Leg) ownName() string {
	if l.name != "" {
		return l.name
	}
	return l.remote
}

// label is what others see.
func (l *Leg) label() string {
	if l.participant != nil && l.participant.override != "" {
		return l.participant.override
	}
	return l.ownName()
}

// deactivated says whether the leg waits in the lobby.
func (l *Leg) deactivated() bool { return l.participant != nil && !l.participant.active }

func (l *Leg) setOwn(name, value string) {
	fields := maps.Clone(l.own.Fields)
	if fields == nil {
		fields = map[string]string{}
	}
	if value == "" {
		delete(fields, name)
	} else {
		fields[name] = value
	}
	l.own.Fields = fields
}

func (l *Leg) touch() {
	l.c.touch(l, &l.dirty)
	if l.participant != nil {
		l.participant.touch()
	}
}

func (l *Leg) rank() (int, uint64) { return 2, l.seq }

func (l *Leg) publish(c *Calls, b *batches) {
	l.dirty = false
	before := l.shown
	now := l.info()
	l.shown = &now
	switch {
	case before == nil:
		b.began = append(b.began, Change{Kind: LegBegan, Leg: &now})
		if l.over {
			b.over = append(b.over, Change{Kind: LegOver, LegBefore: &now, Leg: &now})
		}
	case l.over:
		b.over = append(b.over, Change{Kind: LegOver, LegBefore: before, Leg: &now})
	default:
		b.changed = append(b.changed, Change{Kind: LegChanged, LegBefore: before, Leg: &now})
	}
}
