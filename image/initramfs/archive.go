// Package initramfs packs files into the archives that the kernel unpacks as its root file system: cpio in the "newc"
// form, compressed with Zstandard (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).
//
// The kernel accepts several compressed archives one after the other. The builder makes use of it: what changes rarely
// is compressed once and kept in a cache, see [Cache].
//
// An archive is a function of its files: entries are sorted by path, owned by root unless said otherwise, carry the
// given time, and are numbered in order.
package initramfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
)

// File is one entry. A folder that leads to it needs no entry of its own, unless its mode is to differ from 0755.
type File struct {
	// Path without a leading slash.
	Path string
	// Mode has permissions and the type; setuid, setgid and sticky bits as in [fs.FileMode].
	Mode fs.FileMode
	// Data of a regular file.
	Data []byte
	// Target of a symbolic link.
	Target string
	// Major and Minor of a device node.
	Major, Minor uint64
	UID, GID     uint64
}

// Regular returns a plain file.
func Regular(path string, mode fs.FileMode, data []byte) File {
	return File{Path: path, Mode: mode.Perm(), Data: data}
}

// Folder returns a folder.
func Folder(path string, mode fs.FileMode) File { return File{Path: path, Mode: mode | fs.ModeDir} }

// Link returns a symbolic link.
func Link(path, target string) File {
	return File{Path: path, Mode: fs.ModeSymlink | 0o777, Target: target}
}

// Device returns a character device.
func Device(path string, mode fs.FileMode, major, minor uint64) File {
	return File{Path: path, Mode: fs.ModeDevice | fs.ModeCharDevice | mode, Major: major, Minor: minor}
}

// Pack returns the uncompressed archive of the files.
func Pack(files []File, modified time.Time) ([]byte, error) {
	all, err := complete(files)
	if err != nil {
		return nil, fmt.Errorf("pack initramfs: %w", err)
	}
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	for i, f := range all {
		info := cpio.Info{
			Ino: uint64(i) + 1, Name: f.Path, Mode: unixMode(f.Mode), NLink: 1, UID: f.UID, GID: f.GID,
			MTime: uint64(modified.Unix()), Rmajor: f.Major, Rminor: f.Minor,
		}
		data := f.Data
		if f.Mode&fs.ModeSymlink != 0 {
			data = []byte(f.Target)
		}
		if err := w.WriteRecord(cpio.StaticRecord(data, info)); err != nil {
			return nil, fmt.Errorf("pack initramfs: %s: %w", f.Path, err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("pack initramfs: %w", err)
	}
	return b.Bytes(), nil
}

// complete adds the folders that are missing and sorts. A folder sorts before what is in it: the kernel makes no
// parents, and drops what has none.
func complete(files []File) ([]File, error) {
	have := map[string]bool{}
	all := slices.Clone(files)
	for _, f := range files {
		if f.Path == "" || f.Path != path.Clean(f.Path) || strings.HasPrefix(f.Path, "/") || strings.HasPrefix(f.Path, "..") {
			return nil, fmt.Errorf("%q is no path inside the archive", f.Path)
		}
		if have[f.Path] {
			return nil, fmt.Errorf("%s is there twice", f.Path)
		}
		have[f.Path] = true
	}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "." && !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			all = append(all, Folder(dir, 0o755))
		}
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

func unixMode(m fs.FileMode) uint64 {
	mode := uint64(m.Perm())
	switch m.Type() {
	case fs.ModeDir:
		mode |= cpio.S_IFDIR
	case fs.ModeSymlink:
		mode |= cpio.S_IFLNK
	case fs.ModeDevice | fs.ModeCharDevice:
		mode |= cpio.S_IFCHR
	default:
		mode |= cpio.S_IFREG
	}
	if m&fs.ModeSetuid != 0 {
		mode |= cpio.S_ISUID
	}
	if m&fs.ModeSetgid != 0 {
		mode |= cpio.S_ISGID
	}
	if m&fs.ModeSticky != 0 {
		mode |= cpio.S_ISTXT
	}
	return mode
}
