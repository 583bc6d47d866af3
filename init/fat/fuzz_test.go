package fat

import (
	"context"
	"encoding/binary"
	"testing"
)

// FuzzVolume opens a volume that has been written over in places: reading must end, without a panic, and so must the
// operations that write, whatever they find. The input is a row of patches: four bytes of sector number, two bytes of
// offset in it, one byte of length, and so many bytes.
func FuzzVolume(f *testing.F) {
	v, base := newVolume(f)
	for _, path := range []string{"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/rotunda_000001.efi", "EFI/Linux/rotunda_000002+3.efi"} {
		create(f, v, path, content(1, 20000))
	}
	dir, err := v.directoryAt(linuxDir)
	if err != nil {
		f.Fatal(err)
	}
	patch := func(sector int64, offset int, data ...byte) []byte {
		p := binary.LittleEndian.AppendUint32(nil, uint32(sector))
		p = binary.LittleEndian.AppendUint16(p, uint16(offset))
		return append(append(p, byte(len(data))), data...)
	}
	linux := v.g.offset(dir.first) / sectorSize
	fat := int64(v.g.fatStart)
	f.Add([]byte(nil))
	f.Add(patch(0, 13, 0))                                          // clusters of no sectors
	f.Add(patch(0, 36, 0xFF, 0xFF, 0xFF, 0xFF))                     // a FAT larger than the disk
	f.Add(patch(0, 44, 0xFF))                                       // another root
	f.Add(patch(fat, 8, 2, 0, 0, 0))                                // the root in a circle
	f.Add(patch(fat, int(dir.first)*4, byte(dir.first)))            // a directory in a circle
	f.Add(patch(linux, 4*slotSize+26, byte(dir.first)))             // a file on its directory's cluster
	f.Add(patch(linux, 4*slotSize+11, attrDirectory, 0, 0, 0))      // a file as a directory
	f.Add(patch(linux, 2*slotSize, 0x7F))                           // a long name of 63 slots
	f.Add(patch(linux, 4*slotSize+20, 0xFF, 0xFF))                  // a cluster beyond the end
	f.Add(patch(linux, 4*slotSize+28, 0xFF, 0xFF, 0xFF, 0xFF))      // a file larger than its chain
	f.Add(append(patch(linux, 0, 0), patch(linux, 64, deleted)...)) // a directory without entries

	f.Fuzz(func(t *testing.T, input []byte) {
		d := base.Clone()
		for len(input) >= 7 {
			at := int64(binary.LittleEndian.Uint32(input)) % (testSize / sectorSize)
			offset, n := int(binary.LittleEndian.Uint16(input[4:]))%sectorSize, int(input[6])
			input = input[7:]
			n = min(n, len(input), sectorSize-offset)
			sector := make([]byte, sectorSize)
			if _, err := d.ReadAt(sector, at*sectorSize); err != nil {
				t.Fatal(err)
			}
			copy(sector[offset:], input[:n])
			if _, err := d.WriteAt(sector, at*sectorSize); err != nil {
				t.Fatal(err)
			}
			input = input[n:]
		}
		v, err := Open(d, Options{})
		if err != nil {
			return
		}
		readAll(v, "", 0)
		v.Check()
		if _, err := v.Free(); err != nil {
			t.Logf("free: %v", err)
		}
		path := "EFI/Linux/rotunda_000003+3.efi"
		if v.Create(context.Background(), path, zeros{}, 10000, CreateOptions{Renames: 3}) == nil {
			if b, err := reopen(t, d).ReadFile(path, 10000); err != nil || !isZero(b) {
				t.Errorf("read what was just written: %d bytes, %v", len(b), err)
			}
		}
		for _, err := range []error{
			v.Rename(linuxDir, "rotunda_000002+3.efi", "rotunda_000002.efi"),
			v.Pack(linuxDir),
			v.Remove("EFI/Linux/rotunda_000001.efi"),
			v.Remove("EFI/BOOT/BOOTX64.EFI"),
		} {
			if err != nil {
				t.Logf("write: %v", err)
			}
		}
		readAll(v, "", 0)
	})
}

func readAll(v *Volume, dir string, depth int) {
	list, err := v.List(dir)
	if err != nil || depth > 4 {
		return
	}
	for i, e := range list {
		if path := dir + "/" + e.Name; e.Directory && i < 8 {
			readAll(v, path, depth+1)
		} else if f, err := v.Open(path); err == nil {
			buf := make([]byte, 5000)
			for _, off := range []int64{0, 4095, f.Size() - 1, f.Size()} {
				_, _ = f.ReadAt(buf, max(off, 0))
			}
		}
	}
}
