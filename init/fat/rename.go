package fat

import (
	"fmt"
	"io/fs"
	"strings"
)

// Rename gives a file another name in the same directory. It is one sector write if the new name fits into the sector
// that holds the old 8.3 entry, which it does for every name that Create placed with room for renames; else the new
// name comes before the old one goes. If the new name exists already and is the same chain, as after a cut in that
// case, the old name is removed.
func (v *Volume) Rename(dir, from, to string) error {
	path := dir + "/" + from
	if err := v.begin(); err != nil {
		return pathError("rename", path, err)
	}
	defer v.writer.Unlock()
	v.state.Lock()
	defer v.state.Unlock()
	if err := v.rename(dir, from, to); err != nil {
		return pathError("rename", path, err)
	}
	return nil
}

func (v *Volume) rename(dir, from, to string) error {
	if err := validName(to); err != nil {
		return err
	}
	d, err := v.directoryAt(dir)
	if err != nil {
		return err
	}
	if err := v.tidy(d); err != nil {
		return err
	}
	found := d.find(from)
	if found == nil {
		return fs.ErrNotExist
	}
	old := *found
	if other := d.find(to); other != nil && other.slot != old.slot {
		if other.kind == old.kind && other.first == old.first && old.first != 0 {
			return v.erase(d, old)
		}
		return fmt.Errorf("to %s: %w", to, fs.ErrExist)
	}

	// The old entry's 8.3 name is not in the way of the new one.
	rest := *d
	rest.items = nil
	for i := range d.items {
		if d.items[i].slot != old.slot {
			rest.items = append(rest.items, d.items[i])
		}
	}
	short, err := v.shortFor(&rest, to)
	if err != nil {
		return err
	}
	slots := slotsFor(to, short, [slotSize]byte(d.data[old.slot*slotSize:]))
	sector := old.slot / slotsPerSector
	if at := fit(rest.used(), sector, len(slots)/slotSize); at >= 0 {
		d.clear(old.from(), old.slot, sector)
		copy(d.data[at*slotSize:], slots)
		// If the name was the directory's last, what lies behind the new one can become zero in the same write.
		end := (lastUsed(occupied(parsed(d.data), len(d.data)/slotSize)) + 1) * slotSize
		if end <= (sector+1)*sectorSize {
			clear(d.data[max(end, sector*sectorSize) : (sector+1)*sectorSize])
		}
		if err := v.commitSector(d, sector); err != nil {
			return err
		}
		// Long-name slots of the old name in the sector before have lost their 8.3 entry and mean nothing.
		for s := sector - 1; s >= 0 && d.clear(old.from(), old.slot, s); s-- {
			if err := v.commitSector(d, s); err != nil {
				return err
			}
		}
		return nil
	}

	// Both names exist for a moment, so this time the 8.3 name must differ from the old one.
	if short, err = v.shortFor(d, to); err != nil {
		return err
	}
	if err := v.makeRoom(d, mostSlots(to), 0); err != nil {
		return err
	}
	if err := v.insert(d, slotsFor(to, short, [slotSize]byte(d.data[old.slot*slotSize:])), 0); err != nil {
		return err
	}
	return v.erase(d, old)
}

func parsed(data []byte) []item {
	items, _ := parseDirectory(data)
	return items
}

// Pack moves the names of a directory into gaps nearer to its front, last ones first, so that the end has room for a
// name that firmware will rename. Each name is copied, one sector write, and then erased at its old place; after a cut
// in between it is there twice, which List hides and the next write operation repairs.
func (v *Volume) Pack(dir string) error {
	if err := v.begin(); err != nil {
		return pathError("pack", dir, err)
	}
	defer v.writer.Unlock()
	v.state.Lock()
	defer v.state.Unlock()
	if err := v.pack(dir); err != nil {
		return pathError("pack", dir, err)
	}
	return nil
}

func (v *Volume) pack(dir string) error {
	d, err := v.directoryAt(dir)
	if err != nil {
		return err
	}
	if err := v.tidy(d); err != nil {
		return err
	}
	moving := append([]item(nil), d.items...)
	for i := len(moving) - 1; i >= 0; i-- {
		it := moving[i]
		if it.kind != kindFile && it.kind != kindDirectory || it.count > slotsPerSector {
			continue
		}
		at := place(d.used(), it.count, 0)
		if at/slotsPerSector >= it.from()/slotsPerSector {
			continue
		}
		copy(d.data[at*slotSize:], d.data[it.from()*slotSize:(it.slot+1)*slotSize])
		if err := v.commitSector(d, at/slotsPerSector); err != nil {
			return err
		}
		if err := v.erase(d, it); err != nil {
			return err
		}
	}
	return v.tidy(d)
}

// Remove removes a file or an empty directory: first its name, then, if no other name reaches them, its clusters.
func (v *Volume) Remove(path string) error {
	if err := v.begin(); err != nil {
		return pathError("remove", path, err)
	}
	defer v.writer.Unlock()
	v.state.Lock()
	defer v.state.Unlock()
	if err := v.remove(split(path)); err != nil {
		return pathError("remove", path, err)
	}
	return nil
}

func (v *Volume) remove(names []string) error {
	if len(names) == 0 {
		return errIsDirectory
	}
	d, err := v.directoryAt(strings.Join(names[:len(names)-1], "/"))
	if err != nil {
		return err
	}
	if err := v.tidy(d); err != nil {
		return err
	}
	it := d.find(names[len(names)-1])
	if it == nil {
		return fs.ErrNotExist
	}
	if it.kind == kindDirectory {
		sub, err := v.readDirectory(it.first)
		if err != nil {
			return err
		}
		for i := range sub.items {
			if k := sub.items[i].kind; k == kindFile || k == kindDirectory {
				return fmt.Errorf("the directory is not empty")
			}
		}
	}
	if err := v.erase(d, *it); err != nil {
		return err
	}
	m, err := v.mark()
	if err != nil {
		return err
	}
	v.table.sweep(m)
	return v.flushTable()
}
