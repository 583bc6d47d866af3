// Package vmdk writes virtual disks in VMware's stream-optimized form, the one that an OVF package carries: VMware's
// "Virtual Disk Format 5.0" technical note, section "Stream-Optimized Compressed".
//
// The file is a sequence of 512-byte sectors:
//
//	header | descriptor | grain … grain, table | grain … grain, table | … | directory | footer | end of stream
//
// A grain is 64 KiB of disk, deflated, behind a marker with its disk address; grains of zeros are left out. A grain
// table holds the file positions of the 512 grains before it, the grain directory those of the tables. The header says
// only that the directory is at the end; the footer repeats the header with its position. So the file can be written
// and read front to back.
//
// ESXi is stricter than the specification and than QEMU, whose own files it refuses. What it insists on, and what
// this package therefore keeps to: format version 3 ("sparse VMDK version too old" otherwise), a footer with its
// marker, the end-of-stream marker in the last sector of the file, a descriptor that names the createType
// "streamOptimized", an adapter type of SCSI and a capacity of whole grains.
//
// The same disk gives the same bytes.
package vmdk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// GrainSize is the unit of allocation in bytes. A capacity must be a multiple.
const GrainSize = 128 * sectorSize

const (
	sectorSize = 512
	// tableEntries is the number of grains in a grain table: 32 MiB of disk.
	tableEntries = 512
	tableSectors = tableEntries * 4 / sectorSize

	magic              = 0x564d444b // "KDMV" on disk
	version            = 3
	flagNewLines       = 1 << 0
	flagCompressed     = 1 << 16
	flagMarkers        = 1 << 17
	compressionDeflate = 1
	// directoryAtEnd in the header sends the reader to the footer.
	directoryAtEnd = math.MaxUint64

	descriptorOffset  = 1
	descriptorSectors = 20
	// firstGrain leaves 64 KiB for header and descriptor, as VMware's own tools do.
	firstGrain = 128

	markerEnd       = 0
	markerTable     = 1
	markerDirectory = 2
	markerFooter    = 3
)

// Disk is what to write.
type Disk struct {
	// Content is the disk from its first byte, Size bytes long; what follows up to Capacity is zeros.
	Content io.ReaderAt
	Size    int64
	// Capacity is what the virtual machine sees, in bytes.
	Capacity int64
	// Name of the file, which the descriptor repeats.
	Name string
	// ID tells this disk's content from another's.
	ID [16]byte
}

// A HoleFinder is content that knows where it has nothing. Reading 3 GiB of holes to find zeros takes seconds.
type HoleFinder interface {
	// NextData returns the first offset from the given one on where data may be, or the end of the content.
	NextData(offset int64) (int64, error)
}

// Write writes the disk to w and returns how many bytes of it are in grains, zero grains left out: what OVF calls the
// populated size.
func Write(w io.Writer, d Disk) (populated int64, err error) {
	if d.Capacity <= 0 || d.Capacity%GrainSize != 0 || d.Size < 0 || d.Size > d.Capacity {
		return 0, fmt.Errorf("write vmdk: %d bytes of content in a capacity of %d, which must be whole grains of %d", d.Size, d.Capacity, GrainSize)
	}
	if d.Capacity/sectorSize > math.MaxUint32 {
		return 0, fmt.Errorf("write vmdk: a capacity of %d bytes is more than 2 TiB", d.Capacity)
	}
	s := &stream{w: w}
	if err := s.disk(d); err != nil {
		return 0, fmt.Errorf("write vmdk: %w", err)
	}
	return s.populated, nil
}

// stream writes sectors and counts them.
type stream struct {
	w         io.Writer
	sector    uint64
	populated int64
	// data is where the next data are, as far as the content could tell.
	data int64
}

func (s *stream) disk(d Disk) error {
	if err := s.write(header(d.Capacity, directoryAtEnd)); err != nil {
		return err
	}
	text := descriptor(d)
	if len(text) > descriptorSectors*sectorSize {
		return fmt.Errorf("the descriptor has %d bytes, more than %d sectors", len(text), descriptorSectors)
	}
	head := make([]byte, (firstGrain-descriptorOffset)*sectorSize)
	copy(head, text)
	if err := s.write(head); err != nil {
		return err
	}
	grains := d.Capacity / GrainSize
	directory := make([]uint32, (grains+tableEntries-1)/tableEntries)
	for i := range directory {
		at, err := s.table(d, int64(i)*tableEntries)
		if err != nil {
			return err
		}
		directory[i] = at
	}
	at, err := s.metadata(markerDirectory, directory)
	if err != nil {
		return err
	}
	if err := s.marker(markerFooter, 1); err != nil {
		return err
	}
	if err := s.write(header(d.Capacity, uint64(at))); err != nil {
		return err
	}
	return s.marker(markerEnd, 0)
}

// table writes the grains that one grain table covers, from the given one on, then the table. It returns the table's
// position, 0 for one without grains, which is not written.
func (s *stream) table(d Disk, first int64) (uint32, error) {
	var table [tableEntries]uint32
	used := false
	grain := make([]byte, GrainSize)
	for i := range table {
		offset := (first + int64(i)) * GrainSize
		if offset >= d.Size {
			break
		}
		if hole, err := s.inHole(d.Content, offset); err != nil {
			return 0, err
		} else if hole {
			continue
		}
		n := min(GrainSize, d.Size-offset)
		clear(grain[n:])
		if _, err := io.ReadFull(io.NewSectionReader(d.Content, offset, n), grain[:n]); err != nil {
			return 0, fmt.Errorf("read disk at %d: %w", offset, err)
		}
		if isZero(grain) {
			continue
		}
		if s.sector > math.MaxUint32 {
			return 0, fmt.Errorf("the file is longer than 2 TiB")
		}
		table[i] = uint32(s.sector)
		used = true
		if err := s.grain(uint64(offset/sectorSize), grain); err != nil {
			return 0, err
		}
	}
	if !used {
		return 0, nil
	}
	return s.metadata(markerTable, table[:])
}

// inHole tells whether the grain at the offset is known to have no data.
func (s *stream) inHole(content io.ReaderAt, offset int64) (bool, error) {
	h, ok := content.(HoleFinder)
	if !ok {
		return false, nil
	}
	if s.data <= offset {
		next, err := h.NextData(offset)
		if err != nil {
			return false, fmt.Errorf("find data at %d: %w", offset, err)
		}
		s.data = next
	}
	return s.data >= offset+GrainSize, nil
}

// grain writes one grain: disk address (8 bytes), compressed length (4 bytes), data, padding.
func (s *stream) grain(lba uint64, data []byte) error {
	var b bytes.Buffer
	b.Write(make([]byte, 12))
	z := zlib.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		return fmt.Errorf("compress grain: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress grain: %w", err)
	}
	out := b.Bytes()
	binary.LittleEndian.PutUint64(out, lba)
	binary.LittleEndian.PutUint32(out[8:], uint32(len(out)-12))
	s.populated += int64(len(data))
	return s.write(out)
}

// marker announces a block of metadata of the given length in sectors: length (8 bytes), 0 where a grain has its size
// (4 bytes), type (4 bytes).
func (s *stream) marker(kind uint32, sectors uint64) error {
	b := make([]byte, sectorSize)
	binary.LittleEndian.PutUint64(b, sectors)
	binary.LittleEndian.PutUint32(b[12:], kind)
	return s.write(b)
}

// metadata writes a marker and a list of sector numbers, and returns where the list starts.
func (s *stream) metadata(kind uint32, list []uint32) (uint32, error) {
	b := make([]byte, 0, len(list)*4)
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	if err := s.marker(kind, uint64(len(b)+sectorSize-1)/sectorSize); err != nil {
		return 0, err
	}
	if s.sector > math.MaxUint32 {
		return 0, fmt.Errorf("the file is longer than 2 TiB")
	}
	at := uint32(s.sector)
	return at, s.write(b)
}

// write writes data padded to whole sectors.
func (s *stream) write(data []byte) error {
	if rest := len(data) % sectorSize; rest != 0 {
		data = append(data, make([]byte, sectorSize-rest)...)
	}
	s.sector += uint64(len(data) / sectorSize)
	_, err := s.w.Write(data)
	return err
}

// header is the SparseExtentHeader, which serves as the footer too.
func header(capacity int64, directory uint64) []byte {
	b := make([]byte, 0, sectorSize)
	le := binary.LittleEndian
	b = le.AppendUint32(b, magic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, flagNewLines|flagCompressed|flagMarkers)
	b = le.AppendUint64(b, uint64(capacity/sectorSize))
	b = le.AppendUint64(b, GrainSize/sectorSize)
	b = le.AppendUint64(b, descriptorOffset)
	b = le.AppendUint64(b, descriptorSectors)
	b = le.AppendUint32(b, tableEntries)
	b = le.AppendUint64(b, 0) // no redundant directory
	b = le.AppendUint64(b, directory)
	b = le.AppendUint64(b, firstGrain)
	// Clean shutdown, then the characters that a transfer in text mode would damage.
	b = append(b, 0, '\n', ' ', '\r', '\n')
	b = le.AppendUint16(b, compressionDeflate)
	return b[:sectorSize]
}

// descriptor is the text that describes the disk.
func descriptor(d Disk) []byte {
	// The geometry that VMware gives SCSI disks of more than 4 GB.
	const heads, sectorsPerTrack = 255, 63
	sectors := d.Capacity / sectorSize
	cylinders := min(sectors/(heads*sectorsPerTrack), 65535)
	// ffffffff stands for "no parent" and fffffffe is used by VMware for disks that were never written.
	cid := binary.BigEndian.Uint32(d.ID[:]) &^ (1 << 31)
	return fmt.Appendf(nil, `# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=%08x
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW %d SPARSE "%s"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "%d"
ddb.geometry.sectors = "%d"
ddb.longContentID = "%x%08x"
ddb.toolsInstallType = "4"
ddb.toolsVersion = "2147483647"
ddb.virtualHWVersion = "13"
`, cid, sectors, d.Name, cylinders, heads, sectorsPerTrack, d.ID[4:], cid)
}

var zeros [GrainSize]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }
