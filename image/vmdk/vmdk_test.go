package vmdk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// content returns a disk with data at its start, over a table's border (32 MiB) and at an odd end, and zeros between.
func content() []byte {
	b := make([]byte, 70<<20+12345)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b[:300])
	r.Read(b[1<<20 : 1<<20+200000])
	copy(b[32<<20-100:], bytes.Repeat([]byte("border "), 1000))
	r.Read(b[len(b)-10:])
	return b
}

func sample(b []byte) Disk {
	return Disk{Content: bytes.NewReader(b), Size: int64(len(b)), Capacity: 200 << 20, Name: "sample.vmdk", ID: [16]byte{0xfe, 1, 2, 3, 4, 5}}
}

func TestWriteIsReadBackByQEMU(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("qemu-img is not installed (qemu-utils)")
	}
	want := content()
	dir := t.TempDir()
	disk, raw := filepath.Join(dir, "sample.vmdk"), filepath.Join(dir, "sample.raw")
	f, err := os.Create(disk)
	if err != nil {
		t.Fatal(err)
	}
	populated, err := Write(f, sample(want))
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// 1 grain at the start, 4 for 200,000 bytes, 2 around the border, 1 at the end.
	if populated != 8*GrainSize {
		t.Errorf("populated %d bytes, want %d", populated, 8*GrainSize)
	}
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
		Specific    struct {
			Data struct {
				CreateType string `json:"create-type"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	out, err := exec.Command("qemu-img", "info", "--output=json", disk).Output()
	if err != nil {
		t.Fatalf("qemu-img info: %v", err)
	}
	if err := json.Unmarshal(out, &info); err != nil {
		t.Fatal(err)
	}
	if info.VirtualSize != 200<<20 || info.Specific.Data.CreateType != "streamOptimized" {
		t.Errorf("qemu-img sees %d bytes of type %q, want %d of streamOptimized", info.VirtualSize, info.Specific.Data.CreateType, 200<<20)
	}
	if out, err := exec.Command("qemu-img", "convert", "-O", "raw", disk, raw).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img convert: %v: %s", err, out)
	}
	got, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 200<<20 || !bytes.Equal(got[:len(want)], want) || !isZeroDisk(got[len(want):]) {
		t.Errorf("the disk of %d bytes that qemu-img reads back differs from what was written", len(got))
	}
}

func isZeroDisk(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

func TestWriteKeepsToWhatESXiChecks(t *testing.T) {
	var b bytes.Buffer
	if _, err := Write(&b, sample(content())); err != nil {
		t.Fatalf("Write: %v", err)
	}
	file := b.Bytes()
	le := binary.LittleEndian
	if len(file)%sectorSize != 0 {
		t.Fatalf("file of %d bytes, want whole sectors", len(file))
	}
	sectors := len(file) / sectorSize
	sector := func(n int) []byte { return file[n*sectorSize:][:sectorSize] }

	if got := sector(sectors - 1); !isZero(got) {
		t.Error("the last sector is not the end-of-stream marker")
	}
	footer := sector(sectors - 2)
	if got := le.Uint32(sector(sectors - 3)[12:]); got != markerFooter {
		t.Errorf("marker before the footer is of type %d, want %d", got, markerFooter)
	}
	header := bytes.Clone(sector(0))
	if got := le.Uint64(header[56:]); got != directoryAtEnd {
		t.Errorf("header says the directory is at %#x, want 'at the end'", got)
	}
	copy(header[56:64], footer[56:64])
	if !bytes.Equal(header, footer) {
		t.Error("the footer differs from the header in more than the directory's position")
	}
	if got := le.Uint32(header[4:]); got != 3 {
		t.Errorf("format version %d, want 3", got)
	}
	directory := int(le.Uint64(footer[56:]))
	if got := le.Uint32(sector(directory - 1)[12:]); got != markerDirectory {
		t.Errorf("marker before the directory is of type %d, want %d", got, markerDirectory)
	}

	// Front to back, as an importer reads: every grain ascends, and every table names exactly the grains before it.
	var seen []uint32
	last := int64(-1)
	for n := firstGrain; n < sectors; {
		m := sector(n)
		value, size, kind := le.Uint64(m), le.Uint32(m[8:]), le.Uint32(m[12:])
		if size != 0 {
			if int64(value) <= last || value%128 != 0 {
				t.Errorf("grain at sector %d has the address %d after %d", n, value, last)
			}
			last = int64(value)
			seen = append(seen, uint32(n))
			n += (12 + int(size) + sectorSize - 1) / sectorSize
			continue
		}
		if kind == markerTable {
			if value != tableSectors {
				t.Errorf("table of %d sectors, want %d", value, tableSectors)
			}
			for i := range tableEntries {
				e := le.Uint32(file[(n+1)*sectorSize+4*i:])
				if e == 0 {
					continue
				}
				if len(seen) == 0 || seen[0] != e {
					t.Fatalf("table at sector %d names the grain at %d, the grains before it start at %v", n+1, e, seen)
				}
				seen = seen[1:]
			}
			if len(seen) != 0 {
				t.Errorf("grains at %v are in no table", seen)
			}
		}
		n += 1 + int(value)
	}
	text := string(bytes.TrimRight(file[sectorSize:][:descriptorSectors*sectorSize], "\x00"))
	for _, want := range []string{
		"createType=\"streamOptimized\"\n", "CID=7e010203\n", "RW 409600 SPARSE \"sample.vmdk\"\n", "ddb.adapterType = \"lsilogic\"\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the descriptor lacks %q:\n%s", want, text)
		}
	}
	var again bytes.Buffer
	if _, err := Write(&again, sample(content())); err != nil || !bytes.Equal(again.Bytes(), file) {
		t.Errorf("the same disk written again differs (%v)", err)
	}
}

// withHoles counts what is read and says where the data of content() are.
type withHoles struct {
	*bytes.Reader
	size, reads int64
}

func (w *withHoles) ReadAt(p []byte, off int64) (int, error) {
	w.reads++
	return w.Reader.ReadAt(p, off)
}

func (w *withHoles) NextData(offset int64) (int64, error) {
	for _, r := range [][2]int64{{0, 300}, {1 << 20, 1<<20 + 200000}, {32<<20 - 100, 32<<20 + 6900}, {w.size - 10, w.size}} {
		if offset < r[1] {
			return max(offset, r[0]), nil
		}
	}
	return w.size, nil
}

func TestWriteSkipsHolesWithTheSameResult(t *testing.T) {
	b := content()
	var want, got bytes.Buffer
	if _, err := Write(&want, sample(b)); err != nil {
		t.Fatal(err)
	}
	d := sample(b)
	holes := &withHoles{Reader: bytes.NewReader(b), size: int64(len(b))}
	d.Content = holes
	if _, err := Write(&got, d); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("a disk that knows its holes gives another file")
	}
	if holes.reads != 8 {
		t.Errorf("%d reads, want 8, one for each grain with data", holes.reads)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, c := range []struct {
		name           string
		size, capacity int64
		want           string
	}{
		{"a capacity of half a grain", 0, GrainSize / 2, "whole grains"},
		{"more content than capacity", 2 * GrainSize, GrainSize, "whole grains"},
		{"no capacity", 0, 0, "whole grains"},
		{"4 TiB", 0, 4 << 40, "2 TiB"},
		{"content that ends early", 100, GrainSize, "read disk at 0"},
	} {
		d := Disk{Content: bytes.NewReader(nil), Size: c.size, Capacity: c.capacity, Name: "x"}
		if _, err := Write(&bytes.Buffer{}, d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}
