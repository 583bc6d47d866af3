package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// tables makes the routes of every table. A parent comes before those below it, so its node is there.
func (s *Server) tables() {
	ones := map[*schema.Object]*node{}
	for _, o := range schema.All() {
		from := s.root
		if o.Parent != nil {
			from = ones[o.Parent]
		}
		many := from.at(o.URLPath())
		if o.Page && o.Parent == nil {
			many = s.pages.at(o.URLPath())
		}
		if o.Live && o.Singleton {
			// system/timedLogging, which is in system.go.
			continue
		}
		if o.Live {
			// Their routes are in live.go, since they stand in each other's paths.
			one := many.at(anyID)
			one.object, ones[o] = o, one
			continue
		}
		if o.Singleton {
			s.singleton(many, o)
			ones[o] = many
			continue
		}
		one := many.at(anyID)
		one.object, ones[o] = o, one
		add := func(m schema.Methods, n *node, method string, h func(*Call, *schema.Object) (Answer, error)) {
			if o.Methods&m != 0 {
				n.handle(method, &route{handler: func(c *Call) (Answer, error) { return h(c, o) }})
			}
		}
		add(schema.Read, many, http.MethodGet, s.list)
		add(schema.Create, many, http.MethodPost, s.create)
		add(schema.Read, one, http.MethodGet, s.show)
		add(schema.Update, one, http.MethodPut, s.update)
		add(schema.Delete, one, http.MethodDelete, s.remove)
	}
}

// singleton is an object that always exists. Deployed clients POST to it as well.
func (s *Server) singleton(n *node, o *schema.Object) {
	if o.Methods&schema.Read != 0 {
		n.handle(http.MethodGet, &route{handler: func(c *Call) (Answer, error) {
			e := s.element(c.View(), c.View().Only(o), true)
			return answer(e)
		}})
	}
	if o.Methods&(schema.Create|schema.Update) != 0 {
		write := &route{handler: func(c *Call) (Answer, error) { return s.update(c, o) }}
		n.handle(http.MethodPut, write)
		n.handle(http.MethodPost, write)
	}
}

// last is the ID at the end of a path, of the object, or of its parent in the path of a collection.
func (c *Call) last() store.ID {
	if len(c.IDs) == 0 {
		return store.ID{}
	}
	return c.IDs[len(c.IDs)-1]
}

func (s *Server) list(c *Call, o *schema.Object) (Answer, error) {
	q := store.Query{Filter: c.Params.Get("filter"), Equal: map[string]string{}}
	if o.Parent != nil {
		q.Parent = c.last()
	}
	var wrong faults
	var err error
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
	if o.UsageFilter {
		switch fold(c.Params.Get("usageFilter")) {
		case "":
		case "referenced":
			q.Referenced = new(true)
		case "unreferenced":
			q.Referenced = new(false)
		default:
			wrong.add(&failure.Parameter{Name: "usageFilter", Fault: failure.Invalid, Why: "use referenced or unreferenced"})
		}
	}
	for _, h := range s.hooks[o] {
		if h.Keep == nil {
			continue
		}
		keep, err := h.Keep(c.View(), c.Params)
		if err != nil {
			wrong.add(err)
		}
		q.Keep = both(q.Keep, keep)
	}
	if err := wrong.err(); err != nil {
		return Answer{}, err
	}
	page := c.store.List(o, q)
	root := Element{Name: o.Plural, Attributes: []Attribute{{"total", strconv.Itoa(page.Total)}}}
	if o.Most > 0 && o.TooMany != "" {
		root.Attributes = append(root.Attributes, Attribute{"maximum", strconv.Itoa(o.Most)})
	}
	for _, r := range page.Records {
		root.Elements = append(root.Elements, s.element(c.View(), r, false))
	}
	return answer(root)
}

func both(a, b func(*store.Record) bool) func(*store.Record) bool {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(r *store.Record) bool { return a(r) && b(r) }
}

func (s *Server) show(c *Call, o *schema.Object) (Answer, error) {
	r := c.View().Get(o, c.last())
	if r == nil {
		return Answer{}, gone(o)
	}
	return answer(s.element(c.View(), r, true))
}

// gone is an object that was deleted while the request was under way.
func gone(o *schema.Object) error { return NotFound{failure.Code(missingCode(o))} }

// element is an object as clients see it.
func (s *Server) element(v store.View, r *store.Record, single bool) Element {
	o := r.Object()
	e := Element{Name: o.Name}
	if !o.Singleton {
		e.Attributes = []Attribute{{"id", r.ID().String()}}
	}
	values := make([]string, len(o.Fields))
	r.Values(func(f *schema.Field, value string) bool {
		if f.Kind == schema.Reference && v.Ref(r, f.Key()) == nil {
			// What it named is gone: it is as good as not set.
			return true
		}
		values[o.Index(f.Key())] = value
		return true
	})
	e.fields(o, single, func(i int) string { return values[i] })
	for _, h := range s.hooks[o] {
		if h.Show == nil {
			continue
		}
		for _, more := range h.Show(v, r, single) {
			e.put(more)
		}
	}
	return e
}

// fields adds those of a table that clients see, with the values that value returns by position.
func (e *Element) fields(o *schema.Object, single bool, value func(i int) string) {
	for i := range o.Fields {
		f := &o.Fields[i]
		switch {
		case !single && !f.List, f.Access == schema.Hidden, f.Access == schema.Internal, !f.Access.Stored():
			continue
		}
		if text := value(i); text != "" || f.Empty {
			e.group(f.Group).add(Element{Name: f.Name, Text: text})
		}
	}
}

func (e *Element) add(inner Element) { e.Elements = append(e.Elements, inner) }

// group returns the element within e that a path of schema.Field.Group names, made where there is none.
func (e *Element) group(path string) *Element {
	if path == "" {
		return e
	}
	step, rest, _ := strings.Cut(path, "/")
	name, attribute, _ := strings.Cut(step, " ")
	want := Element{Name: name}
	if key, value, ok := strings.Cut(attribute, "="); ok {
		want.Attributes = []Attribute{{key, value}}
	}
	for i := range e.Elements {
		if have := &e.Elements[i]; have.Name == want.Name && slices.Equal(have.Attributes, want.Attributes) {
			return have.group(rest)
		}
	}
	e.add(want)
	return e.Elements[len(e.Elements)-1].group(rest)
}

// put adds an element, in place of one with its name.
func (e *Element) put(more Element) {
	for i := range e.Elements {
		if e.Elements[i].Name == more.Name {
			e.Elements[i] = more
			return
		}
	}
	e.add(more)
}

func (s *Server) create(c *Call, o *schema.Object) (Answer, error) {
	var parent store.ID
	if o.Parent != nil {
		parent = c.last()
	}
	if err := c.precheck(o, true); err != nil {
		return Answer{}, err
	}
	var made *store.Draft
	err := c.Write(func(tx *store.Tx) error {
		settings, orders, err := read(tx, o, c.Params, true)
		if err != nil {
			return err
		}
		d := tx.New(o, parent)
		for _, one := range settings {
			d.Set(one.field.Name, one.value)
		}
		if err := s.put(tx, d, orders); err != nil {
			return err
		}
		made = d
		return nil
	})
	if err != nil {
		return Answer{}, err
	}
	c.Audit("created " + o.Name + " " + made.ID().String() + changes(made, c.Params))
	return Answer{Location: c.Path + "/" + made.ID().String()}, nil
}

func (s *Server) update(c *Call, o *schema.Object) (Answer, error) {
	if err := c.precheck(o, false); err != nil {
		return Answer{}, err
	}
	var made *store.Draft
	err := c.Write(func(tx *store.Tx) error {
		before := current(tx, o, c)
		if before == nil {
			return gone(o)
		}
		settings, orders, err := read(tx, o, c.Params, false)
		if err != nil {
			return err
		}
		d := tx.Edit(before)
		for _, one := range settings {
			d.Set(one.field.Name, one.value)
		}
		if err := s.put(tx, d, orders); err != nil {
			return err
		}
		made = d
		return nil
	})
	if err != nil {
		return Answer{}, err
	}
	name := o.Name
	if !o.Singleton {
		name += " " + made.ID().String()
	}
	c.Audit("modified " + name + changes(made, c.Params))
	return Answer{Location: c.Path}, nil
}

// precheck refuses what is wrong in itself before there is a transaction: a refusal in one asks the database whether the copy was behind,
// and bad requests are not to cost that. Whether references exist is the transaction's to say.
func (c *Call) precheck(o *schema.Object, create bool) error {
	_, _, err := read(c.View(), o, c.Params, create)
	if err == nil {
		return nil
	}
	for _, one := range flatten(err) {
		if _, ok := one.(*failure.Parameter); !ok {
			return nil
		}
	}
	return err
}

// current is the object that a path names, as a transaction sees it.
func current(tx *store.Tx, o *schema.Object, c *Call) *store.Record {
	if o.Singleton {
		return tx.Only(o)
	}
	return tx.Get(o, c.last())
}

// put runs the rules and puts a draft.
func (s *Server) put(tx *store.Tx, d *store.Draft, orders map[string]string) error {
	hooks := s.hooks[d.Object()]
	for _, h := range hooks {
		if h.Prepare == nil {
			continue
		}
		if err := h.Prepare(tx, d, orders); err != nil {
			return err
		}
	}
	if err := tx.Put(d); err != nil {
		return err
	}
	for _, h := range hooks {
		if h.Stored == nil {
			continue
		}
		if err := h.Stored(tx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) remove(c *Call, o *schema.Object) (Answer, error) {
	err := c.Write(func(tx *store.Tx) error {
		r := tx.Get(o, c.last())
		if r == nil {
			return gone(o)
		}
		for _, h := range s.hooks[o] {
			if h.Remove == nil {
				continue
			}
			if err := h.Remove(tx, r); err != nil {
				return err
			}
		}
		return tx.Delete(r)
	})
	if err != nil {
		return Answer{}, err
	}
	c.Audit("deleted " + o.Name + " " + c.last().String())
	return Answer{}, nil
}

// changes are the names of the fields that a write has set or unset, for the audit line, and of the orders that came with it. Values
// are left out: some are secrets, and all are in the API.
func changes(d *store.Draft, p Params) string {
	var names []string
	o := d.Object()
	for i := range o.Fields {
		f := &o.Fields[i]
		switch {
		case f.Access == schema.Internal:
		case f.Access.Stored():
			// A new object has its defaults without anybody saying so.
			if d.Changed(f.Key()) && (d.Before() != nil || d.Text(f.Key()) != f.Default) {
				names = append(names, f.Name)
			}
		default:
			if p.Get(append([]string{f.Name}, f.Aliases...)...) != "" && f.Access.Settable(d.Before() == nil) {
				names = append(names, f.Name)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}
