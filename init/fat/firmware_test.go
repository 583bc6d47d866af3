package fat

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"rotunda/init/fat/powercut"
)

// rewrite changes the bytes of the folder of versions on the disk.
func rewrite(t *testing.T, d *powercut.Disk, change func(dir []byte)) {
	t.Helper()
	v := reopen(t, d)
	dir, err := v.directoryAt(linuxDir)
	if err != nil {
		t.Fatal(err)
	}
	change(dir.data)
	if _, err := d.WriteAt(dir.data, v.g.offset(dir.first)); err != nil {
		t.Fatal(err)
	}
}

func slotBytes(dir []byte, slot int) []byte { return dir[slot*slotSize:][:slotSize] }

// Slots 2–4 hold rotunda_000006.efi, 5–7 rotunda_000007.efi.

func TestAnEntryThatLostItsLongNameKeepsItsClusters(t *testing.T) {
	d, old := installed(t)
	rewrite(t, d, func(dir []byte) { slotBytes(dir, 3)[0] = deleted })
	v := reopen(t, d)
	want := with(without(old, "EFI/Linux/rotunda_000006.efi"), "EFI/Linux/ROTUND~1.EFI", old["EFI/Linux/rotunda_000006.efi"])
	if got := mustFiles(t, v); !maps.Equal(got, want) {
		t.Fatalf("want %v, got %v", paths(want), paths(got))
	}
	create(t, v, "EFI/Linux/rotunda_000008+3.efi", content(1, 100000))
	want["EFI/Linux/rotunda_000008+3.efi"] = string(content(1, 100000))
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, want) {
		t.Fatalf("after create: want %v with their contents, got %v", paths(want), paths(got))
	}
	if err := v.Remove("EFI/Linux/rotund~1.efi"); err != nil {
		t.Errorf("remove by its 8.3 name: %v", err)
	}
	wantNoProblems(t, reopen(t, d))
}

func TestOrphanedLongNameSlotsAreIgnoredAndReused(t *testing.T) {
	d, old := installed(t)
	rewrite(t, d, func(dir []byte) { slotBytes(dir, 4)[0] = deleted })
	v := reopen(t, d)
	want := without(old, "EFI/Linux/rotunda_000006.efi")
	if got := mustFiles(t, v); !maps.Equal(got, want) {
		t.Fatalf("want %v, got %v", paths(want), paths(got))
	}
	create(t, v, "EFI/Linux/rotunda_000009.efi", []byte("9"))
	dir, err := v.directoryAt(linuxDir)
	if err != nil {
		t.Fatal(err)
	}
	if it := dir.find("rotunda_000009.efi"); it == nil || it.slot != 4 {
		t.Errorf("want the new name in slots 2–4, got %+v", it)
	}
}

func TestAChainWithTwoNamesIsFreedWithTheSecond(t *testing.T) {
	d, old := installed(t)
	var seven []byte
	rewrite(t, d, func(dir []byte) {
		seven = bytes.Clone(dir[5*slotSize : 8*slotSize])
	})
	firmwareRename(t, d, "rotunda_000007.efi", "rotunda_000007+2-1.efi")
	// The cut: the new name is there and the old one too.
	rewrite(t, d, func(dir []byte) { copy(dir[5*slotSize:], seven) })

	v := reopen(t, d)
	if p := v.Check(); len(p) != 1 || p[0].Kind != Shared {
		t.Fatalf("want one shared chain, got %v", p)
	}
	free, _ := v.Free()
	if err := v.Remove("EFI/Linux/rotunda_000007+2-1.efi"); err != nil {
		t.Fatal(err)
	}
	if after, _ := v.Free(); after != free {
		t.Errorf("free after the first name: want %d, got %d", free, after)
	}
	create(t, v, "filler", content(8, 200000))
	if got := mustFiles(t, reopen(t, d)); got["EFI/Linux/rotunda_000007.efi"] != old["EFI/Linux/rotunda_000007.efi"] {
		t.Error("the file with the other name has lost its contents")
	}
	if err := v.Remove("EFI/Linux/rotunda_000007.efi"); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove("filler"); err != nil {
		t.Fatal(err)
	}
	if after, _ := v.Free(); after <= free {
		t.Errorf("free after the second name: want more than %d, got %d", free, after)
	}
}

func TestRenameToTheOtherNameOfTheSameChainRemovesTheOldOne(t *testing.T) {
	d, old := installed(t)
	var seven []byte
	rewrite(t, d, func(dir []byte) { seven = bytes.Clone(dir[5*slotSize : 8*slotSize]) })
	firmwareRename(t, d, "rotunda_000007.efi", "rotunda_000007+2-1.efi")
	rewrite(t, d, func(dir []byte) { copy(dir[5*slotSize:], seven) })
	v := reopen(t, d)
	if err := v.Rename(linuxDir, "rotunda_000007+2-1.efi", "rotunda_000007.efi"); err != nil {
		t.Fatal(err)
	}
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, old) {
		t.Errorf("want %v, got %v", paths(old), paths(got))
	}
	wantNoProblems(t, v)
}

// Whatever set of sectors of the firmware's write reaches the disk, with slots across two sectors: the other names are
// whole, and the clean-up that follows harms nothing.
func TestATornRenameAcrossSectorsHarmsNoOtherName(t *testing.T) {
	d, old := installed(t)
	v := reopen(t, d)
	data := string(content(9, 30000))
	create(t, v, "EFI/Linux/rotunda_000008+3.efi", []byte(data))
	firmwareRename(t, d, "rotunda_000008+3.efi", "rotunda_000008+2-1.efi")
	d.Record()
	firmwareRename(t, d, "rotunda_000008+2-1.efi", "rotunda_000008+1-2.efi")
	states := map[string]bool{}
	d.Cuts(5, 60, func(cut string, left *powercut.Disk) {
		v := reopen(t, left)
		got := mustFiles(t, v)
		for path, want := range old {
			if got[path] != want {
				t.Fatalf("%s: %s has changed", cut, path)
			}
			delete(got, path)
		}
		for path, b := range got {
			if b != data {
				t.Fatalf("%s: %s has wrong contents", cut, path)
			}
			states[path] = true
		}
		for path := range got {
			if err := v.Remove(path); err != nil {
				t.Fatalf("%s: remove %s: %v", cut, path, err)
			}
		}
		if after := mustFiles(t, reopen(t, left)); !maps.Equal(after, old) {
			t.Fatalf("%s: after clean-up: want %v, got %v", cut, paths(old), paths(after))
		}
		wantNoProblems(t, v)
	})
	for _, name := range []string{"rotunda_000008+2-1.efi", "rotunda_000008+1-2.efi"} {
		if !states["EFI/Linux/"+name] {
			t.Errorf("the cuts never left %s; they left %v", name, states)
		}
	}
}

func TestSlotsBehindTheEndMarkNeverComeToLife(t *testing.T) {
	d, old := installed(t)
	// The directory ends at slot 8; behind it lie a stale copy of a name and, in the next sectors, more of them.
	rewrite(t, d, func(dir []byte) {
		for at := 10; at+3 < len(dir)/slotSize; at += 3 {
			copy(dir[at*slotSize:], dir[5*slotSize:8*slotSize])
			slotBytes(dir, at+2)[26] = 0x77
		}
	})
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, old) {
		t.Fatalf("before: want %v, got %v", paths(old), paths(got))
	}
	path := "EFI/Linux/rotunda_000008+3.efi"
	testCuts(t, d, createTrial(path, []byte("8")), false, old, with(old, path, "8"))
}

func TestWrongHintsAndADirtyVolumeAreTolerated(t *testing.T) {
	d, old := installed(t)
	v := reopen(t, d)
	if _, err := d.WriteAt(encodeInfo(1, 3), int64(v.g.info)*sectorSize); err != nil {
		t.Fatal(err)
	}
	sector := make([]byte, sectorSize)
	if _, err := d.ReadAt(sector, int64(v.g.fatStart)*sectorSize); err != nil {
		t.Fatal(err)
	}
	sector[7] &^= 0x08 // the "clean" bit of FAT[1]
	if _, err := d.WriteAt(sector, int64(v.g.fatStart)*sectorSize); err != nil {
		t.Fatal(err)
	}
	v = reopen(t, d)
	create(t, v, "new", []byte("new"))
	want := with(old, "new", "new")
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, want) {
		t.Errorf("want %v, got %v", paths(want), paths(got))
	}
}

func TestLostClustersAreFree(t *testing.T) {
	d, old := installed(t)
	v := reopen(t, d)
	free, _ := v.Free()
	for c := uint32(1000); c < 2000; c++ {
		v.table.set(c, c+1)
	}
	if err := v.table.flush(d); err != nil {
		t.Fatal(err)
	}
	v = reopen(t, d)
	if got, _ := v.Free(); got != free {
		t.Errorf("free: want %d with lost clusters as without, got %d", free, got)
	}
	create(t, v, "new", []byte("new"))
	if n := v.table.get(1500); n != 0 {
		t.Errorf("a lost cluster after a write: want entry 0, got %#x", n)
	}
	want := with(old, "new", "new")
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, want) {
		t.Errorf("want %v, got %v", paths(want), paths(got))
	}
}

func TestADamagedDirectoryStopsTheSweep(t *testing.T) {
	d, _ := installed(t)
	v := reopen(t, d)
	e, err := v.Stat("EFI/BOOT")
	if err != nil {
		t.Fatal(err)
	}
	// The folder seems to go on at a cluster that is free.
	v.table.set(e.Cluster, 0)
	v.table.set(3000, endOfChain)
	if err := v.table.flush(d); err != nil {
		t.Fatal(err)
	}
	v = reopen(t, d)
	if p := v.Check(); !slices.ContainsFunc(p, func(p Problem) bool { return p.Path == "/EFI/BOOT" && p.Kind == Broken }) {
		t.Errorf("check: want /EFI/BOOT broken, got %v", p)
	}
	create(t, v, "new", content(1, 100000))
	if n := v.table.get(3000); n != endOfChain {
		t.Errorf("a cluster that a name not seen may reach: want its entry kept, got %#x", n)
	}
}
