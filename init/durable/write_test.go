package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rotunda/init/durable"
	"rotunda/init/durable/powercut"
)

func read(t *testing.T, fsys durable.FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(data)
}

// diskWithOldFile returns a disk on which "file" holds "old" and a power cut changes nothing.
func diskWithOldFile(t *testing.T) *powercut.Disk {
	t.Helper()
	d := powercut.New()
	if err := durable.WriteFile(d, "file", []byte("old"), 0o600, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPowerCutAtAnyOperationOfWriteFileLeavesOldOrNew(t *testing.T) {
	whole := diskWithOldFile(t)
	before := whole.Operations()
	if err := durable.WriteFile(whole, "file", []byte("new contents"), 0o600, &durable.Owner{UID: 1, GID: 1}); err != nil {
		t.Fatal(err)
	}
	operations := whole.Operations() - before

	seen := map[string]int{}
	for cut := 1; cut <= operations+1; cut++ {
		for seed := range uint64(40) {
			d := diskWithOldFile(t)
			d.CutAt(cut)
			err := durable.WriteFile(d, "file", []byte("new contents"), 0o600, &durable.Owner{UID: 1, GID: 1})
			got := read(t, d.AfterCut(rand.New(rand.NewPCG(seed, 0))), "file")
			if got != "old" && got != "new contents" {
				t.Fatalf("cut at operation %d, seed %d: wanted the old or the new file, got %q", cut, seed, got)
			}
			if err == nil && got != "new contents" {
				t.Fatalf("cut at operation %d, seed %d: WriteFile said done, but the file is %q", cut, seed, got)
			}
			seen[got]++
		}
	}
	if seen["old"] == 0 || seen["new contents"] == 0 {
		t.Errorf("wanted both outcomes to occur, got %v", seen)
	}
}

func TestFailureBeforeTheRenameLeavesTheOldFileAndNoLeftover(t *testing.T) {
	for n := 1; n <= 5; n++ {
		d := diskWithOldFile(t)
		d.FailAt(n, syscall.ENOSPC)
		err := durable.WriteFile(d, "file", []byte("new contents"), 0o600, &durable.Owner{UID: 1, GID: 1})
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("operation %d fails: wanted ENOSPC, got %v", n, err)
		}
		if got := read(t, d, "file"); got != "old" {
			t.Errorf("operation %d fails: wanted the old file, got %q", n, got)
		}
		if entries, _ := d.ReadDir("."); len(entries) != 1 {
			t.Errorf("operation %d fails: wanted one name in the folder, got %v", n, entries)
		}
	}
}

func TestModelForgetsWhatWasNotFlushed(t *testing.T) {
	lost := false
	for seed := range uint64(40) {
		d := powercut.New()
		f, err := d.Create("file", 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("contents")); err != nil {
			t.Fatal(err)
		}
		after := d.AfterCut(rand.New(rand.NewPCG(seed, 0)))
		if _, err := after.Lstat("file"); errors.Is(err, fs.ErrNotExist) || read(t, after, "file") != "contents" {
			lost = true
		}
	}
	if !lost {
		t.Error("wanted a file that was never flushed to be lost or damaged for some seed; it was always whole")
	}
}

func openDisk(t *testing.T) (*durable.Disk, string) {
	t.Helper()
	folder := t.TempDir()
	d, err := durable.OpenDisk(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, folder
}

func TestDiskWritesARealFileWithItsMode(t *testing.T) {
	d, folder := openDisk(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	if err := durable.WriteFile(d, "file", []byte("x"), 0o644, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(folder, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o644 {
		t.Errorf("wanted mode 0644 whatever the umask, got %v", info.Mode())
	}
	if free, err := d.Free(); err != nil || free == 0 {
		t.Errorf("Free: wanted room, got %d, %v", free, err)
	}
}

func TestDiskOpensNothingButRegularFiles(t *testing.T) {
	d, folder := openDisk(t)
	if err := os.WriteFile(filepath.Join(folder, "plain"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("plain", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "pipe", "."} {
		opened := make(chan error, 1)
		go func() {
			f, err := d.Open(name)
			if err == nil {
				f.Close()
			}
			opened <- err
		}()
		select {
		case err := <-opened:
			if err == nil {
				t.Errorf("Open(%q): wanted it refused, it was opened", name)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("Open(%q) waits", name)
		}
	}
	if got := read(t, d, "plain"); got != "x" {
		t.Errorf("Open(plain): wanted x, got %q", got)
	}
}

func TestRemoveAllRemovesATreeAndLeavesWhatALinkPointsAt(t *testing.T) {
	d, folder := openDisk(t)
	for _, dir := range []string{"keep", "gone", "gone/deep"} {
		if err := d.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"keep/file", "gone/file", "gone/deep/file"} {
		if err := durable.WriteFile(d, file, []byte("x"), 0o600, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Symlink("../keep", "gone/link"); err != nil {
		t.Fatal(err)
	}
	if err := durable.RemoveAll(d, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(folder, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("wanted the tree gone, got %v", err)
	}
	if got := read(t, d, "keep/file"); got != "x" {
		t.Errorf("wanted the target of the link untouched, got %q", got)
	}
	if err := durable.RemoveAll(d, "gone"); err != nil {
		t.Errorf("a name that does not exist: wanted no error, got %v", err)
	}
}
