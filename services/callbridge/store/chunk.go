package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
	"sync/atomic"
)

// sorted is the records of a type in the order of lists, in chunks. Neither it nor a chunk is ever changed: a reader goes on with
// the one it took while there is a new one, and what was found in a chunk is found there as long as there is that chunk.
type sorted struct {
	chunks []*chunk
	length int
}

// chunk is some neighbours.
type chunk struct {
	records []*Record
	// seen is what filters look into. It is made at the first look, or by warm: an import changes most chunks again and again.
	seen atomic.Pointer[face]
}

// face is the text that filters look into, so that a filter reads memory from front to back and looks at a record only where it
// matches.
type face struct {
	// text is the searched fields of every record, folded, each with a NUL behind it; ends are where records end in it.
	text string
	ends []uint32
	// columns are the fields that clients compare, in the order of kind.filters.
	columns []column
}

// column is the values of one field: the different ones, and which one each record has.
type column struct {
	values []string
	which  []byte
}

// A chunk has at most mostRecords, so that a record within one is a byte. It is split in halves beyond, and joined with the one before it
// when both have few.
const (
	mostRecords = 256
	fullRecords = 224
	fewRecords  = 96
)

// face makes the face at the first look. Two who look at the same time make the same one.
func (c *chunk) face(k *kind) *face {
	if f := c.seen.Load(); f != nil {
		return f
	}
	f := &face{ends: make([]uint32, len(c.records)), columns: make([]column, len(k.filters))}
	var text []byte
	for i, r := range c.records {
		for _, at := range k.search {
			if v := r.at(at); v != "" {
				text = append(appendFold(text, v), 0)
			}
		}
		f.ends[i] = uint32(len(text))
	}
	f.text = string(text)
	for i, at := range k.filters {
		f.columns[i] = newColumn(c.records, at)
	}
	c.seen.Store(f)
	return f
}

// warm makes every face, before somebody waits for it.
func (s *sorted) warm(k *kind) {
	for _, c := range s.chunks {
		c.face(k)
	}
}

func newColumn(records []*Record, at int) column {
	var c column
	known := map[string]byte{}
	last, which := "", byte(0)
	for i, r := range records {
		v := r.at(at)
		if i == 0 || v != last {
			var ok bool
			if which, ok = known[v]; !ok {
				which = byte(len(c.values))
				known[v] = which
				c.values = append(c.values, v)
			}
			last = v
		}
		if len(c.values) > 1 && c.which == nil {
			c.which = make([]byte, len(records))
		}
		if c.which != nil {
			c.which[i] = which
		}
	}
	return c
}

// search returns the positions of the records whose text has a folded part.
func (c *face) search(part needle) []byte {
	var hits []byte
	for from, at := 0, 0; ; {
		i := part.index(c.text[from:])
		if i < 0 {
			return hits
		}
		pos := uint32(from + i)
		for c.ends[at] <= pos {
			at++
		}
		hits = append(hits, byte(at))
		from = int(c.ends[at])
		if at++; at == len(c.ends) {
			return hits
		}
	}
}

// equal returns the positions of the records that have a value.
func (c column) equal(length int, value string) []byte {
	i := slices.Index(c.values, value)
	switch {
	case i < 0:
		return nil
	case c.which == nil:
		return positions(length)
	}
	hits := make([]byte, 0, bytes.Count(c.which, []byte{byte(i)}))
	for at, w := range c.which {
		if w == byte(i) {
			hits = append(hits, byte(at))
		}
	}
	return hits
}

var everyPosition = func() []byte {
	p := make([]byte, mostRecords)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}()

func positions(length int) []byte { return everyPosition[:length:length] }

// newSorted arranges records, and keeps the slice's array.
func newSorted(k *kind, records []*Record) *sorted {
	// Looking the text up at each comparison would take most of the time.
	type row struct {
		// first are the first bytes of the folded text, as a number that has their order.
		first  uint64
		text   string
		record *Record
	}
	rows := make([]row, len(records))
	var folded []byte
	for i, r := range records {
		rows[i].record = r
		if k.order >= 0 {
			rows[i].text = r.at(k.order)
			folded = appendFold(folded[:0], rows[i].text)
			var first [8]byte
			copy(first[:], folded)
			rows[i].first = binary.BigEndian.Uint64(first[:])
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		if c := compareFold(a.text, b.text); c != 0 {
			return c
		}
		return bytes.Compare(a.record.id[:], b.record.id[:])
	})
	for i, r := range rows {
		records[i] = r.record
	}
	s := &sorted{length: len(records)}
	for len(records) > 0 {
		n := min(fullRecords, len(records))
		s.chunks = append(s.chunks, &chunk{records: records[:n:n]})
		records = records[n:]
	}
	return s
}

// change is one object before and after; one of both may be nil.
type change struct {
	kind          *kind
	before, after *Record
}

// changed is the list after changes of different objects.
func (s *sorted) changed(k *kind, changes []change) *sorted {
	if len(s.chunks) == 0 {
		var records []*Record
		for _, c := range changes {
			if c.after != nil {
				records = append(records, c.after)
			}
		}
		return newSorted(k, records)
	}
	touched := map[int][]*Record{}
	edit := func(r *Record) (chunk, at int, found bool) {
		chunk = min(sort.Search(len(s.chunks), func(i int) bool {
			c := s.chunks[i].records
			return k.compare(c[len(c)-1], r) >= 0
		}), len(s.chunks)-1)
		if touched[chunk] == nil {
			touched[chunk] = slices.Clone(s.chunks[chunk].records)
		}
		at, found = slices.BinarySearchFunc(touched[chunk], r, k.compare)
		return
	}
	length := s.length
	for _, c := range changes {
		if c.before != nil {
			i, at, found := edit(c.before)
			if !found {
				panic("store: " + c.before.String() + " is not in its list")
			}
			if c.after != nil && k.compare(c.before, c.after) == 0 {
				touched[i][at] = c.after
				continue
			}
			touched[i] = slices.Delete(touched[i], at, at+1)
			length--
		}
		if c.after != nil {
			i, at, _ := edit(c.after)
			touched[i] = slices.Insert(touched[i], at, c.after)
			length++
		}
	}
	next := &sorted{chunks: make([]*chunk, 0, len(s.chunks)+len(touched)), length: length}
	for i, c := range s.chunks {
		records, ok := touched[i]
		if !ok {
			next.chunks = append(next.chunks, c)
			continue
		}
		if n := len(next.chunks); n > 0 && len(records) < fewRecords && len(next.chunks[n-1].records) < fewRecords {
			records = slices.Concat(next.chunks[n-1].records, records)
			next.chunks = next.chunks[:n-1]
		}
		// Many at once may fill a chunk several times over.
		parts := (len(records) + mostRecords - 1) / mostRecords
		for ; parts > 0; parts-- {
			n := len(records) / parts
			next.chunks = append(next.chunks, &chunk{records: records[:n:n]})
			records = records[n:]
		}
	}
	return next
}
