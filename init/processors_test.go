package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProcessorsInTheKernelsFormats(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int
		mask string
	}{
		{"0", []int{0}, "00000001"},
		{"0-3", []int{0, 1, 2, 3}, "0000000f"},
		{"0,2-3,33", []int{0, 2, 3, 33}, "00000002,0000000d"},
		{"3,1-2,2", []int{1, 2, 3}, "0000000e"},
	} {
		got, err := parseProcessors(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("processors %q: want %v, got %v, %v", c.text, c.want, got, err)
		}
		behind := append(slices.Clone(c.want), 77)
		if got := processorMask(behind[:len(c.want)]); got != c.mask || behind[len(c.want)] != 77 {
			t.Errorf("mask of %v: want %q and the number behind it left alone, got %q and %d", c.want, c.mask, got, behind[len(c.want)])
		}
	}
	for _, bad := range []string{"", "x", "3-1", "-1", "0-8192", "0,,1"} {
		if got, err := parseProcessors(bad); err == nil {
			t.Errorf("processors %q: want an error, got %v", bad, got)
		}
	}
}

func TestAMachineThatDoesNotSayHasProcessorZero(t *testing.T) {
	if got := onlineProcessors(t.TempDir()); !slices.Equal(got, []int{0}) {
		t.Errorf("want [0], got %v", got)
	}
}

func TestInterruptsAreSteeredToTheSystemCores(t *testing.T) {
	proc, sys := t.TempDir(), t.TempDir()
	files := []string{"irq/default_smp_affinity", "irq/9/smp_affinity", "irq/24/smp_affinity"}
	for _, f := range files {
		path := filepath.Join(proc, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("ff"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// One that cannot be moved.
	if err := os.MkdirAll(filepath.Join(proc, "irq/0/smp_affinity"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(proc, "self/task"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := keepToSystem(proc, sys, []int{0, 1}); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if got, _ := os.ReadFile(filepath.Join(proc, f)); string(got) != "00000003" {
			t.Errorf("%s: want 00000003, got %q", f, got)
		}
	}
}

func TestInterruptsThatStayOnMediaCoresAreNamed(t *testing.T) {
	proc := t.TempDir()
	for irq, on := range map[string]string{"24/virtio0-config": "0", "25/virtio1-req.0": "2-3", "26/": "2"} {
		number, device, _ := strings.Cut(irq, "/")
		if err := os.MkdirAll(filepath.Join(proc, "irq", number, device), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, "irq", number, "smp_affinity_list"), []byte(on+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	total, stray := strayInterrupts(proc, []int{0, 1}, []int{2, 3})
	if want := []string{"25 virtio1-req.0"}; total != 2 || !slices.Equal(stray, want) {
		t.Errorf("want %q of 2, got %q of %d", want, stray, total)
	}
	if got, _ := os.ReadFile(filepath.Join(proc, "irq/25/smp_affinity")); string(got) != "00000003" {
		t.Errorf("want one more try to move it, got %q", got)
	}
}
