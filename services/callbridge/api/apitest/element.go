// Package apitest reads what the API answers, for tests: XML as it comes, whatever its names are.
package apitest

import (
	"encoding/xml"
	"strings"
)

// Element is one element with all that is in it.
type Element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []Element  `xml:",any"`
}

// Parse reads an answer.
func Parse(b []byte) (e Element, err error) {
	err = xml.Unmarshal(b, &e)
	return e, err
}

// At returns the text below a path of names, of the first of each name; "" for nothing.
func (e Element) At(path ...string) string {
	for _, name := range path {
		found := false
		for _, c := range e.Children {
			if c.XMLName.Local == name {
				e, found = c, true
				break
			}
		}
		if !found {
			return ""
		}
	}
	return strings.TrimSpace(e.Text)
}

// Attr returns an attribute, "" for none.
func (e Element) Attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
