package firmware

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpacked lays out a package as dpkg-deb would.
func unpacked(t *testing.T, name string, files ...string) Package {
	t.Helper()
	p := Package{Name: name, Dir: filepath.Join(t.TempDir(), name)}
	for _, f := range files {
		f = filepath.Join(p.Dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestLibrariesOfAllPackagesAreCollectedInOneFolder(t *testing.T) {
	one := unpacked(t, "one", "usr/include/one.h", "usr/include/unused.h", "usr/lib/x86_64-linux-gnu/libone.a")
	two := unpacked(t, "two", "usr/include/two/a.h", "usr/include/two/b/c.h", "usr/lib/libtwo.a", "usr/lib/pkgconfig/two.pc")
	dir := filepath.Join(t.TempDir(), "codecs")
	headers := map[string][]string{"one": {"one.h"}, "two": {"two"}}
	if err := collect(dir, []Package{one, two}, headers); err != nil {
		t.Fatalf("collect: %v", err)
	}
	for name, want := range map[string]string{
		"include/one.h": "one", "include/two/a.h": "two", "include/two/b/c.h": "two", "lib/libone.a": "one", "lib/libtwo.a": "two",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "include/unused.h")); err == nil {
		t.Error("a header that is not listed is there too")
	}
}

func TestAPackageWithoutStaticLibraryLeavesNothingBehind(t *testing.T) {
	parent := t.TempDir()
	p := unpacked(t, "one", "usr/include/one.h", "usr/lib/libone.so")
	err := collect(filepath.Join(parent, "codecs"), []Package{p}, map[string][]string{"one": {"one.h"}})
	if err == nil || !strings.Contains(err.Error(), "one has no static library") {
		t.Errorf("collect gives %v, want an error that names the package", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPublishReplacesTheLinkInOneStep(t *testing.T) {
	top := t.TempDir()
	name := filepath.Join(top, "build/codecs")
	for _, version := range []string{"first", "second", "second"} {
		c := &Codecs{Lib: filepath.Join(top, "cache", version, "lib")}
		if err := os.MkdirAll(c.Lib, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := c.Publish(name); err != nil {
			t.Fatalf("Publish: %v", err)
		}
		if got, err := os.Readlink(name); err != nil || got != "../cache/"+version {
			t.Errorf("the link leads to %q, %v, want ../cache/%s", got, err, version)
		}
		if left, err := os.ReadDir(filepath.Dir(name)); err != nil || len(left) != 1 {
			t.Errorf("beside the link are %v, %v", left, err)
		}
	}
}

// The real archive is asked only on request: the test downloads 15 MB and compiles for minutes.
func TestFetchCodecsBringsEveryLibrary(t *testing.T) {
	cache := os.Getenv("ROTUNDA_CACHE")
	if cache == "" {
		t.Skip("set ROTUNDA_CACHE to a cache folder to fetch the real packages")
	}
	c, err := FetchCodecs(context.Background(), filepath.Join(cache, "firmware"), t.Logf)
	if err != nil {
		t.Fatalf("FetchCodecs: %v", err)
	}
	for _, name := range []string{"avcodec", "avutil", "x264", "openh264", "vpx", "opus", "yuv"} {
		data, err := os.ReadFile(filepath.Join(c.Lib, "lib"+name+".a"))
		if err != nil {
			t.Errorf("library: %v", err)
			continue
		}
		if strings.Contains(string(data), cache) {
			t.Errorf("lib%s.a contains the path of the cache", name)
		}
	}
	for _, p := range c.Packages {
		if p.Version == "" || len(p.SHA256) != 64 || len(p.Licences) == 0 {
			t.Errorf("package %+v, want a version, a hash and licences", p)
		}
	}
}
