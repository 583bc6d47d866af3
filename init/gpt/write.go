package gpt

import (
	"errors"
	"fmt"
)

// Write makes a new table. What was on the disk before is gone; sectors of partitions are not touched.
func Write(dev BlockDevice, t *Table) error {
	sectors := uint64(max(dev.Size(), 0)) / sectorSize
	if err := t.validate(sectors); err != nil {
		return fmt.Errorf("write partition table: %w", err)
	}
	numbers := make([]int, len(t.Partitions))
	for i := range numbers {
		numbers[i] = i + 1
	}
	w := writer{dev: dev}
	entries := encodeEntries(t.Partitions, numbers)
	w.backup(t.Disk, entries, sectors)
	w.write(firstArray, entries)
	w.sync()
	w.write(0, encodeMBR(sectors))
	w.write(1, encodeHeader(t.Disk, entries, 1, sectors-1, firstArray, sectors))
	w.sync()
	if w.err != nil {
		return fmt.Errorf("write partition table: %w", w.err)
	}
	return nil
}

// Grow makes the last partition end where the device ends, rounded down to 1 MiB, and moves the backup table to the new
// end. It returns the table as it is now, and changes nothing if the partition reaches the end already and both copies
// are well. A partition never shrinks.
//
// The kernel has to be told of the new size (BLKPG_RESIZE_PARTITION), and the file system has to be grown after that.
func Grow(dev BlockDevice) (*Table, error) {
	t, err := Read(dev)
	if err != nil {
		return nil, err
	}
	if len(t.Partitions) == 0 {
		return nil, errors.New("grow the last partition: there is none")
	}
	sectors := uint64(dev.Size()) / sectorSize
	last := 0
	for i, p := range t.Partitions {
		if p.First > t.Partitions[last].First {
			last = i
		}
	}
	end := (lastUsable(sectors)+1)/Alignment*Alignment - 1
	if t.Partitions[last].Last >= end && t.Damage == nil && backupAtEnd(dev, sectors) {
		return t, nil
	}
	t.Partitions[last].Last = max(t.Partitions[last].Last, end)
	if t.Partitions[last].Last > lastUsable(sectors) {
		return nil, fmt.Errorf("grow partition %q: it ends at sector %d, the disk has room up to %d",
			t.Partitions[last].Name, t.Partitions[last].Last, lastUsable(sectors))
	}

	// Entries that a damaged primary had are no longer needed, so the first place is as good as the second.
	array := uint64(firstArray)
	if !t.fromBackup && t.entries == firstArray {
		array = secondArray
	}
	for _, p := range t.Partitions {
		if p.First < Alignment {
			return nil, fmt.Errorf("grow partition %q: partition %q begins at sector %d, want at least %d",
				t.Partitions[last].Name, p.Name, p.First, Alignment)
		}
	}
	w := writer{dev: dev}
	entries := encodeEntries(t.Partitions, t.Numbers)
	w.backup(t.Disk, entries, sectors)
	w.write(array, entries)
	w.sync()
	w.write(1, encodeHeader(t.Disk, entries, 1, sectors-1, array, sectors))
	w.sync()
	w.write(0, encodeMBR(sectors))
	w.sync()
	if w.err != nil {
		return nil, fmt.Errorf("grow partition %q: %w", t.Partitions[last].Name, w.err)
	}
	return Read(dev)
}

// backupAtEnd says whether the backup is in the last sector, where firmware looks for it.
func backupAtEnd(dev BlockDevice, sectors uint64) bool {
	_, _, err := readCopy(dev, sectors-1, sectors)
	return err == nil
}

// writer keeps the first error, so that a sequence of writes reads as one.
type writer struct {
	dev BlockDevice
	err error
}

func (w *writer) write(sector uint64, b []byte) {
	if w.err != nil {
		return
	}
	_, w.err = w.dev.WriteAt(b, int64(sector)*sectorSize)
}

func (w *writer) sync() {
	if w.err == nil {
		w.err = w.dev.Sync()
	}
}

// backup writes the table at the end of the disk.
func (w *writer) backup(disk GUID, entries []byte, sectors uint64) {
	array := sectors - 1 - arraySectors
	w.write(array, entries)
	w.write(sectors-1, encodeHeader(disk, entries, sectors-1, 1, array, sectors))
	w.sync()
}
