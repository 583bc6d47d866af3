package webadmin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rotunda/services/callbridge/schema"
)

// objectPage is one object of the explorer, or a new one.
type objectPage struct {
	At       *place
	Crumbs   []crumb
	Create   bool
	Form     *form
	Name     string
	Pattern  string
	Children []childLink
	// More is what the API tells beside the fields of the form.
	More      []*node
	CanSave   bool
	CanDelete bool
	Deletion  deletion
	Self      string
	Help      string
}

type childLink struct{ Title, Path, Help string }

func (v *visit) object(at *place) {
	o := at.Object
	create := at.ID == "" && !o.Singleton
	p := &objectPage{At: at, Crumbs: at.crumbs(), Create: create, Pattern: "/api/v1/" + at.API(), Deletion: v.deletion(), Self: v.r.URL.RequestURI(), Help: o.Help,
		CanDelete: o.Methods&schema.Delete != 0 && at.ID != ""}
	p.CanSave = create && at.canCreate() || !create && o.Methods&schema.Update != 0
	if create && !p.CanSave {
		v.problem(http.StatusNotFound, "Nothing is made here", "Objects of this type are not made here.")
		return
	}
	p.Form = newForm(o, "", create)
	if !p.CanSave {
		p.Form = &form{object: o}
	}
	if !create {
		n, err := v.get(at.API(), nil)
		if err != nil {
			v.fail(err)
			return
		}
		p.Name = called(o, n)
		p.Form.read(n)
		for _, c := range n.Nodes {
			if p.Form.field(c.Name) == nil {
				p.More = append(p.More, c)
			}
		}
		for _, c := range schema.All() {
			if c.Methods != 0 && below(c, at) {
				p.Children = append(p.Children, childLink{c.Plural, (&place{Object: c, Above: at}).Path(), c.Help})
			}
		}
	}
	if !create {
		p.Children = append(p.Children, reportsOf(at)...)
	}
	title := o.Name
	if create {
		title = "New " + o.Name
	}
	status := http.StatusOK
	if v.posted() {
		do, name, _ := strings.Cut(v.r.PostForm.Get("do"), ":")
		if do != "delete" {
			p.Form.take(v.r.PostForm)
		}
		switch do {
		case "save":
			if v.saveObject(at, p, create) {
				return
			}
			status = http.StatusUnprocessableEntity
		case "choose", "page", "search":
			name, offset, _ := strings.Cut(name, ":")
			if f := p.Form.field(name); f != nil && f.Kind == schema.Reference {
				v.choose(p, f, do, offset)
				return
			}
		case "pick":
			name, id, _ := strings.Cut(name, ":")
			if f := p.Form.field(name); f != nil && f.Kind == schema.Reference {
				f.Value, f.Focus = id, true
			}
		case "back":
			if f := p.Form.field(name); f != nil {
				f.Focus = true
			}
		case "delete":
			if v.remove(at, &p.Deletion) {
				return
			}
			status = http.StatusUnprocessableEntity
		default:
			v.problem(http.StatusBadRequest, "This form is not known", "Reload the page and try again.")
			return
		}
	}
	for _, f := range p.Form.fields {
		if f.Kind != schema.Reference || f.Value == "" {
			continue
		}
		if to := schema.Of(f.To); to != nil && to.Parent == nil {
			if named, ok := parsePlace(f.To + "/" + f.Value); ok {
				if n, err := v.get(named.API(), nil); err == nil {
					f.Named = called(to, n)
				} else if notFound(err) {
					f.Named = "does not exist"
				}
			}
		}
	}
	v.showStatus(status, "object", title, p)
}

func (v *visit) saveObject(at *place, p *objectPage, create bool) bool {
	if !p.Form.check(create) {
		p.Form.focus()
		return false
	}
	values := p.Form.changes(v.r.PostForm, create)
	method := http.MethodPut
	if create {
		method = http.MethodPost
	}
	if !create && len(values) == 0 {
		v.went(at.Path(), "Nothing was changed.")
		return true
	}
	id, err := v.send(method, at.API(), values)
	if err != nil {
		p.Form.refuse(err)
		p.Form.focus()
		return false
	}
	if !create {
		v.went(at.Path(), "Saved.")
		return true
	}
	made := &place{Object: at.Object, Above: at.Above, ID: id}
	if len(id) != 36 || at.Object.CreateBelow != nil {
		v.went(at.Path(), upper(spacedLower(at.Object.Name))+" created.")
		return true
	}
	v.went(made.Path(), upper(spacedLower(at.Object.Name))+" created.")
	return true
}

// choosePage lets one choose what a reference names. It carries everything that was typed in the form.
type choosePage struct {
	Field   *Field
	To      string
	Carried []carried
	Filter  string
	Rows    []collectionRow
	Columns []string
	Pager   pager
	Offset  int
	Back    string
	None    string
	// Earlier and Later are offsets, -1 for none.
	Earlier, Later int
}

type carried struct{ Name, Value string }

func (v *visit) choose(p *objectPage, f *Field, do, offset string) {
	to := schema.Of(f.To)
	c := &choosePage{Field: f, To: f.To, Back: p.Self, Earlier: -1, Later: -1, None: "There are none yet."}
	for name, values := range v.r.PostForm {
		if strings.HasPrefix(name, valuePrefix) || strings.HasPrefix(name, beforePrefix) || strings.HasPrefix(name, removePrefix) {
			for _, value := range values {
				c.Carried = append(c.Carried, carried{name, value})
			}
		}
	}
	slices.SortFunc(c.Carried, func(a, b carried) int { return strings.Compare(a.Name, b.Name) })
	if to == nil {
		v.problem(http.StatusNotFound, "Nothing to choose from", "The API has no list of these.")
		return
	}
	path := to.URLPath()
	if to.Parent != nil {
		// What lives below an object is chosen among what is below the same one.
		if to.Parent != p.At.Object || p.At.ID == "" {
			c.None = "These live below a " + spacedLower(to.Parent.Name) + ": type the ID instead."
			v.show("choose", "Choose "+f.Name, c)
			return
		}
		path = p.At.API() + "/" + path
	}
	ask := url.Values{"limit": {strconv.Itoa(gridPage)}}
	if do != "choose" {
		c.Filter = v.r.PostForm.Get("choose.filter")
	}
	if do == "page" {
		c.Offset, _ = strconv.Atoi(offset)
		c.Offset = max(0, c.Offset)
		ask.Set("offset", strconv.Itoa(c.Offset))
	}
	if c.Filter != "" {
		ask.Set("filter", c.Filter)
		c.None = "Nothing matches “" + c.Filter + "”."
	}
	list, err := v.get(path, ask)
	if err != nil {
		v.fail(err)
		return
	}
	var columns []*schema.Field
	for i := range to.Fields {
		if field := &to.Fields[i]; field.List && field.Group == "" && field.Kind != schema.Reference && len(columns) < 3 {
			columns = append(columns, field)
			c.Columns = append(c.Columns, field.Name)
		}
	}
	for _, n := range list.Nodes {
		r := collectionRow{ID: n.ID(), Name: called(to, n)}
		for _, field := range columns {
			r.Cells = append(r.Cells, n.Get(field.Name))
		}
		if r.Name == "" {
			r.Name = r.ID
		}
		c.Rows = append(c.Rows, r)
	}
	c.Pager = newPager(c.Offset, len(list.Nodes), list.total(), func(to int) string { return strconv.Itoa(to) })
	if c.Pager.Previous != "" {
		c.Earlier, _ = strconv.Atoi(c.Pager.Previous)
	}
	if c.Pager.Next != "" {
		c.Later, _ = strconv.Atoi(c.Pager.Next)
	}
	v.show("choose", "Choose "+f.Name, c)
}
