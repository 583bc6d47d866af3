package live

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/control"
)

// Options are what a [Live] needs.
type Options struct {
	Control meeting.Control
	// Stats are the figures of these legs, by the names of their media ([mixer.Mixer.Stats]); nil for none.
	Stats func(ctx context.Context, legs ...string) (map[string]control.LegStats, error)
	// Modules are the media modules and their load (control.Service.Status); nil for none.
	Modules func(context.Context) ([]control.Module, error)
	// Connected says whether the engine can be asked (control.Client.Connected): where it cannot, answers are given at once with what is
	// known. Nil for always.
	Connected func() bool
	// View is the objects now, nil while there are none.
	View func() store.View
	// Bridge is the callBridges object of this machine, nil for none ([Self]); Group its callBridgeGroup.
	Bridge func() *store.Record
	// Now is time.Now when it is nil.
	Now func() time.Time
}

// Live is call control for the API. Its methods may be called by any goroutine.
type Live struct {
	o       Options
	figures *figures
	history *history
	totals  totals
	cancel  func()
}

var _ api.Live = (*Live)(nil)

// New begins to count.
func New(o Options) *Live {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Bridge == nil {
		o.Bridge = func() *store.Record { return nil }
	}
	if o.Connected == nil {
		o.Connected = func() bool { return true }
	}
	if o.View == nil {
		o.View = func() store.View { return nil }
	}
	l := &Live{o: o, figures: newFigures(o.Stats, o.Connected, o.Now), history: newHistory(o.Now)}
	_, l.cancel = o.Control.Subscribe(func(c meeting.Change) {
		l.totals.note(c)
		l.history.note(c)
	})
	return l
}

// Close ends counting.
func (l *Live) Close() { l.cancel() }

// Self is the callBridges object of this machine: the one that has the uniqueName of its cluster configuration. Nil where there is none.
func Self(v store.View) *store.Record {
	if v == nil {
		return nil
	}
	name := v.Only(schema.Cluster).Text("uniqueName")
	if name == "" {
		return nil
	}
	for _, r := range v.Find("callBridgeName", name) {
		return r
	}
	return nil
}

// Has implements [api.Live].
func (l *Live) Has(o *schema.Object, id store.ID) bool {
	var ok bool
	switch o {
	case schema.Call:
		_, ok = l.o.Control.Call(id)
	case schema.Participant:
		_, ok = l.o.Control.Participant(id)
	case schema.CallLeg:
		_, ok = l.o.Control.Leg(id)
	}
	return ok
}

// Get implements [api.Live].
func (l *Live) Get(ctx context.Context, o *schema.Object, id store.ID) (api.LiveObject, bool) {
	switch o {
	case schema.Call:
		if c, ok := l.o.Control.Call(id); ok {
			return l.call(c), true
		}
	case schema.Participant:
		if p, ok := l.o.Control.Participant(id); ok {
			x := l.participant(p)
			for _, id := range p.Legs {
				if g, ok := l.o.Control.Leg(id); ok {
					values(x.Values).text("nameLabelOverride", g.NameOverride)
				}
			}
			return x, true
		}
	case schema.CallLeg:
		if g, ok := l.o.Control.Leg(id); ok {
			return l.leg(ctx, g), true
		}
	}
	return api.LiveObject{}, false
}

// List implements [api.Live]. Lists are in the order of names, and in that of their beginning where names are the same.
func (l *Live) List(ctx context.Context, o *schema.Object, below *api.LiveParent, q api.LiveQuery) (int, []api.LiveObject, error) {
	switch o {
	case schema.Call:
		total, page := pick(l.o.Control.Calls(), q, func(c meeting.CallInfo) string { return c.Name }, l.call, o)
		return total, page, nil
	case schema.Participant:
		total, page := pick(l.o.Control.Participants(call(below)), l.hosted(q), func(p meeting.ParticipantInfo) string { return p.Name }, l.participant, o)
		return total, page, nil
	case schema.CallLeg:
		return l.legs(ctx, below, q)
	}
	return 0, nil, nil
}

// call is the call in whose path a list stands; zero for all.
func call(below *api.LiveParent) (none meeting.ID) {
	if below != nil && below.Object == schema.Call {
		return below.ID
	}
	return none
}

// pick makes a page of what a query asks for. show is cheap: it is called for every object that has the name.
func pick[T any](all []T, q api.LiveQuery, name func(T) string, show func(T) api.LiveObject, o *schema.Object) (int, []api.LiveObject) {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(strings.ToLower(name(a)), strings.ToLower(name(b))) })
	total := 0
	var page []api.LiveObject
	for _, one := range all {
		// Without a condition only the page is worked out.
		shown := total >= q.Offset && len(page) < q.Limit
		if shown || q.Filter != "" || conditions(q) {
			x := show(one)
			if !matches(o, x.Values, q) {
				continue
			}
			if shown {
				page = append(page, x)
			}
		}
		total++
	}
	return total, page
}

func conditions(q api.LiveQuery) bool {
	for _, v := range q.Equal {
		if v != "" {
			return true
		}
	}
	return false
}

// matches says whether an object has what is compared, and the filter's text in a field that is searched.
func matches(o *schema.Object, values map[string]string, q api.LiveQuery) bool {
	for field, want := range q.Equal {
		if want != "" && !strings.EqualFold(values[field], want) {
			return false
		}
	}
	if q.Filter == "" {
		return true
	}
	needle := strings.ToLower(q.Filter)
	return slices.ContainsFunc(o.Search, func(field string) bool { return strings.Contains(strings.ToLower(values[field]), needle) })
}

// hosted takes the condition away that participants are on this Call Bridge: all are.
func (l *Live) hosted(q api.LiveQuery) api.LiveQuery {
	self := l.o.Bridge()
	if self == nil || !strings.EqualFold(q.Equal["callBridge"], self.ID().String()) {
		return q
	}
	equal := map[string]string{}
	for field, want := range q.Equal {
		if field != "callBridge" {
			equal[field] = want
		}
	}
	q.Equal = equal
	return q
}

// Create implements [api.Live].
func (l *Live) Create(ctx context.Context, o *schema.Object, below *api.LiveParent, values map[string]string) (id store.ID, err error) {
	switch o {
	case schema.Call:
		id, err = l.o.Control.CreateCall(ctx, values)
	case schema.Participant:
		if err := l.elsewhere(values); err != nil {
			return id, err
		}
		id, err = l.o.Control.AddParticipant(ctx, below.ID, values)
	case schema.CallLeg:
		id, err = l.o.Control.AddLeg(ctx, below.ID, store.ID{}, values)
	}
	if below != nil {
		err = gone(err, below.Object)
	}
	return id, err
}

// elsewhere refuses calls that another Call Bridge is to make.
func (l *Live) elsewhere(values map[string]string) error {
	self := l.o.Bridge()
	if id := values["callBridge"]; id != "" && (self == nil || !strings.EqualFold(id, self.ID().String())) {
		return failure.CallBridgeUnavailable
	}
	if id := values["callBridgeGroup"]; id != "" && (self == nil || !strings.EqualFold(id, self.Text("callBridgeGroup"))) {
		return failure.CallBridgeGroupUnavailable
	}
	return nil
}

// Update implements [api.Live].
func (l *Live) Update(ctx context.Context, o *schema.Object, id store.ID, values map[string]string) error {
	var err error
	switch o {
	case schema.Call:
		err = l.o.Control.UpdateCall(ctx, id, values)
	case schema.Participant:
		err = l.o.Control.UpdateParticipant(ctx, id, values)
	case schema.CallLeg:
		err = l.o.Control.UpdateLeg(ctx, id, values)
	}
	return gone(err, o)
}

// Delete implements [api.Live].
func (l *Live) Delete(ctx context.Context, o *schema.Object, id store.ID) error {
	var err error
	switch o {
	case schema.Call:
		err = l.o.Control.EndCall(ctx, id, meeting.APITeardown)
	case schema.Participant:
		err = l.o.Control.DropParticipant(ctx, id, meeting.APITeardown)
	case schema.CallLeg:
		err = l.o.Control.DropLeg(ctx, id, meeting.APITeardown)
	}
	return gone(err, o)
}

// gone turns the failure of an object that ended while a request for it was under way into that of one that does not exist.
func gone(err error, o *schema.Object) error {
	if code, ok := errors.AsType[failure.Code](err); ok && string(code) == o.Missing {
		return api.NotFound{Code: code}
	}
	return err
}

// UpdateAll implements [api.Live]: participants/* of a call (reference section 2.3).
func (l *Live) UpdateAll(ctx context.Context, _ *schema.Object, below api.LiveParent, p api.Params) error {
	o := schema.AllParticipants
	values := map[string]string{}
	var wrong []error
	for i := range o.Fields {
		f := &o.Fields[i]
		sent, ok := p.Lookup(f.Name)
		if !ok {
			continue
		}
		v, err := f.Parse(strings.TrimSpace(sent))
		if err != nil {
			wrong = append(wrong, &failure.Parameter{Name: f.Name, Fault: failure.Invalid, Why: err.Error()})
			continue
		}
		values[f.Name] = v
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	listed := map[meeting.ID]bool{}
	for text := range strings.SplitSeq(values["filterIds"], ",") {
		if id, ok := store.ParseID(text); ok {
			listed[id] = true
		}
	}
	selected := values["mode"] == "selected"
	delete(values, "filterIds")
	delete(values, "mode")
	if len(values) == 0 {
		return nil
	}
	keep := func(i meeting.ParticipantInfo) bool { return listed[i.ID] == selected }
	return gone(l.o.Control.UpdateAll(ctx, below.ID, keep, values), schema.Call)
}

// Profiles implements [api.Live].
func (l *Live) Profiles(leg store.ID) ([]api.LiveLevel, bool) {
	g, ok := l.o.Control.Leg(leg)
	if !ok {
		return nil, false
	}
	var levels []api.LiveLevel
	for _, one := range g.Rights.Levels() {
		level := api.LiveLevel{Scope: one.Scope.String(), Values: map[string]string{}}
		if one.Profile != nil {
			level.Profile = one.Profile.ID()
			one.Profile.Values(func(f *schema.Field, v string) bool {
				level.Values[f.Key()] = v
				return true
			})
		}
		for name, v := range one.Fields {
			level.Values[name] = v
		}
		levels = append(levels, level)
	}
	return levels, true
}

// Camera implements [api.Live]; the directions were checked.
func (l *Live) Camera(ctx context.Context, leg store.ID, p api.Params) error {
	way := func(name string) string { return strings.ToLower(strings.TrimSpace(p.Get(name))) }
	return gone(l.o.Control.Camera(ctx, leg, way("pan"), way("tilt"), way("zoom"), way("focus")), schema.CallLeg)
}

// Keyframe implements [api.Live].
func (l *Live) Keyframe(ctx context.Context, leg store.ID) error {
	return gone(l.o.Control.KeyFrame(ctx, leg), schema.CallLeg)
}

// Conversation implements [api.Live]; there are no calls of Lync.
func (l *Live) Conversation(string) bool { return false }

// values are those of an object that is made up.
type values map[string]string

func (v values) text(name, value string) {
	if value != "" {
		v[name] = value
	}
}

func (v values) id(name string, id store.ID) {
	if id != (store.ID{}) {
		v[name] = id.String()
	}
}

func (v values) bool(name string, on bool) { v[name] = strconv.FormatBool(on) }

func (v values) number(name string, n int) { v[name] = strconv.Itoa(n) }

// seconds since a moment; nothing for one that has not come.
func (l *Live) seconds(v values, name string, since time.Time) {
	if !since.IsZero() {
		v.number(name, int(max(0, l.o.Now().Sub(since))/time.Second))
	}
}
