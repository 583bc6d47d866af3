// Package powercut is a disk in memory that forgets what was not flushed, for tests of durable storage.
//
// It is meaner than ext4: contents that were not flushed may be old, empty, cut short, zeroes or new after a cut,
// whatever order they were written in; of the changes to one folder since its last flush any prefix may be there,
// whatever happened in other folders. A rename inside a folder is one change. What survives all of this survives a
// journal that keeps more order.
//
// A test counts the operations of one run ([Disk.Operations]), repeats the run with a cut or a failure at each of
// them, and looks at what [Disk.AfterCut] leaves.
package powercut

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"rotunda/init/durable"
)

// ErrCut is what every operation returns once the power is gone.
var ErrCut = errors.New("power cut")

// Disk is a [durable.FS]. It is not safe for concurrent use.
type Disk struct {
	root   *node
	ops    int
	cutAt  int
	failAt int
	fail   error
	// Room is what Free answers.
	Room uint64
}

var _ durable.FS = (*Disk)(nil)

// New returns an empty disk with 1 GiB of room.
func New() *Disk { return &Disk{root: newDir(attributes{mode: fs.ModeDir | 0o755}), Room: 1 << 30} }

// Operations is how many changes and flushes were asked for so far.
func (d *Disk) Operations() int { return d.ops }

// CutAt cuts the power instead of the n-th operation from now, counted from 1.
func (d *Disk) CutAt(n int) { d.cutAt = d.ops + n }

// FailAt makes the n-th operation from now fail with err; a write leaves half of its bytes.
func (d *Disk) FailAt(n int, err error) { d.failAt, d.fail = d.ops+n, err }

// AfterCut returns a disk as it may be found after the power comes back; rng chooses among the possible ones.
func (d *Disk) AfterCut(rng *rand.Rand) *Disk { return &Disk{root: d.root.afterCut(rng), Room: d.Room} }

type attributes struct {
	mode     fs.FileMode
	uid, gid int
}

// node is a file, a link or a folder: what programs see, and what was flushed.
type node struct {
	attr, flushedAttr attributes
	// data is the contents of a file or the target of a link.
	data, flushed []byte
	entries       map[string]*node
	stable        map[string]*node
	pending       []func(map[string]*node)
}

func newDir(a attributes) *node {
	return &node{attr: a, flushedAttr: a, entries: map[string]*node{}, stable: map[string]*node{}}
}

func (n *node) isDir() bool { return n.attr.mode.IsDir() }

// change alters a folder now, and on the disk some time before its next flush.
func (n *node) change(f func(map[string]*node)) {
	f(n.entries)
	n.pending = append(n.pending, f)
}

func (n *node) flush() {
	n.flushedAttr = n.attr
	if n.isDir() {
		n.stable, n.pending = maps.Clone(n.entries), nil
		return
	}
	n.flushed = slices.Clone(n.data)
}

func (n *node) afterCut(rng *rand.Rand) *node {
	a := n.flushedAttr
	if rng.IntN(2) == 0 {
		a = n.attr
	}
	m := &node{attr: a, flushedAttr: a}
	if !n.isDir() {
		m.data = n.dataAfterCut(rng)
		m.flushed = m.data
		return m
	}
	m.entries = maps.Clone(n.stable)
	for _, f := range n.pending[:rng.IntN(len(n.pending)+1)] {
		f(m.entries)
	}
	// Names in order, so that one seed always gives one disk.
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		m.entries[name] = m.entries[name].afterCut(rng)
	}
	m.stable = maps.Clone(m.entries)
	return m
}

func (n *node) dataAfterCut(rng *rand.Rand) []byte {
	if n.attr.mode&fs.ModeSymlink != 0 || string(n.data) == string(n.flushed) {
		return slices.Clone(n.data)
	}
	switch rng.IntN(5) {
	case 0:
		return slices.Clone(n.flushed)
	case 1:
		return nil
	case 2:
		return slices.Clone(n.data[:rng.IntN(len(n.data)+1)])
	case 3:
		return make([]byte, len(n.data))
	default:
		return slices.Clone(n.data)
	}
}

// step counts one change or flush.
func (d *Disk) step() error {
	if err := d.alive(); err != nil {
		return err
	}
	d.ops++
	if d.cutAt != 0 && d.ops >= d.cutAt {
		return ErrCut
	}
	if d.failAt == d.ops {
		return d.fail
	}
	return nil
}

// alive refuses everything, reading included, once the power is gone.
func (d *Disk) alive() error {
	if d.cutAt != 0 && d.ops >= d.cutAt {
		return ErrCut
	}
	return nil
}

func (d *Disk) find(op, name string) (*node, error) {
	if err := d.alive(); err != nil {
		return nil, err
	}
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return d.walk(op, name, 0)
}

func (d *Disk) walk(op, name string, links int) (*node, error) {
	n := d.root
	if name == "." {
		return n, nil
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		child := n.entries[part]
		if child == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		if child.attr.mode&fs.ModeSymlink != 0 && i < len(parts)-1 {
			if links == 8 {
				return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ELOOP}
			}
			target := path.Join(append(append(slices.Clone(parts[:i]), string(child.data)), parts[i+1:]...)...)
			return d.walk(op, target, links+1)
		}
		n = child
	}
	return n, nil
}

func (d *Disk) parent(op, name string) (*node, string, error) {
	dir, err := d.find(op, path.Dir(name))
	if err != nil {
		return nil, "", err
	}
	if !dir.isDir() {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
	}
	return dir, path.Base(name), nil
}

func (d *Disk) add(op, name string, n *node) error {
	dir, base, err := d.parent(op, name)
	if err != nil {
		return err
	}
	if dir.entries[base] != nil {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	if err := d.step(); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	dir.change(func(e map[string]*node) { e[base] = n })
	return nil
}

// Open implements [durable.FS].
func (d *Disk) Open(name string) (fs.File, error) {
	n, err := d.find("open", name)
	if err != nil {
		return nil, err
	}
	if !n.attr.mode.IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return &reading{disk: d, name: path.Base(name), node: n}, nil
}

// Create implements [durable.FS].
func (d *Disk) Create(name string, mode fs.FileMode) (durable.File, error) {
	a := attributes{mode: mode.Perm()}
	n := &node{attr: a, flushedAttr: a}
	if err := d.add("create", name, n); err != nil {
		return nil, err
	}
	return &writing{d, n}, nil
}

// Mkdir implements [durable.FS].
func (d *Disk) Mkdir(name string, mode fs.FileMode) error {
	return d.add("mkdir", name, newDir(attributes{mode: fs.ModeDir | mode.Perm()}))
}

// Symlink implements [durable.FS].
func (d *Disk) Symlink(target, name string) error {
	a := attributes{mode: fs.ModeSymlink | 0o777}
	return d.add("symlink", name, &node{attr: a, flushedAttr: a, data: []byte(target), flushed: []byte(target)})
}

// Readlink implements [durable.FS].
func (d *Disk) Readlink(name string) (string, error) {
	n, err := d.find("readlink", name)
	if err != nil {
		return "", err
	}
	if n.attr.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return string(n.data), nil
}

// ReadDir implements [durable.FS].
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := d.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.isDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	var list []fs.DirEntry
	for _, base := range slices.Sorted(maps.Keys(n.entries)) {
		list = append(list, fs.FileInfoToDirEntry(info{base, n.entries[base]}))
	}
	return list, nil
}

// Lstat implements [durable.FS].
func (d *Disk) Lstat(name string) (fs.FileInfo, error) {
	n, err := d.find("lstat", name)
	if err != nil {
		return nil, err
	}
	return info{path.Base(name), n}, nil
}

// Chmod implements [durable.FS].
func (d *Disk) Chmod(name string, mode fs.FileMode) error {
	n, err := d.find("chmod", name)
	if err != nil {
		return err
	}
	if err := d.step(); err != nil {
		return &fs.PathError{Op: "chmod", Path: name, Err: err}
	}
	n.attr.mode = n.attr.mode.Type() | mode.Perm()
	return nil
}

// Chown implements [durable.FS].
func (d *Disk) Chown(name string, uid, gid int) error {
	n, err := d.find("chown", name)
	if err != nil {
		return err
	}
	if err := d.step(); err != nil {
		return &fs.PathError{Op: "chown", Path: name, Err: err}
	}
	n.attr.uid, n.attr.gid = uid, gid
	return nil
}

// Rename implements [durable.FS]; both names must be in one folder, since only then is it one change after a cut.
func (d *Disk) Rename(oldname, newname string) error {
	if path.Dir(oldname) != path.Dir(newname) {
		return &fs.PathError{Op: "rename", Path: oldname, Err: syscall.EXDEV}
	}
	dir, from, err := d.parent("rename", oldname)
	if err != nil {
		return err
	}
	n := dir.entries[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldname, Err: fs.ErrNotExist}
	}
	if err := d.step(); err != nil {
		return &fs.PathError{Op: "rename", Path: oldname, Err: err}
	}
	to := path.Base(newname)
	dir.change(func(e map[string]*node) {
		delete(e, from)
		e[to] = n
	})
	return nil
}

// Remove implements [durable.FS].
func (d *Disk) Remove(name string) error {
	dir, base, err := d.parent("remove", name)
	if err != nil {
		return err
	}
	n := dir.entries[base]
	switch {
	case n == nil:
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	case n.isDir() && len(n.entries) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	if err := d.step(); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	dir.change(func(e map[string]*node) { delete(e, base) })
	return nil
}

// SyncDir implements [durable.FS].
func (d *Disk) SyncDir(name string) error {
	n, err := d.find("sync", name)
	if err != nil {
		return err
	}
	if err := d.step(); err != nil {
		return &fs.PathError{Op: "sync", Path: name, Err: err}
	}
	n.flush()
	return nil
}

// Free implements [durable.FS].
func (d *Disk) Free() (uint64, error) { return d.Room, d.alive() }

// Owner is who a file or folder belongs to.
func (d *Disk) Owner(name string) (durable.Owner, error) {
	n, err := d.find("owner", name)
	if err != nil {
		return durable.Owner{}, err
	}
	return durable.Owner{UID: n.attr.uid, GID: n.attr.gid}, nil
}

type info struct {
	name string
	*node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.data)) }
func (i info) Mode() fs.FileMode  { return i.attr.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.isDir() }
func (i info) Sys() any           { return nil }

type reading struct {
	disk *Disk
	name string
	node *node
	at   int
}

func (r *reading) Stat() (fs.FileInfo, error) { return info{r.name, r.node}, r.disk.alive() }
func (r *reading) Close() error               { return nil }

func (r *reading) Read(p []byte) (int, error) {
	if err := r.disk.alive(); err != nil {
		return 0, err
	}
	if r.at >= len(r.node.data) {
		return 0, io.EOF
	}
	n := copy(p, r.node.data[r.at:])
	r.at += n
	return n, nil
}

type writing struct {
	disk *Disk
	node *node
}

func (w *writing) Write(p []byte) (int, error) {
	if err := w.disk.step(); err != nil {
		if errors.Is(err, ErrCut) {
			return 0, err
		}
		w.node.data = append(w.node.data, p[:len(p)/2]...)
		return len(p) / 2, err
	}
	w.node.data = append(w.node.data, p...)
	return len(p), nil
}

func (w *writing) Chown(uid, gid int) error {
	if err := w.disk.step(); err != nil {
		return err
	}
	w.node.attr.uid, w.node.attr.gid = uid, gid
	return nil
}

func (w *writing) Sync() error {
	if err := w.disk.step(); err != nil {
		return err
	}
	w.node.flush()
	return nil
}

func (w *writing) Close() error { return w.disk.alive() }
