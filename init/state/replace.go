package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"rotunda/init/durable"
)

// builder fills a new set.
type builder struct {
	s *Sets
	// folder is the set's own, for example sets/000002.
	folder string
	// made holds the folders below it, so that each is made once and flushed at the end.
	made map[string]bool
}

// replace builds a new set with fill, flushes it and makes it the current one on the disk. It returns its number;
// this [Sets] goes on showing the old one. After an error the old set counts and the new one is gone.
func (s *Sets) replace(fill func(*builder) error) (number int, err error) {
	list, err := s.numbers()
	if err != nil {
		return 0, err
	}
	number = 1
	if len(list) > 0 {
		number = list[len(list)-1] + 1
	}
	b := &builder{s: s, folder: setFolder(number), made: map[string]bool{}}
	flipped := false
	defer func() {
		if err != nil && !flipped {
			// What cannot be removed now does not count, and the next start removes it.
			_ = durable.RemoveAll(s.fsys, b.folder)
		}
	}()
	// Nobody but root looks into a set that is being built.
	if err := s.fsys.Mkdir(b.folder, 0o700); err != nil {
		return 0, fmt.Errorf("make new set: %w", err)
	}
	for _, p := range parts {
		if err := b.mkdir(p.name); err != nil {
			return 0, err
		}
	}
	if err := fill(b); err != nil {
		return 0, err
	}
	if err := b.finish(); err != nil {
		return 0, fmt.Errorf("finish new set: %w", err)
	}
	if err := s.pointAt(number); err != nil {
		now, unknown := s.follow()
		flipped = unknown != nil || now == number
		if now == number && s.current != 0 {
			// Only the last flush went wrong. Who is told of an error must not find the new set after the next start;
			// if this goes wrong too, either link may be on the disk, so both sets stay.
			_ = s.pointAt(s.current)
		}
		return 0, fmt.Errorf("switch to new set: %w", err)
	}
	return number, nil
}

// pointAt makes a set the current one: the atomic step.
func (s *Sets) pointAt(number int) error {
	tmp := durable.Temporary(currentLink)
	if err := s.fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.fsys.Symlink(setFolder(number), tmp); err != nil {
		return err
	}
	if err := s.fsys.Rename(tmp, currentLink); err != nil {
		return err
	}
	return s.fsys.SyncDir(".")
}

// mkdir makes a folder of the set and those above it.
func (b *builder) mkdir(name string) error {
	if name == "." || b.made[name] {
		return nil
	}
	if err := b.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := b.s.fsys.Mkdir(path.Join(b.folder, name), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	b.made[name] = true
	return nil
}

// file writes one file of the set, flushed and owned by who its place says.
func (b *builder) file(name string, mode fs.FileMode, from io.Reader) error {
	if err := b.mkdir(path.Dir(name)); err != nil {
		return err
	}
	f, err := b.s.fsys.Create(path.Join(b.folder, name), mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if o := b.s.owner(name); o != nil {
		if err := f.Chown(o.UID, o.GID); err != nil {
			return err
		}
	}
	if err := transferAll(f, from); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// transferAll copies in units of copySize, whatever shortcuts the two ends offer.
func transferAll(to io.Writer, from io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, copySize))
	return err
}

// copySize is the unit of copying: large enough that system calls do not count, small against the 256 MiB that an
// idle machine may use.
const copySize = 256 << 10

// finish gives the folders their modes and owners, flushes them from the deepest up, and marks the set as whole.
func (b *builder) finish() error {
	names := make([]string, 0, len(b.made))
	for name := range b.made {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, c string) int {
		if d := strings.Count(c, "/") - strings.Count(a, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, c)
	})
	fsys := b.s.fsys
	for _, name := range names {
		full := path.Join(b.folder, name)
		if name == "app" {
			if err := fsys.Chmod(full, 0o755); err != nil {
				return err
			}
		}
		if o := b.s.owner(name); o != nil {
			if err := fsys.Chown(full, o.UID, o.GID); err != nil {
				return err
			}
		}
		if err := fsys.SyncDir(full); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(fsys, path.Join(b.folder, completeMark), nil, 0o600, nil); err != nil {
		return err
	}
	if err := fsys.Chmod(b.folder, 0o755); err != nil {
		return err
	}
	if err := fsys.SyncDir(b.folder); err != nil {
		return err
	}
	return fsys.SyncDir(setsFolder)
}

// copyFrom copies the files of the current set that keep says, for example every certificate.
func (b *builder) copyFrom(part string, keep func(name string) bool) error {
	files, err := b.s.list(setFolder(b.s.current), part)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !keep(f.name) {
			continue
		}
		if err := b.copyFile(f); err != nil {
			return fmt.Errorf("copy %s: %w", f.name, err)
		}
	}
	return nil
}

func (b *builder) copyFile(f listed) error {
	r, err := b.s.fsys.Open(path.Join(setFolder(b.s.current), f.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since it was listed
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return b.file(f.name, f.mode, io.LimitReader(r, maxTotal))
}

// listed is one file of a set.
type listed struct {
	name string // below the set, for example files/web.crt
	mode fs.FileMode
}

// list returns the files below one part of a set in the order of their names; a part that does not exist has none.
// Unfinished writes are left out. Links and devices are an error: a backup that leaves something out says so.
func (s *Sets) list(set, part string) ([]listed, error) {
	var files []listed
	var walk func(name string, depth int) error
	walk = func(name string, depth int) error {
		entries, err := s.fsys.ReadDir(path.Join(set, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list files: %w", err)
		}
		for _, e := range entries {
			child := path.Join(name, e.Name())
			switch {
			case durable.IsTemporary(e.Name()):
			case e.IsDir():
				if depth == maxDepth {
					return fmt.Errorf("%s lies more than %d folders deep", child, maxDepth)
				}
				if err := walk(child, depth+1); err != nil {
					return err
				}
			case !e.Type().IsRegular():
				return fmt.Errorf("%s is not a regular file", child)
			default:
				info, err := s.fsys.Lstat(path.Join(set, child))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return fmt.Errorf("look at %s: %w", child, err)
				}
				if err := checkName(child); err != nil {
					return err
				}
				if files = append(files, listed{child, info.Mode().Perm()}); len(files) > maxFiles {
					return fmt.Errorf("%s holds more than %d files", part, maxFiles)
				}
			}
		}
		return nil
	}
	return files, walk(part, 1)
}
