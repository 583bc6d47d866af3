// Package ext4 reads an ext4 file system from a block device that nobody may write to, as the kernel would find it when
// it mounts it after a power cut: first the journal is replayed, into memory, then files are read through the result.
//
// It serves the power-cut checker, which looks at thousands of states of one disk and cannot afford to run e2fsck on
// each. It reads what mkfs.ext4 of e2fsprogs 1.47 makes by default (extents, 64bit, flex_bg, metadata_csum and the
// checksums of the journal, version 3) and refuses every incompatible feature that it does not know. Where the kernel
// refuses to mount, [Open] fails; every metadata checksum on the way to a file is verified, so that a block that was
// torn or never written is seen as such and not taken for data. It does not look at bitmaps and counters: that is e2fsck's
// work, which the checker runs on a sample.
//
// The layout is described in the kernel's Documentation/filesystems/ext4, the journal in its journal.rst. All sizes that
// the disk gives are bounded before use.
package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	superblockOffset = 1024
	superblockSize   = 1024
	superMagic       = 0xef53

	compatHasJournal = 0x4

	incompatFiletype = 0x2
	incompatRecover  = 0x4
	incompatExtents  = 0x40
	incompat64Bit    = 0x80
	incompatFlexBG   = 0x200
	incompatCsumSeed = 0x2000
	incompatKnown    = incompatFiletype | incompatRecover | incompatExtents | incompat64Bit | incompatFlexBG | incompatCsumSeed

	roCompatMetadataCsum = 0x400

	rootInode = 2

	// maxCached bounds the blocks kept in memory: 64 MiB of 4 KiB blocks.
	maxCached = 1 << 14
)

var le = binary.LittleEndian

// Volume is a mounted file system. It is not safe for concurrent use.
type Volume struct {
	device    io.ReaderAt
	blockSize int64
	blocks    uint64
	inodes    uint32

	inodesPerGroup uint32
	inodeSize      int64
	descriptorSize int64
	firstDataBlock uint64
	checksums      bool
	seed           uint32

	// replayed holds the blocks that the journal gives, by block number.
	replayed map[uint64][]byte
	// cache holds blocks of the device: a walk through folders reads the same inode tables again and again.
	cache map[uint64][]byte
	// Replayed counts the transactions that were replayed.
	Replayed int
}

// Open reads the superblock and replays the journal if the file system was not unmounted.
func Open(device io.ReaderAt) (*Volume, error) {
	v := &Volume{device: device, replayed: map[uint64][]byte{}, cache: map[uint64][]byte{}}
	sb := make([]byte, superblockSize)
	if err := v.readSuperblock(sb, func() error {
		_, err := device.ReadAt(sb, superblockOffset)
		return err
	}); err != nil {
		return nil, err
	}
	if le.Uint32(sb[0x60:])&incompatRecover == 0 {
		return v, nil
	}
	if le.Uint32(sb[0x5c:])&compatHasJournal == 0 {
		return nil, errors.New("superblock: needs recovery and has no journal")
	}
	if err := v.replay(le.Uint32(sb[0xe0:])); err != nil {
		return nil, fmt.Errorf("replay journal: %w", err)
	}
	// The superblock itself travels through the journal.
	if err := v.readSuperblock(sb, func() error {
		block, err := v.block(uint64(superblockOffset / v.blockSize))
		if err == nil {
			copy(sb, block[superblockOffset%v.blockSize:])
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("after the journal: %w", err)
	}
	return v, nil
}

// readSuperblock fills sb by read and takes the geometry from it.
func (v *Volume) readSuperblock(sb []byte, read func() error) error {
	if err := read(); err != nil {
		return fmt.Errorf("read superblock: %w", err)
	}
	if le.Uint16(sb[0x38:]) != superMagic {
		return errors.New("superblock: no ext4 magic")
	}
	incompat, roCompat := le.Uint32(sb[0x60:]), le.Uint32(sb[0x64:])
	if unknown := incompat &^ incompatKnown; unknown != 0 {
		return fmt.Errorf("superblock: unknown incompatible features %#x", unknown)
	}
	v.checksums = roCompat&roCompatMetadataCsum != 0
	if v.checksums {
		if got, want := checksum(^uint32(0), sb[:0x3fc]), le.Uint32(sb[0x3fc:]); got != want {
			return fmt.Errorf("superblock: checksum %#x, computed %#x", want, got)
		}
	}
	logBlockSize := le.Uint32(sb[0x18:])
	if logBlockSize > 6 {
		return fmt.Errorf("superblock: block size 2^%d KiB", logBlockSize)
	}
	v.blockSize = 1024 << logBlockSize
	v.blocks = uint64(le.Uint32(sb[0x4:]))
	v.descriptorSize = 32
	if incompat&incompat64Bit != 0 {
		v.blocks |= uint64(le.Uint32(sb[0x150:])) << 32
		v.descriptorSize = int64(le.Uint16(sb[0xfe:]))
		if v.descriptorSize < 64 || v.descriptorSize > v.blockSize {
			return fmt.Errorf("superblock: group descriptors of %d bytes", v.descriptorSize)
		}
	}
	v.inodes = le.Uint32(sb[0x0:])
	v.inodesPerGroup = le.Uint32(sb[0x28:])
	v.inodeSize = int64(le.Uint16(sb[0x58:]))
	v.firstDataBlock = uint64(le.Uint32(sb[0x14:]))
	if v.inodesPerGroup == 0 || v.inodeSize < 128 || v.inodeSize > v.blockSize || v.inodeSize&(v.inodeSize-1) != 0 {
		return errors.New("superblock: impossible inode geometry")
	}
	if incompat&incompatCsumSeed != 0 {
		v.seed = le.Uint32(sb[0x270:])
	} else {
		v.seed = checksum(^uint32(0), sb[0x68:0x78])
	}
	return nil
}

// block returns block n as the journal and the device have it. The caller must not change it.
func (v *Volume) block(n uint64) ([]byte, error) {
	if b, ok := v.replayed[n]; ok {
		return b, nil
	}
	return v.deviceBlock(n)
}

func (v *Volume) deviceBlock(n uint64) ([]byte, error) {
	if n >= v.blocks {
		return nil, fmt.Errorf("block %d is beyond the file system's %d", n, v.blocks)
	}
	if b, ok := v.cache[n]; ok {
		return b, nil
	}
	b := make([]byte, v.blockSize)
	if _, err := v.device.ReadAt(b, int64(n)*v.blockSize); err != nil {
		return nil, fmt.Errorf("read block %d: %w", n, err)
	}
	if len(v.cache) < maxCached {
		v.cache[n] = b
	}
	return b, nil
}

// inodeTable returns the first block of a group's inode table.
func (v *Volume) inodeTable(group uint32) (uint64, error) {
	offset := int64(group) * v.descriptorSize
	block, err := v.block(v.firstDataBlock + 1 + uint64(offset/v.blockSize))
	if err != nil {
		return 0, fmt.Errorf("group %d: %w", group, err)
	}
	d := block[offset%v.blockSize:][:v.descriptorSize]
	if v.checksums {
		var number [4]byte
		le.PutUint32(number[:], group)
		sum := checksum(v.seed, number[:])
		sum = checksum(sum, d[:0x1e])
		sum = checksum(sum, []byte{0, 0})
		sum = checksum(sum, d[0x20:])
		if want := le.Uint16(d[0x1e:]); uint16(sum) != want {
			return 0, fmt.Errorf("group %d: descriptor checksum %#x, computed %#x", group, want, uint16(sum))
		}
	}
	table := uint64(le.Uint32(d[0x8:]))
	if v.descriptorSize >= 64 {
		table |= uint64(le.Uint32(d[0x28:])) << 32
	}
	return table, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum continues a CRC-32C as the kernel computes it: without the inversions before and after.
func checksum(sum uint32, data []byte) uint32 {
	return ^crc32.Update(^sum, castagnoli, data)
}
