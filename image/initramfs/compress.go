package initramfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// windowSize is what the kernel must hold in memory while it unpacks. It would accept 128 MiB; beyond 8 MiB our
// archives get no smaller.
const windowSize = 8 << 20

// Compress returns the archive as one Zstandard frame, padded to four bytes so that another archive may follow.
//
// The frame carries a checksum: a kernel whose copy on the disk has decayed panics while unpacking, and the loader
// counts that as a failed try, where a silently damaged program would run on.
func Compress(archive []byte) ([]byte, error) {
	var b bytes.Buffer
	// One goroutine: block borders, and with them the bytes, must not depend on the machine.
	w, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowSize), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("compress initramfs: %w", err)
	}
	if _, err := w.Write(archive); err != nil {
		return nil, fmt.Errorf("compress initramfs: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress initramfs: %w", err)
	}
	b.Write(make([]byte, (4-b.Len()%4)%4))
	return b.Bytes(), nil
}

// Cache is a folder of compressed archives by the hash of what they hold. It may be removed at any time.
type Cache struct {
	// Dir is made when needed; an empty name means no cache.
	Dir string
	// Compressor names the version of the code that compresses; another version finds nothing here.
	Compressor string
}

// keep is how many archives stay in the cache: two for each of the last few builds.
const keep = 8

// Compress returns what [Compress] returns, from the cache if it is there.
func (c Cache) Compress(archive []byte) ([]byte, error) {
	if c.Dir == "" {
		return Compress(archive)
	}
	key := sha256.New()
	fmt.Fprintf(key, "%s window %d\n", c.Compressor, windowSize)
	key.Write(archive)
	name := filepath.Join(c.Dir, hex.EncodeToString(key.Sum(nil))+".cpio.zst")
	if b, err := os.ReadFile(name); err == nil {
		now := time.Now()
		// Marks the entry as used; if that fails it is only forgotten earlier.
		_ = os.Chtimes(name, now, now)
		return b, nil
	}
	b, err := Compress(archive)
	if err != nil {
		return nil, err
	}
	if err := c.store(name, b); err != nil {
		return nil, fmt.Errorf("cache initramfs: %w", err)
	}
	return b, nil
}

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
	names, err := filepath.Glob(filepath.Join(c.Dir, "*.cpio.zst"))
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
