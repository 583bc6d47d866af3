package snmp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// oid is an object identifier.
type oid []uint32

// mustOID reads one that is written in the source.
func mustOID(text string) oid {
	var o oid
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			panic(fmt.Sprintf("object identifier %q: %v", text, err))
		}
		o = append(o, uint32(n))
	}
	return o
}

// with is a longer one that shares nothing with o.
func (o oid) with(more ...uint32) oid { return slices.Concat(o, more) }

func (o oid) String() string {
	var b strings.Builder
	for i, n := range o {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.FormatUint(uint64(n), 10))
	}
	return b.String()
}

// under says whether o is root or below it.
func (o oid) under(root oid) bool { return len(o) >= len(root) && slices.Equal(o[:len(root)], root) }

// named is the index that a name is, as IMPLIED strings are (RFC 2578 section 7.7).
func named(name string) []uint32 {
	index := make([]uint32, len(name))
	for i := range len(name) {
		index[i] = uint32(name[i])
	}
	return index
}
