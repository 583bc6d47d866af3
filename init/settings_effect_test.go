package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"rotunda/init/config"
	"rotunda/init/config/configtest"
)

// elsewhere are settings that no service is told of, with who makes them so: at a start as at a change.
var elsewhere = map[string]string{
	"Interfaces":       "init/network, by network.Manager.Apply",
	"DefaultInterface": "init/network, by network.Manager.Apply",
	"Firewall":         "init/firewall, by machine.guard",
	"DSCP":             "init/firewall, by machine.guard",
	"FIPS":             "the environment of services, by machine.specs",
	"TLS.RTMPS":        "a streamer, which is not there yet: nobody",
}

// TestEverySettingReachesWhoItIsFor: a setting that is stored and that nobody is told of would be in force nowhere. What services are told
// is made from the document in the same way at a start, after a change, after a restart of the service and after a rollback.
func TestEverySettingReachesWhoItIsFor(t *testing.T) {
	full := new(config.Document)
	n := 0
	configtest.Fill(reflect.ValueOf(full).Elem(), &n)
	told := func(doc *config.Document) string {
		g := &gathering{files: t.TempDir(), looks: true, devices: map[string]string{}}
		var all []any
		for _, s := range configuredServices {
			all = append(all, s.user.Name, s.wanted(doc), s.settings(g, doc))
		}
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), g.files, "")
	}
	before := told(full)
	if told(full.Clone()) != before {
		t.Fatal("the same document is told in another way")
	}
	paths, known := []string{}, map[string]bool{}
	configtest.Each(reflect.ValueOf(full.Clone()).Elem(), "", func(path string, _ func()) { paths = append(paths, path) })
	for at, path := range paths {
		if other := whose(path); other != "" {
			known[other] = true
			continue
		}
		c, i := full.Clone(), 0
		configtest.Each(reflect.ValueOf(c).Elem(), "", func(_ string, change func()) {
			if i == at {
				change()
			}
			i++
		})
		if told(c) == before {
			t.Errorf("%s: no service is told of it", path)
		}
	}
	if len(known) != len(elsewhere) {
		t.Errorf("wanted settings for each of %v, got %v", elsewhere, known)
	}
}

// whose is the entry of elsewhere that a setting belongs to.
func whose(path string) string {
	for prefix := range elsewhere {
		if path == prefix || strings.HasPrefix(path, prefix+".") {
			return prefix
		}
	}
	return ""
}
