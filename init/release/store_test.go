package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rotunda/init/fat"
	"rotunda/init/fat/powercut"
)

const diskSize = 300 << 20

// imageOf is the image of a version number in these tests; every number has its own size and bytes.
func imageOf(number int) []byte { return testImage(fmt.Sprintf("%d.0", number), 20000+1000*number) }

func openStore(t testing.TB, d *powercut.Disk, running int) *Store {
	t.Helper()
	v, err := fat.Open(d, fat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return NewStore(v, running)
}

func install(s *Store, number int) error {
	image := imageOf(number)
	v, err := s.Install(context.Background(), bytes.NewReader(image), int64(len(image)), sha256.Sum256(image), nil)
	if err == nil && v.Number != number {
		err = fmt.Errorf("want number %d, got %d", number, v.Number)
	}
	return err
}

// disk holds committed versions 1 … n.
func disk(t testing.TB, n int) *powercut.Disk {
	t.Helper()
	d := powercut.New(diskSize)
	v, err := fat.Format(d, fat.FormatOptions{Label: "ESP"})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		image := imageOf(i)
		s := NewStore(v, i-1)
		if _, err := s.install(context.Background(), bytes.NewReader(image), int64(len(image)), sha256.Sum256(image), Name{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// intact says whether the version's file has the bytes of its number.
func intact(s *Store, v Version) error {
	b, err := s.volume.ReadFile(Directory+"/"+v.File, MaxImage)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, imageOf(v.Number)) {
		return fmt.Errorf("%s has other bytes", v.File)
	}
	return nil
}

// boots lets the loader choose from what the disk holds, and demands that the choice is one of the numbers, and that it
// and every version in keep are whole.
func boots(t *testing.T, cut string, d *powercut.Disk, keep []int, numbers ...int) Version {
	t.Helper()
	s := openStore(t, d, 0)
	next, err := s.Next()
	if err != nil {
		t.Fatalf("%s: %v", cut, err)
	}
	if !slices.Contains(numbers, next.Number) {
		t.Fatalf("%s: want the loader to start one of %v, got %s", cut, numbers, next.File)
	}
	list, err := s.List()
	if err != nil {
		t.Fatalf("%s: %v", cut, err)
	}
	for _, v := range list {
		if err := intact(s, v); err != nil {
			t.Fatalf("%s: version %d: %v", cut, v.Number, err)
		}
		keep = slices.DeleteFunc(slices.Clone(keep), func(n int) bool { return n == v.Number })
	}
	if len(keep) > 0 {
		t.Fatalf("%s: versions %v are gone, %d are there", cut, keep, len(list))
	}
	for _, p := range s.volume.Check() {
		if p.Kind != fat.Shared {
			t.Fatalf("%s: %v", cut, p)
		}
	}
	return next
}

// firmwareStart does what the loader does before it starts an entry. It returns the version.
func firmwareStart(t testing.TB, d *powercut.Disk) Version {
	t.Helper()
	s := openStore(t, d, 0)
	v, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := ParseName(v.File); name.Counted {
		e, err := s.volume.Stat(Directory)
		if err != nil {
			t.Fatal(err)
		}
		if err := powercut.FirmwareRename(d, e.Cluster, v.File, name.Started().String()); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestAnInstalledVersionIsListedWithWhatItSays(t *testing.T) {
	d := disk(t, 2)
	s := openStore(t, d, 2)
	if err := install(s, 3); err != nil {
		t.Fatal(err)
	}
	list, err := openStore(t, d, 2).List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range list {
		got = append(got, fmt.Sprint(v.Number, v.Version, v.Build, v.Size, v.State, v.Trial, v.TriesLeft, v.File))
	}
	want := []string{
		fmt.Sprint(3, "3.0", "b-3.0", 23000, Trial, true, 3, "rotunda_000003+3.efi"),
		fmt.Sprint(2, "2.0", "b-2.0", 22000, Running, false, 0, "rotunda_000002.efi"),
		fmt.Sprint(1, "1.0", "b-1.0", 21000, Committed, false, 0, "rotunda_000001.efi"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("want\n%s\ngot\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func TestAnInstallationThatFailsLeavesTheLoadersChoice(t *testing.T) {
	broken := errors.New("no more")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	good := imageOf(3)
	sorted := testPE(osRelease("3.0")+"IMAGE_VERSION=1\n", 3000)
	for name, c := range map[string]struct {
		ctx   context.Context
		image io.Reader
		size  int
		sum   [32]byte
		want  string
	}{
		"another hash":         {context.Background(), bytes.NewReader(good), len(good), sha256.Sum256([]byte("x")), "SHA-256"},
		"ends early":           {context.Background(), bytes.NewReader(good[:5000]), len(good), sha256.Sum256(good), "unexpected EOF"},
		"a read error":         {context.Background(), io.MultiReader(bytes.NewReader(good[:5000]), failing{broken}), len(good), sha256.Sum256(good), "no more"},
		"the context ends":     {ended, bytes.NewReader(good), len(good), sha256.Sum256(good), "context canceled"},
		"no EFI image":         {context.Background(), strings.NewReader("hello"), 5, sha256.Sum256([]byte("hello")), ".osrel"},
		"sorts by its version": {context.Background(), bytes.NewReader(sorted), len(sorted), sha256.Sum256(sorted), "IMAGE_VERSION"},
		"too large":            {context.Background(), bytes.NewReader(nil), MaxImage + 1, [32]byte{}, "want 1 to"},
		"more than fits":       {context.Background(), bytes.NewReader(nil), MaxImage, [32]byte{}, "no room"},
	} {
		t.Run(name, func(t *testing.T) {
			d := disk(t, 2)
			if name == "more than fits" {
				v := openStore(t, d, 0).volume
				if err := v.Create(context.Background(), "filler", zeros{}, 100<<20, fat.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := openStore(t, d, 2).Install(c.ctx, c.image, int64(c.size), c.sum, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			boots(t, name, d, []int{1, 2}, 2)
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAPowerCutDuringInstallStartsTheOldOrTheNewVersion(t *testing.T) {
	d := disk(t, 3)
	s := openStore(t, d, 3)
	d.Record()
	if err := install(s, 4); err != nil {
		t.Fatal(err)
	}
	boots(t, "at the end", d, []int{2, 3, 4}, 4)
	cuts, chosen := 0, map[int]int{}
	d.Cuts(7, 6, func(cut string, left *powercut.Disk) {
		cuts++
		v := boots(t, cut, left, []int{2, 3}, 3, 4)
		chosen[v.Number]++
		if v.Number == 4 {
			return
		}
		if err := install(openStore(t, left, 3), 4); err != nil {
			t.Fatalf("%s: install again: %v", cut, err)
		}
		boots(t, cut+", again", left, []int{2, 3, 4}, 4)
	})
	if chosen[3] == 0 || chosen[4] == 0 {
		t.Errorf("want cuts that start the old and cuts that start the new version, got %v", chosen)
	}
	t.Logf("%d cuts of %d writes: %v", cuts, d.Writes(), chosen)
}

func TestAPowerCutDuringCommitStartsTheNewVersion(t *testing.T) {
	for starts := 1; starts <= 3; starts++ {
		d := disk(t, 2)
		if err := install(openStore(t, d, 2), 3); err != nil {
			t.Fatal(err)
		}
		for range starts {
			if v := firmwareStart(t, d); v.Number != 3 {
				t.Fatalf("start %d: want version 3, got %s", starts, v.File)
			}
		}
		d.Record()
		if err := openStore(t, d, 3).Commit(3); err != nil {
			t.Fatal(err)
		}
		if d.Writes() != 1 {
			t.Errorf("after %d starts: want one write, got %d", starts, d.Writes())
		}
		d.Cuts(8, 6, func(cut string, left *powercut.Disk) {
			// After its third start the version has no tries left until the commit is on the disk.
			want := []int{3}
			if starts == 3 {
				want = []int{2, 3}
			}
			boots(t, cut, left, []int{1, 2, 3}, want...)
			if err := openStore(t, left, 3).Commit(3); err != nil {
				t.Fatalf("%s: commit again: %v", cut, err)
			}
			if v := boots(t, cut, left, []int{1, 2, 3}, 3); v.File != "rotunda_000003.efi" {
				t.Fatalf("%s: want rotunda_000003.efi, got %s", cut, v.File)
			}
		})
	}
}

func TestAVersionThatNeverCommitsGivesWayAfterThreeStarts(t *testing.T) {
	d := disk(t, 2)
	if err := install(openStore(t, d, 2), 3); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 5 {
		got = append(got, firmwareStart(t, d).Number)
	}
	if want := []int{3, 3, 3, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("want starts of %v, got %v", want, got)
	}
	list, err := openStore(t, d, 2).List()
	if err != nil || len(list) != 3 || list[0].State != Failed {
		t.Errorf("want version 3 failed, got %+v, %v", list, err)
	}
	boots(t, "at the end", d, []int{1, 2, 3}, 2)
}

func TestOnlySpareVersionsCanBeRemoved(t *testing.T) {
	d := disk(t, 3)
	s := openStore(t, d, 3)
	if err := s.Remove(3); !errors.Is(err, ErrProtected) {
		t.Errorf("the running version: want ErrProtected, got %v", err)
	}
	if err := s.Remove(2); !errors.Is(err, ErrProtected) {
		t.Errorf("the version to fall back to: want ErrProtected, got %v", err)
	}
	if err := s.Remove(9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a version that is not there: want fs.ErrNotExist, got %v", err)
	}
	d.Record()
	if err := s.Remove(1); err != nil {
		t.Errorf("a spare version: %v", err)
	}
	d.Cuts(1, 6, func(cut string, left *powercut.Disk) { boots(t, cut, left, []int{2, 3}, 3) })
	boots(t, "at the end", d, []int{2, 3}, 3)
}

// Two names of one chain, as a torn rename of the firmware across sectors leaves: the version is one, and committing it
// leaves one name.
func TestTwoNamesOfOneVersionAreCommittedAsOne(t *testing.T) {
	d := disk(t, 1)
	if err := install(openStore(t, d, 1), 2); err != nil {
		t.Fatal(err)
	}
	e, err := openStore(t, d, 0).volume.Stat(Directory)
	if err != nil {
		t.Fatal(err)
	}
	before := d.Clone()
	if err := powercut.FirmwareRename(d, e.Cluster, "rotunda_000002+3.efi", "rotunda_000002+2-1.efi"); err != nil {
		t.Fatal(err)
	}
	// The old name comes back: the first three slots of the folder's second sector, where Install placed the trial.
	dir := clusterOffset(t, d, e.Cluster) + 512
	old, now := make([]byte, 512), make([]byte, 512)
	if _, err := before.ReadAt(old, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(now, dir); err != nil {
		t.Fatal(err)
	}
	copy(now[:3*32], old)
	if _, err := d.WriteAt(now, dir); err != nil {
		t.Fatal(err)
	}

	s := openStore(t, d, 2)
	list, err := s.List()
	if err != nil || len(list) != 2 || len(list[0].Names) != 2 || list[0].State != Running {
		t.Fatalf("want version 2 with two names, got %+v, %v", list, err)
	}
	d.Record()
	if err := s.Commit(2); err != nil {
		t.Fatal(err)
	}
	d.Cuts(2, 6, func(cut string, left *powercut.Disk) {
		boots(t, cut, left, []int{1, 2}, 2)
		if err := openStore(t, left, 2).Commit(2); err != nil {
			t.Fatalf("%s: again: %v", cut, err)
		}
		if v := boots(t, cut, left, []int{1, 2}, 2); len(v.Names) != 1 || v.File != "rotunda_000002.efi" {
			t.Fatalf("%s: again: want rotunda_000002.efi alone, got %v", cut, v.Names)
		}
	})
	if v := boots(t, "at the end", d, []int{1, 2}, 2); len(v.Names) != 1 || v.File != "rotunda_000002.efi" {
		t.Errorf("want rotunda_000002.efi alone, got %v", v.Names)
	}
}

// clusterOffset finds a cluster on the disk from the boot sector.
func clusterOffset(t *testing.T, d *powercut.Disk, cluster uint32) int64 {
	t.Helper()
	b := make([]byte, 512)
	if _, err := d.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	data := int64(b[14]) + int64(b[15])<<8 + int64(b[16])*(int64(b[36])+int64(b[37])<<8)
	return (data + int64(cluster-2)*int64(b[13])) * 512
}

// A machine's life: installs, starts, commits and failures, with the power cut at any write of any of them. Whatever
// happens, the next start is the version that ran or the one just installed, and every file on the disk is whole.
func TestAMachineSurvivesALifeOfPowerCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	d := disk(t, 1)
	committed, running := 1, 1
	installs, commits, cutsTaken := 0, 0, 0

	// interrupt replaces the disk by what one of the cuts of the recorded writes leaves, about every second time.
	interrupt := func() bool {
		if rng.IntN(2) == 0 {
			return false
		}
		var all []*powercut.Disk
		d.Cuts(rng.Uint64(), 2, func(_ string, left *powercut.Disk) { all = append(all, left) })
		d = all[rng.IntN(len(all))]
		cutsTaken++
		return true
	}
	for step := range 250 {
		what := fmt.Sprintf("step %d", step)
		// The power is on: the loader starts something, and may be cut while it renames.
		d.Record()
		v := firmwareStart(t, d)
		if interrupt() {
			boots(t, what+", the loader cut", d, []int{committed}, committed, v.Number)
			continue
		}
		running = v.Number
		boots(t, what+", started", d, []int{committed, running}, committed, running)
		s := openStore(t, d, running)
		d.Record()
		switch name, _ := ParseName(v.File); {
		case name.Counted && rng.IntN(3) > 0:
			// A trial that does not reach its gates.
		case name.Counted:
			if err := s.Commit(running); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if interrupt() {
				n := boots(t, what+", commit cut", d, []int{committed, running}, committed, running)
				if !n.Trial {
					committed = n.Number
				}
				continue
			}
			committed = running
			commits++
		default:
			committed = running
			list, err := s.List()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			next := list[0].Number + 1
			if err := install(s, next); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			installs++
			if interrupt() {
				boots(t, what+", install cut", d, []int{committed}, committed, next)
				continue
			}
			boots(t, what+", installed", d, []int{committed, next}, next)
		}
	}
	t.Logf("%d installs, %d commits, %d cuts", installs, commits, cutsTaken)
	if installs < 10 || commits < 10 || cutsTaken < 30 {
		t.Errorf("want at least 10 installs, 10 commits and 30 cuts, got %d, %d, %d", installs, commits, cutsTaken)
	}
}
