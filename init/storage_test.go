package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
