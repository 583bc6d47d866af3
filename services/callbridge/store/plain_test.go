package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// plain is what the database has, read in the most simple way: the store is compared with it, and the rules that
// always hold are checked on it.
type plain map[string]*thing

type thing struct {
	object     *schema.Object
	machine    string
	parent, id store.ID
	fields     map[string]string
}

// put takes in one key and its value.
func (p plain) put(t testing.TB, kv *mvccpb.KeyValue) {
	t.Helper()
	parts := strings.Split(strings.TrimPrefix(string(kv.Key), "/"), "/")
	x := &thing{}
	switch parts[0] {
	case "f":
		return
	case "m":
		x.machine = parts[1]
		parts = parts[2:]
	case "o":
		parts = parts[1:]
	default:
		t.Fatalf("what is %s?", kv.Key)
	}
	var ok, fine = true, true
	if len(parts) == 4 {
		x.parent, ok = store.ParseID(parts[1])
		if schema.Of(parts[2]).Parent != schema.Of(parts[0]) {
			t.Fatalf("what is %s?", kv.Key)
		}
		parts = parts[2:]
	}
	x.object = schema.Of(parts[0])
	if x.id, fine = store.ParseID(parts[1]); !ok || !fine || len(parts) != 2 || x.object == nil || x.object.Local != (x.machine != "") {
		t.Fatalf("what is %s?", kv.Key)
	}
	if err := json.Unmarshal(kv.Value, &x.fields); err != nil {
		t.Fatalf("%s: %v", kv.Key, err)
	}
	p[string(kv.Key)] = x
}

func (p plain) get(plural string, id string) *thing {
	for _, x := range p {
		if x.object.Plural == plural && x.id.String() == id {
			return x
		}
	}
	return nil
}

// scope is where a value of an object must differ.
func (p plain) scope(u schema.Unique, x *thing) string {
	if u.Within == schema.Siblings {
		return x.parent.String()
	}
	if u.Within == schema.Everywhere {
		return ""
	}
	at := x
	if x.object.Parent != nil {
		at = p.get(x.object.Parent.Plural, x.parent.String())
	}
	tenant := p.get("tenants", at.fields["tenant"])
	switch {
	case tenant == nil:
		return ""
	case u.Within == schema.Tenant:
		return tenant.id.String()
	case p.get("tenantGroups", tenant.fields["tenantGroup"]) == nil:
		return ""
	}
	return tenant.fields["tenantGroup"]
}

func (x *thing) family() store.ID {
	if x.object.Parent != nil {
		return x.parent
	}
	return x.id
}

// check returns which rules do not hold.
func (p plain) check() (broken []string) {
	type value struct{ index, text, scope string }
	claims := map[value]*thing{}
	count := map[string]int{}
	for key, x := range p {
		if x.object.Parent != nil && p.get(x.object.Parent.Plural, x.parent.String()) == nil {
			broken = append(broken, key+" has no parent")
			continue
		}
		for _, u := range x.object.Unique {
			for _, f := range u.Fields {
				v := value{u.Name, x.fields[f], p.scope(u, x)}
				if v.text == "" {
					continue
				}
				if u.Fold {
					v.text = strings.ToLower(v.text)
				}
				other := claims[v]
				if other != nil && other != x && (u.Within == schema.Siblings || other.family() != x.family()) {
					broken = append(broken, fmt.Sprintf("%s: two have %q: %s and %s", u.Name, v.text, x.id, other.id))
				}
				claims[v] = x
			}
		}
		for _, f := range x.object.Fields {
			if f.Kind == schema.Reference && f.Required && p.get(f.To, x.fields[f.Name]) == nil {
				broken = append(broken, key+" cannot be without "+f.Name)
			}
		}
		at := fmt.Sprint(x.object.Plural, " of ", x.machine, x.parent)
		if count[at]++; x.object.Most > 0 && count[at] > x.object.Most {
			broken = append(broken, "too many "+at)
		}
	}
	return broken
}

// newlyGone returns the references that differ from before and name nothing.
func (p plain) newlyGone(key string, before *thing) (broken []string) {
	x := p[key]
	for _, f := range x.object.Fields {
		v := x.fields[f.Name]
		if f.Kind == schema.Reference && v != "" && (before == nil || before.fields[f.Name] != v) && p.get(f.To, v) == nil {
			broken = append(broken, key+" was put with "+f.Name+" of what is not there")
		}
	}
	return broken
}

// dangling says whether a reference names what is gone.
func (p plain) dangling() bool {
	for _, x := range p {
		for _, f := range x.object.Fields {
			if v := x.fields[f.Name]; f.Kind == schema.Reference && v != "" && p.get(f.To, v) == nil {
				return true
			}
		}
	}
	return false
}

// of returns what a machine sees of a type, in the order of lists.
func (p plain) of(o *schema.Object, machine store.ID) []*thing {
	var all []*thing
	for _, x := range p {
		if x.object == o && (!o.Local || x.machine == machine.String()) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *thing) int {
		if o.Parent != nil && a.parent != b.parent {
			return p.get(o.Parent.Plural, a.parent.String()).compare(p.get(o.Parent.Plural, b.parent.String()))
		}
		return a.compare(b)
	})
	return all
}

func (x *thing) compare(y *thing) int {
	if c := strings.Compare(strings.ToLower(x.fields[x.object.Order]), strings.ToLower(y.fields[y.object.Order])); c != 0 {
		return c
	}
	return bytes.Compare(x.id[:], y.id[:])
}

func (x *thing) same(r *store.Record) bool {
	if r == nil || r.ID() != x.id || r.Parent() != x.parent || r.Object() != x.object {
		return false
	}
	n := 0
	for f, v := range r.Values {
		if n++; x.fields[f.Key()] != v {
			return false
		}
	}
	return n == len(x.fields)
}

// compare checks every read of a store against what the database has.
func (p plain) compare(t *testing.T, who string, s *store.Store, machine store.ID) {
	t.Helper()
	for _, o := range schema.All() {
		if o.Live {
			continue
		}
		want := p.of(o, machine)
		var got []*store.Record
		s.Each(o, func(r *store.Record) bool { got = append(got, r); return true })
		if len(got) != len(want) || s.Count(o) != len(want) {
			t.Errorf("%s: %d %s and a count of %d, want %d", who, len(got), o.Plural, s.Count(o), len(want))
			continue
		}
		for i, x := range want {
			if !x.same(got[i]) {
				t.Errorf("%s: %s number %d is %v, want %v", who, o.Plural, i, got[i], x.id)
			}
			if !x.same(s.Get(o, x.id)) {
				t.Errorf("%s: %s %s is read as %v", who, o.Plural, x.id, s.Get(o, x.id))
			}
			p.compareIndexes(t, who, s, machine, x)
		}
		if o.Parent == nil && !o.Singleton {
			p.compareLists(t, who, s, o, want)
		}
	}
}

func (p plain) compareIndexes(t *testing.T, who string, s *store.Store, machine store.ID, x *thing) {
	t.Helper()
	for _, u := range x.object.Unique {
		for _, f := range u.Fields {
			if x.fields[f] == "" {
				continue
			}
			var want []store.ID
			for _, o := range schema.All() {
				for _, other := range p.of(o, machine) {
					for _, ou := range o.Unique {
						if ou.Name == u.Name && slices.ContainsFunc(ou.Fields, func(of string) bool {
							return other.fields[of] == x.fields[f] || u.Fold && strings.EqualFold(other.fields[of], x.fields[f])
						}) {
							want = append(want, other.id)
						}
					}
				}
			}
			wantIDs(t, who+": found by "+u.Name, s.Find(u.Name, strings.ToUpper(x.fields[f])), want)
		}
	}
	for _, f := range x.object.Fields {
		if f.Kind != schema.Reference || x.fields[f.Name] == "" {
			continue
		}
		var want []store.ID
		for _, other := range p.of(x.object, machine) {
			if other.fields[f.Name] == x.fields[f.Name] {
				want = append(want, other.id)
			}
		}
		wantIDs(t, who+": looked up by "+f.Name, s.Lookup(x.object, f.Name, x.fields[f.Name]), want)
	}
}

func wantIDs(t *testing.T, what string, got []*store.Record, want []store.ID) {
	t.Helper()
	var ids []string
	for _, r := range got {
		ids = append(ids, r.ID().String())
	}
	var wanted []string
	for _, id := range want {
		wanted = append(wanted, id.String())
	}
	slices.Sort(ids)
	slices.Sort(wanted)
	if !slices.Equal(ids, wanted) {
		t.Errorf("%s: got %v, want %v", what, ids, wanted)
	}
}

func (p plain) compareLists(t *testing.T, who string, s *store.Store, o *schema.Object, all []*thing) {
	t.Helper()
	for _, part := range []string{"a", "1", "zz", "A1"} {
		var want []*thing
		for _, x := range all {
			if slices.ContainsFunc(o.Search, func(f string) bool {
				return strings.Contains(strings.ToLower(x.fields[f]), strings.ToLower(part))
			}) {
				want = append(want, x)
			}
		}
		page := s.List(o, store.Query{Filter: part, Offset: 1, Limit: 3})
		if page.Total != len(want) {
			t.Errorf("%s: filter %q of %s finds %d, want %d", who, part, o.Plural, page.Total, len(want))
			continue
		}
		want = want[min(1, len(want)):min(4, len(want))]
		if len(page.Records) != len(want) {
			t.Errorf("%s: a page of %s has %d, want %d", who, o.Plural, len(page.Records), len(want))
			continue
		}
		for i, x := range want {
			if !x.same(page.Records[i]) {
				t.Errorf("%s: filter %q of %s shows %s, want %s", who, part, o.Plural, page.Records[i], x.id)
			}
		}
	}
	if o.Order == "" {
		return
	}
	starts := []string{"", "a", "zz", "\U0010ffff"}
	for _, x := range all {
		v := []rune(x.fields[o.Order])
		starts = append(starts, string(v), strings.ToUpper(string(v[:len(v)/2])))
	}
	for _, start := range starts {
		var want, got []string
		for _, x := range all {
			if strings.HasPrefix(strings.ToLower(x.fields[o.Order]), strings.ToLower(start)) {
				want = append(want, x.id.String())
			}
		}
		s.Starting(o, start, func(r *store.Record) bool { got = append(got, r.ID().String()); return true })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s that start with %q are %v, want %v", who, o.Plural, start, got, want)
		}
	}
}
