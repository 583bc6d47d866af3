package store

import (
	"cmp"
	"encoding/hex"
	"slices"

	"rotunda/services/callbridge/schema"
)

// View is what can be read. A *Store is one, each call by itself, and a *Tx is one that is consistent. What is not in the
// tables of package schema (a type, a field, an index) panics: that is a slip in our own code.
type View interface {
	// Get returns an object by its ID, one that lives below another too; nil when there is none.
	Get(o *schema.Object, id ID) *Record
	// Only returns a singleton. It is never nil: one that was never written has the defaults of its table.
	Only(o *schema.Object) *Record
	// Below returns the objects of a type below one parent, in the order of lists.
	Below(o *schema.Object, parent ID) []*Record
	// Find returns the objects that claim a value in the index of a [schema.Unique], folded as that says. They may be of
	// several types, of one family, and of several tenants.
	Find(index, value string) []*Record
	// Lookup returns the objects with a value in a field of schema.Object.Lookup, in the order of lists. Any field that is a
	// reference can be looked up too.
	Lookup(o *schema.Object, field, value string) []*Record
	// Ref returns what a reference names; nil when it is not set or what it names is gone.
	Ref(r *Record, field string) *Record
	// Count returns how many objects of a type there are.
	Count(o *schema.Object) int
	// Each calls f with every object of a type in the order of lists until it returns false; those below others come in the
	// order of their parents' list. Changes that f makes are not seen.
	Each(o *schema.Object, f func(*Record) bool)
	// Starting calls f in the order of lists with every object whose field of schema.Object.Order begins with a text, without regard to case, until
	// it returns false. The type has such a field and lives below no other.
	Starting(o *schema.Object, text string, f func(*Record) bool)
}

var (
	_ View = (*Store)(nil)
	_ View = (*Tx)(nil)
)

// Get implements [View].
func (s *Store) Get(o *schema.Object, id ID) *Record {
	k := s.model.kind(o)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.set.get(k, id)
}

// Only implements [View].
func (s *Store) Only(o *schema.Object) *Record {
	if r := s.Get(o, ID{}); r != nil {
		return r
	}
	return s.model.only(o)
}

// only is a singleton that was never written.
func (m *model) only(o *schema.Object) *Record {
	r := m.kind(o).initial
	if r == nil {
		panic("store: " + o.Name + " is no singleton")
	}
	return r
}

// Below implements [View].
func (s *Store) Below(o *schema.Object, parent ID) []*Record {
	k := s.model.kind(o)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.set.below(k, parent)
}

// Find implements [View].
func (s *Store) Find(index, value string) []*Record {
	if value == "" {
		return nil
	}
	x := s.model.index(index)
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := collect(func(f func(*Record) bool) { s.set.find(x, x.folded(value), f) })
	slices.SortFunc(found, s.model.compareAny)
	return found
}

// Lookup implements [View].
func (s *Store) Lookup(o *schema.Object, field, value string) []*Record {
	k, at := s.model.lookup(o, field)
	if value == "" {
		return nil
	}
	s.mu.RLock()
	found := collect(func(f func(*Record) bool) { s.set.lookup(k, at, value, f) })
	s.mu.RUnlock()
	slices.SortFunc(found, k.compare)
	return found
}

// lookup is what a field of a type is looked up by.
func (m *model) lookup(o *schema.Object, field string) (*kind, int) {
	k, at := m.kind(o), o.Index(field)
	if o.Fields[at].Kind != schema.Reference && !slices.ContainsFunc(k.lookups, func(l lookup) bool { return l.field == at }) {
		panic("store: " + field + " of " + o.Name + " is not among those that are looked up")
	}
	return k, at
}

func collect(all func(func(*Record) bool)) (found []*Record) {
	all(func(r *Record) bool {
		found = append(found, r)
		return true
	})
	return found
}

// Ref implements [View].
func (s *Store) Ref(r *Record, field string) *Record { return refIn(s, s.model, r, field) }

func refIn(v View, m *model, r *Record, field string) *Record {
	f := &r.object.Fields[r.object.Index(field)]
	if f.Kind != schema.Reference {
		panic("store: " + field + " of " + r.object.Name + " is no reference")
	}
	to := m.plural[f.To]
	id, ok := r.Ref(field)
	if to == nil || !ok {
		return nil
	}
	return v.Get(to.object, id)
}

// Count implements [View].
func (s *Store) Count(o *schema.Object) int {
	k := s.model.kind(o)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.set.count(k)
}

// Each implements [View].
func (s *Store) Each(o *schema.Object, f func(*Record) bool) {
	k := s.model.kind(o)
	if o.Singleton {
		if r := s.Get(o, ID{}); r != nil {
			f(r)
		}
		return
	}
	list := k
	if k.parent != nil {
		list = k.parent
	}
	s.mu.RLock()
	chunks := s.lists[list.at].chunks
	s.mu.RUnlock()
	for _, c := range chunks {
		for _, r := range c.records {
			if k.parent == nil {
				if !f(r) {
					return
				}
				continue
			}
			for _, r := range s.Below(o, r.id) {
				if !f(r) {
					return
				}
			}
		}
	}
}

// Starting implements [View].
func (s *Store) Starting(o *schema.Object, text string, f func(*Record) bool) {
	k := s.model.ordered(o)
	s.mu.RLock()
	chunks := s.lists[k.at].chunks
	s.mu.RUnlock()
	before := func(r *Record, _ struct{}) int { return cmp.Or(compareFold(r.at(k.order), text), 1) }
	first, _ := slices.BinarySearchFunc(chunks, struct{}{}, func(c *chunk, none struct{}) int { return before(c.records[len(c.records)-1], none) })
	for i, c := range chunks[first:] {
		from := 0
		if i == 0 {
			from, _ = slices.BinarySearchFunc(c.records, struct{}{}, before)
		}
		for _, r := range c.records[from:] {
			if !startsFold(r.at(k.order), text) || !f(r) {
				return
			}
		}
	}
}

// ordered is a type whose lists have an order of their own.
func (m *model) ordered(o *schema.Object) *kind {
	k := m.kind(o)
	if k.order < 0 || k.parent != nil {
		panic("store: lists of " + o.Name + " are not ordered by a field")
	}
	return k
}

// encodeID writes the canonical form.
func encodeID(into []byte, id ID) {
	hex.Encode(into, id[:4])
	into[8] = '-'
	hex.Encode(into[9:], id[4:6])
	into[13] = '-'
	hex.Encode(into[14:], id[6:8])
	into[18] = '-'
	hex.Encode(into[19:], id[8:10])
	into[23] = '-'
	hex.Encode(into[24:], id[10:])
}
