package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Live is call control: calls, callLegs and participants, which are shown and changed by the API and kept nowhere. Methods
// take the type, so that one implementation may look it up.
//
// An ID that names nothing is answered with ok false, or with the error NotFound of the type's Missing.
type Live interface {
	// List returns a page of a type; below is the object in whose path it was asked for, nil for all. An error is about q.Params.
	List(ctx context.Context, o *schema.Object, below *LiveParent, q LiveQuery) (total int, page []LiveObject, err error)
	// Get returns one with everything that is known of it, which may have to be asked for; Has says whether it is there.
	Get(ctx context.Context, o *schema.Object, id store.ID) (LiveObject, bool)
	Has(o *schema.Object, id store.ID) bool
	// Create makes an object and returns its ID. values are by schema name, in the form of the table, and references exist.
	Create(ctx context.Context, o *schema.Object, below *LiveParent, values map[string]string) (store.ID, error)
	// Update changes one; a value "" unsets.
	Update(ctx context.Context, o *schema.Object, id store.ID, values map[string]string) error
	// UpdateAll changes those of a type below another at once (participants/*).
	UpdateAll(ctx context.Context, o *schema.Object, below LiveParent, p Params) error
	Delete(ctx context.Context, o *schema.Object, id store.ID) error
	// Profiles are the levels that make up the rights of a call leg, from the outermost (callLegProfileTrace).
	Profiles(leg store.ID) (levels []LiveLevel, ok bool)
	// Camera moves the camera of a call leg, Keyframe asks its decoder's far end for a whole picture.
	Camera(ctx context.Context, leg store.ID, p Params) error
	Keyframe(ctx context.Context, leg store.ID) error
	// Conversation finds a call by the ID of a Lync conversation.
	Conversation(id string) bool
}

// LiveParent is the object in whose path a collection stands.
type LiveParent struct {
	Object *schema.Object
	ID     store.ID
}

// LiveQuery is what a client asks of a list; Equal and Filter are as in [store.Query].
type LiveQuery struct {
	Offset, Limit int
	Filter        string
	Equal         map[string]string
	// Params are all that were sent, for the conditions of call legs that compare no field.
	Params Params
}

// LiveObject is one of call control's. Values are by schema.Field.Key.
type LiveObject struct {
	ID     store.ID
	Values map[string]string
	// More is what the table has no row for.
	More []Element
}

// LiveLevel is one level of callLegProfileTrace.
type LiveLevel struct {
	// Scope is global, tenant, coSpace, accessMethod, coSpaceUser, callOut or callLeg.
	Scope string
	// Profile is the ID of a callLegProfile, zero where values come from elsewhere; Values are by field.
	Profile store.ID
	Values  map[string]string
}

// liveRoutes makes the routes of live types.
func (s *Server) liveRoutes() {
	for _, o := range schema.All() {
		if !o.Live || o.Singleton {
			continue
		}
		many := s.root.at(o.URLPath())
		one := many.at(anyID)
		if o.Methods&schema.Read != 0 {
			many.handle(http.MethodGet, &route{handler: s.liveList(o, nil)})
			one.handle(http.MethodGet, &route{handler: func(c *Call) (Answer, error) { return s.liveShow(c, o) }})
		}
		if o.Methods&schema.Create != 0 {
			many.handle(http.MethodPost, &route{handler: s.liveCreate(o, nil)})
		}
		if o.Methods&schema.Update != 0 {
			one.handle(http.MethodPut, &route{handler: func(c *Call) (Answer, error) { return s.liveUpdate(c, o) }})
		}
		if o.Methods&schema.Delete != 0 {
			one.handle(http.MethodDelete, &route{handler: func(c *Call) (Answer, error) { return s.liveDelete(c, o) }})
		}
		for _, above := range o.Below {
			at := s.root.at(above.URLPath()).at(anyID).at(o.URLPath())
			at.handle(http.MethodGet, &route{handler: s.liveList(o, above)})
			if o.CreateBelow == above {
				at.handle(http.MethodPost, &route{handler: s.liveCreate(o, above)})
			}
		}
	}
	s.Handle(http.MethodPut, "calls/{id}/participants/*", func(c *Call) (Answer, error) {
		below, err := s.liveParent(c, schema.Call)
		if err != nil {
			return Answer{}, err
		}
		if err := s.live.UpdateAll(c.ctx, schema.Participant, *below, c.Params); err != nil {
			return Answer{}, err
		}
		c.Audit("modified all participants of call " + below.ID.String())
		return Answer{}, nil
	})
	s.Handle(http.MethodPut, "callLegs/{id}/cameraControl", s.leg(func(c *Call) error {
		if err := camera(c.Params); err != nil {
			return err
		}
		return s.live.Camera(c.ctx, c.last(), c.Params)
	}))
	s.Handle(http.MethodPost, "callLegs/{id}/generateKeyframe", s.leg(func(c *Call) error {
		return s.live.Keyframe(c.ctx, c.last())
	}))
	s.Handle(http.MethodGet, "callLegs/{id}/callLegProfileTrace", s.profileTrace)
	s.Handle(http.MethodGet, "conversationIdQuery", func(c *Call) (Answer, error) {
		id := c.Params.Get("conversationId")
		if id == "" {
			return Answer{}, &failure.Parameter{Name: "conversationId", Fault: failure.Missing, Why: "conversationId must be given"}
		}
		return answer(Element{Name: "conversationIdQuery", Elements: []Element{
			Text("conversationId", id), Text("found", strconv.FormatBool(s.live.Conversation(id))),
		}})
	})
}

// leg is an order to one call leg.
func (s *Server) leg(do func(*Call) error) Handler {
	return func(c *Call) (Answer, error) {
		if !s.live.Has(schema.CallLeg, c.last()) {
			return Answer{}, gone(schema.CallLeg)
		}
		return Answer{}, do(c)
	}
}

// camera checks the directions of cameraControl.
func camera(p Params) error {
	var wrong faults
	given := false
	for _, axis := range []struct{ name, a, b string }{{"pan", "left", "right"}, {"tilt", "up", "down"}, {"zoom", "in", "out"}, {"focus", "in", "out"}} {
		v := fold(p.Get(axis.name))
		given = given || v != ""
		if v != "" && v != axis.a && v != axis.b {
			wrong.add(&failure.Parameter{Name: axis.name, Fault: failure.Invalid, Why: "use " + axis.a + " or " + axis.b})
		}
	}
	if !given {
		wrong.add(&failure.Parameter{Name: "pan", Fault: failure.Missing, Why: "give pan, tilt, zoom or focus"})
	}
	return wrong.err()
}

// liveParent is the live object at the end of a path, which must exist.
func (s *Server) liveParent(c *Call, above *schema.Object) (*LiveParent, error) {
	if above == nil {
		return nil, nil
	}
	if !s.live.Has(above, c.last()) {
		return nil, gone(above)
	}
	return &LiveParent{above, c.last()}, nil
}

func (s *Server) liveList(o, above *schema.Object) Handler {
	return func(c *Call) (Answer, error) {
		below, err := s.liveParent(c, above)
		if err != nil {
			return Answer{}, err
		}
		q := LiveQuery{Filter: c.Params.Get("filter"), Equal: map[string]string{}, Params: c.Params}
		var wrong faults
		if q.Offset, q.Limit, err = c.Params.page(o.Cap); err != nil {
			wrong.add(err)
		}
		for _, f := range o.Filters {
			value, err := o.Field(f.Field).Parse(strings.TrimSpace(c.Params.Get(f.Name)))
			if err != nil {
				wrong.add(&failure.Parameter{Name: f.Name, Fault: failure.Invalid, Why: err.Error()})
				continue
			}
			q.Equal[f.Field] = value
		}
		if err := wrong.err(); err != nil {
			return Answer{}, err
		}
		total, page, err := s.live.List(c.ctx, o, below, q)
		if err != nil {
			return Answer{}, err
		}
		root := Element{Name: o.Plural, Attributes: []Attribute{{"total", strconv.Itoa(total)}}}
		for _, one := range page {
			root.add(liveElement(o, one, false))
		}
		return answer(root)
	}
}

func liveElement(o *schema.Object, l LiveObject, single bool) Element {
	e := Element{Name: o.Name, Attributes: []Attribute{{"id", l.ID.String()}}}
	e.fields(o, single, func(i int) string { return l.Values[o.Fields[i].Key()] })
	for _, more := range l.More {
		e.put(more)
	}
	return e
}

func (s *Server) liveShow(c *Call, o *schema.Object) (Answer, error) {
	one, ok := s.live.Get(c.ctx, o, c.last())
	if !ok {
		return Answer{}, gone(o)
	}
	return answer(liveElement(o, one, true))
}

// liveValues reads what a client sends for a live object, orders among it.
func liveValues(c *Call, o *schema.Object, create bool) (map[string]string, error) {
	settings, values, err := read(c.View(), o, c.Params, create)
	if err != nil {
		return nil, err
	}
	for _, one := range settings {
		values[one.field.Name] = one.value
	}
	if create {
		for i := range o.Fields {
			if f := &o.Fields[i]; f.Default != "" && f.Access.Settable(true) && values[f.Name] == "" {
				values[f.Name] = f.Default
			}
		}
	}
	return values, nil
}

func (s *Server) liveCreate(o, above *schema.Object) Handler {
	return func(c *Call) (Answer, error) {
		below, err := s.liveParent(c, above)
		if err != nil {
			return Answer{}, err
		}
		values, err := liveValues(c, o, true)
		if err != nil {
			return Answer{}, err
		}
		id, err := s.live.Create(c.ctx, o, below, values)
		if err != nil {
			return Answer{}, err
		}
		c.Audit("created " + o.Name + " " + id.String())
		// Wherever it was made, it is found in the collection of all (reference section 1).
		return Answer{Location: o.URLPath() + "/" + id.String()}, nil
	}
}

func (s *Server) liveUpdate(c *Call, o *schema.Object) (Answer, error) {
	if !s.live.Has(o, c.last()) {
		return Answer{}, gone(o)
	}
	values, err := liveValues(c, o, false)
	if err != nil {
		return Answer{}, err
	}
	if err := s.live.Update(c.ctx, o, c.last(), values); err != nil {
		return Answer{}, err
	}
	var names []string
	for i := range o.Fields {
		if _, sent := values[o.Fields[i].Name]; sent {
			names = append(names, o.Fields[i].Name)
		}
	}
	c.Audit("modified " + o.Name + " " + c.last().String() + " (" + strings.Join(names, ", ") + ")")
	return Answer{Location: c.Path}, nil
}

func (s *Server) liveDelete(c *Call, o *schema.Object) (Answer, error) {
	if !s.live.Has(o, c.last()) {
		return Answer{}, gone(o)
	}
	if err := s.live.Delete(c.ctx, o, c.last()); err != nil {
		return Answer{}, err
	}
	c.Audit("deleted " + o.Name + " " + c.last().String())
	return Answer{}, nil
}

func (s *Server) profileTrace(c *Call) (Answer, error) {
	levels, ok := s.live.Profiles(c.last())
	if !ok {
		return Answer{}, gone(schema.CallLeg)
	}
	profiles := schema.CallLegProfile
	root := Element{Name: "callLegProfileTrace", Attributes: []Attribute{{"callLeg", c.last().String()}}}
	for _, l := range levels {
		inner := Element{Name: profiles.Name}
		if l.Profile != (store.ID{}) {
			inner.Attributes = []Attribute{{"id", l.Profile.String()}}
		}
		inner.fields(profiles, true, func(i int) string { return l.Values[profiles.Fields[i].Key()] })
		root.add(Element{Name: "profile", Attributes: []Attribute{{"scope", l.Scope}}, Elements: []Element{inner}})
	}
	return answer(root)
}

// noCalls is call control while there is none: no call runs, and none can begin.
type noCalls struct{}

func (noCalls) List(context.Context, *schema.Object, *LiveParent, LiveQuery) (int, []LiveObject, error) {
	return 0, nil, nil
}
func (noCalls) Get(context.Context, *schema.Object, store.ID) (LiveObject, bool) {
	return LiveObject{}, false
}
func (noCalls) Has(*schema.Object, store.ID) bool { return false }
func (noCalls) Create(context.Context, *schema.Object, *LiveParent, map[string]string) (store.ID, error) {
	return store.ID{}, Busy{Code: failure.CallBridgeUnavailable}
}
func (noCalls) Update(_ context.Context, o *schema.Object, _ store.ID, _ map[string]string) error {
	return gone(o)
}
func (noCalls) UpdateAll(_ context.Context, _ *schema.Object, below LiveParent, _ Params) error {
	return gone(below.Object)
}
func (noCalls) Delete(_ context.Context, o *schema.Object, _ store.ID) error { return gone(o) }
func (noCalls) Profiles(store.ID) ([]LiveLevel, bool)                        { return nil, false }
func (noCalls) Camera(context.Context, store.ID, Params) error               { return gone(schema.CallLeg) }
func (noCalls) Keyframe(context.Context, store.ID) error                     { return gone(schema.CallLeg) }
func (noCalls) Conversation(string) bool                                     { return false }
