package fat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

// chunkSize is how much one write of data holds. It is a multiple of every cluster size.
const chunkSize = 1 << 20

// CreateOptions for Create; the zero value is the plain case.
type CreateOptions struct {
	// Renames is how often firmware will rename the file by appending a name as long as this one. The entry is placed
	// where all of them fit into the same sector, as far as 16 slots go (see the package comment).
	Renames int
	// Verify reads the file back, from the medium where the device allows it, before the file gets its name. Its error
	// ends Create with nothing changed.
	Verify func(*File) error
	// Progress is told how many bytes are written.
	Progress func(written int64)
}

// Create writes a new file of exactly size bytes from r, and the directories on the way to it. The name appears when
// everything else is on the medium. It fails with fs.ErrExist if the name is taken, with ErrFull if there is no room,
// with io.ErrUnexpectedEOF if r ends early, and when the context ends; then the volume holds the same files as before.
func (v *Volume) Create(ctx context.Context, path string, r io.Reader, size int64, o CreateOptions) error {
	names := split(path)
	if len(names) == 0 {
		return pathError("create", path, errIsDirectory)
	}
	if size < 0 || size > math.MaxUint32 {
		return pathError("create", path, fmt.Errorf("a file of %d bytes", size))
	}
	if err := v.begin(); err != nil {
		return pathError("create", path, err)
	}
	defer v.writer.Unlock()
	if err := v.create(ctx, names, r, size, o); err != nil {
		return pathError("create", path, err)
	}
	return nil
}

// begin starts an operation that writes; it ends with writer.Unlock.
func (v *Volume) begin() error {
	if v.readOnly {
		return ErrReadOnly
	}
	v.writer.Lock()
	return nil
}

func (v *Volume) create(ctx context.Context, names []string, r io.Reader, size int64, o CreateOptions) error {
	parent, name := names[:len(names)-1], names[len(names)-1]
	runs, err := v.reserve(parent, name, size, o.Renames)
	if err != nil {
		return err
	}
	if err := v.copyData(ctx, runs, r, size, o.Progress); err != nil {
		return err
	}
	if o.Verify != nil {
		if d, ok := v.dev.(cacheDropper); ok {
			if err := d.DropCache(); err != nil {
				return fmt.Errorf("drop cache: %w", err)
			}
		}
		if err := o.Verify(v.newFile(runs, size)); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}

	v.state.Lock()
	defer v.state.Unlock()
	m, err := v.mark()
	if err != nil {
		return err
	}
	if err := v.linkAndSync(m, runs); err != nil {
		return err
	}
	first := uint32(0)
	if len(runs) > 0 {
		first = runs[0].first
	}
	d, err := v.directoryAt(strings.Join(parent, "/"))
	if err != nil {
		return err
	}
	return v.publish(d, name, attrArchive, first, uint32(size), o.Renames)
}

// reserve makes the directories and chooses the clusters. They stay free until the FAT is written, which is safe
// because the operation holds the writer lock.
func (v *Volume) reserve(parent []string, name string, size int64, renames int) ([]run, error) {
	v.state.Lock()
	defer v.state.Unlock()
	d, err := v.makeDirectories(parent)
	if err != nil {
		return nil, err
	}
	if d.find(name) != nil {
		return nil, fs.ErrExist
	}
	if err := validName(name); err != nil {
		return nil, err
	}
	// Room in the directory first: an entry that needs a new cluster must not fail after the data are written.
	if err := v.tidy(d); err != nil {
		return nil, err
	}
	if err := v.makeRoom(d, mostSlots(name), renames); err != nil {
		return nil, err
	}
	m, err := v.mark()
	if err != nil {
		return nil, err
	}
	n := v.g.clustersFor(size)
	if n == 0 {
		return nil, nil
	}
	runs := v.table.allocate(m, n)
	if runs == nil {
		return nil, fmt.Errorf("%d bytes: %w", size, ErrFull)
	}
	return runs, nil
}

// copyData fills the clusters; the rest of the last one becomes zero. It ends with a Sync.
func (v *Volume) copyData(ctx context.Context, runs []run, r io.Reader, size int64, progress func(int64)) error {
	if size == 0 {
		return nil
	}
	cluster := v.g.clusterSize()
	buf := make([]byte, min(chunkSize, int64(v.g.clustersFor(size))*cluster))
	written := int64(0)
	for _, run := range runs {
		for at := int64(0); at < int64(run.n)*cluster; {
			if err := ctx.Err(); err != nil {
				return err
			}
			room := min(int64(len(buf)), int64(run.n)*cluster-at)
			want := min(room, size-written)
			if n, err := io.ReadFull(r, buf[:want]); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("byte %d of %d: %w", written+int64(n), size, err)
			}
			clear(buf[want:room])
			if _, err := v.dev.WriteAt(buf[:room], v.g.offset(run.first)+at); err != nil {
				return fmt.Errorf("write data: %w", err)
			}
			at += room
			written += want
			if progress != nil {
				progress(written)
			}
		}
	}
	return v.sync()
}

// publish gives a chain that is complete on the disk its name.
func (v *Volume) publish(d *directory, name string, attributes byte, first, size uint32, renames int) error {
	short, err := v.shortFor(d, name)
	if err != nil {
		return err
	}
	slots := slotsFor(name, short, newEntry(v, attributes, first, size))
	return v.insert(d, slots, renames)
}

// shortFor chooses an 8.3 name that is neither an 8.3 name nor a long name of another entry.
func (v *Volume) shortFor(d *directory, name string) (shortName, error) {
	return chooseShort(name, func(s shortName) bool {
		for i := range d.items {
			if d.items[i].short == s || d.items[i].matches(s.String()) {
				return true
			}
		}
		return false
	})
}

func newEntry(v *Volume, attributes byte, first, size uint32) [slotSize]byte {
	var e [slotSize]byte
	date, clock := encodeTime(v.now())
	e[11] = attributes
	le.PutUint16(e[14:], clock)
	le.PutUint16(e[16:], date)
	le.PutUint16(e[18:], date)
	le.PutUint16(e[20:], uint16(first>>16))
	le.PutUint16(e[22:], clock)
	le.PutUint16(e[24:], date)
	le.PutUint16(e[26:], uint16(first))
	le.PutUint32(e[28:], size)
	return e
}

// MkdirAll makes a directory and those above it, as far as they are missing.
func (v *Volume) MkdirAll(path string) error {
	if err := v.begin(); err != nil {
		return pathError("mkdir", path, err)
	}
	defer v.writer.Unlock()
	v.state.Lock()
	defer v.state.Unlock()
	if _, err := v.makeDirectories(split(path)); err != nil {
		return pathError("mkdir", path, err)
	}
	return nil
}

func (v *Volume) makeDirectories(names []string) (*directory, error) {
	if len(names) > maxDepth {
		return nil, fmt.Errorf("more than %d directories deep", maxDepth)
	}
	d, err := v.readDirectory(v.g.root)
	for _, name := range names {
		if err != nil {
			return nil, err
		}
		it := d.find(name)
		if it == nil {
			if err := v.makeDirectory(d, name); err != nil {
				return nil, err
			}
			if it = d.find(name); it == nil {
				return nil, errors.New("a directory just made is not there")
			}
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

func (v *Volume) makeDirectory(parent *directory, name string) error {
	if err := validName(name); err != nil {
		return err
	}
	if err := v.tidy(parent); err != nil {
		return err
	}
	if err := v.makeRoom(parent, mostSlots(name), 0); err != nil {
		return err
	}
	m, err := v.mark()
	if err != nil {
		return err
	}
	runs := v.table.allocate(m, 1)
	if runs == nil {
		return fmt.Errorf("make directory: %w", ErrFull)
	}
	first := runs[0].first
	// ".." of a directory in the root says 0, not the root's cluster.
	up := parent.first
	if up == v.g.root {
		up = 0
	}
	data := make([]byte, v.g.clusterSize())
	dot, dotdot := newEntry(v, attrDirectory, first, 0), newEntry(v, attrDirectory, up, 0)
	copy(dot[:], ".          ")
	copy(dotdot[:], "..         ")
	copy(data, dot[:])
	copy(data[slotSize:], dotdot[:])
	if _, err := v.dev.WriteAt(data, v.g.offset(first)); err != nil {
		return fmt.Errorf("write directory: %w", err)
	}
	if err := v.sync(); err != nil {
		return err
	}
	if err := v.linkAndSync(m, runs); err != nil {
		return err
	}
	return v.publish(parent, name, attrDirectory, first, 0, 0)
}
