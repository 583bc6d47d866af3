package record

import (
	"encoding/binary"
	"errors"
	"math"
)

// Markers of AMF 0 values (AMF 0, 2.1).
const (
	amfNumber      = 0
	amfBoolean     = 1
	amfString      = 2
	amfObject      = 3
	amfNull        = 5
	amfUndefined   = 6
	amfArray       = 8 // of names and values, as an object
	amfEnd         = 9
	amfStrictArray = 10
	amfDate        = 11
	amfLongString  = 12
)

// amf builds values.
type amf []byte

func (b *amf) number(v float64) {
	*b = append(*b, amfNumber)
	*b = binary.BigEndian.AppendUint64(*b, math.Float64bits(v))
}

func (b *amf) text(s string) {
	*b = append(*b, amfString)
	b.name(s)
}

func (b *amf) name(s string) {
	*b = binary.BigEndian.AppendUint16(*b, uint16(len(s)))
	*b = append(*b, s...)
}

func (b *amf) null() { *b = append(*b, amfNull) }

// fields are those of an object, alternately names and values, which are strings or float64s; then its end.
func (b *amf) fields(list ...any) {
	for i := 0; i < len(list); i += 2 {
		b.name(list[i].(string))
		switch v := list[i+1].(type) {
		case string:
			b.text(v)
		case float64:
			b.number(v)
		}
	}
	*b = append(*b, 0, 0, amfEnd)
}

func (b *amf) object(list ...any) {
	*b = append(*b, amfObject)
	b.fields(list...)
}

func (b *amf) array(list ...any) {
	*b = append(*b, amfArray)
	*b = binary.BigEndian.AppendUint32(*b, uint32(len(list)/2))
	b.fields(list...)
}

// value is a value that was read: a number, a string, the fields of an object or array, or something without content.
type value struct {
	number float64
	text   string
	fields map[string]value
}

var errAMF = errors.New("malformed command")

// A server's command has a handful of values, an object in it a dozen of fields.
const (
	maxDepth  = 6
	maxValues = 256
)

// parseCommand reads the values of a command message.
func parseCommand(b []byte) (list []value, err error) {
	r := amfReader{b: b, left: maxValues}
	for len(r.b) > 0 {
		v, err := r.value(0)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

type amfReader struct {
	b    []byte
	left int // values
}

func (r *amfReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *amfReader) name() (string, bool) {
	n := r.take(2)
	if n == nil {
		return "", false
	}
	s := r.take(int(binary.BigEndian.Uint16(n)))
	return string(s), s != nil
}

func (r *amfReader) value(depth int) (v value, err error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return v, errAMF
	}
	marker := r.take(1)
	if marker == nil {
		return v, errAMF
	}
	ok := true
	switch marker[0] {
	case amfNumber:
		b := r.take(8)
		if ok = b != nil; ok {
			v.number = math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case amfBoolean:
		ok = r.take(1) != nil
	case amfString:
		v.text, ok = r.name()
	case amfLongString:
		n := r.take(4)
		if ok = n != nil; ok {
			s := r.take(int(binary.BigEndian.Uint32(n)))
			v.text, ok = string(s), s != nil
		}
	case amfNull, amfUndefined:
	case amfDate:
		ok = r.take(10) != nil
	case amfArray:
		if ok = r.take(4) != nil; ok {
			v.fields, err = r.object(depth)
		}
	case amfObject:
		v.fields, err = r.object(depth)
	case amfStrictArray:
		n := r.take(4)
		if ok = n != nil; ok {
			for range binary.BigEndian.Uint32(n) {
				if _, err := r.value(depth + 1); err != nil {
					return v, err
				}
			}
		}
	default:
		ok = false
	}
	if err == nil && !ok {
		err = errAMF
	}
	return v, err
}

func (r *amfReader) object(depth int) (map[string]value, error) {
	fields := map[string]value{}
	for {
		name, ok := r.name()
		if !ok || len(r.b) == 0 {
			return nil, errAMF
		}
		if name == "" && r.b[0] == amfEnd {
			r.take(1)
			return fields, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		fields[name] = v
	}
}
