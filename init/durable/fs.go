// Package durable writes files and folders that survive a power cut, and removes trees.
//
// It owns the order of operations that POSIX and ext4 need: contents are flushed before a name points at them, a name
// changes by rename, and the folder that holds the name is flushed before anybody is told that it counts. After a cut
// at any moment a file written by [WriteFile] is the old or the new one, whole; a leftover under a temporary name
// ([IsTemporary]) means nothing and may be removed.
//
// Everything goes through [FS], a handful of operations below one folder, so that package powercut can replace the
// disk by a model that forgets whatever was not flushed.
package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// FS is the file access that durable storage needs, below one folder. Names are slash-separated and relative as
// [fs.ValidPath] has them; "." is the folder itself. Nothing ever leaves the folder, not even through a symbolic link.
type FS interface {
	// Open opens a regular file for reading. A link, a pipe or a device is refused, never followed or waited for.
	Open(name string) (fs.File, error)
	// Create makes a new file for writing and fails if the name exists. The mode is not reduced by the umask.
	Create(name string, mode fs.FileMode) (File, error)
	// ReadDir lists a folder in the order of its names.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Lstat describes the name itself, not what it points at.
	Lstat(name string) (fs.FileInfo, error)
	// Mkdir makes one folder; the mode is not reduced by the umask.
	Mkdir(name string, mode fs.FileMode) error
	Chmod(name string, mode fs.FileMode) error
	// Chown changes the owner of a file or folder, not of what a link points at.
	Chown(name string, uid, gid int) error
	Symlink(target, name string) error
	Readlink(name string) (string, error)
	// Rename replaces newname in one step.
	Rename(oldname, newname string) error
	// Remove removes a file, a link or an empty folder.
	Remove(name string) error
	// SyncDir flushes a folder: its names and its own mode and owner.
	SyncDir(name string) error
	// Free is how many bytes a new file may take.
	Free() (uint64, error)
}

// File is a new file that is being written.
type File interface {
	io.WriteCloser
	Chown(uid, gid int) error
	// Sync flushes contents, mode and owner.
	Sync() error
}

// maxEntries bounds one folder's listing: more than any set of certificates, backups or generations, and few enough
// to hold in memory.
const maxEntries = 1 << 16

// Disk is an [FS] below a real folder.
type Disk struct{ root *os.Root }

// OpenDisk opens an existing folder. Close releases it.
func OpenDisk(folder string) (*Disk, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &Disk{root}, nil
}

// Close releases the folder.
func (d *Disk) Close() error { return d.root.Close() }

// Open implements [FS].
func (d *Disk) Open(name string) (fs.File, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	// The owner of a folder may swap a name between the look and the open: O_NONBLOCK keeps a pipe from holding us,
	// and comparing both ends refuses whatever a link led to.
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

var errNotRegular = fmt.Errorf("not a regular file: %w", fs.ErrInvalid)

// Create implements [FS].
func (d *Disk) Create(name string, mode fs.FileMode) (File, error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadDir implements [FS].
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxEntries + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("more than %d names", maxEntries)}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Lstat implements [FS].
func (d *Disk) Lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

// Mkdir implements [FS].
func (d *Disk) Mkdir(name string, mode fs.FileMode) error {
	if err := d.root.Mkdir(name, mode); err != nil {
		return err
	}
	return d.root.Chmod(name, mode)
}

// Chmod implements [FS].
func (d *Disk) Chmod(name string, mode fs.FileMode) error { return d.root.Chmod(name, mode) }

// Chown implements [FS].
func (d *Disk) Chown(name string, uid, gid int) error { return d.root.Lchown(name, uid, gid) }

// Symlink implements [FS].
func (d *Disk) Symlink(target, name string) error { return d.root.Symlink(target, name) }

// Readlink implements [FS].
func (d *Disk) Readlink(name string) (string, error) { return d.root.Readlink(name) }

// Rename implements [FS].
func (d *Disk) Rename(oldname, newname string) error { return d.root.Rename(oldname, newname) }

// Remove implements [FS].
func (d *Disk) Remove(name string) error { return d.root.Remove(name) }

// SyncDir implements [FS].
func (d *Disk) SyncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Free implements [FS].
func (d *Disk) Free() (uint64, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var s syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: d.root.Name(), Err: err}
	}
	return s.Bavail * uint64(s.Bsize), nil
}
