package api

import (
	"net/http"
	"strconv"
	"strings"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/layout"
)

// queryRoutes are questions about objects that are no objects themselves.
func (s *Server) queryRoutes() {
	s.Handle(http.MethodPost, "accessQuery", s.accessQuery)
	s.Handle(http.MethodPost, "uriUsageQuery", s.uriUsageQuery)
	s.Handle(http.MethodGet, "callLegProfiles/{id}/usage", callLegProfileUsage)
	s.Handle(http.MethodGet, "users/{id}/userCoSpaces", userCoSpaces)
	effective := "/effectiveWebBridgeProfile"
	s.Handle(http.MethodGet, "system/profiles"+effective, func(c *Call) (Answer, error) {
		return effectiveWebBridgeProfile(c.View(), nil, nil)
	})
	s.Handle(http.MethodGet, "tenants/{id}"+effective, func(c *Call) (Answer, error) {
		return effectiveWebBridgeProfile(c.View(), c.View().Get(schema.Tenants, c.last()), nil)
	})
	s.Handle(http.MethodGet, "webBridges/{id}"+effective, func(c *Call) (Answer, error) {
		bridge := c.View().Get(schema.WebBridge, c.last())
		if bridge == nil {
			return Answer{}, gone(schema.WebBridge)
		}
		return effectiveWebBridgeProfile(c.View(), c.View().Ref(bridge, "tenant"), bridge)
	})
	s.Handle(http.MethodGet, "layoutTemplates/{id}/template", func(c *Call) (Answer, error) {
		r := c.View().Get(schema.LayoutTemplate, c.last())
		if r == nil {
			return Answer{}, gone(schema.LayoutTemplate)
		}
		document := r.Text("template")
		if document == "" {
			document = "{}"
		}
		return Answer{Type: "application/json", Content: []byte(document)}, nil
	})
	s.root.at("layoutTemplates/{id}/template").handle(http.MethodPut, &route{handler: s.setTemplate, json: true})
	s.Hook(schema.LayoutTemplate, Hooks{Show: func(_ store.View, r *store.Record, _ bool) []Element {
		return []Element{number("templateSize", len(r.Text("template")))}
	}})
}

// setTemplate stores a layout's document as it came, white space and what we do not know included: it is shown to whoever wrote it.
func (s *Server) setTemplate(c *Call) (Answer, error) {
	if len(c.Body) > layout.TemplateSize {
		return Answer{}, failure.LayoutTemplateTooLong
	}
	if _, err := layout.ParseTemplates(c.Body); err != nil {
		return Answer{}, &failure.Parameter{Name: "template", Fault: failure.Invalid, Why: err.Error()}
	}
	err := c.Write(func(tx *store.Tx) error {
		r := tx.Get(schema.LayoutTemplate, c.last())
		if r == nil {
			return gone(schema.LayoutTemplate)
		}
		d := tx.Edit(r)
		d.Set("template", string(c.Body))
		return s.put(tx, d, nil)
	})
	if err != nil {
		return Answer{}, err
	}
	c.Audit("modified layoutTemplate " + c.last().String() + " (template)")
	return Answer{Location: c.Path}, nil
}

// webProfile is the webBridgeProfile in force.
func webProfile(v store.View, tenant, bridge *store.Record) profiles.Effective {
	var levels []profiles.Level
	at := func(s profiles.Scope, holder *store.Record) {
		if holder == nil {
			return
		}
		if p := v.Ref(holder, "webBridgeProfile"); p != nil {
			levels = append(levels, profiles.Level{Scope: s, Profile: p})
		}
	}
	at(profiles.Global, v.Only(schema.Profiles))
	at(profiles.Tenant, tenant)
	at(profiles.WebBridge, bridge)
	return profiles.Resolve(schema.WebBridgeProfile, levels...)
}

func effectiveWebBridgeProfile(v store.View, tenant, bridge *store.Record) (Answer, error) {
	e := Element{Name: "effectiveWebBridgeProfile"}
	webProfile(v, tenant, bridge).Values(func(f *schema.Field, value string, _ profiles.Scope) bool {
		e.add(Text(f.Name, value))
		return true
	})
	return answer(e)
}

// nearest is the webBridgeProfile whose addresses and numbers people of a tenant are given: the lowest that has any.
func nearest(v store.View, tenant *store.Record, of *schema.Object) *store.Record {
	for _, holder := range []*store.Record{tenant, v.Only(schema.Profiles)} {
		if holder == nil {
			continue
		}
		if p := v.Ref(holder, "webBridgeProfile"); p != nil {
			if rows := v.Below(of, p.ID()); len(rows) > 0 {
				return rows[0]
			}
		}
	}
	return nil
}

// tenantOf reads the parameter tenant, which may be left out.
func tenantOf(c *Call) (*store.Record, error) {
	text := strings.TrimSpace(c.Params.Get("tenant"))
	if text == "" {
		return nil, nil
	}
	id, ok := store.ParseID(text)
	if !ok {
		return nil, &failure.Parameter{Name: "tenant", Fault: failure.Invalid, Why: "tenant is an ID"}
	}
	r := c.View().Get(schema.Tenants, id)
	if r == nil {
		return nil, failure.Code(schema.Tenants.Missing)
	}
	return r, nil
}

// accessQuery says how a space with a URI or a call ID is reached, whether there is one or not.
func (s *Server) accessQuery(c *Call) (Answer, error) {
	var wrong faults
	tenant, err := tenantOf(c)
	if err != nil {
		wrong.add(err)
	}
	read := func(name string) string {
		text := c.Params.Get(name)
		if name == "uri" {
			text, _, _ = strings.Cut(text, "@")
		}
		value, err := schema.CoSpace.Field(name).Parse(text)
		if err != nil {
			wrong.add(&failure.Parameter{Name: name, Fault: failure.Invalid, Why: err.Error()})
		}
		return value
	}
	uri, callID := read("uri"), read("callId")
	if uri == "" && callID == "" && len(wrong) == 0 {
		wrong.add(&failure.Parameter{Name: "uri", Fault: failure.Missing, Why: "give uri or callId"})
	}
	if err := wrong.err(); err != nil {
		return Answer{}, err
	}
	v := c.View()
	e := Element{Name: "accessQuery"}
	domain, ok := "", false
	if s.system.Domain != nil {
		var id store.ID
		if tenant != nil {
			id = tenant.ID()
		}
		domain, ok = s.system.Domain(v, id)
	}
	if uri != "" && ok {
		e.add(Text("uri", uri+"@"+domain))
	}
	if address := nearest(v, tenant, schema.WebBridgeAddress); address != nil && callID != "" {
		e.add(Text("webAddress", strings.TrimRight(address.Text("address"), "/")+"/meeting/"+callID))
	}
	if callID != "" {
		if ivr := reachingIVR(v, tenant); ivr != nil && ok {
			e.add(Text("ivr", ivr.Text("uri")+"@"+domain))
		}
	}
	return answer(e)
}

// reachingIVR is an IVR that takes call IDs of a tenant's spaces.
func reachingIVR(v store.View, tenant *store.Record) (found *store.Record) {
	var group *store.Record
	if tenant != nil {
		group = v.Ref(tenant, "tenantGroup")
	}
	v.Each(schema.IVR, func(r *store.Record) bool {
		of := v.Ref(r, "tenantGroup")
		same := of == nil && group == nil || of != nil && group != nil && of.ID() == group.ID()
		if same && r.Bool("resolveCoSpaceCallIds") {
			found = r
		}
		return found == nil
	})
	return found
}

// uriUsageQuery says what has a URI.
func (s *Server) uriUsageQuery(c *Call) (Answer, error) {
	tenant, err := tenantOf(c)
	if err != nil {
		return Answer{}, err
	}
	uri := strings.TrimSpace(c.Params.Get("uri"))
	if uri == "" {
		return Answer{}, &failure.Parameter{Name: "uri", Fault: failure.Missing, Why: "uri must be given"}
	}
	v := c.View()
	of := func(r *store.Record) bool {
		if tenant == nil {
			return true
		}
		holder := r
		if p := r.Object().Parent; p != nil {
			holder = v.Get(p, r.Parent())
		}
		if holder == nil {
			return false
		}
		have := v.Ref(holder, "tenant")
		return have != nil && have.ID() == tenant.ID()
	}
	user, _, _ := strings.Cut(uri, "@")
	e := Element{Name: "uriUsageQuery"}
	for _, r := range v.Find("coSpaceUri", user) {
		if !of(r) {
			continue
		}
		id := r.ID()
		if r.Object() == schema.AccessMethod {
			id = r.Parent()
		}
		e.put(Text("coSpaceId", id.String()))
	}
	for _, r := range v.Find("userJid", uri) {
		if of(r) {
			e.put(Text("userId", r.ID().String()))
		}
	}
	for _, r := range v.Find("ivrUri", user) {
		if of(r) {
			e.put(Text("ivrId", r.ID().String()))
		}
	}
	return answer(e)
}

// callLegProfileUsage names everything that a callLegProfile is attached to.
func callLegProfileUsage(c *Call) (Answer, error) {
	offset, limit, err := c.Params.page(rowCap)
	if err != nil {
		return Answer{}, err
	}
	v, id := c.View(), c.last().String()
	root := Element{Name: "callLegProfileUsage", Attributes: idAttribute(c.last())}
	n := 0
	use := func(e func() Element) {
		if n >= offset && n-offset < limit {
			root.add(e())
		}
		n++
	}
	if v.Only(schema.Profiles).Text("callLegProfile") == id {
		use(func() Element { return Element{Name: "global"} })
	}
	for _, o := range []*schema.Object{schema.Tenants, schema.CoSpace, schema.CoSpaceUser, schema.AccessMethod} {
		v.Each(o, func(r *store.Record) bool {
			if r.Text("callLegProfile") == id {
				use(func() Element {
					e := Element{Name: o.Name, Attributes: idAttribute(r.ID())}
					if o.Parent != nil {
						e.add(Text(o.Parent.Name, r.Parent().String()))
					}
					return e
				})
			}
			return true
		})
	}
	root.Attributes = append(root.Attributes, Attribute{"total", strconv.Itoa(n)})
	return answer(root)
}

// userCoSpaces are the spaces that a user is a member of.
func userCoSpaces(c *Call) (Answer, error) {
	members := c.View().Lookup(schema.CoSpaceUser, "userId", c.last().String())
	return page(c, Element{Name: "userCoSpaces"}, len(members), func(i int) Element {
		return Element{Name: "userCoSpace", Attributes: idAttribute(members[i].ID()), Elements: []Element{
			Text("coSpaceId", members[i].Parent().String()),
		}}
	})
}
