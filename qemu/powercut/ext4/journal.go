package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	journalMagic = 0xc03b3998

	descriptorBlock = 1
	commitBlock     = 2
	superblockV2    = 4
	revokeBlock     = 5

	journalIncompatRevoke = 0x1
	journalIncompat64Bit  = 0x2
	journalIncompatCsumV3 = 0x10
	journalIncompatKnown  = journalIncompatRevoke | journalIncompat64Bit | journalIncompatCsumV3

	tagEscaped  = 0x1
	tagSameUUID = 0x2
	tagLast     = 0x8

	// maxJournalBlocks bounds the journal that is looked at: 1 GiB of 4 KiB blocks is the largest that mkfs makes.
	maxJournalBlocks = 1 << 18
)

var be = binary.BigEndian

// journal is the log in the hidden inode, as jbd2 recovers it.
type journal struct {
	v           *Volume
	inode       *inode
	first, last uint32
	sequence    uint32
	start       uint32
	seed        uint32
	checksums   bool
	tagSize     int
	wide        bool
}

// replay fills v.replayed with what the kernel would write back: every block of every transaction whose commit block
// is there, the newest copy of each, unless a later transaction revokes it.
func (v *Volume) replay(inodeNumber uint32) error {
	node, err := v.inode(inodeNumber)
	if err != nil {
		return err
	}
	j := &journal{v: v, inode: node}
	if err := j.readSuperblock(); err != nil {
		return err
	}
	if j.start == 0 {
		return nil
	}
	end, err := j.scan()
	if err != nil {
		return err
	}
	revoked := map[uint64]uint32{}
	if err := j.walk(end, func(sequence uint32, kind uint32, block []byte, at uint32) error {
		if kind != revokeBlock {
			return nil
		}
		return j.revoke(sequence, block, revoked)
	}); err != nil {
		return err
	}
	return j.walk(end, func(sequence uint32, kind uint32, block []byte, at uint32) error {
		if kind == commitBlock {
			v.Replayed++
		}
		if kind != descriptorBlock {
			return nil
		}
		return j.restore(sequence, block, at, revoked)
	})
}

func (j *journal) readSuperblock() error {
	sb, err := j.block(0)
	if err != nil {
		return fmt.Errorf("superblock: %w", err)
	}
	if be.Uint32(sb) != journalMagic || be.Uint32(sb[4:]) != superblockV2 {
		return errors.New("superblock: not a jbd2 superblock of version 2")
	}
	incompat := be.Uint32(sb[0x28:])
	if unknown := incompat &^ journalIncompatKnown; unknown != 0 {
		return fmt.Errorf("superblock: unknown incompatible features %#x", unknown)
	}
	j.wide = incompat&journalIncompat64Bit != 0
	j.checksums = incompat&journalIncompatCsumV3 != 0
	switch {
	case j.checksums:
		j.tagSize = 16
	case j.wide:
		j.tagSize = 12
	default:
		j.tagSize = 8
	}
	if be.Uint32(sb[0xc:]) != uint32(j.v.blockSize) {
		return errors.New("superblock: block size differs from the file system's")
	}
	j.first, j.last = be.Uint32(sb[0x14:]), be.Uint32(sb[0x10:])
	j.sequence, j.start = be.Uint32(sb[0x18:]), be.Uint32(sb[0x1c:])
	if j.checksums {
		sum := checksumWithout(^uint32(0), sb[:1024], 0xfc)
		if want := be.Uint32(sb[0xfc:]); sum != want {
			return fmt.Errorf("superblock: checksum %#x, computed %#x", want, sum)
		}
		j.seed = checksum(^uint32(0), sb[0x30:0x40])
	}
	if j.first == 0 || j.first >= j.last || j.last > maxJournalBlocks || j.start != 0 && (j.start < j.first || j.start >= j.last) {
		return fmt.Errorf("superblock: log from %d to %d starts at %d", j.first, j.last, j.start)
	}
	return nil
}

// block returns block n of the journal's file. It never comes from the journal itself.
func (j *journal) block(n uint32) ([]byte, error) {
	physical, ok, err := j.v.mapBlock(j.inode, n)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("block %d of the journal is a hole", n)
	}
	return j.v.deviceBlock(physical)
}

// after is the log's ring: the block n places after at.
func (j *journal) after(at, n uint32) uint32 {
	for at += n; at >= j.last; {
		at -= j.last - j.first
	}
	return at
}

// scan finds the sequence number after the last committed transaction. A commit block with a wrong checksum is no end of
// the log but an error, as in the kernel, which then refuses to mount; the same holds for a descriptor with a wrong
// checksum if the transaction is committed and not older than the one before it (stale blocks of an earlier use of the
// log are older).
func (j *journal) scan() (end uint32, err error) {
	at, sequence := j.start, j.sequence
	var lastCommitTime uint64
	doubtful := false
	for steps := uint32(0); steps <= j.last; steps++ {
		b, err := j.block(at)
		if err != nil {
			return 0, err
		}
		if be.Uint32(b) != journalMagic || be.Uint32(b[8:]) != sequence {
			return sequence, nil
		}
		at = j.after(at, 1)
		switch be.Uint32(b[4:]) {
		case descriptorBlock:
			if !j.tailHolds(b) {
				doubtful = true
			}
			at = j.after(at, uint32(len(j.tags(b))))
		case revokeBlock:
			if !j.tailHolds(b) {
				doubtful = true
			}
		case commitBlock:
			commitTime := be.Uint64(b[0x30:])
			if doubtful {
				if commitTime >= lastCommitTime {
					return 0, fmt.Errorf("transaction %d: committed, with a descriptor whose checksum is wrong", sequence)
				}
				return sequence, nil
			}
			if j.checksums && checksumWithout(j.seed, b, 0x10) != be.Uint32(b[0x10:]) {
				if commitTime < lastCommitTime {
					return sequence, nil
				}
				return 0, fmt.Errorf("transaction %d: commit block with a wrong checksum", sequence)
			}
			lastCommitTime = commitTime
			sequence++
		default:
			return sequence, nil
		}
	}
	return 0, errors.New("the log has no end")
}

// walk visits descriptor, revoke and commit blocks of the transactions before end; at is the log block after it.
func (j *journal) walk(end uint32, visit func(sequence, kind uint32, block []byte, at uint32) error) error {
	at, sequence := j.start, j.sequence
	for sequence != end {
		b, err := j.block(at)
		if err != nil {
			return err
		}
		at = j.after(at, 1)
		kind := be.Uint32(b[4:])
		if err := visit(sequence, kind, b, at); err != nil {
			return fmt.Errorf("transaction %d: %w", sequence, err)
		}
		switch kind {
		case descriptorBlock:
			at = j.after(at, uint32(len(j.tags(b))))
		case commitBlock:
			sequence++
		}
	}
	return nil
}

// tag names one block of a transaction: the file system block that the next log block is a copy of.
type tag struct {
	block uint64
	flags uint32
	sum   uint32
}

func (j *journal) tags(descriptor []byte) []tag {
	end := len(descriptor)
	if j.checksums {
		end -= 4
	}
	var tags []tag
	for at := 12; at+j.tagSize <= end; {
		var t tag
		t.block = uint64(be.Uint32(descriptor[at:]))
		if j.checksums {
			t.flags = be.Uint32(descriptor[at+4:])
			t.sum = be.Uint32(descriptor[at+12:])
		} else {
			t.flags = uint32(be.Uint16(descriptor[at+6:]))
		}
		if j.wide {
			t.block |= uint64(be.Uint32(descriptor[at+8:])) << 32
		}
		tags = append(tags, t)
		at += j.tagSize
		if t.flags&tagSameUUID == 0 {
			at += 16
		}
		if t.flags&tagLast != 0 {
			break
		}
	}
	return tags
}

// restore takes the copies that follow a descriptor.
func (j *journal) restore(sequence uint32, descriptor []byte, at uint32, revoked map[uint64]uint32) error {
	for i, t := range j.tags(descriptor) {
		if last, ok := revoked[t.block]; ok && int32(last-sequence) >= 0 {
			continue
		}
		b, err := j.block(j.after(at, uint32(i)))
		if err != nil {
			return err
		}
		if j.checksums {
			var number [4]byte
			be.PutUint32(number[:], sequence)
			if sum := checksum(checksum(j.seed, number[:]), b); sum != t.sum {
				return fmt.Errorf("copy of block %d: checksum %#x, computed %#x", t.block, t.sum, sum)
			}
		}
		if t.flags&tagEscaped != 0 {
			b = append([]byte(nil), b...)
			be.PutUint32(b, journalMagic)
		}
		j.v.replayed[t.block] = b
	}
	return nil
}

func (j *journal) revoke(sequence uint32, block []byte, revoked map[uint64]uint32) error {
	if !j.tailHolds(block) {
		return errors.New("revoke block with a wrong checksum")
	}
	width := 4
	if j.wide {
		width = 8
	}
	end := int(be.Uint32(block[12:]))
	if end < 16 || end > len(block) {
		return fmt.Errorf("revoke block of %d bytes", end)
	}
	for at := 16; at+width <= end; at += width {
		n := uint64(be.Uint32(block[at:]))
		if j.wide {
			n = be.Uint64(block[at:])
		}
		// Transactions come in order, so the newest revocation wins by coming last.
		revoked[n] = sequence
	}
	return nil
}

// tailHolds verifies the checksum in the last four bytes of a descriptor or revoke block.
func (j *journal) tailHolds(b []byte) bool {
	return !j.checksums || checksumWithout(j.seed, b, len(b)-4) == be.Uint32(b[len(b)-4:])
}

// checksumWithout is the checksum of b with the four bytes at offset taken as zero.
func checksumWithout(seed uint32, b []byte, offset int) uint32 {
	sum := checksum(seed, b[:offset])
	sum = checksum(sum, make([]byte, 4))
	return checksum(sum, b[offset+4:])
}
