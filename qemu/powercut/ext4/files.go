package ext4

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
)

// maxLinks bounds the symbolic links on the way to a file, as the kernel does.
const maxLinks = 40

// Kind is what a name stands for.
type Kind int

// The kinds of files.
const (
	Other Kind = iota
	Directory
	Regular
	Symlink
)

// Info describes one file.
type Info struct {
	Name string
	Kind Kind
	Size int64
	Mode fs.FileMode
}

// List returns what is in a folder, by name. Links on the way are followed.
func (v *Volume) List(folder string) ([]Info, error) {
	node, err := v.find(folder, true)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	entries, err := v.entries(node)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	list := make([]Info, 0, len(entries))
	for _, e := range entries {
		child, err := v.inode(e.inode)
		if err != nil {
			return nil, fmt.Errorf("list %s: %s: %w", folder, e.name, err)
		}
		list = append(list, child.info(e.name))
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list, nil
}

// Lstat describes a file; a link as its last part is not followed.
func (v *Volume) Lstat(name string) (Info, error) {
	node, err := v.find(name, false)
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", name, err)
	}
	return node.info(path.Base(name)), nil
}

// ReadFile returns the content of a regular file of at most limit bytes.
func (v *Volume) ReadFile(name string, limit int64) ([]byte, error) {
	node, err := v.find(name, true)
	if err == nil && node.mode&modeMask != modeRegular {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	data, err := v.readAll(node, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// Readlink returns where a symbolic link points.
func (v *Volume) Readlink(name string) (string, error) {
	node, err := v.find(name, false)
	if err == nil && node.mode&modeMask != modeSymlink {
		err = fs.ErrInvalid
	}
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, err)
	}
	target, err := v.readAll(node, 4096)
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, err)
	}
	return string(target), nil
}

func (n *inode) info(name string) Info {
	i := Info{Name: name, Size: n.size, Mode: fs.FileMode(n.mode & 0o777)}
	switch n.mode & modeMask {
	case modeDirectory:
		i.Kind, i.Mode = Directory, i.Mode|fs.ModeDir
	case modeRegular:
		i.Kind = Regular
	case modeSymlink:
		i.Kind, i.Mode = Symlink, i.Mode|fs.ModeSymlink
	default:
		i.Mode |= fs.ModeIrregular
	}
	return i
}

// find walks a path from the root of the file system. It does not know "..": a checker has no use for it.
func (v *Volume) find(name string, followLast bool) (*inode, error) {
	parts := split(name)
	trail := []uint32{rootInode}
	links := 0
	for {
		node, err := v.inode(trail[len(trail)-1])
		if err != nil {
			return nil, err
		}
		if node.mode&modeMask == modeSymlink && (len(parts) > 0 || followLast) {
			if links++; links > maxLinks {
				return nil, fmt.Errorf("more than %d symbolic links", maxLinks)
			}
			target, err := v.readAll(node, 4096)
			if err != nil {
				return nil, err
			}
			parts = append(split(string(target)), parts...)
			trail = trail[:len(trail)-1]
			if strings.HasPrefix(string(target), "/") {
				trail = trail[:1]
			}
			continue
		}
		if len(parts) == 0 {
			return node, nil
		}
		entries, err := v.entries(node)
		if err != nil {
			return nil, err
		}
		number := uint32(0)
		for _, e := range entries {
			if e.name == parts[0] {
				number = e.inode
			}
		}
		if number == 0 {
			return nil, fs.ErrNotExist
		}
		trail, parts = append(trail, number), parts[1:]
	}
}

func split(name string) []string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	return slices.DeleteFunc(parts, func(p string) bool { return p == "." })
}
