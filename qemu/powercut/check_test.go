package powercut

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/init/config"
	"rotunda/init/fat"
	"rotunda/init/gpt"
	"rotunda/init/state"
)

const (
	testESP  = 40 << 20 // FAT32 needs 65,525 clusters, here of 512 bytes
	testData = 16 << 20
	testSize = 1<<20 + testESP + testData + 1<<20
)

// recorder is a disk that keeps a log of its writes, as QEMU does.
type recorder struct {
	*os.File
	log *logWriter
}

func (r recorder) Size() int64 { return testSize }

func (r recorder) WriteAt(p []byte, at int64) (int, error) {
	if r.log != nil {
		r.log.add(0, uint64(at/SectorSize), uint64(len(p)/SectorSize), p)
	}
	return r.File.WriteAt(p, at)
}

func (r recorder) Sync() error {
	if r.log != nil {
		r.log.flush()
	}
	return nil
}

// testMachine makes a disk like the product's, with one version that is called old.
func testMachine(t *testing.T) (path string, esp gpt.Partition) {
	t.Helper()
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed (Debian package e2fsprogs)")
	}
	root := t.TempDir()
	sets, _, err := state.Open(root, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := config.OpenStore(sets.Path("config"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := store.Load(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sets.Path("files"), "web.crt"), []byte("certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(testSize); err != nil {
		t.Fatal(err)
	}
	disk := recorder{File: f}
	table := &gpt.Table{Disk: gpt.GUID{1}, Partitions: []gpt.Partition{
		{Type: gpt.ESP, ID: gpt.GUID{2}, Name: "esp", First: 2048, Last: 2048 + testESP/SectorSize - 1},
		{Type: gpt.LinuxFilesystem, ID: gpt.GUID{3}, Name: "data", First: 2048 + testESP/SectorSize, Last: 2048 + (testESP+testData)/SectorSize - 1},
	}}
	if err := gpt.Write(disk, table); err != nil {
		t.Fatal(err)
	}
	esp = table.Partitions[0]
	part, err := fat.NewPartition(disk, esp.Start(), esp.Size())
	if err != nil {
		t.Fatal(err)
	}
	volume, err := fat.Format(part, fat.FormatOptions{ClusterSize: SectorSize})
	if err != nil {
		t.Fatal(err)
	}
	create(t, volume, "EFI/BOOT/BOOTX64.EFI", "loader")
	create(t, volume, "EFI/Linux/rotunda_000001.efi", strings.Repeat("old version\n", 2000))
	offset := fmt.Sprintf("offset=%d", table.Partitions[1].Start())
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-d", root, "-E", offset, path, fmt.Sprintf("%dk", testData>>10)).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return path, esp
}

func create(t *testing.T, volume *fat.Volume, name, content string) {
	t.Helper()
	if err := volume.MkdirAll(filepath.Dir(name)); err != nil {
		t.Fatal(err)
	}
	if err := volume.Create(context.Background(), name, strings.NewReader(content), int64(len(content)), fat.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func openTestDisk(t *testing.T, path string) *Disk {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return NewDisk(bytes.NewReader(raw), int64(len(raw)))
}

func testChecker(t *testing.T, d *Disk) *Checker {
	t.Helper()
	c := &Checker{Scratch: t.TempDir()}
	if err := c.Learn(d, []string{"EFI/BOOT/BOOTX64.EFI"}, func(string) string { return "old" }); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInspectSaysWhatComesUp(t *testing.T) {
	path, _ := testMachine(t)
	d := openTestDisk(t, path)
	got, err := testChecker(t, d).Inspect(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Starts) != 1 || got.Starts[0] != (Start{"rotunda_000001.efi", "old"}) {
		t.Errorf("the loader starts %v, want rotunda_000001.efi as old", got.Starts)
	}
	if !strings.Contains(got.Data.Config, `"hostname":"rotunda"`) || got.Data.Generation != 1 {
		t.Errorf("configuration: got generation %d, %s, want the factory's as 1", got.Data.Generation, got.Data.Config)
	}
	if _, ok := got.Data.Files["files/web.crt"]; !ok {
		t.Errorf("files: got %v, want files/web.crt", got.Data.Files)
	}
}

// TestEveryCutOfAnInstallationLeavesOldOrNew records what package fat does and checks all of it, without a machine.
func TestEveryCutOfAnInstallationLeavesOldOrNew(t *testing.T) {
	path, esp := testMachine(t)
	d := openTestDisk(t, path)
	checker := testChecker(t, d)
	content := strings.Repeat("new version\n", 2000)
	checker.Images[sha256.Sum256([]byte(content))] = "new"

	var w logWriter
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	part, err := fat.NewPartition(recorder{f, &w}, esp.Start(), esp.Size())
	if err != nil {
		t.Fatal(err)
	}
	volume, err := fat.Open(part, fat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, volume, "EFI/Linux/rotunda_000002+3.efi", content)
	raw := w.bytes()
	log, err := ReadLog(bytes.NewReader(raw), int64(len(raw)), testSize)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	err = log.Each(d, Plan{To: len(log.Entries), Drops: 8, Seed: 3}, func(s State) error {
		o, err := checker.Inspect(s.Disk)
		if err != nil {
			t.Errorf("%s of %d: %v", s, len(log.Entries), err)
			return nil
		}
		first[o.Starts[0].Image]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if first["old"] == 0 || first["new"] == 0 {
		t.Errorf("states by what starts first: got %v, want both old and new", first)
	}
	if checker.data.Runs != 1 {
		t.Errorf("the data partition was read %d times, want once, since nothing wrote to it", checker.data.Runs)
	}
}

func TestInspectFailsOnWhatAMachineWouldFailOn(t *testing.T) {
	path, esp := testMachine(t)
	pristine := openTestDisk(t, path)
	checker := testChecker(t, pristine)
	find := func(text string) int64 {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(raw, []byte(text))
		if at < 0 {
			t.Fatalf("no %q on the disk", text)
		}
		return int64(at)
	}
	for what, c := range map[string]struct {
		at   int64
		want string
	}{
		"an altered image":      {find("old version\nold version"), "no version that was installed"},
		"an altered loader":     {find("loader\x00\x00\x00"), "BOOTX64.EFI has changed"},
		"a lost boot sector":    {esp.Start(), "EFI system partition"},
		"a lost superblock":     {esp.Start() + testESP + 1024, "mount data partition"},
		"an altered generation": {find(`"hostname"`), "load configuration"},
	} {
		t.Run(what, func(t *testing.T) {
			d := pristine.Fork()
			d.put(c.at/SectorSize, make([]byte, SectorSize))
			if _, err := checker.Inspect(d); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
