package fat

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// FormatOptions say what a new volume looks like. The same options on a device of the same size give the same bytes.
type FormatOptions struct {
	// VolumeID is the serial number, shown as XXXX-XXXX.
	VolumeID uint32
	// Label has at most 11 characters; empty means none.
	Label string
	// ClusterSize in bytes, a power of two from 512 to 32768; 0 means 4096.
	ClusterSize int
	// PartitionStart is the first sector of the partition on its disk.
	PartitionStart uint32
	// Now gives the time stamps of the label and of everything that is written through the returned volume;
	// nil means the clock. They are stored in UTC.
	Now func() time.Time
}

const (
	backupBootSector = 6
	// minReserved is what other tools reserve before the first FAT.
	minReserved = 32
	endOfChain  = 0x0FFFFFFF
	badCluster  = 0x0FFFFFF7
	entryMask   = 0x0FFFFFFF
)

// Format makes an empty volume that fills the device. The boot sector is written last.
func Format(dev BlockDevice, o FormatOptions) (*Volume, error) {
	if o.ClusterSize == 0 {
		o.ClusterSize = 4096
	}
	if o.ClusterSize < sectorSize || o.ClusterSize > 32768 || bits.OnesCount(uint(o.ClusterSize)) != 1 {
		return nil, fmt.Errorf("clusters of %d bytes", o.ClusterSize)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	label, err := encodeLabel(o.Label)
	if err != nil {
		return nil, err
	}
	total := dev.Size() / sectorSize
	if total > 1<<32-1 {
		return nil, errors.New("the device is larger than FAT32 can describe")
	}
	perCluster := int64(o.ClusterSize / sectorSize)

	// The FAT is as long as it would be if it took no room itself; the few sectors too many cost nothing. The data
	// area starts at a multiple of the cluster size, so that a cluster is one page of a 4 KiB disk.
	fatSectors := (total/perCluster + 2 + 127) / 128
	reserved := int64(minReserved)
	reserved += (perCluster - (reserved+2*fatSectors)%perCluster) % perCluster

	b := make([]byte, sectorSize)
	copy(b, "\xEB\x58\x90ROTUNDA ")
	le.PutUint16(b[11:], sectorSize)
	b[13] = byte(perCluster)
	le.PutUint16(b[14:], uint16(reserved))
	b[16] = 2
	b[21] = 0xF8
	le.PutUint16(b[24:], 63)
	le.PutUint16(b[26:], 255)
	le.PutUint32(b[28:], o.PartitionStart)
	le.PutUint32(b[32:], uint32(total))
	le.PutUint32(b[36:], uint32(fatSectors))
	le.PutUint32(b[44:], 2)
	le.PutUint16(b[48:], 1)
	le.PutUint16(b[50:], backupBootSector)
	b[64] = 0x80
	b[66] = 0x29
	le.PutUint32(b[67:], o.VolumeID)
	copy(b[71:82], "NO NAME    ")
	if o.Label != "" {
		copy(b[71:82], label[:])
	}
	copy(b[82:], "FAT32   ")
	// A BIOS that starts this sector halts: hlt; jmp -3.
	copy(b[90:], "\xF4\xEB\xFD")
	b[510], b[511] = 0x55, 0xAA

	g, err := readGeometry(b, dev.Size())
	if err != nil {
		return nil, fmt.Errorf("format a device of %d bytes with clusters of %d: %w", dev.Size(), o.ClusterSize, err)
	}

	t := newTable(g)
	t.set(0, 0x0FFFFFF8)
	t.set(1, endOfChain)
	t.set(g.root, endOfChain)
	t.dirtyAll()

	reservedArea := make([]byte, reserved*sectorSize)
	info := encodeInfo(t.countFree(), 3)
	copy(reservedArea[1*sectorSize:], info)
	copy(reservedArea[backupBootSector*sectorSize:], b)
	copy(reservedArea[(backupBootSector+1)*sectorSize:], info)

	root := make([]byte, g.clusterSize())
	if o.Label != "" {
		e := root[:slotSize]
		copy(e, label[:])
		e[11] = attrLabel
		date, clock := encodeTime(o.Now())
		le.PutUint16(e[22:], clock)
		le.PutUint16(e[24:], date)
	}
	if _, err := dev.WriteAt(reservedArea, 0); err != nil {
		return nil, fmt.Errorf("write reserved area: %w", err)
	}
	if err := t.flush(dev); err != nil {
		return nil, err
	}
	if _, err := dev.WriteAt(root, g.offset(g.root)); err != nil {
		return nil, fmt.Errorf("write root directory: %w", err)
	}
	if err := dev.Sync(); err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	if _, err := dev.WriteAt(b, 0); err != nil {
		return nil, fmt.Errorf("write boot sector: %w", err)
	}
	if err := dev.Sync(); err != nil {
		return nil, fmt.Errorf("sync: %w", err)
	}
	return Open(dev, Options{Now: o.Now})
}

// encodeInfo makes an FSInfo sector. Both numbers are hints; this package never reads them.
func encodeInfo(free, next uint32) []byte {
	b := make([]byte, sectorSize)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	le.PutUint32(b[488:], free)
	le.PutUint32(b[492:], next)
	b[510], b[511] = 0x55, 0xAA
	return b
}
