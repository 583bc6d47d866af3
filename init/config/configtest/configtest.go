// Package configtest makes documents in which every setting is something, and changes one at a time, for tests that must not forget one.
package configtest

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
)

// Fill sets everything below to values that differ.
func Fill(v reflect.Value, n *int) {
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
			Fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			Fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			Fill(key, n)
			Fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		Fill(v.Elem(), n)
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

// Each visits every value below that an edit may reach, with its path, as in "TLS.SIP.Trust", and what takes it away.
func Each(v reflect.Value, path string, visit func(path string, change func())) {
	switch v.Kind() {
	case reflect.Struct:
		if _, flat := v.Interface().(netip.Addr); !flat && v.Type() != reflect.TypeFor[netip.Prefix]() {
			for i := range v.NumField() {
				Each(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), visit)
			}
			return
		}
	case reflect.Slice:
		for i := range v.Len() {
			Each(v.Index(i), path, visit)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			one := reflect.New(v.Type().Elem()).Elem()
			one.Set(v.MapIndex(k))
			Each(one, path, func(path string, change func()) {
				visit(path, func() {
					change()
					v.SetMapIndex(k, one)
				})
			})
		}
	case reflect.Pointer:
		Each(v.Elem(), path, visit)
		return
	}
	visit(path, func() { v.Set(reflect.Zero(v.Type())) })
}
