package fat

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxDirectorySlots = 1 << 16
	maxDepth          = 16
	maxDirectories    = 1 << 12
	// maxDirectoryBytes bounds the time that a walk over a damaged volume takes.
	maxDirectoryBytes = 1 << 25
)

type itemKind byte

const (
	kindFile itemKind = iota
	kindDirectory
	// kindDot is "." or "..".
	kindDot
	kindLabel
)

// item is one used entry of a directory.
type item struct {
	kind     itemKind
	name     string
	short    shortName
	first    uint32
	size     uint32
	modified time.Time
	// slot is where the 8.3 entry lies; the count-1 long-name slots lie before it.
	slot, count int
}

func (it *item) from() int { return it.slot - it.count + 1 }

// matches compares as FAT does, without regard to case.
func (it *item) matches(name string) bool {
	return (it.kind == kindFile || it.kind == kindDirectory) &&
		(strings.EqualFold(it.name, name) || strings.EqualFold(it.short.String(), name))
}

// parseDirectory lists the used entries and says where the directory ends: at the first slot that begins with zero.
func parseDirectory(data []byte) (items []item, end int) {
	var long longName
	slots := min(len(data)/slotSize, maxDirectorySlots)
	for i := range slots {
		e := data[i*slotSize:][:slotSize]
		switch {
		case e[0] == 0:
			return items, i
		case e[0] == deleted:
			long.reset()
			continue
		case e[11]&attrLongMask == attrLong:
			long.add(e)
			continue
		}
		it := item{
			first:    (uint32(le.Uint16(e[20:]))<<16 | uint32(le.Uint16(e[26:]))) & entryMask,
			size:     le.Uint32(e[28:]),
			modified: decodeTime(le.Uint16(e[24:]), le.Uint16(e[22:])),
			slot:     i,
			count:    1,
		}
		copy(it.short[:], e[:11])
		name, n := long.take(it.short)
		switch {
		case e[11]&attrLabel != 0:
			it.kind = kindLabel
		case e[0] == '.':
			it.kind = kindDot
		case e[11]&attrDirectory != 0:
			it.kind = kindDirectory
		}
		if it.short[0] == 0x05 {
			it.short[0] = deleted
		}
		if it.kind == kindFile || it.kind == kindDirectory {
			it.name, it.count = name, n+1
			if n == 0 {
				it.name = it.short.cased(e[12])
			}
		}
		items = append(items, it)
	}
	return items, slots
}

// occupied marks the slots of the items; orphaned long-name slots are free.
func occupied(items []item, slots int) []bool {
	out := make([]bool, slots)
	for i := range items {
		for s := items[i].from(); s <= items[i].slot; s++ {
			out[s] = true
		}
	}
	return out
}

// lastUsed is the last slot in use, -1 if there is none.
func lastUsed(used []bool) int {
	for i := len(used) - 1; i >= 0; i-- {
		if used[i] {
			return i
		}
	}
	return -1
}

// fit finds n free slots in a row within one sector, given as the numbers of its slots; -1 if there are none.
func fit(used []bool, sector, n int) int {
	free := 0
	for i := sector * slotsPerSector; i < min((sector+1)*slotsPerSector, len(used)); i++ {
		if used[i] {
			free = 0
			continue
		}
		if free++; free == n {
			return i - n + 1
		}
	}
	return -1
}

// place chooses the slots for a name of n slots that firmware will rename so many times. Without renames it is the
// first gap within a sector; with them it is behind all other names, where the renamed names, each appended behind the
// one before, fit into the same sector. The result lies behind the directory if that has to grow first.
func place(used []bool, n, renames int) int {
	if renames > 0 {
		at := lastUsed(used) + 1
		if room := (at/slotsPerSector + 1) * slotsPerSector; at+n*(renames+1) > room {
			at = room
		}
		return at
	}
	for s := range len(used) / slotsPerSector {
		if at := fit(used, s, n); at >= 0 {
			return at
		}
	}
	return len(used)
}

// directory is one directory in memory, for as long as one operation takes.
type directory struct {
	first uint32
	runs  []run
	data  []byte
	items []item
}

func (d *directory) find(name string) *item {
	for i := range d.items {
		if d.items[i].matches(name) {
			return &d.items[i]
		}
	}
	return nil
}

func (d *directory) used() []bool { return occupied(d.items, len(d.data)/slotSize) }

// clear marks slots from … to deleted, as far as they lie in the sector. It reports whether it changed any.
func (d *directory) clear(from, to, sector int) bool {
	changed := false
	for s := from; s <= to; s++ {
		if s/slotsPerSector == sector {
			d.data[s*slotSize] = deleted
			changed = true
		}
	}
	return changed
}

// readDirectory reads a whole directory. A damaged chain is an error; the part before the damage comes with it.
func (v *Volume) readDirectory(first uint32) (*directory, error) {
	runs, damaged := v.table.chain(first, uint32(maxDirectorySlots*slotSize/v.g.clusterSize()))
	d := &directory{first: first, runs: runs}
	total := int64(0)
	for _, r := range runs {
		total += int64(r.n) * v.g.clusterSize()
	}
	d.data = make([]byte, total)
	at := int64(0)
	for _, r := range runs {
		n := int64(r.n) * v.g.clusterSize()
		if _, err := v.dev.ReadAt(d.data[at:at+n], v.g.offset(r.first)); err != nil {
			return nil, fmt.Errorf("read directory: %w", err)
		}
		at += n
	}
	d.items, _ = parseDirectory(d.data)
	if damaged != nil {
		return d, fmt.Errorf("directory: %w", damaged)
	}
	return d, nil
}

// writeSector writes one sector of a directory: the atomic step of everything in this package.
func (v *Volume) writeSector(d *directory, sector int) error {
	at := int64(sector) * sectorSize
	for _, r := range d.runs {
		n := int64(r.n) * v.g.clusterSize()
		if at < n {
			b := d.data[sector*sectorSize:][:sectorSize]
			if _, err := v.dev.WriteAt(b, v.g.offset(r.first)+at); err != nil {
				return fmt.Errorf("write directory: %w", err)
			}
			d.items, _ = parseDirectory(d.data)
			return nil
		}
		at -= n
	}
	return fmt.Errorf("write directory: sector %d of %d", sector, len(d.data)/sectorSize)
}

// commitSector is writeSector and Sync.
func (v *Volume) commitSector(d *directory, sector int) error {
	if err := v.writeSector(d, sector); err != nil {
		return err
	}
	return v.sync()
}

// tidy brings a directory that firmware or a power cut may have left behind into the shape that the write operations
// rely on: no second copy of a name (see Pack), and nothing but zeros behind the last used slot (invariant 4). It only
// writes if there is something to do.
func (v *Volume) tidy(d *directory) error {
	for _, it := range copies(d.items) {
		if err := v.erase(d, it); err != nil {
			return err
		}
	}
	end := (lastUsed(d.used()) + 1) * slotSize
	dirty := false
	for s := end / sectorSize; s < len(d.data)/sectorSize; s++ {
		b := d.data[max(end, s*sectorSize) : (s+1)*sectorSize]
		if isZero(b) {
			continue
		}
		clear(b)
		dirty = true
		if err := v.writeSector(d, s); err != nil {
			return err
		}
	}
	if dirty {
		return v.sync()
	}
	return nil
}

// copies finds the entries that repeat the name and the chain of an earlier one.
func copies(items []item) []item {
	type key struct {
		kind  itemKind
		name  string
		first uint32
	}
	var out []item
	seen := map[key]bool{}
	for _, it := range items {
		k := key{it.kind, strings.ToLower(it.name), it.first}
		if it.kind != kindFile && it.kind != kindDirectory {
			continue
		}
		if seen[k] {
			out = append(out, it)
		}
		seen[k] = true
	}
	return out
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// insert writes the slots of a new name with one sector write. The room must have been made before the chain of the
// name was allocated: a directory that grew now would take clusters of that chain, which no name reaches yet.
func (v *Volume) insert(d *directory, slots []byte, renames int) error {
	n := len(slots) / slotSize
	at := placeIn(d, n, renames)
	if at+n > len(d.data)/slotSize {
		return fmt.Errorf("the directory has no room for %d slots", n)
	}
	if err := v.fill(d, at); err != nil {
		return err
	}
	copy(d.data[at*slotSize:], slots)
	return v.commitSector(d, at/slotsPerSector)
}

// makeRoom lets the directory grow if the place for a name of n slots lies behind its end. One cluster is enough: the
// place begins at the end at the latest, and a sector holds every name.
func (v *Volume) makeRoom(d *directory, n, renames int) error {
	if placeIn(d, n, renames)+n > len(d.data)/slotSize {
		return v.grow(d)
	}
	return nil
}

// placeIn is place with as many renames as a sector can hold.
func placeIn(d *directory, n, renames int) int {
	return place(d.used(), n, min(renames, slotsPerSector/n-1))
}

// fill marks the zero slots before the sector of slot at as deleted, so that the directory does not end before it.
func (v *Volume) fill(d *directory, at int) error {
	first := lastUsed(d.used()) + 1
	// In the sector itself the slots before at go out with the name.
	for s := first; s < at; s++ {
		if d.data[s*slotSize] == 0 {
			d.data[s*slotSize] = deleted
		}
	}
	dirty := false
	for s := first / slotsPerSector; s < at/slotsPerSector; s++ {
		dirty = true
		if err := v.writeSector(d, s); err != nil {
			return err
		}
	}
	if dirty {
		return v.sync()
	}
	return nil
}

// erase removes the slots of a name: first the sector with the 8.3 entry, then what lies in the sector before. In the
// other order the 8.3 name would stand alone in between, and the loader would see a name without its counter.
func (v *Volume) erase(d *directory, it item) error {
	sector := it.slot / slotsPerSector
	from := it.from()
	d.clear(from, it.slot, sector)
	if err := v.commitSector(d, sector); err != nil {
		return err
	}
	for s := sector - 1; s >= 0 && d.clear(from, it.slot, s); s-- {
		if err := v.commitSector(d, s); err != nil {
			return err
		}
	}
	return nil
}

// grow adds one cleared cluster to a directory. The new cluster's own entry is on the disk before the old last cluster
// points to it.
func (v *Volume) grow(d *directory) error {
	size := v.g.clusterSize()
	if int64(len(d.data))+size > maxDirectorySlots*slotSize {
		return fmt.Errorf("directory with more than %d slots: %w", maxDirectorySlots, ErrFull)
	}
	m, err := v.mark()
	if err != nil {
		return err
	}
	runs := v.table.allocate(m, 1)
	if runs == nil {
		return fmt.Errorf("grow directory: %w", ErrFull)
	}
	c := runs[0].first
	if _, err := v.dev.WriteAt(make([]byte, size), v.g.offset(c)); err != nil {
		return fmt.Errorf("clear directory cluster: %w", err)
	}
	if err := v.sync(); err != nil {
		return err
	}
	if err := v.linkAndSync(m, runs); err != nil {
		return err
	}
	last := d.runs[len(d.runs)-1]
	v.table.set(last.first+last.n-1, c)
	if err := v.flushTable(); err != nil {
		return err
	}
	d.runs = append(d.runs, run{c, 1})
	d.data = append(d.data, make([]byte, size)...)
	return nil
}

// encodeTime gives FAT's date and time of day, in UTC, with a resolution of two seconds.
func encodeTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	switch {
	case t.Year() < 1980:
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 2107:
		t = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	date = uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
	clock = uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
	return date, clock
}

func decodeTime(date, clock uint16) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}
