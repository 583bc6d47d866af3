package callbridge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/dialplan"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/spaces"
	"rotunda/services/callbridge/spaces/invitation"
	"rotunda/services/callbridge/store"
)

// rules are the parts that outlive a request.
type rules struct {
	templates invitation.Fetcher
	// inviting are the invitations under way: each may wait for a web server, and must not keep the API's places from others.
	inviting chan struct{}
}

// maxInviting is an eighth of what the API works on at a time.
const maxInviting = 8

// hook puts the rules onto the API.
func (b *bridge) hook() *rules {
	r := &rules{templates: invitation.NewHTTP(nil), inviting: make(chan struct{}, maxInviting)}
	b.hookSpaces(r)
	b.hookDirectory()
	b.hookLicences()
	b.hookPages()
	b.api.HandlePage(http.MethodPost, schema.CallSettings.URLPath()+"/applyToActiveCalls", b.applyCallSettings)
	for _, o := range []*schema.Object{schema.InboundDialPlanRule, schema.ForwardingDialPlanRule, schema.OutboundDialPlanRule, schema.DialTransform} {
		b.api.Hook(o, api.Hooks{Prepare: dialplan.Prepare})
	}
	return r
}

// applyCallSettings gives calls that are up what the Call settings say now (guide chapter 7.3).
func (b *bridge) applyCallSettings(c *api.Call) (api.Answer, error) {
	b.calls.legs.Adjust()
	b.calls.meetings.ApplySettings()
	c.Audit("applied the call settings to active calls")
	return api.Answer{}, nil
}

// parts are what runs beside the API on a store.
func (b *bridge) parts(s *store.Store) []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) error {
			spaces.NewBulk(s, b.machine, b.log).Run(ctx)
			return nil
		},
		b.runDirectory,
		func(ctx context.Context) error {
			b.followDialPlan(ctx, s)
			return nil
		},
		func(ctx context.Context) error { return b.calls.followSettings(ctx, s) },
		func(ctx context.Context) error { return b.calls.followProfiles(ctx, s) },
		func(ctx context.Context) error { return b.calls.warmPrompts(ctx, s) },
		func(ctx context.Context) error { return b.calls.watchTrunks(ctx, s) },
		func(ctx context.Context) error {
			b.runLicences(ctx, s)
			return nil
		},
	}
}

// followDialPlan keeps the compiled dial plan until the context ends: rules that cannot be understood are named in the log when they
// are written, not when the first call fails.
func (b *bridge) followDialPlan(ctx context.Context, s *store.Store) {
	plan := b.calls.plan.Load()
	plan.Plan()
	cancel := s.Subscribe(func(_, _ *store.Record) { plan.Plan() }, dialplan.Objects...)
	defer cancel()
	<-ctx.Done()
}

// elements turns what rules compute into XML.
func elements(f func(store.View, *store.Record, bool) []spaces.Element) func(store.View, *store.Record, bool) []api.Element {
	return func(v store.View, r *store.Record, single bool) []api.Element {
		var list []api.Element
		for _, e := range f(v, r, single) {
			list = append(list, api.Text(e.Name, e.Text))
		}
		return list
	}
}

func (b *bridge) hookSpaces(r *rules) {
	a := b.api
	a.Hook(schema.CoSpace, api.Hooks{Prepare: spaces.PrepareCoSpace, Remove: spaces.RemoveCoSpace, Show: elements(spaces.ShowCoSpace)})
	a.Hook(schema.AccessMethod, api.Hooks{Prepare: spaces.PrepareAccessMethod})
	a.Hook(schema.CoSpaceUser, api.Hooks{Prepare: spaces.PrepareMember, Remove: spaces.RemoveMember, Show: elements(spaces.ShowMember)})
	a.Hook(schema.CoSpaceTemplate, api.Hooks{Prepare: spaces.PrepareCoSpaceTemplate, Show: elements(spaces.ShowCoSpaceTemplate)})
	a.Hook(schema.UserCoSpaceTemplate, api.Hooks{Remove: spaces.RemoveUserTemplate})
	a.Hook(schema.BulkParameterSet, api.Hooks{Prepare: spaces.PrepareBulkParameterSet, Remove: spaces.RemoveBulkParameterSet})
	a.Hook(schema.BulkSync, api.Hooks{Prepare: spaces.PrepareBulkSync})
	a.Handle(http.MethodGet, "coSpaces/{id}/meetingEntryDetail", meetingEntryDetail)
	a.Handle(http.MethodGet, "coSpaces/{id}/emailInvitation", func(c *api.Call) (api.Answer, error) { return b.invite(c, r) })
	a.Handle(http.MethodGet, "coSpaces/{id}/accessMethods/{id}/emailInvitation", func(c *api.Call) (api.Answer, error) { return b.invite(c, r) })
	a.Handle(http.MethodPost, "accessQuery", accessQuery)
	a.Handle(http.MethodPost, "uriUsageQuery", uriUsageQuery)
}

// put adds an element where there is something to say.
func put(e *api.Element, name, text string) {
	if text != "" {
		e.Elements = append(e.Elements, api.Text(name, text))
	}
}

// spaceOf returns the space of a path, and the access method where the path has one. Either may have gone since the path was read.
func spaceOf(c *api.Call) (space, method *store.Record, err error) {
	v := c.View()
	if space = v.Get(schema.CoSpace, c.IDs[0]); space == nil {
		return nil, nil, api.NotFound{Code: failure.Code(schema.CoSpace.Missing)}
	}
	if len(c.IDs) > 1 {
		if method = v.Get(schema.AccessMethod, c.IDs[1]); method == nil {
			return nil, nil, api.NotFound{Code: failure.Code(schema.AccessMethod.Missing)}
		}
	}
	return space, method, nil
}

func meetingEntryDetail(c *api.Call) (api.Answer, error) {
	space, _, err := spaceOf(c)
	if err != nil {
		return api.Answer{}, err
	}
	entry := spaces.EntryOf(c.View(), space, nil)
	e := api.Element{Name: "meetingEntryDetail"}
	put(&e, "coSpace", entry.Space.String())
	put(&e, "uri", entry.URI)
	put(&e, "callId", entry.CallID)
	return api.Answer{Root: &e}, nil
}

func (b *bridge) invite(c *api.Call, r *rules) (api.Answer, error) {
	space, method, err := spaceOf(c)
	if err != nil {
		return api.Answer{}, err
	}
	select {
	case r.inviting <- struct{}{}:
		defer func() { <-r.inviting }()
	default:
		return api.Answer{}, api.Busy{Code: failure.CallBridgeUnavailable, After: time.Second}
	}
	m, err := spaces.Invite(c.Context(), c.View(), r.templates, space, method, c.Params.Get("language"))
	var wrong *failure.Parameter
	if errors.As(err, &wrong) {
		return api.Answer{}, wrong
	}
	if err != nil {
		b.log.Warn("invitation with the text of the system", "coSpace", space.ID(), "error", err)
	}
	return api.Answer{Root: &api.Element{Name: "emailInvitation", Elements: []api.Element{
		api.Text("subject", m.Subject), api.Text("invitation", m.Body), api.Text("language", m.Language),
	}}}, nil
}

// tenantOf reads the parameter tenant, which may be left out.
func tenantOf(c *api.Call) (store.ID, error) {
	text := c.Params.Get("tenant")
	if text == "" {
		return store.ID{}, nil
	}
	id, ok := store.ParseID(text)
	if !ok {
		return id, &failure.Parameter{Name: "tenant", Fault: failure.Invalid, Why: "tenant is an ID such as 7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"}
	}
	if c.View().Get(schema.Tenants, id) == nil {
		return id, failure.Code(schema.Tenants.Missing)
	}
	return id, nil
}

func accessQuery(c *api.Call) (api.Answer, error) {
	tenant, wrong := tenantOf(c)
	uri, callID := c.Params.Get("uri"), c.Params.Get("callId")
	if _, err := schema.CoSpace.Field("callId").Parse(callID); err != nil {
		wrong = errors.Join(wrong, &failure.Parameter{Name: "callId", Fault: failure.Invalid, Why: err.Error()})
	}
	if wrong != nil {
		return api.Answer{}, wrong
	}
	access, err := spaces.AccessQuery(c.View(), uri, callID, tenant)
	if err != nil {
		return api.Answer{}, err
	}
	e := api.Element{Name: "accessQuery"}
	put(&e, "uri", access.URI)
	put(&e, "webAddress", access.WebAddress)
	put(&e, "ivr", access.IVR)
	return api.Answer{Root: &e}, nil
}

func uriUsageQuery(c *api.Call) (api.Answer, error) {
	tenant, err := tenantOf(c)
	if err != nil {
		return api.Answer{}, err
	}
	usage, err := spaces.URIUsage(c.View(), c.Params.Get("uri"), tenant)
	if err != nil {
		return api.Answer{}, err
	}
	e := api.Element{Name: "uriUsageQuery"}
	for name, r := range map[string]*store.Record{"coSpaceId": usage.CoSpace, "userId": usage.User, "ivrId": usage.IVR} {
		if r != nil {
			put(&e, name, r.ID().String())
		}
	}
	return api.Answer{Root: &e}, nil
}
