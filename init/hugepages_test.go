package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHugePagesAreOffOnSmallMachinesOnly(t *testing.T) {
	for total, want := range map[uint64]string{1 << 30: "never", 4 << 30: "always"} {
		sysfs := t.TempDir()
		file := filepath.Join(sysfs, "kernel/mm/transparent_hugepage/enabled")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("always"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := settleHugePages(sysfs, total); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != want {
			t.Errorf("%d MiB: want %s, got %s", total>>20, want, got)
		}
	}
	if err := settleHugePages(t.TempDir(), 0); err != nil {
		t.Errorf("a kernel without huge pages: want no error, got %v", err)
	}
}
