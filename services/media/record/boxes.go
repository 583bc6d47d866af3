package record

import "encoding/binary"

// boxes builds ISO boxes: open writes a header, close puts the size into it.
type boxes []byte

func (b *boxes) open(kind string) (at int) {
	at = len(*b)
	*b = append(*b, 0, 0, 0, 0)
	*b = append(*b, kind...)
	return at
}

// full opens a box with version and flags.
func (b *boxes) full(kind string, version byte, flags uint32) (at int) {
	at = b.open(kind)
	b.u32(uint32(version)<<24 | flags)
	return at
}

func (b *boxes) close(at int)      { binary.BigEndian.PutUint32((*b)[at:], uint32(len(*b)-at)) }
func (b *boxes) u8(v ...byte)      { *b = append(*b, v...) }
func (b *boxes) u16(v uint16)      { *b = binary.BigEndian.AppendUint16(*b, v) }
func (b *boxes) u32(v uint32)      { *b = binary.BigEndian.AppendUint32(*b, v) }
func (b *boxes) u64(v uint64)      { *b = binary.BigEndian.AppendUint64(*b, v) }
func (b *boxes) text(s string)     { *b = append(*b, s...) }
func (b *boxes) zero(n int)        { *b = append(*b, make([]byte, n)...) }
func (b *boxes) set(at int, v int) { binary.BigEndian.PutUint32((*b)[at:], uint32(v)) }

// boxHeader reads the header of a box. It fails on sizes that end inside of the header; a size of 0, which means "to the end of
// the file", is none of ours.
func boxHeader(b []byte) (kind string, header int, size uint64, ok bool) {
	if len(b) < 8 {
		return "", 0, 0, false
	}
	header, size = 8, uint64(binary.BigEndian.Uint32(b))
	if size == 1 {
		if len(b) < 16 {
			return "", 0, 0, false
		}
		header, size = 16, binary.BigEndian.Uint64(b[8:])
	}
	if size < uint64(header) || size > 1<<62 {
		return "", 0, 0, false
	}
	return string(b[4:8]), header, size, true
}

// nextBox splits the first box off b.
func nextBox(b []byte) (kind string, body, rest []byte, ok bool) {
	kind, header, size, ok := boxHeader(b)
	if !ok || size > uint64(len(b)) {
		return "", nil, nil, false
	}
	return kind, b[header:size], b[size:], true
}

// child finds the box at the end of a path of kinds; of several with one name the first.
func child(b []byte, path ...string) ([]byte, bool) {
	for _, want := range path {
		for {
			kind, body, rest, ok := nextBox(b)
			if !ok {
				return nil, false
			}
			if kind == want {
				b = body
				break
			}
			b = rest
		}
	}
	return b, true
}
