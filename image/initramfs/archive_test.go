package initramfs

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
)

var date = time.Unix(1_700_000_000, 0)

func files() []File {
	return []File{
		Regular("init", 0o755, []byte("program")),
		Device("dev/console", 0o600, 5, 1),
		Regular("etc/rotunda/release.json", 0o644, []byte("{}")),
		Folder("tmp", 0o777|fs.ModeSticky),
		Link("etc/resolv.conf", "/run/resolv.conf"),
	}
}

func TestPackSortsAndAddsFolders(t *testing.T) {
	packed, err := Pack(files(), date)
	if err != nil {
		t.Fatalf("Pack: %v", err)
	}
	var got []string
	modes := map[string]uint64{}
	err = cpio.ForEachRecord(cpio.Newc.Reader(bytes.NewReader(packed)), func(r cpio.Record) error {
		got = append(got, r.Name)
		modes[r.Name] = r.Mode
		if r.MTime != uint64(date.Unix()) || r.UID != 0 || r.GID != 0 {
			t.Errorf("%s: time %d, owner %d:%d, want the given time and root", r.Name, r.MTime, r.UID, r.GID)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read archive: %v", err)
	}
	want := []string{"dev", "dev/console", "etc", "etc/resolv.conf", "etc/rotunda", "etc/rotunda/release.json", "init", "tmp"}
	if !slices.Equal(got, want) {
		t.Errorf("archive holds %v, want %v", got, want)
	}
	for name, mode := range map[string]uint64{
		"dev": 0o40755, "dev/console": 0o20600, "etc/resolv.conf": 0o120777, "init": 0o100755, "tmp": 0o41777,
	} {
		if modes[name] != mode {
			t.Errorf("%s has mode %o, want %o", name, modes[name], mode)
		}
	}
	reversed := files()
	slices.Reverse(reversed)
	if again, _ := Pack(reversed, date); !bytes.Equal(again, packed) {
		t.Error("the same files in another order give another archive")
	}
}

func TestPackRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []File
		want  string
	}{
		{"an absolute path", []File{Regular("/init", 0o755, nil)}, "no path inside"},
		{"a path that leaves", []File{Regular("../init", 0o755, nil)}, "no path inside"},
		{"an unclean path", []File{Regular("a//b", 0o755, nil)}, "no path inside"},
		{"no path", []File{{}}, "no path inside"},
		{"a file twice", []File{Regular("a", 0o755, nil), Link("a", "b")}, "there twice"},
	} {
		if _, err := Pack(c.files, date); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestCompressIsRepeatableAndReadable(t *testing.T) {
	want := bytes.Repeat([]byte("some text that repeats, and "), 100_000)
	packed, err := Compress(want, true)
	if err != nil {
		t.Fatalf("Compress: %v", err)
	}
	if len(packed)%4 != 0 {
		t.Errorf("%d bytes, want a multiple of four", len(packed))
	}
	again, err := Compress(want, true)
	if err != nil || !bytes.Equal(again, packed) {
		t.Errorf("compressing twice gives different bytes (%v)", err)
	}
	r, err := zstd.NewReader(bytes.NewReader(bytes.TrimRight(packed, "\x00")))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("decompressed %d bytes (%v), want the %d given", got.Len(), err, len(want))
	}
}
