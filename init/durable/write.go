package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Owner is a numeric user and group.
type Owner struct{ UID, GID int }

// Temporary is the name under which WriteFile keeps a file that does not count yet.
func Temporary(name string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+".tmp")
}

// IsTemporary says whether a file name (without folder) is one that [Temporary] makes.
func IsTemporary(base string) bool {
	return strings.HasPrefix(base, ".") && strings.HasSuffix(base, ".tmp")
}

// WriteFile replaces a file in one step that survives a power cut. A nil owner leaves the file to who writes it.
// After an error the old file stands, except when the last flush failed: then either may.
func WriteFile(fsys FS, name string, data []byte, mode fs.FileMode, owner *Owner) error {
	w, err := NewWriter(fsys, name, mode, owner)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit()
}

// Writer writes one file under a temporary name until Commit gives it its own.
type Writer struct {
	fsys FS
	name string
	file File
	done bool
}

// NewWriter begins to replace a file. A temporary left by an earlier run is removed.
func NewWriter(fsys FS, name string, mode fs.FileMode, owner *Owner) (*Writer, error) {
	tmp := Temporary(name)
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove leftover: %w", err)
	}
	f, err := fsys.Create(tmp, mode)
	if err != nil {
		return nil, err
	}
	w := &Writer{fsys: fsys, name: name, file: f}
	if owner != nil {
		if err := f.Chown(owner.UID, owner.GID); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return w, nil
}

// Write appends.
func (w *Writer) Write(p []byte) (int, error) { return w.file.Write(p) }

// Commit flushes the contents, gives the file its name and flushes the folder.
func (w *Writer) Commit() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	if err := w.fsys.Rename(Temporary(w.name), w.name); err != nil {
		return err
	}
	w.done = true
	return w.fsys.SyncDir(path.Dir(w.name))
}

// Abort removes what was written so far; after Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.file.Close()
	// What cannot be removed now is removed by whoever writes this name next.
	_ = w.fsys.Remove(Temporary(w.name))
}
