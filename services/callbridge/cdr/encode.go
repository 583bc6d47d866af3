package cdr

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"time"
)

// record is one that was made. It is never changed: all receivers send the same one.
type record struct {
	correlator uint64
	// head is up to the attributes that differ between receivers, body what follows them.
	head, body string
}

// size bounds what it takes in an envelope and in a backlog: the two indexes, the gap, and what Go keeps beside it.
func (r *record) size() int { return len(r.head) + len(r.body) + 128 }

// encode writes a record without the attributes that differ between receivers.
func encode(t *Type, e *entry, correlator uint64) *record {
	var b bytes.Buffer
	t.child(&b, e)
	b.WriteString("</record>\n")
	return &record{
		correlator: correlator,
		head:       `<record type="` + t.Name + `" time="` + e.at.UTC().Format(time.RFC3339) + `"`,
		body:       b.String(),
	}
}

// child writes the element in a record.
func (t *Type) child(b *bytes.Buffer, e *entry) {
	b.WriteString("<" + t.Child + ` id="` + t.id(e).String() + `">`)
	for i := range t.Fields {
		t.Fields[i].to(b, e)
	}
	b.WriteString("</" + t.Child + ">")
}

func (f *Field) to(b *bytes.Buffer, e *entry) {
	switch {
	case f.write != nil:
		f.write(b, e)
	case f.flag != nil:
		if f.flag(e) {
			b.WriteString("<" + f.Name + "/>")
		}
	case f.value != nil:
		if text := f.value(e); text != "" {
			b.WriteString("<" + f.Name + ">")
			// What is no character of XML becomes U+FFFD; names come from far ends.
			_ = xml.EscapeText(b, []byte(text))
			b.WriteString("</" + f.Name + ">")
		}
	default:
		start := b.Len()
		b.WriteString("<" + f.Name + ">")
		empty := b.Len()
		for i := range f.Inner {
			f.Inner[i].to(b, e)
		}
		if b.Len() == empty {
			b.Truncate(start)
			return
		}
		b.WriteString("</" + f.Name + ">")
	}
}

// envelope opens a document; bridge is the Call Bridge's ID in a cluster.
func envelope(b *bytes.Buffer, session, bridge string) {
	b.WriteString(`<?xml version="1.0"?><records session="` + session + `"`)
	if bridge != "" {
		b.WriteString(` callBridge="`)
		_ = xml.EscapeText(b, []byte(bridge))
		b.WriteByte('"')
	}
	b.WriteByte('>')
}

// put writes a record for one receiver.
func (r *record) put(b *bytes.Buffer, index, missing uint64) {
	b.WriteString(r.head)
	b.WriteString(` recordIndex="` + strconv.FormatUint(index, 10) + `" correlatorIndex="` + strconv.FormatUint(r.correlator, 10) + `"`)
	if missing > 0 {
		// Spelled as receivers expect it.
		b.WriteString(` numPreceedingRecordsMissing="` + strconv.FormatUint(missing, 10) + `"`)
	}
	b.WriteString(">\n")
	b.WriteString(r.body)
}

const closing = "</records>"
