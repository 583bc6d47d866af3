package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	sectorSize = 512
	entrySize  = 128
	maxEntries = 128
	// arraySectors hold 128 entries.
	arraySectors = maxEntries * entrySize / sectorSize

	// firstArray and secondArray are the two places of the primary entries.
	firstArray  = 2
	secondArray = firstArray + arraySectors

	headerSize = 92
	revision   = 0x00010000

	// Alignment of partitions in sectors: 1 MiB.
	Alignment = 2048

	maxNameUnits = 36
)

var le = binary.LittleEndian

// BlockDevice is the whole disk. Writes become durable, and ordered before all later ones, by Sync.
type BlockDevice interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	// Size in bytes.
	Size() int64
}

// Partition is one entry of the table. Sectors have 512 bytes and are counted from the start of the disk.
type Partition struct {
	Type GUID
	ID   GUID
	Name string
	// First and Last sector, both included.
	First, Last uint64
	Attributes  uint64
}

// Start of the partition in bytes.
func (p Partition) Start() int64 { return int64(p.First) * sectorSize }

// Size of the partition in bytes.
func (p Partition) Size() int64 { return int64(p.Last-p.First+1) * sectorSize }

// Table is a partition table.
type Table struct {
	Disk GUID
	// Partitions in the order of the table. Partition numbers, as in /dev/sda2, are those of Numbers.
	Partitions []Partition
	// Numbers are the places of the partitions in the table, from 1. Write ignores them and counts from 1.
	Numbers []int
	// Damage says what is wrong with the copy that was not used, or with the primary if the backup had to be read;
	// nil if both are well.
	Damage error

	// fromBackup is whether the primary could not be read; entries is where the primary entries are.
	fromBackup bool
	entries    uint64
}

// ByName returns the partition of that name.
func (t *Table) ByName(name string) (Partition, bool) {
	for _, p := range t.Partitions {
		if p.Name == name {
			return p, true
		}
	}
	return Partition{}, false
}

// Number returns the partition number, as in /dev/sda2, or 0.
func (t *Table) Number(name string) int {
	for i, p := range t.Partitions {
		if p.Name == name && i < len(t.Numbers) {
			return t.Numbers[i]
		}
	}
	return 0
}

// lastUsable is the last sector that a partition may have: behind it are the backup entries and the backup header.
func lastUsable(sectors uint64) uint64 { return sectors - 2 - arraySectors }

// validate refuses tables that this package would not read back.
func (t *Table) validate(sectors uint64) error {
	if sectors < 2*Alignment {
		return fmt.Errorf("a disk of %d sectors is too small", sectors)
	}
	if len(t.Partitions) > maxEntries {
		return fmt.Errorf("%d partitions, at most %d", len(t.Partitions), maxEntries)
	}
	for i, p := range t.Partitions {
		switch {
		case p.Type == GUID{} || p.ID == GUID{}:
			return fmt.Errorf("partition %q has no type or no GUID", p.Name)
		case p.First > p.Last || p.First < Alignment || p.Last > lastUsable(sectors):
			return fmt.Errorf("partition %q, sectors %d–%d, is outside of %d–%d", p.Name, p.First, p.Last, Alignment, lastUsable(sectors))
		case p.First%Alignment != 0:
			return fmt.Errorf("partition %q begins at sector %d, not at a multiple of %d", p.Name, p.First, Alignment)
		case !utf8.ValidString(p.Name) || len(utf16.Encode([]rune(p.Name))) > maxNameUnits:
			return fmt.Errorf("partition name %q is longer than %d characters", p.Name, maxNameUnits)
		}
		if err := overlap(t.Partitions[:i], p); err != nil {
			return err
		}
	}
	return nil
}

func overlap(others []Partition, p Partition) error {
	for _, o := range others {
		if p.First <= o.Last && o.First <= p.Last {
			return fmt.Errorf("partitions %q and %q overlap", o.Name, p.Name)
		}
	}
	return nil
}

// encodeEntries makes the array of entries. numbers gives each partition its place.
func encodeEntries(partitions []Partition, numbers []int) []byte {
	b := make([]byte, maxEntries*entrySize)
	for i, p := range partitions {
		e := b[(numbers[i]-1)*entrySize:][:entrySize]
		copy(e, p.Type[:])
		copy(e[16:], p.ID[:])
		le.PutUint64(e[32:], p.First)
		le.PutUint64(e[40:], p.Last)
		le.PutUint64(e[48:], p.Attributes)
		for k, u := range utf16.Encode([]rune(p.Name)) {
			le.PutUint16(e[56+2*k:], u)
		}
	}
	return b
}

// encodeHeader makes the sector of a header at self, whose twin is at other.
func encodeHeader(disk GUID, entries []byte, self, other, array, sectors uint64) []byte {
	h := make([]byte, sectorSize)
	copy(h, "EFI PART")
	le.PutUint32(h[8:], revision)
	le.PutUint32(h[12:], headerSize)
	le.PutUint64(h[24:], self)
	le.PutUint64(h[32:], other)
	le.PutUint64(h[40:], Alignment)
	le.PutUint64(h[48:], lastUsable(sectors))
	copy(h[56:], disk[:])
	le.PutUint64(h[72:], array)
	le.PutUint32(h[80:], maxEntries)
	le.PutUint32(h[84:], entrySize)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerSize]))
	return h
}

// encodeMBR makes the protective MBR: one partition of type EE over the whole disk.
func encodeMBR(sectors uint64) []byte {
	b := make([]byte, sectorSize)
	e := b[446:]
	e[2] = 2
	e[4] = 0xEE
	e[5], e[6], e[7] = 0xFF, 0xFF, 0xFF
	le.PutUint32(e[8:], 1)
	le.PutUint32(e[12:], uint32(min(sectors-1, 0xFFFFFFFF)))
	b[510], b[511] = 0x55, 0xAA
	return b
}

var errNoHeader = errors.New("no partition table")

// readCopy reads the table whose header is at sector self, and checks all of it.
func readCopy(dev io.ReaderAt, self, sectors uint64) (*Table, uint64, error) {
	h := make([]byte, sectorSize)
	if _, err := dev.ReadAt(h, int64(self)*sectorSize); err != nil {
		return nil, 0, fmt.Errorf("read header: %w", err)
	}
	if !bytes.Equal(h[:8], []byte("EFI PART")) {
		return nil, 0, errNoHeader
	}
	size := le.Uint32(h[12:])
	if size < headerSize || size > sectorSize {
		return nil, 0, fmt.Errorf("header of %d bytes", size)
	}
	sum := le.Uint32(h[16:])
	le.PutUint32(h[16:], 0)
	if got := crc32.ChecksumIEEE(h[:size]); got != sum {
		return nil, 0, fmt.Errorf("header checksum %08x, want %08x", got, sum)
	}
	if at := le.Uint64(h[24:]); at != self {
		return nil, 0, fmt.Errorf("the header at sector %d says that it is at %d", self, at)
	}
	other, array := le.Uint64(h[32:]), le.Uint64(h[72:])
	first, last := le.Uint64(h[40:]), le.Uint64(h[48:])
	n, each := le.Uint32(h[80:]), le.Uint32(h[84:])
	if n == 0 || n > maxEntries || each != entrySize {
		return nil, 0, fmt.Errorf("%d entries of %d bytes, want at most %d of %d", n, each, maxEntries, entrySize)
	}
	if array < 2 || array > sectors-min(sectors, arraySectors) || first > last || last >= sectors {
		return nil, 0, fmt.Errorf("entries at sector %d, partitions in %d–%d, on a disk of %d sectors", array, first, last, sectors)
	}
	b := make([]byte, n*entrySize)
	if _, err := dev.ReadAt(b, int64(array)*sectorSize); err != nil {
		return nil, 0, fmt.Errorf("read entries: %w", err)
	}
	if got, want := crc32.ChecksumIEEE(b), le.Uint32(h[88:]); got != want {
		return nil, 0, fmt.Errorf("entries checksum %08x, want %08x", got, want)
	}
	t := &Table{Disk: GUID(h[56:]), entries: array}
	for i := range int(n) {
		e := b[i*entrySize:][:entrySize]
		p := Partition{Type: GUID(e), ID: GUID(e[16:]), First: le.Uint64(e[32:]), Last: le.Uint64(e[40:]), Attributes: le.Uint64(e[48:])}
		if p.Type == (GUID{}) {
			continue
		}
		var units []uint16
		for k := range maxNameUnits {
			u := le.Uint16(e[56+2*k:])
			if u == 0 {
				break
			}
			units = append(units, u)
		}
		p.Name = string(utf16.Decode(units))
		if p.First < first || p.Last > last || p.First > p.Last {
			return nil, 0, fmt.Errorf("partition %d, sectors %d–%d, is outside of %d–%d", i+1, p.First, p.Last, first, last)
		}
		if err := overlap(t.Partitions, p); err != nil {
			return nil, 0, err
		}
		t.Partitions = append(t.Partitions, p)
		t.Numbers = append(t.Numbers, i+1)
	}
	return t, other, nil
}

// Read reads the primary table, or the backup if the primary is damaged. The backup is looked for where the primary
// says and at the end of the device.
func Read(dev BlockDevice) (*Table, error) {
	sectors := uint64(max(dev.Size(), 0)) / sectorSize
	if sectors < 2*Alignment {
		return nil, fmt.Errorf("read partition table: a disk of %d sectors is too small", sectors)
	}
	t, other, err := readCopy(dev, 1, sectors)
	if err == nil {
		if other < 2 || other >= sectors {
			t.Damage = fmt.Errorf("backup table: at sector %d of %d", other, sectors)
		} else if _, _, err := readCopy(dev, other, sectors); err != nil {
			t.Damage = fmt.Errorf("backup table: %w", err)
		}
		return t, nil
	}
	b, _, backupErr := readCopy(dev, sectors-1, sectors)
	if backupErr != nil {
		return nil, fmt.Errorf("read partition table: %w; backup: %w", err, backupErr)
	}
	b.Damage = fmt.Errorf("primary table: %w", err)
	b.fromBackup = true
	return b, nil
}
