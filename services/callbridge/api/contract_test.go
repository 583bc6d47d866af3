package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// maker makes objects by their tables.
type maker struct {
	*desk
	n    int
	seen *covered
}

// covered is what was looked at: parts of the contract, by what of the tables they are about.
type covered struct {
	mu    sync.Mutex
	parts map[string]bool
}

// saw notes that a part of the contract was looked at for a type, or for one row of it.
func (m *maker) saw(part string, o *schema.Object, row string) {
	m.seen.mu.Lock()
	defer m.seen.mu.Unlock()
	m.seen.parts[part+" "+o.Plural+" "+row] = true
}

// texts are tried in turn until a field takes one: its Check decides.
var texts = []string{"text%d", "%d", "host%d.example.com", "room$index$%d", "user%d.$", "*%d", "9,%d", "1%d:443", "2026-01-01T00:00:0%dZ", "($1/x%d/)", "$1x%d", "q735.%d"}

// value returns a value that a field takes, another one at each call.
func (m *maker) value(f *schema.Field) string {
	m.t.Helper()
	m.n++
	switch f.Kind {
	case schema.Number:
		most := f.Max
		if most == 0 {
			most = schema.MaxNumber
		}
		return strconv.FormatInt(f.Min+int64(m.n)%(most-f.Min+1), 10)
	case schema.Bool:
		return strconv.FormatBool(m.n%2 == 0)
	case schema.Choice:
		return f.Values[m.n%len(f.Values)]
	case schema.URL:
		return f.Values[0] + "://host" + strconv.Itoa(m.n) + ".example.com/x?y=z"
	case schema.GUID:
		return uuid.NewString()
	case schema.Reference:
		to := schema.Of(f.To)
		if to == schema.User {
			return m.user(fmt.Sprintf("user%d@example.com", m.n)).String()
		}
		return id(m.make(m.collection(to), m.minimum(to)))
	}
	for _, text := range texts {
		if strings.Contains(text, "%d") {
			text = fmt.Sprintf(text, m.n)
		}
		if v, err := f.Parse(text); err == nil && v != "" {
			return v
		}
	}
	m.t.Fatalf("no text is right for %s: add one to texts", f.Name)
	return ""
}

// collection is the path of a type's collection, below a new parent where it has one.
func (m *maker) collection(o *schema.Object) string {
	m.t.Helper()
	switch {
	case o.Parent == nil:
		return o.URLPath()
	case o.Parent == schema.User:
		m.n++
		return "users/" + m.user(fmt.Sprintf("parent%d@example.com", m.n)).String() + "/" + o.URLPath()
	}
	return m.make(m.collection(o.Parent), m.minimum(o.Parent)) + "/" + o.URLPath()
}

// minimum is what must be sent to create one, or what one has that the system makes.
func (m *maker) minimum(o *schema.Object) url.Values {
	v := url.Values{}
	for i := range o.Fields {
		if f := &o.Fields[i]; f.Required && f.Access.Settable(true) {
			v.Set(f.Name, m.value(f))
		}
	}
	if o.Methods&schema.Create == 0 {
		for _, u := range o.Unique {
			for _, name := range u.Fields {
				v.Set(name, m.value(o.Field(name)))
			}
		}
	}
	return v
}

// one makes an object, with a request or, of types that clients only read, as the system does.
func (m *maker) one(o *schema.Object, many string, values url.Values) string {
	m.t.Helper()
	if o.Methods&schema.Create != 0 {
		return m.make(many, values)
	}
	var parent store.ID
	if o.Parent != nil {
		var ok bool
		if parent, ok = store.ParseID(strings.Split(many, "/")[1]); !ok {
			m.t.Fatalf("no ID in %s", many)
		}
	}
	var made store.ID
	err := m.store.Write(m.t.Context(), func(tx *store.Tx) error {
		d := tx.New(o, parent)
		for name := range values {
			d.Set(name, values.Get(name))
		}
		made = d.ID()
		return tx.Put(d)
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return many + "/" + made.String()
}

// given says whether a field of a new object can be given a value here.
func given(o *schema.Object, f *schema.Field) bool {
	return f.Access.Settable(true) || o.Methods&schema.Create == 0 && f.Access == schema.Shown
}

// settable calls f with every field that clients set and that is stored.
func settable(o *schema.Object, create bool, f func(*schema.Field)) {
	for i := range o.Fields {
		if row := &o.Fields[i]; row.Access.Stored() && row.Access.Settable(create) {
			f(row)
		}
	}
}

// wrong is a value that a field never takes; false where everything is right.
func wrong(f *schema.Field) (string, bool) {
	switch f.Kind {
	case schema.Number:
		return "many", true
	case schema.Bool, schema.Choice:
		return "perhaps", true
	case schema.URL:
		return "gopher://example.com/", true
	case schema.GUID, schema.Reference:
		return "7d2c3a5e-4a0c", true
	}
	most := f.Max
	if most == 0 {
		most = schema.MaxText
	}
	return strings.Repeat("1", int(most)+1), true
}

func TestEveryTypeKeepsTheContract(t *testing.T) {
	t.Parallel()
	// What is counted are the objects of a type, and other types make some of it for their references: so one type at a time is looked at in
	// a database, and there is one of these for each core of a small machine.
	const databases = 2
	var types [databases][]int
	n := 0
	for i, o := range schema.All() {
		if o.Live || o.Page {
			continue
		}
		types[n%databases] = append(types[n%databases], i)
		n++
	}
	seen := &covered{parts: map[string]bool{}}
	t.Run("types", func(t *testing.T) {
		for _, list := range types {
			t.Run("database", func(t *testing.T) {
				t.Parallel()
				st := openStore(t)
				for _, i := range list {
					keepsTheContract(t, st, schema.All()[i], 1000*(1+i), seen)
				}
			})
		}
	})
	if !t.Failed() {
		everythingWasLookedAt(t, seen)
	}
}

// keepsTheContract looks at a type; first is the number from which its values are made, which are of no other type.
func keepsTheContract(t *testing.T, st *store.Store, o *schema.Object, first int, seen *covered) {
	type part struct {
		name string
		do   func(*maker, *schema.Object)
	}
	parts := []part{
		{"create", created}, {"values", values}, {"wrong values", wrongValues}, {"references", references}, {"duplicates", duplicates},
		{"filters", filters}, {"update", updated}, {"deletion", deleted}, {"paging", paging},
	}
	switch {
	case o.Singleton:
		parts = []part{{"singleton", singleton}}
	case o.Methods&schema.Create == 0:
		parts = []part{{"reading", readAlone}, {"filters", filters}, {"paging", paging}}
	}
	t.Run(o.Plural, func(t *testing.T) {
		m := &maker{desk: newDesk(t, st), n: first, seen: seen}
		for _, part := range parts {
			t.Run(part.name, func(t *testing.T) {
				was := m.t
				m.t = t
				defer func() { m.t = was }()
				part.do(m, o)
			})
		}
	})
}

func created(m *maker, o *schema.Object) {
	many := m.collection(o)
	one := m.make(many, m.minimum(o))
	root := m.read(one, nil)
	if root.XMLName.Local != o.Name || root.attr("id") != id(one) {
		m.t.Fatalf("want <%s id=%q>, got %v", o.Name, id(one), root)
	}
	for i := range o.Fields {
		f := &o.Fields[i]
		have, shown := root.get(f.Name)
		switch {
		case f.Access == schema.Hidden || f.Access == schema.Internal || !f.Access.Stored():
			if shown {
				m.t.Errorf("%s is shown and must not be", f.Name)
			}
		case f.Default != "" && !f.Required && have != f.Default:
			m.t.Errorf("%s: want the default %q, got %q", f.Name, f.Default, have)
		case f.Empty && !shown:
			m.t.Errorf("%s: want an empty element, got none", f.Name)
		}
		if f.Default != "" {
			m.saw("default", o, f.Name)
		}
	}
	// Everything at once, with names in another case.
	all, sent := url.Values{}, url.Values{}
	settable(o, true, func(f *schema.Field) {
		v := m.value(f)
		all.Set(f.Name, v)
		sent.Set(strings.ToUpper(f.Name), v)
	})
	one = m.make(many, sent)
	root = m.read(one, nil)
	settable(o, true, func(f *schema.Field) {
		m.saw("create", o, f.Name)
		have, shown := root.get(f.Name)
		if f.Access == schema.Hidden {
			if shown {
				m.t.Errorf("%s is shown and must not be", f.Name)
			}
			return
		}
		if have != all.Get(f.Name) {
			m.t.Errorf("%s: want %q, got %q", f.Name, all.Get(f.Name), have)
		}
	})
	m.listed(o, many, one)
}

// listed finds an object in the list of its collection, which shows the fields of lists and no others.
func (m *maker) listed(o *schema.Object, many, one string) {
	m.t.Helper()
	single := m.read(one, nil)
	for offset := 0; ; {
		list := m.read(many, url.Values{"offset": {strconv.Itoa(offset)}})
		if list.XMLName.Local != o.Plural || list.attr("total") == "" {
			m.t.Fatalf("want <%s total=…>, got %v", o.Plural, list)
		}
		if len(list.Children) == 0 {
			m.t.Fatalf("%s is on no page of its list", one)
		}
		offset += len(list.Children)
		for _, row := range list.Children {
			if row.attr("id") != id(one) {
				continue
			}
			for i := range o.Fields {
				f := &o.Fields[i]
				want, there := single.get(f.Name)
				have, shown := row.get(f.Name)
				switch {
				case shown && !f.List:
					m.t.Errorf("a list shows %s", f.Name)
				case f.List && (have != want || shown != there):
					m.t.Errorf("a list shows %s as %q, the object itself as %q", f.Name, have, want)
				}
				if f.List {
					m.saw("list", o, f.Name)
				}
			}
			return
		}
	}
}

// values looks at every value that a choice has, at each way to write yes and no, and at the ends of what numbers and texts may be: in rounds,
// each with another value of every field at once.
func values(m *maker, o *schema.Object) {
	many := m.collection(o)
	one := ""
	send := func(v url.Values) (a reply, path string) {
		if o.Methods&schema.Update != 0 {
			if one == "" {
				one = m.make(many, m.minimum(o))
			}
			return m.api(http.MethodPut, one, v), one
		}
		for name, value := range m.minimum(o) {
			if !v.Has(name) {
				v[name] = value
			}
		}
		a = m.api(http.MethodPost, many, v)
		return a, strings.TrimPrefix(a.location, "/api/v1/")
	}
	right, wrong := map[*schema.Field][][2]string{}, map[*schema.Field][]string{}
	settable(o, true, func(f *schema.Field) {
		m.saw("values", o, f.Name)
		right[f], wrong[f] = m.tries(f)
	})
	for round := 0; ; round++ {
		v, want := url.Values{}, map[*schema.Field]string{}
		for f, values := range right {
			if round < len(values) {
				v.Set(f.Name, values[round][0])
				want[f] = values[round][1]
			}
		}
		if len(want) == 0 {
			break
		}
		a, path := send(v)
		if a.status != http.StatusOK {
			m.t.Fatalf("%v: want 200, got %d %s", v, a.status, a.body)
		}
		root := m.read(path, nil)
		for f, value := range want {
			if have, _ := root.get(f.Name); f.Access != schema.Hidden && have != value {
				m.t.Errorf("%s=%.60q: want %.60q, got %.60q", f.Name, v.Get(f.Name), value, have)
			}
		}
		if o.Methods&schema.Update == 0 {
			// There may be only so many.
			m.api(http.MethodDelete, path, nil)
		}
	}
	for round := 0; ; round++ {
		v := url.Values{}
		var failures []string
		for f, values := range wrong {
			if round < len(values) {
				v.Set(f.Name, values[round])
				failures = append(failures, f.Name+":invalidValue")
			}
		}
		if len(failures) == 0 {
			break
		}
		a, _ := send(v)
		m.fails(a, http.StatusBadRequest, failures...)
	}
}

// tries are values that a field takes, each with what it is then, and such as it never takes.
func (m *maker) tries(f *schema.Field) (right [][2]string, wrong []string) {
	as := func(sent, want string) { right = append(right, [2]string{sent, want}) }
	switch f.Kind {
	case schema.Choice:
		for _, v := range f.Values {
			as(v, v)
		}
		as(strings.ToUpper(f.Values[0]), f.Values[0])
		as(" "+f.Values[0]+"\r\n", f.Values[0])
		if !f.Required {
			as("unset", f.Default)
		}
		wrong = []string{f.Values[0] + "x"}
	case schema.Bool:
		for _, sent := range []string{"true", "False", "True", "FALSE", "on", "off"} {
			as(sent, strconv.FormatBool(strings.EqualFold(sent, "true") || sent == "on"))
		}
		if !f.Required {
			as("unset", f.Default)
		}
		wrong = []string{"2", " "}
	case schema.Number:
		least, most := strconv.FormatInt(f.Min, 10), f.Max
		if most == 0 {
			most = schema.MaxNumber
		}
		as(least, least)
		as(strconv.FormatInt(most, 10), strconv.FormatInt(most, 10))
		wrong = []string{strconv.FormatInt(f.Min-1, 10), strconv.FormatInt(most+1, 10), "9999999999999999999999", "1.5", "0x10", "unset"}
	case schema.Text:
		most := f.Max
		if most == 0 {
			most = schema.MaxText
		}
		m.n++
		long := strconv.Itoa(m.n)
		long += strings.Repeat("1", int(most)-len(long))
		// What a Check asks for cannot be as long as one likes; package schema looks at the checks.
		if v, err := f.Parse(long); err == nil {
			as(long, v)
		}
		wrong = []string{long + "1", "a\x00b", "\xff"}
	}
	return right, wrong
}

// shows is the value of a field as an object shows it.
func (m *maker) shows(one, name string) string {
	m.t.Helper()
	have, _ := m.read(one, nil).get(name)
	return have
}

// readAlone looks at a type that the system makes and clients read.
func readAlone(m *maker, o *schema.Object) {
	many := m.collection(o)
	values := m.minimum(o)
	for i := range o.Fields {
		if f := &o.Fields[i]; !values.Has(f.Name) && f.Access.Stored() {
			values.Set(f.Name, m.value(f))
		}
	}
	one := m.one(o, many, values)
	root := m.read(one, nil)
	if root.XMLName.Local != o.Name || root.attr("id") != id(one) {
		m.t.Fatalf("want <%s id=%q>, got %v", o.Name, id(one), root)
	}
	for i := range o.Fields {
		f := &o.Fields[i]
		have, shown := root.get(f.Name)
		switch {
		case f.Access == schema.Shown && have != values.Get(f.Name):
			m.t.Errorf("%s: want %q, got %q", f.Name, values.Get(f.Name), have)
		case f.Access != schema.Shown && shown:
			m.t.Errorf("%s is shown and must not be", f.Name)
		}
		m.saw("shown", o, f.Name)
	}
	m.listed(o, many, one)
	m.fails(m.api(http.MethodPost, many, values), http.StatusBadRequest, "invalidOperation")
	m.fails(m.api(http.MethodPut, one, values), http.StatusBadRequest, "invalidOperation")
	m.fails(m.api(http.MethodDelete, one, nil), http.StatusBadRequest, "invalidOperation")
	m.fails(m.api(http.MethodGet, many+"/"+uuid.NewString(), nil), http.StatusNotFound, o.Missing)
	m.saw("delete", o, "")
}

func wrongValues(m *maker, o *schema.Object) {
	many := m.collection(o)
	everything, failures := m.minimum(o), []string{}
	settable(o, true, func(f *schema.Field) {
		bad, ok := wrong(f)
		if !ok {
			return
		}
		m.saw("wrong", o, f.Name)
		v := m.minimum(o)
		v.Set(f.Name, bad)
		m.fails(m.api(http.MethodPost, many, v), http.StatusBadRequest, f.Name+":invalidValue")
		everything.Set(f.Name, bad)
		failures = append(failures, f.Name+":invalidValue")
	})
	if len(failures) > 0 {
		m.fails(m.api(http.MethodPost, many, everything), http.StatusBadRequest, failures...)
	}
	var missing []string
	settable(o, true, func(f *schema.Field) {
		if f.Required {
			missing = append(missing, f.Name+":missing")
		}
	})
	if len(missing) > 0 {
		m.fails(m.api(http.MethodPost, many, nil), http.StatusBadRequest, missing...)
	}
}

func references(m *maker, o *schema.Object) {
	many := m.collection(o)
	settable(o, true, func(f *schema.Field) {
		if f.Kind != schema.Reference {
			return
		}
		m.saw("reference", o, f.Name)
		to := schema.Of(f.To)
		v := m.minimum(o)
		v.Set(f.Name, uuid.NewString())
		m.fails(m.api(http.MethodPost, many, v), http.StatusBadRequest, to.Missing)

		v.Set(f.Name, m.value(f))
		one := m.make(many, v)
		if to.Methods&schema.Delete == 0 || to.Parent != nil {
			return
		}
		target := to.URLPath() + "/" + v.Get(f.Name)
		a := m.api(http.MethodDelete, target, nil)
		if f.Required || f.Holds {
			m.fails(a, http.StatusBadRequest, "invalidOperation")
			return
		}
		if a.status != http.StatusOK {
			m.t.Fatalf("DELETE %s: want 200, got %d %s", target, a.status, a.body)
		}
		if have, _ := m.read(one, nil).get(f.Name); have != "" {
			m.t.Errorf("%s names what is gone: want it as unset, got %q", f.Name, have)
		}
	})
}

func duplicates(m *maker, o *schema.Object) {
	many := m.collection(o)
	for _, u := range o.Unique {
		for _, name := range u.Fields {
			f := o.Field(name)
			if !f.Access.Settable(true) {
				continue
			}
			m.saw("duplicate", o, name)
			v := m.minimum(o)
			v.Set(name, m.value(f))
			one := m.make(many, v)
			again := m.minimum(o)
			again.Set(name, v.Get(name))
			if u.Fold {
				again.Set(name, strings.ToUpper(v.Get(name)))
			}
			want := u.Code
			if want == "" {
				want = name + ":duplicate"
			}
			// Access methods of one space never clash with each other by this rule.
			elsewhere := many
			if o.Parent != nil && u.Within != schema.Siblings {
				elsewhere = m.collection(o)
			}
			m.fails(m.api(http.MethodPost, elsewhere, again), http.StatusBadRequest, want)
			// What it has itself is no duplicate.
			if a := m.api(http.MethodPut, one, url.Values{name: {v.Get(name)}}); a.status != http.StatusOK && o.Methods&schema.Update != 0 {
				m.t.Errorf("PUT of its own value: want 200, got %d %s", a.status, a.body)
			}
		}
	}
}

func filters(m *maker, o *schema.Object) {
	many := m.collection(o)
	for _, filter := range o.Filters {
		f := o.Field(filter.Field)
		if !given(o, f) {
			continue
		}
		m.saw("filter", o, filter.Name)
		v := m.minimum(o)
		v.Set(f.Name, m.value(f))
		one := m.one(o, many, v)
		value := v.Get(f.Name)
		if f.Kind == schema.Reference {
			value = strings.ToUpper(value)
		}
		list := m.read(many, url.Values{strings.ToLower(filter.Name): {value}})
		if list.attr("total") != "1" || len(list.Children) != 1 || list.Children[0].attr("id") != id(one) {
			m.t.Errorf("%s: want the one with it, got %v", filter.Name, list)
		}
		if f.Kind == schema.Reference {
			m.fails(m.api(http.MethodGet, many, url.Values{filter.Name: {"7d2c"}}), http.StatusBadRequest, filter.Name+":invalidValue")
		} else if list := m.read(many, url.Values{filter.Name: {value[:len(value)-1]}}); list.attr("total") != "0" {
			m.t.Errorf("%s: want a part of the value to find nothing, got %v", filter.Name, list)
		}
		all, unfiltered := m.read(many, url.Values{filter.Name: {""}, "filter": {""}}), m.read(many, nil)
		if all.attr("total") != unfiltered.attr("total") {
			m.t.Errorf("%s= and filter=: want them as good as absent, %s, got %s", filter.Name, unfiltered.attr("total"), all.attr("total"))
		}
	}
	for _, name := range o.Search {
		f := o.Field(name)
		if !given(o, f) || f.Kind != schema.Text {
			continue
		}
		m.saw("search", o, name)
		v := m.minimum(o)
		text := m.value(f)
		v.Set(name, text)
		one := m.one(o, many, v)
		list := m.read(many, url.Values{"FILTER": {strings.ToUpper(text[:len(text)-1]) + text[len(text)-1:]}})
		found := false
		for _, row := range list.Children {
			found = found || row.attr("id") == id(one)
		}
		if !found {
			m.t.Errorf("filter by %s: want the one with %q, got %v", name, text, list)
		}
	}
	if o.UsageFilter {
		m.saw("usage", o, "")
		used, err1 := strconv.Atoi(m.read(many, url.Values{"usageFilter": {"Referenced"}}).attr("total"))
		unused, err2 := strconv.Atoi(m.read(many, url.Values{"usageFilter": {"unreferenced"}}).attr("total"))
		all, err3 := strconv.Atoi(m.read(many, nil).attr("total"))
		if err1 != nil || err2 != nil || err3 != nil || used+unused != all || unused == 0 {
			m.t.Errorf("usageFilter: %d referenced and %d not, of %d", used, unused, all)
		}
		m.fails(m.api(http.MethodGet, many, url.Values{"usageFilter": {"often"}}), http.StatusBadRequest, "usageFilter:invalidValue")
	}
}

func updated(m *maker, o *schema.Object) {
	one := m.make(m.collection(o), m.minimum(o))
	if o.Methods&schema.Update == 0 {
		m.fails(m.api(http.MethodPut, one, nil), http.StatusBadRequest, "invalidOperation")
		return
	}
	settable(o, false, func(f *schema.Field) {
		m.saw("update", o, f.Name)
		before := m.read(one, nil)
		v := m.value(f)
		a := m.api(http.MethodPut, one, url.Values{f.Name: {v}, "thatNobodyKnows": {"x"}})
		if a.status != http.StatusOK || a.body != "" || a.location != "/api/v1/"+one {
			m.t.Fatalf("PUT %s=%s: want 200 and its Location, got %d %q %s", f.Name, v, a.status, a.location, a.body)
		}
		after := m.read(one, nil)
		for i := range o.Fields {
			other := &o.Fields[i]
			want, _ := before.get(other.Name)
			if other == f && f.Access != schema.Hidden {
				want = v
			}
			if have, _ := after.get(other.Name); have != want {
				m.t.Errorf("PUT of %s: %s: want %q, got %q", f.Name, other.Name, want, have)
			}
		}
		if bad, ok := wrong(f); ok {
			m.fails(m.api(http.MethodPut, one, url.Values{f.Name: {bad}}), http.StatusBadRequest, f.Name+":invalidValue")
		}
		m.saw("unset", o, f.Name)
		a = m.api(http.MethodPut, one, url.Values{f.Name: {""}})
		if f.Required {
			m.fails(a, http.StatusBadRequest, f.Name+":missing")
			return
		}
		if a.status != http.StatusOK {
			m.t.Fatalf("PUT %s=: want 200, got %d %s", f.Name, a.status, a.body)
		}
		if have, shown := m.read(one, nil).get(f.Name); have != f.Default && f.Access != schema.Hidden || shown != (f.Empty || f.Default != "") && f.Access != schema.Hidden {
			m.t.Errorf("PUT %s=: want it unset, or %q, got %q", f.Name, f.Default, have)
		}
	})
}

func deleted(m *maker, o *schema.Object) {
	m.saw("delete", o, "")
	many := m.collection(o)
	one := m.make(many, m.minimum(o))
	if o.Methods&schema.Delete == 0 {
		m.fails(m.api(http.MethodDelete, one, nil), http.StatusBadRequest, "invalidOperation")
		return
	}
	if a := m.api(http.MethodDelete, one, nil); a.status != http.StatusOK || a.body != "" {
		m.t.Fatalf("DELETE: want 200, got %d %s", a.status, a.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		m.fails(m.api(method, one, nil), http.StatusNotFound, o.Missing)
		m.fails(m.api(method, many+"/7d2c", nil), http.StatusNotFound, o.Missing)
	}
	if o.Parent != nil {
		// One of another parent is none of this one.
		other := m.make(m.collection(o), m.minimum(o))
		m.fails(m.api(http.MethodGet, many+"/"+id(other), nil), http.StatusNotFound, o.Missing)
	}
}

func paging(m *maker, o *schema.Object) {
	m.saw("paging", o, "")
	many := m.collection(o)
	want := o.Cap + 3
	if o.Most > 0 && o.Most < want {
		want = o.Most
	}
	for count(m, many) < want {
		m.one(o, many, m.minimum(o))
	}
	total := count(m, many)
	for _, c := range []struct {
		offset, limit string
		rows          int
	}{
		{"", "", min(o.Cap, total)}, {"0", "1", 1}, {"", "1000", min(o.Cap, total)}, {"1", "1000", min(o.Cap, total-1)},
		{strconv.Itoa(total), "", 0}, {"2000000000", "5", 0}, {"0", "0", 0},
	} {
		list := m.read(many, url.Values{"offset": {c.offset}, "limit": {c.limit}})
		if len(list.Children) != c.rows || list.attr("total") != strconv.Itoa(total) {
			m.t.Errorf("offset=%s limit=%s: want %d of %d, got %d of %s", c.offset, c.limit, c.rows, total, len(list.Children), list.attr("total"))
		}
	}
	m.fails(m.api(http.MethodGet, many, url.Values{"offset": {"-1"}, "limit": {"x"}}), http.StatusBadRequest, "offset:invalidValue", "limit:invalidValue")
	// All pages together are all objects, each once.
	seen := map[string]bool{}
	for offset := 0; offset < total; {
		list := m.read(many, url.Values{"offset": {strconv.Itoa(offset)}})
		for _, row := range list.Children {
			if seen[row.attr("id")] {
				m.t.Fatalf("%s is on two pages", row.attr("id"))
			}
			seen[row.attr("id")] = true
		}
		offset += len(list.Children)
		if len(list.Children) == 0 {
			break
		}
	}
	if len(seen) != total {
		m.t.Errorf("want %d objects on all pages, got %d", total, len(seen))
	}
	if o.Most > 0 && total == o.Most {
		m.fails(m.api(http.MethodPost, many, m.minimum(o)), http.StatusBadRequest, o.TooMany)
	}
}

func count(m *maker, many string) int {
	n, err := strconv.Atoi(m.read(many, url.Values{"limit": {"0"}}).attr("total"))
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// singleton looks at what always exists.
func singleton(m *maker, o *schema.Object) {
	path := o.URLPath()
	settable(o, false, func(f *schema.Field) {
		v := m.value(f)
		for _, method := range []string{http.MethodPut, http.MethodPost} {
			if a := m.api(method, path, url.Values{f.Name: {v}}); a.status != http.StatusOK || a.location != "/api/v1/"+path {
				m.t.Fatalf("%s %s %s=%s: want 200 and its Location, got %d %q %s", method, path, f.Name, v, a.status, a.location, a.body)
			}
		}
		m.saw("update", o, f.Name)
		root := m.read(path, nil)
		if have, _ := root.get(f.Name); have != v || root.XMLName.Local != o.Name || root.attr("id") != "" {
			m.t.Errorf("%s: want %q, got %v", f.Name, v, root)
		}
		if bad, ok := wrong(f); ok {
			m.saw("wrong", o, f.Name)
			m.fails(m.api(http.MethodPut, path, url.Values{f.Name: {bad}}), http.StatusBadRequest, f.Name+":invalidValue")
		}
		if f.Kind == schema.Reference {
			m.saw("reference", o, f.Name)
			m.fails(m.api(http.MethodPut, path, url.Values{f.Name: {uuid.NewString()}}), http.StatusBadRequest, schema.Of(f.To).Missing)
		}
		if have := m.shows(path, f.Name); have != v {
			m.t.Errorf("%s: what was refused changed %q to %q", f.Name, v, have)
		}
		m.saw("unset", o, f.Name)
		if a := m.api(http.MethodPut, path, url.Values{f.Name: {""}}); a.status != http.StatusOK {
			m.t.Errorf("%s=: want 200, got %d %s", f.Name, a.status, a.body)
		}
		have, shown := m.read(path, nil).get(f.Name)
		if have != f.Default || shown != (f.Empty || f.Default != "") {
			m.t.Errorf("%s=: want it unset, got %q", f.Name, have)
		}
	})
	m.saw("delete", o, "")
	m.fails(m.api(http.MethodDelete, path, nil), http.StatusBadRequest, "invalidOperation")
}

// elsewhere are the types and rows that this contract does not look at, and where they are looked at instead.
var elsewhere = map[string]string{
	"coSpaceUsers duplicate userId": "a second membership of a user is refused by package spaces (TestMembersAreUsersByJID)",
}

// everythingWasLookedAt holds what was looked at against the tables: a field that is added to a table is in the contract, or here with the
// reason why not.
func everythingWasLookedAt(t *testing.T, seen *covered) {
	unused := map[string]bool{}
	for k := range elsewhere {
		unused[k] = true
	}
	for _, o := range schema.All() {
		switch {
		case o.Live:
			// Orders to call control and what it tells: package live, and TestCallsAreShownAndChanged.
			continue
		case o.Page:
			// No path of the API: package webadmin, TestCallSettingsAreKept and TestGeneralEditsTheObjectsOfTheAPI.
			continue
		}
		want := func(part, row string) {
			if seen.parts[part+" "+o.Plural+" "+row] {
				return
			}
			key := o.Plural + " " + part + " " + row
			if elsewhere[key] == "" {
				t.Errorf("nobody looked at %s of %s %s", part, o.Plural, row)
			}
			delete(unused, key)
		}
		create, update := o.Methods&schema.Create != 0 && !o.Singleton, o.Methods&schema.Update != 0
		want("delete", "")
		if !o.Singleton {
			want("paging", "")
		}
		for i := range o.Fields {
			f := &o.Fields[i]
			if !f.Access.Stored() {
				continue
			}
			_, canBeWrong := wrong(f)
			if create && f.Access.Settable(true) {
				want("create", f.Name)
				want("values", f.Name)
				if f.Kind == schema.Reference {
					want("reference", f.Name)
				}
			}
			if canBeWrong && (create && f.Access.Settable(true) || o.Singleton) {
				want("wrong", f.Name)
			}
			if create && f.Default != "" {
				want("default", f.Name)
			}
			if f.List && !o.Singleton {
				want("list", f.Name)
			}
			if update && f.Access.Settable(false) {
				want("update", f.Name)
				want("unset", f.Name)
			}
			if !create && !o.Singleton {
				want("shown", f.Name)
			}
		}
		for _, f := range o.Filters {
			want("filter", f.Name)
		}
		for _, name := range o.Search {
			if !o.Singleton && o.Field(name).Kind == schema.Text && o.Field(name).Access != schema.Internal {
				want("search", name)
			}
		}
		if o.UsageFilter {
			want("usage", "")
		}
		if create {
			for _, u := range o.Unique {
				for _, name := range u.Fields {
					want("duplicate", name)
				}
			}
		}
	}
	for k := range unused {
		t.Errorf("%s is looked at, and is listed as one that is not", k)
	}
}
