package api

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Element is a piece of XML: a name with text or with further elements.
type Element struct {
	Name, Text string
	Attributes []Attribute
	Elements   []Element
}

// Attribute of an [Element].
type Attribute struct{ Name, Value string }

// Text makes an element with text.
func Text(name, text string) Element { return Element{Name: name, Text: text} }

// declaration begins every document. It names no encoding, so it is UTF-8 (XML 1.0, section 4.3.3).
const declaration = `<?xml version="1.0"?>`

// document writes a whole document.
func document(root Element) []byte {
	var b bytes.Buffer
	b.WriteString(declaration)
	root.write(&b, "/>")
	return b.Bytes()
}

// write ends an element without content by end: clients compare text, and failures have a space before the slash (reference
// section 1) where other elements have none.
func (e Element) write(b *bytes.Buffer, end string) {
	b.WriteByte('<')
	b.WriteString(e.Name)
	for _, a := range e.Attributes {
		b.WriteByte(' ')
		b.WriteString(a.Name)
		b.WriteString(`="`)
		escape(b, a.Value, true)
		b.WriteByte('"')
	}
	if e.Text == "" && len(e.Elements) == 0 {
		b.WriteString(end)
		return
	}
	b.WriteByte('>')
	escape(b, e.Text, false)
	for _, inner := range e.Elements {
		inner.write(b, end)
	}
	b.WriteString("</")
	b.WriteString(e.Name)
	b.WriteByte('>')
}

// escape writes text so that every parser reads it back. Characters that XML 1.0 (section 2.2) cannot hold at all, which clients may
// store since forms can, become U+FFFD.
func escape(b *bytes.Buffer, s string, attribute bool) {
	from := 0
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		r := ""
		switch {
		case c == '&':
			r = "&amp;"
		case c == '<':
			r = "&lt;"
		case c == '>':
			r = "&gt;"
		case c == '"' && attribute:
			r = "&quot;"
		case c == '\r':
			r = "&#13;"
		case c == '\n' && attribute:
			r = "&#10;"
		case c == '\t' && attribute:
			r = "&#9;"
		case c < ' ' && c != '\n' && c != '\t', c == utf8.RuneError && size == 1, c == 0xFFFE, c == 0xFFFF:
			r = "\uFFFD"
		}
		if r != "" {
			b.WriteString(s[from:i])
			b.WriteString(r)
			from = i + size
		}
		i += size
	}
	b.WriteString(s[from:])
}

// fold is how names of paths and parameters are compared.
func fold(s string) string { return strings.ToLower(s) }
