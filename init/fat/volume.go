package fat

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrFull says that the volume has not enough free clusters. Check with errors.Is.
var ErrFull = errors.New("no room on the volume")

// ErrReadOnly is what writing to a volume opened for reading gives.
var ErrReadOnly = errors.New("the volume is opened for reading only")

// Options for opening a volume.
type Options struct {
	// ReadOnly refuses every operation that writes.
	ReadOnly bool
	// Now gives the time stamps of new entries; nil means the clock.
	Now func() time.Time
}

// Volume is an open FAT32 volume. Its methods may be called from several goroutines: one writes at a time, and reading
// goes on while Create copies data. Nothing else may write to the device meanwhile.
type Volume struct {
	dev      BlockDevice
	g        geometry
	readOnly bool
	now      func() time.Time

	// writer serialises the operations that write. state guards the table and the directories on the disk; an
	// operation that writes takes it too, except while it copies data into clusters that no name reaches.
	writer sync.Mutex
	state  sync.RWMutex
	table  *table
}

// Open reads the boot sector and one FAT. It writes nothing.
func Open(dev BlockDevice, o Options) (*Volume, error) {
	b := make([]byte, sectorSize)
	if _, err := dev.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read boot sector: %w", err)
	}
	g, err := readGeometry(b, dev.Size())
	if err != nil {
		return nil, fmt.Errorf("open FAT32 volume: %w", err)
	}
	t, err := readTable(dev, g)
	if err != nil {
		return nil, fmt.Errorf("open FAT32 volume: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Volume{dev: dev, g: g, readOnly: o.ReadOnly, now: o.Now, table: t}, nil
}

// ID is the volume's serial number.
func (v *Volume) ID() uint32 { return v.g.volumeID }

// ClusterSize in bytes: files take room in multiples of it.
func (v *Volume) ClusterSize() int64 { return v.g.clusterSize() }

// Free returns how many bytes can be written: all clusters that no name reaches.
func (v *Volume) Free() (int64, error) {
	v.state.RLock()
	defer v.state.RUnlock()
	m, err := v.mark()
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for c := uint32(2); c < v.g.clusters+2; c++ {
		if v.table.free(m, c) {
			n++
		}
	}
	return n * v.g.clusterSize(), nil
}

// mark finds the clusters that names reach, from the root down. A chain is followed until it ends or runs into clusters
// that are marked already, so the work is bounded by the number of clusters.
func (v *Volume) mark() (*marks, error) {
	m := &marks{used: newBitset(v.g.clusters + 2), sound: true}
	type task struct {
		first uint32
		depth int
	}
	tasks := []task{{v.g.root, 0}}
	seen := map[uint32]bool{v.g.root: true}
	budget := maxDirectoryBytes
	for len(tasks) > 0 {
		t := tasks[len(tasks)-1]
		tasks = tasks[:len(tasks)-1]
		d, err := v.readDirectory(t.first)
		if d == nil {
			return nil, err
		}
		if err != nil {
			m.sound = false
		}
		if budget -= len(d.data); budget < 0 {
			return nil, fmt.Errorf("more than %d bytes of directories", maxDirectoryBytes)
		}
		for _, r := range d.runs {
			for c := r.first; c < r.first+r.n; c++ {
				m.used.add(c)
			}
		}
		for i := range d.items {
			it := &d.items[i]
			switch it.kind {
			case kindFile:
				for c := it.first; v.g.valid(c) && !m.used.has(c); c = v.table.get(c) {
					m.used.add(c)
				}
			case kindDirectory:
				if seen[it.first] {
					continue
				}
				if !v.g.valid(it.first) || t.depth == maxDepth || len(seen) == maxDirectories {
					m.sound = false
					continue
				}
				seen[it.first] = true
				tasks = append(tasks, task{it.first, t.depth + 1})
			}
		}
	}
	return m, nil
}

func (v *Volume) sync() error {
	if err := v.dev.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// linkAndSync puts a new chain, which no name reaches yet, into the FAT and frees what no name reaches.
func (v *Volume) linkAndSync(m *marks, runs []run) error {
	for _, r := range runs {
		for c := r.first; c < r.first+r.n; c++ {
			m.used.add(c)
		}
	}
	v.table.link(runs)
	v.table.sweep(m)
	return v.flushTable()
}

// flushTable writes the changed parts of all FATs and the hints in FSInfo, and syncs.
func (v *Volume) flushTable() error {
	if err := v.table.flush(v.dev); err != nil {
		return err
	}
	if v.g.info != 0 {
		info := encodeInfo(v.table.countFree(), v.table.firstFree())
		if _, err := v.dev.WriteAt(info, int64(v.g.info)*sectorSize); err != nil {
			return fmt.Errorf("write FSInfo: %w", err)
		}
	}
	return v.sync()
}
