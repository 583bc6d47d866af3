// Package kmod chooses kernel modules for an image: it reads what the modules of a kernel package say about
// themselves, resolves what a wanted set depends on, and writes the two tables that the module loader reads,
// modules.dep and modules.alias in kmod's text forms, for exactly that set. The package as Debian ships it has no
// tables: depmod makes them at installation, for all four thousand modules.
//
// Soft dependencies are resolved too, and become hard ones in modules.dep, for the loader knows no others. With one
// exception: ext4 asks for "crypto-crc32c", which a generic module and one for particular processors provide. The
// latter fails to load elsewhere, and must not take ext4 with it; it is shipped, and loaded by its "cpu:" modalias.
package kmod

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is the modules of one kernel.
type Tree struct {
	dir     string
	modules map[string]*module
	builtin map[string]bool
	// providers are the names of the modules that carry an alias without wildcards.
	providers map[string][]string
}

type module struct {
	// path is relative to the tree, for example kernel/fs/ext4/ext4.ko.
	path string
	Info
}

// Name returns a module's name from its file name or another spelling: no folder, no .ko, underscores for dashes.
func Name(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), ".ko"), "-", "_")
}

// Open reads all modules below dir, for example …/lib/modules/6.1.0-50-amd64.
func Open(dir string) (*Tree, error) {
	t := &Tree{dir: dir, modules: map[string]*module{}, builtin: map[string]bool{}, providers: map[string][]string{}}
	list, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("list built-in modules: %w", err)
	}
	for _, file := range strings.Fields(string(list)) {
		t.builtin[Name(file)] = true
	}
	err = filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(file, ".ko") {
			return err
		}
		return t.add(file)
	})
	if err != nil {
		return nil, fmt.Errorf("read kernel modules: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(t.modules)) {
		for _, a := range t.modules[name].Aliases {
			if !strings.ContainsAny(a, "*?[") {
				t.providers[Name(a)] = append(t.providers[Name(a)], name)
			}
		}
	}
	return t, nil
}

func (t *Tree) add(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := ReadInfo(f)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	rel, err := filepath.Rel(t.dir, file)
	if err != nil {
		return err
	}
	t.modules[Name(file)] = &module{path: filepath.ToSlash(rel), Info: info}
	return nil
}

// Set is a choice of modules that is closed under dependency.
type Set struct {
	tree  *Tree
	names []string
}

// Select returns the wanted modules with everything that they depend on. A name that ends in /* stands for the modules
// of that folder below kernel/. A name of a built-in module is fine and adds nothing; an unknown name is an error, so
// that a renamed driver is noticed when an image is built and not when a machine finds no disk.
func (t *Tree) Select(wanted []string) (*Set, error) {
	chosen := map[string]bool{}
	var choose func(name, asker string) error
	choose = func(name, asker string) error {
		if chosen[name] || t.builtin[name] {
			return nil
		}
		m := t.modules[name]
		if m == nil {
			return fmt.Errorf("select kernel modules: no module %s (wanted by %s)", name, asker)
		}
		chosen[name] = true
		for _, d := range m.Depends {
			if err := choose(d, name); err != nil {
				return err
			}
		}
		for _, s := range m.Soft {
			for _, p := range t.provide(s) {
				if err := choose(p, name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, w := range wanted {
		names := []string{Name(w)}
		if folder, ok := strings.CutSuffix(w, "/*"); ok {
			if names = t.folder(folder); len(names) == 0 {
				return nil, fmt.Errorf("select kernel modules: no modules in kernel/%s", folder)
			}
		}
		for _, n := range names {
			if err := choose(n, "the board"); err != nil {
				return nil, err
			}
		}
	}
	return &Set{tree: t, names: slices.Sorted(maps.Keys(chosen))}, nil
}

func (t *Tree) folder(name string) []string {
	var names []string
	for n, m := range t.modules {
		if path.Dir(m.path) == path.Join("kernel", name) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// provide returns the modules behind a soft dependency, which may be the name of a module or an alias. None is fine.
func (t *Tree) provide(name string) []string {
	name = Name(name)
	if t.modules[name] != nil {
		return []string{name}
	}
	return t.providers[name]
}

// Files returns the paths of the chosen modules relative to the tree, sorted by module name.
func (s *Set) Files() []string {
	var files []string
	for _, n := range s.names {
		files = append(files, s.tree.modules[n].path)
	}
	return files
}

// Firmware returns the names of the firmware files that the chosen drivers may ask for, sorted.
func (s *Set) Firmware() []string {
	var names []string
	for _, n := range s.names {
		names = append(names, s.tree.modules[n].Firmware...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// WriteDeps writes modules.dep: one line a module, its dependencies with the deepest last, as depmod does.
func (s *Set) WriteDeps(w io.Writer) error {
	for _, n := range s.names {
		line := s.tree.modules[n].path + ":"
		order := s.tree.loadOrder(n)
		slices.Reverse(order)
		for _, d := range order {
			line += " " + s.tree.modules[d].path
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return fmt.Errorf("write modules.dep: %w", err)
		}
	}
	return nil
}

// loadOrder returns everything that must be loaded before the module, in the order of loading.
func (t *Tree) loadOrder(name string) []string {
	seen := map[string]bool{name: true}
	var order []string
	var visit func(name string)
	visit = func(name string) {
		if seen[name] || t.builtin[name] {
			return
		}
		seen[name] = true
		for _, d := range t.requires(name) {
			visit(d)
		}
		order = append(order, name)
	}
	for _, d := range t.requires(name) {
		visit(d)
	}
	return order
}

// requires lists the hard dependencies of a module and those soft ones that load on every processor.
func (t *Tree) requires(name string) []string {
	m := t.modules[name]
	list := slices.Clone(m.Depends)
	for _, s := range m.Soft {
		for _, p := range t.provide(s) {
			if !slices.ContainsFunc(t.modules[p].Aliases, func(a string) bool { return strings.HasPrefix(a, "cpu:") }) {
				list = append(list, p)
			}
		}
	}
	return list
}

// WriteAliases writes modules.alias: "alias <pattern> <module>", sorted by module and pattern.
func (s *Set) WriteAliases(w io.Writer) error {
	for _, n := range s.names {
		for _, a := range s.tree.modules[n].Aliases {
			// The table separates words by blanks, so an alias with one cannot be written; no module has one.
			if strings.ContainsAny(a, " \t\n") {
				continue
			}
			if _, err := fmt.Fprintf(w, "alias %s %s\n", a, n); err != nil {
				return fmt.Errorf("write modules.alias: %w", err)
			}
		}
	}
	return nil
}
