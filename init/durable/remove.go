package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// maxDepth bounds how deep RemoveAll goes: a tree that an unprivileged owner nested without end must not
// take the caller's stack.
const maxDepth = 128

// RemoveAll removes a name and everything below it. Links are removed, not followed. A name that does not exist is
// no error.
func RemoveAll(fsys FS, name string) error { return removeAll(fsys, name, 0) }

func removeAll(fsys FS, name string, depth int) error {
	info, err := fsys.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		if depth == maxDepth {
			return &fs.PathError{Op: "remove", Path: name, Err: fmt.Errorf("more than %d folders deep", maxDepth)}
		}
		if err := empty(fsys, name, depth+1); err != nil {
			return err
		}
	}
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Empty removes everything in a folder and keeps the folder. It goes on after an error, so that one bad name does not
// keep the rest, and returns all of them.
func Empty(fsys FS, folder string) error { return empty(fsys, folder, 0) }

func empty(fsys FS, folder string, depth int) error {
	entries, err := fsys.ReadDir(folder)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, removeAll(fsys, path.Join(folder, e.Name()), depth))
	}
	return errors.Join(errs...)
}
