package fat

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// BlockDevice is a disk or a partition. Writes become durable, and ordered before all later ones, by Sync.
type BlockDevice interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	// Size in bytes.
	Size() int64
}

// cacheDropper is a device that can be told to forget what it holds in memory, so that the next read comes from the
// medium. It is called after Sync.
type cacheDropper interface {
	DropCache() error
}

// Device is a block device of the kernel or an image in a file.
type Device struct {
	file *os.File
	size int64
}

// OpenDevice opens a block device or a file for reading, and for writing if write is set.
func OpenDevice(path string, write bool) (*Device, error) {
	mode := os.O_RDONLY
	if write {
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	d, err := NewDevice(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// NewDevice takes over an open file. The size is where the file ends now, which for a block device is its capacity.
func NewDevice(f *os.File) (*Device, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", f.Name(), err)
	}
	return &Device{file: f, size: size}, nil
}

func (d *Device) ReadAt(p []byte, off int64) (int, error)  { return d.file.ReadAt(p, off) }
func (d *Device) WriteAt(p []byte, off int64) (int, error) { return d.file.WriteAt(p, off) }

// Sync waits until everything written is on the medium: fsync of a block device also flushes the drive's cache.
func (d *Device) Sync() error { return d.file.Sync() }

// Size in bytes.
func (d *Device) Size() int64 { return d.size }

// DropCache empties the page cache of the device, as far as it is clean.
func (d *Device) DropCache() error {
	return unix.Fadvise(int(d.file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Close closes the file. It does not sync.
func (d *Device) Close() error { return d.file.Close() }

// Partition is a part of a larger device, for example a partition of a disk image.
type Partition struct {
	disk        BlockDevice
	start, size int64
}

// NewPartition returns size bytes of disk from byte start on.
func NewPartition(disk BlockDevice, start, size int64) (*Partition, error) {
	if start < 0 || size < 0 || start > disk.Size() || size > disk.Size()-start {
		return nil, fmt.Errorf("partition of %d bytes at %d does not lie on a disk of %d bytes", size, start, disk.Size())
	}
	return &Partition{disk: disk, start: start, size: size}, nil
}

func (p *Partition) ReadAt(b []byte, off int64) (int, error) {
	return io.NewSectionReader(p.disk, p.start, p.size).ReadAt(b, off)
}

func (p *Partition) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > p.size || int64(len(b)) > p.size-off {
		return 0, fmt.Errorf("write of %d bytes at %d leaves a partition of %d bytes", len(b), off, p.size)
	}
	return p.disk.WriteAt(b, p.start+off)
}

// Sync syncs the whole disk.
func (p *Partition) Sync() error { return p.disk.Sync() }

// Size in bytes.
func (p *Partition) Size() int64 { return p.size }

// DropCache passes on to the disk.
func (p *Partition) DropCache() error {
	if d, ok := p.disk.(cacheDropper); ok {
		return d.DropCache()
	}
	return nil
}
