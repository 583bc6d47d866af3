package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
	"unsafe"
)

// A value is a JSON object of the names of fields and their texts. Members that the table does not have were written by a newer
// version: they are kept as they are and written back.

// decode makes a record of a stored value.
func (k *kind) decode(id, parent ID, revision int64, value []byte) (*Record, error) {
	if !utf8.Valid(value) {
		return nil, errors.New("the stored value is not UTF-8 text")
	}
	p := value
	var ok bool
	if p, ok = skip(p, '{'); !ok {
		return nil, errors.New("the stored value is no JSON object")
	}
	// Nearly every value is as encode writes it: texts without escapes, in the order of the table. Whatever is not goes through
	// encoding/json.
	var room [512]byte
	packed, last := room[:0], -1
	whole := func() (*Record, error) {
		return &Record{object: k.object, id: id, parent: parent, revision: revision, packed: string(packed)}, nil
	}
	if rest, ok := skip(p, '}'); ok && len(rest) == 0 {
		return whole()
	}
	for {
		name, more, ok := plain(p)
		if !ok {
			break
		}
		at, known := k.fields[string(name)]
		if !known || at <= last {
			break
		}
		last = at
		if more, ok = skip(more, ':'); !ok {
			break
		}
		text, more, ok := plain(more)
		if !ok {
			break
		}
		if len(text) > 0 {
			packed = appendValue(packed, at, unsafe.String(unsafe.SliceData(text), len(text)))
		}
		if p, ok = skip(more, ','); ok {
			continue
		}
		if p, ok = skip(more, '}'); ok && len(p) == 0 {
			return whole()
		}
		break
	}
	return k.decodeAny(id, parent, revision, value)
}

// skip takes one sign and the white space around it.
func skip(p []byte, sign byte) ([]byte, bool) {
	p = dense(p)
	if len(p) == 0 || p[0] != sign {
		return p, false
	}
	return dense(p[1:]), true
}

// dense takes white space away, of which there is hardly ever any.
func dense(p []byte) []byte {
	if len(p) > 0 && p[0] > ' ' {
		return p
	}
	return bytes.TrimLeft(p, " \t\r\n")
}

// plain takes a string without escapes.
func plain(p []byte) (text, rest []byte, ok bool) {
	if len(p) == 0 || p[0] != '"' {
		return nil, p, false
	}
	for i, c := range p[1:] {
		switch {
		case c == '"':
			return p[1 : i+1], p[i+2:], true
		case c == '\\' || c < ' ':
			return nil, p, false
		}
	}
	return nil, p, false
}

// decodeAny reads any JSON object.
func (k *kind) decodeAny(id, parent ID, revision int64, value []byte) (*Record, error) {
	values := make([]string, len(k.object.Fields))
	var rest []byte
	d := json.NewDecoder(bytes.NewReader(value))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the stored value is no JSON object")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("the stored value: %w", err)
		}
		name, _ := t.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, fmt.Errorf("the stored value: %w", err)
		}
		at, known := k.fields[name]
		if !known {
			if len(rest) > 0 {
				rest = append(rest, ',')
			}
			rest = appendQuoted(rest, name)
			rest = append(rest, ':')
			rest = append(rest, raw...)
			continue
		}
		switch raw[0] {
		case '"':
			if err := json.Unmarshal(raw, &values[at]); err != nil {
				return nil, fmt.Errorf("the stored value: %s: %w", name, err)
			}
		case 'n':
			values[at] = ""
		case '{', '[':
			return nil, fmt.Errorf("the stored value: %s is not a text", name)
		default:
			values[at] = string(raw)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("the stored value: %w", err)
	}
	if len(bytes.TrimLeft(value[d.InputOffset():], " \t\r\n")) > 0 {
		return nil, errors.New("the stored value: more follows the JSON object")
	}
	return pack(k.object, id, parent, revision, values, string(rest)), nil
}

// encode is what is stored of a record.
func encode(r *Record) string {
	b := make([]byte, 0, len(r.packed)*2)
	b = append(b, '{')
	for at, v := range r.each {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendQuoted(b, r.object.Fields[at].Key())
		b = append(b, ':')
		b = appendQuoted(b, v)
	}
	if rest := r.at(unknown); rest != "" {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, rest...)
	}
	return string(append(b, '}'))
}

func appendQuoted(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			q, _ := json.Marshal(s)
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
