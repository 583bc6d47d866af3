package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

const (
	sectorSize = 512
	slotSize   = 32
	// slotsPerSector is how many directory slots one atomic write holds.
	slotsPerSector = sectorSize / slotSize

	// minClusters and maxClusters: below the first a volume is FAT16 by Microsoft's rule; the second bounds memory.
	minClusters = 65525
	maxClusters = 1 << 22
)

var le = binary.LittleEndian

// geometry says where things lie on the volume. All positions are in sectors.
type geometry struct {
	fatStart       uint32
	fats           uint32
	fatSectors     uint32
	activeFAT      uint32
	dataStart      uint32
	clusterSectors uint32
	// clusters are numbered 2 … clusters+1.
	clusters uint32
	root     uint32
	// info is the FSInfo sector, 0 if there is none.
	info     uint32
	volumeID uint32
}

// readGeometry takes the boot sector apart and refuses everything that is not a FAT32 volume of at most size bytes.
func readGeometry(b []byte, size int64) (geometry, error) {
	var g geometry
	if len(b) < sectorSize || b[510] != 0x55 || b[511] != 0xAA {
		return g, errors.New("no boot sector signature")
	}
	if n := le.Uint16(b[11:]); n != sectorSize {
		return g, fmt.Errorf("sectors of %d bytes, want %d", n, sectorSize)
	}
	if le.Uint16(b[17:]) != 0 || le.Uint16(b[22:]) != 0 {
		return g, errors.New("not FAT32: the boot sector describes FAT12 or FAT16")
	}
	if v := le.Uint16(b[42:]); v != 0 {
		return g, fmt.Errorf("file system version %#x, want 0", v)
	}
	g.clusterSectors = uint32(b[13])
	if bits.OnesCount32(g.clusterSectors) != 1 {
		return g, fmt.Errorf("clusters of %d sectors", g.clusterSectors)
	}
	g.fatStart = uint32(le.Uint16(b[14:]))
	g.fats = uint32(b[16])
	if g.fatStart == 0 || g.fats == 0 || g.fats > 4 {
		return g, fmt.Errorf("%d FATs from sector %d on", g.fats, g.fatStart)
	}
	total := uint64(le.Uint32(b[32:]))
	if total == 0 {
		total = uint64(le.Uint16(b[19:]))
	}
	if total*sectorSize > uint64(max(size, 0)) {
		return g, fmt.Errorf("volume of %d sectors on a device of %d bytes", total, size)
	}
	g.fatSectors = le.Uint32(b[36:])
	dataStart := uint64(g.fatStart) + uint64(g.fats)*uint64(g.fatSectors)
	if dataStart >= total {
		return g, fmt.Errorf("the FATs take %d of %d sectors", dataStart, total)
	}
	g.dataStart = uint32(dataStart)
	clusters := (total - dataStart) / uint64(g.clusterSectors)
	switch {
	case clusters < minClusters:
		return g, fmt.Errorf("not FAT32: %d clusters, FAT32 has at least %d", clusters, minClusters)
	case clusters > maxClusters:
		return g, fmt.Errorf("%d clusters, at most %d are supported", clusters, maxClusters)
	case (clusters+2)*4 > uint64(g.fatSectors)*sectorSize:
		return g, fmt.Errorf("a FAT of %d sectors cannot describe %d clusters", g.fatSectors, clusters)
	}
	g.clusters = uint32(clusters)
	if flags := le.Uint16(b[40:]); flags&0x80 != 0 {
		g.activeFAT = uint32(flags & 0x0F)
		if g.activeFAT >= g.fats {
			return g, fmt.Errorf("active FAT %d of %d", g.activeFAT, g.fats)
		}
	}
	g.root = le.Uint32(b[44:])
	if !g.valid(g.root) {
		return g, fmt.Errorf("root directory at cluster %d of %d", g.root, g.clusters)
	}
	if n := uint32(le.Uint16(b[48:])); n != 0xFFFF && n < g.fatStart {
		g.info = n
	}
	g.volumeID = le.Uint32(b[67:])
	return g, nil
}

// valid says whether c is the number of a cluster.
func (g *geometry) valid(c uint32) bool { return c >= 2 && c < g.clusters+2 }

func (g *geometry) clusterSize() int64 { return int64(g.clusterSectors) * sectorSize }

// offset is where a cluster begins, in bytes.
func (g *geometry) offset(c uint32) int64 {
	return (int64(g.dataStart) + int64(c-2)*int64(g.clusterSectors)) * sectorSize
}

// clustersFor is the number of clusters that hold size bytes.
func (g *geometry) clustersFor(size int64) uint32 {
	return uint32((size + g.clusterSize() - 1) / g.clusterSize())
}
