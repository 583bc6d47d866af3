package powercut

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// FirmwareRename renames a file the way EDK2's FAT driver does, on the raw bytes of a directory of one cluster: the old
// slots are marked deleted, the new name is appended behind the last slot ever used, and the cluster goes out as one
// write. It is written from the driver's behaviour, apart from package fat, to check that package.
func FirmwareRename(d *Disk, directory uint32, from, to string) error {
	le := binary.LittleEndian
	boot := make([]byte, sectorSize)
	if _, err := d.ReadAt(boot, 0); err != nil {
		return err
	}
	cluster := int64(boot[13]) * sectorSize
	data := int64(le.Uint16(boot[14:])) + int64(boot[16])*int64(le.Uint32(boot[36:]))
	at := data*sectorSize + int64(directory-2)*cluster
	dir := make([]byte, cluster)
	if _, err := d.ReadAt(dir, at); err != nil {
		return err
	}

	end, found, long := 0, -1, 0
	shorts := map[string]bool{}
	for ; end*32 < len(dir) && dir[end*32] != 0; end++ {
		e := dir[end*32:][:32]
		if e[0] == 0xE5 || e[11] == 0x0F {
			continue
		}
		shorts[string(e[:11])] = true
		name, n := readLongName(dir, end)
		if name == from {
			found, long = end, n
		}
	}
	if found < 0 {
		return fmt.Errorf("firmware: no file %s", from)
	}
	entry := bytes.Clone(dir[found*32:][:32])
	delete(shorts, string(entry[:11]))
	for s := found - long; s <= found; s++ {
		dir[s*32] = 0xE5
	}

	short := []byte("ROTUND~1EFI")
	for shorts[string(short)] {
		short[7]++
	}
	copy(entry, short)
	sum := byte(0)
	for _, c := range short {
		sum = sum<<7 | sum>>1
		sum += c
	}
	units := append(utf16.Encode([]rune(to)), 0)
	count := (len(units) - 1 + 12) / 13
	if (end+count+1)*32 > len(dir) {
		return fmt.Errorf("firmware: the directory is full")
	}
	for len(units) < count*13 {
		units = append(units, 0xFFFF)
	}
	for k := count; k >= 1; k-- {
		e := dir[end*32:][:32]
		clear(e)
		e[0], e[11], e[13] = byte(k), 0x0F, sum
		if k == count {
			e[0] |= 0x40
		}
		for i, u := range units[(k-1)*13 : k*13] {
			le.PutUint16(e[longOffset(i):], u)
		}
		end++
	}
	copy(dir[end*32:], entry)
	if _, err := d.WriteAt(dir, at); err != nil {
		return err
	}
	return d.Sync()
}

func longOffset(i int) int {
	switch {
	case i < 5:
		return 1 + 2*i
	case i < 11:
		return 14 + 2*(i-5)
	}
	return 28 + 2*(i-11)
}

// readLongName walks from an 8.3 entry towards the front, as EDK2 does.
func readLongName(dir []byte, slot int) (string, int) {
	var units []uint16
	for n := 1; slot-n >= 0; n++ {
		e := dir[(slot-n)*32:][:32]
		if e[11] != 0x0F || int(e[0]&0x3F) != n {
			return "", 0
		}
		for i := range 13 {
			units = append(units, binary.LittleEndian.Uint16(e[longOffset(i):]))
		}
		if e[0]&0x40 != 0 {
			for i, u := range units {
				if u == 0 {
					return string(utf16.Decode(units[:i])), n
				}
			}
			return string(utf16.Decode(units)), n
		}
	}
	return "", 0
}
