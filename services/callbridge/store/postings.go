package store

import "slices"

// postings are slots by the hash of a value that they have. Two values may have one hash, so whoever reads them looks at the
// records. Most values are those of one object, so that this is one word; what many objects have is a bag.
type postings struct {
	one  map[uint64]*slot
	many map[uint64]*bag
}

// bag is many slots: a list as long as it is short, a map from then on.
type bag struct {
	list []*slot
	set  map[*slot]struct{}
}

const longList = 32

func newPostings() postings {
	return postings{one: map[uint64]*slot{}, many: map[uint64]*bag{}}
}

func (p *postings) add(hash uint64, at *slot) {
	if b := p.many[hash]; b != nil {
		b.add(at)
		return
	}
	first, ok := p.one[hash]
	if !ok {
		p.one[hash] = at
		return
	}
	delete(p.one, hash)
	p.many[hash] = &bag{list: []*slot{first, at}}
}

func (p *postings) remove(hash uint64, at *slot) {
	b := p.many[hash]
	if b == nil {
		delete(p.one, hash)
		return
	}
	if b.remove(at); b.size() == 0 {
		delete(p.many, hash)
	}
}

// replace takes a slot from the hashes that it had to those that it has; both are sorted.
func (p *postings) replace(was, now []uint64, at *slot) {
	for _, h := range was {
		if _, still := slices.BinarySearch(now, h); !still {
			p.remove(h, at)
		}
	}
	for _, h := range now {
		if _, before := slices.BinarySearch(was, h); !before {
			p.add(h, at)
		}
	}
}

// all goes through the slots of a hash.
func (p *postings) all(hash uint64) func(func(*slot) bool) {
	return func(f func(*slot) bool) {
		if at, ok := p.one[hash]; ok {
			f(at)
			return
		}
		b := p.many[hash]
		if b == nil {
			return
		}
		for _, at := range b.list {
			if !f(at) {
				return
			}
		}
		for at := range b.set {
			if !f(at) {
				return
			}
		}
	}
}

func (b *bag) size() int { return len(b.list) + len(b.set) }

func (b *bag) add(at *slot) {
	if b.set != nil {
		b.set[at] = struct{}{}
		return
	}
	if b.list = append(b.list, at); len(b.list) > longList {
		b.set = make(map[*slot]struct{}, 2*longList)
		for _, at := range b.list {
			b.set[at] = struct{}{}
		}
		b.list = nil
	}
}

func (b *bag) remove(at *slot) {
	if b.set != nil {
		delete(b.set, at)
		return
	}
	if i := slices.Index(b.list, at); i >= 0 {
		b.list = slices.Delete(b.list, i, i+1)
	}
}
