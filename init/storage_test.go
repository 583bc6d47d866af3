package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeDisks makes a /sys/class/block like the kernel's: links into a tree of devices.
func fakeDisks(t *testing.T, partitions map[string]string) string {
	t.Helper()
	root := t.TempDir()
	class := filepath.Join(root, "class")
	if err := os.Mkdir(class, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, name := range partitions {
		dir := filepath.Join(root, "devices", path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		dev := filepath.Base(path)
		if err := os.WriteFile(filepath.Join(dir, "uevent"), []byte("MAJOR=8\nDEVNAME="+dev+"\nPARTNAME="+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, filepath.Join(class, dev)); err != nil {
			t.Fatal(err)
		}
	}
	return class
}

func TestTheDiskIsFoundByItsPartitionNames(t *testing.T) {
	s, err := lookForDisk(fakeDisks(t, map[string]string{"nvme0n1/nvme0n1p1": "esp", "nvme0n1/nvme0n1p2": "data", "sda/sda1": "esp", "sdb/sdb1": "other"}))
	if want := (storage{disk: "/dev/nvme0n1", esp: "/dev/nvme0n1p1", data: "/dev/nvme0n1p2"}); err != nil || s != want {
		t.Errorf("want %+v, got %+v, %v", want, s, err)
	}
	for want, partitions := range map[string]map[string]string{
		"no disk has the partitions":  {"sda/sda1": "esp", "sdb/sdb1": "data"},
		"2 disks have the partitions": {"sda/sda1": "esp", "sda/sda2": "data", "sdb/sdb1": "esp", "sdb/sdb2": "data"},
	} {
		if _, err := lookForDisk(fakeDisks(t, partitions)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestADiskThatTakesNoWritesIsReadAllTheSame(t *testing.T) {
	for _, c := range []struct {
		name     string
		works    func(flags uintptr, options string) bool
		readOnly bool
		says     string
	}{
		{"a sound disk", func(uintptr, string) bool { return true }, false, ""},
		{"a disk without writes", func(flags uintptr, _ string) bool { return flags&unix.MS_RDONLY != 0 }, true, "mounted read-only"},
		{"a journal that cannot be replayed", func(_ uintptr, options string) bool { return options == "noload" }, true, "mounted read-only"},
		{"no file system", func(uintptr, string) bool { return false }, false, "mount data partition /dev/sda2: invalid argument"},
	} {
		readOnly, err := mountData(func(_, _, _ string, flags uintptr, options string) error {
			if !c.works(flags, options) {
				return unix.EINVAL
			}
			return nil
		}, "/dev/sda2")
		if readOnly != c.readOnly || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: want read-only %v and %q, got %v, %v", c.name, c.readOnly, c.says, readOnly, err)
		}
	}
}

func TestADamagedFileSystemIsAnAlarmAfterARestartToo(t *testing.T) {
	sysfs := t.TempDir()
	if got := damage(sysfs, "/dev/sda2"); got != "" {
		t.Errorf("without a file system: want no alarm, got %q", got)
	}
	if err := os.Mkdir(filepath.Join(sysfs, "sda2"), 0o755); err != nil {
		t.Fatal(err)
	}
	for count, want := range map[string]bool{"0\n": false, "2\n": true} {
		if err := os.WriteFile(filepath.Join(sysfs, "sda2", "errors_count"), []byte(count), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := damage(sysfs, "/dev/sda2"); (got != "") != want {
			t.Errorf("count %q: want an alarm %v, got %q", count, want, got)
		}
	}
}
