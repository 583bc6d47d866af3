// Package modules loads kernel modules: those that the machine's devices ask for by their modaliases, and those that
// a board names. The image holds the modules raw, with two tables beside them: modules.dep (path: dependencies, in
// load order) and modules.alias (alias pattern module), in kmod's text forms.
//
// Loading is idempotent. A module that cannot be loaded is reported and does not stop the others.
package modules

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Loader knows the modules of one folder.
type Loader struct {
	dir     string
	deps    map[string]entry
	aliases []alias

	mu    sync.Mutex
	state map[string]*loading
}

type entry struct {
	path string
	deps []string
}

type alias struct{ pattern, module string }

type loading struct {
	once sync.Once
	err  error
}

// Open reads the tables of dir, for example /lib/modules/6.1.0-56-amd64.
func Open(dir string) (*Loader, error) {
	l := &Loader{dir: dir, state: map[string]*loading{}}
	f, err := os.Open(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("open modules: %w", err)
	}
	defer f.Close()
	if l.deps, err = parseDeps(f); err != nil {
		return nil, err
	}
	a, err := os.Open(filepath.Join(dir, "modules.alias"))
	if err != nil {
		return nil, fmt.Errorf("open modules: %w", err)
	}
	defer a.Close()
	l.aliases, err = parseAliases(a)
	return l, err
}

func parseDeps(r io.Reader) (map[string]entry, error) {
	deps := map[string]entry{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		file, rest, ok := strings.Cut(s.Text(), ":")
		if !ok {
			return nil, fmt.Errorf("read modules.dep: no colon in %q", s.Text())
		}
		e := entry{path: file}
		for _, d := range strings.Fields(rest) {
			e.deps = append(e.deps, name(d))
		}
		deps[name(file)] = e
	}
	return deps, s.Err()
}

func parseAliases(r io.Reader) ([]alias, error) {
	var list []alias
	s := bufio.NewScanner(r)
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) != 3 || f[0] != "alias" {
			continue
		}
		list = append(list, alias{f[1], name(f[2])})
	}
	return list, s.Err()
}

// name is a module's name: file name without suffix, with underscores.
func name(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), ".ko"), "-", "_")
}

// Has tells whether the image holds the module.
func (l *Loader) Has(module string) bool {
	_, ok := l.deps[name(module)]
	return ok
}

// Load loads a module after what it depends on. Loading one that is there already, or built in, is no error.
func (l *Loader) Load(module, params string) error { return l.load(name(module), params, 0) }

func (l *Loader) load(module, params string, depth int) error {
	e, ok := l.deps[module]
	if !ok {
		return fmt.Errorf("load %s: %w", module, fs.ErrNotExist)
	}
	if depth > 32 {
		return fmt.Errorf("load %s: dependencies go round in a circle", module)
	}
	l.mu.Lock()
	s := l.state[module]
	if s == nil {
		s = &loading{}
		l.state[module] = s
	}
	l.mu.Unlock()
	s.once.Do(func() {
		// kmod writes the dependencies with the deepest last.
		for i := len(e.deps) - 1; i >= 0; i-- {
			if e.deps[i] == module {
				continue
			}
			if err := l.load(e.deps[i], "", depth+1); err != nil {
				s.err = err
				return
			}
		}
		s.err = insert(filepath.Join(l.dir, e.path), params)
	})
	return s.err
}

func insert(file, params string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), params, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", name(file), err)
	}
	return nil
}

// Coldplug loads what the devices under sysfs ask for, again and again until a round finds nothing new: a bus driver
// brings further devices. It returns the modules that it loaded and one joined error for those that failed.
func (l *Loader) Coldplug(sysfs string) ([]string, error) {
	done := map[string]bool{}
	var loaded []string
	var errs []error
	for {
		var fresh []string
		for _, m := range wanted(sysfs, l.aliases) {
			if !done[m] {
				done[m] = true
				fresh = append(fresh, m)
			}
		}
		if len(fresh) == 0 {
			return loaded, errors.Join(errs...)
		}
		var wg sync.WaitGroup
		failed := make([]error, len(fresh))
		for i, m := range fresh {
			wg.Go(func() { failed[i] = l.Load(m, "") })
		}
		wg.Wait()
		for i, m := range fresh {
			// ENODEV: the alias fits but the driver does not want the device; common and harmless.
			if failed[i] != nil && !errors.Is(failed[i], unix.ENODEV) {
				errs = append(errs, failed[i])
			} else if failed[i] == nil {
				loaded = append(loaded, m)
			}
		}
	}
}

// wanted lists the modules whose patterns fit a device, without repetition.
func wanted(sysfs string, aliases []alias) []string {
	seen, asked := map[string]bool{}, map[string]bool{}
	var list []string
	_ = filepath.WalkDir(filepath.Join(sysfs, "devices"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "modalias" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return nil
		}
		device := strings.TrimSpace(string(b))
		if device == "" || asked[device] {
			return nil
		}
		asked[device] = true
		for _, a := range aliases {
			if !seen[a.module] && Match(a.pattern, device) {
				seen[a.module] = true
				list = append(list, a.module)
			}
		}
		return nil
	})
	return list
}

// Match is fnmatch(3) as modaliases need it: "*", "?" and "[abc]", no special slash.
func Match(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n, ok := matchOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches c against the first element of the pattern and returns that element's length.
func matchOne(pattern string, c byte) (int, bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		end := strings.IndexByte(pattern, ']')
		if end < 0 {
			break
		}
		set := pattern[1:end]
		for i := 0; i < len(set); i++ {
			if i+2 < len(set) && set[i+1] == '-' {
				if set[i] <= c && c <= set[i+2] {
					return end + 1, true
				}
				i += 2
				continue
			}
			if set[i] == c {
				return end + 1, true
			}
		}
		return 0, false
	}
	return 1, pattern[0] == c
}
