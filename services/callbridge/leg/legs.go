package leg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"rotunda/init/config"
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/sip"
	"rotunda/services/callbridge/store"
)

// Dialog is what a leg needs of a [sip.Call].
type Dialog interface {
	ID() string
	Incoming() bool
	Secure() bool
	From() sip.Party
	To() sip.Party
	Request() string
	Source() netip.AddrPort
	Local() netip.AddrPort
	Header(name string) []string
	Offer() []byte
	Use(h sip.Handler)
	Ring()
	Accept(body []byte)
	Reject(code int, reason string, extra ...sip.Header)
	Reoffer(body []byte)
	AnswerOffer(body []byte)
	RefuseOffer(code int)
	Info(contentType string, body []byte)
	Refer(to string)
	ReferProgress(code int)
	Hangup(reason string)
}

// Options are what legs need.
type Options struct {
	Mixer *mixer.Mixer
	// Dial makes a call: (*sip.Agent).Dial.
	Dial func(d sip.Dial, h sip.Handler) Dialog
	// Plan is the dial plan now; nil while there is none.
	Plan func() *dialplan.Plan
	// Order puts the ways of a call in the order in which they are tried, such as those that are known to be down last; nil: that of the plan.
	Order func([]dialplan.Attempt) []dialplan.Attempt
	// Settings are those of a leg with these rights; nil is a leg of which nobody knows yet where it belongs. See [SettingsOf].
	Settings func(rights *profiles.Effective) Settings
	// Targets finds where a call goes (lookup.Resolver.Targets); nil: addresses only.
	Targets func(ctx context.Context, host string, port uint16, ts []sip.Transport) ([]sip.Target, error)
	// Addresses are those of this machine for media with a far end, the best first. local is that of the signalling; invalid for a call that
	// is not made yet. remote is invalid where it is not known.
	Addresses func(local, remote netip.Addr) []netip.Addr
	// From is the address that calls come from when the meeting names none; it may have no user part.
	From func(tenant meeting.ID) string
	// Bridge and Group are this Call Bridge's, for outbound rules of one of them.
	Bridge, Group func() store.ID
	// Transfers says whether the far end of a leg that is up may send us to another address (REFER); nil: never.
	Transfers func(l *Line, to string) bool
	// TraceFloor hears of BFCP's messages (guide 16.1); it must not wait and must not keep b. May be nil.
	TraceFloor func(in bool, remote netip.AddrPort, b []byte)
	// TraceICE and TraceControl say whether it is logged now how media find their way, and what far ends offer of ActiveControl; nil: never.
	TraceICE, TraceControl func() bool
	// Marks are how packets are marked now (guide 15.7); nil: not at all.
	Marks func() config.DSCP
	// Random is where keys come from; nil is crypto/rand.
	Random io.Reader
	// After runs f after d, unless stop comes before; nil is time.AfterFunc. Tests have their own.
	After func(d time.Duration, f func()) (stop func())
	Log   *slog.Logger
}

// Legs are the SIP legs of this Call Bridge.
type Legs struct {
	o Options

	updates updates

	mu    sync.Mutex
	lines map[meeting.ID]*Line
}

var _ meeting.Dialer = (*Legs)(nil)

// New makes a Call Bridge's legs; there are none yet.
func New(o Options) *Legs {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.After == nil {
		o.After = func(d time.Duration, f func()) func() {
			t := time.AfterFunc(d, f)
			return func() { t.Stop() }
		}
	}
	if o.Targets == nil {
		o.Targets = literal
	}
	if o.Bridge == nil {
		o.Bridge = func() (none store.ID) { return none }
	}
	if o.Group == nil {
		o.Group = func() (none store.ID) { return none }
	}
	never := func() bool { return false }
	if o.TraceICE == nil {
		o.TraceICE = never
	}
	if o.TraceControl == nil {
		o.TraceControl = never
	}
	if o.Marks == nil {
		o.Marks = func() (none config.DSCP) { return none }
	}
	if o.From == nil {
		o.From = func(meeting.ID) string { return "" }
	}
	s := &Legs{o: o, lines: map[meeting.ID]*Line{}}
	s.updates = updates{legs: s, lines: map[*Line]uint64{}}
	return s
}

// Len is how many legs there are, those that ring included.
func (s *Legs) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// Line returns a leg.
func (s *Legs) Line(id meeting.ID) *Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[id]
}

// Adjust gives all legs the settings that are in force now ("Apply to active calls", guide 7.3).
func (s *Legs) Adjust() {
	for _, l := range s.all() {
		l.q.add(l.adjust)
	}
}

func (s *Legs) all() []*Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.lines))
}

func (s *Legs) line(id meeting.ID, incoming bool) *Line {
	l := &Line{legs: s, id: id, incoming: incoming, log: s.o.Log.With("leg", id.String())}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.media = s.o.Mixer.Leg(id.String(), mediaEar{l})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[id] = l
	return l
}

func (s *Legs) forget(l *Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lines, l.id)
}

// Arrive takes an incoming call. It is used by the function that [sip.Options.Incoming] calls, and does not wait. Before the leg hears of
// anything, [Line.Tell] has to name its caller; what happened meanwhile is told then. An error says that the call was refused already.
func (s *Legs) Arrive(c Dialog) (*Line, meeting.Arrival, error) {
	settings := s.o.Settings(nil)
	session := sdp.New(settings.Policy, s.o.Random)
	offer := c.Offer()
	if offer == nil {
		session.Prepare()
	} else if err := session.ReadOffer(offer); err != nil && !isRefused(err) {
		c.Reject(400, "Bad Session Description", warning(399, printable(err.Error())))
		return nil, meeting.Arrival{}, fmt.Errorf("the offer of %v: %w", c.Source(), err)
	}
	// A refusal may depend on settings that are known when it is known what the call is for.
	l := s.line(uuid.New(), true)
	l.call, l.settings, l.session, l.agreed = c, settings, session, session.Agreed()
	l.local = s.o.Addresses(c.Local().Addr(), c.Source().Addr())
	l.who = identify(c)
	a := meeting.Arrival{Line: l, Media: l.media, Identity: l.who, Kind: "sip", Called: bare(c.Request()), Original: original(c), Secure: c.Secure(), Offer: l.facts()}
	if r := c.Header("Replaces"); len(r) > 0 {
		a.Replaces = r[0]
	}
	l.sure.Store(true)
	l.ear.Store(&ear{l: l})
	c.Use(l.ear.Load())
	return l, a, nil
}

func isRefused(err error) bool {
	_, ok := errors.AsType[*sdp.Refused](err)
	return ok
}

// printable is a text for a header.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b[i] = ' '
		}
	}
	return string(b[:min(len(b), 200)])
}

// literal is a look-up that knows addresses alone.
func literal(_ context.Context, host string, port uint16, ts []sip.Transport) ([]sip.Target, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("%s is no address, and names are not looked up", host)
	}
	var list []sip.Target
	for _, t := range ts {
		p := port
		if p == 0 {
			p = 5060
			if t == sip.TLS {
				p = 5061
			}
		}
		list = append(list, sip.Target{Transport: t, Address: netip.AddrPortFrom(ip, p)})
	}
	return list, nil
}
