package manager

import (
	"cmp"
	"slices"
)

// Load is what a worker can carry and carries, in load units.
type Load struct {
	Name string
	// Host is its machine.
	Host     string
	Module   int
	Capacity int
	Used     int
}

// Ask is a leg that wants a place.
type Ask struct {
	Units int
	// Homes are the workers of its conference, the preferred one first; none while the conference has no legs.
	Homes []string
	// Span is what another worker of their machine would bear for the conference beside the leg.
	Span int
	// At is the worker that carries the leg now, with AtUnits.
	At      string
	AtUnits int
}

// Place chooses a worker, or tells that none has room. A leg stays where it is while it fits and is at home there, since moving
// changes its ports. Otherwise it goes to the first of its homes with room. When they are full, or it has none, it goes to
// the worker with the smallest part of its capacity in use, of the module with the smallest part in use where two are equal,
// and of those to the first; a conference that has homes stays on their machine.
func Place(loads []Load, a Ask) (name string, ok bool) {
	fits := func(l Load, units int) bool {
		used := l.Used
		if l.Name == a.At {
			used -= a.AtUnits
		}
		return used+units <= l.Capacity
	}
	find := func(name string) *Load {
		if i := slices.IndexFunc(loads, func(l Load) bool { return l.Name == name }); i >= 0 {
			return &loads[i]
		}
		return nil
	}
	stay := a.Homes
	if len(a.Homes) == 0 || slices.Contains(a.Homes, a.At) {
		stay = slices.Concat([]string{a.At}, a.Homes)
	}
	for _, name := range stay {
		if l := find(name); l != nil && fits(*l, a.Units) {
			return l.Name, true
		}
	}
	units := a.Units
	var host *Load
	if len(a.Homes) > 0 {
		units += a.Span
		if host = find(a.Homes[0]); host == nil {
			return "", false
		}
	}
	type sum struct{ used, capacity int }
	modules := map[int]sum{}
	for _, l := range loads {
		m := modules[l.Module]
		modules[l.Module] = sum{m.used + l.Used, m.capacity + l.Capacity}
	}
	var best *Load
	for i := range loads {
		l := &loads[i]
		if !fits(*l, units) || host != nil && (l.Host != host.Host || slices.Contains(a.Homes, l.Name)) {
			continue
		}
		if best == nil {
			best = l
			continue
		}
		m, n := modules[l.Module], modules[best.Module]
		if c := cmp.Or(part(l.Used, l.Capacity, best.Used, best.Capacity), part(m.used, m.capacity, n.used, n.capacity)); c < 0 {
			best = l
		}
	}
	if best == nil {
		return "", false
	}
	return best.Name, true
}

// part compares a/b with c/d; a capacity of nothing is full.
func part(a, b, c, d int) int {
	if b <= 0 || d <= 0 {
		return cmp.Compare(d, b)
	}
	return cmp.Compare(int64(a)*int64(d), int64(c)*int64(b))
}
