package webadmin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
)

// explorerPath is where the explorer is; below it are paths as those of the API, but with the plurals of types.
const explorerPath = "/configuration/api"

// place is an object or a collection of the explorer: a type, and the IDs on the way to it.
type place struct {
	Object *schema.Object
	// ID is "" for a collection and for a singleton.
	ID string
	// Above is the object that it lives below.
	Above *place
}

// parsePlace reads a path below explorerPath.
func parsePlace(path string) (*place, bool) {
	var at *place
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i := 0; i < len(segments); i += 2 {
		o := schema.Of(segments[i])
		if o == nil || o.Page || !below(o, at) {
			return nil, false
		}
		at = &place{Object: o, Above: at}
		if i+1 == len(segments) {
			break
		}
		// An ID goes into a path of the API as it is.
		id, err := uuid.Parse(segments[i+1])
		if err != nil || len(segments[i+1]) != 36 || o.Singleton {
			return nil, false
		}
		at.ID = id.String()
	}
	return at, at != nil
}

// below says whether a type has a collection at a place.
func below(o *schema.Object, above *place) bool {
	switch {
	case above == nil:
		return o.Parent == nil
	case above.ID == "":
		return false
	}
	return o.Parent == above.Object || slices.Contains(o.Below, above.Object)
}

// API is the path below /api/v1.
func (p *place) API() string {
	path := ""
	if p.Above != nil {
		path = p.Above.API() + "/"
	}
	path += p.Object.URLPath()
	if p.ID != "" {
		path += "/" + p.ID
	}
	return path
}

// Path is that of the page.
func (p *place) Path() string {
	if p.Above != nil {
		return p.Above.Path() + strings.TrimPrefix(p.here(), explorerPath)
	}
	return p.here()
}

func (p *place) here() string {
	path := explorerPath + "/" + p.Object.Plural
	if p.ID != "" {
		path += "/" + p.ID
	}
	return path
}

// collection is the list that an object is in.
func (p *place) collection() *place { return &place{Object: p.Object, Above: p.Above} }

// canCreate: call legs are made below a call, and listed below others too.
func (p *place) canCreate() bool {
	o := p.Object
	if o.Methods&schema.Create == 0 || o.Singleton {
		return false
	}
	if o.CreateBelow != nil {
		return p.Above != nil && p.Above.Object == o.CreateBelow
	}
	return true
}

// crumb is a step on the way to a page.
type crumb struct{ Title, Path string }

func (p *place) crumbs() []crumb {
	list := []crumb{{"API", explorerPath}}
	var walk func(*place)
	walk = func(p *place) {
		if p.Above != nil {
			walk(p.Above)
		}
		list = append(list, crumb{p.Object.Plural, p.collection().Path()})
		if p.ID != "" {
			list = append(list, crumb{p.ID, p.Path()})
		}
	}
	walk(p)
	return list
}

// explorerPage is the list of all types.
type explorerPage struct {
	Filter string
	Groups []explorerGroup
}

type explorerGroup struct {
	Title string
	Types []explorerType
}

type explorerType struct {
	Path, Help, Methods, Page string
}

func (v *visit) explorerIndex() {
	p := &explorerPage{Filter: strings.TrimSpace(v.r.URL.Query().Get("filter"))}
	filter := strings.ToLower(p.Filter)
	groups := map[string]*explorerGroup{}
	var order []string
	add := func(title string, t explorerType) {
		if filter != "" && !strings.Contains(strings.ToLower(t.Path+" "+t.Help), filter) {
			return
		}
		if groups[title] == nil {
			groups[title] = &explorerGroup{Title: title}
			order = append(order, title)
		}
		groups[title].Types = append(groups[title].Types, t)
	}
	for _, o := range schema.All() {
		if o.Page || o.Methods == 0 {
			continue
		}
		t := explorerType{Path: apiPrefix + apiPattern(o), Help: o.Help}
		for _, m := range []struct {
			is   schema.Methods
			name string
		}{{schema.Create, "create"}, {schema.Read, "view"}, {schema.Update, "edit"}, {schema.Delete, "delete"}} {
			if o.Methods&m.is != 0 && !(o.Singleton && m.is == schema.Create) {
				if t.Methods != "" {
					t.Methods += ", "
				}
				t.Methods += m.name
			}
		}
		// What lives below an object is reached by it.
		t.Page = explorerPath + "/" + root(o).Plural
		add(groupOf(o), t)
	}
	for i, t := range reportTypes() {
		switch r := reports[i]; {
		case r.of != "":
			add(groupOf(schema.Of(r.of)), t)
		case strings.HasSuffix(r.path, "Query"):
			add("Questions", t)
		default:
			add("System", t)
		}
	}
	slices.Sort(order)
	for _, title := range order {
		slices.SortStableFunc(groups[title].Types, func(a, b explorerType) int { return strings.Compare(strings.ToLower(a.Path), strings.ToLower(b.Path)) })
		p.Groups = append(p.Groups, *groups[title])
	}
	v.show("explorer", "API explorer", p)
}

func root(o *schema.Object) *schema.Object {
	for o.Parent != nil {
		o = o.Parent
	}
	return o
}

// apiPattern is the path of a collection as the reference writes it.
func apiPattern(o *schema.Object) string {
	if o.Parent == nil {
		return o.URLPath()
	}
	return apiPattern(o.Parent) + "/<" + spacedLower(o.Parent.Name) + " id>/" + o.URLPath()
}

func spacedLower(name string) string { return strings.ToLower(spaced(name)) }

// groupOf is the heading below which a type is listed.
func groupOf(o *schema.Object) string {
	name := strings.ToLower(root(o).Plural)
	for _, g := range []struct {
		title string
		words []string
	}{
		{"System", []string{"cdrreceiver", "timedlogging", "systemprofile", "cluster", "system"}},
		{"Calls in progress", []string{"calls", "calllegs", "participants", "callleg ", "diagnostics"}},
		{"Directory and users", []string{"ldap", "user", "directory"}},
		{"Dial plan", []string{"dialplan", "dialtransform", "ivrs", "sipendpoint"}},
		{"Profiles and appearance", []string{"profile", "layout", "branding"}},
		{"Spaces", []string{"cospace"}},
		{"Servers", []string{"bridge", "turn", "recorder", "streamer"}},
		{"Tenants", []string{"tenant"}},
	} {
		for _, w := range g.words {
			if strings.HasPrefix(name, w) || (len(w) > 6 || w == "ldap" || w == "bridge") && strings.Contains(name, w) {
				return g.title
			}
		}
	}
	if o.Live {
		return "Calls in progress"
	}
	if strings.HasPrefix(o.URLPath(), "system/") {
		return "System"
	}
	return "Others"
}

// explorer serves a collection or an object.
func (v *visit) explorer() {
	if at, r := reportOf(v.r.PathValue("path")); r != nil {
		v.report(at, r)
		return
	}
	at, ok := parsePlace(v.r.PathValue("path"))
	if !ok {
		v.problem(http.StatusNotFound, "There is no such object", "The address names no type of the API, or an ID that is none.")
		return
	}
	switch {
	case at.ID == "" && !at.Object.Singleton && !v.r.URL.Query().Has("new"):
		v.collection(at)
	default:
		v.object(at)
	}
}

// deletion are the two boxes of the explorer, which begin anew on each page: nothing is deleted by habit.
type deletion struct {
	Allow, Confirm bool
	Error          string
}

func (v *visit) deletion() deletion {
	if !v.posted() {
		return deletion{Confirm: true}
	}
	return deletion{Allow: v.r.PostForm.Get("allow") != "", Confirm: v.r.PostForm.Get("confirm") != ""}
}

// collectionPage is a list of the explorer.
type collectionPage struct {
	At                       *place
	Crumbs                   []crumb
	Filter                   string
	Equal                    []equalFilter
	Usage                    string
	HasUsage                 bool
	Columns                  []string
	Rows                     []collectionRow
	Pager                    pager
	CanCreate, CanDelete     bool
	CanEdit                  bool
	Deletion                 deletion
	Self, New, Help, Pattern string
}

type equalFilter struct{ Name, Value string }

type collectionRow struct {
	ID, Link, Name string
	Cells          []string
}

func (v *visit) collection(at *place) {
	o := at.Object
	query := v.r.URL.Query()
	p := &collectionPage{At: at, Crumbs: at.crumbs(), Filter: query.Get("filter"), Usage: query.Get("usageFilter"), HasUsage: o.UsageFilter,
		CanCreate: at.canCreate(), CanDelete: o.Methods&schema.Delete != 0, CanEdit: o.Methods&schema.Update != 0, Deletion: v.deletion(), Help: o.Help,
		Pattern: "/api/v1/" + at.API(), Self: v.r.URL.RequestURI(), New: at.Path() + "?new"}
	for _, f := range o.Filters {
		p.Equal = append(p.Equal, equalFilter{f.Name, query.Get(f.Name)})
	}
	status := http.StatusOK
	if v.posted() {
		do, id, _ := strings.Cut(v.r.PostForm.Get("do"), ":")
		one := &place{Object: o, Above: at.Above, ID: id}
		if _, err := uuid.Parse(id); err != nil || do != "delete" {
			v.problem(http.StatusBadRequest, "This form is not known", "Reload the page and try again.")
			return
		}
		if v.remove(one, &p.Deletion) {
			return
		}
		status = http.StatusUnprocessableEntity
	}
	offset, err := strconv.Atoi(query.Get("offset"))
	if err != nil || offset < 0 {
		offset = 0
	}
	ask := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(gridPage)}}
	set := func(name, value string) {
		if value != "" {
			ask.Set(name, value)
		}
	}
	set("filter", p.Filter)
	set("usageFilter", p.Usage)
	for _, f := range p.Equal {
		set(f.Name, f.Value)
	}
	list, err := v.get(at.API(), ask)
	if err != nil {
		v.fail(err)
		return
	}
	var columns []*schema.Field
	for i := range o.Fields {
		if f := &o.Fields[i]; f.List && f.Group == "" && f.Access != schema.Internal && len(columns) < 5 {
			columns = append(columns, f)
			p.Columns = append(p.Columns, f.Name)
		}
	}
	for _, n := range list.Nodes {
		one := &place{Object: o, Above: at.Above, ID: n.ID()}
		r := collectionRow{ID: n.ID(), Link: one.Path(), Name: n.ID()}
		for _, f := range columns {
			text := n.Get(f.Name)
			r.Cells = append(r.Cells, text)
			if text != "" && (f.Name == o.Order || r.Name == n.ID() && f.Kind == schema.Text) {
				r.Name = text
			}
		}
		p.Rows = append(p.Rows, r)
	}
	p.Pager = newPager(offset, len(list.Nodes), list.total(), func(to int) string {
		q := v.r.URL.Query()
		q.Set("offset", strconv.Itoa(to))
		return at.Path() + "?" + q.Encode()
	})
	v.showStatus(status, "collection", o.Plural, p)
}

// remove deletes an object if the boxes say so. It says whether the request is answered.
func (v *visit) remove(at *place, d *deletion) bool {
	if !d.Allow {
		d.Error = "Tick “Allow delete” first."
		return false
	}
	if d.Confirm && v.r.PostForm.Get("sure") == "" {
		c := confirmation{Title: "Delete this " + spacedLower(at.Object.Name) + "?", Text: "This cannot be undone. What is below it is deleted with it.",
			Back: v.r.URL.RequestURI(), Do: v.r.PostForm.Get("do"), Names: []string{v.nameOf(at)},
			Values: url.Values{"allow": {"1"}, "confirm": {"1"}, "sure": {"1"}}}
		v.show("confirm", c.Title, c)
		return true
	}
	if _, err := v.send(http.MethodDelete, at.API(), nil); err != nil && !notFound(err) {
		d.Error = upper(publicly(err))
		return false
	}
	v.went(at.collection().Path(), upper(spacedLower(at.Object.Name))+" deleted.")
	return true
}

// nameOf is what people call an object: its first field of text, and its ID.
func (v *visit) nameOf(at *place) string {
	n, err := v.get(at.API(), nil)
	if err != nil {
		return at.ID
	}
	if name := called(at.Object, n); name != "" {
		return name + " (" + at.ID + ")"
	}
	return at.ID
}

// called is the text by which an object is known.
func called(o *schema.Object, n *node) string {
	if name := n.Get("name"); name != "" {
		return name
	}
	if f := o.Field(o.Order); f != nil && f.Kind != schema.Reference {
		return n.Get(o.Order)
	}
	return ""
}
