package fat

import (
	"fmt"
	"strings"
)

// ProblemKind is a sort of damage that names suffer.
type ProblemKind string

const (
	// Broken is a chain that ends early, runs in a circle or leaves the volume, or a directory that cannot be read.
	Broken ProblemKind = "broken chain"
	// CrossLink is a cluster that belongs to two different chains.
	CrossLink ProblemKind = "cross-link"
	// Shared is one chain with two names of the same size: what a cut in the firmware's rename, or in Pack or a
	// rename of two steps, leaves. Both names read well, and removing one does not harm the other.
	Shared ProblemKind = "shared chain"
	// Twins are two entries with one name and different data.
	Twins ProblemKind = "two entries with one name"
)

// Problem is something wrong with a live name.
type Problem struct {
	Path   string
	Kind   ProblemKind
	Detail string
}

func (p Problem) String() string { return p.Path + ": " + string(p.Kind) + ": " + p.Detail }

// Check follows every live name to its last cluster and reports what is wrong, in the order of the walk. Lost clusters
// and wrong free counts are not reported: no name suffers from them. It reads only directories.
func (v *Volume) Check() []Problem {
	v.state.RLock()
	defer v.state.RUnlock()
	c := &checker{v: v, owner: make([]int32, v.g.clusters+2), seen: map[uint32]bool{}, budget: maxDirectoryBytes}
	c.names = append(c.names, checkedName{path: "nothing"})
	c.directory("", v.g.root, 0)
	return c.problems
}

type checkedName struct {
	path        string
	first, size uint32
}

type checker struct {
	v        *Volume
	problems []Problem
	names    []checkedName
	// owner is the index of the name that reached a cluster first, 0 for none.
	owner []int32
	seen  map[uint32]bool
	// budget is how many bytes of directories may still be read.
	budget int
}

func (c *checker) report(path string, kind ProblemKind, format string, args ...any) {
	c.problems = append(c.problems, Problem{"/" + path, kind, fmt.Sprintf(format, args...)})
}

// claim walks a chain for a name and reports where it meets another one's.
func (c *checker) claim(path string, first, size uint32) {
	c.names = append(c.names, checkedName{path, first, size})
	self := int32(len(c.names) - 1)
	have := int64(0)
	for k := first; ; have += c.v.g.clusterSize() {
		if !c.v.g.valid(k) {
			if k <= badCluster {
				c.report(path, Broken, "the chain leads to cluster %#x", k)
			} else if have < int64(size) {
				c.report(path, Broken, "the chain holds %d bytes of %d", have, size)
			}
			return
		}
		switch o := c.owner[k]; o {
		case 0:
			c.owner[k] = self
		case self:
			c.report(path, Broken, "the chain runs in a circle at cluster %d", k)
			return
		default:
			if other := c.names[o]; k == first && other.first == first && other.size == size {
				c.report(path, Shared, "with /%s", other.path)
			} else {
				c.report(path, CrossLink, "cluster %d belongs to /%s", k, other.path)
			}
			return
		}
		k = c.v.table.get(k)
	}
}

func (c *checker) directory(path string, first uint32, depth int) {
	if depth > maxDepth || len(c.seen) >= maxDirectories {
		c.report(path, Broken, "too many directories")
		return
	}
	if c.seen[first] {
		c.report(path, CrossLink, "the directory at cluster %d has another name", first)
		return
	}
	c.seen[first] = true
	found := len(c.problems)
	c.claim(path, first, 0)
	d, err := c.v.readDirectory(first)
	if err != nil && found == len(c.problems) {
		c.report(path, Broken, "%v", err)
	}
	if d == nil {
		return
	}
	if c.budget -= len(d.data); c.budget < 0 {
		c.report(path, Broken, "more than %d bytes of directories", maxDirectoryBytes)
		return
	}
	byName := map[string]uint32{}
	for i := range d.items {
		it := &d.items[i]
		if it.kind != kindFile && it.kind != kindDirectory {
			continue
		}
		at := strings.TrimPrefix(path+"/"+it.name, "/")
		key := strings.ToLower(it.name)
		if other, ok := byName[key]; ok && other != it.first {
			c.report(at, Twins, "at clusters %d and %d", other, it.first)
		}
		byName[key] = it.first
		switch {
		case it.kind == kindDirectory:
			c.directory(at, it.first, depth+1)
		case it.first != 0:
			c.claim(at, it.first, it.size)
		case it.size != 0:
			c.report(at, Broken, "%d bytes without a cluster", it.size)
		}
	}
}
