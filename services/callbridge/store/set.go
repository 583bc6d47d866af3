package store

import (
	"bytes"
	"slices"
	"sync"
)

// set is objects and what finds them: the copy is one, and the changes of a batch of transactions are another. It is not safe
// for concurrent use.
type set struct {
	model *model
	kinds []table // by kind.at
	// terms are values of unique and looked-up fields, refs the IDs that references name.
	terms, refs postings

	was, now []uint64 // scratch
}

type table struct {
	byID map[ID]*slot
	// below are the objects of this type by their parent, in the order of lists.
	below map[ID][]*slot
}

// slot is an object as long as it lasts. Indexes name it, so that a change touches only those of values that changed.
type slot struct{ record *Record }

func newSet(m *model) *set {
	s := &set{model: m, kinds: make([]table, len(m.kinds)), terms: newPostings(), refs: newPostings()}
	for i, k := range m.kinds {
		s.kinds[i].byID = map[ID]*slot{}
		if k.parent != nil {
			s.kinds[i].below = map[ID][]*slot{}
		}
	}
	return s
}

func (s *set) get(k *kind, id ID) *Record {
	if at := s.kinds[k.at].byID[id]; at != nil {
		return at.record
	}
	return nil
}

func (s *set) count(k *kind) int { return len(s.kinds[k.at].byID) }

// put adds a record, or replaces the one of the same ID, which it returns. The parent of an object never changes.
func (s *set) put(k *kind, r *Record) (before *Record) {
	t := &s.kinds[k.at]
	at := t.byID[r.id]
	if at == nil {
		at = &slot{record: r}
		t.byID[r.id] = at
		for _, h := range unite(k.terms(r, s.now[:0])) {
			s.terms.add(h, at)
		}
		for _, h := range unite(k.named(r, s.now[:0])) {
			s.refs.add(h, at)
		}
		if k.parent != nil {
			t.place(k, at)
		}
		return nil
	}
	before = at.record
	if k.parent != nil && k.compare(before, r) != 0 {
		t.displace(k, before)
		defer t.place(k, at)
	}
	at.record = r
	s.was, s.now = unite(k.terms(before, s.was[:0])), unite(k.terms(r, s.now[:0]))
	s.terms.replace(s.was, s.now, at)
	s.was, s.now = unite(k.named(before, s.was[:0])), unite(k.named(r, s.now[:0]))
	s.refs.replace(s.was, s.now, at)
	return before
}

// remove takes a record out and returns it.
func (s *set) remove(k *kind, id ID) *Record {
	t := &s.kinds[k.at]
	at := t.byID[id]
	if at == nil {
		return nil
	}
	r := at.record
	for _, h := range unite(k.terms(r, s.was[:0])) {
		s.terms.remove(h, at)
	}
	for _, h := range unite(k.named(r, s.was[:0])) {
		s.refs.remove(h, at)
	}
	if k.parent != nil {
		t.displace(k, r)
	}
	delete(t.byID, id)
	// Its neighbours of the load keep the slot.
	at.record = nil
	return r
}

// fill takes in every record, by kind, into a set that has none. What finds them is made side by side, each map at its full size from
// the start.
func (s *set) fill(rows [][]*Record) {
	slots := make([][]slot, len(rows))
	for i, records := range rows {
		slots[i] = make([]slot, len(records))
		for j, r := range records {
			slots[i][j].record = r
		}
	}
	var wait sync.WaitGroup
	for i := range rows {
		if len(rows[i]) > 0 {
			wait.Go(func() { s.kinds[i].fill(s.model.kinds[i], slots[i]) })
		}
	}
	post := func(p *postings, values func(k *kind) int, hashes func(k *kind, r *Record, into []uint64) []uint64) {
		most := 0
		for i, k := range s.model.kinds {
			if values(k) > 0 {
				most += len(rows[i])
			}
		}
		p.one = make(map[uint64]*slot, most)
		var all []uint64
		for i, k := range s.model.kinds {
			if values(k) == 0 {
				continue
			}
			for j := range slots[i] {
				at := &slots[i][j]
				all = unite(hashes(k, at.record, all[:0]))
				for _, h := range all {
					p.add(h, at)
				}
			}
		}
	}
	wait.Go(func() { post(&s.terms, func(k *kind) int { return len(k.claims) + len(k.lookups) }, (*kind).terms) })
	wait.Go(func() { post(&s.refs, func(k *kind) int { return len(k.refs) }, (*kind).named) })
	wait.Wait()
}

// fill is one kind's part.
func (t *table) fill(k *kind, slots []slot) {
	t.byID = make(map[ID]*slot, len(slots))
	for i := range slots {
		t.byID[slots[i].record.id] = &slots[i]
	}
	if k.parent == nil {
		return
	}
	// Neighbours share an array, so that an object with one below it, as most spaces have, costs no allocation.
	below := make([]*slot, len(slots))
	for i := range slots {
		below[i] = &slots[i]
	}
	slices.SortFunc(below, func(a, b *slot) int {
		if c := bytes.Compare(a.record.parent[:], b.record.parent[:]); c != 0 {
			return c
		}
		return k.compare(a.record, b.record)
	})
	parents := 0
	for i, at := range below {
		if i == 0 || at.record.parent != below[i-1].record.parent {
			parents++
		}
	}
	t.below = make(map[ID][]*slot, parents)
	for from := 0; from < len(below); {
		parent, to := below[from].record.parent, from+1
		for to < len(below) && below[to].record.parent == parent {
			to++
		}
		t.below[parent] = below[from:to:to]
		from = to
	}
}

func (t *table) place(k *kind, at *slot) {
	r := at.record
	slots := t.below[r.parent]
	i, _ := slices.BinarySearchFunc(slots, r, func(s *slot, r *Record) int { return k.compare(s.record, r) })
	t.below[r.parent] = slices.Insert(slots, i, at)
}

func (t *table) displace(k *kind, r *Record) {
	slots := t.below[r.parent]
	i, ok := slices.BinarySearchFunc(slots, r, func(s *slot, r *Record) int { return k.compare(s.record, r) })
	if !ok {
		panic("store: " + r.String() + " is not below its parent")
	}
	if slots = slices.Delete(slots, i, i+1); len(slots) == 0 {
		delete(t.below, r.parent)
		return
	}
	t.below[r.parent] = slots
}

// below returns the objects below a parent in the order of lists.
func (s *set) below(k *kind, parent ID) []*Record {
	slots := s.kinds[k.at].below[parent]
	if len(slots) == 0 {
		return nil
	}
	records := make([]*Record, len(slots))
	for i, at := range slots {
		records[i] = at.record
	}
	return records
}

// find calls f with every record that claims a value, in the form in which the index compares.
func (s *set) find(x *index, folded string, f func(*Record) bool) {
	for at := range s.terms.all(hashText(x.salt, folded)) {
		if s.model.of[at.record.object].hasClaim(at.record, x, folded) && !f(at.record) {
			return
		}
	}
}

// lookup calls f with every record that has a value in a field of schema.Object.Lookup.
func (s *set) lookup(k *kind, field int, value string, f func(*Record) bool) {
	hash, from := uint64(0), &s.refs
	if i := slices.IndexFunc(k.lookups, func(l lookup) bool { return l.field == field }); i >= 0 {
		hash, from = hashText(k.lookups[i].salt, value), &s.terms
	} else if id, ok := ParseID(value); ok {
		hash = hashID(id)
	} else {
		return
	}
	for at := range from.all(hash) {
		if r := at.record; r.object == k.object && r.at(field) == value && !f(r) {
			return
		}
	}
}

// referrers calls f with every field that names an object.
func (s *set) referrers(id ID, f func(r *Record, by reference) bool) {
	var text [36]byte
	encodeID(text[:], id)
	for at := range s.refs.all(hashID(id)) {
		r := at.record
		for _, by := range s.model.of[r.object].refs {
			if r.at(by.field) == string(text[:]) && !f(r, by) {
				return
			}
		}
	}
}

// terms are the hashes of a record's values in unique and looked-up fields.
func (k *kind) terms(r *Record, into []uint64) []uint64 {
	for _, c := range k.claims {
		if v := r.at(c.field); v != "" {
			into = append(into, hashText(c.index.salt, c.index.folded(v)))
		}
	}
	for _, l := range k.lookups {
		if v := r.at(l.field); v != "" {
			into = append(into, hashText(l.salt, v))
		}
	}
	return into
}

// named are the hashes of the IDs that a record's references name.
func (k *kind) named(r *Record, into []uint64) []uint64 {
	for _, ref := range k.refs {
		if v := r.at(ref.field); v != "" {
			if id, ok := ParseID(v); ok {
				into = append(into, hashID(id))
			}
		}
	}
	return into
}

// hasClaim says whether a record claims a value.
func (k *kind) hasClaim(r *Record, x *index, folded string) bool {
	for _, c := range k.claims {
		if c.index == x && x.folded(r.at(c.field)) == folded {
			return true
		}
	}
	return false
}

// unite leaves each hash once.
func unite(hashes []uint64) []uint64 {
	slices.Sort(hashes)
	return slices.Compact(hashes)
}
