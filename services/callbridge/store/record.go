package store

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/google/uuid"

	"rotunda/services/callbridge/schema"
)

// ID is the GUID of an object. The zero ID is that of no object, and of singletons.
type ID = uuid.UUID

// ParseID reads an ID as clients send it, in any case.
func ParseID(s string) (ID, bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && len(s) == 36
}

// Record is one object as it stood at a revision. It is never changed, so it may be kept and read without a lock.
//
// 300,000 users with a space each are in memory, so a record is one small allocation beside its header: the values that are
// set, one behind the other in the order of the table, each as the field's position, its length and its bytes. Last, under the
// position [unknown], come the members that only a newer version knows, as they stand in JSON.
type Record struct {
	object *schema.Object
	id     ID
	parent ID
	// revision of the database at which it was written last.
	revision int64
	packed   string
}

// Object is its type.
func (r *Record) Object() *schema.Object { return r.object }

// ID of the object; the zero ID of a singleton.
func (r *Record) ID() ID { return r.id }

// Parent is the object that it lives below, the zero ID where there is none.
func (r *Record) Parent() ID { return r.parent }

// Text returns the value of a field as the API shows it, "" where it is not set. The name is the API's own; one that the type does
// not have panics. A reference may name an object that is gone (see [View.Ref]).
func (r *Record) Text(field string) string { return r.at(r.object.Index(field)) }

// unknown is the position of what is no field of ours.
const unknown = 255

// at returns the value of the field at a position.
func (r *Record) at(at int) string {
	// Most fields of most objects are not set: what stands behind its place is not looked through.
	for p := r.packed; len(p) > 0 && int(p[0]) <= at; {
		size, n := uvarint(p[1:])
		if int(p[0]) == at {
			return p[1+n : 1+n+int(size)]
		}
		p = p[1+n+int(size):]
	}
	return ""
}

// Has says whether a field is set.
func (r *Record) Has(field string) bool { return r.Text(field) != "" }

// Bool returns whether a field is true; one that is not set is false.
func (r *Record) Bool(field string) bool { return r.Text(field) == "true" }

// Number returns the value of a field, and false where it is not set.
func (r *Record) Number(field string) (int64, bool) {
	n, err := strconv.ParseInt(r.Text(field), 10, 64)
	return n, err == nil
}

// Ref returns the ID that a field names, and false where it is not set.
func (r *Record) Ref(field string) (ID, bool) {
	s := r.Text(field)
	if s == "" {
		return ID{}, false
	}
	return ParseID(s)
}

// Values calls f with every field that is set, in the order of the type's table, until it returns false.
func (r *Record) Values(f func(field *schema.Field, value string) bool) {
	for at, v := range r.each {
		if !f(&r.object.Fields[at], v) {
			return
		}
	}
}

// each goes through the positions of fields that are set.
func (r *Record) each(f func(at int, value string) bool) {
	for p := r.packed; len(p) > 0 && p[0] != unknown; {
		size, n := uvarint(p[1:])
		if !f(int(p[0]), p[1+n:1+n+int(size)]) {
			return
		}
		p = p[1+n+int(size):]
	}
}

// Draft is a new object, or a change of one, on its way into the database. Its setters panic on a field that the type does not
// have; they take values in the form that [schema.Field.Parse] gives.
type Draft struct {
	object *schema.Object
	id     ID
	parent ID
	// before is what it was read as; nil for a new one.
	before *Record
	// stored is what Put made of it; nil before.
	stored *Record
	values []string // by position
}

func newDraft(o *schema.Object, id, parent ID) *Draft {
	return &Draft{object: o, id: id, parent: parent, values: make([]string, len(o.Fields))}
}

func (r *Record) draft() *Draft {
	d := newDraft(r.object, r.id, r.parent)
	d.before = r
	for at, v := range r.each {
		d.values[at] = v
	}
	return d
}

// Object is its type.
func (d *Draft) Object() *schema.Object { return d.object }

// ID of the object; a new one has its own from the start.
func (d *Draft) ID() ID { return d.id }

// Parent is the object that it lives below.
func (d *Draft) Parent() ID { return d.parent }

// Before is what it was, nil for a new one.
func (d *Draft) Before() *Record { return d.before }

// Text returns what a field is now to be.
func (d *Draft) Text(field string) string { return d.values[d.object.Index(field)] }

// Bool returns whether a field is to be true.
func (d *Draft) Bool(field string) bool { return d.Text(field) == "true" }

// Ref returns the ID that a field is to name.
func (d *Draft) Ref(field string) (ID, bool) { return ParseID(d.Text(field)) }

// Set sets a field; "" unsets it.
func (d *Draft) Set(field, value string) { d.values[d.object.Index(field)] = value }

// SetBool sets a field to true or false.
func (d *Draft) SetBool(field string, value bool) { d.Set(field, strconv.FormatBool(value)) }

// SetRef sets a field to an ID; the zero ID unsets it.
func (d *Draft) SetRef(field string, id ID) {
	if id == (ID{}) {
		d.Set(field, "")
		return
	}
	d.Set(field, id.String())
}

// Changed says whether a field differs from what it was.
func (d *Draft) Changed(field string) bool {
	if d.before == nil {
		return d.Text(field) != ""
	}
	return d.Text(field) != d.before.Text(field)
}

// pack makes a record of values by position and of members that are unknown here.
func pack(o *schema.Object, id, parent ID, revision int64, values []string, rest string) *Record {
	size := 0
	for _, v := range values {
		size += 2 + len(v)
	}
	b := make([]byte, 0, size+len(rest)+2)
	for at, v := range values {
		if v != "" {
			b = appendValue(b, at, v)
		}
	}
	if rest != "" {
		b = appendValue(b, unknown, rest)
	}
	return &Record{object: o, id: id, parent: parent, revision: revision, packed: string(b)}
}

func appendValue(b []byte, at int, value string) []byte {
	b = append(b, byte(at))
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// uvarint reads a length. What is packed was packed here, so it is whole.
func uvarint(s string) (uint64, int) {
	if s[0] < 0x80 {
		return uint64(s[0]), 1
	}
	return binary.Uvarint(unsafe.Slice(unsafe.StringData(s), min(len(s), binary.MaxVarintLen64)))
}

// String is for logs: the type and the ID, never a value.
func (r *Record) String() string { return fmt.Sprintf("%s %s", r.object.Name, r.id) }
