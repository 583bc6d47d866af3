package fat

import (
	"fmt"
)

// table is the FAT in memory, read once when the volume is opened.
type table struct {
	g       geometry
	entries []uint32
	// dirty has one bit for each sector of the FAT that differs from the disk.
	dirty bitset
}

// run is a row of neighbouring clusters.
type run struct{ first, n uint32 }

type bitset []uint64

func newBitset(n uint32) bitset    { return make(bitset, (n+63)/64) }
func (b bitset) has(i uint32) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitset) add(i uint32)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) remove(i uint32)   { b[i/64] &^= 1 << (i % 64) }
func newTable(g geometry) *table {
	return &table{g: g, entries: make([]uint32, g.clusters+2), dirty: newBitset(g.fatSectors)}
}

// readTable reads the active copy, and another one if that cannot be read. For the clusters of live names all copies
// say the same (invariant 2), so any will do.
func readTable(dev BlockDevice, g geometry) (*table, error) {
	t := newTable(g)
	var firstErr error
	for i := range g.fats {
		fat := (g.activeFAT + i) % g.fats
		err := t.read(dev, int64(g.fatStart+fat*g.fatSectors)*sectorSize)
		if err == nil {
			return t, nil
		}
		if firstErr == nil {
			firstErr = fmt.Errorf("read FAT: %w", err)
		}
	}
	return nil, firstErr
}

func (t *table) read(dev BlockDevice, off int64) error {
	buf := make([]byte, 1<<18)
	for i := 0; i < len(t.entries); {
		n := min(len(t.entries)-i, len(buf)/4)
		if _, err := dev.ReadAt(buf[:n*4], off+int64(i)*4); err != nil {
			return err
		}
		for k := range n {
			t.entries[i+k] = le.Uint32(buf[k*4:])
		}
		i += n
	}
	return nil
}

func (t *table) get(c uint32) uint32 { return t.entries[c] & entryMask }

// set changes an entry and keeps its upper four bits, which are reserved.
func (t *table) set(c, value uint32) {
	v := t.entries[c]&^uint32(entryMask) | value
	if v != t.entries[c] {
		t.entries[c] = v
		t.dirty.add(c * 4 / sectorSize)
	}
}

func (t *table) dirtyAll() {
	for s := range t.g.fatSectors {
		t.dirty.add(s)
	}
}

// flush writes the changed sectors to all copies, neighbouring ones in one write of up to 256 KiB. It does not sync.
func (t *table) flush(dev BlockDevice) error {
	const most = 1 << 18 / sectorSize
	for s := uint32(0); s < t.g.fatSectors; s++ {
		if !t.dirty.has(s) {
			continue
		}
		n := uint32(1)
		for n < most && s+n < t.g.fatSectors && t.dirty.has(s+n) {
			n++
		}
		buf := make([]byte, n*sectorSize)
		for i := uint32(0); i < n*sectorSize/4; i++ {
			if c := s*sectorSize/4 + i; c < uint32(len(t.entries)) {
				le.PutUint32(buf[i*4:], t.entries[c])
			}
		}
		for i := range t.g.fats {
			if _, err := dev.WriteAt(buf, int64(t.g.fatStart+i*t.g.fatSectors+s)*sectorSize); err != nil {
				return fmt.Errorf("write FAT: %w", err)
			}
		}
		for i := range n {
			t.dirty.remove(s + i)
		}
		s += n - 1
	}
	return nil
}

// damage is a chain that cannot be followed.
type damage struct {
	cluster, value uint32
	what           string
}

func (d *damage) Error() string {
	return fmt.Sprintf("cluster %d: %s (%#x)", d.cluster, d.what, d.value)
}

// chain follows a chain to its end, for at most limit clusters, and returns them in order. On damage it returns the
// part before it too.
func (t *table) chain(first, limit uint32) ([]run, error) {
	if !t.g.valid(first) {
		return nil, &damage{first, first, "no such cluster"}
	}
	var runs []run
	c := first
	for steps := uint32(0); ; steps++ {
		if steps >= limit {
			return runs, &damage{c, t.get(c), "the chain runs in a circle or is too long"}
		}
		if k := len(runs); k > 0 && runs[k-1].first+runs[k-1].n == c {
			runs[k-1].n++
		} else {
			runs = append(runs, run{c, 1})
		}
		next := t.get(c)
		if next > badCluster {
			return runs, nil
		}
		if !t.g.valid(next) {
			return runs, &damage{c, next, "the chain is broken"}
		}
		c = next
	}
}

// link makes the runs one chain in memory.
func (t *table) link(runs []run) {
	for i, r := range runs {
		for c := r.first; c < r.first+r.n-1; c++ {
			t.set(c, c+1)
		}
		last := r.first + r.n - 1
		if i+1 < len(runs) {
			t.set(last, runs[i+1].first)
		} else {
			t.set(last, endOfChain)
		}
	}
}

// marks says which clusters names reach.
type marks struct {
	used bitset
	// sound is whether every directory could be followed to its end. If not, names may exist that were not seen,
	// and what the FAT calls used must be left alone.
	sound bool
}

// free says whether a cluster may be written.
func (t *table) free(m *marks, c uint32) bool {
	if m.used.has(c) || t.get(c) == badCluster {
		return false
	}
	return m.sound || t.get(c) == 0
}

// allocate finds n clusters: the first row that is long enough, else the first free clusters in order. It changes
// nothing. The result is nil if there are not enough.
func (t *table) allocate(m *marks, n uint32) []run {
	var rows []run
	for c := uint32(2); c < t.g.clusters+2; c++ {
		if !t.free(m, c) {
			continue
		}
		if k := len(rows); k > 0 && rows[k-1].first+rows[k-1].n == c {
			rows[k-1].n++
		} else {
			rows = append(rows, run{c, 1})
		}
		if last := rows[len(rows)-1]; last.n == n {
			return []run{last}
		}
	}
	var out []run
	for _, r := range rows {
		r.n = min(r.n, n)
		out = append(out, r)
		if n -= r.n; n == 0 {
			return out
		}
	}
	return nil
}

// sweep frees in memory what no name reaches.
func (t *table) sweep(m *marks) {
	if !m.sound {
		return
	}
	for c := uint32(2); c < t.g.clusters+2; c++ {
		if v := t.get(c); v != 0 && v != badCluster && !m.used.has(c) {
			t.set(c, 0)
		}
	}
}

func (t *table) countFree() uint32 {
	n := uint32(0)
	for c := uint32(2); c < t.g.clusters+2; c++ {
		if t.get(c) == 0 {
			n++
		}
	}
	return n
}

// firstFree is the hint for FSInfo, all ones if there is none.
func (t *table) firstFree() uint32 {
	for c := uint32(2); c < t.g.clusters+2; c++ {
		if t.get(c) == 0 {
			return c
		}
	}
	return 0xFFFFFFFF
}
