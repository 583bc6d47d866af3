package fat

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"rotunda/init/fat/powercut"
)

// testCuts cuts the power at every write of do, and demands that each cut leaves one of the given sets of files, whole,
// and that the same operation can then be done, with the same end.
func testCuts(t *testing.T, d *powercut.Disk, do func(v *Volume) error, allowShared bool, states ...map[string]string) {
	t.Helper()
	v := reopen(t, d)
	d.Record()
	if err := do(v); err != nil {
		t.Fatal(err)
	}
	end := states[len(states)-1]
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, end) {
		t.Fatalf("after the operation: want %v, got %v", paths(end), paths(got))
	}
	cuts := 0
	d.Cuts(42, 6, func(cut string, left *powercut.Disk) {
		cuts++
		v := reopen(t, left)
		got, err := files(v, "")
		if err != nil {
			t.Fatalf("%s: %v", cut, err)
		}
		if !slices.ContainsFunc(states, func(s map[string]string) bool { return maps.Equal(s, got) }) {
			t.Fatalf("%s: want one of the allowed states, got %v", cut, paths(got))
		}
		for _, p := range v.Check() {
			if p.Kind != Shared || !allowShared {
				t.Fatalf("%s: %v", cut, p)
			}
		}
		if !maps.Equal(got, end) {
			if err := do(v); err != nil {
				t.Fatalf("%s: again: %v", cut, err)
			}
		}
		if got := mustFiles(t, reopen(t, left)); !maps.Equal(got, end) {
			t.Fatalf("%s: again: want %v, got %v", cut, paths(end), paths(got))
		}
	})
	t.Logf("%d cuts of %d writes", cuts, d.Writes())
}

// installed returns a volume with two committed versions.
func installed(t *testing.T) (*powercut.Disk, map[string]string) {
	v, d := newVolume(t)
	state := map[string]string{}
	for i, path := range []string{"EFI/BOOT/BOOTX64.EFI", "EFI/Linux/rotunda_000006.efi", "EFI/Linux/rotunda_000007.efi"} {
		state[path] = string(content(uint64(i), 20000+i))
		create(t, v, path, []byte(state[path]))
	}
	return d, state
}

func with(state map[string]string, path string, data string) map[string]string {
	out := maps.Clone(state)
	out[path] = data
	return out
}

func without(state map[string]string, path string) map[string]string {
	out := maps.Clone(state)
	delete(out, path)
	return out
}

func createTrial(path string, data []byte) func(v *Volume) error {
	return func(v *Volume) error {
		return v.Create(context.Background(), path, bytes.NewReader(data), int64(len(data)), CreateOptions{Renames: 3})
	}
}

func TestAPowerCutDuringCreateLeavesTheOldOrTheNewState(t *testing.T) {
	d, old := installed(t)
	data := content(9, 50001)
	path := "EFI/Linux/rotunda_000008+3.efi"
	testCuts(t, d, createTrial(path, data), false, old, with(old, path, string(data)))
}

func TestAPowerCutDuringCreateInNewDirectoriesLeavesTheOldOrTheNewState(t *testing.T) {
	d, old := installed(t)
	data := content(9, 9000)
	path := "A new one/and below/file.bin"
	testCuts(t, d, createTrial(path, data), false, old, with(old, path, string(data)))
}

func TestAPowerCutWhileADirectoryGrowsLeavesTheOldOrTheNewState(t *testing.T) {
	v, d := newVolume(t)
	state := map[string]string{}
	for i := range 16 {
		path := fmt.Sprintf("d/a rather long name so that the directory fills soon %02d", i)
		state[path] = fmt.Sprint(i)
		create(t, v, path, []byte(state[path]))
	}
	path := "d/a rather long name, and the directory needs a cluster"
	testCuts(t, d, createTrial(path, []byte("x")), false, state, with(state, path, "x"))
	e, err := reopen(t, d).Stat("d")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := reopen(t, d).readDirectory(e.Cluster)
	if err != nil || len(dir.data) != 8192 {
		t.Fatalf("want a directory of two clusters, got %d bytes, %v", len(dir.data), err)
	}
}

func TestAPowerCutDuringCommitLeavesTheCounterOrNot(t *testing.T) {
	for _, tries := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprintf("after %d boots", tries), func(t *testing.T) {
			d, old := installed(t)
			data := content(9, 50001)
			name := "rotunda_000008+3.efi"
			if err := createTrial(linuxDir+"/"+name, data)(reopen(t, d)); err != nil {
				t.Fatal(err)
			}
			for n := range tries {
				next := fmt.Sprintf("rotunda_000008+%d-%d.efi", 2-n, n+1)
				firmwareRename(t, d, name, next)
				name = next
			}
			before := with(old, linuxDir+"/"+name, string(data))
			if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, before) {
				t.Fatalf("after the firmware: want %v, got %v", paths(before), paths(got))
			}
			after := with(old, linuxDir+"/rotunda_000008.efi", string(data))
			d.Record()
			rename := func(v *Volume) error { return v.Rename(linuxDir, name, "rotunda_000008.efi") }
			testCuts(t, d, rename, false, before, after)
		})
	}
}

func firmwareRename(t testing.TB, d *powercut.Disk, from, to string) {
	t.Helper()
	e, err := reopen(t, d).Stat(linuxDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := powercut.FirmwareRename(d, e.Cluster, from, to); err != nil {
		t.Fatal(err)
	}
}

func TestCommitIsOneWrite(t *testing.T) {
	d, _ := installed(t)
	if err := createTrial(linuxDir+"/rotunda_000008+3.efi", content(1, 100))(reopen(t, d)); err != nil {
		t.Fatal(err)
	}
	d.Record()
	if err := reopen(t, d).Rename(linuxDir, "rotunda_000008+3.efi", "rotunda_000008.efi"); err != nil {
		t.Fatal(err)
	}
	if d.Writes() != 1 || d.LargestWrite() != sectorSize {
		t.Errorf("want one write of %d bytes, got %d writes of up to %d", sectorSize, d.Writes(), d.LargestWrite())
	}
}

// The firmware's rename is one write of a whole cluster. If all names of a trial lie in one sector, tearing the write
// at sectors changes nothing.
func TestAPowerCutDuringTheFirmwaresRenamesLosesNothing(t *testing.T) {
	d, old := installed(t)
	data := content(9, 50001)
	name := "rotunda_000008+3.efi"
	if err := createTrial(linuxDir+"/"+name, data)(reopen(t, d)); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		next := fmt.Sprintf("rotunda_000008+%d-%d.efi", 2-n, n+1)
		before, after := with(old, linuxDir+"/"+name, string(data)), with(old, linuxDir+"/"+next, string(data))
		d.Record()
		firmwareRename(t, d, name, next)
		d.Cuts(3, 20, func(cut string, left *powercut.Disk) {
			got := mustFiles(t, reopen(t, left))
			if !maps.Equal(got, before) && !maps.Equal(got, after) {
				t.Fatalf("boot %d, %s: want %v or %v, got %v", n+1, cut, paths(before), paths(after), paths(got))
			}
		})
		name = next
	}
}

func TestAPowerCutDuringRemoveLeavesTheNameOrNot(t *testing.T) {
	d, old := installed(t)
	path := "EFI/Linux/rotunda_000006.efi"
	remove := func(v *Volume) error { return v.Remove(path) }
	testCuts(t, d, remove, false, old, without(old, path))
}

func TestAPowerCutDuringPackLosesNothing(t *testing.T) {
	d, old := installed(t)
	path := linuxDir + "/rotunda_000008+3.efi"
	data := content(3, 5000)
	if err := createTrial(path, data)(reopen(t, d)); err != nil {
		t.Fatal(err)
	}
	state := with(old, path, string(data))
	testCuts(t, d, func(v *Volume) error { return v.Pack(linuxDir) }, true, state)
	v := reopen(t, d)
	dir, err := v.directoryAt(linuxDir)
	if err != nil {
		t.Fatal(err)
	}
	if last := lastUsed(dir.used()); last != 10 {
		t.Errorf("want the last used slot of three packed names to be 10, got %d", last)
	}
	if len(dir.items) != 5 {
		t.Errorf("want five entries, got %d", len(dir.items))
	}
}

// A name whose slots straddle two sectors, as firmware leaves it, in a directory that has no gap: rename takes two steps.
func TestAPowerCutDuringARenameOfTwoStepsLosesNothing(t *testing.T) {
	d, old := installed(t)
	v := reopen(t, d)
	create(t, v, linuxDir+"/FILL1", nil)
	create(t, v, linuxDir+"/FILL2", nil)
	create(t, v, linuxDir+"/rotunda_000008.efi", []byte("8"))
	create(t, v, linuxDir+"/FILL3", nil)
	create(t, v, linuxDir+"/FILL4", nil)
	state := mustFiles(t, v)
	from, to := "rotunda_000007.efi", "rotunda_000007 with a much longer name.efi"
	after := with(without(state, linuxDir+"/"+from), linuxDir+"/"+to, old[linuxDir+"/"+from])
	both := with(state, linuxDir+"/"+to, old[linuxDir+"/"+from])
	testCuts(t, d, func(v *Volume) error { return v.Rename(linuxDir, from, to) }, true, state, both, after)
}
