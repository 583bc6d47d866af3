package webadmin

import (
	"net/http"
	"net/url"

	"rotunda/services/callbridge/schema"
)

// section is a part of a page that edits one object of the API, which is made when its fields are first filled in.
type section struct {
	Title, Intro string
	// Note is told when there are more such objects than the page shows; More leads to them.
	Note, More string
	Form       *form
	// Saved says that this part was stored although another was refused.
	Saved bool

	object *schema.Object
	id     string
	// ref is the field of the general settings that names it.
	ref string
	// root is its key field: where it is emptied, the object is deleted, and where it is empty, none is made.
	root string
	// fixed are sent when the object is made.
	fixed url.Values
}

// sections are the whole page.
type sections struct {
	Intro    string
	Sections []*section
	Submit   string
	// Apply is a second way to submit, "" for none: what was stored goes to applyPath as well, and applied is said then.
	Apply, applyPath, applied string
	// Directory has what only that page has.
	Directory *directoryExtra
}

// pathOf is where an object of a type without a parent is.
func pathOf(o *schema.Object, id string) string {
	path := o.URLPath()
	if o.Page {
		path = pagePrefix + path
	}
	if id != "" {
		path += "/" + id
	}
	return path
}

// newSection makes a part for the object that the general settings name in ref; where they name none, for the first of its type that
// keep accepts, which a script may have made, or for a new one.
func (v *visit) newSection(o *schema.Object, general *node, ref, title, prefix, root string, keep func(*node) bool, rows ...row) (*section, error) {
	s := &section{Title: title, object: o, root: root, ref: ref}
	var found *node
	if id := general.Get(ref); id != "" {
		n, err := v.get(pathOf(o, id), nil)
		if err != nil && !notFound(err) {
			return nil, err
		}
		found = n
	}
	list, err := v.get(o.URLPath(), nil)
	if err != nil {
		return nil, err
	}
	others := 0
	for _, n := range list.Nodes {
		if found != nil && n.ID() == found.ID() {
			continue
		}
		// Lists show a part of the fields.
		n, err := v.get(pathOf(o, n.ID()), nil)
		if notFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch {
		case keep != nil && !keep(n):
		case found == nil:
			found = n
		default:
			others++
		}
	}
	if others > 0 {
		s.Note = "There are more of these; the explorer shows all of them."
		s.More = "/configuration/api/" + o.Plural
	}
	if found != nil {
		s.id = found.ID()
	}
	s.Form = newForm(o, prefix, s.id == "", rows...)
	if found != nil {
		s.Form.read(found)
	}
	return s, nil
}

// newSingleton makes a part for an object that always exists.
func (v *visit) newSingleton(o *schema.Object, title, prefix string, rows ...row) (*section, error) {
	n, err := v.get(pathOf(o, ""), nil)
	if err != nil {
		return nil, err
	}
	s := &section{Title: title, object: o, Form: newForm(o, prefix, false, rows...)}
	s.Form.read(n)
	return s, nil
}

// empty says whether nothing at all is filled in.
func (s *section) empty() bool {
	for _, f := range s.Form.fields {
		if f.Value != "" && f.Value != f.Default {
			return false
		}
	}
	return true
}

// check looks at what was typed; a part that is not used needs nothing.
func (s *section) check() bool {
	create := s.id == "" && !s.object.Singleton
	if root := s.Form.field(s.root); root != nil && root.Value == "" {
		if create && s.empty() || !create && root.Was != "" {
			return true
		}
		if create {
			root.Error = "Fill in this field, or empty the others of this section."
			return false
		}
	}
	return s.Form.check(create)
}

// save stores a part; what the API refuses is shown in its form.
func (s *section) save(v *visit) bool {
	create := s.id == "" && !s.object.Singleton
	if root := s.Form.field(s.root); root != nil && root.Value == "" {
		if create {
			return true
		}
		if root.Was != "" {
			if _, err := v.send(http.MethodDelete, pathOf(s.object, s.id), nil); err != nil && !notFound(err) {
				s.Form.refuse(err)
				return false
			}
			return true
		}
	}
	values := s.Form.changes(v.r.PostForm, create)
	method := http.MethodPut
	if create {
		if len(values) == 0 {
			return true
		}
		method = http.MethodPost
		for name, fixed := range s.fixed {
			values[name] = fixed
		}
	}
	if len(values) == 0 {
		return true
	}
	id, err := v.send(method, pathOf(s.object, s.id), values)
	if err != nil {
		s.Form.refuse(err)
		return false
	}
	if create {
		s.id = id
		if s.ref != "" {
			if _, err := v.send(http.MethodPut, pathOf(schema.GeneralSettings, ""), url.Values{s.ref: {id}}); err != nil {
				s.Form.refuse(err)
				return false
			}
		}
	}
	for _, f := range s.Form.fields {
		f.Was = f.Value
	}
	s.Saved = true
	return true
}

// finish takes a form that was sent: all parts are checked before any is stored. It says whether the page is to be shown again.
func (p *sections) finish(v *visit) (again bool) {
	good := true
	for _, s := range p.Sections {
		s.Form.take(v.r.PostForm)
		good = s.check() && good
	}
	for _, s := range p.Sections {
		good = good && s.save(v)
	}
	if good {
		return false
	}
	for _, s := range p.Sections {
		s.Form.focus()
		if len(s.Form.Wrong()) > 0 {
			break
		}
	}
	return true
}

// serve shows a page of parts, or stores it.
func (v *visit) serve(title string, p *sections) {
	if !v.posted() {
		v.show("sections", title, p)
		return
	}
	if p.finish(v) {
		v.showStatus(http.StatusUnprocessableEntity, "sections", title, p)
		return
	}
	if p.Apply != "" && v.r.PostForm.Get("do") == "apply" {
		if _, err := v.send(http.MethodPost, p.applyPath, nil); err != nil {
			v.fail(err)
			return
		}
		v.went(v.r.URL.Path, title+": "+p.applied)
		return
	}
	v.went(v.r.URL.Path, title+": saved.")
}

// Wrong are the fields with errors of all parts, for the summary at the top.
func (p *sections) Wrong() []*Field {
	var list []*Field
	for _, s := range p.Sections {
		list = append(list, s.Form.Wrong()...)
	}
	return list
}

// Errors are those of all parts that belong to no field.
func (p *sections) Errors() []string {
	var list []string
	for _, s := range p.Sections {
		list = append(list, s.Form.errors...)
	}
	return list
}
