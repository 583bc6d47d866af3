package collection

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"rotunda/services/callbridge/schema"
)

var update = flag.Bool("update", false, "write the collection")

const document = "../../../../docs/reference/rotunda.postman_collection.json"

func TestTheCollectionIsWhatTheDeclarationsSay(t *testing.T) {
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(Make()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(document, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the declarations say (%v): run go generate ./services/callbridge/schema/collection", document, err)
	}
}

func TestEveryTypeAndEveryVariableIsThere(t *testing.T) {
	c := Make()
	known := map[string]bool{}
	for _, v := range c.Variables {
		known[v.Key] = true
	}
	types := 0
	var walk func(items []Item)
	walk = func(items []Item) {
		for _, i := range items {
			walk(i.Items)
			if i.Request == nil {
				continue
			}
			texts := []string{i.Request.URL.Raw}
			if i.Request.Body != nil {
				for _, v := range i.Request.Body.Form {
					texts = append(texts, v.Value)
				}
			}
			for _, m := range mentions.FindAllStringSubmatch(strings.Join(texts, " "), -1) {
				if !known[m[1]] {
					t.Errorf("%s: no variable %s", i.Request.URL.Raw, m[1])
				}
			}
			if strings.ContainsAny(i.Request.URL.Raw, "<> ") {
				t.Errorf("%s is no URL", i.Request.URL.Raw)
			}
		}
	}
	walk(c.Items)
	for _, o := range schema.All() {
		if !o.Page {
			types++
		}
	}
	if got := len(c.Items) - 2; got != types {
		t.Errorf("want a folder for each of %d types, got %d", types, got)
	}
}
