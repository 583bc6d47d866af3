package powercut

import (
	"errors"
	"hash/maphash"
	"io"
	"maps"
)

// chunkSectors is the number of sectors that share one fingerprint: 64 KiB.
const chunkSectors = 128

// sector is what one sector holds that differs from the base.
type sector struct {
	data []byte
	// mark is the fingerprint of the sector's number and content.
	mark uint64
}

// Disk is one state of a disk: a base that is never written to, and the sectors that differ from it. Two states with
// equal content have equal fingerprints, however they came about.
type Disk struct {
	base   io.ReaderAt
	size   int64
	parent *Disk
	own    map[int64]sector
	// marks holds, for every chunk that differs from the parent, the sum (exclusive or) of the marks of its sectors.
	marks map[int64]uint64
	// reads, if set, learns the chunks that are read.
	reads map[int64]struct{}
}

var seed = maphash.MakeSeed()

// NewDisk returns the state that equals base.
func NewDisk(base io.ReaderAt, size int64) *Disk {
	return &Disk{base: base, size: size, own: map[int64]sector{}, marks: map[int64]uint64{}}
}

// Fork returns a state that equals d and whose writes do not change d. While forks are in use, d must not be written to.
func (d *Disk) Fork() *Disk {
	return &Disk{base: d.base, size: d.size, parent: d, own: map[int64]sector{}, marks: map[int64]uint64{}}
}

// merge writes all that child has of its own to d, its parent.
func (d *Disk) merge(child *Disk) {
	maps.Copy(d.own, child.own)
	maps.Copy(d.marks, child.marks)
	clear(child.own)
	clear(child.marks)
}

// Size in bytes.
func (d *Disk) Size() int64 { return d.size }

func (d *Disk) sector(n int64) (sector, bool) {
	for ; d != nil; d = d.parent {
		if s, ok := d.own[n]; ok {
			return s, true
		}
	}
	return sector{}, false
}

// fingerprint of one chunk; 0 if it equals the base's.
func (d *Disk) fingerprint(chunk int64) uint64 {
	for ; d != nil; d = d.parent {
		if m, ok := d.marks[chunk]; ok {
			return m
		}
	}
	return 0
}

// put writes one sector; data is kept.
func (d *Disk) put(n int64, data []byte) {
	chunk := n / chunkSectors
	mark := d.fingerprint(chunk)
	if old, ok := d.sector(n); ok {
		mark ^= old.mark
	}
	var h maphash.Hash
	h.SetSeed(seed)
	var number [8]byte
	for i := range number {
		number[i] = byte(n >> (8 * i))
	}
	_, _ = h.Write(number[:])
	_, _ = h.Write(data)
	s := sector{data, h.Sum64()}
	d.own[n] = s
	d.marks[chunk] = mark ^ s.mark
}

// ReadAt implements [io.ReaderAt].
func (d *Disk) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset > d.size {
		return 0, errors.New("read beyond the disk")
	}
	short := false
	if int64(len(p)) > d.size-offset {
		p, short = p[:d.size-offset], true
	}
	if len(p) == 0 {
		if short {
			return 0, io.EOF
		}
		return 0, nil
	}
	if d.reads != nil {
		for c := offset / SectorSize / chunkSectors; c <= (offset+int64(len(p))-1)/SectorSize/chunkSectors; c++ {
			d.reads[c] = struct{}{}
		}
	}
	if n, err := d.base.ReadAt(p, offset); err != nil && (err != io.EOF || n < len(p)) {
		return n, err
	}
	const chunkSize = chunkSectors * SectorSize
	for at := offset; at < offset+int64(len(p)); {
		end := min((at/chunkSize+1)*chunkSize, offset+int64(len(p)))
		if !d.touched(at / chunkSize) {
			at = end
			continue
		}
		for at < end {
			n := at / SectorSize
			next := min((n+1)*SectorSize, end)
			if s, ok := d.sector(n); ok {
				copy(p[at-offset:next-offset], s.data[at-n*SectorSize:])
			}
			at = next
		}
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

// touched tells whether a chunk was ever written to.
func (d *Disk) touched(chunk int64) bool {
	for ; d != nil; d = d.parent {
		if _, ok := d.marks[chunk]; ok {
			return true
		}
	}
	return false
}

// WriteAt and Sync exist because a volume may be opened only on a device that has them; a checker must not write.
func (d *Disk) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }

// Sync does nothing.
func (d *Disk) Sync() error { return nil }

var errReadOnly = errors.New("the state of a disk is read-only")

// Export writes what differs from the base to w.
func (d *Disk) Export(w io.WriterAt) error {
	if d.parent != nil {
		if err := d.parent.Export(w); err != nil {
			return err
		}
	}
	for n, s := range d.own {
		if _, err := w.WriteAt(s.data, n*SectorSize); err != nil {
			return err
		}
	}
	return nil
}

// Memo remembers what a check said about what it read. A check is a pure function of the bytes that it reads; so its
// answer stands for every state that holds the same bytes in the same places, and the check need not run again. This is
// what makes it possible to check every prefix of a log: most writes touch nothing that a given check looks at.
type Memo[T any] struct {
	known []remembered[T]
	// Hits and Runs count answers from memory and computed ones.
	Hits, Runs int
}

type remembered[T any] struct {
	marks  map[int64]uint64
	answer T
}

// memoDepth is how many answers a memo keeps. States with dropped writes alternate with the prefix that they come from.
const memoDepth = 8

// Do returns what check says of d.
func (m *Memo[T]) Do(d *Disk, check func(*Disk) T) T {
	for i := len(m.known) - 1; i >= 0; i-- {
		if m.known[i].holds(d) {
			m.Hits++
			return m.known[i].answer
		}
	}
	m.Runs++
	traced := *d
	traced.reads = map[int64]struct{}{}
	answer := check(&traced)
	r := remembered[T]{map[int64]uint64{}, answer}
	for c := range traced.reads {
		r.marks[c] = d.fingerprint(c)
		if d.reads != nil {
			d.reads[c] = struct{}{}
		}
	}
	if m.known = append(m.known, r); len(m.known) > memoDepth {
		m.known = m.known[1:]
	}
	return answer
}

func (r remembered[T]) holds(d *Disk) bool {
	for c, mark := range r.marks {
		if d.fingerprint(c) != mark {
			return false
		}
	}
	if d.reads != nil {
		for c := range r.marks {
			d.reads[c] = struct{}{}
		}
	}
	return true
}
