package prompts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

const (
	// retireAfter is how long a file stays that no branding has any more. Legs that were told its name play it within seconds; one that
	// moves to another worker begins its prompts anew, and looped ones last as long as a lobby does.
	retireAfter = 12 * time.Hour
	// maxShelf is how much may lie in the folder, which is in memory.
	maxShelf = 128 << 20
)

var errShelfFull = errors.New("the own prompts and pictures of all branding profiles take more than 128 MB together")

// shelf is the folder that media workers read. It has a lock of its own, which is held while megabytes are written; the library's, which
// calls wait for, never is.
type shelf struct {
	folder string

	mu    sync.Mutex
	files map[string]*shelved // by path
	bytes int
}

type shelved struct {
	size, users int
	// unused is when the last user went.
	unused time.Time
}

// ours are the names that are made here, and those of files that are being written.
var ours = regexp.MustCompile(`^([0-9a-f]{32}\.(wav|jpg|png)|\.new-.*)$`)

func openShelf(folder string) (*shelf, error) {
	s := &shelf{folder: folder, files: map[string]*shelved{}}
	if folder == "" {
		return s, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of own prompts: %w", err)
	}
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("empty the folder of own prompts: %w", err)
	}
	for _, f := range list {
		if !ours.MatchString(f.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(folder, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("empty the folder of own prompts: %w", err)
		}
	}
	return s, nil
}

// put makes a file of a content, or finds it, and counts one more user of it.
func (s *shelf) put(content []byte, extension string, now time.Time) (path string, err error) {
	if s.folder == "" {
		return "", errors.New("there is no folder for own prompts")
	}
	sum := sha256.Sum256(content)
	path = filepath.Join(s.folder, hex.EncodeToString(sum[:16])+extension)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[path]; f != nil {
		f.users++
		return path, nil
	}
	s.remove(now)
	if s.bytes+len(content) > maxShelf {
		return "", errShelfFull
	}
	if err := write(path, content); err != nil {
		return "", fmt.Errorf("keep own prompts: %w", err)
	}
	s.files[path] = &shelved{size: len(content), users: 1}
	s.bytes += len(content)
	return path, nil
}

// write gives the file its name when it is whole; media workers are another user.
func write(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// release counts one user less of each file; of "" there is none.
func (s *shelf) release(now time.Time, paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range paths {
		if f := s.files[path]; f != nil {
			f.users--
			f.unused = now
		}
	}
}

// sweep removes what nobody has used for long.
func (s *shelf) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(now)
}

func (s *shelf) remove(now time.Time) {
	for path, f := range s.files {
		if f.users > 0 || now.Sub(f.unused) < retireAfter {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // the next time
		}
		s.bytes -= f.size
		delete(s.files, path)
	}
}
