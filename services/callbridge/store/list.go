package store

import "rotunda/services/callbridge/schema"

// Query says which objects of a type a page shows. Conditions that are not set hold for every object.
type Query struct {
	// Parent is the object that they live below.
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

// List returns a page.
func (s *Store) List(o *schema.Object, q Query) Page { return Page{} }
