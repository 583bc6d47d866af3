package database

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	clientv3 "go.etcd.io/etcd/client/v3"

	backup "rotunda/init/database"
)

func TestSnapshotIsRestoredOnAnotherMachine(t *testing.T) {
	a := testOptions(t)
	n := open(t, a)
	for i := range 3000 {
		put(t, n.Client(), fmt.Sprintf("/o/users/%d", i), strings.Repeat("x", 300))
	}
	put(t, n.Client(), "/o/users/7", "changed")
	if _, err := n.Client().Delete(t.Context(), "/o/users/8"); err != nil {
		t.Fatal(err)
	}
	before, err := n.Client().Get(t.Context(), "/o/users/7")
	if err != nil {
		t.Fatal(err)
	}
	b := fetch(t, a.Socket)
	// What comes after the snapshot is not in it.
	put(t, n.Client(), "/o/users/7", "later")
	n.Close()

	other := testOptions(t)
	if err := os.MkdirAll(other.Folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other.Folder, backup.File), b, 0o600); err != nil {
		t.Fatal(err)
	}
	n = open(t, other)
	wantValue(t, n.Client(), "/o/users/7", "changed")
	wantValue(t, n.Client(), "/o/users/2999", strings.Repeat("x", 300))
	all, err := n.Client().Get(t.Context(), "/o/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || all.Count != 2999 {
		t.Errorf("wanted 2999 keys, got %v, %v", all, err)
	}
	after, err := n.Client().Get(t.Context(), "/o/users/7")
	if err != nil || after.Kvs[0].ModRevision != before.Kvs[0].ModRevision {
		t.Errorf("wanted revision %d, got %v, %v", before.Kvs[0].ModRevision, after, err)
	}
	if after.Header.ClusterId == before.Header.ClusterId {
		t.Errorf("wanted two clusters, got one: members of two machines could mix")
	}
	put(t, n.Client(), "/o/users/7", "goes on")
	n.Close()
	// The start after that finds a database and no snapshot.
	wantFiles(t, other.Folder, dataFolder, mark)
	n = open(t, other)
	defer n.Close()
	wantValue(t, n.Client(), "/o/users/7", "goes on")
}

func wantFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("wanted %v in the folder, got %v", want, got)
	}
}

func TestWhatACutLeavesOfTheFirstStartAndOfARestoreCountsForNothing(t *testing.T) {
	o := testOptions(t)
	half := filepath.Join(o.Folder, newFolder, dataFolder, "member", "wal")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "0000000000000000-0000000000000000.wal"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := open(t, o)
	put(t, n.Client(), "k", "v")
	b := fetch(t, o.Socket)
	n.Close()
	wantFiles(t, o.Folder, dataFolder, mark)

	// Cut between the database's name and the snapshot's end: the database counts, it may have been written to.
	if err := os.WriteFile(filepath.Join(o.Folder, backup.File), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(o.Folder, mark)); err != nil {
		t.Fatal(err)
	}
	n = open(t, o)
	defer n.Close()
	wantValue(t, n.Client(), "k", "v")
	wantFiles(t, o.Folder, dataFolder, mark)
}

// stopped is a folder with a database in it that does not run.
func stopped(t *testing.T) Options {
	t.Helper()
	o := testOptions(t)
	n := open(t, o)
	for i := range 500 {
		put(t, n.Client(), fmt.Sprintf("/o/users/%d", i), strings.Repeat("x", 300))
	}
	n.Close()
	return o
}

func TestDamagedDataAreAnErrorThatSaysWhatToDo(t *testing.T) {
	db := func(o Options) string { return filepath.Join(o.Folder, dataFolder, "member", "snap", "db") }
	logs := func(t *testing.T, o Options) []string {
		list, err := filepath.Glob(filepath.Join(o.Folder, dataFolder, "member", "wal", "*.wal"))
		if err != nil || len(list) == 0 {
			t.Fatalf("wanted logs, got %v, %v", list, err)
		}
		return list
	}
	overwrite := func(t *testing.T, name string, at int64, text string) {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, want string
		damage     func(t *testing.T, o Options) error
	}{
		{"folder gone", `folder "data" is missing`, func(t *testing.T, o Options) error { return os.RemoveAll(filepath.Join(o.Folder, dataFolder)) }},
		{"database file gone", "member/snap/db is missing", func(t *testing.T, o Options) error { return os.Remove(db(o)) }},
		{"database file cut", "cut short", func(t *testing.T, o Options) error { return os.Truncate(db(o), 16<<10) }},
		{"database file empty", "database file", func(t *testing.T, o Options) error { return os.Truncate(db(o), 0) }},
		{"both heads overwritten", "open database file: invalid database", func(t *testing.T, o Options) error {
			overwrite(t, db(o), 0, strings.Repeat("x", 8192))
			return nil
		}},
		{"pages overwritten", "database", func(t *testing.T, o Options) error {
			overwrite(t, db(o), 4*4096, strings.Repeat("x", 1<<20))
			return nil
		}},
		{"log gone", "write-ahead log is missing", func(t *testing.T, o Options) error { return os.RemoveAll(filepath.Dir(logs(t, o)[0])) }},
		{"log overwritten", "the data are damaged", func(t *testing.T, o Options) error {
			overwrite(t, logs(t, o)[0], 512, strings.Repeat("x", 4096))
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := stopped(t)
			if err := test.damage(t, o); err != nil {
				t.Fatal(err)
			}
			n, err := Open(context.Background(), o)
			if err == nil {
				n.Close()
				t.Fatal("wanted an error, got a database")
			}
			var d *Damaged
			if !errors.As(err, &d) {
				t.Errorf("wanted Damaged, got %v", err)
			}
			for _, want := range []string{test.want, "backup rollback", "factory_reset app"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("wanted %q in %q", want, err)
				}
			}
			// It stays an error.
			if n, err := Open(context.Background(), o); err == nil {
				n.Close()
				t.Error("the second start made a database")
			}
		})
	}
}

func TestATornEndOfTheLogIsNoDamage(t *testing.T) {
	o := stopped(t)
	list, err := filepath.Glob(filepath.Join(o.Folder, dataFolder, "member", "wal", "*.wal"))
	if err != nil || len(list) != 1 {
		t.Fatalf("wanted one log, got %v, %v", list, err)
	}
	// As a power cut leaves it: a record of 3,000 bytes that was never acknowledged, of which the first sector reached the disk.
	b, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	end := len(strings.TrimRight(string(b), "\x00"))
	end = (end + 7) &^ 7
	f, err := os.OpenFile(list[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(append(binary.LittleEndian.AppendUint64(nil, 3000), strings.Repeat("x", 512-(end+8)%512)...), int64(end)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	n := open(t, o)
	defer n.Close()
	wantValue(t, n.Client(), "/o/users/499", strings.Repeat("x", 300))
}

func TestTwoProcessesDoNotShareAFolder(t *testing.T) {
	o := testOptions(t)
	n := open(t, o)
	defer n.Close()
	second := o
	second.Socket = testOptions(t).Socket
	_, err := Open(context.Background(), second)
	if !errors.Is(err, errBusy) {
		t.Errorf("wanted %v, got %v", errBusy, err)
	}
}

func TestBadSnapshotsAreRefusedAndAreStillThere(t *testing.T) {
	o := testOptions(t)
	n := open(t, o)
	put(t, n.Client(), "k", "v")
	good := fetch(t, o.Socket)
	n.Close()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := d.DecodeAll(good, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	packed := func(change func(b []byte) []byte) []byte { return e.EncodeAll(change(slices.Clone(plain)), nil) }
	for _, test := range []struct {
		name, want string
		snapshot   []byte
	}{
		{"empty", "database", nil},
		{"no Zstandard", "unpack", []byte("hello, this is no snapshot")},
		{"cut", "unpack", good[:len(good)-10]},
		{"no database", "database", packed(func([]byte) []byte { return []byte(strings.Repeat("x", 100_000)) })},
		{"a byte altered", "sha256", packed(func(b []byte) []byte { b[len(b)-100] ^= 1; return b })},
		{"without its hash", "hash", packed(func(b []byte) []byte { return b[:len(b)-32] })},
		{"half of it", "cut short", packed(func(b []byte) []byte { return b[:len(b)/8192*4096] })},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := testOptions(t)
			if err := os.MkdirAll(o.Folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(o.Folder, backup.File), test.snapshot, 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := Open(context.Background(), o)
			if err == nil {
				n.Close()
				t.Fatal("wanted an error, got a database")
			}
			for _, want := range []string{test.want, "backup rollback"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("wanted %q in %q", want, err)
				}
			}
			wantFiles(t, o.Folder, backup.File)
		})
	}
}

// FuzzRestore gives the restore snapshots that somebody has altered: it may refuse them or take them, but has to return, and leaves
// either a whole database or none.
func FuzzRestore(f *testing.F) {
	dir := f.TempDir()
	scratch := filepath.Join(dir, "seed")
	if err := empty(scratch); err != nil {
		f.Fatal(err)
	}
	plain, err := os.ReadFile(scratch)
	if err != nil {
		f.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.EncodeAll(plain, nil))
	f.Add(e.EncodeAll(plain[:8192], nil))
	f.Add([]byte("not packed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, backup.File), b, 0o600); err != nil {
			t.Fatal(err)
		}
		err := prepare(folder, func(string) {})
		if err != nil {
			wantFiles(t, folder, backup.File)
			return
		}
		wantFiles(t, folder, dataFolder, mark)
		if err := check(filepath.Join(folder, dataFolder)); err != nil {
			t.Error(err)
		}
	})
}
