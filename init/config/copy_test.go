package config

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"rotunda/init/config/configtest"
)

// full is a document in which nothing is empty.
func full() *Document {
	d := new(Document)
	n := 0
	configtest.Fill(reflect.ValueOf(d).Elem(), &n)
	return d
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
	configtest.Each(reflect.ValueOf(c).Elem(), "", func(_ string, change func()) {
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
	configtest.Each(reflect.ValueOf(original.Clone()).Elem(), "", func(string, func()) { settings++ })
	for n := range settings {
		c := original.Clone()
		at := 0
		configtest.Each(reflect.ValueOf(c).Elem(), "", func(_ string, change func()) {
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

func TestEverySettingIsReadAsItWasWritten(t *testing.T) {
	original := full()
	settings := 0
	configtest.Each(reflect.ValueOf(original.Clone()).Elem(), "", func(string, func()) { settings++ })
	for n := range settings {
		c := original.Clone()
		at, name := 0, ""
		configtest.Each(reflect.ValueOf(c).Elem(), "", func(path string, change func()) {
			if at == n {
				change()
				name = path
			}
			at++
		})
		data, err := encodeGeneration(Schema, 1, time.Unix(0, 0), nil, json.RawMessage(encoded(t, c)))
		if err != nil {
			t.Fatal(err)
		}
		g, err := decodeGeneration(data)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Decode(g.Document); err != nil || !back.Equal(c) {
			t.Errorf("%s taken away: read back as\n%s, %v, want\n%s", name, encoded(t, back), err, encoded(t, c))
		}
	}
}
