package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rotunda/boards"
	"rotunda/init/state"
)

func TestTheDatabaseReachesItsDataAndItsSocketAndNothingElse(t *testing.T) {
	s := databaseSpec(boards.Cores{System: []int{1}}, "/data/sets/000001/app/database")
	if want := []string{"/data/sets/000001/app/database", "/run/rotunda/database"}; !slices.Equal(s.Confine.ReadWrite, want) {
		t.Errorf("wanted %v, got %v", want, s.Confine.ReadWrite)
	}
	if args := strings.Join(s.Args, " "); args != "database -folder /data/sets/000001/app/database -socket /run/rotunda/database/client.sock -group 106" {
		t.Errorf("got arguments %q", args)
	}
	if s.User != databaseUser || len(s.Capabilities) != 0 || !slices.Equal(s.CPUs, []int{1}) || s.MemoryMax == 0 {
		t.Errorf("got %+v", s)
	}
}

func TestBackupsTakeTheDatabaseAndRollbacksGiveItItsFolder(t *testing.T) {
	o := setOptions((&machine{}).running())
	if !slices.ContainsFunc(o.Contributors, func(c state.Contributor) bool { return c.Service() == "database" }) {
		t.Error("wanted the database among the contributors")
	}
	if got := o.Owners.Services["database"]; got.UID != 105 || got.GID != 105 {
		t.Errorf("wanted 105:105, got %v", got)
	}
}

func TestWithoutADiskThereIsNoDatabase(t *testing.T) {
	if specs := (&machine{}).databaseSpecs(); len(specs) != 0 {
		t.Errorf("wanted none, got %v", specs)
	}
}

func TestAFolderGetsItsModeAndOwnerWhateverItWas(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving a folder away needs root")
	}
	name := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := ownFolder(name, 0o750|fs.ModeSetgid, 105, 106); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sys := st.Sys().(*syscall.Stat_t)
		if st.Mode() != fs.ModeDir|fs.ModeSetgid|0o750 || sys.Uid != 105 || sys.Gid != 106 {
			t.Errorf("got %v, %d:%d", st.Mode(), sys.Uid, sys.Gid)
		}
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}
