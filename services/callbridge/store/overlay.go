package store

import (
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// batch is transactions that run one after the other on one state of the copy, each on what those before it left, and are
// committed as one.
type batch struct {
	store    *Store
	base     *set
	revision int64 // of base
	// changes are the objects that were put and are there, touched what base has of every object that was put or deleted.
	changes *set
	touched map[place]*Record
	guards  guards
	bytes   int
}

// guards are what must still hold when a batch is committed, beyond that touched objects are as they were.
type guards struct {
	// fences may not have been put since the copy; claimed ones are put.
	fences, claims map[string]bool
	// exist are objects that references name, unchanged ones that were read by their ID, by place and key.
	exist     map[place]string
	unchanged map[place]*Record
}

func newGuards() guards {
	return guards{map[string]bool{}, map[string]bool{}, map[place]string{}, map[place]*Record{}}
}

func (g *guards) add(o guards) {
	for k := range o.fences {
		g.fences[k] = true
	}
	for k := range o.claims {
		g.claims[k] = true
	}
	for p, k := range o.exist {
		g.exist[p] = k
	}
	for p, r := range o.unchanged {
		g.unchanged[p] = r
	}
}

// newBatch begins a batch. The caller holds still.
func (s *Store) newBatch() *batch {
	return &batch{store: s, base: s.set, revision: s.revision, changes: newSet(s.model), touched: map[place]*Record{}, guards: newGuards()}
}

func (b *batch) isTouched(k *kind, id ID) bool {
	_, ok := b.touched[place{k, id}]
	return ok
}

func (b *batch) get(k *kind, id ID) *Record {
	if r := b.changes.get(k, id); r != nil {
		return r
	}
	if b.isTouched(k, id) {
		return nil
	}
	return b.base.get(k, id)
}

// untouched leaves out of what is found in base what was put or deleted.
func (b *batch) untouched(f func(*Record) bool) func(*Record) bool {
	if len(b.touched) == 0 {
		return f
	}
	return func(r *Record) bool {
		return b.isTouched(b.store.model.of[r.object], r.id) || f(r)
	}
}

// both asks base and changes one after the other.
func (b *batch) both(ask func(s *set, f func(*Record) bool), f func(*Record) bool) {
	more := true
	once := func(r *Record) bool { more = f(r); return more }
	if ask(b.base, b.untouched(once)); more {
		ask(b.changes, once)
	}
}

func (b *batch) find(x *index, folded string, f func(*Record) bool) {
	b.both(func(s *set, f func(*Record) bool) { s.find(x, folded, f) }, f)
}

func (b *batch) lookup(k *kind, field int, value string, f func(*Record) bool) {
	b.both(func(s *set, f func(*Record) bool) { s.lookup(k, field, value, f) }, f)
}

func (b *batch) referrers(id ID, f func(r *Record, by reference) bool) {
	more := true
	b.base.referrers(id, func(r *Record, by reference) bool {
		if !b.isTouched(b.store.model.of[r.object], r.id) {
			more = f(r, by)
		}
		return more
	})
	if more {
		b.changes.referrers(id, f)
	}
}

func (b *batch) below(k *kind, parent ID) []*Record {
	records := slices.DeleteFunc(b.base.below(k, parent), func(r *Record) bool { return b.isTouched(k, r.id) })
	if put := b.changes.below(k, parent); len(put) > 0 {
		records = append(records, put...)
		slices.SortFunc(records, k.compare)
	}
	return records
}

func (b *batch) count(k *kind) int {
	n := b.base.count(k) + b.changes.count(k)
	for p, r := range b.touched {
		if p.kind == k && r != nil {
			n--
		}
	}
	return n
}

// put changes an object; a nil record deletes it. What it returns takes that back.
func (b *batch) put(k *kind, id ID, r *Record) (undo func()) {
	p := place{k, id}
	_, was := b.touched[p]
	if !was {
		b.touched[p] = b.base.get(k, id)
	}
	var before *Record
	if r != nil {
		before = b.changes.put(k, r)
		b.bytes += len(r.packed)
	} else {
		before = b.changes.remove(k, id)
	}
	return func() {
		if r != nil {
			b.bytes -= len(r.packed)
		}
		if before != nil {
			b.changes.put(k, before)
		} else {
			b.changes.remove(k, id)
		}
		if !was {
			delete(b.touched, p)
		}
	}
}

// transaction is what the batch comes to; no operations when it changes nothing.
func (b *batch) transaction() (compare []clientv3.Cmp, then []clientv3.Op) {
	s := b.store
	// A family goes with one deletion of all keys below its root's, those too that only a newer version knows; unless there are new ones.
	filled := map[ID]bool{}
	for p := range b.touched {
		if r := b.changes.get(p.kind, p.id); r != nil && p.kind.parent != nil {
			filled[r.parent] = true
		}
	}
	swept := func(k *kind, id ID) bool {
		return b.touched[place{k, id}] != nil && b.changes.get(k, id) == nil && !filled[id]
	}
	for p, was := range b.touched {
		now := b.changes.get(p.kind, p.id)
		if was == nil && now == nil {
			continue
		}
		if was != nil && now == nil && p.kind.parent != nil && swept(p.kind.parent, was.parent) {
			continue
		}
		if was == nil {
			key := s.key(now)
			compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "=", 0))
			then = append(then, clientv3.OpPut(key, encode(now)))
			continue
		}
		key := s.key(was)
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "=", was.revision))
		if now != nil {
			then = append(then, clientv3.OpPut(key, encode(now)))
			continue
		}
		then = append(then, clientv3.OpDelete(key))
		if p.kind.parent == nil && swept(p.kind, p.id) {
			then = append(then, clientv3.OpDelete(key+"/", clientv3.WithPrefix()))
		}
	}
	if len(then) == 0 {
		return nil, nil
	}
	for p, key := range b.guards.exist {
		if !b.isTouched(p.kind, p.id) {
			compare = append(compare, clientv3.Compare(clientv3.CreateRevision(key), ">", 0))
		}
	}
	for p, r := range b.guards.unchanged {
		if !b.isTouched(p.kind, p.id) {
			compare = append(compare, clientv3.Compare(clientv3.ModRevision(s.key(r)), "=", r.revision))
		}
	}
	for key := range b.guards.fences {
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "<", b.revision+1))
	}
	for key := range b.guards.claims {
		then = append(then, clientv3.OpPut(key, ""))
	}
	return compare, then
}
