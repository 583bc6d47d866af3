package powercut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format is that of the kernel's dm-log-writes target (Documentation/admin-guide/device-mapper/log-writes.rst), which
// QEMU's block/blklogwrites.c writes: a superblock sector, then for every request a header sector and, for a write, its
// data. Everything is little-endian. QEMU puts a request into the log once it has been carried out.
const (
	logMagic   = 0x6a736677736872
	logVersion = 1

	flagFlush   = 1 << 0
	flagFUA     = 1 << 1
	flagDiscard = 1 << 2
	flagMark    = 1 << 3

	// maxEntries bounds a log; an upgrade makes a few thousand.
	maxEntries = 1 << 20
	// maxRequest bounds one request in bytes; QEMU splits at 2 GiB.
	maxRequest = 1 << 31
)

// SectorSize is what a disk writes whole or not at all.
const SectorSize = 512

// Kind is what a request did.
type Kind int

// The kinds of requests.
const (
	Write Kind = iota
	Discard
	Flush
)

// Entry is one request, in the order in which they were carried out.
type Entry struct {
	Kind Kind
	// Offset and Length on the disk, in bytes.
	Offset, Length int64
	// data is where the written bytes are in the log.
	data int64
}

// Log is a recording of requests.
type Log struct {
	Entries []Entry
	source  io.ReaderAt
}

// ReadLog reads the headers of a log of the given size, for a disk of diskSize bytes.
func ReadLog(source io.ReaderAt, size, diskSize int64) (*Log, error) {
	var super [28]byte
	if _, err := source.ReadAt(super[:], 0); err != nil {
		return nil, fmt.Errorf("read log superblock: %w", err)
	}
	magic, version := binary.LittleEndian.Uint64(super[0:]), binary.LittleEndian.Uint64(super[8:])
	entries, sector := binary.LittleEndian.Uint64(super[16:]), int64(binary.LittleEndian.Uint32(super[24:]))
	switch {
	case magic != logMagic || version != logVersion:
		return nil, errors.New("read log superblock: not a write log of version 1")
	case entries > maxEntries:
		return nil, fmt.Errorf("read log superblock: %d entries are more than %d", entries, maxEntries)
	case sector != SectorSize:
		return nil, fmt.Errorf("read log superblock: sectors of %d bytes, want %d", sector, SectorSize)
	}
	l := &Log{source: source}
	at := sector
	for i := range entries {
		var header [32]byte
		if _, err := source.ReadAt(header[:], at); err != nil {
			return nil, fmt.Errorf("read log entry %d: %w", i, err)
		}
		at += sector
		first, count := binary.LittleEndian.Uint64(header[0:]), binary.LittleEndian.Uint64(header[8:])
		flags := binary.LittleEndian.Uint64(header[16:])
		if flags&^(flagFlush|flagFUA|flagDiscard|flagMark) != 0 {
			return nil, fmt.Errorf("read log entry %d: unknown flags %#x", i, flags)
		}
		if count > maxRequest/SectorSize || first > uint64(diskSize)/SectorSize || first+count > uint64(diskSize)/SectorSize {
			return nil, fmt.Errorf("read log entry %d: sectors %d+%d are beyond the disk", i, first, count)
		}
		e := Entry{Offset: int64(first) * sector, Length: int64(count) * sector, data: at}
		switch {
		case flags&flagMark != 0:
			continue
		case flags&flagDiscard != 0:
			e.Kind = Discard
			l.Entries = append(l.Entries, e)
			continue
		}
		if at+e.Length > size {
			return nil, fmt.Errorf("read log entry %d: its data end beyond the log", i)
		}
		at += e.Length
		// A flush holds for what came before it, a write through the cache also for itself.
		if flags&flagFlush != 0 {
			l.Entries = append(l.Entries, Entry{Kind: Flush})
		}
		if e.Length > 0 {
			l.Entries = append(l.Entries, e)
		}
		if flags&flagFUA != 0 {
			l.Entries = append(l.Entries, Entry{Kind: Flush})
		}
	}
	return l, nil
}

// payload returns the bytes that a write put on the disk.
func (l *Log) payload(e Entry) ([]byte, error) {
	data := make([]byte, e.Length)
	if _, err := l.source.ReadAt(data, e.data); err != nil {
		return nil, fmt.Errorf("read log data: %w", err)
	}
	return data, nil
}
