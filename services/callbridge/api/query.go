package api

import (
	"net/http"
	"strconv"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
	"rotunda/services/media/layout"
)

// queryRoutes are questions about objects that are no objects themselves.
func (s *Server) queryRoutes() {
	s.Handle(http.MethodGet, "callLegProfiles/{id}/usage", callLegProfileUsage)
	s.Handle(http.MethodGet, "users/{id}/userCoSpaces", userCoSpaces)
	effective := "/effectiveWebBridgeProfile"
	s.Handle(http.MethodGet, "system/profiles"+effective, func(c *Call) (Answer, error) {
		return effectiveWebBridgeProfile(c.View(), nil, nil)
	})
	s.Handle(http.MethodGet, "tenants/{id}"+effective, func(c *Call) (Answer, error) {
		return effectiveWebBridgeProfile(c.View(), nil, c.View().Get(schema.Tenants, c.last()))
	})
	s.Handle(http.MethodGet, "webBridges/{id}"+effective, func(c *Call) (Answer, error) {
		bridge := c.View().Get(schema.WebBridge, c.last())
		if bridge == nil {
			return Answer{}, gone(schema.WebBridge)
		}
		return effectiveWebBridgeProfile(c.View(), bridge, nil)
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
	s.HandleDocument(http.MethodPut, "layoutTemplates/{id}/template", s.setTemplate)
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

// effectiveWebBridgeProfile shows what is in force at a web bridge or for a tenant, defaults of the system included.
func effectiveWebBridgeProfile(v store.View, bridge, tenant *store.Record) (Answer, error) {
	e := Element{Name: "effectiveWebBridgeProfile"}
	profiles.ForWebBridge(v, bridge, tenant).Values(func(f *schema.Field, value string, _ profiles.Scope) bool {
		e.add(Text(f.Name, value))
		return true
	})
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
		for _, r := range v.Lookup(o, "callLegProfile", id) {
			use(func() Element {
				e := Element{Name: o.Name, Attributes: idAttribute(r.ID())}
				if o.Parent != nil {
					e.add(Text(o.Parent.Name, r.Parent().String()))
				}
				return e
			})
		}
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
