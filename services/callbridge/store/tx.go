package store

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
)

// Tx is one transaction: a consistent view, and the changes that it is to commit, which its own reads show. It is for the
// function that got it, and only until that returns.
type Tx struct {
	batch  *batch
	undo   []func()
	guards guards
}

// New makes a draft with a fresh ID and the defaults of the table. parent is the zero ID where the type has none.
func (tx *Tx) New(o *schema.Object, parent ID) *Draft {
	id := uuid.New()
	if o.Singleton {
		id = ID{}
	}
	return tx.NewWithID(o, parent, id)
}

// NewWithID is New with an ID that is given.
func (tx *Tx) NewWithID(o *schema.Object, parent, id ID) *Draft {
	d := newDraft(o, id, parent)
	copy(d.values, defaults(o))
	return d
}

// Edit makes a draft of a change of an object as it is now; what is gone since r was read is refused by Put.
func (tx *Tx) Edit(r *Record) *Draft {
	if now := tx.get(tx.kind(r.object), r.id); now != nil {
		r = now
	}
	return r.draft()
}

func (tx *Tx) kind(o *schema.Object) *kind { return tx.batch.store.model.kind(o) }

// get returns an object, and sees to it that nobody else changes it before the commit.
func (tx *Tx) get(k *kind, id ID) *Record {
	r := tx.batch.get(k, id)
	if r != nil && !tx.batch.isTouched(k, id) {
		tx.guards.unchanged[place{k, id}] = r
	}
	return r
}

// mark is a state that rollback goes back to.
func (tx *Tx) mark() int { return len(tx.undo) }

func (tx *Tx) rollback(mark int) {
	for _, undo := range slices.Backward(tx.undo[mark:]) {
		undo()
	}
	tx.undo = tx.undo[:mark]
}

func (tx *Tx) set(k *kind, id ID, r *Record) {
	tx.undo = append(tx.undo, tx.batch.put(k, id, r))
}

// Put makes a draft a part of the transaction. Fields that an edit did not change keep what they have now. When it returns an
// error, the draft is no part of it.
func (tx *Tx) Put(d *Draft) error {
	k, b := tx.kind(d.object), tx.batch
	switch {
	case k.object.Live:
		return fmt.Errorf("%s is not stored: it lasts as long as a call", k.object.Name)
	case k.object.Singleton != (d.id == ID{}):
		return fmt.Errorf("%s cannot have the ID %s", k.object.Name, d.id)
	case k.parent == nil && d.parent != ID{}:
		return fmt.Errorf("%s lives below nothing", k.object.Name)
	}
	cur := b.get(k, d.id)
	basis := d.before
	if d.stored != nil {
		basis = d.stored
	}
	switch {
	case cur == nil && basis != nil && basis != k.initial:
		return &Gone{Object: k.object, ID: d.id.String()}
	case cur != nil && basis == nil && !k.object.Singleton:
		return fmt.Errorf("%s exists already", cur)
	}
	if k.parent != nil {
		if b.get(k.parent, d.parent) == nil {
			return &Gone{Object: k.parent.object, ID: d.parent.String()}
		}
		tx.mustExist(k.parent, ID{}, d.parent)
	}
	values, rest := slices.Clone(d.values), ""
	if cur != nil {
		rest = cur.at(unknown)
		if basis != nil && basis != cur {
			for at := range values {
				if values[at] == basis.at(at) {
					values[at] = cur.at(at)
				}
			}
		}
	}
	r := pack(k.object, d.id, d.parent, 0, values, rest)
	shown := cur
	if cur == nil && k.initial != nil {
		shown = k.initial
	}
	if shown != nil && r.packed == shown.packed {
		d.stored = shown
		return nil
	}
	if err := tx.checkReferences(k, shown, r); err != nil {
		return err
	}
	if cur == nil {
		if err := tx.checkMost(k, r); err != nil {
			return err
		}
	}
	mark := tx.mark()
	// What values are unique in may depend on the object itself, so it is looked at as it is to be.
	before := tx.scopesOf(k, cur)
	tx.set(k, r.id, r)
	if err := tx.checkClaims(k, cur, r, before); err != nil {
		tx.rollback(mark)
		return err
	}
	d.stored = r
	return nil
}

// Delete makes the deletion of an object and of everything below it a part of the transaction. When it returns an error, nothing of
// that is.
func (tx *Tx) Delete(r *Record) error {
	k, b := tx.kind(r.object), tx.batch
	cur := b.get(k, r.id)
	if cur == nil {
		if r == k.initial {
			return nil
		}
		return &Gone{Object: k.object, ID: r.id.String()}
	}
	family := []*Record{cur}
	for _, child := range k.below {
		family = append(family, b.below(child, r.id)...)
	}
	mark := tx.mark()
	touched := tx.tenantsOf(k, cur)
	for _, m := range family {
		tx.set(b.store.model.of[m.object], m.id, nil)
	}
	for _, m := range family {
		if by := tx.neededBy(m); by != nil {
			tx.rollback(mark)
			return &InUse{Record: m, By: by}
		}
		tx.unname(m.id)
	}
	if err := tx.checkTenants(touched, "", ""); err != nil {
		tx.rollback(mark)
		return err
	}
	return nil
}

// Get implements [View].
func (tx *Tx) Get(o *schema.Object, id ID) *Record { return tx.get(tx.kind(o), id) }

// Only implements [View].
func (tx *Tx) Only(o *schema.Object) *Record {
	if r := tx.Get(o, ID{}); r != nil {
		return r
	}
	return tx.batch.store.model.only(o)
}

// Below implements [View].
func (tx *Tx) Below(o *schema.Object, parent ID) []*Record {
	return tx.batch.below(tx.kind(o), parent)
}

// Find implements [View].
func (tx *Tx) Find(index, value string) []*Record {
	if value == "" {
		return nil
	}
	m := tx.batch.store.model
	x := m.index(index)
	found := collect(func(f func(*Record) bool) { tx.batch.find(x, x.folded(value), f) })
	slices.SortFunc(found, m.compareAny)
	return found
}

// Lookup implements [View].
func (tx *Tx) Lookup(o *schema.Object, field, value string) []*Record {
	k, at := tx.batch.store.model.lookup(o, field)
	if value == "" {
		return nil
	}
	found := collect(func(f func(*Record) bool) { tx.batch.lookup(k, at, value, f) })
	slices.SortFunc(found, k.compare)
	return found
}

// Ref implements [View].
func (tx *Tx) Ref(r *Record, field string) *Record {
	return refIn(tx, tx.batch.store.model, r, field)
}

// Count implements [View].
func (tx *Tx) Count(o *schema.Object) int { return tx.batch.count(tx.kind(o)) }

// Starting implements [View]. A transaction looks from the front of the list.
func (tx *Tx) Starting(o *schema.Object, text string, f func(*Record) bool) {
	order := tx.batch.store.model.ordered(o).order
	tx.Each(o, func(r *Record) bool { return !startsFold(r.at(order), text) || f(r) })
}

// Each implements [View].
func (tx *Tx) Each(o *schema.Object, f func(*Record) bool) {
	k, b := tx.kind(o), tx.batch
	if k.parent != nil {
		tx.Each(k.parent.object, func(p *Record) bool {
			for _, r := range b.below(k, p.id) {
				if !f(r) {
					return false
				}
			}
			return true
		})
		return
	}
	if o.Singleton {
		if r := b.get(k, ID{}); r != nil {
			f(r)
		}
		return
	}
	var put []*Record
	for _, at := range b.changes.kinds[k.at].byID {
		put = append(put, at.record)
	}
	slices.SortFunc(put, k.compare)
	hidden := map[ID]bool{}
	for p := range b.touched {
		if p.kind == k {
			hidden[p.id] = true
		}
	}
	for _, c := range b.store.lists[k.at].chunks {
		for _, r := range c.records {
			for len(put) > 0 && k.compare(put[0], r) < 0 {
				if !f(put[0]) {
					return
				}
				put = put[1:]
			}
			if !hidden[r.id] && !f(r) {
				return
			}
		}
	}
	for _, r := range put {
		if !f(r) {
			return
		}
	}
}
