package snmp

import (
	"slices"
)

// instance is one object that can be asked for. live is there for what changes between two looks at the machine.
type instance struct {
	name  oid
	value value
	live  func() value
}

func (i instance) now() value {
	if i.live != nil {
		return i.live()
	}
	return i.value
}

// tree is all instances in lexicographic order (RFC 3416 section 4.2.2), with the object types that they are of.
type tree struct {
	list  []instance
	types []oid
}

// builder collects a tree.
type builder struct{ tree }

// add is one instance of a type.
func (b *builder) add(kind oid, index []uint32, v value) {
	if len(kind)+len(index) > maxSubidentity {
		return
	}
	b.list = append(b.list, instance{name: kind.with(index...), value: v})
	b.types = append(b.types, kind)
}

// scalar has the one instance 0.
func (b *builder) scalar(kind oid, v value) { b.add(kind, []uint32{0}, v) }

// live is a scalar that is looked at when it is asked for.
func (b *builder) live(kind oid, f func() value) {
	b.list = append(b.list, instance{name: kind.with(0), live: f})
	b.types = append(b.types, kind)
}

// row is an entry of a table: columns by their numbers.
func (b *builder) row(entry oid, index []uint32, columns map[uint32]value) {
	for column, v := range columns {
		b.add(entry.with(column), index, v)
	}
}

func (b *builder) build() *tree {
	slices.SortFunc(b.list, func(x, y instance) int { return slices.Compare(x.name, y.name) })
	// Of two of one name, such as alarms whose names were cut, the first counts.
	b.list = slices.CompactFunc(b.list, func(x, y instance) bool { return slices.Equal(x.name, y.name) })
	slices.SortFunc(b.types, func(x, y oid) int { return slices.Compare(x, y) })
	b.types = slices.CompactFunc(b.types, func(x, y oid) bool { return slices.Equal(x, y) })
	return &b.tree
}

// get is the value of a name, or why there is none.
func (t *tree) get(name oid) value {
	at, found := slices.BinarySearchFunc(t.list, name, func(i instance, name oid) int { return slices.Compare(i.name, name) })
	if found {
		return t.list[at].now()
	}
	// The type before it in order is the only one that can be a beginning of it: no type is below another.
	at, found = slices.BinarySearchFunc(t.types, name, func(o, name oid) int { return slices.Compare(o, name) })
	if found || at > 0 && name.under(t.types[at-1]) {
		return value{tag: tagNoInstance}
	}
	return value{tag: tagNoObject}
}

// next is what comes after a name.
func (t *tree) next(name oid) binding {
	at, found := slices.BinarySearchFunc(t.list, name, func(i instance, name oid) int { return slices.Compare(i.name, name) })
	if found {
		at++
	}
	if at == len(t.list) {
		return binding{name: name, value: value{tag: tagEndOfView}}
	}
	return binding{name: t.list[at].name, value: t.list[at].now()}
}
