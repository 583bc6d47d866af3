package config

import (
	"net/netip"
	"reflect"
	"slices"
	"sync"
)

// Clone returns a copy that shares nothing which can be changed. A change of one setting copies all of them, so this takes microseconds
// where the way through JSON takes milliseconds for a document with thousands of rules.
func (d *Document) Clone() *Document {
	c := new(Document)
	copyTo(reflect.ValueOf(c).Elem(), reflect.ValueOf(d).Elem())
	return c
}

// Equal compares what documents say: a list that is empty and one that is not there are the same, as they are in a file.
func (d *Document) Equal(other *Document) bool { return same(d, other) }

// same is Equal for a part of a document.
func same[T any](x, y *T) bool {
	return equalTo(reflect.ValueOf(x).Elem(), reflect.ValueOf(y).Elem())
}

// flatTypes remembers which types hold nothing that two copies would share.
var flatTypes sync.Map // reflect.Type to bool

// flat says whether an assignment copies all of a type. Addresses point at a zone's name, which nobody can change.
func flat(t reflect.Type) bool {
	if known, ok := flatTypes.Load(t); ok {
		return known.(bool)
	}
	is := false
	switch t.Kind() {
	case reflect.Struct:
		is = t == reflect.TypeFor[netip.Addr]() || t == reflect.TypeFor[netip.Prefix]()
		if !is {
			is = true
			for i := range t.NumField() {
				is = is && flat(t.Field(i).Type)
			}
		}
	case reflect.Array:
		is = flat(t.Elem())
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
	default:
		is = true
	}
	flatTypes.Store(t, is)
	return is
}

// copyTo makes to, which is the zero value, a copy. Documents have no cycles, and neither interfaces nor fields that are not exported.
func copyTo(to, from reflect.Value) {
	t := from.Type()
	if flat(t) {
		to.Set(from)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			copyTo(to.Field(i), from.Field(i))
		}
	case reflect.Array:
		for i := range from.Len() {
			copyTo(to.Index(i), from.Index(i))
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		// Room for one more: most changes add something to a list.
		to.Set(reflect.MakeSlice(t, from.Len(), from.Len()+1))
		if flat(t.Elem()) {
			reflect.Copy(to, from)
			return
		}
		for i := range from.Len() {
			copyTo(to.Index(i), from.Index(i))
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMapWithSize(t, from.Len()))
		for each := from.MapRange(); each.Next(); {
			v := reflect.New(t.Elem()).Elem()
			copyTo(v, each.Value())
			to.SetMapIndex(each.Key(), v)
		}
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(t.Elem()))
			copyTo(to.Elem(), from.Elem())
		}
	default:
		panic("a document cannot hold a " + t.String())
	}
}

func equalTo(x, y reflect.Value) bool {
	t := x.Type()
	switch t.Kind() {
	case reflect.Struct:
		if flat(t) {
			return x.Equal(y)
		}
		for i := range t.NumField() {
			if !equalTo(x.Field(i), y.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if x.Len() != y.Len() {
			return false
		}
		// The only list that is ever long.
		if rules, ok := x.Interface().([]FirewallRule); ok {
			return slices.Equal(rules, y.Interface().([]FirewallRule))
		}
		for i := range x.Len() {
			if !equalTo(x.Index(i), y.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Array:
		for i := range x.Len() {
			if !equalTo(x.Index(i), y.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if x.Len() != y.Len() {
			return false
		}
		for each := x.MapRange(); each.Next(); {
			other := y.MapIndex(each.Key())
			if !other.IsValid() || !equalTo(each.Value(), other) {
				return false
			}
		}
		return true
	case reflect.Pointer:
		if x.IsNil() || y.IsNil() {
			return x.IsNil() == y.IsNil()
		}
		return equalTo(x.Elem(), y.Elem())
	}
	return x.Equal(y)
}

// NeedsReboot lists what of a change takes effect at the next start.
func NeedsReboot(before, after *Document) (settings []string) {
	if before.Hostname != after.Hostname {
		settings = append(settings, "hostname")
	}
	if before.Timezone != after.Timezone {
		settings = append(settings, "timezone")
	}
	if before.FIPS != after.FIPS {
		settings = append(settings, "fips")
	}
	return settings
}

// SameWay says whether two documents agree in all that decides who can reach this machine: then no session is cut off by a change from
// one to the other, whichever way it came in.
func SameWay(before, after *Document) bool {
	return before.DefaultInterface == after.DefaultInterface && same(&before.Interfaces, &after.Interfaces) && same(&before.Firewall, &after.Firewall)
}
