package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/init/durable"
	"rotunda/init/durable/powercut"
)

var options = Options{
	Version: "0.1.0", Build: "abc", Platform: "vm",
	Owners: &Owners{Shell: durable.Owner{UID: 100, GID: 100}, Services: map[string]durable.Owner{"database": {UID: 110, GID: 110}}},
	Now:    func() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC) },
}

func start(t testing.TB, disk *powercut.Disk) *Sets {
	t.Helper()
	s, warning, err := open(disk, "/data", options)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if warning != "" {
		t.Logf("open: %s", warning)
	}
	return s
}

func write(t testing.TB, fsys durable.FS, name, contents string) {
	t.Helper()
	if dir := path.Dir(name); dir != "." {
		if err := fsys.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		if err := fsys.SyncDir(path.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.WriteFile(fsys, name, []byte(contents), 0o640, nil); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, fsys durable.FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fill gives the current set a configuration of that host name and a file in each part.
func fill(t testing.TB, s *Sets, hostname string) {
	t.Helper()
	set := setFolder(s.current)
	store := config.NewStore(s.fsys, set+"/config")
	doc, n, _, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	doc.Hostname = hostname
	if _, err := store.Put(doc, n); err != nil {
		t.Fatal(err)
	}
	write(t, s.fsys, set+"/mmp/accounts.json", "accounts of "+hostname)
	write(t, s.fsys, set+"/files/web.crt", "certificate of "+hostname)
	write(t, s.fsys, set+"/app/database/objects", "objects of "+hostname)
}

// contents returns what an administrator would call the state: host name and files of the current set.
func contents(t testing.TB, s *Sets) map[string]string {
	t.Helper()
	set := setFolder(s.current)
	all := map[string]string{"hostname": s.hostname()}
	for _, part := range []string{"mmp", "files", "app"} {
		files, err := s.list(set, part)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			all[f.name] = read(t, s.fsys, path.Join(set, f.name))
		}
	}
	return all
}

func filled(hostname string) map[string]string {
	return map[string]string{
		"hostname": hostname, "mmp/accounts.json": "accounts of " + hostname,
		"files/web.crt": "certificate of " + hostname, "app/database/objects": "objects of " + hostname,
	}
}

func wantState(t testing.TB, s *Sets, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, s)); diff != "" {
		t.Fatalf("state differs from what was wanted (-want +got):\n%s", diff)
	}
}

// withBackup is a machine that is "new" now and holds a backup of the time when it was "old", and two uploaded
// files that no rollback touches.
func withBackup(t testing.TB) (*powercut.Disk, *Sets) {
	t.Helper()
	disk := powercut.New()
	s := start(t, disk)
	fill(t, s, "old")
	if _, err := s.Snapshot(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	fill(t, s, "new")
	return disk, s
}

func TestFirstStartMakesTheSkeletonWithItsOwners(t *testing.T) {
	disk := powercut.New()
	s := start(t, disk)
	if got := s.Path("app/database"); got != "/data/sets/000001/app/database" {
		t.Errorf("wanted the path of the set itself and not of the link, got %s", got)
	}
	shell, root := durable.Owner{UID: 100, GID: 100}, durable.Owner{}
	for name, want := range map[string]struct {
		mode  fs.FileMode
		owner durable.Owner
	}{
		"sets":               {0o755, root},
		"sets/000001":        {0o755, root},
		"sets/000001/config": {0o700, root},
		"sets/000001/mmp":    {0o700, shell},
		"sets/000001/files":  {0o700, shell},
		"sets/000001/app":    {0o755, root},
		"transfer":           {0o700, shell},
		"log":                {0o750, durable.Owner{GID: 100}},
		"crash":              {0o700, root},
		"machine":            {0o700, root},
	} {
		info, err := disk.Lstat(name)
		if err != nil {
			t.Errorf("wanted %s, got %v", name, err)
			continue
		}
		if owner, _ := disk.Owner(name); info.Mode().Perm() != want.mode || owner != want.owner {
			t.Errorf("%s: wanted mode %v and owner %v, got %v and %v", name, want.mode, want.owner, info.Mode().Perm(), owner)
		}
	}
}

func TestBackupHoldsTheWholeSetAndRollbackBringsItBack(t *testing.T) {
	disk, s := withBackup(t)
	about, err := s.Check(context.Background(), "b.bak")
	if err != nil {
		t.Fatal(err)
	}
	want := control.Backup{
		File: "b.bak", Created: options.Now(), Version: "0.1.0", Platform: "vm", Hostname: "old",
		Schema: config.Schema, Files: 5, Size: about.Size,
	}
	if diff := cmp.Diff(want, about); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
	if err := s.Rollback(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, filled("new"))
	s = start(t, disk)
	wantState(t, s, filled("old"))
	for name, want := range map[string]durable.Owner{
		"config/v1/000002.json": {}, "mmp/accounts.json": {UID: 100, GID: 100}, "files/web.crt": {UID: 100, GID: 100},
		"app": {}, "app/database": {UID: 110, GID: 110}, "app/database/objects": {UID: 110, GID: 110},
	} {
		if got, err := disk.Owner(path.Join(setFolder(s.current), name)); err != nil || got != want {
			t.Errorf("owner of %s: wanted %v, got %v, %v", name, want, got, err)
		}
	}
	if entries, _ := disk.ReadDir(setsFolder); len(entries) != 1 {
		t.Errorf("wanted the set before gone after the next start, got %v", entries)
	}
}

func TestRollbackWorksOnAnotherMachine(t *testing.T) {
	disk, _ := withBackup(t)
	backup := read(t, disk, "transfer/b.bak")
	standby := powercut.New()
	s := start(t, standby)
	fill(t, s, "standby")
	write(t, standby, "transfer/b.bak", backup)
	if err := s.Rollback(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	wantState(t, start(t, standby), filled("old"))
}

func TestRollbackLeavesUploadedJSONFilesAlone(t *testing.T) {
	disk, s := withBackup(t)
	write(t, disk, setFolder(s.current)+"/files/layout.json", "mine")
	if err := s.Rollback(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	want := filled("old")
	want["files/layout.json"] = "mine"
	wantState(t, start(t, disk), want)
}

// rewritten returns a backup whose manifest was changed and is right again by its hash.
func rewritten(t testing.TB, backup string, change func(*manifest)) string {
	t.Helper()
	length := int(binary.BigEndian.Uint32([]byte(backup[len(magic):])))
	var m manifest
	if err := json.Unmarshal([]byte(backup[headerSize:headerSize+length]), &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	head, err := encodeManifest(&m)
	if err != nil {
		t.Fatal(err)
	}
	return string(head) + backup[headerSize+length:]
}

func TestBadBackupsAreRefusedClearlyAndChangeNothing(t *testing.T) {
	disk, _ := withBackup(t)
	good := read(t, disk, "transfer/b.bak")
	flip := func(at int) string {
		b := []byte(good)
		b[at] ^= 1
		return string(b)
	}
	file := func(name string) func(*manifest) {
		return func(m *manifest) { m.Files[len(m.Files)-1].Path = name }
	}
	for _, test := range []struct{ name, backup, want string }{
		{"empty", "", "not a backup of Rotunda"},
		{"something else", strings.Repeat("x", 500), "not a backup of Rotunda"},
		{"sent as text", strings.ReplaceAll(good, "\r\n", "\n"), "upload it in binary mode"},
		{"cut in the header", good[:30], "cut short"},
		{"cut in the manifest", good[:headerSize+10], "cut short"},
		{"cut by one byte", good[:len(good)-1], "the backup is cut short: "},
		{"longer", good + "x", "1 bytes follow its end"},
		{"endless manifest", good[:len(magic)] + "\xff\xff\xff\xff" + good[len(magic)+4:], "cannot be 4294967295 bytes long"},
		{"altered manifest", flip(headerSize + 5), "its list of files has been altered"},
		{"altered contents", flip(len(good) - 1), "mmp/accounts.json has been altered"},
		{"other platform", rewritten(t, good, func(m *manifest) { m.Platform = "cms2000" }), "the backup is of platform cms2000 and this machine is vm"},
		{"newer schema", rewritten(t, good, func(m *manifest) { m.Schema, m.Version = 99, "9.9" }), "made by a newer version (9.9): upgrade to it first"},
		{"newer format", rewritten(t, good, func(m *manifest) { m.Format, m.Version = 2, "9.9" }), "made by a newer version (9.9)"},
		{"step up", rewritten(t, good, file("mmp/../../../etc/passwd")), `"mmp/../../../etc/passwd" is not a file name`},
		{"absolute", rewritten(t, good, file("/etc/passwd")), "is not a file name"},
		{"outside of the parts", rewritten(t, good, file("zzz/passwd")), `"zzz/passwd" is not a place of a set`},
		{"a part itself", rewritten(t, good, file("mmp")), `"mmp" is not a place of a set`},
		{"a mark", rewritten(t, good, file(".complete")), "is not a place of a set"},
		{"control characters", rewritten(t, good, file("mmp/\x1b[2J")), "is not a file name"},
		{"order", rewritten(t, good, file("app/a/b")), "not in order"},
		{"file and folder", rewritten(t, good, func(m *manifest) {
			m.Files[3].Path, m.Files[4].Path = "mmp/accounts.json", "mmp/accounts.json/x"
		}), "is a file and a folder"},
		{"negative size", rewritten(t, good, func(m *manifest) { m.Files[0].Size = -1 }), "cannot be -1 bytes long"},
		{"sizes that overflow", rewritten(t, good, func(m *manifest) { m.Files[0].Size, m.Files[1].Size = maxTotal, 1<<62 }), "bytes long"},
		{"set-user-ID", rewritten(t, good, func(m *manifest) { m.Files[0].Mode = 1 << 23 }), "is not one of a file"},
		{"no hash", rewritten(t, good, func(m *manifest) { m.Files[0].SHA256 = "" }), "the SHA-256 of"},
		{"hidden configuration", rewritten(t, good, func(m *manifest) {
			for i := range m.Files {
				if strings.HasPrefix(m.Files[i].Path, "config/") {
					m.Files[i].Path = fmt.Sprintf("app/z/%d", i)
				}
			}
		}), "holds no configuration that this version can use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk, s := withBackup(t)
			write(t, disk, "transfer/b.bak", test.backup)
			_, checked := s.Check(context.Background(), "b")
			rolled := s.Rollback(context.Background(), "b")
			for what, err := range map[string]error{"Check": checked, "Rollback": rolled} {
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: wanted one line with %q, got %v", what, test.want, err)
				}
				var refused *control.Error
				if !errors.As(err, &refused) || refused.Status != 422 {
					t.Errorf("%s: wanted status 422, got %#v", what, err)
				}
			}
			wantState(t, s, filled("new"))
			if entries, _ := disk.ReadDir(setsFolder); len(entries) != 1 {
				t.Errorf("wanted no second set, got %v", entries)
			}
			wantState(t, start(t, disk), filled("new"))
		})
	}
}

func TestBackupNames(t *testing.T) {
	for name, want := range map[string]string{
		"test_server_2014_09_04": "test_server_2014_09_04.bak",
		"a.bak":                  "a.bak",
		"v1.2-x":                 "v1.2-x.bak",
		strings.Repeat("a", 64):  strings.Repeat("a", 64) + ".bak",
		"":                       "", ".bak": "", ".hidden": "", "-f": "", "a/b": "", "../a": "", "a b": "", "a\x00": "", "é": "",
		strings.Repeat("a", 65): "",
	} {
		got, err := FileName(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("FileName(%q): wanted %q, got %q, %v", name, want, got, err)
		}
	}
	_, s := withBackup(t)
	if _, err := s.Check(context.Background(), "missing"); err == nil || err.Error() != `there is no backup missing.bak: "backup list" shows those that are there` {
		t.Errorf("a backup that is not there: got %v", err)
	}
}

func TestFactoryResetOfTheApplicationKeepsWhatLetsAnAdministratorIn(t *testing.T) {
	disk, s := withBackup(t)
	if err := s.Reset(context.Background(), "app"); err != nil {
		t.Fatal(err)
	}
	s = start(t, disk)
	want := filled("new")
	delete(want, "app/database/objects")
	wantState(t, s, want)
	if err := s.Rollback(context.Background(), "b"); err != nil {
		t.Fatalf("rollback after the reset: %v", err)
	}
	wantState(t, start(t, disk), filled("old"))
}

func TestFullFactoryResetLeavesNothing(t *testing.T) {
	disk, s := withBackup(t)
	write(t, disk, "log/messages", "secrets")
	write(t, disk, "crash/trace", "secrets")
	write(t, disk, "machine/interfaces.json", "{}")
	if err := s.Reset(context.Background(), "full"); err != nil {
		t.Fatal(err)
	}
	s = start(t, disk)
	wantState(t, s, map[string]string{"hostname": ""})
	for _, dir := range clearedByFullReset {
		if entries, err := disk.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("wanted %s empty, got %v, %v", dir, entries, err)
		}
	}
	write(t, disk, "log/messages", "of the new owner")
	start(t, disk)
	if got := read(t, disk, "log/messages"); got != "of the new owner" {
		t.Errorf("wanted one reset only, the log is now %q", got)
	}
	if err := s.Reset(context.Background(), "everything"); err == nil || !strings.Contains(err.Error(), "use app or full") {
		t.Errorf("unknown scope: got %v", err)
	}
}

// operation is something that replaces the set.
type operation struct {
	name string
	run  func(*Sets) error
	// after is what the machine is once it is done.
	after map[string]string
}

func operations() []operation {
	reset := filled("new")
	delete(reset, "app/database/objects")
	return []operation{
		{"rollback", func(s *Sets) error { return s.Rollback(context.Background(), "b") }, filled("old")},
		{"factory_reset app", func(s *Sets) error { return s.Reset(context.Background(), "app") }, reset},
		{"factory_reset full", func(s *Sets) error { return s.Reset(context.Background(), "full") }, map[string]string{"hostname": ""}},
		{"snapshot", func(s *Sets) error { _, err := s.Snapshot(context.Background(), "b"); return err }, filled("new")},
	}
}

func TestPowerCutAtAnyOperationLeavesTheOldOrTheNewSetWhole(t *testing.T) {
	before := filled("new")
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			disk, s := withBackup(t)
			from := disk.Operations()
			if err := op.run(s); err != nil {
				t.Fatal(err)
			}
			steps := disk.Operations() - from
			outcomes := map[string]int{}
			for cut := 1; cut <= steps+1; cut++ {
				for seed := range uint64(8) {
					disk, s := withBackup(t)
					disk.CutAt(cut)
					err := op.run(s)
					found := disk.AfterCut(rand.New(rand.NewPCG(seed, uint64(cut))))
					s = start(t, found)
					got := contents(t, s)
					switch {
					case maps.Equal(got, op.after):
						outcomes["new"]++
					case maps.Equal(got, before) && err != nil:
						outcomes["old"]++
					default:
						t.Fatalf("cut at operation %d of %d, seed %d, which said %v: neither the old nor the new state (-old +got):\n%s",
							cut, steps, seed, err, cmp.Diff(before, got))
					}
					if op.name == "snapshot" {
						wantWholeBackup(t, s, cut)
					}
					if entries, _ := found.ReadDir(setsFolder); len(entries) != 1 {
						t.Fatalf("cut at operation %d, seed %d: wanted one set after the start, got %v", cut, seed, entries)
					}
				}
			}
			if outcomes["new"] == 0 || outcomes["old"] == 0 && op.name != "snapshot" {
				t.Errorf("wanted both outcomes to occur, got %v", outcomes)
			}
		})
	}
}

// wantWholeBackup checks that the backup under the name is one of the two that may be there.
func wantWholeBackup(t *testing.T, s *Sets, cut int) {
	t.Helper()
	about, err := s.Check(context.Background(), "b")
	if err != nil || about.Hostname != "old" && about.Hostname != "new" {
		t.Fatalf("cut at operation %d: wanted the backup before or the new one, got %+v, %v", cut, about, err)
	}
}

func TestPowerCutsAreSurvivedDuringTheClearingOfAFullReset(t *testing.T) {
	prepare := func() *powercut.Disk {
		disk, s := withBackup(t)
		if err := s.Reset(context.Background(), "full"); err != nil {
			t.Fatal(err)
		}
		return disk
	}
	disk := prepare()
	from := disk.Operations()
	start(t, disk)
	steps := disk.Operations() - from
	for cut := 1; cut <= steps; cut++ {
		for seed := range uint64(8) {
			disk := prepare()
			disk.CutAt(cut)
			// A start that was cut short may or may not have noticed.
			_, _, _ = open(disk, "/data", options)
			found := disk.AfterCut(rand.New(rand.NewPCG(seed, uint64(cut))))
			wantState(t, start(t, found), map[string]string{"hostname": ""})
			if entries, err := found.ReadDir(transfer); err != nil || len(entries) != 0 {
				t.Fatalf("cut at operation %d, seed %d: wanted the transfer folder empty, got %v, %v", cut, seed, entries, err)
			}
		}
	}
}

func TestPowerCutAtAnyOperationOfTheFirstStartIsRepairedByTheNext(t *testing.T) {
	disk := powercut.New()
	start(t, disk)
	for cut := 1; cut <= disk.Operations(); cut++ {
		for seed := range uint64(8) {
			disk := powercut.New()
			disk.CutAt(cut)
			_, _, _ = open(disk, "/data", options)
			found := disk.AfterCut(rand.New(rand.NewPCG(seed, uint64(cut))))
			s := start(t, found)
			fill(t, s, "works")
			wantState(t, start(t, found), filled("works"))
		}
	}
}

func TestFailureAtAnyOperationIsReportedAndChangesNothing(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			disk, s := withBackup(t)
			from := disk.Operations()
			if err := op.run(s); err != nil {
				t.Fatal(err)
			}
			steps := disk.Operations() - from
			for n := 1; n <= steps; n++ {
				disk, s := withBackup(t)
				disk.FailAt(n, syscall.ENOSPC)
				err := op.run(s)
				wantState(t, s, filled("new"))
				after := contents(t, start(t, disk))
				if err == nil {
					// Only clearing up may fail without a word.
					if !maps.Equal(after, op.after) {
						t.Fatalf("operation %d failed and nobody said so: %s", n, cmp.Diff(op.after, after))
					}
					continue
				}
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("operation %d failed: wanted ENOSPC, got %v", n, err)
				}
				if !maps.Equal(after, filled("new")) {
					t.Fatalf("operation %d of %d failed: wanted nothing changed:\n%s", n, steps, cmp.Diff(filled("new"), after))
				}
				if left := leftovers(t, disk); len(left) > 0 {
					t.Fatalf("operation %d failed: wanted no leftovers, got %v", n, left)
				}
			}
		})
	}
}

func leftovers(t *testing.T, disk *powercut.Disk) []string {
	t.Helper()
	var names []string
	for _, dir := range []string{".", setsFolder, transfer} {
		entries, err := disk.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				names = append(names, path.Join(dir, e.Name()))
			}
		}
	}
	return names
}

func TestDiskWithoutRoomIsReportedBeforeAnythingIsWritten(t *testing.T) {
	disk, s := withBackup(t)
	disk.Room = reserve
	from := disk.Operations()
	for name, run := range map[string]func() error{
		"snapshot":          func() error { _, err := s.Snapshot(context.Background(), "c"); return err },
		"factory_reset app": func() error { return s.Reset(context.Background(), "app") },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "no room on the disk: 33 MiB are needed and 32 MiB are free") {
			t.Errorf("%s: wanted the room named, got %v", name, err)
		}
	}
	if disk.Operations() != from {
		t.Errorf("wanted nothing written, got %d operations", disk.Operations()-from)
	}
	if err := s.Rollback(context.Background(), "b"); err == nil || !strings.Contains(err.Error(), "no room on the disk") {
		t.Errorf("rollback: wanted the room named, got %v", err)
	}
	wantState(t, start(t, disk), filled("new"))
}

func TestLostLinkIsRepairedWithTheNewestWholeSet(t *testing.T) {
	disk, s := withBackup(t)
	if err := s.Rollback(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := disk.Remove(currentLink); err != nil {
		t.Fatal(err)
	}
	// A set that was being built when the power went is not whole.
	if err := disk.Mkdir("sets/000009", 0o700); err != nil {
		t.Fatal(err)
	}
	s, warning, err := open(disk, "/data", options)
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, s, filled("old"))
	if !strings.Contains(warning, "set 2 is the newest whole one") {
		t.Errorf("wanted a warning about the link, got %q", warning)
	}
}

// database is a service that copies its own data, after some refusals.
type database struct{ refusals int }

func (c *database) Service() string { return "database" }

func (c *database) Contribute(_ context.Context, folder string) error {
	if c.refusals > 0 {
		c.refusals--
		return errors.New("not yet")
	}
	return os.WriteFile(filepath.Join(folder, "copy"), []byte("consistent"), 0o600)
}

func TestContributorReplacesTheFilesOfItsService(t *testing.T) {
	root := t.TempDir()
	opt := options
	opt.Owners, opt.Contributors = nil, []Contributor{&database{}}
	s, _, err := Open(root, opt)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, "old")
	if _, err := s.Snapshot(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := s.Rollback(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	if s, err = Attach(root, opt); err != nil {
		t.Fatal(err)
	}
	want := filled("old")
	delete(want, "app/database/objects")
	want["app/database/copy"] = "consistent"
	wantState(t, s, want)
	if _, err := os.Stat(filepath.Join(root, "sets", ".contributed")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("wanted the copies removed, got %v", err)
	}

	s.opt.Contributors = []Contributor{&database{refusals: 1}}
	if _, err := s.Snapshot(context.Background(), "c"); err == nil || !strings.Contains(err.Error(), "copy data of database: not yet") {
		t.Errorf("a service that cannot be copied: wanted its reason, got %v", err)
	}
}

// restless is a disk on which a file is replaced every time it has been opened.
type restless struct {
	*powercut.Disk
	name string
	left int
}

func (r *restless) Open(name string) (fs.File, error) {
	f, err := r.Disk.Open(name)
	if err == nil && strings.HasSuffix(name, r.name) && r.left > 0 {
		r.left--
		err = durable.WriteFile(r.Disk, name, fmt.Appendf(nil, "contents %d", r.left), 0o600, nil)
	}
	return f, err
}

func TestSnapshotStartsAgainWhenAFileChangesAndGivesUpInTheEnd(t *testing.T) {
	disk, s := withBackup(t)
	s.fsys = &restless{disk, "mmp/accounts.json", 2}
	if _, err := s.Snapshot(context.Background(), "c"); err != nil {
		t.Fatalf("a file that changes twice: %v", err)
	}
	if _, err := s.Check(context.Background(), "c"); err != nil {
		t.Errorf("wanted a whole backup, got %v", err)
	}
	s.fsys = &restless{disk, "mmp/accounts.json", 1000}
	if _, err := s.Snapshot(context.Background(), "d"); !errors.Is(err, errChanged) || !strings.Contains(err.Error(), "mmp/accounts.json") {
		t.Errorf("a file that never rests: wanted it named, got %v", err)
	}
	if left := leftovers(t, disk); len(left) > 0 {
		t.Errorf("wanted no leftovers, got %v", left)
	}
}

func TestLinkAmongTheFilesIsNamedAndNotFollowed(t *testing.T) {
	root := t.TempDir()
	opt := options
	opt.Owners = nil
	s, _, err := Open(root, opt)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, "old")
	if err := os.Symlink("/etc/passwd", s.Path("files/link.crt")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(context.Background(), "b"); err == nil || !strings.Contains(err.Error(), "files/link.crt is not a regular file") {
		t.Errorf("wanted the link named, got %v", err)
	}
}

func TestCancelledBackupLeavesNothing(t *testing.T) {
	disk, s := withBackup(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Snapshot(ctx, "c"); !errors.Is(err, context.Canceled) {
		t.Errorf("wanted it cancelled, got %v", err)
	}
	if err := s.Rollback(ctx, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("wanted it cancelled, got %v", err)
	}
	if entries, _ := disk.ReadDir(transfer); len(entries) != 1 {
		t.Errorf("wanted b.bak alone, got %v", entries)
	}
	wantState(t, start(t, disk), filled("new"))
}

func FuzzCheck(f *testing.F) {
	disk, _ := withBackup(f)
	good := read(f, disk, "transfer/b.bak")
	f.Add([]byte(good))
	f.Add([]byte(good[:len(good)-1]))
	f.Add([]byte(good[:headerSize]))
	f.Add([]byte(rewritten(f, good, func(m *manifest) { m.Files = nil })))
	f.Add([]byte(rewritten(f, good, func(m *manifest) { m.Files[0].Size = 1 << 40 })))
	f.Fuzz(func(t *testing.T, backup []byte) {
		disk := powercut.New()
		s := start(t, disk)
		write(t, disk, "transfer/b.bak", string(backup))
		_, checked := s.Check(context.Background(), "b")
		if checked != nil && strings.ContainsAny(checked.Error(), "\n\x1b") {
			t.Errorf("wanted an error of one printable line, got %q", checked)
		}
		rolled := s.Rollback(context.Background(), "b")
		if (checked == nil) != (rolled == nil) {
			t.Fatalf("Check said %v and Rollback said %v", checked, rolled)
		}
		if rolled == nil {
			if _, _, _, err := config.NewStore(disk, setFolder(start(t, disk).current)+"/config").Load(); err != nil {
				t.Fatalf("rolled back to a set without a usable configuration: %v", err)
			}
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	body, err := json.Marshal(manifest{Format: formatVersion, Product: product, Files: []entry{{Path: "mmp/a", Mode: 0o600, Size: 3, SHA256: strings.Repeat("0", 64)}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(bytes.ReplaceAll(body, []byte("mmp/a"), []byte("mmp/../a")))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := decodeManifest(body)
		if err != nil {
			return
		}
		if m.total() < 0 || m.total() > maxTotal {
			t.Errorf("total is %d", m.total())
		}
		for _, e := range m.Files {
			local, err := filepath.Localize(e.Path)
			if err != nil || !filepath.IsLocal(local) || !slices.Contains([]string{"config", "mmp", "files", "app"}, strings.Split(e.Path, "/")[0]) {
				t.Errorf("%q leads out of the set", e.Path)
			}
		}
	})
}
