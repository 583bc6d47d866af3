package store

// checkReferences checks that what a record newly names is there, and sees to it that it is at the commit.
func (tx *Tx) checkReferences(k *kind, cur, r *Record) error {
	for _, ref := range k.refs {
		v := r.at(ref.field)
		if v == "" || ref.to == nil || cur != nil && cur.at(ref.field) == v {
			continue
		}
		id, ok := ParseID(v)
		if ok && ref.to == k && id == r.id {
			continue
		}
		var to *Record
		if ok {
			to = tx.batch.get(ref.to, id)
		}
		if to == nil {
			return &Gone{Object: ref.to.object, ID: v, Field: k.object.Fields[ref.field].Name}
		}
		tx.mustExist(ref.to, to.parent, id)
		if ref.required {
			// A deletion elsewhere that does not know of this reference yet compares the fence.
			tx.guards.claims[neededFence(id)] = true
		}
	}
	return nil
}

// mustExist makes the existence of an object a condition of the commit.
func (tx *Tx) mustExist(k *kind, parent, id ID) {
	if !tx.batch.isTouched(k, id) {
		tx.guards.exist[place{k, id}] = tx.batch.store.keyOf(k.object, parent, id)
	}
}

// neededBy returns an object that cannot be without one that is to be deleted.
func (tx *Tx) neededBy(r *Record) (by *Record) {
	if !tx.batch.store.model.of[r.object].needed {
		return nil
	}
	tx.guards.fences[neededFence(r.id)] = true
	tx.batch.referrers(r.id, func(o *Record, ref reference) bool {
		if ref.required {
			by = o
		}
		return by == nil
	})
	return by
}

// unname unsets references to an object that goes in what this batch puts, so that nothing is ever put that names what was gone
// before. Those of other objects are the cleaner's.
func (tx *Tx) unname(id ID) {
	type use struct {
		record *Record
		field  int
	}
	var uses []use
	tx.batch.changes.referrers(id, func(r *Record, by reference) bool {
		uses = append(uses, use{r, by.field})
		return true
	})
	for _, u := range uses {
		k := tx.kind(u.record.object)
		r := tx.batch.get(k, u.record.id) // it may name it twice
		values := make([]string, len(k.object.Fields))
		for at, v := range r.each {
			values[at] = v
		}
		values[u.field] = ""
		tx.set(k, r.id, pack(k.object, r.id, r.parent, 0, values, r.at(unknown)))
	}
}

// checkMost checks that there is room for one more object.
func (tx *Tx) checkMost(k *kind, r *Record) error {
	if k.object.Most == 0 {
		return nil
	}
	fence := mostFence(k.object)
	tx.guards.fences[fence], tx.guards.claims[fence] = true, true
	n := 0
	if k.parent != nil {
		n = len(tx.batch.below(k, r.parent))
	} else {
		n = tx.batch.count(k)
	}
	if n >= k.object.Most {
		return &TooMany{k.object}
	}
	return nil
}
