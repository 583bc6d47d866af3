package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
)

// full is a document in which nothing is empty.
func full() *Document {
	d := new(Document)
	n := 0
	fill(reflect.ValueOf(d).Elem(), &n)
	return d
}

// fill sets everything below to values that differ.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)})))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)}), 32)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprint("value", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(uint64(*n % 200))
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(int64(*n))
	default:
		panic(v.Type())
	}
}

// each visits every value below that an edit may reach, with what takes it away.
func each(v reflect.Value, visit func(change func())) {
	switch v.Kind() {
	case reflect.Struct:
		if _, flat := v.Interface().(netip.Addr); !flat && v.Type() != reflect.TypeFor[netip.Prefix]() {
			for i := range v.NumField() {
				each(v.Field(i), visit)
			}
			return
		}
	case reflect.Slice:
		for i := range v.Len() {
			each(v.Index(i), visit)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			one := reflect.New(v.Type().Elem()).Elem()
			one.Set(v.MapIndex(k))
			each(one, func(change func()) {
				visit(func() {
					change()
					v.SetMapIndex(k, one)
				})
			})
		}
	case reflect.Pointer:
		each(v.Elem(), visit)
		return
	}
	visit(func() { v.Set(reflect.Zero(v.Type())) })
}

func encoded(t *testing.T, d *Document) string {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestACopySharesNothing(t *testing.T) {
	original := full()
	before := encoded(t, original)
	c := original.Clone()
	if got := encoded(t, c); got != before || !original.Equal(c) {
		t.Fatalf("wanted the same document, got\n%s\nof\n%s", got, before)
	}
	changed := 0
	each(reflect.ValueOf(c).Elem(), func(change func()) {
		change()
		changed++
		if got := encoded(t, original); got != before {
			t.Fatalf("change %d of the copy changed the original to %s", changed, got)
		}
	})
	if changed < 100 {
		t.Fatalf("wanted every setting changed, got %d", changed)
	}
}

func TestDocumentsDifferInEverySetting(t *testing.T) {
	original := full()
	settings := 0
	each(reflect.ValueOf(original.Clone()).Elem(), func(func()) { settings++ })
	for n := range settings {
		c := original.Clone()
		at := 0
		each(reflect.ValueOf(c).Elem(), func(change func()) {
			if at == n {
				change()
			}
			at++
		})
		if same := encoded(t, original) == encoded(t, c); original.Equal(c) != same || c.Equal(original) != same {
			t.Errorf("setting %d: wanted the comparison to say %v, as the encoding does: %s", n, same, encoded(t, c))
		}
	}
}

func TestAListThatIsEmptyIsNone(t *testing.T) {
	x, y := Factory(), Factory()
	y.Firewall, y.DNS.Records = Firewalls{}, []string{}
	if !x.Equal(y) || !y.Equal(x) {
		t.Error("wanted empty lists and those that are not there to be the same")
	}
}
