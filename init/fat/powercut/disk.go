// Package powercut is a disk in memory that remembers its writes and replays what a power cut could have left.
//
// The model is a disk with a volatile cache: a sector of 512 bytes is written whole or not at all; what was written
// before the last completed Sync is there; of what was written after it, any set of sectors may be there, in any
// order. Of several unsynced writes to one sector the newer one may be lost and the older one kept.
package powercut

import (
	"fmt"
	"io"
	"math/rand/v2"
)

const sectorSize = 512

type sector [sectorSize]byte

// event is a write of whole sectors, or a sync if it has none.
type event struct {
	first   int64
	sectors []*sector
}

// Disk is a sparse disk. The zero sectors of a large one cost nothing.
type Disk struct {
	size    int64
	sectors map[int64]*sector

	recording bool
	base      map[int64]*sector
	log       []event
	// Fail, if set, is asked before each write and may refuse it.
	Fail func(off int64, n int) error
}

// New returns a disk of size bytes, all zero.
func New(size int64) *Disk {
	return &Disk{size: size, sectors: map[int64]*sector{}}
}

// Size in bytes.
func (d *Disk) Size() int64 { return d.size }

// Resize makes the disk larger or smaller.
func (d *Disk) Resize(size int64) { d.size = size }

// ReadAt reads at any offset.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	done := 0
	for done < len(p) && off < d.size {
		in := off % sectorSize
		n := min(int64(len(p)-done), sectorSize-in, d.size-off)
		if s := d.sectors[off/sectorSize]; s != nil {
			copy(p[done:done+int(n)], s[in:])
		} else {
			clear(p[done : done+int(n)])
		}
		done += int(n)
		off += n
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// WriteAt writes whole sectors and refuses anything else: a write of less than a sector is not one write on a disk.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off%sectorSize != 0 || len(p)%sectorSize != 0 || off+int64(len(p)) > d.size {
		return 0, fmt.Errorf("write of %d bytes at %d on a disk of %d", len(p), off, d.size)
	}
	if d.Fail != nil {
		if err := d.Fail(off, len(p)); err != nil {
			return 0, err
		}
	}
	e := event{first: off / sectorSize}
	for i := 0; i < len(p); i += sectorSize {
		s := sector(p[i:])
		e.sectors = append(e.sectors, &s)
	}
	d.apply(e)
	if d.recording {
		d.log = append(d.log, e)
	}
	return len(p), nil
}

func (d *Disk) apply(e event) {
	for i, s := range e.sectors {
		d.sectors[e.first+int64(i)] = s
	}
}

// Sync is a barrier.
func (d *Disk) Sync() error {
	if d.recording {
		d.log = append(d.log, event{})
	}
	return nil
}

// Clone returns a copy that shares nothing that changes. It does not record.
func (d *Disk) Clone() *Disk {
	c := New(d.size)
	for i, s := range d.sectors {
		c.sectors[i] = s
	}
	return c
}

// Record forgets what was recorded and starts again from what the disk holds now.
func (d *Disk) Record() {
	d.recording = true
	d.base = d.Clone().sectors
	d.log = nil
}

// Writes is how many writes were recorded.
func (d *Disk) Writes() int {
	n := 0
	for _, e := range d.log {
		if len(e.sectors) > 0 {
			n++
		}
	}
	return n
}

// LargestWrite is the size in bytes of the largest recorded write.
func (d *Disk) LargestWrite() int {
	n := 0
	for _, e := range d.log {
		n = max(n, len(e.sectors)*sectorSize)
	}
	return n
}

// Cuts calls check with the disk that a power cut leaves, for a cut before the first recorded event and after each. For
// each cut it does so once with all writes so far complete, and then variants times with a random choice of the sectors
// that were not synced. The seed makes the choice the same each time.
func (d *Disk) Cuts(seed uint64, variants int, check func(cut string, left *Disk)) {
	rng := rand.New(rand.NewPCG(seed, 1))
	synced := &Disk{size: d.size, sectors: d.base}
	synced = synced.Clone()
	var pending []event
	emit := func(at int) {
		whole := synced.Clone()
		for _, e := range pending {
			whole.apply(e)
		}
		check(fmt.Sprintf("after event %d of %d", at, len(d.log)), whole)
		if len(pending) == 0 {
			return
		}
		for n := range variants {
			left := synced.Clone()
			// Few lost sectors, about half, and nearly all lost are different cases.
			keep := []float64{0.5, 0.95, 0.05}[n%3]
			for _, e := range pending {
				for i, s := range e.sectors {
					if rng.Float64() < keep {
						left.sectors[e.first+int64(i)] = s
					}
				}
			}
			check(fmt.Sprintf("after event %d of %d, variant %d", at, len(d.log), n), left)
		}
	}
	emit(0)
	for i, e := range d.log {
		if len(e.sectors) == 0 {
			for _, p := range pending {
				synced.apply(p)
			}
			pending = nil
		} else {
			pending = append(pending, e)
		}
		emit(i + 1)
	}
}
