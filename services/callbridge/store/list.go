package store

import (
	"slices"
	"strings"

	"rotunda/services/callbridge/schema"
)

// Query says which objects of a type a page shows. Conditions that are not set hold for every object.
type Query struct {
	// Parent is the object that they live below; without one, a type that has parents is listed below all of them.
	Parent ID
	// Offset is how many are left out, Limit how many are shown; a negative Limit stands for all.
	Offset, Limit int
	// Filter is a part of one of schema.Object.Search, without regard to case.
	Filter string
	// Equal are fields and their values; an empty value is no condition.
	Equal map[string]string
	// Referenced asks for objects that another names, or for those that none does.
	Referenced *bool
	// Keep is a further condition.
	Keep func(*Record) bool
}

// Page is a part of a list.
type Page struct {
	// Total is how many match, on all pages.
	Total   int
	Records []*Record
}

// List returns a page. What matches Filter and Equal is remembered chunk by chunk, so that further pages of a query read only
// what was changed since; Referenced and Keep are asked about every object that matches so far.
func (s *Store) List(o *schema.Object, q Query) Page {
	k := s.model.kind(o)
	if k.parent != nil || o.Singleton {
		return s.listAll(k, q)
	}
	part := fold(q.Filter)
	equal := k.equals(q.Equal)
	s.mu.RLock()
	list := s.lists[k.at]
	s.mu.RUnlock()
	hits := s.memory.matches(k, list, part, equal)
	var out page
	out.start(q)
	if q.Referenced == nil && q.Keep == nil {
		for i, c := range list.chunks {
			n := len(hits.at(i, c))
			if from, to := out.window(n); from < to {
				for _, at := range hits.at(i, c)[from:to] {
					out.Records = append(out.Records, c.records[at])
				}
			}
		}
		return out.Page
	}
	for i, c := range list.chunks {
		for _, at := range hits.at(i, c) {
			if r := c.records[at]; s.keeps(r, q) {
				if from, to := out.window(1); from < to {
					out.Records = append(out.Records, r)
				}
			}
		}
	}
	return out.Page
}

// page is a Page that is filled.
type page struct {
	Page
	from, to int
}

func (p *page) start(q Query) {
	p.from = max(q.Offset, 0)
	if p.to = p.from + q.Limit; q.Limit < 0 || p.to < p.from {
		p.to = int(^uint(0) >> 1)
	}
}

// window takes in n matches and returns which of them are on the page.
func (p *page) window(n int) (from, to int) {
	from, to = max(p.from-p.Total, 0), min(p.to-p.Total, n)
	p.Total += n
	return from, to
}

// keeps says whether a record meets the conditions that are not remembered.
func (s *Store) keeps(r *Record, q Query) bool {
	return (q.Referenced == nil || s.isReferenced(r.id) == *q.Referenced) && (q.Keep == nil || q.Keep(r))
}

func (s *Store) isReferenced(id ID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := false
	s.set.referrers(id, func(*Record, reference) bool { found = true; return false })
	return found
}

// listAll is List without memory, for the few objects below one parent.
func (s *Store) listAll(k *kind, q Query) Page {
	var out page
	out.start(q)
	part, equal := fold(q.Filter), k.equals(q.Equal)
	look := func(r *Record) bool {
		if !k.contains(r, part) || !equal.hold(r) || !s.keeps(r, q) {
			return true
		}
		if from, to := out.window(1); from < to {
			out.Records = append(out.Records, r)
		}
		return true
	}
	if k.parent != nil && q.Parent != (ID{}) {
		for _, r := range s.Below(k.object, q.Parent) {
			look(r)
		}
	} else {
		s.Each(k.object, look)
	}
	return out.Page
}

func (k *kind) contains(r *Record, part string) bool {
	return part == "" || slices.ContainsFunc(k.search, func(at int) bool { return strings.Contains(fold(r.at(at)), part) })
}

// equals are the conditions of Query.Equal in the order of the table.
func (k *kind) equals(fields map[string]string) conditions {
	var c conditions
	for name, value := range fields {
		if value != "" {
			c = append(c, condition{k.object.Index(name), value})
		}
	}
	slices.SortFunc(c, func(a, b condition) int { return a.field - b.field })
	return c
}

type conditions []condition

type condition struct {
	field int
	value string
}

func (c conditions) hold(r *Record) bool {
	return !slices.ContainsFunc(c, func(c condition) bool { return r.at(c.field) != c.value })
}
