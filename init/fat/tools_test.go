package fat

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/init/fat/powercut"
)

// tool finds a program of Debian's dosfstools or mtools.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	return path
}

// save writes the disk into a file with holes.
func save(t *testing.T, d *powercut.Disk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "esp.img")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for at := int64(0); at < d.Size(); at += int64(len(buf)) {
		if _, err := d.ReadAt(buf, at); err != nil {
			t.Fatal(err)
		}
		if !isZero(buf) {
			if _, err := f.WriteAt(buf, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Truncate(d.Size()); err != nil {
		t.Fatal(err)
	}
	return path
}

func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// aged is a volume with a history: directories that grew, gaps, names that firmware appended.
func aged(t *testing.T) (*powercut.Disk, map[string]string) {
	d, _ := installed(t)
	v := reopen(t, d)
	if err := createTrial("EFI/Linux/rotunda_000008+3.efi", content(8, 123456))(v); err != nil {
		t.Fatal(err)
	}
	firmwareRename(t, d, "rotunda_000008+3.efi", "rotunda_000008+2-1.efi")
	v = reopen(t, d)
	for _, name := range []string{"loader/loader.conf", "loader/Grüße an alle.txt", "loader/x", "loader/LOUD.TXT", "temp"} {
		create(t, v, name, []byte(name))
	}
	for _, err := range []error{
		v.Rename(linuxDir, "rotunda_000008+2-1.efi", "rotunda_000008.efi"),
		v.Remove("EFI/Linux/rotunda_000006.efi"),
		v.Pack(linuxDir),
		v.Remove("temp"),
		v.MkdirAll("empty/one"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return d, mustFiles(t, v)
}

func TestFsckFindsNothingToRepair(t *testing.T) {
	d, _ := aged(t)
	out := runTool(t, "fsck.fat", "-n", "-v", save(t, d))
	for _, bad := range []string{"Free cluster summary wrong", "Dirty bit", "differences", "Unused", "orphan", "Auto-"} {
		if strings.Contains(out, bad) {
			t.Errorf("fsck.fat found %q:\n%s", bad, out)
		}
	}
}

func TestMtoolsReadsEveryFile(t *testing.T) {
	d, want := aged(t)
	image := save(t, d)
	for path, data := range want {
		target := filepath.Join(t.TempDir(), "copy")
		runTool(t, "mcopy", "-i", image, "::/"+path, target)
		got, err := os.ReadFile(target)
		if err != nil || string(got) != data {
			t.Errorf("mcopy %s: want its %d bytes, got %d, %v", path, len(data), len(got), err)
		}
	}
	list := runTool(t, "mdir", "-i", image, "::/EFI/Linux")
	for _, name := range []string{"rotunda_000007.efi", "rotunda_000008.efi", "ROTUND~"} {
		if !strings.Contains(list, name) {
			t.Errorf("mdir: want %s in\n%s", name, list)
		}
	}
}

func TestAVolumeOfOtherToolsCanBeReadAndWritten(t *testing.T) {
	image := filepath.Join(t.TempDir(), "esp.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, testSize); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "source")
	data := content(4, 70000)
	if err := os.WriteFile(source, data, 0o600); err != nil {
		t.Fatal(err)
	}
	runTool(t, "mkfs.fat", "-F", "32", "-s", "8", image)
	runTool(t, "mmd", "-i", image, "::/EFI", "::/EFI/Linux")
	runTool(t, "mcopy", "-i", image, source, "::/EFI/Linux/rotunda_000001.efi")
	runTool(t, "mcopy", "-i", image, source, "::/EFI/Linux/lower.efi")

	dev, err := OpenDevice(image, true)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	v, err := Open(dev, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"EFI/Linux/rotunda_000001.efi", "EFI/Linux/lower.efi"} {
		if got, err := v.ReadFile(path, 1<<20); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: want its %d bytes, got %d, %v", path, len(data), len(got), err)
		}
	}
	list, err := v.List("EFI/Linux")
	if err != nil || len(list) != 2 || list[1].Name != "lower.efi" {
		t.Errorf("want lower.efi second, got %v, %v", list, err)
	}
	if err := createTrial("EFI/Linux/rotunda_000002+3.efi", data)(v); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove("EFI/Linux/rotunda_000001.efi"); err != nil {
		t.Fatal(err)
	}
	runTool(t, "fsck.fat", "-n", image)
}
