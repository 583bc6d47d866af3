// Package profiles says which settings are in force: profiles are attached at several places, from system/profiles down to a single
// call leg, and a field that one leaves open is that of the next above. The lowest place that sets a field wins, field by field;
// where none does, the Fallback of the schema counts.
//
//	callLegProfile         global < tenant < coSpace < accessMethod < coSpaceUser < callOut < callLeg
//	callProfile            global < tenant < coSpace
//	callBrandingProfile    global < tenant < coSpace
//	dialInSecurityProfile  global < tenant < coSpace < accessMethod
//	dtmfProfile            global < tenant
//	ivrBrandingProfile     global < tenant < ivr
//	userProfile            global < tenant < user
//	webBridgeProfile       global < tenant < webBridge
//	compatibilityProfile   global
//
// Everything here is a pure function of a [store.View]: nothing is kept between calls, so a change of a profile counts for the next
// call, and there is nothing to lose in a crash. A reference to a profile that is gone counts as none. Source: reference sections
// 2.3 (callLegProfileTrace), 2.5, 2.9 and 2.10.
package profiles

import (
	"slices"
	"strconv"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// Scope is a place where a profile is attached.
type Scope uint8

// The scopes of a chain, higher ones first; IVR, User and WebBridge stand where CoSpace stands. Nowhere is the scope of a field
// that no profile sets.
const (
	Nowhere Scope = iota
	Global
	Tenant
	IVR
	User
	WebBridge
	CoSpace
	AccessMethod
	CoSpaceUser
	CallOut
	CallLeg
)

var scopeNames = [...]string{"", "global", "tenant", "ivr", "user", "webBridge", "coSpace", "accessMethod", "coSpaceUser", "callOut", "callLeg"}

// String is the scope as callLegProfileTrace names it.
func (s Scope) String() string { return scopeNames[s] }

// Level is what one scope says.
type Level struct {
	Scope Scope
	// Profile is what is attached there; nil for none.
	Profile *store.Record
	// Fields are values by their schema names that count before those of Profile, in the form that [schema.Field.Parse] gives: a
	// leg may have fields of its own beside its profile.
	Fields map[string]string
}

// Effective is what is in force. It is never changed, so it may be kept with a leg.
type Effective struct {
	object *schema.Object
	levels []Level
	values []string // by position in object.Fields
	scopes []Scope
}

// Resolve merges levels; the highest comes first. Names of objects are no settings: they are left out.
func Resolve(o *schema.Object, levels ...Level) Effective {
	e := Effective{object: o, levels: levels, values: make([]string, len(o.Fields)), scopes: make([]Scope, len(o.Fields))}
	for _, l := range levels {
		if l.Profile != nil {
			l.Profile.Values(func(f *schema.Field, v string) bool {
				e.set(f, v, l.Scope)
				return true
			})
		}
		for name, v := range l.Fields {
			if f := o.Field(name); f != nil {
				e.set(f, v, l.Scope)
			}
		}
	}
	return e
}

func (e *Effective) set(f *schema.Field, v string, s Scope) {
	if v == "" || f.Name == "name" {
		return
	}
	at := e.object.Index(f.Key())
	e.values[at], e.scopes[at] = v, s
}

// Equal says whether the same is in force, and by the same scopes.
func (e Effective) Equal(o Effective) bool {
	return e.object == o.object && slices.Equal(e.values, o.values) && slices.Equal(e.scopes, o.scopes)
}

// Text returns what is in force, "" where nothing says anything and there is no fallback. A field that the profile does not have
// panics.
func (e Effective) Text(field string) string {
	at := e.object.Index(field)
	if e.scopes[at] == Nowhere {
		return e.object.Fields[at].Fallback
	}
	return e.values[at]
}

// Bool returns whether a field is true.
func (e Effective) Bool(field string) bool { return e.Text(field) == "true" }

// Number returns a field's number, and false where nothing says one.
func (e Effective) Number(field string) (int64, bool) {
	n, err := strconv.ParseInt(e.Text(field), 10, 64)
	return n, err == nil
}

// From returns the scope that a field's value comes from, Nowhere for the fallback.
func (e Effective) From(field string) Scope { return e.scopes[e.object.Index(field)] }

// Values calls f with every field that has a value, fallbacks (Nowhere) included, in the order of the table.
func (e Effective) Values(f func(field *schema.Field, value string, from Scope) bool) {
	for at := range e.object.Fields {
		field := &e.object.Fields[at]
		v := e.values[at]
		if e.scopes[at] == Nowhere {
			v = field.Fallback
		}
		if v != "" && !f(field, v, e.scopes[at]) {
			return
		}
	}
}

// Levels are the scopes that say something, the highest first: what callLegProfileTrace shows.
func (e Effective) Levels() []Level { return e.levels }
