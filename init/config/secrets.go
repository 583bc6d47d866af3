package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// NotShown stands where a secret is set.
const NotShown = "(not shown)"

// secretNames are parts of the names of fields that hold secrets. What a field is called decides, so that a setting that comes later
// is kept back without anybody thinking of it.
var secretNames = []string{"password", "passphrase", "passcode", "secret", "token", "community", "credential", "privatekey"}

// secretTypes are those whose name alone is a secret, with the field.
var secretTypes = map[reflect.Type]string{reflect.TypeFor[SNMPCommunity](): "Name"}

// WithoutSecrets is a copy for eyes that may see how a machine is set up and not what its secrets are: log bundles and live.json. Names
// of key files stay, since a name opens nothing.
func (d *Document) WithoutSecrets() (*Document, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("copy the configuration: %w", err)
	}
	c, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("copy the configuration: %w", err)
	}
	blank(reflect.ValueOf(c).Elem(), false)
	return c, nil
}

// blank walks through what can be set; secret says that everything below is one.
func blank(v reflect.Value, secret bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			blank(v.Elem(), secret)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() {
				blank(v.Field(i), secret || isSecret(f.Name) || secretTypes[v.Type()] == f.Name)
			}
		}
	case reflect.Slice:
		// Bytes are keys, whatever they are called.
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Len() > 0 {
				v.Set(reflect.Zero(v.Type()))
			}
			return
		}
		for i := range v.Len() {
			blank(v.Index(i), secret)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			one := reflect.New(v.Type().Elem()).Elem()
			one.Set(v.MapIndex(k))
			blank(one, secret)
			v.SetMapIndex(k, one)
		}
	case reflect.String:
		if secret && v.Len() > 0 {
			v.SetString(NotShown)
		}
	}
}

func isSecret(field string) bool {
	name := strings.ToLower(field)
	for _, part := range secretNames {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
