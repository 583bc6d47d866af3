package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
)

// texts are the fields of a record.
func texts(r *Record) map[string]string {
	m := map[string]string{}
	for f, v := range r.Values {
		m[f.Key()] = v
	}
	return m
}

func TestValuesOfEveryForm(t *testing.T) {
	k := tables().kind(schema.CoSpace)
	for _, c := range []struct {
		value string
		want  map[string]string
		rest  string
	}{
		{`{}`, nil, ""},
		{" {\n} ", nil, ""},
		{`{"name":"a","callId":"1"}`, map[string]string{"name": "a", "callId": "1"}, ""},
		{`{ "callId" : "1" , "name" : "ä" }`, map[string]string{"name": "ä", "callId": "1"}, ""},
		{`{"name":"a\"\\\n\u00e4"}`, map[string]string{"name": "a\"\\\nä"}, ""},
		{`{"name":"a","name":"b"}`, map[string]string{"name": "b"}, ""},
		{`{"name":"a","name":""}`, nil, ""},
		{`{"name":true,"callId":12,"uri":null}`, map[string]string{"name": "true", "callId": "12"}, ""},
		{`{"x":{"y":[1, 2]},"name":"a","z":null}`, map[string]string{"name": "a"}, `"x":{"y":[1, 2]},"z":null`},
	} {
		r, err := k.decode(uuid.New(), ID{}, 7, []byte(c.value))
		if err != nil {
			t.Errorf("%s: %v", c.value, err)
			continue
		}
		if got := texts(r); !maps.Equal(got, c.want) || r.at(unknown) != c.rest {
			t.Errorf("%s: got %v and %q, want %v and %q", c.value, got, r.at(unknown), c.want, c.rest)
		}
	}
	for _, value := range []string{"", "null", "[]", `{"name":"a"`, `{"name":"a"}x`, `{"name":"a"}{}`, `{"name":["a"]}`, `{"name":{}}`, `{"name"}`, `{"name":"a",}`,
		`{"name":"a}`, "{\"name\":\"\xff\"}", `{"name":"a\x"}`, "{\"name\":\"\n\"}"} {
		if r, err := k.decode(uuid.New(), ID{}, 7, []byte(value)); err == nil {
			t.Errorf("%q was read as %v", value, texts(r))
		}
	}
}

// FuzzDecode has the decoder agree with encoding/json on what a value has, and read what it wrote.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"a","uri":"b","callId":"123"}`, `{"name":"ä\u0000\"","colour":{"r":[1,2]},"nonMemberAccess":true}`, `{"name":null,"x":"y"}`,
		` { "name" : "a" } `, `{"name":"a","name":"b"}`, `{"name":{}}`, `{"name":"` + strings.Repeat("x", 300) + `"}`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"name":1e999,"x":-0.1E+5}`))
	k := tables().kind(schema.CoSpace)
	f.Fuzz(func(t *testing.T, value []byte) {
		id := uuid.New()
		r, err := k.decode(id, ID{}, 1, value)
		var plain map[string]any
		d := json.NewDecoder(bytes.NewReader(value))
		d.UseNumber() // a number of any size is a text here
		valid := json.Valid(value) && d.Decode(&plain) == nil && plain != nil && utf8.Valid(value)
		if err != nil {
			if !valid {
				return
			}
			for _, f := range schema.CoSpace.Fields {
				switch plain[f.Key()].(type) {
				case map[string]any, []any:
					return
				}
			}
			if strings.Count(string(value), `"`) > 2*len(plain) {
				return // one of several members of a name may be what is wrong
			}
			t.Fatalf("%q was refused: %v", value, err)
		}
		if !valid {
			t.Fatalf("%q was read as %v", value, texts(r))
		}
		got := texts(r)
		for _, f := range schema.CoSpace.Fields {
			if want, ok := plain[f.Key()].(string); ok && got[f.Key()] != want {
				t.Fatalf("%q: %s is %q, want %q", value, f.Key(), got[f.Key()], want)
			}
		}
		written := encode(r)
		again, err := k.decode(id, ID{}, 1, []byte(written))
		if err != nil || again.packed != r.packed {
			t.Fatalf("%q was written as %q, which is read as %v, %v", value, written, again, err)
		}
	})
}

// FuzzKey has only keys that this package makes read as objects.
func FuzzKey(f *testing.F) {
	m, machine := tables(), uuid.MustParse("7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11")
	a, b := uuid.New(), uuid.New()
	for _, o := range []*schema.Object{schema.CoSpace, schema.AccessMethod, schema.Of("cdrReceivers"), schema.Of("profiles")} {
		f.Add(m.key(machine, o, a, b))
	}
	f.Add("/o/coSpaces/" + strings.ToUpper(a.String()))
	f.Add("/o/coSpaces/" + a.String() + "/users/" + b.String())
	f.Add("/f/coSpaceUri/1")
	f.Fuzz(func(t *testing.T, key string) {
		k, parent, id := m.parse(machine, key)
		if k != nil && m.key(machine, k.object, parent, id) != key {
			t.Errorf("%q was read as %s %s below %s", key, k.object.Name, id, parent)
		}
	})
}

func TestKeysAreReadAsWhatTheyWereMadeOf(t *testing.T) {
	m, machine := tables(), uuid.New()
	for _, k := range m.kinds {
		if k.object.Live {
			continue
		}
		var parent ID
		id := uuid.New()
		if k.parent != nil {
			parent = uuid.New()
		}
		if k.object.Singleton {
			id = ID{}
		}
		key := m.key(machine, k.object, parent, id)
		if gk, gp, gid := m.parse(machine, key); gk != k || gp != parent || gid != id {
			t.Errorf("%s: got %v %s %s", key, gk, gp, gid)
		}
		if k.object.Local {
			if gk, _, _ := m.parse(uuid.New(), key); gk != nil {
				t.Errorf("%s is read on another machine", key)
			}
		}
	}
}

func TestFencesAreTheSameInEveryVersion(t *testing.T) {
	x := tables().index("coSpaceUri")
	for value, want := range map[string]string{"a": "/f/coSpaceUri/44", "foobar": "/f/coSpaceUri/40", "": "/f/coSpaceUri/5"} {
		if got := x.fence(value); got != want {
			t.Errorf("the fence of %q is %s, want %s", value, got, want)
		}
	}
}
