// Package cache keeps what takes long to make and depends on its inputs alone, such as a compressed archive. The folder
// may be removed at any time; a build that breaks off leaves nothing under a name that counts.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Cache is a folder of products by the hash of their inputs.
type Cache struct {
	// Dir is made when needed; an empty name means no cache.
	Dir string
}

// keep is how many products stay: four for each of the last few builds.
const keep = 16

// Get returns the product of an input, from the cache or made now. The settings name everything else that decides about its bytes,
// the version of the code that makes it above all.
func (c Cache) Get(settings string, input []byte, make func() ([]byte, error)) ([]byte, error) {
	if c.Dir == "" {
		return make()
	}
	key := sha256.New()
	fmt.Fprintf(key, "%s\n", settings)
	key.Write(input)
	name := filepath.Join(c.Dir, hex.EncodeToString(key.Sum(nil))+suffix)
	if b, err := os.ReadFile(name); err == nil {
		now := time.Now()
		// Marks the entry as used; if that fails it is only forgotten earlier.
		_ = os.Chtimes(name, now, now)
		return b, nil
	}
	b, err := make()
	if err != nil {
		return nil, err
	}
	if err := c.store(name, b); err != nil {
		return nil, fmt.Errorf("keep in cache: %w", err)
	}
	return b, nil
}

const suffix = ".made"

// store gives the file its name when it is whole, then forgets the entries that were not used for longest.
func (c Cache) store(name string, data []byte) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Dir, "new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return c.prune()
}

func (c Cache) prune() error {
	names, err := filepath.Glob(filepath.Join(c.Dir, "*"+suffix))
	if err != nil {
		return err
	}
	used := map[string]time.Time{}
	for _, n := range names {
		if s, err := os.Stat(n); err == nil {
			used[n] = s.ModTime()
		}
	}
	slices.SortFunc(names, func(a, b string) int { return used[b].Compare(used[a]) })
	for _, n := range names[min(keep, len(names)):] {
		if err := os.Remove(n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
