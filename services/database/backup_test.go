package database

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rotunda/init/config"
	backup "rotunda/init/database"
	"rotunda/init/state"
)

// machine is a data partition with a database on its current set.
func machine(t *testing.T, root string) (*state.Sets, Options) {
	t.Helper()
	o := testOptions(t)
	sets, warning, err := state.Open(root, state.Options{
		Version: "0.1.0", Build: "b", Platform: "vm", Contributors: []state.Contributor{backup.Copy{Socket: o.Socket}},
	})
	if err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	store, err := config.OpenStore(sets.Path("config"))
	if err != nil {
		t.Fatal(err)
	}
	if _, generation, _, err := store.Load(); err != nil || generation == 0 {
		t.Fatalf("load configuration: generation %d, %v", generation, err)
	}
	o.Folder = sets.Path("app/" + backup.Service)
	return sets, o
}

func TestBackupRollbackAndFactoryResetCarryTheDatabase(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	sets, o := machine(t, root)
	n := open(t, o)
	put(t, n.Client(), "/o/users/1", "before")
	if _, err := sets.Snapshot(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	put(t, n.Client(), "/o/users/1", "after")
	put(t, n.Client(), "/o/users/2", "after")
	if err := sets.Rollback(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	// What still runs writes into the set that no longer counts.
	put(t, n.Client(), "/o/users/1", "too late")
	n.Close()

	_, o = machine(t, root)
	n = open(t, o)
	wantValue(t, n.Client(), "/o/users/1", "before")
	if r, err := n.Client().Get(t.Context(), "/o/users/2"); err != nil || r.Count != 0 {
		t.Errorf("wanted what came after the backup gone, got %v, %v", r, err)
	}
	put(t, n.Client(), "/o/users/1", "goes on")
	n.Close()

	// A standby machine.
	standby, _ := machine(t, other)
	b, err := os.ReadFile(filepath.Join(root, "transfer", "b.bak"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(standby.Transfer(), "b.bak"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := standby.Rollback(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	_, so := machine(t, other)
	s := open(t, so)
	wantValue(t, s.Client(), "/o/users/1", "before")
	s.Close()

	sets, o = machine(t, root)
	n = open(t, o)
	wantValue(t, n.Client(), "/o/users/1", "goes on")
	if err := sets.Reset(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	n.Close()
	_, o = machine(t, root)
	n = open(t, o)
	defer n.Close()
	if r, err := n.Client().Get(t.Context(), "/o/users/1"); err != nil || r.Count != 0 {
		t.Errorf("wanted an empty database after the reset, got %v, %v", r, err)
	}
}

func TestWithoutItsDatabaseThereIsNoBackup(t *testing.T) {
	sets, _ := machine(t, t.TempDir())
	_, err := sets.Snapshot(context.Background(), "b")
	if err == nil || !strings.Contains(err.Error(), "copy data of database: the database does not answer") {
		t.Errorf("wanted the reason, got %v", err)
	}
	if left, _ := fs.Glob(os.DirFS(sets.Transfer()), "*"); len(left) != 0 {
		t.Errorf("wanted nothing left, got %v", left)
	}
}
