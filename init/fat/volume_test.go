package fat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rotunda/init/fat/powercut"
)

var testTime = time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)

const (
	linuxDir = "EFI/Linux"
	testSize = 300 << 20
)

func newVolume(t testing.TB) (*Volume, *powercut.Disk) {
	t.Helper()
	d := powercut.New(testSize)
	v, err := Format(d, FormatOptions{VolumeID: 0x12345678, Label: "ESP", Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatalf("format: %v", err)
	}
	return v, d
}

func reopen(t testing.TB, d *powercut.Disk) *Volume {
	t.Helper()
	v, err := Open(d, Options{Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return v
}

// content is the same n bytes for the same seed.
func content(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func create(t testing.TB, v *Volume, path string, data []byte) {
	t.Helper()
	err := v.Create(context.Background(), path, bytes.NewReader(data), int64(len(data)), CreateOptions{})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
}

// files maps all paths below dir to their contents.
func files(v *Volume, dir string) (map[string]string, error) {
	out := map[string]string{}
	list, err := v.List(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		path := strings.Trim(dir+"/"+e.Name, "/")
		if e.Directory {
			sub, err := files(v, path)
			if err != nil {
				return nil, err
			}
			maps.Copy(out, sub)
			continue
		}
		b, err := v.ReadFile(path, 64<<20)
		if err != nil {
			return nil, err
		}
		out[path] = string(b)
	}
	return out, nil
}

func mustFiles(t testing.TB, v *Volume) map[string]string {
	t.Helper()
	out, err := files(v, "")
	if err != nil {
		t.Fatalf("read all files: %v", err)
	}
	return out
}

func paths(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func wantNoProblems(t testing.TB, v *Volume) {
	t.Helper()
	if p := v.Check(); len(p) > 0 {
		t.Fatalf("check: want no problems, got %v", p)
	}
}

func TestTwoVolumesWithTheSameInputAreTheSameBytes(t *testing.T) {
	var images [2][]byte
	for i := range images {
		v, d := newVolume(t)
		create(t, v, "EFI/BOOT/BOOTX64.EFI", content(1, 5000))
		create(t, v, "loader/loader.conf", []byte("timeout 0\n"))
		images[i] = make([]byte, 2<<20)
		if _, err := d.ReadAt(images[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(images[0], images[1]) {
		t.Error("two volumes made from the same input differ")
	}
}

func TestFormatRefusesDevicesThatCannotBeFAT32(t *testing.T) {
	for _, c := range []struct {
		size    int64
		cluster int
		want    string
	}{
		{1 << 20, 512, "not FAT32"},
		{100 << 20, 4096, "not FAT32"},
		{300 << 20, 1000, "clusters of 1000 bytes"},
		{1 << 35, 512, "at most 4194304 are supported"},
	} {
		_, err := Format(powercut.New(c.size), FormatOptions{ClusterSize: c.cluster})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("format %d bytes with clusters of %d: want an error with %q, got %v", c.size, c.cluster, c.want, err)
		}
	}
}

func TestFilesReadBackAfterReopening(t *testing.T) {
	v, d := newVolume(t)
	want := map[string]string{}
	for i, size := range []int{0, 1, 4095, 4096, 4097, 3<<20 + 17} {
		path := fmt.Sprintf("EFI/Linux/rotunda_%06d+3.efi", i)
		want[path] = string(content(uint64(i), size))
		create(t, v, path, []byte(want[path]))
	}
	v = reopen(t, d)
	if got := mustFiles(t, v); !maps.Equal(got, want) {
		t.Errorf("want %v with their contents, got %v", paths(want), paths(got))
	}
	wantNoProblems(t, v)
	e, err := v.Stat("efi/LINUX/ROTUNDA_000001+3.EFI")
	if err != nil || e.Size != 1 || !e.Modified.Equal(testTime) {
		t.Errorf("stat in other case: want 1 byte of %v, got %+v, %v", testTime, e, err)
	}
}

func TestFragmentedFilesReadBack(t *testing.T) {
	v, d := newVolume(t)
	for i := range 8 {
		create(t, v, fmt.Sprintf("f%d", i), content(uint64(i), 5*4096))
	}
	for i := 0; i < 8; i += 2 {
		if err := v.Remove(fmt.Sprintf("f%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	// Leave no row that is long enough: fill the rest but for the gaps.
	free, err := v.Free()
	if err != nil {
		t.Fatal(err)
	}
	rest := int64(20 * 4096)
	big := io.LimitReader(zeros{}, free-rest)
	if err := v.Create(context.Background(), "big", big, free-rest, CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want := content(99, int(rest))
	create(t, v, "pieces", want)
	got, err := reopen(t, d).ReadFile("pieces", 1<<20)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("a file in pieces: want its %d bytes, got %d, %v", len(want), len(got), err)
	}
	err = v.Create(context.Background(), "more", strings.NewReader("x"), 1, CreateOptions{})
	if !errors.Is(err, ErrFull) {
		t.Errorf("a byte on a full volume: want ErrFull, got %v", err)
	}
	wantNoProblems(t, reopen(t, d))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCreateThatFailsLeavesNothing(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	broken := errors.New("no signal")
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		path string
		o    CreateOptions
		want error
	}{
		"a reader that ends early": {context.Background(), strings.NewReader("abc"), "new", CreateOptions{}, io.ErrUnexpectedEOF},
		"a reader that fails":      {context.Background(), io.MultiReader(strings.NewReader("abc"), errReader{broken}), "new", CreateOptions{}, broken},
		"a context that has ended": {canceled, zeros{}, "new", CreateOptions{}, context.Canceled},
		"a name that is taken":     {context.Background(), zeros{}, "OLD", CreateOptions{}, fs.ErrExist},
		"a check that fails":       {context.Background(), zeros{}, "new", CreateOptions{Verify: func(*File) error { return broken }}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			v, d := newVolume(t)
			create(t, v, "old", []byte("old"))
			before, _ := v.Free()
			err := v.Create(c.ctx, c.path, c.r, 10000, c.o)
			if !errors.Is(err, c.want) {
				t.Errorf("want %v, got %v", c.want, err)
			}
			v = reopen(t, d)
			if got := mustFiles(t, v); !maps.Equal(got, map[string]string{"old": "old"}) {
				t.Errorf("want the old file alone, got %v", paths(got))
			}
			if after, _ := v.Free(); after != before {
				t.Errorf("free: want %d as before, got %d", before, after)
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestNamesThatFATCannotHoldAreRefused(t *testing.T) {
	v, _ := newVolume(t)
	for _, name := range []string{"a:b", "a*", "tail.", " head", "x\ny", "\xff", strings.Repeat("n", 196)} {
		if err := v.Create(context.Background(), name, zeros{}, 1, CreateOptions{}); err == nil {
			t.Errorf("create %q: want an error, got none", name)
		}
	}
	if got := mustFiles(t, v); len(got) != 0 {
		t.Errorf("want no files, got %v", paths(got))
	}
}

func TestAReadOnlyVolumeIsNotWritten(t *testing.T) {
	v, d := newVolume(t)
	create(t, v, "old", []byte("old"))
	d.Fail = func(off int64, n int) error { return fmt.Errorf("write at %d", off) }
	v, err := Open(d, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"create": v.Create(context.Background(), "new", zeros{}, 1, CreateOptions{}),
		"rename": v.Rename("", "old", "new"),
		"remove": v.Remove("old"),
		"mkdir":  v.MkdirAll("dir"),
		"pack":   v.Pack(""),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: want ErrReadOnly, got %v", what, err)
		}
	}
	wantNoProblems(t, v)
}

func TestLargeFilesAreWrittenInLargeChunks(t *testing.T) {
	v, d := newVolume(t)
	d.Record()
	size := int64(16 << 20)
	if err := v.Create(context.Background(), "image", zeros{}, size, CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := d.LargestWrite(); got < 256<<10 {
		t.Errorf("largest write: want at least 256 KiB, got %d bytes", got)
	}
	if got := d.Writes(); got > 30 {
		t.Errorf("writes for 16 MiB: want at most 30, got %d", got)
	}
}

func TestListingGoesOnWhileDataAreCopied(t *testing.T) {
	v, _ := newVolume(t)
	create(t, v, "old", []byte("old"))
	listed := 0
	err := v.Create(context.Background(), "new", zeros{}, 3<<20, CreateOptions{
		Progress: func(int64) {
			if list, err := v.List(""); err == nil && len(list) == 1 {
				listed++
			}
		},
		Verify: func(f *File) error {
			_, err := v.List("")
			return err
		},
	})
	if err != nil || listed != 3 {
		t.Errorf("want the old file listed at each of 3 steps, got %d, %v", listed, err)
	}
}

func TestADirectoryGrowsAndShrinks(t *testing.T) {
	v, d := newVolume(t)
	want := map[string]string{}
	for i := range 100 {
		path := fmt.Sprintf("many/a file with a long name %03d.txt", i)
		want[path] = fmt.Sprint(i)
		create(t, v, path, []byte(want[path]))
	}
	if got := mustFiles(t, reopen(t, d)); !maps.Equal(got, want) {
		t.Fatalf("want %d files, got %d", len(want), len(got))
	}
	if err := v.Remove("many"); err == nil {
		t.Error("removing a full directory: want an error, got none")
	}
	for path := range want {
		if err := v.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Remove("many"); err != nil {
		t.Errorf("removing an empty directory: %v", err)
	}
	if got := mustFiles(t, reopen(t, d)); len(got) != 0 {
		t.Errorf("want no files, got %v", paths(got))
	}
	wantNoProblems(t, v)
}

func TestADirectoryIsMadeInADirectoryThatHasToGrow(t *testing.T) {
	v, d := newVolume(t)
	// Two names of six slots fit into a sector; 16 fill the eight sectors of the cluster.
	for i := range 16 {
		create(t, v, fmt.Sprintf("a rather long name so that the directory fills soon %02d", i), []byte("x"))
	}
	dir := "a rather long name so that the directory grows for it"
	if err := v.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	create(t, v, dir+"/file", []byte("inside"))
	v = reopen(t, d)
	wantNoProblems(t, v)
	if got := mustFiles(t, v); len(got) != 17 || got[dir+"/file"] != "inside" {
		t.Errorf("want 17 files, one in the directory, got %d: %v", len(got), paths(got))
	}
}

func TestShortNamesAreUniqueAndValid(t *testing.T) {
	taken := map[shortName]bool{}
	for _, c := range []struct{ name, want string }{
		{"BOOTX64.EFI", "BOOTX64.EFI"},
		{"Linux", "LINUX"},
		{"rotunda_000007+3.efi", "ROTUND~1.EFI"},
		{"rotunda_000008+3.efi", "ROTUND~2.EFI"},
		{"loader.conf", "LOADER~1.CON"},
		{"a.b.c", "AB~1.C"},
		{"été", "_T_~1"},
		{".hidden", "HIDDEN~1"},
		{"linux", "LINUX~1"},
		{"+++", "___~1"},
	} {
		s, err := chooseShort(c.name, func(s shortName) bool { return taken[s] })
		if err != nil || s.String() != c.want {
			t.Errorf("short name of %q: want %s, got %s, %v", c.name, c.want, s, err)
		}
		taken[s] = true
	}
}

func TestPlace(t *testing.T) {
	// A dot is a free slot, anything else is used.
	for _, c := range []struct {
		slots      string
		n, renames int
		want       int
	}{
		{"xx.............." + "................", 3, 0, 2},
		{"xxxxxxxxxxxxxx.." + "................", 3, 0, 16},
		{"xx..xxx...xxxxxx" + "xxxxxxxxxxxxxxxx", 3, 0, 7},
		{"xxxxxxxxxxxxxxxx" + "xxxxxxxxxxxxxxx.", 3, 0, 32},
		{"xx.............." + "................", 3, 3, 2},
		{"xxxxx..........." + "................", 3, 3, 16},
		{"xx..........xxx." + "xxx.............", 3, 3, 19},
		{"xxxxxxxxxxxxxxxx" + "xxxxx...........", 3, 3, 32},
	} {
		used := make([]bool, len(c.slots))
		for i := range used {
			used[i] = c.slots[i] == 'x'
		}
		if got := place(used, c.n, c.renames); got != c.want {
			t.Errorf("%d slots for %d renames in %s: want slot %d, got %d", c.n, c.renames, c.slots, c.want, got)
		}
	}
}
