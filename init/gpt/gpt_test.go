package gpt

import (
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rotunda/init/fat/powercut"
)

const diskSize = 64 << 20

func testTable() *Table {
	return &Table{
		Disk: MustParseGUID("11111111-2222-3333-4444-555555555555"),
		Partitions: []Partition{
			{Type: ESP, ID: MustParseGUID("AAAAAAAA-0000-0000-0000-000000000001"), Name: "esp", First: 2048, Last: 4095},
			{Type: LinuxFilesystem, ID: MustParseGUID("AAAAAAAA-0000-0000-0000-000000000002"), Name: "data", First: 4096, Last: 65535},
		},
		Numbers: []int{1, 2},
	}
}

func written(t testing.TB) *powercut.Disk {
	t.Helper()
	d := powercut.New(diskSize)
	if err := Write(d, testTable()); err != nil {
		t.Fatal(err)
	}
	return d
}

func wantTable(t *testing.T, what string, d *powercut.Disk, want ...*Table) *Table {
	t.Helper()
	got, err := Read(d)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	diff := ""
	for _, w := range want {
		if diff = cmp.Diff(w, got, cmpopts.IgnoreUnexported(Table{}), cmpopts.IgnoreFields(Table{}, "Damage")); diff == "" {
			return got
		}
	}
	t.Fatalf("%s: want one of %d tables, the last one differs by (-want +got):\n%s", what, len(want), diff)
	return nil
}

func grownTable(last uint64) *Table {
	t := testTable()
	t.Partitions[1].Last = last
	return t
}

func TestATableReadsBack(t *testing.T) {
	got := wantTable(t, "read", written(t), testTable())
	if got.Damage != nil {
		t.Errorf("damage: want none, got %v", got.Damage)
	}
	p, ok := got.ByName("data")
	if !ok || p.Start() != 2<<20 || p.Size() != 30<<20 || got.Number("data") != 2 {
		t.Errorf("data: want 30 MiB at 2 MiB, number 2, got %+v, number %d", p, got.Number("data"))
	}
	if p, ok := got.ByName("esp"); !ok || p.Type != ESP {
		t.Errorf("esp: want an EFI system partition, got %+v", p)
	}
	if p, ok := got.ByName("swap"); ok {
		t.Errorf("a name that is not there: want none, got %+v", p)
	}
}

func TestEitherCopyIsEnough(t *testing.T) {
	for _, sector := range []int64{1, 2, diskSize/sectorSize - 1, diskSize/sectorSize - 33} {
		d := written(t)
		broken := make([]byte, sectorSize)
		if _, err := d.WriteAt(broken, sector*sectorSize); err != nil {
			t.Fatal(err)
		}
		if got := wantTable(t, "one copy", d, testTable()); got.Damage == nil {
			t.Errorf("sector %d lost: want damage reported, got none", sector)
		}
		// Grow mends both copies.
		if _, err := Grow(d); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(d); err != nil || got.Damage != nil {
			t.Errorf("sector %d lost, after grow: want both copies well, got %v, %v", sector, got, err)
		}
	}
	d := written(t)
	for _, sector := range []int64{1, diskSize/sectorSize - 1} {
		if _, err := d.WriteAt(make([]byte, sectorSize), sector*sectorSize); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Read(d); err == nil {
		t.Errorf("both headers lost: want an error, got %+v", got)
	}
}

func TestTheLastPartitionGrowsToTheEnd(t *testing.T) {
	d := written(t)
	d.Resize(diskSize + 100<<20 + 512)
	got, err := Grow(d)
	if err != nil {
		t.Fatal(err)
	}
	want := grownTable((163<<20)/sectorSize - 1)
	wantTable(t, "grown", d, want)
	if got.Damage != nil {
		t.Errorf("damage: want none, got %v", got.Damage)
	}
	d.Record()
	if _, err := Grow(d); err != nil || d.Writes() != 0 {
		t.Errorf("growing again: want no writes, got %d, %v", d.Writes(), err)
	}
}

func TestAPowerCutWhileGrowingLeavesTheOldOrTheNewTable(t *testing.T) {
	d := written(t)
	old := testTable()
	for step, size := range []int64{100 << 20, 200 << 20, 300 << 20} {
		d.Resize(size)
		d.Record()
		if _, err := Grow(d); err != nil {
			t.Fatal(err)
		}
		grown := grownTable(uint64(size-1<<20)/sectorSize - 1)
		d.Cuts(uint64(step), 20, func(cut string, left *powercut.Disk) {
			// A kernel reads the primary table only.
			if _, _, err := readCopy(left, 1, uint64(size)/sectorSize); err != nil {
				t.Fatalf("%s: primary: %v", cut, err)
			}
			wantTable(t, cut, left, old, grown)
			if _, err := Grow(left); err != nil {
				t.Fatalf("%s: again: %v", cut, err)
			}
			if got := wantTable(t, cut+", again", left, grown); got.Damage != nil {
				t.Fatalf("%s: again: %v", cut, got.Damage)
			}
		})
		old = grown
	}
}

func TestADiskThatBecameSmallerIsLeftAlone(t *testing.T) {
	d := written(t)
	d.Resize(20 << 20)
	d.Record()
	if got, err := Grow(d); err == nil {
		t.Errorf("want an error, got %+v", got)
	}
	if d.Writes() != 0 {
		t.Errorf("want no writes, got %d", d.Writes())
	}
}

func TestWrongTablesAreNotWritten(t *testing.T) {
	for name, change := range map[string]func(*Table){
		"overlap":            func(t *Table) { t.Partitions[1].First = 2048 },
		"backwards":          func(t *Table) { t.Partitions[1].Last = 100 },
		"into the backup":    func(t *Table) { t.Partitions[1].Last = diskSize/sectorSize - 1 },
		"not aligned":        func(t *Table) { t.Partitions[1].First++ },
		"without a type":     func(t *Table) { t.Partitions[0].Type = GUID{} },
		"name of 37 letters": func(t *Table) { t.Partitions[0].Name = strings.Repeat("x", 37) },
		"over the table":     func(t *Table) { t.Partitions[0].First = 0 },
	} {
		d := powercut.New(diskSize)
		d.Record()
		table := testTable()
		change(table)
		if err := Write(d, table); err == nil || d.Writes() != 0 {
			t.Errorf("%s: want an error and no writes, got %v and %d", name, err, d.Writes())
		}
	}
}

func TestGUIDsReadAndPrint(t *testing.T) {
	if got, want := ESP.String(), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"; got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	if got := ESP[0]; got != 0x28 {
		t.Errorf("first byte on the disk: want 28, got %02x", got)
	}
	for _, bad := range []string{"", "C12A7328F81F11D2BA4B00A0C93EC93B", "C12A7328-F81F-11D2-BA4B-00A0C93EC93Z", "C12A-7328F81F-11D2-BA4B-00A0C93EC93B"} {
		if g, err := ParseGUID(bad); err == nil {
			t.Errorf("parse %q: want an error, got %s", bad, g)
		}
	}
}

func TestOtherToolsAcceptTheTable(t *testing.T) {
	fresh, grown := written(t), written(t)
	grown.Resize(diskSize + 10<<20)
	if _, err := Grow(grown); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*powercut.Disk{"fresh": fresh, "grown": grown} {
		path := filepath.Join(t.TempDir(), "disk.img")
		image := make([]byte, d.Size())
		if _, err := d.ReadAt(image, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		ran := 0
		for _, c := range []struct {
			program string
			args    []string
			want    string
		}{
			{"sfdisk", []string{"--verify", path}, "No errors detected"},
			{"sfdisk", []string{"--list", path}, "EFI System"},
			{"sgdisk", []string{"--verify", path}, "No problems found"},
		} {
			program, err := exec.LookPath(c.program)
			if err != nil {
				if program, err = exec.LookPath("/usr/sbin/" + c.program); err != nil {
					continue
				}
			}
			ran++
			cmd := exec.Command(program, c.args...)
			cmd.Env = append(os.Environ(), "LC_ALL=C")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%s, %s %v: want %q, got %v\n%s", name, c.program, c.args, c.want, err, out)
			}
		}
		if ran == 0 {
			t.Skip("neither sfdisk nor sgdisk is installed")
		}
	}
}

// FuzzRead writes over a table: reading it must give an error or a table whose partitions lie on the disk.
func FuzzRead(f *testing.F) {
	const sectors = diskSize / sectorSize
	base := written(f)
	f.Add([]byte(nil), []byte(nil), true)
	f.Add([]byte("EFI PART"), []byte{1, 2, 3}, false)
	header := make([]byte, sectorSize)
	if _, err := base.ReadAt(header, sectorSize); err != nil {
		f.Fatal(err)
	}
	f.Add(header[:headerSize], []byte{0xFF}, true)
	f.Fuzz(func(t *testing.T, header, entries []byte, sign bool) {
		d := base.Clone()
		h, e := make([]byte, sectorSize), make([]byte, maxEntries*entrySize)
		for _, r := range []struct {
			b  []byte
			at int64
		}{{h, sectorSize}, {e, firstArray * sectorSize}} {
			if _, err := d.ReadAt(r.b, r.at); err != nil {
				t.Fatal(err)
			}
		}
		copy(h, header)
		copy(e, entries)
		if sign {
			// With right checksums the checks behind them are reached.
			n := min(uint64(le.Uint32(h[80:]))*uint64(le.Uint32(h[84:])), uint64(len(e)))
			signHeader(h, e[:n])
		}
		for at, b := range map[int64][]byte{1: h, firstArray: e} {
			if _, err := d.WriteAt(b, at*sectorSize); err != nil {
				t.Fatal(err)
			}
		}
		table, err := Read(d)
		if err != nil {
			return
		}
		for _, p := range table.Partitions {
			if p.Start() < 0 || p.Size() <= 0 || p.Last >= sectors {
				t.Errorf("partition %+v lies outside of the disk", p)
			}
		}
		_, _ = Grow(d)
	})
}

func signHeader(h, entries []byte) {
	le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(h[16:], 0)
	size := min(max(le.Uint32(h[12:]), headerSize), sectorSize)
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:size]))
}
