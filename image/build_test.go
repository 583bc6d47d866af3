package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rotunda/image/uki"
	"rotunda/init/fat"
	"rotunda/init/gpt"
	"rotunda/init/release"
)

// sample is a version whose kernel and loader are just bytes: the disk around them is what is tried.
func sample(t *testing.T) *image {
	t.Helper()
	date, err := parseEpoch("1700000000")
	if err != nil {
		t.Fatal(err)
	}
	key, err := loadKey("")
	if err != nil {
		t.Fatal(err)
	}
	return &image{
		parts:   &parts{source: source{Modified: date}, key: key, loader: bytes.Repeat([]byte("loader"), 1000)},
		release: releaseInfo{Version: "0.1.0", Build: "abc", Platforms: []string{"vm"}},
		efi:     bytes.Repeat([]byte("version"), 500_000),
	}
}

func silent(out string) options {
	return options{Out: out, Version: "0.1.0", Log: func(string, ...any) {}}
}

func TestDiskHoldsTheVersionAndAnEmptyDataPartition(t *testing.T) {
	if _, err := os.Stat(mke2fs()); err != nil {
		t.Skip("mke2fs is not installed (e2fsprogs)")
	}
	out := t.TempDir()
	v := sample(t)
	if err := writeDisk(context.Background(), silent(out), v); err != nil {
		t.Fatalf("writeDisk: %v", err)
	}
	file := filepath.Join(out, "disk.img")
	disk, err := fat.OpenDevice(file, false)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	table, err := gpt.Read(disk)
	if err != nil || table.Damage != nil {
		t.Fatalf("partition table: %v, %v", err, table.Damage)
	}
	esp, ok := table.ByName("esp")
	if !ok || esp.Type != gpt.ESP || esp.Size() != systemSize {
		t.Errorf("system partition %+v, want 1 GiB of type ESP", esp)
	}
	data, ok := table.ByName("data")
	if !ok || data.Size() != dataSize {
		t.Errorf("data partition %+v, want 2 GiB", data)
	}
	part, err := fat.NewPartition(disk, esp.Start(), esp.Size())
	if err != nil {
		t.Fatal(err)
	}
	volume, err := fat.Open(part, fat.Options{})
	if err != nil {
		t.Fatalf("open system partition: %v", err)
	}
	for _, p := range volume.Check() {
		t.Errorf("system partition: %v", p)
	}
	for name, want := range map[string][]byte{
		"EFI/BOOT/BOOTX64.EFI":         v.parts.loader,
		"EFI/Linux/rotunda_000001.efi": v.efi,
		"loader/loader.conf":           []byte(loaderConfiguration),
	} {
		got, err := volume.ReadFile(name, 1<<30)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s holds %d bytes (%v), want the %d given", name, len(got), err, len(want))
		}
	}

	// The data partition by e2fsprogs' own checker, which takes an offset.
	name := fmt.Sprintf("%s?offset=%d", file, data.Start())
	if out, err := exec.Command(filepath.Join(filepath.Dir(mke2fs()), "e2fsck"), "-f", "-n", name).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v: %s", err, out)
	}
	var stat unix.Stat_t
	if err := unix.Stat(file, &stat); err != nil {
		t.Fatal(err)
	}
	if used := stat.Blocks * 512; stat.Size != diskSize || used > 64<<20 {
		t.Errorf("disk.img has %d bytes and takes %d, want %d and sparse", stat.Size, used, int64(diskSize))
	}
}

func TestUpgradeIsTrustedByTheKeyThatTheImageHolds(t *testing.T) {
	out := t.TempDir()
	v := sample(t)
	if err := writeUpgrade(context.Background(), silent(out), v); err != nil {
		t.Fatalf("writeUpgrade: %v", err)
	}
	own, err := ownFiles(v.parts, v.release)
	if err != nil {
		t.Fatal(err)
	}
	var trusted []ed25519.PublicKey
	for _, f := range own {
		if strings.HasPrefix(f.Path, "etc/rotunda/keys/") {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(f.Data)))
			if err != nil {
				t.Fatalf("%s: %v", f.Path, err)
			}
			trusted = append(trusted, raw)
		}
	}
	if len(trusted) != 1 {
		t.Fatalf("the image trusts %d keys, want exactly its own", len(trusted))
	}
	f, err := os.Open(filepath.Join(out, "upgrade.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := release.Verify(f, s.Size(), trusted)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	if m.Version != "0.1.0" || m.Build != "abc" || !m.Runs("vm") || m.Sum() != sha256.Sum256(v.efi) {
		t.Errorf("manifest %+v, want the version that was given", m)
	}
}

func TestVersionFileSaysWhatItIs(t *testing.T) {
	stub, err := os.ReadFile("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
	if err != nil {
		t.Skip("systemd-boot-efi is not installed on this machine")
	}
	v := sample(t)
	efi, err := uki.Build(uki.Parts{
		Stub: stub, OSRelease: v.release.osRelease(), CommandLine: "a", KernelRelease: "b", Initrd: []byte("c"), Kernel: []byte("d"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := release.ReadRelease(bytes.NewReader(efi), int64(len(efi)))
	if err != nil || got.Version != "0.1.0" || got.Build != "abc" {
		t.Errorf("ReadRelease = %+v, %v, want version 0.1.0 build abc", got, err)
	}
}

func TestDiskAndMachineAreRepeatable(t *testing.T) {
	if _, err := os.Stat(mke2fs()); err != nil {
		t.Skip("mke2fs is not installed (e2fsprogs)")
	}
	var sums [2]string
	for i := range sums {
		out := t.TempDir()
		if err := writeOVA(context.Background(), silent(out), sample(t)); err != nil {
			t.Fatalf("writeOVA: %v", err)
		}
		sums[i] = fileSum(t, filepath.Join(out, "rotunda.ova"))
		if left, _ := filepath.Glob(filepath.Join(out, ".*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("two packages of one version have the hashes %s and %s", sums[0], sums[1])
	}
}

// fileSum is a hash of what a file holds. It reads no holes, which take most of the time of a disk: a block of zeros counts as one.
func fileSum(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	fmt.Fprintln(h, info.Size())
	block, zero := make([]byte, 4096), make([]byte, 4096)
	for at := int64(0); at < info.Size(); at += int64(len(block)) {
		if at, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
			break // nothing but a hole from here on
		}
		if err != nil {
			t.Fatal(err)
		}
		at -= at % int64(len(block))
		n, err := f.ReadAt(block, at)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(block[:n], zero[:n]) {
			fmt.Fprintln(h, at)
			h.Write(block[:n])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestTwoBuildsOfOneCommitAreIdentical builds everything a second time with nothing shared: what make image has made in build/, as developers
// do, with what the caches have, is made again from nothing, with another output folder, another cache and another Go build cache. It downloads
// 80 MB, and compiles the codec libraries and the standard library, so it runs on request. That a cache changes nothing is thereby tried as well.
func TestTwoBuildsOfOneCommitAreIdentical(t *testing.T) {
	if os.Getenv("ROTUNDA_REPRODUCE") == "" {
		t.Skip("takes minutes and downloads packages; set ROTUNDA_REPRODUCE=1 to run it")
	}
	again := filepath.Join(t.TempDir(), "out")
	o, err := parseOptions([]string{"-out", again}, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	o.Cache = filepath.Join(t.TempDir(), "cache")
	t.Setenv("GOCACHE", filepath.Join(t.TempDir(), "go"))
	if err := build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rotunda.efi", "sbom.json", "upgrade.img", "disk.img", "rotunda.ova"} {
		first, second := fileSum(t, filepath.Join("..", "build", name)), fileSum(t, filepath.Join(again, name))
		if first != second {
			t.Errorf("%s has the hashes %s, as make image made it, and %s", name, first, second)
		}
	}
}
