package database

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	backup "rotunda/init/database"
)

// What lies in the folder of the database.
const (
	// dataFolder is etcd's. It appears whole, by a rename.
	dataFolder = "data"
	// newFolder is one that is being made; it counts for nothing.
	newFolder = "new"
	// mark says that there was a database: without it an empty folder is a new machine, with it a loss.
	mark = "made"
)

// maxDatabase bounds what a snapshot may unpack to: a little more than the largest quota that etcd recommends.
const maxDatabase = 9 << 30

// reserve is the room that making a database leaves on the disk.
const reserve = 32 << 20

// Damaged is a data folder that no database can be started on. Nothing in it was changed.
type Damaged struct{ Reason error }

func (d *Damaged) Error() string {
	return fmt.Sprintf("the data are damaged: %v; nothing was changed: restore a backup (\"backup rollback\"), or begin with an empty database (\"factory_reset app\")", d.Reason)
}

func (d *Damaged) Unwrap() error { return d.Reason }

func damaged(format string, args ...any) error { return &Damaged{fmt.Errorf(format, args...)} }

// prepare makes the folder one that etcd can start on: it restores the snapshot that a rollback has left, makes an empty
// database on a new machine, and judges one that is there.
func prepare(folder string, say func(string)) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(folder, newFolder)); err != nil {
		return fmt.Errorf("remove what was being made: %w", err)
	}
	file := filepath.Join(folder, backup.File)
	had, err := exists(filepath.Join(folder, mark))
	if err != nil {
		return err
	}
	whole, err := exists(filepath.Join(folder, dataFolder))
	if err != nil {
		return err
	}
	restore, err := exists(file)
	if err != nil {
		return err
	}
	switch {
	case whole:
		if err := check(filepath.Join(folder, dataFolder)); err != nil {
			return err
		}
	case had:
		return damaged("folder %q is missing", dataFolder)
	case restore:
		say("restoring the database of a backup")
		if err := build(folder, func(scratch string) error { return unpack(file, scratch) }); err != nil {
			return fmt.Errorf("restore the database of the backup: %w; roll another backup back (\"backup rollback\"), or begin with an empty database (\"factory_reset app\")", err)
		}
		say("the database of the backup is restored")
	default:
		say("a new, empty database")
		if err := build(folder, empty); err != nil {
			return fmt.Errorf("make a new database: %w", err)
		}
	}
	if err := create(filepath.Join(folder, mark)); err != nil {
		return fmt.Errorf("mark the database as made: %w", err)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove snapshot that was restored: %w", err)
	}
	return syncFolder(folder)
}

func exists(name string) (bool, error) {
	_, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// create makes an empty file that survives a power cut once its folder is flushed.
func create(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// build makes a data folder from what source writes, a snapshot with its hash, and gives it its name as the last step.
func build(folder string, source func(scratch string) error) error {
	building := filepath.Join(folder, newFolder)
	if err := os.Mkdir(building, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(building)
	scratch, data := filepath.Join(building, "snapshot"), filepath.Join(building, dataFolder)
	if err := source(scratch); err != nil {
		return err
	}
	if err := structure(scratch); err != nil {
		return err
	}
	err := guarded(func() error {
		// Each database is a cluster of its own: members of two never take each other for their own.
		return snapshot.NewV3(silent()).Restore(snapshot.RestoreConfig{
			SnapshotPath: scratch, Name: memberName, OutputDataDir: data,
			PeerURLs: []string{peerURL}, InitialCluster: memberName + "=" + peerURL, InitialClusterToken: uuid.NewString(),
		})
	})
	if err != nil {
		return err
	}
	for _, in := range []string{"member/snap", "member/wal", "member", "."} {
		if err := syncFolder(filepath.Join(data, in)); err != nil {
			return err
		}
	}
	if err := os.Rename(data, filepath.Join(folder, dataFolder)); err != nil {
		return err
	}
	return syncFolder(folder)
}

// silent is a logger that turns etcd's way to give up into a panic for [guarded].
func silent() *zap.Logger { return panicking(zap.NewNop()) }

// empty writes the snapshot of a database without any object.
func empty(scratch string) error {
	return guarded(func() error {
		be := backend.NewDefaultBackend(silent(), scratch)
		tx := be.BatchTx()
		tx.LockOutsideApply()
		for _, b := range schema.AllBuckets {
			tx.UnsafeCreateBucket(b)
		}
		tx.Unlock()
		if err := be.Close(); err != nil {
			return err
		}
		f, err := os.OpenFile(scratch, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		_, err = f.Write(sum.Sum(nil))
		return err
	})
}

// unpack writes the snapshot that a backup holds, within what the disk has room for: once for the snapshot, once for the database.
func unpack(file, scratch string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	room, err := roomFor(filepath.Dir(scratch))
	if err != nil {
		return err
	}
	room = (room - reserve) / 2
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	out, err := os.OpenFile(scratch, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	most := min(room, maxDatabase)
	n, err := io.Copy(out, io.LimitReader(z, most+1))
	switch {
	case err != nil:
		return fmt.Errorf("unpack: %w", err)
	case n > maxDatabase:
		return errors.New("unpacked it is larger than a database can be")
	case n > most:
		return fmt.Errorf("the disk is full: unpacked it needs more than the %d MiB that are free", 2*max(room, 0)>>20)
	}
	return out.Close()
}

// check judges a data folder before etcd opens it: etcd ends the process where it finds something that it cannot read, and makes a new
// database where files are missing.
func check(data string) error {
	db := filepath.Join(data, "member", "snap", "db")
	if there, err := exists(db); err != nil {
		return err
	} else if !there {
		return damaged("file member/snap/db is missing")
	}
	if !wal.Exist(filepath.Join(data, "member", "wal")) {
		return damaged("the write-ahead log is missing")
	}
	err := structure(db)
	if err == nil || errors.Is(err, errBusy) {
		return err
	}
	return &Damaged{err}
}

var errBusy = errors.New("another process has the database open")

// structure walks through a database file, page by page, and checks that the tree is whole and in order. A snapshot's hash at its end does
// not disturb it. bbolt's own check, and its way to find free pages, end the process over a damaged page: they run in goroutines
// of their own.
func structure(file string) error {
	return guarded(func() error {
		// All of it is going to be read: the kernel brings it in one piece, and has it still when etcd opens it.
		db, err := bbolt.Open(file, 0o400, &bbolt.Options{ReadOnly: true, Timeout: 5 * time.Second, MmapFlags: syscall.MAP_POPULATE})
		if errors.Is(err, berrors.ErrTimeout) {
			return errBusy
		}
		if err != nil {
			return fmt.Errorf("open database file: %w", err)
		}
		defer db.Close()
		return db.View(func(tx *bbolt.Tx) error {
			st, err := os.Stat(file)
			if err != nil {
				return err
			}
			if st.Size() < tx.Size() {
				return fmt.Errorf("the database file is cut short: %d of %d bytes are there", st.Size(), tx.Size())
			}
			for _, b := range schema.AllBuckets {
				if err := inOrder(tx.Bucket(b.Name())); err != nil {
					return fmt.Errorf("database file: bucket %s: %w", b.Name(), err)
				}
			}
			return nil
		})
	})
}

// inOrder walks through a bucket: its keys ascend.
func inOrder(b *bbolt.Bucket) error {
	if b == nil {
		return errors.New("missing")
	}
	c := b.Cursor()
	var last []byte
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if v == nil || last != nil && bytes.Compare(last, k) >= 0 {
			return fmt.Errorf("out of order at %x", k)
		}
		last = k
	}
	return nil
}

// guarded turns a panic in f into an error, also one by a file that became shorter than its map in memory.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &panicked{r}
		}
	}()
	return f()
}

type panicked struct{ with any }

func (p *panicked) Error() string { return fmt.Sprint(p.with) }

// roomFor is how many bytes are free on the disk of a folder.
func roomFor(folder string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(folder, &st)
	return int64(st.Bavail) * st.Bsize, err
}
