package manager

import "cmp"

// Load is what a worker can carry and carries, in load units.
type Load struct {
	Name     string
	Module   int
	Capacity int
	Used     int
}

// Ask is a leg that wants a place.
type Ask struct {
	Units int
	// Home is the worker of its conference, "" while the conference has no legs. Every leg of a conference is at home:
	// mixing and composing need all that comes in.
	Home string
	// At is the worker that carries the leg now, with AtUnits.
	At      string
	AtUnits int
}

// Place chooses a worker, or tells that none has room. A leg without a home stays where it is while it fits, since moving
// changes its ports; otherwise it goes to the worker with the smallest part of its capacity in use, of the
// module with the smallest part in use where two are equal, and of those to the first.
func Place(loads []Load, a Ask) (name string, ok bool) {
	fits := func(l Load) bool {
		used := l.Used
		if l.Name == a.At {
			used -= a.AtUnits
		}
		return used+a.Units <= l.Capacity
	}
	stay := a.At
	if a.Home != "" {
		stay = a.Home
	}
	for _, l := range loads {
		if l.Name == stay && fits(l) {
			return l.Name, true
		}
	}
	if a.Home != "" {
		return "", false
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
		if !fits(*l) {
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
