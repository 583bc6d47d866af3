package route

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"rotunda/services/callbridge/attendant"
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces"
	"rotunda/services/callbridge/store"
)

// Options are what a [Router] needs.
type Options struct {
	// Plan is the dial plan now, View the objects now; nil while the database does not answer.
	Plan func() *dialplan.Plan
	View func() store.View
	// Machine tells calls that this Call Bridge has forwarded from others.
	Machine store.ID
	// Reach returns where a call to a user goes, and false where no app of the user can be called. Nil for nobody.
	Reach func(user *store.Record) (meeting.Target, bool)
	// Tracing says whether the rules that were looked at are logged; nil for no.
	Tracing func() bool
	Log     *slog.Logger
	// Now is time.Now when it is nil.
	Now func() time.Time
}

// Router decides on incoming calls. It is safe for any goroutine.
type Router struct {
	o Options
	// refusals bounds the lines of calls that are refused: strangers who try all numbers do not fill the log.
	refusals allowance
}

// New makes a router.
func New(o Options) *Router {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Tracing == nil {
		o.Tracing = func() bool { return false }
	}
	if o.Reach == nil {
		o.Reach = func(*store.Record) (meeting.Target, bool) { return meeting.Target{}, false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Router{o: o}
}

// Call is an incoming call.
type Call struct {
	// Called is the request URI.
	Called string
	// From is who calls, without scheme; Name is the display name.
	From, Name string
	// Vouched: the call comes from a call control that outbound rules name, which knows its callers. Anybody else may write into
	// From what they like.
	Vouched bool
	// Source is where the request came from.
	Source netip.AddrPort
	// Forwarded are the values of the header [Trail].
	Forwarded []string
	// MaxForwards is how many more hops the call may make.
	MaxForwards int
}

// Target decides. It does not wait.
func (r *Router) Target(c Call) meeting.Target {
	t, line := r.decide(c)
	if t.Reject != "" {
		ok, silent := r.refusals.take(r.o.Now())
		if !ok {
			return t
		}
		if silent > 0 {
			line = append(line, "refused before it without a line", silent)
		}
	}
	r.o.Log.Info("incoming SIP call", line...)
	return t
}

// line are attributes of a log line.
type line []any

func (l line) rule(id store.ID) line {
	if id == (store.ID{}) {
		return l
	}
	return append(l, "rule", id)
}

func (r *Router) decide(c Call) (meeting.Target, line) {
	l := line{"to", c.Called, "from", c.From, "source", c.Source}
	var v store.View
	if r.o.View != nil {
		v = r.o.View()
	}
	plan := r.o.Plan()
	if v == nil || plan == nil {
		return meeting.Target{Reject: meeting.Failed}, append(l, "verdict", "refused", "why", "the database does not answer yet")
	}
	to, err := dialplan.ParseAddress(unescape(c.Called))
	if err != nil {
		return meeting.Target{Reject: meeting.UnknownDestination}, append(l, "verdict", "refused", "why", err.Error())
	}
	var trace *dialplan.Trace
	if r.o.Tracing() {
		trace = &dialplan.Trace{}
		defer func() {
			for text := range strings.Lines(trace.String()) {
				r.o.Log.Info("dial plan: "+strings.TrimRight(text, "\n"), "to", c.Called)
			}
		}()
	}
	f := finder{r: r, v: v, to: to, caller: r.caller(v, c)}
	in := plan.Incoming(to, f.find, trace)
	switch in.Verdict {
	case dialplan.Answered:
		return f.found, append(l.rule(in.Candidate.Rule), "verdict", f.what, "why", in.Why)
	case dialplan.Forwarded:
		return r.forward(c, in, l)
	}
	reject := meeting.UnknownDestination
	switch {
	case in.Forward.Rule != (store.ID{}):
		// A rule says so: the far end need not try elsewhere.
		reject = meeting.RemoteRejected
	case f.away:
		reject = meeting.RingingTimeout
		in.Why += "; there is such a user, who has no app that can be called"
	}
	return meeting.Target{Reject: reject}, append(l.rule(in.Forward.Rule), "verdict", "refused", "why", in.Why)
}

// caller is the user who calls, by the address that call control vouches for; zero for a stranger.
func (r *Router) caller(v store.View, c Call) (none store.ID) {
	if c.From == "" || !c.Vouched {
		return none
	}
	if user := spaces.UserByJID(v, strings.ToLower(c.From)); user != nil {
		return user.ID()
	}
	return none
}

// finder looks the user part of a called address up.
type finder struct {
	r      *Router
	v      store.View
	to     dialplan.Address
	caller store.ID
	found  meeting.Target
	what   string
	// away is set when the address is that of a user whom nothing reaches.
	away bool
}

func (f *finder) find(c dialplan.Candidate) bool {
	switch c.Target {
	case dialplan.IVR:
		return f.ivr(c)
	case dialplan.User:
		return f.user(c)
	case dialplan.Space:
		return f.space(c)
	}
	// Lync is not here.
	return false
}

// belongs says whether an object is among those that a rule looks at.
func belongs(v store.View, r *store.Record, tenant store.ID) bool {
	if tenant == (store.ID{}) {
		return true
	}
	of := v.Ref(r, "tenant")
	return of != nil && of.ID() == tenant
}

func (f *finder) ivr(c dialplan.Candidate) bool {
	for _, ivr := range f.v.Find("ivrUri", c.User) {
		if belongs(f.v, ivr, c.Tenant) {
			f.found, f.what = meeting.Target{Menu: ivr, Tenant: f.tenant(ivr, c)}, "IVR "+ivr.ID().String()
			return true
		}
	}
	return false
}

// tenant is that of an object, or of the rule.
func (f *finder) tenant(r *store.Record, c dialplan.Candidate) store.ID {
	if of := f.v.Ref(r, "tenant"); of != nil {
		return of.ID()
	}
	return c.Tenant
}

// user finds the user with the called address, or else the only one with its part before the @: a call that came as far as here may name any
// domain (guide chapter 8.4).
func (f *finder) user(c dialplan.Candidate) bool {
	if c.User == "" {
		return false
	}
	user := spaces.UserByJID(f.v, strings.ToLower(c.User+"@"+f.to.Domain))
	if user == nil || !belongs(f.v, user, c.Tenant) {
		if user = f.namesake(c); user == nil {
			return false
		}
	}
	target, ok := f.r.o.Reach(user)
	if !ok {
		f.away = true
		return false
	}
	f.found, f.what = target, "user "+user.ID().String()
	return true
}

// namesake is the one user of the tenant whose address has the part before the @; nil for none, and for several, of whom none is meant more than another.
func (f *finder) namesake(c dialplan.Candidate) (one *store.Record) {
	f.v.Starting(schema.User, c.User+"@", func(r *store.Record) bool {
		switch {
		case !belongs(f.v, r, c.Tenant):
			return true
		case one != nil:
			one = nil
			return false
		}
		one = r
		return true
	})
	return one
}

// space finds a space by its URIs and those of its access methods, or else by a call ID, which guide chapter 8.2 dials.
func (f *finder) space(c dialplan.Candidate) bool {
	entries := attendant.EntriesFor(f.v, c.User, c.Tenant, f.caller)
	if len(entries) == 0 {
		entries = attendant.ByCallIDFor(f.v, c.User, f.group(c.Tenant), f.caller)
		entries = f.ofTenant(entries, c.Tenant)
	}
	if len(entries) == 0 {
		return false
	}
	space := entries[0].Space
	f.found, f.what = meeting.Target{Entries: entries, Tenant: f.tenant(space, c)}, "space "+space.ID().String()
	return true
}

func (f *finder) ofTenant(entries []attendant.Entry, tenant store.ID) []attendant.Entry {
	var list []attendant.Entry
	for _, e := range entries {
		if belongs(f.v, e.Space, tenant) {
			list = append(list, e)
		}
	}
	return list
}

// group is the tenant group of a tenant.
func (f *finder) group(tenant store.ID) (none store.ID) {
	if tenant == (store.ID{}) {
		return none
	}
	t := f.v.Get(schema.Tenants, tenant)
	if t == nil {
		return none
	}
	id, _ := t.Ref("tenantGroup")
	return id
}

// unescape turns %41 into A where a name may have it (RFC 3261, 19.1.4): an address is the same whether its sender escaped letters and digits or
// not. What has a meaning in an address stays as it is.
func unescape(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	b := make([]byte, 0, len(uri))
	for i := 0; i < len(uri); i++ {
		if uri[i] == '%' && i+2 < len(uri) {
			if hi, lo := digit(uri[i+1]), digit(uri[i+2]); hi >= 0 && lo >= 0 {
				if c := byte(hi<<4 | lo); unreserved(c) {
					b = append(b, c)
					i += 2
					continue
				}
			}
		}
		b = append(b, uri[i])
	}
	return string(b)
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unreserved characters need no escape in a user part (RFC 3261, 25.1).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.!~*'()&=+$,", c) >= 0
}
