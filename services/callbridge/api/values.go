package api

import (
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// setting is a field that a client wants to set; an empty value unsets it.
type setting struct {
	field *schema.Field
	value string
}

// read takes the parameters that are fields of a type. The error names everything that is wrong. Orders are the second result.
func read(v store.View, o *schema.Object, p Params, create bool) ([]setting, map[string]string, error) {
	var (
		wrong    faults
		settings []setting
		orders   = map[string]string{}
		at       = map[*schema.Field]int{}
	)
	for _, one := range p.list {
		f := o.Field(one.key)
		if f == nil || !f.Access.Settable(create) {
			continue
		}
		s := setting{f, one.value}
		if i, again := at[f]; again {
			settings[i] = s
			continue
		}
		at[f] = len(settings)
		settings = append(settings, s)
	}
	kept := settings[:0]
	for _, s := range settings {
		value, err := s.field.Parse(s.value)
		if err != nil {
			wrong.add(&failure.Parameter{Name: s.field.Name, Fault: failure.Invalid, Why: err.Error()})
			continue
		}
		if value != "" && s.field.Kind == schema.Reference {
			if to := schema.Of(s.field.To); !exists(v, to, value) {
				wrong.add(failure.Code(missingCode(to)))
				continue
			}
		}
		s.value = value
		switch {
		case !s.field.Access.Stored():
			// An empty one counts as well: it takes the owner of a space away.
			orders[s.field.Name] = value
			continue
		case value == "" && s.field.Required:
			wrong.add(missing(s.field))
			continue
		case value == "":
			// A field with a default goes back to it: "nonMemberAccess=" must not lock everybody out. Fields of profiles have none
			// and inherit again.
			s.value = s.field.Default
		}
		kept = append(kept, s)
	}
	if create {
		for i := range o.Fields {
			f := &o.Fields[i]
			if _, sent := at[f]; f.Required && !sent && f.Access.Settable(true) {
				wrong.add(missing(f))
			}
		}
	}
	return kept, orders, wrong.err()
}

func missing(f *schema.Field) error {
	return &failure.Parameter{Name: f.Name, Fault: failure.Missing, Why: f.Name + " must be given"}
}

// exists says whether a reference may name an ID. What is live is asked of call control when it is used.
func exists(v store.View, to *schema.Object, id string) bool {
	if to == nil {
		return false
	}
	if to.Live {
		return true
	}
	parsed, ok := store.ParseID(id)
	return ok && v.Get(to, parsed) != nil
}
