package fat

import (
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strings"
	"time"
)

// Entry is a file or a directory.
type Entry struct {
	Name string
	// Size in bytes; 0 for a directory.
	Size      int64
	Directory bool
	Modified  time.Time
	// Cluster is the first cluster, 0 for an empty file. Two entries with the same one share their data.
	Cluster uint32
}

func (it *item) entry() Entry {
	e := Entry{Name: it.name, Directory: it.kind == kindDirectory, Modified: it.modified, Cluster: it.first}
	if !e.Directory {
		e.Size = int64(it.size)
	}
	return e
}

// List returns what is in a directory, in the order of the disk. Paths have slashes, the root is "". A name of which a
// power cut left two copies is listed once.
func (v *Volume) List(dir string) ([]Entry, error) {
	v.state.RLock()
	defer v.state.RUnlock()
	d, err := v.directoryAt(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	var out []Entry
	type key struct {
		name  string
		first uint32
	}
	seen := map[key]bool{}
	for i := range d.items {
		it := &d.items[i]
		k := key{strings.ToLower(it.name), it.first}
		if it.kind != kindFile && it.kind != kindDirectory || seen[k] {
			continue
		}
		seen[k] = true
		out = append(out, it.entry())
	}
	return out, nil
}

// Stat describes one file or directory. It fails with fs.ErrNotExist if there is none.
func (v *Volume) Stat(path string) (Entry, error) {
	v.state.RLock()
	defer v.state.RUnlock()
	it, err := v.lookup(path)
	if err != nil {
		return Entry{}, pathError("stat", path, err)
	}
	return it.entry(), nil
}

// File reads one file. It holds the places of the clusters as they were when it was opened: it must not be used after
// the file is removed.
type File struct {
	v    *Volume
	runs []run
	// starts are the file offsets of the runs.
	starts []int64
	size   int64
}

// Open opens a file for reading. A file whose chain is broken or shorter than its size is an error.
func (v *Volume) Open(path string) (*File, error) {
	v.state.RLock()
	defer v.state.RUnlock()
	it, err := v.lookup(path)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	if it.kind == kindDirectory {
		return nil, pathError("open", path, errIsDirectory)
	}
	f, err := v.openItem(it)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return f, nil
}

func (v *Volume) openItem(it *item) (*File, error) {
	if it.size == 0 {
		return v.newFile(nil, 0), nil
	}
	runs, err := v.table.chain(it.first, v.g.clusters)
	if err != nil {
		return nil, err
	}
	f := v.newFile(runs, int64(it.size))
	if have := f.room(); have < f.size {
		return nil, fmt.Errorf("the chain holds %d bytes of %d", have, f.size)
	}
	return f, nil
}

func (v *Volume) newFile(runs []run, size int64) *File {
	f := &File{v: v, runs: runs, size: size}
	at := int64(0)
	for _, r := range runs {
		f.starts = append(f.starts, at)
		at += int64(r.n) * v.g.clusterSize()
	}
	return f
}

// room is how many bytes the clusters hold.
func (f *File) room() int64 {
	if len(f.runs) == 0 {
		return 0
	}
	last := len(f.runs) - 1
	return f.starts[last] + int64(f.runs[last].n)*f.v.g.clusterSize()
}

// Size in bytes.
func (f *File) Size() int64 { return f.size }

// ReadAt reads neighbouring clusters at once.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	done := 0
	for done < len(p) && off < f.size {
		k := sort.Search(len(f.starts), func(i int) bool { return f.starts[i] > off }) - 1
		r := f.runs[k]
		inRun := off - f.starts[k]
		n := min(int64(len(p)-done), f.size-off, int64(r.n)*f.v.g.clusterSize()-inRun)
		if _, err := f.v.dev.ReadAt(p[done:done+int(n)], f.v.g.offset(r.first)+inRun); err != nil {
			return done, fmt.Errorf("read data: %w", err)
		}
		done += int(n)
		off += n
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// ReadFile returns a whole file of at most limit bytes.
func (v *Volume) ReadFile(path string, limit int64) ([]byte, error) {
	f, err := v.Open(path)
	if err != nil {
		return nil, err
	}
	if f.Size() > limit {
		return nil, pathError("read", path, fmt.Errorf("%d bytes, more than %d", f.Size(), limit))
	}
	b := make([]byte, f.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, f.Size()), b); err != nil {
		return nil, pathError("read", path, err)
	}
	return b, nil
}

var (
	errIsDirectory  = fmt.Errorf("is a directory")
	errNotDirectory = fmt.Errorf("is not a directory")
)

func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: "/" + strings.Trim(path, "/"), Err: err}
}

// split cuts a path into its names.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func (v *Volume) directoryAt(path string) (*directory, error) {
	d, err := v.readDirectory(v.g.root)
	for _, name := range split(path) {
		if err != nil {
			return nil, err
		}
		it := d.find(name)
		if it == nil {
			return nil, fs.ErrNotExist
		}
		if it.kind != kindDirectory {
			return nil, errNotDirectory
		}
		d, err = v.readDirectory(it.first)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (v *Volume) lookup(path string) (*item, error) {
	names := split(path)
	if len(names) == 0 {
		return nil, errIsDirectory
	}
	d, err := v.directoryAt(strings.Join(names[:len(names)-1], "/"))
	if err != nil {
		return nil, err
	}
	it := d.find(names[len(names)-1])
	if it == nil {
		return nil, fs.ErrNotExist
	}
	return it, nil
}
