package ext4

import (
	"errors"
	"fmt"
)

const (
	modeMask      = 0xf000
	modeDirectory = 0x4000
	modeRegular   = 0x8000
	modeSymlink   = 0xa000

	flagExtents = 0x80000

	extentMagic = 0xf30a
	// maxDepth is the deepest extent tree that ext4 makes.
	maxDepth = 5
	// uninitialised is added to the length of an extent that is allocated and reads as zeros.
	uninitialised = 1 << 15
)

type inode struct {
	number uint32
	mode   uint16
	flags  uint32
	size   int64
	blocks uint32
	body   [60]byte
	// seed starts the checksums of the blocks that belong to this inode.
	seed uint32
}

func (v *Volume) inode(number uint32) (*inode, error) {
	if number == 0 || number > v.inodes {
		return nil, fmt.Errorf("inode %d is not one of %d", number, v.inodes)
	}
	table, err := v.inodeTable((number - 1) / v.inodesPerGroup)
	if err != nil {
		return nil, err
	}
	offset := int64((number-1)%v.inodesPerGroup) * v.inodeSize
	block, err := v.block(table + uint64(offset/v.blockSize))
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	raw := append([]byte(nil), block[offset%v.blockSize:][:v.inodeSize]...)
	n := &inode{
		number: number,
		mode:   le.Uint16(raw[0x0:]),
		flags:  le.Uint32(raw[0x20:]),
		size:   int64(le.Uint32(raw[0x4:])) | int64(le.Uint32(raw[0x6c:]))<<32,
		blocks: le.Uint32(raw[0x1c:]),
		body:   [60]byte(raw[0x28:]),
	}
	var word [4]byte
	le.PutUint32(word[:], number)
	n.seed = checksum(checksum(v.seed, word[:]), raw[0x64:0x68])
	if v.checksums {
		want, mask := uint32(le.Uint16(raw[0x7c:])), uint32(0xffff)
		raw[0x7c], raw[0x7d] = 0, 0
		if v.inodeSize > 128 && le.Uint16(raw[0x80:]) >= 4 {
			want |= uint32(le.Uint16(raw[0x82:])) << 16
			mask = ^uint32(0)
			raw[0x82], raw[0x83] = 0, 0
		}
		if got := checksum(n.seed, raw) & mask; got != want {
			return nil, fmt.Errorf("inode %d: checksum %#x, computed %#x", number, want, got)
		}
	}
	if n.size < 0 {
		return nil, fmt.Errorf("inode %d: negative size", number)
	}
	return n, nil
}

// mapBlock finds where logical block n of a file lies; false means a hole.
func (v *Volume) mapBlock(node *inode, n uint32) (physical uint64, ok bool, err error) {
	if node.flags&flagExtents == 0 {
		return 0, false, fmt.Errorf("inode %d: not mapped by extents", node.number)
	}
	level := node.body[:]
	depth := -1
	for {
		if le.Uint16(level) != extentMagic {
			return 0, false, fmt.Errorf("inode %d: no extent header", node.number)
		}
		entries, capacity, d := int(le.Uint16(level[2:])), int(le.Uint16(level[4:])), int(le.Uint16(level[6:]))
		if entries > capacity || 12+12*entries > len(level) || d > maxDepth || depth >= 0 && d != depth-1 {
			return 0, false, fmt.Errorf("inode %d: impossible extent header", node.number)
		}
		depth = d
		// The last entry that begins at or before n is the only one that can hold it.
		var found []byte
		for i := range entries {
			e := level[12+12*i:][:12]
			if le.Uint32(e) > n {
				break
			}
			found = e
		}
		if found == nil {
			return 0, false, nil
		}
		if depth == 0 {
			first, length := le.Uint32(found), uint32(le.Uint16(found[4:]))
			start := uint64(le.Uint16(found[6:]))<<32 | uint64(le.Uint32(found[8:]))
			written := true
			if length > uninitialised {
				length, written = length-uninitialised, false
			}
			if n-first >= length || !written {
				return 0, false, nil
			}
			return start + uint64(n-first), true, nil
		}
		child := uint64(le.Uint16(found[8:]))<<32 | uint64(le.Uint32(found[4:]))
		if level, err = v.block(child); err != nil {
			return 0, false, fmt.Errorf("inode %d: %w", node.number, err)
		}
		if v.checksums {
			tail := 12 + 12*int(le.Uint16(level[4:]))
			if tail+4 > len(level) || checksum(node.seed, level[:tail]) != le.Uint32(level[tail:]) {
				return 0, false, fmt.Errorf("inode %d: extent block %d with a wrong checksum", node.number, child)
			}
		}
	}
}

// readAll returns the content of a file of at most limit bytes.
func (v *Volume) readAll(node *inode, limit int64) ([]byte, error) {
	if node.size > limit {
		return nil, fmt.Errorf("inode %d: %d bytes, more than %d", node.number, node.size, limit)
	}
	// A link of up to 59 bytes lies in the inode itself.
	if node.mode&modeMask == modeSymlink && node.flags&flagExtents == 0 {
		if node.size > int64(len(node.body)) {
			return nil, fmt.Errorf("inode %d: symbolic link of %d bytes", node.number, node.size)
		}
		return append([]byte(nil), node.body[:node.size]...), nil
	}
	data := make([]byte, 0, node.size)
	for n := uint32(0); int64(len(data)) < node.size; n++ {
		physical, ok, err := v.mapBlock(node, n)
		if err != nil {
			return nil, err
		}
		b := make([]byte, v.blockSize)
		if ok {
			if b, err = v.block(physical); err != nil {
				return nil, fmt.Errorf("inode %d: %w", node.number, err)
			}
		}
		data = append(data, b[:min(v.blockSize, node.size-int64(len(data)))]...)
	}
	return data, nil
}

// entry is one name in a directory.
type entry struct {
	name  string
	inode uint32
}

// maxDirectory bounds a directory: 16 MiB hold more than 50,000 names.
const maxDirectory = 16 << 20

func (v *Volume) entries(node *inode) ([]entry, error) {
	if node.mode&modeMask != modeDirectory {
		return nil, fmt.Errorf("inode %d: not a directory", node.number)
	}
	data, err := v.readAll(node, maxDirectory)
	if err != nil {
		return nil, err
	}
	var list []entry
	for ; int64(len(data)) >= v.blockSize; data = data[v.blockSize:] {
		if list, err = v.directoryBlock(node, data[:v.blockSize], list); err != nil {
			return nil, fmt.Errorf("inode %d: %w", node.number, err)
		}
	}
	return list, nil
}

// directoryBlock appends the names in one block. The inner nodes of an indexed directory look like blocks without names.
func (v *Volume) directoryBlock(node *inode, b []byte, list []entry) ([]entry, error) {
	if tail := b[len(b)-12:]; v.checksums && le.Uint32(tail) == 0 && le.Uint16(tail[4:]) == 12 && tail[7] == 0xde {
		if checksum(node.seed, b[:len(b)-12]) != le.Uint32(tail[8:]) {
			return nil, errors.New("directory block with a wrong checksum")
		}
	}
	for at := 0; at < len(b); {
		if at+8 > len(b) {
			return nil, errors.New("directory entry beyond its block")
		}
		number, length, nameLength := le.Uint32(b[at:]), int(le.Uint16(b[at+4:])), int(b[at+6])
		if length < 8 || length%4 != 0 || at+length > len(b) || 8+nameLength > length {
			return nil, errors.New("impossible directory entry")
		}
		if name := string(b[at+8 : at+8+nameLength]); number != 0 && name != "." && name != ".." {
			list = append(list, entry{name, number})
		}
		at += length
	}
	return list, nil
}
