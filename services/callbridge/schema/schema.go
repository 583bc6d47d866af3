// Package schema declares every object of the application API once: coSpaces, profiles, users, dial plan rules and the
// rest, as tables of fields. Parsing, validation, defaults, XML, failure codes, storage, the reference page and the
// explorer's forms follow from these tables; adding a field is adding a row.
//
// The package is data and pure functions. It knows nothing of HTTP and of the database. A value travels as the string that
// the API shows ("true", "20", a GUID in lower case); [Field.Parse] brings what a client sent into that form or says what is
// wrong with it. A field that is not set has no value at all: profiles inherit just because of that.
//
// Names, defaults and codes are those that clients of Cisco Meeting Server 3.8 send and expect.
package schema

//go:generate go test -count=1 -run ReferencePage -update .

import "strings"

// Object is one type of object.
type Object struct {
	// Name is the element of one ("coSpace"), Plural that of many ("coSpaces").
	Name, Plural string
	// Path is where the collection is, below /api/v1 or below one of Parent: Plural, unless it says otherwise
	// ("system/cdrReceivers").
	Path string
	// Parent is the type that it lives below and ends with: an access method below a space.
	Parent *Object
	// Methods are what clients may do.
	Methods Methods
	// Singleton is an object without a collection and without an ID, such as system/profiles: it always exists.
	Singleton bool
	// Local objects belong to one Call Bridge and are not shared in a cluster.
	Local bool
	// Live objects are kept by call control while they last and never stored.
	Live bool
	// Below are live types whose objects have a collection of this type too (GET calls/<id>/callLegs); it always has one of its
	// own, with Path. CreateBelow is the one of them under which clients make new ones, nil for none.
	Below       []*Object
	CreateBelow *Object
	// Page objects belong to pages of the Web Admin, and Methods are what these may do: they have no path below /api/v1.
	Page bool
	// Cap is the largest page.
	Cap int
	// Most is how many there may be, below one parent where the type has one; 0 for as many as fit. TooMany is the failure beyond.
	Most    int
	TooMany string
	// Missing is the failure when a client names one that does not exist.
	Missing string
	// Order is the field that lists are ordered by, then the ID; Search are those that filter= looks into, Order alone where
	// there are none.
	Order  string
	Search []string
	// UsageFilter allows usageFilter=referenced|unreferenced.
	UsageFilter bool
	Filters     []Filter
	Unique      []Unique
	// Lookup are fields by whose value objects are found (store.Lookup), beyond those of Unique.
	Lookup []string
	Fields []Field
	// Help is one sentence.
	Help string
	// Since is the API version that brought it; empty for those that were always there.
	Since string

	index map[string]int // of Fields, by lower-case name and alias
}

// Methods are those of a type: Create is POST on the collection, Read GET, Update PUT, Delete DELETE on one.
type Methods uint8

// The methods.
const (
	Create Methods = 1 << iota
	Read
	Update
	Delete

	CRUD = Create | Read | Update | Delete
)

// Filter is a query parameter of a collection that compares one field.
type Filter struct {
	// Name of the parameter ("tenantFilter"), Field that it compares.
	Name, Field string
}

// Unique says that no two objects may share a value. Objects of several types share one space of values by the same Name.
type Unique struct {
	// Name of the index ("coSpaceUri").
	Name string
	// Fields are those whose values are claimed, each by itself.
	Fields []string
	// Fold compares without regard to case.
	Fold bool
	// Within bounds where values must differ.
	Within Scope
	// Code is the failure of the second one; without it, it is a parameterError with the error "duplicate".
	Code string
}

// Scope is where values must differ.
type Scope uint8

// The scopes. An object and those below it (a space and its access methods) never clash with each other by these rules;
// what holds between them is package spaces'.
const (
	Everywhere Scope = iota
	// TenantGroup: within the tenant group of the object's tenant. No tenant and a tenant without group are one scope.
	TenantGroup
	// Tenant: within one tenant, or among those without.
	Tenant
	// Siblings: among the objects below one parent.
	Siblings
)

// Kind is the type of a field's values.
type Kind uint8

// The kinds.
const (
	// Text is UTF-8; Max counts bytes.
	Text Kind = iota
	Number
	Bool
	// Reference is the ID of an object of type Field.To.
	Reference
	// GUID is an ID that names no object of ours.
	GUID
	// URL with one of the schemes Field.Values.
	URL
	// Choice is one of Field.Values.
	Choice
)

// Field is one row of an object.
type Field struct {
	Name string
	// Aliases are other names by which clients send it. Names are compared without regard to case.
	Aliases []string
	Kind    Kind
	// To is the plural of the type that a Reference names.
	To string
	// Values of a Choice in the order in which a form shows them, or the schemes of a URL.
	Values []string
	// Min and Max bound a Number, or the bytes of a Text; Max 0 stands for [MaxText] or [MaxNumber].
	Min, Max int64
	// Default is stored on creation when the client sends none.
	Default string
	// Fallback is what the system assumes where the field is set nowhere: in no profile of the chain, or never in a singleton,
	// which nobody creates. It is neither stored nor shown.
	Fallback string
	// Required fields must be sent on creation and can never be unset.
	Required bool
	// Holds keeps what a Reference names from being deleted, as Required does: without its tenant, a tenant's dial plan rule would be
	// everybody's.
	Holds bool
	// Access says who may set it and when it is shown.
	Access Access
	// Group is the element that holds it in XML ("status"), "/" before the next one inside ("status/rxAudio"). What an element of a
	// path has after a space is its attribute ("status/rxVideo role=main"). A shown field of a group has its name for itself:
	// callers of [Object.Field] and [Object.Index] write "status/direction".
	Group string
	// List shows it in collections too; Empty shows it as an empty element where it is not set.
	List, Empty bool
	// Check looks at the form of a text, such as [URIUser]; nil takes any.
	Check Check
	// Help is one sentence for the reference page and the explorer.
	Help string
	// Since is the API version that brought it.
	Since string
}

// Access says who sets a field and when it is shown. The zero value is set by clients at any time, and shown.
type Access uint8

// The kinds of access.
const (
	Plain Access = iota
	// OnCreate is sent with POST only and shown.
	OnCreate
	// Shown is set by the system alone.
	Shown
	// Hidden is set by clients, stored, and never shown: a password.
	Hidden
	// Order is sent by clients, acted upon and neither stored nor shown: regenerateSecret. An order that PUT alone takes has
	// OrderOnUpdate.
	Order
	OrderOnUpdate
	// Internal is stored for our own use; clients neither set nor see it.
	Internal
)

// Key is the name of a field within its type: its name, and before it the group of one that clients do not send.
func (f *Field) Key() string {
	if f.Group != "" && f.Access == Shown {
		return f.Group + "/" + f.Name
	}
	return f.Name
}

// Stored says whether values of a field are kept.
func (a Access) Stored() bool { return a != Order && a != OrderOnUpdate }

// Settable says whether clients may send it, with POST or with PUT.
func (a Access) Settable(create bool) bool {
	switch a {
	case Plain, Hidden, Order:
		return true
	case OnCreate:
		return create
	case OrderOnUpdate:
		return !create
	}
	return false
}

// Bounds of what a field may hold.
const (
	MaxText   = 4096
	MaxNumber = 1<<31 - 1
)

// Field returns the row of a name or alias, in any case; nil when there is none.
func (o *Object) Field(name string) *Field {
	if i, ok := o.index[name]; ok {
		return &o.Fields[i]
	}
	if i, ok := o.index[strings.ToLower(name)]; ok {
		return &o.Fields[i]
	}
	return nil
}

// Index returns the position of a field by its name. It panics where there is none: that is a slip in our own code.
func (o *Object) Index(name string) int {
	i, ok := o.index[name]
	if !ok {
		panic("schema: " + o.Name + " has no field " + name)
	}
	return i
}

// URLPath is the collection's path below /api/v1, or below an object of its parent.
func (o *Object) URLPath() string {
	if o.Path != "" {
		return o.Path
	}
	return o.Plural
}

// FullPath is the collection's path below /api/v1, with <id> for the IDs of its parents.
func FullPath(o *Object) string {
	if o.Parent != nil {
		return FullPath(o.Parent) + "/<id>/" + o.URLPath()
	}
	return o.URLPath()
}

// Of returns the type with a plural; nil when there is none.
func Of(plural string) *Object { return byPlural[plural] }

// All are the types in the order of the reference page: a parent before those below it.
func All() []*Object { return all }

// Orders are requests to what is going on that are no object of their own, such as moving a camera. They are tables like the others:
// Path is the whole path, Methods has the one method, and every field is an [Order].
func Orders() []*Object { return orders }

var (
	all      []*Object
	byPlural = map[string]*Object{}
	orders   []*Object
)

// declare makes a table known. Fields are in the order in which XML and forms show them.
func declare(o Object) *Object {
	p := table(o)
	if byPlural[p.Plural] != nil {
		panic("schema: two types " + p.Plural)
	}
	byPlural[p.Plural] = p
	all = append(all, p)
	return p
}

// order makes the table of an order known.
func order(o Object) *Object {
	p := table(o)
	orders = append(orders, p)
	return p
}

func table(o Object) *Object {
	p := &o
	if p.Cap == 0 {
		p.Cap = 20
	}
	if p.Order == "" && len(p.Fields) > 0 {
		p.Order = p.Fields[0].Name
	}
	if len(p.Search) == 0 && p.Order != "" {
		p.Search = []string{p.Order}
	}
	p.index = map[string]int{}
	for i, f := range p.Fields {
		for _, name := range append([]string{f.Key()}, f.Aliases...) {
			for _, key := range []string{name, strings.ToLower(name)} {
				if at, taken := p.index[key]; taken && at != i {
					panic("schema: " + p.Name + " has two fields " + key)
				}
				p.index[key] = i
			}
		}
	}
	return p
}
