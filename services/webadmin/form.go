package webadmin

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"rotunda/services/callbridge/schema"
)

// What a form calls its inputs: the value of a field, what it was when the form was made, and the removal of a stored secret.
const (
	valuePrefix  = "v."
	beforePrefix = "b."
	removePrefix = "x."
)

// Field is one field of an object as a form shows it.
type Field struct {
	*schema.Field
	// ID is that of the input, unique on its page; Input and Before are names of inputs.
	ID, Input, Before, Remove string
	Label, Help               string
	Value, Was, Error         string
	// Unset is what the empty choice says.
	Unset string
	// Names are labels of choices, where they differ from the values.
	Names map[string]string
	// Fixed shows the value and takes none; Choosable is a reference beside which the explorer has a button to choose.
	Fixed, Focus, Choosable bool
	// plain is a field of the explorer, whose help is that of the table.
	plain bool
	// Named is what a reference names, where that is known.
	Named string
	// Reading is set when the object exists already.
	Reading bool
}

// Control is the kind of input.
func (f *Field) Control() string {
	switch f.Kind {
	case schema.Bool, schema.Choice:
		return "select"
	case schema.Reference:
		return "reference"
	case schema.Number:
		return "number"
	}
	if f.Secret() {
		return "secret"
	}
	return "text"
}

// Secret fields are never shown, so an empty input leaves them as they are.
func (f *Field) Secret() bool { return f.Access == schema.Hidden }

// Option is one choice.
type Option struct {
	Value, Label string
	Chosen       bool
}

// Options are the choices, the empty one first unless a value is always needed.
func (f *Field) Options() []Option {
	values := f.Values
	names := f.Names
	if f.Kind == schema.Bool {
		values = []string{"true", "false"}
		if names == nil {
			names = map[string]string{"true": "true", "false": "false"}
		}
	}
	var list []Option
	if !f.Required || f.Value == "" {
		unset := f.Unset
		if unset == "" {
			unset = "not set"
			switch {
			case f.Default != "" && !f.Reading:
				unset = "default: " + f.name(names, f.Default)
			case f.Fallback != "":
				unset = "not set: " + f.name(names, f.Fallback)
			}
		}
		list = append(list, Option{"", unset, f.Value == ""})
	}
	known := f.Value == ""
	for _, v := range values {
		list = append(list, Option{v, f.name(names, v), v == f.Value})
		known = known || v == f.Value
	}
	if !known {
		// What a newer version stored, or somebody typed, is not silently replaced.
		list = append(list, Option{f.Value, f.Value, true})
	}
	return list
}

func (f *Field) name(names map[string]string, value string) string {
	if n := names[value]; n != "" {
		return n
	}
	return value
}

// Bounds says what may be typed, for the line below the input.
func (f *Field) Bounds() string {
	switch f.Kind {
	case schema.Number:
		if f.Max == 0 {
			if f.Min == 0 {
				return ""
			}
			return fmt.Sprintf("A number from %d.", f.Min)
		}
		return fmt.Sprintf("A number from %d to %d.", f.Min, f.Max)
	case schema.Text:
		if f.Check.Name != "" && f.plain {
			return "Form: " + f.Check.Name + "."
		}
	case schema.GUID:
		return "An ID such as 7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11."
	}
	return ""
}

// Otherwise says what counts where nothing is typed, below an input; the empty choice of a list says it itself.
func (f *Field) Otherwise() string {
	value := f.Fallback
	if f.Default != "" {
		value = f.Default
	}
	if value == "" || f.Fixed || f.Required || f.Control() == "select" {
		return ""
	}
	return "When empty: " + f.name(f.Names, value) + "."
}

// MaxLength is how many characters a browser takes; a character has at least one byte, so it never refuses what the API would take.
func (f *Field) MaxLength() string {
	if f.Kind != schema.Text {
		return ""
	}
	if f.Max > 0 {
		return strconv.FormatInt(f.Max, 10)
	}
	return strconv.Itoa(schema.MaxText)
}

// Describes are the IDs of what explains the input.
func (f *Field) Describes() string {
	s := f.ID + "-help"
	if f.Error != "" {
		return f.ID + "-error " + s
	}
	return s
}

// form is a set of fields of one object.
type form struct {
	object *schema.Object
	fields []*Field
	// errors belong to no field.
	errors []string
}

// row describes a field of a page with its own words; in the explorer it is the API's name alone.
type row struct {
	name, label, help string
	unset             string
	names             map[string]string
}

// newForm makes the fields that may be set, in the order of rows; without rows all of them. prefix makes IDs and names of inputs unique
// where a page has several objects.
func newForm(o *schema.Object, prefix string, create bool, rows ...row) *form {
	f := &form{object: o}
	whole := len(rows) == 0
	if whole {
		for i := range o.Fields {
			if field := &o.Fields[i]; field.Access.Settable(create) {
				rows = append(rows, row{name: field.Name, label: field.Name})
			}
		}
	}
	for _, r := range rows {
		field := o.Field(r.name)
		if field == nil {
			continue
		}
		help := r.help
		if help == "" {
			help = field.Help
		}
		label := r.label
		if label == "" {
			label = spaced(field.Name)
		}
		key := prefix + field.Name
		f.fields = append(f.fields, &Field{Field: field, ID: "f-" + key, Input: valuePrefix + key, Before: beforePrefix + key, Remove: removePrefix + key,
			Label: label, Help: help, Unset: r.unset, Names: r.names, Fixed: !field.Access.Settable(create), Reading: !create,
			Choosable: whole && field.Kind == schema.Reference, plain: whole})
	}
	return f
}

// read fills the form with an object as it is.
func (f *form) read(n *node) {
	for _, field := range f.fields {
		if field.Secret() {
			continue
		}
		at := n
		if field.Group != "" {
			for name := range strings.SplitSeq(field.Group, "/") {
				name, _, _ = strings.Cut(name, " ")
				at = at.at(name)
			}
		}
		field.Value = at.Get(field.Name)
		for _, alias := range field.Aliases {
			if field.Value == "" {
				field.Value = at.Get(alias)
			}
		}
		field.Was = field.Value
	}
}

// take fills the form with what was typed, so that it can be shown again and compared.
func (f *form) take(values url.Values) {
	for _, field := range f.fields {
		if field.Fixed {
			continue
		}
		if v, sent := values[field.Input]; sent && len(v) > 0 {
			field.Value = v[0]
		}
		field.Was = values.Get(field.Before)
	}
}

// changes are the parameters to send: what is set in a new object, what differs in one that exists.
func (f *form) changes(values url.Values, create bool) url.Values {
	send := url.Values{}
	for _, field := range f.fields {
		switch {
		case field.Fixed:
		case values.Get(field.Remove) != "":
			send.Set(field.Name, "")
		case field.Secret() && field.Value == "":
		case create && field.Value != "", !create && field.Value != field.Was:
			send.Set(field.Name, field.Value)
		}
	}
	return send
}

// check looks at what was typed as the API will, so that all slips are shown at once; the API tells one after the other.
func (f *form) check(create bool) bool {
	good := true
	for _, field := range f.fields {
		if field.Fixed {
			continue
		}
		if field.Value == "" {
			if field.Required && (create || field.Was != "") {
				field.Error = "Fill in this field."
				good = false
			}
			continue
		}
		if !create && field.Value == field.Was {
			continue
		}
		if _, err := field.Parse(field.Value); err != nil {
			field.Error = field.says(err.Error())
			good = false
		}
	}
	return good
}

// refuse places the failures of the API; other errors are shown above the form.
func (f *form) refuse(err error) {
	r, ok := asRefusal(err)
	if !ok {
		f.errors = append(f.errors, upper(publicly(err))+".")
		return
	}
	fields, others := r.place(f.object, func(name string) bool { return f.field(name) != nil })
	for name, text := range fields {
		f.field(name).Error = f.field(name).says(text)
	}
	f.errors = append(f.errors, others...)
}

// says puts what is wrong with a field into the words of the page: the API begins with its own name of the field, and the error stands below
// the label already.
func (f *Field) says(text string) string {
	if n := len(f.Name); len(text) > n && strings.EqualFold(text[:n], f.Name) {
		switch rest := text[n:]; {
		case strings.HasPrefix(rest, ": "):
			text = rest[len(": "):]
		case rest[0] == ' ':
			text = f.Label + rest
		}
	}
	if !strings.HasPrefix(text, f.Label) {
		text = upper(text)
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

func (f *form) field(name string) *Field {
	for _, field := range f.fields {
		if field.Name == name {
			return field
		}
	}
	return nil
}

// bad says whether anything is wrong.
func (f *form) bad() bool {
	if len(f.errors) > 0 {
		return true
	}
	for _, field := range f.fields {
		if field.Error != "" {
			return true
		}
	}
	return false
}

// focus puts the cursor into the first field with an error.
func (f *form) focus() {
	for _, field := range f.fields {
		if field.Error != "" {
			field.Focus = true
			return
		}
	}
}

// Fields and Errors are for templates.
func (f *form) Fields() []*Field { return f.fields }

// Errors are those that belong to no field.
func (f *form) Errors() []string { return f.errors }

// Wrong are the fields with an error.
func (f *form) Wrong() []*Field {
	var list []*Field
	for _, field := range f.fields {
		if field.Error != "" {
			list = append(list, field)
		}
	}
	return list
}
