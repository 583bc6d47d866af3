package firmware

import (
	"context"
	"debug/elf"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// packageWithModule builds a small Debian package that holds one compressed module, and returns the file.
func packageWithModule(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"dpkg-deb", "xz"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"DEBIAN/control":                       "Package: sample\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.com>\nDescription: sample\n",
		"usr/share/doc/sample/copyright":       "Files: *\nLicense: GPL-2\n",
		"lib/modules/1/kernel/drivers/some.ko": "module",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	if err := run(ctx, "", "xz", filepath.Join(root, "lib/modules/1/kernel/drivers/some.ko")); err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(t.TempDir(), "sample_1_all.deb")
	if err := run(ctx, "", "dpkg-deb", "--root-owner-group", "--build", root, deb); err != nil {
		t.Fatal(err)
	}
	return deb
}

// fakeApt puts an apt-get in front of the path that "downloads" the given file.
func fakeApt(t *testing.T, deb string) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nexec cp '" + deb + "' .\n"
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestObtainUnpacksWhatHasTheRecordedHash(t *testing.T) {
	deb := packageWithModule(t)
	sum, err := fileSHA256(deb)
	if err != nil {
		t.Fatal(err)
	}
	fakeApt(t, deb)
	cache := t.TempDir()
	p := Package{Name: "sample", Version: "1", SHA256: sum, Dir: filepath.Join(cache, "sample")}
	if err := obtain(context.Background(), newApt(cache), p); err != nil {
		t.Fatalf("obtain: %v", err)
	}
	got, err := os.ReadFile(filepath.Join(p.Dir, "lib/modules/1/kernel/drivers/some.ko"))
	if err != nil || string(got) != "module" {
		t.Errorf("unpacked module = %q, %v, want it decompressed", got, err)
	}
	if _, err := os.Stat(p.Copyright()); err != nil {
		t.Errorf("copyright file: %v", err)
	}
}

func TestObtainRefusesAnotherHashAndLeavesNothing(t *testing.T) {
	fakeApt(t, packageWithModule(t))
	cache := t.TempDir()
	p := Package{Name: "sample", Version: "1", SHA256: strings.Repeat("0", 64), Dir: filepath.Join(cache, "sample")}
	err := obtain(context.Background(), newApt(cache), p)
	if err == nil || !strings.Contains(err.Error(), "apt's record says 0000") {
		t.Errorf("obtain gives %v, want an error that names both hashes", err)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 0 {
		t.Errorf("cache holds %v, %v, want nothing", left, err)
	}
}

// The real archive is asked only on request: the test downloads 70 MB.
func TestFetchFindsTheCurrentKernelAndLoader(t *testing.T) {
	cache := os.Getenv("ROTUNDA_CACHE")
	if cache == "" {
		t.Skip("set ROTUNDA_CACHE to a cache folder to fetch the real packages")
	}
	fw, err := Fetch(context.Background(), filepath.Join(cache, "firmware"))
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	for _, name := range []string{fw.Kernel, fw.Loader, fw.Stub} {
		f, err := pe.Open(name)
		if err != nil {
			t.Errorf("%s is not a PE file: %v", name, err)
			continue
		}
		f.Close()
	}
	m, err := elf.Open(filepath.Join(fw.Modules, "kernel/fs/ext4/ext4.ko"))
	if err != nil {
		t.Fatalf("ext4 module: %v", err)
	}
	m.Close()
	if len(fw.Packages) != 2 || fw.Packages[0].Licences[0] != "GPL-2" {
		t.Errorf("packages = %+v, want the kernel (GPL-2) and the loader", fw.Packages)
	}
}
