package store

import (
	"hash/maphash"
	"sync"

	"rotunda/services/callbridge/schema"
)

// kind is what the store derives from the table of a type.
type kind struct {
	object *schema.Object
	// at is the position among all kinds.
	at int
	// order is the position of the field by which lists are ordered, -1 for none, and search those that a filter looks into.
	order  int
	search []int
	// filters are fields that clients compare in lists.
	filters []int
	claims  []claim
	lookups []lookup
	refs    []reference
	parent  *kind
	below   []*kind
	// tenant is the position of the field that names the tenant, -1 for none.
	tenant int
	// needed says that objects of some type cannot be without one of this.
	needed bool
	// fields are the positions by the name that values are stored under.
	fields map[string]int
	// initial is a singleton that was never written.
	initial *Record
}

// claim is a field whose value no other object may have.
type claim struct {
	field int
	index *index
}

// lookup is a field by whose value objects are found; a reference is found by what it names.
type lookup struct {
	field int
	salt  uint64
}

// reference is a field that names an object of kind to; nil for one that the store does not keep.
type reference struct {
	field    int
	to       *kind
	required bool
}

// index is the space of values of a [schema.Unique]; several types may share it.
type index struct {
	schema.Unique
	salt uint64
}

// model is every table.
type model struct {
	kinds   []*kind
	of      map[*schema.Object]*kind
	plural  map[string]*kind
	indexes map[string]*index
	tenants *kind
	groups  *kind
}

// tables are compiled at the first Open, when every table has been declared.
var tables = sync.OnceValue(func() *model { return compile(schema.All()) })

func compile(objects []*schema.Object) *model {
	m := &model{of: map[*schema.Object]*kind{}, plural: map[string]*kind{}, indexes: map[string]*index{}}
	for _, o := range objects {
		if len(o.Fields) >= unknown {
			panic("store: " + o.Name + " has too many fields")
		}
		k := &kind{object: o, at: len(m.kinds), order: -1, tenant: -1, fields: map[string]int{}}
		m.kinds = append(m.kinds, k)
		m.of[o], m.plural[o.Plural] = k, k
		for at := range o.Fields {
			k.fields[o.Fields[at].Key()] = at
		}
	}
	salt := uint64(0)
	fresh := func() uint64 { salt += 0x9e3779b97f4a7c15; return salt }
	for _, k := range m.kinds {
		o := k.object
		if o.Live {
			continue
		}
		if o.Parent != nil {
			k.parent = m.of[o.Parent]
			if k.parent.parent != nil {
				panic("store: " + o.Name + " lies deeper than keys do")
			}
			k.parent.below = append(k.parent.below, k)
		}
		if o.Order != "" {
			k.order = o.Index(o.Order)
		}
		for _, f := range o.Search {
			k.search = append(k.search, o.Index(f))
		}
		for _, f := range o.Filters {
			if at, ok := k.fields[f.Field]; ok {
				k.filters = append(k.filters, at)
			}
		}
		if at, ok := k.fields["tenant"]; ok {
			k.tenant = at
		}
		for _, u := range o.Unique {
			x := m.indexes[u.Name]
			if x == nil {
				x = &index{Unique: u, salt: fresh()}
				m.indexes[u.Name] = x
			}
			if x.Fold != u.Fold || x.Within != u.Within {
				panic("store: the types that share " + u.Name + " do not agree on what differs")
			}
			for _, f := range u.Fields {
				k.claims = append(k.claims, claim{o.Index(f), x})
			}
		}
		for at := range o.Fields {
			if f := &o.Fields[at]; f.Kind == schema.Reference && f.Access.Stored() {
				to := m.plural[f.To]
				if to != nil && to.object.Live {
					to = nil
				}
				required := f.Required || f.Holds
				if to != nil && required {
					to.needed = true
				}
				k.refs = append(k.refs, reference{at, to, required})
			}
		}
		for _, f := range o.Lookup {
			if at := o.Index(f); o.Fields[at].Kind != schema.Reference {
				k.lookups = append(k.lookups, lookup{at, fresh()})
			}
		}
		if o.Singleton {
			k.initial = pack(o, ID{}, ID{}, 0, defaults(o), "")
		}
	}
	m.tenants, m.groups = m.plural["tenants"], m.plural["tenantGroups"]
	return m
}

func defaults(o *schema.Object) []string {
	values := make([]string, len(o.Fields))
	for at := range o.Fields {
		if f := &o.Fields[at]; f.Access.Stored() {
			values[at] = f.Default
		}
	}
	return values
}

// kind of a type. One that was declared after the first Open panics.
func (m *model) kind(o *schema.Object) *kind {
	k := m.of[o]
	if k == nil {
		panic("store: " + o.Name + " is no type of package schema")
	}
	return k
}

// index by its name. One that no table has panics: that is a slip in our own code.
func (m *model) index(name string) *index {
	x := m.indexes[name]
	if x == nil {
		panic("store: no type has the unique index " + name)
	}
	return x
}

// folded is the form in which values of an index are compared.
func (x *index) folded(value string) string {
	if x.Fold {
		return fold(value)
	}
	return value
}

// seed is of this process: nobody can choose values whose hashes are the same.
var seed = maphash.MakeSeed()

func hashText(salt uint64, s string) uint64 { return maphash.String(seed, s) + salt }
func hashID(id ID) uint64                   { return maphash.Bytes(seed, id[:]) }
